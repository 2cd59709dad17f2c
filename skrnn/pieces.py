"""Going through sequences by pieces, which can be looked at before the next comes."""

import numpy as np

from skrnn.lanes import prediction_lanes
from skrnn.network import PackedParameters, PredictionWorkspace, Samples, load
from skrnn.recording import run

# Steps of a piece.
PIECE_STEPS = 256


def raw_by_pieces(network, parameters, data):
    """Yield the raw predictions of each step of sequences, some at a time.

    Parameters
    ----------
    network : Network
        Causal, with a prediction for each step.
    parameters : ndarray of shape (n_parameters,)
    data : PaddedData or Sequences
        As the network reads it, not standardized.

    Yields
    ------
    rows, steps : ndarray of shape (n,)
        Of each prediction the sample and its step.
    raw : ndarray of shape (n, n_outputs)
    """
    n_samples, dtype = len(data), parameters.dtype
    lanes = prediction_lanes(dtype, n_samples, network.may_overflow)
    packed = PackedParameters(network, parameters, lanes, training=False)
    n_steps = min(int(data.lengths.max()), PIECE_STEPS)
    work = PredictionWorkspace(network, packed, n_steps)
    channels = np.zeros(network.n_inputs, dtype), np.ones(network.n_inputs, dtype)
    order = np.argsort(-data.lengths, kind="stable")
    for first in range(0, n_samples, lanes.n_samples):
        rows = order[first : first + lanes.n_samples]
        samples = Samples.take(data, rows, dtype)
        run(work.reset)
        for done in range(0, int(samples.lengths.max()), n_steps):
            if done:
                run(work.carry)
            work.shard.n_steps[1] = done
            load(
                samples.values,
                samples.starts,
                samples.lengths,
                *channels,
                0,
                len(rows),
                work.x,
                work.shard.lengths,
                work.shard.n_steps,
            )
            run(work.program)
            n = work.shard.n_steps[0]
            left = work.shard.lengths[: len(rows)]
            lane, step = np.nonzero(np.arange(n) < left[:, np.newaxis])
            raw = work.raw[step, : network.n_outputs, lane]
            yield rows[lane], done + step, raw
        work.shard.n_steps[1] = 0
