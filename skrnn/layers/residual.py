"""A layer whose input is added to its output."""

from skrnn._jit import kernel
from skrnn.lanes import by_lane
from skrnn.layers._base import Buffers, Layer


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

    def forward(self, calls, packed, x, buffers, shard):
        """Fill the output."""
        self.layer.forward(calls, packed, x, buffers.inner, shard)
        inner, n = by_lane(buffers.inner.output), self.n_outputs
        calls.add(_add, by_lane(buffers.output), by_lane(x), inner, n, shard.n_steps)

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add to the gradients; fill `d_x` unless it is None."""
        inner, n = buffers.inner, self.n_outputs
        d_output = by_lane(buffers.d_output)
        calls.add(_copy, by_lane(inner.d_output), d_output, n, shard.n_steps)
        self.layer.backward(calls, packed, x, inner, gradients, d_x, shard)
        if d_x is not None:
            d_x = by_lane(d_x)
            calls.add(_add, d_x, d_x, d_output, n, shard.n_steps)


@kernel
def _add(out, a, b, n_units, n_steps):
    for t in range(n_steps[0]):
        for k in range(n_units):
            for lane in range(out.shape[2]):
                out[t, k, lane] = a[t, k, lane] + b[t, k, lane]


@kernel
def _copy(out, x, n_units, n_steps):
    for t in range(n_steps[0]):
        for k in range(n_units):
            for lane in range(out.shape[2]):
                out[t, k, lane] = x[t, k, lane]
