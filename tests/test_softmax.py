"""Probabilities from hidden states are those of the loss that was learned."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn import softmax
from skrnn.losses import OwnLoss, multiclass_log_loss
from skrnn.network import Network
from skrnn.softmax import softmax_of
from tests.oracles.harness import (
    make_architecture,
    make_parameters,
    predict_in_all_lanes,
    run_network,
)

N_CLASSES, LENGTHS = 11, [5, 1, 7, 3]
OUTPUTS = {
    "plain": {},
    "tied": {"tied": True},
    "tied_projected": {"tied": True, "embedding_dim": 4},
    "adaptive": {"cutoffs": (3, 5)},
}


def fitted(name, dtype):
    """Give a network, its parameters, sequences, targets and the states below."""
    rng = np.random.default_rng(0)
    options = {"n_tokens": ((0, N_CLASSES),), "embedding_dim": 17, "pooling": None}
    options |= OUTPUTS[name]
    architecture = make_architecture("gru", "tanh", 1, (17,), N_CLASSES, **options)
    network = Network(architecture)
    parameters = make_parameters(network, rng, dtype)
    tokens = rng.integers(N_CLASSES, size=(sum(LENGTHS), 1))
    sequences = np.split(tokens.astype(float), np.cumsum(LENGTHS)[:-1])
    below = Network(replace(architecture, n_outputs=0))
    views = network.layout.views(parameters)
    states = np.zeros(below.layout.size, dtype)
    for key, view in below.layout.views(states).items():
        view[:] = views[key]
    hidden = predict_in_all_lanes(below, states, sequences)
    targets = rng.integers(N_CLASSES, size=len(hidden))
    return network, parameters, sequences, hidden, targets


@pytest.mark.parametrize("block_bytes", [softmax.BLOCK_BYTES, 1, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OUTPUTS)
def test_the_loss_of_the_kernels(name, dtype, block_bytes, monkeypatch):
    monkeypatch.setattr(softmax, "BLOCK_BYTES", block_bytes)
    network, parameters, sequences, hidden, targets = fitted(name, dtype)
    of_network = softmax_of(network, parameters)
    assert of_network.n_classes == N_CLASSES
    logs = of_network.log_probabilities(hidden)
    assert logs.shape == (len(hidden), N_CLASSES) and logs.dtype == dtype
    tolerance = 5e-6 if dtype == np.float32 else 1e-13
    assert_allclose(np.exp(logs).sum(axis=1), 1.0, rtol=tolerance)
    loss = OwnLoss() if name == "adaptive" else multiclass_log_loss
    weights = np.random.default_rng(1).uniform(size=len(targets))
    _, value, _ = run_network(
        network, parameters, sequences, loss, targets[:, None], weights
    )
    chosen = np.take_along_axis(logs, targets[:, None], axis=1)[:, 0]
    assert_allclose(-weights @ chosen, value, rtol=tolerance)
    alone = of_network.log_probability_of(hidden, targets)
    assert alone.dtype == dtype
    assert_allclose(alone, chosen, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", OUTPUTS)
def test_no_rows(name):
    network, parameters, _, hidden, targets = fitted(name, np.float64)
    of_network = softmax_of(network, parameters)
    assert of_network.log_probabilities(hidden[:0]).shape == (0, N_CLASSES)
    assert of_network.log_probability_of(hidden[:0], targets[:0]).shape == (0,)


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("target", [-1, N_CLASSES])
def test_targets_are_classes(name, target):
    network, parameters, _, hidden, targets = fitted(name, np.float64)
    targets[2] = target
    message = f"Class {target} of row 2 is none of the 11, 0 to 10"
    with pytest.raises(ValueError, match=message):
        softmax_of(network, parameters).log_probability_of(hidden, targets)


def test_certain_predictions_are_finite():
    network, parameters, _, hidden, targets = fitted("plain", np.float32)
    network.layout.views(parameters)["output.weights"][:] *= 1e6
    of_network = softmax_of(network, parameters)
    assert np.isfinite(of_network.log_probabilities(hidden)).all()
    assert np.isfinite(of_network.log_probability_of(hidden, targets)).all()


def test_arguments_are_left_alone():
    network, parameters, _, hidden, targets = fitted("adaptive", np.float64)
    before = parameters.copy(), hidden.copy(), targets.copy()
    of_network = softmax_of(network, parameters)
    of_network.log_probabilities(hidden)
    of_network.log_probability_of(hidden, targets)
    for now, then in zip((parameters, hidden, targets), before, strict=True):
        assert_array_equal(now, then)
