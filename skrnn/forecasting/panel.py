"""A panel of series as arrays."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from skrnn.forecasting.clock import label


@dataclass(frozen=True)
class Panel:
    """Series end to end, each with the clock position at which it starts.

    Parameters
    ----------
    ids : Index of length n_series
        What the series are called.
    values : ndarray of float64 of shape (n_total,)
        The observations, NaN where they are missing.
    offsets : ndarray of int64 of shape (n_series + 1,)
        Where the values of each series begin.
    starts : ndarray of int64 of shape (n_series,)
        The clock position of the first value of each series.
    known, past : ndarray of float64 of shape (n_total, n_columns)
        The exogenous columns that are known ahead, and those known only in the past;
        NaN where they are missing.
    static : ndarray of float64 of shape (n_series, n_columns)
        What does not change within a series.
    """

    ids: pd.Index
    values: np.ndarray
    offsets: np.ndarray
    starts: np.ndarray
    known: np.ndarray
    past: np.ndarray
    static: np.ndarray

    def __len__(self):
        """The number of series."""
        return len(self.starts)

    @property
    def lengths(self):
        """The number of values of each series, an array of shape (n_series,)."""
        return np.diff(self.offsets)

    @property
    def ends(self):
        """The clock position after the last value of each series."""
        return self.starts + self.lengths

    @property
    def positions(self):
        """The clock position of each value, an array of shape (n_total,)."""
        return spans(self.starts, self.lengths)

    def rows(self, i):
        """Return the slice of series `i` in values, known and past."""
        return slice(self.offsets[i], self.offsets[i + 1])

    def series(self, i):
        """Return the values of series `i`, a view."""
        return self.values[self.rows(i)]

    def take(self, numbers):
        """Return some of the series, in the order of their numbers or by a mask."""
        numbers = np.arange(len(self))[numbers]
        return self._cut(numbers, self.starts[numbers], self.ends[numbers])

    def head(self, ends):
        """Return what lies before a clock position, or before one of each series.

        Series that begin later have no values then, but keep their numbers.

        Parameters
        ----------
        ends : int or array-like of shape (n_series,)
        """
        ends = np.clip(np.asarray(ends), self.starts, self.ends)
        return self._cut(np.arange(len(self)), self.starts, ends)

    def without_lead(self):
        """Return the series from their first value that is not missing on.

        A series without any has no values then. Those missing at the end stay: a
        forecast begins after the last row.
        """
        begins = self.offsets[:-1]
        seen = np.append(np.flatnonzero(~np.isnan(self.values)), len(self.values))
        first = np.minimum(seen[np.searchsorted(seen, begins)], self.offsets[1:])
        starts = self.starts + first - begins
        return self._cut(np.arange(len(self)), starts, self.ends)

    def extended(self, other, clock):
        """Return the panel with later rows of its series, and with new series.

        Parameters
        ----------
        other : Panel
            Positions between the panel's end and these rows become missing. Rows that
            overlap may be missing ones, which add nothing. The static values of a
            series that is known already are ignored.
        clock : Clock
            That of both, to name times in errors.

        Returns
        -------
        panel : Panel
            The new series follow in the order of `other`.

        Raises
        ------
        ValueError
            If a row is not later than those of the panel.
        """
        numbers = self.ids.get_indexer(other.ids)
        new = numbers < 0
        first = other.without_lead().starts  # new series begin with a value
        if len(self):
            first = np.where(new, first, np.minimum(first, self.ends[numbers]))
        starts = np.maximum(other.starts, first)
        other = other._cut(np.arange(len(other)), starts, other.ends)
        numbers[new] = len(self) + np.arange(new.sum())
        old = np.flatnonzero(~new)
        early = old[other.starts[old] < self.ends[numbers[old]]]
        if len(early):
            i = early[0]
            raise ValueError(
                f"Series {label(other.ids, i)} has a row for "
                f"{clock.times(other.starts[i], 1)[0]} already; it ends at "
                f"{clock.times(self.ends[numbers[i]] - 1, 1)[0]}. Pass later rows only."
            )
        ids = self.ids.append(other.ids[new]) if new.any() else self.ids
        starts = np.append(self.starts, other.starts[new])
        ends = np.append(self.ends, other.starts[new])
        ends[numbers] = other.ends
        panel = replace(
            empty_panel(ids, starts, ends, self.known.shape[1], self.past.shape[1]),
            static=np.concatenate([self.static, other.static[new]]),
        )
        panel._write(np.arange(len(self)), self)
        panel._write(numbers, other)
        return panel

    def _write(self, numbers, other):
        """Copy the rows of another panel, whose series have these numbers here."""
        shift = self.offsets[numbers] + other.starts - self.starts[numbers]
        rows = spans(shift, other.lengths)
        for name in ("values", "known", "past"):
            getattr(self, name)[rows] = getattr(other, name)

    def _cut(self, numbers, starts, ends):
        """Return the values of some series between two positions of each."""
        rows = spans(
            self.offsets[numbers] + starts - self.starts[numbers], ends - starts
        )
        return Panel(
            self.ids[numbers],
            self.values[rows],
            offsets_of(ends - starts),
            starts.copy(),
            self.known[rows],
            self.past[rows],
            self.static[numbers],
        )


def empty_panel(ids, starts, ends, n_known, n_past):
    """Return a panel of missing values, without static ones."""
    offsets = offsets_of(ends - starts)
    total = offsets[-1]
    return Panel(
        ids,
        np.full(total, np.nan),
        offsets,
        np.asarray(starts, dtype=np.int64),
        np.full((total, n_known), np.nan),
        np.full((total, n_past), np.nan),
        np.empty((len(ids), 0)),
    )


def joined(panels):
    """Return the series of several panels with the same columns as one panel."""
    ids, *others = (panel.ids for panel in panels)
    return Panel(
        ids.append(others),
        np.concatenate([panel.values for panel in panels]),
        offsets_of(np.concatenate([panel.lengths for panel in panels])),
        *(
            np.concatenate([getattr(panel, name) for panel in panels])
            for name in ("starts", "known", "past", "static")
        ),
    )


def offsets_of(lengths):
    """Return where pieces of these lengths begin and, at last, where they end."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def spans(begins, lengths):
    """Return the numbers of several ranges, one after the other."""
    offsets = offsets_of(lengths)
    return np.repeat(begins - offsets[:-1], lengths) + np.arange(offsets[-1])
