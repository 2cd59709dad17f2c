"""Prediction by chunks of bounded size."""

import numpy as np

from skrnn.network import Batch, PackedParameters, Workspace
from skrnn.simd import lane_count
from skrnn.threads import Threads

# Bound on the inputs that are held at a time.
CHUNK_BYTES = 2**24


def predict_raw(network, parameters, data, mean, inverse_scale, n_threads):
    """Return the raw predictions, of shape (n_samples, n_outputs), by bounded chunks."""
    out = np.empty((len(data), network.n_outputs), parameters.dtype)
    packed = PackedParameters(network, parameters, training=False).packed
    lanes = lane_count(parameters.dtype)
    n_steps = int(data.lengths.max())

    def make_workspace():
        return Workspace(network, n_steps, 1, parameters.dtype, training=False)

    with Threads(n_threads, make_workspace) as threads:
        for rows in _chunks(data):
            batch, rows = Batch.take(data, rows, mean, inverse_scale)

            def run(workspace, first, batch=batch, rows=rows):
                shard = workspace.load(batch, first)
                workspace.forward(packed, shard)
                lanes_out = workspace.raw[0, :, : shard.n_samples].T
                out[rows[first : first + shard.n_samples]] = lanes_out

            firsts = range(0, len(rows), lanes)
            threads.map(run, firsts, network.flops(int(batch.lengths.sum())))
    return out


def _chunks(data):
    """Rows of similar length together, in chunks of bounded size."""
    lengths = data.lengths
    order = np.arange(len(data))
    if len(data) and (lengths != lengths[0]).any():
        order = np.argsort(-lengths, kind="stable")
    per_step = data.n_channels * data.dtype.itemsize
    n_bytes = np.cumsum(lengths[order]) * per_step
    start = 0
    while start < len(order):
        before = n_bytes[start - 1] if start else 0
        stop = int(np.searchsorted(n_bytes, before + CHUNK_BYTES, "right"))
        stop = max(stop, start + 1)
        yield order[start:stop]
        start = stop
