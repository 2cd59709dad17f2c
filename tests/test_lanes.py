"""How shards lie in the lanes, and weights for them: against NumPy's arrangement."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skrnn.lanes import (
    FewSamplesInLanes,
    PairsInLanes,
    SamplesInLanes,
    UnitsInLanes,
    by_lane,
    prediction_lanes,
    training_lanes,
)
from skrnn.parameters import CACHE_LINE
from skrnn.recording import Recording, run
from skrnn.simd import by_row, lane_count, value_rows
from skrnn.tiles import LARGEST
from tests.oracles.packing import fill_up, in_blocks, spread_units

DTYPES = [np.dtype(np.float32), np.dtype(np.float64)]
REGISTERS = [1, 2]


def arrangements(dtype):
    return [UnitsInLanes(dtype), *(SamplesInLanes(dtype, n) for n in REGISTERS)]


# --- buffers --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_registers", REGISTERS)
def test_samples_in_lanes(n_registers, dtype):
    lanes = SamplesInLanes(dtype, n_registers)
    assert lanes.for_sequences is lanes
    assert lanes.n_samples == n_registers * lane_count(dtype)
    assert lanes.n_rows(7) == 7
    rows = lanes.rows(3, 5, n_blocks=2)
    assert rows.ndim == 2 + n_registers
    assert rows.shape[:2] == (3, 10)
    assert rows[0, 0].size == lanes.n_samples
    # steps that a power of two would keep apart get a row more; one step needs none
    assert [lanes.rows(2, n).shape[1] for n in (7, 8, 9, 16)] == [7, 9, 9, 17]
    assert lanes.rows(1, 16).shape[1] == 16


@pytest.mark.parametrize("dtype", DTYPES)
def test_pairs_in_lanes(dtype):
    """Of as many samples as half of the lanes take, in the rows of sequences."""
    lanes, n = FewSamplesInLanes(dtype), lane_count(dtype)
    assert lanes.n_samples == n // 2
    assert lanes.rows(1, 5).shape == (1, 5, n)
    pairs = lanes.for_sequences
    assert pairs == PairsInLanes(dtype) == pairs.for_sequences
    assert [pairs.n_rows(k) for k in (0, 1, 2, 5)] == [0, 1, 1, 3]
    assert pairs.rows(3, 5, n_blocks=2).shape == (3, 6, 1, n // 2, 2)
    # as with one unit a row, some steps are moved apart
    assert [pairs.rows(2, k).shape[1] for k in (14, 16, 18)] == [7, 9, 9]


@pytest.mark.parametrize("dtype", DTYPES)
def test_units_in_lanes(dtype):
    lanes, n = UnitsInLanes(dtype), lane_count(dtype)
    assert lanes.for_sequences is lanes
    assert lanes.n_samples == 1
    assert [lanes.n_rows(k) for k in (0, 1, n, n + 1)] == [0, 1, 1, 2]
    rows = lanes.rows(3, n + 1, n_blocks=4)
    assert rows.shape == (3, 8 * n)
    assert value_rows(rows).shape == (3, 8, n)


@pytest.mark.parametrize("dtype", DTYPES)
def test_buffers_are_zeros_that_begin_on_a_cache_line(dtype):
    for lanes in [PairsInLanes(dtype), *arrangements(dtype)]:
        rows = lanes.rows(3, 5, 2)
        assert rows.dtype == dtype and not rows.any()
        assert rows.flags.c_contiguous and rows.ctypes.data % CACHE_LINE == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_by_lane_is_a_view_with_an_axis_of_samples(dtype):
    n = lane_count(dtype)
    for lanes in arrangements(dtype):
        rows = lanes.rows(3, 5)
        view = by_lane(rows)
        assert np.shares_memory(view, rows)
        assert view.shape[0] == 3 and view.shape[1] >= 5
        assert view.shape[2] == lanes.n_samples
        view[1, 3, -1] = 7
        # row 3 of step 1, or where lanes are units, the row with unit 3
        row = 3 // n if lanes.n_samples == 1 else 3
        expected = np.zeros_like(value_rows(rows))
        expected[1, row].ravel()[3 % n if lanes.n_samples == 1 else -1] = 7
        assert_array_equal(value_rows(rows), expected)


def test_by_lane_refuses_pairs():
    with pytest.raises(ValueError, match="by_row"):
        by_lane(PairsInLanes(np.dtype("f")).rows(1, 2))


@pytest.mark.parametrize("dtype", DTYPES)
def test_by_row_is_a_view_with_axes_of_samples_and_units(dtype):
    n = lane_count(dtype)
    shapes = {
        SamplesInLanes(dtype, 1): (3, 6, n, 1),
        SamplesInLanes(dtype, 2): (3, 6, 2 * n, 1),
        PairsInLanes(dtype): (3, 3, n // 2, 2),
        UnitsInLanes(dtype): (3, -(-6 // n), 1, n),
    }
    for lanes, shape in shapes.items():
        rows = lanes.rows(3, 6)
        rows[:] = np.arange(rows.size).reshape(rows.shape)
        view = by_row(rows)
        assert view.shape == shape and np.shares_memory(view, rows)
        assert_array_equal(view.ravel(), rows.ravel())


def test_arrangements_are_equal_where_they_are_alike():
    """They are keys of what is kept."""
    single, double = DTYPES
    alike = [prediction_lanes(double, n, False) for n in (1, 2, 3, 1000)]
    again = [prediction_lanes(np.dtype("d"), n, False) for n in (1, 2, 3, 1000)]
    assert alike == again and list(map(hash, alike)) == list(map(hash, again))
    assert len({*arrangements(single), *arrangements(double)}) == 6


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrangements_for_predictions(dtype):
    n = lane_count(dtype)
    one, two = (SamplesInLanes(dtype, r) for r in REGISTERS)
    assert prediction_lanes(dtype, 1, False) == UnitsInLanes(dtype)
    assert prediction_lanes(dtype, n, False) == (one if n > 2 else UnitsInLanes(dtype))
    assert prediction_lanes(dtype, n + 1, False) == two
    assert prediction_lanes(dtype, 10**6, False) == two
    assert prediction_lanes(dtype, 1, True) == one  # whose lanes all are samples


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("flops", [1, 10**12])
def test_arrangements_for_training_fill_the_lanes(flops, dtype):
    n = lane_count(dtype)
    one, two = (SamplesInLanes(dtype, r) for r in REGISTERS)
    for even in (False, True):
        few = FewSamplesInLanes(dtype) if even else one
        assert training_lanes(dtype, 1, flops, even) == few
        assert training_lanes(dtype, n // 2, flops, even) == few
        assert training_lanes(dtype, n // 2 + 1, flops, even) == one
        assert training_lanes(dtype, n, flops, even) == one
        assert training_lanes(dtype, 2 * n + 1, flops, even) == two
        # two shards, where another thread is worth it
        several = one if flops > 1 else two
        assert training_lanes(dtype, 2 * n, flops, even) == several


# --- packing --------------------------------------------------------------------------


def check_recorded(pack, weights, expected):
    """Pack, and again after the weights have changed."""
    calls = Recording()
    packed = pack(calls, weights)
    program = calls.program()
    for _ in range(2):
        run(program)
        assert_array_equal(packed, expected(weights))
        weights += 1.0
    assert packed.ctypes.data % CACHE_LINE == 0


def matrix(n_terms, n_columns, dtype):
    numbers = np.arange(1, 1 + n_terms * n_columns, dtype=dtype)
    return numbers.reshape(n_terms, n_columns)


@st.composite
def shapes(draw):
    """Terms, units, and the first blocks of the products with their end."""
    cuts = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    n_terms, n_units = draw(st.integers(1, 21)), draw(st.integers(1, 21))
    return n_terms, n_units, [int(cut) for cut in np.cumsum([0, *cuts])]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_registers", REGISTERS)
@given(shape=shapes())
def test_weights_for_samples_in_lanes(n_registers, dtype, shape):
    n_terms, n_units, blocks = shape
    lanes, largest = SamplesInLanes(dtype, n_registers), LARGEST // n_registers
    weights = matrix(n_terms, blocks[-1] * n_units, dtype)
    cuts = n_units * np.array(blocks)
    check_recorded(
        lambda calls, w: lanes.packed(calls, w, n_units, blocks),
        weights,
        lambda w: in_blocks(w, cuts, largest),
    )
    check_recorded(
        lanes.packed_transposed,
        weights,
        lambda w: in_blocks(w.T, [0, n_terms], largest),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@given(shape=shapes())
def test_weights_for_units_side_by_side(dtype, shape):
    n_terms, n_units, blocks = shape
    weights = matrix(n_terms, blocks[-1] * n_units, dtype)
    for lanes, n in [
        (PairsInLanes(dtype), 2),
        (UnitsInLanes(dtype), lane_count(dtype)),
    ]:
        cuts = lanes.n_rows(n_units) * np.array(blocks)
        check_recorded(
            lambda calls, w, lanes=lanes: lanes.packed(calls, w, n_units, blocks),
            weights,
            lambda w, n=n, cuts=cuts: in_blocks(fill_up(w, n_units, n), cuts, LARGEST),
        )
    pairs = PairsInLanes(dtype)
    check_recorded(
        pairs.packed_transposed,
        weights,
        lambda w: in_blocks(
            fill_up(w.T, n_terms, 2), [0, pairs.n_rows(n_terms)], LARGEST
        ),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@given(n_units=st.integers(1, 21), n_blocks=st.integers(1, 4))
def test_bias(dtype, n_units, n_blocks):
    bias, calls = np.arange(1.0, 1 + n_units * n_blocks, dtype=dtype), Recording()
    for n_registers in REGISTERS:  # the products take it as it is
        lanes = SamplesInLanes(dtype, n_registers)
        assert lanes.packed_bias(calls, bias, n_units) is bias
    for lanes, n in [
        (PairsInLanes(dtype), 2),
        (UnitsInLanes(dtype), lane_count(dtype)),
    ]:
        check_recorded(
            lambda calls, bias, lanes=lanes: lanes.packed_bias(calls, bias, n_units),
            bias,
            lambda bias, n=n: spread_units(bias, n_units, n),
        )
