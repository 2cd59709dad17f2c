"""Transcripts of frames: against all paths, and all labels, that there are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.decoding import beam_search_ctc, greedy_ctc
from tests.oracles import ctc as oracles


class Bigram:
    """A language model whose state is the last label; 0 is the beginning and the end.

    It notes how many prefixes it was asked for at a time.
    """

    def __init__(self, log_probabilities):
        self.log_probabilities = log_probabilities
        self.asked = []

    def initial(self):
        return self.log_probabilities[0], 0

    def advance(self, states, labels):
        assert isinstance(states, list) and len(states) == len(labels) > 0
        assert 0 not in labels and all(0 <= state for state in states)
        self.asked.append(len(states))
        return self.log_probabilities[labels], labels.tolist()

    def log_probability(self, labels):
        path = [0, *labels, 0]
        pairs = zip(path[:-1], path[1:], strict=True)
        return sum(self.log_probabilities[pair] for pair in pairs)


def random_frames(seed, n_frames, n_classes):
    rng = np.random.default_rng(seed)
    return oracles.log_softmax(2.0 * rng.normal(size=(n_frames, n_classes)))


def as_dict(found):
    transcripts, scores = found
    assert (np.diff(scores) <= 0).all() and len(transcripts) == len(scores)
    keys = [tuple(labels.tolist()) for labels in transcripts]
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, scores, strict=True))


def assert_same_scores(found, expected):
    assert set(found) == set(expected)
    for labels, score in expected.items():
        assert_allclose(found[labels], score, rtol=1e-12, atol=1e-12)


# --- greedy ---------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(0, 2), max_size=6), max_size=4))
def test_greedy_is_the_best_path(paths):
    flat = np.array([label for path in paths for label in path], np.int64)
    rng = np.random.default_rng(len(flat))
    frames = np.eye(3)[flat] + 0.1 * rng.normal(size=(len(flat), 3))
    lengths = np.array([len(path) for path in paths], np.int64)
    transcripts = greedy_ctc(frames, lengths)
    found = [tuple(labels.tolist()) for labels in transcripts]
    assert found == [oracles.collapse(path) for path in paths]


def test_greedy_with_another_blank():
    path = [2, 0, 0, 2, 0, 1, 2]
    (labels,) = greedy_ctc(np.eye(3)[path], np.array([7]), blank=2)
    assert_array_equal(labels, [0, 0, 1])


# --- search ---------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(2, 3))
def test_a_wide_beam_is_exact(seed, n_frames, n_classes):
    frames = random_frames(seed, n_frames, n_classes)
    expected = oracles.log_probabilities_of_all(frames)
    found = as_dict(beam_search_ctc(frames, beam_width=1000))
    assert_same_scores(found, expected)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 5),
    st.floats(0.1, 3.0),
    st.floats(-2.0, 2.0),
)
def test_a_wide_beam_is_exact_with_a_language_model(seed, n_frames, weight, bonus):
    frames, model = random_frames(seed, n_frames, 3), Bigram(random_frames(seed, 3, 3))
    expected = {
        labels: score + weight * model.log_probability(labels) + bonus * len(labels)
        for labels, score in oracles.log_probabilities_of_all(frames).items()
    }
    found = beam_search_ctc(
        frames, 1000, language_model=model, lm_weight=weight, length_bonus=bonus
    )
    assert_same_scores(as_dict(found), expected)
    # once for all prefixes that are new at a frame
    assert len(model.asked) <= n_frames and sum(model.asked) == len(expected) - 1


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_a_narrow_beam_finds_no_more_than_there_is(seed, width):
    frames = random_frames(seed, 5, 3)
    expected = oracles.log_probabilities_of_all(frames)
    found = as_dict(beam_search_ctc(frames, width))
    assert 1 <= len(found) <= width
    for labels, score in found.items():
        assert score <= expected[labels] + 1e-12


def test_a_wider_beam_finds_better_transcripts():
    """On average; the widest of these finds the best nearly always."""
    best = np.zeros((40, 3))
    for seed in range(40):
        frames = random_frames(seed, 6, 3)
        exact = max(oracles.log_probabilities_of_all(frames).values())
        for i, width in enumerate([1, 4, 16]):
            best[seed, i] = beam_search_ctc(frames, width)[1][0] - exact
    assert (np.diff(best.mean(axis=0)) > 0).all()
    assert (best[:, 2] > -1e-12).mean() > 0.9


def test_the_language_model_decides_between_what_sounds_alike():
    frames = np.log(np.array([[0.02, 0.49, 0.49]] * 2 + [[0.96, 0.02, 0.02]] * 2))
    for likes in (1, 2):
        likely = np.array([0.1, 0.01, 0.01])
        likely[likes] = 0.88
        model = Bigram(np.log(np.tile(likely, (3, 1))))
        transcripts, _ = beam_search_ctc(frames, 8, language_model=model)
        assert_array_equal(transcripts[0], [likes])


def test_a_language_model_that_counts_nothing_is_not_asked():
    frames, model = random_frames(0, 4, 3), Bigram(np.full((3, 3), -np.inf))
    found = beam_search_ctc(frames, language_model=model, lm_weight=0.0)
    assert_same_scores(as_dict(found), as_dict(beam_search_ctc(frames)))
    assert not model.asked


def test_what_the_language_model_rules_out():
    """Two of a kind, in what is sure to be such but for the model."""
    likely = np.log(np.full((3, 3), 1 / 3))
    likely[1, 1] = -np.inf
    frames = oracles.log_softmax(10.0 * np.eye(3)[[1, 0, 1]])
    assert_array_equal(beam_search_ctc(frames)[0][0], [1, 1])
    found = as_dict(beam_search_ctc(frames, 50, language_model=Bigram(likely)))
    assert (1, 1) not in found and max(found, key=found.get) == (1,)


def test_another_blank():
    frames = random_frames(1, 4, 3)
    moved = frames[:, [1, 2, 0]]  # labels 0 and 1
    expected = as_dict(beam_search_ctc(frames, 100))
    found = as_dict(beam_search_ctc(moved, 100, blank=2))
    shifted = {tuple(k - 1 for k in labels): v for labels, v in expected.items()}
    assert_same_scores(found, shifted)


def test_labels_of_probability_zero():
    with np.errstate(divide="ignore"):
        frames = np.log(np.eye(3)[[1, 0, 1, 2]])
    transcripts, scores = beam_search_ctc(frames)
    assert len(transcripts) == 1 and scores[0] == 0.0
    assert_array_equal(transcripts[0], [1, 1, 2])


def test_no_frames():
    transcripts, scores = beam_search_ctc(np.zeros((0, 3)))
    assert len(transcripts) == 1 and len(transcripts[0]) == 0
    assert_array_equal(scores, [0.0])


def test_float32():
    frames = random_frames(2, 5, 3).astype(np.float32)
    expected = oracles.log_probabilities_of_all(frames.astype(np.float64))
    assert_same_scores(as_dict(beam_search_ctc(frames, 1000)), expected)


# --- errors ---------------------------------------------------------------------------


class Wrong(Bigram):
    def __init__(self, first, rows):
        self.first, self.rows = first, rows

    def initial(self):
        return self.first, None

    def advance(self, states, labels):
        return np.resize(self.rows, (len(states), len(self.rows))), states


class Forgetful(Bigram):
    def __init__(self):
        pass

    def initial(self):
        return np.zeros(3), None

    def advance(self, states, labels):
        return np.zeros((len(states), 3)), states[:1]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"log_probabilities": np.zeros((2, 3, 3))}, r"got \(2, 3, 3\)"),
        ({"log_probabilities": [[0.0, np.nan]]}, "got nan at frame 0, class 1"),
        ({"log_probabilities": [[0, 0], [np.inf, 0]]}, "got inf at frame 1, class 0"),
        ({"log_probabilities": [[0, 0], [-np.inf] * 2]}, "at frame 1"),
        ({"beam_width": 0}, "beam_width must be an integer >= 1, got 0"),
        ({"beam_width": 1.5}, "beam_width must be an integer"),
        ({"lm_weight": -1.0}, "lm_weight must be a number >= 0, got -1.0"),
        ({"lm_weight": np.nan}, "lm_weight must be"),
        ({"length_bonus": np.inf}, "length_bonus must be finite"),
        ({"blank": 3}, "blank must be one of the 3 classes, got 3"),
        ({"blank": 1.0}, "blank must be one of the 3 classes, got 1.0"),
        ({"language_model": Wrong(np.zeros(2), None)}, r"\(1, 3\).*shape \(1, 2\)"),
        ({"language_model": Wrong(np.zeros(3), np.zeros(4))}, "each class"),
        ({"language_model": Wrong(np.zeros(3), np.full(3, np.nan))}, "gave nan"),
        ({"language_model": Wrong(np.full(3, np.inf), None)}, "gave inf"),
        (
            {"language_model": Wrong(np.array([-np.inf, 0, 0]), [-np.inf, 0, 0])},
            "lets none of the prefixes that are kept come to an end",
        ),
        ({"language_model": Forgetful()}, "a state for each of 2 prefixes. It gave 1"),
    ],
)
def test_errors(change, message):
    arguments = {"log_probabilities": np.zeros((2, 3)), **change}
    with pytest.raises(ValueError, match=message):
        beam_search_ctc(**arguments)
