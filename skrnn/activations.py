"""Activation functions of SIMD values, and their derivatives from their outputs."""

import math

import numpy as np
from numba.core import types
from numba.extending import overload

from skrnn._jit import FASTMATH, inner
from skrnn.simd import (
    exponent,
    maximum,
    minimum,
    power_of_two,
    quotient,
    round_to_integer,
    where_positive,
)

# float32 tanh(x) = x P(x^2) / Q(x^2): benchmarks/fit_tanh.py derives the coefficients.
# The error stays below 4e-7, absolute and relative, and the result within [-1, 1].
TANH_CLIP = 7.90531110763549805
P0, P1, P2, P3, P4 = (
    0.9999999943,
    0.1345030287,
    0.003578607985,
    2.20165458e-05,
    1.541761986e-08,
)
Q1, Q2, Q3, Q4 = 0.4678363083, 0.02619079525, 0.000342300787, 8.594792774e-07

# float64: exp(x) = 2^k exp(r), |r| <= log(2) / 2, and the Taylor series of exp(r) - 1,
# whose first dropped term is below 5e-18.
LOG2_E = 1.0 / math.log(2.0)
LN2_HIGH = 6.93147180369123816490e-01  # 32 trailing zero bits: k LN2_HIGH is exact
LN2_LOW = 1.90821492927058770002e-10
TAYLOR = tuple(1.0 / math.factorial(n) for n in range(14))

# float32: exp(r) = 1 + r + r^2 E(r), with the coefficients of Cephes (Moshier 1992).
# The error stays below 2e-7, relative.
E0, E1, E2, E3, E4, E5 = (
    5.0000001201e-01,
    1.6666665459e-01,
    4.1665795894e-02,
    8.3334519073e-03,
    1.3981999507e-03,
    1.9875691500e-04,
)
LN2_HIGH_SINGLE = 355 / 512  # k LN2_HIGH_SINGLE is exact
LN2_LOW_SINGLE = -2.12194440e-4
# Below the first a power is 0, and above the second it stays as it is: its own
# logarithm and that of the smallest are those of normal numbers.
EXP_RANGE = {"float32": (-87.3, 88.0), "float64": (-708.0, 708.0)}
SINGLE_LOWEST, SINGLE_HIGHEST = EXP_RANGE["float32"]
LOWEST, HIGHEST = EXP_RANGE["float64"]

# float64: log(m) = 2 s + s R(s^2), s = (m - 1) / (m + 1), 1 / sqrt(2) <= m <= sqrt(2).
# The coefficients of R are those of fdlibm's log, whose error is below 2^-58.
LOG_SERIES = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)


def tanh(x):
    """Hyperbolic tangent."""
    return np.tanh(x)


def sigmoid(x):
    """Logistic function ``1 / (1 + exp(-x))``."""
    return (0.5 + 0.5 * np.tanh(0.5 * x)).astype(x.dtype)


def exp(x):
    """Exponential function: 0 where it is near underflow, and never infinite."""
    lowest, highest = EXP_RANGE[str(x.dtype)]
    value = np.exp(np.minimum(x, highest))
    return np.where(x < lowest, 0.0, value).astype(x.dtype)


def log(x):
    """Natural logarithm of float64, of numbers from 1e-307 to 1e307."""
    return np.log(x)


@inner
def _rational_tanh(x):
    x = minimum(maximum(x, -TANH_CLIP), TANH_CLIP)
    s = x * x
    p = (((P4 * s + P3) * s + P2) * s + P1) * s + P0
    q = (((Q4 * s + Q3) * s + Q2) * s + Q1) * s + 1.0
    return quotient(x * p, q)


@inner
def _split_exp(x):
    """``(2^k, exp(r) - 1)`` such that their combination is exp(x), |x| < 708."""
    k = round_to_integer(x * LOG2_E)
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    q = TAYLOR[13] * r + TAYLOR[12]
    q = q * r + TAYLOR[11]
    q = q * r + TAYLOR[10]
    q = q * r + TAYLOR[9]
    q = q * r + TAYLOR[8]
    q = q * r + TAYLOR[7]
    q = q * r + TAYLOR[6]
    q = q * r + TAYLOR[5]
    q = q * r + TAYLOR[4]
    q = q * r + TAYLOR[3]
    q = q * r + TAYLOR[2]
    return power_of_two(k), q * r * r + r


@overload(tanh, jit_options={"fastmath": FASTMATH, "error_model": "numpy"})
def _overload_tanh(x):
    if x.dtype == types.float32:
        return lambda x: _rational_tanh(x)

    def tanh64(x):
        x = minimum(maximum(x, -20.0), 20.0)
        scale, q = _split_exp(x + x)
        expm1 = scale * q + (scale - 1.0)
        return expm1 / (expm1 + 2.0)

    return tanh64


@overload(sigmoid, jit_options={"fastmath": FASTMATH, "error_model": "numpy"})
def _overload_sigmoid(x):
    if x.dtype == types.float32:
        return lambda x: 0.5 + 0.5 * _rational_tanh(0.5 * x)

    def sigmoid64(x):
        x = minimum(maximum(x, -700.0), 700.0)
        scale, q = _split_exp(0.0 - x)
        return 1.0 / (1.0 + (scale * q + scale))

    return sigmoid64


@overload(exp, jit_options={"fastmath": FASTMATH, "error_model": "numpy"})
def _overload_exp(x):
    if x.dtype == types.float32:

        def exp32(x):
            z = minimum(maximum(x, SINGLE_LOWEST), SINGLE_HIGHEST)
            k = round_to_integer(z * LOG2_E)
            r = (z - k * LN2_HIGH_SINGLE) - k * LN2_LOW_SINGLE
            q = (((((E5 * r + E4) * r + E3) * r + E2) * r + E1) * r + E0) * r * r + r
            return where_positive(SINGLE_LOWEST - x, 0.0, (q + 1.0) * power_of_two(k))

        return exp32

    def exp64(x):
        scale, q = _split_exp(minimum(maximum(x, LOWEST), HIGHEST))
        return where_positive(LOWEST - x, 0.0, scale * q + scale)

    return exp64


@overload(log, jit_options={"fastmath": FASTMATH, "error_model": "numpy"})
def _overload_log(x):
    if x.dtype != types.float64:
        return None

    def log64(x):
        k = exponent(x * math.sqrt(2.0))
        m = x * power_of_two(0.0 - k)
        s = (m - 1.0) / (m + 1.0)
        z = s * s
        r = LOG_SERIES[6] * z + LOG_SERIES[5]
        r = r * z + LOG_SERIES[4]
        r = r * z + LOG_SERIES[3]
        r = r * z + LOG_SERIES[2]
        r = r * z + LOG_SERIES[1]
        r = r * z + LOG_SERIES[0]
        return k * LN2_HIGH + (s * (r * z + 2.0) + k * LN2_LOW)

    return log64


# --- the choices of the simple cell ---------------------------------------------------

TANH, RELU, LOGISTIC, IDENTITY = range(4)
ACTIVATIONS = {"tanh": TANH, "relu": RELU, "logistic": LOGISTIC, "identity": IDENTITY}
UNBOUNDED = {RELU, IDENTITY}


@inner
def activate(code, z):
    """Apply the activation function of this code."""
    if code == TANH:
        return tanh(z)
    if code == RELU:
        return maximum(z, 0.0)
    if code == LOGISTIC:
        return sigmoid(z)
    return z


@inner
def derivative_times(code, h, d):
    """`d` times the derivative of the activation where its output is `h`."""
    if code == TANH:
        return d * (1.0 - h * h)
    if code == RELU:
        return where_positive(h, d, 0.0)
    if code == LOGISTIC:
        return d * h * (1.0 - h)
    return d
