"""Connectionist temporal classification: labels learned without their places.

Each frame of a sequence has a score for each label and for "blank". A path picks one
of them at each frame; taking repeats together and then leaving out blanks makes labels
of it. The loss is minus the logarithm of the probability of all paths that make the
labels of the sequence (Graves, Fernández, Gomez and Schmidhuber 2006).

Such a path is one through states: blank, first label, blank, second label, and so on to
the last blank. It begins in one of the first two states and ends in one of the last
two. From frame to frame it stays, goes on by one state, or from a label to the next one
directly, which must be another label.
"""

import math

import numpy as np

from skrnn._jit import inner, kernel
from skrnn.activations import exp, log
from skrnn.losses import Objective
from skrnn.parameters import aligned_zeros
from skrnn.simd import get, lane_count, maximum, minimum, put

BLANK = 0
# The logarithm of the probability of what cannot be: finite, as differences are taken.
NEVER = -1e300


class CTC(Objective):
    """The loss of a network that predicts at each step; class 0 is blank.

    An empty transcript is learned as the target 0, which has a weight as others do.
    """

    labels_apart = True

    def record(self, calls, workspace, levels):
        """Record what fills ``workspace.d_raw``; `levels` are not read."""
        n_frames, n_classes, _ = workspace.raw.shape
        calls.add(
            ctc,
            workspace.raw,
            workspace.d_raw,
            workspace.target,
            workspace.weight,
            workspace.predicted.n_steps,
            workspace.predicted.lengths,
            workspace.targets.lengths,
            allocate(n_frames, n_classes, len(workspace.target)),
        )


def frames_needed(labels, offsets):
    """Return how many frames the labels of each sequence need at least.

    One for each label, and a blank between neighbours that are alike.

    Parameters
    ----------
    labels : ndarray of shape (n_labels,)
        Those of all sequences, end to end.
    offsets : ndarray of int of shape (n_sequences + 1,)
        Where the labels of each sequence begin, and the end.

    Returns
    -------
    n_frames : ndarray of int of shape (n_sequences,)

    Examples
    --------
    >>> frames_needed(np.array([1, 2, 2, 2]), np.array([0, 3, 3, 4]))
    array([4, 0, 1])
    """
    repeats = np.zeros(len(labels) + 1, np.int64)
    repeats[1:-1] = labels[1:] == labels[:-1]
    repeats[offsets] = 0  # the first of a sequence repeats nothing
    before = np.concatenate([[0], np.cumsum(repeats)])
    return np.diff(offsets) + np.diff(before[offsets])


def allocate(n_frames, n_classes, n_labels):
    """Return the scratch that `ctc` needs for so many frames and labels of a sequence.

    Its numbers are float64 whatever the network's: the logarithms of a long sequence
    have few digits behind the point in float32.

    Returns
    -------
    scores : ndarray of shape (n_frames, n_classes, L)
        Logarithms of probabilities, then gradients. L is the number of lanes that are
        done at a time, whatever the number of lanes of the shard.
    alpha : ndarray of shape (n_frames + 1, n_states, L)
        The paths that lead to a state, before the first frame and after each.
    beta : ndarray of shape (1, n_states, L)
        The paths that lead from a state, and the current frame, to the end.
    of_labels : ndarray of shape (2, n_labels + 1, L)
        The scores of the labels at the current frame, and whether a path may come to a
        label from the one before: 0 or `NEVER`.
    totals : ndarray of shape (1, 1, L)
        All paths together.
    labels : ndarray of int of shape (n_labels + 1, L)
        The numbers of the labels.
    sizes : ndarray of int of shape (2, L)
        How many frames, and how many labels.
    """
    n_lanes, n_states = lane_count(np.float64), 2 * n_labels + 1
    return (
        aligned_zeros((n_frames, n_classes, n_lanes), np.float64),
        aligned_zeros((n_frames + 1, n_states, n_lanes), np.float64),
        aligned_zeros((1, n_states, n_lanes), np.float64),
        aligned_zeros((2, n_labels + 1, n_lanes), np.float64),
        aligned_zeros((1, 1, n_lanes), np.float64),
        aligned_zeros((n_labels + 1, n_lanes), np.int64),
        aligned_zeros((2, n_lanes), np.int64),
    )


@kernel
def ctc(raw, d_raw, target, weight, n_steps, lengths, target_lengths, scratch):
    """Minus the logarithm of the probability of the labels, whatever their places.

    Parameters
    ----------
    raw, d_raw : ndarray of shape (n_frames, n_classes, lanes)
        Scores before the softmax, class 0 being blank, and the gradient to be written.
    target : ndarray of shape (n_labels, 1, lanes)
        Numbers of labels, from 1 on.
    weight : ndarray of shape (n_labels, 1, lanes)
        Its first step has the weight of each sequence; one of weight 0 is left out.
    n_steps : ndarray of int
        Its first number is that of the frames in the buffers.
    lengths, target_lengths : ndarray of int of shape (lanes,)
        How many frames a lane has, 0 if there is no sequence in it, and how many
        labels, which may be 0. A target 0 is the end of the labels.
    scratch : tuple
        As of `allocate`.

    Returns
    -------
    value : float
        The sum over the lanes of weight times loss: infinite, with a gradient of 0, if
        a sequence has fewer frames than its labels need.
    """
    value = 0.0
    n_lanes = scratch[0].shape[2]
    for first in range(0, raw.shape[2], n_lanes):
        _take_sizes(target, weight, lengths, target_lengths, first, scratch)
        n_frames, n_labels = _largest_sizes(scratch)
        _take_labels(target, first, scratch)
        _take_scores(raw, first, n_frames, scratch)
        _forward(n_frames, n_labels, scratch)
        value += _take_totals(weight, first, scratch)
        _backward(n_frames, n_labels, scratch)
        _give_gradient(d_raw, weight, first, n_steps[0], scratch)
    return value


@inner
def _take_sizes(target, weight, lengths, target_lengths, first, scratch):
    """Note how many frames and labels some lanes have: none where none count."""
    sizes = scratch[6]
    for i in range(sizes.shape[1]):
        lane = first + i
        sizes[0, i], sizes[1, i] = 0, 0
        if lane < len(lengths) and lengths[lane] > 0 and weight[0, 0, lane] != 0.0:
            n_labels = 0
            while n_labels < target_lengths[lane] and target[n_labels, 0, lane] > 0.0:
                n_labels += 1
            sizes[0, i], sizes[1, i] = lengths[lane], n_labels


@inner
def _largest_sizes(scratch):
    sizes = scratch[6]
    n_frames, n_labels = 0, 0
    for i in range(sizes.shape[1]):
        n_frames = max(n_frames, sizes[0, i])
        n_labels = max(n_labels, sizes[1, i])
    return n_frames, n_labels


@inner
def _take_labels(target, first, scratch):
    """Bring the labels of some lanes into the scratch."""
    of_labels, labels, sizes = scratch[3], scratch[5], scratch[6]
    for u in range(len(labels)):
        for i in range(labels.shape[1]):
            labels[u, i], of_labels[1, u, i] = BLANK, NEVER
            if u < sizes[1, i]:
                labels[u, i] = int(target[u, 0, first + i])
                if u > 0 and labels[u, i] != labels[u - 1, i]:
                    of_labels[1, u, i] = 0.0


@inner
def _take_scores(raw, first, n_frames, scratch):
    """Bring the logarithms of the softmax of some lanes into the scratch."""
    scores, sizes = scratch[0], scratch[6]
    n_classes = scores.shape[1]
    for t in range(n_frames):
        for k in range(n_classes):
            for i in range(sizes.shape[1]):
                # what lies beyond the end may be anything, even not a number
                scores[t, k, i] = raw[t, k, first + i] if t < sizes[0, i] else 0.0
        largest = get(scores, t, 0)
        for k in range(1, n_classes):
            largest = maximum(largest, get(scores, t, k))
        total = exp(get(scores, t, 0) - largest)
        for k in range(1, n_classes):
            total = total + exp(get(scores, t, k) - largest)
        shift = largest + log(total)
        for k in range(n_classes):
            put(scores, t, k, get(scores, t, k) - shift)


@inner
def _log_sum(a, b):
    """The logarithm of the sum of two numbers, from their logarithms."""
    largest = maximum(a, b)
    return largest + log(exp(minimum(a, b) - largest) + 1.0)


@inner
def _log_sum_of_three(a, b, c):
    largest = maximum(maximum(a, b), c)
    return largest + log(exp(a - largest) + exp(b - largest) + exp(c - largest))


@inner
def _look_up(scores, t, labels, n_labels, of_labels):
    """Fetch the scores of the labels of each lane at a frame."""
    for u in range(n_labels):
        for i in range(labels.shape[1]):
            of_labels[0, u, i] = scores[t, labels[u, i], i]


@kernel
def _forward(n_frames, n_labels, scratch):
    """Fill alpha, frame by frame."""
    scores, alpha, _, of_labels, _, labels, _ = scratch
    put(alpha, 0, 0, 0.0)
    for s in range(1, 2 * n_labels + 1):
        put(alpha, 0, s, NEVER)
    for t in range(n_frames):
        _look_up(scores, t, labels, n_labels, of_labels)
        blank = get(scores, t, BLANK)
        put(alpha, t + 1, 0, get(alpha, t, 0) + blank)
        for u in range(n_labels):
            s = 2 * u + 1
            before, here = get(alpha, t, s - 1), get(alpha, t, s)
            jump = get(alpha, t, max(s - 2, 0)) + get(of_labels, 1, u)
            label = _log_sum_of_three(here, before, jump) + get(of_labels, 0, u)
            put(alpha, t + 1, s, label)
            put(alpha, t + 1, s + 1, _log_sum(get(alpha, t, s + 1), here) + blank)


@inner
def _take_totals(weight, first, scratch):
    """Read the probability of all paths off the last two states; return the loss."""
    alpha, totals, sizes = scratch[1], scratch[4], scratch[6]
    value = 0.0
    for i in range(sizes.shape[1]):
        n_frames, last = sizes[0, i], 2 * sizes[1, i]
        totals[0, 0, i] = 0.0
        if n_frames > 0:
            a = alpha[n_frames, last, i]
            b = alpha[n_frames, last - 1, i] if last > 0 else NEVER
            largest = max(a, b)
            total = largest + math.log(math.exp(a - largest) + math.exp(b - largest))
            if total < 0.5 * NEVER:
                sizes[0, i] = 0
                value += math.inf
            else:
                totals[0, 0, i] = total
                value -= weight[0, 0, first + i] * total
    return value


@inner
def _occupied(alpha, t, s, after, totals):
    """The share of the paths that are in a state at a frame."""
    # above 1 through rounding alone, which is not small where scores are huge
    return exp(minimum(get(alpha, t + 1, s) + after - get(totals, 0, 0), 0.0))


@kernel
def _backward(n_frames, n_labels, scratch):
    """Go back through beta; make gradients of the scores."""
    scores, alpha, beta, of_labels, totals, labels, sizes = scratch
    last = 2 * n_labels
    for s in range(last + 1):
        put(beta, 0, s, NEVER)
    for t in range(n_frames - 1, -1, -1):
        for i in range(sizes.shape[1]):
            if t == sizes[0, i] - 1:
                beta[0, 2 * sizes[1, i], i] = 0.0
        _look_up(scores, t, labels, n_labels, of_labels)
        blank = get(scores, t, BLANK)
        for k in range(scores.shape[1]):
            put(scores, t, k, exp(get(scores, t, k)))
        blanks = get(scores, t, BLANK)
        for u in range(n_labels):  # in place: a state looks only at those above it
            s = 2 * u
            label, beyond = get(beta, 0, s + 1), get(beta, 0, s + 2)
            jump = get(beta, 0, min(s + 3, last)) + get(of_labels, 1, u + 1)
            after = _log_sum(get(beta, 0, s), label)
            blanks = blanks - _occupied(alpha, t, s, after, totals)
            put(beta, 0, s, after + blank)
            after = _log_sum_of_three(label, beyond, jump)
            put(beta, 0, s + 1, after + get(of_labels, 0, u))
            put(of_labels, 0, u, _occupied(alpha, t, s + 1, after, totals))
        after = get(beta, 0, last)
        blanks = blanks - _occupied(alpha, t, last, after, totals)
        put(beta, 0, last, after + blank)
        put(scores, t, BLANK, blanks)
        for u in range(n_labels):
            for i in range(sizes.shape[1]):
                scores[t, labels[u, i], i] -= of_labels[0, u, i]


@inner
def _give_gradient(d_raw, weight, first, n_steps, scratch):
    """Write the gradient of some lanes, 0 beyond their ends."""
    scores, sizes = scratch[0], scratch[6]
    for t in range(n_steps):
        for k in range(d_raw.shape[1]):
            for i in range(min(sizes.shape[1], d_raw.shape[2] - first)):
                d = 0.0
                if t < sizes[0, i]:
                    d = weight[0, 0, first + i] * scores[t, k, i]
                d_raw[t, k, first + i] = d
