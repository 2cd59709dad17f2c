"""Tokens before a recurrent layer, where the vocabulary is small.

The same as an embedding and a layer above it. But the product of the layer's weights is
computed once for each token of the vocabulary, not for each step: characters are few,
and a minibatch has thousands of them.
"""

import numpy as np

from skrnn._jit import ZERO, kernel
from skrnn.lanes import by_lane
from skrnn.layers._base import Buffers
from skrnn.layers._moves import copy
from skrnn.layers.embedding import Embedding, add_back, look_up, new_tiles
from skrnn.layers.recurrent import RecurrentLayer, _input_gradient
from skrnn.parameters import aligned_zeros
from skrnn.products import add_gradients, affine


class Vocabulary(Embedding):
    """The vectors of the tokens; what passes is the tokens themselves."""

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of one shard of at most `n_steps` steps."""
        return Buffers(output=lanes.rows(n_steps, 1))

    def forward(self, calls, packed, x, buffers, shard):
        """Pass the tokens on."""
        calls.add(copy, by_lane(buffers.output), 0, by_lane(x), 0, 1, shard.n_steps)

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Leave it to the layer above."""


class TokenLayer(RecurrentLayer):
    """A `RecurrentLayer` above a `Vocabulary`.

    Parameters
    ----------
    vocabulary : Vocabulary
        Of one channel, in a network where its name is "embedding".
    *args, **options
        Those of `RecurrentLayer`.
    """

    _fills_gates = True

    def __init__(self, vocabulary, *args, **options):
        super().__init__(*args, **options)
        self.takes_pairs = False
        ((name, (self.n_tokens, _)),) = vocabulary.parameter_shapes().items()
        self.borrows = {"vectors": f"embedding.{name}"}

    def flops(self):
        """Return the multiply-adds of a step: none for the inputs."""
        return super().flops() - self.n_inputs * self._input_columns

    def _pack_inputs(self, calls, parameters, bias, lanes, training):
        """Return a table with what each token, and the bias, say to the gates."""
        n, weights = self.n_outputs, parameters["input_weights"]
        all_tokens = _AllTokens(self.n_tokens, lanes)
        x = lanes.rows(all_tokens.n_steps[0], self.n_inputs)
        gates = lanes.rows(all_tokens.n_steps[0], n, self.cell.n_blocks)
        packed_bias = lanes.packed_bias(calls, bias, n)
        table = aligned_zeros((self.n_tokens, len(packed_bias)), lanes.dtype)
        n_rows, (first, _) = lanes.n_rows(n), self.cell.input_blocks
        all_tokens.look_up(calls, x, parameters["vectors"])
        calls.add(
            _multiply,
            gates,
            packed_bias,
            lanes.packed(calls, weights, n, self._input_cuts),
            x,
            n_rows * (first + np.array(self._input_cuts, np.int64)),
            n_rows * self.cell.n_blocks,
            lanes.n_rows(self.n_inputs),
            all_tokens.n_steps,
        )
        calls.add(_by_token, table, by_lane(gates))
        packed = {
            "input": np.zeros(0, lanes.dtype),
            "bias": None,
            "table": table,
            "missing": packed_bias,  # an unknown token says nothing else
        }
        if training:
            packed |= {
                "all_tokens": all_tokens,
                "vectors_in_lanes": x,
                "input_transposed": lanes.packed_transposed(calls, weights),
            }
        return packed

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of one shard of at most `n_steps` steps."""
        buffers = super().allocate(n_steps, lanes, training)
        n_gates = self.cell.n_blocks * self.n_outputs
        buffers.tiles, buffers.tile_panel = new_tiles(n_gates, lanes)
        if training:
            n_all, n_columns = -(-self.n_tokens // lanes.n_samples), self._input_columns
            buffers.d_table = aligned_zeros((self.n_tokens, n_columns), lanes.dtype)
            buffers.d_gates = lanes.rows(n_all, n_columns)
            buffers.d_vectors = lanes.rows(n_all, self.n_inputs)
            buffers.no_bias = aligned_zeros((n_columns,), lanes.dtype)
        return buffers

    def _read_inputs(self, calls, packed, x, buffers, shard):
        """Bring each token's row of the table to the gates."""
        calls.add(
            look_up,
            by_lane(buffers.gates),
            by_lane(x),
            0,
            0,
            packed["table"],
            packed["missing"],
            buffers.tiles,
            shard.lengths,
            shard.n_steps,
        )

    def _backward_inputs(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add up the gradient of the gates by token, and go on from there."""
        first, _ = self.cell.input_blocks
        all_tokens, d_table = packed["all_tokens"], buffers.d_table
        calls.add(_clear_table, d_table)
        calls.add(
            add_back,
            d_table,
            by_lane(x),
            0,
            buffers.gates,
            first * self.n_outputs,
            buffers.tile_panel,
            shard.lengths,
            shard.n_steps,
        )
        all_tokens.look_up(calls, buffers.d_gates, d_table)
        calls.add(
            add_gradients,
            gradients["input_weights"],
            np.zeros((0, 0), d_table.dtype),
            buffers.no_bias,
            packed["vectors_in_lanes"],
            packed["vectors_in_lanes"],
            buffers.d_gates,
            0,
            buffers.panel,
            all_tokens.n_steps,
        )
        calls.add(
            _input_gradient,
            buffers.d_vectors,
            packed["input_transposed"],
            buffers.d_gates,
            0,
            self._input_columns,
            all_tokens.n_steps,
            self.n_inputs,
        )
        all_tokens.add_back(calls, gradients["vectors"], buffers.d_vectors)


class _AllTokens:
    """The tokens of a vocabulary, each once, in the lanes of a few steps."""

    def __init__(self, n_tokens, lanes):
        n_lanes = lanes.n_samples
        n_steps = -(-n_tokens // n_lanes)
        self.n_steps = np.array([n_steps, 0, n_lanes], np.int64)
        self._lanes = lanes
        self._lengths = np.full(n_lanes, n_steps, np.int64)
        tokens = np.full((n_steps, 1, n_lanes), -1, lanes.dtype)
        tokens.reshape(-1)[:n_tokens] = np.arange(n_tokens)
        self._tokens = tokens

    def look_up(self, calls, out, table):
        """Record what brings the rows of a table into lanes."""
        n_columns, tokens = table.shape[1], self._tokens
        tiles, _ = new_tiles(n_columns, self._lanes)
        missing = aligned_zeros((n_columns,), table.dtype)
        steps = self._lengths, self.n_steps
        calls.add(look_up, by_lane(out), tokens, 0, 0, table, missing, tiles, *steps)

    def add_back(self, calls, table, rows):
        """Record what adds rows in lanes to those of a table."""
        _, panel = new_tiles(table.shape[1], self._lanes)
        steps = self._lengths, self.n_steps
        calls.add(add_back, table, self._tokens, 0, rows, 0, panel, *steps)


@kernel
def _multiply(gates, bias, w, x, cuts, n_rows, n_x, n_steps):
    """Compute what the cell's products with its inputs would, `cuts` apart."""
    first, last = cuts[0], cuts[len(cuts) - 1]
    for t in range(n_steps[0]):
        affine(ZERO, first, first, gates, t, bias, w, x, t, ZERO, w, x, t, ZERO)
        for i in range(len(cuts) - 1):
            begin, end = cuts[i], cuts[i + 1]
            affine(begin, end, first, gates, t, bias, w, x, t, n_x, w, x, t, ZERO)
        affine(last, n_rows, first, gates, t, bias, w, x, t, ZERO, w, x, t, ZERO)


@kernel
def _by_token(table, gates):
    n_lanes = gates.shape[2]
    for token in range(len(table)):
        t, lane = divmod(token, n_lanes)
        for k in range(table.shape[1]):
            table[token, k] = gates[t, k, lane]


@kernel
def _clear_table(table):
    for token in range(len(table)):
        for k in range(table.shape[1]):
            table[token, k] = 0.0
