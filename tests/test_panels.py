"""Panels of gradients: the compiled intrinsics do what their definitions say."""

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn._jit import FASTMATH
from skrnn.panels import PANEL_BLOCK, add_products, transpose_tile
from skrnn.simd import by_row, lane_count, units_of_row
from skrnn.tiles import FOUR, ONE
from tests.oracles.buffers import by_unit, rows_of

DTYPES = [np.float32, np.float64]
FORMS = [1, 2, "pairs"]
EPSILON = {dtype: np.finfo(dtype).eps for dtype in DTYPES}

# Compiled with the flags of `kernel`, but not cached: these bodies are the tests' own.
compiled = numba.njit(error_model="numpy", fastmath=FASTMATH)


def transpose(panel, z, first, lane):
    transpose_tile(panel, 3, 1, z, 2, first, lane)


transpose_compiled = compiled(transpose)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("missing", [0, 1, 2])
@pytest.mark.parametrize("form", FORMS)
def test_transpose_tile(form, missing, dtype):
    """Rows that are missing at the end are taken from the last one."""
    rng, n = np.random.default_rng(missing), lane_count(dtype)
    units = 2 if form == "pairs" else 1
    size = n // units  # rows and sequences of a tile
    z = rows_of(rng, 4, 2 + size - min(missing, size - 1), dtype, form)
    values = by_row(z)
    lane = values.shape[2] - size
    panel = rng.normal(size=(n + 5, n + 2)).astype(dtype)
    expected, defined = panel.copy(), panel.copy()
    for i in range(size):
        for c in range(n):
            row = min(2 + c // units, z.shape[1] - 1)
            expected[3 + i, 1 + c] = values[2, row, lane + i, c % units]
    transpose_compiled(panel, z, 2 * units, lane)
    assert_array_equal(panel, expected)
    transpose(defined, z, 2 * units, lane)
    assert_array_equal(defined, expected)


def products(target, column, block, x, first, panel, n_steps, n_lanes):
    add_products(target, 1, column, block, x, 1, first, panel, n_steps, n_lanes)


products_compiled = compiled(products)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("block", [ONE, FOUR, PANEL_BLOCK], ids=len)
@pytest.mark.parametrize("n_steps", [1, 2, 5])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", ["before", "begin", "within", "end", "behind"])
def test_add_products(place, form, n_steps, block, dtype):
    """Columns of the panel that lie before or behind those of the target are none."""
    rng, lanes = np.random.default_rng(n_steps), lane_count(dtype)
    n, width = len(block), 2 * lanes
    x = rows_of(rng, n_steps + 2, n + 4, dtype, form)
    first = 3 if n == 1 else 3 * units_of_row(x)
    values = by_unit(x)
    n_lanes = max(1, values.shape[2] - (n_steps - 1))  # not all are in use
    left = values[1 : 1 + n_steps, first : first + n, :n_lanes].astype(np.float64)
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
    products_compiled(target, column, block, x, first, panel, n_steps, n_lanes)
    assert_allclose(target, expected, rtol=0, atol=200 * EPSILON[dtype])
    products(defined, column, block, x, first, panel, n_steps, n_lanes)
    assert_allclose(defined, expected, rtol=0, atol=200 * EPSILON[dtype])
