"""A recurrent layer: everything but the recurrence itself, which is the cell's."""

import math

import numpy as np

from skrnn._jit import kernel
from skrnn.activations import UNBOUNDED
from skrnn.lanes import by_lane
from skrnn.layers._base import Buffers, Layer
from skrnn.products import accumulate, add_gradients, clear, new_panel
from skrnn.simd import by_row


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
        self.may_overflow = cell.has_activation and activation in UNBOUNDED
        self._input_cuts = self._cuts(cell.input_blocks)
        self._recurrent_cuts = self._cuts(cell.recurrent_blocks)

    def _cuts(self, blocks):
        """First blocks of the products that the cell computes apart, and the end."""
        first, last = blocks
        starts = [block for block in self.cell.products if first <= block < last]
        return [block - first for block in (*starts, last)]

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

    def pack(self, calls, parameters, lanes, training):
        """Bring the weights into the order in which the products read them."""
        inputs, recurrent = parameters["input_weights"], parameters["recurrent_weights"]
        lanes, n = lanes.for_sequences, self.n_outputs
        packed = {
            "input": lanes.packed(calls, inputs, n, self._input_cuts),
            "recurrent": lanes.packed(calls, recurrent, n, self._recurrent_cuts),
            "bias": lanes.packed_bias(calls, parameters["bias"], n),
        }
        if training:
            packed["input_transposed"] = lanes.packed_transposed(calls, inputs)
            packed["recurrent_transposed"] = lanes.packed_transposed(calls, recurrent)
        return packed

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of one shard of at most `n_steps` steps."""
        lanes, n, cell = lanes.for_sequences, self.n_outputs, self.cell
        kept_steps = n_steps if training else 1
        state_steps, state_units = (n_steps + 1, n) if cell.has_state else (1, 1)
        hidden = lanes.rows(n_steps + 1, n)
        buffers = Buffers(
            output=hidden[1:],
            hidden=hidden,
            gates=lanes.rows(kept_steps, n, cell.n_blocks),
            state=lanes.rows(state_steps, state_units),
            n_input_rows=lanes.n_rows(self.n_inputs),
            n_unit_rows=lanes.n_rows(n),
        )
        if training:
            buffers.d_output = lanes.rows(n_steps, n)
            buffers.carry = lanes.rows(1, state_units)
            buffers.panel = new_panel(lanes.dtype)
        return buffers

    def forward(self, calls, packed, x, buffers, shard):
        """Fill the hidden states."""
        calls.add(
            self.cell.forward,
            packed["input"],
            packed["recurrent"],
            packed["bias"],
            x,
            buffers.gates,
            buffers.hidden,
            buffers.state,
            shard.n_steps,
            buffers.n_input_rows,
            buffers.n_unit_rows,
            self.activation,
        )
        if self.may_overflow:
            # after a sequence's own end: 0 times infinity would spoil the gradient
            hidden = by_row(buffers.hidden)
            calls.add(_clear_ended, hidden, shard.lengths, shard.n_steps)

    def reset(self, calls, buffers):
        """Set the initial state to zero."""
        for states in (buffers.hidden, buffers.state):
            calls.add(_clear_first, by_lane(states))

    def carry(self, calls, buffers, shard):
        """Make the last state the initial one of further steps."""
        calls.add(_move_last, by_lane(buffers.hidden), shard.n_steps)
        if self.cell.has_state:
            calls.add(_move_last, by_lane(buffers.state), shard.n_steps)

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add to the gradients of the parameters; fill `d_x` unless it is None."""
        calls.add(
            self.cell.backward,
            packed["recurrent_transposed"],
            buffers.gates,
            buffers.hidden,
            buffers.state,
            buffers.d_output,
            buffers.carry,
            shard.n_steps,
            buffers.n_unit_rows,
            self.activation,
        )
        first, last = self.cell.input_blocks
        calls.add(
            add_gradients,
            gradients["input_weights"],
            gradients["recurrent_weights"],
            gradients["bias"],
            x,
            buffers.hidden,
            buffers.gates,
            first * self.n_outputs,
            buffers.panel,
            shard.n_steps,
        )
        if d_x is not None:
            calls.add(
                _input_gradient,
                d_x,
                packed["input_transposed"],
                buffers.gates,
                first * buffers.n_unit_rows,
                (last - first) * buffers.n_unit_rows,
                shard.n_steps,
                buffers.n_input_rows,
            )


@kernel
def _input_gradient(d_x, w_t, d_gates, first, n_terms, n_steps, n_rows):
    clear(d_x, n_steps, n_rows)
    for t in range(n_steps[0]):
        accumulate(n_rows, d_x, t, w_t, d_gates, t, first, n_terms)


@kernel
def _clear_first(states):
    for k in range(states.shape[1]):
        for lane in range(states.shape[2]):
            states[0, k, lane] = 0.0


@kernel
def _move_last(states, n_steps):
    for k in range(states.shape[1]):
        for lane in range(states.shape[2]):
            states[0, k, lane] = states[n_steps[0], k, lane]


@kernel
def _clear_ended(hidden, lengths, n_steps):
    for lane in range(len(lengths)):
        for t in range(lengths[lane] + 1, n_steps[0] + 1):
            for row in range(hidden.shape[1]):
                for unit in range(hidden.shape[3]):
                    hidden[t, row, lane, unit] = 0.0
