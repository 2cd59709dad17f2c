"""Vectors that stand for tokens, which are whole numbers."""

import numpy as np

from skrnn._jit import kernel
from skrnn.lanes import by_lane
from skrnn.layers._base import Buffers, Layer


class Embedding(Layer):
    """A row of a table for each token; channels of numbers pass behind them.

    A token is its row's number. Those that are negative, or beyond the table, and
    steps after a sequence's end have a vector of zeros.

    Parameters
    ----------
    n_inputs : int
        Channels of a sequence.
    n_tokens : sequence of (int, int)
        Of each channel of tokens its place and the size of its vocabulary.
    n_units : int
        Numbers that stand for a token.
    """

    takes_pairs = False

    def __init__(self, n_inputs, n_tokens, n_units):
        self.n_inputs = n_inputs
        self.n_units = n_units
        self._n_tokens = n_tokens
        places = {place for place, _ in n_tokens}
        self._numeric = np.array(
            [c for c in range(n_inputs) if c not in places], np.int64
        )
        self.n_outputs = n_units * len(n_tokens) + len(self._numeric)

    def parameter_shapes(self):
        """A table for each channel of tokens."""
        return {
            f"{place}.vectors": (size, self.n_units) for place, size in self._n_tokens
        }

    def flops(self):
        """Return the numbers that a step copies, in the place of multiply-adds."""
        return self.n_outputs

    def initialize(self, parameters, random_state):
        """Normal numbers, scaled so that a vector has a length of about one."""
        for vectors in parameters.values():
            vectors[:] = random_state.normal(
                scale=self.n_units**-0.5, size=vectors.shape
            )

    def pack(self, calls, parameters, lanes, training):
        """Return the tables: they are read as they are."""
        return parameters

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of one shard of at most `n_steps` steps."""
        buffers = Buffers(output=lanes.rows(n_steps, self.n_outputs))
        if training:
            buffers.d_output = lanes.rows(n_steps, self.n_outputs)
        return buffers

    def forward(self, calls, packed, x, buffers, shard):
        """Look up the tokens, and copy the rest."""
        out, x = by_lane(buffers.output), by_lane(x)
        for i, (place, _) in enumerate(self._n_tokens):
            vectors = packed[f"{place}.vectors"]
            first = i * self.n_units
            calls.add(
                _look_up, out, x, place, first, vectors, shard.lengths, shard.n_steps
            )
        first = self.n_units * len(self._n_tokens)
        if len(self._numeric):
            calls.add(_copy_channels, out, x, self._numeric, first, shard.n_steps)

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add to the gradients of the tables; tokens themselves have none."""
        d_out, tokens = by_lane(buffers.d_output), by_lane(x)
        for i, (place, _) in enumerate(self._n_tokens):
            d_vectors, first = gradients[f"{place}.vectors"], i * self.n_units
            calls.add(
                _add_back,
                d_vectors,
                tokens,
                place,
                d_out,
                first,
                shard.lengths,
                shard.n_steps,
            )
        if d_x is not None:
            first = self.n_units * len(self._n_tokens)
            d_x, numeric = by_lane(d_x), self._numeric
            calls.add(_take_channels, d_x, d_out, numeric, first, shard.n_steps)


@kernel
def _look_up(out, x, place, first, vectors, lengths, n_steps):
    for t in range(n_steps[0]):
        for lane in range(out.shape[2]):
            token = int(x[t, place, lane])
            known = lane < len(lengths) and t < lengths[lane]
            known = known and 0 <= token < len(vectors)
            for k in range(vectors.shape[1]):
                out[t, first + k, lane] = vectors[token, k] if known else 0.0


@kernel
def _add_back(d_vectors, x, place, d_out, first, lengths, n_steps):
    for lane in range(len(lengths)):
        for t in range(min(lengths[lane], n_steps[0])):  # of a piece, fewer are here
            token = int(x[t, place, lane])
            if 0 <= token < len(d_vectors):
                for k in range(d_vectors.shape[1]):
                    d_vectors[token, k] += d_out[t, first + k, lane]


@kernel
def _copy_channels(out, x, channels, first, n_steps):
    for t in range(n_steps[0]):
        for i in range(len(channels)):
            for lane in range(out.shape[2]):
                out[t, first + i, lane] = x[t, channels[i], lane]


@kernel
def _take_channels(d_x, d_out, channels, first, n_steps):
    for t in range(n_steps[0]):
        for k in range(d_x.shape[1]):
            for lane in range(d_x.shape[2]):
                d_x[t, k, lane] = 0.0
        for i in range(len(channels)):
            for lane in range(d_x.shape[2]):
                d_x[t, channels[i], lane] = d_out[t, first + i, lane]
