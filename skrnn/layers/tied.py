"""An output layer whose weights are the vectors of tokens."""

from skrnn._jit import ZERO, kernel
from skrnn.activations import IDENTITY
from skrnn.lanes import by_lane
from skrnn.layers._base import Buffers, Layer, add_over_lanes
from skrnn.layers.dense import _forward, _input_gradient
from skrnn.products import add_transposed_gradients, new_panel
from skrnn.simd import get, put

ROWS_OF_SUM = 64  # of a bias's gradient, which stay in the first-level cache


class Tied(Layer):
    """``y = E x + b`` at every step, E the table of an embedding's vectors.

    What says that two tokens are alike in a text says so when the next one is
    predicted (Press and Wolf 2017; Inan, Khosravi and Socher 2017).

    Parameters
    ----------
    n_inputs, n_outputs : int
        Numbers that stand for a token, and tokens.
    table : str
        The parameter that is shared, by its name in the network.
    """

    takes_pairs = False

    def __init__(self, n_inputs, n_outputs, table):
        self.n_inputs = n_inputs
        self.n_outputs = n_outputs
        self.borrows = {"table": table}

    def parameter_shapes(self):
        """A bias: the table is another layer's."""
        return {"bias": (self.n_outputs,)}

    def flops(self):
        """Return the multiply-adds of a step."""
        return (self.n_inputs + 1) * self.n_outputs

    def initialize(self, parameters, random_state):
        """Set the bias to zero."""
        parameters["bias"][:] = 0.0

    def pack(self, calls, parameters, lanes, training):
        """Bring the table into the order in which the products read it."""
        table = parameters["table"]
        packed = {
            "weights": lanes.packed_transposed(calls, table),
            "bias": lanes.packed_bias(calls, parameters["bias"], self.n_outputs),
        }
        if training:
            packed["transposed"] = lanes.packed(calls, table, self.n_inputs, [0, 1])
        return packed

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of a shard of at most `n_steps` steps."""
        buffers = Buffers(
            output=lanes.rows(n_steps, self.n_outputs, padded=False),
            n_input_rows=lanes.n_rows(self.n_inputs),
            n_output_rows=lanes.n_rows(self.n_outputs),
        )
        if training:
            buffers.d_output = lanes.rows(n_steps, self.n_outputs, padded=False)
            buffers.panel = new_panel(lanes.dtype)
            buffers.sums = lanes.rows(1, ROWS_OF_SUM)
        return buffers

    def forward(self, calls, packed, x, buffers, shard):
        """Fill the output."""
        calls.add(
            _forward,
            buffers.output,
            packed["weights"],
            packed["bias"],
            x,
            shard.n_steps,
            buffers.n_input_rows,
            buffers.n_output_rows,
            IDENTITY,
        )

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Add to the gradients of table and bias, and fill `d_x`."""
        d_output, sums = buffers.d_output, buffers.sums
        calls.add(
            add_transposed_gradients,
            gradients["table"],
            x,
            d_output,
            buffers.panel,
            shard.n_steps,
        )
        calls.add(
            _add_bias, gradients["bias"], d_output, sums, by_lane(sums), shard.n_steps
        )
        if d_x is not None:
            calls.add(
                _input_gradient,
                d_x,
                packed["transposed"],
                d_output,
                shard.n_steps,
                self.n_inputs,
                self.n_outputs,
            )


@kernel
def _add_bias(d_bias, d_out, sums, sums_by_lane, n_steps):
    """Add the sums over steps and lanes, some rows at a time."""
    for first in range(0, len(d_bias), sums.shape[1]):
        n = min(sums.shape[1], len(d_bias) - first)
        for k in range(n):
            put(sums, ZERO, k, get(d_out, ZERO, first + k))
        for t in range(1, n_steps[0]):
            for k in range(n):
                put(sums, ZERO, k, get(sums, ZERO, k) + get(d_out, t, first + k))
        add_over_lanes(d_bias[first : first + n], sums_by_lane[0])
