"""RNNForecaster.backtest: what a loop of fit and predict gives, in a tidy frame."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import parallel_config

from skrnn import RNNForecaster
from skrnn.metrics import interval_coverage, mean_absolute_scaled_error

# tiny data has few past errors
pytestmark = pytest.mark.filterwarnings("ignore:Past errors tell")

ROOT = Path(__file__).parents[1]
MONTHS = pd.date_range("2018-01-01", periods=60, freq="MS")
N = len(MONTHS)


def values(seed=0, n=N):
    t = np.arange(n)
    noise = np.random.default_rng(seed).normal(0, 2, n)
    return 100 + 10 * seed + 0.5 * t + 8 * np.sin(t * np.pi / 6) + noise


def forecaster(horizon=4, **params):
    small = {"n_updates": 3, "n_networks": 1, "hidden_layer_sizes": 2, "lags": 12}
    small |= {"theta": False, "linear": False, "random_state": 0}
    return RNNForecaster(horizon, **small | params)


SALES = pd.Series(values(), index=MONTHS, name="sales")
WIDE = pd.DataFrame({"a": values(1), "b": values(2)}, index=MONTHS)
LONG = pd.DataFrame(
    {
        "unique_id": np.repeat(["a", "b"], N),
        "ds": np.tile(MONTHS, 2),
        "y": WIDE.to_numpy().T.ravel(),
    }
)
MULTI = LONG.set_index(["unique_id", "ds"])["y"].rename_axis(["shop", "month"])


def by_hand(data, cut, cut_rows, refit, first):
    """Fit before the first cut (or this one), predict a window from what is before."""
    model = forecaster()
    begin = cut if refit else first
    model.fit(cut_rows(data, 0, begin))
    if begin < cut:
        model.update(cut_rows(data, begin, cut))
    return np.asarray(model.predict()["y"] if data is LONG else model.predict())


def rows_of(data, begin, end):
    if data is LONG:
        return data[data["ds"].isin(MONTHS[begin:end])]
    if data is MULTI:
        return data[data.index.get_level_values("month").isin(MONTHS[begin:end])]
    return data[begin:end]


FORMS = {
    "series": SALES,
    "periods": SALES.set_axis(MONTHS.to_period("M")),
    "integers": SALES.reset_index(drop=True),
    "array": SALES.to_numpy(),
    "wide": WIDE,
    "long": LONG,
    "multi": MULTI,
}


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_it_is_a_loop_of_fit_and_predict(form, refit):
    data = FORMS[form]
    frame = forecaster().backtest(data, n_windows=2, step=3, refit=refit)
    n_series = 2 if form in ("wide", "long", "multi") else 1
    assert frame.shape == (2 * 4 * n_series, 5)
    assert frame.index.equals(pd.RangeIndex(len(frame)))
    cuts = N - 7, N - 4
    for cut, cutoff in zip(cuts, np.unique(frame["cutoff"]), strict=True):
        window = frame[frame["cutoff"] == cutoff]
        expected = by_hand(data, cut, rows_of, refit, cuts[0])
        expected = expected.T if form == "wide" else expected
        np.testing.assert_array_equal(window["forecast"], expected.ravel())
        truth = np.concatenate(
            [values(seed)[cut : cut + 4] for seed in ([1, 2] if n_series == 2 else [0])]
        )
        np.testing.assert_array_equal(window.iloc[:, 3], truth)


def test_columns_and_times():
    frame = forecaster(2).backtest(SALES, n_windows=2)
    assert list(frame) == ["unique_id", "ds", "cutoff", "y", "forecast"]
    assert frame["unique_id"].eq("sales").all()
    assert frame["ds"].tolist() == MONTHS[-4:].tolist()
    assert frame["cutoff"].tolist() == MONTHS[[-5, -5, -3, -3]].tolist()
    assert frame["ds"].dtype == frame["cutoff"].dtype == MONTHS.dtype
    frame = forecaster(2).backtest(MULTI, n_windows=1)
    assert list(frame) == ["shop", "month", "cutoff", "y", "forecast"]
    assert frame["shop"].tolist() == ["a", "a", "b", "b"]
    names = {"id_col": "shop", "time_col": "month", "target_col": "sold"}
    frame = forecaster(2, **names).backtest(LONG.set_axis(list(names.values()), axis=1))
    assert list(frame) == ["shop", "month", "cutoff", "sold", "forecast"]
    frame = forecaster(2).backtest(SALES.to_numpy(), n_windows=1)
    assert frame.iloc[:, :3].to_numpy().tolist() == [[0, 58, 57], [0, 59, 57]]


def test_names_that_clash_are_refused():
    with pytest.raises(ValueError, match=r"some alike. Set id_col"):
        forecaster(target_col="forecast").backtest(SALES)


def test_intervals_and_quantiles_are_those_of_predict():
    network = forecaster(quantiles=[0.1, 0.9])
    frame = network.backtest(SALES, n_windows=1, level=[80, 95])
    network.fit(SALES[:-4])
    interval, quantiles = network.predict_interval(), network.predict_quantiles()
    np.testing.assert_array_equal(frame[interval.columns], interval)
    np.testing.assert_array_equal(frame[quantiles.columns], quantiles)
    columns = ["forecast", "lower_80", "upper_80", "lower_95", "upper_95"]
    assert list(frame)[4:] == [*columns, 0.1, 0.5, 0.9]
    assert list(forecaster().backtest(SALES, level=80))[5:] == ["lower_80", "upper_80"]


def test_the_forecaster_is_not_changed():
    network = forecaster()
    network.backtest(SALES)
    assert not hasattr(network, "_model")
    before = network.fit(WIDE).predict()
    network.backtest(SALES, refit=True)
    pd.testing.assert_frame_equal(network.predict(), before)


@pytest.mark.parametrize("refit", [False, True])
def test_exogenous_columns_are_known_ahead_or_not(refit):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(N, 2)), index=MONTHS, columns=["plan", "rain"])
    X["kind"] = pd.Categorical(["new"] * (N - 3) + ["rare"] * 3)
    network = forecaster(past_columns=["rain"])
    frame = network.backtest(X, SALES, n_windows=2, refit=refit)
    cut = N - 4 if refit else N - 8
    network.fit(X[:cut], SALES[:cut])
    if not refit:
        network.update(X[cut:-4], SALES[cut:-4])
    expected = network.predict(X[-4:])
    np.testing.assert_array_equal(frame["forecast"][4:], expected)

    def changed(column):
        other = X.copy()
        other.loc[MONTHS[-4:], column] += 1
        return network.backtest(other, SALES, n_windows=2, refit=refit)["forecast"]

    np.testing.assert_array_equal(changed("rain"), frame["forecast"])
    assert (changed("plan")[4:] != frame["forecast"][4:]).any()


def test_exogenous_columns_of_a_panel_and_static_ones():
    rng = np.random.default_rng(0)
    data = LONG.assign(price=rng.normal(size=2 * N), size=np.repeat(["s", "l"], N))
    network = forecaster(static_columns=["size"])
    frame = network.backtest(data, n_windows=1)
    before = data["ds"] < MONTHS[-4]
    expected = network.fit(data[before]).predict(data[~before])
    np.testing.assert_array_equal(frame["forecast"], expected["y"])
    static = pd.DataFrame({"size": ["s", "l"]}, index=["a", "b"])
    frame = forecaster().backtest(WIDE, n_windows=1, static=static)
    expected = forecaster().fit(WIDE[:-4], static=static).predict()
    np.testing.assert_array_equal(frame["forecast"], expected.to_numpy().T.ravel())


@pytest.mark.needs_jit
@settings(max_examples=8)
@given(
    after=st.integers(0, 9),
    refit=st.booleans(),
    change=st.floats(-50, 50),
    hide=st.booleans(),
)
def test_nothing_after_a_cutoff_changes_its_forecasts(after, refit, change, hide):
    data = LONG.assign(kind=pd.Categorical(["usual"] * 2 * N, ["usual", "rare"]))
    options = {"n_windows": 3, "step": 3, "refit": refit, "level": 80}
    network = forecaster(past_columns=["kind"], theta=True, linear="auto")
    frame = network.backtest(data, **options)
    cutoff = MONTHS[N - 11 + after]
    other = data.copy()
    later = other["ds"] > cutoff
    other.loc[later, "y"] = np.nan if hide else other.loc[later, "y"] + change
    other.loc[later & (other["unique_id"] == "b"), "kind"] = "rare"
    other = network.backtest(other, **options)
    honest = frame["cutoff"] <= cutoff
    assert honest.any()
    rows = honest, ["forecast", "lower_80", "upper_80"]
    pd.testing.assert_frame_equal(frame.loc[rows], other.loc[rows])


def test_series_that_begin_late_and_end_early():
    late = LONG[(LONG["unique_id"] == "a") | (LONG["ds"] >= MONTHS[-6])]
    ended = LONG[LONG["ds"] < MONTHS[-6]].replace({"a": "c"})
    ended = ended[ended["unique_id"] == "c"]
    frame = forecaster().backtest(pd.concat([late, ended]), n_windows=2)
    counts = frame.groupby(["unique_id", "cutoff"]).size()
    first, second = MONTHS[-9], MONTHS[-5]
    assert counts.to_dict() == {
        ("a", first): 4,
        ("a", second): 4,
        ("b", second): 4,  # it has no history before the first cutoff
        ("c", first): 2,  # and this one no truth after two steps
    }
    assert np.isfinite(frame["forecast"]).all()
    np.testing.assert_array_equal(
        frame.loc[frame["unique_id"] == "c", "ds"], MONTHS[-8:-6]
    )


def test_a_series_in_no_window_is_named():
    old = LONG[(LONG["unique_id"] == "a") | (LONG["ds"] < MONTHS[40])]
    with pytest.warns(UserWarning, match=r"1 series are in no window, such as 'b'"):
        frame = forecaster().backtest(old)
    assert frame["unique_id"].unique().tolist() == ["a"]


def test_missing_truth_stays_missing():
    gap = SALES.copy()
    gap.iloc[-2] = np.nan
    frame = forecaster().backtest(gap, n_windows=1)
    assert frame["y"].isna().tolist() == [False, False, True, False]
    assert frame["forecast"].notna().all()


@pytest.mark.needs_jit
def test_parallel_fits_give_the_same_bits():
    frame = forecaster().backtest(LONG, refit=True)
    threads = forecaster(n_jobs=2).backtest(LONG, refit=True)
    pd.testing.assert_frame_equal(frame, threads)
    with parallel_config("loky", n_jobs=2):
        processes = forecaster().backtest(LONG, refit=True)
    pd.testing.assert_frame_equal(frame, processes)


def test_its_frame_is_what_the_metrics_take():
    frame = forecaster().backtest(LONG, n_windows=1, level=80)
    keys = ["unique_id", "ds"]
    mase = mean_absolute_scaled_error(
        frame[[*keys, "y"]], frame[[*keys, "forecast"]], LONG
    )
    assert 0 < mase < 10
    bounds = (frame[[*keys, name]] for name in ("lower_80", "upper_80"))
    assert 0 <= interval_coverage(frame[[*keys, "y"]], *bounds) <= 1


@pytest.mark.parametrize("params", [{"n_windows": 0}, {"step": 0}, {"n_windows": 2.5}])
def test_bad_numbers_are_named(params):
    with pytest.raises((TypeError, ValueError), match=next(iter(params))):
        forecaster().backtest(SALES, **params)


def test_numbers_are_passed_by_name():
    with pytest.raises(TypeError, match="n_windows=4"):
        forecaster().backtest(SALES, 4)


OVERLAPPING = """
from itertools import count
from threading import Event

import numpy as np
from threadpoolctl import threadpool_info

from skrnn import RNNForecaster
from skrnn.forecasting import backtest
from skrnn.threads import one_blas_thread

numbers, real = count(), backtest._forecasts
first_in, second_in, first_out, second_out = (Event() for _ in range(4))


def overlapping(*args):
    if next(numbers) == 0:
        with one_blas_thread():
            first_in.set()
            assert second_in.wait(60)
        first_out.set()
        assert second_out.wait(60)
    else:
        assert first_in.wait(60)
        with one_blas_thread():
            second_in.set()
            assert first_out.wait(60)
        second_out.set()
    return real(*args)


def n_threads():
    return [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]


backtest._forecasts = overlapping
tiny = dict(n_updates=3, n_networks=1, theta=False, linear=False, n_jobs=2)
before = n_threads()
RNNForecaster(2, **tiny).backtest(np.arange(40.0), n_windows=2, refit=True)
print(before, n_threads())
"""


def test_parallel_fits_leave_blas_its_threads():
    """Though the first of two threads that limit BLAS is the first to leave.

    OpenBLAS hears no other thread while the one that set a number lives, which may be
    that of the tests: so in a process of its own.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OVERLAPPING],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "3", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    before, after = re.findall(r"\[.*?\]", done.stdout)
    assert after == before


def test_bad_parameters_and_levels_are_named():
    with pytest.raises(ValueError, match="level must be percents"):
        forecaster().backtest(SALES, level=0)
    with pytest.raises(ValueError, match="'horizon' parameter"):
        forecaster(0).backtest(SALES)


def test_too_short_a_series_is_named():
    message = (
        "Series 'sales' has 60 values from 2018-01-01 00:00:00 on, too few for 15 "
        "windows of 4 steps, 4 apart: the first would begin at 2018-01-01 00:00:00"
    )
    with pytest.raises(ValueError, match=message):
        forecaster().backtest(SALES, n_windows=15)
    with pytest.raises(ValueError, match="too few for 1 window of 4 steps"):
        forecaster().backtest([1.0, 2.0, 3.0], n_windows=1)
