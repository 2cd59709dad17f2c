"""Activations: their errors over the whole range of numbers, and their derivatives."""

import numba
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn._jit import FASTMATH
from skrnn.activations import (
    ACTIVATIONS,
    LOGISTIC,
    TANH,
    _rational_tanh,
    _split_exp,
    activate,
    derivative_times,
    exp,
    log,
)
from skrnn.simd import get, lane_count, put
from tests.oracles import recurrent
from tests.oracles.derivatives import derivative

DTYPES = [np.float32, np.float64]
compiled = numba.njit(error_model="numpy", fastmath=FASTMATH)


@compiled
def _activate(code, z, out):
    for t in range(z.shape[0]):
        put(out, t, 0, activate(code, get(z, t, 0)))


@compiled
def _derivative_times(code, h, d, out):
    for t in range(h.shape[0]):
        put(out, t, 0, derivative_times(code, get(h, t, 0), get(d, t, 0)))


def in_lanes(x):
    """Cut numbers into (steps, 1, lanes), the last repeated to fill the lanes."""
    lanes = lane_count(x.dtype)
    padded = np.pad(x, (0, -len(x) % lanes), mode="edge")
    return padded.reshape(-1, 1, lanes)


def apply(name, x):
    z = in_lanes(x)
    out = np.empty_like(z)
    _activate(ACTIVATIONS[name], z, out)
    return out.ravel()[: len(x)]


def whole_range(dtype):
    """Give numbers of every magnitude and sign, and a fine grid where it matters."""
    info = np.finfo(dtype)
    exponents = np.linspace(info.minexp, info.maxexp - 1e-3, 2000)
    magnitudes = np.exp2(exponents).astype(dtype)
    edges = np.array(
        [0.0, info.smallest_subnormal, info.tiny, info.max, np.inf, 7.9053111, 7.9053],
        dtype,
    )
    grid = np.linspace(0.0, 50.0, 20_001).astype(dtype)
    near_one = np.linspace(0.0, 1.0, 3_001).astype(dtype)
    positive = np.concatenate([magnitudes, edges, grid, near_one, 20.0 + grid * 20])
    positive = positive.astype(dtype)
    return np.concatenate([positive, -positive])


def exact_tanh(x):
    # 80-bit numbers, where the platform has them, put the oracle's own error aside
    return np.tanh(x.astype(np.longdouble))


def exact_sigmoid(x):
    x = np.clip(x.astype(np.longdouble), -800, 800)
    return 1 / (1 + np.exp(-x))


def relative_error(result, exact):
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.abs(result - exact) / np.abs(exact)
    return np.where(result == exact, 0, error).astype(np.float64)


def test_tanh_in_float32():
    x = whole_range(np.float32)
    result = apply("tanh", x)
    assert result.dtype == np.float32
    normal = np.abs(x) >= np.finfo(np.float32).tiny
    error = relative_error(result, exact_tanh(x))
    assert error[normal].max() < 4e-7
    assert np.abs(result - exact_tanh(x)).max() < 4e-7
    assert np.abs(result).max() <= 1


@pytest.mark.parametrize(
    "name",
    # the Python definition of the logistic function rounds what is near 0
    ["tanh", pytest.param("logistic", marks=pytest.mark.needs_jit)],
)
def test_float64_is_right_to_a_few_units_in_the_last_place(name):
    x = whole_range(np.float64)
    exact = {"tanh": exact_tanh, "logistic": exact_sigmoid}[name](x)
    result = apply(name, x)
    if name == "logistic":  # beyond, the result is below 1e-300
        x, exact, result = (a[x > -690] for a in (x, exact, result))
    # a number that is not normal has fewer places
    normal = np.abs(x) >= np.finfo(np.float64).tiny
    error = relative_error(result, exact)
    assert error[normal].max() < 4 * np.finfo(np.float64).eps
    assert np.abs(result - exact)[~normal].max() < np.finfo(np.float64).tiny


@pytest.mark.parametrize("dtype, error", [(np.float32, 4e-7), (np.float64, 4e-16)])
def test_absolute_error_of_logistic(dtype, error):
    x = whole_range(dtype)
    result = apply("logistic", x)
    assert result.dtype == dtype
    assert np.abs(result - exact_sigmoid(x)).max() < error


@pytest.mark.parametrize("dtype", DTYPES)
def test_results_stay_within_bounds(dtype):
    x = whole_range(dtype)
    t, s = apply("tanh", x), apply("logistic", x)
    assert t.min() >= -1 and t.max() <= 1
    assert s.min() >= 0 and s.max() <= 1
    assert_allclose(apply("tanh", -x), -t, rtol=4 * np.finfo(dtype).eps)
    infinities = np.array([-np.inf, np.inf], dtype)
    limits = 1e-6 if dtype == np.float32 else 1e-15
    assert_allclose(apply("tanh", infinities), [-1, 1], atol=limits)
    assert_allclose(apply("logistic", infinities), [0, 1], atol=limits)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["tanh", "logistic"])
def test_larger_arguments_give_no_smaller_results(dtype, name):
    x = np.sort(whole_range(dtype))
    steps = np.diff(apply(name, x))
    # an approximation may wobble in its last places, no more
    assert steps.min() >= -4 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_and_identity(dtype):
    x = whole_range(dtype)
    assert_array_equal(apply("relu", x), np.maximum(x, 0))
    assert_array_equal(apply("identity", x), x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_goes_through(dtype, name):
    x = np.full(lane_count(dtype), 0.5, dtype)
    x[1] = np.nan
    assert_array_equal(np.isnan(apply(name, x)), np.isnan(x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative_from_the_output(dtype, name):
    x = np.linspace(-6, 6, 60)
    f = recurrent.ACTIVATIONS[name]
    d = np.linspace(1, 2, len(x)).astype(dtype)
    h, d = in_lanes(f(x).astype(dtype)), in_lanes(d)
    out = np.empty_like(h)
    _derivative_times(ACTIVATIONS[name], h, d, out)
    expected = d.ravel()[: len(x)] * derivative(f, x, 1.0, step=1e-4)
    atol = 1e-6 if dtype == np.float32 else 1e-10
    assert_allclose(out.ravel()[: len(x)], expected, rtol=1e-5, atol=atol)


def test_derivative_of_relu_at_zero_is_zero():
    zero = in_lanes(np.zeros(3))
    out = np.ones_like(zero)
    _derivative_times(ACTIVATIONS["relu"], zero, zero + 1, out)
    assert_array_equal(out, 0)


# --- the polynomials as plain Python: what the intrinsics are built from --------------


@compiled
def _rational(x, out):
    for t in range(x.shape[0]):
        put(out, t, 0, _rational_tanh(get(x, t, 0)))


@compiled
def _exp(x, out):
    for t in range(x.shape[0]):
        scale, expm1 = _split_exp(get(x, t, 0))
        put(out, t, 0, scale + scale * expm1)


def test_rational_tanh():
    x = whole_range(np.float32)
    z = in_lanes(x)
    out = np.empty_like(z)
    _rational(z, out)
    assert np.abs(out.ravel()[: len(x)] - exact_tanh(x)).max() < 4e-7


def test_split_exp_combines_to_exp():
    x = np.linspace(-700, 700, 20_001)
    z = in_lanes(x)
    out = np.empty_like(z)
    _exp(z, out)
    exact = np.exp(x.astype(np.longdouble))
    error = relative_error(out.ravel()[: len(x)], exact)
    assert error.max() < 4 * np.finfo(np.float64).eps


@compiled
def _power(x, out):
    for t in range(x.shape[0]):
        put(out, t, 0, exp(get(x, t, 0)))


def power(x):
    z = in_lanes(x)
    out = np.empty_like(z)
    _power(z, out)
    return out.ravel()[: len(x)]


# what is below the smallest normal number is 0, and nothing is infinite
@pytest.mark.parametrize(
    "dtype, lowest, highest", [(np.float32, -87.3, 88.0), (np.float64, -708.0, 708.0)]
)
def test_exp(dtype, lowest, highest):
    edges = np.nextafter(np.array([lowest, highest], dtype), dtype(0))
    x = np.sort(np.concatenate([whole_range(dtype), edges]))
    result = power(x)
    assert result.dtype == dtype
    inside = (lowest < x) & (x < highest)
    exact = np.exp(x[inside].astype(np.longdouble))
    tolerance = 2e-7 if dtype == np.float32 else 4 * np.finfo(dtype).eps
    assert relative_error(result[inside], exact).max() < tolerance
    assert_array_equal(result[x < dtype(lowest)], 0.0)
    assert_allclose(result[x > highest], np.exp(highest), rtol=1e-6)
    assert power(np.array([0.0, -0.0], dtype)).tolist() == [1.0, 1.0]
    not_a_number = np.full(1, np.nan, dtype)
    assert np.isnan(power(not_a_number)).all()


def test_codes_are_distinct():
    assert len(set(ACTIVATIONS.values())) == len(ACTIVATIONS)
    assert ACTIVATIONS["tanh"] == TANH and ACTIVATIONS["logistic"] == LOGISTIC
    assert set(ACTIVATIONS) == set(recurrent.ACTIVATIONS)


# --- log ------------------------------------------------------------------------------


@compiled
def _log(x, out):
    for t in range(x.shape[0]):
        put(out, t, 0, log(get(x, t, 0)))


def test_log_is_right_to_a_few_units_in_the_last_place():
    info = np.finfo(np.float64)
    near_one = 1.0 + np.linspace(-0.5, 2.0, 20_001)
    magnitudes = np.logspace(-307, 307, 5000)
    neighbours = np.array([1 - info.epsneg, 1.0, 1 + info.eps])
    x = np.concatenate([near_one, magnitudes, neighbours])
    z = in_lanes(x)
    out = np.empty_like(z)
    _log(z, out)
    exact = np.log(x.astype(np.longdouble))
    assert relative_error(out.ravel()[: len(x)], exact).max() < 4 * info.eps


def test_nan_goes_through_log():
    x = in_lanes(np.array([0.5, np.nan]))
    out = np.empty_like(x)
    _log(x, out)
    assert_array_equal(np.isnan(out), np.isnan(x))
