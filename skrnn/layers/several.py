"""Several poolings of the same states, side by side."""

from skrnn.lanes import by_lane
from skrnn.layers._base import ONE_STEP, Buffers, Layer
from skrnn.layers._moves import add, copy


class SeveralPoolings(Layer):
    """The vectors of several poolings as one.

    Parameters
    ----------
    poolings : dict of str to Layer
        By name, which stands before those of their parameters.
    """

    pools = True
    takes_pairs = False

    def __init__(self, poolings):
        self.poolings = poolings
        (self.n_inputs,) = {pooling.n_inputs for pooling in poolings.values()}
        self.n_outputs = sum(pooling.n_outputs for pooling in poolings.values())

    def parameter_shapes(self):
        """Those of all."""
        return {
            f"{name}.{parameter}": shape
            for name, pooling in self.poolings.items()
            for parameter, shape in pooling.parameter_shapes().items()
        }

    def _parts(self, parameters):
        """Yield each pooling with its name and its parameters."""
        for name, pooling in self.poolings.items():
            names = pooling.parameter_shapes()
            yield name, pooling, {own: parameters[f"{name}.{own}"] for own in names}

    def initialize(self, parameters, random_state):
        """Let each fill its own."""
        for _, pooling, own in self._parts(parameters):
            pooling.initialize(own, random_state)

    def pack(self, calls, parameters, lanes, training):
        """Return what each packs."""
        return {
            name: pooling.pack(calls, own, lanes, training)
            for name, pooling, own in self._parts(parameters)
        }

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of a shard."""
        buffers = Buffers(
            output=lanes.rows(1, self.n_outputs),
            parts={
                name: pooling.allocate(n_steps, lanes, training)
                for name, pooling in self.poolings.items()
            },
        )
        if training:
            buffers.d_output = lanes.rows(1, self.n_outputs)
            buffers.d_x = lanes.for_sequences.rows(n_steps, self.n_inputs)
        return buffers

    def states(self, buffers):
        """Return what is carried from step to step, by lane."""
        return [
            states
            for name, pooling in self.poolings.items()
            for states in pooling.states(buffers.parts[name])
        ]

    def state_sizes(self):
        """Return how many rows each of these states has."""
        return [n for pooling in self.poolings.values() for n in pooling.state_sizes()]

    def forward(self, calls, packed, x, buffers, shard):
        """Fill the output."""
        out, first = by_lane(buffers.output), 0
        for name, pooling in self.poolings.items():
            part, n = buffers.parts[name], pooling.n_outputs
            pooling.forward(calls, packed[name], x, part, shard)
            calls.add(copy, out, first, by_lane(part.output), 0, n, ONE_STEP)
            first += n

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add to the gradients; fill `d_x` with the sum of what comes from each."""
        d_out, first = by_lane(buffers.d_output), 0
        for i, (name, pooling, own) in enumerate(self._parts(gradients)):
            part, n = buffers.parts[name], pooling.n_outputs
            calls.add(copy, by_lane(part.d_output), 0, d_out, first, n, ONE_STEP)
            d_part = d_x if i == 0 else buffers.d_x
            pooling.backward(calls, packed[name], x, part, own, d_part, shard)
            if i > 0:
                d_part = by_lane(d_part)
                calls.add(add, by_lane(d_x), d_part, self.n_inputs, shard.n_steps)
            first += n
