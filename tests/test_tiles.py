"""Tiles of products: the compiled intrinsics do what their Python definitions say."""

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn._jit import FASTMATH
from skrnn.simd import VECTOR_BITS, lane_count, put
from skrnn.tiles import (
    EIGHT,
    FOUR,
    LARGEST,
    ONE,
    add_outer_sums,
    load_block,
    multiply_add,
    splat_block,
    store_block,
)

DTYPES = [np.float32, np.float64]
BLOCKS = [ONE, FOUR, EIGHT, LARGEST]
EPSILON = {dtype: np.finfo(dtype).eps for dtype in DTYPES}

# Compiled with the flags of `kernel`, but not cached: these bodies are the tests' own.
compiled = numba.njit(error_model="numpy", fastmath=FASTMATH)


def rows_of(rng, n_steps, n_rows, dtype):
    return rng.normal(size=(n_steps, n_rows, lane_count(dtype))).astype(dtype)


def test_largest_block_leaves_registers_for_the_operands():
    n_registers = 16 if VECTOR_BITS == 256 else 32
    assert len(LARGEST) <= n_registers - 2


@compiled
def _copy_then_overwrite(rows, out):
    block = load_block(ONE, rows, 0, 0)
    put(rows, 0, 0, 0.0)
    store_block(out, 0, 0, block)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_block_does_not_change_with_the_buffer_it_came_from(dtype):
    rows = rows_of(np.random.default_rng(0), 1, 1, dtype)
    before, out = rows.copy(), np.zeros_like(rows)
    _copy_then_overwrite(rows, out)
    assert_array_equal(out, before)


def block_product(block, numbers, packed, start, rows, t, first, n_terms, out):
    sums = splat_block(block, numbers, 1)
    sums = multiply_add(sums, packed, start, rows, t, first, n_terms)
    store_block(out, 1, 2, sums)
    again = load_block(block, out, 1, 2)
    store_block(out, 0, 1, multiply_add(again, packed, start, rows, t, first, n_terms))


block_product_compiled = compiled(block_product)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("block", BLOCKS, ids=len)
@pytest.mark.parametrize("n_terms", [0, 1, 2, 7])
def test_block_product(dtype, block, n_terms):
    rng = np.random.default_rng(n_terms)
    n, start, t, first = len(block), 3, 2, 1
    numbers = rng.normal(size=n + 1).astype(dtype)
    packed = rng.normal(size=start + n_terms * n).astype(dtype)
    rows = rows_of(rng, 4, n_terms + 2, dtype)
    out, expected = (np.full((2, n + 3, lane_count(dtype)), 9, dtype) for _ in range(2))
    block_product_compiled(block, numbers, packed, start, rows, t, first, n_terms, out)
    weights = packed[start:].reshape(n_terms, n).astype(np.float64)
    product = weights.T @ rows[t, first : first + n_terms]
    expected[1, 2 : n + 2] = numbers[1:, None] + product
    expected[0, 1 : n + 1] = numbers[1:, None] + 2 * product
    # the rows around the block stay at 9
    assert_allclose(out, expected, rtol=0, atol=100 * EPSILON[dtype])
    defined = np.full_like(out, 9)
    block_product(block, numbers, packed, start, rows, t, first, n_terms, defined)
    assert_allclose(defined, expected, rtol=0, atol=100 * EPSILON[dtype])


def outer_sums(target, x_block, x, z_block, z, n_steps):
    add_outer_sums(target, 1, 2, x_block, x, 1, 3, z_block, z, 2, 1, n_steps)


outer_sums_compiled = compiled(outer_sums)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("x_block", [ONE, FOUR], ids=len)
@pytest.mark.parametrize("z_block", [ONE, FOUR], ids=len)
@pytest.mark.parametrize("n_steps", [1, 2, 5])
def test_outer_sums(dtype, x_block, z_block, n_steps):
    rng = np.random.default_rng(n_steps)
    x, z = rows_of(rng, n_steps + 2, 8, dtype), rows_of(rng, n_steps + 2, 6, dtype)
    target = rng.normal(size=(6, 7)).astype(dtype)
    n_i, n_j = len(x_block), len(z_block)
    expected = target.astype(np.float64)
    for a in range(n_i):
        for b in range(n_j):
            left = x[1 : 1 + n_steps, 3 + a].astype(np.float64)
            right = z[2 : 2 + n_steps, 1 + b]
            expected[1 + a, 2 + b] += (left * right).sum()
    defined = target.copy()
    outer_sums_compiled(target, x_block, x, z_block, z, n_steps)
    outer_sums(defined, x_block, x, z_block, z, n_steps)
    assert_allclose(target, expected, rtol=0, atol=200 * EPSILON[dtype])
    assert_allclose(defined, expected, rtol=0, atol=200 * EPSILON[dtype])
