"""The benchmarks of accuracy and of defaults score what they say they score."""

import gzip
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skrnn import RNNClassifier, RNNRegressor, RNNSeq2Seq

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Import a module of the benchmarks, which are no package."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def call(load, monkeypatch, capsys):
    """Run a benchmark in this process; return what it prints."""

    def call(script, *arguments):
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        load(script).main()
        return capsys.readouterr().out

    return call


def make_waves(n_samples, seed=0):
    """Return ragged sequences, and whether they are the fast ones."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_samples) % 2
    times = [np.arange(rng.integers(8, 16)) for _ in y]
    X = [np.sin((0.5 + fast) * t) for t, fast in zip(times, y, strict=True)]
    return [x.astype(np.float32)[:, None] for x in X], np.array(["slow", "fast"])[y]


# Data sets ----------------------------------------------------------------------------


def test_adding_problem_is_the_sum_of_the_marked_values(load):
    X, X_test, y, y_test = load("datasets").adding_problem(20, 300, 40)()
    assert (X.shape, X_test.shape, y_test.shape) == ((300, 20, 2), (40, 20, 2), (40,))
    marks = X[:, :, 1]
    np.testing.assert_array_equal(marks[:, :10].sum(axis=1), 1)
    np.testing.assert_array_equal(marks[:, 10:].sum(axis=1), 1)
    np.testing.assert_allclose(y, (X[:, :, 0] * marks).sum(axis=1), rtol=1e-6)
    assert y.var() == pytest.approx(1 / 6, rel=0.2)


def test_copying_asks_for_the_first_symbols_after_the_signal(load):
    X, _, y, _ = load("datasets").copying(30, 50, 5)()
    tokens = X.argmax(axis=2)
    assert tokens.shape == y.shape == (50, 50)
    np.testing.assert_array_equal(y[:, -10:], tokens[:, :10])
    assert y[:, -10:].max() < 8
    assert (y[:, :-10] == 8).all()
    assert (tokens == 9).sum() == 50
    assert (tokens[:, -11] == 9).all()


def test_mackey_glass_asks_for_the_change_to_the_next_value(load):
    datasets = load("datasets")
    X, X_test, y, y_test = datasets.mackey_glass(n_timesteps=500, n_lags=20)
    series = datasets.mackey_glass_series(500)
    assert len(y_test) == 100
    np.testing.assert_allclose(X_test[:, -1] + y_test, series[-100:], rtol=1e-6)
    np.testing.assert_allclose(X[:, -1] + y, series[20:-100], rtol=1e-6)
    assert 0.3 < series.min() < 0.6 < 1.2 < series.max() < 1.5


def test_windows_have_the_last_known_value_taken_off(load):
    X, y = load("datasets").windows(np.arange(10.0) ** 2, 3, 2)
    assert (X.shape, y.shape) == ((6, 3), (6, 2))
    np.testing.assert_array_equal(X[1], [1 - 9, 4 - 9, 0])
    np.testing.assert_array_equal(y[1], [16 - 9, 25 - 9])


def test_names_are_in_one_part_only(load, tmp_path):
    languages = {"one": "abc", "two": "def"}
    rows = [
        (language, "".join(f"{a}{b}"))
        for language, letters in languages.items()
        for a in letters
        for b in "vwxyz"
    ]
    frame = pd.DataFrame(rows * 2, columns=["language", "name"])
    frame.to_csv(tmp_path / "names18.csv.gz", index=False)
    X_train, X_test, y_train, y_test = load("datasets").names(tmp_path)
    assert len(X_train) + len(X_test) == 30
    assert not set(X_train) & set(X_test)
    assert {language: (y_test == language).sum() for language in languages} == {
        "one": 3,
        "two": 3,
    }
    assert all(x[0] in languages[y] for x, y in zip(X_train, y_train, strict=True))


def test_no_french_sentence_is_in_both_parts(load, tmp_path):
    pairs = [(f"e{i} {k}", f'f{i} "') for i in range(50) for k in range(1 + i % 2)]
    text = "".join(f"{en}\t{fr}\n" for en, fr in pairs)
    with gzip.open(tmp_path / "eng_fra_filtered.tsv.gz", "wt") as file:
        file.write(text)
    X_train, X_test, y_train, y_test = load("datasets").translations(tmp_path)
    assert len(set(X_train)) == 40
    assert not set(X_train) & set(X_test)
    found = zip(y_train + y_test, X_train + X_test, strict=True)
    assert sorted(found) == sorted(pairs)


def test_a_file_has_its_training_part_first(load, tmp_path):
    datasets = load("datasets")
    values, lengths = np.arange(12).reshape(6, 2), np.array([2, 3, 1])
    file = {"values": values, "lengths": lengths, "y": [0, 1, 2], "n_train": 2}
    np.savez(tmp_path / "some.npz", **file)
    X_train, X_test, _, y_test = datasets.from_npz("some.npz")(tmp_path)
    assert [x.tolist() for x in X_train] == [values[:2].tolist(), values[2:5].tolist()]
    assert (X_test[0].tolist(), y_test.tolist()) == (values[5:].tolist(), [2])
    part = datasets.training_part(datasets.from_npz("some.npz"), fold=2)
    assert [x.tolist() for x in part(tmp_path)[0]] == [[[0, 1, 2, 3]], [[6, 7, 8, 9]]]


# accuracy.py --------------------------------------------------------------------------


@pytest.fixture
def tiny_tasks(load, monkeypatch):
    """Put a task of waves in the place of all others."""
    recipes, accuracy = load("recipes"), load("accuracy")

    def waves(folder):
        (X, y), (X_test, y_test) = make_waves(60), make_waves(30, seed=1)
        return X, X_test, y, y_test

    task = recipes.Task(
        waves,
        recipes.Bars(simple=50, reach=80, aim=101),
        {"hidden_layer_sizes": (8,), "max_iter": 30},
        grid={"max_iter": [1, 30]},
        quick=True,
    )
    tasks = {"waves": task}
    monkeypatch.setattr(accuracy, "TASKS", tasks)
    return tasks


@pytest.mark.needs_jit
def test_accuracy_prints_the_scores_beside_the_bars(tiny_tasks, call, tmp_path):
    out = tmp_path / "out.json"
    printed = call("accuracy", "--seeds", 2, "--json", out)
    (row,) = json.loads(out.read_text())
    ours = row["skrnn"]
    assert (len(ours["scores"]), ours["epochs"]) == (2, [30, 30])
    assert np.mean(ours["scores"]) > 80
    assert ours["ensemble"] > 80
    (line,) = [line for line in printed.splitlines() if line.startswith("| waves")]
    assert line.endswith("| 50 | – | – | 80 | 101 | reach |")


@pytest.mark.needs_jit
def test_default_passes_nothing_but_what_set_says(tiny_tasks, call, tmp_path):
    out = tmp_path / "out.json"
    call(
        *("accuracy", "--default", "--seeds", 1, "--json", out),
        *("--set", "max_iter=2", "cell=gru", "hidden_layer_sizes=(4,)"),
    )
    (row,) = json.loads(out.read_text())
    expected = {"max_iter": 2, "cell": "gru", "hidden_layer_sizes": [4]}
    assert row["settings"] == expected
    assert row["skrnn"]["epochs"] == [2]


def test_holdout_takes_nothing_of_the_test_part(tiny_tasks, load, monkeypatch):
    accuracy = load("accuracy")
    monkeypatch.setattr(sys, "argv", ["accuracy", "--holdout", "--max-train", "40"])
    options = accuracy.parse_arguments()
    trained_on, _ = make_waves(60)
    known = {x.tobytes() for x in trained_on}
    parts = [accuracy.load(tiny_tasks["waves"], options, seed) for seed in (0, 1)]
    for X_train, X_test, y_train, y_test in parts:
        assert (len(X_train), len(X_test)) == (32, 8)
        assert {x.tobytes() for x in [*X_train, *X_test]} <= known
        n_slow = sum((part == "slow").sum() for part in (y_train, y_test))
        assert abs((y_test == "slow").sum() - n_slow / 5) < 1
    first, second = ({x.tobytes() for x in part[1]} for part in parts)
    assert first != second


@pytest.mark.needs_jit
def test_search_puts_the_best_settings_first(tiny_tasks, call):
    printed = call("accuracy", "--search")
    lines = [line for line in printed.splitlines() if line.startswith("| max_iter")]
    assert [line.split("|")[1].strip() for line in lines] == [
        "max_iter=30",
        "max_iter=1",
    ]
    assert not [line for line in printed.splitlines() if "reach" in line]


def test_verdict_is_the_best_bar_that_is_met(load):
    accuracy, recipes = load("accuracy"), load("recipes")

    def verdict(score, metric, **bars):
        task = recipes.Task(None, recipes.Bars(**bars), {}, metric=metric)
        return accuracy.verdict(task, score)

    bars = {"reach": 90, "aim": 95}
    assert [verdict(s, recipes.ACCURACY, **bars) for s in (89, 90, 95)] == [
        "no",
        "reach",
        "aim",
    ]
    bars = {"reach": 0.1, "aim": 0.01}
    assert [verdict(s, recipes.RMSE, **bars) for s in (0.2, 0.1, 0.01)] == [
        "no",
        "reach",
        "aim",
    ]
    assert verdict(0.02, recipes.RMSE, aim=0.01) == "no"


def test_copied_counts_the_last_symbols_only(load):
    y = np.zeros((2, 15), int)

    class Model:
        def predict(self, X):
            predicted = np.ones_like(y)
            predicted[0, -10:] = 0
            return list(predicted)

    assert load("recipes").copied(Model(), None, y) == 50


@pytest.mark.parametrize("kind", ["recipes", "defaults"])
def test_every_setting_is_a_hyperparameter(load, kind):
    classifier, regressor = RNNClassifier().get_params(), RNNRegressor().get_params()
    if kind == "recipes":
        for task in load("recipes").TASKS.values():
            names = {*task.needs, *task.recipe, *task.grid}
            assert names <= set(task.estimator().get_params())
    else:
        defaults = load("defaults")
        names = set().union(*defaults.SETTINGS.values())
        assert names <= set(classifier)
        assert names - defaults.CLASSIFIER_ONLY <= set(regressor)


# PyTorch's loop -----------------------------------------------------------------------


@pytest.fixture
def torch_loop(load):
    pytest.importorskip("torch")
    return load("torch_loop")


@pytest.mark.parametrize(
    "settings",
    [
        {"cell": "lstm", "pooling": "last", "bidirectional": True},
        {"cell": "gru", "pooling": "mean", "dropout": 0.1, "solver": "adamw"},
        {"cell": "rnn", "pooling": "max", "differences": True, "steps_per_frame": 2},
    ],
    ids=lambda settings: settings["cell"],
)
def test_torch_learns_waves(torch_loop, settings):
    X, y = make_waves(80)
    settings = settings | {"learning_rate": "cosine", "batch_size": 16}
    model = torch_loop.TorchClassifier(30, 0, settings).fit(X, y)
    assert model.score(*make_waves(40, seed=1)) > 0.9
    assert model.seconds_ > 0


def test_torch_embeds_tokens(torch_loop):
    rng = np.random.default_rng(0)
    X = [rng.integers(0, 6, size=rng.integers(2, 6)) for _ in range(120)]
    y = np.array([x[0] % 2 for x in X])
    settings = {"embedding_dim": 4, "hidden_layer_sizes": (8,), "pooling": "last"}
    model = torch_loop.TorchClassifier(60, 0, settings).fit(X, y)
    assert model.network_.embedding.weight.shape == (6, 4)
    assert model.score(X, y) > 0.9


def test_torch_translates(load):
    pytest.importorskip("torch")
    peer = load("torch_translation")
    rng = np.random.default_rng(0)
    X = ["".join(rng.choice([*"abc"], rng.integers(2, 5))) for _ in range(300)]
    y = [text[::-1] for text in X]
    settings = RNNSeq2Seq(24, analyzer="char", dropout=0.0).get_params()
    settings |= {"learning_rate_init": 0.02, "embedding_dim": 12}
    assert peer.what_is_missing(settings) == []
    model = peer.TorchTranslator(20, 0, settings).fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.predict(X[:5]) == [model.predict([text])[0] for text in X[:5]]
    assert peer.what_is_missing(settings | {"beam_width": 5}) == ["beam_width"]


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_padding_changes_nothing_in_torch(torch_loop, pooling):
    import torch

    settings = {"pooling": pooling, "bidirectional": True, "cell": "gru"}
    X, y = make_waves(20)
    model = torch_loop.TorchClassifier(1, 0, settings).fit(X, y)
    network = model.network_.eval()
    X = [torch.from_numpy(x) for x in X]
    with torch.no_grad():
        together = model._logits(X)
        alone = torch.cat([model._logits([x]) for x in X])
    assert network.training is False
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_torch_folds_steps_and_adds_differences(torch_loop):
    settings = {"differences": True, "steps_per_frame": 2}
    folded = torch_loop.frames([1, 4, 9], settings)
    assert folded.tolist() == [[1, 0, 4, 3], [9, 5, 9, 5]]
    assert torch_loop.frames([1, 4], {}).tolist() == [[1], [4]]


def test_what_torch_does_not_do_is_named(torch_loop):
    assert torch_loop.what_is_missing({"cell": "gru", "pooling": "max"}) == []
    settings = {"cell": "mingru", "layer_norm": True, "residual": False}
    assert torch_loop.what_is_missing(settings) == ["layer_norm", "cell"]


# defaults.py --------------------------------------------------------------------------


def test_rules_give_enough_updates(load):
    defaults = load("defaults")
    settings = {
        "max_iter": defaults.updates(100, least=5),
        "batch_size": defaults.share(8),
    }
    assert defaults.resolve(settings, 80) == {"batch_size": 10, "max_iter": 13}
    assert defaults.resolve(settings, 40) == {"batch_size": 8, "max_iter": 20}
    assert defaults.resolve(settings, 10_000) == {"batch_size": 64, "max_iter": 5}
    only = {"max_iter": defaults.updates(100)}
    assert defaults.resolve(only, 40) == {"max_iter": 20}


def test_no_training_target_lies_in_the_validation_part(load):
    defaults = load("defaults")
    X, y = load("datasets").windows(np.arange(100.0), 12, 4)
    splits = defaults.Problem(None, "series").splits(X, y, 0)
    assert len(splits) == 3
    for train, test in splits:
        # window i has the targets i + 12 to i + 15
        assert train.max() + 15 < test.min() + 12
        assert len(train) > len(X) // 3


@pytest.mark.parametrize(("n_samples", "n_parts"), [(90, 3), (300, 1)])
def test_every_sample_of_a_small_problem_is_scored(load, n_samples, n_parts):
    problem = load("defaults").Problem(None, "classes")
    y = np.arange(n_samples) % 3
    first, second = (problem.splits(np.zeros(n_samples), y, r) for r in (0, 1))
    scored = np.concatenate([test for _, test in first])
    assert len(first) == n_parts
    assert len(set(scored)) == len(scored) == 90
    for train, test in first:
        assert not set(train) & set(test)
        assert np.bincount(y[test]).tolist() == [len(test) // 3] * 3
    assert any((a != b).any() for (_, a), (_, b) in zip(first, second, strict=True))


def test_a_problem_is_cut_to_classes_that_can_be_split(load):
    defaults = load("defaults")
    y = np.repeat([0, 1, 2], [30, 30, 2])
    problem = defaults.Problem(lambda folder: (np.arange(62), y), "classes", 50)
    X, y_read = problem.read(None, 2000)
    assert set(y_read) == {0, 1}
    np.testing.assert_array_equal(y[X], y_read)
    assert len(problem.read(None, 20)[0]) <= 20


@pytest.fixture
def study(load, monkeypatch, tmp_path):
    """Put two made problems in the place of all, and no time in their fits."""
    defaults = load("defaults")
    series = load("datasets").noisy_sine
    problems = {
        "waves": defaults.Problem(lambda folder: make_waves(60), "classes"),
        "sine": defaults.Problem(series, "series", 120),
    }
    settings = {
        "base": {"max_iter": 4},
        "more": {"max_iter": 8},
        "smooth": {"max_iter": 4, "label_smoothing": 0.1},
    }
    monkeypatch.setattr(defaults, "PROBLEMS", problems)
    monkeypatch.setattr(defaults, "SETTINGS", settings)
    return tmp_path / "study.jsonl"


def count_fits(defaults, monkeypatch):
    fits, fit_and_score = [], defaults.fit_and_score

    def counted(problem, X, y, repeat, settings):
        fits.append(settings["max_iter"])
        return fit_and_score(problem, X, y, repeat, settings)

    monkeypatch.setattr(defaults, "fit_and_score", counted)
    return fits


@pytest.mark.needs_jit
def test_a_study_goes_on_where_it_was(study, load, call, monkeypatch):
    fits = count_fits(load("defaults"), monkeypatch)
    arguments = ["--out", study, "--settings", "more", "--repeats", 2]
    printed = call("defaults", *arguments)
    lines = study.read_text().splitlines()
    assert len(lines) == 1 + 2 * 2 * 2
    assert "| more | 4 |" in printed
    done = len(fits)
    assert call("defaults", *arguments) == printed
    assert len(fits) == done
    study.write_text("\n".join(lines)[:-20])  # torn while it was written
    assert "| more | 4 |" in call("defaults", *arguments)
    assert fits[done:] == [1, 8]
    assert len(load("defaults").read_results(study)) == 8


@pytest.mark.needs_jit
def test_a_study_with_no_time_fits_nothing_more(study, load, call, monkeypatch):
    call("defaults", "--out", study, "--settings", "base", "--repeats", 1)
    fits = count_fits(load("defaults"), monkeypatch)
    arguments = ["--out", study, "--settings", "more", "--repeats", 1]
    printed = call("defaults", *arguments, "--time-limit", 0)
    assert "goes on from here" in printed
    assert fits == []


def test_a_study_with_other_defaults_is_refused(study, load, call):
    study.write_text(json.dumps({"defaults": {"cell": "rnn", "gone": 1}}) + "\n")
    with pytest.raises(SystemExit, match="cell='rnn'"):
        call("defaults", "--out", study, "--report")


def test_what_a_regressor_does_not_have_is_left_out(study, load):
    defaults = load("defaults")
    options = type("Options", (), {"base": {"alpha": 0.1}})
    of = {p: defaults.settings_for(p, "smooth", 50, options) for p in defaults.PROBLEMS}
    assert of["waves"] == {"alpha": 0.1, "max_iter": 4, "label_smoothing": 0.1}
    assert of["sine"] == {"alpha": 0.1, "max_iter": 4}


def test_settings_are_compared_where_both_have_a_fit(load):
    columns = ["repeat", "problem", "kind", "setting", "score", "seconds"]
    rows = [
        [0, "a", "classes", "base", 50.0, 1.0],
        [0, "a", "classes", "new", 60.0, 2.0],
        [1, "a", "classes", "base", 90.0, 1.0],  # "new" has no such fit
        [0, "b", "series", "base", 20.0, 1.0],
        [0, "b", "series", "new", 15.0, 8.0],
    ]
    table = load("defaults").compare(pd.DataFrame(rows, columns=columns))
    assert table.loc["new", ["classes", "values"]].tolist() == [10.0, -5.0]
    assert table.loc["new", ["better", "worse"]].tolist() == [1, 1]
    assert table.loc["new", "times"] == pytest.approx(4.0)
    assert table["rank"].tolist() == [1.5, 1.5]


# Transcripts --------------------------------------------------------------------------


def test_digit_strings_are_made_of_recordings_of_their_own(load, data_dir):
    X, X_test, y, y_test = load("datasets").digit_strings(data_dir, 30, 10)
    assert (len(X), len(X_test), len(y), len(y_test)) == (30, 10, 30, 10)
    assert {x.shape[1] for x in [*X, *X_test]} == {39}
    assert all(3 <= len(text) <= 7 and text.isdigit() for text in [*y, *y_test])


@pytest.mark.needs_jit
def test_torch_transcribes(load):
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    y = ["".join(rng.choice(["a", "b"], rng.integers(1, 4))) for _ in range(120)]
    X = [
        np.array([v for c in text for v in [0.0, *[1.0 + (c == "b")] * 2, 0.0]])
        for text in y
    ]
    X = [x.astype(np.float32)[:, None] for x in X]
    module = load("torch_transcriber")
    settings = {"cell": "gru", "bidirectional": True, "hidden_layer_sizes": (16,)}
    settings |= {"learning_rate_init": 0.01, "batch_size": 16}
    assert module.what_is_missing(settings) == []
    assert module.what_is_missing({"beam_width": 2}) == ["beam_width"]
    model = module.TorchTranscriber(20, 0, settings).fit(X, y)
    assert model.score(X, y) > 0.9
    # what a sequence is padded with changes nothing
    longer = np.zeros((40, 1), np.float32)
    assert model.predict(X[:1]) == model.predict([X[0], longer])[:1]
