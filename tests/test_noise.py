"""What disturbs training: where it is, what it hangs on, and where there is none."""

from dataclasses import fields

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skrnn import RNNClassifier, RNNRegressor
from skrnn.architecture import NO_NOISE, Noise
from skrnn.cells import CELLS
from skrnn.lanes import by_lane
from skrnn.losses import squared_error
from skrnn.network import Network
from skrnn.optimizers import Optimizer
from skrnn.prediction import predict_raw
from skrnn.schedules import Schedule
from skrnn.simd import lane_count
from skrnn.training import Trainer
from tests.oracles.harness import (
    Ragged,
    TrainingRun,
    make_architecture,
    make_network,
    make_parameters,
    make_sequences,
    make_training_set,
)

STRONG = Noise(0.5, 0.3, 0.3, 0.3)
ALONE = {field.name: Noise(**{field.name: 0.4}) for field in fields(Noise)}
NOISES = ALONE | {"all": STRONG}


def run_of(network, n_samples, n_steps=5, seed=0):
    """Run identical sequences, which tell apart nothing but the noise."""
    rng = np.random.default_rng(seed)
    parameters = make_parameters(network, rng)
    training = TrainingRun(network, parameters, n_steps, 1, squared_error)
    sequences = make_sequences(rng, [n_steps], 2) * n_samples
    raw, _, gradient = training(sequences, np.zeros((n_samples, 1)))
    return training, raw[:, 0], gradient


def buffers_of(training, name):
    stack = dict(zip(training.network.layers, training.workspace.stack, strict=True))
    return stack[name].buffers


# --- the layers -----------------------------------------------------------------------


def test_there_are_layers_for_the_noise_that_there_is():
    architecture = make_architecture(
        "gru", "tanh", 2, (3, 2), 1, dense_layer_sizes=(4,), pooling="mean"
    )
    plain = list(Network(architecture).layers)
    assert list(Network(architecture, Noise(0.0, 0.0, 0.0, 0.0)).layers) == plain
    assert list(Network(architecture, Noise(recurrent_dropout=0.5)).layers) == plain
    assert list(Network(architecture, STRONG).layers) == [
        "input_noise",
        "input_dropout",
        "layers.0",
        "dropout.0",
        "layers.1",
        "dropout.1",
        "pooling",
        "dense_layers.0",
        "dense_dropout.0",
        "output",
    ]
    for noise in NOISES.values():
        network = Network(architecture, noise)
        assert network.is_noisy
        assert network.layout.shapes == Network(architecture).layout.shapes
    assert not Network(architecture, Noise()).is_noisy


def test_without_recurrent_weights_there_is_no_recurrent_dropout():
    size = {"cell": "mingru", "sizes": (4, 4), "pooling": "last"}
    dropped = make_network(**size, noise=Noise(recurrent_dropout=0.5))
    assert dropped.takes_pairs and not dropped.is_noisy
    ways = make_network(**size, bidirectional=True, noise=Noise(recurrent_dropout=0.5))
    assert not ways.is_noisy
    assert make_network(**size, noise=STRONG).is_noisy
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 5, 2)), rng.normal(size=40)
    settings = {"cell": "mingru", "max_iter": 3, "random_state": 0, "dropout": 0.2}
    settings |= {"n_iter_no_change": np.inf, "hidden_layer_sizes": (4,)}
    models = [
        RNNRegressor(**settings, recurrent_dropout=rate).fit(X, y) for rate in (0, 0.5)
    ]
    assert_array_equal(models[1]._parameters, models[0]._parameters)


def test_only_what_has_a_mask_makes_room_for_one():
    network = make_network("gru", noise=STRONG)
    training, *_ = run_of(network, 1)
    have = [n for n in network.layers if hasattr(buffers_of(training, n), "mask")]
    assert have == ["input_dropout", "dropout.0"]


def test_streams_of_all_layers_differ():
    """Else two layers would drop the same units."""
    network = make_network(sizes=(3, 3), bidirectional=True, noise=STRONG)
    parts = [
        *network.layers.values(),
        *(getattr(layer, "_ahead", None) for layer in network.layers.values()),
        *(getattr(layer, "_back", None) for layer in network.layers.values()),
    ]
    streams = [part._stream for part in parts if hasattr(part, "_stream")]
    assert len(streams) == 4 + 4 and len(set(streams)) == len(streams)


@pytest.mark.parametrize("noise", NOISES)
def test_noise_hangs_on_lane_and_shard(noise):
    network = make_network("gru", sizes=(12,), noise=NOISES[noise])
    n = 3 * lane_count(np.float64)
    _, raw, gradient = run_of(network, n)
    assert len(np.unique(raw)) > 0.9 * n  # few of the masks come twice
    _, again, same_gradient = run_of(network, n)
    assert_array_equal(again, raw)
    assert_array_equal(same_gradient, gradient)


@pytest.mark.parametrize("name", ["input_dropout", "dropout.0", "dropout.1"])
def test_dropout_multiplies_by_a_mask_of_every_step_and_unit(name):
    network = make_network("gru", sizes=(30, 20), noise=STRONG)
    training, *_ = run_of(network, lane_count(np.float64), n_steps=40)
    buffers = buffers_of(training, name)
    below = list(network.layers)[list(network.layers).index(name) - 1]
    n_units = network.layers[name].n_outputs
    mask, out, x = (
        by_lane(rows)[:40, :n_units]
        for rows in (buffers.mask, buffers.output, buffers_of(training, below).output)
    )
    assert_array_equal(out, x * mask)
    assert set(np.unique(mask)) == {0.0, 1 / 0.7}
    dropped = mask == 0.0
    assert abs(dropped.mean() - 0.3) < 5 * np.sqrt(0.21 / mask.size)
    for axis in range(3):  # no step, unit or lane has the mask of another
        parts = np.moveaxis(mask, axis, 0).reshape(mask.shape[axis], -1)
        assert len(np.unique(parts, axis=0)) == len(parts)


@pytest.mark.parametrize("cell", [c for c in CELLS if CELLS[c].recurrent_blocks[1]])
def test_recurrent_dropout_is_the_same_at_all_steps(cell):
    network = make_network(cell, sizes=(40,), noise=Noise(recurrent_dropout=0.3))
    training, *_ = run_of(network, lane_count(np.float64))
    buffers = buffers_of(training, "layers.0")
    mask, fed, hidden = (
        by_lane(rows)[:, :40]
        for rows in (buffers.dropped.mask, buffers.dropped.fed, buffers.hidden)
    )
    assert len(mask) == 1
    assert_array_equal(fed[:5], hidden[:5] * mask)
    dropped = mask[0] == 0.0
    assert abs(dropped.mean() - 0.3) < 5 * np.sqrt(0.21 / dropped.size)
    assert len(np.unique(dropped, axis=1).T) == dropped.shape[1]


def test_pieces_of_a_sequence_have_masks_of_their_own_but_for_recurrent_ones():
    network = make_network("gru", sizes=(20,), noise=STRONG)
    rng = np.random.default_rng(0)
    training = TrainingRun(network, make_parameters(network, rng), 4, 1, squared_error)
    masks, recurrent = [], []
    for done in (0, 4, 8):
        training.workspace.shard.n_steps[1] = done
        training(make_sequences(rng, [12], 2), np.zeros((1, 1)))
        masks.append(buffers_of(training, "dropout.0").mask.copy())
        recurrent.append(buffers_of(training, "layers.0").dropped.mask.copy())
    assert_array_equal(recurrent[1], recurrent[0])
    assert_array_equal(recurrent[2], recurrent[0])
    assert (masks[1] != masks[0]).mean() > 0.3 and (masks[2] != masks[1]).mean() > 0.3


@pytest.mark.parametrize("noise", ["inputs", "input_dropout", "dropout"])
def test_noise_keeps_the_mean_of_what_is_linear(noise):
    """Within five standard errors, by fixed seeds."""
    size = ("rnn", "identity", 2, (6,), 1)
    n = 4000
    _, noisy, _ = run_of(make_network(*size, noise=ALONE[noise]), n)
    _, plain, _ = run_of(make_network(*size), 1)
    assert noisy.std() > 0.05
    assert abs(noisy.mean() - plain[0]) < 5 * noisy.std() / np.sqrt(n)


def test_the_standard_deviation_of_noise_in_the_inputs():
    network = make_network("rnn", noise=Noise(inputs=0.25))
    n = lane_count(np.float64)
    training, *_ = run_of(network, n, n_steps=2000)
    added = by_lane(buffers_of(training, "input_noise").output)[:2000, :2]
    added = added - training.workspace.x[:2000, :2, :, 0]
    assert abs(added.mean()) < 5 * 0.25 / np.sqrt(added.size)
    assert abs(added.std() / 0.25 - 1) < 5 / np.sqrt(2 * added.size)


# --- training -------------------------------------------------------------------------


def train(noise, n_threads=1, rate=0.1, n_epochs=3, seed=0, dtype=np.float64):
    """Return the losses, the parameters, and raw predictions after training."""
    rng = np.random.default_rng(1)
    architecture = make_architecture("gru", "tanh", 2, (4, 3), 1)
    network = Network(architecture, noise)
    n = 9 * 2 * lane_count(dtype) + 3
    sequences = make_sequences(rng, rng.integers(1, 6, size=n), 2)
    training_set = make_training_set(
        sequences, rng.normal(size=(n, 1)), np.ones(n), dtype
    )
    parameters = make_parameters(network, rng, dtype)
    trainer = Trainer(
        network,
        parameters,
        training_set,
        squared_error,
        np.zeros(1, dtype),
        Optimizer.create(
            "sgd",
            {"momentum": 0.0, "nesterovs_momentum": 0.0},
            network.layout.penalized(dtype),
        ),
        Schedule("constant", rate, 0.5, 10, 0.0),
        alpha=0.0,
        max_grad_norm=0.0,
        batch_size=4 * 2 * lane_count(dtype) + 1,
        n_threads=n_threads,
    )
    random_state = np.random.RandomState(seed)
    with trainer.threads() as threads:
        assert (threads.worthwhile(1e9, 16) > 1) == (n_threads > 1)
        losses = [
            trainer.epoch(threads, random_state, False, 0) for _ in range(n_epochs)
        ]
    zeros = np.zeros(2, dtype)
    data = Ragged(sequences, dtype)
    plain = Network(architecture, NO_NOISE)
    raw = predict_raw(plain, parameters, data, zeros, zeros + 1, n_threads)
    return losses, parameters.tobytes(), raw.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("noise", NOISES)
def test_the_number_of_threads_changes_no_bit(noise, dtype, monkeypatch):
    monkeypatch.setattr("skrnn.threads.MIN_FLOPS_PER_THREAD", 1)
    one, two, three = (train(NOISES[noise], n, dtype=dtype) for n in (1, 2, 3))
    assert one == two == three


@pytest.mark.parametrize("noise", NOISES)
def test_minibatches_gathered_by_parts_have_the_same_noise(noise, monkeypatch):
    whole = train(NOISES[noise])
    monkeypatch.setattr("skrnn.training.CHUNK_BYTES", 1)
    assert train(NOISES[noise]) == whole


@pytest.mark.parametrize("noise", NOISES)
def test_epochs_differ_by_their_noise(noise):
    """Where nothing is learned, and the order stays."""
    losses = train(NOISES[noise], rate=0.0)[0]
    assert len(set(losses)) == 3
    assert train(NOISES[noise], rate=0.0)[0] == losses
    assert train(NOISES[noise], rate=0.0, seed=1)[0] != losses
    assert len(set(train(NO_NOISE, rate=0.0)[0])) == 1


def test_without_noise_no_random_number_is_drawn():
    results = [train(Noise(), seed=seed) for seed in (0, 1)]
    assert results[0] == results[1]


# --- the estimators -------------------------------------------------------------------

NOISY = {
    "input_noise": 0.2,
    "input_dropout": 0.2,
    "dropout": 0.3,
    "recurrent_dropout": 0.2,
}


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("Estimator", [RNNRegressor, RNNClassifier])
def test_estimators_predict_without_noise(Estimator, bidirectional):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 5, 2)), rng.integers(2, size=20)
    options = {
        "hidden_layer_sizes": (4,),
        "max_iter": 3,
        "random_state": 0,
        "bidirectional": bidirectional,
        "n_iter_no_change": np.inf,
    }
    quiet = Estimator(**options).fit(X, y)
    noisy = [Estimator(**options, **NOISY, n_jobs=n).fit(X, y) for n in (1, 2)]
    assert_array_equal(noisy[0].predict(X), noisy[0].predict(X))
    repeated = np.repeat(X[:1], 40, axis=0)
    method = "predict_proba" if Estimator is RNNClassifier else "predict"
    assert len(np.unique(getattr(noisy[0], method)(repeated), axis=0)) == 1
    for name, weights in noisy[0].weights_.items():
        assert_array_equal(noisy[1].weights_[name], weights)
    assert noisy[0].loss_curve_ != quiet.loss_curve_
