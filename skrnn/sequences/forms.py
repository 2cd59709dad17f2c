"""The two forms of a data set."""

from collections.abc import Hashable, Iterable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skrnn.blocks import CACHE_BYTES, blocks_of
from skrnn.sequences.frames import is_pandas, read_long
from skrnn.sequences.numeric import computation_dtype
from skrnn.sequences.samples import join
from skrnn.sequences.static import read_static


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
            lengths = self._same_steps(n_samples)
        self.lengths = np.asarray(lengths, dtype=np.int64)
        self.dtype = computation_dtype([X.dtype])

    def __len__(self) -> int:
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
        # Twice as fast as indexing, but it would copy all of what is not contiguous.
        take = not view and self._X.flags.c_contiguous
        X = self._X.take(rows, axis=0) if take else self._X[rows]
        X = X.astype(self.dtype, order="C", copy=view)
        steps = X.reshape(-1, self.n_channels)
        if self._uniform:
            return steps
        starts = np.arange(len(X)) * self._n_steps
        return steps.take(_places(starts, self.lengths[rows]), axis=0)

    def _same_steps(self, n_samples):
        """Return the number of steps for each sample: one number in memory."""
        return np.broadcast_to(np.int64(self._n_steps), (n_samples,))

    def blocks(self, max_bytes=CACHE_BYTES):
        """Yield slices of consecutive samples that `take` can hold in memory.

        Parameters
        ----------
        max_bytes : int, default=CACHE_BYTES
            Bound on what ``take(block)`` allocates; a larger sample is alone.

        Yields
        ------
        block : slice
        """
        steps = self.lengths if self._uniform else self._same_steps(len(self))
        return blocks_of(steps, self.n_channels * self.dtype.itemsize, max_bytes)


class Sequences:
    """Sequences of unequal lengths in one container that scikit-learn can split.

    The steps of all samples lie end to end in one array. A subset shares it, and
    when pickled keeps its own steps only.

    Parameters
    ----------
    sequences : iterable of array-like
        One item a sample, of shape (length, n_channels), or (length,) for one
        channel. float32 is kept if all have it, other numbers become float64.
    static : array-like or DataFrame of shape (n_samples, n_static) or (n_samples,), \
            default=None
        Numbers that belong to a sample as a whole, in the order of `sequences` and
        brought to their dtype. They are further channels, after those of the
        sequences, and the same at every step.

    Attributes
    ----------
    values : ndarray of shape (n_steps, n_channels - n_static)
        The steps, which subsets share.
    starts, lengths : ndarray of int64 of shape (n_samples,)
        Sample i is ``values[starts[i] : starts[i] + lengths[i]]``.
    static : ndarray of shape (n_samples, n_static) or None
        What is added to each step of a sample.
    index : pandas.Index or None
        The labels of the samples, if they come from a frame.
    feature_names : ndarray of str or None
        The names of the channels, if they all come from frames.

    Raises
    ------
    ValueError
        If there is no sample, or one is empty, not numeric, not of one or two
        dimensions, or differs from the first in its channels; or if `static` is not
        numeric, or does not have a row for each sample.

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
    >>> Sequences([[1, 2], [3]], static=[[0.5], [0.7]])[0]
    array([[1. , 0.5],
           [2. , 0.5]])
    """

    ndim = 1

    def __init__(self, sequences: Iterable[ArrayLike], static: Any = None) -> None:
        if is_pandas(sequences, "DataFrame"):
            raise TypeError("For a DataFrame use Sequences.from_long(frame).")
        values, lengths, names = join(list(sequences))
        self._set(values, np.cumsum(lengths) - lengths, lengths, None, names)
        if static is not None:
            self._add_static(static)

    def _set(self, values, starts, lengths, index, feature_names, static=None):
        self.values = values
        self.starts = starts
        self.lengths = lengths
        self.index = index
        self.feature_names = feature_names
        self.static = static

    def _add_static(self, static):
        self.static, names = read_static(static, len(self), self.dtype, self.index)
        if self.feature_names is not None:
            named = names is not None
            self.feature_names = np.append(self.feature_names, names) if named else None

    @classmethod
    def _of(cls, *parts):
        new = cls.__new__(cls)
        new._set(*parts)
        return new

    @classmethod
    def from_long(
        cls,
        frame: Any,
        instance: Hashable | None = None,
        time: Hashable | None = None,
        columns: Any = None,
        static: Any = None,
    ) -> Self:
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
        static : DataFrame, Series or array-like of shape (n_instances, n_static), \
                default=None
            Numbers that belong to an instance as a whole, further channels that are
            the same at every step. The index of a DataFrame or a Series holds the
            instances, in any order, and may hold others; the rows of an array are in
            the order in which the instances first appear.

        Returns
        -------
        sequences : Sequences
            The instances in the order in which they first appear, their labels
            in ``index``.

        Raises
        ------
        ValueError
            If times do not increase within an instance, a label or a time is
            missing, a column is not numeric, or `static` lacks an instance.

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
        >>> size = pd.Series({"a": 10, "b": 20})
        >>> Sequences.from_long(frame, instance="id", time="day", static=size)[0]
        array([[ 3., 20.],
               [ 4., 20.]])
        """
        new = cls._of(*read_long(frame, instance, time, columns))
        if static is not None:
            new._add_static(static)
        return new

    @property
    def shape(self) -> tuple[int]:
        """The shape of an array of samples, (n_samples,)."""
        return (len(self.lengths),)

    @property
    def n_channels(self) -> int:
        """The number of channels, static features included."""
        n_static = 0 if self.static is None else self.static.shape[1]
        return self.values.shape[1] + n_static

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the values, float32 or float64."""
        return self.values.dtype

    def __len__(self) -> int:
        return len(self.lengths)

    def __repr__(self):
        lengths = "none"
        if len(self):
            lengths = f"{self.lengths.min()}..{self.lengths.max()}"
        static = "" if self.static is None else f"n_static={self.static.shape[1]}, "
        return (
            f"Sequences(n_samples={len(self)}, n_channels={self.n_channels}, "
            f"{static}lengths={lengths})"
        )

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self._sample, range(len(self)))

    def __getitem__(self, key: Any) -> Any:
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
                if not -len(self) <= key < len(self):
                    raise IndexError(f"There are {len(self)} sequences, got {key}.")
                return self._sample(range(len(self))[key])
        index = None if self.index is None else self.index[key]
        static = None if self.static is None else self.static[key]
        return self._of(
            self.values,
            self.starts[key],
            self.lengths[key],
            index,
            self.feature_names,
            static,
        )

    def _sample(self, i):
        steps = self.values[self.starts[i] : self.starts[i] + self.lengths[i]]
        if self.static is None:
            return steps
        return beside(steps, self.static[i : i + 1].repeat(len(steps), axis=0))

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
            state["values"] = self._take_values(slice(None))
            state["starts"] = np.cumsum(self.lengths) - self.lengths
        return state

    def to_list(self) -> list[np.ndarray]:
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
        steps = self._take_values(rows)
        if self.static is None:
            return steps
        return beside(steps, self.static[rows].repeat(self.lengths[rows], axis=0))

    def _take_values(self, rows):
        """Copy the steps of some samples, without static features."""
        places = _places(self.starts[rows], self.lengths[rows])
        return np.asarray(self.values).take(places, axis=0)

    def blocks(self, max_bytes=CACHE_BYTES):
        """Yield slices of consecutive samples that `take` can hold in memory.

        Parameters
        ----------
        max_bytes : int, default=CACHE_BYTES
            Bound on the bytes of ``take(block)``; a larger sample is alone.

        Yields
        ------
        block : slice
        """
        return blocks_of(self.lengths, self.n_channels * self.dtype.itemsize, max_bytes)


def _places(starts, lengths):
    """List where the steps of samples lie that start here and are so long."""
    # Added to a step's place in the result, it gives its place in the source.
    shift = starts - (lengths.cumsum() - lengths)
    places = np.repeat(shift, lengths)
    places += np.arange(len(places))
    return places


def beside(left, right):
    """Join the channels of two arrays of steps in a new C-contiguous array."""
    shape = (len(left), left.shape[1] + right.shape[1])
    joined = np.empty(shape, np.promote_types(left.dtype, right.dtype))
    np.concatenate([left, right], axis=1, out=joined)
    return joined
