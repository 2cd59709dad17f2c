"""Gated recurrent unit (Cho et al. 2014), reset gate after the product as in cuDNN.

    a    = b + V h_{t-1}
    r, z = sigmoid(b + W x_t + V h_{t-1})         two gates, each its own rows
    n    = tanh(b + W x_t + r a)
    h_t  = z h_{t-1} + (1 - z) n

Rows of the gates: a, r, z, n; columns of V: a, r, z; columns of W: r, z, n.
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
    a, r, z, n, end = ZERO, n_h, 2 * n_h, 3 * n_h, 4 * n_h
    for t in range(n_steps[0]):
        g = min(t, kept)
        affine(a, r, r, gates, g, bias, w, x, t, ZERO, v, h, t, n_h)
        affine(r, n, r, gates, g, bias, w, x, t, n_x, v, h, t, n_h)
        affine(n, end, r, gates, g, bias, w, x, t, n_x, v, h, t, ZERO)
        normalize(norm, t, g)
        for k in range(n_h):
            reset = sigmoid(get(gates, g, r + k))
            update = sigmoid(get(gates, g, z + k))
            new = tanh(get(gates, g, n + k) + reset * get(gates, g, a + k))
            put(gates, g, r + k, reset)
            put(gates, g, z + k, update)
            put(gates, g, n + k, new)
            put(hidden, t + 1, k, update * (get(hidden, t, k) - new) + new)
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
    a, r, z, n = 0, n_h, 2 * n_h, 3 * n_h
    for t in range(n_steps[0] - 1, -1, -1):
        for k in range(n_h):
            reset = get(gates, t, r + k)
            update = get(gates, t, z + k)
            new = get(gates, t, n + k)
            dh = get(d_hidden, t + 1, k)
            dn = dh * (1.0 - update) * (1.0 - new * new)
            dz = dh * (get(hidden, t, k) - new) * update * (1.0 - update)
            dr = dn * get(gates, t, a + k) * reset * (1.0 - reset)
            put(gates, t, a + k, dn * reset)
            put(gates, t, r + k, dr)
            put(gates, t, z + k, dz)
            put(gates, t, n + k, dn)
            if t >= begin:
                put(d_hidden, t, k, get(d_hidden, t, k) + dh * update)
        denormalize(norm, t)
        if t >= begin:
            through_time(n_h, d_hidden, t, v_t, gates, ZERO, 3 * n_h, dropped)
