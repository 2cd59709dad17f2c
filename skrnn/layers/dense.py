"""A dense layer: an affine map of one vector for each sequence."""

import math

import numpy as np

from skrnn._jit import ZERO, kernel
from skrnn.layers._base import Buffers, Layer
from skrnn.products import accumulate, add_gradients, affine, clear, new_panel


class Dense(Layer):
    """``y = W x + b`` at the only step."""

    def __init__(self, n_inputs, n_outputs):
        self.n_inputs = n_inputs
        self.n_outputs = n_outputs

    def parameter_shapes(self):
        """Weights (n_inputs, n_outputs) and a bias."""
        return {"weights": (self.n_inputs, self.n_outputs), "bias": (self.n_outputs,)}

    def initialize(self, parameters, random_state):
        """Glorot uniform weights."""
        limit = math.sqrt(6.0 / (self.n_inputs + self.n_outputs))
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
        """Return the buffers of a shard."""
        buffers = Buffers(
            output=lanes.rows(1, self.n_outputs),
            n_input_rows=lanes.n_rows(self.n_inputs),
            n_output_rows=lanes.n_rows(self.n_outputs),
        )
        if training:
            buffers.d_output = lanes.rows(1, self.n_outputs)
            buffers.panel = new_panel(lanes.dtype)
            buffers.one_step = np.array([1, 0, lanes.n_samples], np.int64)
        return buffers

    def forward(self, calls, packed, x, buffers, shard):
        """Fill the output."""
        calls.add(
            _forward,
            buffers.output,
            packed["weights"],
            packed["bias"],
            x,
            buffers.n_input_rows,
            buffers.n_output_rows,
        )

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add to the gradients and fill `d_x`."""
        no_weights = np.zeros((0, 0), x.dtype)
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
            buffers.one_step,
        )
        calls.add(clear, d_x, buffers.one_step, self.n_inputs)
        calls.add(
            accumulate,
            self.n_inputs,
            d_x,
            0,
            packed["transposed"],
            buffers.d_output,
            0,
            0,
            self.n_outputs,
        )


@kernel
def _forward(out, w, bias, x, n_x, n_out):
    # a product with no terms stands in for the recurrent one
    affine(ZERO, n_out, ZERO, out, ZERO, bias, w, x, ZERO, n_x, w, x, ZERO, ZERO)
