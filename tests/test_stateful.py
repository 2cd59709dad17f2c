"""Streams that are learned from segment by segment."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.losses import multiclass_log_loss
from skrnn.network import Network
from skrnn.optimizers import Optimizer
from skrnn.pieces import raw_by_pieces
from skrnn.prediction import predict_raw
from skrnn.schedules import Schedule
from skrnn.simd import lane_count
from skrnn.stateful import Segments, StatefulTrainer
from skrnn.training import TrainingSet
from skrnn.truncated import TruncatedTrainer
from tests.oracles.harness import Ragged, make_architecture, make_parameters

N_TOKENS = 5


def make_network(cell="gru", **more):
    architecture = make_architecture(
        cell,
        "tanh",
        1,
        (3, 4),
        N_TOKENS,
        pooling=None,
        n_tokens=((0, N_TOKENS),),
        embedding_dim=2,
        **more,
    )
    return Network(architecture)


def make_trainer(kind, network, training_set, batch_size, n_threads=1):
    """Return a trainer of `kind`, a function of the arguments of `Trainer`."""
    return kind(
        network,
        make_parameters(network, np.random.default_rng(2), scale=0.6),
        training_set,
        multiclass_log_loss,
        np.zeros(1),
        Optimizer.create(
            "sgd",
            {"momentum": 0.0, "nesterovs_momentum": 0.0},
            network.layout.penalized(np.float64),
        ),
        Schedule("constant", 0.3, 0.5, 2, 0.0),
        0.5,
        0.0,
        batch_size,
        n_threads,
    )


def make_set(inputs, targets, weights):
    zeros = np.zeros(1)
    sums = np.array([weights.take(np.array([i])).sum() for i in range(len(inputs))])
    rows = np.arange(len(inputs))
    return TrainingSet(inputs, rows, targets, weights, sums, zeros, zeros + 1)


def run_epochs(trainer):
    losses, random_state = [], np.random.RandomState(0)
    with trainer.threads() as threads:
        for _ in range(2):
            losses.append(trainer.epoch(threads, random_state, False, 0))
    return losses, trainer.parameters.copy()


def streams(n_streams, n):
    rng = np.random.default_rng(3)
    tokens = rng.integers(0, N_TOKENS, size=(n_streams, n + 1)).astype(float)
    return tokens[:, :-1].ravel(), tokens[:, 1:].ravel(), rng.uniform(1, 2, tokens.size)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_the_same_as_pieces_of_whole_streams(cell):
    n_streams, n, n_steps = 4, 14, 5
    x, y, _ = streams(n_streams, n)
    network, ones = make_network(cell), np.ones(len(x))
    segments = [Segments(part, n_streams, n_steps) for part in (x, y, ones)]
    trainer = make_trainer(StatefulTrainer, network, make_set(*segments), n_streams)
    assert len(trainer._slots) == 1
    wholes = [Ragged(list(part.reshape(n_streams, n, 1))) for part in (x, y, ones)]

    def truncated(*args):
        return TruncatedTrainer(n_steps, *args)

    other = make_trainer(truncated, network, make_set(*wholes), n_streams)
    (losses, parameters), (expected, end) = run_epochs(trainer), run_epochs(other)
    # the penalty of a piece is divided by its own targets, that of a batch by all
    assert_allclose(parameters, end, rtol=1e-6, atol=1e-9)
    assert_allclose(losses, expected, rtol=2e-2)


@pytest.mark.needs_jit
def test_states_stay_with_their_shards_whatever_the_threads():
    n_streams = 2 * lane_count(np.float64) * 2 + 3
    x, y, weights = streams(n_streams, 11)
    network = make_network()
    results = []
    for n_threads in (1, 2, 3):
        segments = [Segments(p, n_streams, 4) for p in (x, y, weights[: len(x)])]
        trainer = make_trainer(
            StatefulTrainer, network, make_set(*segments), n_streams, n_threads
        )
        assert len(trainer._slots) > 1
        trainer_threads = trainer.threads
        trainer.threads = lambda make=trainer_threads: always_several(make())
        results.append(run_epochs(trainer))
    for losses, parameters in results[1:]:
        assert losses == results[0][0]
        assert_array_equal(parameters, results[0][1])


def always_several(threads):
    """Let even little work be shared out."""
    threads.worthwhile = lambda flops, n_tasks: min(threads.n_threads, n_tasks)
    return threads


def test_shards_learn_what_one_shard_would():
    """Streams in other lanes change the sums by rounding only."""
    n_lanes = lane_count(np.float64)
    n_streams = 3 * n_lanes
    x, y, _ = streams(n_streams, 9)
    network, ones = make_network("lstm"), np.ones(len(x))
    segments = [Segments(part, n_streams, 4) for part in (x, y, ones)]
    trainer = make_trainer(StatefulTrainer, network, make_set(*segments), n_streams)
    _, parameters = run_epochs(trainer)
    order = np.random.default_rng(0).permutation(n_streams)
    parts = [p.reshape(n_streams, -1)[order].ravel() for p in (x, y, ones)]
    segments = [Segments(part, n_streams, 4) for part in parts]
    trainer = make_trainer(StatefulTrainer, network, make_set(*segments), n_streams)
    _, permuted = run_epochs(trainer)
    assert_allclose(parameters, permuted, rtol=1e-9, atol=1e-12)


@given(n=st.integers(4, 60), n_streams=st.integers(1, 4), n_steps=st.integers(1, 9))
def test_segments_are_the_streams(n, n_streams, n_steps):
    numbers = np.arange(n)
    segments = Segments(numbers, n_streams, n_steps)
    length = n // n_streams
    expected = numbers[: length * n_streams].reshape(n_streams, length)
    n_places = -(-length // n_steps)
    assert len(segments) == n_places * n_streams
    for stream in range(n_streams):
        rows = np.arange(n_places) * n_streams + stream
        assert_array_equal(segments.take(rows)[:, 0], expected[stream])
        assert segments.lengths[rows].sum() == length
    backwards = np.arange(len(segments))[::-1]
    parts = [segments.take(np.array([row]))[:, 0] for row in backwards]
    assert_array_equal(segments.take(backwards)[:, 0], np.concatenate(parts))


@pytest.mark.parametrize("n_samples", [1, 2, 40])
def test_pieces_are_the_prediction_of_each_step(n_samples):
    network = make_network("lstm")
    parameters = make_parameters(network, np.random.default_rng(2), scale=0.6)
    rng = np.random.default_rng(4)
    lengths = rng.integers(1, 12, size=n_samples)
    lengths[-1] = 600 if n_samples < 3 else 9  # more than a piece
    tokens = [rng.integers(0, N_TOKENS, size=(n, 1)).astype(float) for n in lengths]
    data, channels = Ragged(tokens), (np.zeros(1), np.ones(1))
    expected = predict_raw(network, parameters, data, *channels, 1)
    found = np.full_like(expected, np.nan)
    starts = lengths.cumsum() - lengths
    for rows, steps, raw in raw_by_pieces(network, parameters, data):
        assert np.isnan(found[starts[rows] + steps]).all()
        found[starts[rows] + steps] = raw
    assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
