"""Losses: values against plain NumPy and scikit-learn, gradients against slopes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics

from skrnn.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from skrnn.simd import lane_count
from tests.oracles import losses as oracles
from tests.oracles.derivatives import gradient

DTYPES = [np.float32, np.float64]
# smoothing has its own tests below
LEVELS = {
    "huber": [0.7],
    "quantile": [0.1, 0.5, 0.9],
    "binary_log_loss": [0.0],
    "multiclass_log_loss": [0.0],
}
LOSSES = {
    **REGRESSION_LOSSES,
    **{
        f"{kind}_{name}": loss
        for name, kinds in CLASSIFICATION_LOSSES.items()
        for kind, loss in kinds.items()
    },
}


def levels_of(name, dtype=np.float64):
    return np.array(LEVELS.get(name, []), dtype)


def problem(name, n_targets, rng, dtype=np.float64):
    """Give raw predictions, targets and weights for the lanes of one shard."""
    n = lane_count(dtype)
    n_rows = n_targets * (len(LEVELS[name]) if name == "quantile" else 1)
    y = rng.normal(size=(n, n_targets))
    if name.startswith("multiclass"):
        y = rng.integers(n_targets, size=(n, 1)).astype(float)
    elif name.startswith("binary"):
        y = rng.integers(2, size=(n, n_targets)).astype(float)
    elif name == "poisson":
        y = rng.poisson(2.0, size=(n, n_targets)).astype(float)
    raw = 2.0 * rng.normal(size=(n, n_rows))
    weights = rng.uniform(0.5, 2.0, size=n)
    return raw.astype(dtype), y.astype(dtype), weights.astype(dtype)


def evaluate(name, raw, y, weights, levels=None):
    """Return the loss's value and its gradient, (n, rows)."""
    rows = np.ascontiguousarray(raw.T[None])
    target = np.ascontiguousarray(y.T[None])
    d_raw = np.full_like(rows, np.nan)
    weight = weights[None, None].astype(np.float64)  # as in a workspace
    levels = levels_of(name, raw.dtype) if levels is None else levels
    before, n_steps = levels.copy(), np.array([1, 0, len(raw)])
    value = LOSSES[name].function(rows, d_raw, target, weight, levels, n_steps)
    # what is read is left as it was
    assert_array_equal(rows, raw.T[None])
    assert_array_equal(target, y.T[None])
    assert_array_equal(weight[0, 0], weights)
    assert_array_equal(levels, before)
    assert_array_equal(n_steps, [1, 0, len(raw)])
    return value, d_raw[0].T


def oracle(name, raw, y, weights):
    return getattr(oracles, name)(raw, y, weights, levels_of(name))


def target_counts(name):
    return [2, 5] if name.startswith("multiclass") else [1, 3]


CASES = [(name, n) for name in LOSSES for n in target_counts(name)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name, n_targets", CASES)
def test_value(name, n_targets, dtype):
    raw, y, weights = problem(name, n_targets, np.random.default_rng(0), dtype)
    value, _ = evaluate(name, raw, y, weights)
    expected = oracle(name, *(a.astype(np.float64) for a in (raw, y, weights)))
    assert_allclose(value, expected, rtol=1e-5 if dtype == np.float32 else 1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name, n_targets", CASES)
def test_gradient_is_the_slope_of_the_value(name, n_targets, dtype):
    raw, y, weights = problem(name, n_targets, np.random.default_rng(1), dtype)
    _, d_raw = evaluate(name, raw, y, 0.25 * weights)
    raw, y, weights = (a.astype(np.float64) for a in (raw, y, weights))
    slope = gradient(lambda r: oracle(name, r, y, weights), raw, step=1e-4)
    atol = 1e-6 if dtype == np.float32 else 1e-10
    assert_allclose(d_raw, 0.25 * slope, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("name, n_targets", CASES)
def test_weight_counts_a_sample_so_often(name, n_targets):
    raw, y, weights = problem(name, n_targets, np.random.default_rng(2))
    weights[:] = 0.0
    weights[0] = 3.0
    value, d_raw = evaluate(name, raw, y, weights)
    weights[0] = 1.0
    once, d_once = evaluate(name, raw, y, weights)
    assert_allclose(value, 3 * once)
    assert_allclose(d_raw, 3 * d_once)
    assert_array_equal(d_raw[1:], 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", [1e4, -1e4])
@pytest.mark.parametrize("name, n_targets", CASES)
def test_a_lane_without_a_sequence_counts_for_nothing(name, n_targets, number, dtype):
    raw, y, weights = problem(name, n_targets, np.random.default_rng(3), dtype)
    weights[1] = 0.0
    raw[1], y[1] = 0.0, 0.0
    value, d_raw = evaluate(name, raw, y, weights)
    raw[1, 0] = number  # e to this power overflows
    same_value, same_d_raw = evaluate(name, raw, y, weights)
    assert value == same_value
    assert_array_equal(d_raw, same_d_raw)
    assert_array_equal(d_raw[1], 0)


@pytest.mark.parametrize("name, n_targets", CASES)
def test_not_a_number_shows_in_the_value(name, n_targets):
    """Else a diverged network would go unnoticed."""
    raw, y, weights = problem(name, n_targets, np.random.default_rng(4))
    raw[2] = np.nan
    value, _ = evaluate(name, raw, y, weights)
    assert np.isnan(value)


@pytest.mark.parametrize("name", [n for n in LOSSES if "log_loss" in n])
@pytest.mark.parametrize("dtype", DTYPES)
def test_log_loss_of_certain_predictions_is_finite(name, dtype):
    raw, y, weights = problem(name, 3, np.random.default_rng(5), dtype)
    value, d_raw = evaluate(name, raw * 1e6, y, weights)
    expected = oracle(name, raw.astype(np.float64) * 1e6, y, weights)
    assert_allclose(value, expected, rtol=1e-5)
    assert np.abs(d_raw / weights[:, None]).max() <= 1 + 1e-6


@pytest.mark.parametrize("name", ["absolute_error", "quantile", "huber"])
def test_gradient_where_the_prediction_is_right(name):
    _, y, weights = problem(name, 1, np.random.default_rng(6))
    n_rows = len(LEVELS["quantile"]) if name == "quantile" else 1
    value, d_raw = evaluate(name, np.repeat(y, n_rows, axis=1), y, weights)
    assert value == 0
    # a subgradient lies between the slopes on the two sides
    low, high = (-0.9, 0.9) if name == "quantile" else (0.0, 0.0)
    assert (d_raw >= low * weights[:, None]).all()
    assert (d_raw <= high * weights[:, None]).all()


# --- several steps --------------------------------------------------------------------


@pytest.mark.parametrize("name, n_targets", CASES)
def test_steps_count_as_samples_do(name, n_targets):
    """Of those that there are: what the buffers have beyond them is left alone."""
    rng = np.random.default_rng(10)
    steps = [problem(name, n_targets, rng) for _ in range(3)]
    expected = [evaluate(name, *step) for step in steps[:2]]
    raw, target, weight = (
        np.ascontiguousarray([np.atleast_2d(step[i].T) for step in steps])
        for i in range(3)
    )
    d_raw, n_steps = np.full_like(raw, 9.0), np.array([2, 0, raw.shape[2]])
    levels = levels_of(name)
    value = LOSSES[name].function(raw, d_raw, target, weight, levels, n_steps)
    assert_allclose(value, sum(value for value, _ in expected), rtol=1e-13)
    for t, (_, d) in enumerate(expected):
        assert_array_equal(d_raw[t].T, d)
    assert_array_equal(d_raw[2], 9.0)


# --- many classes ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("share", [0.0, 0.2])
@pytest.mark.parametrize("n_registers", [1, 2])
@pytest.mark.parametrize("n_classes", [2, 3, 64, 65, 131, 300])
def test_many_classes(n_classes, n_registers, share, dtype):
    """Rows of one register and of two, and sums of blocks of rows."""
    rng = np.random.default_rng(12)
    n = n_registers * lane_count(dtype)
    raw = (5.0 * rng.normal(size=(n, n_classes))).astype(dtype)
    raw[0] -= raw[0].max()  # for once the sum of the powers is known to be small
    y, weights = rng.integers(n_classes, size=(n, 1)), rng.uniform(0.5, 2.0, size=n)
    levels = np.array([share], dtype)
    value, d_raw = evaluate(
        "multiclass_log_loss", raw, y.astype(dtype), weights, levels
    )
    raw = raw.astype(np.float64)
    labels = (1.0 - share) * np.eye(n_classes)[y[:, 0]] + share / n_classes
    shifted = raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)
    tolerance = 1e-6 if dtype == np.float32 else 1e-14
    expected = -np.sum(weights[:, None] * labels * shifted)
    assert_allclose(value, expected, rtol=tolerance)
    expected = weights[:, None] * (np.exp(shifted) - labels)
    assert_allclose(d_raw, expected, rtol=tolerance, atol=tolerance)


def test_lanes_without_a_place_for_targets_get_no_gradient():
    """Pairs of units leave half of the lanes of the output without a sequence."""
    rng = np.random.default_rng(13)
    raw = rng.normal(size=(1, 3, 8))
    raw[:, :, 4:] = np.nan
    d_raw, target, weight = np.full_like(raw, 9.0), np.zeros((1, 1, 4)), np.ones(4)
    arguments = np.zeros(1), np.array([1, 0, 4])
    loss = LOSSES["multiclass_log_loss"].function
    assert np.isfinite(loss(raw, d_raw, target, weight[None, None], *arguments))
    assert_array_equal(d_raw[:, :, 4:], 0.0)


# --- label smoothing ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name, n_targets", [c for c in CASES if "log_loss" in c[0]])
def test_smoothed_labels(name, n_targets, dtype):
    """The loss with a share of each label dealt out to all classes alike."""
    share = 0.3
    levels = np.array([share], dtype)
    raw, y, weights = problem(name, n_targets, np.random.default_rng(11), dtype)
    value, d_raw = evaluate(name, raw, y, weights, levels)
    raw, y, weights = (a.astype(np.float64) for a in (raw, y, weights))

    def smoothed(r):
        n_classes = n_targets if name.startswith("multiclass") else 2
        total = (1 - share) * oracle(name, r, y, weights)
        for k in range(n_classes):
            other = np.full_like(y, k)
            total += share / n_classes * oracle(name, r, other, weights)
        return total

    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    assert_allclose(value, smoothed(raw), rtol=tolerance)
    slope = gradient(smoothed, raw, step=1e-4)
    atol = 1e-6 if dtype == np.float32 else 1e-9
    assert_allclose(d_raw, slope, rtol=1e-5, atol=atol)


# --- scikit-learn's own ---------------------------------------------------------------


def test_regression_losses_are_scikit_learns_metrics():
    rng = np.random.default_rng(7)
    raw, y, w = problem("squared_error", 3, rng)
    total = w.sum()

    def mean(name):
        return evaluate(name, raw, y, w)[0] / total

    squared = metrics.mean_squared_error(y, raw, sample_weight=w)
    assert_allclose(2 * mean("squared_error"), squared)
    absolute = metrics.mean_absolute_error(y, raw, sample_weight=w)
    assert_allclose(mean("absolute_error"), absolute)
    raw, y, w = problem("quantile", 1, rng)
    pinball = [
        metrics.mean_pinball_loss(y[:, 0], raw[:, q], sample_weight=w, alpha=level)
        for q, level in enumerate(LEVELS["quantile"])
    ]
    value = evaluate("quantile", raw, y, w)[0] / w.sum()
    assert_allclose(value, np.mean(pinball))
    raw, y, w = problem("poisson", 1, rng)
    shifted, other = raw + 0.1, raw - 0.3
    difference = evaluate("poisson", shifted, y, w)[0] / w.sum()
    difference -= evaluate("poisson", other, y, w)[0] / w.sum()
    deviances = [
        metrics.mean_poisson_deviance(y[:, 0], np.exp(r[:, 0]), sample_weight=w)
        for r in (shifted, other)
    ]
    assert_allclose(2 * difference, deviances[0] - deviances[1])


@pytest.mark.parametrize("kind, n_targets", [("binary", 1), ("multiclass", 4)])
def test_classification_losses_are_scikit_learns_metrics(kind, n_targets):
    raw, y, w = problem(f"{kind}_log_loss", n_targets, np.random.default_rng(8))
    loss = CLASSIFICATION_LOSSES["log_loss"][kind]
    probabilities = loss.predict(raw)
    if kind == "binary":
        probabilities = np.hstack([1 - probabilities, probabilities])
    labels = range(max(2, n_targets))
    value = evaluate(f"{kind}_log_loss", raw, y, w)[0] / w.sum()
    expected = metrics.log_loss(y[:, 0], probabilities, sample_weight=w, labels=labels)
    assert_allclose(value, expected)


# --- predictions and constants --------------------------------------------------------


@pytest.mark.parametrize("name", ["log_loss", "squared_error"])
def test_probabilities(name):
    raw = np.array([[0.0, 1.0, -1.0], [1e4, -1e4, 0.0], [-800.0, 800.0, 30.0]])
    binary = CLASSIFICATION_LOSSES[name]["binary"].predict(raw)
    assert_allclose(binary, 1 / (1 + np.exp(-np.clip(raw, -700, 700))), atol=1e-300)
    multiclass = CLASSIFICATION_LOSSES[name]["multiclass"].predict(raw)
    assert_allclose(multiclass, oracles.softmax(raw))
    assert_allclose(multiclass.sum(axis=1), 1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", [n for n in REGRESSION_LOSSES if n != "huber"])
def test_no_constant_is_better_than_the_constant(name, weighted):
    rng = np.random.default_rng(9)
    n, loss = 40, REGRESSION_LOSSES[name]
    y = rng.gamma(2.0, size=(n, 2))
    w = rng.uniform(0, 3, n).round() if weighted else np.ones(n)
    levels = levels_of(name)
    best = np.broadcast_to(loss.constant(y, w, levels), (n, 2 * max(1, len(levels))))

    def value(raw):
        return getattr(oracles, name)(raw, y, w, levels)

    for row in range(best.shape[1]):
        for step in (-0.01, 0.01):
            moved = best.copy()
            moved[:, row] += step
            assert value(best) <= value(moved) + 1e-12


def test_regression_predicts_in_the_terms_of_the_target():
    raw = np.array([[-1.0, 2.0]])
    for name, loss in REGRESSION_LOSSES.items():
        expected = np.exp(raw) if name == "poisson" else raw
        assert_array_equal(loss.predict(raw), expected)


def test_classification_starts_without_preference():
    for kinds in CLASSIFICATION_LOSSES.values():
        for loss in kinds.values():
            assert loss.constant(np.ones((3, 1)), np.ones(3), np.zeros(0)) == 0


def test_constant_of_huber_is_the_median():
    y = np.array([[1.0], [2.0], [10.0]])
    constant = REGRESSION_LOSSES["huber"].constant(y, np.ones(3), np.array([1.0]))
    assert_array_equal(constant, [2.0])


def test_constant_of_poisson_is_finite_where_all_counts_are_zero():
    constant = REGRESSION_LOSSES["poisson"].constant(
        np.zeros((3, 1)), np.ones(3), np.array([])
    )
    assert np.isfinite(constant).all()
