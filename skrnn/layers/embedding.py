"""Vectors that stand for tokens, which are whole numbers."""

import numpy as np

from skrnn._jit import ZERO, kernel
from skrnn.lanes import by_lane
from skrnn.layers._base import Buffers, Layer
from skrnn.panels import transpose_tile
from skrnn.parameters import aligned_zeros
from skrnn.simd import REGISTER_BYTES, lane_count


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
        buffers.tiles, buffers.panel = new_tiles(self.n_units, lanes)
        buffers.missing = aligned_zeros((self.n_units,), lanes.dtype)
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
                look_up,
                out,
                x,
                place,
                first,
                vectors,
                buffers.missing,
                buffers.tiles,
                shard.lengths,
                shard.n_steps,
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
                add_back,
                d_vectors,
                tokens,
                place,
                buffers.d_output,
                first,
                buffers.panel,
                shard.lengths,
                shard.n_steps,
            )
        if d_x is not None:
            first = self.n_units * len(self._n_tokens)
            d_x, numeric = by_lane(d_x), self._numeric
            calls.add(_take_channels, d_x, d_out, numeric, first, shard.n_steps)


def new_tiles(n_units, lanes):
    """Return scratch for `look_up` and for `add_back`."""
    n = lane_count(lanes.dtype)
    n_tiles = -(-n_units // n)
    tiles = aligned_zeros((n_tiles, lanes.n_samples, n), lanes.dtype)
    return tiles, aligned_zeros((lanes.n_samples, n_tiles * n), lanes.dtype)


@kernel
def look_up(out, x, place, first, vectors, missing, tiles, lengths, n_steps):
    """Bring vectors into the lanes, square tiles of them at a time.

    What has none gets `missing`: tokens beyond the table, and steps behind the end.
    """
    n_units, n_lanes, n = vectors.shape[1], out.shape[2], tiles.shape[2]
    n_whole = n_units // n if n_lanes % n == 0 else 0
    rows = out.reshape(out.shape[0] * out.shape[1], n_lanes)
    for t in range(n_steps[0]):
        for lane in range(n_lanes):
            token = int(x[t, place, lane])
            known = lane < len(lengths) and t < lengths[lane]
            known = known and 0 <= token < len(vectors)
            vector = vectors[token] if known else missing
            for tile in range(n_whole):
                for k in range(n):
                    tiles[tile, lane, k] = vector[tile * n + k]
            for k in range(n_whole * n, n_units):
                out[t, first + k, lane] = vector[k]
        for tile in range(n_whole):
            row = t * out.shape[1] + first + tile * n
            for lane in range(0, n_lanes, n):
                transpose_tile(rows, row, lane, tiles, tile, lane, ZERO)


@kernel
def add_back(d_vectors, x, place, d_out, first, panel, lengths, n_steps):
    """Add what is in the lanes to vectors, square tiles of it at a time."""
    n_units, n = d_vectors.shape[1], REGISTER_BYTES // d_out.itemsize
    for t in range(n_steps[0]):
        for lane in range(0, len(lengths), n):
            for k in range(0, n_units, n):
                transpose_tile(panel, lane, k, d_out, t, first + k, lane)
        for lane in range(len(lengths)):
            token = int(x[t, place, lane])
            if t < lengths[lane] and 0 <= token < len(d_vectors):
                for k in range(n_units):
                    d_vectors[token, k] += panel[lane, k]


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
