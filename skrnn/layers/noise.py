"""Layers that disturb what passes through them, and are there in training only."""

import numpy as np

from skrnn._jit import kernel
from skrnn.draws import add_normal, draw_mask, new_states, seed
from skrnn.lanes import by_lane
from skrnn.layers._base import Buffers, Layer
from skrnn.layers._moves import copy


class _NoisyLayer(Layer):
    """What both have: as many outputs as inputs, and a generator for each lane.

    Parameters
    ----------
    n_inputs : int
    strength : float
        The rate or the standard deviation.
    stream : int
        Tells the layer's random numbers from those of others.
    """

    takes_pairs = False

    def __init__(self, n_inputs, strength, stream):
        self.n_inputs = self.n_outputs = n_inputs
        self._strength = np.array([strength])
        self._stream = stream

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of a shard of at most `n_steps` steps."""
        return Buffers(
            states=new_states(lanes),
            output=lanes.rows(n_steps, self.n_outputs),
            d_output=lanes.rows(n_steps, self.n_outputs),
        )

    def _seed(self, calls, buffers, shard):
        calls.add(seed, buffers.states, shard.noise, shard.n_steps, self._stream)


class Dropout(_NoisyLayer):
    """Each number of each step is dropped by itself (Srivastava et al. 2014)."""

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of a shard of at most `n_steps` steps."""
        buffers = super().allocate(n_steps, lanes, training)
        buffers.mask = lanes.rows(n_steps, self.n_outputs)
        return buffers

    def forward(self, calls, packed, x, buffers, shard):
        """Multiply by a mask that is drawn."""
        mask, n = by_lane(buffers.mask), self.n_inputs
        self._seed(calls, buffers, shard)
        calls.add(draw_mask, mask, shard.n_steps, n, self._strength, buffers.states)
        out = by_lane(buffers.output)
        calls.add(_multiply, out, by_lane(x), mask, shard.n_steps, n)

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Multiply by the same mask."""
        if d_x is not None:
            mask, d_output = by_lane(buffers.mask), by_lane(buffers.d_output)
            calls.add(
                _multiply, by_lane(d_x), d_output, mask, shard.n_steps, self.n_inputs
            )


class GaussianNoise(_NoisyLayer):
    """Normal numbers are added (Graves 2011)."""

    def forward(self, calls, packed, x, buffers, shard):
        """Add what is drawn."""
        self._seed(calls, buffers, shard)
        calls.add(
            add_normal,
            by_lane(buffers.output),
            by_lane(x),
            shard.n_steps,
            self.n_inputs,
            self._strength,
            buffers.states,
        )

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Pass the gradient on."""
        if d_x is not None:
            d_output = by_lane(buffers.d_output)
            n, n_steps = self.n_inputs, shard.n_steps
            calls.add(copy, by_lane(d_x), 0, d_output, 0, n, n_steps)


@kernel
def _multiply(out, x, mask, n_steps, n_units):
    for t in range(n_steps[0]):
        for k in range(n_units):
            for lane in range(mask.shape[2]):
                out[t, k, lane] = x[t, k, lane] * mask[t, k, lane]
