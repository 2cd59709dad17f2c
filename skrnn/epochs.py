"""The course of training: epochs, until there is no progress or someone interrupts."""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from skrnn.training import Divergence


@dataclass(frozen=True)
class Plan:
    """How long to train, and in what order.

    Attributes
    ----------
    max_iter : int
        Epochs at most.
    shuffle : bool
        Whether each epoch has an order of its own.
    tol : float
        Smallest improvement, of the loss or of the validation score, that counts.
    n_iter_no_change : int
        Epochs without one after which training ends.
    early_stopping : bool
        Whether the validation score decides, and the best parameters are restored.
    idle_score : float, default=-inf
        The score of a network that says nothing yet. While none is better, the loss
        tells whether there is progress.
    """

    max_iter: int
    shuffle: bool
    tol: float
    n_iter_no_change: int
    early_stopping: bool
    idle_score: float = -math.inf


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
        if self.by_score and max(score, self.best_score) > plan.idle_score:
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


def train(trainer, plan, random_state, progress, score, on_epoch):
    """Train by the plan; return why training ended.

    Parameters
    ----------
    trainer : Trainer
    plan : Plan
    random_state : numpy.random.RandomState
        Source of the epochs' orders, and of the noise.
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

    def epoch():
        loss = trainer.epoch(
            threads, random_state, plan.shuffle, progress.n_samples_seen
        )
        progress.n_samples_seen += len(trainer.training_set.rows)
        value = score() if score is not None else None
        progress.record(loss, value, trainer.parameters, plan)

    with trainer.threads() as threads:
        try:
            reason = _run_epochs(trainer, plan, progress, lambda: on_epoch(epoch))
        except KeyboardInterrupt:
            reason = INTERRUPTED
    if plan.early_stopping and progress.best_parameters is not None:
        trainer.parameters[:] = progress.best_parameters
    progress.best_parameters = None
    return reason


def _run_epochs(trainer, plan, progress, run_epoch):
    """Run epochs until one is the last; return why it is."""
    for _ in range(plan.max_iter):
        parameters, optimizer = trainer.parameters.copy(), trainer.optimizer.copy()
        try:
            stop = run_epoch()
        except Divergence:
            trainer.parameters[:] = parameters
            trainer.optimizer.restore(optimizer)
            raise
        if stop:
            return STOPPED
        if progress.n_without_progress > plan.n_iter_no_change:
            may_stop = plan.early_stopping or not trainer.schedule.runs_its_course
            if may_stop and not trainer.schedule.reduce():
                return CONVERGED
            progress.n_without_progress = 0
    return MAX_ITER
