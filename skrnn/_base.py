"""What estimators with X and y share: from hyperparameters to a trained network."""

import warnings
from abc import abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skrnn._choices import (
    architecture_of,
    check_same_cell,
    frozen_parameters,
    take_over,
)
from skrnn._constraints import CONSTRAINTS
from skrnn._deferred import (
    TruncatedTrainer,
    network_of,
    predict_raw,
    training,
)
from skrnn._inputs import given_embeddings
from skrnn._learning import LearningEstimator, unchanged_if_refused
from skrnn._reading import ReadingMixin
from skrnn._samples import Validation, rows_of
from skrnn._streams import StreamingMixin
from skrnn.sequences import PaddedData, like_steps, of_steps, spread_steps

# Of batch_size="auto": so many samples, or this share of them if they are few.
BATCH_SIZE, SMALLEST_BATCH, SHARE_OF_SAMPLES = 64, 8, 1 / 8
HIDDEN_POOLINGS = ("last", "mean", "max", None)  # those without parameters


def _in_shape(X, data, predicted, pooling):
    """Return what there is of samples as it is, of steps in the shape of X."""
    return like_steps(X, data, predicted) if pooling is None else predicted


class BaseRNN(ReadingMixin, StreamingMixin, LearningEstimator):
    """Fit, partial_fit and prediction of all of these.

    A subclass encodes the targets (`_encode`), names the loss (`_loss`) and turns raw
    predictions into its own (`predict`).
    """

    _parameter_constraints = CONSTRAINTS

    # --- for the subclasses ---------------------------------------------------------

    def _declare(self, classes):
        """Take note of all classes that any call will bring, or of None."""

    @abstractmethod
    def _encode(self, y, reset):
        """Return y as numbers, (n_samples, n_targets); on reset learn its form."""

    @abstractmethod
    def _new_objective(self):
        """Return all that the hyperparameters say of the loss: a tuple of values."""

    @abstractmethod
    def _loss(self):
        """Return the `Loss` of the fitted objective, and its parameters, an array."""

    @abstractmethod
    def _n_raw_outputs(self):
        """Return how many raw predictions the network makes for a sample."""

    _weighs_classes = False

    def _class_weights(self, targets, sample_weight):
        """Return the weights of the samples' classes; asked if `_weighs_classes`."""
        raise NotImplementedError

    def _scale_targets(self, targets, weights):
        """Learn the scale of the targets, each with its weight."""

    def _predicts_like(self, other):
        """Whether raw predictions of another model mean what they mean here."""
        return False

    def _rescale_output(self, other, weights, bias):
        """Turn the output layer of such a model to the scale of these targets."""

    def _standardized(self, targets):
        """Return targets as the network sees them."""
        return targets

    def _first_raw(self, samples, targets, weights):
        """Return the raw prediction to start from: the bias of the output layer.

        Targets are those of the samples that are used, as the network sees them.
        """
        return 0.0

    # --- fit ------------------------------------------------------------------------

    def _fit(self, X, y, sample_weight, validation, *, incremental=False, classes=None):
        effective_n_jobs(self.n_jobs)  # raises before anything is changed
        continues = hasattr(self, "_parameters") and (incremental or self.warm_start)
        early_stopping = self.early_stopping and not incremental
        random_state = check_random_state(self.random_state)
        # drawn before the split: the network starts the same with and without one
        seed = random_state.randint(np.iinfo(np.int32).max)
        with unchanged_if_refused(self):
            self._declare(classes)
            samples = self._read(
                X,
                y,
                sample_weight,
                new_inputs=not (incremental and continues),
                new_targets=not continues,
            )
            held_out = None
            if validation.X is not None:
                held_out = self._read_validation(validation)
            elif early_stopping:
                samples, held_out = samples.split(
                    self.validation_fraction, self.shuffle, self._strata, random_state
                )
                validation = Validation(X, y, sample_weight)
            if continues:
                self._check_same_network()
            else:
                self._start(samples, seed)
                if incremental and self.standardize and len(samples.rows) == 1:
                    warnings.warn(
                        "The first call of partial_fit fixes the scales of X and y, "
                        "and it saw one sample only. Pass a batch that is like those "
                        "to come, or set standardize=False.",
                        stacklevel=5,
                    )
            network = network_of(self._architecture)
            frozen = frozen_parameters(network.layout, self.freeze)
            score = self._validation_score(validation, held_out)
        self._train(X, y, samples, frozen, score, seed, early_stopping, incremental)
        return self

    def _strata(self, targets, n_held_out):
        """Return the groups that a validation split keeps the shares of, or None."""
        return None

    def _new_architecture(self):
        return architecture_of(self, self._inputs, self._n_raw_outputs())

    def _check_same_network(self):
        super()._check_same_network()
        objective = self._new_objective()
        if self._objective != objective:
            raise ValueError(
                f"The network was fitted with the loss {self._objective}, now it would "
                f"be {objective}. Call fit, with warm_start=False, to begin again."
            )

    def _start(self, samples, seed):
        """Learn the scales, initialize the network and forget earlier training."""
        present, rows = samples.data, samples.rows
        architecture = self._new_architecture()
        self._objective = self._new_objective()
        if self.standardize:
            self._inputs.learn_scales(
                present, samples.used_weights(), rows, samples.factors
            )
        targets, weights = samples.used_targets()
        self._scale_targets(targets, weights)
        views = self._begin(architecture, present.dtype, seed)
        targets = self._standardized(targets)
        views["output.bias"][:] = self._first_raw(samples, targets, weights)
        if self.embeddings is not None:
            for place, _ in self._inputs.n_tokens:
                views[f"embedding.{place}.vectors"][:] = given_embeddings(self)
        if self.init is not None:
            self._take_over(self.init, views)

    def _take_over(self, init, views):
        """Begin with the parameters of a fitted model, and with its scales."""
        fitted = init
        if isinstance(init, FrozenEstimator):
            fitted = init.estimator
        if isinstance(fitted, dict):
            take_over(fitted, views, with_output=True)
            return
        if not isinstance(fitted, BaseRNN):
            raise TypeError(
                "init must be an RNNRegressor or RNNClassifier, one in a "
                f"FrozenEstimator, or weights_, got {type(fitted).__name__}. Of a "
                "search pass best_estimator_, of an RNNTransformer network_."
            )
        check_is_fitted(
            fitted,
            msg="init is a %(name)s that is not fitted. A search fits clones, which "
            "begin anew, those of init too: wrap that in sklearn.frozen."
            "FrozenEstimator.",
        )
        check_same_cell(fitted, self)
        with_output = self._predicts_like(fitted)
        if take_over(fitted.weights_, views, with_output=with_output):
            self._rescale_output(fitted, views["output.weights"], views["output.bias"])
        if fitted._inputs.has_channels_of(self._inputs):
            self._inputs.mean = fitted._inputs.mean.copy()
            self._inputs.scale = fitted._inputs.scale.copy()

    def _train(self, X, y, samples, frozen, score, seed, early_stopping, incremental):
        dtype = self._parameters.dtype
        mean, inverse_scale = self._standardization()
        weights = samples.weights_of_targets()
        training_set = training.TrainingSet(
            self._inputs.prepare(samples.data),
            samples.rows,
            self._targets_for_training(samples.targets, dtype),
            weights,
            weights.sums(),
            mean,
            inverse_scale,
        )
        loss, levels = self._loss()
        self._learn(
            X,
            y,
            training_set,
            loss=loss.function,
            levels=levels,
            batch_size=self._n_of_batch(len(samples.rows), incremental),
            score=score,
            seed=seed,
            early_stopping=early_stopping,
            incremental=incremental,
            frozen=frozen,
        )

    def _n_of_batch(self, n_rows, incremental):
        """Return the samples of a minibatch."""
        if self.batch_size != "auto":
            return min(self.batch_size, n_rows)
        n = BATCH_SIZE if incremental else int(n_rows * SHARE_OF_SAMPLES)
        return min(max(n, SMALLEST_BATCH), BATCH_SIZE, n_rows)

    def _make_trainer(self, *args, **kwargs):
        if self.bptt_steps is None:
            return super()._make_trainer(*args, **kwargs)
        return TruncatedTrainer(int(self.bptt_steps), *args, **kwargs)

    def _targets_for_training(self, targets, dtype):
        """Return targets as the network sees them, as a data set."""
        values = self._standardized(targets.take(slice(None)))
        values = np.ascontiguousarray(values, dtype)
        if (targets.lengths == 1).all():
            return PaddedData(values[:, np.newaxis])
        return of_steps(values, targets.lengths)

    def _validation_score(self, validation, held_out):
        """Return a function that scores the parameters as they are, or None.

        Parameters
        ----------
        validation : Validation
            What the user passed, of which `held_out` are rows.
        held_out : Samples or None
        """
        if held_out is None:
            return None
        if self.scoring is None:
            return lambda: self._score_on(held_out)
        # imported here: a tenth of a second that few need
        from sklearn.metrics import check_scoring

        if self._inputs.per_step and isinstance(self.scoring, str):
            raise ValueError(
                f"scoring={self.scoring!r} does not know of steps: with "
                "return_sequences=True pass skrnn.metrics.make_step_scorer("
                f"{self.scoring!r})."
            )
        scorer = check_scoring(self, scoring=self.scoring)
        rows, weights = held_out.rows, held_out.score_weights[held_out.rows]
        keywords = {}
        if validation.sample_weight is None or held_out.score_factors is not None:
            # the weights are how often each sample was there before they were merged
            rows = np.repeat(rows, weights.astype(np.int64))
        else:
            keywords["sample_weight"] = weights
        if held_out.score_factors is not None:
            keywords["sample_weight"] = rows_of(validation.sample_weight, rows)
        X, y = (rows_of(part, rows) for part in (validation.X, validation.y))

        def score():
            return float(scorer(self, X, y, **keywords))

        score()  # what it cannot do shows before anything is trained
        return score

    def _score_on(self, samples):
        """Return the validation score of the parameters as they are."""
        raw = self._predict_raw(samples.used_data())
        if not np.isfinite(raw).all():
            raise training.Divergence
        return self._score_encoded(
            samples.targets.take(samples.rows),
            self._from_raw(raw),
            samples.used_score_weights(),
        )

    def _standardization(self):
        """Return mean and inverse scale of the channels, as the kernels take them."""
        dtype, inputs = self._parameters.dtype, self._inputs
        return inputs.mean.astype(dtype), (1.0 / inputs.scale).astype(dtype)

    # --- what a fitted model offers -------------------------------------------------

    def hidden_states(self, X: Any, *, pooling: str | None = "last") -> np.ndarray:
        """Return the states of the last recurrent layer, features for other models.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            In any of the forms of the class's documentation.
        pooling : {"last", "mean", "max"} or None, default="last"
            How the states of all steps become one vector for a sequence; it need not
            be that of training. None returns those of each step.

        Returns
        -------
        states : ndarray of shape (n_samples, n_states)
            Where ``n_states`` is the last of `hidden_layer_sizes`, or with
            `bidirectional` twice that: the states ahead, then those backwards. Without
            `pooling` in the shape of X, with ``n_states`` numbers at each step.

        Raises
        ------
        ValueError
            If there is no such pooling, or X is not what the network was fitted to.

        Examples
        --------
        >>> import numpy as np
        >>> from skrnn import RNNRegressor
        >>> X = np.sin(np.arange(120.0)).reshape(20, 6)
        >>> model = RNNRegressor((3,), max_iter=1, n_iter_no_change=np.inf)
        >>> model = model.fit(X, X[:, 0])
        >>> model.hidden_states(X).shape, model.hidden_states(X, pooling=None).shape
        ((20, 3), (20, 6, 3))
        """
        if pooling not in HIDDEN_POOLINGS:
            raise ValueError(
                f"pooling must be one of {HIDDEN_POOLINGS}, got {pooling!r}."
            )
        data, present = self._read_for_prediction(X)
        if pooling is None and self._inputs.steps_per_frame > 1:
            raise ValueError(
                "With steps_per_frame > 1 there is a state for each frame, not for "
                'each step: choose a pooling such as "last".'
            )
        return _in_shape(X, data, self._states(present, pooling), pooling)

    def _states(self, present, pooling):
        """Return the states of the last recurrent layer, of samples or of steps."""
        body = replace(
            self._architecture, n_outputs=0, dense_layer_sizes=(), pooling=pooling
        )
        return self._raw_of(present, body)

    def _predict_raw(self, present, architecture=None):
        """Return the raw predictions for checked data, of samples or of steps.

        The data are without the steps that are skipped, which have none. An
        architecture without the upper layers may be given: its parameters are the first
        ones.
        """
        network = network_of(architecture or self._architecture)
        return predict_raw(
            network,
            self._parameters[: network.layout.size],
            self._inputs.prepare(present),
            *self._standardization(),
            effective_n_jobs(self.n_jobs),
        )

    def _read_for_prediction(self, X):
        """Return the data set that X is, and it without the steps that are skipped."""
        check_is_fitted(self)
        data = self._checked_data(X, reset=False)
        return data, self._present(data)

    def _raw_of(self, present, architecture):
        """Return the raw predictions of an architecture, see `_predict_raw`.

        Where each step has one, a step that is skipped has that of the step before.
        """
        raw = self._predict_raw(present, architecture)
        if self._inputs.skips and architecture.pooling is None:
            raw = spread_steps(raw, present)
        return raw

    def _checked_raw(self, X):
        """Return the data set that X is, and the raw predictions for it."""
        data, present = self._read_for_prediction(X)
        return data, self._raw_of(present, self._architecture)

    def _in_shape(self, X, data, predicted):
        """Return predictions of samples as they are, of steps in the shape of X."""
        return _in_shape(X, data, predicted, self._architecture.pooling)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing != "error"
        return tags
