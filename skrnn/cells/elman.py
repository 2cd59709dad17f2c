"""The simple recurrence (Elman 1990), with a choice of activation f.

h_t = f(b + W x_t + V h_{t-1})
"""

from skrnn._jit import ZERO, kernel
from skrnn.activations import activate, derivative_times
from skrnn.cells._around import denormalize, fed, feed, normalize, through_time
from skrnn.products import affine
from skrnn.simd import get, put


@kernel
def forward(
    w, v, bias, x, gates, hidden, state, n_steps, n_x, n_h, activation, norm, dropped
):
    """Fill ``hidden[1:]``; the pre-activations need no keeping."""
    h = fed(hidden, dropped)
    for t in range(n_steps[0]):
        g = t if bias is None else 0
        affine(ZERO, n_h, ZERO, gates, g, bias, w, x, t, n_x, v, h, t, n_h)
        normalize(norm, t, g)
        for k in range(n_h):
            put(hidden, t + 1, k, activate(activation, get(gates, g, k)))
        feed(hidden, dropped, t + 1, n_h)


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
    """Fill `gates` with the gradient of the pre-activations."""
    for t in range(n_steps[0] - 1, -1, -1):
        for k in range(n_h):
            h, dh = get(hidden, t + 1, k), get(d_hidden, t + 1, k)
            put(gates, t, k, derivative_times(activation, h, dh))
        denormalize(norm, t)
        if t >= begin:
            through_time(n_h, d_hidden, t, v_t, gates, ZERO, n_h, dropped)
