"""Classification of sequences."""

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import (
    check_classification_targets,
    type_of_target,
    unique_labels,
)
from sklearn.utils.validation import check_array, column_or_1d

from skrnn._base import BaseRNN
from skrnn.callbacks import with_callbacks
from skrnn.losses import CLASSIFICATION_LOSSES


class RNNClassifier(ClassifierMixin, BaseRNN):
    """Docstring."""

    _parameter_constraints: dict = {
        **BaseRNN._parameter_constraints,
        "loss": [StrOptions(set(CLASSIFICATION_LOSSES))],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes=(32,),
        *,
        cell="lstm",
        activation="tanh",
        loss="log_loss",
        class_weight=None,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.01,
        power_t=0.5,
        warmup_fraction=0.1,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        rho=0.9,
        n_iter_no_change=10,
        max_grad_norm=1.0,
        standardize=True,
        n_channels=None,
        n_jobs=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.cell = cell
        self.activation = activation
        self.loss = loss
        self.class_weight = class_weight
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.warmup_fraction = warmup_fraction
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.rho = rho
        self.n_iter_no_change = n_iter_no_change
        self.max_grad_norm = max_grad_norm
        self.standardize = standardize
        self.n_channels = n_channels
        self.n_jobs = n_jobs

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
    ):
        """Fit the network to sequences X and their classes y.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            Training sequences, in any of the forms of the class's documentation.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Classes, numbers or strings; or for several labels a 1 for each that a
            sample has.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights: a sample of weight 2 counts exactly as if it were there twice.
        X_val, y_val : like X and y, default=None
            A validation set of one's own. Its scores go to `validation_scores_`; with
            `early_stopping` it takes the place of `validation_fraction`.
        sample_weight_val : array-like of shape (n_val_samples,), default=None
            Weights of the validation set.

        Returns
        -------
        self : RNNClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or y is not of one of these forms, has values that are not finite, or
            if training diverges; the message says where and what to try.
        """
        self._declared_classes = None
        validation = self._validation(X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Go once over the samples, and on from where training stands.

        The scales of `standardize` are learned in the first call. `early_stopping`
        does not apply.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            Training sequences.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Classes.
        classes : array-like of shape (n_classes,), default=None
            All classes that any call will bring; required in the first.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        self : RNNClassifier
            The estimator, trained a little further.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' is not defined for partial_fit, which sees "
                "a part of the classes at a time; pass a dict of weights."
            )
        if hasattr(self, "_parameters"):
            if classes is not None and not np.array_equal(
                self.classes_, unique_labels(classes)
            ):
                raise ValueError(
                    f"classes={classes!r} differs from the first call: {self.classes_}."
                )
        elif classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        else:
            self._declared_classes = unique_labels(classes)
        return self._fit(X, y, sample_weight, None, incremental=True)

    def predict_proba(self, X):
        """Return the probability of each class for each sequence.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            In any of the forms of the class's documentation.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; for several labels that of each label.
        """
        p = self._from_raw(self._checked_raw(X))
        return np.hstack([1.0 - p, p]) if self._kind == "binary" else p

    def predict_log_proba(self, X):
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            In any of the forms of the class's documentation.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X):
        """Return the most probable class of each sequence.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            In any of the forms of the class's documentation.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Classes; for several labels a 1 for each with a probability above a half.
        """
        chosen = self._choose(self._from_raw(self._checked_raw(X)))
        if self._kind == "multilabel":
            return chosen.astype(int)
        return self.classes_[chosen[:, 0]]

    # --- what BaseRNN asks for ------------------------------------------------------

    def _encode(self, y, reset):
        check_classification_targets(y)
        y_type = type_of_target(y, input_name="y")
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y", estimator=self)
        is_multilabel = y_type == "multilabel-indicator"
        if not is_multilabel:
            y = column_or_1d(y, warn=True)
        if reset:
            self._learn_classes(y, is_multilabel)
        if is_multilabel != (self._kind == "multilabel"):
            raise ValueError(f"y is {y_type}, expected {self._kind}.")
        if is_multilabel:
            if y.shape[1] != self.n_outputs_:
                raise ValueError(
                    f"y has {y.shape[1]} labels, expected {self.n_outputs_}."
                )
            return y.astype(np.float64)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y contains classes {unknown.tolist()} that are not among "
                f"{self.classes_.tolist()}."
            )
        return np.searchsorted(self.classes_, y).astype(np.float64)[:, None]

    def _learn_classes(self, y, is_multilabel):
        if is_multilabel:
            self.classes_ = np.arange(y.shape[1])
            self._kind = "multilabel"
        else:
            declared = self._declared_classes
            self.classes_ = np.unique(y) if declared is None else declared
            self._kind = "binary" if len(self.classes_) == 2 else "multiclass"
        self.n_outputs_ = 1 if self._kind == "binary" else len(self.classes_)
        is_softmax = self._kind == "multiclass"
        self.out_activation_ = "softmax" if is_softmax else "logistic"

    def _loss(self):
        kind = "multiclass" if self._kind == "multiclass" else "binary"
        return CLASSIFICATION_LOSSES[self.loss][kind], np.zeros(1)

    def _n_raw_outputs(self):
        return self.n_outputs_

    def _weigh(self, y, sample_weight):
        if self.class_weight is None:
            return sample_weight
        class_weight = compute_sample_weight(self.class_weight, y)
        return class_weight if sample_weight is None else class_weight * sample_weight

    def _from_raw(self, raw):
        loss, _ = self._loss()
        return loss.predict(raw.astype(np.float64)).astype(raw.dtype)

    def _choose(self, probabilities):
        """Return the chosen targets, as encoded."""
        if self._kind == "multiclass":
            return probabilities.argmax(axis=1)[:, None]
        return (probabilities > 0.5).astype(np.intp)

    def _score_encoded(self, targets, probabilities, sample_weight):
        chosen = self._choose(probabilities)
        return accuracy_score(
            targets.astype(np.intp), chosen, sample_weight=sample_weight
        )

    def _strata(self, targets):
        if self._kind == "multilabel":
            return None
        counts = np.unique(targets, return_counts=True)[1]
        n_held_out = self.validation_fraction * len(targets)
        is_possible = counts.min() > 1 and n_held_out >= len(counts)
        return targets[:, 0] if is_possible else None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
