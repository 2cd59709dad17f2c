"""RNNRegressor in skforecast's forecasters."""

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

pytest.importorskip("skforecast")
from skforecast.direct import ForecasterDirect, ForecasterDirectMultiVariate
from skforecast.model_selection import TimeSeriesFold, backtesting_forecaster
from skforecast.preprocessing import RollingFeatures
from skforecast.recursive import ForecasterRecursive, ForecasterRecursiveMultiSeries

pytestmark = pytest.mark.needs_jit

COLUMNS = {"n_lags": N_LAGS, "order": "newest_first", "exog": "last"}


def monthly(values):
    index = pd.date_range("2000-01", periods=len(values), freq="MS")
    return pd.Series(values, index=index, name="sales")


def recursive(model, **options):
    return ForecasterRecursive(estimator=model, **{"lags": N_LAGS} | options)


def direct(model, steps=12):
    return ForecasterDirect(estimator=model, lags=N_LAGS, steps=steps)


def multi_series(model, **options):
    return ForecasterRecursiveMultiSeries(estimator=model, lags=N_LAGS, **options)


@pytest.mark.parametrize("steps", [1, 3])
def test_sequences_end_with_the_newest_values(steps):
    y = monthly(np.arange(40.0))
    X = pd.DataFrame({"a": noise(40), "b": np.arange(40.0) ** 2}, index=y.index)
    train, future = X[:-steps], X[-steps:]
    model = make_pipeline(LagsToSequences(**COLUMNS), Persistence())
    added = 10 * future.sum(axis=1)

    forecaster = recursive(model)
    forecaster.fit(y[:-steps], exog=train)
    forecast = forecaster.predict(steps, exog=future)
    expected = y.iloc[-steps - 1] + added.cumsum()
    pd.testing.assert_series_equal(forecast, expected, check_names=False)

    forecaster = direct(model, steps)
    forecaster.fit(y[:-steps], exog=train)
    forecast = forecaster.predict(exog=future)
    expected = y.iloc[-steps - 1] + added
    pd.testing.assert_series_equal(forecast, expected, check_names=False)


@pytest.mark.parametrize("kind", [recursive, direct])
def test_a_season_is_continued(kind):
    y = monthly(seasonal(132))
    forecaster = kind(network(LagsToSequences(**COLUMNS)))
    forecaster.fit(y[:-12])
    forecast = forecaster.predict(steps=12)
    pd.testing.assert_series_equal(
        forecast, y[-12:], check_exact=False, atol=0.5, check_names=False
    )


def test_only_the_right_order_follows_the_newest_value():
    y = monthly(chaotic(305))
    settings = COLUMNS | {"n_lags": MANY_LAGS}
    errors = {}
    for kind in (LagsToSequences, Reversed):
        forecaster = recursive(network(kind(**settings)), lags=MANY_LAGS)
        forecaster.fit(y[:-2])
        errors[kind] = np.abs(forecaster.predict(steps=2) - y[-2:]).max()
    assert errors[LagsToSequences] < 0.1
    assert errors[Reversed] > 0.2


@pytest.mark.parametrize("kind", [recursive, direct])
def test_exogenous_values_tell_what_the_series_does_not(kind):
    X = pd.DataFrame({"price": noise(206), "other": noise(208)[2:]})
    X.index = monthly(X["price"]).index
    y = monthly(seasonal(206) + 3 * X["price"].to_numpy())
    forecaster = kind(network(LagsToSequences(**COLUMNS)))
    forecaster.fit(y[:-6], exog=X[:-6])
    forecast = forecaster.predict(steps=6, exog=X[-6:])
    error = np.abs(forecast - y[-6:]).mean()
    assert error < 0.5 * np.abs(3 * X["price"][-6:]).mean()


def test_windows_of_features_and_differences_are_taken():
    y = monthly(seasonal(132) + np.arange(132))
    forecaster = recursive(
        network(LagsToSequences(**COLUMNS)),
        window_features=RollingFeatures(stats=["mean"], window_sizes=12),
        differentiation=1,
    )
    forecaster.fit(y[:-12])
    forecast = forecaster.predict(steps=12)
    pd.testing.assert_series_equal(
        forecast, y[-12:], check_exact=False, atol=0.5, check_names=False
    )


@pytest.mark.parametrize("encoding", ["ordinal", "onehot", None])
@pytest.mark.parametrize("settings", [{}, COLUMNS], ids=["names", "parameters"])
def test_several_series_are_a_frame_in_fit_and_an_array_in_predict(encoding, settings):
    series = pd.DataFrame({"a": seasonal(132), "b": 30 + seasonal(132, 5)})
    series.index = monthly(series["a"]).index
    forecaster = multi_series(network(LagsToSequences(**settings)), encoding=encoding)
    forecaster.fit({name: column for name, column in series[:-12].items()})
    forecast = forecaster.predict(steps=12)
    by_name = forecast.pivot(columns="level", values="pred")
    assert by_name.columns.tolist() == ["a", "b"]
    pd.testing.assert_frame_equal(
        by_name,
        series[-12:],
        check_exact=False,
        atol=1.0,
        check_names=False,
        check_freq=False,
    )


def test_series_that_tell_of_each_other_are_channels():
    X = pd.DataFrame({"leader": noise(201)})
    X.index = monthly(X["leader"]).index
    X["follower"] = X["leader"].shift(1, fill_value=0.0)
    settings = {"n_lags": N_LAGS, "order": "newest_first", "exog": "lags"}
    forecaster = ForecasterDirectMultiVariate(
        estimator=network(LagsToSequences(**settings)),
        level="follower",
        lags=N_LAGS,
        steps=1,
    )
    forecaster.fit(X[:-1])
    error = forecaster.predict()["pred"].iloc[0] - X["follower"].iloc[-1]
    assert abs(error) < 0.3


def test_it_can_be_backtested():
    y = monthly(seasonal(132))
    folds = TimeSeriesFold(steps=6, initial_train_size=108, refit=False)
    metric, forecasts = backtesting_forecaster(
        forecaster=recursive(network(LagsToSequences(**COLUMNS))),
        y=y,
        cv=folds,
        metric="mean_absolute_error",
        show_progress=False,
    )
    assert forecasts.index.equals(y.index[108:])
    assert metric["mean_absolute_error"].iloc[0] < 0.7
