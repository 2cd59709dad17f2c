"""The most likely sequences of tokens that a decoder writes: greedy, or by beams."""

from dataclasses import dataclass

import numpy as np

from skrnn._jit import kernel
from skrnn.generation import decodings


@dataclass(frozen=True)
class Hypothesis:
    """A sequence of tokens that was written.

    Attributes
    ----------
    tokens : ndarray of int64 of shape (n_tokens,)
        Without the end.
    log_probability : float
        Of these tokens, and of the end where there is one.
    score : float
        By which hypotheses are ranked: the log-probability over a power of the length.
    ended : bool
        Whether it came to its end before the last step.
    """

    tokens: np.ndarray
    log_probability: float
    score: float
    ended: bool


def beam_search(
    model,
    data,
    end,
    max_steps,
    *,
    width=1,
    n_best=1,
    length_penalty=1.0,
    never=(),
    n_threads=1,
):
    """Look for the most likely sequences of tokens.

    A beam of width 1 is greedy: it goes on with the most likely token. A wider one
    keeps so many sequences, and ends when none of those it keeps can still become
    better, or as many have come to their end and none of those it keeps would be better
    if it ended, too. Sequences are compared by the log-probability divided by
    ``length ** length_penalty``, the end being counted; with 0 short ones are
    preferred.

    Parameters
    ----------
    model, data, n_threads
        As in `skrnn.generation.follow`.
    end : int
        The token that ends a sequence.
    max_steps : ndarray of int of shape (n_samples,)
        Steps at most, the end among them.
    width, n_best : int, default=1
        Sequences that are kept, and returned.
    length_penalty : float, default=1.0
        At least 0.
    never : sequence of int, default=()
        Tokens that are not written, however likely.

    Returns
    -------
    hypotheses : list of list of Hypothesis
        Of each sample the best, from the best on: those that have ended first, and
        others only where there are too few of these.
    """
    never, results = np.array(never, np.int64), [[] for _ in data.lengths]
    for rows, decoding in decodings(model, data, width, n_threads, True):
        beams = _Beams(max_steps[rows], end, width, n_best, length_penalty)
        fed = None
        while not beams.done.all():
            logs = decoding.step(fed, np.repeat(~beams.done, width))
            logs[:, never] = -np.inf
            beams.extend(logs)
            decoding.reorder(beams.parents())
            fed = beams.tokens[-1].reshape(-1, 1)
        for row, found in zip(rows, beams.best(), strict=True):
            results[row] = found
    return results


class _Beams:
    """The hypotheses of some sources, `width` of each side by side.

    Attributes
    ----------
    scores : ndarray of shape (n_sources, width)
        Log-probabilities of those that live; minus infinity where there is none.
    tokens, origins : list of ndarray of shape (n_sources, width)
        At each step the token, and the place of the hypothesis that it extends.
    done : ndarray of bool of shape (n_sources,)
    """

    def __init__(self, max_steps, end, width, n_best, length_penalty):
        n = len(max_steps)
        self._max_steps, self._end, self._width = max_steps, end, width
        self._n_best, self._length_penalty = n_best, length_penalty
        self.scores = np.full((n, width), -np.inf)
        self.scores[:, 0] = 0.0
        self.tokens, self.origins = [], []
        self.done = np.zeros(n, bool)
        self._ended = [[] for _ in range(n)]

    def extend(self, logs):
        """Go on with the best of all hypotheses of a source and all tokens."""
        n, width = self.scores.shape
        # one of those of a hypothesis may be the end
        shape = n, width, min(width + 1, logs.shape[1])
        tokens, scores = np.empty(shape, np.int64), np.empty(shape)
        n_all = n * width
        _best_tokens(logs, tokens.reshape(n_all, -1), scores.reshape(n_all, -1))
        scores += self.scores[:, :, None]
        scores, tokens = scores.reshape(n, -1), tokens.reshape(n, -1)
        origins = np.arange(scores.shape[1]) // shape[2]
        ends = tokens == self._end
        first = np.argsort(-scores, axis=1, kind="stable")[:, :width]
        for i, at in zip(*self._ending(first, ends, scores), strict=True):
            self._add(i, origins[at], scores[i, at], ended=True)
        living = np.where(ends, -np.inf, scores)
        kept = np.argsort(-living, axis=1, kind="stable")[:, :width]
        self.tokens.append(np.take_along_axis(tokens, kept, axis=1))
        self.origins.append(origins[kept])
        self.scores = np.take_along_axis(living, kept, axis=1)
        for i in (~self.done).nonzero()[0]:
            self._end_if_done(i)

    def _ending(self, first, ends, scores):
        """Return sources and candidates that end among the first of those not done."""
        ending = np.zeros_like(ends)
        np.put_along_axis(ending, first, True, axis=1)
        ending &= ends & np.isfinite(scores) & ~self.done[:, None]
        return ending.nonzero()

    def _normalized(self, log_probability, length):
        return log_probability / length**self._length_penalty

    def _add(self, i, place, log_probability, ended):
        """Note a hypothesis as it is after the steps that were kept so far."""
        tokens = []
        for step in range(len(self.tokens) - 1, -1, -1):
            tokens.append(self.tokens[step][i, place])
            place = self.origins[step][i, place]
        score = self._normalized(log_probability, len(tokens) + ended)
        tokens = np.array(tokens[::-1], np.int64)
        found = Hypothesis(tokens, float(log_probability), float(score), ended)
        self._ended[i].append(found)

    def _end_if_done(self, i):
        n_steps, ended, scores = len(self.tokens), self._ended[i], self.scores[i]
        living = scores[np.isfinite(scores)]
        if n_steps >= self._max_steps[i]:
            for place in range(len(living) if len(ended) < self._n_best else 0):
                self._add(i, place, scores[place], ended=False)
            self.done[i] = True
        elif len(living) == 0:
            self.done[i] = True
        elif len(ended) >= self._n_best:
            best = sorted((found.score for found in ended), reverse=True)
            # at most no further token lowers it; what has ended may be beginnings, each
            # unlikely, of what lives, so that their number alone says nothing
            enough = len(ended) >= self._width
            length = n_steps + 1 if enough else self._max_steps[i]
            bound = self._normalized(living.max(), length)
            greedy = self._width == 1
            self.done[i] = greedy or bound <= best[self._n_best - 1]

    def parents(self):
        """Return for each hypothesis the number of that which it extends."""
        n, width = self.scores.shape
        return (self.origins[-1] + width * np.arange(n)[:, None]).ravel()

    def best(self):
        """Return the best hypotheses of each source."""

        def rank(found):
            return -found.ended, -found.score

        return [sorted(found, key=rank)[: self._n_best] for found in self._ended]


@kernel
def _best_tokens(logs, tokens, best):
    """Write for each row the most likely tokens, and their logarithms, best first.

    Of two that are equally likely the one of the smaller number comes first.
    """
    n_best, n_tokens = best.shape[1], logs.shape[1]
    for i in range(len(logs)):
        for k in range(n_best):
            best[i, k] = -np.inf
            tokens[i, k] = 0
        for token in range(n_tokens):
            value = logs[i, token]
            if value > best[i, n_best - 1]:
                at = n_best - 1
                while at > 0 and value > best[i, at - 1]:
                    best[i, at], tokens[i, at] = best[i, at - 1], tokens[i, at - 1]
                    at -= 1
                best[i, at], tokens[i, at] = value, token
