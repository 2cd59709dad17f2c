"""An LSTM of the forget gate alone (van der Westhuizen and Lasenby 2018, JANET).

    f   = sigmoid(b + W x_t + V h_{t-1})
    n   = tanh(b + W x_t + V h_{t-1})
    h_t = f h_{t-1} + (1 - f) n

Rows of the gates, and columns of W and V: f, n. Half of the products of the LSTM.
"""

from skrnn._jit import ZERO, kernel
from skrnn.activations import sigmoid, tanh
from skrnn.cells._around import denormalize, fed, feed, normalize, through_time
from skrnn.products import affine
from skrnn.simd import get, put


@kernel
def forward(
    w, v, bias, x, gates, hidden, state, n_steps, n_x, n_h, activation, norm, dropped
):
    """Fill ``hidden[1:]`` and `gates` (or reuse its only step)."""
    kept, h = gates.shape[0] - 1, fed(hidden, dropped)
    for t in range(n_steps[0]):
        g = min(t, kept)
        affine(ZERO, 2 * n_h, ZERO, gates, g, bias, w, x, t, n_x, v, h, t, n_h)
        normalize(norm, t, g)
        for k in range(n_h):
            f, n = sigmoid(get(gates, g, k)), tanh(get(gates, g, n_h + k))
            put(gates, g, k, f)
            put(gates, g, n_h + k, n)
            put(hidden, t + 1, k, f * (get(hidden, t, k) - n) + n)
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
    """Replace `gates` by the gradient of their pre-activations."""
    for t in range(n_steps[0] - 1, -1, -1):
        for k in range(n_h):
            f, n = get(gates, t, k), get(gates, t, n_h + k)
            dh = get(d_hidden, t + 1, k)
            put(gates, t, k, dh * (get(hidden, t, k) - n) * f * (1.0 - f))
            put(gates, t, n_h + k, dh * (1.0 - f) * (1.0 - n * n))
            if t >= begin:
                put(d_hidden, t, k, get(d_hidden, t, k) + dh * f)
        denormalize(norm, t)
        if t >= begin:
            through_time(n_h, d_hidden, t, v_t, gates, ZERO, 2 * n_h, dropped)
