"""A dense layer: an affine map of one vector for each sequence, or for each step."""

import math
from functools import partial

import numpy as np

from skrnn._jit import ZERO, kernel
from skrnn.activations import ACTIVATIONS, IDENTITY, activate, derivative_times
from skrnn.layers._base import Buffers, Layer
from skrnn.products import accumulate, add_gradients, affine, clear, new_panel
from skrnn.simd import get, put


class Dense(Layer):
    """``y = f(W x + b)`` at every step.

    Parameters
    ----------
    n_inputs, n_outputs : int
    activation : str, default="identity"
        The function f, a key of `skrnn.activations.ACTIVATIONS`.
    has_bias : bool, default=True
        Whether there is a b.
    """

    def __init__(self, n_inputs, n_outputs, *, activation="identity", has_bias=True):
        self.n_inputs = n_inputs
        self.n_outputs = n_outputs
        self._activation = activation
        self._code = ACTIVATIONS[activation]
        self._has_bias = has_bias

    def parameter_shapes(self):
        """Weights (n_inputs, n_outputs) and a bias."""
        shapes = {"weights": (self.n_inputs, self.n_outputs)}
        if self._has_bias:
            shapes["bias"] = (self.n_outputs,)
        return shapes

    def initialize(self, parameters, random_state):
        """Glorot uniform weights; before rectifiers He uniform ones."""
        n_units = self.n_inputs
        if self._activation != "relu":
            n_units += self.n_outputs
        limit = math.sqrt(6.0 / n_units)
        weights = parameters["weights"]
        weights[:] = random_state.uniform(-limit, limit, weights.shape)
        if self._has_bias:
            parameters["bias"][:] = 0.0

    def pack(self, calls, parameters, lanes, training):
        """Bring the weights into the order in which the products read them."""
        weights, n = parameters["weights"], self.n_outputs
        bias = parameters["bias"] if self._has_bias else np.zeros(n, lanes.dtype)
        packed = {
            "weights": lanes.packed(calls, weights, n, [0, 1]),
            "bias": lanes.packed_bias(calls, bias, n),
        }
        if training:
            packed["transposed"] = lanes.packed_transposed(calls, weights)
        return packed

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of a shard of at most `n_steps` steps."""
        # losses take all rows of raw predictions for classes
        padded = self._code != IDENTITY
        rows = partial(lanes.rows, n_steps, self.n_outputs, padded=padded)
        buffers = Buffers(
            output=rows(),
            n_input_rows=lanes.n_rows(self.n_inputs),
            n_output_rows=lanes.n_rows(self.n_outputs),
        )
        if training:
            buffers.d_output = rows()
            buffers.panel = new_panel(lanes.dtype)
        return buffers

    def forward(self, calls, packed, x, buffers, shard):
        """Fill the output."""
        calls.add(
            _forward,
            buffers.output,
            packed["weights"],
            packed["bias"],
            x,
            shard.n_steps,
            buffers.n_input_rows,
            buffers.n_output_rows,
            self._code,
        )

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add to the gradients and fill `d_x`."""
        no_weights = np.zeros((0, 0), x.dtype)
        if self._code != IDENTITY:
            calls.add(
                _through_activation,
                buffers.d_output,
                buffers.output,
                self.n_outputs,
                shard.n_steps,
                self._code,
            )
        d_bias = (
            gradients["bias"] if self._has_bias else np.zeros(self.n_outputs, x.dtype)
        )
        calls.add(
            add_gradients,
            gradients["weights"],
            no_weights,
            d_bias,
            x,
            x,
            buffers.d_output,
            0,
            buffers.panel,
            shard.n_steps,
        )
        if d_x is not None:
            calls.add(
                _input_gradient,
                d_x,
                packed["transposed"],
                buffers.d_output,
                shard.n_steps,
                self.n_inputs,
                self.n_outputs,
            )


@kernel
def _forward(out, w, bias, x, n_steps, n_x, n_out, activation):
    for t in range(n_steps[0]):
        # a product with no terms stands in for the recurrent one
        affine(ZERO, n_out, ZERO, out, t, bias, w, x, t, n_x, w, x, t, ZERO)
        if activation != IDENTITY:
            for k in range(n_out):
                put(out, t, k, activate(activation, get(out, t, k)))


@kernel
def _through_activation(d_out, out, n_out, n_steps, activation):
    for t in range(n_steps[0]):
        for k in range(n_out):
            d = derivative_times(activation, get(out, t, k), get(d_out, t, k))
            put(d_out, t, k, d)


@kernel
def _input_gradient(d_x, w_t, d_out, n_steps, n_x, n_out):
    clear(d_x, n_steps, n_x)
    for t in range(n_steps[0]):
        accumulate(n_x, d_x, t, w_t, d_out, t, ZERO, n_out)
