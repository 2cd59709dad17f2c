"""The two sides of a pair, what is read and what is written: texts, or numbers."""

from numbers import Number

import numpy as np

from skrnn.scaling import channel_statistics
from skrnn.sequences import PaddedData, Sequences, check_sequences, of_steps
from skrnn.sequences.frames import is_pandas
from skrnn.text.documents import (
    BOUNDARY,
    between,
    check_same_reading,
    ids_of,
    refuse_unknown,
)
from skrnn.text.spacing import SpacedWords
from skrnn.text.tokenizer import SequenceTokenizer, read_texts

# What ends a written text.
END = BOUNDARY


def holds_texts(values):
    """Whether a list, an array, a Series or a frame of one column holds texts."""
    if isinstance(values, str):  # which is then said to be one text, not several
        return True
    if is_pandas(values, "DataFrame"):
        return values.shape[1] == 1 and holds_texts(values.iloc[:, 0])
    if isinstance(values, Sequences) or getattr(values, "ndim", 1) != 1:
        return False
    if is_pandas(values, "Series"):
        return values.index.nlevels == 1 and any(
            isinstance(value, str) for value in values
        )
    if not isinstance(values, list | tuple | np.ndarray):
        return False
    return any(isinstance(value, str) for value in values)


def is_one_number_each(values):
    """Whether a list, an array or a Series holds numbers themselves."""
    if is_pandas(values, "Series"):
        from pandas.api.types import is_numeric_dtype

        return values.index.nlevels == 1 and is_numeric_dtype(values)
    if isinstance(values, np.ndarray):
        return values.ndim == 1 and values.dtype.kind in "biuf"
    return isinstance(values, list | tuple) and all(
        isinstance(value, Number) for value in values
    )


class Texts:
    """Texts as sequences of ids, and back.

    Parameters
    ----------
    analyzer : {"char", "word"} or callable
    written : bool
        Whether tokens shall come back as a text: words then keep what is before them.
    lowercase : bool
    token_pattern : str
    max_features : int or None
    min_frequency : int

    Attributes
    ----------
    reading : dict
        How texts are read, as it was given.
    tokenizer : SequenceTokenizer
    n_tokens : int
        Size of the vocabulary.
    counts : ndarray of int of shape (n_tokens,)
        How often each token was seen in training, and the end.
    """

    is_text = True
    n_channels = 1

    def __init__(
        self, analyzer, written, lowercase, token_pattern, max_features, min_frequency
    ):
        self.reading = {
            "analyzer": analyzer,
            "lowercase": lowercase,
            "token_pattern": token_pattern,
            "max_features": max_features,
            "min_frequency": min_frequency,
        }
        self.tokenizer = SequenceTokenizer(**self.reading)
        if written and analyzer == "word":
            self.tokenizer.analyzer = SpacedWords(token_pattern, lowercase)
        self._is_written = written

    def check_same(self, other):
        """Raise `ValueError` if other texts would be read in another way."""
        check_same_reading(self.reading, other.reading)

    def learn(self, values):
        """Learn the vocabulary; return as `read`."""
        texts, index = self._listed(values)
        ids = ids_of(texts, self.tokenizer, learn=True)
        self.n_tokens = self.tokenizer.n_tokens_
        self._strings = ["", "\ufffd", *self.tokenizer.vocabulary_]
        self.counts = np.bincount(np.concatenate(ids), minlength=self.n_tokens)
        self.counts[END] = len(ids)
        analyzer = self.tokenizer.analyzer
        if isinstance(analyzer, SpacedWords):
            self._join = analyzer.join
        else:
            self._join = between(analyzer, texts).join
        return self.data_of(ids, index)

    def read(self, values, unknown_tokens="ignore", may_be_empty=False):
        """Return texts as a data set of ids, the end among them if they are written.

        Raises
        ------
        ValueError
            If these are no texts, one has no token unless it `may_be_empty`, or with
            ``unknown_tokens="error"`` one that is not in the vocabulary.
        """
        is_empty = isinstance(values, list | tuple) and not values
        if not is_empty and not holds_texts(values):
            raise ValueError(
                "The model was fitted to texts, but these are none: got "
                f"{_described(values)}."
            )
        texts, index = self._listed(values)
        ids = ids_of(texts, self.tokenizer, may_be_empty=may_be_empty)
        if unknown_tokens == "error":
            refuse_unknown(ids, texts, self.tokenizer)
        return self.data_of(ids, index)

    def data_of(self, ids, index=None):
        """Return the data set of texts whose ids, without the end, are known."""
        if self._is_written:
            ids = [np.append(found, END) for found in ids]
        lengths = np.array([len(found) for found in ids])
        values = np.concatenate(ids).astype(np.float32)[:, np.newaxis]
        return Sequences._of(values, lengths.cumsum() - lengths, lengths, index, None)

    def scaling(self, dtype):
        """Return mean and inverse scale of the channel: ids stay as they are."""
        return np.zeros(1, dtype), np.ones(1, dtype)

    def text_of(self, ids):
        """Return the text of ids, without that of the end."""
        return self._join([self._strings[i] for i in ids])

    def normalized(self, values):
        """Return texts as they would be written: in lowercase, say."""
        split = self.tokenizer._splitter()
        return [self._join(list(split(text))) for text in self._listed(values)[0]]

    def _listed(self, values):
        texts, index = read_texts(values, "y" if self._is_written else "X")
        return list(texts), index

    def labels(self, data):
        """Return what stands for each token of each text in a drawing."""
        tokens = [[self._strings[int(i)] for i in ids[:, 0]] for ids in data]
        return [[token.strip() or token for token in text] for text in tokens]


class Numbers:
    """Sequences of numbers, brought to mean 0 and standard deviation 1.

    Parameters
    ----------
    keeper : estimator
        Gets the attributes that `check_sequences` sets; errors have its name.

    Attributes
    ----------
    n_channels : int
    mean, scale : ndarray of shape (n_channels,)
    dtype : dtype
        Of what was learned from.
    """

    is_text = False
    n_tokens = 0

    def __init__(self, keeper):
        self.keeper = keeper

    def check_same(self, other):
        """Do nothing: other numbers are refused for their channels."""

    def learn(self, values):
        """Learn the scales; return as `read`."""
        data = check_sequences(self.keeper, values, reset=True)
        self.n_channels, self.dtype = data.n_channels, data.dtype
        self.mean, self.scale = channel_statistics(data)
        self.scale[self.scale < np.finfo(data.dtype).tiny] = 1.0
        # the form in which predictions come
        self._is_array, self._n_axes = isinstance(data, PaddedData), 2
        if self._is_array:
            self._n_axes = np.ndim(values) - 1
        elif not isinstance(values, Sequences) and not hasattr(values, "iloc"):
            self._n_axes = np.ndim(values[0])
        return data

    def read(self, values, unknown_tokens=None, may_be_empty=False):
        """Return sequences of numbers as a data set.

        Raises
        ------
        ValueError
            If these are none, not finite, or have other channels than in fit.
        """
        if holds_texts(values):
            raise ValueError(
                "The model was fitted to sequences of numbers, but these are texts."
            )
        return check_sequences(self.keeper, values, reset=False)

    def scaling(self, dtype):
        """Return mean and inverse scale of the channels."""
        return self.mean.astype(dtype), (1.0 / self.scale).astype(dtype)

    def standardized(self, data):
        """Return a data set as the network is to write it."""
        values = (data.take(slice(None)) - self.mean) / self.scale
        return of_steps(values, data.lengths)

    def labels(self, data):
        """Return the numbers of the steps of each sequence."""
        return [list(range(n)) for n in data.lengths]

    def as_given(self, written):
        """Return what was written in the form and to the scale of the targets in fit.

        Parameters
        ----------
        written : list of ndarray of shape (n_steps, n_channels)
        """
        scaled = [part * self.scale + self.mean for part in written]
        if self._n_axes == 1:
            scaled = [part[:, 0] for part in scaled]
        if self._is_array and len({len(part) for part in scaled}) == 1:
            return np.stack(scaled)
        return scaled


def _described(values):
    shape = getattr(values, "shape", None)
    kind = type(values).__name__
    if shape is not None:
        return f"{kind} of shape {shape}"
    if isinstance(values, list | tuple):
        return f"{kind} of {type(values[0]).__name__}"
    return kind
