"""What every layer offers the network, and the buffers it works in."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Shard:
    """The sequences in the lanes, as arrays that recorded calls read.

    `lengths` has an entry for each lane, not positive for one without a sequence. The
    buffers hold ``n_steps[0]`` steps: as many as the largest of the lengths, or fewer
    in a prediction that goes through the steps by pieces; ``n_steps[1]`` came before
    them. ``n_steps[2]`` is the number of sequences, which are in the first lanes.
    """

    lengths: np.ndarray
    n_steps: np.ndarray


class Buffers:
    """Arrays of one layer for one shard: `output`, `d_output` and its own scratch.

    Without training there is no `d_output`.
    """

    d_output = None

    def __init__(self, **arrays):
        self.__dict__.update(arrays)


class Layer:
    """A layer has `n_inputs`, `n_outputs` and these methods; it holds no arrays.

    `lanes` says how buffers are laid out, see `skrnn.lanes`. What works on buffers is
    recorded in `calls`, a `Recording`: `x` is the output buffer of the layer below and
    `d_x` its ``d_output``, which `backward` overwrites, and `packed` is what `pack`
    returned. `may_overflow` says whether its states may be infinite.
    """

    may_overflow = False

    def parameter_shapes(self):
        """Return a dict of the names and shapes of the parameters."""
        return {}

    def initialize(self, parameters, random_state):
        """Fill the parameters with their values before training."""

    def pack(self, calls, parameters, lanes, training):
        """Return the parameters as `forward` and, if training, `backward` take them.

        The calls that bring them up to date are recorded.
        """
        return {}

    def allocate(self, n_steps, lanes, training):
        """Return the `Buffers` of a shard of at most `n_steps` steps."""
        raise NotImplementedError

    def forward(self, calls, packed, x, buffers, shard):
        """Fill ``buffers.output``."""
        raise NotImplementedError

    def reset(self, calls, buffers):
        """Set the initial state to zero."""

    def carry(self, calls, buffers, shard):
        """Make the last state the initial one of further steps."""

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add to `gradients`; fill `d_x` unless it is None."""
        raise NotImplementedError
