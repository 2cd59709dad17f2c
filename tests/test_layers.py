"""The parameters of the layers before training."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.cells import CELLS
from tests.oracles.harness import make_network


@pytest.mark.parametrize("cell", CELLS)
def test_initialization(cell):
    network = make_network(cell, "tanh", 3, (5, 4), 2)
    flat = np.full(network.layout.size, np.nan)
    network.initialize(flat, np.random.RandomState(0))
    views = network.layout.views(flat)
    assert np.isfinite(flat).all()
    for place, n_inputs, n_units in [("layers.0", 3, 5), ("layers.1", 5, 4)]:
        no_weights = np.zeros((n_units, 0))
        recurrences = views.get(f"{place}.recurrent_weights", no_weights)
        n_gates = recurrences.shape[1] // n_units
        for gate in np.split(recurrences, n_gates, axis=1) if n_gates else []:
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
