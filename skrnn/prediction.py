"""Prediction by pieces of bounded size."""

from functools import partial

import numpy as np

from skrnn._jit import kernel
from skrnn.blocks import row_blocks
from skrnn.lanes import prediction_lanes
from skrnn.network import PackedParameters, PredictionWorkspace, Samples, load
from skrnn.parameters import aligned_zeros
from skrnn.recording import replay
from skrnn.threads import Threads

# Bounds on the inputs that are held at a time, and on the multiply-adds that they
# take: Ctrl-C is heard in between.
CHUNK_BYTES = 2**22
CHUNK_FLOPS = 10**10
# Steps after which the states move to the front of their buffers: enough that it costs
# nothing, and so few that the buffers stay small whatever the lengths are.
CHUNK_STEPS = 128
# Pieces of work for each thread: enough that all end at about the same time.
TASKS_PER_THREAD = 4

# Predictors that are kept for the next call, and the parameters of the largest.
N_KEPT = 8
MAX_KEPT_PARAMETERS = 2**20


def predict_raw(network, parameters, data, mean, inverse_scale, n_threads):
    """Return the raw predictions, of shape (n_samples, n_outputs).

    A network that predicts at each step gives (n_steps, n_outputs), the steps of one
    sample after those of the other. Sequences of similar length go together through
    the lanes.
    """
    n, first_rows = len(data), np.arange(len(data), dtype=np.int64)
    if network.per_step:
        n, first_rows = data.lengths.sum(), data.lengths.cumsum() - data.lengths
    out = np.empty((n, network.n_outputs), parameters.dtype)
    lanes = prediction_lanes(parameters.dtype, len(data), network.may_overflow)
    order = np.arange(len(data), dtype=np.int64)
    if len(data) > 1 and (data.lengths != data.lengths[0]).any():
        order = np.argsort(-data.lengths, kind="stable")
    longest = int(data.lengths[order[0]])
    predictor = _predictor(network, lanes, longest)
    predictor.update(parameters)
    step_bytes = data.n_channels * parameters.itemsize
    max_bytes = min(CHUNK_BYTES, CHUNK_FLOPS * step_bytes // network.flops(1))
    with predictor.threads(n_threads) as threads:
        for piece in row_blocks(data, order, max_bytes):
            rows = order[piece]
            samples = Samples.take(data, rows, parameters.dtype)
            n_shards = -(-len(rows) // lanes.n_samples)
            shards = np.arange(n_shards + 1, dtype=np.int64) * lanes.n_samples
            shards[-1] = len(rows)
            n_tasks = min(n_shards, TASKS_PER_THREAD * n_threads)
            bounds = [n_shards * i // n_tasks for i in range(n_tasks + 1)]

            def predict(
                workspace,
                i,
                samples=samples,
                rows=first_rows[rows],
                shards=shards,
                bounds=bounds,
            ):
                _predict_shards(
                    workspace.reset,
                    workspace.program,
                    workspace.carry,
                    samples.values,
                    samples.starts,
                    samples.lengths,
                    mean,
                    inverse_scale,
                    shards,
                    bounds[i],
                    bounds[i + 1],
                    workspace.x,
                    workspace.shard.lengths,
                    workspace.shard.n_steps,
                    workspace.predicted.n_steps,
                    workspace.raw,
                    rows,
                    out,
                )

            threads.map(predict, range(n_tasks), network.flops(len(samples.values)))
    _keep(predictor)
    return out


@kernel
def _predict_shards(
    reset,
    program,
    carry,
    values,
    starts,
    lengths,
    mean,
    inverse_scale,
    shards,
    first,
    last,
    x,
    held,
    n_steps,
    n_predicted,
    raw,
    rows,
    out,
):
    """Write the raw predictions of some shards to `out`, from each sample's row on."""
    for s in range(first, last):
        begin, end = shards[s], shards[s + 1]
        longest = 0
        for i in range(begin, end):
            longest = max(longest, lengths[i])
        replay(reset)
        n_steps[1] = 0
        while n_steps[1] < longest:
            if n_steps[1] > 0:
                replay(carry)
            load(
                values,
                starts,
                lengths,
                mean,
                inverse_scale,
                begin,
                end,
                x,
                held,
                n_steps,
            )
            replay(program)
            for i in range(begin, end):
                # a later piece overwrites the only prediction of those it goes on with
                for t in range(min(n_predicted[0], held[i - begin])):
                    for k in range(out.shape[1]):
                        out[rows[i] + n_predicted[1] + t, k] = raw[t, k, i - begin]
            n_steps[1] += n_steps[0]


class _Predictor:
    """The packed parameters of a network, and the workspaces that predict with them."""

    def __init__(self, network, lanes, n_steps):
        self.key = network, lanes
        self.network = network
        self.n_steps = n_steps
        self._parameters = aligned_zeros((network.layout.size,), lanes.dtype)
        self._packed = PackedParameters(
            network, self._parameters, lanes, training=False
        )
        # not a method: a cycle of references would keep the buffers for a while
        make_workspace = partial(PredictionWorkspace, network, self._packed, n_steps)
        self._threads = Threads(1, make_workspace)

    def update(self, parameters):
        """Use these parameters from now on."""
        if not np.array_equal(parameters, self._parameters):
            self._parameters[:] = parameters
            self._packed.refresh()

    def threads(self, n_threads):
        """Return the `Threads` of the workspaces."""
        self._threads.n_threads = n_threads
        return self._threads

    def trim(self):
        """Drop the workspaces of all threads but one."""
        self._threads.trim()


# Predictors of the last calls while nobody uses them. No lock: each operation on a dict
# is atomic, and a process that forks may not leave one locked.
_kept: dict = {}


def _predictor(network, lanes, longest):
    """Return one for sequences of at most so many steps, kept or new."""
    # states that look ahead cannot be carried from piece to piece
    n_steps = min(longest, CHUNK_STEPS) if network.is_causal else longest
    predictor = _kept.pop((network, lanes), None)
    if predictor is None or predictor.n_steps < n_steps:
        return _Predictor(network, lanes, n_steps)
    return predictor


def _keep(predictor):
    """Keep a predictor for the next call: making it takes longer than predicting."""
    if predictor.network.layout.size <= MAX_KEPT_PARAMETERS:
        predictor.trim()
        _kept[predictor.key] = predictor
        for oldest in list(_kept)[:-N_KEPT]:
            _kept.pop(oldest, None)
