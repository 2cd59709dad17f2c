"""Predictions: the same bits by any way, and never those of other parameters."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn import prediction
from skrnn.activations import ACTIVATIONS
from skrnn.cells import CELLS
from skrnn.losses import squared_error
from skrnn.network import Network
from skrnn.prediction import CHUNK_STEPS, predict_raw
from tests.oracles.harness import (
    ARRANGEMENTS,
    Ragged,
    assert_same_bits,
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
RAGGED = [3, 1, 5]
LONG_RAGGED = [6, 6, 5, 4, 4, 4, 3, 3, 2, 2, 2, 1, 1]
TIMEOUT = 60.0  # of what would otherwise hang


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "n_inputs, sizes",
    [(1, (1,)), (2, (3, 2)), pytest.param(9, (17, 5), marks=pytest.mark.needs_jit)],
)
@pytest.mark.parametrize("cell, activation", KINDS)
def test_predictions_are_the_same_in_all_lanes(
    cell, activation, n_inputs, sizes, dtype
):
    rng = np.random.default_rng(8)
    network = make_network(cell, activation, n_inputs, sizes, 3)
    parameters = make_parameters(network, rng, dtype)
    sequences = make_sequences(rng, LONG_RAGGED, n_inputs)
    together = predict_in_all_lanes(network, parameters, sequences)
    zeros = np.zeros(n_inputs, dtype)
    for i, sequence in enumerate(sequences[::4]):
        alone = Ragged([sequence], dtype)
        raw = predict_raw(network, parameters, alone, zeros, zeros + 1, 1)
        assert_same_bits(raw[0], together[4 * i])


@pytest.mark.needs_jit
@pytest.mark.parametrize("n_units", [8, 13, 16, 33, 40])
@pytest.mark.parametrize("cell", CELLS)
def test_predictions_are_the_same_for_any_number_of_units(cell, n_units):
    """Also where that is a multiple of the lanes, or of the largest block."""
    rng = np.random.default_rng(9)
    network = make_network(cell, "tanh", 5, (n_units, n_units + 3), 19)
    sequences = make_sequences(rng, RAGGED, 5)
    for dtype in (np.float32, np.float64):
        predict_in_all_lanes(network, make_parameters(network, rng, dtype), sequences)


@pytest.mark.parametrize("cell, activation", KINDS)
def test_predictions_by_pieces_of_the_steps_change_no_bit(
    cell, activation, monkeypatch
):
    rng = np.random.default_rng(10)
    sequences = make_sequences(rng, [*LONG_RAGGED, 9, 8, 7, 12, 11, 10], 2)
    results = []
    for n_steps in (100, 4, 3, 1):
        # a network of its own: for a known one a roomy predictor may be kept
        network = make_network(cell, activation, 2, (3, 2), 1)
        parameters = make_parameters(network, np.random.default_rng(11))
        monkeypatch.setattr(prediction, "CHUNK_STEPS", n_steps)
        results.append(predict_in_all_lanes(network, parameters, sequences))
    for result in results[1:]:
        assert_array_equal(result, results[0])


@pytest.mark.needs_jit
@pytest.mark.parametrize("cell, activation", KINDS)
def test_predictions_of_long_sequences_are_the_oracles(cell, activation):
    """Around the number of steps that the buffers take, and its multiples."""
    rng = np.random.default_rng(12)
    architecture = make_architecture(cell, activation, 2, (3, 2), 1)
    network = Network(architecture)
    parameters = make_parameters(network, rng, scale=0.2)
    lengths = [n * CHUNK_STEPS + m for n in (1, 2) for m in (-1, 0, 1)]
    sequences = make_sequences(rng, [1, 2, *lengths, 3 * CHUNK_STEPS + 5], 2)
    raw = predict_in_all_lanes(network, parameters, sequences)
    views = network.layout.views(parameters)
    expected = [raw_prediction(architecture, views, s) for s in sequences]
    assert_allclose(raw, expected, rtol=1e-11, atol=1e-12)
    # as in training, whose buffers take all steps
    targets = np.zeros((len(sequences), 1))
    trained = run_network(network, parameters, sequences, squared_error, targets)
    assert_array_equal(raw, trained[0])


@pytest.mark.parametrize("lanes", ARRANGEMENTS)
@pytest.mark.parametrize("cell, activation", KINDS)
def test_nothing_is_left_over_from_the_prediction_before(cell, activation, lanes):
    rng = np.random.default_rng(6)
    network = make_network(cell, activation, 2, (3, 2), 1)
    parameters = make_parameters(network, rng)
    lanes = lanes(parameters.dtype)
    short, long = (make_sequences(rng, n, 2) for n in ([3, 1], [9] * lanes.n_samples))
    before, between, after = (
        predict_in(lanes, network, parameters, sequences)
        for sequences in (short, long, short)
    )
    assert np.isfinite(between).all()
    assert_array_equal(before, after)


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


@pytest.mark.parametrize("chunk_bytes", [1, 100])
def test_prediction_by_chunks_changes_no_bit(chunk_bytes, monkeypatch):
    rng = np.random.default_rng(3)
    network = make_network("gru", "tanh", 2, (3,), 1)
    parameters = make_parameters(network, rng)
    data = Ragged(make_sequences(rng, rng.integers(1, 5, size=19), 2))
    arguments = (network, parameters, data, np.zeros(2), np.ones(2), 1)
    whole = predict_raw(*arguments)
    monkeypatch.setattr(prediction, "CHUNK_BYTES", chunk_bytes)
    taken, take = [], data.take
    data.take = lambda rows: taken.append(len(rows)) or take(rows)
    assert_array_equal(predict_raw(*arguments), whole)
    assert sum(taken) == 19 and len(taken) > 5


@pytest.mark.parametrize("lanes", ARRANGEMENTS)
def test_the_number_of_threads_changes_no_bit(lanes, monkeypatch):
    monkeypatch.setattr("skrnn.threads.MIN_FLOPS_PER_THREAD", 1)
    rng = np.random.default_rng(14)
    network = make_network("lstm", "tanh", 2, (3, 2), 2)
    parameters = make_parameters(network, rng)
    lanes = lanes(parameters.dtype)
    lengths = rng.integers(1, 5, size=5 * lanes.n_samples + 1)
    sequences = make_sequences(rng, lengths, 2)
    # up and down: the kept predictor has more, or fewer, workspaces than threads
    results = [
        predict_in(lanes, network, parameters, sequences, n_threads)
        for n_threads in (1, 3, 2, 5, 1)
    ]
    for result in results[1:]:
        assert_array_equal(result, results[0])


# where the JIT is off NumPy tells of what is meant to overflow
may_overflow = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")


@may_overflow
def test_a_state_that_overflows_is_the_same_alone_and_among_others():
    """It may come back: here the next one is relu(-inf), and finite."""
    network = make_network("rnn", "relu", 1, (1,), 1)
    parameters = make_parameters(network, np.random.default_rng(0))
    views = network.layout.views(parameters)
    views["layers.0.input_weights"][:] = 10.0
    views["layers.0.recurrent_weights"][:] = -1.0
    sequence = np.array([[1e308], [1.0], [1.0], [0.25]])
    alone, among = (
        predict_raw(network, parameters, Ragged(n * [sequence]), zero, zero + 1, 1)
        for n, zero in ((1, np.zeros(1)), (5, np.zeros(1)))
    )
    assert np.isfinite(alone).all()
    assert_array_equal(alone[0], among[0])


@may_overflow
@pytest.mark.parametrize("cell", CELLS)
def test_inputs_whose_standardization_overflows_saturate(cell):
    network = make_network(cell, "tanh", 2, (3,), 1)
    parameters = make_parameters(network, np.random.default_rng(3))
    sequence = np.array([[1e300, 0.5], [-1e300, 1.0], [0.25, 0.125]])
    small = np.array([1e-100, 1.0])
    alone, among = (
        predict_raw(
            network, parameters, Ragged(n * [sequence]), 0 * small, 1 / small, 1
        )
        for n in (1, 5)
    )
    assert np.isfinite(alone).all()
    assert_array_equal(alone[0], among[0])


# --- memory ---------------------------------------------------------------------------


@pytest.mark.needs_jit
@pytest.mark.parametrize("lanes", ARRANGEMENTS)
def test_a_very_long_sequence_needs_little_memory(lanes):
    network = make_network("lstm", "tanh", 1, (32, 32), 1)
    parameters = make_parameters(network, np.random.default_rng(15))
    lanes = lanes(parameters.dtype)
    n_steps = 20_000
    sequences = [np.ones((n, 1)) for n in (n_steps, 7)]
    predict_in(lanes, network, parameters, [s[:7] for s in sequences])  # compile
    tracemalloc.start()
    try:
        raw = predict_in(lanes, network, parameters, sequences)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.isfinite(raw).all()
    # the states alone of one sample would be 20 MB, and there is room for more samples
    assert 4 * n_steps * 32 * 8 > 20e6
    assert peak < 4e6
