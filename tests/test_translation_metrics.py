"""BLEU and chrF are those of sacrebleu; what stands around them is not."""

import sys

import numpy as np
import pandas as pd
import pytest

from skrnn.metrics import bleu, chrf

TRUE = ["the cat is on the mat", "a dog runs over there"]
PRED = ["the cat is on a mat", "a dog runs over here"]


@pytest.fixture
def sacrebleu():
    return pytest.importorskip("sacrebleu")


def test_they_are_those_of_sacrebleu(sacrebleu):
    assert bleu(TRUE, PRED) == sacrebleu.corpus_bleu(PRED, [TRUE]).score
    assert chrf(TRUE, PRED) == sacrebleu.corpus_chrf(PRED, [TRUE]).score
    assert 0 < bleu(TRUE, PRED) < bleu(TRUE, TRUE) == pytest.approx(100)
    upper = [text.upper() for text in PRED]
    assert bleu(TRUE, upper) < bleu(TRUE, upper, lowercase=True) == bleu(TRUE, PRED)


@pytest.mark.parametrize(
    "form", [tuple, np.array, pd.Series, lambda texts: np.array(texts, object)]
)
def test_forms_of_texts(sacrebleu, form):
    assert bleu(form(TRUE), form(PRED)) == bleu(TRUE, PRED)


def test_several_references_of_which_some_have_fewer(sacrebleu):
    several = [[TRUE[0], PRED[0]], [TRUE[1]]]
    streams = [TRUE, [PRED[0], None]]
    assert bleu(several, PRED) == sacrebleu.corpus_bleu(PRED, streams).score
    assert chrf(several, PRED) > chrf(TRUE, PRED)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        (TRUE, PRED[:1], "they have 2 and 1"),
        ("a b", ["a b"], r"y_true must be a list.*\[text\]"),
        (["a b"], 5, "y_pred must be a list"),
        ([], [], "y_true has no samples"),
        (TRUE, ["a", 1], "y_pred must hold texts, but sample 1 is 1"),
        ([["a"], []], PRED, "Sample 1 of y_true has no reference"),
        ([["a"], ["b", None]], PRED, "y_true must hold texts, but sample 1 is None"),
    ],
)
def test_what_is_no_translation(sacrebleu, y_true, y_pred, message):
    for metric in (bleu, chrf):
        with pytest.raises(ValueError, match=message):
            metric(y_true, y_pred)


def test_without_sacrebleu_there_is_a_hint(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(ImportError, match=r'pip install "skrnn\[text\]"'):
        bleu(TRUE, PRED)
