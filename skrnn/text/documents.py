"""Texts that a language model reads: from what a user passes to ids in a row."""

import numpy as np

from skrnn._samples import held_out_rows
from skrnn.text.tokenizer import PADDING, UNKNOWN, read_texts

# Before each text and after the last: no text has it, for nothing is padded here.
BOUNDARY = PADDING


def listed(X):
    """Return texts, of which one may stand by itself, as a list of str, or raise."""
    texts, _ = read_texts([X] if isinstance(X, str) else X)
    return texts


def ids_of(texts, tokenizer, *, learn=False, may_be_empty=False):
    """Return the ids of each text, arrays of intp.

    Parameters
    ----------
    texts : list of str
    tokenizer : SequenceTokenizer
    learn : bool, default=False
        Whether it is to learn its vocabulary from these texts.
    may_be_empty : bool, default=False
        Whether a text may have no token, and then no id.

    Raises
    ------
    ValueError
        If a text has no token, and may not.
    """
    data = tokenizer.fit_transform(texts) if learn else tokenizer.transform(texts)
    ids = [sample[:, 0].astype(np.intp) for sample in data]
    split = tokenizer._splitter()
    for sample, (found, text) in enumerate(zip(ids, texts, strict=True)):
        # the tokenizer writes an unknown token where there is none
        if len(found) == 1 and found[0] == UNKNOWN and not len(list(split(text))):
            if may_be_empty:
                ids[sample] = found[:0]
                continue
            raise ValueError(f"Text {sample}, {text!r}, has no token: leave it out.")
    return ids


def between(analyzer, texts):
    """Return what stands between tokens of these texts: nothing, or a space.

    Characters hold all of a text. So may the tokens of a callable; where they leave
    spaces out, one is written, as between words.
    """
    if callable(analyzer):
        return "" if all("".join(analyzer(text)) == text for text in texts) else " "
    return "" if analyzer == "char" else " "


def check_same_reading(before, now):
    """Raise `ValueError` if texts were read in another way by an earlier fit.

    Two callables pass for the same one: after a file they are different objects.

    Parameters
    ----------
    before, now : dict
        Parameters of a `SequenceTokenizer`.
    """
    changed = [
        f"{name} was {before[name]!r}, now {now[name]!r}"
        for name in before
        if before[name] != now[name]
        and not (callable(before[name]) and callable(now[name]))
    ]
    if changed:
        raise ValueError(
            f"The vocabulary was learned from texts read in another way: "
            f"{', '.join(changed)}. Call fit, with warm_start=False, to begin again."
        )


def refuse_unknown(ids, texts, tokenizer):
    """Raise `ValueError` for the first token that is not in the vocabulary."""
    for sample, (found, text) in enumerate(zip(ids, texts, strict=True)):
        places = np.flatnonzero(found == UNKNOWN)
        if len(places):
            token = list(tokenizer._splitter()(text))[places[0]]
            raise ValueError(
                f"Text {sample} has the token {token!r} at place {places[0]}, which is "
                'not in the vocabulary. unknown_tokens="ignore" reads it as an unknown '
                "one."
            )


def hold_out(ids, fraction, random_state):
    """Return texts to train on, and others: some of them, or the end of the only one.

    Raises `ValueError` if nothing is left of either.
    """
    if len(ids) == 1:
        (text,) = ids
        n = round(fraction * len(text))
        if not 0 < n < len(text):
            raise ValueError(
                f"validation_fraction={fraction} of {len(text)} tokens leaves nothing "
                "to train on, or nothing to hold out."
            )
        return [text[:-n]], [text[-n:]]
    parts = held_out_rows(len(ids), fraction, random_state)
    return [[ids[row] for row in rows] for rows in parts]


def in_a_row(ids, random_state):
    """Return all ids as float32, with a boundary before each text and after the last.

    Several texts come in an order drawn at random: neighbours may be alike.
    """
    order = random_state.permutation(len(ids)) if len(ids) > 1 else [0]
    boundary = np.array([BOUNDARY])
    parts = [part for i in order for part in (boundary, ids[i])]
    return np.concatenate([*parts, boundary]).astype(np.float32)
