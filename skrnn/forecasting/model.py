"""A global model of many series: networks, and a classical member beside them."""

from dataclasses import dataclass, replace

import numpy as np

from skrnn.forecasting.networks import Settings, train_networks
from skrnn.forecasting.panel import spans
from skrnn.forecasting.plan import Plan
from skrnn.forecasting.preparation import prepare
from skrnn.forecasting.theta import theta_forecasts
from skrnn.forecasting.windows import Windows, training_ends


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
        return cls(mean, np.where(scale > 0.0, scale, 1.0))

    def apply(self, columns):
        """Return columns at mean 0 and scale 1."""
        return np.nan_to_num((columns - self.mean) / self.scale, nan=0.0)


@dataclass(frozen=True)
class Outlook:
    """A panel with what is known of the time after it.

    Attributes
    ----------
    panel : Panel
        The history, whose last row of each series is the last before the forecasts.
    known : ndarray of shape (n_values + n_series * n_steps, n_known)
        The columns known ahead, of each series its history and then the steps ahead.
    n_steps : int
    """

    panel: object
    known: np.ndarray
    n_steps: int


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of the steps after each series.

    Attributes
    ----------
    values : ndarray of shape (n_series, n_steps)
    quantiles : ndarray of shape (n_series, n_steps, n_levels) or None
    scales : ndarray of shape (n_series,)
        How much the series change from step to step, on their prepared scale.
    """

    values: np.ndarray
    quantiles: np.ndarray | None
    scales: np.ndarray


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

    def forecast(self, outlook, n_threads=1):
        """Forecast the steps after the end of each series.

        More steps than the horizon follow from forecasts that take the place of values.

        Returns
        -------
        forecasts : Forecasts
        """
        panel, horizon = outlook.panel, self.plan.shape.horizon
        prepared = self.prepare(panel)
        n_blocks = -(-outlook.n_steps // horizon)
        windows = self._windows_ahead(outlook, prepared, n_blocks * horizon)
        ends = windows.ends
        pieces = []
        scales = None
        for block in range(n_blocks):
            windows.move(ends + block * horizon)
            _, level, scale, _ = windows.normalized(np.arange(len(panel)))
            scales = scale if scales is None else scales
            raw = [net.forecast(windows, n_threads) for net in self.networks]
            z = np.sort(np.median(raw, axis=0), axis=2)
            z = level[:, np.newaxis, np.newaxis] + scale[:, np.newaxis, np.newaxis] * z
            pieces.append(z)
            windows.fill_in(z[:, :, self._middle])
        z = np.concatenate(pieces, axis=1)[:, : outlook.n_steps]
        restored = prepared.restore(z, panel.lengths)
        values = restored[:, :, self._middle]
        if self.network_weight < 1.0:
            theta = self.theta(panel, outlook.n_steps)
            theta = np.maximum(theta, prepared.floors[:, np.newaxis])
            shift = (1.0 - self.network_weight) * (theta - values)
            restored = restored + shift[:, :, np.newaxis]
            restored = np.maximum(restored, prepared.floors[:, np.newaxis, np.newaxis])
            values = restored[:, :, self._middle]
        quantiles = restored if self.settings.levels else None
        return Forecasts(values, quantiles, scales)

    @property
    def _middle(self):
        """The place of the median among the levels."""
        levels = self.settings.levels
        return levels.index(0.5) if levels else 0

    def theta(self, panel, n_steps):
        """Return the forecasts of the classical member, (n_series, n_steps)."""
        season = self.plan.season_length
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
        known = np.zeros((offsets[-1], outlook.known.shape[1]))
        asked = spans(offsets[:-1], panel.lengths + outlook.n_steps)
        known[asked] = self.known_scale.apply(outlook.known)
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


def fit_model(panel, known, plan, settings, log, seeds, n_threads, init=None):
    """Fit networks to a panel.

    Parameters
    ----------
    panel : Panel
    known : ndarray of shape (n_values, n_known)
        The columns known ahead, those of the calendar among them.
    plan : Plan
    settings : Settings
    log : "auto" or bool
    seeds : list of int
        One for each network.
    n_threads : int
    init : Model, default=None
        A model to go on training.

    Returns
    -------
    model : Model
    """
    if init is None:
        columns = known, panel.past, panel.static
        scales = [ColumnScale.of(group) for group in columns]
        model = Model(plan, settings, log, *scales, networks=[])
    else:
        model = init
    windows = Windows(
        plan.shape,
        model.prepare(panel),
        panel.offsets,
        model.known_scale.apply(known),
        model.past_scale.apply(panel.past),
        model.static_scale.apply(panel.static),
        *training_ends(panel.offsets, plan.shape.n_first),
    )
    if not len(windows):
        raise ValueError(
            "No series has two values: there is nothing to learn from. Pass longer "
            "ones."
        )
    before = None if init is None else init.networks
    networks = train_networks(windows, settings, seeds, n_threads, before)
    return replace(model, networks=networks)
