"""From the states at every step to one vector for each sequence."""

from skrnn._jit import kernel
from skrnn.layers._base import Buffers, Layer, rows_of
from skrnn.products import clear


class LastStep(Layer):
    """The output at each sequence's own last step."""

    def __init__(self, n_inputs):
        self.n_inputs = self.n_outputs = n_inputs

    def allocate(self, n_steps, dtype, training):
        """Return the buffers of a shard."""
        names = ["output", "d_output"] if training else ["output"]
        return Buffers(**{name: rows_of(1, self.n_outputs, dtype) for name in names})

    def forward(self, packed, x, buffers, shard):
        """Pick the last step of each lane."""
        _gather(buffers.output, x, shard.lengths, self.n_inputs)

    def backward(self, packed, x, buffers, gradients, d_x, shard):
        """Let the gradient enter at the last step of each lane."""
        _scatter(d_x, buffers.d_output, shard.lengths, shard.n_steps, self.n_inputs)


@kernel
def _gather(last, x, lengths, n_rows):
    for k in range(n_rows):
        for lane in range(len(lengths)):
            last[0, k, lane] = x[max(lengths[lane] - 1, 0), k, lane]


@kernel
def _scatter(d_x, d_last, lengths, n_steps, n_rows):
    clear(d_x, n_steps, n_rows)
    for k in range(n_rows):
        for lane in range(len(lengths)):
            if lengths[lane] > 0:
                d_x[lengths[lane] - 1, k, lane] = d_last[0, k, lane]
