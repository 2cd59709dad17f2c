"""Two recurrent layers, of which one reads each sequence backwards."""

from skrnn._jit import kernel
from skrnn.lanes import by_lane
from skrnn.layers._base import Buffers, Layer
from skrnn.layers._moves import copy

REVERSE = "reverse."  # before the names of the parameters of the second layer


class Bidirectional(Layer):
    """The states of both ways side by side (Schuster and Paliwal 1997).

    Parameters
    ----------
    ahead, back : RecurrentLayer
        Of the same sizes. `back` reads each sequence's own steps in reverse.
    """

    takes_pairs = False
    is_causal = False

    def __init__(self, ahead, back):
        self._ahead = ahead
        self._back = back
        self.n_inputs = ahead.n_inputs
        self.n_units = ahead.n_outputs
        self.n_outputs = 2 * ahead.n_outputs
        self.may_overflow = ahead.may_overflow
        self.learn_initial_state = ahead.learn_initial_state

    def parameter_shapes(self):
        """Those of one layer, and with a prefix those of the other."""
        shapes = self._ahead.parameter_shapes()
        return shapes | {REVERSE + name: shape for name, shape in shapes.items()}

    def _parts(self, parameters):
        """Divide what has the names of `parameter_shapes` between the layers."""
        names = self._ahead.parameter_shapes()
        return (
            {name: parameters[name] for name in names},
            {name: parameters[REVERSE + name] for name in names},
        )

    def initialize(self, parameters, random_state):
        """Let both layers fill their own."""
        ahead, back = self._parts(parameters)
        self._ahead.initialize(ahead, random_state)
        self._back.initialize(back, random_state)

    def pack(self, calls, parameters, lanes, training):
        """Bring the weights into the order in which the products read them."""
        ahead, back = self._parts(parameters)
        return {
            "ahead": self._ahead.pack(calls, ahead, lanes, training),
            "back": self._back.pack(calls, back, lanes, training),
        }

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of one shard of at most `n_steps` steps."""
        buffers = Buffers(
            output=lanes.rows(n_steps, self.n_outputs),
            x_reversed=lanes.rows(n_steps, self.n_inputs),
            ahead=self._ahead.allocate(n_steps, lanes, training),
            back=self._back.allocate(n_steps, lanes, training),
        )
        if training:
            buffers.d_output = lanes.rows(n_steps, self.n_outputs)
            buffers.d_x_reversed = lanes.rows(n_steps, self.n_inputs)
        return buffers

    def reset(self, calls, packed, buffers):
        """Begin with the initial states."""
        self._ahead.reset(calls, packed["ahead"], buffers.ahead)
        self._back.reset(calls, packed["back"], buffers.back)

    def forward(self, calls, packed, x, buffers, shard):
        """Fill the output."""
        n, lengths, n_steps = self.n_units, shard.lengths, shard.n_steps
        turned = buffers.x_reversed
        calls.add(
            _reverse,
            by_lane(turned),
            by_lane(x),
            0,
            0,
            self.n_inputs,
            lengths,
            n_steps,
        )
        self._ahead.forward(calls, packed["ahead"], x, buffers.ahead, shard)
        self._back.forward(calls, packed["back"], turned, buffers.back, shard)
        out = by_lane(buffers.output)
        calls.add(copy, out, 0, by_lane(buffers.ahead.output), 0, n, n_steps)
        back = by_lane(buffers.back.output)
        calls.add(_reverse, out, back, n, 0, n, lengths, n_steps)

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add to the gradients of both; fill `d_x` unless it is None."""
        n, lengths, n_steps = self.n_units, shard.lengths, shard.n_steps
        d_out, ahead, back = by_lane(buffers.d_output), buffers.ahead, buffers.back
        calls.add(copy, by_lane(ahead.d_output), 0, d_out, 0, n, n_steps)
        d_back = by_lane(back.d_output)
        calls.add(_reverse, d_back, d_out, 0, n, n, lengths, n_steps)
        parts = self._parts(gradients)
        turned = buffers.x_reversed
        d_turned = None if d_x is None else buffers.d_x_reversed
        self._ahead.backward(calls, packed["ahead"], x, ahead, parts[0], d_x, shard)
        self._back.backward(
            calls, packed["back"], turned, back, parts[1], d_turned, shard
        )
        if d_x is not None:
            d_turned, n = by_lane(d_turned), self.n_inputs
            calls.add(_add_reversed, by_lane(d_x), d_turned, n, lengths, n_steps)


@kernel
def _reverse(out, x, out_first, x_first, n_units, lengths, n_steps):
    """Write some units in reverse up to each sequence's own end, zeros after it."""
    for t in range(n_steps[0]):
        for k in range(n_units):
            for lane in range(len(lengths)):
                s = lengths[lane] - 1 - t
                value = x[max(s, 0), x_first + k, lane]
                out[t, out_first + k, lane] = value if s >= 0 else 0.0


@kernel
def _add_reversed(out, x, n_units, lengths, n_steps):
    for t in range(n_steps[0]):
        for k in range(n_units):
            for lane in range(len(lengths)):
                s = lengths[lane] - 1 - t
                if s >= 0:
                    out[t, k, lane] += x[s, k, lane]
