"""The simple recurrence (Elman 1990), with a choice of activation f.

h_t = f(b + W x_t + V h_{t-1})
"""

from skrnn._jit import ZERO, kernel
from skrnn.activations import activate, derivative_times
from skrnn.products import accumulate, affine
from skrnn.simd import get, put


@kernel
def forward(w, v, bias, x, gates, hidden, state, n_steps, n_x, n_h, activation):
    """Fill ``hidden[1:]``; the pre-activations need no keeping."""
    for t in range(n_steps[0]):
        affine(ZERO, n_h, ZERO, gates, ZERO, bias, w, x, t, n_x, v, hidden, t, n_h)
        for k in range(n_h):
            put(hidden, t + 1, k, activate(activation, get(gates, 0, k)))


@kernel
def backward(v_t, gates, hidden, state, d_hidden, carry, n_steps, n_h, activation):
    """Fill `gates` with the gradient of the pre-activations."""
    for t in range(n_steps[0] - 1, -1, -1):
        for k in range(n_h):
            h, dh = get(hidden, t + 1, k), get(d_hidden, t, k)
            put(gates, t, k, derivative_times(activation, h, dh))
        if t > 0:
            accumulate(n_h, d_hidden, t - 1, v_t, gates, t, ZERO, n_h)
