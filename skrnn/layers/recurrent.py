"""A recurrent layer: everything but the recurrence itself, which is the cell's."""

import math

import numpy as np

from skrnn._jit import kernel
from skrnn.activations import UNBOUNDED
from skrnn.cells import Dropped, Norm
from skrnn.draws import draw_mask, new_states, seed
from skrnn.lanes import by_lane
from skrnn.layers._base import ONE_STEP, Buffers, Layer, add_over_lanes
from skrnn.parameters import aligned_zeros
from skrnn.products import accumulate, add_gradients, clear, new_panel
from skrnn.simd import by_row, units_of_row


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
    layer_norm, learn_initial_state : bool
        Whether gates are normalized, and whether the first state is a parameter.
    given_initial_state : bool
        Whether the first state is one that another layer wrote into the buffers.
    recurrent_dropout : float
        The share of recurrent connections that are dropped in training.
    stream : int
        Tells the layer's random numbers from those of others.
    """

    def __init__(
        self,
        cell,
        activation,
        n_inputs,
        n_units,
        *,
        layer_norm=False,
        learn_initial_state=False,
        given_initial_state=False,
        recurrent_dropout=0.0,
        stream=0,
    ):
        self.cell = cell
        self.layer_norm = layer_norm
        self.learn_initial_state = learn_initial_state
        # whether the gradient is to reach the first state
        self._first_varies = learn_initial_state or given_initial_state
        self.takes_pairs = not (layer_norm or self._first_varies or recurrent_dropout)
        self.takes_pairs &= n_units % 2 == 0
        self._recurrent_dropout = recurrent_dropout
        self._stream = stream
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
        n, n_rows = self.n_outputs, self.cell.n_blocks * self.n_outputs
        shapes = {"input_weights": (self.n_inputs, self._input_columns)}
        if self._recurrent_columns:
            shapes["recurrent_weights"] = (n, self._recurrent_columns)
        shapes["bias"] = (n_rows,)
        if self.layer_norm:
            shapes["gain"] = (n_rows,)
        if self.learn_initial_state:
            shapes["initial_hidden"] = (n,)
            if self.cell.has_state:
                shapes["initial_state"] = (n,)
        return shapes

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
        if self.layer_norm:
            parameters["gain"][:] = 1.0
        for name in ("initial_hidden", "initial_state"):
            if name in parameters:
                parameters[name][:] = 0.0

    def pack(self, calls, parameters, lanes, training):
        """Bring the weights into the order in which the products read them."""
        n = self.n_outputs
        no_weights = np.zeros((n, 0), lanes.dtype)
        recurrent = parameters.get("recurrent_weights", no_weights)
        lanes, bias = lanes.for_sequences, parameters["bias"]
        if self.layer_norm:  # the bias comes after it
            bias = aligned_zeros(bias.shape, lanes.dtype)
        packed = {
            "parameters": parameters,
            "recurrent": lanes.packed(calls, recurrent, n, self._recurrent_cuts),
        }
        if training:
            packed["recurrent_transposed"] = lanes.packed_transposed(calls, recurrent)
        return packed | self._pack_inputs(calls, parameters, bias, lanes, training)

    def _pack_inputs(self, calls, parameters, bias, lanes, training):
        """Return what the products with the inputs read, by name."""
        weights = parameters["input_weights"]
        packed = {
            "input": lanes.packed(calls, weights, self.n_outputs, self._input_cuts),
            "bias": lanes.packed_bias(calls, bias, self.n_outputs),
        }
        if training:
            packed["input_transposed"] = lanes.packed_transposed(calls, weights)
        return packed

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of one shard of at most `n_steps` steps."""
        lanes, n, cell = lanes.for_sequences, self.n_outputs, self.cell
        kept_steps = n_steps if training or self._fills_gates else 1
        state_steps, state_units = (n_steps + 1, n) if cell.has_state else (1, 1)
        hidden = lanes.rows(n_steps + 1, n)
        gates = lanes.rows(kept_steps, n, cell.n_blocks)
        buffers = Buffers(
            output=hidden[1:],
            hidden=hidden,
            gates=gates,
            state=lanes.rows(state_steps, state_units),
            n_input_rows=0 if self._fills_gates else lanes.n_rows(self.n_inputs),
            n_unit_rows=lanes.n_rows(n),
        )
        if self.layer_norm:
            lane_shape = by_lane(gates).shape
            shape = (kept_steps, cell.n_blocks + 2, lane_shape[2])
            buffers.scaled = aligned_zeros(lane_shape, lanes.dtype)
            buffers.inverse_sd = aligned_zeros(shape, lanes.dtype)
            buffers.sums = aligned_zeros((2, *lane_shape[1:]), lanes.dtype)
        if training:
            buffers.d_hidden = lanes.rows(n_steps + 1, n)
            buffers.d_output = buffers.d_hidden[1:]
            buffers.carry = lanes.rows(1, state_units)
            buffers.panel = new_panel(lanes.dtype)
            if self._recurrent_dropout:
                buffers.states = new_states(lanes)
                one_step = lanes.rows(1, n), lanes.rows(1, n)
                buffers.dropped = Dropped(
                    one_step[0], lanes.rows(n_steps + 1, n), one_step[1]
                )
        return buffers

    def _norm(self, packed, buffers):
        """Return what the cell normalizes by, or None."""
        if not self.layer_norm:
            return None
        return Norm(
            packed["parameters"]["gain"],
            packed["parameters"]["bias"],
            by_lane(buffers.gates),
            buffers.scaled,
            buffers.inverse_sd,
            buffers.sums,
            self.n_outputs,
            buffers.n_unit_rows * units_of_row(buffers.gates),
        )

    def forward(self, calls, packed, x, buffers, shard):
        """Fill the hidden states."""
        if buffers.dropped is not None:
            self._draw(calls, buffers, shard)
        self._read_inputs(calls, packed, x, buffers, shard)
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
            self._norm(packed, buffers),
            buffers.dropped,
        )
        if self.may_overflow:
            # after a sequence's own end: 0 times infinity would spoil the gradient
            hidden = by_row(buffers.hidden)
            calls.add(_clear_ended, hidden, shard.lengths, shard.n_steps)

    # whether the gates hold what the inputs say before the cell begins
    _fills_gates = False

    def _read_inputs(self, calls, packed, x, buffers, shard):
        """Fill the gates: the cell computes the products with the inputs itself."""

    def _draw(self, calls, buffers, shard):
        """Choose the recurrent connections that are dropped, and drop the first."""
        mask, n = by_lane(buffers.dropped.mask), self.n_outputs
        rate = np.array([self._recurrent_dropout])
        # whatever came before: the pieces of a sequence have the same mask
        calls.add(seed, buffers.states, shard.noise, ONE_STEP, self._stream)
        calls.add(draw_mask, mask, ONE_STEP, n, rate, buffers.states)
        fed, hidden = by_lane(buffers.dropped.fed), by_lane(buffers.hidden)
        calls.add(_feed_first, fed, hidden, mask, n)

    def reset(self, calls, packed, buffers):
        """Begin with the initial state: zero, or what was learned."""
        none = np.zeros(0, buffers.hidden.dtype)
        parameters = packed["parameters"]
        for name in ("hidden", "state"):
            initial = parameters.get(f"initial_{name}", none)
            calls.add(_fill_first, by_lane(getattr(buffers, name)), initial)

    def carry(self, calls, buffers, shard):
        """Make the last state the initial one of further steps."""
        for states in self.states(buffers):
            calls.add(_move_last, states, shard.n_steps)

    def states(self, buffers):
        """Return the hidden states, and those beside them."""
        kept = [buffers.hidden, buffers.state] if self.cell.has_state else []
        return [by_lane(states) for states in kept or [buffers.hidden]]

    def state_sizes(self):
        """Return how many rows each of these states has."""
        return [self.n_outputs] * (1 + self.cell.has_state)

    def d_states(self, buffers):
        """Return the gradients of the states before the first step, as `states`."""
        kept = [buffers.d_hidden, buffers.carry] if self.cell.has_state else []
        return [by_lane(states) for states in kept or [buffers.d_hidden]]

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add to the gradients of the parameters; fill `d_x` unless it is None."""
        if self._first_varies:
            calls.add(clear, buffers.d_hidden, ONE_STEP, buffers.n_unit_rows)
        if self.layer_norm:
            calls.add(_clear_sums, buffers.sums)
        calls.add(
            self.cell.backward,
            packed["recurrent_transposed"],
            buffers.gates,
            buffers.hidden,
            buffers.state,
            buffers.d_hidden,
            buffers.carry,
            shard.n_steps,
            buffers.n_unit_rows,
            0 if self._first_varies else 1,
            self.activation,
            self._norm(packed, buffers),
            buffers.dropped,
        )
        self._add_gradients(calls, x, buffers, gradients, shard)
        self._backward_inputs(calls, packed, x, buffers, gradients, d_x, shard)

    def _backward_inputs(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Fill `d_x` from the gradient of the gates."""
        if d_x is not None:
            first, last = self.cell.input_blocks
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

    def _add_gradients(self, calls, x, buffers, gradients, shard):
        d_bias = gradients["bias"]
        no_weights = np.zeros((0, 0), d_bias.dtype)
        calls.add(
            add_gradients,
            no_weights if self._fills_gates else gradients["input_weights"],
            gradients.get("recurrent_weights", no_weights),
            np.zeros_like(d_bias) if self.layer_norm else d_bias,
            x,
            buffers.hidden if buffers.dropped is None else buffers.dropped.fed,
            buffers.gates,
            self.cell.input_blocks[0] * self.n_outputs,
            buffers.panel,
            shard.n_steps,
        )
        if self.layer_norm:
            for name, sums in zip(("bias", "gain"), buffers.sums, strict=True):
                calls.add(add_over_lanes, gradients[name], sums)
        if self.learn_initial_state:
            d_first = by_lane(buffers.d_hidden)[0]
            calls.add(add_over_lanes, gradients["initial_hidden"], d_first)
            if self.cell.has_state:
                carry = by_lane(buffers.carry)[0]
                calls.add(add_over_lanes, gradients["initial_state"], carry)


@kernel
def _input_gradient(d_x, w_t, d_gates, first, n_terms, n_steps, n_rows):
    clear(d_x, n_steps, n_rows)
    for t in range(n_steps[0]):
        accumulate(n_rows, d_x, t, w_t, d_gates, t, first, n_terms)


@kernel
def _fill_first(states, initial):
    """Set the first step to these numbers, and zeros after them."""
    for k in range(states.shape[1]):
        value = initial[k] if k < len(initial) else 0.0
        for lane in range(states.shape[2]):
            states[0, k, lane] = value


@kernel
def _feed_first(fed, hidden, mask, n_units):
    for k in range(n_units):
        for lane in range(hidden.shape[2]):
            fed[0, k, lane] = hidden[0, k, lane] * mask[0, k, lane]


@kernel
def _clear_sums(sums):
    for i in range(sums.shape[0]):
        for k in range(sums.shape[1]):
            for lane in range(sums.shape[2]):
                sums[i, k, lane] = 0.0


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
