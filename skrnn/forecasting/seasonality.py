"""The season of a series: whether there is one, and what each of its steps adds."""

import numpy as np

from skrnn._jit import inner, kernel

# The 90 % quantile that both sides of the autocorrelation test share.
SEASONAL_T = 1.645
# How much the changes must correlate with those of a season before to show one.
SEASONAL_CORRELATION = 0.5
LONGEST_DETECTED = 400
# Series that are asked for their season.
N_ASKED = 200


@inner
def ends_of(series):
    """Return the first and the last step with a value; the last is -1 without any."""
    first, last = 0, len(series) - 1
    while last >= 0 and np.isnan(series[last]):
        last -= 1
    while first < last and np.isnan(series[first]):
        first += 1
    return first, last


@kernel
def filled(series):
    """Return a copy with lines across missing values; the ends are there."""
    y = series.copy()
    before = 0
    for t in range(1, len(y)):
        if not np.isnan(series[t]):
            slope = (y[t] - y[before]) / (t - before)
            for s in range(before + 1, t):
                y[s] = y[before] + slope * (s - before)
            before = t
    return y


@kernel
def is_seasonal(y, m):
    """Whether the autocorrelation at lag m is significant, those before it allowed."""
    n = len(y)
    if m < 2 or n < 3 * m:
        return False
    d = y - y.mean()
    variance = np.dot(d, d)
    if variance <= 0.0:
        return False
    before, r = 0.0, 0.0
    for lag in range(1, m + 1):
        before += r * r
        r = np.dot(d[lag:], d[: n - lag]) / variance
    limit = SEASONAL_T * np.sqrt((1.0 + 2.0 * before) / n)
    return np.abs(r) > limit


@kernel
def seasonal_indices(y, season):
    """Put the indices into `season` (m,), of which y[t] has the (t mod m)-th.

    Returns whether they are factors, which they are where the values are positive.
    """
    if y.min() > 0.0:
        mean_deviations(y, season, True)
        season /= season.mean()
        # Dividing by less would blow up what is noise.
        if season.min() > 0.01:
            return True
    mean_deviations(y, season, False)
    season -= season.mean()
    return False


@kernel
def mean_deviations(y, season, is_factor):
    """Average what y is to its moving mean over a season, for each step of a season."""
    n, m = len(y), len(season)
    half = m // 2
    season[:] = 0.0
    counts = np.zeros(m)
    for t in range(half, n - half):
        trend = _moving_mean(y, t, m)
        season[t % m] += y[t] / trend if is_factor else y[t] - trend
        counts[t % m] += 1.0
    season /= counts


@inner
def _moving_mean(y, t, m):
    """Return the mean over a season around step t, its ends counting half each."""
    half = m // 2
    if m % 2:
        return y[t - half : t + half + 1].sum() / m
    ends = 0.5 * (y[t - half] + y[t + half])
    return (y[t - half + 1 : t + half].sum() + ends) / m


@kernel
def shrunk(y, season):
    """Shrink differences towards 0 as far as they may be noise (James and Stein 1961).

    As Miller and Williams (2003) propose for seasons: by the share of the squares of
    `season` (m,) that the scatter about it would give on its own.
    """
    m, half = len(season), len(season) // 2
    n = len(y) - 2 * half
    squares = (season * season).sum()
    if m < 4 or n <= m or squares == 0.0:
        return
    scatter = np.zeros(len(y))
    means = np.zeros(m)
    counts = np.zeros(m)
    for t in range(half, half + n):
        scatter[t] = y[t] - _moving_mean(y, t, m)
        means[t % m] += scatter[t]
        counts[t % m] += 1.0
    means /= counts
    noise = 0.0
    for t in range(half, half + n):
        noise += (scatter[t] - means[t % m]) ** 2
    noise *= (1.0 / counts).mean() / (n - m)  # variance of a mean
    season *= max(1.0 - (m - 3) * noise / squares, 0.0)


def detect_season(values, offsets):
    """Return the season that most of some series seem to have, 1 for none.

    Parameters
    ----------
    values : ndarray of float64 of shape (n_values,)
        Series end to end, NaN where missing.
    offsets : ndarray of int64 of shape (n_series + 1,)

    Returns
    -------
    season_length : int
        The lag at which the changes of most series correlate most with themselves.
    """
    n_series = len(offsets) - 1
    chosen = np.linspace(0, n_series - 1, min(n_series, N_ASKED)).astype(np.int64)
    votes = np.zeros(LONGEST_DETECTED + 1, np.int64)
    for i in np.unique(chosen):
        votes[_season_of(values[offsets[i] : offsets[i + 1]])] += 1
    season = int(votes[2:].argmax()) + 2
    return season if 2 * votes[season] > votes.sum() else 1


@kernel
def _season_of(series):
    """Return the lag from 2 on of the largest autocorrelation of the changes, or 1."""
    first, last = ends_of(series)
    if last - first < 7:
        return 1
    y = filled(series[first : last + 1])
    d = y[1:] - y[:-1]
    n = len(d)
    d -= d.mean()
    variance = np.dot(d, d)
    season, best = 1, SEASONAL_CORRELATION * variance
    for lag in range(2, min(n // 3, LONGEST_DETECTED) + 1):
        r = np.dot(d[lag:], d[: n - lag]) * n / (n - lag)
        # a multiple of a season is no better than the season
        if r > best * (1.0 if season == 1 else 1.1):
            season, best = lag, r
    return season
