"""What tried to break the forecaster, and once did."""

import signal
import tempfile
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn import RNNForecaster

# tiny data has few past errors
pytestmark = [
    pytest.mark.filterwarnings("ignore:Past errors tell"),
    pytest.mark.needs_jit,
]

N = 60
MONTHS = pd.period_range("2020-01", periods=N, freq="M")
FUTURE = pd.period_range("2025-01", periods=3, freq="M")
RNG = np.random.default_rng(0)
Y = pd.Series(100 + RNG.normal(size=N).cumsum(), MONTHS, name="y")
LONG = pd.DataFrame(
    {"unique_id": np.repeat(["a", "b"], N), "ds": np.tile(MONTHS, 2), "y": [*Y, *Y + 5]}
)


def forecaster(**options):
    tiny = {
        "n_networks": 1,
        "n_updates": 20,
        "hidden_layer_sizes": 4,
        "random_state": 0,
    }
    return RNNForecaster(3, **(tiny | options))


@contextmanager
def at_most(seconds):
    """Raise where something goes on for longer."""

    def stop(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# Numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize("linear", [False, True])
def test_a_column_that_was_constant_but_for_rounding(linear):
    X = pd.DataFrame({"price": np.full(N, 0.1)}, MONTHS)
    assert X["price"].to_numpy().mean() - 0.1 != 0  # which is what made it vary
    fitted = forecaster(linear=linear, theta=False).fit(X, Y)
    new = fitted.predict(pd.DataFrame({"price": 0.2}, FUTURE))
    assert_allclose(new, Y.iloc[-1], rtol=0.1)


@pytest.mark.parametrize("value", [1e60, -1e300])
def test_a_column_far_from_all_that_was_seen(value):
    X = pd.DataFrame({"price": np.arange(N) % 3}, MONTHS)
    fitted = forecaster(linear=False).fit(X, Y)
    new = fitted.predict(pd.DataFrame({"price": value}, FUTURE))
    assert np.isfinite(new).all()


def test_growth_far_beyond_the_median():
    y = np.append(100 + RNG.normal(size=40), 100 * np.exp(1.5 * np.arange(1, 21)))
    forecasts = forecaster(theta=False).fit(y).predict()
    assert (forecasts > 0.1 * y[-1]).all()


@pytest.mark.parametrize("sign", [-1, 1])
def test_logarithms_of_any_range(sign):
    y = np.exp(sign * np.arange(float(N)))
    fitted = forecaster(log=True, theta=False).fit(y)
    forecast, lower, upper = fitted.predict_interval(level=80).T
    assert_allclose(np.log(forecast / y[-1]), 0, atol=10)
    assert (lower <= forecast).all()
    assert (forecast <= upper).all()


def test_bounds_on_both_sides_of_a_forecast_that_always_erred_to_one():
    y = np.append(100 + RNG.normal(size=40), 100 * np.exp(1.5 * np.arange(1, 21)))
    forecast, *bounds = forecaster(theta=False).fit(y).predict_interval().T
    lower_80, upper_80, lower_95, upper_95 = bounds
    assert (lower_95 <= lower_80).all()
    assert (lower_80 <= forecast).all()
    assert (forecast <= upper_80).all()
    assert (upper_80 <= upper_95).all()


@pytest.mark.parametrize("unit", [5e-324, 1e-310, 1e-300, 1e300])
@pytest.mark.parametrize("share", [1, 3])
def test_numbers_at_the_ends_of_the_range(unit, share):
    y = np.where(np.arange(N) % share, 0.5, 1.0) * np.where(np.arange(N) % 2, 1, -1)
    answer = forecaster().fit(y * unit).predict_interval()
    assert np.isfinite(answer).all()


def test_numbers_whose_sums_overflow():
    with pytest.raises(ValueError, match="at 2020-03 is larger than 1e"):
        forecaster().fit(Y.where(Y.index != MONTHS[2], 1e305))


@pytest.mark.parametrize(
    "y", [np.append(np.zeros(N - 1), 1.0), -np.exp(np.arange(N) / 5.0)]
)
def test_a_thousand_horizons(y):
    fitted = forecaster(linear=True, theta=False, log=False).fit(y)
    assert np.isfinite(fitted.predict(3000)).all()


# Rows ---------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [Y, LONG, Y.to_frame()])
@pytest.mark.parametrize("method", ["predict", "predict_interval"])
def test_no_rows_of_the_future(data, method):
    with pytest.raises(ValueError, match="X has no rows"):
        getattr(forecaster().fit(data), method)(data[:0])


def test_rows_that_do_not_say_of_which_series():
    fitted = forecaster().fit(LONG)
    rows = LONG[:3].assign(ds=FUTURE).drop(columns="unique_id")
    for call in (fitted.update, lambda X: fitted.predict(history=X)):
        with pytest.raises(ValueError, match="no column 'unique_id'"):
            call(rows)
    assert list(fitted.series_ids_) == ["a", "b"]


@pytest.mark.parametrize("group", ["known", "past"])
def test_an_update_keeps_the_columns_of_missing_values(group):
    X = pd.DataFrame({"x": RNG.normal(size=N)}, MONTHS)
    y = Y.where((Y.index < MONTHS[50]) | (Y.index > MONTHS[52]))
    past = ["x"] if group == "past" else []
    fitted = forecaster(past_columns=past).fit(X[:50], y[:50])
    fitted.update(X[50:], y[50:])
    assert_array_equal(getattr(fitted._panel, group), X)
    assert_array_equal(fitted._panel.values, y)


def test_an_update_of_a_wide_frame_whose_series_end_at_other_times():
    wide = pd.DataFrame({"a": Y, "b": Y + 5})
    whole = forecaster().fit(wide[:50]).update(wide[50:])
    parts = forecaster().fit(wide[:50]).update(wide[["a"]][50:55])
    rest = wide[50:].assign(c=[np.nan] * 7 + [1.0, 2.0, 3.0])
    rest.loc[MONTHS[50:55], "a"] = np.nan
    parts.update(rest)
    expected = whole.predict()
    pd.testing.assert_frame_equal(parts.predict()[["a", "b"]], expected)
    assert parts._panel.starts[2] == 57
    with pytest.raises(ValueError, match="Pass later rows only"):
        parts.update(wide[["a"]][-1:])


def test_static_rows_of_new_series_have_all_columns():
    static = pd.DataFrame({"s": [1.0, 2.0], "r": [0.0, 1.0]}, index=["a", "b"])
    fitted = forecaster().fit(LONG, static=static)
    rows = LONG[:3].assign(unique_id="c", ds=FUTURE)
    with pytest.raises(ValueError, match="static must have .* 'r' of fit"):
        fitted.update(rows, static=pd.DataFrame({"s": [3.0]}, index=["c"]))


def test_a_failed_partial_fit_changes_nothing():
    static = pd.DataFrame({"s": [1.0, 2.0]}, index=["a", "b"])
    fitted = forecaster().fit(LONG, static=static)
    before = dict(vars(fitted))
    row = LONG[:1].assign(unique_id="c", ds=FUTURE[0])
    with pytest.raises(ValueError, match="No series has two values"):
        fitted.partial_fit(row, static=pd.DataFrame({"s": [3.0]}, index=["c"]))
    assert vars(fitted).keys() == before.keys()
    assert all(value is before[name] for name, value in vars(fitted).items())


def test_pieces_without_a_series_of_two_values_do_not_go_on_forever():
    rows = [LONG[:1].assign(unique_id=str(i)) for i in range(20)]
    with at_most(100), pytest.raises(ValueError, match="No series has two values"):
        forecaster().fit_pieces(rows, subsample=4)


@pytest.mark.parametrize("done", [False, True])
def test_an_interrupt_while_pieces_are_put_away(done, monkeypatch):
    real = tempfile.TemporaryDirectory.cleanup

    def cleanup(self):
        real(self)
        raise KeyboardInterrupt

    fitted = forecaster().fit(LONG) if done else forecaster()
    before = dict(vars(fitted))
    monkeypatch.setattr(tempfile.TemporaryDirectory, "cleanup", cleanup)
    with pytest.raises(KeyboardInterrupt):
        fitted.fit_pieces(iter([LONG]))
    assert vars(fitted).keys() == before.keys()
    assert all(value is before[name] for name, value in vars(fitted).items())


@pytest.mark.parametrize("n, horizon", [(25, 12), (90, 60)])
def test_no_window_need_be_known_as_a_whole(n, horizon):
    y = np.random.default_rng(0).normal(size=n).cumsum()
    settings = {"n_networks": 1, "n_updates": 20, "linear": True}
    assert np.isfinite(RNNForecaster(horizon, **settings).fit(y).predict()).all()


def test_a_day_of_the_week_without_values():
    days = pd.date_range("2023-01-01", periods=150, freq="D")
    y = pd.Series(np.random.default_rng(0).normal(100, 3, 150), days)
    y[days.day_of_week == 6] = np.nan
    forecaster = RNNForecaster(7, n_networks=1, n_updates=20).fit(y)
    assert np.isfinite(forecaster.predict()).all()


@pytest.mark.parametrize(
    "level, message", [(0.8, "in percent: pass 80"), ([80, 80], "repeat itself")]
)
def test_levels_that_are_slips(level, message):
    forecaster = RNNForecaster(2, n_networks=1, n_updates=20).fit(np.arange(60.0))
    with pytest.raises(ValueError, match=message):
        forecaster.predict_interval(level=level)
