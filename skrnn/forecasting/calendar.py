"""Features of a calendar: where a time lies in its day, week, month and year."""

import numpy as np
import pandas as pd

from skrnn.forecasting.frequency import DAY, NANOSECONDS, UNITS, measure

# Nanoseconds, as all limits here; those of a month and a year are their least.
WEEK, MONTH, YEAR = 7 * DAY, 28 * DAY, 365 * DAY


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
