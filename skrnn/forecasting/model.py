"""A global model of many series: networks, and a classical member beside them."""

from dataclasses import dataclass, replace

import numpy as np

from skrnn.forecasting.networks import Settings, train_networks
from skrnn.forecasting.panel import Panel, spans
from skrnn.forecasting.plan import Plan
from skrnn.forecasting.preparation import Prepared, prepare
from skrnn.forecasting.theta import theta_forecasts
from skrnn.forecasting.windows import Windows, training_ends

NOTHING_TO_LEARN = (
    "No series has two values, so there is nothing to learn from. Pass longer ones."
)
# A column that varies by less, relative to its mean, is constant but for rounding.
SMALLEST_VARIATION = 1e-12
# So many standard deviations no training data has; beyond them float32 overflows.
FURTHEST = 1e6
# Forecasts that follow from forecasts may grow without end, but not become NaN.
LARGEST = 1e150


@dataclass(frozen=True)
class ColumnScale:
    """How columns are standardized; a missing value becomes the mean."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, columns):
        """Learn it from columns, of which missing values do not count."""
        known = ~np.isnan(columns)
        n = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, columns, 0.0).sum(axis=0) / n
        squares = np.where(known, (columns - mean) ** 2, 0.0).sum(axis=0)
        scale = np.sqrt(squares / n)
        varies = scale > SMALLEST_VARIATION * np.abs(mean)
        return cls(mean, np.where(varies, scale, 1.0))

    def apply(self, columns):
        """Return columns at mean 0 and scale 1."""
        scaled = np.clip((columns - self.mean) / self.scale, -FURTHEST, FURTHEST)
        return np.nan_to_num(scaled, nan=0.0)


@dataclass(frozen=True)
class Outlook:
    """A panel with what is known of the time after it.

    Attributes
    ----------
    panel : Panel
        The history; the forecasts begin after the last row of each series.
    ahead : ndarray of shape (n_series, n_steps, n_known)
        The columns known ahead, NaN where missing.
    """

    panel: Panel
    ahead: np.ndarray

    @property
    def n_steps(self):
        """The number of steps to forecast."""
        return self.ahead.shape[1]


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of the steps after each series.

    Attributes
    ----------
    values : ndarray of shape (n_series, n_steps)
    quantiles : ndarray of shape (n_series, n_steps, n_levels)
    prepared : Prepared
        The history as the networks see it.
    first : ndarray of int of shape (n_series,)
        The number of the first of the steps in its series.
    scales : ndarray of shape (n_series,)
        How much each series changes from step to step, as the networks see it.
    """

    values: np.ndarray
    quantiles: np.ndarray
    prepared: Prepared
    first: np.ndarray
    scales: np.ndarray

    def shifted(self, offsets):
        """Return what lies so far from the values, in units of the scales.

        Parameters
        ----------
        offsets : ndarray of shape (n_steps, ...)

        Returns
        -------
        values : ndarray of shape (n_series, n_steps, ...)
        """
        shape = (-1,) + (1,) * offsets.ndim
        z = self.prepared.view(self.values, self.first)
        z = z.reshape(z.shape + (1,) * (offsets.ndim - 1))
        z = z + self.scales.reshape(shape) * offsets
        shifted = self.prepared.restore(z, self.first)
        # logarithms of next to nothing are cut off: no bound changes its side by that
        values = self.values.reshape(self.values.shape + (1,) * (offsets.ndim - 1))
        below, above = np.minimum(shifted, values), np.maximum(shifted, values)
        return np.where(offsets < 0.0, below, np.where(offsets > 0.0, above, values))


@dataclass(frozen=True)
class Model:
    """Fitted networks with all that they need of the data they were fitted to.

    Attributes
    ----------
    plan : Plan
    settings : Settings
    log : str or bool
    known_scale, past_scale, static_scale : ColumnScale
    networks : list of Network
    network_weight : float
        The share of the networks in a forecast; the rest is the theta method's.
    """

    plan: Plan
    settings: Settings
    log: object
    known_scale: ColumnScale
    past_scale: ColumnScale
    static_scale: ColumnScale
    networks: list
    network_weight: float = 1.0

    @property
    def levels(self):
        """The quantile levels that the networks forecast."""
        return self.settings.levels

    def forecast(self, outlook, n_threads=1):
        """Forecast the steps after the end of each series.

        More steps than the horizon follow from forecasts that take the place of values.

        Parameters
        ----------
        outlook : Outlook
        n_threads : int, default=1

        Returns
        -------
        forecasts : Forecasts
        """
        panel, horizon = outlook.panel, self.plan.shape.horizon
        prepared = self.prepare(panel)
        middle = self.levels.index(0.5)
        n_blocks = -(-outlook.n_steps // horizon)
        windows = self._windows_ahead(outlook, prepared, n_blocks * horizon)
        _, _, scales, _ = windows.normalized(np.arange(len(panel)))
        pieces = []
        for _ in range(n_blocks):
            pieces.append(self._forecast_block(windows, n_threads))
            windows.advance(pieces[-1][:, :, middle])
        z = np.concatenate(pieces, axis=1)[:, : outlook.n_steps]
        quantiles = prepared.restore(z, panel.lengths)
        if self.network_weight < 1.0:
            theta = self.theta(panel, outlook.n_steps)
            shift = (1.0 - self.network_weight) * (theta - quantiles[:, :, middle])
            quantiles = prepared.floored(quantiles + shift[:, :, np.newaxis])
        values = quantiles[:, :, middle]
        return Forecasts(values, quantiles, prepared, panel.lengths, scales)

    def _forecast_block(self, windows, n_threads):
        """Return the horizon after windows, (n_windows, horizon, n_levels), prepared.

        That is the median of the networks, level by level.
        """
        rows = np.arange(len(windows))
        forecasts = []
        for network in self.networks:
            reshaped = windows.reshaped(network.shape)
            _, level, scale, _ = reshaped.normalized(rows)
            raw = network.forecast(reshaped, n_threads)
            raw *= scale[:, np.newaxis, np.newaxis]
            forecasts.append(level[:, np.newaxis, np.newaxis] + raw)
        middle = np.clip(np.median(forecasts, axis=0), -LARGEST, LARGEST)
        return np.sort(middle, axis=2)  # quantiles never cross

    def theta(self, panel, n_steps):
        """Return the forecasts of the classical member, (n_series, n_steps)."""
        season = self.plan.longest_season
        return theta_forecasts(panel.values, panel.offsets, n_steps, season)

    def prepare(self, panel):
        """Return the panel as the networks see it."""
        season = self.plan.averaged_season
        return prepare(panel.values, panel.offsets, season, self.log)

    def _windows_ahead(self, outlook, prepared, n_steps):
        """Return the last window of each series, with room for forecasts after it."""
        panel, n = outlook.panel, len(outlook.panel)
        offsets = panel.offsets + n_steps * np.arange(n + 1)
        history = spans(offsets[:-1], panel.lengths)
        values = np.full(offsets[-1], np.nan)
        values[history] = prepared.values
        past = np.zeros((offsets[-1], panel.past.shape[1]))
        past[history] = self.past_scale.apply(panel.past)
        known = np.zeros((offsets[-1], panel.known.shape[1]))
        known[history] = self.known_scale.apply(panel.known)
        ahead = spans(offsets[1:] - n_steps, np.full(n, outlook.n_steps))
        flat = outlook.ahead.reshape(len(ahead), known.shape[1])
        known[ahead] = self.known_scale.apply(flat)
        return Windows(
            self.plan.shape,
            replace(prepared, values=values),
            offsets,
            known,
            past,
            self.static_scale.apply(panel.static),
            np.arange(n),
            offsets[:-1] + panel.lengths - 1,
        )


def new_model(plan, settings, log, panel):
    """Return a model that is not trained yet, with the scales of a panel's columns.

    Parameters
    ----------
    plan : Plan
    settings : Settings
    log : "auto" or bool
    panel : Panel
    """
    columns = panel.known, panel.past, panel.static
    return Model(plan, settings, log, *map(ColumnScale.of, columns), networks=[])


def train(model, pieces, seeds, n_threads):
    """Train networks, or go on with those that the model has.

    Parameters
    ----------
    model : Model
    pieces : iterable of Windows
        What `training_windows` makes of the panel, or in turn of pieces of it.
    seeds : list of int
        One for each network. They read windows of different lengths in turn.
    n_threads : int

    Returns
    -------
    model : Model
    """
    before = model.networks or None
    shapes = [model.plan.shape_of(number) for number in range(len(seeds))]
    if before is not None:
        shapes = [network.shape for network in before]
    networks = train_networks(pieces, shapes, model.settings, seeds, n_threads, before)
    return replace(model, networks=networks)


def training_windows(model, panel):
    """Return the windows of a panel to train on.

    Raises
    ------
    ValueError
        If there are none, for no series has two values.
    """
    windows = Windows(
        model.plan.shape,
        model.prepare(panel),
        panel.offsets,
        model.known_scale.apply(panel.known),
        model.past_scale.apply(panel.past),
        model.static_scale.apply(panel.static),
        *training_ends(panel.offsets, model.plan.shape.n_first),
    )
    if not len(windows):
        raise ValueError(NOTHING_TO_LEARN)
    return windows
