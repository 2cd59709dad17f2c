"""RNNRegressor in sktime's reductions."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from skrnn.forecasting import LagsToSequences
from tests.interop.cases import (
    MANY_LAGS,
    N_LAGS,
    Persistence,
    Reversed,
    chaotic,
    network,
    noise,
    seasonal,
)

pytest.importorskip("sktime")
from sktime.forecasting.compose import make_reduction
from sktime.forecasting.model_evaluation import evaluate
from sktime.split import ExpandingWindowSplitter

pytestmark = [
    pytest.mark.needs_jit,
    # of a default of sktime's that is to change, and of pandas behind sktime
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

ROWS = {"n_lags": N_LAGS, "order": "oldest_first", "exog": "lags"}
CHANNELS = {"channels_first": True}
KINDS = [
    pytest.param("tabular-regressor", ROWS, id="tabular"),
    pytest.param("time-series-regressor", CHANNELS, id="time-series"),
]
STRATEGIES = ["recursive", "direct", "multioutput"]


def monthly(values):
    index = pd.period_range("2000-01", periods=len(values), freq="M")
    return pd.Series(values, index=index, name="sales")


def reduction(model, scitype="tabular-regressor", strategy="recursive", **options):
    options = {"window_length": N_LAGS, "strategy": strategy} | options
    return make_reduction(model, scitype=scitype, **options)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("scitype", "settings"), KINDS)
def test_sequences_end_with_the_newest_values(scitype, settings, strategy):
    y = monthly(np.arange(40.0))
    X = pd.DataFrame({"a": noise(40), "b": np.arange(40.0) ** 2}, index=y.index)
    model = make_pipeline(LagsToSequences(**settings), Persistence())
    forecaster = reduction(model, scitype, strategy)
    forecaster.fit(y[:-1], X=X[:-1], fh=[1])
    expected = y.iloc[-2] + 10 * X.iloc[-2].sum()
    assert forecaster.predict(X=X[-1:]).tolist() == [pytest.approx(expected)]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("scitype", "settings"), KINDS)
def test_a_season_is_continued(scitype, settings, strategy):
    y = monthly(seasonal(132))
    forecaster = reduction(network(LagsToSequences(**settings)), scitype, strategy)
    forecast = forecaster.fit(y[:-12], fh=np.arange(1, 13)).predict()
    pd.testing.assert_series_equal(forecast, y[-12:], check_exact=False, atol=0.5)


@pytest.mark.parametrize(("scitype", "settings"), KINDS)
def test_only_the_right_order_follows_the_newest_value(scitype, settings):
    y = monthly(chaotic(305))
    settings = settings | {"n_lags": MANY_LAGS}
    errors = {}
    for kind in (LagsToSequences, Reversed):
        forecaster = reduction(
            network(kind(**settings)), scitype, window_length=MANY_LAGS
        )
        forecast = forecaster.fit(y[:-2], fh=[1, 2]).predict()
        errors[kind] = np.abs(forecast - y[-2:]).max()
    assert errors[LagsToSequences] < 0.1
    assert errors[Reversed] > 0.2


@pytest.mark.parametrize(("scitype", "settings"), KINDS)
def test_exogenous_lags_tell_what_the_series_does_not(scitype, settings):
    X = pd.DataFrame({"price": noise(202), "other": noise(204)[2:]})
    X.index = monthly(X["price"]).index
    y = monthly(seasonal(202) + 3 * X["price"].shift(1, fill_value=0.0).to_numpy())
    forecaster = reduction(network(LagsToSequences(**settings)), scitype)
    forecaster.fit(y[:-1], X=X[:-1], fh=[1])
    error = forecaster.predict(X=X[-1:]).iloc[0] - y.iloc[-1]
    assert abs(error) < 0.5 * abs(3 * X["price"].iloc[-2])


def test_pooled_panels_have_names_that_tell():
    months = pd.period_range("2000-01", periods=132, freq="M")
    panel = pd.concat(
        {
            name: pd.DataFrame({"sales": seasonal(132, phase)}, index=months)
            for name, phase in {"b": 0, "a": 5}.items()
        },
        names=["shop", "month"],
    ).sort_index()
    train = panel.drop(months[-12:], level="month")
    test = panel.drop(months[:-12], level="month")
    forecaster = reduction(network(LagsToSequences()), pooling="global")
    forecast = forecaster.fit(train, fh=np.arange(1, 13)).predict()
    pd.testing.assert_frame_equal(forecast, test, check_exact=False, atol=0.5)


def test_columns_that_the_parameters_do_not_account_for_are_an_error():
    y = monthly(seasonal(60))
    X = pd.DataFrame({"price": noise(60)}, index=y.index)
    transformer = LagsToSequences(N_LAGS, order="oldest_first")
    with pytest.raises(ValueError, match="24 columns, but n_lags=12: set exog"):
        reduction(network(transformer)).fit(y, X=X, fh=[1])


def test_it_can_be_evaluated():
    y = monthly(seasonal(144))
    splits = ExpandingWindowSplitter(
        fh=np.arange(1, 7), initial_window=120, step_length=12
    )
    forecaster = reduction(network(LagsToSequences(**ROWS)), strategy="direct")
    results = evaluate(forecaster, splits, y, error_score="raise")
    assert len(results) == 2
    assert (results["test_MeanAbsolutePercentageError"] < 0.05).all()
