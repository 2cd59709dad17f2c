"""What all estimators share whose network is trained by epochs."""

import warnings
from abc import ABCMeta, abstractmethod
from contextlib import contextmanager
from dataclasses import fields

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning, InconsistentVersionWarning

from skrnn._choices import noise_of
from skrnn._deferred import Optimizer, epochs, network_of, training
from skrnn._version import __version__
from skrnn.callbacks import CallbackSupportMixin
from skrnn.parameters import aligned_copy, aligned_zeros
from skrnn.schedules import Schedule
from skrnn.threads import one_blas_thread


@contextmanager
def unchanged_if_refused(estimator):
    """Take back what was set on the estimator if what follows raises."""
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


def _differences(old, new):
    """Say in which fields two dataclasses differ."""
    pairs = [
        (field.name, getattr(old, field.name), getattr(new, field.name))
        for field in fields(old)
    ]
    return ", ".join(f"{name} was {a!r}, now {b!r}" for name, a, b in pairs if a != b)


def _finite_or_none(number):
    return number if np.isfinite(number) else None


class LearningEstimator(CallbackSupportMixin, BaseEstimator, metaclass=ABCMeta):
    """From an architecture and a training set to the attributes of a fitted model."""

    # For estimators that do not make hyperparameters of them.
    solver: str = "adam"
    alpha: float = 0.0
    learning_rate: str = "cosine"
    power_t: float = 0.5
    warmup_fraction: float = 0.1
    shuffle: bool = True
    tol: float = 1e-4
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    rho: float = 0.9
    n_iter_no_change: float = np.inf
    early_stopping: bool = False
    input_noise: float = 0.0
    input_dropout: float = 0.0
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    adversarial_eps: float = 0.0
    # The validation score of a network that says nothing yet, as of `epochs.Plan`.
    _idle_score: float = -np.inf

    @abstractmethod
    def _new_architecture(self):
        """Return the `Architecture` by the hyperparameters, and what is known of X."""

    def _check_same_network(self):
        """Raise if training cannot go on with the parameters there are."""
        old, new = self._architecture, self._new_architecture()
        if old != new:
            raise ValueError(
                "The network that was fitted before is another one: "
                f"{_differences(old, new)}. Call fit, with warm_start=False, to begin "
                "again."
            )

    # --- training -------------------------------------------------------------------

    def _begin(self, architecture, dtype, seed):
        """Forget earlier training and initialize the network; return its parameters.

        These are views by name, to be changed before training if need be.
        """
        network = network_of(architecture)
        parameters = aligned_zeros((network.layout.size,), dtype)
        with one_blas_thread():
            network.initialize(parameters, np.random.RandomState(seed))
        self._architecture = architecture
        self._parameters = parameters
        self._optimizer = None
        self._progress = epochs.Progress()
        self._publish()
        # of the input and the output too
        n_hidden = len(architecture.hidden_layer_sizes)
        self.n_layers_ = n_hidden + len(architecture.dense_layer_sizes) + 2
        return network.layout.views(parameters)

    def _learn(
        self,
        X,
        y,
        training_set,
        *,
        loss,
        levels,
        batch_size,
        score,
        seed,
        early_stopping,
        incremental,
        frozen=None,
    ):
        """Train the network by the hyperparameters, and publish how that went.

        Parameters
        ----------
        X, y : object
            What the user passed, for callbacks.
        training_set : TrainingSet
        loss, levels
            As `Trainer` takes them.
        batch_size : int
        score : callable or None
            Gives the validation score.
        seed : int
        early_stopping, incremental : bool
            Whether the score decides when to stop, and whether this is a single epoch
            of `partial_fit`.
        frozen : ndarray of bool, default=None
            Which parameters stay as they are.
        """
        network = network_of(self._architecture, noise_of(self))
        # copies: a shallow copy of the estimator, or a file, may share the arrays
        self._parameters = aligned_copy(self._parameters)
        self._progress = self._progress.copy()
        decayed = network.layout.penalized(self._parameters.dtype, frozen)
        if incremental and self._optimizer is not None:
            self._optimizer = self._optimizer.copy()
            self._optimizer.hold(frozen, decayed)
        else:
            self._optimizer = self._new_optimizer(decayed)
            self._progress.forget_best()
        max_iter = 1 if incremental else self.max_iter
        trainer = self._make_trainer(
            network,
            self._parameters,
            training_set,
            loss,
            levels.astype(self._parameters.dtype),
            self._optimizer,
            self._new_schedule(incremental),
            0.0 if self.solver == "adamw" else float(self.alpha),
            0.0 if self.max_grad_norm is None else float(self.max_grad_norm),
            batch_size,
            effective_n_jobs(self.n_jobs),
            frozen=frozen,
            adversarial_eps=float(self.adversarial_eps),
        )
        plan = epochs.Plan(
            max_iter=max_iter,
            shuffle=self.shuffle,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            early_stopping=early_stopping,
            idle_score=self._idle_score,
        )
        context = self._init_callback_context(max_subtasks=max_iter)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        try:
            reason = epochs.train(
                trainer,
                plan,
                # another order in each call of partial_fit
                np.random.RandomState((seed + self.n_iter_) % 2**32),
                self._progress,
                score,
                self._epoch_reporter(context, X, y),
            )
        except training.Divergence:
            self._publish()
            scales = " or standardize=True" if hasattr(self, "standardize") else ""
            raise ValueError(
                f"The loss or its gradient became infinite or NaN in epoch "
                f"{self.n_iter_ + 1}; the weights are those of the epoch before. Try a "
                f"smaller learning_rate_init (now {self.learning_rate_init}), a "
                f"max_grad_norm (now {self.max_grad_norm}){scales}."
            ) from None
        self._publish()
        context.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=self._snapshot
        )
        self._explain(reason, incremental, trainer.schedule)

    def _make_trainer(self, *args, **kwargs):
        return training.Trainer(*args, **kwargs)

    def _new_schedule(self, incremental):
        name = self.learning_rate
        if incremental and name == "cosine":
            name = "constant"  # nobody knows how many calls of partial_fit will follow
        return Schedule(
            name,
            self.learning_rate_init,
            self.power_t,
            self.max_iter,
            self.warmup_fraction,
        )

    def _new_optimizer(self, decayed):
        settings = {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "rho": self.rho,
            "momentum": self.momentum,
            "nesterovs_momentum": self.nesterovs_momentum,
            "weight_decay": self.alpha if self.solver == "adamw" else 0.0,
        }
        return Optimizer.create(self.solver, settings, decayed)

    def _epoch_reporter(self, context, X, y):
        """Return what runs an epoch between the callbacks and prints its loss."""

        def on_epoch(epoch):
            task = context.subcontext(task_name="epoch")
            task.call_on_fit_task_begin(estimator=self, X=X, y=y)
            epoch()
            self._publish()
            if self.verbose:
                print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
                if self.validation_scores_ is not None:
                    print(f"Validation score: {self.validation_scores_[-1]:f}")
            return task.call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=self._snapshot
            )

        return on_epoch

    def _snapshot(self):
        """Return the attributes of the model as it stands, for a callback."""
        return {"_parameters": self._parameters.copy(), "n_iter_": self.n_iter_}

    def _publish(self):
        """Set the public attributes from the progress so far."""
        progress = self._progress
        # another object for other numbers: streams that are kept go by that
        self._parameters = self._parameters[:]
        self.n_iter_ = len(progress.loss_curve)
        self.t_ = progress.n_samples_seen
        self.loss_curve_ = list(progress.loss_curve)
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else np.inf
        scores = progress.validation_scores
        self.validation_scores_ = list(scores) if scores else None
        self.best_validation_score_ = _finite_or_none(progress.best_score)
        # as in scikit-learn's MLP: with early stopping the score is what counts
        best_loss = _finite_or_none(progress.best_loss)
        self.best_loss_ = None if progress.by_score else best_loss

    def _explain(self, reason, incremental, schedule):
        """Say why training ended, where that matters."""
        if reason == epochs.INTERRUPTED:
            warnings.warn(
                "Training interrupted by user; the model is as trained so far.",
                stacklevel=5,
            )
        elif reason == epochs.CONVERGED and self.verbose:
            what = "Validation score" if self.early_stopping else "Training loss"
            print(
                f"{what} did not improve more than tol={self.tol:f} for "
                f"{self.n_iter_no_change} consecutive epochs. Stopping."
            )
        elif (
            reason == epochs.MAX_ITER
            and not incremental
            and not schedule.runs_its_course
            and np.isfinite(self.n_iter_no_change)
        ):
            warnings.warn(
                f"Maximum iterations ({self.max_iter}) reached and the optimization "
                "hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=5,
            )

    # --- what a fitted model offers -------------------------------------------------

    @property
    def weights_(self) -> dict[str, np.ndarray]:
        """Read-only views of the parameters by name.

        ``layers.0.input_weights`` has shape (n_channels, columns), where the columns
        are the gates one after the other, each as wide as the layer: i, f, n, o for
        the LSTM; r, z, n for the GRU. ``recurrent_weights`` likewise, in the order
        n, r, z for the GRU, and ``bias``, for the GRU those of the recurrent n, r, z
        and the n of the inputs; "janet" has f, n; "mingru" z, n and no recurrent
        weights. With `layer_norm` there is a ``gain`` for each bias, with
        `learn_initial_state` an ``initial_hidden`` and for the LSTM an
        ``initial_state``, and with `bidirectional` all of them once more under
        ``layers.0.reverse.``

        ``pooling.query`` has shape (n_units,) and ``embedding.0.vectors``, for the
        tokens of channel 0, (n_tokens, embedding_dim). ``dense_layers.0.weights`` and
        ``output.weights`` have shape (n_inputs, n_outputs).

        With `tied` there are no ``output.weights``, but ``projection.weights`` where
        states and vectors differ in size. An adaptive softmax has those of its head
        under ``output.`` and those of tails under ``output.tails.0.``. What writes, in
        an `RNNSeq2Seq`, is under ``decoder.``: ``bridge`` makes its first states,
        ``combination`` joins states and what ``attention`` found.
        """
        if not hasattr(self, "_parameters"):
            raise AttributeError(
                f"This {type(self).__name__} has no weights_ before it is fitted."
            )
        views = network_of(self._architecture).layout.views(self._parameters)
        for view in views.values():
            view.flags.writeable = False
        return views

    def __getstate__(self):
        return {**super().__getstate__(), "_skrnn_version": __version__}

    def __setstate__(self, state):
        saved_by = state.pop("_skrnn_version", "an unknown version")
        if saved_by != __version__:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=f"skrnn {__version__}",
                    original_sklearn_version=f"skrnn {saved_by}",
                ),
                stacklevel=2,
            )
        super().__setstate__(state)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_parameters")
