"""adversarial_eps: half of the loss is that of inputs moved to raise it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits

from skrnn import RNNClassifier
from skrnn.inspection import input_gradient
from skrnn.losses import squared_error
from tests.oracles.harness import (
    TrainingRun,
    make_network,
    make_parameters,
    make_sequences,
)

EPS = 0.1


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("n_registers", [1, 2])
def test_it_is_the_mean_of_two_losses(bidirectional, n_registers):
    rng = np.random.default_rng(0)
    network = make_network("gru", bidirectional=bidirectional)
    parameters = make_parameters(network, rng)
    sequences = make_sequences(rng, [5, 2, 4], 2)
    targets, weights = rng.normal(size=(3, 1)), np.array([1.0, 2.0, 0.5])
    task = (network, parameters, 5, 1, squared_error)
    plain = TrainingRun(*task, n_registers=n_registers, input_gradient=True)
    raw, value, gradient = plain(sequences, targets, weights)
    d_x = plain.workspace.d_x.reshape(*plain.workspace.d_x.shape[:2], -1)
    moved = [
        sequence + EPS * np.sign(d_x[: len(sequence), :2, lane])
        for lane, sequence in enumerate(sequences)
    ]
    _, moved_value, moved_gradient = plain(moved, targets, weights)
    assert moved_value > value
    both = TrainingRun(*task, n_registers=n_registers, adversarial_eps=EPS)
    _, found_value, found_gradient = both(sequences, targets, weights)
    assert_allclose(found_value, (value + moved_value) / 2, rtol=1e-13)
    expected = (gradient + moved_gradient) / 2
    assert_allclose(found_gradient, expected, rtol=1e-10, atol=1e-14)
    # the inputs are loaded anew, not moved again
    assert_allclose(both(sequences, targets, weights)[1], found_value, rtol=1e-15)


def test_pairs_are_moved_too():
    rng = np.random.default_rng(1)
    network = make_network("gru", sizes=(4,))
    parameters = make_parameters(network, rng)
    sequences, targets = make_sequences(rng, [5, 2, 4], 2), rng.normal(size=(3, 1))
    results = [
        TrainingRun(
            network,
            parameters,
            5,
            1,
            squared_error,
            n_registers=form,
            adversarial_eps=EPS,
        )(sequences, targets)
        for form in (1, "pairs")
    ]
    assert_allclose(results[1][1], results[0][1], rtol=1e-13)
    assert_allclose(results[1][2], results[0][2], rtol=1e-10, atol=1e-14)


@pytest.mark.needs_jit
def test_a_trained_model_bears_attacks_better():
    digits = load_digits()
    X, y = digits.images[:800], digits.target[:800]
    train, test = slice(0, 400), slice(400, 800)
    settings = {"hidden_layer_sizes": (32,), "random_state": 0}
    accuracies = []
    for eps in (0.0, 0.2):
        model = RNNClassifier(**settings, adversarial_eps=eps).fit(X[train], y[train])
        uphill = np.sign(input_gradient(model, X[test], y[test]))
        accuracies.append(model.score(X[test] + uphill, y[test]))
        assert model.score(X[test], y[test]) > 0.85
    assert accuracies[1] > accuracies[0] + 0.05


def test_tokens_are_not_moved():
    """Nor what stands for them; numbers beside them are."""
    rng = np.random.default_rng(0)
    network = make_network("gru", n_tokens=((1, 4),), embedding_dim=3)
    sequence = np.column_stack([rng.normal(size=6), rng.integers(0, 4, 6)])
    parameters = make_parameters(network, rng)
    task = (network, parameters, 6, 1, squared_error)
    both = TrainingRun(*task, adversarial_eps=EPS)
    both([sequence], np.ones((1, 1)))
    moved = both.workspace.x[:6, :2, 0, 0] - sequence
    assert_allclose(np.abs(moved), np.tile([EPS, 0.0], (6, 1)), atol=1e-15)
