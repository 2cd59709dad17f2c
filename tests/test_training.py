"""The loop: threads change no bit, shards add up, and every way that training ends."""

import threading
from dataclasses import replace

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn import epochs, training
from skrnn.epochs import Plan, Progress, train
from skrnn.losses import squared_error
from skrnn.optimizers import Optimizer
from skrnn.prediction import predict_raw
from skrnn.schedules import Schedule
from skrnn.simd import lane_count
from skrnn.training import Divergence, Trainer
from tests.oracles.harness import (
    make_network,
    make_parameters,
    make_sequences,
    make_training_set,
    run_network,
)

TIMEOUT = 60.0  # of what would otherwise hang
SGD = {"momentum": 0.0, "nesterovs_momentum": 0.0}
ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "weight_decay": 0.0}


def make_set(n=6, n_channels=2, dtype=np.float64, seed=0, longest=4):
    rng = np.random.default_rng(seed)
    sequences = make_sequences(rng, rng.integers(1, longest + 1, size=n), n_channels)
    targets, weights = rng.normal(size=(n, 1)), rng.uniform(0.5, 2.0, size=n)
    return make_training_set(sequences, targets, weights, dtype)


def make_trainer(
    network,
    parameters,
    training_set,
    batch_size,
    loss=squared_error,
    levels=(),
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
        training_set,
        loss,
        np.array(levels, dtype),
        Optimizer.create(solver, settings, penalized),
        Schedule(schedule, rate, 0.5, 10, 0.0),
        alpha,
        max_grad_norm,
        batch_size,
        n_threads,
    )


def tiny_trainer(training_set=None, batch_size=3, **options):
    network = make_network("rnn", "tanh", 2, (2,), 1)
    parameters = make_parameters(network, np.random.default_rng(0))
    training_set = training_set or make_set()
    return make_trainer(network, parameters, training_set, batch_size, **options)


def one_epoch(trainer, seed=None):
    """Pass once over the rows, in their order unless there is a seed."""
    random_state = None if seed is None else np.random.RandomState(seed)
    with trainer.threads() as threads:
        return trainer.epoch(threads, random_state, seed is not None, 0)


# --- gradients of batches -------------------------------------------------------------


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("n", [1, 5, pytest.param(300, marks=pytest.mark.needs_jit)])
def test_a_batch_is_the_sum_of_its_samples(cell, n):
    """300 samples are more shards than slots, some slots with several."""
    assert n < 300 or n > training.MAX_SLOTS * 2 * lane_count(np.float64)
    network = make_network(cell, "tanh", 2, (3,), 1)
    before = make_parameters(network, np.random.default_rng(1))
    after, training_set = before.copy(), make_set(n)
    trainer = make_trainer(network, after, training_set, n, alpha=0.6)
    mean_loss = one_epoch(trainer)
    weights, data = training_set.sample_weights, training_set.data
    targets = training_set.targets
    loss, gradient = 0.0, np.zeros_like(before)
    for i in range(n):
        _, value, alone = run_network(
            network,
            before,
            [data.sequences[i]],
            squared_error,
            targets.sequences[i],
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
        order = np.random.default_rng(seed).permutation(7)
        trainer = tiny_trainer(replace(training_set, rows=order), 7)
        one_epoch(trainer, seed)
        results.append(trainer.parameters)
    assert_allclose(results[1], results[0], rtol=1e-12)
    assert_allclose(results[2], results[0], rtol=1e-12)


def test_max_grad_norm_bounds_a_step():
    for max_norm in (1e-3, 1e6):
        trainer = tiny_trainer(batch_size=6, max_grad_norm=max_norm)
        before = trainer.parameters.copy()
        one_epoch(trainer)
        length = np.linalg.norm(trainer.parameters - before) / 0.1
        assert length == pytest.approx(1e-3) if max_norm == 1e-3 else length > 0.01


def test_batches_follow_each_other():
    """Each begins with the parameters, but not the gradient, of the one before."""
    training_set = make_set(4)
    trainer, by_hand = tiny_trainer(training_set, 2), tiny_trainer().parameters
    one_epoch(trainer)
    for rows in ([0, 1], [2, 3]):
        some = replace(training_set, rows=np.array(rows))
        one_epoch(make_trainer(trainer.network, by_hand, some, 2))
    assert_array_equal(trainer.parameters, by_hand)


def test_an_epoch_begins_with_the_parameters_as_they_are():
    training_set = make_set(4)
    trainer, fresh = tiny_trainer(training_set), tiny_trainer(training_set)
    before = trainer.parameters.copy()
    one_epoch(trainer)
    trainer.parameters[:] = before
    one_epoch(trainer)
    one_epoch(fresh)
    assert_array_equal(trainer.parameters, fresh.parameters)


def test_the_loss_of_an_epoch_is_the_mean_over_its_weights():
    """Of each minibatch with the parameters that it found."""
    training_set = make_set(5)
    trainer, by_hand = tiny_trainer(training_set, 2), tiny_trainer().parameters
    total = 0.0
    for rows in ([0, 1], [2, 3], [4]):
        some = replace(training_set, rows=np.array(rows))
        loss = one_epoch(make_trainer(trainer.network, by_hand, some, 2))
        total += loss * training_set.sample_weights[rows].sum()
    expected = total / training_set.sample_weights.sum()
    assert one_epoch(trainer) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize("what", ["CHUNK_BYTES", "CHUNK_FLOPS"])
def test_minibatches_gathered_by_parts_change_no_bit(what, seed, monkeypatch):
    results = []
    for bound in (10**9, 1):
        monkeypatch.setattr(training, what, bound)
        training_set = make_set(11)
        taken, take = [], training_set.data.take
        training_set.data.take = lambda rows, t=take, n=taken: n.append(rows) or t(rows)
        trainer = tiny_trainer(training_set, solver="adam", settings=ADAM)
        losses = [one_epoch(trainer, seed) for _ in range(2)]
        results.append((losses, trainer.parameters.tobytes(), len(taken)))
    assert results[0][:2] == results[1][:2]
    assert [n for *_, n in results] == [2, 8]


def test_rates_follow_the_schedule_of_the_samples_seen():
    """Each update has its own, by the minibatches and the samples before it."""
    asked, used = [], []
    trainer = tiny_trainer(make_set(7), solver="sgd")

    class Halving:
        runs_its_course = False

        def rate(self, n_updates, n_samples):
            asked.append((n_updates, n_samples))
            return 0.1 / 2**n_updates

    trainer.schedule = Halving()
    with trainer.threads() as threads:
        trainer.epoch(threads, None, False, 100)
        used.append(trainer.optimizer.rates[0])
        trainer.epoch(threads, np.random.RandomState(0), True, 107)
        used.append(trainer.optimizer.rates[0])
    assert [n for n, _ in asked] == list(range(6))
    assert asked[:3] == [(0, 100), (1, 103), (2, 106)]
    assert asked[3][1] == 107 and asked[5][1] < 114
    assert used == [0.1 / 4, 0.1 / 32]


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
    n_lanes = 2 * lane_count(dtype)
    training_set = make_set(23 * n_lanes + 3, dtype=dtype)
    results = []
    for n_threads in (1, 2, 5):
        random_state = np.random.RandomState(2)
        parameters = make_parameters(network, np.random.default_rng(2), dtype)
        trainer = make_trainer(
            network,
            parameters,
            training_set,
            20 * n_lanes + 1,
            solver="adam",
            settings=ADAM,
            alpha=0.7,
            max_grad_norm=0.01,
            n_threads=n_threads,
        )
        with trainer.threads() as threads:
            assert (threads.worthwhile(1e9, 16) > 1) == (n_threads > 1)
            losses = [trainer.epoch(threads, random_state, True, 0) for _ in range(4)]
        zeros = np.zeros(2, dtype)
        raw = predict_raw(
            network, parameters, training_set.data, zeros, zeros + 1, n_threads
        )
        results.append((losses, parameters.tobytes(), raw.tobytes()))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("exception", [RuntimeError, KeyboardInterrupt])
def test_an_exception_within_an_epoch_surfaces(
    exception, n_threads, always_threads, monkeypatch
):
    barrier = threading.Barrier(n_threads)

    def fail(*arguments):
        barrier.wait(TIMEOUT)  # all threads are at work
        if n_threads == 1 or threading.current_thread() is not threading.main_thread():
            raise exception("on purpose")
        return 0.0

    name = "_train_on_batches" if n_threads == 1 else "_train_on_shards"
    monkeypatch.setattr(training, name, fail)
    training_set = make_set(4 * lane_count(np.float64))
    trainer = tiny_trainer(training_set, 100, n_threads=n_threads)
    before = trainer.parameters.copy()
    with pytest.raises(exception, match="on purpose"):
        one_epoch(trainer)
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
    options = {"tol": 0.0, "n_iter_no_change": 100, "shuffle": True}
    progress = Progress()
    reason = train(
        trainer,
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
    assert reason == epochs.MAX_ITER
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
    assert reason == epochs.CONVERGED
    assert len(progress.loss_curve) == 5
    assert_array_equal(trainer.parameters, history[1])


def test_adaptive_rates_fall_before_training_ends():
    # a tol that no epoch can meet: every other epoch the rate falls
    trainer = tiny_trainer(schedule="adaptive", rate=1e-4)
    reason, progress, _ = run_plan(trainer, 100, tol=10.0, n_iter_no_change=1)
    assert reason == epochs.CONVERGED
    assert trainer.schedule.reduced <= 1e-6
    assert len(progress.loss_curve) == 2 * 3 + 3  # inf - 10 is no bar to the first


def test_cosine_runs_its_course():
    trainer = tiny_trainer(schedule="cosine")
    reason, progress, _ = run_plan(trainer, 8, tol=10.0, n_iter_no_change=1)
    assert reason == epochs.MAX_ITER
    assert len(progress.loss_curve) == 8


def test_a_callback_may_stop_training():
    def on_epoch(epoch):
        epoch()
        return True

    reason, progress, _ = run_plan(tiny_trainer(), on_epoch=on_epoch)
    assert reason == epochs.STOPPED
    assert len(progress.loss_curve) == 1


# where the JIT is off NumPy tells of what is meant to overflow
overflows = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")


@numba.njit(error_model="numpy")
def failing(raw, d_raw, target, weight, levels, n_steps):
    """A loss that is levels[1] at the call after so many as levels[0] says."""
    value = squared_error(raw, d_raw, target, weight, levels, n_steps)
    levels[0] -= 1.0
    return levels[1] if levels[0] < 0.0 else value


@numba.njit(error_model="numpy")
def bad_gradient(raw, d_raw, target, weight, levels, n_steps):
    """A loss whose gradient is levels[0] in the first lane."""
    value = squared_error(raw, d_raw, target, weight, levels, n_steps)
    d_raw[0, 0, 0] = levels[0]
    return value


@numba.njit(error_model="numpy")
def steep(raw, d_raw, target, weight, levels, n_steps):
    """A loss whose gradient is too large by the factor levels[0]."""
    value = squared_error(raw, d_raw, target, weight, levels, n_steps)
    for lane in range(d_raw.shape[2]):
        d_raw[0, 0, lane] *= levels[0]
    return value


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_divergence_leaves_the_parameters_before_the_epoch(bad):
    # two batches an epoch: the second epoch fails after a batch that was learned from
    trainer = tiny_trainer(loss=failing, levels=[3, bad])
    history = []

    def on_epoch(epoch):
        epoch()
        history.append(trainer.parameters.copy())

    with pytest.raises(Divergence):
        run_plan(trainer, on_epoch=on_epoch)
    assert len(history) == 1
    assert_array_equal(trainer.parameters, history[0])


@overflows
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_is_divergence_too(
    bad, n_threads, always_threads
):
    trainer = tiny_trainer(
        make_set(40), 40, loss=bad_gradient, levels=[bad], n_threads=n_threads
    )
    before = trainer.parameters.copy()
    with pytest.raises(Divergence):
        run_plan(trainer)
    assert_array_equal(trainer.parameters, before)


@overflows
def test_an_update_that_overflows_is_divergence_too():
    """Else the epoch would end with parameters that are not finite."""
    trainer = tiny_trainer(batch_size=6, loss=steep, levels=[1e6], rate=1e306)
    before = trainer.parameters.copy()
    with pytest.raises(Divergence):
        run_plan(trainer, 1)
    assert_array_equal(trainer.parameters, before)


def test_divergence_brings_back_the_optimizer():
    trainer = tiny_trainer(
        loss=failing, levels=[7, np.nan], solver="adam", settings=ADAM
    )
    before = []

    def on_epoch(epoch):
        before.append(trainer.optimizer.copy())
        epoch()

    with pytest.raises(Divergence):
        run_plan(trainer, on_epoch=on_epoch)
    assert len(before) == 4 and trainer.optimizer.n_updates == 6
    assert_array_equal(trainer.optimizer.first, before[-1].first)
    assert_array_equal(trainer.optimizer.second, before[-1].second)
    assert trainer.optimizer.first.any()


@pytest.fixture
def interrupt_after(monkeypatch):
    """Return a function that makes the minibatch after so many an interrupt."""
    monkeypatch.setattr(training, "CHUNK_BYTES", 1)  # each in a call of its own
    train_on_batches = training._train_on_batches

    def interrupt_after(n):
        remaining = iter(range(n))

        def train(*arguments):
            if next(remaining, None) is None:
                raise KeyboardInterrupt
            return train_on_batches(*arguments)

        monkeypatch.setattr(training, "_train_on_batches", train)

    return interrupt_after


def test_an_interrupt_keeps_what_was_learned(interrupt_after):
    interrupt_after(4)
    trainer = tiny_trainer()
    reason, progress, history = run_plan(trainer)
    assert reason == epochs.INTERRUPTED
    assert len(progress.loss_curve) == 2
    assert_array_equal(trainer.parameters, history[-1])


def test_an_interrupt_within_an_epoch_keeps_the_minibatches_before_it(interrupt_after):
    interrupt_after(5)
    trainer = tiny_trainer()
    reason, progress, history = run_plan(trainer)
    assert reason == epochs.INTERRUPTED
    assert len(progress.loss_curve) == 2 and trainer.optimizer.n_updates == 5
    assert (trainer.parameters != history[-1]).any()


def test_an_interrupt_brings_the_best_parameters_back(interrupt_after):
    interrupt_after(6)
    trainer = tiny_trainer()
    reason, _, history = run_plan(trainer, 10, [0.1, 0.9, 0.2])
    assert reason == epochs.INTERRUPTED
    assert_array_equal(trainer.parameters, history[1])


def test_without_shuffle_the_order_is_that_of_the_rows(monkeypatch):
    orders, draw = [], training.draw_batches

    def recorded(*arguments):
        batches = draw(*arguments)
        bounds = batches.shards[batches.batches]
        orders.append([set(rows) for rows in np.split(batches.rows, bounds[1:-1])])
        return batches

    monkeypatch.setattr(training, "draw_batches", recorded)
    run_plan(tiny_trainer(), 3, shuffle=False)
    assert orders == [[{0, 1, 2}, {3, 4, 5}]] * 3
    orders.clear()
    run_plan(tiny_trainer(), 3, shuffle=True)
    assert all(set.union(*order) == set(range(6)) for order in orders)
    assert orders[0] != orders[1]


def test_a_new_search_forgets_the_best():
    progress = Progress(by_score=True)
    plan = Plan(1, True, 0.0, 1, early_stopping=True)
    progress.record(1.0, 0.5, np.zeros(2), plan)
    progress.forget_best()
    progress.record(2.0, 0.3, np.ones(2), plan)
    assert progress.best_score == 0.3 and progress.best_loss == 2.0
    assert_array_equal(progress.best_parameters, 1)
    assert progress.n_without_progress == 0
