"""The canonical training set: one row for each distinct sample, in a fixed order.

Training is chaotic: a rounding error of 1e-16 in the first gradient grows to order
one over a few hundred steps. A sample of weight 3 and three copies of that sample
therefore train to the same network only if the training loop is given bitwise the
same numbers in the same order. ``canonical_rows`` sees to that: it merges identical
samples, drops those without weight and orders the rest by what they contain.

How it works: every sample is hashed to 64 bits and the hashes are sorted. Samples
with the same hash are compared step by step, so that a collision costs time but never
changes the answer.
"""

import math
from functools import cmp_to_key

import numpy as np

from skrnn._jit import kernel
from skrnn.blocks import row_blocks

# Odd constants with well mixed bits: the multipliers of SplitMix64.
SEED = np.uint64(0x9E3779B97F4A7C15)
MIX_WORD = np.uint64(0xBF58476D1CE4E5B9)
MIX_HASH = np.uint64(0x94D049BB133111EB)
HALF = np.uint64(32)


def canonical_rows(data, y, sample_weight=None):
    """Merge identical samples and put them in an order that only content decides.

    Two samples are identical when their lengths, their values and their targets are
    bitwise identical. ``-0.0`` and ``0.0`` hence differ and are never merged; NaNs
    of the same bits are the same. Permuting the samples, or replacing a sample of
    weight ``w`` by ``w`` copies, changes neither the sequence of contents nor the
    weights, not even in the last bit.

    Parameters
    ----------
    data : PaddedData or Sequences of n_samples sequences
        Read by blocks, so that it may be larger than memory.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Targets, numbers or booleans.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights, not negative. None means that each sample weighs 1.

    Returns
    -------
    rows : ndarray of shape (n_distinct,), dtype int64
        The first sample of each group of identical samples with a positive weight.
    weights : ndarray of shape (n_distinct,), dtype float64
        The sum of the weights of each group, correctly rounded.

    Raises
    ------
    ValueError
        If `data`, `y` and `sample_weight` do not have the same number of samples, or
        a weight is negative or NaN.
    """
    targets = _bits(y, len(data))
    if sample_weight is None:
        sample_weight = np.broadcast_to(1.0, (len(data),))
    sample_weight = np.asarray(sample_weight, dtype=np.float64)
    if sample_weight.shape != (len(data),):
        raise ValueError(
            f"sample_weight has shape {sample_weight.shape}, "
            f"expected ({len(data)},): one weight for each sample."
        )
    if not (sample_weight >= 0).all():
        raise ValueError("sample_weight must hold numbers that are not negative.")

    weighted = np.nonzero(sample_weight)[0]
    rows, is_first = _group(data, targets, weighted)
    if is_first.all():
        return rows, sample_weight[rows]
    firsts = np.flatnonzero(is_first)
    return rows[firsts], _sum_groups(sample_weight[rows], firsts)


def _bits(y, n_samples):
    """Give the targets as unsigned 64-bit words of shape (n_samples, n_outputs)."""
    y = np.asarray(y)
    if len(y) != n_samples:
        raise ValueError(f"y has {len(y)} samples, X has {n_samples}.")
    y = y.reshape(n_samples, -1)
    # Both conversions keep different values different.
    wide = np.float64 if y.dtype.kind == "f" else np.int64
    if y.dtype != np.uint64:
        y = y.astype(wide, copy=False)
    return np.ascontiguousarray(y).view(np.uint64)


def _words(values):
    """View floats of shape (n, m) as unsigned integers of the same size."""
    return values.view(np.uint32 if values.dtype.itemsize == 4 else np.uint64)


def _hash_samples(data, targets, rows):
    """Hash the length, the values and the targets of the named rows."""
    hashes = np.empty(len(rows), dtype=np.uint64)
    # Hashing wraps around; without the JIT, NumPy would warn of it.
    with np.errstate(over="ignore"):
        for piece in row_blocks(data, rows):
            taken = rows[piece]
            words = _words(data.take(taken))
            _hash_block(words, data.lengths[taken], targets[taken], hashes[piece])
    return hashes


@kernel
def _mix(state, word):
    """Add a word to a hash: one-to-one in the state, and one-to-one in the word."""
    word = word * MIX_WORD
    state = (state ^ word ^ (word >> HALF)) * MIX_HASH
    return state ^ (state >> HALF)


@kernel
def _hash_block(words, lengths, targets, out):
    """Hash sequences that lie one after the other in ``words``."""
    step = 0
    for i in range(len(lengths)):
        state = _mix(SEED, np.uint64(lengths[i]))
        for _ in range(lengths[i]):
            for channel in range(words.shape[1]):
                state = _mix(state, np.uint64(words[step, channel]))
            step += 1
        for output in range(targets.shape[1]):
            state = _mix(state, targets[i, output])
        out[i] = state


def _group(data, targets, rows):
    """Bring identical rows together.

    Returns the rows sorted by hash, those of one hash by content, and the mask of
    those that differ from the row before.
    """
    hashes = _hash_samples(data, targets, rows)
    order = np.argsort(hashes, kind="stable")  # stable: the first row leads its group
    rows = rows[order]
    del order
    hashes.sort()
    ties = np.flatnonzero(hashes[1:] == hashes[:-1]) + 1
    identical = _same_as_before(data, targets, rows, ties)
    if not identical.all():
        for collision in np.unique(hashes[ties[~identical]]):
            start = np.searchsorted(hashes, collision, side="left")
            stop = np.searchsorted(hashes, collision, side="right")
            rows[start:stop] = _sort_by_content(data, targets, rows[start:stop])
        identical = _same_as_before(data, targets, rows, ties)
    is_first = np.ones(len(rows), dtype=bool)
    is_first[ties[identical]] = False
    return rows, is_first


def _same_as_before(data, targets, rows, places):
    """Tell for each of these places in rows whether the row before is identical."""
    identical = np.empty(len(places), dtype=bool)
    for piece in row_blocks(data, rows[places]):
        right = places[piece]
        identical[piece] = _identical(data, targets, rows[right - 1], rows[right])
    return identical


def _identical(data, targets, left, right):
    """Tell for each pair of rows whether length, targets and values are the same."""
    lengths = data.lengths[left]
    identical = np.array(lengths == data.lengths[right])
    identical &= (targets[left] == targets[right]).all(axis=1)
    pairs = np.flatnonzero(identical)
    if len(pairs):
        equal = _words(data.take(left[pairs])) == _words(data.take(right[pairs]))
        lengths = lengths[pairs]
        starts = np.cumsum(lengths) - lengths
        identical[pairs] = np.logical_and.reduceat(equal.all(axis=1), starts)
    return identical


def _sort_by_content(data, targets, rows):
    """Sort rows by length, then targets, then values, with two in memory at a time."""

    def content(row):
        values = data.take(np.array([row]))
        return int(data.lengths[row]), targets[row].tobytes(), values.tobytes()

    def compare(i, j):
        first, second = content(i), content(j)
        return (first > second) - (first < second)

    return sorted(rows, key=cmp_to_key(compare))


def _sum_groups(weights, firsts):
    """Sum the weights of each group, correctly rounded, whatever their order."""
    sizes = np.diff(np.append(firsts, len(weights)))
    lowest = np.minimum.reduceat(weights, firsts)
    # A product is correctly rounded, and so is fsum: both give the same.
    totals = sizes * lowest
    for group in np.flatnonzero(lowest != np.maximum.reduceat(weights, firsts)):
        start = firsts[group]
        totals[group] = math.fsum(weights[start : start + sizes[group]])
    return totals
