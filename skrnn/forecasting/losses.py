"""Losses of forecasts at the level and scale of their window; see `skrnn.losses`.

The last row of the targets is not a target but the scale of the window: how much an
error of 1 is in the series itself, relative to its size. Targets may be NaN.
"""

import math

import numpy as np

from skrnn._jit import kernel


@kernel
def relative_error(raw, d_raw, target, weight, levels, n_steps):
    """``2 tanh(|e| / 2)`` of the error e in the series.

    Of logarithms that is the symmetric absolute percentage error itself,
    ``2 |y - f| / (y + f)``, and of others the relative absolute error, if it is small.
    """
    n = raw.shape[1]
    value = 0.0
    for t in range(n_steps[0]):
        for lane in range(weight.shape[2]):
            w, scale = weight[t, 0, lane] / n, target[t, n, lane]
            for k in range(n):
                error = raw[t, k, lane] - target[t, k, lane]
                if w == 0.0 or np.isnan(error):
                    d_raw[t, k, lane] = 0.0
                    continue
                share = math.tanh(0.5 * scale * abs(error))
                value += 2.0 * w * share
                slope = w * scale * (1.0 - share * share)
                d_raw[t, k, lane] = slope * np.sign(error)
    return value


@kernel
def relative_quantile(raw, d_raw, target, weight, levels, n_steps):
    """Pinball loss (Koenker and Bassett 1978) of the error in the series."""
    n, n_levels = target.shape[1] - 1, len(levels)
    value = 0.0
    for t in range(n_steps[0]):
        for lane in range(weight.shape[2]):
            w = weight[t, 0, lane] * target[t, n, lane] / (n * n_levels)
            for k in range(n):
                for q in range(n_levels):
                    row = k * n_levels + q
                    error = target[t, k, lane] - raw[t, row, lane]
                    if weight[t, 0, lane] == 0.0 or np.isnan(error):
                        d_raw[t, row, lane] = 0.0
                        continue
                    slope = levels[q] if error >= 0.0 else levels[q] - 1.0
                    value += w * slope * error
                    d_raw[t, row, lane] = -w * slope
    return value
