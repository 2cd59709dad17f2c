"""A fitted language model as the search for transcripts asks for it."""

import reprlib

import numpy as np

from skrnn._deferred import Stream, network_of
from skrnn.text.language_model import BOUNDARY
from skrnn.text.tokenizer import UNKNOWN

_CHANNEL = np.zeros(1, np.float32), np.ones(1, np.float32)


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
        body, self._parameters = model._body()
        self._network = network_of(body)
        self._head = model._head()
        self._streams = {}

    def initial(self):
        """Return the row of the first symbol, and the state before it."""
        start = np.array([BOUNDARY])
        rows, states = self._read(self._stream(1).initial[np.newaxis], start)
        return rows[0], states[0]

    def advance(self, states, labels):
        """Read one more symbol in each state; return the rows of the next ones."""
        return self._read(np.stack(states), self._ids[labels])

    def _read(self, states, ids):
        n = len(ids)
        n_streams = 1 << (n - 1).bit_length()  # few sizes, so that few are made
        x = np.zeros((n_streams, 1), np.float32)
        before = np.zeros((n_streams, states.shape[1]), states.dtype)
        x[:n, 0], before[:n] = ids, states
        hidden, after = self._stream(n_streams).advance(x, before)
        rows = self._head.log_probabilities(hidden[:n])[:, self._ids]
        if not self._closes:
            rows[:, 0] = 0.0
        return rows.astype(np.float64), list(after[:n])

    def _stream(self, n):
        if n not in self._streams:
            self._streams[n] = Stream(self._network, self._parameters, *_CHANNEL, n)
        return self._streams[n]


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
