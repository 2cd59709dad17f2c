"""The network: a stack of layers over one flat vector of parameters."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from skrnn._jit import kernel
from skrnn.architecture import NO_NOISE
from skrnn.lanes import by_lane
from skrnn.layers import Buffers, Labels, Layer, Shard
from skrnn.losses import Objective
from skrnn.parameters import ParameterLayout, aligned_zeros
from skrnn.recording import Recording, run
from skrnn.simd import by_row
from skrnn.stack import build_layers, noise_in


class Network:
    """Layers from the inputs to the raw predictions, of each sample or of each step.

    Parameters
    ----------
    architecture : Architecture
    noise : Noise
        Disturbs the network in training; what predicts has none.

    Attributes
    ----------
    layers : dict of str to Layer
    layout : ParameterLayout
        On which the noise has no influence.
    per_step : bool
        Whether there is a raw prediction for each step.
    turns : bool
        Whether these steps are those of the targets, not of the inputs.
    may_overflow : bool
        Whether the states of a layer may be infinite.
    takes_pairs : bool
        Whether rows of all layers may hold two units of a sequence.
    is_causal : bool
        Whether no state depends on later steps.
    is_noisy : bool
    """

    def __init__(self, architecture, noise=NO_NOISE):
        self.n_inputs = architecture.n_inputs
        noise = noise_in(architecture, noise)
        self.layers = build_layers(architecture, noise)
        layers = self.layers.values()
        *_, top = layers
        self.n_outputs = top.n_outputs
        self.per_step = architecture.pooling is None
        self.turns = any(layer.turns for layer in layers)
        self.may_overflow = any(layer.may_overflow for layer in layers)
        self.is_causal = all(layer.is_causal for layer in layers)
        self.takes_pairs = all(layer.takes_pairs for layer in layers)
        self.takes_pairs &= not self.per_step
        self.is_noisy = noise != NO_NOISE
        self.layout = ParameterLayout(
            {
                f"{place}.{name}": shape
                for place, layer in self.layers.items()
                for name, shape in layer.parameter_shapes().items()
            }
        )

    def parameters_of_layers(self, flat):
        """Return for each layer a dict of views into a flat vector.

        What a layer borrows is among them.
        """
        views = self.layout.views(flat)
        return [
            {name: views[f"{place}.{name}"] for name in layer.parameter_shapes()}
            | {name: views[borrowed] for name, borrowed in layer.borrows.items()}
            for place, layer in self.layers.items()
        ]

    def initialize(self, flat, random_state):
        """Fill a flat vector with the parameters before training."""
        layers = zip(self.layers.values(), self.parameters_of_layers(flat), strict=True)
        for layer, parameters in layers:
            layer.initialize(parameters, random_state)

    def flops(self, n_steps, n_label_steps=None):
        """Multiply-adds of a forward pass over so many steps: a measure of the work.

        Where the network turns, `n_label_steps` are the steps of the targets; None
        means as many.
        """
        total, steps = 0, n_steps
        for layer in self.layers.values():
            if layer.turns and n_label_steps is not None:
                steps = n_label_steps
            total += steps * layer.flops()
        return total


@lru_cache(maxsize=32)
def network_of(architecture, noise=NO_NOISE):
    """Return the `Network` with these arguments; it holds no arrays and is shared."""
    return Network(architecture, noise)


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
    targets, weights : ndarray of shape (n_targets_total, n_targets) or (..., 1)
        Of each sample, or of each of its steps.
    target_starts, target_lengths : ndarray of shape (n_samples,)
        Where those of each sample begin, and how many there are.
    """

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray | None = None
    weights: np.ndarray | None = None
    target_starts: np.ndarray | None = None
    target_lengths: np.ndarray | None = None

    @classmethod
    def take(cls, data, rows, dtype, targets=None, weights=None):
        """Gather the rows of data sets: of the inputs, the targets and the weights."""
        lengths = data.lengths[rows]
        values = data.take(rows)
        if values.dtype != dtype:
            if np.abs(values).max() > np.finfo(dtype).max:
                raise ValueError(
                    f"X has values too large for {dtype}, which the network was "
                    "fitted with."
                )
            values = values.astype(dtype)
        inputs = values, lengths.cumsum() - lengths, lengths
        if targets is None:
            return cls(*inputs)
        n = targets.lengths[rows]
        return cls(*inputs, targets.take(rows), weights.take(rows), n.cumsum() - n, n)


_NOTHING = Recording()


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
    input_gradient : bool
        Whether that is to reach the inputs.
    labels : Labels, default=None
        What the network reads beside the inputs, or the loss compares with.

    Attributes
    ----------
    x : ndarray of shape (n_steps, rows, samples, units of a row)
        The inputs, which `load` fills, and `shard` with them.
    raw : ndarray of shape (1 or n_steps, rows, lanes)
        The raw predictions, which running `program` fills.
    predicted : Shard
        That of the raw predictions: `shard`, its labels, or one of single steps.
    """

    def __init__(
        self, network, packed, n_steps, training, input_gradient=False, labels=None
    ):
        lanes = packed.lanes
        n_samples = lanes.n_samples
        noise = labels.noise if labels else np.zeros(2, np.int64)
        sizes = np.zeros(n_samples, np.int64), np.zeros(3, np.int64)
        self.shard = Shard(*sizes, noise, labels)
        single = Shard(np.ones(n_samples, np.int64), np.array([1, 0, n_samples]), noise)
        x = lanes.for_sequences.rows(n_steps, network.n_inputs)
        self.d_x = np.zeros_like(x) if input_gradient else None
        self.stack = []
        shard, steps, below, d_below = self.shard, n_steps, x, self.d_x
        for layer, weights in zip(
            network.layers.values(), packed.of_layers, strict=True
        ):
            if layer.turns:
                buffers = layer.allocate_both(steps, labels.room, lanes, training)
            else:
                buffers = layer.allocate(steps, lanes, training)
            self.stack.append(Place(layer, weights, below, d_below, buffers, shard))
            below, d_below = buffers.output, buffers.d_output
            if layer.pools:
                shard, steps = single, 1
            elif layer.turns:
                shard, steps = labels, labels.room
        self.predicted = shard
        self.x, self.raw = by_row(x), by_lane(below)

    def _record_forward(self, calls, first=0, last=None):
        for place in self.stack[first:last]:
            place.layer.forward(
                calls, place.packed, place.x, place.buffers, place.shard
            )

    def _record_reset(self, calls):
        for place in self.stack:
            place.layer.reset(calls, place.packed, place.buffers)

    def _record_carry(self, calls):
        for place in self.stack:
            place.layer.carry(calls, place.buffers, place.shard)


@dataclass
class Place:
    """A layer with its parameters, packed, and with the buffers around it."""

    layer: Layer
    packed: dict
    x: np.ndarray
    d_x: np.ndarray | None
    buffers: Buffers
    shard: Shard


class KeptStates:
    """The states of some layers in a plain array, a row for each lane.

    Parameters
    ----------
    places : list of Place
    lanes : SamplesInLanes or UnitsInLanes

    Attributes
    ----------
    array : ndarray of shape (lanes, n_states)
    """

    def __init__(self, places, lanes):
        self._buffers = [
            pair
            for place in places
            for pair in zip(
                place.layer.states(place.buffers),
                place.layer.state_sizes(),
                strict=True,
            )
        ]
        n_states = sum(n_rows for _, n_rows in self._buffers)
        self.array = aligned_zeros((lanes.n_samples, n_states), lanes.dtype)

    def record(self, calls, move):
        """Record that all are moved, by `bring_in` or `bring_out`."""
        first = 0
        for states, n_rows in self._buffers:
            calls.add(move, states, self.array, first, n_rows)
            first += n_rows


@kernel
def bring_in(states, kept, first, n_rows):
    """Set the states of a layer before its first step."""
    for k in range(n_rows):
        for lane in range(states.shape[2]):
            states[0, k, lane] = kept[lane, first + k]


@kernel
def bring_out(states, kept, first, n_rows):
    """Keep the states of a layer before its first step."""
    for k in range(n_rows):
        for lane in range(states.shape[2]):
            kept[lane, first + k] = states[0, k, lane]


class PredictionWorkspace(Workspace):
    """What predicts; sequences may have more steps than the buffers take.

    Attributes
    ----------
    reset, carry : ndarray
        Programs to run before a shard, and between two pieces of its steps.
    """

    def __init__(self, network, packed, n_steps):
        super().__init__(network, packed, n_steps, training=False)
        # kept alive by the workspace, as programs need
        self._calls, self._reset_calls, self._carry_calls = (
            Recording() for _ in range(3)
        )
        self._record_forward(self._calls)
        self._record_reset(self._reset_calls)
        self._record_carry(self._carry_calls)
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
    loss : callable or Objective
        Of `skrnn.losses`.
    levels : ndarray
        Parameters of the loss.
    input_gradient : bool
        Whether `d_x` gets the gradient with respect to the inputs.
    adversarial_eps : float
        If positive, the loss is half of that for the inputs as they are, and half of
        that for inputs moved so far, channel by channel, in the direction that raises
        it: the fast gradient sign method (Goodfellow, Shlens and Szegedy 2015).

    n_label_steps : int, default=0
        If positive, the targets have steps of their own, and buffers take so many.
    feedback : ndarray of shape (1,), default=None
        The share of targets that the network reads which give way to its predictions,
        see `Decoder.feed_back`; read whenever `program` is run.

    Attributes
    ----------
    target, weight : ndarray of shape (1 or n_steps, rows, lanes)
        What `load_targets` fills.
    targets : Shard
        That of the targets: `predicted`, or labels with lengths of their own.
    gradient : ndarray of shape (n_parameters,)
        To which running `program` adds; it returns the loss.
    gradients : list of dict of str to ndarray
        Views into it, for each layer.
    reset, carry : ndarray
        Programs that do nothing, but for `record_pieces`.
    """

    def __init__(
        self,
        network,
        packed,
        n_steps,
        n_targets,
        loss,
        levels,
        input_gradient=False,
        adversarial_eps=0.0,
        n_label_steps=0,
        feedback=None,
    ):
        input_gradient = input_gradient or adversarial_eps > 0.0
        lanes = packed.lanes
        labels = None
        if n_label_steps:
            labels = _labels(lanes, n_label_steps, n_targets)
        super().__init__(network, packed, n_steps, True, input_gradient, labels)
        self.targets = labels or self.predicted
        if labels:
            self.target = labels.target
        else:
            shape = len(self.raw), n_targets, lanes.n_samples
            self.target = aligned_zeros(shape, lanes.dtype)
        # float64: tiny and huge weights are fine, only their ratios matter
        self.weight = np.zeros((len(self.target), 1, lanes.n_samples))
        self.gradient = aligned_zeros((network.layout.size,), lanes.dtype)
        self.gradients = network.parameters_of_layers(self.gradient)
        self._calls = calls = Recording()
        for place in self.stack:  # parameters that may have changed
            if place.layer.learn_initial_state:
                place.layer.reset(calls, place.packed, place.buffers)
        if adversarial_eps > 0.0:
            calls.add(_halve, self.weight)
        first = self._record_feed(calls, network, feedback) if network.turns else 0
        self._record_forward(calls, first)
        self._record_backward(calls, loss, levels)
        if adversarial_eps > 0.0:
            eps = np.array([adversarial_eps], lanes.dtype)
            calls.add(_move_uphill, self.x, by_row(self.d_x), eps, self.shard.n_steps)
            self._record_forward(calls)
            self._record_backward(calls, loss, levels)
        self.program = calls.program()
        self.reset = self.carry = _NOTHING.program()

    def _record_feed(self, calls, network, feedback):
        """Let the network read the targets, or in part what it predicts of them.

        Return the number of the layer from which the forward pass remains to be done.
        """
        turn = next(i for i, place in enumerate(self.stack) if place.layer.turns)
        layer, buffers = self.stack[turn].layer, self.stack[turn].buffers
        labels = self.shard.labels
        layer.feed(calls, buffers, labels)
        if feedback is None:
            return 0
        self._record_forward(calls)
        raw, n = self.raw, network.n_outputs
        layer.feed_back(calls, raw, n, feedback, buffers, labels)
        return turn

    def record_pieces(self):
        """Make `reset` and `carry`, programs as in `PredictionWorkspace`."""
        self._reset_calls, self._carry_calls = Recording(), Recording()
        self._record_reset(self._reset_calls)
        self._record_carry(self._carry_calls)
        self.reset = self._reset_calls.program()
        self.carry = self._carry_calls.program()

    def _record_backward(self, calls, loss, levels):
        self.d_raw = by_lane(self.stack[-1].buffers.d_output)
        if isinstance(loss, Objective):
            loss.record(calls, self, levels)
        else:
            calls.add(
                loss,
                self.raw,
                self.d_raw,
                self.target,
                self.weight,
                levels,
                self.predicted.n_steps,
            )
        for place, gradient in zip(
            reversed(self.stack), reversed(self.gradients), strict=True
        ):
            place.layer.backward(
                calls,
                place.packed,
                place.x,
                place.buffers,
                gradient,
                place.d_x,
                place.shard,
            )


def _labels(lanes, n_steps, n_targets):
    """Return labels of at most so many steps."""
    n_samples = lanes.n_samples
    return Labels(
        np.zeros(n_samples, np.int64),
        np.zeros(3, np.int64),
        np.zeros(2, np.int64),
        target=aligned_zeros((n_steps, n_targets, n_samples), lanes.dtype),
        room=n_steps,
    )


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
def load_targets(
    targets, weights, starts, lengths, scale, first, last, target, weight, n_steps
):
    """Bring targets, and weights times `scale`, into the lanes of the samples.

    As in `load`, ``n_steps[1]`` of each sample are left out.
    """
    for t in range(n_steps[0]):
        for lane in range(weight.shape[2]):
            i = first + lane
            step = n_steps[1] + t
            if i < last and step < lengths[i]:
                at = starts[i] + step
                weight[t, 0, lane] = weights[at, 0] * scale
                for k in range(target.shape[1]):
                    target[t, k, lane] = targets[at, k]
            else:
                weight[t, 0, lane] = 0.0
                for k in range(target.shape[1]):
                    target[t, k, lane] = 0.0


@kernel
def measure_labels(lengths, first, last, held, n_steps):
    """Say how many targets the samples from `first` to `last` have, lane by lane."""
    longest = 0
    for lane in range(len(held)):
        held[lane] = lengths[first + lane] if first + lane < last else 0
        longest = max(longest, held[lane])
    n_steps[0], n_steps[1], n_steps[2] = longest, 0, last - first


@kernel
def _halve(weight):
    for t in range(weight.shape[0]):
        for lane in range(weight.shape[2]):
            weight[t, 0, lane] *= 0.5


@kernel
def _move_uphill(x, d_x, eps, n_steps):
    for t in range(n_steps[0]):
        for row in range(x.shape[1]):
            for lane in range(x.shape[2]):
                for unit in range(x.shape[3]):
                    x[t, row, lane, unit] += eps[0] * np.sign(d_x[t, row, lane, unit])
