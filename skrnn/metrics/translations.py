"""BLEU and chrF of translations, by sacrebleu, which is imported when it is needed."""

import reprlib
from itertools import zip_longest
from typing import Any

__all__ = ["bleu", "chrf"]


def bleu(y_true: Any, y_pred: Any, **options: Any) -> float:
    """Return how alike translations and references are, by their words: BLEU [1]_.

    The share of runs of one to four words that are in the reference too, less where
    translations are shorter, over all texts together. sacrebleu computes it, in the
    way that papers compare [2]_: ``pip install "skrnn[text]"``.

    Parameters
    ----------
    y_true : list, 1-D array or Series of str, or list of lists of str
        The references: a text for each sample, or several.
    y_pred : list, 1-D array or Series of str
        The translations.
    **options
        Of ``sacrebleu.metrics.BLEU``, such as ``lowercase=True``, or
        ``tokenize="char"`` for languages that are written without spaces.

    Returns
    -------
    score : float
        From 0 to 100, which is best.

    Raises
    ------
    ImportError
        If sacrebleu is not installed.
    ValueError
        If there is no text, there are not as many of both, or something is none.

    References
    ----------
    .. [1] Papineni, Roukos, Ward and Zhu, "BLEU: a method for automatic evaluation of
       machine translation", ACL 2002.
    .. [2] Post, "A call for clarity in reporting BLEU scores", WMT 2018.

    Examples
    --------
    >>> from skrnn.metrics import bleu
    >>> bleu(["the cat is on the mat"], ["the cat is on a mat"])  # doctest: +SKIP
    53.7284965911771
    """
    return _score("BLEU", y_true, y_pred, options)


def chrf(y_true: Any, y_pred: Any, **options: Any) -> float:
    """Return how alike translations and references are, by their characters: chrF [1]_.

    An F-score of runs of one to six characters, in which recall counts twice as much as
    precision. Unlike BLEU it takes words of the same stem as alike. sacrebleu computes
    it: ``pip install "skrnn[text]"``.

    Parameters
    ----------
    y_true : list, 1-D array or Series of str, or list of lists of str
        The references: a text for each sample, or several.
    y_pred : list, 1-D array or Series of str
        The translations.
    **options
        Of ``sacrebleu.metrics.CHRF``: ``word_order=2`` makes it chrF++.

    Returns
    -------
    score : float
        From 0 to 100, which is best.

    Raises
    ------
    ImportError
        If sacrebleu is not installed.
    ValueError
        If there is no text, there are not as many of both, or something is none.

    References
    ----------
    .. [1] Popović, "chrF: character n-gram F-score for automatic MT evaluation", WMT
       2015.

    Examples
    --------
    >>> from skrnn.metrics import chrf
    >>> chrf(["the cat is on the mat"], ["the cat is on a mat"])  # doctest: +SKIP
    63.22150930299952
    """
    return _score("CHRF", y_true, y_pred, options)


def _score(kind, y_true, y_pred, options):
    try:
        from sacrebleu import metrics
    except ImportError as error:
        raise ImportError(
            f'{kind} is computed by sacrebleu: pip install "skrnn[text]".'
        ) from error
    references = [
        [texts] if isinstance(texts, str) else list(texts)
        for texts in _listed(y_true, "y_true")
    ]
    predictions = _listed(y_pred, "y_pred")
    if len(references) != len(predictions):
        raise ValueError(
            "y_true and y_pred must have as many samples, but they have "
            f"{len(references)} and {len(predictions)}."
        )
    _check_texts([[text] for text in predictions], "y_pred")
    _check_texts(references, "y_true")
    streams = list(zip_longest(*references))  # None where one has fewer
    return float(
        getattr(metrics, kind)(**options).corpus_score(predictions, streams).score
    )


def _listed(texts, name):
    if isinstance(texts, str) or not hasattr(texts, "__len__"):
        one = " Pass one text as [text]." if isinstance(texts, str) else ""
        raise ValueError(
            f"{name} must be a list, 1-D array or Series of texts, got "
            f"{type(texts).__name__}.{one}"
        )
    if not len(texts):
        raise ValueError(f"{name} has no samples.")
    return texts.tolist() if hasattr(texts, "tolist") else list(texts)


def _check_texts(samples, name):
    for sample, texts in enumerate(samples):
        if not texts:
            raise ValueError(f"Sample {sample} of {name} has no reference.")
        for text in texts:
            if not isinstance(text, str):
                raise ValueError(
                    f"{name} must hold texts, but sample {sample} is "
                    f"{reprlib.repr(text)}, of type {type(text).__name__}."
                )
