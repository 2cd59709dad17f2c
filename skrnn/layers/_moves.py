"""Numbers that go from one buffer to another, all of shape (time, units, lanes)."""

from skrnn._jit import kernel


@kernel
def copy(out, out_first, x, x_first, n_units, n_steps):
    """Write so many units of x to `out`, each from their first on."""
    for t in range(n_steps[0]):
        for k in range(n_units):
            for lane in range(out.shape[2]):
                out[t, out_first + k, lane] = x[t, x_first + k, lane]


@kernel
def add(out, x, n_units, n_steps):
    """Add the first units of x to those of `out`."""
    for t in range(n_steps[0]):
        for k in range(n_units):
            for lane in range(out.shape[2]):
                out[t, k, lane] += x[t, k, lane]
