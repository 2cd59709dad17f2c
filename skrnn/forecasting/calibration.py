"""What past windows tell: which members to trust, and how far forecasts may err."""

from dataclasses import dataclass, replace
from itertools import repeat

import numpy as np
from sklearn.isotonic import isotonic_regression

from skrnn.forecasting.model import Forecasts, Outlook, train, training_windows
from skrnn.forecasting.networks import SCALE_POWER

# The end of the series that is forecast as a trial: so many horizons in all, but never
# more than this share of a series, and at so many origins at most.
N_HORIZONS = 40
LARGEST_SHARE = 0.3
N_ORIGINS = 20
# A series takes part if so many values are left before the trial.
FEWEST_VALUES = 4
# Weights that are tried, those nearest to equal shares first. One past window of all
# series is a single draw of what they have in common, so that the first counts whose
# loss is at most so much above the least.
WEIGHTS = np.array(sorted(np.linspace(0.0, 1.0, 21), key=lambda w: abs(w - 0.5)))
TOLERANCE = 0.005
# By so much must the linear model reduce the loss to be used.
MARGIN = 0.005
# From so many errors of a step on its own quantiles are used.
FEWEST_ERRORS = 100


@dataclass(frozen=True)
class Calibration:
    """How forecasts erred in past windows that the networks had not seen.

    Attributes
    ----------
    errors : ndarray of shape (n_trials, horizon)
        The truth less the forecast, as the networks see series and in units of how
        much they change from step to step; NaN where unknown.
    """

    errors: np.ndarray

    def offsets(self, n_steps, levels):
        """Return by how much forecasts may err, in the units of `errors`.

        Split conformal prediction (Papadopoulos et al. 2002; Lei et al. 2018), step by
        step ahead. Few errors are taken together, each relative to how large errors of
        its step usually are, which is made to grow from step to step. Beyond the
        horizon errors grow with the square root of the step.

        Parameters
        ----------
        n_steps : int
        levels : sequence of float
            Each the probability that the truth lies between its two bounds.

        Returns
        -------
        offsets : ndarray of shape (n_steps, n_levels, 2)
            Of the lower and the upper bound.
        """
        horizon = self.errors.shape[1]
        usual = self._usual()
        pooled = (self.errors / usual).ravel()
        offsets = np.empty((n_steps, len(levels), 2))
        for step in range(n_steps):
            at = min(step, horizon - 1)
            errors, grown = self.errors[:, at], np.sqrt((step + 1) / (at + 1))
            if np.count_nonzero(~np.isnan(errors)) < FEWEST_ERRORS:
                errors, grown = pooled, grown * usual[at]
            for i, level in enumerate(levels):
                tail = 0.5 * (1.0 - level)
                # where all errors have one sign, the forecast is a bound
                lower = max(_conformal(-errors, 1.0 - tail), 0.0)
                upper = max(_conformal(errors, 1.0 - tail), 0.0)
                offsets[step, i] = -grown * lower, grown * upper
        return offsets

    def surest_level(self):
        """Return the largest level, in percent, that so many errors tell of."""
        counts = (~np.isnan(self.errors)).sum(axis=0)
        few = counts < FEWEST_ERRORS
        n = counts.sum() if few.any() else counts.min()
        return 100.0 * (n - 1) / (n + 1)

    def _usual(self):
        """Return a usual size of the errors of each step, growing, (horizon,)."""
        known = ~np.isnan(self.errors)
        counts = known.sum(axis=0)
        sums = np.where(known, np.abs(self.errors), 0.0).sum(axis=0)
        means = sums / np.maximum(counts, 1)
        means = np.where(counts > 0, means, means.max())
        usual = isotonic_regression(means, sample_weight=np.maximum(counts, 1e-3))
        return np.where(usual > 0.0, usual, 1.0)


def _conformal(errors, level):
    """Return the smallest error that a new one exceeds with probability 1 - level."""
    errors = np.sort(errors[~np.isnan(errors)])
    rank = int(np.ceil(level * (len(errors) + 1)))
    return errors[min(rank, len(errors)) - 1]


@dataclass(frozen=True)
class Trial:
    """Past origins at which to forecast, and a panel cut before all of them.

    Attributes
    ----------
    panel : Panel
        The series that take part, whole.
    numbers : ndarray of int
        Which of all series these are.
    backs : ndarray of int
        The origins: how many steps before the end of each series.
    """

    panel: object
    numbers: np.ndarray
    backs: np.ndarray


def plan_trial(panel, horizon):
    """Choose series and origins, or return None if all series are too short."""
    lengths = panel.lengths
    usual = int(np.median(lengths))
    span = min(-(-N_HORIZONS // len(panel)) * horizon, int(LARGEST_SHARE * usual))
    span = max(span, min(horizon, usual - FEWEST_VALUES), 1)
    numbers = np.flatnonzero(lengths - span >= FEWEST_VALUES)
    if not len(numbers):
        return None
    shortest = min(horizon, span)
    n_origins = min(N_ORIGINS, span - shortest + 1)
    if len(panel) >= N_HORIZONS:
        n_origins = 1
    backs = np.unique(np.linspace(span, shortest, n_origins).round().astype(int))
    return Trial(panel.take(numbers), numbers, backs[::-1])


def calibrate(model, panel, seed, n_threads, *, linear, theta):
    """Try a model on the past, and decide what the data leaves open.

    Parameters
    ----------
    model : Model
        Not trained yet.
    panel : Panel
    seed : int
    n_threads : int
    linear : "auto" or bool
        Whether networks correct a linear model.
    theta : bool
        Whether there is a classical member.

    Returns
    -------
    model : Model
        With the choices made, not trained.
    calibration : Calibration or None
        None if the series are too short to cut anything off, or all missing there.
    """
    trial = plan_trial(panel, model.plan.shape.horizon)
    if trial is None:
        settings = replace(model.settings, linear=linear != "auto" and bool(linear))
        weight = 0.5 if theta else 1.0
        return replace(model, settings=settings, network_weight=weight), None
    ends = panel.ends
    ends[trial.numbers] -= trial.backs[0]
    before = panel.head(ends)
    best = None
    for choice in (False, True) if linear == "auto" else (linear,):
        candidate = replace(model, settings=replace(model.settings, linear=choice))
        pieces = repeat(training_windows(candidate, before))
        candidate = train(candidate, pieces, [seed], n_threads)
        outcome = _try(candidate, trial, theta)
        if best is None or outcome[0] < (1.0 - MARGIN) * best[0]:
            best = outcome
    _, candidate, errors = best
    known = not np.isnan(errors).all()  # the end of a series may be missing
    return replace(candidate, networks=[]), Calibration(errors) if known else None


def _try(model, trial, theta):
    """Return the loss at past origins, the model with its weight, and its errors."""
    outcomes = [_outcome(model, trial, back) for back in trial.backs]
    scales = np.concatenate([outcome.forecasts.scales for outcome in outcomes])

    def errors(weight):
        return np.concatenate([outcome.errors(weight) for outcome in outcomes])

    def loss(weight):
        sizes = np.abs(errors(weight)) / scales[:, np.newaxis] ** SCALE_POWER
        sizes = sizes[~np.isnan(sizes)]
        return sizes.mean() if len(sizes) else 0.0

    weight = 1.0
    if theta:
        losses = np.array([loss(weight) for weight in WEIGHTS])
        good = losses <= (1.0 + TOLERANCE) * losses.min()
        weight = float(WEIGHTS[good.argmax()])
    chosen = replace(model, network_weight=weight)
    return loss(weight), chosen, errors(weight) / scales[:, np.newaxis]


@dataclass(frozen=True)
class _Outcome:
    """Forecasts of both members from an origin, and the truth."""

    forecasts: Forecasts
    classical: np.ndarray
    truth: np.ndarray

    def errors(self, weight):
        """Return the truth less the forecast, as the networks see the series."""
        prepared, first = self.forecasts.prepared, self.forecasts.first
        mixed = weight * self.forecasts.values + (1.0 - weight) * self.classical
        return prepared.view(self.truth, first) - prepared.view(mixed, first)


def _outcome(model, trial, back):
    panel, horizon = trial.panel, model.plan.shape.horizon
    history = panel.head(panel.ends - back)
    at = panel.offsets[:-1] + history.lengths
    at = at[:, np.newaxis] + np.minimum(np.arange(horizon), back - 1)
    truth = np.where(np.arange(horizon) < back, panel.values[at], np.nan)
    forecasts = model.forecast(Outlook(history, panel.known[at]))
    return _Outcome(forecasts, model.theta(history, horizon), truth)
