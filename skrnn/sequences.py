"""What a user may pass as X, brought into one form.

Everything below the estimators sees a data set through a few names:
``len(data)``, ``data.lengths``, ``data.n_channels``, ``data.dtype``,
``data.take(rows)`` and ``data.blocks()``. Two classes have them:
`PaddedData`, a view of an array, and `Sequences`, samples laid end to end.
`check_sequences` decides which one a user's X becomes.
"""

import operator
import sys
from collections.abc import Iterator, Mapping, Set

import numpy as np
from sklearn import get_config
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

__all__ = ["PaddedData", "Sequences", "check_sequences", "check_target_index"]


# The two forms of a data set -------------------------------------------------


class PaddedData:
    """A data set that is one array, wrapped and never copied as a whole.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_timesteps, n_channels) or \
            (n_samples, n_timesteps)
        Real numbers of any dtype and any strides; it may be read-only or mapped
        from a file. A 2-D array holds one channel.
    lengths : array-like of shape (n_samples,), default=None
        The number of valid steps of each sample; all of them if None.

    Attributes
    ----------
    lengths : ndarray of int64 of shape (n_samples,)
    n_channels : int
    dtype : dtype
        float32 where X has that, else float64.
    index : None
        An array has no labels.
    """

    index = None

    def __init__(self, X, lengths=None):
        X = np.asarray(X)
        self._X = X[:, :, None] if X.ndim == 2 else X
        n_samples, self._n_steps, self.n_channels = self._X.shape
        self._uniform = lengths is None
        if lengths is None:
            lengths = np.full(n_samples, self._n_steps)
        self.lengths = np.asarray(lengths, dtype=np.int64)
        self.dtype = _computation_dtype([X.dtype])

    def __len__(self):
        return len(self.lengths)

    def take(self, rows):
        """Copy the valid steps of some samples, one sample after the other.

        Parameters
        ----------
        rows : ndarray of int, or slice
            The samples.

        Returns
        -------
        steps : ndarray of shape (lengths[rows].sum(), n_channels)
            New, C-contiguous and writable.
        """
        # Indexing by integers copies already, a slice is a view.
        view = isinstance(rows, slice)
        X = self._X[rows].astype(self.dtype, order="C", copy=view)
        steps = X.reshape(-1, self.n_channels)
        if self._uniform:
            return steps
        starts = np.arange(len(X)) * self._n_steps
        return steps.take(_places(starts, self.lengths[rows]), axis=0)

    def blocks(self, max_bytes=2**24):
        """Yield slices of consecutive samples that `take` can hold in memory.

        Parameters
        ----------
        max_bytes : int, default=2**24
            Bound on what ``take(block)`` allocates; a larger sample is alone.

        Yields
        ------
        block : slice
        """
        steps = np.full(len(self), self._n_steps)
        return _blocks(steps, self.n_channels * self.dtype.itemsize, max_bytes)


class Sequences:
    """Sequences of unequal lengths in one container that scikit-learn can split.

    The steps of all samples lie end to end in one array. A subset shares it, and
    when pickled keeps its own steps only.

    Parameters
    ----------
    sequences : iterable of array-like
        One item a sample, of shape (length, n_channels), or (length,) for one
        channel. float32 is kept if all have it, other numbers become float64.

    Attributes
    ----------
    values : ndarray of shape (n_steps, n_channels)
        The steps, which subsets share.
    starts, lengths : ndarray of int64 of shape (n_samples,)
        Sample i is ``values[starts[i] : starts[i] + lengths[i]]``.
    index : pandas.Index or None
        The labels of the samples, if they come from a frame.
    feature_names : ndarray of str or None
        The names of the channels, if they come from frames.

    Raises
    ------
    ValueError
        If there is no sample, or one is empty, not numeric, not of one or two
        dimensions, or differs from the first in its channels.

    Examples
    --------
    >>> from skrnn.sequences import Sequences
    >>> X = Sequences([[[1, 2], [3, 4]], [[5, 6]], [[7, 8], [9, 0], [1, 2]]])
    >>> X
    Sequences(n_samples=3, n_channels=2, lengths=1..3)
    >>> X[1]
    array([[5., 6.]])
    >>> X[[0, 2]].lengths
    array([2, 3])
    """

    ndim = 1

    def __init__(self, sequences):
        if _is_pandas(sequences, "DataFrame"):
            raise TypeError("For a DataFrame use Sequences.from_long(frame).")
        values, lengths, names = _join(list(sequences))
        self._set(values, np.cumsum(lengths) - lengths, lengths, None, names)

    def _set(self, values, starts, lengths, index, feature_names):
        self.values = values
        self.starts = starts
        self.lengths = lengths
        self.index = index
        self.feature_names = feature_names

    @classmethod
    def _of(cls, *parts):
        new = cls.__new__(cls)
        new._set(*parts)
        return new

    @classmethod
    def from_long(cls, frame, instance=None, time=None, columns=None):
        """Make sequences of a frame with one row for each instance and time.

        Parameters
        ----------
        frame : DataFrame or Series
            By default its index has two levels, (instance, time).
        instance : label, default=None
            The column that tells the instances apart, instead of the index.
        time : label, default=None
            The column of times. With `instance` alone, the steps of an instance
            are taken in the order of the rows.
        columns : label or list of labels, default=None
            The channels. By default all columns but `instance` and `time`.

        Returns
        -------
        sequences : Sequences
            The instances in the order in which they first appear, their labels
            in ``index``.

        Raises
        ------
        ValueError
            If times do not increase within an instance, a label or a time is
            missing, or a column is not numeric.

        Examples
        --------
        >>> import pandas as pd
        >>> from skrnn.sequences import Sequences
        >>> frame = pd.DataFrame(
        ...     {"id": ["b", "b", "a"], "day": [1, 2, 1], "sales": [3.0, 4.0, 5.0]}
        ... )
        >>> X = Sequences.from_long(frame, instance="id", time="day")
        >>> list(X.index), X.to_list()[0].ravel()
        (['b', 'a'], array([3., 4.]))
        """
        return cls._of(*_read_long(frame, instance, time, columns))

    @property
    def shape(self):
        """The shape of an array of samples, (n_samples,)."""
        return (len(self.lengths),)

    @property
    def n_channels(self):
        """The number of channels."""
        return self.values.shape[1]

    @property
    def dtype(self):
        """The dtype of the values, float32 or float64."""
        return self.values.dtype

    def __len__(self):
        return len(self.lengths)

    def __repr__(self):
        lengths = "none"
        if len(self):
            lengths = f"{self.lengths.min()}..{self.lengths.max()}"
        return (
            f"Sequences(n_samples={len(self)}, n_channels={self.n_channels}, "
            f"lengths={lengths})"
        )

    def __iter__(self):
        return map(self._sample, range(len(self)))

    def __getitem__(self, key):
        # scikit-learn asks for X[rows, ...].
        if isinstance(key, tuple):
            key, *others = key
            if others != [Ellipsis]:
                raise IndexError("Sequences have one axis, the samples.")
        if not isinstance(key, slice):
            key = np.asarray(key)
            if key.size == 0 and key.ndim == 1:  # an empty list is float64
                key = key.astype(np.intp)
            integers = key.dtype.kind in "iu" and key.ndim <= 1
            if not integers and not (key.dtype == np.bool_ and key.ndim == 1):
                raise IndexError(
                    "Sequences are indexed by an integer, a slice, or a 1-D array of "
                    "integers or booleans."
                )
            if key.ndim == 0:
                return self._sample(range(len(self))[key])
        index = None if self.index is None else self.index[key]
        return self._of(
            self.values, self.starts[key], self.lengths[key], index, self.feature_names
        )

    def _sample(self, i):
        return self.values[self.starts[i] : self.starts[i] + self.lengths[i]]

    def __array__(self, dtype=None, copy=None):
        if dtype is not None and np.dtype(dtype) != object:
            raise TypeError(
                f"Sequences cannot become one array of {np.dtype(dtype)}; "
                "to_list() gives an array for each sample."
            )
        if copy is False:
            raise ValueError("Sequences cannot become an array without a copy.")
        array = np.empty(len(self), dtype=object)
        for i, sample in enumerate(self):  # one assignment would stack equal lengths
            array[i] = sample
        return array

    def __getstate__(self):
        state = self.__dict__.copy()
        if self.lengths.sum() < len(self.values):  # others' steps stay behind
            state["values"] = self.take(slice(None))
            state["starts"] = np.cumsum(self.lengths) - self.lengths
        return state

    def to_list(self):
        """List the samples.

        Returns
        -------
        samples : list of ndarray of shape (length, n_channels)
        """
        return list(self)

    def take(self, rows):
        """Copy the steps of some samples, one sample after the other.

        Parameters
        ----------
        rows : ndarray of int, or slice
            The samples.

        Returns
        -------
        steps : ndarray of shape (lengths[rows].sum(), n_channels)
            New, C-contiguous and writable.
        """
        places = _places(self.starts[rows], self.lengths[rows])
        return np.asarray(self.values).take(places, axis=0)

    def blocks(self, max_bytes=2**24):
        """Yield slices of consecutive samples that `take` can hold in memory.

        Parameters
        ----------
        max_bytes : int, default=2**24
            Bound on the bytes of ``take(block)``; a larger sample is alone.

        Yields
        ------
        block : slice
        """
        return _blocks(self.lengths, self.n_channels * self.dtype.itemsize, max_bytes)


def _places(starts, lengths):
    """List where the steps of samples lie that start here and are so long."""
    # Added to a step's place in the result, it gives its place in the source.
    shift = starts - (lengths.cumsum() - lengths)
    places = np.repeat(shift, lengths)
    places += np.arange(len(places))
    return places


def _blocks(steps, bytes_per_step, max_bytes):
    """Cut rows of so many steps into slices of at most max_bytes."""
    max_steps = max_bytes // bytes_per_step
    ends = np.cumsum(steps)
    start = done = 0
    while start < len(ends):
        fitting = int(np.searchsorted(ends, done + max_steps, side="right"))
        stop = max(fitting, start + 1)
        yield slice(start, stop)
        start, done = stop, ends[stop - 1]


def _computation_dtype(dtypes):
    """float32 if all are, else float64."""
    single = all(d.kind == "f" and d.itemsize == 4 for d in dtypes)
    return np.dtype(np.float32 if single else np.float64)


# Samples that come one by one ------------------------------------------------


def _join(items):
    """Lay samples end to end: values, lengths, and the names of the channels."""
    if not items:
        raise ValueError("Found 0 samples while a minimum of 1 is required.")
    arrays = [_steps(item, sample) for sample, item in enumerate(items)]
    lengths = np.fromiter(map(len, arrays), np.int64, len(arrays))
    channels = np.fromiter((a.shape[1] for a in arrays), np.int64, len(arrays))
    if not lengths.all():
        raise ValueError(f"A sequence has no steps: sample {lengths.argmin()}.")
    if (channels != channels[0]).any():
        odd = int((channels != channels[0]).argmax())
        raise ValueError(
            "All sequences must have the same number of channels: sample 0 has "
            f"{channels[0]}, sample {odd} has {channels[odd]}."
        )
    if channels[0] == 0:
        raise ValueError("The sequences have 0 channels, a minimum of 1 is required.")
    dtype = _computation_dtype({a.dtype for a in arrays})
    with np.errstate(over="ignore"):  # what overflows is reported as infinite
        values = np.concatenate(arrays, dtype=dtype)
    return values, lengths, _common_names(items)


def _steps(item, sample):
    """One sample as a numeric array of shape (length, n_channels)."""
    if type(item) is not np.ndarray:
        item = _item_array(item, sample)
    if item.dtype.kind not in "biuf":
        item = _numbers(item, f"sample {sample}")
    if item.ndim == 2:
        return item
    if item.ndim == 1:
        return item[:, None]
    raise ValueError(
        "A sequence has shape (length, n_channels), or (length,) for one channel: "
        f"sample {sample} has shape {item.shape}."
    )


def _item_array(item, sample):
    if _is_pandas(item, "DataFrame", "Series"):
        return _frame_values(item, f"sample {sample}, ")
    _refuse_masked(item, f"sample {sample}")
    if not isinstance(item, list | tuple) and not hasattr(item, "__array__"):
        raise ValueError(
            f"A sequence must be array-like: sample {sample} is a "
            f"{type(item).__name__}."
        )
    try:
        return np.asarray(item)
    except ValueError as error:
        raise ValueError(
            "The steps of a sequence must have the same number of channels: "
            f"sample {sample} is irregular ({error})."
        ) from error


def _numbers(array, where):
    """Convert an array that has no real dtype to float64, or raise."""
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {where} is complex.")
    if array.dtype.kind == "O" and not _holds_strings(array):
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where} holds objects: {error}.") from error
    kind = "strings" if array.dtype.kind in "OUST" else f"{array.dtype}"
    raise ValueError(f"X must hold numbers, but {where} holds {kind}.")


def _holds_strings(array):
    return array.dtype.kind == "O" and any(
        isinstance(value, str | bytes) for value in array.flat
    )


def _refuse_masked(X, where):
    if isinstance(X, np.ma.MaskedArray):
        raise ValueError(
            f"Masked arrays are not supported, because the mask would be lost: {where}."
            " Leave masked steps out, or fill them."
        )


# pandas ----------------------------------------------------------------------


def _is_pandas(X, *names):
    """Whether X is one of these classes, without importing pandas for it."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(
        X, tuple(getattr(pandas, n) for n in names)
    )


def _read_long(frame, instance, time, columns):
    """Read values, starts, lengths, labels and names from a long frame."""
    import pandas as pd

    if isinstance(frame, pd.Series):
        frame = frame.to_frame()
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"A DataFrame is needed, got {type(frame).__name__}.")
    frame, labels, times = _labels_and_times(frame, instance, time)
    if columns is not None:
        frame = frame[columns if isinstance(columns, list) else [columns]]
    if 0 in frame.shape:
        raise ValueError(f"The frame has no values: its shape is {frame.shape}.")

    codes, index = pd.factorize(labels)  # numbered as they first appear
    if codes.min() < 0:
        raise ValueError(f"The instance label of row {codes.argmin()} is missing.")
    # The stable sort brings together the rows of an instance, in their order.
    order = None if (np.diff(codes) >= 0).all() else codes.argsort(kind="stable")
    if times is not None:
        _check_increasing(codes, times, index, order)
    values = _frame_values(frame)
    if order is not None:
        values = values[order]
    values = np.array(values, dtype=_computation_dtype([values.dtype]), order="C")
    lengths = np.bincount(codes).astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    return values, starts, lengths, index, _string_names(frame.columns)


def _labels_and_times(frame, instance, time):
    """Take the instances and times out of a frame's index or columns."""
    import pandas as pd

    if instance is not None:
        labels = pd.Index(frame[instance])
        if time is None:
            return frame.drop(columns=[instance]), labels, None
        return frame.drop(columns=[instance, time]), labels, pd.Index(frame[time])
    if time is not None:
        raise ValueError("time names a column, so instance must name one as well.")
    if frame.index.nlevels != 2:
        raise ValueError(
            "The index must have two levels, (instance, time), but has "
            f"{frame.index.nlevels}; or name the columns: "
            "Sequences.from_long(frame, instance=..., time=...)."
        )
    return frame, *(frame.index.get_level_values(level) for level in range(2))


def _frame_values(frame, where=""):
    """Return a frame or a Series as a real array, where pandas.NA is NaN."""
    dtypes = [frame.dtype] if frame.ndim == 1 else list(frame.dtypes)
    if not all(dtype.kind in "biuf" for dtype in dtypes):
        _check_columns(frame, where)
    if all(isinstance(dtype, np.dtype) for dtype in dtypes):
        values = frame.to_numpy()
        return values if values.dtype.kind in "biuf" else values.astype(np.float64)
    return frame.to_numpy(dtype=np.float64, na_value=np.nan)


def _check_columns(frame, where=""):
    """Raise if a column holds something other than real numbers."""
    if frame.ndim == 1:
        frame = frame.to_frame()
    for position, dtype in enumerate(frame.dtypes):
        if dtype.kind in "biuf":  # pandas' own dtypes have a kind as well
            continue
        column = f"{where}column {frame.columns[position]!r}"
        if not isinstance(dtype, np.dtype):
            raise ValueError(f"X must hold numbers, but {column} holds {dtype}.")
        _numbers(frame.iloc[:, position].to_numpy(), column)


def _string_names(columns):
    """Names that scikit-learn takes for feature names, or None."""
    if all(isinstance(name, str) for name in columns):
        return np.asarray(columns, dtype=object)
    return None


def _common_names(items):
    """Return the column names of frames, or None if a sample is no frame."""
    if not all(_is_pandas(item, "DataFrame") for item in items):
        return None
    columns = items[0].columns
    for sample, item in enumerate(items):
        if item.columns is not columns and not item.columns.equals(columns):
            raise ValueError(
                "All frames must have the same columns in the same order: sample 0 "
                f"has {list(columns)}, sample {sample} has {list(item.columns)}."
            )
    return _string_names(columns)


def _check_increasing(codes, times, index, order):
    """Raise unless times increase within each instance."""
    import pandas as pd

    try:
        ranks, _ = pd.factorize(times, sort=True)
    except TypeError as error:
        raise ValueError(f"The times cannot be ordered: {error}.") from error
    if ranks.min() < 0:
        raise ValueError(f"The time of row {ranks.argmin()} is missing.")
    if order is not None:
        codes, ranks = codes[order], ranks[order]
    wrong = (np.diff(codes) == 0) & (np.diff(ranks) <= 0)
    if wrong.any():
        label = index[codes[wrong.argmax()]]
        raise ValueError(
            f"The times of instance {label!r} do not increase from row to row. Sort "
            "the frame by instance and time, e.g. frame.sort_index(), and drop "
            "duplicates."
        )


# The door --------------------------------------------------------------------


def check_sequences(estimator, X, *, reset, n_channels=None):
    """Check X and bring it into the form that the rest of the package reads.

    What X is follows from the type of its elements, never from their lengths:

    - a 2-D array, a list of lists of numbers or a frame: one univariate series
      a row, or with `n_channels` a row flattened from (n_timesteps, n_channels),
      where NaN to the end of a row is padding;
    - a 3-D array of shape (n_samples, n_timesteps, n_channels);
    - a list or a 1-D object array of arrays, Series or frames, three nested lists,
      `Sequences`, or a frame with a two-level (instance, time) index: sequences.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` (the columns of 2-D X, otherwise the channels),
        ``n_channels_in_``, and ``feature_names_in_`` where X has names.
    X : array-like, list of array-like, DataFrame or Sequences
        The samples.
    reset : bool
        True in fit: set these attributes. False: check X against them.
    n_channels : int, default=None
        The number of channels that the rows of 2-D X are flattened from.

    Returns
    -------
    data : PaddedData or Sequences

    Raises
    ------
    ValueError
        If X holds something other than finite real numbers, an empty sequence,
        or another number of channels than expected; the message says where.
    TypeError
        If X is sparse, or holds objects that are no numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator
    >>> from skrnn.sequences import check_sequences
    >>> estimator = BaseEstimator()
    >>> data = check_sequences(estimator, np.ones((5, 7, 2)), reset=True)
    >>> len(data), data.n_channels, estimator.n_features_in_
    (5, 2, 2)
    >>> data.take(np.array([0, 3])).shape
    (14, 2)
    """
    if n_channels is not None and (
        isinstance(n_channels, bool) or operator.index(n_channels) < 1
    ):
        raise ValueError(f"n_channels must be a positive integer, got {n_channels}.")
    sequences = _as_sequences(X)
    if sequences is not None:
        data = sequences
    else:
        array = _as_array(X, estimator)
        if array.ndim == 2:
            return _check_rows(estimator, X, array, reset, n_channels)
        data = PaddedData(array)
    if len(data) == 0:
        raise ValueError(
            f"Found array with 0 sample(s) (shape={data.shape}) while a minimum of 1 "
            f"is required by {type(estimator).__name__}."
        )
    if n_channels not in (None, data.n_channels):
        raise ValueError(
            f"X has {data.n_channels} channels, but n_channels={n_channels}."
        )
    _check_finite(data)
    _check_channels(estimator, data, reset)
    return data


def check_target_index(data, y):
    """Refuse a y whose labels are those of X in another order.

    Parameters
    ----------
    data : PaddedData or Sequences
        What `check_sequences` returned.
    y : object
        The target. Only a Series or DataFrame has labels to compare; of a
        two-level index the first level.

    Raises
    ------
    ValueError
        If X and y hold the same labels in different orders.

    Examples
    --------
    >>> import pandas as pd
    >>> from skrnn.sequences import Sequences, check_target_index
    >>> keys = [("b", 0), ("b", 1), ("a", 0)]
    >>> frame = pd.DataFrame({"x": 1.0}, index=pd.MultiIndex.from_tuples(keys))
    >>> X = Sequences.from_long(frame)
    >>> check_target_index(X, pd.Series([1, 2], index=["b", "a"]))
    >>> check_target_index(X, pd.Series([1, 2], index=["a", "b"]))
    Traceback (most recent call last):
        ...
    ValueError: The instances of X and y are the same, but in another order: sample 0 \
is 'b' in X and 'a' in y. Use y.loc[...] to reorder y by the instances of X.
    """
    if data.index is None or not _is_pandas(y, "Series", "DataFrame"):
        return
    labels = y.index
    if labels.nlevels == 2:
        labels = labels.get_level_values(0).unique()
    if len(labels) != len(data.index) or labels.equals(data.index):
        return
    if set(labels) == set(data.index):
        pairs = enumerate(zip(data.index, labels, strict=True))
        first = next(i for i, (ours, theirs) in pairs if ours != theirs)
        raise ValueError(
            "The instances of X and y are the same, but in another order: sample "
            f"{first} is {data.index[first]!r} in X and {labels[first]!r} in y. Use "
            "y.loc[...] to reorder y by the instances of X."
        )


def _as_sequences(X):
    """X as Sequences, or None where X is one array."""
    if isinstance(X, Sequences):
        return X
    if _is_pandas(X, "DataFrame", "Series") and X.index.nlevels > 1:
        return Sequences.from_long(X)
    from_array = getattr(X, "dtype", None) == np.dtype(object) and X.ndim == 1
    if not from_array and not isinstance(X, list | tuple):
        return None
    items = X.tolist() if from_array else X
    if len(items) == 0:
        raise ValueError(
            "Found array with 0 sample(s) while a minimum of 1 is required."
        )
    kinds = [_kind(item) for item in items]
    found = set(kinds) - {"an empty list"}
    if len(found) > 1:
        other = next(i for i, kind in enumerate(kinds) if kind != kinds[0])
        raise ValueError(
            f"X is a list of mixed things: sample 0 is {kinds[0]}, sample {other} is "
            f"{kinds[other]}."
        )
    # Numbers in an array of lists would have made a 2-D array, were they not ragged.
    if found == {"a sequence"} or (from_array and found == {"a list of numbers"}):
        return Sequences(items)
    if found == {"a list of numbers"}:
        _check_equal_rows(items)
    return None


def _kind(item):
    """Name what an item of a list is, by its type and that of its first element."""
    if isinstance(item, list | tuple):
        if not item:
            return "an empty list"
        return "a sequence" if _is_container(item[0]) else "a list of numbers"
    if _is_container(item):
        return "a sequence"
    scalar = item is None or np.isscalar(item)
    return "a single value" if scalar else f"of type {type(item).__name__}"


def _is_container(value):
    if isinstance(value, list | tuple):
        return True
    return hasattr(value, "__array__") and getattr(value, "ndim", 1) > 0


def _check_equal_rows(rows):
    lengths = [len(row) for row in rows]
    if len(set(lengths)) > 1:
        other = next(i for i, n in enumerate(lengths) if n != lengths[0])
        raise ValueError(
            "A list of lists of numbers is one 2-D array, whose rows must be of the "
            f"same length: sample 0 has {lengths[0]} values, sample {other} has "
            f"{lengths[other]}. Pass sequences of unequal lengths as a list of arrays."
        )


def _as_array(X, estimator):
    """X as a 2-D or 3-D array of real numbers, copied only if it must be."""
    name = type(estimator).__name__
    _refuse_masked(X, "X")
    # scikit-learn's messages say nothing of use here; an array may be a dict (dok).
    unsized = X is None or isinstance(X, str | bytes | Mapping | Set | Iterator)
    if unsized and not hasattr(X, "shape"):
        raise ValueError(
            "Expected 2D or 3D array, a list of arrays, Sequences or a DataFrame, got "
            f"{type(X).__name__} instead."
        )
    if _is_pandas(X, "DataFrame"):
        _check_columns(X)
    elif isinstance(X, np.ndarray) and _holds_strings(X):
        _numbers(X, "X")  # scikit-learn would parse them
    array = check_array(
        X,
        dtype="numeric",
        ensure_all_finite=False,  # done in blocks, and so that the error says where
        allow_nd=True,
        estimator=estimator,
        input_name="X",
    )
    if array.dtype.kind not in "biuf":
        _numbers(array, "X")
    if array.ndim > 3:
        raise ValueError(
            f"Found array with dim {array.ndim}, while dim <= 3 is required by {name}."
        )
    if array.ndim == 3:
        if array.shape[1] == 0:
            raise ValueError(f"X has no steps: its shape is {array.shape}.")
        if array.shape[2] == 0:
            raise ValueError(
                f"Found array with 0 feature(s) (shape={array.shape}) while a minimum "
                f"of 1 is required by {name}."
            )
    return array


def _check_rows(estimator, X, array, reset, n_channels):
    """Check 2-D X, whose rows are univariate or flattened series."""
    n_samples, n_columns = array.shape
    if n_channels is None:
        data = PaddedData(array)
    elif n_columns % n_channels:
        raise ValueError(
            f"X has {n_columns} columns, which is not a multiple of "
            f"n_channels={n_channels}."
        )
    else:
        # Splitting an axis never copies.
        data = PaddedData(array.reshape(n_samples, -1, n_channels))
        if array.dtype.kind == "f":
            data = _without_padding(data)
    _check_finite(data)

    fitted_channels = None if reset else getattr(estimator, "n_channels_in_", None)
    name = type(estimator).__name__
    if fitted_channels not in (None, data.n_channels):
        raise ValueError(
            f"X is 2-D and read as series of {data.n_channels} channel(s), but {name} "
            f"is expecting {fitted_channels}. Pass X of shape (n_samples, n_timesteps, "
            f"{fitted_channels}), or set n_channels={fitted_channels} if each row is "
            f"flattened from (n_timesteps, {fitted_channels})."
        )
    if fitted_channels is None or estimator.n_features_in_ != fitted_channels:
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    # Otherwise fit saw sequences of these channels: any number of steps will do.
    if reset:
        estimator.n_channels_in_ = data.n_channels
    return data


def _without_padding(data):
    """Leave out the steps that are NaN from there to the end of their row."""
    lengths = data.lengths.copy()
    n_steps = lengths[0]
    for block in data.blocks():
        steps = data.take(block)
        valid = ~np.isnan(steps).all(axis=1).reshape(-1, n_steps)
        lengths[block] = np.where(
            valid.any(axis=1), n_steps - valid[:, ::-1].argmax(axis=1), 0
        )
    if not lengths.all():
        raise ValueError(
            f"A sequence has no steps: sample {lengths.argmin()}, whose values are all "
            "NaN."
        )
    if (lengths == n_steps).all():
        return data
    return PaddedData(data._X, lengths)


def _check_channels(estimator, data, reset):
    """Set or check what is known of the channels of sequences."""
    fitted_channels = None if reset else getattr(estimator, "n_channels_in_", None)
    if fitted_channels is not None and estimator.n_features_in_ != fitted_channels:
        # fit saw 2-D X: its columns and their names are not channels.
        if data.n_channels != fitted_channels:
            raise ValueError(
                f"X has {data.n_channels} features, but {type(estimator).__name__} is "
                f"expecting {fitted_channels} features as input: it was fitted on 2-D "
                f"X with {estimator.n_features_in_} columns, read as series of "
                f"{fitted_channels} channel(s)."
            )
        return
    stand_in = np.empty((0, data.n_channels))  # scikit-learn looks at columns only
    names = getattr(data, "feature_names", None)
    if names is not None:
        import pandas as pd

        stand_in = pd.DataFrame(stand_in, columns=names)
    validate_data(estimator, stand_in, reset=reset, skip_check_array=True)
    if reset:
        estimator.n_channels_in_ = data.n_channels


def _check_finite(data):
    """Raise at the first value that is not finite."""
    if get_config()["assume_finite"]:
        return
    for block in data.blocks():
        with np.errstate(over="ignore", invalid="ignore"):
            steps = data.take(block)
            if np.isfinite(steps.sum()) or np.isfinite(steps).all():
                continue
        step, channel = np.argwhere(~np.isfinite(steps))[0]
        value = steps[step, channel]
        ends = np.cumsum(data.lengths[block])
        row = int(np.searchsorted(ends, step, side="right"))
        sample = block.start + row
        step -= ends[row] - data.lengths[sample]
        where = f"sample {sample}, step {step}, channel {channel}"
        if data.index is not None:
            where += f" (instance {data.index[sample]!r})"
        if np.isnan(value):
            raise ValueError(
                f"Input X contains NaN: {where}. Impute missing values first. Where "
                "NaN pads shorter sequences, pass a list of arrays without it."
            )
        raise ValueError(
            "Input X contains infinity or a value too large for "
            f"{steps.dtype!r}: {where}."
        )
