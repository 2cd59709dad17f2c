"""Scores of forecasts: by hand, by other libraries, and whatever form series have."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import mean_absolute_error, mean_pinball_loss

from skrnn.metrics import (
    interval_coverage,
    mean_absolute_scaled_error,
    mean_quantile_loss,
    root_mean_squared_scaled_error,
    symmetric_mean_absolute_percentage_error,
)

RNG = np.random.default_rng(3)
N_SERIES, N_STEPS, N_TRAIN = 4, 6, 30
TRUE = RNG.normal(5, 2, (N_SERIES, N_STEPS))
PRED = TRUE + RNG.normal(0, 1, TRUE.shape)
TRAIN = RNG.normal(5, 2, (N_SERIES, N_TRAIN)).cumsum(axis=1)
WIDTH = RNG.gamma(1.0, 1.0, TRUE.shape)
LEVELS = [0.1, 0.5, 0.9]
QUANTILES = np.sort(PRED[..., None] + RNG.normal(0, 1, (*TRUE.shape, 3)), axis=-1)
IDS = pd.Index(["c", "a", "d", "b"])
TIMES = pd.date_range(
    "2020-01-31", periods=N_TRAIN + N_STEPS, freq=pd.offsets.MonthEnd()
)

smape = symmetric_mean_absolute_percentage_error
SCALED = [mean_absolute_scaled_error, root_mean_squared_scaled_error]


def by_quantiles(y_true, y_quantiles, **options):
    return mean_quantile_loss(y_true, y_quantiles, LEVELS, **options)


def scores_of(form, **options):
    """Return all scores of series that a function brings into some form."""
    true, pred, train = form(TRUE), form(PRED), form(TRAIN, TIMES[:N_TRAIN])
    low, high = form(PRED - WIDTH), form(PRED + WIDTH)
    return [
        smape(true, pred, **options),
        *(score(true, pred, train, season_length=3, **options) for score in SCALED),
        interval_coverage(true, low, high, **options),
        by_quantiles(true, form(QUANTILES), **options),
    ]


# --- forms of the same series ---------------------------------------------------------


def as_wide(values, times=TIMES[N_TRAIN:]):
    if values.ndim == 3:
        columns = pd.MultiIndex.from_product([IDS, LEVELS])
        return pd.DataFrame(np.hstack(list(values)), times, columns)
    return pd.DataFrame(values.T, times, IDS)


def as_indexed(values, times=TIMES[N_TRAIN:]):
    index = pd.MultiIndex.from_product([IDS, times], names=["shop", "month"])
    if values.ndim == 3:
        return pd.DataFrame(values.reshape(-1, 3), index, LEVELS)
    return pd.Series(values.ravel(), index)


def as_long(values, times=TIMES[N_TRAIN:]):
    frame = as_indexed(values, times)
    frame = frame.to_frame("y") if frame.ndim == 1 else frame
    return frame.rename_axis(["unique_id", "ds"]).reset_index()


def as_list(values, times=None):
    return list(values)


def shuffled(form):
    """Return a form whose rows lie in another order each time."""

    def shuffle(values, times=TIMES[N_TRAIN:]):
        return form(values, times).sample(frac=1, random_state=int(values.sum() * 7))

    return shuffle


FORMS = [as_wide, as_indexed, as_long, as_list]
FORMS += [shuffled(form) for form in FORMS[:3]]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("average", ["series", "points", None])
def test_scores_do_not_depend_on_the_form(form, average):
    expected = scores_of(lambda values, times=None: values, average=average)
    found = scores_of(form, average=average)
    if average is None and form is not as_list:
        assert all(set(score.index) == set(IDS) for score in found)
        found = [score[IDS] for score in found]
    assert_allclose(found, expected)


def test_one_series_has_the_score_that_it_has_among_others():
    among = np.array(scores_of(lambda values, times=None: values, average=None))
    for i in range(N_SERIES):
        alone = scores_of(lambda values, times=None, i=i: values[i])
        assert_allclose(alone, among[:, i])


@pytest.mark.parametrize("form", [as_wide, as_indexed, as_long])
def test_forecasts_of_other_series_and_times_are_not_looked_at(form):
    pred = form(PRED)
    if form is as_wide:
        true, kept = form(TRUE).iloc[:2, 1:], (slice(1, None), slice(2))
    else:
        true = form(TRUE).iloc[[7, 8, 13, 14]]
        kept = (slice(1, 3), slice(1, 3))
    assert smape(true, pred) == pytest.approx(smape(TRUE[kept], PRED[kept]))


def test_a_column_alone_is_a_series():
    true, pred = as_wide(TRUE)[["a"]], as_wide(PRED)["a"]
    expected = smape(TRUE[1], PRED[1])
    assert smape(true, pred) == smape(pred, true) == expected
    train = as_wide(TRAIN, TIMES[:N_TRAIN])
    found = mean_absolute_scaled_error(true, pred, train)
    assert found == mean_absolute_scaled_error(TRUE[1], PRED[1], TRAIN[1])


def test_an_array_goes_with_the_rows_of_an_index():
    expected = smape(TRUE, PRED)
    assert smape(as_indexed(TRUE), PRED.ravel()) == pytest.approx(expected)
    assert smape(as_long(TRUE), list(PRED.ravel())) == pytest.approx(expected)
    assert smape(as_wide(TRUE)["d"], PRED[2]) == smape(TRUE[2], PRED[2])


def test_columns_called_like_the_levels_may_come_in_any_order():
    expected = by_quantiles(TRUE, QUANTILES)
    assert by_quantiles(as_indexed(TRUE), as_indexed(QUANTILES)[LEVELS[::-1]]) == (
        pytest.approx(expected)
    )
    named = as_indexed(QUANTILES).set_axis(["low", "middle", "high"], axis=1)
    assert by_quantiles(as_indexed(TRUE), named) == pytest.approx(expected)


# --- values ---------------------------------------------------------------------------


def test_values_computed_by_hand():
    assert smape([1, -1, 0, 0], [3, 1, 0, 5]) == (100 + 200 + 0 + 200) / 4
    train = [1, 4, 2, 8]  # differences 3, -2, 6; at lag 2: 1, 4
    errors = {"y_true": [5, 5], "y_pred": [4, 8], "y_train": train}
    assert mean_absolute_scaled_error(**errors) == pytest.approx(2 / (11 / 3))
    assert mean_absolute_scaled_error(**errors, season_length=2) == 2 / 2.5
    found = root_mean_squared_scaled_error(**errors)
    assert found == pytest.approx((5 / (49 / 3)) ** 0.5)
    found = root_mean_squared_scaled_error(**errors, season_length=2)
    assert found == pytest.approx((5 / 8.5) ** 0.5)
    assert mean_quantile_loss([2, 0], [[1], [1]], [0.9]) == pytest.approx(0.5)
    assert interval_coverage([1, 2, 3], [1, 1, 1], [2, 2, 2]) == pytest.approx(2 / 3)


def test_series_or_points_count_for_as_much():
    true, pred = [[1, 1, 1], [1]], [[3, 3, 3], [1]]
    assert smape(true, pred) == 50
    assert smape(true, pred, average="points") == 75
    assert_array_equal(smape(true, pred, average=None), [100, 0])


def test_missing_values_of_the_truth_do_not_count():
    nan = np.nan
    true, pred = [[1, nan, 2], [nan] * 3], [[3, nan, 2], [1, 2, 3]]
    assert smape(true, pred) == 50
    assert_array_equal(smape(true, pred, average=None), [50, nan])
    assert interval_coverage([1, nan], [2, 0], [3, 9]) == 0
    assert mean_quantile_loss([1, nan], [[3], [0]], [0.5]) == 1
    found = mean_absolute_scaled_error([1], [2], [1, nan, 2, 4], season_length=1)
    assert found == 0.5


def test_quantile_loss_is_that_of_scikit_learn():
    for i, level in enumerate(LEVELS):
        expected = mean_pinball_loss(
            TRUE.ravel(), QUANTILES[..., i].ravel(), alpha=level
        )
        found = mean_quantile_loss(TRUE, QUANTILES[..., [i]], [level])
        assert found == pytest.approx(expected)
    median = 2 * mean_quantile_loss(TRUE, QUANTILES[..., [1]], [0.5])
    assert median == pytest.approx(mean_absolute_error(TRUE, QUANTILES[..., 1]))


def test_scores_are_those_of_utilsforecast():
    losses = pytest.importorskip("utilsforecast.losses")
    frame = as_long(TRUE).assign(m=PRED.ravel())
    quantiles = {str(q): as_long(QUANTILES)[q] for q in LEVELS}
    frame = frame.assign(**quantiles, lo=frame.m - 1, hi=frame.m + 1)
    train = as_long(TRAIN, TIMES[:N_TRAIN])
    ours = frame[["unique_id", "ds", "m"]]
    true = frame[["unique_id", "ds", "y"]]
    names = {str(q): str(q) for q in LEVELS}
    pairs = [
        # a share of 1 there
        (200 * losses.smape(frame, ["m"])["m"], smape(true, ours, average=None)),
        (
            losses.mase(frame, ["m"], 12, train)["m"],
            SCALED[0](true, ours, train, season_length=12, average=None),
        ),
        (
            losses.rmsse(frame, ["m"], 12, train)["m"],
            SCALED[1](true, ours, train, season_length=12, average=None),
        ),
        (
            sum(losses.quantile_loss(frame, {"m": c}, float(c))["m"] for c in names)
            / 3,
            by_quantiles(true, frame[["unique_id", "ds", *names]], average=None),
        ),
    ]
    order = losses.smape(frame, ["m"])["unique_id"]
    for theirs, found in pairs:
        assert_allclose(found[order], theirs)


def test_scores_are_those_of_sktime():
    metrics = pytest.importorskip("sktime.performance_metrics.forecasting")
    for i in range(N_SERIES):
        arguments = TRUE[i], PRED[i]
        theirs = metrics.mean_absolute_percentage_error(*arguments, symmetric=True)
        assert smape(*arguments) == pytest.approx(100 * theirs)
        theirs = metrics.mean_absolute_scaled_error(*arguments, y_train=TRAIN[i], sp=3)
        found = SCALED[0](*arguments, TRAIN[i], season_length=3)
        assert found == pytest.approx(theirs)
        theirs = metrics.mean_squared_scaled_error(
            *arguments, y_train=TRAIN[i], sp=3, square_root=True
        )
        found = SCALED[1](*arguments, TRAIN[i], season_length=3)
        assert found == pytest.approx(theirs)


# --- properties -----------------------------------------------------------------------

VALUES = arrays(np.float64, (2, 3), elements=st.integers(-100, 100).map(float))


@given(VALUES, VALUES)
def test_smape_is_symmetric_bounded_and_without_units(true, pred):
    found = smape(true, pred)
    assert 0 <= found <= 200
    assert found == smape(pred, true)
    assert found == pytest.approx(smape(1000 * true, 1000 * pred))
    assert smape(true, true) == 0


@given(VALUES, VALUES, st.sampled_from(SCALED))
def test_scaled_errors_have_neither_units_nor_level(true, pred, score):
    found = score(true, pred, TRAIN[:2])
    assert found == pytest.approx(score(3 + 8 * true, 3 + 8 * pred, 3 + 8 * TRAIN[:2]))
    assert score(true, true, TRAIN[:2]) == 0


@pytest.mark.parametrize("score", SCALED)
def test_repeating_the_last_value_of_the_training_part_has_error_1(score):
    walk = np.array([3.0, 4, 3, 4, 3, 4])
    assert score([5], [4], walk) == 1


@given(VALUES)
def test_the_quantile_loss_is_least_at_the_quantile(true):
    true = true.ravel()
    losses = [
        mean_quantile_loss(true, np.full((6, 1), value), [0.4])
        for value in range(-100, 101)
    ]
    best = mean_quantile_loss(true, np.full((6, 1), np.sort(true)[2]), [0.4])
    assert best == pytest.approx(min(losses))


@given(VALUES, VALUES, st.floats(0, 200), st.floats(0, 200))
def test_wider_intervals_cover_more(true, pred, width, more):
    narrow = interval_coverage(true, pred - width, pred + width)
    assert narrow <= interval_coverage(true, pred - width - more, pred + width + more)
    assert interval_coverage(true, true, true) == 1


# --- series without a scale -----------------------------------------------------------


@pytest.mark.parametrize("score", SCALED)
def test_series_without_a_scale_do_not_count_and_are_named(score):
    train = [[1, 2, 3], [5, 5, 5], [7]]
    true, pred = [[1], [2], [3]], [[2], [9], [9]]
    with pytest.warns(UserWarning, match="2 series have no scale .* such as 1: "):
        assert score(true, pred, train) == 1
    with pytest.warns(UserWarning, match="2 series have no scale"):
        assert_array_equal(score(true, pred, train, average=None), [1, np.nan, np.nan])
    with (
        pytest.warns(UserWarning, match="1 series have no scale"),
        pytest.raises(ValueError, match="Nothing is left to score"),
    ):
        score([1], [2], [4, 4, 4])


# --- bad input ------------------------------------------------------------------------

WIDE = as_wide(TRUE)


@pytest.mark.parametrize(
    ("true", "pred", "message"),
    [
        ([1, 2], [1, 2, 3], "1 series of 2 steps against 1 series of 3 steps"),
        (TRUE, PRED[:2], "4 series of 6 steps against 2 series of 6 steps"),
        (TRUE, PRED.ravel(), "4 series of 6 steps against 1 series of 24 steps"),
        ([[1, 2], [3]], [[1], [2, 3]], "2 series of 1 to 2 steps"),
        (TRUE[None], PRED, r"y_true must have the shape \(n_steps,\)"),
        (3.0, 3.0, r"y_true must have the shape \(n_steps,\)"),
        ([], [], "y_true has no values"),
        ([np.nan], [1.0], "Nothing is left to score"),
        ([[1, np.inf]], [[1, 2]], "y_true is infinite at series 0, step 1"),
        (
            [[1], [2]],
            [[1], [np.nan]],
            "y_pred is missing or infinite at series 1",
        ),
        (WIDE, PRED, "must both have an index, or both be arrays"),
        (WIDE, PRED.ravel(), "must both have an index, or both be arrays"),
        (as_indexed(TRUE), PRED, "must both have an index, or both be arrays"),
        (PRED, WIDE, "must both have an index, or both be arrays"),
        (WIDE["a"], [1.0], "1 series of 6 steps against 1 series of 1 steps"),
        (WIDE, WIDE["a"], "4 series of 6 steps against 1 series of 6 steps"),
        (
            WIDE,
            WIDE[["a", "b", "d"]],
            "y_pred is missing .* series 'c', time 2022-07-31",
        ),
        (WIDE, WIDE.iloc[1:], "y_pred is missing .* series 'c', time 2022-07-31"),
        (WIDE, WIDE.shift(1), "y_pred is missing .* series 'c', time 2022-07-31"),
        (WIDE["a"], WIDE["a"].iloc[:-1], "y_pred is missing .* at time 2022-12-31"),
        (
            WIDE,
            WIDE.iloc[[0, 0]],
            "two values at series 'c', time 2022-07-31",
        ),
        (WIDE, WIDE.reset_index(drop=True), "times of y_true are datetime64"),
        (
            WIDE.iloc[:, [0, 0]],
            WIDE,
            r"y_true must have 1 column\(s\) of values of",
        ),
        (as_long(TRUE).assign(z=1), PRED, r"1 column\(s\) of values, it has 2"),
    ],
)
def test_what_does_not_fit_is_named(true, pred, message):
    with pytest.raises(ValueError, match=message):
        smape(true, pred)


def test_a_list_of_series_is_refused_for_its_indices_would_be_lost():
    with pytest.raises(TypeError, match="y_true is a list of Series"):
        smape([WIDE["a"], WIDE["b"]], PRED[:2])


def test_other_bad_arguments_are_named():
    with pytest.raises(ValueError, match="average must be 'series', 'points' or None"):
        smape([1], [1], average="macro")
    with pytest.raises(ValueError, match="season_length must be an integer >= 1"):
        mean_absolute_scaled_error([1], [1], [1, 2], season_length=0)
    with pytest.raises(ValueError, match="y_train lacks the series 'c'"):
        mean_absolute_scaled_error(WIDE, WIDE, WIDE[["a", "b", "d"]])
    with pytest.raises(ValueError, match="y_true has 4 series and y_train has 2"):
        mean_absolute_scaled_error(TRUE, PRED, TRAIN[:2])
    with pytest.raises(ValueError, match="must both name their series"):
        mean_absolute_scaled_error(WIDE, WIDE, TRAIN)
    with pytest.raises(ValueError, match="levels must lie between 0 and 1"):
        mean_quantile_loss([1], [[1]], [1.0])
    with pytest.raises(ValueError, match=r"must have the shape \(n_steps, 3\)"):
        by_quantiles(TRUE[0], PRED[0])
    with pytest.raises(ValueError, match="y_quantiles has no column 0.5"):
        frame = as_indexed(QUANTILES).set_axis([0.1, 0.4, 0.9], axis=1)
        by_quantiles(as_indexed(TRUE), frame)
    with pytest.raises(ValueError, match="lower is above upper at series 0, step 1"):
        interval_coverage([[1, 2]], [[0, 3]], [[2, 2]])


@pytest.mark.parametrize("ids", [["a", "a", "b", "b"], [1, 1, 2, 2]])
def test_long_frames_with_other_names_are_refused(ids):
    dates = pd.to_datetime(["2024-01-01", "2024-01-02"] * 2)
    frame = pd.DataFrame({"shop": ids, "date": dates, "sales": 1.0})
    with pytest.raises(ValueError, match=r"y_true must hold numbers.*unique_id and ds"):
        symmetric_mean_absolute_percentage_error(frame, frame)
