"""Every cell in CELLS, through a layer of its own.

A new cell needs an oracle in tests/oracles/recurrent.py, and no edit here.
Cells are seen through `RecurrentLayer`, so that their calling convention may change.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.activations import ACTIVATIONS
from skrnn.cells import CELLS
from skrnn.lanes import SamplesInLanes, UnitsInLanes, by_lane
from skrnn.layers import RecurrentLayer, Shard
from skrnn.parameters import ParameterLayout, aligned_zeros
from skrnn.recording import Recording, run
from tests.oracles import recurrent
from tests.oracles.derivatives import derivative, gradient
from tests.oracles.harness import assert_same_bits

DTYPES = [np.float32, np.float64]
REGISTERS = [1, 2]
# a cell, and an activation where it lets one choose
KINDS = [
    (name, activation)
    for name, cell in CELLS.items()
    for activation in (ACTIVATIONS if cell.has_activation else ["tanh"])
]
# 17 units and 9 inputs leave a rest after every size of block
SIZES = [(1, 1), (1, 3), pytest.param(9, 17, marks=pytest.mark.needs_jit)]


@pytest.fixture(params=REGISTERS, ids="registers{}".format, scope="module")
def n_registers(request):
    """How many registers a row of the buffers fills."""
    return request.param


class LayerOfLanes:
    """A recurrent layer with random parameters, run over full lanes."""

    def __init__(
        self, cell, activation, n_inputs, n_units, n_registers, dtype=np.float64, seed=0
    ):
        self.dtype = dtype
        self.lanes = SamplesInLanes(np.dtype(dtype), n_registers)
        self.n_inputs, self.n_units = n_inputs, n_units
        self.layer = RecurrentLayer(
            CELLS[cell], ACTIVATIONS[activation], n_inputs, n_units
        )
        self.layout = ParameterLayout(self.layer.parameter_shapes())
        self.rng = np.random.default_rng(seed)
        self.parameters = aligned_zeros((self.layout.size,), dtype)
        self.parameters[:] = 0.4 * self.rng.normal(size=self.layout.size)

    def inputs(self, n_steps):
        shape = (n_steps, self.n_inputs, self.lanes.n_samples)
        return self.rng.normal(size=shape).astype(self.dtype)

    def buffers(self, x, training, n_more=0, lanes=None):
        """Return the inputs as a buffer, the layer's own buffers, and the shard."""
        lanes = lanes or self.lanes
        n_steps = len(x) + n_more
        below = lanes.rows(n_steps, self.n_inputs)
        by_lane(below)[: len(x), : self.n_inputs] = x
        buffers = self.layer.allocate(n_steps, lanes, training)
        shard = Shard(
            np.full(x.shape[2], len(x)),
            np.array([len(x), 0, x.shape[2]]),
            np.zeros(2, np.int64),
        )
        return below, buffers, shard

    def pack(self, calls, training, parameters=None, lanes=None):
        parameters = self.parameters if parameters is None else parameters
        views = self.layout.views(np.ascontiguousarray(parameters, self.dtype))
        return self.layer.pack(calls, views, lanes or self.lanes, training)

    def hidden(self, buffers, x):
        return by_lane(buffers.output)[: len(x), : self.n_units].copy()

    def step(self, x, hidden=None, state=None, lanes=None):
        """Go over some steps from a state; return the hidden states and the state."""
        calls = Recording()
        packed = self.pack(calls, training=False, lanes=lanes)
        below, buffers, shard = self.buffers(x, training=False, lanes=lanes)
        if hidden is not None:
            buffers.hidden[0], buffers.state[0] = hidden, state
        self.layer.forward(calls, packed, below, buffers, shard)
        run(calls.program())
        return self.hidden(buffers, x), buffers.hidden[-1], buffers.state[-1]

    def run(self, x, parameters=None, training=True, d_output=None, n_more=0):
        """Return hidden states, (steps, units, lanes), and the gradients if asked."""
        calls = Recording()
        packed = self.pack(calls, training, parameters)
        below, buffers, shard = self.buffers(x, training, n_more)
        self.layer.forward(calls, packed, below, buffers, shard)
        if d_output is None:
            run(calls.program())
            return self.hidden(buffers, x)
        by_lane(buffers.d_output)[: len(x), : self.n_units] = d_output
        flat = aligned_zeros((self.layout.size,), self.dtype)
        views, d_x = self.layout.views(flat), np.full_like(below, np.nan)
        self.layer.backward(calls, packed, below, buffers, views, d_x, shard)
        run(calls.program())
        return (
            self.hidden(buffers, x),
            flat,
            by_lane(d_x)[: len(x), : self.n_inputs],
        )


@pytest.mark.parametrize("cell", CELLS)
def test_parameters_fit_the_description_of_the_cell(cell):
    kind = CELLS[cell]
    shapes = RecurrentLayer(kind, 0, 2, 5).parameter_shapes()
    inputs, recurrences = (
        5 * (last - first) for first, last in (kind.input_blocks, kind.recurrent_blocks)
    )
    expected = {"input_weights": (2, inputs), "recurrent_weights": (5, recurrences)}
    if recurrences == 0:
        del expected["recurrent_weights"]
    assert shapes == {**expected, "bias": (5 * kind.n_blocks,)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_inputs, n_units", SIZES)
@pytest.mark.parametrize("cell, activation", KINDS)
def test_forward_is_the_oracles(
    cell, activation, n_inputs, n_units, dtype, n_registers
):
    assert cell in recurrent.CELLS, f"add {cell!r} to tests/oracles/recurrent.py"
    layer = LayerOfLanes(cell, activation, n_inputs, n_units, n_registers, dtype)
    x = layer.inputs(4)
    hidden = layer.run(x)
    views = layer.layout.views(layer.parameters.astype(np.float64))
    for lane in range(layer.lanes.n_samples):
        expected = recurrent.CELLS[cell](
            x[:, :, lane].astype(np.float64), **views, activation=activation
        )
        tolerance = 3e-6 if dtype == np.float32 else 1e-13
        assert_allclose(hidden[:, :, lane], expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("cell, activation", KINDS)
def test_forward_without_backward_gives_the_same(cell, activation, n_registers):
    """It keeps the gates of one step only."""
    layer = LayerOfLanes(cell, activation, 2, 3, n_registers)
    x = layer.inputs(5)
    assert_array_equal(layer.run(x, training=False), layer.run(x, training=True))


@pytest.mark.parametrize("cell, activation", KINDS)
def test_lanes_do_not_meet(cell, activation, n_registers):
    layer = LayerOfLanes(cell, activation, 2, 3, n_registers)
    x = layer.inputs(4)
    hidden = layer.run(x)
    other = x.copy()
    other[:, :, 1] = 5.0
    changed = layer.run(other)
    assert_array_equal(np.delete(changed, 1, axis=2), np.delete(hidden, 1, axis=2))
    assert (changed[:, :, 1] != hidden[:, :, 1]).any()


@pytest.mark.parametrize("cell, activation", KINDS)
def test_no_step_sees_what_comes_after(cell, activation, n_registers):
    layer = LayerOfLanes(cell, activation, 2, 3, n_registers)
    x = layer.inputs(6)
    assert_array_equal(layer.run(x[:4]), layer.run(x)[:4])


@given(cuts=st.sets(st.integers(1, 8), max_size=8))
@pytest.mark.parametrize("cell, activation", KINDS)
def test_pieces_with_their_state_carried_on_are_the_whole(
    cell, activation, cuts, n_registers
):
    """Stepping through a sequence, in pieces of any lengths, changes no bit."""
    layer = LayerOfLanes(cell, activation, 2, 3, n_registers)
    x = layer.inputs(9)
    state, pieces = (), []
    for piece in np.split(x, sorted(cuts)):
        out, *state = layer.step(piece, *state)
        pieces.append(out)
    assert_array_equal(np.concatenate(pieces), layer.run(x))


@pytest.mark.parametrize("lanes", ["samples", "units"])
@pytest.mark.parametrize("cell, activation", KINDS)
def test_the_recorded_carry_goes_on_and_the_reset_begins_anew(
    cell, activation, lanes, n_registers
):
    layer = LayerOfLanes(cell, activation, 2, 3, n_registers)
    lanes = layer.lanes if lanes == "samples" else UnitsInLanes(layer.lanes.dtype)
    x = layer.inputs(7)[:, :, : lanes.n_samples]
    forward, reset, carry = (Recording() for _ in range(3))
    packed = layer.pack(forward, training=False, lanes=lanes)
    below, buffers, shard = layer.buffers(x[:3], training=False, lanes=lanes)
    layer.layer.forward(forward, packed, below, buffers, shard)
    layer.layer.reset(reset, packed, buffers)
    layer.layer.carry(carry, buffers, shard)
    programs = [calls.program() for calls in (forward, reset, carry)]
    whole = layer.step(x, lanes=lanes)[0]
    for _ in range(2):  # the second time over the states that the first left
        run(programs[1])
        pieces = []
        for piece in (x[:3], x[3:5], x[5:]):  # the later ones leave a step unused
            if pieces:
                run(programs[2])
            by_lane(below)[: len(piece), :2] = piece
            shard.n_steps[0] = len(piece)
            run(programs[0])
            pieces.append(layer.hidden(buffers, piece))
        assert_array_equal(np.concatenate(pieces), whole)


# --- the other ways to use the lanes --------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_inputs, n_units", SIZES)
@pytest.mark.parametrize("cell, activation", KINDS)
def test_units_in_lanes_give_the_same_bits(cell, activation, n_inputs, n_units, dtype):
    layer = LayerOfLanes(cell, activation, n_inputs, n_units, 1, dtype)
    x = layer.inputs(5)
    hidden = layer.run(x, training=False)
    for lane in range(3 if layer.lanes.n_samples > 2 else 1):
        alone = x[:, :, lane : lane + 1]
        out, *_ = layer.step(alone, lanes=UnitsInLanes(np.dtype(dtype)))
        assert_same_bits(out[:, :, 0], hidden[:, :, lane])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_inputs, n_units", SIZES)
@pytest.mark.parametrize("cell, activation", KINDS)
def test_two_registers_give_the_same_bits(cell, activation, n_inputs, n_units, dtype):
    """Of states and of the gradients of inputs; those of weights are other sums."""
    one, two = (
        LayerOfLanes(cell, activation, n_inputs, n_units, n, dtype) for n in REGISTERS
    )
    x = two.inputs(4)
    d_output = two.rng.normal(size=(4, n_units, x.shape[2])).astype(dtype)
    hidden, flat, d_x = two.run(x, d_output=d_output)
    total = np.zeros(flat.shape)
    for half in np.split(np.arange(x.shape[2]), 2):
        result = one.run(x[:, :, half], d_output=d_output[:, :, half])
        assert_same_bits(hidden[:, :, half], result[0])
        assert_same_bits(d_x[:, :, half], result[2])
        total += result[1]
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    assert_allclose(flat, total, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("cell, activation", KINDS)
def test_room_for_more_steps_changes_no_bit(cell, activation, n_registers):
    layer = LayerOfLanes(cell, activation, 2, 3, n_registers)
    x = layer.inputs(4)
    d_output = layer.rng.normal(size=(4, 3, x.shape[2]))
    exact = layer.run(x, d_output=d_output)
    roomy = layer.run(x, d_output=d_output, n_more=3)
    for left, right in zip(exact, roomy, strict=True):
        assert_array_equal(left, right)


# --- gradients ------------------------------------------------------------------------


@pytest.mark.parametrize("n_steps", [1, 2, 5])
@pytest.mark.parametrize("cell, activation", KINDS)
def test_every_gradient(cell, activation, n_steps, n_registers):
    """Of every parameter and every input, coordinate by coordinate."""
    layer = LayerOfLanes(cell, activation, 1, 2, n_registers)
    x = layer.inputs(n_steps)
    d_output = layer.rng.normal(size=(n_steps, 2, x.shape[2]))
    _, flat, d_x = layer.run(x, d_output=d_output)

    def of_parameters(p):
        return float((d_output * layer.run(x, p)).sum())

    def of_inputs(x):
        return float((d_output * layer.run(x)).sum())

    slopes = gradient(of_parameters, layer.parameters.copy(), step=1e-4)
    assert_allclose(flat, slopes, rtol=1e-8, atol=1e-8)
    # all lanes at once: no lane of the output hangs on another lane's input
    for t, k in np.ndindex(x.shape[:2]):
        direction = np.zeros_like(x)
        direction[t, k] = layer.rng.normal(size=x.shape[2])
        slope = derivative(of_inputs, x, direction, step=1e-4)
        assert_allclose((d_x * direction).sum(), slope, rtol=1e-8, atol=1e-8)


@pytest.mark.needs_jit
@pytest.mark.parametrize("n_inputs, n_units", [(3, 5), (9, 17), (1, 16), (8, 24)])
@pytest.mark.parametrize("cell, activation", KINDS)
def test_gradients_of_larger_layers(cell, activation, n_inputs, n_units, n_registers):
    """Along random directions within each parameter, and within the inputs."""
    layer = LayerOfLanes(cell, activation, n_inputs, n_units, n_registers)
    layer.parameters *= 0.5
    x = layer.inputs(4)
    d_output = layer.rng.normal(size=(4, n_units, x.shape[2]))
    _, flat, d_x = layer.run(x, d_output=d_output)

    def of_parameters(p):
        return float((d_output * layer.run(x, p)).sum())

    for where in layer.layout.slices.values():
        for _ in range(3):
            direction = np.zeros_like(flat)
            direction[where] = layer.rng.normal(size=where.stop - where.start)
            slope = derivative(of_parameters, layer.parameters.copy(), direction, 1e-6)
            assert_allclose(flat @ direction, slope, rtol=1e-6, atol=1e-6)
    direction = layer.rng.normal(size=x.shape)
    slope = derivative(
        lambda x: float((d_output * layer.run(x)).sum()), x, direction, 1e-6
    )
    assert_allclose((d_x * direction).sum(), slope, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("cell, activation", KINDS)
def test_gradients_are_linear_in_what_comes_back(cell, activation, n_registers):
    layer = LayerOfLanes(cell, activation, 2, 3, n_registers)
    x = layer.inputs(3)
    d_output = layer.rng.normal(size=(3, 3, x.shape[2]))
    _, once, _ = layer.run(x, d_output=d_output)
    _, twice, _ = layer.run(x, d_output=2 * d_output)
    assert_allclose(twice, 2 * once, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("cell, activation", KINDS)
def test_float32_gradients_are_those_of_float64(cell, activation, n_registers):
    single = LayerOfLanes(cell, activation, 2, 3, n_registers, np.float32)
    double = LayerOfLanes(cell, activation, 2, 3, n_registers)
    double.parameters[:] = single.parameters
    x = single.inputs(4)
    d_output = single.rng.normal(size=(4, 3, x.shape[2])).astype(np.float32)
    _, flat, d_x = single.run(x, d_output=d_output)
    lanes = double.lanes.n_samples
    total = np.zeros_like(double.parameters)
    for first in range(0, x.shape[2], lanes):
        some = np.s_[:, :, first : first + lanes]
        _, gradients, d_x_some = double.run(
            x[some].astype(np.float64), d_output=d_output[some].astype(np.float64)
        )
        total += gradients
        assert_allclose(d_x[some], d_x_some, rtol=1e-4, atol=1e-5)
    assert_allclose(flat, total, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cell", [c for c in CELLS if not CELLS[c].has_activation])
def test_cells_with_gates_stay_finite_under_any_input(cell, n_registers):
    layer = LayerOfLanes(cell, "tanh", 1, 3, n_registers)
    x = np.zeros((6, 1, layer.lanes.n_samples))
    x[::2], x[1::2] = 1e300, -1e300
    hidden = layer.run(x)
    if cell == "mingru":  # a mean of new states, which are affine in the inputs
        assert np.abs(hidden).max() <= 1e300 * np.abs(layer.parameters).max()
    else:
        assert np.abs(hidden).max() <= 1
