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
    by_row,
    exponent,
    get,
    lane_count,
    maximum,
    minimum,
    power_of_two,
    put,
    quotient,
    round_to_integer,
    units_of_row,
    value_rows,
    where_positive,
)
from tests.oracles.buffers import FORMS, rows_of, shape_of

DTYPES = [np.float32, np.float64]
EPSILON = {dtype: np.finfo(dtype).eps for dtype in DTYPES}

# Compiled with the flags of `kernel`, but not cached: these bodies are the tests' own.
compiled = numba.njit(error_model="numpy", fastmath=FASTMATH)
# With the JIT off both sides of a comparison would be the same Python function.
compares_with_compiled = pytest.mark.needs_jit


def filled(dtype, *numbers, form=1):
    """Give a buffer of one value that holds these numbers, over and over."""
    return np.resize(np.array(numbers, dtype), shape_of(form, 1, 1, dtype))


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


def run_elementwise(function, x, y, form=1):
    out = np.zeros(shape_of(form, 1, 17, x.dtype), x.dtype)
    with np.errstate(all="ignore"):
        function(x, y, out)
    return value_rows(out)[0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=st.integers(0, 2**32 - 1))
def test_arithmetic_is_numpys(dtype, form, seed):
    rng = np.random.default_rng(seed)
    x, y = (rows_of(rng, 1, 1, dtype, form) for _ in range(2))
    a, b = value_rows(x)[0, 0], value_rows(y)[0, 0]
    out = run_elementwise(elementwise_compiled, x, y, form)
    expected = [a + b, a - b, a * b, a / b, a + 2, 2 - a, 3 * a, 1 / a]
    expected += [np.minimum(a, b), np.maximum(a, b)]
    expected += [np.where(a > 0, b, 7), np.where(a > 0, 5, b), np.rint(a)]
    expected += [np.minimum(a, 0.5), np.maximum(a, -0.5), np.full_like(a, 42), a]
    assert out.dtype == dtype
    assert_allclose(out, np.array(expected), rtol=2 * EPSILON[dtype])


@compares_with_compiled
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_elementwise_of_special_numbers_is_as_defined(dtype, form):
    info = np.finfo(dtype)
    special = [0.0, -0.0, 0.5, 1.5, 2.5, -2.5, np.inf, -np.inf, np.nan]
    special += [info.max, -info.max, info.tiny, info.smallest_subnormal]
    for y in special:
        for start in range(0, len(special), lane_count(dtype)):
            a = filled(dtype, *special[start : start + lane_count(dtype)], form=form)
            b = filled(dtype, y, form=form)
            assert_allclose(
                run_elementwise(elementwise_compiled, a, b, form),
                run_elementwise(elementwise, a, b, form),
                rtol=2 * info.eps,
                atol=2 * info.tiny,  # x / y as x times 1 / y, which may be subnormal
            )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_stays_where_it_is_the_first_argument(dtype, form):
    nan, one = filled(dtype, np.nan, form=form), filled(dtype, 1.0, form=form)
    out = run_elementwise(elementwise_compiled, nan, one, form)
    assert np.isnan(out[[8, 9, 13, 14]]).all()
    assert_array_equal(out[10], 7)


@compiled
def _power_of_two(x, out):
    put(out, 0, 0, power_of_two(get(x, 0, 0)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_power_of_two_is_exact(dtype, form):
    info = np.finfo(dtype)
    exponents = np.arange(info.minexp, info.maxexp)
    for start in range(0, len(exponents), lane_count(dtype)):
        x = filled(dtype, *exponents[start : start + lane_count(dtype)], form=form)
        out = np.zeros_like(x)
        _power_of_two(x, out)
        # exp2 of float64 is exact here, that of float32 is not
        assert_array_equal(out, np.exp2(x.astype(np.float64)))


@compiled
def _exponent(x, out):
    put(out, 0, 0, exponent(get(x, 0, 0)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_exponent_is_exact(dtype, form):
    info = np.finfo(dtype)
    exponents = np.arange(info.minexp, info.maxexp)
    for mantissa in (1.0, 1.5, 2.0 - info.eps):
        numbers = np.ldexp(dtype(mantissa), exponents)
        for start in range(0, len(exponents), lane_count(dtype)):
            lanes = slice(start, start + lane_count(dtype))
            out = np.zeros(shape_of(form, 1, 1, dtype), dtype)
            _exponent(filled(dtype, *numbers[lanes], form=form), out)
            assert_array_equal(out, filled(dtype, *exponents[lanes], form=form))


def division(x, y, out):
    put(out, 0, 0, quotient(get(x, 0, 0), get(y, 0, 0)))


division_compiled = compiled(division)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=st.integers(0, 2**32 - 1))
def test_quotient_is_within_two_units_in_the_last_place(dtype, form, seed):
    rng = np.random.default_rng(seed)
    x, y = (rows_of(rng, 1, 1, dtype, form) for _ in range(2))
    x *= np.exp(rng.uniform(-9, 9)).astype(dtype)
    y += np.copysign(1, y) * rng.uniform(0, 100)
    out, defined = np.zeros_like(x), np.zeros_like(x)
    division_compiled(x, y, out)
    division(x, y, defined)
    exact = x.astype(np.longdouble) / y
    assert (np.abs(out - exact) <= 2 * np.spacing(np.abs(defined))).all()
    assert_allclose(defined, exact.astype(dtype), rtol=EPSILON[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_quotient_of_what_is_not_finite(dtype):
    """Else a network that diverged would look as if it had not."""
    one = filled(dtype, 1.0)
    for a, b in [(np.nan, 2.0), (np.inf, 2.0), (2.0, np.nan)]:
        out = np.zeros_like(one)
        division_compiled(filled(dtype, a), filled(dtype, b), out)
        assert_array_equal(out, a / b)


@compiled
def _copy_then_overwrite(rows, out):
    value = get(rows, 0, 0)
    put(rows, 0, 0, 0.0)
    put(out, 0, 0, value)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_value_does_not_change_with_the_buffer_it_came_from(dtype, form):
    rows = filled(dtype, 1.0, 2.0, form=form)
    before = rows.copy()
    out = np.zeros_like(rows)
    _copy_then_overwrite(rows, out)
    assert_array_equal(out, before)


@pytest.mark.parametrize("dtype", DTYPES)
def test_units_of_a_row_and_its_samples_fill_the_lanes(dtype):
    lanes = lane_count(dtype)
    expected = [(lanes, 1), (2 * lanes, 1), (lanes // 2, 2), (1, lanes)]
    for form, (n_samples, n_units) in zip(FORMS, expected, strict=True):
        rows = rows_of(np.random.default_rng(1), 2, 3, dtype, form)
        assert units_of_row(rows) == units_of_row(numba.typeof(rows)) == n_units
        assert by_row(rows).shape == (2, 3, n_samples, n_units)


@compiled
def _swap(rows, t, k, s, m):
    one, other = get(rows, t, k), get(rows, s, m)
    put(rows, t, k, other)
    put(rows, s, m, one)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_are_where_value_rows_has_them(dtype, form):
    rows = rows_of(np.random.default_rng(1), 4, 3, dtype, form)
    expected = rows.copy()
    values = value_rows(expected)
    assert values.shape[:2] == (4, 3)
    assert np.shares_memory(values, expected)
    values[[1, 3], [2, 0]] = values[[3, 1], [0, 2]]
    _swap(rows, 1, 2, 3, 0)
    assert_array_equal(rows, expected)
