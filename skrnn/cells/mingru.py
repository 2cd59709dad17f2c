"""Minimal gated recurrent unit: no recurrent weights (Feng et al. 2024, minGRU).

    z   = sigmoid(b + W x_t)
    n   = b + W x_t
    h_t = (1 - z) h_{t-1} + z n

Rows of the gates, and columns of W: z, n. No product waits for the step before it.
"""

from skrnn._jit import ZERO, kernel
from skrnn.activations import sigmoid
from skrnn.cells._around import denormalize, normalize
from skrnn.products import affine
from skrnn.simd import get, put


@kernel
def forward(
    w, v, bias, x, gates, hidden, state, n_steps, n_x, n_h, activation, norm, dropped
):
    """Fill ``hidden[1:]`` and `gates` (or reuse its only step)."""
    kept = gates.shape[0] - 1
    for t in range(n_steps[0]):
        g = min(t, kept)
        affine(ZERO, 2 * n_h, ZERO, gates, g, bias, w, x, t, n_x, v, x, t, ZERO)
        normalize(norm, t, g)
        for k in range(n_h):
            z, n = sigmoid(get(gates, g, k)), get(gates, g, n_h + k)
            put(gates, g, k, z)
            h = get(hidden, t, k)
            put(hidden, t + 1, k, z * (n - h) + h)


@kernel
def backward(
    v_t,
    gates,
    hidden,
    state,
    d_hidden,
    carry,
    n_steps,
    n_h,
    begin,
    activation,
    norm,
    dropped,
):
    """Replace `gates` by the gradient of their pre-activations."""
    for t in range(n_steps[0] - 1, -1, -1):
        for k in range(n_h):
            z, n = get(gates, t, k), get(gates, t, n_h + k)
            dh = get(d_hidden, t + 1, k)
            put(gates, t, k, dh * (n - get(hidden, t, k)) * z * (1.0 - z))
            put(gates, t, n_h + k, dh * z)
            if t >= begin:
                put(d_hidden, t, k, get(d_hidden, t, k) + dh * (1.0 - z))
        denormalize(norm, t)
