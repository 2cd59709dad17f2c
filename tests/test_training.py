"""The loop: threads change no bit, shards add up, and every way that training ends."""

import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn import prediction, training
from skrnn.losses import squared_error
from skrnn.optimizers import Optimizer
from skrnn.prediction import predict_raw
from skrnn.schedules import Schedule
from skrnn.simd import lane_count
from skrnn.training import Divergence, Plan, Progress, Trainer, TrainingSet, train
from tests.oracles.harness import (
    Ragged,
    make_network,
    make_parameters,
    make_sequences,
    run_network,
)

TIMEOUT = 60.0  # of what would otherwise hang
SGD = {"momentum": 0.0, "nesterovs_momentum": 0.0}
ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "weight_decay": 0.0}


def make_set(n=6, n_channels=2, dtype=np.float64, seed=0, longest=4):
    rng = np.random.default_rng(seed)
    sequences = make_sequences(rng, rng.integers(1, longest + 1, size=n), n_channels)
    return TrainingSet(
        Ragged(sequences, dtype),
        np.arange(n),
        rng.normal(size=(n, 1)).astype(dtype),
        rng.uniform(0.5, 2.0, size=n).astype(dtype),
        np.zeros(n_channels, dtype),
        np.ones(n_channels, dtype),
    )


def make_trainer(
    network,
    parameters,
    loss=squared_error,
    solver="sgd",
    settings=SGD,
    schedule="constant",
    rate=0.1,
    alpha=0.0,
    max_grad_norm=0.0,
    n_threads=1,
):
    dtype = parameters.dtype
    penalized = network.layout.penalized(dtype)
    return Trainer(
        network,
        parameters,
        loss,
        np.zeros(0, dtype),
        Optimizer.create(solver, settings, penalized),
        Schedule(schedule, rate, 0.5, 10, 0.0),
        alpha,
        max_grad_norm,
        n_threads,
    )


def tiny_trainer(loss=squared_error, **options):
    network = make_network("rnn", "tanh", 2, (2,), 1)
    parameters = make_parameters(network, np.random.default_rng(0))
    return make_trainer(network, parameters, loss, **options)


def one_epoch(trainer, training_set, batch_size, order=None):
    order = training_set.rows if order is None else order
    with trainer.threads(training_set) as threads:
        return trainer.epoch(threads, training_set, order, batch_size, 0)


# --- gradients of batches -------------------------------------------------------------


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("n", [1, 5, pytest.param(300, marks=pytest.mark.needs_jit)])
def test_a_batch_is_the_sum_of_its_samples(cell, n):
    """300 samples are more shards than slots, some slots with several."""
    assert n < 300 or n > training.MAX_SLOTS * lane_count(np.float64)
    network = make_network(cell, "tanh", 2, (3,), 1)
    before = make_parameters(network, np.random.default_rng(1))
    after, training_set = before.copy(), make_set(n)
    trainer = make_trainer(network, after, alpha=0.6)
    mean_loss = one_epoch(trainer, training_set, n)
    weights, data = training_set.weights, training_set.data
    loss, gradient = 0.0, np.zeros_like(before)
    for i in range(n):
        _, value, alone = run_network(
            network,
            before,
            [data.sequences[i]],
            squared_error,
            training_set.targets[i : i + 1],
            weights[i : i + 1],
        )
        loss += value
        gradient += alone
    penalized = network.layout.penalized(np.float64)
    gradient += 0.6 * penalized * before
    expected = before - 0.1 * gradient / weights.sum()
    assert_allclose(after, expected, rtol=1e-11, atol=1e-12)
    # what is reported is what was minimized: with the penalty of the weights before
    penalty = 0.3 * (before[penalized > 0] ** 2).sum()
    assert_allclose(mean_loss, (loss + penalty) / weights.sum(), rtol=1e-12)


def test_the_order_within_a_batch_makes_no_difference():
    training_set = make_set(7)
    results = []
    for seed in range(3):
        trainer = tiny_trainer()
        order = np.random.default_rng(seed).permutation(7)
        one_epoch(trainer, training_set, 7, order)
        results.append(trainer.parameters)
    assert_allclose(results[1], results[0], rtol=1e-12)
    assert_allclose(results[2], results[0], rtol=1e-12)


def test_max_grad_norm_bounds_a_step():
    for max_norm in (1e-3, 1e6):
        trainer = tiny_trainer(max_grad_norm=max_norm)
        before = trainer.parameters.copy()
        one_epoch(trainer, make_set(), 6)
        length = np.linalg.norm(trainer.parameters - before) / 0.1
        assert length == pytest.approx(1e-3) if max_norm == 1e-3 else length > 0.01


def test_batches_follow_each_other():
    """Each begins with the parameters, but not the gradient, of the one before."""
    training_set = make_set(4)
    trainer, by_hand = tiny_trainer(), tiny_trainer().parameters
    one_epoch(trainer, training_set, 2)
    for rows in ([0, 1], [2, 3]):
        fresh = make_trainer(trainer.network, by_hand)
        one_epoch(fresh, training_set, 2, np.array(rows))
    assert_array_equal(trainer.parameters, by_hand)


# --- threads --------------------------------------------------------------------------


@pytest.fixture
def always_threads(monkeypatch):
    monkeypatch.setattr("skrnn.threads.MIN_FLOPS_PER_THREAD", 1)


@pytest.mark.needs_jit
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_number_of_threads_changes_no_bit(cell, dtype, always_threads):
    network = make_network(cell, "tanh", 2, (3, 2), 1)
    # many slots, of one and of two shards, and a last batch that is small
    training_set = make_set(23 * lane_count(dtype) + 3, dtype=dtype)
    results = []
    for n_threads in (1, 2, 5):
        rng = np.random.default_rng(2)
        parameters = make_parameters(network, rng, dtype)
        trainer = make_trainer(
            network, parameters, solver="adam", settings=ADAM, n_threads=n_threads
        )
        losses = []
        with trainer.threads(training_set) as threads:
            for _ in range(4):
                order = rng.permutation(training_set.rows)
                batch_size = 20 * lane_count(dtype) + 1
                losses.append(
                    trainer.epoch(threads, training_set, order, batch_size, 0)
                )
        zeros = np.zeros(2, dtype)
        raw = predict_raw(
            network, parameters, training_set.data, zeros, zeros + 1, n_threads
        )
        results.append((losses, parameters.tobytes(), raw.tobytes()))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("chunk_bytes", [1, 100])
def test_prediction_by_chunks_changes_no_bit(chunk_bytes, monkeypatch):
    network = make_network("gru", "tanh", 2, (3,), 1)
    parameters = make_parameters(network, np.random.default_rng(3))
    data, zeros = make_set(19).data, np.zeros(2)
    arguments = (network, parameters, data, zeros, zeros + 1, 1)
    whole = predict_raw(*arguments)
    monkeypatch.setattr(prediction, "CHUNK_BYTES", chunk_bytes)
    taken, take = [], data.take
    data.take = lambda rows: taken.append(len(rows)) or take(rows)
    assert_array_equal(predict_raw(*arguments), whole)
    assert sum(taken) == 19 and len(taken) > 5


@pytest.mark.parametrize("exception", [RuntimeError, KeyboardInterrupt])
def test_an_exception_within_an_epoch_surfaces(exception, always_threads):
    barrier = threading.Barrier(2)

    def loss(*arguments):
        barrier.wait(TIMEOUT)  # both threads are at work
        if threading.current_thread() is not threading.main_thread():
            raise exception("on purpose")
        return squared_error(*arguments)

    trainer = tiny_trainer(loss, n_threads=2)
    before = trainer.parameters.copy()
    with pytest.raises(exception, match="on purpose"):
        one_epoch(trainer, make_set(2 * lane_count(np.float64)), 100)
    assert_array_equal(trainer.parameters, before)


# --- the loop -------------------------------------------------------------------------


def run_plan(trainer, n_epochs=5, scores=None, on_epoch=None, **plan):
    """Train; return why training ended, the progress, and parameters by epoch."""
    history = []

    def run_epoch(epoch):
        epoch()
        history.append(trainer.parameters.copy())
        return False

    remaining = iter(scores or [])
    options = {"tol": 0.0, "n_iter_no_change": 100, "shuffle": True, "batch_size": 3}
    progress = Progress()
    reason = train(
        trainer,
        make_set(),
        Plan(
            max_iter=n_epochs,
            early_stopping=scores is not None,
            **options | plan,
        ),
        np.random.RandomState(0),
        progress,
        (lambda: next(remaining)) if scores else None,
        on_epoch or run_epoch,
    )
    return reason, progress, history


def test_training_lowers_the_loss():
    reason, progress, _ = run_plan(tiny_trainer(), 20)
    assert reason == training.MAX_ITER
    assert len(progress.loss_curve) == 20
    assert progress.loss_curve[-1] < 0.8 * progress.loss_curve[0]
    assert progress.best_loss == min(progress.loss_curve)
    assert progress.n_samples_seen == 20 * 6


def test_the_best_parameters_come_back():
    trainer = tiny_trainer()
    scores = [0.1, 0.5, 0.4, 0.3]
    _, progress, history = run_plan(trainer, 4, scores)
    assert_array_equal(trainer.parameters, history[1])
    assert progress.best_score == 0.5
    assert progress.validation_scores == scores


def test_no_progress_ends_training():
    trainer = tiny_trainer()
    scores = [0.5, 0.6, 0.1, 0.1, 0.1, 0.1]
    reason, progress, history = run_plan(trainer, 6, scores, n_iter_no_change=2)
    assert reason == training.CONVERGED
    assert len(progress.loss_curve) == 5
    assert_array_equal(trainer.parameters, history[1])


def test_adaptive_rates_fall_before_training_ends():
    # a tol that no epoch can meet: every other epoch the rate falls
    trainer = tiny_trainer(schedule="adaptive", rate=1e-4)
    reason, progress, _ = run_plan(trainer, 100, tol=10.0, n_iter_no_change=1)
    assert reason == training.CONVERGED
    assert trainer.schedule.reduced <= 1e-6
    assert len(progress.loss_curve) == 2 * 3 + 3  # inf - 10 is no bar to the first


def test_cosine_runs_its_course():
    trainer = tiny_trainer(schedule="cosine")
    reason, progress, _ = run_plan(trainer, 8, tol=10.0, n_iter_no_change=1)
    assert reason == training.MAX_ITER
    assert len(progress.loss_curve) == 8


def test_a_callback_may_stop_training():
    def on_epoch(epoch):
        epoch()
        return True

    reason, progress, _ = run_plan(tiny_trainer(), on_epoch=on_epoch)
    assert reason == training.STOPPED
    assert len(progress.loss_curve) == 1


def failing_after(n_calls, failure):
    """Give a loss that fails at the call after so many."""
    calls = []

    def loss(*arguments):
        calls.append(None)
        value = squared_error(*arguments)
        return failure() if len(calls) > n_calls else value

    return loss


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_divergence_leaves_the_parameters_before_the_epoch(bad):
    # two batches an epoch: the second epoch fails after a batch that was learned from
    trainer = tiny_trainer(failing_after(3, lambda: bad))
    history = []

    def on_epoch(epoch):
        epoch()
        history.append(trainer.parameters.copy())

    with pytest.raises(Divergence):
        run_plan(trainer, on_epoch=on_epoch)
    assert len(history) == 1
    assert_array_equal(trainer.parameters, history[0])


def test_a_gradient_that_is_not_finite_is_divergence_too():
    def loss(raw, d_raw, *others):
        value = squared_error(raw, d_raw, *others)
        d_raw[0, 0, 0] = np.nan
        return value

    trainer = tiny_trainer(loss)
    before = trainer.parameters.copy()
    with pytest.raises(Divergence):
        run_plan(trainer)
    assert_array_equal(trainer.parameters, before)


# where the JIT is off NumPy tells of what is meant to overflow
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_an_update_that_overflows_is_divergence_too():
    """Else the epoch would end with parameters that are not finite."""

    def steep(raw, d_raw, *others):
        value = squared_error(raw, d_raw, *others)
        d_raw *= 1e6
        return value

    trainer = tiny_trainer(steep, rate=1e306)
    before = trainer.parameters.copy()
    with pytest.raises(Divergence):
        run_plan(trainer, 1, batch_size=6)
    assert_array_equal(trainer.parameters, before)


def interrupt():
    raise KeyboardInterrupt


def test_an_interrupt_keeps_what_was_learned():
    trainer = tiny_trainer(failing_after(4, interrupt))
    reason, progress, history = run_plan(trainer)
    assert reason == training.INTERRUPTED
    assert len(progress.loss_curve) == 2
    assert_array_equal(trainer.parameters, history[-1])


def test_an_interrupt_brings_the_best_parameters_back():
    trainer = tiny_trainer(failing_after(6, interrupt))
    reason, _, history = run_plan(trainer, 10, [0.1, 0.9, 0.2])
    assert reason == training.INTERRUPTED
    assert_array_equal(trainer.parameters, history[1])


def test_without_shuffle_the_order_is_that_of_the_rows():
    orders = []

    def recorded(trainer, **plan):
        epoch = trainer.epoch

        def record(threads, training_set, order, *others):
            orders.append(list(order))
            return epoch(threads, training_set, order, *others)

        trainer.epoch = record
        run_plan(trainer, 3, **plan)

    recorded(tiny_trainer(), shuffle=False)
    assert orders == [list(range(6))] * 3
    orders.clear()
    recorded(tiny_trainer(), shuffle=True)
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert orders[0] != orders[1]


def test_a_new_search_forgets_the_best():
    progress = Progress(by_score=True)
    plan = Plan(1, 1, True, 0.0, 1, early_stopping=True)
    progress.record(1.0, 0.5, np.zeros(2), plan)
    progress.forget_best()
    progress.record(2.0, 0.3, np.ones(2), plan)
    assert progress.best_score == 0.3 and progress.best_loss == 2.0
    assert_array_equal(progress.best_parameters, 1)
    assert progress.n_without_progress == 0
