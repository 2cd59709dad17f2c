"""Whole networks: gradients, initialization, and lanes that end before the others."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.activations import ACTIVATIONS
from skrnn.architecture import Architecture, Noise
from skrnn.cells import CELLS
from skrnn.lanes import SamplesInLanes
from skrnn.losses import (
    CLASSIFICATION_LOSSES,
    REGRESSION_LOSSES,
    absolute_error,
    squared_error,
)
from skrnn.network import Network, Samples, load, load_targets, network_of
from skrnn.parameters import aligned_zeros
from skrnn.prediction import predict_raw
from tests.oracles import recurrent
from tests.oracles.harness import (
    Ragged,
    TrainingRun,
    assert_same_bits,
    check_gradient,
    make_architecture,
    make_network,
    make_parameters,
    make_sequences,
    predict_in,
    predict_in_all_lanes,
    run_network,
)
from tests.oracles.network import raw_prediction

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


@pytest.fixture(params=[1, 2], ids="registers{}".format, scope="module")
def n_registers(request):
    """How many registers a row of the buffers fills."""
    return request.param


@pytest.mark.parametrize("lengths", [EQUAL, RAGGED], ids=["equal", "ragged"])
@pytest.mark.parametrize(
    "sizes", [(3,), (3, 2), pytest.param((5, 1, 3), marks=pytest.mark.needs_jit)]
)
@pytest.mark.parametrize("cell, activation", KINDS)
def test_gradient_by_cell_and_depth(cell, activation, sizes, lengths, n_registers):
    rng = np.random.default_rng(1)
    network = make_network(cell, activation, 2, sizes, 2)
    sequences = make_sequences(rng, lengths, 2)
    targets = rng.normal(size=(len(lengths), 2))
    check_gradient(network, sequences, squared_error, targets, n_registers)


@pytest.mark.needs_jit
@pytest.mark.parametrize("n_inputs", [1, 3, 9])
@pytest.mark.parametrize("n_units", [1, 3, 5, 17])
@pytest.mark.parametrize("cell", CELLS)
def test_gradient_by_sizes(cell, n_units, n_inputs, n_registers):
    rng = np.random.default_rng(2)
    network = make_network(cell, "tanh", n_inputs, (n_units, n_units), 1 + n_units % 4)
    sequences = make_sequences(rng, LONG_RAGGED, n_inputs)
    targets = rng.normal(size=(len(sequences), network.n_outputs))
    weights = rng.uniform(0.5, 2.0, len(sequences))
    check_gradient(network, sequences, squared_error, targets, n_registers, weights)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_by_loss(loss, n_registers):
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
    function = LOSSES[loss]
    check_gradient(network, sequences, function, targets, n_registers, weights, levels)


# --- predictions ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(3,), (5, 2)])
@pytest.mark.parametrize("cell, activation", KINDS)
def test_raw_prediction_is_the_oracles(cell, activation, sizes, dtype, n_registers):
    assert cell in recurrent.CELLS, f"add {cell!r} to tests/oracles/recurrent.py"
    rng = np.random.default_rng(4)
    architecture = make_architecture(cell, activation, 2, sizes, 3)
    network = Network(architecture)
    parameters = make_parameters(network, rng, dtype)
    sequences = make_sequences(rng, RAGGED, 2)
    targets = np.zeros((len(sequences), 3))
    raw, value, _ = run_network(
        network,
        parameters,
        sequences,
        squared_error,
        targets,
        n_registers=n_registers,
    )
    views = network.layout.views(parameters.astype(np.float64))
    expected = [raw_prediction(architecture, views, s.astype(dtype)) for s in sequences]
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    assert_allclose(raw, expected, rtol=tolerance, atol=tolerance)
    assert_allclose(value, np.mean(raw**2 / 2, axis=1).sum(), rtol=tolerance)
    # without the buffers of a backward pass
    lanes = SamplesInLanes(np.dtype(dtype), n_registers)
    assert_array_equal(predict_in(lanes, network, parameters, sequences), raw)
    zeros = np.zeros(2, dtype)
    data = Ragged(sequences, dtype)
    again = predict_raw(network, parameters, data, zeros, zeros + 1, 1)
    assert_array_equal(again, raw)


@pytest.mark.parametrize("cell, activation", KINDS)
def test_a_sequence_alone_gives_what_it_gives_among_others(
    cell, activation, n_registers
):
    rng = np.random.default_rng(5)
    network = make_network(cell, activation, 2, (3, 2), 1)
    parameters = make_parameters(network, rng)
    sequences = make_sequences(rng, LONG_RAGGED, 2)
    targets = rng.normal(size=(len(sequences), 1))
    training = TrainingRun(
        network, parameters, 6, 1, squared_error, n_registers=n_registers
    )
    raw, value, gradient = training(sequences, targets)
    values, gradients = [], []
    for i, sequence in enumerate(sequences):
        raw_alone, value_alone, gradient_alone = run_network(
            network,
            parameters,
            [sequence],
            squared_error,
            targets[i : i + 1],
            n_registers=n_registers,
        )
        assert_array_equal(raw_alone[0], raw[i])
        values.append(value_alone)
        gradients.append(gradient_alone)
    assert_allclose(value, sum(values), rtol=1e-13)
    assert_allclose(gradient, sum(gradients), rtol=1e-11, atol=1e-13)


# --- two units of a sequence side by side ---------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes, n_inputs", [((2,), 1), ((6, 38), 3), ((18, 4), 2)])
@pytest.mark.parametrize("cell, activation", KINDS)
def test_pairs_give_the_same_numbers(cell, activation, sizes, n_inputs, dtype):
    rng = np.random.default_rng(11)
    network = make_network(cell, activation, n_inputs, sizes, 2)
    assert network.takes_pairs
    parameters = make_parameters(network, rng, dtype, scale=0.2)
    sequences = make_sequences(rng, LONG_RAGGED, n_inputs)
    n = len(sequences)
    task = sequences, squared_error, rng.normal(size=(n, 2)), rng.uniform(size=n)
    expected = run_network(network, parameters, *task)
    raw, value, gradient = run_network(network, parameters, *task, n_registers="pairs")
    assert_same_bits(raw, expected[0])
    # several shards, whose sums are added up in another order
    tolerance = 100 * np.finfo(dtype).eps
    assert_allclose(value, expected[1], rtol=tolerance)
    scale = np.abs(expected[2]).max()
    assert_allclose(gradient, expected[2], rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("sizes", [(3,), (2, 3), (3, 2), (1,)])
def test_an_odd_number_of_units_has_no_pairs(sizes):
    assert not make_network("gru", sizes=sizes).takes_pairs


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
@pytest.mark.parametrize("n_registers", [1, 2, "pairs"])
@pytest.mark.parametrize("lengths", [[40, 3], [40], [40] * 3])
def test_relu_that_overflows_where_there_is_no_sequence(lengths, n_registers):
    """In lanes that have ended, and in those that never had a sequence."""
    # inputs of -1 keep the state at 0, those of 0 in the other lanes let it explode
    network, parameters = one_unit_network(
        "relu", input_weights=1.0, recurrent_weights=1e10, bias=1.0, output_weights=1.0
    )
    sequences = [np.full((n, 1), -1.0) for n in lengths]
    targets = np.ones((len(lengths), 1))
    raw, value, gradient = run_network(
        network,
        parameters,
        sequences,
        squared_error,
        targets,
        n_registers=n_registers,
    )
    assert_array_equal(raw, 0.0)
    assert_array_equal(predict_in_all_lanes(network, parameters, sequences), 0.0)
    assert value == 0.5 * len(lengths)
    # no state is above 0, so that nothing but the output's bias matters
    assert_array_equal(gradient, [0, 0, 0, 0, -len(lengths)])


@may_overflow
@pytest.mark.parametrize("n_registers", [1, 2, "pairs"])
def test_identity_that_overflows_after_its_own_end(n_registers):
    network, parameters = one_unit_network(
        "identity", input_weights=1.0, recurrent_weights=1e10, output_weights=1e-300
    )
    # the second ends at 1e300, and a step later there would be infinity
    sequences = [np.ones((3, 1)), np.full((1, 1), 1e300)]
    targets = np.ones((2, 1))
    training = TrainingRun(
        network, parameters, 3, 1, absolute_error, n_registers=n_registers
    )
    raw, _, gradient = training(sequences, targets)
    alone = [
        run_network(
            network,
            parameters,
            [s],
            absolute_error,
            t[None],
            n_registers=n_registers,
        )
        for s, t in zip(sequences, targets, strict=True)
    ]
    assert_array_equal(raw[:, 0], [result[0][0, 0] for result in alone])
    assert_array_equal(predict_in_all_lanes(network, parameters, sequences), raw)
    assert_allclose(gradient, sum(result[2] for result in alone), rtol=1e-13)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("n_registers", [1, 2, "pairs"])
@pytest.mark.parametrize("cell, activation", KINDS)
def test_nothing_is_left_over_from_the_shard_before(cell, activation, n_registers):
    rng = np.random.default_rng(6)
    network = make_network(cell, activation, 2, (4, 2), 1)
    parameters = make_parameters(network, rng)
    training = TrainingRun(
        network, parameters, 6, 1, squared_error, n_registers=n_registers
    )
    results = []
    for lengths in ([3, 1], [6] * training.lanes.n_samples, [3, 1]):
        sequences = make_sequences(np.random.default_rng(sum(lengths)), lengths, 2)
        results.append(training(sequences, np.ones((len(lengths), 1))))
    for first, last in zip(results[0], results[2], strict=True):
        assert_array_equal(first, last)


@pytest.mark.parametrize("units_of_row", [1, 2, 4])
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    first=st.integers(0, 5),
    done=st.integers(0, 9),
    room=st.integers(1, 10),
)
def test_load_fills_the_lanes(lengths, first, done, room, units_of_row):
    """Lane by lane what is left of each sample, as far as there is room."""
    first = min(first, len(lengths) - 1)
    last = min(first + 3, len(lengths))
    longest = max(lengths[first:last])
    done = min(done, longest - 1)
    sequences = make_sequences(np.random.default_rng(0), lengths, 2)
    data = Ragged(sequences)
    samples = Samples.take(data, np.arange(len(data)), np.float64)
    mean, inverse_scale = np.array([1.0, -2.0]), np.array([0.5, 4.0])
    n_lanes = 4
    x = np.full((room, -(-3 // units_of_row), n_lanes, units_of_row), 9.0)
    held, n_steps = np.full(n_lanes, 77), np.array([77, done, 77])
    load(
        samples.values,
        samples.starts,
        samples.lengths,
        mean,
        inverse_scale,
        first,
        last,
        x,
        held,
        n_steps,
    )
    n = min(room, longest - done)
    assert_array_equal(n_steps, [n, done, last - first])
    # the row or unit beyond the channels, and unused steps
    expected = np.full((room, x.shape[1] * units_of_row, n_lanes), 9.0)
    expected[:n, :2] = 0.0
    for lane in range(n_lanes):
        i = first + lane
        rest = sequences[i][done:] if i < last else sequences[0][:0]
        ended = done > 0 and len(rest) == 0
        assert held[lane] == (-1 if ended else len(rest))
        rest = rest[:n]
        expected[: len(rest), :2, lane] = (rest - mean) * inverse_scale
    assert_array_equal(x.swapaxes(2, 3).reshape(expected.shape), expected)


def test_load_clips_what_overflows():
    largest = np.finfo(np.float32).max
    values = np.array([[1.0], [largest], [-largest]], np.float32)
    x = np.zeros((3, 1, 2, 1), np.float32)
    held, n_steps = np.zeros(2, np.int64), np.zeros(3, np.int64)
    mean, inverse_scale = np.zeros(1), np.full(1, 4.0)
    starts, lengths = np.array([0]), np.array([3])
    load(values, starts, lengths, mean, inverse_scale, 0, 1, x, held, n_steps)
    assert_array_equal(x[:, 0, 0, 0], [4.0, largest, -largest])


def test_load_targets_fills_the_lanes():
    targets, weights = np.arange(10.0).reshape(5, 2), np.arange(5.0)[:, None] + 1
    starts, lengths, n_steps = np.arange(5), np.ones(5, np.int64), np.array([1, 0, 3])
    target, weight = np.full((1, 2, 4), 9.0), np.full((1, 1, 4), 9.0)
    load_targets(targets, weights, starts, lengths, 0.5, 2, 5, target, weight, n_steps)
    assert_array_equal(target[0], [[4, 6, 8, 0], [5, 7, 9, 0]])
    assert_array_equal(weight[0], [[1.5, 2, 2.5, 0]])


@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    first=st.integers(0, 4),
    done=st.integers(0, 7),
    room=st.integers(1, 7),
)
def test_load_targets_of_steps_fills_the_lanes(lengths, first, done, room):
    """Lane by lane those of the steps that `load` brings, and zeros after them."""
    first = min(first, len(lengths) - 1)
    last, n_lanes = min(first + 3, len(lengths)), 4
    rng = np.random.default_rng(0)
    targets = [rng.normal(size=(n, 2)) for n in lengths]
    weights = [rng.uniform(size=(n, 1)) for n in lengths]
    starts = np.cumsum(lengths) - lengths
    target, weight = np.full((room, 2, n_lanes), 9.0), np.full((room, 1, n_lanes), 9.0)
    n_steps = np.array([room - 1, done, last - first])
    load_targets(
        np.concatenate(targets),
        np.concatenate(weights),
        starts,
        np.array(lengths),
        0.5,
        first,
        last,
        target,
        weight,
        n_steps,
    )
    expected = np.zeros((room, 3, n_lanes))
    expected[-1] = 9.0  # beyond the steps there are
    for lane, i in enumerate(range(first, last)):
        rest = np.hstack([targets[i], 0.5 * weights[i]])[done:][: room - 1]
        expected[: len(rest), :, lane] = rest
    assert_array_equal(target, expected[:, :2])
    assert_array_equal(weight, expected[:, 2:])


def test_samples_are_taken_in_the_order_of_the_rows():
    rng = np.random.default_rng(13)
    data, single = Ragged(make_sequences(rng, RAGGED, 2)), np.dtype("f")
    targets, weights = rng.normal(size=(3, 1)), rng.uniform(size=(3, 1))
    samples = Samples.take(
        data,
        np.array([2, 0]),
        single,
        Ragged([y[None] for y in targets]),
        Ragged([w[None] for w in weights]),
    )
    assert samples.values.dtype == np.float32
    values = np.concatenate([data.sequences[2], data.sequences[0]])
    assert_array_equal(samples.values, values.astype("f"))
    assert_array_equal(samples.lengths, [5, 3])
    assert_array_equal(samples.starts, [0, 5])
    assert_array_equal(samples.targets, targets[[2, 0]])
    assert_array_equal(samples.weights, weights[[2, 0]])
    assert_array_equal(samples.target_starts, [0, 1])
    assert_array_equal(samples.target_lengths, [1, 1])
    # or those of all steps, as many as there are of each
    samples = Samples.take(data, np.array([2, 0]), single, data, data)
    assert_array_equal(samples.targets, values)
    assert_array_equal(samples.weights, values)
    assert_array_equal(samples.target_starts, [0, 5])
    assert_array_equal(samples.target_lengths, [5, 3])
    data.sequences[1][:] = 1e39
    Samples.take(data, np.array([2, 0]), single)  # not of these
    with pytest.raises(ValueError, match="too large for float32"):
        Samples.take(data, np.array([1]), single)


# --- what a network is ---------------------------------------------------------------


def test_flops_grow_with_weights_and_steps():
    small, large = (make_network("lstm", "tanh", 1, (n,), 1) for n in (4, 8))
    assert small.flops(20) == 2 * small.flops(10)
    # four gates: inputs, recurrences, biases; and the output layer
    assert small.flops(1) == 16 * 1 + 16 * 4 + 16 + 4 + 1
    assert large.flops(1) > small.flops(1)


@pytest.mark.parametrize("cell, activation", KINDS)
def test_states_may_overflow_where_the_activation_has_no_bound(cell, activation):
    network = make_network(cell, activation, 2, (3, 4), 1)
    assert network.may_overflow == (activation in ("relu", "identity"))


def test_network_names_its_parameters():
    network = make_network("gru", "tanh", 2, (3, 4), 1)
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


def test_networks_of_the_same_architecture_are_one():
    """So that what is kept for one serves the next model of its kind."""
    architecture = Architecture("gru", "tanh", 2, (3, 4), 1)
    network, alike = network_of(architecture), replace(architecture)
    assert alike is not architecture and network_of(alike) is network
    for other in (
        network_of(replace(architecture, hidden_layer_sizes=(3, 5))),
        network_of(architecture, Noise(dropout=0.1)),
    ):
        assert other is not network
    assert network.layout.shapes == Network(architecture).layout.shapes
