"""Random numbers inside kernels: a generator for each lane.

What is drawn hangs on a key alone: a number for the epoch, one for the shard within it,
one for the layer, and the steps that came before. So it is the same whichever thread
draws, and in which order.
"""

import math

import numpy as np

from skrnn._jit import inner, kernel

# All in 64 bits, of which numbers never fill more than 63: nothing wraps around.
MASK = 2**32 - 1
MULTIPLIER = 0x7FEB352D  # of a 32-bit integer hash (Wellons, "hash-prospector", 2018)
TO_UNIT = 1.0 / 2**32


@inner
def _mixed(word):
    word = word & MASK
    word = ((word ^ (word >> 16)) * MULTIPLIER) & MASK
    word = ((word ^ (word >> 15)) * MULTIPLIER) & MASK
    return word ^ (word >> 16)


@inner
def _following(state):
    """The next state of a generator (xorshift32, Marsaglia 2003)."""
    state = (state ^ (state << 13)) & MASK
    state = state ^ (state >> 17)
    return (state ^ (state << 5)) & MASK


@kernel
def seed(states, key, n_steps, stream):
    """Start a generator in each lane: `key` and `n_steps` are those of `Shard`."""
    start = _mixed(_mixed(_mixed(_mixed(key[0] + 1) + key[1]) + stream) + n_steps[1])
    for lane in range(len(states)):
        states[lane] = max(_mixed(start + lane), 1)


@kernel
def draw_mask(mask, n_steps, n_units, rate, states):
    """Fill steps of a mask: 0 at this rate, elsewhere what keeps the mean the same."""
    threshold = int(rate[0] * 2**32)
    kept = 1.0 / (1.0 - rate[0]) if rate[0] < 1.0 else 0.0
    for t in range(n_steps[0]):
        for k in range(n_units):
            for lane in range(len(states)):
                state = _following(states[lane])
                states[lane] = state
                mask[t, k, lane] = kept if state >= threshold else 0.0


@kernel
def add_normal(out, x, n_steps, n_units, scale, states):
    """Add normal numbers of this standard deviation (Box and Muller 1958)."""
    for t in range(0, n_steps[0], 2):  # each pair of draws gives two numbers
        for k in range(n_units):
            for lane in range(len(states)):
                first = _following(states[lane])
                second = _following(first)
                states[lane] = second
                radius = scale[0] * math.sqrt(-2.0 * math.log(first * TO_UNIT))
                angle = 2.0 * math.pi * second * TO_UNIT
                out[t, k, lane] = x[t, k, lane] + radius * math.cos(angle)
                if t + 1 < n_steps[0]:
                    drawn = radius * math.sin(angle)
                    out[t + 1, k, lane] = x[t + 1, k, lane] + drawn


def new_states(lanes):
    """Return room for the generators of a shard."""
    return np.ones(lanes.n_samples, np.int64)
