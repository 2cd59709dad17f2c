"""Error rates of transcripts: against all edits there are."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skrnn.metrics import character_error_rate, word_error_rate

TEXTS = st.lists(st.text("ab c", max_size=7), min_size=1, max_size=5)


@cache
def distance(a, b):
    """Try all edits of the last place."""
    if not a or not b:
        return len(a) + len(b)
    return min(
        distance(a[:-1], b) + 1,
        distance(a, b[:-1]) + 1,
        distance(a[:-1], b[:-1]) + (a[-1] != b[-1]),
    )


def rate(true, pred, weights=None):
    weights = np.ones(len(true)) if weights is None else weights
    edits = [distance(a, b) for a, b in zip(true, pred, strict=True)]
    return np.dot(weights, edits) / np.dot(weights, [len(a) for a in true])


@given(TEXTS, TEXTS, st.integers(0, 100))
def test_against_all_edits(true, pred, seed):
    n = min(len(true), len(pred))
    true, pred = [*true[:n], "b a"], [*pred[:n], "c"]
    weights = np.random.default_rng(seed).uniform(0.1, 2.0, n + 1)
    assert_allclose(character_error_rate(true, pred), rate(true, pred))
    weighted = character_error_rate(true, pred, sample_weight=weights)
    assert_allclose(weighted, rate(true, pred, weights))
    words = [[tuple(text.split()) for text in texts] for texts in (true, pred)]
    assert_allclose(word_error_rate(true, pred), rate(*words))
    weighted = word_error_rate(true, pred, sample_weight=weights)
    assert_allclose(weighted, rate(*words, weights))


@pytest.mark.parametrize(
    "true, pred, expected",
    [
        (["kitten"], ["sitting"], 3 / 6),
        (["abc"], ["abc"], 0.0),
        (["abc"], [""], 1.0),
        (["", "ab"], ["abc", "ab"], 3 / 2),
        (["a"], ["abcd"], 3.0),
        (["Ä"], ["A"], 1.0),
        (["a b"], ["ab"], 1 / 3),
        (["日本語"], ["日木語"], 1 / 3),
    ],
)
def test_characters(true, pred, expected):
    assert character_error_rate(true, pred) == pytest.approx(expected, abs=0)


@pytest.mark.parametrize(
    "true, pred, expected",
    [
        (["one two  three\n"], ["one too three"], 1 / 3),
        (["one two", ""], ["one two", "three"], 1 / 2),
        ([["one two", "three"]], [["one", "two", "three"]], 1.0),
        ([[1, 2, 2], np.array([3])], [(1, 2), [3.0]], 1 / 4),
        ([np.array([1, 2])], [np.array([], int)], 1.0),
        (np.array([[1, 2], [3, 4]]), [[1], [3, 4]], 1 / 4),
        (pd.DataFrame({"a": ["x", "y"], "b": ["x", "z"]}), [["x", "x"], ["y"]], 1 / 4),
    ],
)
def test_words(true, pred, expected):
    assert word_error_rate(true, pred) == pytest.approx(expected, abs=0)


def test_long_texts():
    """A distance that is known: some characters were put in, and others taken out."""
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(list("abcdefgh"), 3000))
    changed = "x" + text[:1000] + text[1010:] + "yy"
    assert character_error_rate([text], [changed]) == 13 / 3000


@pytest.mark.parametrize("form", [list, tuple, np.array, pd.Series])
def test_forms(form):
    true, pred = ["ab", "cd e"], ["ab", "cx e"]
    assert character_error_rate(form(true), form(pred)) == 1 / 6
    assert word_error_rate(form(true), form(pred)) == 1 / 3


@pytest.mark.parametrize("score", [character_error_rate, word_error_rate])
@pytest.mark.parametrize(
    "true, pred, message",
    [
        ("ab", ["ab"], r"y_true must be .*got str. Pass one text as \[text\]"),
        (["ab"], np.array([["ab"]]), "y_pred must be .*got ndarray"),
        (["ab"], None, "y_pred must be .*got NoneType"),
        (["ab", "c"], ["ab"], "they have 2 and 1"),
        (["ab"], [None], "y_pred must hold texts.*sample 0 is None, of type NoneType"),
        (["ab", 3], ["ab", "c"], "y_true must hold texts.*sample 1 is 3"),
        (["ab"], [b"ab"], "of type bytes"),
        ([], [], "y_true has no samples"),
        (["", ""], ["a", ""], "Nothing is left to score: y_true has no"),
    ],
)
def test_errors(score, true, pred, message):
    with pytest.raises(ValueError, match=message):
        score(true, pred)


def test_errors_of_one_of_them():
    with pytest.raises(ValueError, match="For lists of labels there is word_error"):
        character_error_rate([["a", "b"]], ["ab"])
    with pytest.raises(ValueError, match=r"sample 1 holds \[1, 2\]"):
        word_error_rate([[1], [[1, 2]]], [[1], [1]])
    with pytest.raises(ValueError, match="sample_weight"):
        word_error_rate(["a", "b"], ["a", "b"], sample_weight=[1.0])
    with pytest.raises(ValueError, match="Negative values"):
        word_error_rate(["a", "b"], ["a", "b"], sample_weight=[-1.0, 3.0])
    with pytest.raises(ValueError, match="sample 0 is {1, 2}, of type set"):
        word_error_rate([{1, 2}], [[1, 2]])
    with pytest.raises(ValueError, match="single values, but sample 0 holds {}"):
        word_error_rate([[{}]], [[1]])
    with pytest.raises(ValueError, match="Nothing is left"):
        word_error_rate(["a", ""], ["a", "b"], sample_weight=[0.0, 1.0])
