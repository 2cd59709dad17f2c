"""What cells do around their products, and only where the layer asks for it.

`norm` and `dropped` are None otherwise, for which the compiler leaves all of this out.
"""

import math
from typing import NamedTuple

import numpy as np

from skrnn._jit import inner
from skrnn.products import accumulate
from skrnn.simd import get, put

EPSILON = 1e-5  # added to a variance


class Norm(NamedTuple):
    """Layer normalization of each gate (Ba, Kiros and Hinton 2016).

    Arrays of lanes have shape (time, rows, lanes), and blocks of rows begin `width`
    apart. Units of a gate are brought to mean 0 and variance 1, lane by lane, before
    `gain` and `bias` apply, both of shape (n_blocks * n_units,).

    Attributes
    ----------
    gates : ndarray
        The buffer of the gates.
    scaled : ndarray
        What `gain` is multiplied with, kept for the backward pass.
    inverse_sd : ndarray
        A row for each gate, and two of scratch.
    sums : ndarray of shape (2, rows, lanes)
        To which the gradients of bias and gain are added, lane by lane.
    """

    gain: np.ndarray
    bias: np.ndarray
    gates: np.ndarray
    scaled: np.ndarray
    inverse_sd: np.ndarray
    sums: np.ndarray
    n_units: int
    width: int


class Dropped(NamedTuple):
    """Recurrent connections that are dropped, the same at all steps of a sequence.

    As in Gal and Ghahramani (2016): the products read `fed`, the hidden states times
    `mask`. `scratch` is a row of states.
    """

    mask: np.ndarray
    fed: np.ndarray
    scratch: np.ndarray


@inner
def fed(hidden, dropped):
    """Return the states that the recurrent products read."""
    if dropped is None:
        return hidden
    return dropped.fed


@inner
def feed(hidden, dropped, t, n_h):
    """Bring step `t` of the hidden states to where the products read them."""
    if dropped is not None:
        for k in range(n_h):
            put(dropped.fed, t, k, get(hidden, t, k) * get(dropped.mask, 0, k))


@inner
def through_time(n_h, d_hidden, t, v_t, gates, first, n_terms, dropped):
    """Add what step `t` of the gates' gradient says of the hidden state before it."""
    if dropped is None:
        accumulate(n_h, d_hidden, t, v_t, gates, t, first, n_terms)
    else:
        for k in range(n_h):
            put(dropped.scratch, 0, k, 0.0)
        accumulate(n_h, dropped.scratch, 0, v_t, gates, t, first, n_terms)
        for k in range(n_h):
            d = get(dropped.scratch, 0, k) * get(dropped.mask, 0, k)
            put(d_hidden, t, k, get(d_hidden, t, k) + d)


@inner
def normalize(norm, t, g):
    """Normalize the gates of step `t`, which lie in step `g` of their buffer."""
    if norm is not None:
        kept = min(t, len(norm.scaled) - 1)
        n, n_lanes = norm.n_units, norm.gates.shape[2]
        scratch = norm.inverse_sd.shape[1] - 1
        for block in range(len(norm.gain) // n):
            row, weight = block * norm.width, block * n
            for lane in range(n_lanes):
                norm.inverse_sd[kept, scratch, lane] = 0.0
                norm.inverse_sd[kept, block, lane] = 0.0
            for k in range(n):
                for lane in range(n_lanes):
                    norm.inverse_sd[kept, scratch, lane] += norm.gates[g, row + k, lane]
            for k in range(n):
                for lane in range(n_lanes):
                    mean = norm.inverse_sd[kept, scratch, lane] / n
                    centred = norm.gates[g, row + k, lane] - mean
                    norm.scaled[kept, row + k, lane] = centred
                    norm.inverse_sd[kept, block, lane] += centred * centred
            for lane in range(n_lanes):
                variance = norm.inverse_sd[kept, block, lane] / n
                norm.inverse_sd[kept, block, lane] = 1.0 / math.sqrt(variance + EPSILON)
            for k in range(n):
                for lane in range(n_lanes):
                    scaled = norm.scaled[kept, row + k, lane]
                    scaled *= norm.inverse_sd[kept, block, lane]
                    norm.scaled[kept, row + k, lane] = scaled
                    norm.gates[g, row + k, lane] = (
                        scaled * norm.gain[weight + k] + norm.bias[weight + k]
                    )


@inner
def denormalize(norm, t):
    """Turn the gradient of step `t` of the gates into that before normalization."""
    if norm is not None:
        n, n_lanes = norm.n_units, norm.gates.shape[2]
        scratch = norm.inverse_sd.shape[1] - 1
        for block in range(len(norm.gain) // n):
            row, weight = block * norm.width, block * n
            for lane in range(n_lanes):
                norm.inverse_sd[t, scratch, lane] = 0.0
                norm.inverse_sd[t, scratch - 1, lane] = 0.0
            for k in range(n):
                for lane in range(n_lanes):
                    d = norm.gates[t, row + k, lane]
                    scaled = norm.scaled[t, row + k, lane]
                    norm.sums[0, row + k, lane] += d
                    norm.sums[1, row + k, lane] += d * scaled
                    d *= norm.gain[weight + k]
                    norm.gates[t, row + k, lane] = d
                    norm.inverse_sd[t, scratch, lane] += d
                    norm.inverse_sd[t, scratch - 1, lane] += d * scaled
            for k in range(n):
                for lane in range(n_lanes):
                    mean = norm.inverse_sd[t, scratch, lane] / n
                    slope = norm.inverse_sd[t, scratch - 1, lane] / n
                    d = norm.gates[t, row + k, lane] - mean
                    d -= norm.scaled[t, row + k, lane] * slope
                    norm.gates[t, row + k, lane] = d * norm.inverse_sd[t, block, lane]
