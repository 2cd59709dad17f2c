"""The two forms of a data set."""

from collections.abc import Hashable, Iterable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skrnn.blocks import CACHE_BYTES, blocks_of
from skrnn.sequences.frames import is_pandas, read_long
from skrnn.sequences.numeric import computation_dtype
from skrnn.sequences.samples import join


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
        X = self._X[rows].astype(self.dtype, order="C", copy=view)
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

    def __init__(self, sequences: Iterable[ArrayLike]) -> None:
        if is_pandas(sequences, "DataFrame"):
            raise TypeError("For a DataFrame use Sequences.from_long(frame).")
        values, lengths, names = join(list(sequences))
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
    def from_long(
        cls,
        frame: Any,
        instance: Hashable | None = None,
        time: Hashable | None = None,
        columns: Any = None,
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
        return cls._of(*read_long(frame, instance, time, columns))

    @property
    def shape(self) -> tuple[int]:
        """The shape of an array of samples, (n_samples,)."""
        return (len(self.lengths),)

    @property
    def n_channels(self) -> int:
        """The number of channels."""
        return self.values.shape[1]

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
        return (
            f"Sequences(n_samples={len(self)}, n_channels={self.n_channels}, "
            f"lengths={lengths})"
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
