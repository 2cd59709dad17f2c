"""The forecasting benchmark reads what there is and scores it as competitions do."""

import dataclasses
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Import a module of the benchmarks, which are no package."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def quarters(load):
    """Ten series with a season, growth and little noise."""
    competitions = load("competitions")
    rng = np.random.default_rng(0)
    group = competitions.GROUPS["m3_quarterly"]
    train, test = [], []
    for i in range(10):
        t = np.arange(40 + i + group.horizon)
        y = 1.02**t * np.resize([90, 110, 140, 60], len(t)) * rng.lognormal(0, 0.01)
        y *= rng.lognormal(0, 0.01, len(t))
        train.append(y[: -group.horizon])
        test.append(y[-group.horizon :])
    naive = [competitions.naive2(y, group.horizon, 4) for y in train]
    ids = [f"N{i}" for i in range(10)]
    return competitions.Competition(
        "m3_quarterly", group, ids, train, np.stack(test), np.stack(naive)
    )


@pytest.mark.parametrize(
    ("start", "freq", "expected"),
    [
        ("1975", "Y", "1975"),
        ("7939/4", "Q", "1984Q4"),
        ("3961/2", "Q", "1980Q3"),
        ("7939/4", "M", "1984-10"),
        ("23671/12", "M", "1972-08"),
        ("1", "M", "1970-01"),  # not known
    ],
)
def test_a_start_is_a_fraction_of_a_year(load, start, freq, expected):
    found = load("competitions").first_period(start, freq)
    assert found == pd.Period(expected, freq=freq)


@pytest.mark.parametrize(
    ("name", "n_series", "length", "freq"),
    [
        ("m3_yearly", 645, 14, "YS"),
        ("m3_quarterly", 756, 16, "QS"),
        ("m3_monthly", 1428, 48, "MS"),
        ("m3_other", 174, 63, None),
        ("m4_hourly", 414, 700, "h"),
    ],
)
def test_series_have_their_times(load, data_dir, name, n_series, length, freq):
    data = load("competitions").load(name, data_dir)
    assert len(data.ids) == len(data.test) == n_series
    assert data.test.shape == data.naive2.shape == (n_series, data.group.horizon)
    assert min(map(len, data.train)) == length
    frame = data.frame()
    assert len(frame) == sum(map(len, data.train))
    times = frame.loc[frame["unique_id"] == data.ids[0], "ds"]
    if freq is None:
        assert times.tolist() == list(range(1, len(times) + 1))
    else:
        expected = pd.date_range(times.iloc[0], periods=len(times), freq=freq)
        assert times.tolist() == expected.tolist()


def test_naive2_repeats_the_last_value_and_the_season(load):
    naive2 = load("competitions").naive2
    y = np.resize([90.0, 110, 140, 60], 46)
    np.testing.assert_allclose(naive2(y[:40], 6, 4), y[40:])
    np.testing.assert_array_equal(naive2(y[:11], 3, 4), [140] * 3)  # too short
    np.testing.assert_array_equal(naive2(y[:40], 3, 1), [60] * 3)


def test_scores_are_those_of_the_competitions(load, quarters):
    smape, mase = load("forecasting").score(quarters, quarters.naive2)
    for i, (y, true) in enumerate(zip(quarters.train, quarters.test, strict=True)):
        errors = np.abs(true - quarters.naive2[i])
        size = np.abs(true) + np.abs(quarters.naive2[i])
        assert smape[i] == pytest.approx(np.mean(200 * errors / size))
        scale = np.mean(np.abs(y[4:] - y[:-4]))
        assert mase[i] == pytest.approx(errors.mean() / scale)


def test_owa_compares_with_naive2(load):
    baseline = np.array([[10.0, 30.0], [1.0, 2.0]])
    found = load("forecasting").summarize([[10.0, 10.0], [1.0, 2.0]], baseline)
    assert found == {"smape": 10, "mase": 1.5, "owa": pytest.approx((0.5 + 1) / 2)}
    found = load("forecasting").summarize(baseline, baseline, weights=[3, 1])
    assert found == {"smape": 15, "mase": 1.25, "owa": 1}


def test_trees_learn_a_season_and_growth(load, quarters, monkeypatch):
    forecasters, forecasting = load("forecasters"), load("forecasting")
    monkeypatch.setattr(forecasters, "N_ROWS", 3000)
    scores = {
        name: forecasting.score(quarters, forecasters.METHODS[name](quarters, 0)).mean(
            1
        )
        for name in ("naive2", "seasonal_naive", "boosted_trees", "skrnn_theta")
    }
    for name in ("boosted_trees", "skrnn_theta"):
        assert (scores[name] < 0.7 * scores["naive2"]).all(), scores
        assert (scores[name] < 0.7 * scores["seasonal_naive"]).all(), scores


def test_windows_see_nothing_of_what_they_forecast(load):
    """The features of a window do not change with the values after it."""
    forecasters = load("forecasters")
    values = np.random.default_rng(0).normal(size=(5, 90))
    rows = np.arange(5), np.full(5, 60)
    for m in forecasters.N_LAGS:
        for step in range(9):
            steps = np.full(5, step)
            before = forecasters.window_features(values, *rows, steps, m)
            changed = values.copy()
            changed[:, 61:] += 1
            after = forecasters.window_features(changed, *rows, steps, m)
            for a, b in zip(before, after, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.needs_jit
def test_a_table_of_every_group_is_printed_and_forecasts_are_saved(tmp_path, data_dir):
    out = tmp_path / "out.json"
    methods = ["naive2", "skrnn_theta"]
    options = ["--methods", *methods, "--max-series", 4, "--save", tmp_path]
    options += ["--data", data_dir, "--json", out]
    command = [sys.executable, BENCHMARKS / "forecasting.py", *options]
    done = subprocess.run(
        list(map(str, command)),
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS.parent)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    assert len(results) == 5
    for group in [*results, "M3, by points", "M3, by series"]:
        n_series = 16 if group.startswith("M3") else 4
        for name in methods:
            assert f"| {group} | {name} | {n_series} | " in done.stdout
    frame = pd.read_csv(tmp_path / "naive2_m3_yearly.csv")
    assert frame.columns.tolist() == ["series_id", "h", "value"]
    assert frame["h"].tolist() == list(range(1, 7)) * 4


@pytest.mark.needs_jit
@pytest.mark.filterwarnings("ignore:Past errors tell")  # ten series have few
def test_coverage_is_the_share_of_truths_within_the_intervals(load, quarters):
    forecasters, levels = load("forecasters"), (50, 95)
    quarters = dataclasses.replace(quarters, starts=dict.fromkeys(quarters.ids, "1"))
    found = forecasters.skrnn_coverage(quarters, 0, 1, None, levels)
    model = forecasters.fitted_skrnn(quarters, 0, 1, None)
    answer = dict(list(model.predict_interval(level=levels).groupby("unique_id")))
    for level, share in zip(levels, found, strict=True):
        inside = [
            answer[name][f"lower_{level}"].le(truth)
            & answer[name][f"upper_{level}"].ge(truth)
            for name, truth in zip(quarters.ids, quarters.test, strict=True)
        ]
        assert share == pytest.approx(100 * np.mean(inside))
    assert 0 < found[0] < found[1] <= 100
