"""SIMD values: the compiled intrinsics do what their Python definitions say."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skrnn import simd
from skrnn._jit import FASTMATH
from skrnn.simd import (
    get,
    lane_count,
    maximum,
    minimum,
    power_of_two,
    put,
    round_to_integer,
    total,
    where_positive,
)

DTYPES = [np.float32, np.float64]
EPSILON = {dtype: np.finfo(dtype).eps for dtype in DTYPES}

# Compiled with the flags of `kernel`, but not cached: these bodies are the tests' own.
compiled = numba.njit(error_model="numpy", fastmath=FASTMATH)
# With the JIT off both sides of a comparison would be the same Python function.
compares_with_compiled = pytest.mark.needs_jit


def rows_of(rng, n_steps, n_rows, dtype):
    return rng.normal(size=(n_steps, n_rows, lane_count(dtype))).astype(dtype)


def filled(dtype, *numbers):
    """Give a (1, 1, lanes) buffer that holds these numbers, over and over."""
    return np.resize(np.array(numbers, dtype), (1, 1, lane_count(dtype)))


def test_lane_count_fills_a_register():
    assert lane_count(np.float32) == 2 * lane_count(np.float64)
    assert lane_count(np.float32) * 32 == simd.VECTOR_BITS


# --- elementwise ----------------------------------------------------------------------


def elementwise(a, b, out):
    x, y = get(a, 0, 0), get(b, 0, 0)
    put(out, 0, 0, x + y)
    put(out, 0, 1, x - y)
    put(out, 0, 2, x * y)
    put(out, 0, 3, x / y)
    put(out, 0, 4, x + 2.0)
    put(out, 0, 5, 2.0 - x)
    put(out, 0, 6, 3 * x)
    put(out, 0, 7, 1.0 / x)
    put(out, 0, 8, minimum(x, y))
    put(out, 0, 9, maximum(x, y))
    put(out, 0, 10, where_positive(x, y, 7.0))
    put(out, 0, 11, where_positive(x, 5, y))
    put(out, 0, 12, round_to_integer(x))
    put(out, 0, 13, minimum(x, 0.5))
    put(out, 0, 14, maximum(x, -0.5))
    put(out, 0, 15, 42)
    put(out, 0, 16, x)


elementwise_compiled = compiled(elementwise)


def run_elementwise(function, x, y):
    out = np.zeros((1, 17, x.shape[2]), x.dtype)
    with np.errstate(all="ignore"):
        function(x, y, out)
    return out[0]


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=st.integers(0, 2**32 - 1))
def test_arithmetic_is_numpys(dtype, seed):
    rng = np.random.default_rng(seed)
    x, y = (rows_of(rng, 1, 1, dtype) for _ in range(2))
    a, b = x[0, 0], y[0, 0]
    out = run_elementwise(elementwise_compiled, x, y)
    expected = [a + b, a - b, a * b, a / b, a + 2, 2 - a, 3 * a, 1 / a]
    expected += [np.minimum(a, b), np.maximum(a, b)]
    expected += [np.where(a > 0, b, 7), np.where(a > 0, 5, b), np.rint(a)]
    expected += [np.minimum(a, 0.5), np.maximum(a, -0.5), np.full_like(a, 42), a]
    assert out.dtype == dtype
    assert_allclose(out, np.array(expected), rtol=2 * EPSILON[dtype])


@compares_with_compiled
@pytest.mark.parametrize("dtype", DTYPES)
def test_elementwise_of_special_numbers_is_as_defined(dtype):
    info = np.finfo(dtype)
    special = [0.0, -0.0, 0.5, 1.5, 2.5, -2.5, np.inf, -np.inf, np.nan]
    special += [info.max, -info.max, info.tiny, info.smallest_subnormal]
    for y in special:
        for start in range(0, len(special), lane_count(dtype)):
            a = filled(dtype, *special[start : start + lane_count(dtype)])
            b = filled(dtype, y)
            assert_allclose(
                run_elementwise(elementwise_compiled, a, b),
                run_elementwise(elementwise, a, b),
                rtol=2 * info.eps,
                atol=2 * info.tiny,  # x / y as x times 1 / y, which may be subnormal
            )


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_stays_where_it_is_the_first_argument(dtype):
    nan, one = filled(dtype, np.nan), filled(dtype, 1.0)
    out = run_elementwise(elementwise_compiled, nan, one)
    assert np.isnan(out[[8, 9, 13, 14]]).all()
    assert_array_equal(out[10], 7)


@compiled
def _power_of_two(x, out):
    put(out, 0, 0, power_of_two(get(x, 0, 0)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_power_of_two_is_exact(dtype):
    info = np.finfo(dtype)
    exponents = np.arange(info.minexp, info.maxexp)
    for start in range(0, len(exponents), lane_count(dtype)):
        x = filled(dtype, *exponents[start : start + lane_count(dtype)])
        out = np.zeros_like(x)
        _power_of_two(x, out)
        # exp2 of float64 is exact here, that of float32 is not
        assert_array_equal(out, np.exp2(x.astype(np.float64)))


@compiled
def _total(x):
    return total(get(x, 0, 0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_total_is_the_sum_over_the_lanes(dtype):
    x = rows_of(np.random.default_rng(0), 1, 1, dtype)
    result = _total(x)
    scale = np.abs(x).sum()
    assert_allclose(result, x.sum(dtype=np.float64), atol=4 * EPSILON[dtype] * scale)
    assert_array_equal(_total(filled(dtype, 1.0)), lane_count(dtype))


@compiled
def _copy_then_overwrite(rows, out):
    value = get(rows, 0, 0)
    put(rows, 0, 0, 0.0)
    put(out, 0, 0, value)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_value_does_not_change_with_the_buffer_it_came_from(dtype):
    rows = filled(dtype, 1.0, 2.0)
    before = rows.copy()
    out = np.zeros_like(rows)
    _copy_then_overwrite(rows, out)
    assert_array_equal(out, before)
