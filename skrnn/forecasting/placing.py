"""Which clock the series of a user go by, and where on it each row lies."""

import numpy as np
import pandas as pd

from skrnn.forecasting.clock import (
    DatetimeClock,
    IntegerClock,
    PeriodClock,
    hint,
    kind_of,
    label,
)
from skrnn.forecasting.frequency import infer_offset, read_offset, regular_offset

# Series that step over positions are looked at one by one, but no more than these.
COMPARED = 100


def make_clock(times, rows=None, offsets=None, ids=None, freq=None):
    """Find the frequency of some series.

    Parameters
    ----------
    times : Index of length n_times
        A DatetimeIndex, a PeriodIndex or integers.
    rows : ndarray of int of shape (n_rows,), default=None
        The place in `times` of each row. None means each time once, of one series.
    offsets : ndarray of int of shape (n_series + 1,), default=None
        Where the rows of each series begin; their times increase.
    ids : Index of length n_series, default=None
        What the series are called in errors.
    freq : str, DateOffset or int, default=None
        The frequency; None means that of the index or of the longest series.

    Returns
    -------
    clock : Clock
        Its origin is the first time of all.

    Raises
    ------
    TypeError
        If the times are of another kind.
    ValueError
        If there is no frequency, or two series have different ones.
    """
    kind = kind_of(times)
    if rows is None:
        rows = np.arange(len(times))
    if offsets is None:
        offsets = np.array([0, len(rows)])
    if ids is None:
        ids = pd.RangeIndex(len(offsets) - 1)
    first = times[rows].min()
    if kind == "integers":
        return IntegerClock(_integer_step(times, rows, offsets, freq), int(first))
    if kind == "periods":
        return PeriodClock(_period_freq(times, freq), first)
    given = freq is not None
    offset = read_offset(freq) if given else times.freq
    if offset is None:
        offset = infer_offset(times, rows, offsets)
    if offset is None:
        raise ValueError(
            "No frequency can be told from a single time of each series. Pass freq, "
            "for example freq='D'."
        )
    if not offset.is_on_offset(first.tz_localize(None)):
        raise ValueError(
            f"Time {first} is not on the grid of freq {offset.freqstr!r}{hint(times)}."
        )
    clock = DatetimeClock(offset, first)
    if not given:
        _refuse_mixed(clock, times, rows, offsets, ids)
    return clock


def place_rows(clock, times, places, codes, ids):
    """Return the position of each row, or name the series and time off the grid.

    Parameters
    ----------
    clock : Clock
    times : Index of length n_times
    places, codes : ndarray of int of shape (n_rows,)
        The place in `times` of each row, and its series.
    ids : Index of length n_series

    Returns
    -------
    positions : ndarray of int64 of shape (n_rows,)
    """
    positions, on = clock.nearest(times)
    if not on.all():
        row = int((~on[places]).argmax())
        own = times[places[codes == codes[row]]]
        raise ValueError(
            f"Time {times[places[row]]} of series {label(ids, codes[row])} is not on "
            f"the grid of {clock.name} that {clock.origin} lies on{hint(own)}."
        )
    return positions[places]


def series_at(row, offsets):
    """Return the series that a row belongs to."""
    return int(np.searchsorted(offsets, row, side="right")) - 1


def _integer_step(times, rows, offsets, freq):
    if freq is None:
        numbers = times.to_numpy(dtype=np.int64)[rows]
        differences = np.delete(np.diff(numbers), offsets[1:-1] - 1)
        values, counts = np.unique(differences, return_counts=True)
        return int(values[counts.argmax()]) if len(values) else 1
    if not isinstance(freq, int | np.integer) or isinstance(freq, bool) or freq < 1:
        raise ValueError(
            f"The times are integers, whose freq is a step such as 1, got {freq!r}."
        )
    return int(freq)


def _period_freq(times, freq):
    if freq is not None and read_offset(freq, periods=True) != times.freq:
        raise ValueError(
            f"freq is {freq!r}, but the periods have freq {times.freqstr!r}. Change "
            "one of them, for example with index.asfreq."
        )
    return times.freq


def _refuse_mixed(clock, times, rows, offsets, ids):
    """Raise if a series has a frequency of its own."""
    positions, on = clock.nearest(times)
    lengths = np.diff(offsets)
    # those off the grid, and those that step over positions each time
    steps = np.full(len(rows), np.iinfo(np.int64).max)
    steps[1:] = np.diff(positions[rows])
    steps[offsets[:-1]] = np.iinfo(np.int64).max
    least = np.minimum.reduceat(steps, offsets[:-1])
    odd = (least > 1) & (lengths >= 4)
    odd |= np.logical_or.reduceat(~on[rows], offsets[:-1])
    usual = int(np.argmax(np.where(odd, -1, lengths)))
    for series in np.flatnonzero(odd)[:COMPARED]:
        own = times[rows[offsets[series] : offsets[series + 1]]]
        found = regular_offset(own)
        if found is not None and found != clock.freq and series != usual:
            raise ValueError(
                f"Series {label(ids, usual)} has {clock.name}, but series "
                f"{label(ids, series)} has freq {found.freqstr!r}. Forecast them "
                "apart, resample them to one frequency, or pass freq."
            )
