"""Series of forecasting competitions, their seasonal indices, and what others score.

M3 (Makridakis and Hibon 2000) and the hourly series of M4 (Makridakis et al. 2020).
The files are those that `forecasting.py` says where to find: the series in long form
(`series_id, group, part, t, value`), the start dates of M3 and its official Naive2.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd

# The groups ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Bars:
    """sMAPE of others, and what skrnn is to reach; None where nothing is known."""

    classical: float | None = None  # the best of AutoETS, Theta, DynamicOptimizedTheta
    prototype: float | None = None  # five or more PyTorch networks together
    reach_one: float | None = None  # by a single network
    reach: float | None = None  # by an ensemble
    aim: float | None = None


@dataclass(frozen=True)
class Group:
    """Series of one frequency that are forecast over one horizon."""

    file: str
    group: str  # in the file
    horizon: int
    season_length: int
    freq: str | None  # pandas'; None: the times are integers
    bars: Bars


GROUPS = {
    "m3_yearly": Group("m3", "yearly", 6, 1, "Y", Bars(15.79, 16.41, 16.8, 16.3, 15.7)),
    "m3_quarterly": Group(
        "m3", "quarterly", 8, 4, "Q", Bars(9.23, 9.20, 9.4, 9.0, 8.7)
    ),
    "m3_monthly": Group(
        "m3", "monthly", 18, 12, "M", Bars(13.73, 13.84, 14.1, 13.7, 13.3)
    ),
    "m3_other": Group("m3", "other", 8, 1, None, Bars(4.35, 4.41, 4.6, 4.5, 4.2)),
    "m4_hourly": Group(
        "m4_hourly", "hourly", 48, 24, "h", Bars(18.10, 8.87, 9.4, 9.0, 8.5)
    ),
}
# of the four groups of M3 together, every value counting for as much
M3_BARS = Bars(12.88, 12.80, None, 12.85, 12.4)


@dataclass
class Competition:
    """The series of a group: what is known of each, and what came then."""

    name: str
    group: Group
    ids: list
    train: list  # of arrays
    test: np.ndarray  # (n_series, horizon)
    naive2: np.ndarray  # (n_series, horizon)
    starts: dict = field(default_factory=dict)  # of M3, by id

    def frame(self):
        """Return the training part in long form: unique_id, ds and y."""
        frames = [
            pd.DataFrame({"unique_id": name, "ds": self.times(name, len(y)), "y": y})
            for name, y in zip(self.ids, self.train, strict=True)
        ]
        return pd.concat(frames, ignore_index=True)

    def times(self, name, n_steps):
        """Return the times of the first steps of a series."""
        if self.group.freq is None:
            return np.arange(1, n_steps + 1)
        if self.group.freq == "h":  # the file has no times of day
            return pd.date_range("2015-07-01", periods=n_steps, freq="h")
        start = first_period(self.starts[name], self.group.freq)
        periods = pd.period_range(start, periods=n_steps, freq=self.group.freq)
        return periods.to_timestamp()


def first_period(start, freq):
    """Return the period of M3's start: a year, or a fraction such as 7939/4."""
    start = Fraction(start)
    if start < 1700:  # not known
        start = Fraction(1970)
    year = int(start)
    if freq == "Y":
        return pd.Period(year=year, freq="Y")
    if freq == "Q":
        return pd.Period(year=year, quarter=1 + int((start - year) * 4), freq="Q")
    return pd.Period(year=year, month=1 + int((start - year) * 12), freq="M")


def load(name, folder, max_series=None):
    """Read a group of series from the files in a folder."""
    group, folder = GROUPS[name], Path(folder)
    frame = pd.read_csv(folder / f"{group.file}.csv.gz")
    frame = frame[frame["group"] == group.group]
    by_id = {key: part for key, part in frame.groupby("series_id", sort=False)}
    ids = list(by_id)[:max_series]
    train, test = (
        [by_id[i].loc[by_id[i]["part"] == part, "value"].to_numpy(float) for i in ids]
        for part in ("train", "test")
    )
    starts = {}
    if group.file == "m3":
        official = pd.read_csv(folder / "m3_reference_forecasts.csv.gz")
        official = official[official["method"] == "NAIVE2"].sort_values("h")
        official = dict(list(official.groupby("series_id")["value"]))
        naive = [official[i].to_numpy() for i in ids]
        info = pd.read_csv(folder / "m3_info.csv", dtype=str)
        starts = dict(zip(info["series_id"], info["start"], strict=True))
    else:
        naive = [naive2(y, group.horizon, group.season_length) for y in train]
    return Competition(name, group, ids, train, np.stack(test), np.stack(naive), starts)


# Naive2, the standard of comparison ---------------------------------------------------


def is_seasonal(y, m):
    """Return whether the autocorrelation at lag m is significant at 90 %."""
    n = len(y)
    d = y - y.mean()
    if m < 2 or n < 3 * m or not d.any():
        return False
    r = np.array([d[k:] @ d[:-k] for k in range(1, m + 1)]) / (d @ d)
    limit = 1.645 / np.sqrt(n) * np.sqrt(1 + 2 * np.sum(r[:-1] ** 2))
    return abs(r[-1]) > limit


def seasonal_indices(y, m):
    """Return m factors by classical decomposition; that of y[i] is the (i mod m)-th."""
    weights = np.ones(m) / m if m % 2 else np.r_[0.5, np.ones(m - 1), 0.5] / m
    trend = np.convolve(y, weights, "valid")
    ratios = np.full(len(y), np.nan)
    ratios[m // 2 : m // 2 + len(trend)] = y[m // 2 : m // 2 + len(trend)] / trend
    indices = np.array([np.nanmean(ratios[i::m]) for i in range(m)])
    return indices / indices.mean()


def naive2(y, horizon, m):
    """Return the last value, seasonally adjusted where there is a season, as in M4."""
    if not is_seasonal(y, m):
        return np.full(horizon, y[-1])
    indices, n = seasonal_indices(y, m), len(y)
    return y[-1] / indices[(n - 1) % m] * indices[(n + np.arange(horizon)) % m]
