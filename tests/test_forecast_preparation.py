"""Series as networks see them, there and back, and the search for seasons."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.forecasting.preparation import SMALLEST_SHARE, prepare
from skrnn.forecasting.seasonality import detect_season, shrunk

RNG = np.random.default_rng(5)
T = np.arange(60)
SEASON = 1 + 0.5 * np.sin(T * np.pi / 6)
NAN = np.nan
SERIES = {
    "positive": 100 + RNG.normal(size=60),
    "seasonal": 100 * SEASON + RNG.normal(size=60),
    "growing": np.exp(0.01 * T) * SEASON,
    "negative": -100 + RNG.normal(size=60),
    "both signs": 10 * (SEASON - 1) + 0.1 * RNG.normal(size=60),
    "intermittent": RNG.poisson(0.3, 60).astype(float),
    "mostly zero": np.where(T == 30, 5.0, 0.0),
    "zero": np.zeros(60),
    "constant": np.full(60, 7.0),
    "vanishingly small": np.append(1e-5, np.full(59, 3.0)),
    "huge": 1e200 * (1 + RNG.random(60)),
    "tiny": 1e-200 * (1 + RNG.random(60)),
    "one": np.array([3.0]),
    "two": np.array([3.0, 5.0]),
    "gaps": np.where(T % 7 == 3, NAN, 100 * SEASON + RNG.normal(size=60)),
    "missing at the end": np.append(100 * SEASON[:50], np.full(10, NAN)),
}


def prepare_one(y, m=12, log="auto"):
    return prepare(y, np.array([0, len(y)]), m, log)


@pytest.mark.parametrize("log", ["auto", True, False])
@pytest.mark.parametrize("m", [1, 4, 12])
@pytest.mark.parametrize("name", SERIES)
def test_there_and_back(name, m, log):
    y = SERIES[name]
    prepared = prepare_one(y, m, log)
    assert_array_equal(np.isnan(prepared.values), np.isnan(y))
    z = prepared.values[np.newaxis]
    first = np.array([0])
    back = prepared.restore(z, first)[0]
    scale = np.nanmax(np.abs(y))
    assert_allclose(back, y, rtol=1e-9, atol=1e-12 * scale)
    if name != "vanishingly small":  # whose logarithm is of a share that is larger
        viewed = prepared.view(y[np.newaxis], first)
        assert_allclose(viewed, z, rtol=1e-9, atol=1e-9)
    # from the middle on, with several values of a step
    later = np.stack([z[:, 30:], z[:, 30:]], axis=2)
    if later.size:
        back = prepared.restore(later, np.array([30]))
        assert_allclose(back[0, :, 1], y[30:], rtol=1e-9, atol=1e-12 * scale)


def test_logarithms():
    for name, expected in (
        ("positive", True),
        ("growing", True),
        ("huge", True),
        ("tiny", True),
        ("gaps", True),
        ("constant", True),
        ("negative", False),
        ("intermittent", False),
        ("zero", False),
        ("vanishingly small", False),
    ):
        y = SERIES[name]
        assert prepare_one(y).is_log[0] == expected, name
        assert prepare_one(y, log=True).is_log[0] == (np.nanmin(y) > 0), name
        assert not prepare_one(y, log=False).is_log[0]


def test_each_series_has_its_own_unit_and_season():
    names = list(SERIES)
    values = np.concatenate([SERIES[name] for name in names])
    offsets = np.cumsum([0] + [len(SERIES[name]) for name in names])
    together = prepare(values, offsets, 12)
    for i, name in enumerate(names):
        alone = prepare_one(SERIES[name])
        assert_array_equal(together.values[offsets[i] : offsets[i + 1]], alone.values)
        for part in ("is_log", "units", "seasons", "floors"):
            assert_array_equal(getattr(together, part)[i], getattr(alone, part)[0])
    assert names[together.seasons.any(axis=1).argmax()] == "seasonal"


@pytest.mark.parametrize("factor", [2.0**-40, 2.0**30])
def test_the_unit_of_measurement_does_not_matter(factor):
    for name in ("seasonal", "both signs", "intermittent", "gaps", "one"):
        prepared = prepare_one(SERIES[name])
        scaled = prepare_one(factor * SERIES[name])
        assert_array_equal(scaled.values, prepared.values)
        assert_array_equal(scaled.units, factor * prepared.units)


def test_floors():
    low = np.full((1, 3), -1e6)
    first = np.array([60])
    for name, floor in (
        ("positive", 0.0),
        ("intermittent", 0.0),
        ("zero", 0.0),
        ("negative", -np.inf),
        ("both signs", -np.inf),
    ):
        prepared = prepare_one(SERIES[name])
        assert prepared.floors[0] == floor, name
        restored = prepared.restore(low, first)
        assert (restored >= floor).all() and np.isfinite(restored).all(), name
        assert_array_equal(prepared.floored(low), np.maximum(low, floor))
    assert (prepare_one(SERIES["negative"]).restore(low, first) < -1e6).all()


def test_no_overflow_of_logarithms():
    prepared = prepare_one(SERIES["positive"], 1)
    restored = prepared.restore(np.array([[-1e9, 1e9, NAN]]), np.array([60]))
    assert np.isfinite(restored[0, :2]).all()
    assert np.isnan(restored[0, 2])
    assert np.isfinite(prepared.view(np.array([[0.0, -3.0]]), np.array([60]))).all()
    least = prepared.view(np.array([[-1.0]]), np.array([60]))
    assert_allclose(least, np.log(SMALLEST_SHARE))


def test_the_season_goes():
    prepared = prepare_one(SERIES["growing"])
    assert prepared.seasons.any(axis=1)[0]
    assert_allclose(np.diff(prepared.values), 0.01, atol=1e-3)
    prepared = prepare_one(SERIES["both signs"])
    assert np.abs(prepared.values).max() < 0.1
    # from the first value that is there on
    late = np.append(np.full(5, NAN), SERIES["growing"][5:])
    assert_allclose(np.diff(prepare_one(late).values[5:]), 0.01, atol=1e-3)


def test_no_season_of_noise_or_few_values():
    assert not prepare_one(SERIES["positive"]).seasons.any(axis=1)[0]
    assert not prepare_one(SERIES["seasonal"][:35]).seasons.any(axis=1)[0]
    assert not prepare_one(SERIES["seasonal"], 1).seasons.any(axis=1)[0]


def test_missing_values_lie_on_lines_for_the_season():
    y = SERIES["gaps"][:59]
    filled = np.interp(T[:59], T[:59][~np.isnan(y)], y[~np.isnan(y)])
    found = prepare_one(y)
    assert found.seasons.any(axis=1)[0]
    # the line lies between values, not between their logarithms
    assert_allclose(found.seasons, prepare_one(filled).seasons, atol=1e-12)


# Seasons ------------------------------------------------------------------------------


def slow_shrinkage(y, season):
    """Miller and Williams (2003), with the variance of the means of the scatter."""
    m = len(season)
    half = m // 2
    kernel = np.ones(m) if m % 2 else np.r_[0.5, np.ones(m - 1), 0.5]
    trend = np.convolve(y, kernel / m, mode="valid")
    scatter = y[half : len(y) - half] - trend
    steps = np.arange(half, len(y) - half) % m
    groups = [scatter[steps == k] for k in range(m)]
    within = sum(((group - group.mean()) ** 2).sum() for group in groups)
    variance = within / (len(scatter) - m)
    noise = variance * np.mean([1 / len(group) for group in groups])
    return season * max(1 - (m - 3) * noise / (season**2).sum(), 0)


@pytest.mark.parametrize("m", [4, 5, 12])
@pytest.mark.parametrize("noise", [0.1, 1.0, 5.0])
def test_shrinkage(m, noise):
    rng = np.random.default_rng(m)
    season = rng.normal(size=m)
    y = np.tile(season, 6) + noise * rng.normal(size=6 * m)
    expected = slow_shrinkage(y, season)
    found = season.copy()
    shrunk(y, found)
    assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert (np.abs(found) <= np.abs(season)).all()


def test_nothing_is_shrunk_that_cannot_be_told():
    for m, n in ((3, 30), (7, 12), (1, 9)):
        season = np.arange(m) - (m - 1) / 2
        found = season.copy()
        shrunk(np.random.default_rng(0).normal(size=n), found)
        assert_array_equal(found, season)
    zeros = np.zeros(4)
    shrunk(np.arange(20.0), zeros)
    assert_array_equal(zeros, 0)


@given(
    m=st.sampled_from([2, 4, 7, 12, 24]),
    trend=st.floats(-2, 2),
    seed=st.integers(0, 99),
)
def test_a_season_is_found(m, trend, seed):
    rng = np.random.default_rng(seed)
    t = np.arange(10 * m)
    y = 5 * np.tile(rng.permutation(m), 10) + trend * t + rng.normal(0, 0.3, len(t))
    assert detect_season(y, np.array([0, len(y)])) == m


@pytest.mark.parametrize(
    "y",
    [
        np.zeros(50),
        np.arange(50.0),
        np.random.default_rng(1).normal(size=200),
        np.random.default_rng(1).normal(size=200).cumsum(),
        np.array([1.0]),
        np.array([1.0, 2, 1, 2, 1]),
        np.full(20, NAN),
    ],
)
def test_no_season_where_there_is_none(y):
    assert detect_season(y, np.array([0, len(y)])) == 1


def test_the_season_of_most_series():
    weekly = np.tile([1.0, 2, 3, 4, 5, 9, 9], 8)
    yearly = np.tile(np.sin(np.arange(12)), 8)
    parts = [weekly, weekly[:40], yearly]
    offsets = np.cumsum([0] + [len(part) for part in parts])
    assert detect_season(np.concatenate(parts), offsets) == 7
    parts = [weekly, yearly]
    offsets = np.cumsum([0] + [len(part) for part in parts])
    assert detect_season(np.concatenate(parts), offsets) == 1
    with_gaps = weekly.copy()
    with_gaps[[5, 20, 21, 55]] = NAN
    assert detect_season(with_gaps, np.array([0, 56])) == 7
