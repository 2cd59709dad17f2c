"""From the states at every step to one vector for each sequence."""

from skrnn._jit import kernel
from skrnn.lanes import by_lane
from skrnn.layers._base import Buffers, Layer
from skrnn.products import clear
from skrnn.simd import by_row


class LastStep(Layer):
    """The output at each sequence's own last step."""

    def __init__(self, n_inputs):
        self.n_inputs = self.n_outputs = n_inputs

    def allocate(self, n_steps, lanes, training):
        """Return the buffers of a shard."""
        names = ["output", "d_output"] if training else ["output"]
        return Buffers(
            n_input_rows=lanes.for_sequences.n_rows(self.n_inputs),
            **{name: lanes.rows(1, self.n_outputs) for name in names},
        )

    def forward(self, calls, packed, x, buffers, shard):
        """Pick the last step of each lane."""
        last = by_lane(buffers.output)
        calls.add(_gather, last, by_row(x), shard.lengths, shard.n_steps, self.n_inputs)

    def backward(self, calls, packed, x, buffers, gradients, d_x, shard):
        """Let the gradient enter at the last step of each lane."""
        calls.add(clear, d_x, shard.n_steps, buffers.n_input_rows)
        d_last = by_lane(buffers.d_output)
        calls.add(_scatter, by_row(d_x), d_last, shard.lengths, self.n_inputs)


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
def _scatter(d_x, d_last, lengths, n_units):
    units_of_row = d_x.shape[3]
    for k in range(n_units):
        row, unit = divmod(k, units_of_row)
        for lane in range(len(lengths)):
            if lengths[lane] > 0:
                d_x[lengths[lane] - 1, row, lane, unit] = d_last[0, k, lane]
