"""What every layer offers the network, and the buffers it works in."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from skrnn._jit import kernel

# For calls that take the number of steps where there is one only.
ONE_STEP = np.array([1, 0, 0], np.int64)


@dataclass
class Shard:
    """The sequences in the lanes, as arrays that recorded calls read.

    `lengths` has an entry for each lane, not positive for one without a sequence. The
    buffers hold ``n_steps[0]`` steps: as many as the largest of the lengths, or fewer
    in a prediction that goes through the steps by pieces; ``n_steps[1]`` came before
    them. ``n_steps[2]`` is the number of sequences, which are in the first lanes.
    `noise` is the key of the shard's random numbers: two integers. `labels` is None
    where targets go with the predictions, step by step.
    """

    lengths: np.ndarray
    n_steps: np.ndarray
    noise: np.ndarray
    labels: "Labels | None" = None


@dataclass
class Labels(Shard):
    """Targets in the same lanes whose numbers of steps are their own.

    `target` holds them, an array of shape (time, n_targets, lanes), where the network
    is to learn from them, and is None where it predicts; `room` is the number of steps
    that buffers take.
    """

    target: np.ndarray | None = None
    room: int = 0


class Buffers:
    """Arrays of one layer for one shard: `output`, `d_output` and its own scratch.

    Without training there is no `d_output`, and without recurrent dropout no `dropped`.
    """

    d_output = None
    dropped = None

    def __init__(self, **arrays):
        self.__dict__.update(arrays)


class Layer:
    """A layer has `n_inputs`, `n_outputs` and these methods; it holds no arrays.

    `lanes` says how buffers are laid out, see `skrnn.lanes`. What works on buffers is
    recorded in `calls`, a `Recording`: `x` is the output buffer of the layer below and
    `d_x` its ``d_output``, which `backward` overwrites, and `packed` is what `pack`
    returned. `may_overflow` says whether its states may be infinite, `takes_pairs`
    whether a row of its buffers may hold two units of a sequence, `is_causal` whether
    no output depends on later steps, `learn_initial_state` whether `reset` hangs on a
    parameter, `pools` whether there is a single step above, and `turns` whether the
    steps above are those of the shard's labels, as in `Decoder`. `borrows` names the
    parameters of other layers that `parameters` and `gradients` have besides: by the
    name they have here that in the network.
    """

    may_overflow = False
    takes_pairs = True
    is_causal = True
    learn_initial_state = False
    pools = False
    turns = False
    borrows: Mapping[str, str] = MappingProxyType({})

    def parameter_shapes(self):
        """Return a dict of the names and shapes of the parameters."""
        return {}

    def flops(self):
        """Return the multiply-adds of a step: one for each parameter."""
        return sum(math.prod(shape) for shape in self.parameter_shapes().values())

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

    def allocate_both(self, n_steps, n_label_steps, lanes, training):
        """Do as `allocate` for a layer that turns: it reads inputs and labels."""
        raise NotImplementedError

    def forward(self, calls, packed, x, buffers, shard):
        """Fill ``buffers.output``."""
        raise NotImplementedError

    def reset(self, calls, packed, buffers):
        """Begin with the initial state."""

    def carry(self, calls, buffers, shard):
        """Make the last state the initial one of further steps."""

    def states(self, buffers):
        """Return what is carried from step to step, by lane: the first step of each."""
        return []

    def state_sizes(self):
        """Return how many rows each of these states has."""
        return []

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add to `gradients`; fill `d_x` unless it is None."""
        raise NotImplementedError


@kernel
def add_over_lanes(target, rows):
    """Add the sum of each row over its lanes."""
    for k in range(len(target)):
        total = 0.0
        for lane in range(rows.shape[1]):
            total += rows[k, lane]
        target[k] += total
