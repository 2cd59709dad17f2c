"""Networks that write sequences: as their equations read, and through the kernels."""

import numpy as np

from skrnn.lanes import SamplesInLanes
from skrnn.network import (
    PackedParameters,
    Samples,
    TrainingWorkspace,
    load,
    load_targets,
    measure_labels,
)
from skrnn.recording import run
from tests.oracles.harness import Ragged
from tests.oracles.network import embedded_tokens, parts, recurrent
from tests.oracles.recurrent import CELLS


def encoded(architecture, views, x):
    """Return the encoder's top states of a sequence."""
    x = np.asarray(x, np.float64)
    if architecture.n_tokens:
        table = parts(views, "embedding")["0.vectors"]
        x = embedded_tokens(x[:, 0], table)
    for i in range(len(architecture.hidden_layer_sizes)):
        below = x
        x = recurrent(x, architecture, parts(views, f"layers.{i}"))
        if architecture.residual and i > 0:
            x = x + below
    return x


def attention_weights(kind, memory, state, views):
    """Return the softmax of the scores of a state."""
    own = parts(views, "decoder.attention")
    mapped = memory @ own["memory_weights"]
    if kind == "dot":
        scores = mapped @ state
    else:
        query = state @ own["states_weights"] + own["states_bias"]
        mapped = np.tanh(mapped + query)
        scores = mapped @ own["query"]
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def fed_labels(architecture, views, labels):
    """Return what the decoder reads: the labels, each a step later."""
    part = architecture.decoder
    first = np.full((1, part.n_channels), part.begin if part.n_tokens else 0.0)
    fed = np.concatenate([first, np.asarray(labels, np.float64)[:-1]])
    if part.n_tokens:
        table = parts(views, "decoder.embedding")["0.vectors"]
        return embedded_tokens(fed[:, 0], table)
    return fed


def raw_labels(architecture, views, x, labels):
    """Return the raw predictions of all labels, and the attention weights."""
    memory = encoded(architecture, views, x)
    part, bridge = architecture.decoder, parts(views, "decoder.bridge")
    given = np.tanh(memory.mean(axis=0) @ bridge["weights"] + bridge["bias"])
    states = fed_labels(architecture, views, labels)
    first = 0
    for i, n in enumerate(part.hidden_layer_sizes):
        initial = {"initial_hidden": given[first : first + n]}
        first += n
        if architecture.cell == "lstm":
            initial["initial_state"] = given[first : first + n]
            first += n
        weights = parts(views, f"decoder.layers.{i}")
        cell, below = CELLS[architecture.cell], states
        states = cell(states, activation=architecture.activation, **weights, **initial)
        if architecture.residual and i > 0:
            states = states + below
    weights = np.zeros((len(states), len(memory)))
    if part.attention:
        for t, state in enumerate(states):
            weights[t] = attention_weights(part.attention, memory, state, views)
        states = np.hstack([weights @ memory, states])
    if part.attention or part.combined_size:
        own = parts(views, "decoder.combination")
        states = np.tanh(states @ own["weights"] + own["bias"])
    for i in range(len(architecture.dense_layer_sizes)):
        own = parts(views, f"dense_layers.{i}")
        states = np.maximum(states @ own["weights"] + own["bias"], 0.0)
    output, projection = parts(views, "output"), parts(views, "projection")
    if projection:
        states = states @ projection["weights"] + projection["bias"]
    if architecture.tied:
        output["weights"] = parts(views, "decoder.embedding")["0.vectors"].T
    return states @ output["weights"] + output["bias"], weights


class TranslationRun:
    """A workspace that learns to write, run on any samples that its buffers take."""

    def __init__(
        self,
        network,
        parameters,
        n_steps,
        n_label_steps,
        n_targets,
        loss,
        n_registers=1,
        **options,
    ):
        self.dtype = parameters.dtype
        self.lanes = SamplesInLanes(self.dtype, n_registers)
        self.network = network
        self.packed = PackedParameters(network, parameters, self.lanes, training=True)
        self.workspace = TrainingWorkspace(
            network,
            self.packed,
            n_steps,
            n_targets,
            loss,
            np.zeros(1, self.dtype),
            n_label_steps=n_label_steps,
            **options,
        )

    def __call__(self, sequences, labels, weights=None):
        """Return raw predictions label by label, the loss and its gradient."""
        work, n = self.workspace, len(sequences)
        if weights is None:
            weights = [np.ones(len(of_sample)) for of_sample in labels]
        samples = Samples.take(
            Ragged(sequences, self.dtype),
            np.arange(n),
            self.dtype,
            Ragged(labels, self.dtype),
            Ragged([np.asarray(w)[:, None] for w in weights]),
        )
        n_channels = samples.values.shape[1]
        zeros = np.zeros(n_channels, self.dtype)
        self.packed.refresh()
        work.gradient[:] = 0.0
        value, raw = 0.0, []
        for first in range(0, n, self.lanes.n_samples):
            last = min(first + self.lanes.n_samples, n)
            load(
                samples.values,
                samples.starts,
                samples.lengths,
                zeros,
                zeros + 1,
                first,
                last,
                work.x,
                work.shard.lengths,
                work.shard.n_steps,
            )
            of_labels = work.shard.labels
            measure_labels(
                samples.target_lengths,
                first,
                last,
                of_labels.lengths,
                of_labels.n_steps,
            )
            load_targets(
                samples.targets,
                samples.weights,
                samples.target_starts,
                samples.target_lengths,
                1.0,
                first,
                last,
                work.target,
                work.weight,
                of_labels.n_steps,
            )
            work.shard.noise[:] = 7, first
            value += run(work.program)
            for i in range(first, last):
                steps = work.raw[: len(labels[i]), : self.network.n_outputs]
                raw.append(steps[:, :, i - first].copy())
        return raw, value, work.gradient.copy()
