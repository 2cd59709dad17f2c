"""The adaptive softmax: exact losses, and gradients that are their slopes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.layers import adaptive
from skrnn.losses import OwnLoss
from skrnn.network import Network
from skrnn.simd import lane_count
from tests.oracles.harness import (
    TrainingRun,
    check_gradient,
    make_architecture,
    make_network,
    make_parameters,
    make_sequences,
    run_network,
)
from tests.oracles.network import parts, raw_prediction

RAGGED = [3, 1, 5, 6]
MANY = [9, 6, 6, 5, 4, 4, 4, 3, 3, 2, 2, 2, 1, 1, 9, 8, 7]
CUTOFFS = [(4,), (3, 7), (1, 2, 9)]


def architecture_of(cutoffs, n_classes=12, **more):
    more = {"sizes": (17,), "pooling": None, **more}
    return make_architecture(
        "gru", n_inputs=2, n_outputs=n_classes, cutoffs=cutoffs, **more
    )


def log_softmax(raw):
    return raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)


def log_probabilities(architecture, views, head, hidden):
    """Those of all classes, from the raw predictions of the head and from states."""
    views = {name: np.asarray(view, np.float64) for name, view in views.items()}
    head = log_softmax(head.astype(np.float64))
    first = architecture.cutoffs[0]
    columns = [head[:, :first]]
    for i in range(len(architecture.cutoffs)):
        inner, outer = (
            parts(views, f"output.tails.{i}.{name}")
            for name in ("projection", "classes")
        )
        units = hidden @ inner["weights"] + inner["bias"]
        raw = units @ outer["weights"] + outer["bias"]
        columns.append(head[:, first + i, None] + log_softmax(raw))
    return np.hstack(columns)


def task(lengths, n_classes=12, seed=0):
    rng = np.random.default_rng(seed)
    n = sum(lengths)
    targets, weights = rng.integers(n_classes, size=(n, 1)), rng.uniform(0.5, 2.0, n)
    return make_sequences(rng, lengths, 2), targets, weights


def states_of(architecture, views, sequences):
    """Return what the output layer reads, as if it passed it on."""
    n = architecture.hidden_layer_sizes[-1]
    through = dict(views)
    through["output.weights"], through["output.bias"] = np.eye(n), np.zeros(n)
    steps = [raw_prediction(architecture, through, x) for x in sequences]
    return np.vstack(steps) if architecture.pooling is None else np.array(steps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_registers", [1, 2])
@pytest.mark.parametrize("cutoffs", CUTOFFS)
def test_the_loss_is_exact(cutoffs, n_registers, dtype, monkeypatch):
    """Whatever there is room for, the tails get all steps."""
    architecture = architecture_of(cutoffs)
    network = Network(architecture)
    parameters = make_parameters(network, np.random.default_rng(1), dtype)
    views = network.layout.views(parameters)
    sequences, targets, weights = task(MANY)
    weights[::5] = 0.0
    hidden = states_of(architecture, views, [s.astype(dtype) for s in sequences])
    values, gradients = [], []
    for room in (adaptive.TAIL_STEPS, 1):
        monkeypatch.setattr(adaptive, "TAIL_STEPS", room)
        raw, value, gradient = run_network(
            network,
            parameters,
            sequences,
            OwnLoss(),
            targets,
            weights,
            n_registers=n_registers,
        )
        values.append(value)
        gradients.append(gradient)
    all_logs = log_probabilities(architecture, views, raw, hidden)
    assert_allclose(np.exp(all_logs).sum(axis=1), 1.0, rtol=1e-5)
    logs = np.take_along_axis(all_logs, targets, axis=1)[:, 0]
    tolerance = 3e-6 if dtype == np.float32 else 1e-13
    assert_allclose(values, -weights @ logs, rtol=tolerance)
    scale = np.abs(gradients[0]).max()
    assert_allclose(*gradients, rtol=0, atol=10 * tolerance * scale)


@pytest.mark.parametrize("pooling", [None, "last"])
@pytest.mark.parametrize("cutoffs", CUTOFFS)
def test_gradient(cutoffs, pooling):
    network = Network(architecture_of(cutoffs, pooling=pooling))
    sequences, targets, weights = task(RAGGED)
    if pooling:
        targets, weights = np.array([[0], [3], [8], [11]]), weights[:4]
    check_gradient(network, sequences, OwnLoss(), targets, 1, weights)


def test_a_tail_without_words_in_a_shard_learns_nothing():
    network = Network(architecture_of((3, 7)))
    parameters = make_parameters(network, np.random.default_rng(1))
    sequences, targets, _ = task(RAGGED)
    targets = np.where(targets < 7, targets, 0)
    weights = (targets[:, 0] < 3).astype(float)  # those of the first do not count
    _, value, gradient = run_network(
        network, parameters, sequences, OwnLoss(), targets, weights
    )
    assert value > 0
    for name, view in network.layout.views(gradient).items():
        assert (view == 0).all() == name.startswith("output.tails"), name


def test_not_a_number_shows_in_the_loss():
    network = Network(architecture_of((3, 7)))
    parameters = make_parameters(network, np.random.default_rng(1))
    views = network.layout.views(parameters)
    views["output.tails.1.projection.bias"][:] = np.nan
    sequences, targets, _ = task(RAGGED)
    value = run_network(network, parameters, sequences, OwnLoss(), targets)[1]
    assert np.isnan(value)


def test_sizes_and_initialization():
    network = make_network(
        "gru", "tanh", 2, (64,), 1000, pooling=None, cutoffs=(100, 400)
    )
    shapes = network.layout.shapes
    assert network.n_outputs == 102
    assert shapes["output.weights"] == (64, 102)
    assert shapes["output.tails.0.projection.weights"] == (64, 16)
    assert shapes["output.tails.0.classes.weights"] == (16, 300)
    assert shapes["output.tails.1.projection.weights"] == (64, 4)
    assert shapes["output.tails.1.classes.weights"] == (4, 600)
    flat = np.full(network.layout.size, np.nan)
    network.initialize(flat, np.random.RandomState(0))
    assert np.isfinite(flat).all()
    assert_array_equal(network.layout.views(flat)["output.tails.1.classes.bias"], 0)


@pytest.mark.parametrize("cutoffs", [(0, 4), (4, 4), (5, 4), (12,), (4, 13)])
def test_cutoffs_rise_within_the_classes(cutoffs):
    with pytest.raises(ValueError, match="cutoffs must be numbers of classes that"):
        Network(architecture_of(cutoffs))


def test_a_tied_output_has_no_cutoffs():
    tokens = {"n_tokens": ((0, 12),), "embedding_dim": 3, "tied": True}
    with pytest.raises(ValueError, match="A tied output has no cutoffs"):
        Network(architecture_of((4,), **tokens))


def test_labels_are_not_smoothed():
    network = Network(architecture_of((4,)))
    sequences, targets, _ = task(RAGGED)
    parameters = make_parameters(network, np.random.default_rng(1))
    with pytest.raises(ValueError, match="cannot be smoothed"):
        run_network(network, parameters, sequences, OwnLoss(), targets, levels=[0.1])


def test_lanes_of_a_tail_are_full():
    """Steps of its classes lie side by side, though they are rare."""
    network = Network(architecture_of((11,)))
    parameters = make_parameters(network, np.random.default_rng(1))
    sequences, targets, _ = task([20] * lane_count(np.float64))
    targets[:] = 0
    targets[::5] = 11
    training = TrainingRun(network, parameters, 20, 1, OwnLoss())
    training(sequences, targets)
    (tail,) = training.workspace.stack[-1].buffers.tails
    assert tail.shard.n_steps[0] == 20 // 5
