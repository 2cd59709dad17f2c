"""From plain arrays to the kernels and back: what the tests of networks share."""

import numpy as np

from skrnn.network import Batch, Network, PackedParameters, Workspace
from skrnn.parameters import aligned_zeros
from skrnn.simd import lane_count


class Ragged:
    """The least that training and prediction ask of a data set."""

    def __init__(self, sequences, dtype=np.float64):
        self.sequences = [np.asarray(s, dtype) for s in sequences]
        self.lengths = np.array([len(s) for s in sequences], np.int64)
        self.n_channels = self.sequences[0].shape[1]
        self.dtype = np.dtype(dtype)

    def __len__(self):
        return len(self.sequences)

    def take(self, rows):
        return np.concatenate([self.sequences[row] for row in rows])


def make_sequences(rng, lengths, n_channels):
    return [rng.normal(size=(n, n_channels)) for n in lengths]


def make_parameters(network, rng, dtype=np.float64, scale=0.4):
    """Random parameters, the biases too, which begin at 0 in training."""
    parameters = aligned_zeros((network.layout.size,), dtype)
    parameters[:] = scale * rng.normal(size=parameters.size)
    return parameters


def run_network(network, parameters, sequences, loss, targets, weights=None, levels=()):
    """Return raw predictions, the sum of the losses and its gradient by parameter."""
    dtype = parameters.dtype
    data = Ragged(sequences, dtype)
    n, zeros = len(data), np.zeros(data.n_channels, dtype)
    targets = np.asarray(targets, dtype)
    weights = np.ones(n, dtype) if weights is None else np.asarray(weights, dtype)
    batch, order = Batch.take(data, np.arange(n), zeros, zeros + 1, targets, weights)
    workspace = Workspace(
        network, int(data.lengths.max()), targets.shape[1], dtype, training=True
    )
    packed = PackedParameters(network, parameters, training=True).packed
    gradient = aligned_zeros(parameters.shape, dtype)
    layers = network.parameters_of_layers(gradient)
    raw = np.empty((n, network.n_outputs), dtype)
    value = 0.0
    for first in range(0, n, lane_count(dtype)):
        shard = workspace.load(batch, first)
        workspace.forward(packed, shard)
        rows = order[first : first + shard.n_samples]
        raw[rows] = workspace.raw[0, :, : shard.n_samples].T
        value += loss(
            workspace.raw,
            workspace.d_raw,
            workspace.target,
            workspace.weight,
            1.0,
            np.asarray(levels, dtype),
        )
        workspace.backward(packed, layers, shard)
    return raw, value, gradient


def make_network(cell="rnn", activation="tanh", n_inputs=2, sizes=(3,), n_outputs=1):
    return Network(cell, activation, n_inputs, sizes, n_outputs)
