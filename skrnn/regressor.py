"""Regression from sequences."""

from numbers import Real

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_y, column_or_1d

from skrnn._base import BaseRNN
from skrnn.callbacks import with_callbacks
from skrnn.losses import REGRESSION_LOSSES
from skrnn.scaling import target_statistics


class RNNRegressor(RegressorMixin, BaseRNN):
    """Docstring."""

    _parameter_constraints: dict = {
        **BaseRNN._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION_LOSSES))],
        "quantile": ["array-like", Interval(Real, 0, 1, closed="neither")],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        hidden_layer_sizes=(32,),
        *,
        cell="lstm",
        activation="tanh",
        loss="squared_error",
        quantile=0.5,
        huber_delta=1.0,
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
        self.quantile = quantile
        self.huber_delta = huber_delta
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
        """Fit the network to sequences X and targets y.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            Training sequences, in any of the forms of the class's documentation.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights: a sample of weight 2 counts exactly as if it were there twice.
        X_val, y_val : like X and y, default=None
            A validation set of one's own. Its scores go to `validation_scores_`; with
            `early_stopping` it takes the place of `validation_fraction`.
        sample_weight_val : array-like of shape (n_val_samples,), default=None
            Weights of the validation set.

        Returns
        -------
        self : RNNRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or y is not of one of these forms, has values that are not finite, or
            if training diverges; the message says where and what to try.
        """
        validation = self._validation(X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Go once over the samples, and on from where training stands.

        The scales of `standardize` are learned in the first call. `early_stopping`
        does not apply.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            Training sequences.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        self : RNNRegressor
            The estimator, trained a little further.
        """
        return self._fit(X, y, sample_weight, None, incremental=True)

    def predict(self, X):
        """Predict the targets of sequences X.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            In any of the forms of the class's documentation.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions. With several quantile levels they are the last axis.
        """
        y = self._from_raw(self._checked_raw(X))
        return y[:, 0] if self._y_is_1d else y

    def score(self, X, y, sample_weight=None):
        """Return R², or with ``loss="quantile"`` the mean D² pinball score.

        Parameters
        ----------
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            Test sequences.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            1 for perfect predictions, 0 for those of a constant.
        """
        y_pred = self._from_raw(self._checked_raw(X))
        y = _check_y(y, multi_output=True, y_numeric=True, estimator=self)
        return self._score_encoded(y.reshape(len(y), -1), y_pred, sample_weight)

    # --- what BaseRNN asks for ------------------------------------------------------

    def _encode(self, y, reset):
        y = _check_y(y, multi_output=True, y_numeric=True, estimator=self)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if reset:
            self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
            self._y_is_1d = y.ndim == 1
            self.out_activation_ = "exp" if self.loss == "poisson" else "identity"
        targets = y.astype(np.float64).reshape(len(y), -1)
        if targets.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y has {targets.shape[1]} outputs, expected {self.n_outputs_}."
            )
        if self.loss == "poisson" and (targets < 0).any():
            raise ValueError(
                "Some value(s) of y are out of the valid range of the loss 'poisson': "
                "y must not be negative."
            )
        return targets

    def _levels(self):
        """Return the quantile levels, ascending."""
        levels = np.atleast_1d(np.asarray(self.quantile, dtype=np.float64))
        if levels.ndim != 1 or not ((levels > 0) & (levels < 1)).all():
            raise ValueError(
                f"quantile must lie between 0 and 1, got {self.quantile!r}."
            )
        return levels

    def _loss(self):
        loss = REGRESSION_LOSSES[self.loss]
        if self.loss == "quantile":
            return loss, self._levels()
        return loss, np.array([self.huber_delta])

    def _n_raw_outputs(self):
        n_levels = len(self._levels()) if self.loss == "quantile" else 1
        return self.n_outputs_ * n_levels

    def _scale_targets(self, targets, weights):
        if self.standardize and self.loss != "poisson":
            self._target_mean, self._target_scale = target_statistics(targets, weights)
        else:
            self._target_mean = np.zeros(self.n_outputs_)
            self._target_scale = np.ones(self.n_outputs_)

    def _standardized(self, targets):
        return (targets - self._target_mean) / self._target_scale

    def _first_raw(self, targets, weights):
        loss, levels = self._loss()
        return loss.constant(targets, weights, levels)

    def _from_raw(self, raw):
        """Return predictions of shape (n_samples, n_outputs[, n_levels])."""
        y = REGRESSION_LOSSES[self.loss].predict(raw.astype(np.float64))
        y = y.reshape(len(y), self.n_outputs_, -1)
        y = y * self._target_scale[:, None] + self._target_mean[:, None]
        if y.shape[2] > 1:
            # quantiles may not cross: sorted ones are never worse
            # (Chernozhukov, Fernández-Val and Galichon 2010)
            y[:, :, np.argsort(self._levels())] = np.sort(y, axis=2)
        y = y.astype(raw.dtype)
        several = self.loss == "quantile" and np.ndim(self.quantile) > 0
        return y if several else y[:, :, 0]

    def _score_encoded(self, y, y_pred, sample_weight):
        if self.loss != "quantile":
            return r2_score(y, y_pred, sample_weight=sample_weight)
        y_pred = y_pred.reshape(len(y), self.n_outputs_, -1)
        scores = [
            d2_pinball_score(y, y_pred[:, :, q], sample_weight=sample_weight, alpha=a)
            for q, a in enumerate(self._levels())
        ]
        return float(np.mean(scores))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags
