"""Prediction by chunks of bounded size."""

import numpy as np

from skrnn.blocks import row_blocks
from skrnn.network import Batch, PackedParameters, Workspace
from skrnn.simd import lane_count
from skrnn.threads import Threads

# Bound on the inputs that are held at a time.
CHUNK_BYTES = 2**24


def predict_raw(network, parameters, data, mean, inverse_scale, n_threads):
    """Return the raw predictions, of shape (n_samples, n_outputs).

    Sequences of similar length go together through the lanes.
    """
    out = np.empty((len(data), network.n_outputs), parameters.dtype)
    packed = PackedParameters(network, parameters, training=False).packed
    lanes = lane_count(parameters.dtype)
    order = np.argsort(-data.lengths, kind="stable")
    n_steps = int(data.lengths[order[0]])

    def make_workspace():
        return Workspace(network, n_steps, 1, parameters.dtype, training=False)

    with Threads(n_threads, make_workspace) as threads:
        for piece in row_blocks(data, order, CHUNK_BYTES):
            batch, rows = Batch.take(data, order[piece], mean, inverse_scale)

            def run(workspace, first, batch=batch, rows=rows):
                shard = workspace.load(batch, first)
                workspace.forward(packed, shard)
                raw = workspace.raw[0, :, : shard.n_samples]
                out[rows[first : first + shard.n_samples]] = raw.T

            firsts = range(0, len(rows), lanes)
            threads.map(run, firsts, network.flops(int(batch.lengths.sum())))
    return out
