"""Series, regressors and transformers for the tests with other libraries."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.pipeline import make_pipeline

from skrnn import RNNRegressor
from skrnn.forecasting import LagsToSequences

N_LAGS = 12
# More than a network remembers that has not learned to.
MANY_LAGS = 36


class Persistence(RegressorMixin, BaseEstimator):
    """The newest value of the series, and ten times the newest of other channels."""

    def fit(self, X, y):
        assert X.shape[1] == N_LAGS
        self.n_outputs_ = np.shape(y)[1:]
        return self

    def predict(self, X):
        newest = X[:, -1, 0] + 10 * X[:, -1, 1:].sum(axis=1)
        return np.broadcast_to(
            newest.reshape((-1,) + (1,) * len(self.n_outputs_)),
            (len(X), *self.n_outputs_),
        )


class Reversed(LagsToSequences):
    """What a wrong order of the lags would hand on."""

    def transform(self, X):
        sequences = super().transform(X)
        reverse = np.s_[:, ::-1]
        return sequences[reverse]


def network(transformer):
    """Return a small network behind a transformer of lags."""
    regressor = RNNRegressor(
        (16,), max_iter=60, learning_rate_init=0.01, random_state=0
    )
    return make_pipeline(transformer, regressor)


def seasonal(n, phase=0):
    """Return a series of a period of 12 steps, between 15 and 25."""
    return 20 + 5 * np.sin(2 * np.pi * (np.arange(n) + phase) / 12)


def chaotic(n):
    """Return a series whose next value the newest alone determines."""
    values = np.full(n, 0.3)
    for i in range(1, n):
        values[i] = 3.9 * values[i - 1] * (1 - values[i - 1])
    return values


def noise(n):
    """Return an exogenous variable that nothing predicts."""
    return np.random.default_rng(0).normal(size=n)
