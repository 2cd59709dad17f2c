"""Frequencies: which one data has, and what a step of it is."""

import warnings

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

NANOSECONDS = {"second": 10**9, "minute": 60 * 10**9, "hour": 3600 * 10**9}
DAY = 24 * NANOSECONDS["hour"]
UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}  # of datetimes
# Series tried one by one, the longest first, before differences are counted.
TRIED = 8

MONTHS = {  # of a step, by the end of the offset's class name
    "MonthBegin": 1,
    "MonthEnd": 1,
    "WeekOfMonth": 1,
    "QuarterBegin": 3,
    "QuarterEnd": 3,
    "FY5253Quarter": 3,
    "HalfYearBegin": 6,
    "HalfYearEnd": 6,
    "YearBegin": 12,
    "YearEnd": 12,
    "FY5253": 12,
    "Easter": 12,
}


def read_offset(freq, periods=False):
    """Return the offset of a frequency that a user passes.

    Parameters
    ----------
    freq : str or offset
        An alias of pandas. For datetimes those of periods are understood as well, such
        as "M" for "ME".
    periods : bool, default=False
        Whether it is that of periods.

    Returns
    -------
    offset : DateOffset

    Raises
    ------
    ValueError
        If pandas does not know it, or the step is not positive.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        readings = [to_offset, lambda freq: pd.PeriodDtype(freq).freq]
        failures = []
        for read in readings[::-1] if periods else readings:
            try:
                offset = read(freq)
                break
            except (TypeError, ValueError, AttributeError) as error:
                failures.append(error)
        else:
            raise ValueError(
                f"freq must be an offset alias of pandas, such as 'D', got {freq!r}: "
                f"{failures[0]}"
            )
    if offset is None or offset.n < 1:
        raise ValueError(f"The step of freq must be positive, got {freq!r}.")
    return offset


def measure(freq):
    """Return what a step is counted in, and their number.

    Parameters
    ----------
    freq : str, DateOffset or int

    Returns
    -------
    unit : {"nanosecond", "day", "business day", "half month", "month", "step"}
        "step" is that of integers and of offsets without a length.
    count : int
    """
    if isinstance(freq, int | np.integer):
        return "step", int(freq)
    offset = read_offset(freq) if isinstance(freq, str) else freq
    name = type(offset).__name__
    if name == "Day":
        return "day", offset.n
    if name == "Week":
        return "day", 7 * offset.n
    if isinstance(offset, pd.offsets.Tick):
        return _whole_days(offset.nanos)
    if name in ("BusinessDay", "CustomBusinessDay"):
        return "business day", offset.n
    if name.startswith("SemiMonth"):
        return "half month", offset.n
    for end, months in MONTHS.items():
        if name.endswith(end):
            return "month", months * offset.n
    return _measure_of_parts(getattr(offset, "kwds", {}), offset.n)


def _whole_days(nanoseconds):
    if nanoseconds % DAY == 0:
        return "day", nanoseconds // DAY
    return "nanosecond", nanoseconds


def _measure_of_parts(parts, n):
    """Measure a relative offset, such as DateOffset(months=3)."""
    days = {"days": 1, "weeks": 7}
    months = {"months": 1, "years": 12}
    if parts and all(part in months for part in parts):
        return "month", n * sum(months[part] * parts[part] for part in parts)
    if parts and all(part in days for part in parts):
        return "day", n * sum(days[part] * parts[part] for part in parts)
    try:
        return _whole_days(n * int(pd.Timedelta(**parts).as_unit("ns").value))
    except (TypeError, ValueError):
        return "step", 1


def season_lengths(freq):
    """Return how many steps a season may have, the shortest first.

    Parameters
    ----------
    freq : str, DateOffset or int
        An int is the step of an integer index.

    Returns
    -------
    lengths : tuple of int
        (1,) where nothing is known to recur.

    Examples
    --------
    >>> from skrnn.forecasting.frequency import season_lengths
    >>> season_lengths("h"), season_lengths("30min"), season_lengths("D")
    ((24, 168), (48, 336), (7,))
    """
    unit, count = measure(freq)
    if unit == "nanosecond":
        lengths = _seasons_within_days(count)
    elif unit == "day":
        # 52 weeks are a year of weekly data, and of data each fourth week
        lengths = [52 * 7 / count] if count % 7 == 0 else [7 / count]
    else:
        cycle = {"business day": 5, "half month": 24, "month": 12}
        lengths = [cycle.get(unit, 1) / count]
    whole = tuple(int(length) for length in lengths if length > 1 and length % 1 == 0)
    return whole or (1,)


def _seasons_within_days(step):
    """Divide the two cycles that matter at a step of some nanoseconds."""
    second, minute, hour = NANOSECONDS.values()
    for limit, cycles in (
        (second, (second, minute)),
        (minute, (minute, hour)),
        (5 * minute, (hour, DAY)),
        (DAY, (DAY, 7 * DAY)),
    ):
        if step < limit:
            return [cycle / step for cycle in cycles]
    return []


def infer_offset(times, rows, offsets):
    """Return the frequency that the most of the longest series have.

    Parameters
    ----------
    times : DatetimeIndex of length n_times
    rows : ndarray of int of shape (n_rows,)
        The place in `times` of each row, increasing within a series.
    offsets : ndarray of int of shape (n_series + 1,)
        Where the rows of each series begin.

    Returns
    -------
    offset : DateOffset, or None
        Of the longest series that is regular. Where all have gaps, the most frequent
        difference of times.
    """
    lengths = np.diff(offsets)
    for series in np.argsort(-lengths, kind="stable")[:TRIED]:
        found = regular_offset(times[rows[offsets[series] : offsets[series + 1]]])
        if found is not None:
            return _by_length(found, times)
    return _by_length(_frequent_offset(times, rows, offsets), times)


def _by_length(offset, times):
    """Return days as hours where they are those of another time zone."""
    days = {"Day": 1, "Week": 7}.get(type(offset).__name__)
    if days is None or times.tz is None:
        return offset
    day = DAY // UNITS[times.unit]
    wall = times.tz_localize(None).asi8 % day
    if np.ptp(wall) > 0 and np.ptp(times.asi8 % day) == 0:
        return pd.offsets.Hour(24 * days * offset.n)
    return offset


def regular_offset(times):
    """Return the offset of datetimes without a gap, or None."""
    if len(times) < 3:
        return None
    with warnings.catch_warnings():
        # pandas 3 announces another type of the result
        warnings.simplefilter("ignore")
        found = pd.infer_freq(times)
        return None if found is None else to_offset(found)


def _frequent_offset(times, rows, offsets):
    """Return the most frequent difference as an offset, or None."""
    follows = np.ones(len(rows), dtype=bool)
    follows[offsets[:-1]] = False
    places = np.flatnonzero(follows)
    later, earlier = rows[places], rows[places - 1]
    if len(later) == 0:
        return None
    local = times.tz_localize(None)
    day = DAY // UNITS[times.unit]
    if _most_frequent(local.asi8, later, earlier) % day:
        step = int(_most_frequent(times.asi8, later, earlier))
        return to_offset(pd.Timedelta(step * UNITS[times.unit], "ns"))
    days = local.asi8 // day
    step = int(_most_frequent(days, later, earlier))
    by_month = _months_offset(local, later, earlier) if step >= 28 else None
    if by_month is not None:
        return by_month
    if step % 7 == 0:
        return pd.offsets.Week(step // 7, weekday=int(local[earlier[0]].weekday()))
    if step == 1 and np.ptp(days) >= 6 and (local.day_of_week < 5).all():
        return pd.offsets.BusinessDay()
    return pd.offsets.Day(step)


def _most_frequent(stamps, later, earlier):
    """Return the most frequent difference; of equally frequent ones the smallest."""
    values, counts = np.unique(stamps[later] - stamps[earlier], return_counts=True)
    return values[counts.argmax()]


def _months_offset(local, later, earlier):
    """Return an offset of months if all times have the same place in their month."""
    number = np.asarray(12 * local.year + local.month)
    months = int(_most_frequent(number, later, earlier))
    first = local[earlier[0]]
    for side in ("Begin", "End"):
        for business in ("", "B"):
            month = getattr(pd.offsets, f"{business}Month{side}")
            if not all(month().is_on_offset(time) for time in local):
                continue
            if months % 12 == 0:
                year = getattr(pd.offsets, f"{business}Year{side}")
                return year(months // 12, month=first.month)
            if months % 3 == 0:
                quarter = getattr(pd.offsets, f"{business}Quarter{side}")
                return quarter(months // 3, startingMonth=first.month)
            return month(months)
    if first.day <= 28 and (local.day == first.day).all():
        return pd.DateOffset(months=months)
    return None
