"""The products against NumPy, over sizes and offsets that fit no block."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.products import (
    BLOCK_SIZES,
    ROWS_AT_ONCE,
    STEPS_AT_ONCE,
    accumulate,
    add_bias_gradient,
    add_weight_gradient,
    affine,
    clear,
    pack,
    pack_transposed,
)
from skrnn.simd import lane_count

DTYPES = [np.float32, np.float64]
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(0, 37)
UNTOUCHED = 9.0


def tolerance(dtype, n_terms):
    return 20 * (n_terms + 1) * float(np.finfo(dtype).eps)


def rows_of(rng, n_steps, n_rows, dtype):
    return rng.normal(size=(n_steps, n_rows, lane_count(dtype))).astype(dtype)


def packed_columns(weights, cuts=None):
    packed = np.full(weights.size, UNTOUCHED, weights.dtype)
    cuts = [0, weights.shape[1]] if cuts is None else cuts
    pack(np.ascontiguousarray(weights), np.array(cuts, np.int64), packed)
    return packed


def packed_rows(weights):
    packed = np.full(weights.size, UNTOUCHED, weights.dtype)
    pack_transposed(np.ascontiguousarray(weights), packed)
    return packed


# --- packing --------------------------------------------------------------------------


@given(n_terms=SIZES, cuts=st.lists(SIZES, min_size=1, max_size=4))
def test_pack_lays_out_blocks_as_documented(n_terms, cuts):
    cuts = np.cumsum([0, *cuts])
    weights = np.arange(n_terms * cuts[-1], dtype=np.float64)
    weights = weights.reshape(n_terms, cuts[-1])
    packed = packed_columns(weights, cuts)
    for first, last in zip(cuts[:-1], cuts[1:], strict=True):
        column = first
        while column < last:
            n = next(size for size in BLOCK_SIZES if size <= last - column)
            block = packed[column * n_terms : (column + n) * n_terms]
            assert_array_equal(block, weights[:, column : column + n].ravel())
            column += n


@given(n_terms=SIZES, n_outputs=SIZES)
def test_pack_transposed_is_pack_of_the_transpose(n_terms, n_outputs):
    weights = np.arange(n_terms * n_outputs, dtype=np.float64)
    weights = weights.reshape(n_outputs, n_terms)
    assert_array_equal(packed_rows(weights), packed_columns(weights.T))


# --- products -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@given(n_rows=SIZES, n_x=SIZES, n_h=SIZES, before=st.integers(0, 3), seed=SEEDS)
def test_affine(dtype, n_rows, n_x, n_h, before, seed):
    """Rows from `before` on; weights of the inputs begin there, those of h at 0."""
    rng = np.random.default_rng(seed)
    last = before + n_rows
    w = rng.normal(size=(n_x, n_rows)).astype(dtype)
    v = rng.normal(size=(n_h, last)).astype(dtype)
    bias = rng.normal(size=last).astype(dtype)
    x, h = rows_of(rng, 3, n_x + 1, dtype), rows_of(rng, 2, n_h + 1, dtype)
    out = np.full((2, last + 2, lane_count(dtype)), UNTOUCHED, dtype)
    expected = out.astype(np.float64)
    expected[1, before:last] = (
        bias[before:, None] + w.T @ x[2, :n_x] + v[:, before:].T @ h[1, :n_h]
    )
    affine(
        before,
        last,
        before,
        out,
        1,
        bias,
        packed_columns(w),
        x,
        2,
        n_x,
        packed_columns(v, [0, before, last]),
        h,
        1,
        n_h,
    )
    assert_allclose(out, expected, rtol=0, atol=tolerance(dtype, n_x + n_h))


@pytest.mark.parametrize("dtype", DTYPES)
@given(n_rows=SIZES, n_terms=SIZES, first=st.integers(0, 3), seed=SEEDS)
def test_accumulate(dtype, n_rows, n_terms, first, seed):
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(n_rows, n_terms)).astype(dtype)
    x = rows_of(rng, 3, first + n_terms + 1, dtype)
    out = rows_of(rng, 2, n_rows + 1, dtype)
    expected = out.astype(np.float64)
    expected[1, :n_rows] += w @ x[2, first : first + n_terms]
    accumulate(n_rows, out, 1, packed_rows(w), x, 2, first, n_terms)
    assert_allclose(out, expected, rtol=0, atol=tolerance(dtype, n_terms))


# --- gradients ------------------------------------------------------------------------


def check_weight_gradient(dtype, n_i, n_j, n_steps, z_first, seed):
    rng = np.random.default_rng(seed)
    x = rows_of(rng, n_steps + 1, n_i + 1, dtype)
    z = rows_of(rng, n_steps, z_first + n_j + 1, dtype)
    target = rng.normal(size=(n_i, n_j)).astype(dtype)
    left = x[:n_steps, :n_i].transpose(1, 0, 2).reshape(n_i, -1).astype(np.float64)
    right = z[:, z_first : z_first + n_j].transpose(1, 0, 2).reshape(n_j, -1)
    expected = target + left @ right.T
    add_weight_gradient(target, x, z, z_first, n_steps)
    atol = tolerance(dtype, n_steps * lane_count(dtype))
    assert_allclose(target, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", DTYPES)
@given(
    n_i=st.integers(1, 13),
    n_j=st.integers(1, 13),
    n_steps=st.integers(1, 6),
    z_first=st.integers(0, 5),
    seed=SEEDS,
)
def test_weight_gradient(dtype, n_i, n_j, n_steps, z_first, seed):
    check_weight_gradient(dtype, n_i, n_j, n_steps, z_first, seed)


@pytest.mark.needs_jit
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("extra", [0, 1, 5])
def test_weight_gradient_beyond_one_tile_of_the_cache(dtype, extra):
    n, n_steps = ROWS_AT_ONCE + extra, 2 * STEPS_AT_ONCE + extra
    check_weight_gradient(dtype, n, n + 3, n_steps, extra, seed=extra)


def test_weight_gradient_in_pieces_of_the_cache_without_jit(monkeypatch):
    # with the JIT on the constants are compiled in, and this is an ordinary case
    monkeypatch.setattr("skrnn.products.STEPS_AT_ONCE", 2)
    monkeypatch.setattr("skrnn.products.ROWS_AT_ONCE", 8)
    check_weight_gradient(np.float64, 18, 9, 5, 1, seed=0)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=10)
@given(n=st.integers(0, 9), n_steps=st.integers(1, 5), seed=SEEDS)
def test_bias_gradient(dtype, n, n_steps, seed):
    rng = np.random.default_rng(seed)
    z = rows_of(rng, n_steps + 1, n + 2, dtype)
    target = rng.normal(size=n).astype(dtype)
    expected = target + z[:n_steps, :n].sum(axis=(0, 2), dtype=np.float64)
    add_bias_gradient(target, z, n_steps)
    atol = tolerance(dtype, n_steps * lane_count(dtype))
    assert_allclose(target, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", DTYPES)
def test_clear(dtype):
    rows = np.full((4, 5, lane_count(dtype)), np.nan, dtype)
    clear(rows, 3, 2)
    assert_array_equal(rows[:3, :2], 0)
    assert np.isnan(rows[3:]).all() and np.isnan(rows[:, 2:]).all()
