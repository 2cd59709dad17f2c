"""Data sets made of data sets: their steps are computed where they are taken.

Each has the names through which the rest of the package sees a data set, and holds
nothing but numbers of steps. They may be stacked: what treats missing values comes
first, then differences, then frames, and `Filled` last.
"""

import numpy as np

from skrnn.blocks import CACHE_BYTES, blocks_of, row_blocks
from skrnn.sequences.forms import beside


class Derived:
    """A data set that is computed from another one, by `_compute` of a subclass.

    Parameters
    ----------
    data : PaddedData, Sequences or Derived
    n_channels : int
    lengths : ndarray of int64 of shape (n_samples,), default=None
        The number of steps of each sample; that of `data` if None.

    Attributes
    ----------
    lengths, n_channels : as the parameters
    dtype : dtype
        That of `data`.
    index : pandas.Index or None
        The labels of the samples of `data`.
    """

    def __init__(self, data, n_channels, lengths=None):
        self._data = data
        self.n_channels = n_channels
        self.lengths = data.lengths if lengths is None else lengths
        self.dtype = data.dtype
        self.index = data.index

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, rows):
        """Compute the steps of some samples, one sample after the other.

        Parameters
        ----------
        rows : ndarray of int, or slice
            The samples.

        Returns
        -------
        steps : ndarray of shape (lengths[rows].sum(), n_channels)
            New, C-contiguous and writable.
        """
        return self._compute(rows)

    def backward(self, rows, gradient):
        """Turn the gradient of some samples into that of the data set they come from.

        Parameters
        ----------
        rows : ndarray of int, or slice
            The samples.
        gradient : ndarray of shape (lengths[rows].sum(), n_channels)
            Of a number, with respect to what `take` computes of them.

        Returns
        -------
        gradient : ndarray of shape (n_steps, n_source_channels)
            With respect to what it is computed from.
        """
        raise NotImplementedError

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


def backward_to(source, data, rows, gradient):
    """Turn the gradient of a data set into that of one it is computed from.

    Parameters
    ----------
    source, data : PaddedData, Sequences or Derived
        The second is the first, or derived from it, perhaps in several stages.
    rows : ndarray of int, or slice
        Samples.
    gradient : ndarray of shape (data.lengths[rows].sum(), data.n_channels)

    Returns
    -------
    gradient : ndarray of shape (source.lengths[rows].sum(), source.n_channels)

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.sequences import Differences, Sequences, backward_to
    >>> source = Sequences([[1, 2, 5]])
    >>> of_differences = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    >>> backward_to(source, Differences(source), slice(0, 1), of_differences).ravel()
    array([-1.,  0.,  1.])
    """
    while data is not source:
        gradient = data.backward(rows, gradient)
        data = data._data
    return gradient


class Rows(Derived):
    """Some samples of a data set, in this order.

    Parameters
    ----------
    data : PaddedData, Sequences or Derived
    rows : ndarray of int

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.sequences import Rows, Sequences
    >>> Rows(Sequences([[1], [2, 3]]), np.array([1])).take(slice(None)).ravel()
    array([2., 3.])
    """

    def __init__(self, data, rows):
        super().__init__(data, data.n_channels, data.lengths[rows])
        self._rows = rows
        if data.index is not None:
            self.index = data.index[rows]

    def _compute(self, rows):
        return self._data.take(self._rows[rows])


class Frames(Derived):
    """Consecutive steps folded into one: fewer steps of more channels.

    Parameters
    ----------
    data : PaddedData, Sequences or Derived
    n : int
        Steps of a frame, at least 1. A sample of some length has
        ``ceil(length / n)`` frames; where its last frame is incomplete, its last
        step is repeated.

    Notes
    -----
    A frame has all channels of its first step, then those of its second.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.sequences import Frames, Sequences
    >>> frames = Frames(Sequences([[[1, 2], [3, 4], [5, 6]], [[7, 8]]]), 2)
    >>> frames.lengths
    array([2, 1])
    >>> frames.take(np.array([0, 1]))
    array([[1., 2., 3., 4.],
           [5., 6., 5., 6.],
           [7., 8., 7., 8.]])
    """

    def __init__(self, data, n):
        super().__init__(data, n * data.n_channels, -(-data.lengths // n))
        self._n = n

    def _compute(self, rows):
        steps = self._data.take(rows)
        lengths = self._data.lengths[rows]
        lacking = -lengths % self._n
        if lacking.any():
            times = np.ones(len(steps), dtype=np.int64)
            times[np.cumsum(lengths) - 1] += lacking
            steps = np.repeat(steps, times, axis=0)
        return steps.reshape(-1, self.n_channels)

    def backward(self, rows, gradient):
        """Add up the gradients of a step that is repeated."""
        lengths = self._data.lengths[rows]
        times = np.ones(lengths.sum(), dtype=np.int64)
        times[np.cumsum(lengths) - 1] += -lengths % self._n
        steps = gradient.reshape(-1, self._data.n_channels)
        return np.add.reduceat(steps, np.cumsum(times) - times, axis=0)


class Differences(Derived):
    """First differences as further channels, after the channels themselves.

    The difference of a step is to the step before, and 0 at a sample's first step. It
    is NaN where one of the two values is. What is beyond the largest number of the
    dtype becomes that number.

    Parameters
    ----------
    data : PaddedData, Sequences or Derived

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.sequences import Differences, Sequences
    >>> Differences(Sequences([[1, 2, 5], [3, 0]])).take(np.array([0, 1]))
    array([[ 1.,  0.],
           [ 2.,  1.],
           [ 5.,  3.],
           [ 3.,  0.],
           [ 0., -3.]])
    """

    def __init__(self, data):
        super().__init__(data, 2 * data.n_channels)

    def _compute(self, rows):
        steps = self._data.take(rows)
        lengths = self.lengths[rows]
        differences = np.zeros_like(steps)
        later = differences[1:]
        with np.errstate(over="ignore"):
            np.subtract(steps[1:], steps[:-1], out=later)
        largest = np.finfo(self.dtype).max
        np.clip(later, -largest, largest, out=later)
        differences[np.cumsum(lengths) - lengths] = 0
        return beside(steps, differences)

    def backward(self, rows, gradient):
        """A step raises its own difference, and lowers that of the step after it."""
        lengths, n = self.lengths[rows], self._data.n_channels
        total, differences = gradient[:, :n].copy(), gradient[:, n:].copy()
        differences[np.cumsum(lengths) - lengths] = 0
        total += differences
        total[:-1] -= differences[1:]
        return total


class SkipMissing(Derived):
    """The steps without missing values: those with a NaN in any channel are left out.

    Parameters
    ----------
    data : PaddedData, Sequences or Derived
        Read once by blocks, to count the steps.

    Raises
    ------
    ValueError
        If no step of a sample is left.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.sequences import Sequences, SkipMissing
    >>> data = SkipMissing(Sequences([[1, np.nan, 3], [4, 5]]))
    >>> data.lengths
    array([2, 2])
    >>> data.take(np.array([0])).ravel()
    array([1., 3.])
    >>> data.kept(np.array([0]))
    array([ True, False,  True])
    """

    _nothing_left = (
        "No step is without a missing value (NaN): {}. Leave the sample out, impute "
        'its missing values, or set missing="indicator".'
    )

    def __init__(self, data):
        lengths = np.empty(len(data), dtype=np.int64)
        for block in data.blocks():
            taken = data.lengths[block]
            kept = self._is_kept(data.take(block))
            lengths[block] = np.add.reduceat(
                kept, np.cumsum(taken) - taken, dtype=np.int64
            )
        super().__init__(data, data.n_channels, lengths)
        if not lengths.all():
            raise ValueError(self._nothing_left.format(self._place()))
        self._keeps_all = bool((lengths == data.lengths).all())

    def _place(self):
        """Name the first sample without steps."""
        sample = int(self.lengths.argmin())
        if self.index is None:
            return f"sample {sample}"
        return f"sample {sample} (instance {self.index[sample]!r})"

    def _compute(self, rows):
        if self._keeps_all:
            return self._data.take(rows)
        n_steps = int(self.lengths[rows].sum())
        taken = np.empty((n_steps, self.n_channels), self.dtype)
        used = 0
        for steps, kept in self._read(rows):  # more may be left out than are taken
            end = used + np.count_nonzero(kept)
            np.compress(kept, steps, axis=0, out=taken[used:end])
            used = end
        return taken

    def backward(self, rows, gradient):
        """What is left out has no influence."""
        kept = self.kept(rows)
        total = np.zeros((len(kept), self.n_channels), gradient.dtype)
        total[kept] = gradient
        return total

    @property
    def source_lengths(self):
        """The steps that each sample has before any are left out."""
        return self._data.lengths

    def kept(self, rows):
        """Tell which steps of some samples are left: their places in `data`.

        Parameters
        ----------
        rows : ndarray of int, or slice
            The samples.

        Returns
        -------
        kept : ndarray of bool of shape (data.lengths[rows].sum(),)
            False for the steps that are left out, one sample after the other.
        """
        n_steps = int(self._data.lengths[rows].sum())
        if self._keeps_all:
            return np.ones(n_steps, dtype=bool)
        return np.concatenate(
            [np.empty(0, dtype=bool), *(kept for _, kept in self._read(rows))]
        )

    def source_step(self, sample, step):
        """Return the place of a step in its sample before any are left out.

        Parameters
        ----------
        sample : int
        step : int
            Its place among those that are left.

        Returns
        -------
        step : int
            Its place in `data`.
        """
        return int(np.flatnonzero(self.kept(np.array([sample])))[step])

    def _read(self, rows):
        """Yield all steps of some samples and which of them are left, by blocks."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        for piece in row_blocks(self._data, rows):
            steps = self._data.take(rows[piece])
            yield steps, self._is_kept(steps)

    def _is_kept(self, steps):
        return _has_no_nan(steps)


class SkipPadding(SkipMissing):
    """The steps that are no padding: those whose tokens are all this one are left out.

    Parameters
    ----------
    data : PaddedData, Sequences or Derived
    places : list of int
        The channels that hold tokens.
    token : int
        The padding.
    missing : bool, default=False
        Whether steps with missing values are left out too.

    Raises
    ------
    ValueError
        If no step of a sample is left.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.sequences import Sequences, SkipPadding
    >>> SkipPadding(Sequences([[3, 1, 0], [2, 0, 0]]), [0], 0).lengths
    array([2, 1])
    >>> data = Sequences([[[3, 0.5], [1, np.nan], [0, 0]]])
    >>> SkipPadding(data, [0], 0, missing=True).lengths
    array([1])
    """

    _nothing_left = "There is nothing but padding_token: {}. Leave the sample out."
    _nothing_left_of_both = (
        "There is nothing but padding_token and steps with a missing value (NaN): {}. "
        "Leave the sample out, or impute its missing values."
    )

    def __init__(self, data, places, token, missing=False):
        self._places = places
        self._token = token
        self._missing = missing
        if missing:
            self._nothing_left = self._nothing_left_of_both
        super().__init__(data)

    def _is_kept(self, steps):
        kept = (steps[:, self._places] != self._token).any(axis=1)
        return kept & super()._is_kept(steps) if self._missing else kept


class Indicator(Derived):
    """What is missing as further channels, after the channels themselves.

    There is one for each channel: 1 where its value is NaN, else 0. The values are
    left as they are; see `Filled`.

    Parameters
    ----------
    data : PaddedData, Sequences or Derived

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.sequences import Indicator, Sequences
    >>> Indicator(Sequences([[1, np.nan, 3]])).take(np.array([0]))
    array([[ 1.,  0.],
           [nan,  1.],
           [ 3.,  0.]])
    """

    def __init__(self, data):
        super().__init__(data, 2 * data.n_channels)

    def _compute(self, rows):
        steps = self._data.take(rows)
        return beside(steps, np.isnan(steps))

    def backward(self, rows, gradient):
        """What is missing does not change with the values."""
        return gradient[:, : self._data.n_channels]


class Filled(Derived):
    """Values in the place of those that are missing, one for each channel.

    With the means of the channels what is missing is 0 once it is standardized.

    Parameters
    ----------
    data : PaddedData, Sequences or Derived
    values : array-like of shape (n_channels,)
        What takes the place of NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.sequences import Filled, Sequences
    >>> Filled(Sequences([[1, np.nan, 3]]), [2.0]).take(np.array([0])).ravel()
    array([1., 2., 3.])
    """

    def __init__(self, data, values):
        super().__init__(data, data.n_channels)
        self._values = np.asarray(values, dtype=data.dtype)

    def _compute(self, rows):
        steps = self._data.take(rows)
        np.copyto(steps, self._values, where=np.isnan(steps))
        return steps

    def backward(self, rows, gradient):
        """What is missing has no influence."""
        return np.where(np.isnan(self._data.take(rows)), 0, gradient)


class Beside(Derived):
    """The channels of two data sets side by side.

    Parameters
    ----------
    data, other : PaddedData, Sequences or Derived
        Samples of the same lengths. The channels of `other` come last. float32 is
        kept if both have it.

    Raises
    ------
    ValueError
        If the numbers of samples differ, or the lengths of a sample.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.sequences import Beside, Sequences
    >>> Beside(Sequences([[1, 2], [3]]), Sequences([[4, 5], [6]])).take(slice(0, 1))
    array([[1., 4.],
           [2., 5.]])
    """

    def __init__(self, data, other):
        if len(data) != len(other):
            raise ValueError(
                f"The data sets have {len(data)} and {len(other)} samples."
            )
        differ = data.lengths != other.lengths
        if differ.any():
            sample = int(differ.argmax())
            raise ValueError(
                f"Sample {sample} has {data.lengths[sample]} steps in one data set and "
                f"{other.lengths[sample]} in the other."
            )
        super().__init__(data, data.n_channels + other.n_channels)
        self._other = other
        self.dtype = np.promote_types(data.dtype, other.dtype)

    def _compute(self, rows):
        return beside(self._data.take(rows), self._other.take(rows))


def _has_no_nan(steps):
    """Tell of each step whether all its values are there."""
    # channel by channel: a reduction over a few channels is slow for each step
    return ~np.isnan(steps.T, order="C").any(axis=0)
