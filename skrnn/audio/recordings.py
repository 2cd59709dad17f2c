"""Reading of recordings: the forms of X, and what integers stand for."""

import os
import reprlib
import warnings
from numbers import Number

import numpy as np

from skrnn.sequences import Sequences, check_sequences
from skrnn.sequences.frames import is_pandas

# Kind and bytes of PCM: what silence is, and the largest distance from it.
PCM = {"i1": (0, 2**7), "u1": (2**7, 2**7), "i2": (0, 2**15), "i4": (0, 2**31)}


def read_recordings(estimator, X, *, reset):
    """Check recordings and bring them into the form that the package reads.

    Parameters
    ----------
    estimator : estimator
        Gets or has the attributes that `check_sequences` sets.
    X : as of `check_sequences`, or Series or DataFrame of one column of arrays
        The recordings, of one channel.
    reset : bool
        True in fit.

    Returns
    -------
    data : PaddedData or Sequences
        PCM is scaled; float32 where all values were that or PCM.
    index : pandas.Index or None
        The labels of the recordings.

    Raises
    ------
    ValueError
        If a recording is a path, empty, not of finite numbers or has several channels.
    TypeError
        As of `check_sequences`.

    Warns
    -----
    UserWarning
        If the first recording has integers beyond 1 that are not scaled.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator
    >>> from skrnn.audio.recordings import read_recordings
    >>> X = [np.array([0, 2**14], dtype=np.int16), np.array([128], dtype=np.uint8)]
    >>> data, index = read_recordings(BaseEstimator(), X, reset=True)
    >>> data.values.ravel()
    array([0. , 0.5, 0. ], dtype=float32)
    """
    if isinstance(X, str | bytes | os.PathLike):
        raise ValueError(f"X must hold recordings, got the one text {X!r}.")
    if is_pandas(X, "DataFrame") and list(X.dtypes) == [np.dtype(object)]:
        X = X.iloc[:, 0]
    floats = _with_floats(X)
    if (
        isinstance(floats, np.ndarray)
        and floats.ndim == 1
        and floats.dtype.kind in "fiu"
    ):
        raise ValueError(
            "X must hold recordings, but is a 1-D array of numbers. Pass one recording "
            "as [recording]. Reshape your data if it has several."
        )
    data = check_sequences(estimator, floats, reset=reset)
    if data.n_channels > 1:
        raise ValueError(
            f"Recordings must have one channel, but X has {data.n_channels}. Take "
            "their mean, for example [x.mean(axis=1) for x in X], or axis=0 where a "
            "row is a channel."
        )
    _warn_of_integers(data)
    if data.index is None and isinstance(data, Sequences) and is_pandas(X, "Series"):
        return data, X.index
    return data, data.index


def _warn_of_integers(data):
    """Warn of what looks like PCM whose type is lost."""
    first = data.take(np.array([0]))
    if np.abs(first).max() > 1.0 and (first == np.trunc(first)).all():
        warnings.warn(
            f"The first recording has integers up to {np.abs(first).max():g}. PCM is "
            "scaled in arrays of int8, int16, int32 or uint8 only: convert it to one "
            "of these, or divide it by its largest value, 2**15 of 16 bits.",
            UserWarning,
            stacklevel=4,
        )


def _with_floats(X):
    """Replace PCM in X, or in what X lists, by floats."""
    if isinstance(X, Sequences):
        return X
    if isinstance(X, list | tuple):
        return [_recording(item, sample) for sample, item in enumerate(X)]
    if _lists_objects(X):
        items = np.empty(len(X), dtype=object)
        for sample, item in enumerate(X):  # one assignment would stack equal lengths
            items[sample] = _recording(item, sample)
        return items
    return _floats(X)


def _lists_objects(X):
    """Tell whether X is an array or a Series of things that are no numbers."""
    if is_pandas(X, "Series") and X.index.nlevels > 1:
        return False
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    return kind in {*"OUST"} and getattr(X, "ndim", 0) == 1


def _recording(item, sample):
    """Turn PCM into floats; refuse what is often mistaken for a recording."""
    if isinstance(item, str | bytes | os.PathLike):
        raise ValueError(
            f"X must hold recordings, arrays of numbers, but sample {sample} is "
            f"{reprlib.repr(str(item))}. Read files first, for example with "
            "scipy.io.wavfile.read(path)[1]."
        )
    if isinstance(item, tuple) and len(item) == 2:
        numbers = [isinstance(part, Number) for part in item]
        if sum(numbers) == 1:
            raise ValueError(
                f"X must hold recordings, arrays of numbers, but sample {sample} is a "
                "pair of a number and an array. Pass the array, and the sample rate "
                "as sample_rate."
            )
    return _floats(item)


def _floats(values):
    """Turn PCM into floats between -1 and 1; leave all else as it is."""
    in_pandas = is_pandas(values, "DataFrame", "Series")
    if not in_pandas and hasattr(values, "__array__"):
        values = values if isinstance(values, np.ndarray) else np.asarray(values)
    dtypes = set(values.dtypes) if is_pandas(values, "DataFrame") else set()
    dtype = dtypes.pop() if len(dtypes) == 1 else getattr(values, "dtype", None)
    if not isinstance(dtype, np.dtype):
        return values
    silence, full = PCM.get(f"{dtype.kind}{dtype.itemsize}", (0, None))
    if full is None:
        return values
    values = values.astype(np.float32)
    values -= np.float32(silence)
    values /= np.float32(full)
    return values
