"""Gradients with respect to what a network reads and remembers, not to its parameters.

Samples go forward and backward shard by shard, so that memory does not grow with their
number.
"""

import numpy as np

from skrnn._jit import kernel
from skrnn.blocks import row_blocks
from skrnn.lanes import SamplesInLanes, by_lane
from skrnn.network import (
    PackedParameters,
    Samples,
    TrainingWorkspace,
    load,
    load_targets,
)
from skrnn.recording import run


@kernel
def selected_output(raw, d_raw, target, weight, levels, n_steps):
    """One raw prediction, as a loss: the target is its number."""
    value = 0.0
    for t in range(n_steps[0]):
        for lane in range(weight.shape[2]):
            k, w = int(target[t, 0, lane]), weight[t, 0, lane]
            value += w * raw[t, k, lane]
            for i in range(raw.shape[1]):
                d_raw[t, i, lane] = 0.0
            d_raw[t, k, lane] = w
    return value


def backward_passes(
    network, parameters, data, mean, inverse_scale, loss, levels, targets, weights
):
    """Go forward and backward through the samples, some at a time.

    Parameters
    ----------
    network : Network
    parameters : ndarray of shape (n_parameters,)
    data : PaddedData, Sequences or Derived
        What the network reads.
    mean, inverse_scale : ndarray of shape (n_channels,)
        How its channels are standardized.
    loss : callable
        A function of `skrnn.losses`, or `selected_output`.
    levels : ndarray
        Parameters of the loss.
    targets, weights : PaddedData or Sequences
        Of each sample, or of each of its steps.

    Yields
    ------
    rows : slice
        Consecutive samples, which are in the first lanes.
    workspace : TrainingWorkspace
        Its buffers hold states and gradients, until the next are asked for. Those of
        the inputs are with respect to standardized ones.
    """
    dtype = parameters.dtype
    lanes = SamplesInLanes(dtype, 1)
    packed = PackedParameters(network, parameters, lanes, training=True)
    work = TrainingWorkspace(
        network,
        packed,
        int(data.lengths.max()),
        targets.n_channels,
        loss,
        np.asarray(levels, dtype),
        input_gradient=True,
    )
    all_rows = np.arange(len(data))
    for block in row_blocks(data, all_rows):
        rows = all_rows[block]
        samples = Samples.take(data, rows, dtype, targets, weights)
        of_block = samples.targets.astype(dtype), samples.weights.astype(np.float64)
        for first in range(0, len(rows), lanes.n_samples):
            last = min(first + lanes.n_samples, len(rows))
            load(
                samples.values,
                samples.starts,
                samples.lengths,
                mean,
                inverse_scale,
                first,
                last,
                work.x,
                work.shard.lengths,
                work.shard.n_steps,
            )
            load_targets(
                *of_block,
                samples.target_starts,
                samples.target_lengths,
                1.0,
                first,
                last,
                work.target,
                work.weight,
                work.predicted.n_steps,
            )
            run(work.program)
            yield slice(block.start + first, block.start + last), work


def steps_in_lanes(buffer, lengths):
    """Return the steps of the samples in the first lanes, one sample after the other.

    Parameters
    ----------
    buffer : ndarray
        Of some units at each step.
    lengths : ndarray of shape (n_samples,)

    Returns
    -------
    steps : ndarray of shape (lengths.sum(), n_rows)
        New; there may be more rows than units.
    """
    rows = by_lane(buffer)
    return np.concatenate([rows[:n, :, lane] for lane, n in enumerate(lengths)])
