"""From the options of a forecaster and the data to how windows are cut and trained."""

from dataclasses import dataclass, replace

import numpy as np

from skrnn.forecasting.seasonality import detect_season
from skrnn.forecasting.windows import WindowShape

# A season longer than this is too long to average over: windows hold it instead.
LONGEST_AVERAGED = 23
# A season counts if half of the series are so many times as long.
N_SEASONS = 2.5
MOST_LAGS = 1000
# Networks look back so many times as far in turn, which makes them err differently.
LENGTHENED = (1.0, 1.5, 2.0)
FIRST_STEPS = 4
# Time steps of the network without a season.
FRAME = 4
LARGEST_FRAME = 24
# Training: so many windows at most, and how often each is seen in small data.
LARGEST_BATCH, SMALLEST_BATCH = 512, 16
MOST_UPDATES, FEWEST_UPDATES = 1000, 300
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
    longest_season : int
        The longest season that series show, which the theta method takes out.
    shape : WindowShape
    n_updates, batch_size : int
    most_lags : int
        Steps of the longest windows of further networks.
    """

    season_length: int
    averaged_season: int
    longest_season: int
    shape: WindowShape
    n_updates: int
    batch_size: int
    most_lags: int

    def shape_of(self, number):
        """Return the windows of a network: those of several differ in length."""
        shape = self.shape
        n_lags = int(shape.n_lags * LENGTHENED[number % len(LENGTHENED)])
        n_lags = max(min(n_lags, self.most_lags) // shape.frame, 1) * shape.frame
        if n_lags <= shape.n_lags:
            return shape
        return replace(shape, n_lags=n_lags)


def make_plan(
    panel, seasons, horizon, lags=None, n_updates=None, batch_size=None, *, sure=False
):
    """Plan windows and training.

    Parameters
    ----------
    panel : Panel
    seasons : tuple of int or None
        Seasons that the data may have, the shortest first. None looks for one.
    horizon : int
    lags, n_updates, batch_size : int, default=None
        None leaves the choice to the data.
    sure : bool, default=False
        Whether a season counts however short the series are.

    Returns
    -------
    plan : Plan
    """
    lengths = np.diff(panel.offsets)
    if seasons is None:
        seasons = (detect_season(panel.values, panel.offsets),)
    usual = np.median(lengths)
    fitting = [m for m in seasons if m > 1 and (sure or N_SEASONS * m <= usual)]
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
    # a window that holds a whole season serves no better if it is longer
    is_fixed = lags is not None or in_windows > 1
    most_lags = shape.n_lags if is_fixed else _most_lags(lengths)
    return Plan(season, averaged, longest, shape, n_updates, batch_size, most_lags)


def _window_shape(lengths, horizon, lags, season, in_windows):
    frame = _frame(season)
    if lags is None:
        lags = 2 * max(in_windows, season) if season > 1 else max(horizon, 2 * FRAME)
        lags = max(min(lags, _most_lags(lengths)) // frame, 1) * frame
    while lags % frame:  # lags of the user's own
        frame -= 1
    n_level = min(in_windows, lags)
    # windows that hold a season had better be full, if most series can fill them
    n_first = min(FIRST_STEPS, lags)
    if 1 < in_windows and lags + horizon < np.median(lengths):
        n_first = lags
    return WindowShape(lags, horizon, frame, n_level, n_first)


def _frame(season):
    """Return the largest part of a season that makes a time step of the network."""
    if season == 1:
        return FRAME
    return max(n for n in range(1, LARGEST_FRAME + 1) if season % n == 0)


def _most_lags(lengths):
    """Return how long windows may be so that most series fill them."""
    return min(int(np.quantile(lengths, 0.75)) - 1, MOST_LAGS)
