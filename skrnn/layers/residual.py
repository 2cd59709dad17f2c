"""A layer whose input is added to its output."""

from skrnn.lanes import by_lane
from skrnn.layers._base import Buffers, Layer
from skrnn.layers._moves import add, copy


class Residual(Layer):
    """``y = x + layer(x)`` (He et al. 2016), for a layer as wide as its input."""

    takes_pairs = False

    def __init__(self, layer):
        if layer.n_inputs != layer.n_outputs:
            raise ValueError(
                f"A layer of {layer.n_outputs} outputs cannot add its input of "
                f"{layer.n_inputs}."
            )
        self.layer = layer
        self.n_inputs = self.n_outputs = layer.n_outputs
        self.may_overflow = layer.may_overflow
        self.learn_initial_state = layer.learn_initial_state
        self.is_causal = layer.is_causal

    def parameter_shapes(self):
        """Those of the layer."""
        return self.layer.parameter_shapes()

    def initialize(self, parameters, random_state):
        """Let the layer do it."""
        self.layer.initialize(parameters, random_state)

    def pack(self, calls, parameters, lanes, training):
        """Let the layer do it."""
        return self.layer.pack(calls, parameters, lanes, training)

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of one shard of at most `n_steps` steps."""
        buffers = Buffers(
            output=lanes.rows(n_steps, self.n_outputs),
            inner=self.layer.allocate(n_steps, lanes, training),
        )
        if training:
            buffers.d_output = lanes.rows(n_steps, self.n_outputs)
        return buffers

    def reset(self, calls, packed, buffers):
        """Begin with the initial state."""
        self.layer.reset(calls, packed, buffers.inner)

    def carry(self, calls, buffers, shard):
        """Make the last state the initial one of further steps."""
        self.layer.carry(calls, buffers.inner, shard)

    def states(self, buffers):
        """Return what is carried from step to step, by lane."""
        return self.layer.states(buffers.inner)

    def state_sizes(self):
        """Return how many rows each of these states has."""
        return self.layer.state_sizes()

    def d_states(self, buffers):
        """Return the gradients of the states before the first step."""
        return self.layer.d_states(buffers.inner)

    def forward(self, calls, packed, x, buffers, shard):
        """Fill the output."""
        self.layer.forward(calls, packed, x, buffers.inner, shard)
        out, n = by_lane(buffers.output), self.n_outputs
        calls.add(copy, out, 0, by_lane(x), 0, n, shard.n_steps)
        calls.add(add, out, by_lane(buffers.inner.output), n, shard.n_steps)

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add to the gradients; fill `d_x` unless it is None."""
        inner, n = buffers.inner, self.n_outputs
        d_output = by_lane(buffers.d_output)
        d_inner = by_lane(inner.d_output)
        calls.add(copy, d_inner, 0, d_output, 0, n, shard.n_steps)
        self.layer.backward(calls, packed, x, inner, gradients, d_x, shard)
        if d_x is not None:
            calls.add(add, by_lane(d_x), d_output, n, shard.n_steps)
