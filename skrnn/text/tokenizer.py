"""Texts to sequences of token ids, and back."""

import re
import reprlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import repeat
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skrnn.callbacks import CallbackSupportMixin, with_callbacks
from skrnn.sequences import Sequences
from skrnn.sequences.frames import is_pandas

PADDING, UNKNOWN = 0, 1  # the ids that are no token of the vocabulary
N_RESERVED = 2
MAX_IDS = 2**24  # float32 holds every integer up to here


class SequenceTokenizer(CallbackSupportMixin, TransformerMixin, BaseEstimator):
    r"""Turn each text into a sequence of numbers, one for each character or word.

    The vocabulary is learned from the training texts. The numbers are ids: they name
    tokens and have no order or size of their own. Id 0 is never used, so that it can
    pad; id 1 stands for all tokens that are not in the vocabulary.

    A text without tokens, such as an empty one, becomes a single unknown token, because
    a sequence needs a step.

    Parameters
    ----------
    analyzer : {"char", "word"} or callable, default="char"
        What the tokens are. "char": the characters (code points), white space
        included and, unlike in
        :class:`~sklearn.feature_extraction.text.CountVectorizer`, left as it is.
        "word": the matches of `token_pattern`. A callable gets the raw text and
        returns its tokens, a list of str.
    lowercase : bool, default=False
        Convert to lowercase first. Ignored if `analyzer` is callable.
    strip_accents : {"ascii", "unicode"} or callable, default=None
        Remove accents, after `lowercase`: "ascii" drops what then is not ASCII,
        "unicode" works for any characters. A callable maps a text to a text, for
        example ``functools.partial(unicodedata.normalize, "NFC")``, which composes
        letters and their combining marks. None changes nothing. Ignored if `analyzer`
        is callable.
    token_pattern : str, default=r"\w+|[^\w\s]"
        Regular expression that says what a token is if ``analyzer="word"``. The
        default takes words of one letter or more, and every other character that is
        not white space as a token of its own. If there is a capturing group, its
        content is the token; at most one is allowed.
    max_features : int, default=None
        Keep so many tokens, those that are most frequent in the training texts. The
        two reserved ids are not counted. None keeps all.
    min_frequency : int, default=1
        Keep tokens that occur at least so often in the training texts. With 2 or more
        there are unknown tokens in the training data too, so that a network learns
        what to make of them.
    max_length : int, default=None
        Cut every text off after its first so many tokens, in `fit` too: what is cut
        off is not counted. None keeps all.
    unknown_token : str, default="\ufffd"
        What `inverse_transform` writes for an unknown token.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        The id of each token, from 2 on, by falling frequency in the training texts.
        Of equally frequent tokens the smaller string comes first.
    n_tokens_ : int
        The number of ids, which is ``len(vocabulary_) + 2``.

    See Also
    --------
    sklearn.feature_extraction.text.CountVectorizer : Counts tokens, without order.

    Examples
    --------
    >>> from skrnn.text import SequenceTokenizer
    >>> tokenizer = SequenceTokenizer().fit(["anna", "nina"])
    >>> tokenizer.vocabulary_
    {'n': 2, 'a': 3, 'i': 4}
    >>> X = tokenizer.transform(["ian", "anton"])
    >>> X
    Sequences(n_samples=2, n_channels=1, lengths=3..5)
    >>> X[1].ravel()
    array([3., 2., 1., 1., 2.], dtype=float32)
    >>> tokenizer.set_params(unknown_token="?").inverse_transform(X)
    ['ian', 'an??n']
    """

    _parameter_constraints: dict = {
        "analyzer": [StrOptions({"char", "word"}), callable],
        "lowercase": ["boolean"],
        "strip_accents": [StrOptions({"ascii", "unicode"}), None, callable],
        "token_pattern": [str],
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "min_frequency": [Interval(Integral, 1, None, closed="left")],
        "max_length": [Interval(Integral, 1, None, closed="left"), None],
        "unknown_token": [str],
    }

    def __init__(
        self,
        analyzer: str | Callable = "char",
        *,
        lowercase: bool = False,
        strip_accents: str | Callable | None = None,
        token_pattern: str = r"\w+|[^\w\s]",
        max_features: int | None = None,
        min_frequency: int = 1,
        max_length: int | None = None,
        unknown_token: str = "\ufffd",
    ) -> None:
        self.analyzer = analyzer
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.token_pattern = token_pattern
        self.max_features = max_features
        self.min_frequency = min_frequency
        self.max_length = max_length
        self.unknown_token = unknown_token

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the vocabulary.

        Parameters
        ----------
        X : list, tuple or 1-D array of str, Series, or DataFrame of one column
            The texts.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted tokenizer.

        Raises
        ------
        ValueError
            If `X` is not a set of texts, if none of their tokens is kept, or if there
            are more than 2**24 ids, which float32 does not tell apart.
        """
        self.fit_transform(X)
        return self

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X: Any, y: Any = None) -> Sequences:
        """Learn the vocabulary and return the ids of the texts' tokens.

        The same as `fit` and then `transform`, but each text is split only once.

        Parameters
        ----------
        X : list, tuple or 1-D array of str, Series, or DataFrame of one column
            The texts.
        y : None
            Ignored.

        Returns
        -------
        ids : Sequences of n_samples float32 arrays of shape (length, 1)
            As of :meth:`transform`.

        Raises
        ------
        ValueError
            As :meth:`fit`.
        """
        context = self._init_callback_context()
        context.call_on_fit_task_begin(estimator=self, X=X)
        ids = self._learn(*read_texts(X))
        context.call_on_fit_task_end(estimator=self, X=X)
        return ids

    def _learn(self, texts, index):
        """Set the vocabulary; give the ids of the tokens it was learned from."""
        numbers = defaultdict()
        numbers.default_factory = numbers.__len__  # a new token gets the next number
        found, lengths = self._flatten(
            texts, lambda tokens: map(numbers.__getitem__, tokens)
        )
        kept = self._select(list(numbers), np.bincount(found).tolist())
        self.vocabulary_ = {token: i for i, token in enumerate(kept, start=N_RESERVED)}
        self.n_tokens_ = len(kept) + N_RESERVED
        ids = [self.vocabulary_.get(token, UNKNOWN) for token in numbers]
        values = np.array(ids, dtype=np.float32)[found]
        return _as_sequences(values, lengths, index)

    def transform(self, X: Any) -> Sequences:
        """Replace the tokens of the texts by their ids.

        Parameters
        ----------
        X : list, tuple or 1-D array of str, Series, or DataFrame of one column
            The texts.

        Returns
        -------
        ids : Sequences of n_samples float32 arrays of shape (length, 1)
            The ids; ``ids.index`` holds the labels of a Series or DataFrame.

        Raises
        ------
        ValueError
            If `X` is not a set of texts.
        """
        check_is_fitted(self)
        texts, index = read_texts(X)
        id_of = self.vocabulary_.get
        ids, lengths = self._flatten(
            texts, lambda tokens: map(id_of, tokens, repeat(UNKNOWN))
        )
        return _as_sequences(ids.astype(np.float32), lengths, index)

    def inverse_transform(self, X: Any) -> list[str]:
        """Put the tokens together again.

        Characters are joined as they are, other tokens with a space between them. What
        `transform` has left out, or made alike, does not come back.

        Parameters
        ----------
        X : Sequences or iterable of array-like of shape (length, 1) or (length,)
            Ids. Those of padding, 0, are skipped.

        Returns
        -------
        texts : list of str
            A text for each sample.

        Raises
        ------
        ValueError
            If `X` is not a set of sequences of one channel, or a value is no id.
        """
        check_is_fitted(self)
        data = X if isinstance(X, Sequences) else Sequences(X)
        ids = _check_ids(data, self.n_tokens_)
        tokens = ["", self.unknown_token, *self.vocabulary_]
        join = "".join if self.analyzer == "char" else " ".join
        ends = np.cumsum(data.lengths)
        bounds = zip((ends - data.lengths).tolist(), ends.tolist(), strict=True)
        return [
            join(tokens[i] for i in ids[start:end] if i != PADDING)
            for start, end in bounds
        ]

    def _flatten(self, texts, numbered):
        """Number the tokens, text after text; tell how many each text has."""
        split = self._splitter()
        found = array("i")
        lengths = np.empty(len(texts), dtype=np.int64)
        for sample, text in enumerate(texts):
            tokens = split(text)
            if callable(self.analyzer):
                tokens = _check_tokens(tokens, sample)
            tokens = tokens[: self.max_length]
            lengths[sample] = len(tokens)
            found.extend(numbered(tokens))
        return np.array(found, dtype=np.intc), lengths

    def _splitter(self):
        """Return a function from a text to its tokens, as a list or as one str."""
        if callable(self.analyzer):
            return self.analyzer
        normalize = self._normalizer()
        if self.analyzer == "char":
            return normalize
        pattern = re.compile(self.token_pattern)
        if pattern.groups > 1:
            raise ValueError(
                "token_pattern may have one capturing group, but "
                f"{self.token_pattern!r} has {pattern.groups}. Write (?:...) for a "
                "group that does not capture."
            )
        return lambda text: pattern.findall(normalize(text))

    def _normalizer(self):
        """Return the function that lowercases and strips accents, if asked to."""
        strip = self.strip_accents
        if isinstance(strip, str):
            # Imported here, for few need it and it takes a while.
            from sklearn.feature_extraction.text import (
                strip_accents_ascii,
                strip_accents_unicode,
            )

            strip = strip_accents_ascii if strip == "ascii" else strip_accents_unicode
        if strip is None:
            return str.lower if self.lowercase else str
        return (lambda text: strip(text.lower())) if self.lowercase else strip

    def _select(self, tokens, counts):
        """Give the tokens to keep, in the order of their ids."""
        if not tokens:
            raise ValueError("X has no tokens: all texts are empty or without a token.")
        frequent = [
            (-count, token)
            for token, count in zip(tokens, counts, strict=True)
            if count >= self.min_frequency
        ]
        if not frequent:
            raise ValueError(
                f"No token of X occurs min_frequency={self.min_frequency} times; the "
                f"most frequent one occurs {max(counts)} times."
            )
        kept = [token for _, token in sorted(frequent)[: self.max_features]]
        if len(kept) + N_RESERVED > MAX_IDS:
            raise ValueError(
                f"X has {len(kept)} different tokens, more than the "
                f"{MAX_IDS - N_RESERVED} that float32 can tell apart. Set max_features "
                "or min_frequency."
            )
        return kept

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _as_sequences(values, lengths, index):
    """Lay ids end to end, with an unknown token where a text has none."""
    starts = np.cumsum(lengths) - lengths
    if not lengths.all():
        values = np.insert(values, starts[lengths == 0], UNKNOWN)
        lengths = np.maximum(lengths, 1)
        starts = np.cumsum(lengths) - lengths
    return Sequences._of(values[:, np.newaxis], starts, lengths, index, None)


def read_texts(X, name="X"):
    """Give the texts as a list of str, and their labels if they have any."""
    if is_pandas(X, "DataFrame"):
        if X.shape[1] != 1:
            raise ValueError(
                f"{name} must be one column of texts, but the DataFrame has the "
                f"columns {list(X.columns)}. Pass one of them."
            )
        X = X.iloc[:, 0]
    index = X.index if is_pandas(X, "Series") else None
    texts = X if isinstance(X, list | tuple) else _listed(X, name)
    if len(texts) == 0:
        raise ValueError("Found 0 samples while a minimum of 1 is required.")
    for sample, text in enumerate(texts):
        if not isinstance(text, str):
            label = "" if index is None else f" (label {index[sample]!r})"
            raise ValueError(
                f"{name} must hold texts, but sample {sample}{label} is "
                f"{reprlib.repr(text)}, of type {type(text).__name__}. Decode bytes, "
                "and leave out or fill what is missing."
            )
    return texts, index


def _listed(X, name):
    """List the items of a 1-D array, of NumPy or pandas."""
    n_axes = getattr(X, "ndim", None)
    if n_axes == 1 and hasattr(X, "tolist"):
        return X.tolist()
    if n_axes is not None and n_axes > 1:
        raise ValueError(
            f"{name} must be 1-D, with one text a sample, but its shape is {X.shape}. "
            "Pass one column, such as the first, [:, 0]."
        )
    one = " Pass one text as [text]." if isinstance(X, str) else ""
    raise ValueError(
        f"{name} must be a list, tuple or 1-D array of str, a Series, or a DataFrame "
        f"of one column, got {type(X).__name__}.{one}"
    )


def _check_tokens(tokens, sample):
    """Return as a list the tokens that a callable analyzer has given."""
    if isinstance(tokens, str) or not isinstance(tokens, Iterable):
        raise ValueError(
            f"analyzer must return a list of str, but for sample {sample} it returned "
            f"{reprlib.repr(tokens)}, of type {type(tokens).__name__}."
        )
    tokens = list(tokens)
    for token in tokens:
        if not isinstance(token, str):
            raise ValueError(
                f"analyzer must return a list of str, but for sample {sample} it holds "
                f"{reprlib.repr(token)}, of type {type(token).__name__}."
            )
    return tokens


def _check_ids(data, n_tokens):
    """Return the ids of all steps as a list of int, sample after sample."""
    if data.n_channels != 1:
        raise ValueError(f"Ids have 1 channel, but X has {data.n_channels}.")
    values = data.take(slice(None))[:, 0]
    valid = (values >= 0) & (values < n_tokens) & (values == np.trunc(values))
    if not valid.all():
        step = int(valid.argmin())
        ends = np.cumsum(data.lengths)
        sample = int(np.searchsorted(ends, step, side="right"))
        place = step - ends[sample] + data.lengths[sample]
        raise ValueError(
            f"{values[step]} is no id: sample {sample}, step {place}. Ids are the "
            f"integers from 0 to {n_tokens - 1}."
        )
    return values.astype(np.int64).tolist()
