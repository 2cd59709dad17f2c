"""What writes sequences from sequences that were read: the decoder."""

import numpy as np

from skrnn._jit import kernel
from skrnn.draws import draw_mask, new_states, seed
from skrnn.lanes import by_lane
from skrnn.layers._base import ONE_STEP, Buffers, Layer, Shard
from skrnn.layers._moves import add, copy
from skrnn.layers.dense import Dense
from skrnn.layers.pooling import Mean


class Decoder(Layer):
    """States at the steps of the labels, from states at the steps of the source.

    The first states are a dense map of the mean of the source's, as in Nematus
    (Sennrich et al. 2017). From there recurrent layers go on, and read at each step the
    label before it. With attention each of their outputs looks at all steps of the
    source, and is combined with the context that it finds, without feeding it back
    (Luong, Pham and Manning 2015).

    Parameters
    ----------
    n_inputs : int
        Size of the source's states.
    n_fed : int
        Channels of a label.
    begin : int or None
        The token that is read before the first label; None where labels are numbers,
        which begin with zeros.
    recurrence : dict of str to Layer
        From what is fed to the top states, by name: recurrent layers whose initial
        states are given, and what lies between them.
    attention : DotAttention, default=None
    combination : Dense, default=None
        Reads the contexts, where there are any, and the top states behind them.
    stream : int, default=0
        Tells the layer's random numbers from those of others.
    """

    takes_pairs = False
    is_causal = False
    turns = True

    def __init__(
        self,
        n_inputs,
        n_fed,
        begin,
        recurrence,
        attention=None,
        combination=None,
        stream=0,
    ):
        self.n_inputs = n_inputs
        self.n_fed = n_fed
        # what is fed before the first label
        self.begin = 0 if begin is None else begin
        self._has_tokens = begin is not None
        self.attends = attention is not None
        self._recurrence = recurrence
        self._attention = attention
        self._combination = combination
        self._stream = stream
        self.combines = combination is not None
        *_, top = recurrence.values()
        self._n_top = top.n_outputs
        self.n_outputs = combination.n_outputs if combination else top.n_outputs
        self.may_overflow = any(layer.may_overflow for layer in recurrence.values())
        self._summary = Mean(n_inputs)
        n_states = sum(self.state_sizes())
        self._layers = {
            "bridge": Dense(n_inputs, n_states, activation="tanh"),
            **recurrence,
            **({"attention": attention} if attention else {}),
            **({"combination": combination} if combination else {}),
        }

    def parameter_shapes(self):
        """Those of all parts."""
        return {
            f"{name}.{own}": shape
            for name, layer in self._layers.items()
            for own, shape in layer.parameter_shapes().items()
        }

    def flops(self):
        """Return the multiply-adds of a step."""
        return sum(layer.flops() for layer in self._layers.values())

    def _own(self, parameters, name):
        """Return the parameters of a part by their own names."""
        shapes = self._layers[name].parameter_shapes()
        return {own: parameters[f"{name}.{own}"] for own in shapes}

    def initialize(self, parameters, random_state):
        """Let each part fill its own."""
        for name, layer in self._layers.items():
            layer.initialize(self._own(parameters, name), random_state)

    def pack(self, calls, parameters, lanes, training):
        """Return what each part packs."""
        return {
            name: layer.pack(calls, self._own(parameters, name), lanes, training)
            for name, layer in self._layers.items()
        }

    def allocate_both(self, n_steps, n_label_steps, lanes, training):
        """Return the buffers of one shard of at most so many steps of both."""
        n, key = lanes.n_samples, np.zeros(2, np.int64)
        buffers = Buffers(
            fed=lanes.rows(n_label_steps, self.n_fed),
            single=Shard(np.ones(n, np.int64), np.array([1, 0, n]), key),
            summary=self._summary.allocate(n_steps, lanes, training),
            bridge=self._layers["bridge"].allocate(1, lanes, training),
            parts={
                name: layer.allocate(n_label_steps, lanes, training)
                for name, layer in self._recurrence.items()
            },
        )
        *_, top = buffers.parts.values()
        buffers.top = last = top
        if self._attention:
            buffers.attention = self._attention.allocate_both(
                n_steps, n_label_steps, lanes, training
            )
            n_joined = self._attention.n_memory + self._n_top
            last = Buffers(output=lanes.rows(n_label_steps, n_joined))
            if training:
                last.d_output = lanes.rows(n_label_steps, n_joined)
                buffers.d_states = lanes.rows(n_label_steps, self._n_top)
        buffers.joined = last
        if self._combination:
            last = self._combination.allocate(n_label_steps, lanes, training)
            buffers.combination = last
        buffers.output = last.output
        if training:
            buffers.d_output = last.d_output
            buffers.d_x = lanes.rows(n_steps, self.n_inputs)
            buffers.states = new_states(lanes)
            buffers.kept = lanes.rows(n_label_steps, 1)
        return buffers

    # --- what is fed ------------------------------------------------------------------

    def feed(self, calls, buffers, labels):
        """Take for each step the label before it (teacher forcing)."""
        fed, n_steps = by_lane(buffers.fed), labels.n_steps
        calls.add(_feed, fed, labels.target, self.begin, n_steps)

    def feed_back(self, calls, raw, n_outputs, rate, buffers, labels):
        """Replace a share of what is fed by what was predicted (Bengio et al. 2015).

        The predictions are those of a pass that was fed with labels alone, so that all
        steps are replaced at once (Mihaylova and Martins 2019).

        Parameters
        ----------
        calls : Recording
        raw : ndarray of shape (n_label_steps, rows, lanes)
            The raw predictions of that pass: of tokens, the largest is taken.
        n_outputs : int
            How many rows of them are predictions.
        rate : ndarray of shape (1,)
        buffers : Buffers
        labels : Labels
        """
        kept, n_steps = by_lane(buffers.kept), labels.n_steps
        calls.add(seed, buffers.states, labels.noise, n_steps, self._stream)
        calls.add(draw_mask, kept, n_steps, 1, rate, buffers.states)
        fed = by_lane(buffers.fed)
        if self._has_tokens:
            calls.add(_feed_tokens, fed, raw, n_outputs, kept, n_steps)
        else:
            calls.add(_feed_numbers, fed, raw, self.n_fed, kept, n_steps)

    # --- states -----------------------------------------------------------------------

    def _recurrent(self):
        """Yield the names of the recurrent layers, and the layers."""
        for name, layer in self._recurrence.items():
            if layer.state_sizes():
                yield name, layer

    def states(self, buffers):
        """Return what is carried from step to step, by lane."""
        return [
            states
            for name, layer in self._recurrent()
            for states in layer.states(buffers.parts[name])
        ]

    def state_sizes(self):
        """Return how many rows each of these states has."""
        return [n for _, layer in self._recurrent() for n in layer.state_sizes()]

    def carry(self, calls, buffers, shard):
        """Make the last state the initial one of further steps."""
        for name, layer in self._recurrent():
            layer.carry(calls, buffers.parts[name], shard.labels)

    # --- passes -----------------------------------------------------------------------

    def forward(self, calls, packed, x, buffers, shard):
        """Fill the output."""
        self.read(calls, packed, x, buffers, shard)
        self.write(calls, packed, x, buffers, shard)

    def read(self, calls, packed, x, buffers, shard):
        """Do what hangs on the source alone: the first states, and the memory."""
        summary, bridge = buffers.summary, buffers.bridge
        self._summary.forward(calls, {}, x, summary, shard)
        self._layers["bridge"].forward(
            calls, packed["bridge"], summary.output, bridge, buffers.single
        )
        given, first = by_lane(bridge.output), 0
        for states, n in zip(self.states(buffers), self.state_sizes(), strict=True):
            calls.add(copy, states, 0, given, first, n, ONE_STEP)
            first += n
        if self._attention:
            self._attention.read(
                calls, packed["attention"], x, buffers.attention, shard
            )

    def write(self, calls, packed, x, buffers, shard):
        """Go through the steps of the labels."""
        below, labels = buffers.fed, shard.labels
        for name, layer in self._recurrence.items():
            part = buffers.parts[name]
            layer.forward(calls, packed[name], below, part, labels)
            below = part.output
        if self._attention:
            attention, n = buffers.attention, self._attention.n_memory
            self._attention.forward(
                calls, packed["attention"], x, below, attention, shard
            )
            joined, context = by_lane(buffers.joined.output), by_lane(attention.output)
            calls.add(copy, joined, 0, context, 0, n, labels.n_steps)
            calls.add(copy, joined, n, by_lane(below), 0, self._n_top, labels.n_steps)
        if self._combination:
            below, combination = buffers.joined.output, buffers.combination
            self._combination.forward(
                calls, packed["combination"], below, combination, labels
            )

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add to the gradients; fill `d_x`."""
        labels = shard.labels
        if self._combination:
            self._combination.backward(
                calls,
                packed["combination"],
                buffers.joined.output,
                buffers.combination,
                self._own(gradients, "combination"),
                buffers.joined.d_output,
                labels,
            )
        if self._attention:
            self._attention_backward(calls, packed, x, buffers, gradients, d_x, shard)
        places = list(self._recurrence)
        below = [None, *(buffers.parts[name] for name in places)]
        for name, source in reversed(list(zip(places, below[:-1], strict=True))):
            self._recurrence[name].backward(
                calls,
                packed[name],
                source.output if source else buffers.fed,
                buffers.parts[name],
                self._own(gradients, name),
                source.d_output if source else None,
                labels,
            )
        self._bridge_backward(calls, packed, x, buffers, gradients, d_x, shard)

    def _attention_backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Divide the gradient of what is joined; fill `d_x` and that of the states."""
        n, n_top, labels = self._attention.n_memory, self._n_top, shard.labels
        attention, d_joined = buffers.attention, by_lane(buffers.joined.d_output)
        d_context, d_top = by_lane(attention.d_output), by_lane(buffers.top.d_output)
        calls.add(copy, d_context, 0, d_joined, 0, n, labels.n_steps)
        calls.add(copy, d_top, 0, d_joined, n, n_top, labels.n_steps)
        self._attention.backward(
            calls,
            packed["attention"],
            x,
            buffers.top.output,
            attention,
            self._own(gradients, "attention"),
            d_x,
            buffers.d_states,
            shard,
        )
        calls.add(add, d_top, by_lane(buffers.d_states), n_top, labels.n_steps)

    def _bridge_backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Bring the gradient of the first states to the source."""
        d_given, first = by_lane(buffers.bridge.d_output), 0
        for name, layer in self._recurrent():
            d_states = layer.d_states(buffers.parts[name])
            for d, n in zip(d_states, layer.state_sizes(), strict=True):
                calls.add(copy, d_given, first, d, 0, n, ONE_STEP)
                first += n
        summary = buffers.summary
        self._layers["bridge"].backward(
            calls,
            packed["bridge"],
            summary.output,
            buffers.bridge,
            self._own(gradients, "bridge"),
            summary.d_output,
            buffers.single,
        )
        d_mean = buffers.d_x if self._attention else d_x
        self._summary.backward(calls, {}, x, summary, {}, d_mean, shard)
        if self._attention:
            n = self.n_inputs
            calls.add(add, by_lane(d_x), by_lane(d_mean), n, shard.n_steps)


@kernel
def _feed(fed, target, begin, n_steps):
    for k in range(target.shape[1]):
        for lane in range(target.shape[2]):
            fed[0, k, lane] = begin
        for t in range(1, n_steps[0]):
            for lane in range(target.shape[2]):
                fed[t, k, lane] = target[t - 1, k, lane]


@kernel
def _feed_numbers(fed, raw, n_fed, kept, n_steps):
    for t in range(1, n_steps[0]):
        for k in range(n_fed):
            for lane in range(kept.shape[2]):
                if kept[t, 0, lane] == 0.0:
                    fed[t, k, lane] = raw[t - 1, k, lane]


@kernel
def _feed_tokens(fed, raw, n_tokens, kept, n_steps):
    for t in range(1, n_steps[0]):
        for lane in range(kept.shape[2]):
            if kept[t, 0, lane] == 0.0:
                best = 0
                for k in range(1, n_tokens):
                    if raw[t - 1, k, lane] > raw[t - 1, best, lane]:
                        best = k
                fed[t, 0, lane] = best
