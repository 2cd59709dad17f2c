"""Features of a calendar: where a time lies in its day, week, month and year."""

import numpy as np
import pandas as pd

from skrnn.forecasting.frequency import DAY, NANOSECONDS, UNITS, measure

# Nanoseconds, as all limits here; that of a month is its least.
WEEK, MONTH = 7 * DAY, 28 * DAY


def calendar_features(times, freq):
    """Return sine and cosine of the parts of a time that vary from step to step.

    Parameters
    ----------
    times : Index of length n
        Datetimes, by the clock on the wall, or periods, of which the start counts.
    freq : str, DateOffset or int
        How far the steps are apart.

    Returns
    -------
    features : ndarray of float64 of shape (n, n_features)
        Two columns a part. None for integers.
    names : list of n_features str

    Examples
    --------
    >>> import pandas as pd
    >>> from skrnn.forecasting.calendar import calendar_features
    >>> days = pd.date_range("2024-01-01", periods=3, freq="D")
    >>> features, names = calendar_features(days, "D")
    >>> names
    ['week_sin', 'week_cos', 'month_sin', 'month_cos', 'year_sin', 'year_cos']
    >>> features[:, :2].round(2)
    array([[ 0.  ,  1.  ],
           [ 0.78,  0.62],
           [ 0.97, -0.22]])
    """
    if not isinstance(times, pd.DatetimeIndex | pd.PeriodIndex):
        return np.empty((len(times), 0)), []
    if isinstance(times, pd.PeriodIndex):
        times = times.to_timestamp()
    phases = _phases(times.tz_localize(None), *_step(freq))
    names = [f"{part}_{wave}" for part in phases for wave in ("sin", "cos")]
    angles = [2 * np.pi * phase for phase in phases.values()]
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.stack(waves, axis=1) if waves else np.empty((len(times), 0)), names


def _step(freq):
    """Return about how long a step lasts, and whether it is made of whole units."""
    unit, count = measure(freq)
    length = {
        "nanosecond": 1,
        "day": DAY,
        "business day": DAY,
        "half month": MONTH // 2,
        "month": MONTH,
    }.get(unit, 1)
    return unit, count * length


def _phases(times, unit, step):
    """Return how much of each part has passed, from 0 to 1, by the name of the part."""
    scale = UNITS[times.unit]
    day = times.asi8 % (DAY // scale) * scale
    phases = {}
    for name in ("minute", "hour"):
        cycle = NANOSECONDS[name]
        if unit in ("nanosecond", "step") and step < cycle and cycle % step == 0:
            phases[name] = day % cycle / cycle
    if unit in ("nanosecond", "step"):
        phases["day"] = day / DAY
    if step < WEEK:
        phases["week"] = (np.asarray(times.day_of_week) + day / DAY) / 7
    if step < MONTH:
        passed = np.asarray(times.day) - 1 + day / DAY
        phases["month"] = passed / np.asarray(times.days_in_month)
    if unit != "month":
        passed = np.asarray(times.day_of_year) - 1 + day / DAY
        phases["year"] = passed / (365 + np.asarray(times.is_leap_year))
    elif step % (12 * MONTH):
        phases["year"] = (np.asarray(times.month) - 1) / 12
    return phases


# About how many days a cycle lasts, by the name of its part.
CYCLES = {
    "minute": 1 / 1440,
    "hour": 1 / 24,
    "day": 1.0,
    "week": 7.0,
    "month": 30.4,
    "year": 365.25,
}
# A cycle can be learned from series that saw it so many times.
N_CYCLES = 2


def useful_parts(clock, n_lags, length):
    """Return the parts of a time that tell what windows do not.

    Parameters
    ----------
    clock : Clock
    n_lags : int
        Steps of a window: shorter cycles show in it.
    length : float
        Steps of a usual series, from which longer cycles cannot be learned.

    Returns
    -------
    parts : tuple of str
    """
    if clock.kind == "integers":
        return ()
    times = clock.times(0, 101)
    if isinstance(times, pd.PeriodIndex):
        times = times.to_timestamp()
    days_of_step = (times[-1] - times[0]) / pd.Timedelta(days=100)
    _, names = calendar_features(times[:2], clock.freq)
    cycles = {
        part: CYCLES[part] / days_of_step
        for part in dict.fromkeys(name.rsplit("_", 1)[0] for name in names)
    }
    return tuple(part for part, n in cycles.items() if n_lags < n <= length / N_CYCLES)


def calendar_columns(positions, clock, parts=None):
    """Return the features of the times of positions, those of some parts or of all.

    Parameters
    ----------
    positions : ndarray of int of any shape
    clock : Clock
    parts : tuple of str, default=None

    Returns
    -------
    columns : ndarray of float64 of shape (*positions.shape, n_columns)
    """
    if clock.kind == "integers" or parts == () or not positions.size:
        n_columns = 0
        if clock.kind != "integers" and parts != ():
            n_columns = calendar_columns(np.zeros(1, int), clock, parts).shape[-1]
        return np.empty((*positions.shape, n_columns))
    first, last = positions.min(), positions.max()
    times = clock.times(first, last - first + 1)
    features, names = calendar_features(times, clock.freq)
    if parts is not None:
        chosen = [name.rsplit("_", 1)[0] in parts for name in names]
        features = features[:, chosen]
    return features[positions - first]
