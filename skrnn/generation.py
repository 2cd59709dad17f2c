"""Writing: a decoder goes on step by step from what it wrote itself.

The sources are read once; then each hypothesis, a target begun, is a lane. Steps are
those of the same kernels that learn.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from skrnn._jit import kernel
from skrnn.activations import exp
from skrnn.lanes import SamplesInLanes, by_lane
from skrnn.layers import Labels
from skrnn.network import (
    KeptStates,
    PackedParameters,
    Samples,
    Workspace,
    bring_in,
    bring_out,
    load,
)
from skrnn.recording import Recording, replay
from skrnn.simd import get, maximum, put
from skrnn.threads import Threads, one_blas_thread

# Hypotheses that are written together: enough to fill the lanes of several threads, but
# fewer of long sources, whose steps are all kept.
HYPOTHESES_AT_ONCE = 256
SOURCE_STEPS_AT_ONCE = 2**15


class Model(NamedTuple):
    """What writes.

    Attributes
    ----------
    network : Network
        That turns: with a decoder.
    parameters : ndarray of shape (n_parameters,)
    mean, inverse_scale : ndarray of shape (n_channels,)
        How channels of the sources are standardized.
    softmax : AdaptiveLogSoftmax or None, default=None
        Makes log-probabilities of tokens of what the network predicts. None means that
        there is one prediction for each token.
    """

    network: Any
    parameters: np.ndarray
    mean: np.ndarray
    inverse_scale: np.ndarray
    softmax: Any = None


class Decoding:
    """Sources that were read, and what is written of each, step by step.

    Parameters
    ----------
    model : Model
        Its parameters are read now, not later.
    n_source_steps, n_hypotheses : int
        The most that there will be.
    n_threads : int, default=1
    log_softmax : bool, default=False
        Whether predictions are log-probabilities of tokens, not raw.
    """

    def __init__(
        self,
        model,
        n_source_steps,
        n_hypotheses,
        n_threads=1,
        log_softmax=False,
    ):
        network, parameters, *self._scaling, self._softmax = model
        self._log_softmax = log_softmax
        one, two = (SamplesInLanes(parameters.dtype, n) for n in (1, 2))
        self._lanes = one if n_hypotheses <= one.n_samples else two
        self._network = network
        parameters = parameters.copy()
        packed = PackedParameters(network, parameters, self._lanes, training=False)
        self._groups = [
            _Group(network, packed, n_source_steps, log_softmax and not self._softmax)
            for _ in range(-(-n_hypotheses // self._lanes.n_samples))
        ]
        self._fed = np.empty((n_hypotheses, self._groups[0].n_fed), parameters.dtype)
        shape = n_hypotheses, self._groups[0].state.shape[1]
        self._states = np.empty(shape, parameters.dtype)
        shape = n_hypotheses, network.n_outputs
        self._raw = np.zeros(shape, parameters.dtype)
        self._n = 0
        self._threads = Threads(n_threads, object)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._threads.__exit__(*exception)

    def _on_groups(self, function, n_steps):
        """Call a function with each group and its hypotheses: first, last."""
        size = self._lanes.n_samples
        tasks = [
            (group, first, min(first + size, self._n))
            for group, first in zip(self._groups, range(0, self._n, size), strict=False)
        ]
        flops = self._network.flops(self._n * n_steps)
        self._threads.map(lambda _, task: function(*task), tasks, flops)

    def begin(self, samples):
        """Read the sources: each row of `samples` is that of a hypothesis."""
        self._n = len(samples.lengths)
        self._begun = False

        def read(group, first, last):
            group.shard.n_steps[1] = 0
            load(
                samples.values,
                samples.starts,
                samples.lengths,
                *self._scaling,
                first,
                last,
                group.x,
                group.shard.lengths,
                group.shard.n_steps,
            )
            _run(group.reading)
            self._states[first:last] = group.state[: last - first]

        self._on_groups(read, int(samples.lengths.max()))

    def step(self, fed=None, writes=None):
        """Return the predictions of the next step of each hypothesis.

        Parameters
        ----------
        fed : ndarray of shape (n_hypotheses, n_channels), default=None
            What was written last; None at the first step.
        writes : ndarray of bool of shape (n_hypotheses,), default=None
            Which of them go on: others may be left out, and have any predictions.

        Returns
        -------
        predictions : ndarray of shape (n_hypotheses, n_outputs)
            May be overwritten by the next step.
        """
        n = self._n
        self._fed[:n] = self._groups[0].begin if fed is None else fed

        def write(group, first, last):
            if writes is None or writes[first:last].any():
                _write(
                    group.writing,
                    first,
                    last,
                    self._fed,
                    group.fed,
                    self._states,
                    group.state,
                    group.raw,
                    self._raw,
                )

        self._on_groups(write, 1)
        if self._log_softmax and self._softmax:
            return self._log_probabilities(np.arange(n) if writes is None else writes)
        return self._raw[:n]

    def _log_probabilities(self, writes):
        """Return those of the softmax for the hypotheses that go on."""
        logs = np.zeros((self._n, self._softmax.n_classes), self._raw.dtype)
        with one_blas_thread():
            logs[writes] = self._softmax.log_probabilities(self._raw[: self._n][writes])
        return logs

    def reorder(self, rows):
        """Let hypothesis i go on where hypothesis ``rows[i]`` is.

        Both must be of the same source.
        """
        self._states[: self._n] = self._states[rows]

    def attention(self):
        """Return the weights of the last step on the steps of the source.

        Returns
        -------
        weights : ndarray of shape (n_hypotheses, n_source_steps)
            Zero after the end of a source.
        """
        size, groups = self._lanes.n_samples, self._groups
        groups = groups[: -(-self._n // size)]
        n_steps = max(group.shard.n_steps[0] for group in groups)
        weights = np.zeros((len(groups) * size, n_steps), self._raw.dtype)
        for i, group in enumerate(groups):
            n = group.shard.n_steps[0]
            weights[i * size : (i + 1) * size, :n] = group.attention[0, :n].T
        return weights[: self._n]


class _Group(Workspace):
    """The hypotheses that are in the lanes together."""

    def __init__(self, network, packed, n_source_steps, log_softmax):
        n = packed.lanes.n_samples
        sizes = np.ones(n, np.int64), np.array([1, 0, n])
        labels = Labels(*sizes, np.zeros(2, np.int64), room=1)
        super().__init__(network, packed, n_source_steps, False, labels=labels)
        turn = next(i for i, place in enumerate(self.stack) if place.layer.turns)
        place = self.stack[turn]
        self.fed, self.n_fed = by_lane(place.buffers.fed), place.layer.n_fed
        self.begin = place.layer.begin
        if place.layer.attends:
            self.attention = by_lane(place.buffers.attention.weights)
        states = KeptStates([place], packed.lanes)
        self.state = states.array
        # kept alive, as programs need
        self._read_calls, self._write_calls = Recording(), Recording()
        self._record_reset(self._read_calls)
        self._record_forward(self._read_calls, 0, turn)
        arguments = place.packed, place.x, place.buffers, place.shard
        place.layer.read(self._read_calls, *arguments)
        states.record(self._read_calls, bring_out)
        states.record(self._write_calls, bring_in)
        place.layer.write(self._write_calls, *arguments)
        self._record_forward(self._write_calls, turn + 1)
        if log_softmax:
            logs = packed.lanes.rows(1, 1)
            raw, n_outputs = self.stack[-1].buffers.output, network.n_outputs
            self._write_calls.add(_log_softmax, raw, n_outputs, logs, by_lane(logs))
        place.layer.carry(self._write_calls, place.buffers, place.shard)
        states.record(self._write_calls, bring_out)
        self.reading = self._read_calls.program()
        self.writing = self._write_calls.program()


@kernel
def _run(program):
    replay(program)


@kernel
def _write(program, first, last, all_fed, fed, all_states, state, raw, all_raw):
    """Take the hypotheses from `first` to `last` a step further."""
    for i in range(first, last):
        for k in range(all_fed.shape[1]):
            fed[0, k, i - first] = all_fed[i, k]
        for k in range(state.shape[1]):
            state[i - first, k] = all_states[i, k]
    replay(program)
    n_outputs = all_raw.shape[1]
    for block in range(0, n_outputs, 16):  # of rows that stay in the cache
        for i in range(first, last):
            for k in range(block, min(block + 16, n_outputs)):
                all_raw[i, k] = raw[0, k, i - first]
    for i in range(first, last):
        for k in range(state.shape[1]):
            all_states[i, k] = state[i - first, k]


@kernel
def _log_softmax(raw, n, logs, in_lanes):
    """Replace raw predictions by log-probabilities; `logs` is scratch of a row."""
    largest = get(raw, 0, 0)
    for k in range(1, n):
        largest = maximum(get(raw, 0, k), largest)
    total = exp(get(raw, 0, 0) - largest)
    for k in range(1, n):
        total = total + exp(get(raw, 0, k) - largest)
    put(logs, 0, 0, total)
    for lane in range(in_lanes.shape[2]):
        in_lanes[0, 0, lane] = math.log(in_lanes[0, 0, lane])
    shift = largest + get(logs, 0, 0)
    for k in range(n):
        put(raw, 0, k, get(raw, 0, k) - shift)


def decodings(model, data, n_each, n_threads, log_softmax=False):
    """Yield some sources at a time, read, the longest first: rows and a `Decoding`.

    Each of them begins `n_each` hypotheses, which are neighbours.
    """
    order = np.argsort(-data.lengths, kind="stable")
    longest = int(data.lengths.max())
    dtype = model.parameters.dtype
    n_lanes = SamplesInLanes(dtype, 1).n_samples
    n_hypotheses = max(SOURCE_STEPS_AT_ONCE // longest, n_lanes)
    n_hypotheses = min(n_hypotheses, HYPOTHESES_AT_ONCE)
    at_once = min(max(n_hypotheses // n_each, 1), len(order))
    decoding = Decoding(model, longest, at_once * n_each, n_threads, log_softmax)
    with decoding:
        for first in range(0, len(order), at_once):
            rows = order[first : first + at_once]
            repeated = np.repeat(rows, n_each)
            decoding.begin(Samples.take(data, repeated, dtype))
            yield rows, decoding


# --- targets that are known -----------------------------------------------------------


def follow(model, data, targets, n_threads=1, log_softmax=False):
    """Let the decoder read known targets, and tell what it predicts of each.

    Parameters
    ----------
    model : Model
    data : PaddedData or Sequences
        The sources.
    targets : list of ndarray of shape (n_target_steps, n_channels)
    n_threads : int, default=1
    log_softmax : bool, default=False
        Whether predictions are log-probabilities of tokens, not raw.

    Yields
    ------
    rows : ndarray
        The samples that this is about: those whose target has this step.
    step : int
    predictions : ndarray of shape (len(rows), n_outputs)
        Those of this step.
    decoding : Decoding
    places : ndarray
        Where they are among the hypotheses of `decoding`.
    """
    for rows, decoding in decodings(model, data, 1, n_threads, log_softmax):
        lengths = np.array([len(targets[row]) for row in rows])
        fed = np.zeros((len(rows), len(targets[rows[0]][0])))
        for t in range(lengths.max()):
            writes = t < lengths
            predictions = decoding.step(fed if t else None, writes)
            (places,) = writes.nonzero()
            yield rows[places], t, predictions[places], decoding, places
            for place in places:
                fed[place] = targets[rows[place]][t]


def log_probabilities(model, data, targets, n_threads=1):
    """Return the log-probability of each token of known targets.

    Parameters are those of `follow`.

    Returns
    -------
    log_probabilities : list of ndarray of float64 of shape (n_target_steps,)
    """
    results = [np.empty(len(of_sample)) for of_sample in targets]
    for rows, t, logs, *_ in follow(model, data, targets, n_threads, True):
        for row, of_sample in zip(rows, logs, strict=True):
            results[row][t] = of_sample[int(targets[row][t, 0])]
    return results


def alignments(model, data, targets, n_threads=1):
    """Return how much each step of known targets attends to each of the source.

    Parameters are those of `follow`; the network must have attention.

    Returns
    -------
    weights : list of ndarray of shape (n_target_steps, n_source_steps)
        Rows add up to 1.
    """
    results = [
        np.empty((len(of_sample), n))
        for of_sample, n in zip(targets, data.lengths, strict=True)
    ]
    for rows, t, _, decoding, places in follow(model, data, targets, n_threads):
        weights = decoding.attention()
        for place, row in zip(places, rows, strict=True):
            results[row][t] = weights[place, : data.lengths[row]]
    return results


# --- numbers --------------------------------------------------------------------------


def write_numbers(model, data, n_steps, n_threads=1):
    """Return so many predictions for each source, each fed to the next step.

    Parameters
    ----------
    model, data, n_threads
        As in `follow`.
    n_steps : ndarray of int of shape (n_samples,)

    Returns
    -------
    predictions : list of ndarray of shape (n_steps, n_outputs)
    """
    shape, dtype = (model.network.n_outputs,), model.parameters.dtype
    results = [np.empty((n, *shape), dtype) for n in n_steps]
    for rows, decoding in decodings(model, data, 1, n_threads):
        lengths, fed = n_steps[rows], None
        for t in range(lengths.max()):
            writes = t < lengths
            fed = decoding.step(fed, writes)
            for place in writes.nonzero()[0]:
                results[rows[place]][t] = fed[place]
    return results
