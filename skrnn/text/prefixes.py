"""A fitted language model as the search for transcripts asks for it."""

import reprlib

import numpy as np

from skrnn.text.documents import BOUNDARY
from skrnn.text.tokenizer import UNKNOWN


class PrefixModel:
    """How likely each next symbol of a transcript is: a `skrnn.decoding.LanguageModel`.

    Class 0 is the end of the text, if the language model knows ends, and the others are
    the symbols.

    Parameters
    ----------
    model : RNNLanguageModel
        Fitted.
    symbols : ndarray of shape (n_symbols,)
        Characters, or labels that are words to the model.
    is_text : bool
        Whether they are characters.

    Raises
    ------
    ValueError
        If the model's tokens are not of that kind, it knows none of the symbols, or one
        is not known to it and ``unknown_tokens="error"``.
    """

    def __init__(self, model, symbols, is_text):
        self._ids = np.append(BOUNDARY, _ids_of(model, symbols, is_text))
        self._closes = model._closes
        self._next_token = model._next_token()

    def initial(self):
        """Return the row of the first symbol, and the state before it."""
        hidden, states = self._next_token.begin([])
        return self._rows(hidden)[0], states[0]

    def advance(self, states, labels):
        """Read one more symbol in each state; return the rows of the next ones."""
        n = len(states)
        n_streams = 1 << (n - 1).bit_length()  # few numbers: each has its buffers
        tokens = np.zeros(n_streams, np.intp)
        before = np.zeros((n_streams, len(states[0])), states[0].dtype)
        tokens[:n], before[:n] = self._ids[labels], states
        hidden, after = self._next_token.advance(tokens, before)
        return self._rows(hidden[:n]), list(after[:n])

    def _rows(self, hidden):
        rows = self._next_token.log_probabilities(hidden)[:, self._ids]
        if not self._closes:
            rows[:, 0] = 0.0
        return rows


def _ids_of(model, symbols, is_text):
    """Return which token of the model each symbol is."""
    if (model.analyzer == "char") != is_text:
        raise ValueError(
            f"The language model has analyzer={model.analyzer!r}, but transcripts are "
            f"{'texts' if is_text else 'lists of labels'}: characters need "
            'analyzer="char", labels "word".'
        )
    split, vocabulary = model.tokenizer_._splitter(), model.vocabulary_
    tokens = [split(str(symbol)) for symbol in symbols.tolist()]
    ids = [
        vocabulary.get(found[0], UNKNOWN) if len(found) == 1 else UNKNOWN
        for found in tokens
    ]
    unknown = symbols[np.array(ids) == UNKNOWN]
    if len(unknown) == len(symbols) or (
        len(unknown) and model.unknown_tokens == "error"
    ):
        raise ValueError(
            f"The language model does not know {reprlib.repr(unknown.tolist())}, which "
            f"transcripts are made of. Its tokens are such as "
            f"{list(vocabulary)[:5]}."
        )
    return np.array(ids)
