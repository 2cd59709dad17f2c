"""Numerical derivatives."""

import numpy as np


def derivative(function, at, direction, step=1e-5):
    """Return the slope of `function` at `at` along a direction, to order step^4."""

    def difference(h):
        return (function(at + h * direction) - function(at - h * direction)) / (2 * h)

    return (4.0 * difference(step / 2) - difference(step)) / 3.0


def gradient(function, at, step=1e-5):
    """Return the gradient of `function`, coordinate by coordinate."""
    result = np.zeros_like(at)
    for i in np.ndindex(at.shape):
        direction = np.zeros_like(at)
        direction[i] = 1.0
        result[i] = derivative(function, at, direction, step)
    return result
