"""A recurrent layer: everything but the recurrence itself, which is the cell's."""

import math

import numpy as np

from skrnn._jit import ZERO, kernel
from skrnn.activations import UNBOUNDED
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


class RecurrentLayer(Layer):
    """Sequences of inputs to sequences of hidden states.

    Parameters
    ----------
    cell : Cell
        The recurrence.
    activation : int
        Code of the activation, for a cell that lets one choose.
    n_inputs, n_units : int
        Sizes of an input and of the hidden state.
    """

    def __init__(self, cell, activation, n_inputs, n_units):
        self.cell = cell
        self.activation = activation
        self.n_inputs = n_inputs
        self.n_outputs = n_units
        first, last = cell.recurrent_blocks
        self._recurrent_columns = (last - first) * n_units
        first, last = cell.input_blocks
        self._input_columns = (last - first) * n_units
        self._first_input_row = first * n_units
        self._may_overflow = cell.has_activation and activation in UNBOUNDED
        self._input_cuts = self._cuts(cell.input_blocks)
        self._recurrent_cuts = self._cuts(cell.recurrent_blocks)

    def _cuts(self, blocks):
        """First columns of the products that the cell computes apart, and the end."""
        first, last = blocks
        starts = [block for block in self.cell.products if first <= block < last]
        return self.n_outputs * (np.array([*starts, last]) - first)

    def parameter_shapes(self):
        """Shapes: a column for each row of the gates that the weights act upon."""
        return {
            "input_weights": (self.n_inputs, self._input_columns),
            "recurrent_weights": (self.n_outputs, self._recurrent_columns),
            "bias": (self.cell.n_blocks * self.n_outputs,),
        }

    def initialize(self, parameters, random_state):
        """Glorot uniform inputs, an orthogonal matrix for each gate's recurrence."""
        n = self.n_outputs
        limit = math.sqrt(6.0 / (self.n_inputs + n))
        weights = parameters["input_weights"]
        weights[:] = random_state.uniform(-limit, limit, weights.shape)
        for gate in range(self._recurrent_columns // n):
            q, r = np.linalg.qr(random_state.normal(size=(n, n)))
            # signs that make the distribution uniform over the orthogonal group
            columns = slice(gate * n, (gate + 1) * n)
            parameters["recurrent_weights"][:, columns] = q * np.sign(np.diagonal(r))
        bias = parameters["bias"].reshape(self.cell.n_blocks, n)
        bias[:] = 0.0
        for block, value in self.cell.initial_bias.items():
            bias[block] = value

    def allocate_packed(self, dtype, training):
        """Return room for the weights in the order in which the products read them."""
        shapes = self.parameter_shapes()
        sizes = {
            "input": math.prod(shapes["input_weights"]),
            "recurrent": math.prod(shapes["recurrent_weights"]),
        }
        if training:
            sizes["input_transposed"] = sizes["input"]
            sizes["recurrent_transposed"] = sizes["recurrent"]
        return {name: aligned_zeros((n,), dtype) for name, n in sizes.items()}

    def pack(self, packed, parameters, training):
        """Bring the weights into the order in which the products read them."""
        pack(parameters["input_weights"], self._input_cuts, packed["input"])
        pack(
            parameters["recurrent_weights"],
            self._recurrent_cuts,
            packed["recurrent"],
        )
        packed["bias"] = parameters["bias"]
        if training:
            pack_transposed(parameters["input_weights"], packed["input_transposed"])
            pack_transposed(
                parameters["recurrent_weights"], packed["recurrent_transposed"]
            )

    def allocate(self, n_steps, dtype, training):
        """Return the buffers of one shard of at most `n_steps` steps."""
        n, cell = self.n_outputs, self.cell
        kept_steps = n_steps if training else 1
        state_steps, state_rows = (n_steps + 1, n) if cell.has_state else (1, 1)
        hidden = rows_of(n_steps + 1, n, dtype)
        buffers = Buffers(
            output=hidden[1:],
            hidden=hidden,
            gates=rows_of(kept_steps, cell.n_blocks * n, dtype),
            state=rows_of(state_steps, state_rows, dtype),
        )
        if training:
            buffers.d_output = rows_of(n_steps, n, dtype)
            buffers.carry = rows_of(1, state_rows, dtype)
        return buffers

    def forward(self, packed, x, buffers, shard):
        """Fill the hidden states."""
        self.cell.forward(
            packed["input"],
            packed["recurrent"],
            packed["bias"],
            x,
            buffers.gates,
            buffers.hidden,
            buffers.state,
            shard.n_steps,
            self.n_inputs,
            self.n_outputs,
            self.activation,
        )
        if shard.some_end_early and self._may_overflow:
            # after a sequence's own end: 0 times infinity would spoil the gradient
            _clear_ended(buffers.hidden, shard.lengths, shard.n_steps, self.n_outputs)

    def backward(self, packed, x, buffers, gradients, d_x, shard):
        """Add to the gradients of the parameters; fill `d_x` unless it is None."""
        self.cell.backward(
            packed["recurrent_transposed"],
            buffers.gates,
            buffers.hidden,
            buffers.state,
            buffers.d_output,
            buffers.carry,
            shard.n_steps,
            self.n_outputs,
            self.activation,
        )
        _add_gradients(
            gradients["input_weights"],
            gradients["recurrent_weights"],
            gradients["bias"],
            x,
            buffers.hidden,
            buffers.gates,
            self._first_input_row,
            shard.n_steps,
        )
        if d_x is not None:
            _input_gradient(
                d_x,
                packed["input_transposed"],
                buffers.gates,
                self._first_input_row,
                self._input_columns,
                shard.n_steps,
                self.n_inputs,
            )


@kernel
def _add_gradients(d_input, d_recurrent, d_bias, x, hidden, d_gates, first, n_steps):
    add_weight_gradient(d_input, x, d_gates, first, n_steps)
    add_weight_gradient(d_recurrent, hidden, d_gates, ZERO, n_steps)
    add_bias_gradient(d_bias, d_gates, n_steps)


@kernel
def _input_gradient(d_x, w_t, d_gates, first, n_terms, n_steps, n_inputs):
    clear(d_x, n_steps, n_inputs)
    for t in range(n_steps):
        accumulate(n_inputs, d_x, t, w_t, d_gates, t, first, n_terms)


@kernel
def _clear_ended(hidden, lengths, n_steps, n_units):
    for lane in range(len(lengths)):
        for t in range(lengths[lane] + 1, n_steps + 1):
            for k in range(n_units):
                hidden[t, k, lane] = 0.0
