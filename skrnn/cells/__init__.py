"""The recurrent cells: what each needs to know of one, and the list of them.

A cell is two jitted functions that see a shard of sequences:

``forward(w, v, bias, x, gates, hidden, state, n_steps, n_x, n_h, activation, norm,
dropped)``
    reads the inputs ``x[t]`` and the states ``hidden[0]`` and ``state[0]``, and writes
    ``hidden[t + 1]``, ``state[t + 1]`` and what its backward pass needs into `gates`.
    Where `gates` has a single step there will be no backward pass.
``backward(v_t, gates, hidden, state, d_hidden, carry, n_steps, n_h, begin, activation,
norm, dropped)``
    reads the gradient ``d_hidden[t + 1]`` with respect to ``hidden[t + 1]``, adds to
    ``d_hidden[t]`` what comes back through time, from step `begin` on, and writes the
    gradient with respect to the pre-activations into `gates`. `carry` is scratch of one
    step, and ends as the gradient with respect to ``state[0]``.

The weights ``w`` (inputs), ``v`` (recurrent), ``v_t`` (recurrent, transposed) and the
`bias` are packed for the products, and the rest are buffers of SIMD values. Where the
bias is None, `gates` hold it for all steps, and what the inputs say with it.
``n_steps[0]`` is the number of steps, and ``n_x`` and ``n_h`` count the rows of an
input and of a state. `norm` and `dropped` go to the functions of `skrnn.cells._around`,
by which a cell leaves its gates to be normalized, and its recurrent connections to be
dropped. The layer does everything else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from skrnn.cells import elman, gru, janet, lstm, mingru
from skrnn.cells._around import Dropped, Norm

__all__ = ["CELLS", "Cell", "Dropped", "Norm"]


@dataclass(frozen=True)
class Cell:
    """What a layer needs to know of a cell.

    Rows of the gates are counted in blocks of ``n_units``: `n_blocks` of them, of
    which the products with the inputs and with the hidden state cover the half-open
    ranges `input_blocks` and `recurrent_blocks`. `products` are the first blocks of
    the products that the forward pass computes apart. `initial_bias` maps a block to
    its bias before training. `has_state` says whether there is a state beside the
    hidden one, `has_activation` whether the activation may be chosen.
    """

    forward: Callable
    backward: Callable
    n_blocks: int
    input_blocks: tuple[int, int]
    recurrent_blocks: tuple[int, int]
    products: tuple[int, ...] = (0,)
    initial_bias: dict[int, float] = field(default_factory=dict)
    has_state: bool = False
    has_activation: bool = False


CELLS = {
    "rnn": Cell(
        forward=elman.forward,
        backward=elman.backward,
        n_blocks=1,
        input_blocks=(0, 1),
        recurrent_blocks=(0, 1),
        has_activation=True,
    ),
    "lstm": Cell(
        forward=lstm.forward,
        backward=lstm.backward,
        n_blocks=4,
        input_blocks=(0, 4),
        recurrent_blocks=(0, 4),
        initial_bias={1: 1.0},  # remember at first (Gers et al. 2000)
        has_state=True,
    ),
    "gru": Cell(
        forward=gru.forward,
        backward=gru.backward,
        n_blocks=4,
        input_blocks=(1, 4),
        recurrent_blocks=(0, 3),
        products=(0, 1, 3),
    ),
    "mingru": Cell(
        forward=mingru.forward,
        backward=mingru.backward,
        n_blocks=2,
        input_blocks=(0, 2),
        recurrent_blocks=(0, 0),
        initial_bias={0: -1.0},  # change slowly at first
    ),
    "janet": Cell(
        forward=janet.forward,
        backward=janet.backward,
        n_blocks=2,
        input_blocks=(0, 2),
        recurrent_blocks=(0, 2),
        initial_bias={0: 1.0},  # remember at first, as the LSTM
    ),
}
