"""Error rates of transcripts, which jiwer computes too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from skrnn.metrics import character_error_rate, word_error_rate

jiwer = pytest.importorskip("jiwer")

# jiwer leaves out spaces at the ends of a text
TEXTS = st.lists(st.text("ab c", max_size=7).map(str.strip), max_size=5)


@given(TEXTS, TEXTS)
def test_rates(true, pred):
    n = min(len(true), len(pred))
    true, pred = [*true[:n], "b a"], [*pred[:n], "c"]
    assert_allclose(word_error_rate(true, pred), jiwer.wer(true, pred))
    assert_allclose(character_error_rate(true, pred), jiwer.cer(true, pred))
