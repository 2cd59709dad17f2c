"""Series on a scale on which changes are alike at every level, and back."""

from dataclasses import dataclass

import numpy as np

from skrnn._jit import kernel
from skrnn.forecasting.seasonality import (
    ends_of,
    filled,
    is_seasonal,
    mean_deviations,
    shrunk,
)

# Values this much smaller than the median would rule all differences of logarithms.
SMALLEST_SHARE = 1e-3
# Nothing can be told of smaller numbers, which have few digits or none.
SMALLEST = 1e-300
# So far from all that was seen is no forecast, but an overflow.
WIDEST = 20.0


@dataclass(frozen=True)
class Prepared:
    """Series as the networks see them: ``z = f(value / unit) - season``.

    Attributes
    ----------
    values : ndarray of float64 of shape (n_values,)
        Each z, NaN where the value is missing.
    is_log : ndarray of bool of shape (n_series,)
        Whether f is the logarithm, else it leaves its argument as it is.
    units : ndarray of float64 of shape (n_series,)
        The median size of the values of a series.
    seasons : ndarray of float64 of shape (n_series, season_length)
        The t-th value of a series has season ``t % season_length``; zeros without one.
    floors : ndarray of float64 of shape (n_series,)
        What no forecast falls below: 0 if no value did, else -inf.
    changes : ndarray of float64 of shape (n_series,)
        The mean size of the changes of z from step to step.
    lows, highs : ndarray of float64 of shape (n_series,)
        The least and the greatest logarithm of a value in units, where f is that.
    """

    values: np.ndarray
    is_log: np.ndarray
    units: np.ndarray
    seasons: np.ndarray
    floors: np.ndarray
    changes: np.ndarray
    lows: np.ndarray
    highs: np.ndarray

    def restore(self, z, first):
        """Return the values that some z stand for.

        Parameters
        ----------
        z : ndarray of shape (n_series, n_steps, ...)
        first : ndarray of int of shape (n_series,)
            The number of the first of these steps in its series.

        Returns
        -------
        values : ndarray of the shape of z
        """
        z = z + self._season(z, first)
        is_log, units = _beside(self.is_log, z), _beside(self.units, z)
        lows = np.minimum(_beside(self.lows, z), 0.0) - WIDEST
        highs = np.maximum(_beside(self.highs, z), 0.0) + WIDEST
        values = np.where(is_log, np.exp(np.clip(z, lows, highs)), z)
        return self.floored(values * units)

    def view(self, values, first):
        """Return the z of some values, the inverse of `restore`.

        Logarithms are of `SMALLEST_SHARE` of the unit at least, or of the smallest
        value seen.
        """
        is_log = _beside(self.is_log, values)
        share = values / _beside(self.units, values)
        seen = np.exp(np.maximum(self.lows, -700.0))  # not 0, which has no logarithm
        smallest = _beside(np.minimum(seen, SMALLEST_SHARE), values)
        z = np.where(is_log, np.log(np.maximum(share, smallest)), share)
        return z - self._season(values, first)

    def floored(self, values):
        """Return values that do not fall below those that a series may have."""
        return np.maximum(values, _beside(self.floors, values))

    def _season(self, values, first):
        """Return the season of steps of each series, to be broadcast."""
        steps = first[:, np.newaxis] + np.arange(values.shape[1])
        season = np.take_along_axis(self.seasons, steps % self.seasons.shape[1], axis=1)
        return season.reshape(season.shape + (1,) * (values.ndim - 2))


def _beside(numbers, values):
    """Return one number for each series, to be broadcast over values."""
    return numbers.reshape((-1,) + (1,) * (values.ndim - 1))


def prepare(values, offsets, season_length=1, log="auto"):
    """Prepare series for the networks.

    Parameters
    ----------
    values : ndarray of float64 of shape (n_values,)
        Series end to end, each with one value at least; NaN where missing.
    offsets : ndarray of int64 of shape (n_series + 1,)
    season_length : int, default=1
        The steps of a season that is taken out where an autocorrelation test finds it;
        1 for none.
    log : {"auto"} or bool, default="auto"
        Whether to take logarithms of series whose values are all positive; "auto" does
        where none of them is vanishingly small.

    Returns
    -------
    prepared : Prepared
    """
    n_series = len(offsets) - 1
    m = int(season_length)
    prepared = Prepared(
        np.empty_like(values),
        np.zeros(n_series, dtype=bool),
        np.ones(n_series),
        np.zeros((n_series, m)),
        np.full(n_series, -np.inf),
        *(np.zeros(n_series) for _ in range(3)),
    )
    share = {"auto": SMALLEST_SHARE, True: 0.0, False: np.inf}[log]
    _prepare_all(
        values,
        offsets,
        share,
        prepared.values,
        prepared.is_log,
        prepared.units,
        prepared.seasons,
        prepared.floors,
        prepared.changes,
        prepared.lows,
        prepared.highs,
    )
    return prepared


@kernel
def _prepare_all(
    values, offsets, share, out, is_log, units, seasons, floors, changes, lows, highs
):
    for i in range(len(offsets) - 1):
        begin, end = offsets[i], offsets[i + 1]
        first, last = ends_of(values[begin:end])
        y = filled(values[begin + first : begin + last + 1])
        sizes = np.sort(np.abs(y))
        smallest, median = y.min(), sizes[len(sizes) // 2]
        if median == 0.0:
            median = sizes.mean()
        units[i] = median if median > SMALLEST else 1.0
        if smallest >= 0.0:
            floors[i] = 0.0
        is_log[i] = smallest > SMALLEST and smallest > share * median
        for t in range(len(y)):
            y[t] = np.log(y[t] / units[i]) if is_log[i] else y[t] / units[i]
        if is_log[i]:
            lows[i], highs[i] = y.min(), y.max()
        season = seasons[i]
        m = len(season)
        if is_seasonal(y, m):
            mean_deviations(y, season, False)
            season -= season.mean()
            shrunk(y, season)
        for t in range(begin, end):
            z = values[t] / units[i]
            out[t] = (np.log(z) if is_log[i] else z) - season[(t - begin - first) % m]
        for t in range(1, len(y)):
            step = y[t] - season[t % m] - y[t - 1] + season[(t - 1) % m]
            changes[i] += abs(step) / (len(y) - 1)
        # the first step of the series has the first season
        turned = season.copy()
        for k in range(m):
            season[(k + first) % m] = turned[k]
