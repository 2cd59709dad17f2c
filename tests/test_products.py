"""The products against NumPy, over sizes and offsets that fit no block."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.lanes import by_lane
from skrnn.products import (
    PANEL_ROWS,
    accumulate,
    add_gradients,
    add_transposed_gradients,
    affine,
    clear,
    new_panel,
    pack,
    pack_transposed,
    pack_units,
    spread,
)
from skrnn.simd import by_row, lane_count
from skrnn.tiles import LARGEST
from tests.oracles import buffers
from tests.oracles.buffers import by_unit
from tests.oracles.packing import block_sizes, fill_up, in_blocks, spread_units

DTYPES = [np.float32, np.float64]
REGISTERS = [1, 2]
FORMS = [*REGISTERS, "pairs"]
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(0, 37)
UNTOUCHED = 9.0


def tolerance(dtype, n_terms):
    return 20 * (n_terms + 1) * float(np.finfo(dtype).eps)


def rows_of(rng, n_steps, n_units, dtype, form):
    n_rows = -(-n_units // 2) if form == "pairs" else n_units
    return buffers.rows_of(rng, n_steps, n_rows, dtype, form)


def packed_columns(weights, cuts=None, largest=LARGEST):
    packed = np.full(weights.size, UNTOUCHED, weights.dtype)
    cuts = [0, weights.shape[1]] if cuts is None else cuts
    pack(np.ascontiguousarray(weights), np.array(cuts, np.int64), largest, packed)
    return packed


def packed_rows(weights, largest=LARGEST):
    packed = np.full(weights.size, UNTOUCHED, weights.dtype)
    pack_transposed(np.ascontiguousarray(weights), largest, packed)
    return packed


# --- packing --------------------------------------------------------------------------


@given(
    n_terms=SIZES,
    cuts=st.lists(SIZES, min_size=1, max_size=4),
    largest=st.sampled_from([16, 8, 4]),
)
def test_pack_lays_out_blocks_as_documented(n_terms, cuts, largest):
    cuts = np.cumsum([0, *cuts])
    weights = np.arange(n_terms * cuts[-1], dtype=np.float64)
    weights = weights.reshape(n_terms, cuts[-1])
    packed = packed_columns(weights, cuts, largest)
    for first, last in zip(cuts[:-1], cuts[1:], strict=True):
        column = first
        while column < last:
            n = next(size for size in block_sizes(largest) if size <= last - column)
            block = packed[column * n_terms : (column + n) * n_terms]
            assert_array_equal(block, weights[:, column : column + n].ravel())
            column += n


@given(n_terms=SIZES, n_outputs=SIZES, largest=st.sampled_from([16, 8, 4]))
def test_pack_transposed_is_pack_of_the_transpose(n_terms, n_outputs, largest):
    weights = np.arange(n_terms * n_outputs, dtype=np.float64)
    weights = weights.reshape(n_outputs, n_terms)
    packed = packed_rows(weights, largest)
    assert_array_equal(packed, packed_columns(weights.T, largest=largest))


def packed_units(weights, n_units, lanes, boundaries, largest=LARGEST, turned=False):
    """Pack weights with so many units of a row, also from their transpose."""
    n_terms, n_columns = weights.shape
    rows = n_columns // n_units * -(-n_units // lanes)
    packed = np.full(-(-n_terms // lanes) * rows * lanes**2, UNTOUCHED, weights.dtype)
    boundaries = np.array(boundaries, np.int64)
    weights = np.ascontiguousarray(weights.T if turned else weights)
    pack_units(weights, int(turned), n_units, lanes, boundaries, largest, packed)
    return packed


@given(
    n_terms=SIZES,
    n_units=st.integers(1, 20),
    blocks=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    lanes=st.sampled_from([2, 4, 8]),
    largest=st.sampled_from([16, 8, 4]),
)
def test_pack_units_is_pack_of_weights_filled_up(
    n_terms, n_units, blocks, lanes, largest
):
    blocks = np.cumsum([0, *blocks])
    weights = 1.0 + np.arange(n_terms * blocks[-1] * n_units)
    weights = weights.reshape(n_terms, blocks[-1] * n_units)
    boundaries = blocks * -(-n_units // lanes)
    filled = fill_up(weights, n_units, lanes)
    for turned in (False, True):
        packed = packed_units(weights, n_units, lanes, boundaries, largest, turned)
        assert_array_equal(packed, in_blocks(filled, boundaries, largest))


@given(n_units=st.integers(1, 20), n_blocks=st.integers(1, 4))
def test_spread_puts_blocks_apart(n_units, n_blocks):
    numbers = np.arange(1.0, 1 + n_units * n_blocks)
    width = -(-n_units // 8) * 8
    apart = np.zeros(n_blocks * width)
    spread(numbers, n_units, width, apart)
    assert_array_equal(apart, spread_units(numbers, n_units, 8))


# --- products -------------------------------------------------------------------------


@pytest.mark.parametrize("n_registers", REGISTERS)
@pytest.mark.parametrize("dtype", DTYPES)
@given(n_rows=SIZES, n_x=SIZES, n_h=SIZES, before=st.integers(0, 3), seed=SEEDS)
def test_affine(dtype, n_registers, n_rows, n_x, n_h, before, seed):
    """Rows from `before` on; weights of the inputs begin there, those of h at 0."""
    rng = np.random.default_rng(seed)
    last, largest = before + n_rows, LARGEST // n_registers
    w = rng.normal(size=(n_x, n_rows)).astype(dtype)
    v = rng.normal(size=(n_h, last)).astype(dtype)
    bias = rng.normal(size=last).astype(dtype)
    x = rows_of(rng, 3, n_x + 1, dtype, n_registers)
    h = rows_of(rng, 2, n_h + 1, dtype, n_registers)
    out = np.full_like(rows_of(rng, 2, last + 2, dtype, n_registers), UNTOUCHED)
    expected = by_lane(out).astype(np.float64)
    expected[1, before:last] = (
        bias[before:, None]
        + w.T @ by_lane(x)[2, :n_x]
        + v[:, before:].T @ by_lane(h)[1, :n_h]
    )
    affine(
        before,
        last,
        before,
        out,
        1,
        bias,
        packed_columns(w, largest=largest),
        x,
        2,
        n_x,
        packed_columns(v, [0, before, last], largest),
        h,
        1,
        n_h,
    )
    atol = tolerance(dtype, n_x + n_h)
    assert_allclose(by_lane(out), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", DTYPES)
@given(
    n_units=st.integers(1, 37),
    n_x=SIZES,
    n_h=SIZES,
    n_blocks=st.integers(1, 3),
    n_before=st.integers(0, 1),
    seed=SEEDS,
)
def test_affine_of_units_in_lanes(dtype, n_units, n_x, n_h, n_blocks, n_before, seed):
    """Blocks from `n_before` on; each is filled up to whole rows with zeros."""
    rng, lanes = np.random.default_rng(seed), lane_count(dtype)
    n_all = n_before + n_blocks
    rows_of_block, x_rows, h_rows = (-(-n // lanes) for n in (n_units, n_x, n_h))
    w = rng.normal(size=(n_x, n_blocks * n_units)).astype(dtype)
    v = rng.normal(size=(n_h, n_all * n_units)).astype(dtype)
    bias = rng.normal(size=n_all * n_units).astype(dtype)
    x = np.zeros((3, x_rows * lanes), dtype)
    h = np.zeros((2, h_rows * lanes), dtype)
    # beyond the units there may be any numbers, of which the weights are 0
    x[:], h[:] = UNTOUCHED, UNTOUCHED
    x[2, :n_x], h[1, :n_h] = rng.normal(size=n_x), rng.normal(size=n_h)
    before, last = n_before * rows_of_block, n_all * rows_of_block
    out = np.full((2, (last + 1) * lanes), UNTOUCHED, dtype)
    expected = out.astype(np.float64)
    numbers = bias + h[1, :n_h] @ v
    numbers[n_before * n_units :] += x[2, :n_x] @ w
    filled = spread_units(numbers, n_units, lanes)[before * lanes :]
    expected[1, before * lanes : last * lanes] = filled
    affine(
        before,
        last,
        before,
        out,
        1,
        spread_units(bias, n_units, lanes),
        packed_units(w, n_units, lanes, [0, last - before]),
        x,
        2,
        x_rows,
        packed_units(v, n_units, lanes, [0, before, last]),
        h,
        1,
        h_rows,
    )
    assert_allclose(out, expected, rtol=0, atol=tolerance(dtype, n_x + n_h))


@pytest.mark.parametrize("n_registers", REGISTERS)
@pytest.mark.parametrize("dtype", DTYPES)
@given(n_rows=SIZES, n_terms=SIZES, first=st.integers(0, 3), seed=SEEDS)
def test_accumulate(dtype, n_registers, n_rows, n_terms, first, seed):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(n_rows, n_terms)).astype(dtype)
    x = rows_of(rng, 3, first + n_terms + 1, dtype, n_registers)
    out = rows_of(rng, 2, n_rows + 1, dtype, n_registers)
    expected = by_lane(out).astype(np.float64)
    expected[1, :n_rows] += w @ by_lane(x)[2, first : first + n_terms]
    packed = packed_rows(w, LARGEST // n_registers)
    accumulate(n_rows, out, 1, packed, x, 2, first, n_terms)
    atol = tolerance(dtype, n_terms)
    assert_allclose(by_lane(out), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", DTYPES)
@given(n_units=SIZES, n_terms=SIZES, first=st.integers(0, 3), seed=SEEDS)
def test_accumulate_in_pairs(dtype, n_units, n_terms, first, seed):
    """Units and terms beyond the last have the weight 0."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(n_units, n_terms)).astype(dtype)
    x = rows_of(rng, 3, 2 * first + n_terms + 2, dtype, "pairs")
    out = rows_of(rng, 2, n_units + 2, dtype, "pairs")
    expected = by_unit(out).astype(np.float64)
    terms = by_unit(x)[2, 2 * first : 2 * first + n_terms]
    expected[1, :n_units] += w @ terms
    n_rows, term_rows = -(-n_units // 2), -(-n_terms // 2)
    packed = packed_units(w.T, max(n_units, 1), 2, [0, n_rows])
    accumulate(n_rows, out, 1, packed, x, 2, first, term_rows)
    assert_allclose(by_unit(out), expected, rtol=0, atol=tolerance(dtype, n_terms))


# --- gradients ------------------------------------------------------------------------


def check_gradients(dtype, form, n_i, n_h, columns, size, seed):
    """`columns` are those of the bias, before the inputs', and the recurrence's.

    `size` is the number of steps, and of lanes in use.
    """
    rng = np.random.default_rng(seed)
    n_bias, first, n_recurrent = columns
    n_steps, n_lanes = size
    x, h, z = (
        rows_of(rng, n_steps + 1, n, dtype, form)
        for n in (n_i + 1, n_h + 1, n_bias + 1)
    )
    for rows in (x, h, z):  # what must not be read
        by_row(rows)[n_steps:] = by_row(rows)[:, :, n_lanes:] = np.nan
    shapes = [(n_i, n_bias - first), (n_h, n_recurrent), (n_bias,)]
    targets = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    left, right, gates = (
        by_unit(rows)[:n_steps, :n, :n_lanes].astype(np.float64)
        for rows, n in ((x, n_i), (h, n_h), (z, n_bias))
    )
    expected = [
        targets[0] + np.einsum("til,tjl->ij", left, gates[:, first:]),
        targets[1] + np.einsum("til,tjl->ij", right, gates[:, :n_recurrent]),
        targets[2] + gates.sum(axis=(0, 2)),
    ]
    panel = new_panel(np.dtype(dtype))
    panel[:] = np.nan
    shard_size = np.array([n_steps, 0, n_lanes])
    add_gradients(*targets, x, h, z, first, panel, shard_size)
    atol = tolerance(dtype, n_steps * n_lanes)
    for target, values in zip(targets, expected, strict=True):
        assert_allclose(target, values, rtol=0, atol=atol)


@pytest.mark.parametrize("form", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
@given(
    n_results=st.sampled_from([1, 7, 70, 600]),
    n_terms=st.integers(1, 70),
    n_steps=st.integers(1, 6),
    seed=SEEDS,
    data=st.data(),
)
def test_transposed_gradients(dtype, form, n_results, n_terms, n_steps, seed, data):
    """Of more rows than are done at once."""
    rng = np.random.default_rng(seed)
    n_lanes = lanes_in_use(data, dtype, form)
    x, z = (rows_of(rng, n_steps + 1, n + 1, dtype, form) for n in (n_terms, n_results))
    for rows in (x, z):  # what must not be read
        by_row(rows)[n_steps:] = by_row(rows)[:, :, n_lanes:] = np.nan
    target = rng.normal(size=(n_results, n_terms)).astype(dtype)
    left, right = (
        by_unit(rows)[:n_steps, :n, :n_lanes].astype(np.float64)
        for rows, n in ((z, n_results), (x, n_terms))
    )
    expected = target + np.einsum("til,tjl->ij", left, right)
    panel = new_panel(np.dtype(dtype))
    panel[:] = np.nan
    add_transposed_gradients(target, x, z, panel, np.array([n_steps, 0, n_lanes]))
    atol = tolerance(dtype, n_steps * n_lanes)
    assert_allclose(target, expected, rtol=0, atol=atol)


@st.composite
def column_counts(draw, most=40):
    n_bias = draw(st.integers(1, most))
    return n_bias, draw(st.integers(0, n_bias)), draw(st.integers(0, n_bias))


def samples_of(form, dtype):
    return lane_count(dtype) // 2 if form == "pairs" else form * lane_count(dtype)


def lanes_in_use(data, dtype, form):
    return data.draw(st.integers(1, samples_of(form, dtype)), label="n_lanes")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
@given(
    n_i=st.integers(0, 13),
    n_h=st.integers(0, 13),
    columns=column_counts(),
    n_steps=st.integers(1, 6),
    seed=SEEDS,
    data=st.data(),
)
def test_gradients(dtype, form, n_i, n_h, columns, n_steps, seed, data):
    size = n_steps, lanes_in_use(data, dtype, form)
    check_gradients(dtype, form, n_i, n_h, columns, size, seed)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
@given(columns=column_counts(20), n_steps=st.integers(1, 6), seed=SEEDS, data=st.data())
def test_gradients_by_panels_without_jit(dtype, form, columns, n_steps, seed, data):
    # with the JIT on the constant is compiled in, and this is an ordinary case
    size = n_steps, lanes_in_use(data, dtype, form)
    with pytest.MonkeyPatch.context() as patch:
        rows = data.draw(st.integers(1, 4)) * size[1]
        patch.setattr("skrnn.products.PANEL_ROWS", rows)
        patch.setattr("skrnn.products.CACHED_BYTES", data.draw(st.integers(1, 9999)))
        check_gradients(dtype, form, 5, 3, columns, size, seed)


@pytest.mark.needs_jit
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_idle", [0, 1, "all but one"])
@pytest.mark.parametrize("extra", [0, 1, 5])
def test_gradients_beyond_one_panel(dtype, form, n_idle, extra):
    """Also where the lanes in use do not divide the rows of a panel."""
    n_lanes = samples_of(form, dtype)
    n_lanes = 1 if n_idle == "all but one" else max(1, n_lanes - n_idle)
    size = 2 * (PANEL_ROWS // n_lanes) + extra, n_lanes
    columns = 64 + extra, 16, 48
    check_gradients(dtype, form, 32 + extra, 35, columns, size, extra)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_clear(dtype, form):
    rows = rows_of(np.random.default_rng(0), 4, 5, dtype, form)
    rows[:] = np.nan
    n_steps, n_rows = np.array([3]), 2
    clear(rows, n_steps, n_rows)
    assert_array_equal(rows[:3, :2], 0)
    assert np.isnan(rows[3:]).all() and np.isnan(rows[:, 2:]).all()
