"""A panel of arrays is what the series are one by one."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skrnn.forecasting.clock import IntegerClock
from skrnn.forecasting.panel import Panel, offsets_of

CLOCK = IntegerClock(1, 0)


def make_panel(series, starts, ids=None):
    """Make a panel of lists, with columns that can be told apart."""
    values = np.concatenate([np.asarray(s, dtype=np.float64) for s in series])
    return Panel(
        pd.Index(range(len(series)) if ids is None else ids),
        values,
        offsets_of([len(s) for s in series]),
        np.asarray(starts, dtype=np.int64),
        values[:, np.newaxis] + [10, 20],
        values[:, np.newaxis] + 30,
        np.arange(len(series), dtype=np.float64)[:, np.newaxis],
    )


def by_position(panel, i):
    """Return the values of a series by clock position, and check its columns."""
    rows = panel.rows(i)
    assert_array_equal(panel.known[rows], panel.series(i)[:, np.newaxis] + [10, 20])
    assert_array_equal(panel.past[rows], panel.series(i)[:, np.newaxis] + 30)
    positions = range(panel.starts[i], panel.ends[i])
    return dict(zip(positions, panel.series(i).tolist(), strict=True))


@st.composite
def panels(draw):
    value = st.integers(0, 9) | st.just(np.nan)
    series = draw(st.lists(st.lists(value, min_size=1, max_size=6), min_size=1))
    positions = st.integers(-5, 5)
    starts = draw(st.lists(positions, min_size=len(series), max_size=len(series)))
    return make_panel(series, starts)


def same(a, b):
    """Whether two dicts hold the same, NaN included."""
    return a.keys() == b.keys() and np.array_equal(
        list(a.values()), list(b.values()), equal_nan=True
    )


@given(panel=panels(), data=st.data())
def test_take(panel, data):
    numbers = data.draw(st.lists(st.integers(0, len(panel) - 1), max_size=5))
    taken = panel.take(np.array(numbers, dtype=int))
    assert taken.ids.tolist() == numbers
    assert_array_equal(taken.static[:, 0], numbers)
    for place, number in enumerate(numbers):
        assert same(by_position(taken, place), by_position(panel, number))
    mask = np.arange(len(panel)) % 2 == 0
    assert panel.take(mask).ids.tolist() == np.flatnonzero(mask).tolist()


@given(panel=panels(), end=st.integers(-8, 14))
def test_head(panel, end):
    head = panel.head(end)
    assert len(head) == len(panel)
    for i in range(len(panel)):
        full = by_position(panel, i)
        before = {t: value for t, value in full.items() if t < end}
        assert same(by_position(head, i), before)
    ends = panel.starts + 1
    assert_array_equal(panel.head(ends).lengths, 1)


@given(panel=panels())
def test_missing_values_at_the_beginning_alone_go(panel):
    trimmed = panel.without_lead()
    for i in range(len(panel)):
        full = by_position(panel, i)
        seen = [t for t, value in full.items() if not np.isnan(value)]
        kept = {t: v for t, v in full.items() if seen and t >= seen[0]}
        assert same(by_position(trimmed, i), kept)
        assert trimmed.ends[i] == panel.ends[i]


@given(panel=panels(), data=st.data())
def test_a_panel_in_two_parts_is_the_whole_again(panel, data):
    cut = data.draw(st.integers(-6, 12))
    has = panel.head(cut).lengths > 0
    later = np.flatnonzero(panel.ends > cut)
    tail = panel.take(later)
    begins = np.maximum(tail.starts, cut)
    tail = tail._cut(np.arange(len(tail)), begins, tail.ends)
    whole = panel.head(cut).take(has).extended(tail, CLOCK)
    assert sorted(whole.ids) == list(range(len(panel)))
    trimmed = panel.without_lead()  # new series begin with a value
    for place, number in enumerate(whole.ids):
        expected = panel if has[number] else trimmed
        assert same(by_position(whole, place), by_position(expected, number))
        assert whole.static[place, 0] == number


def test_gaps_between_old_and_new_rows_are_missing():
    panel = make_panel([[1, 2], [3]], [0, 5], ids=["a", "b"])
    later = make_panel([[7], [8]], [9, 4], ids=["c", "a"])
    whole = panel.extended(later, CLOCK)
    assert whole.ids.tolist() == ["a", "b", "c"]
    assert_array_equal(whole.series(0), [1, 2, np.nan, np.nan, 8])
    assert np.isnan(whole.known[2:4]).all()
    assert_array_equal(whole.series(1), [3])
    assert_array_equal(whole.series(2), [7])
    assert whole.starts.tolist() == [0, 5, 9]
    assert_array_equal(panel.values, [1, 2, 3])


def test_rows_that_are_there_already():
    panel = make_panel([[1, 2], [3]], [0, 5], ids=["a", "b"])
    later = make_panel([[7]], [1], ids=["a"])
    with pytest.raises(ValueError, match="'a' has a row for 1 already; it ends at 1"):
        panel.extended(later, CLOCK)
