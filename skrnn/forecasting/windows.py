"""Windows of series, each at its own level and scale, computed where they are taken."""

from copy import copy
from dataclasses import dataclass

import numpy as np

from skrnn._jit import kernel
from skrnn.blocks import CACHE_BYTES, blocks_of

# Added to the scale of a window, or where that is less the mean change of its series:
# a window that is constant would have no scale, and a calm one too small a one.
SMALLEST_SCALE = 0.01
# Smaller changes, relative to the size of a series, are rounding errors.
SMALLEST_CHANGE = 1e-9
# The scale of a window of one value, which has no changes to tell.
SCALE_OF_ONE = 0.1
# The logarithm of a usual scale, which becomes 0 among the facts of a window, and how
# far others may be from it there.
USUAL_LOG_SCALE, FURTHEST_LOG_SCALE = -3.0, 4.0
# Targets so many scales away, after a jump from a constant, would rule all others.
FURTHEST = 1e3


@dataclass(frozen=True)
class WindowShape:
    """How much of a series a window holds, and how the network reads it.

    Attributes
    ----------
    n_lags : int
        Steps of a window, a multiple of `frame`.
    horizon : int
        Steps to forecast.
    frame : int
        So many steps are one time step of the network.
    n_level : int
        The level of a window is the mean of so many of its last values.
    n_first : int
        Windows to train on end after so many steps of a series, or where the targets
        of a shorter one begin.
    """

    n_lags: int
    horizon: int
    frame: int
    n_level: int
    n_first: int


class Computed:
    """A data set whose samples, all equally long, are computed where they are taken.

    It has the names through which the rest of the package sees a data set.

    Parameters
    ----------
    compute : callable
        ``compute(rows)`` returns an array of shape (n_rows, n_steps, n_channels).
    n_samples, n_steps, n_channels : int
    """

    dtype = np.dtype(np.float32)
    index = None

    def __init__(self, compute, n_samples, n_steps, n_channels):
        self._compute = compute
        self.lengths = np.broadcast_to(np.int64(n_steps), (n_samples,))
        self.n_channels = n_channels

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, rows):
        """Compute the steps of some samples, one sample after the other."""
        if isinstance(rows, slice):
            rows = np.arange(len(self))[rows]
        steps = self._compute(rows).reshape(-1, self.n_channels)
        return np.ascontiguousarray(steps, self.dtype)

    def blocks(self, max_bytes=CACHE_BYTES):
        """Yield slices of consecutive samples that `take` can hold in memory."""
        return blocks_of(self.lengths, self.n_channels * 4, max_bytes)


class Windows:
    """Windows of prepared series: the last steps before an origin, and what follows.

    Parameters
    ----------
    shape : WindowShape
    prepared : Prepared
    offsets : ndarray of int64 of shape (n_series + 1,)
    known, past : ndarray of shape (n_values, n_columns)
        Exogenous columns, brought to scale and without missing values.
    static : ndarray of shape (n_series, n_columns)
        Likewise.
    series, ends : ndarray of int64 of shape (n_windows,)
        The series of each window, and the place of its last step among all values.
    """

    def __init__(self, shape, prepared, offsets, known, past, static, series, ends):
        self.shape = shape
        self.prepared = prepared
        self.offsets = offsets
        self.known = known
        self.past = past
        self.series = series
        self.ends = ends
        strength = prepared.seasons.std(axis=1)
        self._facts = np.column_stack([prepared.is_log, strength, static])
        changes = prepared.changes
        self._floors = np.where(changes > SMALLEST_CHANGE, changes, SMALLEST_SCALE)
        self._floors = np.minimum(self._floors, SMALLEST_SCALE)
        self._lines = _lines(prepared.values, offsets)
        self._last = None, None

    def __len__(self) -> int:
        return len(self.ends)

    def reshaped(self, shape):
        """Return windows of another shape with the same ends, for one thread."""
        windows = copy(self)
        windows.shape = shape
        windows._last = None, None
        return windows

    @property
    def n_columns(self):
        """The channels of a step: its value and the exogenous columns."""
        return 1 + self.known.shape[1] + self.past.shape[1]

    @property
    def n_frames(self):
        """Time steps of the network: those of the future have the known columns."""
        shape = self.shape
        n_ahead = -(-shape.horizon // shape.frame) if self.known.shape[1] else 0
        return shape.n_lags // shape.frame + n_ahead

    @property
    def n_channels(self):
        """Channels of a time step of the network."""
        return self.shape.frame * self.n_columns + 2 + self._facts.shape[1]

    def normalized(self, rows):
        """Return some windows at level 0 and scale 1.

        Returns
        -------
        window : ndarray of float64 of shape (n_rows, n_lags)
            Missing values lie on a line between those around them, and before the
            first there is that one.
        level, scale : ndarray of shape (n_rows,)
            The mean of the last values, and the mean size of the changes.
        share : ndarray of shape (n_rows,)
            How much of the window the history fills.
        """
        if rows is self._last[0]:  # inputs and targets of the same ones
            return self._last[1]
        n = len(rows)
        window = np.empty((n, self.shape.n_lags))
        level, scale, share = np.empty(n), np.empty(n), np.empty(n)
        _normalize(
            *self._lines,
            self.offsets[self.series[rows]],
            self.ends[rows],
            self._floors[self.series[rows]],
            self.shape.n_level,
            window,
            level,
            scale,
            share,
        )
        self._last = rows, (window, level, scale, share)
        return self._last[1]

    def inputs(self, rows):
        """Return what the network reads, (n_rows, n_frames, n_channels)."""
        shape, n = self.shape, len(rows)
        window, _, scale, share = self.normalized(rows)
        n_steps = self.n_frames * shape.frame
        steps = np.zeros((n, n_steps, self.n_columns), np.float32)
        steps[:, : shape.n_lags, 0] = window
        n_known = self.known.shape[1]
        if self.n_columns > 1:
            at = self._places(rows, n_steps)
            steps[:, :, 1 : 1 + n_known] = self.known[at]
            lags = at[:, : shape.n_lags]
            steps[:, : shape.n_lags, 1 + n_known :] = self.past[lags]
        facts = self.facts(rows, scale, share)
        frames = np.empty((n, self.n_frames, self.n_channels), np.float32)
        width = shape.frame * self.n_columns
        frames[:, :, :width] = steps.reshape(n, self.n_frames, width)
        frames[:, :, width:] = facts[:, np.newaxis]
        return frames

    def facts(self, rows, scale, share):
        """Return what is known of each window as a whole, (n_rows, n_facts)."""
        usual = np.log(scale) - USUAL_LOG_SCALE
        usual = np.clip(usual, -FURTHEST_LOG_SCALE, FURTHEST_LOG_SCALE)
        return np.column_stack([usual, share, self._facts[self.series[rows]]])

    def flat(self, rows):
        """Return what a linear model reads, (n_rows, n_features), 1 at last."""
        window, _, scale, share = self.normalized(rows)
        parts = [window, self.facts(rows, scale, share)]
        if self.known.shape[1]:
            n_lags = self.shape.n_lags
            at = self._places(rows, n_lags + self.shape.horizon)[:, n_lags:]
            width = self.shape.horizon * self.known.shape[1]  # none of rows may be left
            parts.append(self.known[at].reshape(len(rows), width))
        if self.past.shape[1]:
            parts.append(self.past[self.ends[rows]])
        return np.column_stack([*parts, np.ones(len(rows))])

    def targets(self, rows):
        """Return what follows, as far as it is known, and the scales.

        Returns
        -------
        targets : ndarray of float64 of shape (n_rows, horizon)
            At the level and scale of each window, NaN where unknown.
        scale : ndarray of shape (n_rows,)
        """
        _, level, scale, _ = self.normalized(rows)
        ahead = 1 + np.arange(self.shape.horizon)
        at = self.ends[rows][:, np.newaxis] + ahead
        stop = self.offsets[self.series[rows] + 1][:, np.newaxis]
        values = self.prepared.values[np.minimum(at, stop - 1)]
        values = np.where(at < stop, values, np.nan)
        targets = (values - level[:, np.newaxis]) / scale[:, np.newaxis]
        return np.clip(targets, -FURTHEST, FURTHEST), scale

    def advance(self, values):
        """Take forecasts, (n_windows, horizon), for values, and go on after them."""
        horizon = self.shape.horizon
        at = self.ends[:, np.newaxis] + 1 + np.arange(horizon)
        self.prepared.values[at] = values
        self.ends = self.ends + horizon
        self._lines = _lines(self.prepared.values, self.offsets)
        self._last = None, None

    def _places(self, rows, n_steps):
        """Return where the steps of windows are.

        Those before a series are at its start, and those after it or after the horizon,
        which may end within a frame, at the last.
        """
        at = self.ends[rows][:, np.newaxis] + 1 - self.shape.n_lags + np.arange(n_steps)
        series = self.series[rows]
        first, stop = self.offsets[series], self.offsets[series + 1]
        last = np.minimum(stop - 1, self.ends[rows] + self.shape.horizon)
        return np.clip(at, first[:, np.newaxis], last[:, np.newaxis])


def training_ends(offsets, n_first):
    """Return the series and the ends of all windows with something to learn from.

    Parameters
    ----------
    offsets : ndarray of int64 of shape (n_series + 1,)
    n_first : int
        Steps of the first window of a series, fewer if it has fewer.

    Returns
    -------
    series, ends : ndarray of int64 of shape (n_windows,)
    """
    lengths = np.diff(offsets)
    first = np.minimum(n_first, lengths - 1)
    counts = np.where(lengths > 1, lengths - first, 0)
    series = np.repeat(np.arange(len(lengths)), counts)
    begins = np.cumsum(counts) - counts
    within = np.arange(len(series)) - begins[series]
    return series, offsets[series] + first[series] - 1 + within


@kernel
def _normalize(
    lines, before, starts, ends, floors, n_level, window, level, scale, share
):
    n_lags = window.shape[1]
    for row in range(len(ends)):
        end = ends[row]
        n = min(n_lags, end - starts[row] + 1)
        last = before[end]  # what comes after it is not known yet
        for k in range(n_lags):
            at = max(end - n_lags + 1 + k, end - n + 1)
            window[row, k] = lines[min(at, last)]
        m = min(n_level, n)
        total = 0.0
        for k in range(n_lags - m, n_lags):
            total += window[row, k]
        level[row] = total / m
        total = 0.0
        for k in range(n_lags - n + 1, n_lags):
            total += abs(window[row, k] - window[row, k - 1])
        scale[row] = total / (n - 1) + floors[row] if n > 1 else SCALE_OF_ONE
        for k in range(n_lags):
            window[row, k] = (window[row, k] - level[row]) / scale[row]
        share[row] = n / n_lags


@kernel
def _lines(values, offsets):
    """Return the values with lines across missing ones, and the last known place.

    Each series begins with a known value; after its last one there is that.
    """
    lines = values.copy()
    before = np.empty(len(values), np.int64)
    for i in range(len(offsets) - 1):
        known = offsets[i]
        for at in range(offsets[i], offsets[i + 1]):
            if not np.isnan(values[at]):
                slope = (values[at] - values[known]) / max(at - known, 1)
                for between in range(known + 1, at):
                    lines[between] = values[known] + (between - known) * slope
                known = at
            else:
                lines[at] = values[known]
            before[at] = known
    return lines, before
