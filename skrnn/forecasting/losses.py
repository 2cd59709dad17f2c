"""The loss of forecasts at the level and scale of their window; see `skrnn.losses`."""

import numpy as np

from skrnn._jit import kernel


@kernel
def scaled_quantile(raw, d_raw, target, weight, levels, n_steps):
    """Pinball loss (Koenker and Bassett 1978) of each step ahead and level.

    The last row of the targets is not a target but a factor, how much an error of 1
    counts in this window. Targets may be NaN, and do not count then.
    """
    n, n_levels = target.shape[1] - 1, len(levels)
    value = 0.0
    for t in range(n_steps[0]):
        for lane in range(weight.shape[2]):
            w = weight[t, 0, lane] * target[t, n, lane] / (n * n_levels)
            for k in range(n):
                for q in range(n_levels):
                    row = k * n_levels + q
                    error = target[t, k, lane] - raw[t, row, lane]
                    if w == 0.0 or np.isnan(error):
                        d_raw[t, row, lane] = 0.0
                        continue
                    slope = levels[q] if error >= 0.0 else levels[q] - 1.0
                    value += w * slope * error
                    d_raw[t, row, lane] = -w * slope
    return value
