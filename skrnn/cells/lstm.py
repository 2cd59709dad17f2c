"""Long short-term memory (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

    i, f, o = sigmoid(b + W x_t + V h_{t-1})      three gates, each its own rows
    n       = tanh(b + W x_t + V h_{t-1})
    c_t     = f c_{t-1} + i n
    h_t     = o tanh(c_t)

Rows of the gates, and columns of W and V: i, f, n, o.
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
    """Fill ``hidden[1:]``, ``state[1:]`` and `gates` (or reuse its only step)."""
    kept, h = gates.shape[0] - 1, fed(hidden, dropped)
    for t in range(n_steps[0]):
        g = min(t, kept)
        affine(ZERO, 4 * n_h, ZERO, gates, g, bias, w, x, t, n_x, v, h, t, n_h)
        normalize(norm, t, g)
        for k in range(n_h):
            i = sigmoid(get(gates, g, k))
            f = sigmoid(get(gates, g, n_h + k))
            n = tanh(get(gates, g, 2 * n_h + k))
            o = sigmoid(get(gates, g, 3 * n_h + k))
            c = f * get(state, t, k) + i * n
            put(gates, g, k, i)
            put(gates, g, n_h + k, f)
            put(gates, g, 2 * n_h + k, n)
            put(gates, g, 3 * n_h + k, o)
            put(state, t + 1, k, c)
            put(hidden, t + 1, k, o * tanh(c))
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
    for k in range(n_h):
        put(carry, 0, k, 0.0)
    for t in range(n_steps[0] - 1, -1, -1):
        for k in range(n_h):
            i = get(gates, t, k)
            f = get(gates, t, n_h + k)
            n = get(gates, t, 2 * n_h + k)
            o = get(gates, t, 3 * n_h + k)
            tanh_c = tanh(get(state, t + 1, k))
            dh = get(d_hidden, t + 1, k)
            dc = dh * o * (1.0 - tanh_c * tanh_c) + get(carry, 0, k)
            put(carry, 0, k, dc * f)
            put(gates, t, k, dc * n * i * (1.0 - i))
            put(gates, t, n_h + k, dc * get(state, t, k) * f * (1.0 - f))
            put(gates, t, 2 * n_h + k, dc * i * (1.0 - n * n))
            put(gates, t, 3 * n_h + k, dh * tanh_c * o * (1.0 - o))
        denormalize(norm, t)
        if t >= begin:
            through_time(n_h, d_hidden, t, v_t, gates, ZERO, 4 * n_h, dropped)
