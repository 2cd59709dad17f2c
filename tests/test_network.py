"""Whole networks: gradients, initialization, and lanes that end before the others."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.activations import ACTIVATIONS
from skrnn.cells import CELLS
from skrnn.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    absolute_error,
    squared_error,
)
from skrnn.network import Batch, Network, PackedParameters, Workspace
from skrnn.parameters import CACHE_LINE, ParameterLayout, aligned_zeros
from skrnn.prediction import predict_raw
from skrnn.simd import lane_count
from tests.oracles import recurrent
from tests.oracles.derivatives import derivative
from tests.oracles.harness import (
    Ragged,
    make_network,
    make_parameters,
    make_sequences,
    run_network,
)

KINDS = [
    (name, activation)
    for name, cell in CELLS.items()
    for activation in (ACTIVATIONS if cell.has_activation else ["tanh"])
]
EQUAL = [4, 4, 4]
RAGGED = [3, 1, 5]
# more sequences than lanes, so that a second shard follows with a shorter longest
LONG_RAGGED = [6, 6, 5, 4, 4, 4, 3, 3, 2, 2, 2, 1, 1]
LOSSES = {
    **{name: loss.function for name, loss in REGRESSION_LOSSES.items()},
    **{
        f"{kind}_{name}": loss.function
        for name, kinds in CLASSIFICATION_LOSSES.items()
        for kind, loss in kinds.items()
    },
}
LEVELS = {"huber": [0.5], "quantile": [0.2, 0.8]}


def check_gradient(network, sequences, loss, targets, weights=None, levels=(), rng=0):
    """Compare with slopes along random directions within each named parameter.

    Any wrong entry shows along almost every direction.
    """
    rng = np.random.default_rng(rng)
    parameters = make_parameters(network, rng)

    def value(p):
        return run_network(network, p, sequences, loss, targets, weights, levels)[1]

    result = run_network(network, parameters, sequences, loss, targets, weights, levels)
    flat = result[2]
    assert np.abs(flat).max() > 1e-3
    for where in network.layout.slices.values():
        for _ in range(2):
            direction = np.zeros_like(flat)
            direction[where] = rng.normal(size=where.stop - where.start)
            direction /= np.linalg.norm(direction)
            slope = derivative(value, parameters, direction, step=2e-6)
            assert_allclose(flat @ direction, slope, rtol=2e-7, atol=2e-8)


@pytest.mark.parametrize("lengths", [EQUAL, RAGGED], ids=["equal", "ragged"])
@pytest.mark.parametrize(
    "sizes", [(3,), (3, 2), pytest.param((5, 1, 3), marks=pytest.mark.needs_jit)]
)
@pytest.mark.parametrize("cell, activation", KINDS)
def test_gradient_by_cell_and_depth(cell, activation, sizes, lengths):
    rng = np.random.default_rng(1)
    network = make_network(cell, activation, 2, sizes, 2)
    sequences = make_sequences(rng, lengths, 2)
    targets = rng.normal(size=(len(lengths), 2))
    check_gradient(network, sequences, squared_error, targets)


@pytest.mark.needs_jit
@pytest.mark.parametrize("n_inputs", [1, 3, 9])
@pytest.mark.parametrize("n_units", [1, 3, 5, 17])
@pytest.mark.parametrize("cell", CELLS)
def test_gradient_by_sizes(cell, n_units, n_inputs):
    rng = np.random.default_rng(2)
    network = make_network(cell, "tanh", n_inputs, (n_units, n_units), 1 + n_units % 4)
    sequences = make_sequences(rng, LONG_RAGGED, n_inputs)
    targets = rng.normal(size=(len(sequences), network.n_outputs))
    weights = rng.uniform(0.5, 2.0, len(sequences))
    check_gradient(network, sequences, squared_error, targets, weights)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_by_loss(loss):
    rng = np.random.default_rng(3)
    n, levels = len(RAGGED), LEVELS.get(loss, ())
    if loss.startswith("multiclass"):
        n_outputs, targets = 4, rng.integers(4, size=(n, 1))
    elif loss.startswith("binary"):
        n_outputs, targets = 3, rng.integers(2, size=(n, 3))
    else:
        n_outputs, targets = 2, rng.gamma(2.0, size=(n, 2))
        n_outputs *= len(levels) if loss == "quantile" else 1
    network = make_network("gru", "tanh", 2, (3,), n_outputs)
    sequences = make_sequences(rng, RAGGED, 2)
    weights = rng.uniform(0.5, 2.0, n)
    check_gradient(network, sequences, LOSSES[loss], targets, weights, levels)


# --- predictions ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(3,), (5, 2)])
@pytest.mark.parametrize("cell, activation", KINDS)
def test_raw_prediction_is_the_oracles(cell, activation, sizes, dtype):
    assert cell in recurrent.CELLS, f"add {cell!r} to tests/oracles/recurrent.py"
    rng = np.random.default_rng(4)
    network = make_network(cell, activation, 2, sizes, 3)
    parameters = make_parameters(network, rng, dtype)
    sequences = make_sequences(rng, RAGGED, 2)
    targets = np.zeros((len(sequences), 3))
    raw, value, _ = run_network(network, parameters, sequences, squared_error, targets)
    views = network.layout.views(parameters.astype(np.float64))
    expected = [
        recurrent.raw_prediction(cell, activation, views, s.astype(dtype))
        for s in sequences
    ]
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    assert_allclose(raw, expected, rtol=tolerance, atol=tolerance)
    assert_allclose(value, np.mean(raw**2 / 2, axis=1).sum(), rtol=tolerance)
    # without the buffers of a backward pass
    zeros = np.zeros(2, dtype)
    data = Ragged(sequences, dtype)
    again = predict_raw(network, parameters, data, zeros, zeros + 1, 1)
    assert_array_equal(again, raw)


@pytest.mark.parametrize("cell, activation", KINDS)
def test_a_sequence_alone_gives_what_it_gives_among_others(cell, activation):
    rng = np.random.default_rng(5)
    network = make_network(cell, activation, 2, (3, 2), 1)
    parameters = make_parameters(network, rng)
    sequences = make_sequences(rng, LONG_RAGGED, 2)
    targets = rng.normal(size=(len(sequences), 1))
    raw, value, gradient = run_network(
        network, parameters, sequences, squared_error, targets
    )
    values, gradients = [], []
    for i, sequence in enumerate(sequences):
        raw_alone, value_alone, gradient_alone = run_network(
            network, parameters, [sequence], squared_error, targets[i : i + 1]
        )
        assert_array_equal(raw_alone[0], raw[i])
        values.append(value_alone)
        gradients.append(gradient_alone)
    assert_allclose(value, sum(values), rtol=1e-13)
    assert_allclose(gradient, sum(gradients), rtol=1e-11, atol=1e-13)


# --- lanes that have ended ------------------------------------------------------------


def one_unit_network(activation, **weights):
    network = make_network("rnn", activation, 1, (1,), 1)
    parameters = aligned_zeros((network.layout.size,), np.float64)
    for name, view in network.layout.views(parameters).items():
        view[:] = weights.get(name.removeprefix("layers.0.").replace(".", "_"), 0.0)
    return network, parameters


# where the JIT is off NumPy tells of what is meant to overflow
may_overflow = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")


@may_overflow
@pytest.mark.parametrize("lengths", [[40, 3], [40], [40] * 3])
def test_relu_that_overflows_where_there_is_no_sequence(lengths):
    """In lanes that have ended, and in those that never had a sequence."""
    # inputs of -1 keep the state at 0, those of 0 in the other lanes let it explode
    network, parameters = one_unit_network(
        "relu", input_weights=1.0, recurrent_weights=1e10, bias=1.0, output_weights=1.0
    )
    sequences = [np.full((n, 1), -1.0) for n in lengths]
    targets = np.ones((len(lengths), 1))
    raw, value, gradient = run_network(
        network, parameters, sequences, squared_error, targets
    )
    assert_array_equal(raw, 0.0)
    assert value == 0.5 * len(lengths)
    # no state is above 0, so that nothing but the output's bias matters
    assert_array_equal(gradient, [0, 0, 0, 0, -len(lengths)])


@may_overflow
def test_identity_that_overflows_after_its_own_end():
    network, parameters = one_unit_network(
        "identity", input_weights=1.0, recurrent_weights=1e10, output_weights=1e-300
    )
    # the second ends at 1e300, and a step later there would be infinity
    sequences = [np.ones((3, 1)), np.full((1, 1), 1e300)]
    targets = np.ones((2, 1))
    raw, _, gradient = run_network(
        network, parameters, sequences, absolute_error, targets
    )
    alone = [
        run_network(network, parameters, [s], absolute_error, t[None])
        for s, t in zip(sequences, targets, strict=True)
    ]
    assert_array_equal(raw[:, 0], [result[0][0, 0] for result in alone])
    assert_allclose(gradient, sum(result[2] for result in alone), rtol=1e-13)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("cell, activation", KINDS)
def test_nothing_is_left_over_from_the_shard_before(cell, activation):
    rng = np.random.default_rng(6)
    network = make_network(cell, activation, 2, (3, 2), 1)
    parameters = make_parameters(network, rng)
    packed = PackedParameters(network, parameters, training=True).packed
    workspace = Workspace(network, 6, 1, np.float64, training=True)
    gradients = []
    lanes = lane_count(np.float64)
    for lengths in ([3, 1], [6] * lanes, [3, 1]):
        values = np.random.default_rng(sum(lengths)).normal(size=(sum(lengths), 2))
        lengths = np.array(lengths)
        starts = np.cumsum(lengths) - lengths
        ones = np.ones((len(lengths), 1))
        batch = Batch(
            values, starts, lengths, np.zeros(2), np.ones(2), ones, ones[:, 0]
        )
        shard = workspace.load(batch, 0)
        workspace.forward(packed, shard)
        value = squared_error(
            workspace.raw,
            workspace.d_raw,
            workspace.target,
            workspace.weight,
            1.0,
            np.zeros(0),
        )
        gradient = aligned_zeros(parameters.shape, np.float64)
        layers = network.parameters_of_layers(gradient)
        workspace.backward(packed, layers, shard)
        gradients.append((value, gradient))
    assert gradients[0][0] == gradients[2][0]
    assert_array_equal(gradients[0][1], gradients[2][1])


def test_channels_are_standardized_on_the_way_in():
    rng = np.random.default_rng(7)
    network = make_network("gru", "tanh", 2, (3,), 1)
    parameters = make_parameters(network, rng)
    sequences = make_sequences(rng, RAGGED, 2)
    mean, scale = np.array([1.0, -2.0]), np.array([2.0, 0.5])
    raw = predict_raw(network, parameters, Ragged(sequences), mean, 1 / scale, 1)
    standardized = Ragged([(s - mean) / scale for s in sequences])
    zeros = np.zeros(2)
    expected = predict_raw(network, parameters, standardized, zeros, zeros + 1, 1)
    assert_allclose(raw, expected, rtol=1e-12)


# --- parameters -----------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_initialization(cell):
    network = make_network(cell, "tanh", 3, (5, 4), 2)
    flat = np.full(network.layout.size, np.nan)
    network.initialize(flat, np.random.RandomState(0))
    views = network.layout.views(flat)
    assert np.isfinite(flat).all()
    for place, n_inputs, n_units in [("layers.0", 3, 5), ("layers.1", 5, 4)]:
        recurrences = views[f"{place}.recurrent_weights"]
        for gate in np.split(recurrences, recurrences.shape[1] // n_units, axis=1):
            assert_allclose(gate.T @ gate, np.eye(n_units), atol=1e-12)
        limit = np.sqrt(6.0 / (n_inputs + n_units))
        inputs = np.abs(views[f"{place}.input_weights"])
        assert 0.5 * limit < inputs.max() <= limit
        bias = views[f"{place}.bias"].reshape(-1, n_units)
        expected = np.zeros_like(bias)
        for block, value in CELLS[cell].initial_bias.items():
            expected[block] = value
        assert_array_equal(bias, expected)
    assert 0 < np.abs(views["output.weights"]).max() <= 1.0
    assert_array_equal(views["output.bias"], 0)


def test_the_lstm_remembers_at_first():
    network = make_network("lstm", "tanh", 1, (3,), 1)
    flat = np.zeros(network.layout.size)
    network.initialize(flat, np.random.RandomState(0))
    bias = network.layout.views(flat)["layers.0.bias"]
    i, f, n, o = np.split(bias, 4)  # as in tests/oracles/recurrent.py
    assert_array_equal(f, 1)
    assert_array_equal([i, n, o], 0)


def test_initialization_hangs_on_the_seed_alone():
    network = make_network("gru", "tanh", 2, (3,), 1)
    flats = [np.zeros(network.layout.size) for _ in range(3)]
    for flat, seed in zip(flats, [7, 7, 8], strict=True):
        network.initialize(flat, np.random.RandomState(seed))
    assert_array_equal(flats[0], flats[1])
    assert (flats[0] != flats[2]).any()


def test_orthogonal_recurrences_favour_no_sign():
    network = make_network("rnn", "tanh", 1, (2,), 1)
    flat = np.zeros(network.layout.size)
    corners = []
    for seed in range(200):
        network.initialize(flat, np.random.RandomState(seed))
        recurrence = network.layout.views(flat)["layers.0.recurrent_weights"]
        corners.append(np.sign(recurrence[0, 0]))
    assert abs(np.mean(corners)) < 0.25


def test_views_share_the_flat_vector():
    layout = ParameterLayout({"a.weights": (2, 3), "a.bias": (3,), "b.weights": (1, 4)})
    flat = np.arange(13.0)
    views = layout.views(flat)
    assert layout.size == 13
    assert_array_equal(views["a.bias"], [6, 7, 8])
    views["b.weights"][0, 3] = -1
    assert flat[12] == -1
    assert_array_equal(layout.penalized(np.float32), [1] * 6 + [0] * 3 + [1] * 4)


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 5), (0, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_aligned_zeros(shape, dtype):
    zeros = aligned_zeros(shape, dtype)
    assert zeros.shape == shape and zeros.dtype == dtype
    assert zeros.flags.c_contiguous and zeros.flags.writeable
    assert not zeros.any()
    assert zeros.size == 0 or zeros.ctypes.data % CACHE_LINE == 0


def test_flops_grow_with_weights_and_steps():
    small, large = (make_network("lstm", "tanh", 1, (n,), 1) for n in (4, 8))
    assert small.flops(20) == 2 * small.flops(10)
    # four gates: inputs, recurrences, biases; and the output layer
    assert small.flops(1) == 16 * 1 + 16 * 4 + 16 + 4 + 1
    assert large.flops(1) > small.flops(1)


def test_network_names_its_parameters():
    network = Network("gru", "tanh", 2, [3, 4], 1)
    assert list(network.layout.shapes) == [
        "layers.0.input_weights",
        "layers.0.recurrent_weights",
        "layers.0.bias",
        "layers.1.input_weights",
        "layers.1.recurrent_weights",
        "layers.1.bias",
        "output.weights",
        "output.bias",
    ]
