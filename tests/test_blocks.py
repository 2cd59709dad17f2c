"""Pieces of a data set that fit into memory."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skrnn import blocks
from skrnn.blocks import blocks_of

LENGTHS = st.lists(st.integers(1, 20), max_size=40)


@pytest.fixture(scope="module", autouse=True)
def small_window():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "WINDOW", 7)
        yield


@given(LENGTHS, st.integers(1, 200))
def test_runs_follow_each_other_and_are_bounded(lengths, max_bytes):
    lengths = np.array(lengths, dtype=np.int64)
    runs = list(blocks_of(lengths, 4, max_bytes))
    assert [i for run in runs for i in range(run.start, run.stop)] == list(
        range(len(lengths))
    )
    for run in runs:
        n = run.stop - run.start
        assert n <= blocks.WINDOW
        assert n == 1 or 4 * lengths[run].sum() <= max_bytes
    for run, after in pairwise(runs):
        full = 4 * lengths[run.start : after.start + 1].sum() > max_bytes
        assert full or run.stop - run.start == blocks.WINDOW


@given(LENGTHS, st.integers(1, 7))
def test_the_window_does_not_show(lengths, max_steps):
    lengths = np.array(lengths, dtype=np.int64)
    by_windows = list(blocks_of(lengths, 8, 8 * max_steps))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "WINDOW", 1000)
        assert by_windows == list(blocks_of(lengths, 8, 8 * max_steps))


@given(LENGTHS, st.integers(1, 200), st.randoms())
def test_rows_are_cut_like_a_data_set_of_their_own(lengths, max_bytes, order):
    lengths = np.array(lengths, dtype=np.int64)
    rows = np.arange(len(lengths))
    order.shuffle(rows)
    of_rows = list(blocks_of(lengths, 4, max_bytes, rows))
    assert of_rows == list(blocks_of(lengths[rows], 4, max_bytes))
