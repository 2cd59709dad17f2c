"""Forecasts of many series by the theta method: a classical member of ensembles.

A series is rid of its season, where it has one, and smoothed exponentially; its linear
trend is then added in part. In the standard method that is half of the slope of the
whole series. In the dynamic optimised one the share is fitted, and the line is fitted
anew at each step t to what was seen until then, with intercept A_t and slope B_t::

    forecast_{t+1} = l_t + w [(1 - alpha)^t A_t + (1 - (1 - alpha)^(t+1)) / alpha B_t]
    l_t = alpha y_t + (1 - alpha) l_{t-1},                    w = 1 - 1 / theta

For a given alpha the one-step errors are linear in the initial level and w, so that
least squares gives both exactly, and what remains is a search over alpha alone.

References: Assimakopoulos and Nikolopoulos, "The theta model", International Journal of
Forecasting 16 (2000); Hyndman and Billah, "Unmasking the theta method", IJF 19 (2003);
Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler, "Models for optimising the theta
method and their relationship to state space models", IJF 32 (2016).
"""

import numpy as np

from skrnn._jit import inner, kernel
from skrnn.forecasting.seasonality import (
    ends_of,
    filled,
    is_seasonal,
    seasonal_indices,
)

# Fewer points do not determine three parameters.
N_POINTS_OPTIMISED = 8
# The first one-step errors tell about the initial values only, and are not counted.
N_ERRORS_SKIPPED = 3
# Those of the published implementations; exponential smoothing may forget more slowly.
LOWEST_ALPHA, HIGHEST_ALPHA, LOWEST_ALPHA_STANDARD = 0.1, 0.99, 0.01
N_GRID, N_REFINED = 16, 24
GOLDEN = 0.6180339887498949
# Short series often fit nearly as well with an alpha near 0, or with a wild initial
# level, and are forecast worse then. So the squares are divided by alpha^(2 PRIOR / n),
# as a density of alpha proportional to alpha^PRIOR would do, and penalised for an
# initial level away from the first value; chosen on the training parts of M3.
PRIOR = 0.5
START_RIDGE = 1e-2  # of series of mean size 1
SMALLEST = 1e-300  # mean size of a series that is not all zeros but for rounding
RIDGE = 1e-8  # of the weight, which the errors may not determine at all


def theta_forecasts(values, offsets, horizon, season_length=1, *, optimised=True):
    """Forecast each series by the theta method.

    Parameters
    ----------
    values : array-like of shape (n_values,)
        The series end to end, each in the order of time. NaN is a missing value:
        between two others a straight line fills it in; at a series' end the forecasts
        begin after it all the same.
    offsets : array-like of int of shape (n_series + 1,)
        Series i is ``values[offsets[i]:offsets[i + 1]]``.
    horizon : int
        The number of steps ahead, at least 1.
    season_length : int, default=1
        The steps of a season; 1 means none. A series is adjusted if it covers three
        seasons and its autocorrelation at that lag is significant at 90 %: by factors
        if all its values are positive, else by differences (classical decomposition).
    optimised : bool, default=True
        Whether to fit the weight of the trend, which is the dynamic optimised theta
        model of Fiorucci et al. (2016), or to take half of it, the standard theta
        method of Assimakopoulos and Nikolopoulos (2000). The latter also forecasts
        series of fewer than 8 values.

    Returns
    -------
    forecasts : ndarray of float64 of shape (n_series, horizon)
        Of a series of fewer than 4 values, or of equal ones, the last value; NaN of a
        series without any.

    Raises
    ------
    ValueError
        If a value is infinite, `offsets` do not divide `values`, or `horizon` or
        `season_length` is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.forecasting.theta import theta_forecasts
    >>> values = [*range(10), 7, 7]  # a straight line, and a constant
    >>> theta_forecasts(values, [0, 10, 12], horizon=3).round(3)
    array([[10., 11., 12.],
           [ 7.,  7.,  7.]])
    """
    values = np.asarray(values, dtype=np.float64)
    offsets = np.asarray(offsets)
    _check(values, offsets, horizon, season_length)
    forecasts = np.full((len(offsets) - 1, horizon), np.nan)
    _forecast_all(
        np.ascontiguousarray(values),
        offsets.astype(np.int64),
        np.int64(season_length),
        bool(optimised),
        forecasts,
    )
    return forecasts


def _check(values, offsets, horizon, season_length):
    for name, number in [("horizon", horizon), ("season_length", season_length)]:
        if number != int(number) or number < 1:
            raise ValueError(f"{name} must be an integer >= 1, got {number!r}.")
    if values.ndim != 1 or offsets.ndim != 1 or not len(offsets):
        raise ValueError(
            "values and offsets must be one-dimensional, and offsets not empty; their "
            f"shapes are {values.shape} and {offsets.shape}."
        )
    if not np.issubdtype(offsets.dtype, np.integer):
        raise ValueError(f"offsets must be integers, got {offsets.dtype}.")
    if offsets[0] != 0 or offsets[-1] != len(values) or (np.diff(offsets) < 0).any():
        raise ValueError(
            f"offsets must increase from 0 to the number of values, {len(values)}."
        )
    if np.isinf(values).any():
        place = int(np.flatnonzero(np.isinf(values))[0])
        series = int(np.searchsorted(offsets, place, side="right")) - 1
        raise ValueError(
            f"Series {series} is infinite at step {place - offsets[series]}. "
            "Missing values are NaN."
        )


@kernel
def _forecast_all(values, offsets, season_length, optimised, forecasts):
    for i in range(len(offsets) - 1):
        _forecast(
            values[offsets[i] : offsets[i + 1]], season_length, optimised, forecasts[i]
        )


@kernel
def _forecast(series, m, optimised, out):
    """Forecast one series into `out` (horizon,), untouched if it has no value."""
    first, last = ends_of(series)
    if last < first:
        return
    n = last + 1 - first
    y = filled(series[first : last + 1])
    n_hidden = len(series) - 1 - last  # steps at the end that are missing
    ahead = np.empty(n_hidden + len(out))
    scale = np.abs(y).mean()
    if n < 4 or y.max() == y.min() or scale < SMALLEST:
        out[:] = y[n - 1]
        return
    y /= scale  # so that nothing depends on the units
    season, is_factor = np.zeros(m), False
    if is_seasonal(y, m):
        is_factor = seasonal_indices(y, season)
        for t in range(n):
            y[t] = y[t] / season[t % m] if is_factor else y[t] - season[t % m]
    if optimised and n >= N_POINTS_OPTIMISED:
        _dynamic_optimised(y, ahead)
    else:
        _standard(y, ahead)
    for h in range(len(out)):
        index = season[(n + n_hidden + h) % m]
        value = ahead[n_hidden + h]
        out[h] = scale * (value * index if is_factor else value + index)


# Standard theta -----------------------------------------------------------------------


@kernel
def _standard(y, out):
    """Smooth exponentially, with half of the slope of the whole series as drift."""
    n = len(y)
    none = np.zeros(n)
    alpha, start, _ = _fit(y, none, none, 1, LOWEST_ALPHA_STANDARD, False)
    level = start
    for t in range(n):
        level += alpha * (y[t] - level)
    middle = 0.5 * (n - 1)
    slope = 0.0
    for t in range(n):
        slope += (t - middle) * y[t]
    drift = 6.0 * slope / (n * (n * n - 1.0))  # half of 12 sum / (n^3 - n)
    learnt = (1.0 - (1.0 - alpha) ** n) / alpha
    for h in range(len(out)):
        out[h] = level + drift * (h + learnt)


# Dynamic optimised theta --------------------------------------------------------------


@inner
def _next_line(t, y, mean, slope):
    """Return mean, intercept and slope of the line through steps 0 to t.

    `mean` and `slope` are of the steps before t. The intercept is a step before the
    first one.
    """
    new_slope = ((t - 1.0) * slope + 6.0 * (y - mean) / (t + 1.0)) / (t + 2.0)
    new_mean = (t * mean + y) / (t + 1.0)
    return new_mean, new_mean - 0.5 * new_slope * (t + 2.0), new_slope


@kernel
def _dynamic_optimised(y, out):
    """Fit and forecast; a forecast takes the place of the value that is not known."""
    n = len(y)
    intercepts, slopes = np.zeros(n), np.zeros(n)  # of the steps until t
    mean, intercepts[0] = y[0], y[0]
    for t in range(1, n):
        mean, intercepts[t], slopes[t] = _next_line(t, y[t], mean, slopes[t - 1])
    alpha, level, weight = _fit(
        y, intercepts, slopes, N_ERRORS_SKIPPED, LOWEST_ALPHA, True
    )
    for t in range(n):
        level += alpha * (y[t] - level)
    intercept, slope = intercepts[n - 1], slopes[n - 1]
    for h in range(len(out)):
        t = n + h
        kept = (1.0 - alpha) ** t
        trend = kept * intercept + (1.0 - kept * (1.0 - alpha)) / alpha * slope
        out[h] = level + weight * trend
        level += alpha * (out[h] - level)
        mean, intercept, slope = _next_line(t, out[h], mean, slope)


# Both ---------------------------------------------------------------------------------


@kernel
def _fit(y, intercepts, slopes, n_skipped, lowest, has_trend):
    """Return alpha, the initial level and the weight of the trend of least squares."""
    best, least = 0, np.inf
    step = (HIGHEST_ALPHA - lowest) / (N_GRID - 1)
    for k in range(N_GRID):
        found = _squared_errors(
            lowest + step * k, y, intercepts, slopes, n_skipped, has_trend
        )
        if found[0] < least:
            best, least = k, found[0]
    # golden section between the neighbours of the best
    low = lowest + step * max(best - 1, 0)
    high = lowest + step * min(best + 1, N_GRID - 1)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left = _squared_errors(left, y, intercepts, slopes, n_skipped, has_trend)
    at_right = _squared_errors(right, y, intercepts, slopes, n_skipped, has_trend)
    for _ in range(N_REFINED):
        if at_left[0] <= at_right[0]:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = _squared_errors(left, y, intercepts, slopes, n_skipped, has_trend)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = _squared_errors(
                right, y, intercepts, slopes, n_skipped, has_trend
            )
    alpha, found = left, at_left
    if at_right[0] < at_left[0]:
        alpha, found = right, at_right
    return alpha, found[1], found[2]


@kernel
def _squared_errors(alpha, y, intercepts, slopes, n_skipped, has_trend):
    """Return the least squares, penalised, of an alpha; initial level and weight.

    The error of a step is that of a level which began at the first value, less what a
    different beginning, and the trend, add to it.
    """
    level, kept = y[0], 1.0
    start_start, trend_trend = START_RIDGE, RIDGE
    start_trend = error_start = error_trend = error_error = 0.0
    for t in range(len(y)):
        if t >= n_skipped:
            error = y[t] - level
            trend = 0.0
            if has_trend:
                learnt = (1.0 - kept * (1.0 - alpha)) / alpha
                trend = kept * intercepts[t - 1] + learnt * slopes[t - 1]
            start_start += kept * kept
            start_trend += kept * trend
            trend_trend += trend * trend
            error_start += error * kept
            error_trend += error * trend
            error_error += error * error
        level += alpha * (y[t] - level)
        kept *= 1.0 - alpha
    weight = 0.0
    if has_trend:
        determinant = start_start * trend_trend - start_trend * start_trend
        weight = start_start * error_trend - start_trend * error_start
        weight = min(max(weight / determinant, 0.0), 1.0)  # theta is at least 1
    start = (error_start - weight * start_trend) / start_start
    squares = error_error - 2.0 * (start * error_start + weight * error_trend)
    squares += start * start * start_start + weight * weight * trend_trend
    squares += 2.0 * start * weight * start_trend
    penalty = alpha ** (-2.0 * PRIOR / len(y))
    return max(squares, 0.0) * penalty, y[0] + start, weight
