"""From the states at every step to one vector for each sequence.

Sequences may come in pieces: what is known of the pieces before stays in the buffers,
and the first piece, before which no steps were done, begins anew.
"""

import math

import numpy as np

from skrnn._jit import kernel
from skrnn.lanes import by_lane
from skrnn.layers._base import Buffers, Layer
from skrnn.parameters import aligned_zeros
from skrnn.products import clear
from skrnn.simd import by_row


class _Pooling(Layer):
    pools = True
    takes_pairs = False

    def __init__(self, n_inputs):
        self.n_inputs = self.n_outputs = n_inputs

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of a shard."""
        names = ["output", "d_output"] if training else ["output"]
        return Buffers(
            n_input_rows=lanes.for_sequences.n_rows(self.n_inputs),
            **{name: lanes.rows(1, self.n_outputs) for name in names},
        )


class LastStep(_Pooling):
    """The output at each sequence's own last step."""

    takes_pairs = True

    def forward(self, calls, packed, x, buffers, shard):
        """Pick the last step of each lane."""
        last = by_lane(buffers.output)
        calls.add(_gather, last, by_row(x), shard.lengths, shard.n_steps, self.n_inputs)

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Let the gradient enter at the last step of each lane."""
        calls.add(clear, d_x, shard.n_steps, buffers.n_input_rows)
        d_last = by_lane(buffers.d_output)
        calls.add(
            _scatter, by_row(d_x), d_last, shard.lengths, shard.n_steps, self.n_inputs
        )


class Mean(_Pooling):
    """The mean over each sequence's own steps."""

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of a shard."""
        buffers = super().allocate(n_steps, lanes, training)
        buffers.sums = lanes.rows(1, self.n_outputs)
        buffers.counts = aligned_zeros((1, 1, lanes.n_samples), lanes.dtype)
        return buffers

    def states(self, buffers):
        """Return the sums so far, and of how many steps."""
        return [by_lane(buffers.sums), buffers.counts]

    def state_sizes(self):
        """Return how many rows each of these states has."""
        return [self.n_inputs, 1]

    def forward(self, calls, packed, x, buffers, shard):
        """Go on summing."""
        calls.add(
            _mean,
            by_lane(buffers.output),
            by_lane(buffers.sums),
            buffers.counts,
            by_lane(x),
            shard.lengths,
            shard.n_steps,
            self.n_inputs,
        )

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Share out the gradient among the steps."""
        calls.add(
            _mean_backward,
            by_lane(d_x),
            by_lane(buffers.d_output),
            shard.lengths,
            shard.n_steps,
            self.n_inputs,
        )


class Max(_Pooling):
    """The largest number of each unit over each sequence's own steps."""

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of a shard."""
        buffers = super().allocate(n_steps, lanes, training)
        buffers.largest = lanes.rows(1, self.n_outputs)
        buffers.counts = aligned_zeros((1, 1, lanes.n_samples), lanes.dtype)
        buffers.at = np.zeros(by_lane(buffers.output).shape[1:], np.int64)
        return buffers

    def states(self, buffers):
        """Return the largest so far, and of how many steps."""
        return [by_lane(buffers.largest), buffers.counts]

    def state_sizes(self):
        """Return how many rows each of these states has."""
        return [self.n_inputs, 1]

    def forward(self, calls, packed, x, buffers, shard):
        """Go on looking for the largest."""
        calls.add(
            _max,
            by_lane(buffers.output),
            by_lane(buffers.largest),
            buffers.counts,
            buffers.at,
            by_lane(x),
            shard.lengths,
            shard.n_steps,
            self.n_inputs,
        )

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Let the gradient enter where the largest was."""
        calls.add(clear, d_x, shard.n_steps, buffers.n_input_rows)
        d_output = by_lane(buffers.d_output)
        calls.add(
            _max_backward,
            by_lane(d_x),
            d_output,
            buffers.at,
            shard.lengths,
            self.n_inputs,
        )


class Attention(_Pooling):
    """The mean weighted by a softmax of scores (Bahdanau, Cho and Bengio 2015).

    The score of a state is its product with a learned query (Yang et al. 2016, without
    their hidden layer). Training begins with a query of zeros: with the mean.
    """

    def parameter_shapes(self):
        """The query."""
        return {"query": (self.n_inputs,)}

    def initialize(self, parameters, random_state):
        """Attend to all steps alike."""
        parameters["query"][:] = 0.0

    def pack(self, calls, parameters, lanes, training):
        """Return the query as it is."""
        return parameters

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of a shard."""
        buffers = super().allocate(n_steps, lanes, training)
        n_lanes = lanes.n_samples
        buffers.sums = lanes.rows(1, self.n_outputs)
        # the largest score so far, and the sum of the exponentials relative to it
        buffers.scale = aligned_zeros((1, 2, n_lanes), lanes.dtype)
        buffers.shrink = aligned_zeros((n_lanes,), lanes.dtype)
        buffers.weights = aligned_zeros((n_steps, n_lanes), lanes.dtype)
        if training:
            buffers.d_scores = aligned_zeros((n_steps, n_lanes), lanes.dtype)
        return buffers

    def states(self, buffers):
        """Return the weighted sums so far and their scale."""
        return [by_lane(buffers.sums), buffers.scale]

    def state_sizes(self):
        """Return how many rows each of these states has."""
        return [self.n_inputs, 2]

    def forward(self, calls, packed, x, buffers, shard):
        """Go on adding up; the weights are relative to the last piece's largest."""
        calls.add(
            _attend,
            by_lane(buffers.output),
            by_lane(buffers.sums),
            buffers.scale,
            buffers.shrink,
            buffers.weights,
            packed["query"],
            by_lane(x),
            shard.lengths,
            shard.n_steps,
        )

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Share out the gradient, through the sum and through the weights."""
        calls.add(
            _attend_backward,
            by_lane(d_x),
            gradients["query"],
            by_lane(buffers.d_output),
            by_lane(buffers.output),
            buffers.weights,
            buffers.d_scores,
            buffers.scale,
            packed["query"],
            by_lane(x),
            shard.n_steps,
        )


@kernel
def _gather(last, x, lengths, n_steps, n_units):
    units_of_row = x.shape[3]
    for k in range(n_units):
        row, unit = divmod(k, units_of_row)
        for lane in range(len(lengths)):
            if 0 <= lengths[lane] <= n_steps[0]:  # neither ended before nor going on
                t = max(lengths[lane] - 1, 0)
                last[0, k, lane] = x[t, row, lane, unit]


@kernel
def _scatter(d_x, d_last, lengths, n_steps, n_units):
    units_of_row = d_x.shape[3]
    for k in range(n_units):
        row, unit = divmod(k, units_of_row)
        for lane in range(len(lengths)):
            if 0 < lengths[lane] <= n_steps[0]:
                d_x[lengths[lane] - 1, row, lane, unit] = d_last[0, k, lane]


@kernel
def _mean(out, sums, counts, x, lengths, n_steps, n_units):
    for lane in range(len(lengths)):
        if n_steps[1] == 0:
            counts[0, 0, lane] = 0.0
        counts[0, 0, lane] += max(min(lengths[lane], n_steps[0]), 0)
    for k in range(n_units):
        if n_steps[1] == 0:
            for lane in range(len(lengths)):
                sums[0, k, lane] = 0.0
        for t in range(n_steps[0]):
            for lane in range(len(lengths)):
                sums[0, k, lane] += x[t, k, lane] if t < lengths[lane] else 0.0
        for lane in range(len(lengths)):
            out[0, k, lane] = sums[0, k, lane] / max(counts[0, 0, lane], 1.0)


@kernel
def _mean_backward(d_x, d_out, lengths, n_steps, n_units):
    for t in range(n_steps[0]):
        for k in range(n_units):
            for lane in range(len(lengths)):
                n = lengths[lane]
                d_x[t, k, lane] = d_out[0, k, lane] / n if t < n else 0.0


@kernel
def _max(out, largest, counts, at, x, lengths, n_steps, n_units):
    for k in range(n_units):
        for t in range(n_steps[0]):
            for lane in range(len(lengths)):
                begins = t == 0 and (n_steps[1] == 0 or counts[0, 0, lane] == 0.0)
                higher = begins or x[t, k, lane] > largest[0, k, lane]
                if higher and t < lengths[lane]:
                    largest[0, k, lane] = x[t, k, lane]
                    at[k, lane] = t
        for lane in range(len(lengths)):
            out[0, k, lane] = largest[0, k, lane]
    for lane in range(len(lengths)):
        before = 0.0 if n_steps[1] == 0 else counts[0, 0, lane]
        counts[0, 0, lane] = before + max(min(lengths[lane], n_steps[0]), 0)


@kernel
def _max_backward(d_x, d_out, at, lengths, n_units):
    for k in range(n_units):
        for lane in range(len(lengths)):
            if lengths[lane] > 0:
                d_x[at[k, lane], k, lane] = d_out[0, k, lane]


@kernel
def _attend(out, sums, scale, shrink, weights, query, x, lengths, n_steps):
    """Rescale what was summed whenever a larger score appears."""
    n_lanes = len(lengths)
    for t in range(n_steps[0]):
        for lane in range(n_lanes):
            weights[t, lane] = 0.0
        for k in range(len(query)):
            for lane in range(n_lanes):
                weights[t, lane] += query[k] * x[t, k, lane]
    for lane in range(n_lanes):
        n = min(lengths[lane], n_steps[0])
        before = 0.0 if n_steps[1] == 0 else scale[0, 1, lane]
        largest = scale[0, 0, lane]
        for t in range(n):
            if weights[t, lane] > largest or (t == 0 and before == 0.0):
                largest = weights[t, lane]
        kept = math.exp(scale[0, 0, lane] - largest) if before > 0.0 else 0.0
        total = before * kept
        for t in range(n_steps[0]):
            weight = math.exp(weights[t, lane] - largest) if t < n else 0.0
            weights[t, lane] = weight
            total += weight
        shrink[lane] = kept
        scale[0, 0, lane], scale[0, 1, lane] = largest, total
    for k in range(len(query)):
        for lane in range(n_lanes):
            # 0 times what overflowed in another sample would be no number
            before = sums[0, k, lane]
            sums[0, k, lane] = before * shrink[lane] if shrink[lane] > 0.0 else 0.0
    for t in range(n_steps[0]):
        for k in range(len(query)):
            for lane in range(n_lanes):
                sums[0, k, lane] += weights[t, lane] * x[t, k, lane]
    for k in range(len(query)):
        for lane in range(n_lanes):
            total = scale[0, 1, lane]
            out[0, k, lane] = sums[0, k, lane] / total if total > 0.0 else 0.0


@kernel
def _attend_backward(
    d_x, d_query, d_out, out, weights, d_scores, scale, query, x, n_steps
):
    n_lanes = out.shape[2]
    for t in range(n_steps[0]):
        for lane in range(n_lanes):
            total = scale[0, 1, lane]
            weights[t, lane] = weights[t, lane] / total if total > 0.0 else 0.0
            d_scores[t, lane] = 0.0
        for k in range(len(query)):
            for lane in range(n_lanes):
                change = x[t, k, lane] - out[0, k, lane]
                d_scores[t, lane] += d_out[0, k, lane] * change
        for lane in range(n_lanes):
            d_scores[t, lane] *= weights[t, lane]
        for k in range(len(query)):
            slope = 0.0
            for lane in range(n_lanes):
                slope += d_scores[t, lane] * x[t, k, lane]
                d_x[t, k, lane] = (
                    weights[t, lane] * d_out[0, k, lane] + d_scores[t, lane] * query[k]
                )
            d_query[k] += slope
