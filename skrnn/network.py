"""The network: a stack of layers over one flat vector of parameters."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from skrnn._jit import kernel
from skrnn.activations import ACTIVATIONS
from skrnn.cells import CELLS
from skrnn.layers import Dense, LastStep, RecurrentLayer, Shard, rows_of
from skrnn.parameters import ParameterLayout
from skrnn.simd import lane_count


class Network:
    """Recurrent layers, the last step of the top one, and a dense output layer.

    Parameters
    ----------
    cell : str
        A key of `CELLS`.
    activation : str
        A key of `ACTIVATIONS`; cells with activations of their own ignore it.
    n_inputs : int
        Channels of a sequence.
    hidden_layer_sizes : sequence of int
        Units of each recurrent layer, from the input up.
    n_outputs : int
        Rows of the raw prediction.
    """

    def __init__(self, cell, activation, n_inputs, hidden_layer_sizes, n_outputs):
        self.n_inputs = n_inputs
        self.n_outputs = n_outputs
        self.layers = {}
        size = n_inputs
        for i, n_units in enumerate(hidden_layer_sizes):
            layer = RecurrentLayer(CELLS[cell], ACTIVATIONS[activation], size, n_units)
            self.layers[f"layers.{i}"] = layer
            size = n_units
        self.layers["pooling"] = LastStep(size)
        self.layers["output"] = Dense(size, n_outputs)
        self.layout = ParameterLayout(
            {
                f"{place}.{name}": shape
                for place, layer in self.layers.items()
                for name, shape in layer.parameter_shapes().items()
            }
        )

    def parameters_of_layers(self, flat):
        """Return for each layer a dict of views into a flat vector."""
        views = self.layout.views(flat)
        return [
            {name: views[f"{place}.{name}"] for name in layer.parameter_shapes()}
            for place, layer in self.layers.items()
        ]

    def initialize(self, flat, random_state):
        """Fill a flat vector with the parameters before training."""
        layers = zip(self.layers.values(), self.parameters_of_layers(flat), strict=True)
        for layer, parameters in layers:
            layer.initialize(parameters, random_state)

    def flops(self, n_steps):
        """Multiply-adds of a forward pass over so many steps: a measure of the work."""
        return self.layout.size * n_steps


@lru_cache(maxsize=32)
def network_of(architecture):
    """Return the `Network` with these arguments; it holds no arrays and is shared."""
    return Network(*architecture)


class PackedParameters:
    """The parameters of a network in the order in which its products read them.

    Parameters
    ----------
    network : Network
    parameters : ndarray of shape (n_parameters,)
        The flat vector; call `refresh` after a change.
    training : bool
        Whether a backward pass is to be possible.
    """

    def __init__(self, network, parameters, training):
        self.training = training
        views = network.parameters_of_layers(parameters)
        self._layers = [
            (layer, layer.allocate_packed(parameters.dtype, training), view)
            for layer, view in zip(network.layers.values(), views, strict=True)
        ]
        self.packed = [packed for _, packed, _ in self._layers]
        self.refresh()

    def refresh(self):
        """Pack the parameters as they are now."""
        for layer, packed, view in self._layers:
            layer.pack(packed, view, self.training)


@dataclass
class Batch:
    """Some samples, ready to be loaded into lanes.

    Attributes
    ----------
    values : ndarray of shape (n_steps_total, n_channels)
        Steps of the samples, one sample after the other, longest first.
    starts, lengths : ndarray of shape (n_samples,)
        Where each begins and how many steps it has.
    mean, inverse_scale : ndarray of shape (n_channels,)
        Each channel is standardized as ``(value - mean) * inverse_scale``.
    targets : ndarray of shape (n_samples, n_targets)
    weights : ndarray of shape (n_samples,)
    """

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    mean: np.ndarray
    inverse_scale: np.ndarray
    targets: np.ndarray
    weights: np.ndarray

    @classmethod
    def take(cls, data, rows, mean, inverse_scale, targets=None, weights=None):
        """Gather the rows of a data set and return ``(batch, rows as ordered)``."""
        lengths = data.lengths[rows]
        if len(rows) and (lengths != lengths[0]).any():
            order = np.argsort(-lengths, kind="stable")
            rows, lengths = rows[order], lengths[order]
        starts = np.cumsum(lengths) - lengths
        if targets is None:
            targets = np.zeros((len(rows), 1), mean.dtype)
            weights = np.zeros(len(rows))
        else:
            targets, weights = targets[rows], weights[rows]
        values = data.take(rows)
        if values.dtype != mean.dtype:
            if np.abs(values).max() > np.finfo(mean.dtype).max:
                raise ValueError(
                    f"X has values too large for {mean.dtype}, which the network was "
                    "fitted with."
                )
            values = values.astype(mean.dtype)
        batch = cls(values, starts, lengths, mean, inverse_scale, targets, weights)
        return batch, rows


class Workspace:
    """The buffers of one thread: those of every layer, for one shard at a time."""

    def __init__(self, network, n_steps, n_targets, dtype, training):
        self.inputs = rows_of(n_steps, network.n_inputs, dtype)
        self.target = rows_of(1, n_targets, dtype)
        # float64: tiny and huge weights are fine, only their ratios matter
        self.weight = np.zeros((1, 1, lane_count(dtype)))
        self.lengths = np.zeros(lane_count(dtype), np.int64)
        layers = network.layers.values()
        self.buffers = [layer.allocate(n_steps, dtype, training) for layer in layers]
        below = [self.inputs, *(buffers.output for buffers in self.buffers)]
        d_below = [None, *(buffers.d_output for buffers in self.buffers)]
        self._stack = list(
            zip(layers, self.buffers, below[:-1], d_below[:-1], strict=True)
        )
        self.raw = self.buffers[-1].output
        self.d_raw = self.buffers[-1].d_output

    def load(self, batch, first):
        """Bring the samples of a batch from `first` on into the lanes."""
        n_samples = min(len(batch.lengths) - first, len(self.lengths))
        _load(
            batch.values,
            batch.starts,
            batch.lengths,
            batch.mean,
            batch.inverse_scale,
            batch.targets,
            batch.weights,
            first,
            n_samples,
            self.inputs,
            self.target,
            self.weight,
            self.lengths,
        )
        longest = int(batch.lengths[first])
        shortest = int(batch.lengths[first + n_samples - 1])
        some_end_early = shortest != longest or n_samples < len(self.lengths)
        return Shard(self.lengths, longest, n_samples, some_end_early)

    def forward(self, packed, shard):
        """Fill `raw`, of shape (1, rows, lanes)."""
        for (layer, buffers, x, _), weights in zip(self._stack, packed, strict=True):
            layer.forward(weights, x, buffers, shard)

    def backward(self, packed, gradients, shard):
        """Add to the gradients what follows from `d_raw`."""
        stack = zip(
            reversed(self._stack), reversed(packed), reversed(gradients), strict=True
        )
        for (layer, buffers, x, d_x), weights, gradient in stack:
            layer.backward(weights, x, buffers, gradient, d_x, shard)


@kernel
def _load(
    values,
    starts,
    all_lengths,
    mean,
    inverse_scale,
    targets,
    weights,
    first,
    n_samples,
    inputs,
    target,
    weight,
    lengths,
):
    n_steps = all_lengths[first]
    for lane in range(len(lengths)):
        n, start = 0, 0
        weight[0, 0, lane] = 0.0
        for k in range(target.shape[1]):
            target[0, k, lane] = 0.0
        if lane < n_samples:
            sample = first + lane
            n, start = all_lengths[sample], starts[sample]
            weight[0, 0, lane] = weights[sample]
            for k in range(target.shape[1]):
                target[0, k, lane] = targets[sample, k]
        lengths[lane] = n
        for t in range(n):
            for f in range(len(mean)):
                value = (values[start + t, f] - mean[f]) * inverse_scale[f]
                inputs[t, f, lane] = value
        for t in range(n, n_steps):
            for f in range(len(mean)):
                inputs[t, f, lane] = 0.0
