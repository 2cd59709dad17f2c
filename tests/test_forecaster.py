"""RNNForecaster: each form of data, columns, time going on, and what never changes."""

import copy
import pickle
import warnings
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from skrnn import RNNForecaster
from tests.test_panel_reading import in_form, long_frame

# tiny data has few past errors
pytestmark = pytest.mark.filterwarnings("ignore:Past errors tell")

TINY = {"n_updates": 20, "n_networks": 1, "hidden_layer_sizes": 8, "random_state": 0}
# one training instead of three
SIMPLE = TINY | {"linear": False, "calendar": False}
HORIZON = 4
MONTHS = pd.period_range("2018-01", periods=40, freq="M", name="month")
KINDS = ["array", "series", "wide", "long", "ds", "multi", "multi frame"]


def forecaster(**options):
    return RNNForecaster(**{"horizon": HORIZON} | SIMPLE | options)


def make_wide(n=40, index=MONTHS, seed=0):
    """Make three series with a level, a trend and a season."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)[:, np.newaxis]
    season = np.sin(t * np.pi / 6 + np.arange(3))
    values = [50, 80, 20] + [0.5, 0, -0.2] * t + 5 * season + rng.normal(size=(n, 3))
    return pd.DataFrame(values, index[:n], list("abc"))


WIDE = make_wide()
INDEXES = {
    "periods": MONTHS,
    "months": pd.date_range("2018-01-31", periods=40, freq=pd.offsets.MonthEnd()),
    "zone": pd.date_range("2024-03-01", periods=40, freq="D", tz="Europe/Paris"),
    "hours": pd.date_range("2024-03-01", periods=40, freq="h"),
    "business days": pd.date_range("2024-03-01", periods=40, freq="B"),
    "integers": pd.RangeIndex(5, 45, name="t"),
    "every third": pd.Index(np.arange(0, 120, 3)),
}


def values_of(answer):
    """Return the forecasts of an answer of any form, a series a row."""
    if isinstance(answer, pd.DataFrame) and list(answer) == list("abc"):
        return answer.to_numpy().T
    if isinstance(answer, pd.DataFrame):
        answer = answer["y"] if "y" in answer else answer.iloc[:, -1]
    return np.asarray(answer).reshape(-1, HORIZON)


@pytest.fixture(scope="module")
def of_wide():
    return forecaster().fit(WIDE)


@pytest.fixture(scope="module")
def rich():
    """Return a forecaster with all that one can have, of a wide frame."""
    return forecaster(
        n_networks=2, linear=True, calendar=True, quantiles=[0.1, 0.9], log=False
    ).fit(WIDE)


# Forms --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_has_the_form_of_the_data(kind, of_wide):
    whole = make_wide(44, MONTHS.append(MONTHS[-4:] + 4))
    data, later = in_form(kind, whole[:40]), in_form(kind, whole[40:])
    fitted = forecaster().fit(data)
    answer = fitted.predict()
    if kind == "array":
        assert answer.shape == (HORIZON,)
    else:
        assert type(answer) is type(later)
        expected = later.reset_index(drop=True) if kind in ("long", "ds") else later
        assert answer.index.equals(expected.index)
        assert list(answer.index.names) == list(expected.index.names)
        if isinstance(later, pd.Series):
            assert answer.name == later.name
        else:
            assert list(answer) == list(expected)
        asked = fitted.predict(later)
        assert asked.index.equals(later.index)
        assert_array_equal(values_of(asked), values_of(answer))
    if kind not in ("array", "series", "ds"):  # the same series
        assert_array_equal(values_of(answer), values_of(of_wide.predict()))
    assert fitted.n_series_ == (1 if kind in ("array", "series", "ds") else 3)
    assert isinstance(fitted.score(later), float)


@pytest.mark.parametrize("name", INDEXES)
def test_times_of_any_kind(name):
    index = INDEXES[name]
    series = pd.Series(WIDE["a"].to_numpy(), index, name="a")
    fitted = forecaster().fit(series[:35])
    answer = fitted.predict(5)
    assert answer.index.equals(index[35:])
    assert answer.index.dtype == index.dtype
    assert_array_equal(fitted.predict(index[35:]), answer)
    assert_array_equal(fitted.predict(series[35:] * np.nan), answer)
    step = fitted.freq_
    if isinstance(index, pd.RangeIndex):
        assert (step, fitted.season_length_) == (1, 1)


def test_exogenous_columns_apart_from_the_series():
    columns = pd.DataFrame({"x": np.arange(40.0) ** 2}, MONTHS)
    ahead = pd.DataFrame({"x": [1600.0, 1681, 1764, 1849]}, MONTHS[-4:] + 4)
    for y in (WIDE["a"], WIDE, WIDE["a"].to_numpy(), list(WIDE["a"])):
        answer = forecaster().fit(columns, y).predict(ahead)
        assert answer.index.equals(ahead.index)
        assert answer.shape == ((4, 3) if y is WIDE else (4,))
    arrays = forecaster().fit(columns.to_numpy(), list(WIDE["a"]))
    assert arrays.predict(ahead.to_numpy()).shape == (4,)
    empty = pd.DataFrame(index=MONTHS)
    fitted = forecaster().fit(empty, WIDE["a"])
    expected = forecaster().fit(WIDE["a"]).predict()
    pd.testing.assert_series_equal(fitted.predict(), expected)
    assert_array_equal(fitted.predict(ahead[[]]), expected)


# Columns ------------------------------------------------------------------------------


def driven(effect="promo"):
    """Make a long frame of series that a column of this effect drives.

    A promotion lifts one kind and lowers the other; the weather acts a day late.
    """
    rng = np.random.default_rng(8)
    days = pd.date_range("2023-01-01", periods=90, freq="D")
    frames = []
    for i in range(8):
        promo = rng.random(90) < 0.3
        weather = rng.normal(size=90)
        y = 100 + 0.3 * rng.normal(size=90)
        if effect == "promo":
            y += np.where(promo, 10 - 20 * (i % 2), 0)
        else:
            y[1:] += 5 * weather[:-1]
        parts = {"promo": promo, "weather": weather, "kind": "ab"[i % 2]}
        parts |= {"size": float(i % 2)}
        frames.append(pd.DataFrame({"unique_id": i, "ds": days, "y": y} | parts))
    return pd.concat(frames, ignore_index=True)


LEARNING = {"n_updates": 600, "batch_size": 64, "learning_rate_init": 0.01}
LEARNING |= {"theta": False, "season_length": 1, "log": False, "lags": 8}
LEARNING |= {"hidden_layer_sizes": 16}


def error_of(frame, columns, **options):
    """Return the mean absolute error of the last days."""
    horizon = options.get("horizon", HORIZON)
    ahead = frame.ds > frame.ds.max() - pd.Timedelta(days=horizon)
    kept = ["unique_id", "ds", "y", *columns]
    fitted = forecaster(**LEARNING | options).fit(frame.loc[~ahead, kept])
    unseen = ["y", *options.get("past_columns", ())]
    answer = fitted.predict(frame.loc[ahead, kept].drop(columns=unseen))
    return np.abs(answer["y"] - frame.loc[ahead, "y"]).mean()


@pytest.mark.needs_jit
@pytest.mark.parametrize("static", ["kind", "size"])
def test_columns_that_drive_a_series(static):
    frame = driven()
    without = error_of(frame, [])
    known = error_of(frame, ["promo"])
    both = error_of(frame, ["promo", static], static_columns=[static])
    assert both < 0.5 * without
    assert both < 0.75 * known  # which does not tell up from down


@pytest.mark.needs_jit
def test_a_column_known_only_in_the_past():
    frame = driven("weather")
    without = error_of(frame, [], horizon=1)
    known = error_of(frame, ["weather"], horizon=1, past_columns=["weather"])
    assert known < 0.5 * without


@pytest.mark.needs_jit
@pytest.mark.parametrize("effect", ["promo", "weather"])
def test_a_linear_model_of_columns(effect):
    frame = driven(effect)
    frame = frame[frame.kind == "a"]
    past = [effect] if effect == "weather" else []
    options = {"linear": True, "n_updates": 20, "horizon": 1}
    without = error_of(frame, [], **options)
    assert error_of(frame, [effect], past_columns=past, **options) < 0.5 * without


def test_an_unknown_level_and_missing_values():
    frame = driven()[["unique_id", "ds", "y", "promo", "kind"]]
    frame["promo"] = frame["promo"].astype(float)
    frame.loc[[4, 300], "promo"] = np.nan
    fitted = forecaster(static_columns=["kind"]).fit(frame)
    later = frame[frame.unique_id < 2].assign(kind="new")
    rows = later.groupby("unique_id").head(2).drop(columns="y")
    rows["ds"] += pd.Timedelta(days=90)
    rows["promo"] = [1.0, np.nan, 0.0, 1.0]
    with pytest.raises(ValueError, match="missing for series 0 at 2023-04-02"):
        fitted.predict(rows)
    rows["promo"] = [1.0, 0.0, 0.0, 1.0]
    answer = fitted.predict(rows, history=later)
    assert np.isfinite(answer["y"]).all()
    assert (answer["y"] != fitted.predict(rows)["y"]).all()


def test_static_columns_in_a_frame_of_their_own():
    static = pd.DataFrame({"kind": ["x", "y", "x"], "size": [1, 2, 3]}, list("abc"))
    long = long_frame(WIDE.rename_axis("ds"))
    fitted = forecaster().fit(long, static=static)
    columns = long.join(static, on="unique_id")
    inside = forecaster(static_columns=["kind", "size"]).fit(columns)
    assert_array_equal(fitted.predict()["y"], inside.predict()["y"])
    later = long_frame(make_wide(4, MONTHS[-4:] + 4).rename_axis("ds"))
    # it stays known
    assert np.isfinite(fitted.score(later))
    expected = fitted.predict(history=(long, None, static))
    assert_array_equal(fitted.predict(history=long)["y"], expected["y"])
    with pytest.raises(ValueError, match="static has no row for series 'new'"):
        fitted.predict(history=long[:40].assign(unique_id="new"))
    new = pd.DataFrame({"kind": ["y"], "size": [2]}, ["new"])
    answer = fitted.predict(history=(long[:40].assign(unique_id="new"), None, new))
    assert_array_equal(answer.unique_id, "new")
    fitted.update(later)
    fitted.update(long[:40].assign(unique_id="new"), static=new)
    assert fitted.series_ids_.tolist() == ["a", "b", "c", "new"]
    assert np.isfinite(fitted.predict(history=long)["y"]).all()


@pytest.mark.needs_jit
def test_the_calendar_is_used():
    """A single value does not tell which day of the week it is."""
    days = pd.date_range("2023-01-01", periods=300, freq="D")
    pattern = np.array([0.0, 10, 3, 8, 2, 9, 5])
    walk = np.random.default_rng(2).normal(0, 0.3, 300).cumsum()
    y = pd.Series(100 + pattern[days.day_of_week] + walk, days)
    errors = []
    for calendar in (False, True, "auto"):
        options = LEARNING | {"lags": 1, "horizon": 7, "calendar": calendar}
        answer = forecaster(**options).fit(y[:293]).predict()
        errors.append(np.abs(answer - y[293:]).mean())
    assert max(errors[1:]) < 0.5 * errors[0], errors


def test_columns_known_ahead_must_be_passed():
    columns = pd.DataFrame({"x": np.arange(40.0) ** 2}, MONTHS)
    fitted = forecaster().fit(columns, WIDE["a"])
    for X in (None, 3):
        with pytest.raises(ValueError, match=r"columns \['x'\] are known ahead"):
            fitted.predict(X)
    ahead = pd.DataFrame({"x": np.arange(9.0)}, MONTHS[-9:] + 9)
    with pytest.raises(ValueError, match="missing for series 'a' at 2021-06"):
        fitted.predict(ahead.drop(index="2021-06"))


# Series of all kinds ------------------------------------------------------------------


def test_short_and_odd_series_in_a_panel():
    n = 40
    series = {
        "long": WIDE["a"].to_numpy(),
        "late": np.append(np.full(20, np.nan), WIDE["b"].to_numpy()[20:]),
        "ends in gaps": np.append(WIDE["b"].to_numpy()[:37], np.full(3, np.nan)),
        "gaps": np.where(np.arange(n) % 5 == 3, np.nan, WIDE["c"]),
        "one": np.append(np.full(n - 1, np.nan), 7.0),
        "two": np.append(np.full(n - 2, np.nan), [7.0, 9.0]),
        "three": np.append(np.full(n - 3, np.nan), [7.0, 9.0, 8.0]),
        "first and last": np.append(7.0, np.append(np.full(n - 2, np.nan), 9.0)),
        "constant": np.full(n, 3.0),
        "zero": np.zeros(n),
        "intermittent": np.random.default_rng(0).poisson(0.2, n).astype(float),
        "huge": 1e12 * WIDE["a"].to_numpy(),
        "tiny": 1e-12 * WIDE["a"].to_numpy(),
        "negative": -WIDE["a"].to_numpy(),
    }
    panel = pd.DataFrame(series, MONTHS)
    for options in ({}, {"linear": True, "quantiles": [0.2, 0.8], "n_networks": 2}):
        fitted = forecaster(**options).fit(panel)
        answer = fitted.predict(10)
        assert np.isfinite(answer).all(axis=None)
        assert_allclose(answer["constant"], 3, rtol=0.2)
        assert_allclose(answer["zero"], 0, atol=0.2)
        for name, values in series.items():
            largest = np.nanmax(np.abs(values)) + 1
            if name not in ("tiny", "zero"):
                assert (np.abs(answer[name]) < 5 * largest).all()
        assert (answer.drop(columns="negative") >= 0).all(axis=None)
        assert (answer["negative"] < 0).all()
        assert (answer["tiny"] < 1e-9).all()
        intervals = fitted.predict_interval()
        assert np.isfinite(intervals).all(axis=None)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8])
def test_one_short_series(n):
    fitted = forecaster(linear="auto").fit(WIDE["a"][:n])
    answer = fitted.predict(6)
    assert np.isfinite(answer).all()
    assert_allclose(answer, 50, atol=25)
    if fitted._calibration is None:
        with pytest.raises(ValueError, match="too short.* to try forecasts"):
            fitted.predict_interval()
    else:
        assert np.isfinite(fitted.predict_interval()).all(axis=None)


@pytest.mark.parametrize("value", [0.0, 3.0, -5.0])
def test_a_constant_series(value):
    series = pd.Series(value, MONTHS)
    fitted = forecaster(linear="auto").fit(series)
    assert_allclose(fitted.predict(), value, atol=0.2)
    assert np.isfinite(fitted.predict_interval()).all(axis=None)


@pytest.mark.parametrize("log", [False, "auto"])
def test_the_unit_of_measurement_does_not_matter(log):
    positive = forecaster(log=log, linear=True).fit(WIDE[["a", "b"]])
    scaled = forecaster(log=log, linear=True).fit(WIDE[["a", "b"]] * 1024)
    expected = positive.predict() * 1024
    assert_allclose(scaled.predict(), expected, rtol=1e-12)
    # of each series on its own, also in other units
    answer = positive.predict(history=WIDE[["a", "b"]] * [1000, 1e-6])
    assert_allclose(answer / [1000, 1e-6], positive.predict(), rtol=1e-5)


def test_gaps_between_rows_are_missing_values():
    dropped = WIDE["a"].drop(MONTHS[[7, 20, 21]])
    with pytest.warns(UserWarning, match="no row for 2018-08; 3 such gaps"):
        fitted = forecaster().fit(dropped)
    missing = WIDE["a"].copy()
    missing.iloc[[7, 20, 21]] = np.nan
    expected = forecaster().fit(missing).predict()
    pd.testing.assert_series_equal(fitted.predict(), expected)


# What is asked for --------------------------------------------------------------------


def test_as_many_steps_as_asked_for(rich):
    whole = rich.predict(11)
    assert whole.shape == (11, 3)
    assert np.isfinite(whole).all(axis=None)
    for n in (1, HORIZON, HORIZON + 1, np.int64(7)):
        assert_array_equal(rich.predict(n), whole[:n])
    assert_array_equal(rich.predict(), whole[:HORIZON])
    assert_array_equal(rich.predict_quantiles(2), rich.predict_quantiles(11)[:2])
    assert_array_equal(rich.predict_interval(2), rich.predict_interval(11)[:2])


def test_beyond_the_horizon_forecasts_take_the_place_of_values():
    options = {"theta": False, "season_length": 1, "log": False, "lags": 8}
    fitted = forecaster(**options).fit(WIDE)
    whole = fitted.predict(3 * HORIZON)
    for n in (HORIZON, 2 * HORIZON):
        longer = pd.concat([WIDE, whole[:n]])
        expected = fitted.predict(history=longer)
        assert_allclose(whole[n : n + HORIZON], expected, rtol=5e-4)


def test_rows_after_a_gap_and_in_any_order(rich):
    whole = rich.predict(9)
    asked = WIDE[:5].set_axis(MONTHS[:5] + 44)[["c", "a"]]
    assert_array_equal(rich.predict(asked), whole[["c", "a"]][4:])
    assert_array_equal(rich.predict(asked[::-1]), whole[["c", "a"]][:3:-1])
    long = long_frame(WIDE.rename_axis("ds"))
    fitted = forecaster().fit(long)
    rows = pd.DataFrame({"unique_id": ["c", "a", "c"], "ds": MONTHS[[1, 0, 0]] + 41})
    answer = fitted.predict(rows.set_index([[7, 5, 6]]))
    every = fitted.predict(4).set_index(["unique_id", "ds"])["y"]
    assert_array_equal(answer["y"], every[list(rows.itertuples(index=False))])
    assert answer.index.tolist() == [7, 5, 6]


def test_rows_within_the_history_are_forecast_from_before_them(rich):
    answer = rich.predict(WIDE[30:].index.append(MONTHS[:2] + 40))
    for begin in (30, 34, 38):
        n = min(HORIZON, 40 - begin)
        expected = rich.predict(n, history=WIDE[:begin])
        assert_array_equal(answer[begin - 30 :][:n], expected)
    assert_array_equal(answer[-2:], rich.predict(2))
    with pytest.raises(ValueError, match="'a' has no history before 2018-01"):
        rich.predict(MONTHS[:5])


def test_rows_within_the_history_have_their_known_columns():
    columns = pd.DataFrame({"x": np.arange(40.0) ** 2}, MONTHS)
    fitted = forecaster(linear=True).fit(columns, WIDE["a"])
    answer = fitted.predict(columns[36:])
    expected = fitted.predict(columns[36:], history=(columns[:36], WIDE["a"][:36]))
    assert_array_equal(answer, expected)


def test_quantiles_and_intervals(rich):
    quantiles = rich.predict_quantiles(9)
    forecast = rich.predict(9)
    interval = rich.predict_interval(9, level=[95, 50, 80])
    for name in WIDE:
        assert list(quantiles[name]) == [0.1, 0.5, 0.9]
        assert (np.diff(quantiles[name]) >= 0).all()
        assert_array_equal(quantiles[name][0.5], forecast[name])
        bounds = interval[name]
        assert_array_equal(bounds["forecast"], forecast[name])
        order = ["lower_95", "lower_80", "lower_50", "forecast"]
        order += ["upper_50", "upper_80", "upper_95"]
        assert (np.diff(bounds[order]) >= 0).all()
    one = rich.predict_interval(level=90)["a"]
    assert list(one) == ["forecast", "lower_90", "upper_90"]
    assert list(rich.predict_interval(level=99.5)["a"])[1] == "lower_99.5"
    at = WIDE.index[-2:] + 3
    assert_array_equal(rich.predict_interval(at), rich.predict_interval(3)[1:])
    assert_array_equal(rich.predict_quantiles(at), rich.predict_quantiles(3)[1:])


def test_quantiles_of_one_series():
    fitted = forecaster(quantiles=0.9).fit(WIDE["a"])
    assert list(fitted.predict_quantiles()) == [0.5, 0.9]
    fitted = forecaster(quantiles=[0.9, 0.1, 0.9]).fit(WIDE["a"].to_numpy())
    answer = fitted.predict_quantiles()
    assert answer.shape == (HORIZON, 3)
    assert (np.diff(answer) >= 0).all()
    with pytest.raises(ValueError, match="fitted without quantiles"):
        forecaster().fit(WIDE["a"]).predict_quantiles()


def test_more_noise_makes_wider_intervals():
    rng = np.random.default_rng(0)
    noise = pd.DataFrame(100 + rng.normal(size=(40, 30)), MONTHS)
    widths = []
    for scale in (1.0, 4.0):
        fitted = forecaster(log=False).fit(100 + scale * (noise - 100))
        bounds = fitted.predict_interval(level=80).stack(0, future_stack=True)
        widths.append((bounds["upper_80"] - bounds["lower_80"]).mean())
        truth = 100 + scale * rng.normal(size=(HORIZON, 30))
        answer = fitted.predict_interval(level=80).swaplevel(axis=1)
        inside = (answer["lower_80"] <= truth) & (truth <= answer["upper_80"])
        assert 0.6 < inside.mean(axis=None) < 0.97
    assert 2.5 < widths[1] / widths[0] < 6


# Time going on ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_update_is_a_longer_history(kind):
    data, longer = in_form(kind, WIDE[:36]), in_form(kind, WIDE)
    later = longer[36:] if kind in ("array", "series", "wide") else None
    if later is None:
        later = in_form(kind, WIDE[36:])
    fitted = forecaster(linear=True).fit(data)
    expected = fitted.predict(history=longer)
    before = fitted.predict()
    assert fitted.update(later) is fitted
    answer = fitted.predict()
    assert_array_equal(values_of(answer), values_of(expected))
    assert (values_of(answer) != values_of(before)).any()
    if kind != "array":
        assert answer.index.equals(expected.index)
    if kind == "array":
        return  # has no times that could be known already
    with pytest.raises(ValueError, match=r"(?s)already.*Pass later rows only"):
        fitted.update(later)
    assert_array_equal(values_of(fitted.predict()), values_of(answer))


def test_update_with_columns_and_new_series():
    columns = pd.DataFrame({"x": np.arange(44.0) ** 2}, MONTHS.append(MONTHS[-4:] + 4))
    fitted = forecaster().fit(columns[:36], WIDE[:36])
    expected = fitted.predict(columns[40:], history=(columns[:40], WIDE))
    fitted.update(columns[36:40], WIDE[36:])
    assert_array_equal(fitted.predict(columns[40:]), expected)
    new = WIDE.rename(columns={"a": "new"})[["new"]]
    fitted.update(columns[:40], new)
    assert fitted.series_ids_.tolist() == ["a", "b", "c", "new"]
    answer = fitted.predict(columns[40:])
    assert_array_equal(answer["new"], answer["a"])


def test_series_that_fit_has_not_seen(rich):
    unseen = make_wide(33, seed=9).rename(columns=str.upper)
    answer = rich.predict(history=unseen)
    assert list(answer) == list("ABC")
    assert answer.index[0] == MONTHS[33]
    for method in (rich.predict_quantiles, rich.predict_interval):
        assert np.isfinite(method(history=unseen)).all(axis=None)
    # nor does it know them afterwards
    assert rich.series_ids_.tolist() == list("abc")


def test_partial_fit_goes_on():
    fitted = forecaster(linear=True).partial_fit(WIDE[:36])
    same = forecaster(linear=True).fit(WIDE[:36])
    assert_array_equal(fitted.predict(), same.predict())
    longer = same.predict(history=WIDE)
    again = copy.deepcopy(fitted)
    before = fitted._model.networks[0].parameters.copy()
    assert fitted.partial_fit(WIDE[36:]) is fitted
    answer = fitted.predict()
    assert answer.index[0] == MONTHS[-1] + 1
    assert (answer != longer).any(axis=None)  # it trained
    assert_allclose(answer, longer, rtol=0.2)  # but a little
    assert_array_equal(again.partial_fit(WIDE[36:]).predict(), answer)
    # the forecaster that was copied is as it was
    assert_array_equal(same._model.networks[0].parameters, before)
    new = forecaster().fit(WIDE[["a"]])
    new.partial_fit(WIDE[["b"]])
    assert new.series_ids_.tolist() == ["a", "b"]


# The same bits ------------------------------------------------------------------------


def test_any_number_of_threads_gives_the_same_bits(rich):
    answers = []
    for n_jobs in (1, 2, -1):
        fitted = clone(rich).set_params(n_jobs=n_jobs).fit(WIDE)
        answers.append(fitted.predict_interval(6))
        answers[-1].loc[:, ("loss", "curve")] = fitted.loss_curves_[1][-1]
    for answer in answers[1:]:
        assert_array_equal(answer, answers[0])


def test_random_state(of_wide):
    assert_array_equal(forecaster().fit(WIDE).predict(), of_wide.predict())
    other = forecaster(random_state=1).fit(WIDE).predict()
    assert (other != of_wide.predict()).any(axis=None)
    state = np.random.RandomState(0)
    with_state = forecaster(random_state=state).fit(WIDE)
    assert_array_equal(with_state.predict(), of_wide.predict())
    assert (with_state.fit(WIDE).predict() != of_wide.predict()).any(axis=None)


def test_neighbours_and_their_order_change_no_forecast(rich):
    """Only in fit, which draws series by their number, does the order matter."""
    whole = rich.predict_quantiles(9)
    for some in (["a"], ["c", "a", "b"], ["b", "c"]):
        answer = rich.predict_quantiles(9, history=WIDE[some])
        assert_array_equal(answer, whole[some])
    # nor do those that begin or end at other times
    uneven = WIDE.copy()
    uneven.iloc[:11, 1] = np.nan
    uneven.loc[MONTHS[-1] + 1] = [np.nan, 7.0, np.nan]
    long = uneven.melt(ignore_index=False).dropna().reset_index()
    long.columns = ["ds", "unique_id", "y"]
    fitted = forecaster().fit(long_frame(WIDE.rename_axis("ds")))
    answer = fitted.predict(history=long).set_index("unique_id")["y"]
    expected = fitted.predict().set_index("unique_id")["y"]
    for name in "ac":
        assert_array_equal(answer[name], expected[name])
    assert (answer["b"] != expected["b"]).all()


def test_fit_and_predict_leave_their_arguments_as_they_are():
    wide, columns = WIDE.copy(), pd.DataFrame({"x": np.arange(40.0)}, MONTHS)
    ahead = columns.set_axis(MONTHS + 40)
    copies = [part.copy() for part in (wide, columns, ahead)]
    forecaster().fit(columns, wide).predict(ahead)
    for part, before in zip((wide, columns, ahead), copies, strict=True):
        pd.testing.assert_frame_equal(part, before)


@pytest.fixture(scope="module")
def with_past():
    """Return a forecaster of a long frame with a column known only in the past."""
    frame = long_frame(WIDE.rename_axis("ds"))
    frame["x"] = np.random.default_rng(3).normal(size=len(frame))
    options = {"past_columns": ["x"], "calendar": True, "linear": True}
    return forecaster(**options, quantiles=[0.2, 0.8]).fit(frame), frame


@pytest.mark.needs_jit
@settings(max_examples=25)
@given(
    cut=st.integers(2, 39),
    n_steps=st.integers(1, 9),
    factor=st.sampled_from([0.0, -1.0, 1e6, np.nan]),
    data=st.data(),
)
def test_nothing_in_the_future_changes_a_forecast(
    with_past, cut, n_steps, factor, data
):
    fitted, frame = with_past
    future = (frame.ds >= MONTHS[cut]).to_numpy()
    changed = frame.copy()
    for column in ("y", "x"):
        noise = np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=120)
        changed.loc[future, column] = factor * frame[column] + noise
        if np.isnan(factor):
            changed.loc[future, column] = np.nan
    rows = frame.loc[future, ["unique_id", "ds"]].groupby("unique_id").head(n_steps)
    expected = fitted.predict_quantiles(rows, history=frame[~future])
    # rows of the history are forecast from what lies before them
    for whole in (frame, changed):
        first = rows.groupby("unique_id").head(HORIZON)
        answer = fitted.predict_quantiles(first, history=whole)
        assert_array_equal(answer[0.5], expected.loc[first.index, 0.5])
        assert_array_equal(answer[0.8], expected.loc[first.index, 0.8])
    # nor does the future of another series
    other = changed[~(future & (changed.unique_id == "a").to_numpy())]
    answer = fitted.predict_interval(n_steps, history=other)
    expected = fitted.predict_interval(n_steps, history=frame[~future])
    columns = expected.columns[2:]
    assert_array_equal(
        answer.loc[answer.unique_id == "a", columns],
        expected.loc[expected.unique_id == "a", columns],
    )


# scikit-learn's manners ---------------------------------------------------------------


def test_parameters():
    model = RNNForecaster(12, 24, cell="gru", quantiles=[0.1], past_columns=["x"])
    assert model.get_params()["lags"] == 24
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert " ".join(repr(model).split()) == (
        "RNNForecaster(cell='gru', horizon=12, lags=24, past_columns=['x'], "
        "quantiles=[0.1])"
    )
    assert copied.set_params(horizon=3, n_jobs=2).horizon == 3
    assert model.horizon == 12
    with pytest.raises(ValueError, match="Invalid parameter 'window'"):
        model.set_params(window=3)
    tags = get_tags(model)
    assert not tags.target_tags.required
    assert tags.input_tags.one_d_array and not tags.input_tags.two_d_array


def test_fit_changes_no_parameter(of_wide):
    before = forecaster(quantiles=[0.9, 0.1])
    parameters = copy.deepcopy(before.get_params())
    assert before.fit(WIDE["a"]) is before
    assert before.get_params() == parameters


def test_not_fitted_yet():
    for method in ("predict", "predict_quantiles", "predict_interval"):
        with pytest.raises(NotFittedError):
            getattr(forecaster(), method)(3)
    for method in ("score", "update"):
        with pytest.raises(NotFittedError):
            getattr(forecaster(), method)(WIDE)


def test_copies_are_alike(rich, tmp_path):
    joblib.dump(rich, tmp_path / "model.joblib")
    copies = [
        pickle.loads(pickle.dumps(rich)),
        joblib.load(tmp_path / "model.joblib"),
        copy.deepcopy(rich),
    ]
    expected = rich.predict_interval(6)
    for copied in copies:
        pd.testing.assert_frame_equal(copied.predict_interval(6), expected)
        copied.update(WIDE[:3].set_axis(MONTHS[:3] + 40))
        assert (copied.predict().to_numpy() != rich.predict()).any(axis=None)
    assert_array_equal(rich.predict_interval(6), expected)


def test_what_is_published(rich):
    assert (rich.season_length_, rich.n_series_) == (12, 3)
    assert rich.lags_ > 0 and 0 <= rich.network_weight_ <= 1
    assert rich.linear_ is True
    assert rich.freq_ == pd.offsets.MonthEnd()
    assert len(rich.loss_curves_) == 2
    assert all(np.isfinite(curve).all() for curve in rich.loss_curves_)
    assert forecaster(lags=7).fit(WIDE).lags_ == 7
    assert forecaster(season_length=4).fit(WIDE).season_length_ == 4


def test_theta_alone_decides_where_it_has_all_the_weight(of_wide):
    without = forecaster(theta=False).fit(WIDE)
    assert without.network_weight_ == 1
    fitted = copy.deepcopy(of_wide)
    fitted._model = replace(fitted._model, network_weight=0.0)
    expected = fitted._model.theta(fitted._panel, HORIZON)
    assert_allclose(fitted.predict().T, expected, rtol=1e-12)


@pytest.mark.needs_jit
def test_training_learns():
    t = np.arange(200)
    y = pd.Series(10 + np.where(t % 7 < 2, 5.0, 0.0))
    options = LEARNING | {"season_length": None, "lags": None}
    fitted = forecaster(**options).fit(y)
    assert fitted.season_length_ == 7
    curve = fitted.loss_curves_[0]
    assert curve[-1] < 0.5 * curve[0]
    truth = 10 + np.where(np.arange(200, 214) % 7 < 2, 5.0, 0.0)
    assert_allclose(fitted.predict(14), truth, atol=1.0)


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "gru", "hidden_layer_sizes": [4, 3]},
        {"cell": "mingru", "dropout": 0.3},
        {"cell": "rnn", "alpha": 0.1, "max_grad_norm": None},
        {"cell": "janet", "batch_size": 1, "n_updates": 1},
        {"horizon": 1, "lags": 1},
        {"horizon": 50, "lags": 3},
        {"lags": 500},
        {"season_length": 30},
        {"log": True},
        {"theta": False, "calendar": "auto"},
        {"n_networks": 5},
    ],
)
def test_options(options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = forecaster(**options).fit(WIDE)
        fitted.predict()
    answer = fitted.predict_interval()
    assert np.isfinite(answer).all(axis=None)
    assert len(answer) == fitted.horizon


def test_score_is_minus_the_scaled_error(of_wide):
    later = make_wide(44, MONTHS.append(MONTHS[-4:] + 4))[40:]
    errors = (of_wide.predict() - later).abs().mean()
    naive = (WIDE - WIDE.shift(1)).abs().mean()
    assert_allclose(of_wide.score(later), -(errors / naive).mean(), rtol=1e-12)
    some = later.copy()
    some.iloc[2, 0] = np.nan
    errors = (of_wide.predict() - some).abs().mean()
    assert_allclose(of_wide.score(some), -(errors / naive).mean(), rtol=1e-12)
    # rows of the history: those with something before them
    assert of_wide.score(WIDE) < 0
    constant = forecaster().fit(WIDE * 0 + 1)
    with pytest.raises(ValueError, match="nothing to score"):
        constant.score(later)
    series = pd.DataFrame({"a": WIDE["a"], "constant": 1.0})
    fitted = forecaster().fit(series)
    scored = fitted.score(later[["a"]].assign(constant=5.0))
    expected = (fitted.predict()["a"] - later["a"]).abs().mean() / naive["a"]
    assert_allclose(scored, -expected, rtol=1e-12)


@pytest.mark.needs_jit
def test_small_changes_far_from_zero_are_seen():
    """Pressures and temperatures in kelvin change by a fraction of a percent."""
    wave = 3 * np.sin(np.arange(120) * np.pi / 6)
    errors = []
    for level in (0.0, 1e5):
        options = LEARNING | {"horizon": 6, "season_length": 1, "lags": 24}
        y = pd.Series(level + wave, pd.period_range("2010-01", periods=120, freq="M"))
        errors.append(np.abs(forecaster(**options).fit(y[:-6]).predict() - y).mean())
    assert max(errors) < 1.0, errors


def test_scores_of_other_seasons_compare():
    noise = np.random.default_rng(0).normal(size=72)
    y = pd.Series(np.tile([0.0, 5, 1, 2, 9, 7], 12) + noise)
    scores = []
    for season_length in (1, 6):
        fitted = forecaster(season_length=season_length, horizon=6).fit(y[:-6])
        error = np.abs(fitted.predict(6) - y[-6:]).mean()
        scores.append(fitted.score(y[-6:]) / error)
    assert scores[0] == pytest.approx(scores[1])


def test_few_errors_tell_of_no_wide_intervals():
    y = pd.Series(np.random.default_rng(0).normal(size=40).cumsum())
    fitted = forecaster(horizon=12).fit(y)
    with pytest.warns(UserWarning, match="up to 85 % only"):
        fitted.predict_interval(level=95)
    fitted.predict_interval(level=80)  # and no warning
