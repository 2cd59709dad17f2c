"""Losses as sums over samples: raw (n, rows), targets (n, n_targets), weights (n,)."""

import numpy as np


def _weighted(weights, values):
    return float(np.sum(weights * values))


def squared_error(raw, y, weights, levels):
    return _weighted(weights, np.mean((raw - y) ** 2 / 2, axis=1))


def absolute_error(raw, y, weights, levels):
    return _weighted(weights, np.mean(np.abs(raw - y), axis=1))


def huber(raw, y, weights, levels):
    (delta,) = levels
    error = np.abs(raw - y)
    values = np.where(error <= delta, error**2 / 2, delta * (error - delta / 2))
    return _weighted(weights, values.mean(axis=1))


def quantile(raw, y, weights, levels):
    total = 0.0
    for k in range(y.shape[1]):
        for q, level in enumerate(levels):
            error = y[:, k] - raw[:, k * len(levels) + q]
            pinball = np.where(error >= 0, level * error, (level - 1) * error)
            total += _weighted(weights, pinball)
    return total / (y.shape[1] * len(levels))


def poisson(raw, y, weights, levels):
    return _weighted(weights, np.mean(np.exp(raw) - y * raw, axis=1))


def binary_log_loss(raw, y, weights, levels):
    return _weighted(weights, np.sum(np.logaddexp(0.0, raw) - y * raw, axis=1))


def softmax(raw):
    e = np.exp(raw - raw.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _one_hot(raw, y):
    return np.eye(raw.shape[1])[y[:, 0].astype(int)]


def multiclass_log_loss(raw, y, weights, levels):
    log_probabilities = raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)
    return _weighted(weights, -np.sum(_one_hot(raw, y) * log_probabilities, axis=1))


def binary_squared_error(raw, y, weights, levels):
    p = 1.0 / (1.0 + np.exp(-raw))
    return _weighted(weights, np.mean((p - y) ** 2 / 2, axis=1))


def multiclass_squared_error(raw, y, weights, levels):
    errors = softmax(raw) - _one_hot(raw, y)
    return _weighted(weights, np.mean(errors**2 / 2, axis=1))
