"""Minibatches, and how each is cut into shards that fill the lanes."""

from dataclasses import dataclass

import numpy as np

# Lengths are drawn apart by so much, either way, before samples of like length meet in
# a shard: other samples meet in each epoch, and few lanes wait for a longer one.
JITTER = 0.1


@dataclass(frozen=True)
class Batches:
    """The samples of an epoch in order, cut into shards, and these into minibatches.

    Attributes
    ----------
    rows : ndarray of shape (n_rows,)
        The samples.
    shards : ndarray of shape (n_shards + 1,)
        Shard s holds ``rows[shards[s] : shards[s + 1]]``.
    batches : ndarray of shape (n_batches + 1,)
        Minibatch b consists of the shards from ``batches[b]`` to ``batches[b + 1]``.
    """

    rows: np.ndarray
    shards: np.ndarray
    batches: np.ndarray

    def part(self, first, last):
        """Return the minibatches from `first` to `last` by themselves."""
        batches = self.batches[first : last + 1]
        shards = self.shards[batches[0] : batches[-1] + 1]
        rows = self.rows[shards[0] : shards[-1]]
        return Batches(rows, shards - shards[0], batches - batches[0])

    def sums(self, numbers):
        """Return for each minibatch the sum of its samples' numbers."""
        starts = self.shards[self.batches[:-1]]
        return np.add.reduceat(numbers[self.rows], starts)


def draw_batches(rows, lengths, batch_size, n_lanes, random_state):
    """Cut samples into minibatches, at random unless `random_state` is None.

    `batch_size` must not exceed the number of rows.

    A shard runs to the end of its longest sequence. So where lengths differ, sequences
    of like length are drawn together, shard by shard, and the shards of a minibatch at
    random: each minibatch has sequences of all lengths, and costs little more than the
    sum of them.
    """
    differ = (lengths[rows] != lengths[rows[0]]).any()
    if random_state is None:
        batches = _cut(rows, batch_size, n_lanes)
        return _sorted_within(batches, lengths) if differ else batches
    if not differ:
        return _cut(random_state.permutation(rows), batch_size, n_lanes)
    return _draw_shards(rows, lengths[rows], batch_size, n_lanes, random_state)


def _cut(rows, batch_size, n_lanes):
    """Take the samples as they come, in minibatches of `batch_size`."""
    n = len(rows)
    shards_of_batch = -(-batch_size // n_lanes)
    starts = np.arange(0, n, batch_size, dtype=np.int64)
    offsets = n_lanes * np.arange(shards_of_batch, dtype=np.int64)
    firsts = (starts[:, np.newaxis] + offsets).ravel()
    firsts = firsts[firsts < n]
    batches = np.searchsorted(firsts, starts)
    return Batches(rows, np.append(firsts, n), np.append(batches, len(firsts)))


def _sorted_within(batches, lengths):
    """Order the samples of each minibatch by length, the longest first."""
    rows = batches.rows
    bounds = batches.shards[batches.batches]
    batch = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    order = np.lexsort((-lengths[rows], batch))
    return Batches(rows[order], batches.shards, batches.batches)


def _draw_shards(rows, lengths, batch_size, n_lanes, random_state):
    n_batches = -(-len(rows) // batch_size)
    shards_of_batch = -(-batch_size // n_lanes)
    n_shards = n_batches * shards_of_batch
    drawn = lengths * random_state.uniform(1 - JITTER, 1 + JITTER, len(rows))
    order = np.argsort(drawn, kind="stable")
    bounds = len(rows) * np.arange(n_shards + 1, dtype=np.int64) // n_shards
    sizes = np.diff(bounds)
    shuffled = random_state.permutation(n_shards)
    # dealt out by size, for shards that are larger by one must not meet in a minibatch
    dealt = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    dealt = dealt.reshape(shards_of_batch, n_batches).T.ravel()
    pieces = [order[bounds[s] : bounds[s + 1]] for s in dealt]
    shards = np.append(0, np.cumsum(sizes[dealt]))
    batches = np.arange(0, n_shards + 1, shards_of_batch, dtype=np.int64)
    return Batches(rows[np.concatenate(pieces)], shards, batches)
