"""The network: a stack of layers over one flat vector of parameters."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from skrnn._jit import kernel
from skrnn.activations import ACTIVATIONS
from skrnn.cells import CELLS
from skrnn.lanes import by_lane
from skrnn.layers import Dense, LastStep, RecurrentLayer, Shard
from skrnn.parameters import ParameterLayout, aligned_zeros
from skrnn.recording import Recording, run
from skrnn.simd import by_row


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

    Attributes
    ----------
    may_overflow : bool
        Whether the states of a layer may be infinite.
    has_even_layers : bool
        Whether each recurrent layer has an even number of units.
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
        self.may_overflow = any(layer.may_overflow for layer in self.layers.values())
        self.has_even_layers = all(size % 2 == 0 for size in hidden_layer_sizes)
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
    lanes : SamplesInLanes or UnitsInLanes
    training : bool
        Whether a backward pass is to be possible.
    """

    def __init__(self, network, parameters, lanes, training):
        self.parameters = parameters
        self.lanes = lanes
        self.calls = Recording()
        layers, views = (
            network.layers.values(),
            network.parameters_of_layers(parameters),
        )
        self.of_layers = [
            layer.pack(self.calls, view, lanes, training)
            for layer, view in zip(layers, views, strict=True)
        ]
        self._program = self.calls.program()
        self.refresh()

    def refresh(self):
        """Pack the parameters as they are now."""
        run(self._program)


@dataclass
class Samples:
    """Some samples, one after the other, ready to be loaded into lanes.

    Attributes
    ----------
    values : ndarray of shape (n_steps_total, n_channels)
        The steps of all samples.
    starts, lengths : ndarray of shape (n_samples,)
        Where each begins and how many steps it has.
    targets : ndarray of shape (n_samples, n_targets)
    weights : ndarray of shape (n_samples,)
    """

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray
    weights: np.ndarray

    @classmethod
    def take(cls, data, rows, dtype, targets=None, weights=None):
        """Gather the rows of a data set."""
        lengths = data.lengths[rows]
        starts = lengths.cumsum() - lengths
        values = data.take(rows)
        if values.dtype != dtype:
            if np.abs(values).max() > np.finfo(dtype).max:
                raise ValueError(
                    f"X has values too large for {dtype}, which the network was "
                    "fitted with."
                )
            values = values.astype(dtype)
        if targets is not None:
            targets, weights = targets[rows], weights[rows]
        return cls(values, starts, lengths, targets, weights)


class Workspace:
    """The buffers of one thread: those of every layer, for one shard at a time.

    Parameters
    ----------
    network : Network
    packed : PackedParameters
    n_steps : int
        The steps that the buffers take.
    training : bool
        Whether there is to be a backward pass.

    Attributes
    ----------
    x : ndarray of shape (n_steps, rows, samples, units of a row)
        The inputs, which `load` fills, and `shard` with them.
    raw : ndarray of shape (1, rows, lanes)
        The raw predictions, which running `program` fills.
    """

    def __init__(self, network, packed, n_steps, training):
        lanes = packed.lanes
        self.shard = Shard(np.zeros(lanes.n_samples, np.int64), np.zeros(3, np.int64))
        layers = network.layers.values()
        buffers = [layer.allocate(n_steps, lanes, training) for layer in layers]
        x = lanes.for_sequences.rows(n_steps, network.n_inputs)
        below = [x, *(b.output for b in buffers)]
        d_below = [None, *(b.d_output for b in buffers)]
        self._stack = list(
            zip(
                layers, packed.of_layers, below[:-1], buffers, d_below[:-1], strict=True
            )
        )
        self.x, self.raw = by_row(x), by_lane(below[-1])
        self._calls = Recording()
        for layer, weights, x, own, _ in self._stack:
            layer.forward(self._calls, weights, x, own, self.shard)


class PredictionWorkspace(Workspace):
    """What predicts; sequences may have more steps than the buffers take.

    Attributes
    ----------
    reset, carry : ndarray
        Programs to run before a shard, and between two pieces of its steps.
    """

    def __init__(self, network, packed, n_steps):
        super().__init__(network, packed, n_steps, training=False)
        self._reset_calls, self._carry_calls = Recording(), Recording()
        for layer, _, _, buffers, _ in self._stack:
            layer.reset(self._reset_calls, buffers)
            layer.carry(self._carry_calls, buffers, self.shard)
        self.program = self._calls.program()
        self.reset = self._reset_calls.program()
        self.carry = self._carry_calls.program()


class TrainingWorkspace(Workspace):
    """What learns.

    Parameters
    ----------
    network : Network
    packed : PackedParameters
    n_steps, n_targets : int
        The steps that the buffers take, and the targets of a sample.
    loss : callable
        A function of `skrnn.losses`.
    levels : ndarray
        Parameters of the loss.

    Attributes
    ----------
    target, weight : ndarray of shape (1, rows, lanes)
        What `load_targets` fills.
    gradient : ndarray of shape (n_parameters,)
        To which running `program` adds; it returns the loss.
    """

    def __init__(self, network, packed, n_steps, n_targets, loss, levels):
        super().__init__(network, packed, n_steps, training=True)
        lanes = packed.lanes
        self.target = aligned_zeros((1, n_targets, lanes.n_samples), lanes.dtype)
        # float64: tiny and huge weights are fine, only their ratios matter
        self.weight = np.zeros((1, 1, lanes.n_samples))
        self.gradient = aligned_zeros((network.layout.size,), lanes.dtype)
        d_raw = by_lane(self._stack[-1][3].d_output)
        self._calls.add(loss, self.raw, d_raw, self.target, self.weight, levels)
        gradients = network.parameters_of_layers(self.gradient)
        for (layer, weights, x, buffers, d_x), gradient in zip(
            reversed(self._stack), reversed(gradients), strict=True
        ):
            layer.backward(self._calls, weights, x, buffers, gradient, d_x, self.shard)
        self.program = self._calls.program()


@kernel
def load(values, starts, lengths, mean, inverse_scale, first, last, x, held, n_steps):
    """Bring the samples from `first` to `last` into the lanes of x, standardized.

    Their first ``n_steps[1]`` steps are left out, and what x has no room for. `held`
    gets the steps that each sample has left, ``n_steps[0]`` how many of them there are
    in x, and ``n_steps[2]`` the number of samples. A lane without a sample has 0
    left, and -1 in the pieces after the first, as one whose sample has ended before.
    """
    done = n_steps[1]
    largest, units_of_row = np.finfo(x.dtype).max, x.shape[3]
    longest = 0
    for i in range(first, last):
        longest = max(longest, lengths[i])
    n_steps[0] = min(longest - done, len(x))
    n_steps[2] = last - first
    for lane in range(len(held)):
        i = first + lane
        left = lengths[i] - done if i < last else 0
        if left <= 0 and done > 0:
            left = -1
        held[lane] = left
        n = max(min(left, n_steps[0]), 0)
        start = starts[i] + done if n > 0 else 0
        row = unit = 0
        for f in range(len(mean)):
            shift, scale = mean[f], inverse_scale[f]
            for t in range(n):
                value = (values[start + t, f] - shift) * scale
                # 0 times infinity would spoil lanes without a unit, and gradients
                x[t, row, lane, unit] = min(max(value, -largest), largest)
            for t in range(n, n_steps[0]):
                x[t, row, lane, unit] = 0.0
            unit += 1
            if unit == units_of_row:
                row, unit = row + 1, 0


@kernel
def load_targets(targets, weights, scale, first, last, target, weight):
    """Bring targets, and weights times `scale`, into the lanes of the samples."""
    for lane in range(weight.shape[2]):
        i = first + lane
        weight[0, 0, lane] = weights[i] * scale if i < last else 0.0
        for k in range(target.shape[1]):
            target[0, k, lane] = targets[i, k] if i < last else 0.0
