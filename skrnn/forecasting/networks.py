"""Networks that forecast windows: trained on all series together, and applied."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from skrnn.architecture import Architecture, Noise
from skrnn.forecasting.linear import fit_linear, predict_linear
from skrnn.forecasting.losses import scaled_quantile
from skrnn.forecasting.windows import Computed, WindowShape
from skrnn.network import network_of
from skrnn.optimizers import Optimizer
from skrnn.parameters import aligned_copy, aligned_zeros
from skrnn.prediction import predict_raw
from skrnn.schedules import Schedule
from skrnn.threads import one_blas_thread
from skrnn.training import Divergence, Trainer, TrainingSet

DTYPE = np.dtype(np.float32)
# The output layer starts this small, for first forecasts near the level.
FIRST_OUTPUT = 0.1
# Training goes by so many parts; Ctrl-C is heard, and other series may come, between.
N_PARTS = 20
# An error counts in the loss as this power of the scale of its window: 0 makes it the
# scaled error, 1 the relative one, and in between both get smaller.
SCALE_POWER = 0.5
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
        Quantile levels to forecast, 0.5 among them: the median is the forecast.
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
    levels: tuple[float, ...] = (0.5,)
    linear: bool = False


@dataclass
class Network:
    """A trained network: arrays, numbers and strings only.

    Attributes
    ----------
    shape : WindowShape
    architecture : Architecture
    parameters : ndarray of float32 of shape (n_parameters,)
    coefficients : ndarray of shape (n_features, horizon) or None
        The linear model that it corrects.
    loss_curve : list of float
        The mean loss of each part of the training.
    """

    shape: WindowShape
    architecture: Architecture
    parameters: np.ndarray
    coefficients: np.ndarray | None
    loss_curve: list

    def forecast(self, windows, n_threads=1):
        """Return the forecasts of all windows, at their own level and scale.

        Returns
        -------
        forecasts : ndarray of float64 of shape (n_windows, horizon, n_levels)
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


def train_networks(pieces, shapes, settings, seeds, n_threads, init=None):
    """Train a network of each shape, the same for any number of threads.

    Parameters
    ----------
    pieces : iterable of Windows
        What each part of the training draws windows from: the same again and again, or
        pieces of a larger panel in turn.
    shapes : list of WindowShape
        One for each network.
    settings : Settings
    seeds : list of int
        Likewise.
    n_threads : int
    init : list of Network, default=None
        Networks to go on training; None begins anew.

    Returns
    -------
    networks : list of Network

    Raises
    ------
    ValueError
        If training diverges.
    """
    before = [None] * len(seeds) if init is None else init
    courses = [
        _Course(*arguments, settings)
        for arguments in zip(shapes, seeds, before, strict=True)
    ]
    pool = ThreadPoolExecutor(min(n_threads, len(seeds)))
    with one_blas_thread(), pool:  # left when no thread computes any more
        for _, windows in zip(range(N_PARTS), pieces, strict=False):
            list(pool.map(lambda course, w=windows: course.advance(w), courses))
    return [course.network() for course in courses]


class _Course:
    """The training of one network."""

    def __init__(self, shape, seed, start, settings):
        self._shape = shape
        self._settings = settings
        self._random_state = np.random.RandomState(seed)
        self._start = start
        self._trainer = None
        self._losses = []
        self._coefficients = None if start is None else start.coefficients

    def advance(self, windows):
        """Train for one of the parts."""
        windows = windows.reshaped(self._shape)
        if self._trainer is None:
            self._begin(windows)
        trainer = self._trainer
        trainer.training_set = self._training_set(windows)
        with trainer.threads() as threads:
            try:
                loss = trainer.epoch(threads, self._random_state, False, 0)
            except Divergence:
                raise ValueError(
                    "Training diverged: the loss became infinite or NaN. Try a smaller "
                    f"learning_rate_init (now {self._settings.learning_rate_init})."
                ) from None
        self._losses.append(loss)

    def network(self):
        """Return the network as it is trained so far."""
        return Network(
            self._shape,
            self._architecture,
            self._trainer.parameters,
            self._coefficients,
            self._losses,
        )

    def _begin(self, windows):
        """Make the network and its trainer."""
        settings = self._settings
        self._architecture = _architecture(windows, settings)
        network = network_of(self._architecture, Noise(dropout=settings.dropout))
        if self._start is not None:
            parameters = aligned_copy(self._start.parameters)
        else:
            parameters = aligned_zeros((network.layout.size,), DTYPE)
            network.initialize(parameters, self._random_state)
            network.layout.views(parameters)["output.weights"] *= FIRST_OUTPUT
            if settings.linear:
                rows = draw_windows(windows, N_LINEAR, self._random_state)
                self._coefficients = fit_linear(windows, rows)
        self._trainer = Trainer(
            network,
            parameters,
            self._training_set(windows),
            scaled_quantile,
            np.array(settings.levels, DTYPE),
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

    def _training_set(self, windows):
        """Return what a part of the training learns from: windows drawn anew."""
        n, coefficients = len(windows), self._coefficients

        def targets(rows):
            values, scale = windows.targets(rows)
            if coefficients is not None:
                values = values - windows.flat(rows) @ coefficients
            factor = np.minimum(scale, LARGEST_SCALE) ** SCALE_POWER
            return np.column_stack([values, factor])

        def ones(rows):
            return np.ones((len(rows), 1))

        n_updates = -(-self._settings.n_updates // N_PARTS)
        n_drawn = n_updates * self._settings.batch_size
        return TrainingSet(
            _inputs(windows),
            draw_windows(windows, n_drawn, self._random_state),
            Computed(targets, n, 1, windows.shape.horizon + 1),
            Computed(ones, n, 1, 1),
            np.broadcast_to(1.0, (n,)),
            *_no_scaling(windows.n_channels),
        )


def _architecture(windows, settings):
    """Return the architecture of a network for these windows."""
    return Architecture(
        cell=settings.cell,
        activation="tanh",
        n_inputs=windows.n_channels,
        hidden_layer_sizes=settings.hidden_layer_sizes,
        n_outputs=windows.shape.horizon * len(settings.levels),
    )


def _inputs(windows):
    return Computed(windows.inputs, len(windows), windows.n_frames, windows.n_channels)


def _no_scaling(n_channels):
    """Return a mean and an inverse scale that change nothing."""
    return np.zeros(n_channels, DTYPE), np.ones(n_channels, DTYPE)


def draw_windows(windows, n, random_state):
    """Draw windows: first a series, then one of its windows, which lie together."""
    begins = np.flatnonzero(np.append(True, np.diff(windows.series) != 0))
    counts = np.diff(np.append(begins, len(windows)))
    drawn = random_state.randint(len(begins), size=n)
    within = random_state.random_sample(n) * counts[drawn]
    return begins[drawn] + within.astype(np.int64)
