"""Windows and splits of panels: nothing of a test part is ever trained on."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    TimeSeriesSplit,
    cross_val_score,
    cross_validate,
)

from skrnn import RNNRegressor
from skrnn.model_selection import PanelTimeSeriesSplit, make_windows

DAYS = pd.date_range("2024-01-01", periods=40, name="day")


def panel(n_series=3, n_times=40):
    """Make noisy waves of series that begin at different times."""
    rng = np.random.default_rng(5)
    series = {}
    for i in range(n_series):
        times = np.arange(3 * i, n_times)
        values = np.sin(times / 3 + i) + rng.normal(0, 0.05, len(times))
        series["abc"[i]] = pd.DataFrame({"x": values}, index=DAYS[times])
    return pd.concat(series, names=["shop"])


@st.composite
def splits(draw):
    return {
        "n_splits": draw(st.integers(2, 4)),
        "test_size": draw(st.none() | st.integers(1, 4)),
        "max_train_size": draw(st.none() | st.integers(1, 6)),
        "gap": draw(st.integers(0, 3)),
    }


@st.composite
def rows(draw):
    """Draw the (instance, time) of the rows of any panel, in any order."""
    n_series = draw(st.integers(1, 3))
    times = st.sets(st.integers(0, 30), min_size=8, max_size=20)
    keys = [(i, time) for i in range(n_series) for time in draw(times)]
    keys = draw(st.permutations(keys))
    return pd.MultiIndex.from_tuples(keys, names=["instance", "time"])


def folds_of(cv, X, y=None):
    """List the folds, or give the example up if the times are too few for them."""
    try:
        return list(cv.split(X, y))
    except ValueError as error:
        assume(not any(s in str(error) for s in ("Too many", "Cannot", "no training")))
        raise


# PanelTimeSeriesSplit -----------------------------------------------------------------


@given(index=rows(), parameters=splits())
def test_a_split_of_rows_is_one_of_time_stamps(index, parameters):
    X = pd.DataFrame({"x": 0.0}, index=index)
    folds = folds_of(PanelTimeSeriesSplit(**parameters), X)
    times = index.get_level_values(1)
    clock = np.unique(times)
    expected = list(TimeSeriesSplit(**parameters).split(clock))
    for fold, span in zip(folds, expected, strict=True):
        for part, stamps in zip(fold, span, strict=True):
            assert_array_equal(part, np.flatnonzero(np.isin(times, clock[stamps])))


@pytest.mark.contract
def test_where_the_times_are_taken_from():
    frame = panel()
    times = frame.index.get_level_values(1)
    cv = PanelTimeSeriesSplit(n_splits=3)
    expected = list(cv.split(frame))
    array = frame.to_numpy()
    for arguments in (
        (array, frame["x"]),
        (list(array), frame),
        (array, None, times),
        (array, None, list(times)),
        (frame.reset_index(), array[:, 0], pd.Series(times)),
        (array, None, frame.index),
        (frame.iloc[::-1], None, times),
        (frame.assign(y=1).set_index("y", append=True), None, times),
    ):
        for fold, same in zip(cv.split(*arguments), expected, strict=True):
            assert_array_equal(fold[0], same[0])
            assert_array_equal(fold[1], same[1])


@pytest.mark.parametrize(
    "clock",
    [
        DAYS,
        DAYS.tz_localize("Europe/Paris"),
        pd.period_range("2020-01", periods=40, freq="M"),
        pd.Index(np.arange(40) / 2),
        pd.Index([f"{i:02}" for i in range(40)]),
    ],
    ids=lambda clock: str(clock.dtype),
)
def test_kinds_of_time(clock):
    frame = pd.Series(np.arange(80.0), pd.MultiIndex.from_product([[0, 1], clock]))
    X, y = make_windows(frame, lags=3, horizon=2)
    cv = PanelTimeSeriesSplit(n_splits=2, test_size=5)
    assert [len(train) for train, _ in cv.split(X, y)] == [2 * (26 - 1), 2 * (31 - 1)]


def test_its_parameters_are_those_of_scikit_learn():
    cv = PanelTimeSeriesSplit(3, max_train_size=9, test_size=2, gap=1)
    assert cv.get_n_splits() == 3
    assert repr(cv) == (
        "PanelTimeSeriesSplit(gap=1, max_train_size=9, n_splits=3, test_size=2)"
    )
    assert repr(clone(cv, safe=False)) == repr(cv)
    with pytest.raises(ValueError, match="n_splits=1"):
        PanelTimeSeriesSplit(1)


@pytest.mark.parametrize(
    ("X", "groups", "message"),
    [
        (np.ones((4, 1)), None, "needs the time of each row"),
        (pd.DataFrame({"x": [1, 2]}), None, "needs the time of each row"),
        (np.ones((3, 1)), [1, 2], "inconsistent numbers of samples"),
        (np.ones((3, 1)), [1, np.nan, 2], "time of row 1 is missing"),
        (np.ones((2, 1)), [1, 1], "folds=6 .* a time stamp, of which there are 1"),
        (np.ones((0, 1)), [], "folds=6 .* of which there are 0"),
        (np.ones((9, 1)), range(9), "Too many splits=5 .* of which there are 9"),
        (pd.concat([panel()], keys=["x"]), None, "but has .None, 'shop', 'day'."),
    ],
)
def test_times_that_cannot_be_split(X, groups, message):
    with pytest.raises(ValueError, match=message):
        list(PanelTimeSeriesSplit(gap=5).split(X, groups=groups))


@pytest.mark.contract
def test_in_a_cross_validation_of_lags():
    frame = panel()
    lags = {f"lag{k}": frame.groupby("shop")["x"].shift(k) for k in (1, 2, 3)}
    X = pd.DataFrame(lags).dropna().sample(frac=1, random_state=0)
    y = frame["x"].loc[X.index]
    cv = PanelTimeSeriesSplit(n_splits=3)
    scores = cross_val_score(LinearRegression(), X, y, cv=cv)
    assert (scores > 0.9).all()
    times = X.index.get_level_values("day")
    arrays = (X.to_numpy(), y.to_numpy())
    by_groups = cross_val_score(LinearRegression(), *arrays, groups=times, cv=cv)
    assert_allclose(by_groups, scores, rtol=1e-12)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = cross_validate(
            LinearRegression(), *arrays, cv=cv, params={"groups": times}
        )
    assert_allclose(routed["test_score"], scores, rtol=1e-12)


# make_windows -------------------------------------------------------------------------


@given(
    index=rows(),
    lags=st.integers(1, 4),
    horizon=st.integers(1, 3),
    step=st.integers(1, 3),
)
def test_windows_are_slices_of_one_series(index, lags, horizon, step):
    frame = pd.DataFrame(np.arange(2.0 * len(index)).reshape(-1, 2), index)
    X, y = make_windows(frame, lags, horizon, step=step, target=1)
    span, expected = lags + horizon, []
    for instance in index.get_level_values(0).unique():
        series = frame.xs(instance).sort_index()
        for begin in range(0, len(series) - span + 1, step):
            window = series.iloc[begin : begin + span]
            key = (instance, window.index[lags - 1], window.index[-1])
            expected.append((window[:lags], window[1][lags:], key))
    assert X.shape == (len(expected), lags, 2)
    targets = y.to_numpy().reshape(len(y), horizon)
    for i, (inputs, outputs, key) in enumerate(expected):
        assert_array_equal(X[i], inputs)
        assert_array_equal(targets[i], outputs)
        assert y.index[i] == key


@given(
    index=rows(),
    lags=st.integers(1, 4),
    horizon=st.integers(1, 3),
    step=st.integers(1, 3),
    parameters=splits(),
)
def test_no_window_leaks(index, lags, horizon, step, parameters):
    """Whatever the panel, training ends where the first forecast begins."""
    times = index.get_level_values(1)
    # Each value is the number of its row, which says when and where it was.
    frame = pd.Series(np.arange(float(len(index))), index)
    X, y = make_windows(frame, lags, horizon, step=step)
    inputs = X[:, :, 0].astype(int)
    targets = y.to_numpy().astype(int).reshape(len(y), horizon)
    for train, test in folds_of(PanelTimeSeriesSplit(**parameters), X, y):
        first_origin = times[inputs[test, -1]].min()
        assert times[inputs[train].ravel()].max() <= first_origin
        last_target = times[targets[train].ravel()].max()
        assert last_target <= first_origin
        assert last_target < times[targets[test].ravel()].min()
        # A pair is no test and training pair at once, nor a window of two series.
        assert not set(targets[train].ravel()) & set(targets[test].ravel())
        both = np.hstack([inputs, targets])
        instances = index.get_level_values(0).to_numpy()[both]
        assert (instances == instances[:, :1]).all()


@given(
    n_series=st.integers(1, 3),
    horizon=st.integers(1, 3),
    parameters=splits(),
)
def test_windows_of_a_complete_panel_need_the_gap_of_their_horizon(
    n_series, horizon, parameters
):
    clock = pd.MultiIndex.from_product([range(n_series), range(20)])
    X, y = make_windows(pd.Series(0.0, clock), lags=2, horizon=horizon)
    origins = y.index.get_level_values("origin")
    parameters["gap"] = horizon - 1
    expected = folds_of(PanelTimeSeriesSplit(**parameters), X, y.droplevel("end"))
    parameters["gap"] = 0
    folds = folds_of(PanelTimeSeriesSplit(**parameters), X, y)
    for fold, same in zip(folds, expected, strict=True):
        assert_array_equal(fold[0], same[0])
        assert_array_equal(fold[1], same[1])
    assert len(np.unique(origins)) == 19 - horizon


def test_windows_stay_windows_without_the_instance():
    X, y = make_windows(np.arange(20.0), lags=2, horizon=5)
    cv = PanelTimeSeriesSplit(n_splits=2)
    for fold, same in zip(cv.split(X, y), cv.split(X, y.droplevel(0)), strict=True):
        assert_array_equal(fold[0], same[0])
    # The index of the windows is the one that counts, whatever that of X.
    two_levels = pd.DataFrame(X[:, :, 0], index=y.index.droplevel("end"))
    for fold, same in zip(cv.split(X, y), cv.split(two_levels, y), strict=True):
        assert_array_equal(fold[0], same[0])


def test_too_short_for_the_horizon():
    X, y = make_windows(np.arange(20.0), lags=2, horizon=12)
    with pytest.raises(ValueError, match="Split 0 has no training windows: .* by 5,"):
        list(PanelTimeSeriesSplit(n_splits=3).split(X, y))


@pytest.mark.contract
def test_one_series_in_each_form():
    values = np.arange(12.0)
    X, y = make_windows(values, lags=3, horizon=2)
    assert_array_equal(X[:, :, 0], [values[i : i + 3] for i in range(8)])
    assert_array_equal(y, [values[i + 3 : i + 5] for i in range(8)])
    assert list(y.columns) == [1, 2]
    assert y.index.names == ["instance", "origin", "end"]
    for form in (list, pd.Series, lambda v: v[:, None], lambda v: pd.DataFrame({0: v})):
        X_form, y_form = make_windows(form(values), lags=3, horizon=2)
        assert_array_equal(X_form, X)
        pd.testing.assert_frame_equal(y_form, y)


def test_channels_and_target():
    frame = panel().assign(hour=1)
    X, y = make_windows(frame, lags=4, target="x")
    assert X.shape[1:] == (4, 2)
    assert isinstance(y, pd.Series) and y.name == "x"
    assert y.index.names == ["shop", "origin", "end"]
    shop, _, end = y.index[30]
    assert y.iloc[30] == frame.loc[(shop, end), "x"]
    X_array, y_array = make_windows(frame.loc["a"].to_numpy(), lags=4, target=0)
    assert_array_equal(X_array, X[: len(X_array)])
    assert_array_equal(y_array, y[: len(y_array)])


def test_a_wide_frame():
    wide = panel()["x"].unstack("shop")
    long = wide.unstack().dropna()
    X, y = make_windows(long, lags=4, horizon=2)
    X_same, y_same = make_windows(panel(), lags=4, horizon=2)
    assert_array_equal(X, X_same)
    pd.testing.assert_frame_equal(y, y_same)
    X, _ = make_windows(wide.unstack(), lags=4)  # what is missing is not hidden
    assert np.isnan(X).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, int])
def test_dtype(dtype):
    X, y = make_windows(np.arange(9, dtype=dtype), lags=2)
    expected = np.float32 if dtype is np.float32 else np.float64
    assert X.dtype == y.dtype == expected


TWICE = pd.Series(1.0, index=pd.to_datetime(["2024-01-01"] * 5))


@pytest.mark.parametrize(
    ("data", "parameters", "message"),
    [
        (np.arange(5.0), {"lags": 0}, "lags == 0"),
        (np.arange(5.0), {"horizon": 0}, "horizon == 0"),
        (np.arange(5.0), {"step": 0}, "step == 0"),
        (np.arange(4.0), {"lags": 4}, r"lags \+ horizon = 5 rows, .* has 4"),
        ([], {}, "no values"),
        (np.ones((9, 2)), {}, r"one of the columns \[0, 1\], got None"),
        (panel(), {"target": "z"}, r"one of the columns \['x'\], got 'z'"),
        (np.ma.masked_less(np.arange(9), 2), {}, "Masked"),
        (panel().astype(str), {}, "must hold numbers, but column 'x'"),
        (TWICE, {}, "Time 2024-01-01 00:00:00 occurs twice in series 0"),
        (pd.concat([panel(), panel()]), {}, "Time 2024-01-01 .* twice in series a"),
        (pd.concat([panel()], keys=["z"]), {}, "two levels, .* but has 3"),
        (pd.Series([1.0] * 3, index=[1, np.nan, 2]), {}, "time of row 1 is missing"),
    ],
)
def test_what_has_no_windows(data, parameters, message):
    with pytest.raises(ValueError, match=message):
        make_windows(data, **{"lags": 1} | parameters)


# With the estimators ------------------------------------------------------------------


@pytest.mark.needs_jit
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_over_windows_of_a_panel(n_jobs):
    X, y = make_windows(panel(), lags=6, horizon=3)
    network = RNNRegressor(
        (8,),
        learning_rate="cosine",
        learning_rate_init=0.02,
        batch_size=16,
        max_iter=30,
        random_state=0,
    )
    search = GridSearchCV(
        network,
        {"cell": ["rnn", "gru"]},
        cv=PanelTimeSeriesSplit(n_splits=2, test_size=6),
        n_jobs=n_jobs,
    )
    search.fit(X, y)
    assert search.best_score_ > 0.8
    assert search.predict(X[:5]).shape == (5, 3)
    scores = []
    for train, test in search.cv.split(X, y):
        model = clone(search.best_estimator_).fit(X[train], y.iloc[train])
        scores.append(model.score(X[test], y.iloc[test]))
    assert search.best_score_ == pytest.approx(np.mean(scores), rel=1e-12)


@pytest.mark.needs_jit
def test_series_held_out_as_a_whole():
    X, y = make_windows(panel(), lags=6)
    network = RNNRegressor((4,), max_iter=3, n_iter_no_change=np.inf, random_state=0)
    shops = y.index.get_level_values("shop")
    scores = cross_val_score(network, X, y, groups=shops, cv=GroupKFold(3))
    assert scores.shape == (3,) and np.isfinite(scores).all()
