"""A dense layer: an affine map of one vector for each sequence."""

import math

import numpy as np

from skrnn._jit import ZERO, kernel
from skrnn.layers._base import Buffers, Layer, rows_of
from skrnn.parameters import aligned_zeros
from skrnn.products import (
    accumulate,
    add_bias_gradient,
    add_weight_gradient,
    clear,
    pack,
    pack_transposed,
)
from skrnn.simd import put


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

    def allocate_packed(self, dtype, training):
        """Return room for the weights and, if training, their transpose."""
        names = ["weights", "transposed"] if training else ["weights"]
        size = self.n_inputs * self.n_outputs
        return {name: aligned_zeros((size,), dtype) for name in names}

    def pack(self, packed, parameters, training):
        """Bring the weights into the order in which the products read them."""
        everything = np.array([0, self.n_outputs])
        pack(parameters["weights"], everything, packed["weights"])
        packed["bias"] = parameters["bias"]
        if training:
            pack_transposed(parameters["weights"], packed["transposed"])

    def allocate(self, n_steps, dtype, training):
        """Return the buffers of a shard."""
        names = ["output", "d_output"] if training else ["output"]
        return Buffers(**{name: rows_of(1, self.n_outputs, dtype) for name in names})

    def forward(self, packed, x, buffers, shard):
        """Fill the output."""
        _forward(buffers.output, packed["weights"], packed["bias"], x, self.n_inputs)

    def backward(self, packed, x, buffers, gradients, d_x, shard):
        """Add to the gradients and fill `d_x`."""
        _backward(
            gradients["weights"],
            gradients["bias"],
            d_x,
            packed["transposed"],
            x,
            buffers.d_output,
        )


@kernel
def _forward(out, weights, bias, x, n_inputs):
    n_outputs = len(bias)
    for k in range(n_outputs):
        put(out, 0, k, bias[k])
    accumulate(n_outputs, out, ZERO, weights, x, ZERO, ZERO, n_inputs)


@kernel
def _backward(d_weights, d_bias, d_x, w_t, x, d_out):
    n_inputs, n_outputs = d_weights.shape
    add_weight_gradient(d_weights, x, d_out, ZERO, d_out.shape[0])
    add_bias_gradient(d_bias, d_out, d_out.shape[0])
    clear(d_x, d_x.shape[0], n_inputs)
    accumulate(n_inputs, d_x, ZERO, w_t, d_out, ZERO, ZERO, n_outputs)
