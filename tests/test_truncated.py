"""Gradients that go back some steps: against pieces that are learned by hand."""

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn import RNNRegressor, training
from skrnn.architecture import Noise
from skrnn.cells import CELLS
from skrnn.lanes import SamplesInLanes
from skrnn.losses import squared_error
from skrnn.network import Network
from skrnn.optimizers import Optimizer
from skrnn.schedules import Schedule
from skrnn.simd import lane_count
from skrnn.training import Trainer
from skrnn.truncated import TruncatedTrainer
from tests.oracles.harness import (
    TrainingRun,
    make_architecture,
    make_parameters,
    make_sequences,
    make_training_set,
    run_network,
)

RATE, ALPHA = 0.3, 0.5
OUTPUTS = {"steps": None, "last": "last"}  # what is predicted: the pooling


def architecture_of(outputs, cell="gru", **more):
    pooling = OUTPUTS[outputs]
    return make_architecture(cell, "tanh", 2, (3, 2), 1, pooling=pooling, **more)


def make_set(outputs, lengths, weighted=True):
    rng = np.random.default_rng(1)
    sequences = make_sequences(rng, lengths, 2)
    n = len(lengths) if OUTPUTS[outputs] else sum(lengths)
    weights = rng.uniform(0.5, 2.0, n) if weighted else np.ones(n)
    return make_training_set(sequences, rng.normal(size=(n, 1)), weights)


def make_trainer(kind, architecture, training_set, batch_size, noise=None, alpha=ALPHA):
    """Return a trainer of the kind, or one of pieces of so many steps."""
    network = Network(architecture, noise or Noise())
    arguments = (
        network,
        make_parameters(network, np.random.default_rng(2), scale=0.6),
        training_set,
        squared_error,
        np.zeros(1),
        Optimizer.create(
            "sgd",
            {"momentum": 0.0, "nesterovs_momentum": 0.0},
            network.layout.penalized(np.float64),
        ),
        Schedule("constant", RATE, 0.5, 10, 0.0),
        alpha,
        0.0,
        batch_size,
        1,
    )
    return Trainer(*arguments) if kind is None else TruncatedTrainer(kind, *arguments)


def epoch(trainer, seed=None):
    with trainer.threads() as threads:
        random_state = None if seed is None else np.random.RandomState(seed)
        return trainer.epoch(threads, random_state, seed is not None, 0)


@pytest.fixture
def two_registers(monkeypatch):
    """Lay the samples of any trainer out as those of a truncated one."""
    lanes = SamplesInLanes(np.dtype(np.float64), 2)
    monkeypatch.setattr(training, "training_lanes", lambda *_: lanes)


# --- pieces that are the whole --------------------------------------------------------


@pytest.mark.parametrize("n_steps", [5, 1000])
@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize("cell", CELLS)
def test_pieces_as_long_as_the_sequences_are_full_training(
    cell, outputs, n_steps, two_registers
):
    """Bit by bit, where weights are such that no quotient of them is rounded."""
    architecture = architecture_of(outputs, cell)
    training_set = make_set(outputs, [4] * 8, weighted=False)
    results = []
    for kind in (None, n_steps):
        trainer = make_trainer(kind, architecture, training_set, 4)
        losses = [epoch(trainer, seed) for seed in range(3)]
        results.append((losses, trainer.parameters.tobytes()))
    assert results[0] == results[1]


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_the_same_for_any_lengths_and_weights(outputs, two_registers):
    architecture = architecture_of(outputs, "lstm")
    training_set = make_set(outputs, [4, 2, 5, 1, 3, 3, 5])
    results = []
    for kind in (None, 5):
        trainer = make_trainer(kind, architecture, training_set, 4)
        losses = [epoch(trainer, seed) for seed in range(3)]
        results.append(np.append(trainer.parameters, losses))
    assert_allclose(results[1], results[0], rtol=1e-12, atol=1e-14)


# --- pieces by hand -------------------------------------------------------------------


class ByHand:
    """A network that begins each piece of a sequence with states that are given.

    They are its learned initial states, whose gradient is left out: nothing goes back
    from a piece to the one before.
    """

    def __init__(self, architecture, parameters):
        self.network = Network(architecture)
        self.parameters = parameters
        self.from_states = Network(replace(architecture, learn_initial_state=True))

    def _at(self, states):
        flat = np.zeros(self.from_states.layout.size)
        views = self.from_states.layout.views(flat)
        for name, view in self.network.layout.views(self.parameters).items():
            views[name][:] = view
        for name, state in states.items():
            views[name][:] = state
        return flat

    def run(self, piece, states, targets, weights):
        """Return the sum of the losses, its gradient, and the states at the end."""
        run = TrainingRun(
            self.from_states, self._at(states), len(piece), 1, squared_error
        )
        _, value, gradient = run([piece], targets, weights)
        views = self.from_states.layout.views(gradient)
        names = self.network.layout.shapes
        flat = np.concatenate([views[name].ravel() for name in names])
        ends = {}
        for place, of_layer in zip(
            self.from_states.layers, run.workspace.stack, strict=True
        ):
            states = of_layer.layer.states(of_layer.buffers)
            # zip: a cell without a state beside the hidden one has no second
            for name, state in zip(("hidden", "state"), states, strict=False):
                n_units = of_layer.layer.n_outputs
                ends[f"{place}.initial_{name}"] = state[len(piece), :n_units, 0].copy()
        return value, flat, ends

    def learn(self, n_steps, sequences, targets, weights, per_step, alpha):
        """Update after each piece of a minibatch; return the sum of the losses."""
        penalized = self.network.layout.penalized(np.float64)
        states, total = [{} for _ in sequences], 0.0
        for first in range(0, max(map(len, sequences)), n_steps):
            gradient, weight, after = np.zeros_like(self.parameters), 0.0, []
            for i, sequence in enumerate(sequences):
                piece, w = sequence[first : first + n_steps], np.zeros(1)
                if len(piece) == 0:
                    after.append({})
                    continue
                y = targets[i]
                if per_step:
                    y, w = (a[first : first + n_steps] for a in (y, weights[i]))
                elif len(sequence) <= first + n_steps:
                    w = weights[i]
                value, d, ends = self.run(piece, states[i], y, np.ravel(w))
                gradient += d
                total += value
                weight += np.sum(w)
                after.append(ends)
            states = after
            if weight > 0.0:
                gradient = (gradient + alpha * penalized * self.parameters) / weight
                self.parameters -= RATE * gradient
        return total


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize("cell", CELLS)
def test_pieces_are_learned_one_after_the_other(cell, outputs, n_steps):
    """With the states that the parameters before the update left."""
    architecture = architecture_of(outputs, cell)
    lengths = [8, 7, 3, 1, 6, 6, 2]  # by batches: the longest first within each
    training_set = make_set(outputs, lengths)
    trainer = make_trainer(n_steps, architecture, training_set, 4)
    by_hand = ByHand(architecture, trainer.parameters.copy())
    epoch(trainer)
    for rows in (range(4), range(4, 7)):
        by_hand.learn(
            n_steps,
            *(
                [data.sequences[row] for row in rows]
                for data in (
                    training_set.data,
                    training_set.targets,
                    training_set.weights,
                )
            ),
            trainer.network.per_step,
            ALPHA,
        )
    assert_allclose(trainer.parameters, by_hand.parameters, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_the_loss_is_the_mean_over_all_targets(outputs):
    architecture, lengths = architecture_of(outputs), [5, 7, 2, 4]
    training_set = make_set(outputs, lengths)
    trainer = make_trainer(3, architecture, training_set, 4, alpha=0.0)
    trainer.schedule = Schedule("constant", 0.0, 0.5, 10, 0.0)
    weights = np.concatenate(training_set.weights.sequences)[:, 0]
    expected = run_network(
        trainer.network,
        trainer.parameters.copy(),
        training_set.data.sequences,
        squared_error,
        np.concatenate(training_set.targets.sequences),
        weights,
    )[1]
    assert epoch(trainer) == pytest.approx(expected / weights.sum(), rel=1e-12)


def test_gradients_do_not_go_back_beyond_a_piece():
    """What came before tells by the states alone: here they are zero, or not."""
    architecture = architecture_of("last", "rnn")
    results = []
    for n_steps in (2, 6):
        training_set = make_set("last", [6, 6])
        trainer = make_trainer(n_steps, architecture, training_set, 2, alpha=0.0)
        for sequence in training_set.data.sequences:
            sequence[:4] = [[1.0, 0.0]]
            sequence[4:, 0] = 0.0  # of the first channel, only before the last piece
        before = trainer.parameters.copy()
        epoch(trainer)
        changes = trainer.network.layout.views(trainer.parameters - before)
        results.append(changes["layers.0.input_weights"][0])
    assert_array_equal(results[0], 0.0)
    assert np.abs(results[1]).min() > 0.0


# --- the course of an epoch -----------------------------------------------------------


def test_minibatches_have_at_most_as_many_samples_as_there_are_lanes():
    n_lanes = SamplesInLanes(np.dtype(np.float64), 2).n_samples
    training_set = make_set("last", [3] * (2 * n_lanes + 1))
    trainer = make_trainer(
        2, architecture_of("last"), training_set, len(training_set.rows)
    )
    assert trainer.batch_size == n_lanes
    epoch(trainer, 0)
    # only the second of two pieces has targets
    assert trainer.optimizer.n_updates == 3


def test_a_piece_without_targets_is_followed_by_no_update():
    for outputs, n_updates in (("last", 1), ("steps", 4)):
        training_set = make_set(outputs, [7, 8])
        trainer = make_trainer(2, architecture_of(outputs), training_set, 2)
        epoch(trainer)
        assert trainer.optimizer.n_updates == n_updates


@pytest.mark.parametrize("outputs", OUTPUTS)
def test_nothing_is_left_over_from_the_epoch_before(outputs):
    training_set = make_set(outputs, [7, 8, 2])
    trainer, fresh = (
        make_trainer(3, architecture_of(outputs, "lstm"), training_set, 2)
        for _ in range(2)
    )
    before = trainer.parameters.copy()
    with trainer.threads() as threads:
        trainer.epoch(threads, None, False, 0)
        trainer.parameters[:] = before
        trainer.epoch(threads, None, False, 0)
    epoch(fresh)
    assert_array_equal(trainer.parameters, fresh.parameters)


def test_noise_goes_with_pieces():
    noise = Noise(0.2, 0.2, 0.2, 0.2)
    training_set = make_set("steps", [7, 8, 2, 9])
    results = []
    for seed in (0, 0, 1):
        trainer = make_trainer(3, architecture_of("steps"), training_set, 2, noise)
        epoch(trainer, seed)
        results.append(trainer.parameters)
    assert np.isfinite(results[0]).all()
    assert_array_equal(results[1], results[0])
    assert (results[2] != results[0]).any()


# --- the estimator --------------------------------------------------------------------


@pytest.mark.needs_jit
def test_an_estimator_learns_by_pieces():
    """With more updates an epoch it learns a moving sum in fewer of them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 200, 1))
    y = (X + np.roll(X, 1, axis=1))[:, :, 0]
    options = {"return_sequences": True, "max_iter": 8, "random_state": 0}
    options["n_iter_no_change"] = np.inf
    by_pieces, whole = (
        RNNRegressor(**options, bptt_steps=n).fit(X, y).loss_curve_ for n in (20, None)
    )
    assert by_pieces[-1] < 0.5 * by_pieces[0]
    assert by_pieces[-1] < 0.5 * whole[-1]  # which has had one update an epoch


@pytest.mark.parametrize(
    "options",
    [{"bidirectional": True}, {"pooling": "mean"}, {"learn_initial_state": True}],
    ids=str,
)
def test_what_needs_whole_sequences_is_refused(options):
    name = next(iter(options))
    with pytest.raises(ValueError, match=f"bptt_steps cuts sequences, but {name}="):
        RNNRegressor(bptt_steps=5, **options).fit(np.ones((3, 9, 1)), np.arange(3.0))


def test_the_rate_falls_to_zero_with_the_last_minibatch_and_again_after_that():
    """Though a minibatch has several pieces, and fewer samples than were asked for."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 9, 1))
    settings = {"hidden_layer_sizes": (2,), "bptt_steps": 3, "max_iter": 4}
    settings |= {"batch_size": 100, "warm_start": True, "random_state": 0}
    model = RNNRegressor(**settings, return_sequences=True)
    for _ in range(2):
        rates = []

        def spy(self, update, seen, rates=rates, rate=Schedule.rate):
            rates.append(rate(self, update, seen))
            return rates[-1]

        with patch.object(Schedule, "rate", spy):
            model.fit(X, X[:, :, 0])
        assert len(rates) == 4 * -(-200 // (2 * lane_count(np.float64)))
        assert max(rates) > 0.9 * model.learning_rate_init
        assert 0 < rates[-1] < 0.2 * model.learning_rate_init
