"""What the data decides: windows and training, the trial on the past, and errors."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.forecasting import calibration as module
from skrnn.forecasting.calibration import Calibration, calibrate, plan_trial
from skrnn.forecasting.model import (
    ColumnScale,
    Outlook,
    new_model,
    train,
    training_windows,
)
from skrnn.forecasting.networks import Settings
from skrnn.forecasting.plan import LONGEST_AVERAGED, N_SEASONS, make_plan
from skrnn.forecasting.reading import read_panel

RNG = np.random.default_rng(3)
SETTINGS = Settings("gru", (6,), 0.0, 20, 16, 0.005, 0.0, 1.0)


def panel_of(*lengths, seed=0):
    """Make a panel of series with a trend and a season of four."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(index=range(max(lengths)))
    t = np.arange(max(lengths))
    for i, length in enumerate(lengths):
        y = 100 + t + 8 * np.sin(t * np.pi / 2) + rng.normal(size=len(t))
        frame[i] = np.where(t < max(lengths) - length, np.nan, y)
    return read_panel(frame)[0]


def empty_of(lengths):
    offsets = np.cumsum([0, *lengths])
    return SimpleNamespace(values=np.zeros(offsets[-1]), offsets=offsets)


# The plan -----------------------------------------------------------------------------


@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=5),
    seasons=st.sampled_from([(1,), (4,), (12,), (7,), (24, 168), (52,), None]),
    horizon=st.integers(1, 50),
    lags=st.none() | st.integers(1, 80),
)
def test_any_plan_can_be_carried_out(lengths, seasons, horizon, lags):
    plan = make_plan(empty_of(lengths), seasons, horizon, lags)
    assert plan.averaged_season in (1, plan.season_length)
    assert plan.n_updates >= 1 and plan.batch_size >= 1
    for number in range(4):
        shape = plan.shape_of(number)
        assert shape.horizon == horizon
        assert shape.n_lags >= plan.shape.n_lags
        assert shape.n_lags % shape.frame == 0
        assert shape.frame == plan.shape.frame
        assert 1 <= shape.n_first <= shape.n_lags
        assert 1 <= shape.n_level <= shape.n_lags
        if lags is not None:
            assert shape.n_lags == lags
    assert plan.shape_of(0) == plan.shape


def test_seasons_that_series_are_long_enough_for():
    for seasons, length, season in (
        ((12,), int(12 * N_SEASONS) - 1, 1),
        ((12,), int(12 * N_SEASONS) + 1, 12),
        ((24, 168), 168, 24),
        ((24, 168), 1000, 24),
        ((1,), 1000, 1),
    ):
        plan = make_plan(empty_of([length]), seasons, 6)
        assert plan.season_length == season
        averaged = season if season <= LONGEST_AVERAGED else 1
        assert plan.averaged_season == averaged
    # of most series
    assert make_plan(empty_of([60, 60, 5]), (12,), 6).season_length == 12
    assert make_plan(empty_of([60, 5, 5]), (12,), 6).season_length == 1
    # windows hold two of the longest
    plan = make_plan(empty_of([1000] * 3), (24, 168), 6)
    assert plan.shape.n_lags >= 2 * 168
    assert plan.shape.n_level == 168
    # one that the user names counts in any case
    plan = make_plan(empty_of([50]), (30,), 4, sure=True)
    assert plan.season_length == 30


def test_season_of_the_data():
    season = np.tile([0.0, 5, 1, 2, 9, 7], 12)
    panel = SimpleNamespace(values=season, offsets=np.array([0, 72]))
    assert make_plan(panel, None, 3).season_length == 6


def test_choices_of_the_user_stay():
    plan = make_plan(empty_of([50]), (1,), 5, lags=7, n_updates=3, batch_size=2)
    assert (plan.shape.n_lags, plan.n_updates, plan.batch_size) == (7, 3, 2)
    small, large = (make_plan(empty_of([n] * n), (1,), 5) for n in (20, 200))
    assert small.n_updates <= large.n_updates
    assert small.batch_size < large.batch_size


# Columns and members ------------------------------------------------------------------


def test_scales_of_columns():
    columns = np.column_stack([RNG.normal(3, 2, 50), np.full(50, 7.0), RNG.random(50)])
    columns[[3, 9], 0] = np.nan
    scale = ColumnScale.of(columns)
    applied = scale.apply(columns)
    assert_allclose(scale.mean, np.nanmean(columns, axis=0))
    assert_allclose(scale.scale, [np.nanstd(columns[:, 0]), 1, columns[:, 2].std()])
    assert_array_equal(applied[[3, 9], 0], 0)
    assert_array_equal(applied[:, 1], 0)
    assert_allclose(applied[:, 2].std(), 1)
    nothing = ColumnScale.of(np.full((4, 1), np.nan))
    assert_array_equal(nothing.apply(np.array([[np.nan], [2.0]])), [[0], [2]])
    assert ColumnScale.of(np.empty((5, 0))).apply(np.empty((3, 0))).shape == (3, 0)


@pytest.fixture(scope="module")
def trained():
    panel = panel_of(40, 30, 12)
    plan = make_plan(panel, (4,), 3, n_updates=20, batch_size=16)
    model = new_model(plan, SETTINGS, "auto", panel)
    pieces = [training_windows(model, panel)] * 20
    return train(model, pieces, [1, 2], 1), panel


def test_members_are_weighted(trained):
    model, panel = trained
    outlook = Outlook(panel, np.empty((3, 5, 0)))
    networks, theta, mixed = (
        replace(model, network_weight=weight).forecast(outlook).values
        for weight in (1.0, 0.0, 0.3)
    )
    assert_allclose(theta, model.theta(panel, 5), rtol=1e-12)
    assert_allclose(mixed, 0.3 * networks + 0.7 * theta, rtol=1e-12)
    assert (networks != theta).all()


def test_the_median_of_networks(trained):
    model, panel = trained
    model = replace(model, network_weight=1.0, log=False)
    outlook = Outlook(panel, np.empty((3, 3, 0)))
    each = [
        replace(model, networks=[network]).forecast(outlook).values
        for network in model.networks
    ]
    together = model.forecast(outlook).values
    assert_allclose(together, np.mean(each, axis=0), rtol=1e-10)  # the median of two


def test_bounds_lie_around_the_forecast(trained):
    model, panel = trained
    forecasts = model.forecast(Outlook(panel, np.empty((3, 5, 0))))
    assert_allclose(forecasts.shifted(np.zeros(5)), forecasts.values, rtol=1e-10)
    further = forecasts.shifted(np.array([[-1.0, 1.0]] * 5))
    assert (further[:, :, 0] < forecasts.values).all()
    assert (further[:, :, 1] > forecasts.values).all()


# The trial ----------------------------------------------------------------------------


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=50),
    horizon=st.integers(1, 20),
)
def test_the_trial_leaves_enough_before_it(lengths, horizon):
    panel = panel_of(*lengths)
    trial = plan_trial(panel, horizon)
    if trial is None:
        assert np.median(lengths) <= module.FEWEST_VALUES
        return
    assert len(trial.numbers) == len(trial.panel) >= 1
    assert (np.diff(trial.backs) < 0).all() or len(trial.backs) == 1
    assert trial.backs.min() >= 1
    left = trial.panel.lengths - trial.backs.max()
    assert (left >= module.FEWEST_VALUES).all()
    assert_array_equal(trial.panel.lengths, panel.lengths[trial.numbers])


def test_the_trial_is_not_in_its_training(monkeypatch):
    panel = panel_of(60, 50, 3)
    seen = []

    def record(model, panel):
        seen.append(panel)
        return training_windows(model, panel)

    monkeypatch.setattr(module, "training_windows", record)
    plan = make_plan(panel, (4,), 3, n_updates=20, batch_size=16)
    model = new_model(plan, SETTINGS, "auto", panel)
    options = {"linear": "auto", "theta": True}
    chosen, outcome = calibrate(model, panel, 0, 1, **options)
    trial = plan_trial(panel, 3)
    first = trial.backs[0]
    for before in seen:
        assert_array_equal(before.lengths, panel.lengths - [first, first, 0])
    assert len(seen) == 2
    assert outcome.errors.shape == (2 * len(trial.backs), 3)
    assert np.isfinite(outcome.errors[0]).all()
    assert chosen.networks == []
    assert 0 <= chosen.network_weight <= 1
    for linear in (True, False):
        chosen, _ = calibrate(model, panel, 0, 1, linear=linear, theta=False)
        assert chosen.settings.linear is linear
        assert chosen.network_weight == 1


def test_errors_are_those_of_the_forecasts():
    panel = panel_of(60, 50)
    plan = make_plan(panel, (4,), 3, n_updates=20, batch_size=16)
    model = new_model(plan, SETTINGS, False, panel)
    _, outcome = calibrate(model, panel, 5, 1, linear=False, theta=False)
    trial = plan_trial(panel, 3)
    before = panel.head(panel.ends - trial.backs[0])
    pieces = [training_windows(model, before)] * 20
    model = train(model, pieces, [5], 1)
    parts = np.split(outcome.errors, len(trial.backs))
    for back, errors in zip(trial.backs, parts, strict=True):
        history = panel.head(panel.ends - back)
        forecasts = model.forecast(Outlook(history, np.empty((2, 3, 0))))
        for i in range(2):
            truth = panel.series(i)[history.lengths[i] :][:3]
            unit = forecasts.prepared.units[i] * forecasts.scales[i]
            expected = (truth - forecasts.values[i, : len(truth)]) / unit
            assert_allclose(errors[i, : len(truth)], expected, rtol=1e-9, atol=1e-9)
            assert np.isnan(errors[i, len(truth) :]).all()


def test_too_short_for_a_trial():
    panel = panel_of(3, 2)
    plan = make_plan(panel, (4,), 3)
    model = new_model(plan, SETTINGS, "auto", panel)
    for theta, weight in ((True, 0.5), (False, 1.0)):
        chosen, outcome = calibrate(model, panel, 0, 1, linear="auto", theta=theta)
        assert outcome is None
        assert chosen.network_weight == weight
        assert chosen.settings.linear is False


# Errors -------------------------------------------------------------------------------


def coverage(n_errors, horizon, level, n_repeats, scales):
    """Return how often new errors lie within the bounds by old ones."""
    inside, rng = [], np.random.default_rng(0)
    for _ in range(n_repeats):
        errors = scales * rng.standard_t(3, size=(n_errors + 20, horizon))
        offsets = Calibration(errors[20:]).offsets(horizon, [level])[:, 0]
        new = errors[:20]
        inside.append((offsets[:, 0] <= new) & (new <= offsets[:, 1]))
    return np.mean(inside, axis=(0, 1))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_coverage_of_each_step(level):
    found = coverage(150, 3, level, 150, np.array([1.0, 5.0, 3.0]))
    assert_allclose(found, level + 0.5 / 150, atol=0.02)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_coverage_of_few_errors(level):
    found = coverage(30, 4, level, 300, np.array([1.0, 2.0, 3.0, 4.0]))
    assert_allclose(found, level, atol=0.035)


def test_few_errors_count_together():
    errors = RNG.normal(size=(20, 3)) * [1, 2, 3]
    offsets = Calibration(errors).offsets(3, [0.5, 0.9])
    assert (np.diff(offsets[:, :, 1], axis=0) >= 0).all()  # they grow
    assert (np.diff(offsets[:, :, 0], axis=0) <= 0).all()
    assert (offsets[:, 1, 1] >= offsets[:, 0, 1]).all()
    assert (offsets[:, 1, 0] <= offsets[:, 0, 0]).all()


def test_unknown_errors_do_not_count():
    errors = RNG.normal(size=(150, 2))
    some = np.concatenate([errors, np.full((40, 2), np.nan)])
    levels = [0.8]
    expected = Calibration(errors).offsets(2, levels)
    assert_array_equal(Calibration(some).offsets(2, levels), expected)
    errors[:, 1] = np.nan
    offsets = Calibration(errors).offsets(2, levels)
    assert np.isfinite(offsets).all()
    assert (np.abs(offsets[1]) >= 0.5 * np.abs(offsets[0])).all()


def test_beyond_the_horizon_errors_grow_with_the_root_of_the_step():
    calibrated = Calibration(RNG.normal(size=(200, 4)))
    offsets = calibrated.offsets(16, [0.8])
    assert_allclose(offsets[15], 2 * offsets[3], rtol=1e-12)
    assert_array_equal(calibrated.offsets(4, [0.8]), offsets[:4])


def test_the_largest_error_bounds_what_few_can_tell():
    errors = np.array([[1.0], [-2.0], [3.0]])
    offsets = Calibration(errors).offsets(1, [0.99])
    assert_allclose(offsets[0, 0], [-2, 3])
    assert_array_equal(Calibration(np.zeros((3, 2))).offsets(2, [0.9]), 0)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("n", [1, 9, 19, 40])
def test_conformal_rank(level, n):
    errors = RNG.permutation(np.arange(1.0, n + 1))
    rank = min(int(np.ceil(level * (n + 1))), n)
    assert module._conformal(np.append(errors, np.nan), level) == rank
