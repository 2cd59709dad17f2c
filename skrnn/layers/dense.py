"""A dense layer: an affine map of one vector for each sequence, or for each step."""

import math
from functools import partial

import numpy as np

from skrnn._jit import ZERO, kernel
from skrnn.layers._base import Buffers, Layer
from skrnn.products import accumulate, add_gradients, affine, clear, new_panel
from skrnn.simd import get, maximum, put, where_positive


class Dense(Layer):
    """``y = W x + b`` at every step, for hidden layers ``max(W x + b, 0)``.

    Parameters
    ----------
    n_inputs, n_outputs : int
    hidden : bool
        Whether the layer is hidden, and so has an activation.
    """

    def __init__(self, n_inputs, n_outputs, *, hidden=False):
        self.n_inputs = n_inputs
        self.n_outputs = n_outputs
        self.hidden = hidden

    def parameter_shapes(self):
        """Weights (n_inputs, n_outputs) and a bias."""
        return {"weights": (self.n_inputs, self.n_outputs), "bias": (self.n_outputs,)}

    def initialize(self, parameters, random_state):
        """Glorot uniform weights; of hidden layers He uniform ones."""
        n_units = self.n_inputs if self.hidden else self.n_inputs + self.n_outputs
        limit = math.sqrt(6.0 / n_units)
        weights = parameters["weights"]
        weights[:] = random_state.uniform(-limit, limit, weights.shape)
        parameters["bias"][:] = 0.0

    def pack(self, calls, parameters, lanes, training):
        """Bring the weights into the order in which the products read them."""
        weights, n = parameters["weights"], self.n_outputs
        packed = {
            "weights": lanes.packed(calls, weights, n, [0, 1]),
            "bias": lanes.packed_bias(calls, parameters["bias"], n),
        }
        if training:
            packed["transposed"] = lanes.packed_transposed(calls, weights)
        return packed

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of a shard of at most `n_steps` steps."""
        # losses take all rows of raw predictions for classes
        rows = partial(lanes.rows, n_steps, self.n_outputs, padded=self.hidden)
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
            int(self.hidden),
        )

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add to the gradients and fill `d_x`."""
        no_weights = np.zeros((0, 0), x.dtype)
        if self.hidden:
            d_output, n = buffers.d_output, self.n_outputs
            calls.add(_through_activation, d_output, buffers.output, n, shard.n_steps)
        calls.add(
            add_gradients,
            gradients["weights"],
            no_weights,
            gradients["bias"],
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
def _forward(out, w, bias, x, n_steps, n_x, n_out, hidden):
    for t in range(n_steps[0]):
        # a product with no terms stands in for the recurrent one
        affine(ZERO, n_out, ZERO, out, t, bias, w, x, t, n_x, w, x, t, ZERO)
        if hidden:
            for k in range(n_out):
                put(out, t, k, maximum(get(out, t, k), 0.0))


@kernel
def _through_activation(d_out, out, n_out, n_steps):
    for t in range(n_steps[0]):
        for k in range(n_out):
            d = where_positive(get(out, t, k), get(d_out, t, k), 0.0)
            put(d_out, t, k, d)


@kernel
def _input_gradient(d_x, w_t, d_out, n_steps, n_x, n_out):
    clear(d_x, n_steps, n_x)
    for t in range(n_steps[0]):
        accumulate(n_x, d_x, t, w_t, d_out, t, ZERO, n_out)
