"""Minibatches and their shards: every sample once, and little that is wasted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.batches import Batches, draw_batches


def draw(rows, lengths, batch_size, n_lanes, seed):
    """Draw with a seed, or without one for the order of the rows."""
    rows, lengths = np.asarray(rows), np.asarray(lengths)
    random_state = None if seed is None else np.random.RandomState(seed)
    return draw_batches(rows, lengths, batch_size, n_lanes, random_state)


def shards_of(batches):
    bounds = batches.shards
    return [batches.rows[i:j] for i, j in zip(bounds[:-1], bounds[1:], strict=True)]


def rows_of_batches(batches):
    bounds = batches.shards[batches.batches]
    return [batches.rows[i:j] for i, j in zip(bounds[:-1], bounds[1:], strict=True)]


@st.composite
def problems(draw):
    """Rows among more samples, with lengths that may or may not differ."""
    n = draw(st.integers(1, 60))
    n_samples = n + draw(st.integers(0, 5))
    rows = draw(st.permutations(range(n_samples)))[:n]
    longest = draw(st.sampled_from([1, 2, 30]))
    size = {"min_size": n_samples, "max_size": n_samples}
    lengths = draw(st.lists(st.integers(1, longest), **size))
    batch_size, n_lanes = draw(st.integers(1, 70)), draw(st.sampled_from([1, 2, 4, 8]))
    return rows, lengths, batch_size, n_lanes


SEEDS = st.none() | st.integers(0, 2**32 - 1)


@given(problem=problems(), seed=SEEDS)
def test_every_row_once(problem, seed):
    batches = draw(*problem, seed)
    assert_array_equal(np.sort(batches.rows), np.sort(problem[0]))


@given(problem=problems(), seed=SEEDS)
def test_shards_and_batches_lie_within_each_other(problem, seed):
    batches = draw(*problem, seed)
    for bounds, end in [
        (batches.shards, len(batches.rows)),
        (batches.batches, len(batches.shards) - 1),
    ]:
        assert bounds[0] == 0 and bounds[-1] == end
        assert (np.diff(bounds) >= 0).all()


@given(problem=problems(), seed=SEEDS)
def test_no_shard_is_longer_than_the_lanes(problem, seed):
    batches = draw(*problem, seed)
    assert max(map(len, shards_of(batches))) <= problem[3]


@given(problem=problems(), seed=SEEDS)
def test_the_number_of_batches_and_their_sizes(problem, seed):
    rows, _, batch_size, _ = problem
    sizes = [len(batch) for batch in rows_of_batches(draw(*problem, seed))]
    assert len(sizes) == -(-len(rows) // batch_size)
    assert min(sizes) > 0


MANY = [(10, 5, 4), (100, 3, 2), (1000, 200, 16)]


def largest_batch(n, batch_size, n_lanes, seeds, longest):
    lengths = np.random.default_rng(0).integers(1, longest + 1, size=n)
    draws = (draw(np.arange(n), lengths, batch_size, n_lanes, seed) for seed in seeds)
    return max(max(map(len, rows_of_batches(batches))) for batches in draws)


@pytest.mark.parametrize("n, batch_size, n_lanes", MANY)
def test_no_minibatch_is_larger_than_batch_size(n, batch_size, n_lanes):
    assert largest_batch(n, batch_size, n_lanes, [None], longest=500) == batch_size
    assert largest_batch(n, batch_size, n_lanes, range(9), longest=1) == batch_size


@pytest.mark.parametrize("n, batch_size, n_lanes", MANY)
def test_no_minibatch_of_many_lengths_is_larger_than_batch_size(n, batch_size, n_lanes):
    assert largest_batch(n, batch_size, n_lanes, range(9), longest=500) <= batch_size


@given(problem=problems(), seed=st.integers(0, 2**32 - 1))
def test_the_same_seed_gives_the_same_draw(problem, seed):
    left, right = draw(*problem, seed), draw(*problem, seed)
    for name in ("rows", "shards", "batches"):
        assert_array_equal(getattr(left, name), getattr(right, name))


@given(problem=problems())
def test_without_a_seed_batches_are_the_rows_as_they_come(problem):
    """Where lengths differ, the longest of each minibatch are first."""
    rows, lengths, batch_size, _ = problem
    cut = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    differ = len({lengths[row] for row in rows}) > 1
    for batch, expected in zip(rows_of_batches(draw(*problem, None)), cut, strict=True):
        if differ:
            expected = sorted(expected, key=lambda row: -lengths[row])
        assert_array_equal(batch, expected)


@given(problem=problems(), seed=SEEDS, data=st.data())
def test_part_and_sums(problem, seed, data):
    batches = draw(*problem, seed)
    whole = rows_of_batches(batches)
    first = data.draw(st.integers(0, len(whole) - 1))
    last = data.draw(st.integers(first + 1, len(whole)))
    part = batches.part(first, last)
    assert isinstance(part, Batches)
    for left, right in zip(rows_of_batches(part), whole[first:last], strict=True):
        assert_array_equal(left, right)
    numbers = np.random.default_rng(0).normal(size=len(problem[1]))
    expected = [numbers[batch].sum() for batch in whole]
    assert_allclose(batches.sums(numbers), expected, rtol=1e-13, atol=1e-13)
    assert_allclose(part.sums(numbers), expected[first:last], rtol=1e-13, atol=1e-13)


# --- samples of one length ------------------------------------------------------------


def test_shuffled_batches_of_one_length_are_full():
    batches = draw(range(50), np.full(50, 7), 16, 4, 0)
    assert [len(batch) for batch in rows_of_batches(batches)] == [16, 16, 16, 2]
    assert [len(shard) for shard in shards_of(batches)] == [4] * 12 + [2]
    assert (np.diff(batches.rows) < 0).any()


def test_lengths_of_other_samples_do_not_matter():
    lengths = np.array([3, 9, 3, 3, 5, 3])
    batches = draw([5, 0, 3, 2], lengths, 3, 2, None)
    assert_array_equal(batches.rows, [5, 0, 3, 2])
    assert_array_equal(batches.shards, [0, 2, 3, 4])
    assert_array_equal(batches.batches, [0, 2, 3])


# --- samples of many lengths ----------------------------------------------------------


def cost(batches, lengths):
    """Steps of all lanes in use, to the end of each shard."""
    return sum(lengths[s].max() * len(s) for s in shards_of(batches) if len(s))


@pytest.mark.parametrize("n_lanes", [8, 16, 32])
@pytest.mark.parametrize("batch_size", [32, 200])
def test_few_steps_are_wasted(batch_size, n_lanes):
    lengths = np.random.default_rng(0).integers(10, 1001, size=4000)
    rows, least = np.arange(len(lengths)), lengths.sum()
    batches = draw(rows, lengths, batch_size, n_lanes, 0)
    assert cost(batches, lengths) <= 1.3 * least
    # where samples of any length meet in a shard
    shuffled = draw(rows, np.ones_like(lengths), batch_size, n_lanes, 0)
    assert cost(shuffled, lengths) > 1.6 * least


def test_each_minibatch_has_sequences_of_all_lengths():
    lengths = np.random.default_rng(1).integers(10, 1001, size=4000)
    batches = draw(np.arange(len(lengths)), lengths, 200, 8, 0)
    means = batches.sums(lengths) / batches.sums(np.ones(len(lengths)))
    # twenty-five shards of a batch, each of like lengths
    assert np.std(means) < 2.0 * np.std(lengths) / np.sqrt(200 / 8)
    first, last = means[: len(means) // 2].mean(), means[len(means) // 2 :].mean()
    assert abs(first - last) < 0.2 * lengths.mean()


def test_epochs_differ():
    """In the order of the shards, and in which samples meet in one."""
    lengths = np.random.default_rng(2).integers(10, 1001, size=400)
    random_state = np.random.RandomState(0)
    mates = []
    for _ in range(2):
        batches = draw_batches(np.arange(400), lengths, 40, 8, random_state)
        pairs = {(a, b) for s in shards_of(batches) for a in s for b in s if a < b}
        mates.append((pairs, batches.rows))
    assert (mates[0][1] != mates[1][1]).any()
    shared = len(mates[0][0] & mates[1][0]) / len(mates[0][0])
    assert shared < 0.3


@pytest.mark.parametrize("ragged", [False, True])
def test_every_sample_is_in_every_minibatch_equally_often(ragged):
    n, n_batches, n_draws = 40, 4, 400
    lengths = np.random.default_rng(3).integers(1, 50 if ragged else 2, size=n)
    random_state = np.random.RandomState(0)
    counts = np.zeros((n_batches, n))
    for _ in range(n_draws):
        batches = draw_batches(np.arange(n), lengths, 10, 4, random_state)
        for b, rows in enumerate(rows_of_batches(batches)):
            counts[b, rows] += 1
    expected = n_draws / n_batches
    deviation = np.sqrt(expected * (1 - 1 / n_batches))
    assert np.abs(counts - expected).max() < 5 * deviation
