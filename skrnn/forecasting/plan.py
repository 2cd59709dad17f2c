"""From the options of a forecaster and the data to how windows are cut and trained."""

from dataclasses import dataclass

import numpy as np

from skrnn.forecasting.seasonality import detect_season
from skrnn.forecasting.windows import WindowShape

# A season longer than this is too long to average over: windows hold it instead.
LONGEST_AVERAGED = 23
# A season counts if half of the series are so many times as long.
N_SEASONS = 2.5
MOST_LAGS = 1000
FIRST_STEPS = 4
# Time steps of the network without a season.
FRAME = 4
# Training: so many windows at most, and how often each is seen in small data.
LARGEST_BATCH, SMALLEST_BATCH = 512, 16
MOST_UPDATES, FEWEST_UPDATES = 1500, 300
N_PASSES = 150


@dataclass(frozen=True)
class Plan:
    """What of the options the data decided.

    Attributes
    ----------
    season_length : int
        The shortest season, 1 for none.
    averaged_season : int
        The season that is taken out of the series, 1 for none.
    shape : WindowShape
    n_updates, batch_size : int
    """

    season_length: int
    averaged_season: int
    shape: WindowShape
    n_updates: int
    batch_size: int


def make_plan(panel, seasons, horizon, lags=None, n_updates=None, batch_size=None):
    """Plan windows and training.

    Parameters
    ----------
    panel : Panel
    seasons : tuple of int or None
        Seasons that the data may have, the shortest first. None looks for one.
    horizon : int
    lags, n_updates, batch_size : int, default=None
        None leaves the choice to the data.

    Returns
    -------
    plan : Plan
    """
    lengths = np.diff(panel.offsets)
    if seasons is None:
        seasons = (detect_season(panel.values, panel.offsets),)
    usual = np.median(lengths)
    fitting = [m for m in seasons if m > 1 and N_SEASONS * m <= usual]
    season = seasons[0] if seasons[0] in fitting else 1
    longest = fitting[-1] if fitting else 1
    averaged = season if season <= LONGEST_AVERAGED else 1
    in_windows = longest if longest > LONGEST_AVERAGED else 1
    shape = _window_shape(lengths, horizon, lags, season, in_windows)
    n_windows = int(np.maximum(lengths - shape.n_first, 1).sum())
    if batch_size is None:
        batch_size = int(np.clip(n_windows // 8, SMALLEST_BATCH, LARGEST_BATCH))
    if n_updates is None:
        needed = N_PASSES * n_windows // batch_size
        n_updates = int(np.clip(needed, FEWEST_UPDATES, MOST_UPDATES))
    return Plan(season, averaged, shape, n_updates, batch_size)


def _window_shape(lengths, horizon, lags, season, in_windows):
    frame = season if 1 < season <= 24 else FRAME
    if lags is None:
        lags = 2 * max(in_windows, season if season > 1 else horizon)
        # no longer than most series, but for one frame
        lags = min(lags, max(int(np.quantile(lengths, 0.75)) - 1, frame), MOST_LAGS)
        lags = max(lags // frame, 1) * frame
    while lags % frame:  # lags of the user's own
        frame -= 1
    n_level = lags if in_windows > 1 else 1
    n_first = min(max(FIRST_STEPS, in_windows), lags)
    return WindowShape(lags, horizon, frame, n_level, n_first)
