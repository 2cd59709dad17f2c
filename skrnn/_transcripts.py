"""Transcripts, texts or lists of labels, as numbers and back."""

import reprlib

import numpy as np

from skrnn.sequences.frames import is_pandas

LABEL = str | int | float | np.bool_ | np.integer | np.floating
BLANK = 0  # of `skrnn.ctc`; the symbols are the classes after it


def read_transcripts(y, name="y"):
    """Return transcripts as a list of str, or of lists of labels.

    Parameters
    ----------
    y : list, tuple, array or Series of n_samples transcripts
        Each is a str, or a list, tuple, 1-D array or Series of labels: str or numbers.
        An array, or a DataFrame of numbers, of shape (n_samples, n_labels) has as many
        labels for each sample; a DataFrame may have one column of transcripts.
    name : str, default="y"
        Stands in the errors.

    Returns
    -------
    transcripts : list of str, or of lists

    Raises
    ------
    ValueError
        If there is something else, or both texts and lists; the message says where.
    """
    if is_pandas(y, "DataFrame"):
        y = _column_of(y, name)
    if not isinstance(y, list | tuple | str) and hasattr(y, "__array__"):
        y = np.asarray(y)
        is_column = y.ndim == 2 and y.shape[1] == 1
        if y.ndim > 2 or (is_column and any(isinstance(v, str) for v in y.flat)):
            raise ValueError(
                f"{name} must be a list, an array or a Series of transcripts, got the "
                f"shape {y.shape}. Pass one column, such as y[:, 0]."
            )
    is_many = getattr(y, "ndim", hasattr(y, "__iter__"))
    if isinstance(y, str | bytes | dict | set) or not is_many:
        raise ValueError(
            f"{name} must have a transcript for each sequence, got one "
            f"{type(y).__name__}: {reprlib.repr(y)}. Pass a list of them."
        )
    items = y.tolist() if isinstance(y, np.ndarray) else list(y)
    if not items:
        raise ValueError(f"{name} has no samples.")
    transcripts = [_transcript(item, sample, name) for sample, item in enumerate(items)]
    is_text = isinstance(transcripts[0], str)
    for sample, transcript in enumerate(transcripts):
        if isinstance(transcript, str) != is_text:
            kinds = ("a text", "a list") if is_text else ("a list", "a text")
            raise ValueError(
                f"{name} must hold either texts or lists of labels: sample 0 is "
                f"{kinds[0]}, sample {sample} is {kinds[1]}."
            )
    return transcripts


def _column_of(frame, name):
    """Return the only column of a frame of transcripts; leave one of numbers as it is.

    Raises `ValueError` if there is a column of texts beside others.
    """
    from pandas.api.types import is_numeric_dtype

    texts = [column for column in frame if not is_numeric_dtype(frame[column])]
    if len(texts) == frame.shape[1] == 1:
        return frame[texts[0]]
    if texts:
        raise ValueError(
            f"{name} must be one column of transcripts, but the DataFrame has "
            f"{list(frame.columns)}. Pass one of them."
        )
    return frame


def _transcript(item, sample, name):
    if isinstance(item, str):
        return str(item)
    is_list = isinstance(item, list | tuple) or getattr(item, "ndim", 0) == 1
    if not is_list:
        if _is_missing(item):
            raise ValueError(
                f"The transcript of sample {sample} of {name} is missing: it is "
                f"{item!r}. Leave it out; where nothing was said it is empty."
            )
        hint = ""
        if np.ndim(item) == 0 and not isinstance(item, bytes | dict | set):
            hint = " For one class or number a sequence there is RNNClassifier."
        raise ValueError(
            f"{name} must hold texts or lists of labels, but sample {sample} is "
            f"{reprlib.repr(item)}, of type {type(item).__name__}.{hint}"
        )
    if getattr(getattr(item, "dtype", None), "kind", "") in {*"mM"}:
        raise ValueError(
            f"Labels must be texts or numbers, but sample {sample} of {name} has the "
            f"dtype {item.dtype}."
        )
    labels = item.tolist() if hasattr(item, "tolist") else list(item)
    for place, label in enumerate(labels):
        # NaN is the only number that differs from itself
        is_label = isinstance(label, LABEL) and label == label
        if not is_label:
            raise ValueError(
                f"Labels must be texts or numbers, but sample {sample} of {name} has "
                f"{reprlib.repr(label)} at place {place}."
            )
        if label == "":
            raise ValueError(
                f"A label may not be an empty text, but sample {sample} of {name} has "
                f"one at place {place}. Leave padding out."
            )
    return labels


def _is_missing(item):
    from pandas import isna

    return np.ndim(item) == 0 and bool(isna(item))


def lay_out(transcripts, name="y"):
    """Return the symbols of transcripts end to end, and how many each has.

    Parameters
    ----------
    transcripts : list of str, or of lists
    name : str, default="y"
        Stands in the errors.

    Returns
    -------
    symbols : ndarray of shape (n_symbols,)
        Of str or of numbers.
    lengths : ndarray of int of shape (n_transcripts,)

    Raises
    ------
    ValueError
        If some labels are texts and others numbers, or an array cannot hold them all.
    """
    lengths = np.fromiter(map(len, transcripts), np.int64, len(transcripts))
    flat = [symbol for transcript in transcripts for symbol in transcript]
    texts = sum(isinstance(symbol, str) for symbol in flat)
    if 0 < texts < len(flat):
        raise ValueError(
            f"The labels of {name} must be all texts or all numbers: {texts} are texts "
            f"and {len(flat) - texts} are not."
        )
    symbols = np.array(flat) if flat else np.zeros(0, "<U1")
    if symbols.tolist() != flat:
        at = next(i for i, kept in enumerate(symbols.tolist()) if kept != flat[i])
        raise ValueError(
            f"An array cannot hold {reprlib.repr(flat[at])} of {name} as it is: "
            "neither zeros at the end of texts, nor integers beyond 64 bits."
        )
    return symbols, lengths


def read_symbols(symbols):
    """Return the symbols that a user declares, sorted, none twice.

    Parameters
    ----------
    symbols : str or array-like of str or numbers

    Raises
    ------
    ValueError
        If there are none, or something else is among them.
    """
    if not isinstance(symbols, str) and np.ndim(symbols) != 1:
        raise ValueError(
            f"symbols must be a text, or a list of labels, got {reprlib.repr(symbols)}."
        )
    (labels,) = read_transcripts([list(symbols)], "symbols")
    found, _ = lay_out([labels], "symbols")
    if not len(found):
        raise ValueError("symbols has none.")
    return np.unique(found)


class Alphabet:
    """The symbols that transcripts are made of, as the classes from 1 on.

    Parameters
    ----------
    symbols : ndarray of shape (n_symbols,)
        Sorted, none twice.
    is_text : bool
        Whether transcripts are texts, not lists.
    """

    def __init__(self, symbols, is_text):
        self.symbols = symbols
        self.is_text = is_text

    @classmethod
    def of(cls, transcripts, symbols=None):
        """Return that of some transcripts, or of the symbols if they are given."""
        is_text = isinstance(transcripts[0], str)
        if symbols is None:
            symbols, lengths = lay_out(transcripts)
            if not lengths.any():
                raise ValueError(
                    "All transcripts of y are empty: there is nothing to learn."
                )
        elif is_text and not all(
            isinstance(symbol, str) and len(symbol) == 1 for symbol in symbols.tolist()
        ):
            raise ValueError(
                f"The symbols of texts are characters, got {symbols.tolist()}."
            )
        return cls(np.unique(symbols), is_text)

    def lay_out(self, transcripts):
        """Return symbols as `lay_out` does, which may be others of the same kind.

        Raises `ValueError` if they are texts, or labels, where these are not.
        """
        if isinstance(transcripts[0], str) != self.is_text:
            kinds = ["texts", "lists of labels"]
            fitted, given = kinds if self.is_text else kinds[::-1]
            raise ValueError(f"The model was fitted to {fitted}, but y holds {given}.")
        flat, lengths = lay_out(transcripts)
        if not len(flat):
            return self.symbols[:0], lengths
        is_text = self.symbols.dtype.kind == "U"
        if (flat.dtype.kind == "U") != is_text:
            fitted, given = ("texts", "numbers") if is_text else ("numbers", "texts")
            raise ValueError(
                f"The symbols are {fitted}, but the labels of y are {given}."
            )
        return flat, lengths

    def encode(self, transcripts):
        """Return the classes of all symbols end to end, and how many each has.

        An empty transcript has one, blank. Raises `ValueError` at a symbol that is not
        among these.
        """
        flat, lengths = self.lay_out(transcripts)
        places = np.searchsorted(self.symbols, flat)
        unknown = self.symbols[np.minimum(places, len(self.symbols) - 1)] != flat
        if unknown.any():
            at = int(unknown.argmax())
            sample = int(np.searchsorted(np.cumsum(lengths), at, side="right"))
            learned = reprlib.repr(self.symbols.tolist())
            raise ValueError(
                f"Sample {sample} of y has {flat.tolist()[at]!r}, which is not among "
                f"the symbols_ that were learned: {learned}. Leave it out, or declare "
                "all symbols in the first partial_fit."
            )
        classes = np.insert(places + 1, np.cumsum(lengths)[lengths == 0], BLANK)
        return classes.astype(np.float64), np.maximum(lengths, 1)

    def decode(self, classes):
        """Return a transcript of classes from 1 on."""
        symbols = self.symbols[classes - 1].tolist()
        return "".join(symbols) if self.is_text else symbols
