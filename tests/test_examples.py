"""The examples run, in small, and their data are what they say."""

import importlib.util
import re
import wave
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def small_quickstart(monkeypatch):
    pytest.importorskip("matplotlib")
    pytest.importorskip("statsmodels")
    quickstart = load("quickstart")
    small = {"hidden_layer_sizes": [(8,)]}
    monkeypatch.setattr(quickstart, "RNN_GRID", small | {"cell": ["rnn"]})
    monkeypatch.setattr(quickstart, "MLP_GRID", small)
    monkeypatch.setitem(quickstart.MLP, "max_iter", 5)
    return quickstart


@pytest.mark.needs_jit
# the MLPs beside the networks may end before they converge
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_quickstart_runs(small_quickstart, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["quickstart.py", str(tmp_path / "figure.png")])
    small_quickstart.main()
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_quickstart_goes_on_where_it_cannot_save(
    small_quickstart, monkeypatch, tmp_path, capsys
):
    observed = np.ones((small_quickstart.N_TEST, small_quickstart.HORIZON))
    names = ["the year before", "RNNRegressor", "MLPRegressor"]
    forecasts = dict.fromkeys(names, observed)
    monkeypatch.setattr(
        small_quickstart, "forecast_sea_temperature", lambda: (observed, forecasts)
    )
    digits = np.ones((24, 8, 8)), np.ones(24, int), np.ones(24, int)
    monkeypatch.setattr(small_quickstart, "read_digits", lambda: digits)
    monkeypatch.setattr("sys.argv", ["quickstart.py", str(tmp_path / "no" / "where")])
    small_quickstart.main()
    assert "No figure" in capsys.readouterr().out


def test_quickstart_keeps_the_test_part_out_of_training(small_quickstart, monkeypatch):
    seen = {}

    class Stop(Exception):
        pass

    def fit(self, X, y):
        seen["y"] = y
        raise Stop

    monkeypatch.setattr(small_quickstart.GridSearchCV, "fit", fit)
    with pytest.raises(Stop):
        small_quickstart.forecast_sea_temperature()
    years = small_quickstart.sm.datasets.elnino.load_pandas().data
    series = years.drop(columns="YEAR").to_numpy().ravel()
    n_months = small_quickstart.N_TEST + small_quickstart.HORIZON - 1
    np.testing.assert_allclose(seen["y"][-1, -1], series[-n_months - 1], rtol=1e-6)


def follows_the_grammar(reber, string):
    node = 0
    for letter in string[3:-3]:
        if node == len(reber.GRAPH) or letter not in reber.GRAPH[node]:
            return False
        node = reber.GRAPH[node][letter]
    return node == len(reber.GRAPH) and string[1] == string[-2]


def test_reber_strings_follow_the_grammar_unless_changed():
    reber = load("reber_grammar")
    rng = np.random.default_rng(0)
    right = [reber.embedded_string(rng) for _ in range(200)]
    assert all(follows_the_grammar(reber, string) for string in right)
    wrong = [reber.with_an_error(string, rng) for string in right]
    assert not any(follows_the_grammar(reber, string) for string in wrong)
    assert reber.one_hot(right[0]).shape == (len(right[0]), 7)


@pytest.mark.needs_jit
def test_forecast_co2_runs(monkeypatch, tmp_path, capsys):
    pytest.importorskip("matplotlib").use("Agg")
    pytest.importorskip("statsmodels")
    example = load("forecast_co2")
    monkeypatch.setitem(example.PARAMS, "n_updates", 3)
    monkeypatch.setitem(example.PARAMS, "n_networks", 1)
    monkeypatch.setattr("sys.argv", ["forecast_co2", str(tmp_path / "figure.png")])
    example.main()
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert "the year before           2.3" in capsys.readouterr().out


@pytest.fixture
def digit_strings(monkeypatch, tmp_path):
    example = load("digit_strings")
    monkeypatch.setattr(example, "N_TRAIN", 12)
    monkeypatch.setattr(example, "N_TEST", 4)
    monkeypatch.setitem(example.NETWORK, "max_iter", 1)
    monkeypatch.setattr("sys.argv", ["digit_strings"])
    monkeypatch.setenv("SKRNN_DATA", str(tmp_path / "nowhere"))
    return example


def test_digit_strings_wants_data_where_it_is_told(
    digit_strings, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr("sys.argv", ["digit_strings", "--data", str(tmp_path)])
    with pytest.raises(SystemExit, match="^2$"):
        digit_strings.main()
    assert f"no spoken digits of all kinds in {tmp_path}" in capsys.readouterr().err


WRITES_NOTHING = "ignore:After 1 epochs the network writes nothing"  # with one epoch


@pytest.mark.needs_jit
@pytest.mark.filterwarnings(WRITES_NOTHING)
def test_digit_strings_runs_without_data(digit_strings, capsys):
    digit_strings.main()
    printed = capsys.readouterr().out
    assert "Morse code instead" in printed
    assert "Of 4 new recordings" in printed


@pytest.mark.needs_jit
@pytest.mark.filterwarnings(WRITES_NOTHING)
def test_digit_strings_runs_on_the_spoken_digits(
    digit_strings, data_dir, monkeypatch, capsys
):
    monkeypatch.setenv("SKRNN_DATA", str(data_dir))
    digit_strings.main()
    assert "3000 spoken digits" in capsys.readouterr().out


def test_digit_strings_reads_the_files_of_the_data_set(digit_strings, tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    written = {"3_ann_0": [1, -2, 3], "3_ann_7": [4, 5], "9_bob_12": [6]}
    for name, values in written.items():
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(np.array(values, "<i2").tobytes())
    recordings, digits, is_test = digit_strings.read_digits(tmp_path)
    assert [values.tolist() for values in recordings] == list(written.values())
    assert digits.tolist() == [3, 3, 9]
    assert is_test.tolist() == [True, False, False]
    rng = np.random.default_rng(0)
    X, y = digit_strings.join(recordings, digits, np.array([1, 2]), 20, rng)
    for x, text in zip(X, y, strict=True):
        assert 3 <= len(text) <= 7
        assert x.tolist() == [v for d in text for v in ([4, 5] if d == "3" else [6])]
    assert digit_strings.read_digits(tmp_path / "nowhere") is None


def test_morse_code_has_dashes_of_three_dots(digit_strings):
    sound = digit_strings.send("an", np.random.default_rng(0))  # .- -.
    loud = np.convolve(np.abs(sound), np.ones(60) / 60, "same") > 0.1
    spans = np.diff(np.flatnonzero(np.diff(loud.astype(int))))
    # dot, gap, dash, gap between letters, dash, gap, dot
    assert np.round(spans / spans.min()).tolist() == [1, 1, 3, 3, 3, 1, 1]


def run_example(name, monkeypatch, capsys, *arguments, **settings):
    example = load(name)
    for group, values in settings.items():
        for key, value in values.items():
            monkeypatch.setitem(getattr(example, group), key, value)
    monkeypatch.setattr("sys.argv", [name, *map(str, arguments)])
    example.main()
    return capsys.readouterr().out


@pytest.mark.needs_jit
def test_shakespeare_is_written_of_any_text(monkeypatch, capsys, tmp_path):
    example = load("write_shakespeare")
    monkeypatch.setattr(example, "N_READ", 2000)
    monkeypatch.setattr(example, "PAGE", 20)
    (tmp_path / "text").write_text("to be or not to be,\n" * 50)
    arguments = ["--data", str(tmp_path / "text"), "--prompt", "to be"]
    monkeypatch.setattr("sys.argv", ["write_shakespeare", *arguments])
    example.main()
    printed = capsys.readouterr().out
    assert "1,000 characters of text" in printed
    assert "A page:\n\nto be" in printed


def test_without_shakespeare_there_is_text(capsys, tmp_path):
    text, source = load("write_shakespeare").read(tmp_path)
    assert "There is no" in capsys.readouterr().out
    assert len(text) > 100_000 and source == "Python's help"
    assert "The " in text


def test_shakespeare_is_found_in_the_folder(data_dir):
    text, _ = load("write_shakespeare").read(data_dir)
    assert text.startswith("First Citizen:")


@pytest.mark.needs_jit
def test_names_are_read_letter_by_letter(monkeypatch, capsys, tmp_path):
    small = {"NETWORK": {"hidden_layer_sizes": 8, "embedding_dim": 4}}
    printed = run_example(
        "names_to_languages",
        monkeypatch,
        capsys,
        *("Ito", "--data", tmp_path),
        **small,
        FIT={"max_iter": 2},
    )
    assert "179 surnames of 6 languages" in printed
    assert [line[:3] for line in printed.splitlines()[-5:-2]] == ["I  ", "It ", "Ito"]


def test_names_come_in_a_file_for_each_language_too(tmp_path):
    (tmp_path / "Irish.txt").write_text("Nolan\nKelly\nNolan\n")
    (tmp_path / "Null.txt").write_text("Null\n")
    frame = load("names_to_languages").read(tmp_path)
    assert frame.to_numpy().tolist() == [
        ["Irish", "Nolan"],
        ["Irish", "Kelly"],
        ["Null", "Null"],
    ]


def test_pairs_of_names_and_languages_are_there_once(data_dir):
    frame = load("names_to_languages").read(data_dir)
    assert frame["language"].nunique() == 18
    assert not frame.duplicated().any()


@pytest.mark.needs_jit
def test_words_of_film_reviews_are_highlighted(monkeypatch, capsys, tmp_path):
    printed = run_example(
        "film_reviews",
        monkeypatch,
        capsys,
        *("I found the <film> clever!", "--data", tmp_path),
        *("--html", tmp_path / "page.html"),
        NETWORK={"hidden_layer_sizes": 16, "embedding_dim": 8},
        NOISE={"dropout": 0.2, "input_dropout": 0.0},
    )
    assert "360 sentences" in printed
    assert re.search(r"found[+-]? .?the.? <.?film.?> \+clever\+", printed)
    assert "&lt;" in (tmp_path / "page.html").read_text("utf-8")


def test_pieces_of_a_review_make_it_up():
    example = load("film_reviews")
    words = example.SequenceTokenizer("word", lowercase=True).fit(["a b c"])
    reader = example.RNNClassifier(4, embedding_dim=2, max_iter=1)
    model = example.make_pipeline(words, reader)
    model.fit(["a b", "b c"] * 4, [example.PRAISE, example.BLAME] * 4)
    reviews = ["  A b,\tC? ", "", "new"]
    explained = example.explain(model, reviews)
    texts = ["".join(piece for piece, _ in pieces) for _, pieces in explained]
    assert texts == reviews
    weights = [abs(weight) for _, pieces in explained for _, weight in pieces]
    assert max(weights) == 1.0


def test_colours_are_for_terminals(monkeypatch):
    example = load("film_reviews")
    assert example.highlight("good", 0.9) == "+good+"
    assert example.highlight("the", 0.1) == "the"
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert example.highlight("bad", -0.9) == "\033[31;1mbad\033[0m"


def test_reviews_come_as_their_authors_have_them(tmp_path, data_dir):
    example = load("film_reviews")
    (tmp_path / "rt-polarity.pos").write_text("fine . \n")
    (tmp_path / "rt-polarity.neg").write_text("poor .\n")
    assert example.read(tmp_path).to_numpy().tolist() == [
        [example.PRAISE, "fine ."],
        [example.BLAME, "poor ."],
    ]
    known = example.read(data_dir)
    assert len(known) == 10_662
    assert set(known["says"]) == {example.PRAISE, example.BLAME}


@pytest.mark.needs_jit
def test_numbers_are_translated_where_there_are_no_sentences(
    monkeypatch, capsys, tmp_path
):
    pytest.importorskip("matplotlib")
    printed = run_example(
        "translate",
        monkeypatch,
        capsys,
        *("ninety-nine", "--data", tmp_path, "--figure", tmp_path / "figure.png"),
        NETWORK={"hidden_layer_sizes": 8, "embedding_dim": 8},
        NUMBERS={"n": 300},
    )
    assert "Spelled numbers instead" in printed
    assert "\nninety-nine\n" in printed
    assert (tmp_path / "figure.png").stat().st_size > 5_000


def test_numbers_are_spelled_out():
    spelled = load("translate").spelled
    assert [spelled(n) for n in (0, 13, 40, 99, 100, 4007, 9312)] == [
        "zero",
        "thirteen",
        "forty",
        "ninety-nine",
        "one hundred",
        "four thousand and seven",
        "nine thousand three hundred and twelve",
    ]
    assert len({spelled(n) for n in range(10_000)}) == 10_000


def test_sentences_come_in_pairs(data_dir, tmp_path):
    example = load("translate")
    sources, targets, _ = example.read(data_dir)
    assert len(sources) == len(targets) == 10_599
    train, test = example.split(sources)
    assert not {sources[i] for i in train} & {sources[i] for i in test}
    (tmp_path / "fra.txt").write_text("Go.\tVa !\tCC-BY\nHi.\tSalut !\tCC-BY\n")
    assert example.read(tmp_path / "fra.txt")[:2] == (
        ["Va !", "Salut !"],
        ["Go.", "Hi."],
    )
