"""From plain arrays to the kernels and back: what the tests of networks share."""

from functools import partial
from unittest.mock import patch

import numba
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.architecture import NO_NOISE, Architecture
from skrnn.lanes import FewSamplesInLanes, SamplesInLanes, UnitsInLanes
from skrnn.network import (
    Network,
    PackedParameters,
    Samples,
    TrainingWorkspace,
    load,
    load_targets,
)
from skrnn.parameters import aligned_zeros
from skrnn.prediction import predict_raw
from skrnn.recording import run
from skrnn.training import TrainingSet
from tests.oracles.derivatives import derivative


class Ragged:
    """The least that training and prediction ask of a data set."""

    def __init__(self, sequences, dtype=np.float64):
        self.sequences = [np.asarray(s, dtype) for s in sequences]
        self.lengths = np.array([len(s) for s in sequences], np.int64)
        self.n_channels = self.sequences[0].shape[1]
        self.dtype = np.dtype(dtype)

    def __len__(self):
        return len(self.sequences)

    def take(self, rows):
        return np.concatenate([self.sequences[row] for row in rows])


def make_sequences(rng, lengths, n_channels):
    return [rng.normal(size=(n, n_channels)) for n in lengths]


def make_parameters(network, rng, dtype=np.float64, scale=0.4):
    """Random parameters, the biases too, which begin at 0 in training."""
    parameters = aligned_zeros((network.layout.size,), dtype)
    parameters[:] = scale * rng.normal(size=parameters.size)
    return parameters


def make_architecture(
    cell="rnn", activation="tanh", n_inputs=2, sizes=(3,), n_outputs=1, **more
):
    return Architecture(cell, activation, n_inputs, tuple(sizes), n_outputs, **more)


def make_network(*size, noise=NO_NOISE, **more):
    """A network of what `make_architecture` takes."""
    return Network(make_architecture(*size, **more), noise)


def make_training_set(sequences, targets, weights, dtype=np.float64):
    """Targets and weights are those of samples, or of all their steps."""
    n, n_channels = len(sequences), sequences[0].shape[1]
    weights = np.asarray(weights, np.float64)[:, None]
    ends = np.arange(1, n) if len(targets) == n else np.cumsum([*map(len, sequences)])
    ends = ends[: n - 1]
    weights = np.split(weights, ends)
    return TrainingSet(
        Ragged(sequences, dtype),
        np.arange(n),
        Ragged(np.split(np.asarray(targets), ends), dtype),
        Ragged(weights),
        np.array([w.sum() for w in weights]),
        np.zeros(n_channels, dtype),
        np.ones(n_channels, dtype),
    )


class TrainingRun:
    """A workspace that learns, run on any sequences of at most `n_steps` steps.

    It sees the parameters as they are when it is called.
    """

    def __init__(
        self,
        network,
        parameters,
        n_steps,
        n_targets,
        loss,
        levels=(),
        n_registers=1,
        input_gradient=False,
        adversarial_eps=0.0,
    ):
        self.dtype = parameters.dtype
        if n_registers == "pairs":
            self.lanes = FewSamplesInLanes(self.dtype)
        else:
            self.lanes = SamplesInLanes(self.dtype, n_registers)
        self.network = network
        self.packed = PackedParameters(network, parameters, self.lanes, training=True)
        levels = np.asarray(levels if len(levels) else [0.0], self.dtype)
        self.workspace = TrainingWorkspace(
            network,
            self.packed,
            n_steps,
            n_targets,
            loss,
            levels,
            input_gradient,
            adversarial_eps,
        )

    def __call__(self, sequences, targets, weights=None):
        """Return raw predictions, the sum of the losses and its gradient.

        Targets and weights are those of samples, or of all their steps.
        """
        data, work = Ragged(sequences, self.dtype), self.workspace
        zeros = np.zeros(data.n_channels, self.dtype)
        starts, lengths = data.lengths.cumsum() - data.lengths, data.lengths
        n = len(data)
        if not self.network.per_step:
            starts, lengths = np.arange(n), np.ones(n, np.int64)
        weights = np.ones(len(targets)) if weights is None else weights
        weights = np.asarray(weights, np.float64)[:, None]
        targets = np.asarray(targets, self.dtype)
        samples = Samples.take(data, np.arange(n), self.dtype)
        raw = np.empty((len(targets), self.network.n_outputs), self.dtype)
        self.packed.refresh()
        work.gradient[:] = 0.0
        value = 0.0
        for first in range(0, n, self.lanes.n_samples):
            last = min(first + self.lanes.n_samples, n)
            load(
                samples.values,
                samples.starts,
                samples.lengths,
                zeros,
                zeros + 1,
                first,
                last,
                work.x,
                work.shard.lengths,
                work.shard.n_steps,
            )
            load_targets(
                targets,
                weights,
                starts,
                lengths,
                1.0,
                first,
                last,
                work.target,
                work.weight,
                work.predicted.n_steps,
            )
            work.shard.noise[:] = 7, first
            value += run(work.program)
            for i in range(first, last):
                steps = slice(starts[i], starts[i] + lengths[i])
                raw[steps] = work.raw[: lengths[i], :, i - first]
        return raw, value, work.gradient.copy()


def run_network(
    network,
    parameters,
    sequences,
    loss,
    targets,
    weights=None,
    levels=(),
    n_registers=1,
):
    """Return raw predictions, the sum of the losses and its gradient by parameter."""
    n_steps, n_targets = max(map(len, sequences)), np.shape(targets)[1]
    training = TrainingRun(
        network, parameters, n_steps, n_targets, loss, levels, n_registers
    )
    return training(sequences, targets, weights)


def check_gradient(
    network,
    sequences,
    loss,
    targets,
    n_registers,
    weights=None,
    levels=(),
    parameters=None,
):
    """Compare with slopes along random directions within each named parameter.

    Any wrong entry shows along almost every direction.
    """
    rng = np.random.default_rng(0)
    if parameters is None:
        parameters = make_parameters(network, rng)
    n_steps, n_targets = max(map(len, sequences)), targets.shape[1]
    at = parameters.copy()
    training = TrainingRun(network, at, n_steps, n_targets, loss, levels, n_registers)

    def value(p):
        at[:] = p
        return training(sequences, targets, weights)[1]

    _, _, flat = training(sequences, targets, weights)
    assert np.abs(flat).max() > 1e-3
    for where in network.layout.slices.values():
        for _ in range(2):
            direction = np.zeros_like(flat)
            direction[where] = rng.normal(size=where.stop - where.start)
            direction /= np.linalg.norm(direction)
            slope = derivative(value, parameters, direction, step=2e-6)
            assert_allclose(flat @ direction, slope, rtol=2e-7, atol=2e-8)
    return flat


def predict_in(lanes, network, parameters, sequences, n_threads=1):
    """Return the raw predictions with this arrangement of the lanes."""
    data = Ragged(sequences, parameters.dtype)
    zeros = np.zeros(data.n_channels, parameters.dtype)
    with patch("skrnn.prediction.prediction_lanes", lambda *_: lanes):
        return predict_raw(network, parameters, data, zeros, zeros + 1, n_threads)


ARRANGEMENTS = [UnitsInLanes, *(partial(SamplesInLanes, n_registers=n) for n in (1, 2))]


def predict_in_all_lanes(network, parameters, sequences):
    """Assert that the same bits come out, whatever lies in the lanes; return them."""
    units, one, two = (
        predict_in(lanes(parameters.dtype), network, parameters, sequences)
        for lanes in ARRANGEMENTS
    )
    assert_array_equal(two, one)
    assert_same_bits(units, one)
    return one


def assert_same_bits(actual, expected):
    """Assert equality, which NumPy's own sums have only up to rounding errors."""
    if numba.config.DISABLE_JIT:
        eps = 1000 * np.finfo(actual.dtype).eps
        assert_allclose(actual, expected, rtol=eps, atol=eps)
    else:
        assert_array_equal(actual, expected)
