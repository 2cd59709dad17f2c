"""The theta method: its recursion, its properties, and what it scores on M3."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

from skrnn.forecasting import seasonality, theta
from skrnn.forecasting.theta import theta_forecasts

RNG = np.random.default_rng(7)
TREND = 20 + 0.7 * np.arange(40) + RNG.normal(0, 2, 40).cumsum()
FACTORS = np.array([1.3, 0.8, 1.1, 0.8])


def forecast_one(y, horizon, m=1, **options):
    return theta_forecasts(y, [0, len(y)], horizon, m, **options)[0]


# --- the recursion --------------------------------------------------------------------


def line(y):
    """Return intercept, a step before the first value, and slope of the line through y.

    The model has it that a single value is a line of slope 0.
    """
    if len(y) == 1:
        return y[0], 0.0
    slope, intercept = np.polyfit(np.arange(1, len(y) + 1), y, 1)
    return intercept, slope


def one_step(y, alpha, start, weight):
    """Return the forecast of the value after y (Fiorucci et al. 2016, section 3.2)."""
    level = start
    for value in y:
        level = alpha * value + (1 - alpha) * level
    intercept, slope = line(y)
    kept = (1 - alpha) ** len(y)
    return level + weight * (
        kept * intercept + (1 - kept * (1 - alpha)) / alpha * slope
    )


def objective(parameters, y, n_skipped=theta.N_ERRORS_SKIPPED, has_trend=True):
    alpha, start, weight = parameters
    weight *= has_trend
    errors = [
        y[t] - one_step(y[:t], alpha, start, weight)
        for t in range(max(n_skipped, 1), len(y))
    ]
    squares = np.square(errors).sum() + theta.START_RIDGE * (start - y[0]) ** 2
    squares += theta.RIDGE * weight**2
    return squares * alpha ** (-2 * theta.PRIOR / len(y))


def fit(y):
    """Return what the kernel fits."""
    lines = [line(y[: t + 1]) for t in range(len(y))]
    intercepts, slopes = np.array(lines).T.copy()
    skipped, lowest = theta.N_ERRORS_SKIPPED, theta.LOWEST_ALPHA
    return theta._fit(y, intercepts, slopes, skipped, lowest, True)


@pytest.mark.parametrize("y", [TREND, TREND[:9], RNG.normal(size=30)])
def test_forecasts_are_those_of_the_recursion(y):
    y = y / np.abs(y).mean()
    parameters = fit(y)
    expected = list(y)
    for _ in range(5):
        expected.append(one_step(np.array(expected), *parameters))
    assert_allclose(forecast_one(y, 5), expected[-5:], rtol=1e-9)


@pytest.mark.parametrize("y", [TREND, TREND[:9], RNG.normal(size=30)])
def test_no_parameters_fit_better(y):
    y = y / np.abs(y).mean()
    found = fit(y)
    bounds = [(theta.LOWEST_ALPHA, theta.HIGHEST_ALPHA), (None, None), (0, 1)]
    best = min(
        minimize(objective, [alpha, y[0], 0.5], (y,), bounds=bounds).fun
        for alpha in (0.1, 0.3, 0.5, 0.7, 0.95)
    )
    assert objective(found, y) <= best * (1 + 1e-6)


def test_the_standard_method_adds_half_of_the_slope():
    y = TREND / TREND.mean()
    zeros = np.zeros(len(y))
    lowest = theta.LOWEST_ALPHA_STANDARD
    alpha, level, weight = theta._fit(y, zeros, zeros, 1, lowest, False)
    assert weight == 0
    for value in y:
        level = alpha * value + (1 - alpha) * level
    drift = 0.5 * line(y)[1]
    ahead = np.arange(4) + (1 - (1 - alpha) ** len(y)) / alpha
    found = forecast_one(y, 4, optimised=False)
    assert_allclose(found, level + drift * ahead, rtol=1e-9)


# --- season ---------------------------------------------------------------------------


def classical_indices(y, m, combine):
    """Return what y is to its centred moving mean, for each step of a season."""
    window = np.ones(m) / m if m % 2 else np.r_[0.5, np.ones(m - 1), 0.5] / m
    trend = np.convolve(y, window, "valid")
    rest = np.full(len(y), np.nan)
    inner = slice(m // 2, m // 2 + len(trend))
    rest[inner] = combine(y[inner], trend)
    return np.array([np.nanmean(rest[i::m]) for i in range(m)])


@pytest.mark.parametrize("m", [4, 5])
def test_indices_are_those_of_the_classical_decomposition(m):
    y = 50 + RNG.normal(size=31) + 10 * np.sin(np.arange(31) * 2 * np.pi / m)
    season = np.zeros(m)
    assert seasonality.seasonal_indices(y, season)
    expected = classical_indices(y, m, np.divide)
    assert_allclose(season, expected / expected.mean())
    y -= 50
    assert not seasonality.seasonal_indices(y, season)
    expected = classical_indices(y, m, np.subtract)
    assert_allclose(season, expected - expected.mean())


@pytest.mark.parametrize("additive", [False, True])
def test_a_season_goes_on(additive):
    index = np.resize(FACTORS, 46)
    y = 10 * index - 15 * additive  # some negative
    assert_allclose(forecast_one(y[:40], 6, 4), y[40:], rtol=1e-6)


def is_significant(y, m):
    d = y - y.mean()
    r = np.array([d[lag:] @ d[:-lag] for lag in range(1, m + 1)]) / (d @ d)
    limit = 1.645 * np.sqrt((1 + 2 * np.square(r[:-1]).sum()) / len(y))
    return abs(r[-1]) > limit


def test_only_a_significant_season_is_removed():
    n_significant = 0
    for seed in range(60):
        y = 10 + np.random.default_rng(seed).normal(size=40)
        same = np.array_equal(forecast_one(y, 6, 4), forecast_one(y, 6))
        assert same != is_significant(y, 4)
        n_significant += not same
    assert 1 <= n_significant <= 15  # of 60, at 10 %
    short = np.resize(FACTORS, 11)  # not three seasons
    assert_array_equal(forecast_one(short, 6, 4), forecast_one(short, 6))


# --- properties -----------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0.01, 3.0, -3.0])
def test_a_line_is_continued(slope):
    y = 5 + slope * np.arange(30)
    assert_allclose(forecast_one(y[:20], 10), y[20:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 3.3, -1e12])
@pytest.mark.parametrize("length", [1, 4, 30])
def test_a_constant_stays(value, length):
    for optimised in (True, False):
        found = forecast_one(np.full(length, value), 5, 4, optimised=optimised)
        assert_array_equal(found, np.full(5, value))


VALUES = st.lists(
    st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda x: round(x, 3)),
    min_size=1,
    max_size=40,
)


@given(VALUES, st.sampled_from([1, 4]), st.booleans(), st.sampled_from([2**-20, 1024]))
def test_forecasts_have_the_scale_of_the_series(values, m, optimised, factor):
    found = forecast_one(values, 4, m, optimised=optimised)
    scaled = forecast_one(np.array(values) * factor, 4, m, optimised=optimised)
    assert np.isfinite(found).all()
    assert_allclose(scaled, found * factor, rtol=1e-9)


@given(VALUES, st.integers(0, 3))
def test_missing_values_at_the_ends_move_the_forecasts_only(values, n_missing):
    gap = [np.nan] * n_missing
    whole = forecast_one(values, 4 + n_missing)
    assert_array_equal(forecast_one([*gap, *values, *gap], 4), whole[n_missing:])


def test_missing_values_between_others_are_filled_in_by_lines():
    y = TREND.copy()
    y[[5, 6, 20]] = np.nan
    filled = pd.Series(y).interpolate().to_numpy()
    assert_allclose(forecast_one(y, 3), forecast_one(filled, 3), rtol=1e-12)
    line_with_gaps = np.arange(20.0)
    line_with_gaps[[3, 9, 10]] = np.nan
    assert_allclose(forecast_one(line_with_gaps, 2), [20, 21], rtol=1e-5)


@pytest.mark.parametrize("y", [[2.0], [1, 2], [1, 5, 2], [np.nan, 2]])
def test_few_values_give_the_last(y):
    assert_array_equal(forecast_one(y, 3, 4), np.full(3, 2.0))


def test_a_series_without_values_has_no_forecast():
    found = theta_forecasts([1, 2, np.nan, np.nan], [0, 2, 4, 4], 2)
    assert_array_equal(found, [[2, 2], [np.nan] * 2, [np.nan] * 2])


def test_series_do_not_depend_on_their_neighbours():
    y = np.concatenate([TREND, TREND[:5], -TREND])
    offsets = [0, 40, 45, 85]
    together = theta_forecasts(y, offsets, 6, 4)
    alone = [forecast_one(y[a:b], 6, 4) for a, b in pairwise(offsets)]
    assert_array_equal(together, alone)


def test_arguments_are_left_as_they_are():
    y = np.array([1.0, np.nan, *np.resize(FACTORS, 30)])
    before = y.copy()
    forecast_one(y, 3, 4)
    assert_array_equal(y, before)


# --- bad input ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], [0, 1], 0), "horizon must be an integer >= 1, got 0"),
        (([1.0], [0, 1], 1.5), "horizon"),
        (([1.0], [0, 1], 1, 0), "season_length must be an integer >= 1, got 0"),
        (([[1.0]], [0, 1], 1), r"shapes are \(1, 1\)"),
        (([1.0], [], 1), "not empty"),
        (([1.0], [0.0, 1.0], 1), "offsets must be integers"),
        (([1.0, 2.0], [0, 1], 1), "number of values, 2"),
        (([1.0, 2.0], [0, 3, 2], 1), "must increase"),
        (([1.0, 2.0, np.inf], [0, 1, 3], 1), "Series 1 is infinite at step 1"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        theta_forecasts(*arguments)


# --- M3 -------------------------------------------------------------------------------

# of statsforecast's DynamicOptimizedTheta 2.1.1
SCORES = {
    "yearly": (1, 15.79),
    "quarterly": (4, 9.32),
    "monthly": (12, 13.73),
    "other": (1, 4.54),
}


@pytest.mark.needs_jit
@pytest.mark.parametrize("group", SCORES)
def test_scores_on_m3_are_those_of_the_published_method(group, data_dir):
    frame = pd.read_csv(data_dir / "m3.csv.gz")
    frame = frame[frame["group"] == group]
    is_train = frame["part"] == "train"
    lengths = frame[is_train].groupby("series_id", sort=False).size()
    test = frame.loc[~is_train, "value"].to_numpy().reshape(len(lengths), -1)
    m, expected = SCORES[group]
    found = theta_forecasts(
        frame.loc[is_train, "value"], np.r_[0, lengths.cumsum()], test.shape[1], m
    )
    smape = np.mean(200 * np.abs(test - found) / (np.abs(test) + np.abs(found)))
    assert smape == pytest.approx(expected, abs=0.12)
