"""Windows against slow NumPy, and what learns from them: linear model and loss."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge

from skrnn.forecasting import linear
from skrnn.forecasting.losses import scaled_quantile
from skrnn.forecasting.networks import draw_windows
from skrnn.forecasting.preparation import Prepared
from skrnn.forecasting.windows import (
    FURTHEST,
    SCALE_OF_ONE,
    SMALLEST_SCALE,
    USUAL_LOG_SCALE,
    Windows,
    WindowShape,
    training_ends,
)
from skrnn.simd import lane_count
from tests.oracles.derivatives import gradient
from tests.oracles.losses import quantile

LENGTHS = [1, 2, 3, 9, 30]
SHAPES = [
    WindowShape(n_lags=6, horizon=4, frame=3, n_level=1, n_first=2),
    WindowShape(n_lags=6, horizon=4, frame=6, n_level=6, n_first=6),
    WindowShape(n_lags=1, horizon=1, frame=1, n_level=1, n_first=1),
    WindowShape(n_lags=40, horizon=2, frame=4, n_level=3, n_first=4),
]


def make_windows(shape, n_known=0, n_past=0, n_static=0, missing=0.3, seed=0):
    """Make windows of random series with missing values, none of them at the start."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)])
    values = rng.normal(size=offsets[-1]).cumsum()
    values[rng.random(len(values)) < missing] = np.nan
    values[offsets[:-1]] = rng.normal(size=len(LENGTHS))
    n = len(LENGTHS)
    prepared = Prepared(
        values,
        rng.random(n) < 0.5,
        np.ones(n),
        rng.normal(size=(n, 3)),
        np.full(n, -np.inf),
        np.ones(n),
        np.zeros(n),
        np.zeros(n),
    )
    return Windows(
        shape,
        prepared,
        offsets,
        rng.normal(size=(len(values), n_known)),
        rng.normal(size=(len(values), n_past)),
        rng.normal(size=(n, n_static)),
        *training_ends(offsets, shape.n_first),
    )


def history(windows, row):
    """Return the values of the series up to the end of a window, on lines."""
    start = windows.offsets[windows.series[row]]
    past = windows.prepared.values[start : windows.ends[row] + 1]
    known = np.flatnonzero(~np.isnan(past))
    return np.interp(np.arange(len(past)), known, past[known])


def expected_window(windows, row):
    shape, past = windows.shape, history(windows, row)
    seen = past[-shape.n_lags :]
    level = seen[-shape.n_level :].mean()
    scale = SCALE_OF_ONE
    if len(seen) > 1:
        scale = np.abs(np.diff(seen)).mean() + SMALLEST_SCALE
    padded = np.append(np.full(shape.n_lags - len(seen), seen[0]), seen)
    return (padded - level) / scale, level, scale, len(seen) / shape.n_lags


def column_steps(windows, row, columns, n_steps):
    """Return a window of columns, beyond the series or horizon as at the ends."""
    series = windows.series[row]
    first, stop = windows.offsets[series : series + 2]
    stop = min(stop, windows.ends[row] + 1 + windows.shape.horizon)
    end = windows.ends[row] + 1 - windows.shape.n_lags
    places = [min(max(end + k, first), stop - 1) for k in range(n_steps)]
    return columns[places]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("missing", [0.0, 0.4, 0.95])
def test_level_and_scale(shape, missing):
    windows = make_windows(shape, missing=missing)
    rows = np.arange(len(windows))[::-1]
    found = windows.normalized(rows)
    for place, row in enumerate(rows):
        for part, expected in zip(found, expected_window(windows, row), strict=True):
            assert_allclose(part[place], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_targets(shape):
    windows = make_windows(shape)
    rows = np.arange(len(windows))
    targets, scales = windows.targets(rows)
    for row in rows:
        _, level, scale, _ = expected_window(windows, row)
        stop = windows.offsets[windows.series[row] + 1]
        after = windows.prepared.values[windows.ends[row] + 1 : stop][: shape.horizon]
        after = np.append(after, np.full(shape.horizon - len(after), np.nan))
        expected = np.clip((after - level) / scale, -FURTHEST, FURTHEST)
        assert_allclose(targets[row], expected, rtol=1e-10, atol=1e-10)
        assert_allclose(scales[row], scale)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n_known, n_past, n_static", [(0, 0, 0), (2, 0, 1), (1, 3, 0)])
def test_what_the_network_reads(shape, n_known, n_past, n_static):
    windows = make_windows(shape, n_known, n_past, n_static)
    rows = np.arange(len(windows))[::3]
    inputs = windows.inputs(rows)
    assert inputs.shape == (len(rows), windows.n_frames, windows.n_channels)
    n_ahead = -(-shape.horizon // shape.frame) if n_known else 0
    assert windows.n_frames == shape.n_lags // shape.frame + n_ahead
    n_steps = windows.n_frames * shape.frame
    width = shape.frame * windows.n_columns
    for place, row in enumerate(rows):
        window, _, scale, share = expected_window(windows, row)
        steps = np.zeros((n_steps, windows.n_columns))
        steps[: shape.n_lags, 0] = window
        known = column_steps(windows, row, windows.known, n_steps)
        steps[:, 1 : 1 + n_known] = known
        past = column_steps(windows, row, windows.past, shape.n_lags)
        steps[: shape.n_lags, 1 + n_known :] = past
        found = inputs[place, :, :width].reshape(n_steps, -1)
        assert_allclose(found, steps, rtol=1e-5, atol=1e-5)
        facts = inputs[place, :, width:]
        assert (facts == facts[0]).all()
        assert_allclose(facts[0, 0], np.log(scale) - USUAL_LOG_SCALE, rtol=1e-5)
        assert_allclose(facts[0, 1], share, rtol=1e-6)
        assert facts[0, 2] == windows.prepared.is_log[windows.series[row]]


def test_nothing_after_its_end_is_in_a_window():
    windows = make_windows(SHAPES[0], n_past=1)
    row = int(np.flatnonzero(windows.series == 4)[5])
    before = windows.inputs([row])
    windows.prepared.values[windows.ends[row] + 1 :] *= -3
    windows.past[windows.ends[row] + 1 :] += 1
    changed = Windows(
        windows.shape,
        windows.prepared,
        windows.offsets,
        windows.known,
        windows.past,
        np.empty((len(LENGTHS), 0)),
        windows.series,
        windows.ends,
    )
    assert_array_equal(changed.inputs([row]), before)


def test_forecasts_take_the_place_of_values():
    shape = SHAPES[0]
    values = np.append(np.arange(1.0, 9.0), np.full(8, np.nan))
    zero, one = np.zeros(1), np.ones(1)
    prepared = Prepared(
        values, np.array([False]), one, np.zeros((1, 1)), zero, one, zero, zero
    )
    none = np.empty((16, 0))
    offsets, ends = np.array([0, 16]), np.array([7])
    series, static = np.array([0]), np.empty((1, 0))
    windows = Windows(shape, prepared, offsets, none, none, static, series, ends)
    windows.advance(np.array([[9.0, 10.0, 11.0, 12.0]]))
    window, level, scale, share = windows.normalized([0])
    assert (level, share) == (12, 1)
    assert_allclose(window[0], np.arange(-5, 1) / scale[0])


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), st.integers(1, 8))
def test_ends_of_training_windows(lengths, n_first):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    expected = []
    for number, (start, stop) in enumerate(zip(offsets, offsets[1:], strict=False)):
        first = min(n_first, stop - start - 1)
        # the last value of a series has nothing after it
        ends = range(start + first - 1, stop - 1) if stop - start > 1 else ()
        expected += [(number, end) for end in ends]
    series, ends = training_ends(offsets, n_first)
    found = list(zip(series.tolist(), ends.tolist(), strict=True))
    assert found == expected


def test_drawn_windows_give_each_series_the_same_share():
    windows = make_windows(SHAPES[0])
    rows = draw_windows(windows, 8000, np.random.RandomState(0))
    counts = np.bincount(windows.series[rows], minlength=len(LENGTHS))
    assert counts[0] == 0  # a single value has nothing after it
    assert_allclose(counts[1:] / 8000, 0.25, atol=0.02)
    longest = rows[windows.series[rows] == 4]
    assert len(np.unique(longest)) == np.count_nonzero(windows.series == 4)


# The linear model ---------------------------------------------------------------------


@pytest.mark.parametrize("columns", [(0, 0, 0), (2, 1, 1)])
def test_linear_model_is_a_ridge_regression(columns):
    windows = make_windows(SHAPES[0], *columns, missing=0.05)
    rows = np.arange(len(windows))
    coefficients = linear.fit_linear(windows, rows)
    targets, scale = windows.targets(rows)
    known = ~np.isnan(targets).any(axis=1)
    X = windows.flat(rows)[known]
    assert (X[:, -1] == 1).all()
    mean = np.trace(X.T @ (scale[known, np.newaxis] * X)) / X.shape[1]
    penalty = np.full(X.shape[1], linear.PENALTY * mean)
    penalty[-1] = linear.PENALTY**3 * mean
    # scikit-learn has one penalty for all features
    widened = X / np.sqrt(penalty)
    ridge = Ridge(alpha=1.0, fit_intercept=False, solver="cholesky")
    ridge.fit(widened, targets[known], sample_weight=scale[known])
    expected = ridge.predict(widened)
    found = linear.predict_linear(windows, rows, coefficients)[known]
    assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_linear_model_in_blocks(monkeypatch):
    windows = make_windows(SHAPES[0])
    rows = np.arange(len(windows))
    whole = linear.fit_linear(windows, rows)
    monkeypatch.setattr(linear, "BLOCK", 7)
    assert_allclose(linear.fit_linear(windows, rows), whole, rtol=1e-8, atol=1e-10)


def test_linear_model_without_anything_to_learn_from():
    windows = make_windows(SHAPES[0])
    windows.prepared.values[:] = np.nan
    windows.prepared.values[windows.offsets[:-1]] = 1.0
    coefficients = linear.fit_linear(windows, np.arange(len(windows)))
    assert_array_equal(coefficients, 0)


def test_linear_forecasts_do_not_depend_on_their_neighbours():
    windows = make_windows(SHAPES[0], 1, 1, 1)
    rows = np.arange(len(windows))
    coefficients = linear.fit_linear(windows, rows)
    whole = linear.predict_linear(windows, rows, coefficients)
    for row in rows[::5]:
        alone = linear.predict_linear(windows, rows[row : row + 1], coefficients)
        assert_array_equal(alone[0], whole[row])


# The loss -----------------------------------------------------------------------------


def evaluate(raw, y, factor, weights, levels):
    rows = np.ascontiguousarray(raw.T[np.newaxis])
    target = np.ascontiguousarray(np.column_stack([y, factor]).T[np.newaxis])
    d_raw = np.full_like(rows, np.nan)
    n_steps = np.array([1, 0, len(raw)])
    weight = weights[np.newaxis, np.newaxis]
    levels = np.array(levels, raw.dtype)
    value = scaled_quantile(rows, d_raw, target, weight, levels, n_steps)
    return value, d_raw[0].T


@pytest.mark.parametrize("levels", [(0.5,), (0.1, 0.5, 0.8)])
def test_loss_is_the_pinball_loss_of_known_targets(levels):
    rng = np.random.default_rng(3)
    n, horizon = lane_count(np.float64), 3
    raw = rng.normal(size=(n, horizon * len(levels)))
    y, factor = rng.normal(size=(n, horizon)), rng.uniform(0.5, 2, n)
    weights = rng.uniform(0.5, 2, n)
    value, d_raw = evaluate(raw, y, factor, weights, levels)
    assert_allclose(value, quantile(raw, y, weights * factor, levels))
    slope = gradient(lambda r: quantile(r, y, weights * factor, levels), raw)
    assert_allclose(d_raw, slope, rtol=1e-6, atol=1e-10)
    # an unknown target counts as one that is met
    y[0, 1] = np.nan
    value, d_raw = evaluate(raw, y, factor, weights, levels)
    met = y.copy()
    met[0, 1] = 0.0
    hit = raw.copy()
    hit[0, len(levels) : 2 * len(levels)] = 0.0
    assert_allclose(value, quantile(hit, met, weights * factor, levels))
    assert_array_equal(d_raw[0, len(levels) : 2 * len(levels)], 0)
    assert (d_raw[0, : len(levels)] != 0).all()


def test_lanes_without_weight_do_not_count():
    n = lane_count(np.float64)
    raw, y = np.full((n, 2), np.nan), np.ones((n, 2))
    raw[0] = 0.0
    weights = np.zeros(n)
    weights[0] = 1.0
    value, d_raw = evaluate(raw, y, np.ones(n), weights, (0.5,))
    assert value == 0.5
    assert_array_equal(d_raw[1:], 0)
