"""What every layer offers the network, and the buffers it works in."""

from dataclasses import dataclass

import numpy as np

from skrnn.parameters import aligned_zeros
from skrnn.simd import lane_count


def rows_of(n_steps, n_rows, dtype):
    """Return a zeroed (time, rows, lanes) buffer.

    Several steps get a row more than a multiple of eight: steps that lie a power of
    two apart would fall on few sets of the first-level cache.
    """
    if n_steps > 1:
        n_rows += n_rows % 8 == 0
    return aligned_zeros((n_steps, n_rows, lane_count(dtype)), dtype)


@dataclass
class Shard:
    """The sequences that the lanes of the buffers hold: at most one each.

    `lengths` has an entry for each lane, 0 for a lane without a sequence; `n_steps`
    is the largest of them, and `some_end_early` says whether any is smaller.
    """

    lengths: np.ndarray
    n_steps: int
    n_samples: int
    some_end_early: bool


class Buffers:
    """Arrays of one layer for one shard: `output`, `d_output` and its own scratch.

    Without training there is no `d_output`.
    """

    d_output = None

    def __init__(self, **arrays):
        self.__dict__.update(arrays)


class Layer:
    """A layer has `n_inputs`, `n_outputs` and these methods; it holds no arrays.

    `x` is the output buffer of the layer below and `d_x` its ``d_output``, which
    `backward` overwrites. `packed` is what `pack` made of the parameters.
    """

    def parameter_shapes(self):
        """Return a dict of the names and shapes of the parameters."""
        return {}

    def initialize(self, parameters, random_state):
        """Fill the parameters with their values before training."""

    def allocate_packed(self, dtype, training):
        """Return what `pack` fills."""
        return {}

    def pack(self, packed, parameters, training):
        """Prepare the parameters for `forward` and, if training, for `backward`."""

    def allocate(self, n_steps, dtype, training):
        """Return the `Buffers` of a shard of at most `n_steps` steps."""
        raise NotImplementedError

    def forward(self, packed, x, buffers, shard):
        """Fill ``buffers.output``."""
        raise NotImplementedError

    def backward(self, packed, x, buffers, gradients, d_x, shard):
        """Add to `gradients`; fill `d_x` unless it is None."""
        raise NotImplementedError
