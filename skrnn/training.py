"""Training: epochs, minibatches, shards and threads.

A minibatch is cut into shards of as many sequences as a SIMD value has lanes. Runs of
consecutive shards share a slot: a gradient of their own that is added up in the order
of the slots. Which thread works on which slot changes nothing, so the same numbers
come out, bit for bit, for any number of threads.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from skrnn.network import Batch, PackedParameters, Workspace
from skrnn.optimizers import combine
from skrnn.parameters import aligned_zeros
from skrnn.simd import lane_count
from skrnn.threads import Threads

MAX_SLOTS = 16


class Divergence(ArithmeticError):
    """The loss or the gradient is no longer finite."""


@dataclass(frozen=True)
class TrainingSet:
    """What is learned from: samples, the rows that count, targets and weights.

    Attributes
    ----------
    data : PaddedData or Sequences
    rows : ndarray of shape (n_rows,)
        The samples that take part, each once.
    targets : ndarray of shape (n_samples, n_targets)
    weights : ndarray of shape (n_samples,)
    mean, inverse_scale : ndarray of shape (n_channels,)
        How channels are standardized.
    """

    data: object
    rows: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    mean: np.ndarray
    inverse_scale: np.ndarray


class Trainer:
    """Minimizes a loss over minibatches.

    Parameters
    ----------
    network : Network
    parameters : ndarray of shape (n_parameters,)
        Flat vector, updated in place.
    loss : callable
        A function of `skrnn.losses`.
    levels : ndarray
        Parameters of the loss.
    optimizer : Optimizer
    schedule : Schedule
    alpha : float
        L2 penalty, divided by a batch's sum of weights.
    max_grad_norm : float
        Largest norm of the gradient, 0 for none.
    n_threads : int
    """

    def __init__(
        self,
        network,
        parameters,
        loss,
        levels,
        optimizer,
        schedule,
        alpha,
        max_grad_norm,
        n_threads,
    ):
        self.network = network
        self.parameters = parameters
        self.loss = loss
        self.levels = levels
        self.optimizer = optimizer
        self.schedule = schedule
        self.alpha = alpha
        self.max_grad_norm = max_grad_norm
        self.n_threads = n_threads
        self._penalized = network.layout.penalized(parameters.dtype)
        self._packed = PackedParameters(network, parameters, training=True)
        self._gradient = aligned_zeros(parameters.shape, parameters.dtype)
        self._slots = aligned_zeros((0, parameters.size), parameters.dtype)
        self._slot_layers = []

    def threads(self, training_set):
        """Return the `Threads` for an epoch over this set."""
        n_steps = int(training_set.data.lengths[training_set.rows].max())
        n_targets = training_set.targets.shape[1]
        dtype = self.parameters.dtype
        return Threads(
            self.n_threads,
            lambda: Workspace(self.network, n_steps, n_targets, dtype, training=True),
        )

    def epoch(self, threads, training_set, order, batch_size, n_samples_seen):
        """Pass once over the rows in this order; return the mean loss.

        Raises `Divergence` when a loss or gradient is not finite.
        """
        total_loss, total_weight = 0.0, 0.0
        self._packed.refresh()
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch, _ = Batch.take(
                training_set.data,
                rows,
                training_set.mean,
                training_set.inverse_scale,
                training_set.targets,
                training_set.weights,
            )
            weight = float(batch.weights.sum(dtype=np.float64))
            loss, n_slots = self._fill_slots(threads, batch, weight)
            norm, penalty = combine(
                self._slots,
                n_slots,
                self.parameters,
                self._penalized,
                self.alpha / weight,
                self.max_grad_norm,
                self._gradient,
            )
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise Divergence
            rate = self.schedule.rate(self.optimizer.n_updates, n_samples_seen)
            self.optimizer.step(self.parameters, self._gradient, rate)
            self._packed.refresh()
            n_samples_seen += len(rows)
            total_loss += loss + penalty * weight
            total_weight += weight
        # the last update may have overflowed, or left moments that stop all others
        for array in (self.parameters, self.optimizer.first, self.optimizer.second):
            if not np.isfinite(array).all():
                raise Divergence
        return total_loss / total_weight

    def _fill_slots(self, threads, batch, weight):
        """Compute the gradient of the mean loss; return the loss's sum, used slots."""
        lanes = lane_count(self.parameters.dtype)
        firsts = range(0, len(batch.lengths), lanes)
        n_slots = min(len(firsts), MAX_SLOTS)
        self._allow_slots(n_slots)
        # slot s works on the shards from bounds[s] to bounds[s + 1]
        bounds = [len(firsts) * s // n_slots for s in range(n_slots + 1)]
        scale = 1.0 / weight

        def run(workspace, slot):
            gradients = self._slot_layers[slot]
            self._slots[slot] = 0.0
            loss = 0.0
            for first in firsts[bounds[slot] : bounds[slot + 1]]:
                shard = workspace.load(batch, first)
                workspace.forward(self._packed.packed, shard)
                loss += self.loss(
                    workspace.raw,
                    workspace.d_raw,
                    workspace.target,
                    workspace.weight,
                    scale,
                    self.levels,
                )
                workspace.backward(self._packed.packed, gradients, shard)
            return loss

        flops = 3 * self.network.flops(int(batch.lengths.sum()))
        return sum(threads.map(run, range(n_slots), flops)), n_slots

    def _allow_slots(self, n_slots):
        if len(self._slots) < n_slots:
            shape = (n_slots, self.parameters.size)
            self._slots = aligned_zeros(shape, self.parameters.dtype)
            self._slot_layers = [
                self.network.parameters_of_layers(slot) for slot in self._slots
            ]


@dataclass(frozen=True)
class Plan:
    """How long to train, and on what batches.

    Attributes
    ----------
    max_iter : int
        Epochs at most.
    batch_size : int
    shuffle : bool
        Whether each epoch has an order of its own.
    tol : float
        Smallest improvement, of the loss or of the validation score, that counts.
    n_iter_no_change : int
        Epochs without one after which training ends.
    early_stopping : bool
        Whether the validation score decides, and the best parameters are restored.
    """

    max_iter: int
    batch_size: int
    shuffle: bool
    tol: float
    n_iter_no_change: int
    early_stopping: bool


@dataclass
class Progress:
    """The course of training so far, in numbers, and the best parameters.

    `by_score` says whether the validation score, not the loss, tells what is best.
    """

    by_score: bool = False
    loss_curve: list = field(default_factory=list)
    validation_scores: list = field(default_factory=list)
    best_loss: float = math.inf
    best_score: float = -math.inf
    best_parameters: np.ndarray | None = None
    n_samples_seen: int = 0
    n_without_progress: int = 0

    def copy(self):
        """Return the same course with lists of its own."""
        return replace(
            self,
            loss_curve=list(self.loss_curve),
            validation_scores=list(self.validation_scores),
        )

    def forget_best(self):
        """Begin to compare anew: another training set, perhaps another split."""
        self.best_loss, self.best_score = math.inf, -math.inf
        self.best_parameters = None

    def record(self, loss, score, parameters, plan):
        """Note an epoch's loss and, where there is a validation set, its score."""
        improved = loss < self.best_loss - plan.tol
        if self.by_score:
            improved = score > self.best_score + plan.tol
        self.n_without_progress = 0 if improved else self.n_without_progress + 1
        self.loss_curve.append(loss)
        self.best_loss = min(loss, self.best_loss)
        if score is not None:
            self.validation_scores.append(score)
            if score > self.best_score:
                self.best_score = score
                if self.by_score:
                    self.best_parameters = parameters.copy()


# why training ended
CONVERGED, MAX_ITER, STOPPED, INTERRUPTED = "converged", "max_iter", "stopped", "Ctrl-C"


def train(trainer, training_set, plan, random_state, progress, score, on_epoch):
    """Train by the plan; return why training ended.

    Parameters
    ----------
    trainer : Trainer
    training_set : TrainingSet
    plan : Plan
    random_state : numpy.random.RandomState
        Source of the epochs' orders.
    progress : Progress
        Updated after each epoch.
    score : callable or None
        Gives the validation score of the parameters as they are.
    on_epoch : callable
        Called with an epoch function; runs it and returns whether to stop.

    Raises
    ------
    Divergence
        With the parameters, and the optimizer, as they were before the epoch in which
        it happened.
    """
    progress.n_without_progress = 0
    progress.by_score = plan.early_stopping
    rows = training_set.rows

    def epoch():
        order = random_state.permutation(rows) if plan.shuffle else rows
        loss = trainer.epoch(
            threads, training_set, order, plan.batch_size, progress.n_samples_seen
        )
        progress.n_samples_seen += len(rows)
        value = score() if score is not None else None
        progress.record(loss, value, trainer.parameters, plan)

    reason = MAX_ITER
    with trainer.threads(training_set) as threads:
        for _ in range(plan.max_iter):
            before = trainer.parameters.copy()
            optimizer_before = trainer.optimizer.copy()
            try:
                stop = on_epoch(epoch)
            except Divergence:
                trainer.parameters[:] = before
                trainer.optimizer.restore(optimizer_before)
                raise
            except KeyboardInterrupt:
                reason = INTERRUPTED
                break
            if stop:
                reason = STOPPED
                break
            if progress.n_without_progress > plan.n_iter_no_change:
                may_stop = plan.early_stopping or not trainer.schedule.runs_its_course
                if may_stop and not trainer.schedule.reduce():
                    reason = CONVERGED
                    break
                progress.n_without_progress = 0
    if plan.early_stopping and progress.best_parameters is not None:
        trainer.parameters[:] = progress.best_parameters
    progress.best_parameters = None
    return reason
