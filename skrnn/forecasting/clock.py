"""Whole-number positions in place of times: the frequency that all series share."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skrnn.forecasting.frequency import DAY, UNITS, regular_offset


@dataclass(frozen=True)
class Clock:
    """The times of a frequency, numbered.

    Parameters
    ----------
    freq : DateOffset or int
        An int is the step of integers.
    origin : Timestamp, Period or int
        The time of position 0.

    Notes
    -----
    Steps of a day and longer go by the clock on the wall: in a time zone each day has
    the same time of day. Shorter steps all last equally long.

    Examples
    --------
    >>> import pandas as pd
    >>> from skrnn.forecasting.placing import make_clock
    >>> clock = make_clock(pd.date_range("2024-01-31", periods=9, freq="MS"))
    >>> clock.positions(pd.DatetimeIndex(["2024-01-01", "2024-04-01"]))
    array([-1,  2])
    >>> list(clock.times(9, 2).strftime("%b %Y"))
    ['Nov 2024', 'Dec 2024']
    """

    freq: Any
    origin: Any

    kind = ""  # what its times are

    @property
    def name(self):
        """The frequency in words."""
        return f"freq {self.freq.freqstr!r}"

    def positions(self, index):
        """Return the position of each time.

        Parameters
        ----------
        index : Index of length n
            Times of the same kind as the origin, in any order.

        Returns
        -------
        positions : ndarray of int64 of shape (n,)

        Raises
        ------
        TypeError
            If the times are of another kind, or only one of index and clock has a time
            zone.
        ValueError
            If a time lies between two positions.
        """
        positions, on = self.nearest(index)
        if not on.all():
            raise ValueError(
                f"Time {index[(~on).argmax()]} is not on the grid of {self.name} that "
                f"{self.origin} lies on{hint(index)}."
            )
        return positions

    def nearest(self, index):
        """Return the nearest positions, and whether each time is that of its position.

        Errors of kind are those of :meth:`positions`.
        """
        kind = kind_of(index)
        if kind != self.kind:
            raise TypeError(
                f"The times must be {self.kind} like those before, but are {kind}."
            )
        positions = self._round(index)
        return positions, np.asarray(self._equal(self.times_at(positions), index))

    def times(self, first, n):
        """Return the times of `n` positions from `first` on, which may be negative.

        Returns
        -------
        times : DatetimeIndex, PeriodIndex or RangeIndex of length n
        """
        return self.times_at(np.arange(first, first + n))

    def times_at(self, positions):
        """Return the times of positions in any order, an Index of length n."""
        raise NotImplementedError

    def _round(self, index):
        raise NotImplementedError

    def _equal(self, times, index):
        return times == index


class IntegerClock(Clock):
    """Integers with a constant step."""

    kind = "integers"

    @property
    def name(self):
        """The frequency in words."""
        return f"step {self.freq}"

    def _round(self, index):
        return (index.to_numpy(dtype=np.int64) - self.origin) // self.freq

    def times(self, first, n):
        """Return the integers of `n` positions from `first` on."""
        start = self.origin + int(first) * self.freq
        return pd.RangeIndex(start, start + n * self.freq, self.freq)

    def times_at(self, positions):
        """Return the integers of positions."""
        return pd.Index(self.origin + np.asarray(positions, np.int64) * self.freq)


class PeriodClock(Clock):
    """Periods, which a frequency may group."""

    kind = "periods"

    def _round(self, index):
        if index.freq != self.freq:
            raise TypeError(
                f"The periods have freq {index.freqstr!r}, but must have {self.name}."
            )
        return (index.asi8 - self.origin.ordinal) // self.freq.n

    def times_at(self, positions):
        """Return the periods of positions."""
        ordinals = self.origin.ordinal + np.asarray(positions, np.int64) * self.freq.n
        periods = pd.arrays.PeriodArray(ordinals, dtype=pd.PeriodDtype(self.freq))
        return pd.PeriodIndex(periods)


class DatetimeClock(Clock):
    """Datetimes, in a time zone or in none."""

    @property
    def kind(self):
        """What its times are."""
        return kind_of(pd.DatetimeIndex([self.origin]))

    @property
    def zone(self):
        """The time zone, or None."""
        return self.origin.tz

    def times(self, first, n):
        """Return the datetimes of `n` positions, with their freq set.

        It is None where a change of the clock leaves one of the times out.
        """
        times = self.times_at(np.arange(first, first + n))
        # pandas checks it, and no list of its errors holds for all of its versions
        with suppress(Exception):
            times.freq = self.freq
        return times

    def times_at(self, positions):
        """Return the datetimes of positions."""
        positions = np.asarray(positions, dtype=np.int64)
        if len(positions) == 0:
            return pd.DatetimeIndex([self.origin])[:0]
        step, unit = self._step()
        if step is None:
            low, high = min(positions.min(), 0), max(positions.max(), 0)
            return self._on_wall(self._grid(low, high)[positions - low])
        stamps = self._stamp(pd.DatetimeIndex([self.origin]), unit) + positions * step
        moments = pd.DatetimeIndex(stamps.view(f"M8[{unit}]"))
        if self._by_wall() or self.zone is None:
            return self._on_wall(moments)
        return moments.tz_localize("UTC").tz_convert(self.zone)

    def _round(self, index):
        if self.zone is not None:
            index = index.tz_convert(self.zone)
        step, unit = self._step()
        if step is None:
            return self._places(index.tz_localize(None))
        first = self._stamp(pd.DatetimeIndex([self.origin]), unit)
        return (2 * (self._stamp(index, unit) - first) + step) // (2 * step)

    def _equal(self, times, index):
        if self.zone is None or not self._by_wall():
            return times == index
        # of a time of the day that the clock shows twice, either counts
        wall = index.tz_convert(self.zone).tz_localize(None)
        return times.tz_localize(None) == wall

    def _by_wall(self):
        return self._days() is not None or not isinstance(self.freq, pd.offsets.Tick)

    def _days(self):
        """Return the days of a step, or None."""
        each = {"Day": 1, "Week": 7}.get(type(self.freq).__name__)
        return None if each is None else each * self.freq.n

    def _step(self):
        """Return how long a step lasts and in which unit; (None, None) if it varies."""
        days, unit = self._days(), self.origin.unit
        if days is None and not isinstance(self.freq, pd.offsets.Tick):
            return None, None
        length = self.freq.nanos if days is None else days * DAY
        if length % UNITS[unit]:
            unit = "ns"
        return length // UNITS[unit], unit

    def _stamp(self, index, unit):
        """Number the moments; those of the clock on the wall if it counts."""
        if self._by_wall() and index.tz is not None:
            index = index.tz_localize(None)
        return index.as_unit(unit).asi8

    def _on_wall(self, moments):
        if self.zone is None:
            return moments
        first = np.ones(len(moments), dtype=bool)  # of two equal times of the day
        return moments.tz_localize(
            self.zone, ambiguous=first, nonexistent="shift_forward"
        )

    def _grid(self, low, high):
        """Return the times on the wall of the positions low to high, around 0."""
        start = self.origin.tz_localize(None)
        after = pd.date_range(start, periods=high + 1, freq=self.freq, unit=start.unit)
        if low == 0:
            return after
        before = pd.date_range(
            start, periods=1 - low, freq=-1 * self.freq, unit=start.unit
        )
        return before[:0:-1].append(after)

    def _places(self, moments):
        """Return the nearest earlier positions in a grid that covers the moments."""
        if len(moments) == 0:
            return np.zeros(0, dtype=np.int64)
        start = self.origin.tz_localize(None)
        ends = {"start": start, "unit": start.unit}
        after = pd.date_range(end=max(moments.max(), start), freq=self.freq, **ends)
        before = pd.date_range(
            end=min(moments.min(), start), freq=-1 * self.freq, **ends
        )
        grid = before[:0:-1].append(after)
        return grid.searchsorted(moments, side="right") - len(before)


def label(index, place):
    """Return the repr of a label, without NumPy's types."""
    return repr(index[place : place + 1].tolist()[0])


def kind_of(index):
    """Say what the times of an index are; TypeError if they cannot be counted."""
    if isinstance(index, pd.DatetimeIndex):
        return f"datetimes {'without a' if index.tz is None else 'of a'} time zone"
    if isinstance(index, pd.PeriodIndex):
        return "periods"
    if index.dtype.kind in "iu" and index.nlevels == 1:
        return "integers"
    if index.dtype == object and all(isinstance(t, pd.Timestamp) for t in index):
        raise TypeError(
            "The times are of several time zones, or only some have one. Bring them "
            "to one with tz_localize or pd.to_datetime(times, utc=True)."
        )
    found = pd.api.types.infer_dtype(index, skipna=False)
    raise TypeError(
        "The times must be datetimes, periods or integers, but are of type "
        f"{found!r}. Convert them, for example with pd.to_datetime."
    )


def hint(times):
    """Say which frequency the times have, if they are regular."""
    if not isinstance(times, pd.DatetimeIndex):
        return ""
    own = regular_offset(times.drop_duplicates().sort_values())
    return "" if own is None else f"; these times have freq {own.freqstr!r}"
