"""Losses: value and gradient with respect to the network's raw prediction.

A loss is a jitted function over one shard,

``loss(raw, d_raw, target, weight, levels, n_steps)``

with `raw` and its gradient `d_raw` of shape (steps, rows, lanes), `target` likewise
and `weight` (steps, 1, lanes), 0 where there is no target. It returns the sum over
``n_steps[0]`` steps and the lanes of weight times loss, and writes the gradient of that
sum.
`levels` holds the parameters of the loss: the quantile levels, huber's delta, or the
label smoothing of the logistic losses.

Values follow scikit-learn's: half the squared error, the mean over several outputs,
the sum over several labels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skrnn._jit import inner, kernel
from skrnn.activations import exp
from skrnn.simd import REGISTER_BYTES, get, maximum, put, where_positive


class Objective:
    """A loss that is more than a function of predictions and targets, step by step.

    Attributes
    ----------
    labels_apart : bool
        Whether targets have lengths of their own, whatever those of the predictions.
    """

    labels_apart = False

    def record(self, calls, workspace, levels):
        """Record what fills ``workspace.d_raw``; the calls return the loss together.

        Parameters
        ----------
        calls : Recording
        workspace : TrainingWorkspace
        levels : ndarray
        """
        raise NotImplementedError


class OwnLoss(Objective):
    """The loss of an output layer that computes it by itself: `AdaptiveSoftmax`."""

    def record(self, calls, workspace, levels):
        """Record the loss; labels cannot be smoothed."""
        if np.any(levels):
            raise ValueError("Labels cannot be smoothed where cutoffs are given.")
        place = workspace.stack[-1]
        place.layer.record_loss(
            calls,
            place.packed,
            place.x,
            place.buffers,
            workspace.gradients[-1],
            place.shard,
            workspace.target,
            workspace.weight,
        )


@kernel
def squared_error(raw, d_raw, target, weight, levels, n_steps):
    """``(raw - y)^2 / 2``."""
    n = target.shape[1]
    value = 0.0
    for t in range(n_steps[0]):
        for k in range(n):
            for lane in range(weight.shape[2]):
                w = weight[t, 0, lane] / n
                error = raw[t, k, lane] - target[t, k, lane]
                value += 0.5 * w * error * error
                d_raw[t, k, lane] = w * error
    return value


@kernel
def absolute_error(raw, d_raw, target, weight, levels, n_steps):
    """``|raw - y|``."""
    n = target.shape[1]
    value = 0.0
    for t in range(n_steps[0]):
        for k in range(n):
            for lane in range(weight.shape[2]):
                w = weight[t, 0, lane] / n
                error = raw[t, k, lane] - target[t, k, lane]
                value += w * abs(error)
                d_raw[t, k, lane] = w * np.sign(error)
    return value


@kernel
def huber(raw, d_raw, target, weight, levels, n_steps):
    """Squared within delta of the target, linear beyond (Huber 1964)."""
    n = target.shape[1]
    delta = levels[0]
    value = 0.0
    for t in range(n_steps[0]):
        for k in range(n):
            for lane in range(weight.shape[2]):
                w = weight[t, 0, lane] / n
                error = raw[t, k, lane] - target[t, k, lane]
                clipped = min(max(error, -delta), delta)
                value += w * clipped * (error - 0.5 * clipped)
                d_raw[t, k, lane] = w * clipped
    return value


@kernel
def quantile(raw, d_raw, target, weight, levels, n_steps):
    """Pinball loss (Koenker and Bassett 1978); a row for each output and level."""
    n, n_levels = target.shape[1], len(levels)
    value = 0.0
    for t in range(n_steps[0]):
        for k in range(n):
            for q in range(n_levels):
                row, level = k * n_levels + q, levels[q]
                for lane in range(weight.shape[2]):
                    w = weight[t, 0, lane] / (n * n_levels)
                    error = target[t, k, lane] - raw[t, row, lane]
                    slope = level if error >= 0.0 else level - 1.0
                    value += w * slope * error
                    d_raw[t, row, lane] = -w * slope
    return value


@kernel
def poisson(raw, d_raw, target, weight, levels, n_steps):
    """``exp(raw) - y raw``: half the deviance up to a constant, raw the log mean."""
    n = target.shape[1]
    value = 0.0
    for t in range(n_steps[0]):
        for k in range(n):
            for lane in range(weight.shape[2]):
                w = weight[t, 0, lane] / n
                if w > 0.0:
                    mean = math.exp(raw[t, k, lane])
                    value += w * (mean - target[t, k, lane] * raw[t, k, lane])
                    d_raw[t, k, lane] = w * (mean - target[t, k, lane])
                else:
                    d_raw[t, k, lane] = 0.0
    return value


@kernel
def binary_log_loss(raw, d_raw, target, weight, levels, n_steps):
    """``log(1 + exp(raw)) - y raw`` for each label, raw the log-odds."""
    value = 0.0
    for t in range(n_steps[0]):
        for k in range(target.shape[1]):
            for lane in range(weight.shape[2]):
                w, z = weight[t, 0, lane], raw[t, k, lane]
                y = (1.0 - levels[0]) * target[t, k, lane] + 0.5 * levels[0]
                small = math.exp(-abs(z))
                value += w * (max(z, 0.0) + math.log1p(small) - y * z)
                probability = (1.0 if z >= 0.0 else small) / (1.0 + small)
                d_raw[t, k, lane] = w * (probability - y)
    return value


@inner
def _softmax_into(probabilities, raw, t, lane):
    """Write the softmax of a step; return the logarithm of its denominator."""
    n = raw.shape[1]
    largest = raw[t, 0, lane]
    for k in range(1, n):
        largest = max(largest, raw[t, k, lane])
    denominator = 0.0
    for k in range(n):
        e = math.exp(raw[t, k, lane] - largest)
        probabilities[t, k, lane] = e
        denominator += e
    for k in range(n):
        probabilities[t, k, lane] /= denominator
    return largest + math.log(denominator)


# Rows that are added up by themselves: long sums of float32 would lose places.
_ROWS_OF_SUM = 64


@inner
def _largest(raw, t, first, stride):
    """Return the largest of the rows of a register, two by two."""
    a = get(raw, t, first)
    b = a
    for k in range(first + stride, raw.shape[1] - stride, 2 * stride):
        a, b = maximum(a, get(raw, t, k)), maximum(b, get(raw, t, k + stride))
    last = raw.shape[1] - stride + first
    return maximum(maximum(a, b), get(raw, t, last))


@inner
def _exponentials(powers, raw, t, first, stride, zero):
    """Write powers of e, of which the largest is 1.

    Return what was subtracted from the exponents, and the sum of the powers.
    """
    largest, total = _largest(raw, t, first, stride), zero
    for begin in range(first, raw.shape[1], _ROWS_OF_SUM * stride):
        part = zero
        for k in range(begin, min(begin + _ROWS_OF_SUM * stride, raw.shape[1]), stride):
            power = exp(get(raw, t, k) - largest)
            put(powers, t, k, power)
            part = part + power
        total = total + part
    return largest, total


@inner
def _row_sum(raw, t, first, stride, zero):
    """Return the sum of the rows of a register."""
    total = zero
    for begin in range(first, raw.shape[1], _ROWS_OF_SUM * stride):
        part = zero
        for k in range(begin, min(begin + _ROWS_OF_SUM * stride, raw.shape[1]), stride):
            part = part + get(raw, t, k)
        total = total + part
    return total


# Rows of the scratch of `multiclass_log_loss`.
_LARGEST, _DENOMINATOR, _RAW_SUM, _FACTOR, _SHIFT, _ZERO = range(6)


@inner
def _weigh(scratch, raw, target, weight, smoothing, t, first):
    """Fill the factors and shifts of the lanes of a register; return their loss."""
    n_lanes, shared = scratch.shape[2], smoothing / raw.shape[1]
    value = 0.0
    for i in range(n_lanes):
        lane = first * n_lanes + i
        w = weight[t, 0, lane] if lane < weight.shape[2] else 0.0
        scratch[0, _FACTOR, i] = w / scratch[0, _DENOMINATOR, i]
        scratch[0, _SHIFT, i] = w * shared
        if w > 0.0:
            z = raw[t, int(target[t, 0, lane]), lane]
            loss = scratch[0, _LARGEST, i] - z
            loss += math.log(scratch[0, _DENOMINATOR, i])
            if smoothing > 0.0:
                loss += smoothing * z - shared * scratch[0, _RAW_SUM, i]
            value += w * loss
    return value


@kernel
def multiclass_log_loss(raw, d_raw, target, weight, levels, n_steps):
    """``log(sum exp(raw)) - raw[y]``, y the number of the class.

    A share ``levels[0]`` of y goes to all classes alike (Szegedy et al. 2016).
    """
    n_classes, smoothing = raw.shape[1], levels[0]
    # what follows works on rows of one register
    n_lanes = min(REGISTER_BYTES // raw.itemsize, raw.shape[2])
    stride = raw.shape[2] // n_lanes
    rows = raw.reshape(raw.shape[0], n_classes * stride, n_lanes)
    d_rows = d_raw.reshape(rows.shape)
    scratch = np.zeros((1, 6, n_lanes), raw.dtype)
    zero = get(scratch, 0, _ZERO)
    value = 0.0
    for t in range(n_steps[0]):
        for first in range(stride):
            largest, total = _exponentials(d_rows, rows, t, first, stride, zero)
            put(scratch, 0, _LARGEST, largest)
            put(scratch, 0, _DENOMINATOR, total)
            if smoothing > 0.0:
                put(scratch, 0, _RAW_SUM, _row_sum(rows, t, first, stride, zero))
            value += _weigh(scratch, raw, target, weight, smoothing, t, first)
            factor, shift = get(scratch, 0, _FACTOR), get(scratch, 0, _SHIFT)
            for k in range(first, n_classes * stride, stride):
                d = get(d_rows, t, k) * factor - shift
                put(d_rows, t, k, where_positive(factor, d, 0.0))
        for lane in range(weight.shape[2]):
            y = int(target[t, 0, lane])
            d_raw[t, y, lane] -= weight[t, 0, lane] * (1.0 - smoothing)
    return value


@kernel
def binary_squared_error(raw, d_raw, target, weight, levels, n_steps):
    """``(p - y)^2 / 2`` with p the logistic function of raw; the mean over labels."""
    n = target.shape[1]
    value = 0.0
    for t in range(n_steps[0]):
        for k in range(n):
            for lane in range(weight.shape[2]):
                w = weight[t, 0, lane] / n
                p = 0.5 + 0.5 * math.tanh(0.5 * raw[t, k, lane])
                error = p - target[t, k, lane]
                value += 0.5 * w * error * error
                d_raw[t, k, lane] = w * error * p * (1.0 - p)
    return value


@kernel
def multiclass_squared_error(raw, d_raw, target, weight, levels, n_steps):
    """Half the mean over the classes of ``(p - [k = y])^2``, p the softmax of raw."""
    n = raw.shape[1]
    value = 0.0
    for t in range(n_steps[0]):
        for lane in range(weight.shape[2]):
            w, y = weight[t, 0, lane] / n, int(target[t, 0, lane])
            _softmax_into(d_raw, raw, t, lane)
            mean_error = 0.0
            for k in range(n):
                p = d_raw[t, k, lane]
                error = p - (1.0 if k == y else 0.0)
                value += 0.5 * w * error * error
                mean_error += p * error
            for k in range(n):
                p = d_raw[t, k, lane]
                error = p - (1.0 if k == y else 0.0)
                d_raw[t, k, lane] = w * p * (error - mean_error)
    return value


# --- predictions ----------------------------------------------------------------------


def _identity(raw):
    return raw


def _logistic(raw):
    return np.exp(-np.logaddexp(0.0, -raw))


def _softmax(raw):
    probabilities = np.exp(raw - raw.max(axis=1, keepdims=True))
    return probabilities / probabilities.sum(axis=1, keepdims=True)


# --- the best constant: where the bias of the output layer starts ---------------------


def _zero(targets, weights, levels):
    return 0.0


def _mean(targets, weights, levels):
    return np.average(targets, axis=0, weights=weights)


def _log_mean(targets, weights, levels):
    return np.log(np.maximum(_mean(targets, weights, levels), 1e-6))


def _quantiles(targets, weights, levels):
    """Weighted quantiles by the inverted distribution function, output by output."""
    columns = []
    for target in targets.T:
        order = np.argsort(target, kind="stable")
        below = np.cumsum(weights[order])
        at = np.searchsorted(below, levels * below[-1])
        columns.append(target[order][np.minimum(at, len(target) - 1)])
    return np.concatenate(columns)


def _median(targets, weights, levels):
    return _quantiles(targets, weights, np.array([0.5]))


@dataclass(frozen=True)
class Loss:
    """A loss and what follows from it.

    `predict` maps raw predictions to those in the loss's own terms, `constant` gives
    the raw prediction that is best for all samples alike.
    """

    function: Callable
    predict: Callable = _identity
    constant: Callable = _zero


REGRESSION_LOSSES = {
    "squared_error": Loss(squared_error, constant=_mean),
    "absolute_error": Loss(absolute_error, constant=_median),
    "huber": Loss(huber, constant=_median),
    "quantile": Loss(quantile, constant=_quantiles),
    "poisson": Loss(poisson, predict=np.exp, constant=_log_mean),
}
# by what the targets are: "binary" serves several labels as well
CLASSIFICATION_LOSSES = {
    "log_loss": {
        "binary": Loss(binary_log_loss, predict=_logistic),
        "multiclass": Loss(multiclass_log_loss, predict=_softmax),
    },
    "squared_error": {
        "binary": Loss(binary_squared_error, predict=_logistic),
        "multiclass": Loss(multiclass_squared_error, predict=_softmax),
    },
}
