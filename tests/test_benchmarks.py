"""The benchmarks run, and count what they say they count. No time is asserted."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Import a module of the benchmarks, which are no package."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def make_work(load):
    Work = load("peers.protocol").Work

    def make(task="fit", cell="lstm", row=(3, 5, 7, 2), n_layers=1):
        return Work(task, cell, *row, n_layers, "float32")

    return make


def run(script, *arguments):
    command = [sys.executable, str(BENCHMARKS / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def counted_products(layers, n_gates, n_units, n_samples, n_timesteps, training):
    """Count the operations of each product by the shapes of its factors."""

    def product(m, k, n):
        return 2 * m * k * n

    total = 0
    for n_inputs, has_layer_below in layers:
        rows = n_gates * n_units
        for _ in range(n_timesteps):
            total += product(rows, n_inputs, n_samples)  # W_x x
            total += product(rows, n_units, n_samples)  # W_h h
            if training:
                total += product(rows, n_samples, n_inputs)  # gradient of W_x
                total += product(rows, n_samples, n_units)  # gradient of W_h
                total += product(n_units, rows, n_samples)  # gradient of h
                if has_layer_below:
                    total += product(n_inputs, rows, n_samples)  # gradient of x
    return total


@pytest.mark.parametrize("task", ["fit", "predict"])
@pytest.mark.parametrize(("cell", "n_gates"), [("rnn", 1), ("lstm", 4), ("gru", 3)])
def test_operations_of_a_step_are_those_of_its_products(make_work, task, cell, n_gates):
    work = make_work(task, cell, (3, 5, 7, 2), n_layers=2)
    layers = [(2, False), (3, True)]
    expected = counted_products(layers, n_gates, 3, 5, 7, training=task == "fit")
    assert work.operations == expected


def test_weights_have_the_shapes_of_each_layer(make_work):
    layers, (W_out, b_out) = make_work(cell="gru", n_layers=2).weights()
    shapes = [[array.shape for array in layer] for layer in layers]
    assert shapes == [[(9, 2), (9, 3), (9,)], [(9, 3), (9, 3), (9,)]]
    assert (W_out.shape, b_out.shape) == ((1, 3), (1,))
    assert {array.dtype for array in layers[0]} == {np.dtype("float32")}


def test_summary_names_the_fewest_threads_that_are_as_good(load):
    report = load("report")
    summary = report.summarize({"skrnn": {1: [1.02, 1.5], 2: [1.0, 3.0]}})
    assert summary["skrnn"] == {"threads": 1, "best": 1.0, "median": 1.26}
    summary = report.summarize({"skrnn": {1: [1.5, 1.2], 2: [1.0, 3.0]}})
    assert summary["skrnn"] == {"threads": 2, "best": 1.0, "median": 2.0}


def make_result(load, seconds, operations=100):
    report = load("report")
    return {
        "operations": operations,
        "seconds": seconds,
        "summary": report.summarize(seconds),
    }


def test_ratio_is_to_the_best_peer_and_never_to_skrnn_itself_or_the_peak(load):
    times = {"skrnn": 2.0, "inside": 1.0, "peak": 0.1, "torch": 8.0, "jax": 6.0}
    result = make_result(load, {name: {1: [t]} for name, t in times.items()})
    assert load("report").ratio(result) == 3.0
    assert load("report").ratio(result, "inside") == 6.0
    alone = make_result(load, {"skrnn": {1: [2.0]}, "peak": {1: [1.0]}})
    assert load("report").ratio(alone) is None


def test_share_is_of_the_best_peak_seen_with_as_many_threads(load):
    first = make_result(load, {"skrnn": {2: [4.0]}, "peak": {1: [2.0], 2: [1.0]}})
    second = make_result(load, {"skrnn": {1: [4.0]}, "peak": {1: [1.0], 2: [0.5]}})
    load("report").add_shares([first, second])
    assert first["summary"]["skrnn"]["share"] == 0.5 / 4
    assert second["summary"]["skrnn"]["share"] == 1.0 / 4


@pytest.mark.parametrize(
    ("operations", "expected"), [(1e6, [1]), (5e8, [1, 2, 4]), (1e10, [4])]
)
def test_quick_tries_the_threads_that_suit_the_work(load, operations, expected):
    likely_best = load("peers.protocol").likely_best
    assert likely_best([1, 2, 4], operations) == expected


@pytest.mark.parametrize("text", ["8,8,5", "8,8,5,0", "1,2,3,4,5,6"])
def test_a_row_that_is_none_is_refused(load, text):
    speed = load("speed")
    with pytest.raises(speed.argparse.ArgumentTypeError, match="H,B,T,F"):
        speed.parse_row(text)


@pytest.mark.parametrize(
    ("row", "n_layers"), [("8,8,5,1", 1), ("8,8,5,1,2", 2)], ids=["one", "two"]
)
def test_work_of_a_row_has_its_layers(load, row, n_layers, monkeypatch):
    speed = load("speed")
    argv = ["speed.py", "--rows", row, "--cells", "rnn", "--tasks", "fit"]
    monkeypatch.setattr(sys, "argv", argv)
    (work,) = speed.make_works(speed.parse_arguments())
    assert (work.n_units, work.n_channels, work.n_layers) == (8, 1, n_layers)


@pytest.mark.needs_jit
def test_speed_prints_a_table_of_each_task_and_writes_the_measurements(tmp_path):
    out = tmp_path / "out.json"
    options = "--cells rnn --rounds 1 --seconds 0.01 --peers skrnn inside peak"
    printed = run("speed.py", *options.split(), "--rows", "8,8,5,1", "--json", out)
    tables = [line for line in printed.splitlines() if line.startswith("| 8, 8, 5, 1")]
    assert len(tables) == 2, printed
    results = json.loads(out.read_text())["results"]
    assert [r["task"] for r in results] == ["fit", "predict"]
    assert not any(r["errors"] for r in results), printed
    assert all(0 < r["summary"]["skrnn"]["share"] < 1 for r in results)
    assert "inside" in results[1]["summary"]


@pytest.mark.needs_jit
def test_startup_prints_the_overhead_of_predict():
    printed = run("startup.py", "--only", "predict", "--cells", "rnn", "--rounds", 1)
    assert "| 16, 1, 50, 1 | rnn |" in printed


def test_lengths_stay_within_their_bounds_and_differ(load):
    growth = load("growth")
    for lengths in growth.ragged_lengths(500).values():
        assert lengths.min() >= growth.SHORTEST
        assert lengths.max() <= growth.LONGEST
        assert len(set(lengths.tolist())) > 50


def test_leaky_sum_can_be_learned_from_its_input(load):
    grid_search = load("grid_search")
    X, y = grid_search.make_data()
    design = np.column_stack([X, np.ones(len(X))])
    coefficients = np.linalg.lstsq(design, y, rcond=None)[0]
    residual = y - design @ coefficients
    assert X.shape == (2000, 50)
    assert 0.001 < residual.var() / y.var() < 0.05


@pytest.mark.needs_jit
def test_remedies_print_a_table_of_each_trouble(tmp_path, load):
    out = tmp_path / "out.json"
    names = ["exploding", "missing steps"]
    options = ["--seeds", 2, "--max-train", 40, "--max-iter", 1, "--json", out]
    printed = run("remedies.py", "--only", *names, *options)
    results = json.loads(out.read_text())
    troubles = load("remedies").TROUBLES
    assert list(results) == names
    for name, by_setting in results.items():
        assert list(by_setting) == list(troubles[name].settings)
        assert all(f"| {setting} | " in printed for setting in by_setting)
        assert any(len(r["scores"]) == 2 for r in by_setting.values())


@pytest.mark.parametrize("name", ["copying", "event", "levels", "words"])
def test_tasks_of_remedies_can_be_solved(load, name):
    """By what each is made of, whatever the network."""
    X, y = getattr(load("remedies"), name)(np.random.default_rng(0), 50)
    if name == "copying":
        n = load("remedies").N_COPIED
        solved = y[:, -n:] == X[:, :n, 0]
        assert (y[:, :-n] == 0).all()
    elif name == "event":
        shape = np.repeat([1.0, -1.0], 3)
        fit = np.array([np.correlate(x[:, 0], shape) for x in X])
        solved = (fit.max(axis=1) < -fit.min(axis=1)) == y
    elif name == "levels":
        power = np.abs(np.fft.rfft(np.diff(X[:, :, 0]) * np.hanning(59)))
        waves = [power[:, round(59 * f / 2 / np.pi)] for f in (0.6, 0.9, 1.2)]
        solved = np.argmax(waves, axis=0) == y
    else:
        votes = np.where(X < 30, 1 - 2 * (X % 2), 0).sum(axis=(1, 2))
        solved = (votes == 0) | ((votes > 0) == y)
    assert solved.mean() > 0.9
