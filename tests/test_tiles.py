"""Tiles of products: the compiled intrinsics do what their Python definitions say."""

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn._jit import FASTMATH
from skrnn.panels import PANEL_BLOCK
from skrnn.simd import VECTOR_BITS, put, units_of_row, value_rows
from skrnn.tiles import (
    EIGHT,
    FOUR,
    LARGEST,
    ONE,
    largest_block,
    load_block,
    multiply_add,
    start_block,
    store_block,
)
from tests.oracles.buffers import FORMS, rows_of

DTYPES = [np.float32, np.float64]
BLOCKS = [ONE, FOUR, EIGHT, (0,) * LARGEST]
EPSILON = {dtype: np.finfo(dtype).eps for dtype in DTYPES}

# Compiled with the flags of `kernel`, but not cached: these bodies are the tests' own.
compiled = numba.njit(error_model="numpy", fastmath=FASTMATH)


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
    expected = LARGEST // 2 if form == 2 else LARGEST
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
    rng, n, start, t, first = np.random.default_rng(n_terms), len(block), 3, 2, 1
    rows = rows_of(rng, 4, n_terms + 2, dtype, form)
    units, values = units_of_row(rows), value_rows(rows).astype(np.float64)
    n_samples = values[0, 0].size // units
    bias = rng.normal(size=(n + 1) * units).astype(dtype)
    packed = rng.normal(size=(start + n_terms * n) * units**2).astype(dtype)
    weights = packed[start * units**2 :].reshape(n_terms, units, n, units)
    terms = values[t, first : first + n_terms].reshape(n_terms, n_samples, units)
    product = np.einsum("jkiu,jsk->isu", weights.astype(np.float64), terms)
    out = np.full_like(rows_of(rng, 2, n + 3, dtype, form), 9)
    expected, defined = out.copy(), out.copy()
    block_product_compiled(block, bias, packed, start, rows, t, first, n_terms, out)
    # the rows around the block stay at 9
    by_sample = expected.reshape(2, n + 3, n_samples, units)
    by_sample[1, 2 : n + 2] = bias[units:].reshape(n, 1, units) + product
    by_sample[0, 1 : n + 1] = bias[units:].reshape(n, 1, units) + 2 * product
    atol = 100 * units * EPSILON[dtype]
    assert_allclose(out, expected, rtol=0, atol=atol)
    block_product(block, bias, packed, start, rows, t, first, n_terms, defined)
    assert_allclose(defined, expected, rtol=0, atol=atol)
