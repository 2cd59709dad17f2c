"""From the probabilities of labels at each frame to transcripts.

What a network learned by connectionist temporal classification says of a frame are
probabilities of the labels and of "blank": see `skrnn.ctc`. Many paths make the same
labels. The greedy transcript is that of the best path; the search looks for the labels
whose paths are best together, and takes a language model into account.
"""

from typing import Any, Protocol

import numpy as np


class LanguageModel(Protocol):
    """What the search asks a language model for: how likely each next label is.

    Logarithms of probabilities come in rows with a column for each class of the
    frames. The column of "blank" is for the end of the text; a model that knows no ends
    has zeros there. A state is whatever the model needs to go on from a prefix.
    """

    def initial(self) -> tuple[np.ndarray, Any]:
        """Return the row of the first label, and the state in which nothing was read.

        Returns
        -------
        log_probabilities : ndarray of shape (n_classes,)
        state : object
        """
        ...

    def advance(self, states: list, labels: np.ndarray) -> tuple[np.ndarray, list]:
        """Read one more label in each of some states, which stay as they are.

        Parameters
        ----------
        states : list of length n
        labels : ndarray of int of shape (n,)

        Returns
        -------
        log_probabilities : ndarray of shape (n, n_classes)
            Of the labels after these.
        states : list of length n
        """
        ...


def greedy_ctc(log_probabilities, lengths, blank=0):
    """Return the labels of the best path of each sequence.

    Parameters
    ----------
    log_probabilities : ndarray of shape (n_frames, n_classes)
        The frames of all sequences, end to end; other scores do as well.
    lengths : ndarray of int of shape (n_sequences,)
        How many frames each sequence has.
    blank : int, default=0
        The class that is no label.

    Returns
    -------
    transcripts : list of ndarray of int
        The labels of each sequence.

    Examples
    --------
    >>> frames = np.eye(3)[[1, 1, 0, 1, 2, 0, 2]]
    >>> greedy_ctc(frames, np.array([5, 2]))
    [array([1, 1, 2]), array([2])]
    """
    best = np.argmax(log_probabilities, axis=1)
    ends = np.cumsum(lengths)
    begins = np.zeros(len(best) + 1, dtype=bool)
    begins[ends - lengths] = True
    repeats = np.zeros(len(best), dtype=bool)
    repeats[1:] = best[1:] == best[:-1]
    kept = (best != blank) & (begins[:-1] | ~repeats)
    n_kept = np.concatenate([[0], np.cumsum(kept)])
    return np.split(best[kept], n_kept[ends - lengths])[1:]


def beam_search_ctc(
    log_probabilities,
    beam_width=16,
    *,
    language_model=None,
    lm_weight=1.0,
    length_bonus=0.0,
    blank=0,
):
    """Return the best transcripts of a sequence: prefix beam search [1]_ [2]_.

    The score of labels is the logarithm of their probability given the frames, plus
    `lm_weight` times that given the language model, plus `length_bonus` for each label.
    The search goes through the frames and keeps the best prefixes; were the beam wide
    enough for all of them, the result would be exact.

    Parameters
    ----------
    log_probabilities : ndarray of shape (n_frames, n_classes)
        Logarithms of the probabilities of the classes at each frame.
    beam_width : int, default=16
        How many prefixes are kept.
    language_model : LanguageModel, default=None
        How likely labels are, whatever was heard.
    lm_weight : float, default=1.0
        What the language model counts.
    length_bonus : float, default=0.0
        What each label counts, against a language model that likes short texts best.
    blank : int, default=0
        The class that is no label.

    Returns
    -------
    transcripts : list of ndarray of int
        The best labels and those after them, at most `beam_width`.
    scores : ndarray of shape (n_transcripts,)

    Raises
    ------
    ValueError
        If `log_probabilities` is not 2-D, has NaN or infinity in it, or has a frame at
        which no kept prefix can go on; if `beam_width` is not a positive integer,
        `lm_weight` is negative or `length_bonus` not finite; if the language model
        gives no row or state for each prefix, no column for each class, NaN or
        infinity, or lets no kept prefix end.

    References
    ----------
    .. [1] Graves, "Sequence transduction with recurrent neural networks", ICML
       workshop on representation learning (2012).
    .. [2] Hannun, Maas, Jurafsky and Ng, "First-pass large vocabulary continuous
       speech recognition using bi-directional recurrent DNNs", arXiv:1408.2873 (2014).

    Examples
    --------
    The best path has no label, yet one label is more likely than none:

    >>> frames = np.log([[0.6, 0.4], [0.6, 0.4]])
    >>> greedy_ctc(frames, np.array([2]))
    [array([], dtype=int64)]
    >>> transcripts, scores = beam_search_ctc(frames)
    >>> transcripts[0], round(float(np.exp(scores[0])), 2)
    (array([1]), 0.64)
    """
    frames = np.asarray(log_probabilities, dtype=np.float64)
    _check_frames(frames, blank)
    if not isinstance(beam_width, int | np.integer) or beam_width < 1:
        raise ValueError(f"beam_width must be an integer >= 1, got {beam_width!r}.")
    if not 0 <= lm_weight < np.inf:
        raise ValueError(f"lm_weight must be a number >= 0, got {lm_weight!r}.")
    if not np.isfinite(length_bonus):
        raise ValueError(f"length_bonus must be finite, got {length_bonus!r}.")
    if language_model is None or lm_weight == 0:
        language_model, lm_weight = _NoModel(frames.shape[1]), 1.0
    n_classes = frames.shape[1]
    beam = _Beam(n_classes, beam_width, language_model, lm_weight, length_bonus, blank)
    for t, frame in enumerate(frames):
        if not beam.go_on(frame):
            raise ValueError(
                f"No prefix can go on at frame {t}: what its probabilities leave, the "
                "language model rules out, or earlier frames do."
            )
    return beam.transcripts()


def _check_frames(frames, blank):
    if frames.ndim != 2:
        raise ValueError(
            "log_probabilities must have the shape (n_frames, n_classes), got "
            f"{frames.shape}. Pass one sequence at a time."
        )
    wrong = np.isnan(frames) | (frames == np.inf)
    if wrong.any():
        t, k = np.argwhere(wrong)[0]
        raise ValueError(
            f"log_probabilities must be finite or -inf, got {frames[t, k]} at frame "
            f"{t}, class {k}."
        )
    if not isinstance(blank, int | np.integer) or not 0 <= blank < frames.shape[1]:
        raise ValueError(
            f"blank must be one of the {frames.shape[1]} classes, got {blank!r}."
        )


class _NoModel:
    """A language model to which all texts are alike."""

    def __init__(self, n_classes):
        self._row = np.zeros(n_classes)

    def initial(self):
        return self._row, None

    def advance(self, states, labels):
        return np.broadcast_to(self._row, (len(states), len(self._row))), states


class _Beam:
    """The prefixes that are kept, and what goes with each of them.

    That is: `by_blank` and `by_label`, the logarithms of the probabilities of its paths
    that end in a blank and in its last label; `last`, that label; `prior`, what
    language model and length count; `rows` and `states` of the language model.

    A prefix is a number, its place in the lists `parents` and `labels` of all prefixes
    there were.
    """

    def __init__(
        self, n_classes, width, language_model, lm_weight, length_bonus, blank
    ):
        self.n_classes = n_classes
        self.width = width
        self.model = language_model
        self.lm_weight = lm_weight
        self.length_bonus = length_bonus
        self.blank = blank
        self.parents, self.labels, self.children = [-1], [blank], {}
        row, state = language_model.initial()
        self.rows, self.states = self._checked([row], 1), [state]
        self.prefixes = [0]
        self.by_blank, self.by_label = np.zeros(1), np.full(1, -np.inf)
        self.last, self.prior = np.array([blank]), np.zeros(1)

    def go_on(self, frame):
        """Read a frame; return whether there is a prefix left."""
        n = len(self.prefixes)
        total = np.logaddexp(self.by_blank, self.by_label)
        by_blank = total + frame[self.blank]
        by_label = self.by_label + frame[self.last]
        longer = total[:, np.newaxis] + frame
        # a label after itself is another one only if there was a blank between
        longer[np.arange(n), self.last] = self.by_blank + frame[self.last]
        longer[:, self.blank] = -np.inf
        self._merge(by_label, longer)
        priors = self.prior[:, np.newaxis] + self.length_bonus
        priors = priors + self.lm_weight * self.rows
        scores = np.concatenate(
            [np.logaddexp(by_blank, by_label) + self.prior, (longer + priors).ravel()]
        )
        best = self._best(scores)
        stay = best[best < n]
        grow, label = np.divmod(best[best >= n] - n, self.n_classes)
        self._extend(stay, grow, label)
        nothing = np.full(len(grow), -np.inf)
        self.by_blank = np.concatenate([by_blank[stay], nothing])
        self.by_label = np.concatenate([by_label[stay], longer[grow, label]])
        self.last = np.concatenate([self.last[stay], label])
        self.prior = np.concatenate([self.prior[stay], priors[grow, label]])
        return len(best) > 0

    def _checked(self, rows, n):
        """Return the rows that the language model gave for so many prefixes."""
        rows, shape = np.asarray(rows, np.float64), (n, self.n_classes)
        if rows.shape != shape:
            raise ValueError(
                "The language model must give a row for each prefix, with a column for "
                f"each class: {shape}. It gave the shape {rows.shape}."
            )
        wrong = np.isnan(rows) | (rows == np.inf)
        if wrong.any():
            raise ValueError(
                f"The language model gave {rows[wrong][0]} for a log-probability: it "
                "must be finite or -inf."
            )
        return rows

    def _merge(self, by_label, longer):
        """Add to a prefix that is there the paths by which another one becomes it."""
        place = {prefix: i for i, prefix in enumerate(self.prefixes)}
        for i, prefix in enumerate(self.prefixes):
            parent = place.get(self.parents[prefix])
            if parent is not None:
                label = self.labels[prefix]
                by_label[i] = np.logaddexp(by_label[i], longer[parent, label])
                longer[parent, label] = -np.inf

    def _best(self, scores):
        """Return the places of the best scores, as many as there is room for."""
        possible = np.flatnonzero(scores > -np.inf)
        if len(possible) <= self.width:
            return possible
        scores = scores[possible]
        return possible[np.argpartition(-scores, self.width - 1)[: self.width]]

    def _extend(self, stay, grow, labels):
        """Keep some prefixes, and take some with one more label."""
        prefixes = [self.prefixes[i] for i in stay]
        for i, label in zip(grow.tolist(), labels.tolist(), strict=True):
            key = self.prefixes[i], label
            if key not in self.children:
                self.children[key] = len(self.parents)
                self.parents.append(key[0])
                self.labels.append(label)
            prefixes.append(self.children[key])
        self.prefixes = prefixes
        states = [self.states[i] for i in stay]
        rows = self.rows[stay]
        if len(grow):
            new, after = self.model.advance([self.states[i] for i in grow], labels)
            rows = np.concatenate([rows, self._checked(new, len(grow))])
            if len(after) != len(grow):
                raise ValueError(
                    f"The language model must give a state for each of {len(grow)} "
                    f"prefixes. It gave {len(after)}."
                )
            states.extend(after)
        self.rows, self.states = rows, states

    def transcripts(self):
        """Return the labels of all prefixes, the best first, and their scores."""
        scores = np.logaddexp(self.by_blank, self.by_label) + self.prior
        scores = scores + self.lm_weight * self.rows[:, self.blank]
        if scores.max() == -np.inf:
            raise ValueError(
                "The language model lets none of the prefixes that are kept come to an "
                "end: try a larger beam_width."
            )
        order = np.argsort(-scores, kind="stable")
        return [self._spelled(self.prefixes[i]) for i in order], scores[order]

    def _spelled(self, prefix):
        labels = []
        while prefix:
            labels.append(self.labels[prefix])
            prefix = self.parents[prefix]
        return np.array(labels[::-1], dtype=np.int64)
