"""Networks that forecast windows: trained on all series together, and applied."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

import numpy as np
from threadpoolctl import threadpool_limits

from skrnn.architecture import Architecture, Noise
from skrnn.forecasting.linear import fit_linear, predict_linear
from skrnn.forecasting.losses import relative_error, relative_quantile
from skrnn.forecasting.windows import Computed
from skrnn.network import network_of
from skrnn.optimizers import Optimizer
from skrnn.parameters import aligned_copy, aligned_zeros
from skrnn.prediction import predict_raw
from skrnn.schedules import Schedule
from skrnn.training import Trainer, TrainingSet

DTYPE = np.dtype(np.float32)
# The output layer starts this small, for first forecasts near the level.
FIRST_OUTPUT = 0.1
# Training stops to listen for Ctrl-C after each of so many parts.
N_PARTS = 20
# The scale of a window counts up to this much in the loss.
LARGEST_SCALE = 5.0
# Windows that the linear model learns from.
N_LINEAR = 60_000


@dataclass(frozen=True)
class Settings:
    """What the networks are made of, and how they are trained.

    Attributes
    ----------
    cell, hidden_layer_sizes, dropout, learning_rate_init, alpha, max_grad_norm
        As of `RNNRegressor`.
    n_updates, batch_size : int
        Minibatches, and the windows in each.
    levels : tuple of float
        Quantile levels to forecast; none for the forecast that errs least.
    linear : bool
        Whether networks correct a linear model.
    """

    cell: str
    hidden_layer_sizes: tuple[int, ...]
    dropout: float
    n_updates: int
    batch_size: int
    learning_rate_init: float
    alpha: float
    max_grad_norm: float | None
    levels: tuple[float, ...] = ()
    linear: bool = False


@dataclass
class Network:
    """A trained network: arrays, numbers and strings only.

    Attributes
    ----------
    architecture : Architecture
    parameters : ndarray of float32 of shape (n_parameters,)
    coefficients : ndarray of shape (n_features, horizon) or None
        The linear model that it corrects.
    loss_curve : list of float
        The mean loss of each part of the training.
    """

    architecture: Architecture
    parameters: np.ndarray
    coefficients: np.ndarray | None
    loss_curve: list

    def forecast(self, windows, n_threads=1):
        """Return the forecasts of all windows, at their own level and scale.

        Returns
        -------
        forecasts : ndarray of float64 of shape (n_windows, horizon, n_levels)
            A single level without quantiles.
        """
        rows = np.arange(len(windows))
        raw = predict_raw(
            network_of(self.architecture),
            self.parameters,
            _inputs(windows),
            *_no_scaling(windows.n_channels),
            n_threads,
        )
        raw = raw.reshape(len(rows), windows.shape.horizon, -1).astype(np.float64)
        if self.coefficients is not None:
            raw += predict_linear(windows, rows, self.coefficients)[:, :, np.newaxis]
        return raw


def train_networks(windows, settings, seeds, n_threads, init=None):
    """Train a network from each seed, the same for any number of threads.

    Parameters
    ----------
    windows : Windows
        Those to train on, series by series.
    settings : Settings
    seeds : list of int
    n_threads : int
    init : list of Network, default=None
        Networks to go on training, one for each seed; None begins anew.

    Returns
    -------
    networks : list of Network

    Raises
    ------
    ValueError
        If training diverges.
    """
    coefficients = None
    if init is not None:
        coefficients = init[0].coefficients
    elif settings.linear:
        draws = _draws(windows, N_LINEAR, np.random.RandomState(seeds[0]))
        coefficients = fit_linear(windows, draws)
    stop = Event()

    def train(i):
        start = None if init is None else init[i]
        return _train(windows, settings, seeds[i], coefficients, start, stop)

    if n_threads == 1 or len(seeds) == 1:
        return [train(i) for i in range(len(seeds))]
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            return list(pool.map(train, range(len(seeds))))
        except BaseException:
            stop.set()
            raise


def _train(windows, settings, seed, coefficients, start, stop):
    random_state = np.random.RandomState(seed)
    architecture = architecture_of(windows, settings)
    noise = Noise(dropout=settings.dropout)
    network = network_of(architecture, noise)
    if start is None:
        parameters = aligned_zeros((network.layout.size,), DTYPE)
        with threadpool_limits(1, "blas"):  # whose bits depend on its threads
            network.initialize(parameters, random_state)
        network.layout.views(parameters)["output.weights"] *= FIRST_OUTPUT
    else:
        parameters = aligned_copy(start.parameters)
    trainer = Trainer(
        network,
        parameters,
        _training_set(windows, settings, coefficients, random_state),
        relative_quantile if settings.levels else relative_error,
        np.array(settings.levels or (0.0,), DTYPE),
        Optimizer.create(
            "adam",
            {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "weight_decay": 0.0},
            network.layout.penalized(DTYPE, None),
        ),
        Schedule("cosine", settings.learning_rate_init, 0.5, N_PARTS, 0.1),
        settings.alpha,
        settings.max_grad_norm or 0.0,
        settings.batch_size,
        1,
    )
    losses = []
    with trainer.threads() as threads:
        for _ in range(N_PARTS):
            if stop.is_set():
                break
            rows = trainer.training_set.rows
            rows[:] = _draws(windows, len(rows), random_state)
            losses.append(trainer.epoch(threads, random_state, False, 0))
    return Network(architecture, parameters, coefficients, losses)


def architecture_of(windows, settings):
    """Return the architecture of a network for these windows."""
    return Architecture(
        cell=settings.cell,
        activation="tanh",
        n_inputs=windows.n_channels,
        hidden_layer_sizes=settings.hidden_layer_sizes,
        n_outputs=windows.shape.horizon * max(len(settings.levels), 1),
    )


def _training_set(windows, settings, coefficients, random_state):
    """Return the training set of a part of the training, whose rows may be changed."""
    n = len(windows)

    def targets(rows):
        values, scale = windows.targets(rows)
        if coefficients is not None:
            values = values - predict_linear(windows, rows, coefficients)
        return np.column_stack([values, np.minimum(scale, LARGEST_SCALE)])

    def ones(rows):
        return np.ones((len(rows), 1))

    n_updates = -(-settings.n_updates // N_PARTS)
    return TrainingSet(
        _inputs(windows),
        _draws(windows, n_updates * settings.batch_size, random_state),
        Computed(targets, n, 1, windows.shape.horizon + 1),
        Computed(ones, n, 1, 1),
        np.broadcast_to(1.0, (n,)),
        *_no_scaling(windows.n_channels),
    )


def _inputs(windows):
    return Computed(
        windows.inputs, len(windows), windows.n_frames, windows.n_channels
    )


def _no_scaling(n_channels):
    """Return a mean and an inverse scale that change nothing."""
    return np.zeros(n_channels, DTYPE), np.ones(n_channels, DTYPE)


def _draws(windows, n, random_state):
    """Draw windows: first a series, then one of its windows."""
    new = np.append(True, np.diff(windows.series) != 0)
    begins = np.flatnonzero(new)
    counts = np.diff(np.append(begins, len(windows)))
    drawn = random_state.randint(len(begins), size=n)
    return begins[drawn] + (random_state.random_sample(n) * counts[drawn]).astype(
        np.int64
    )
