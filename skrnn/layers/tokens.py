"""A recurrent layer that reads tokens: a row of its weights each, no product."""

import numpy as np

from skrnn._jit import kernel
from skrnn.lanes import by_lane
from skrnn.layers.embedding import add_back, look_up, new_tiles
from skrnn.layers.recurrent import RecurrentLayer
from skrnn.parameters import aligned_zeros


class TokenLayer(RecurrentLayer):
    """A `RecurrentLayer` whose only input is a token in the place of a one-hot vector.

    The row of the input weights that has the token's number goes to the gates.

    Parameters
    ----------
    cell, activation
        As of `RecurrentLayer`.
    n_tokens : int
        The size of the vocabulary.
    n_units : int
    **options
        Those of `RecurrentLayer`.
    """

    _fills_gates = True

    def __init__(self, cell, activation, n_tokens, n_units, **options):
        super().__init__(cell, activation, n_tokens, n_units, **options)
        self.takes_pairs = False

    def flops(self):
        """Return the multiply-adds of a step: a token has one row of the weights."""
        return super().flops() - (self.n_inputs - 1) * self._input_columns

    def initialize(self, parameters, random_state):
        """Input weights like those of a vector of length one, the rest as elsewhere."""
        super().initialize(parameters, random_state)
        weights, scale = parameters["input_weights"], self.n_outputs**-0.5
        weights[:] = random_state.normal(scale=scale, size=weights.shape)

    def _pack_inputs(self, calls, weights, bias, lanes, training):
        """Return a table with what each token, and the bias, say to the gates."""
        n, n_blocks = self.n_outputs, self.cell.n_blocks
        first, _ = self.cell.input_blocks
        width = len(lanes.packed_bias(calls, bias, n)) // n_blocks
        table = aligned_zeros((self.n_inputs, n_blocks * width), lanes.dtype)
        calls.add(_fill_table, table, weights, bias, first, n, width)
        return {"input": np.zeros(0, lanes.dtype), "bias": None, "table": table}

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of one shard of at most `n_steps` steps."""
        buffers = super().allocate(n_steps, lanes, training)
        n_rows = self.cell.n_blocks * self.n_outputs
        buffers.tiles, buffers.tile_panel = new_tiles(n_rows, lanes)
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
            buffers.tiles,
            shard.lengths,
            shard.n_steps,
        )

    def _backward_inputs(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add the gradient of the gates to the tokens' rows of the weights."""
        calls.add(
            add_back,
            gradients["input_weights"],
            by_lane(x),
            0,
            buffers.gates,
            self.cell.input_blocks[0] * self.n_outputs,
            buffers.tile_panel,
            shard.lengths,
            shard.n_steps,
        )


@kernel
def _fill_table(table, weights, bias, first_block, n_units, width):
    """Add weights and bias, in blocks of `n_units` that begin `width` apart."""
    for token in range(len(weights)):
        for i in range(len(bias)):
            block, unit = divmod(i, n_units)
            column = i - first_block * n_units
            value = bias[i]
            if 0 <= column < weights.shape[1]:
                value += weights[token, column]
            table[token, block * width + unit] = value
