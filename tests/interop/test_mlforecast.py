"""RNNRegressor in MLForecast."""

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

pytest.importorskip("mlforecast")
from mlforecast import MLForecast
from mlforecast.lag_transforms import ExpandingMean, RollingMean
from mlforecast.target_transforms import Differences

pytestmark = pytest.mark.needs_jit

LAGS = list(range(1, N_LAGS + 1))


def panel(**series):
    """Return a long frame of series that begin in different months."""
    parts = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": pd.date_range(f"2000-{month}", periods=len(values), freq="MS"),
                "y": values,
            }
        )
        for month, (name, values) in enumerate(series.items(), 1)
    ]
    return pd.concat(parts, ignore_index=True)


def split(frame, horizon):
    test = frame.groupby("unique_id").tail(horizon)
    return frame.drop(test.index), test.reset_index(drop=True)


def forecaster(model, lags=LAGS, **options):
    return MLForecast(models={"rnn": model}, freq="MS", lags=lags, **options)


def assert_close(forecast, test, atol):
    keys = ["unique_id", "ds"]
    pd.testing.assert_frame_equal(forecast[keys], test[keys])
    np.testing.assert_allclose(forecast["rnn"], test["y"], atol=atol)


@pytest.mark.parametrize("lags", [LAGS, LAGS[::-1]], ids=["up", "down"])
def test_sequences_end_with_the_newest_values(lags):
    frame = panel(a=np.arange(40.0), b=100 + np.arange(45.0))
    frame["x"] = noise(len(frame))
    train, test = split(frame, 3)
    model = make_pipeline(LagsToSequences(), Persistence())
    fitted = forecaster(model, lags, date_features=["month"])
    fitted.fit(train, static_features=[])
    forecast = fitted.predict(3, X_df=test.drop(columns="y"))

    added = 10 * (test["x"] + test["ds"].dt.month).groupby(test["unique_id"]).cumsum()
    newest = test["unique_id"].map(train.groupby("unique_id")["y"].last())
    np.testing.assert_allclose(forecast["rnn"], newest + added)


@pytest.mark.parametrize("max_horizon", [None, 12], ids=["recursive", "direct"])
def test_seasons_of_several_series_are_continued(max_horizon):
    train, test = split(panel(a=seasonal(132), b=seasonal(140, 5)), 12)
    fitted = forecaster(network(LagsToSequences()), date_features=["month"])
    fitted.fit(train, max_horizon=max_horizon)
    assert_close(fitted.predict(12), test, atol=1.0)


def test_only_the_right_order_follows_the_newest_value():
    train, test = split(panel(a=chaotic(305)), 2)
    lags = range(1, MANY_LAGS + 1)
    errors = {}
    for kind in (LagsToSequences, Reversed):
        forecast = forecaster(network(kind()), lags).fit(train).predict(2)
        errors[kind] = np.abs(forecast["rnn"] - test["y"]).max()
    assert errors[LagsToSequences] < 0.1
    assert errors[Reversed] > 0.2


def test_exogenous_values_tell_what_the_series_does_not():
    frame = panel(a=seasonal(206), b=seasonal(206, 5))
    frame["price"] = noise(len(frame))
    frame["size"] = (frame["unique_id"] == "b").astype(float)
    frame["y"] += 3 * frame["price"]
    train, test = split(frame, 6)
    fitted = forecaster(network(LagsToSequences()), date_features=["month"])
    fitted.fit(train, static_features=["size"])
    forecast = fitted.predict(6, X_df=test[["unique_id", "ds", "price"]])
    error = np.abs(forecast["rnn"] - test["y"]).mean()
    assert error < 0.5 * np.abs(3 * test["price"]).mean()


def test_differences_and_transformed_lags_are_taken():
    series = {"a": seasonal(132) + np.arange(132), "b": seasonal(140) + 50}
    train, test = split(panel(**series), 12)
    fitted = forecaster(
        network(LagsToSequences()),
        lag_transforms={1: [RollingMean(12), ExpandingMean()]},
        target_transforms=[Differences([1])],
    )
    assert_close(fitted.fit(train).predict(12), test, atol=3.0)


def test_arrays_need_the_parameters():
    train, test = split(panel(a=seasonal(132)), 12)
    with pytest.raises(ValueError, match="set n_lags and order"):
        forecaster(network(LagsToSequences())).fit(train, as_numpy=True)
    transformer = LagsToSequences(N_LAGS, order="newest_first")
    fitted = forecaster(network(transformer)).fit(train, as_numpy=True)
    assert_close(fitted.predict(12), test, atol=1.0)


def test_missing_lags_are_an_error():
    model = network(LagsToSequences())
    with pytest.raises(ValueError, match="Lag 3 is missing"):
        forecaster(model, [1, 2, 12]).fit(panel(a=seasonal(60)))


def test_it_can_be_cross_validated():
    frame = panel(a=seasonal(132), b=seasonal(140, 5))
    results = forecaster(network(LagsToSequences())).cross_validation(
        frame, n_windows=2, h=6, step_size=12
    )
    assert len(results) == 2 * 2 * 6
    assert np.abs(results["rnn"] - results["y"]).max() < 1.0
