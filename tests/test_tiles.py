"""Tiles of products: the compiled intrinsics do what their Python definitions say."""

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn._jit import FASTMATH
from skrnn.lanes import by_lane
from skrnn.simd import VECTOR_BITS, lane_count, put, value_rows
from skrnn.tiles import (
    EIGHT,
    FOUR,
    LARGEST,
    ONE,
    PANEL_BLOCK,
    add_products,
    largest_block,
    load_block,
    multiply_add,
    start_block,
    store_block,
    transpose_tile,
)

DTYPES = [np.float32, np.float64]
FORMS = ["samples", "samples in two registers", "units"]
BLOCKS = [ONE, FOUR, EIGHT, (0,) * LARGEST]
EPSILON = {dtype: np.finfo(dtype).eps for dtype in DTYPES}

# Compiled with the flags of `kernel`, but not cached: these bodies are the tests' own.
compiled = numba.njit(error_model="numpy", fastmath=FASTMATH)


def rows_of(rng, n_steps, n_rows, dtype, form="samples"):
    lanes = lane_count(dtype)
    shape = {
        "samples": (n_steps, n_rows, lanes),
        "samples in two registers": (n_steps, n_rows, 2, lanes),
        "units": (n_steps, n_rows * lanes),
    }[form]
    return rng.normal(size=shape).astype(dtype)


def test_largest_block_leaves_registers_for_the_operands():
    n_registers = 16 if VECTOR_BITS == 256 else 32
    assert LARGEST <= n_registers - 2
    # of a gradient's, each row takes two, beside two of the panel and a factor
    assert 2 * len(PANEL_BLOCK) <= n_registers - 3


@compiled
def _length_of_largest_block(rows):
    return len(largest_block(rows))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", FORMS)
def test_largest_block_counts_registers(form, dtype):
    rows = rows_of(np.random.default_rng(0), 1, 1, dtype, form)
    expected = LARGEST // 2 if form == "samples in two registers" else LARGEST
    assert _length_of_largest_block(rows) == len(largest_block(rows)) == expected


@compiled
def _copy_then_overwrite(rows, out):
    block = load_block(ONE, rows, 0, 0)
    put(rows, 0, 0, 0.0)
    store_block(out, 0, 0, block)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", FORMS)
def test_a_block_does_not_change_with_the_buffer_it_came_from(form, dtype):
    rows = rows_of(np.random.default_rng(0), 1, 1, dtype, form)
    before, out = rows.copy(), np.zeros_like(rows)
    _copy_then_overwrite(rows, out)
    assert_array_equal(out, before)


def block_product(block, bias, packed, start, rows, t, first, n_terms, out):
    sums = start_block(block, bias, 1, out)
    sums = multiply_add(sums, packed, start, rows, t, first, n_terms)
    store_block(out, 1, 2, sums)
    again = load_block(block, out, 1, 2)
    store_block(out, 0, 1, multiply_add(again, packed, start, rows, t, first, n_terms))


block_product_compiled = compiled(block_product)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("block", BLOCKS, ids=len)
@pytest.mark.parametrize("n_terms", [0, 1, 2, 7])
@pytest.mark.parametrize("form", FORMS)
def test_block_product(form, n_terms, block, dtype):
    rng, lanes = np.random.default_rng(n_terms), lane_count(dtype)
    n, start, t, first = len(block), 3, 2, 1
    rows = rows_of(rng, 4, n_terms + 2, dtype, form)
    terms = value_rows(rows)[t, first : first + n_terms].astype(np.float64)
    if form == "units":
        bias = rows_of(rng, 1, n + 1, dtype, form)
        packed = rng.normal(size=(start + n_terms * n) * lanes**2).astype(dtype)
        weights = packed[start * lanes**2 :].reshape(n_terms * lanes, n, lanes)
        product = np.einsum("jil,j->il", weights.astype(np.float64), terms.ravel())
        begin = value_rows(bias)[0, 1:]
    else:
        bias = rng.normal(size=n + 1).astype(dtype)
        packed = rng.normal(size=start + n_terms * n).astype(dtype)
        weights = packed[start:].reshape(n_terms, n).astype(np.float64)
        product = np.einsum("ji,j...->i...", weights, terms)
        begin = bias[1:].reshape(n, *[1] * (rows.ndim - 2))
    out = np.full_like(rows_of(rng, 2, n + 3, dtype, form), 9)
    expected, defined = out.copy(), out.copy()
    block_product_compiled(block, bias, packed, start, rows, t, first, n_terms, out)
    value_rows(expected)[1, 2 : n + 2] = begin + product
    value_rows(expected)[0, 1 : n + 1] = begin + 2 * product
    # the rows around the block stay at 9
    atol = 100 * (lanes if form == "units" else 1) * EPSILON[dtype]
    assert_allclose(out, expected, rtol=0, atol=atol)
    block_product(block, bias, packed, start, rows, t, first, n_terms, defined)
    assert_allclose(defined, expected, rtol=0, atol=atol)


# --- gradients ------------------------------------------------------------------------


def transpose(panel, z, first, lane):
    transpose_tile(panel, 3, 1, z, 2, first, lane)


transpose_compiled = compiled(transpose)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("missing", [0, 1, 2])
@pytest.mark.parametrize("form", FORMS[:2])
def test_transpose_tile(form, missing, dtype):
    """Rows that are missing at the end are taken from the last one."""
    rng, n = np.random.default_rng(missing), lane_count(dtype)
    missing = min(missing, n - 1)
    z = rows_of(rng, 4, 2 + n - missing, dtype, form)
    lanes = by_lane(z)
    lane = lanes.shape[2] - n
    panel = rng.normal(size=(n + 5, n + 2)).astype(dtype)
    expected, defined = panel.copy(), panel.copy()
    for i in range(n):
        for c in range(n):
            row = min(2 + c, z.shape[1] - 1)
            expected[3 + i, 1 + c] = lanes[2, row, lane + i]
    transpose_compiled(panel, z, 2, lane)
    assert_array_equal(panel, expected)
    transpose(defined, z, 2, lane)
    assert_array_equal(defined, expected)


def products(target, column, block, x, panel, n_steps, n_lanes):
    add_products(target, 1, column, block, x, 1, 3, panel, n_steps, n_lanes)


products_compiled = compiled(products)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("block", [ONE, FOUR, PANEL_BLOCK], ids=len)
@pytest.mark.parametrize("n_steps", [1, 2, 5])
@pytest.mark.parametrize("form", FORMS[:2])
@pytest.mark.parametrize("place", ["before", "begin", "within", "end", "behind"])
def test_add_products(place, form, n_steps, block, dtype):
    """Columns of the panel that lie before or behind those of the target are none."""
    rng, lanes = np.random.default_rng(n_steps), lane_count(dtype)
    n, width = len(block), 2 * lanes
    x = rows_of(rng, n_steps + 2, n + 4, dtype, form)
    n_lanes = max(1, by_lane(x).shape[2] - (n_steps - 1))  # not all are in use
    left = by_lane(x)[1 : 1 + n_steps, 3 : 3 + n, :n_lanes].astype(np.float64)
    panel = rng.normal(size=(n_steps * n_lanes + 1, width)).astype(dtype)
    target = rng.normal(size=(n + 2, 2 * width + 1)).astype(dtype)
    column = {
        "before": -width,
        "begin": 1 - width,
        "within": 2,
        "end": width + 3,
        "behind": target.shape[1],
    }[place]
    right = panel[:-1].reshape(n_steps, n_lanes, width)
    sums = np.einsum("sal,slc->ac", left, right)
    expected, defined = target.astype(np.float64), target.copy()
    for c in range(width):
        if 0 <= column + c < target.shape[1]:
            expected[1 : 1 + n, column + c] += sums[:, c]
    products_compiled(target, column, block, x, panel, n_steps, n_lanes)
    assert_allclose(target, expected, rtol=0, atol=200 * EPSILON[dtype])
    products(defined, column, block, x, panel, n_steps, n_lanes)
    assert_allclose(defined, expected, rtol=0, atol=200 * EPSILON[dtype])
