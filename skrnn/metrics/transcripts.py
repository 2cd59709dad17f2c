"""Error rates of transcripts: edits per character, or per word, of the truth."""

import reprlib
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import _check_sample_weight

__all__ = ["character_error_rate", "word_error_rate"]


def character_error_rate(
    y_true: Any, y_pred: Any, *, sample_weight: ArrayLike | None = None
) -> float:
    """Return how many edits a character of the truth needs on average: the CER.

    The fewest insertions, deletions and substitutions of characters that make `y_true`
    of `y_pred`, over all texts, divided by the characters of `y_true` [1]_. So a long
    text counts for more than a short one.

    Parameters
    ----------
    y_true, y_pred : list, tuple, 1-D array or Series of str
        The texts, and what was predicted. Spaces are characters; capitals and other
        letters differ, and so do letters with an accent from those without. An empty
        text may be among them.
    sample_weight : array-like of shape (n_samples,), default=None
        A weight for each text: for its edits and for its characters.

    Returns
    -------
    rate : float
        0 is best. Above 1 if more was predicted than there is.

    Raises
    ------
    ValueError
        If `y_true` and `y_pred` are not texts, or not as many, or if `y_true` has no
        character that counts.

    See Also
    --------
    word_error_rate : The same for words, or for labels of any kind.

    References
    ----------
    .. [1] Jurafsky and Martin, "Speech and language processing", draft of the third
       edition, on the evaluation of speech recognition.

    Examples
    --------
    >>> from skrnn.metrics import character_error_rate
    >>> character_error_rate(["three four", "one"], ["tree four", "own"])
    0.23076923076923078
    """
    pairs = _read(y_true, "y_true", _characters), _read(y_pred, "y_pred", _characters)
    return _error_rate(*pairs, sample_weight, "character")


def word_error_rate(
    y_true: Any, y_pred: Any, *, sample_weight: ArrayLike | None = None
) -> float:
    """Return how many edits a word of the truth needs on average: the WER.

    The fewest insertions, deletions and substitutions of words that make `y_true` of
    `y_pred`, over all texts, divided by the words of `y_true` [1]_. So a long text
    counts for more than a short one.

    Parameters
    ----------
    y_true, y_pred : list, tuple, Series, 1-D array, or 2-D array of labels
        The texts, and what was predicted: each a str, whose words are what white space
        parts, or a list or array of words, or of labels of any other kind.
    sample_weight : array-like of shape (n_samples,), default=None
        A weight for each text: for its edits and for its words.

    Returns
    -------
    rate : float
        0 is best. Above 1 if more was predicted than there is.

    Raises
    ------
    ValueError
        If `y_true` and `y_pred` are not texts, or not as many, or if `y_true` has no
        word that counts.

    See Also
    --------
    character_error_rate : The same for characters.

    References
    ----------
    .. [1] Jurafsky and Martin, "Speech and language processing", draft of the third
       edition, on the evaluation of speech recognition.

    Examples
    --------
    >>> from skrnn.metrics import word_error_rate
    >>> word_error_rate(["three four", "one"], ["three for", "one"])
    0.3333333333333333
    >>> word_error_rate([[3, 4], [1]], [[3, 4], [1, 1, 2]])
    0.6666666666666666
    """
    pairs = _read(y_true, "y_true", _words), _read(y_pred, "y_pred", _words)
    return _error_rate(*pairs, sample_weight, "word")


def _error_rate(true, pred, sample_weight, unit):
    if len(true) != len(pred):
        raise ValueError(
            "y_true and y_pred must have as many samples, but they have "
            f"{len(true)} and {len(pred)}."
        )
    lengths = np.array([len(units) for units in true])
    weights = _check_sample_weight(
        sample_weight, lengths, dtype=np.float64, ensure_non_negative=True
    )
    n_units = weights @ lengths
    if n_units == 0:
        raise ValueError(f"Nothing is left to score: y_true has no {unit} that counts.")
    return float(weights @ _edit_distances(true, pred) / n_units)


def _edit_distances(true, pred):
    """Return the number of edits of each pair of lists."""
    # imported here, for numba takes a quarter of a second
    from skrnn.metrics.edits import edit_distances

    ids: dict = {}
    (a, a_ends), (b, b_ends) = _numbered(true, ids), _numbered(pred, ids)
    row = np.zeros(1 + max(map(len, pred)), np.int64)
    distances = np.zeros(len(true), np.int64)
    edit_distances(a, a_ends, b, b_ends, row, distances)
    return distances


def _numbered(sequences, ids):
    """Return the units of all sequences as numbers, and where each sequence ends."""
    numbers = [ids.setdefault(unit, len(ids)) for units in sequences for unit in units]
    ends = np.cumsum([len(units) for units in sequences])
    return np.array(numbers, np.int64), ends.astype(np.int64)


# --- reading --------------------------------------------------------------------------


def _read(texts, name, units_of):
    """Return the units of each text as a list of sequences."""
    if not isinstance(texts, list | tuple):
        n_axes = getattr(texts, "ndim", None)
        # of as many labels each
        is_rows = n_axes == 2 and texts.shape[1] > 1 and units_of is _words
        if isinstance(texts, str) or not (n_axes == 1 or is_rows):
            one = " Pass one text as [text]." if isinstance(texts, str) else ""
            raise ValueError(
                f"{name} must be a list, tuple, 1-D array or Series of texts, got "
                f"{type(texts).__name__}.{one}"
            )
        texts = np.asarray(texts).tolist()
    if not len(texts):
        raise ValueError(f"{name} has no samples.")
    return [units_of(text, name, sample) for sample, text in enumerate(texts)]


def _characters(text, name, sample):
    if not isinstance(text, str):
        raise ValueError(
            f"{name} must hold texts, but sample {sample} is {reprlib.repr(text)}, of "
            f"type {type(text).__name__}. For lists of labels there is word_error_rate."
        )
    return text


def _words(text, name, sample):
    if isinstance(text, str):
        return text.split()
    if isinstance(text, bytes | dict | set) or not isinstance(text, Iterable):
        raise ValueError(
            f"{name} must hold texts or lists of words, but sample {sample} is "
            f"{reprlib.repr(text)}, of type {type(text).__name__}."
        )
    words = text.tolist() if hasattr(text, "tolist") else list(text)
    for word in words if isinstance(words, list) else [words]:
        if not isinstance(word, Hashable):
            raise ValueError(
                f"The words of {name} must be single values, but sample {sample} holds "
                f"{reprlib.repr(word)}."
            )
    return words
