"""Attention from each step of one sequence to all steps of another.

The scores of the steps of the memory go through a softmax, and the context is the mean
of these steps with such weights. Each lane has a memory of its own, with a length of
its own.
"""

import math

import numpy as np

from skrnn._jit import kernel
from skrnn.activations import exp, tanh
from skrnn.lanes import by_lane
from skrnn.layers._base import Buffers, add_over_lanes
from skrnn.layers._moves import add
from skrnn.layers.dense import Dense
from skrnn.simd import get, maximum, put


class DotAttention:
    """Scores ``s W m``, of a state s and a step m of the memory.

    These are the "general" scores of Luong, Pham and Manning (2015); the matrix lets
    the two differ in size.

    Parameters
    ----------
    n_memory, n_states : int
        Sizes of a step of the memory and of a state.
    """

    def __init__(self, n_memory, n_states):
        self.n_memory = n_memory
        self.n_states = n_states
        # a bias would raise the scores of all steps alike
        self._layers = {"memory": Dense(n_memory, n_states, has_bias=False)}

    def parameter_shapes(self):
        """Those of the maps."""
        return {
            f"{name}_{own}": shape
            for name, layer in self._layers.items()
            for own, shape in layer.parameter_shapes().items()
        }

    def flops(self):
        """Return the multiply-adds of the maps of a step."""
        return sum(layer.flops() for layer in self._layers.values())

    def _own(self, parameters, name):
        """Return the parameters of a map by their own names."""
        shapes = self._layers[name].parameter_shapes()
        return {own: parameters[f"{name}_{own}"] for own in shapes}

    def initialize(self, parameters, random_state):
        """Let the maps do it."""
        for name, layer in self._layers.items():
            layer.initialize(self._own(parameters, name), random_state)

    def pack(self, calls, parameters, lanes, training):
        """Let the maps do it."""
        return {
            name: layer.pack(calls, self._own(parameters, name), lanes, training)
            for name, layer in self._layers.items()
        }

    def allocate_both(self, n_steps, n_label_steps, lanes, training):
        """Return the buffers for so many steps of the memory, and of the states."""
        buffers = Buffers(
            output=lanes.rows(n_label_steps, self.n_memory),
            weights=lanes.rows(n_label_steps, n_steps),
            memory=self._layers["memory"].allocate(n_steps, lanes, training),
        )
        if training:
            buffers.d_output = lanes.rows(n_label_steps, self.n_memory)
            buffers.d_weights = lanes.rows(n_label_steps, n_steps)
            buffers.d_x = lanes.rows(n_steps, self.n_memory)
        return buffers

    def read(self, calls, packed, x, buffers, shard):
        """Map the memory `x`, whose shard this is."""
        memory = self._layers["memory"]
        memory.forward(calls, packed["memory"], x, buffers.memory, shard)

    def forward(self, calls, packed, x, states, buffers, shard):
        """Fill the output: the contexts of all states."""
        n_both, weights = (shard.labels.n_steps, shard.n_steps), buffers.weights
        self._score(calls, packed, states, buffers, shard)
        calls.add(_softmax, weights, by_lane(weights), shard.lengths, *n_both)
        calls.add(_mix, buffers.output, weights, x, *n_both, self.n_memory)

    def _score(self, calls, packed, states, buffers, shard):
        calls.add(
            _score_products,
            buffers.weights,
            states,
            buffers.memory.output,
            shard.labels.n_steps,
            shard.n_steps,
            self.n_states,
        )

    def backward(
        self, calls, packed, x, states, buffers, gradients, d_x, d_states, shard
    ):
        """Add to the gradients; fill `d_x` and `d_states`."""
        n_both = shard.labels.n_steps, shard.n_steps
        d_weights, weights, n = buffers.d_weights, buffers.weights, self.n_memory
        d_output = buffers.d_output
        calls.add(_mix_back, d_x, weights, d_output, *n_both, n)
        calls.add(_score_products, d_weights, d_output, x, *n_both, n)
        calls.add(_through_softmax, d_weights, weights, *n_both)
        self._scores_backward(
            calls, packed, states, buffers, gradients, d_states, shard
        )
        self._layers["memory"].backward(
            calls,
            packed["memory"],
            x,
            buffers.memory,
            self._own(gradients, "memory"),
            buffers.d_x,
            shard,
        )
        calls.add(add, by_lane(d_x), by_lane(buffers.d_x), n, shard.n_steps)

    def _scores_backward(
        self, calls, packed, states, buffers, gradients, d_states, shard
    ):
        """From the gradient of the scores to those of the mapped memory and states."""
        n_both = shard.labels.n_steps, shard.n_steps
        d_scores, memory, n = buffers.d_weights, buffers.memory, self.n_states
        calls.add(_mix, d_states, d_scores, memory.output, *n_both, n)
        calls.add(_mix_back, memory.d_output, d_scores, states, *n_both, n)


class AdditiveAttention(DotAttention):
    """Scores ``v tanh(W m + U s + b)`` (Bahdanau, Cho and Bengio 2015)."""

    def __init__(self, n_memory, n_states):
        super().__init__(n_memory, n_states)
        self._layers["states"] = Dense(n_states, n_states)

    def parameter_shapes(self):
        """Those of the maps, and the query v."""
        return super().parameter_shapes() | {"query": (self.n_states,)}

    def flops(self):
        """Return the multiply-adds of the maps of a step."""
        return super().flops() + self.n_states

    def initialize(self, parameters, random_state):
        """Let the maps do it; the query is as those of an output would be."""
        super().initialize(parameters, random_state)
        limit = math.sqrt(6.0 / (self.n_states + 1))
        query = parameters["query"]
        query[:] = random_state.uniform(-limit, limit, query.shape)

    def pack(self, calls, parameters, lanes, training):
        """Let the maps do it; the query is read as it is."""
        packed = super().pack(calls, parameters, lanes, training)
        return packed | {"query": parameters["query"]}

    def allocate_both(self, n_steps, n_label_steps, lanes, training):
        """Return the buffers for so many steps of the memory, and of the states."""
        buffers = super().allocate_both(n_steps, n_label_steps, lanes, training)
        buffers.states = self._layers["states"].allocate(n_label_steps, lanes, training)
        if training:
            buffers.d_query = lanes.rows(1, self.n_states)
        return buffers

    def _score(self, calls, packed, states, buffers, shard):
        labels = shard.labels
        self._layers["states"].forward(
            calls, packed["states"], states, buffers.states, labels
        )
        calls.add(
            _score_sums,
            buffers.weights,
            buffers.states.output,
            buffers.memory.output,
            packed["query"],
            labels.n_steps,
            shard.n_steps,
        )

    def _scores_backward(
        self, calls, packed, states, buffers, gradients, d_states, shard
    ):
        calls.add(
            _score_sums_backward,
            buffers.d_weights,
            buffers.states.output,
            buffers.memory.output,
            packed["query"],
            buffers.states.d_output,
            buffers.memory.d_output,
            buffers.d_query,
            shard.labels.n_steps,
            shard.n_steps,
        )
        calls.add(add_over_lanes, gradients["query"], by_lane(buffers.d_query)[0])
        self._layers["states"].backward(
            calls,
            packed["states"],
            states,
            buffers.states,
            self._own(gradients, "states"),
            d_states,
            shard.labels,
        )


@kernel
def _score_products(out, a, b, n_a, n_b, n_units):
    """``out[t, s] = sum of a[t, k] b[s, k]``."""
    for t in range(n_a[0]):
        for s in range(n_b[0]):
            total = get(a, t, 0) * get(b, s, 0)
            for k in range(1, n_units):
                total = total + get(a, t, k) * get(b, s, k)
            put(out, t, s, total)


@kernel
def _softmax(scores, in_lanes, lengths, n_steps, n_memory_steps):
    """Turn the scores of each memory's own steps into weights; others have none."""
    n, lowest = n_memory_steps[0], np.finfo(scores.dtype).min
    for t in range(n_steps[0]):
        for lane in range(len(lengths)):
            for s in range(lengths[lane], n):
                in_lanes[t, s, lane] = 0.5 * lowest
        largest = get(scores, t, 0)
        for s in range(1, n):
            largest = maximum(get(scores, t, s), largest)
        total = 0.0 * largest
        for s in range(n):
            weight = exp(get(scores, t, s) - largest)
            put(scores, t, s, weight)
            total = total + weight
        for s in range(n):
            put(scores, t, s, get(scores, t, s) / total)


@kernel
def _through_softmax(d, weights, n_steps, n_memory_steps):
    """Replace the gradient of the weights by that of the scores."""
    for t in range(n_steps[0]):
        total = get(d, t, 0) * get(weights, t, 0)
        for s in range(1, n_memory_steps[0]):
            total = total + get(d, t, s) * get(weights, t, s)
        for s in range(n_memory_steps[0]):
            put(d, t, s, get(weights, t, s) * (get(d, t, s) - total))


@kernel
def _mix(out, weights, x, n_steps, n_memory_steps, n_units):
    """``out[t, k] = sum of weights[t, s] x[s, k]``."""
    for t in range(n_steps[0]):
        for k in range(n_units):
            total = get(weights, t, 0) * get(x, 0, k)
            for s in range(1, n_memory_steps[0]):
                total = total + get(weights, t, s) * get(x, s, k)
            put(out, t, k, total)


@kernel
def _mix_back(out, weights, x, n_steps, n_memory_steps, n_units):
    """``out[s, k] = sum of weights[t, s] x[t, k]``."""
    for s in range(n_memory_steps[0]):
        for k in range(n_units):
            total = get(weights, 0, s) * get(x, 0, k)
            for t in range(1, n_steps[0]):
                total = total + get(weights, t, s) * get(x, t, k)
            put(out, s, k, total)


@kernel
def _score_sums(out, states, memory, query, n_steps, n_memory_steps):
    """``out[t, s] = sum of query[k] tanh(states[t, k] + memory[s, k])``."""
    for t in range(n_steps[0]):
        for s in range(n_memory_steps[0]):
            total = query[0] * tanh(get(states, t, 0) + get(memory, s, 0))
            for k in range(1, len(query)):
                term = tanh(get(states, t, k) + get(memory, s, k))
                total = total + query[k] * term
            put(out, t, s, total)


@kernel
def _score_sums_backward(
    d_scores, states, memory, query, d_states, d_memory, d_query, n_steps, n_memory
):
    """Fill the gradients; that of the query is of each lane by itself."""
    for k in range(len(query)):
        put(d_query, 0, k, 0.0)
        for s in range(n_memory[0]):
            put(d_memory, s, k, 0.0)
        for t in range(n_steps[0]):
            put(d_states, t, k, 0.0)
            for s in range(n_memory[0]):
                d = get(d_scores, t, s)
                term = tanh(get(states, t, k) + get(memory, s, k))
                put(d_query, 0, k, get(d_query, 0, k) + d * term)
                d = d * query[k] * (1.0 - term * term)
                put(d_states, t, k, get(d_states, t, k) + d)
                put(d_memory, s, k, get(d_memory, s, k) + d)
