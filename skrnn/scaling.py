"""Standardization of sequences and targets, one mean and one scale per channel."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skrnn._samples import check_weights
from skrnn.blocks import row_blocks
from skrnn.callbacks import CallbackSupportMixin, with_callbacks
from skrnn.sequences import PaddedData, Sequences, check_sequences

# A standard deviation of at most so many roundings of the mean is rounding itself.
CONSTANT_TOLERANCE = 8 * np.finfo(np.float64).eps


def channel_statistics(data, sample_weight=None, rows=None, factors=None):
    """Give the mean and the scale of each channel over all valid steps.

    Missing values, which are NaN, are left out.

    Parameters
    ----------
    data : PaddedData or Sequences of n_samples sequences
        Read by blocks, so that it may be larger than memory.
    sample_weight : ndarray of shape (n_rows,), default=None
        A weight for each of `rows`, which each of its steps takes. Rows of weight 0
        are not looked at. None means equal weights.
    rows : ndarray of shape (n_rows,), default=None
        Indices of the samples to use; None means all of them.
    factors : Sequences, default=None
        What multiplies the weight at each step, a single channel.

    Returns
    -------
    mean : ndarray of shape (n_channels,), dtype float64
        The weighted mean, or 0 for a channel without values.
    scale : ndarray of shape (n_channels,), dtype float64
        The weighted standard deviation, or 1 for a channel that is constant but for
        rounding, or has no values.

    Raises
    ------
    ValueError
        If all weights are zero.
    """
    _, mean, std = _data_moments(data, sample_weight, rows, factors)
    return mean, _scale(mean, std)


def target_statistics(y, sample_weight=None, rows=None):
    """Give the mean and the scale of each output.

    Parameters
    ----------
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Numbers.
    sample_weight : ndarray of shape (n_rows,), default=None
        A weight for each of `rows`. None means equal weights.
    rows : ndarray of shape (n_rows,), default=None
        Indices of the samples to use; None means all of them.

    Returns
    -------
    mean : ndarray of shape (n_outputs,), dtype float64
        The weighted mean.
    scale : ndarray of shape (n_outputs,), dtype float64
        The weighted standard deviation, or 1 for an output that is constant but for
        rounding.

    Raises
    ------
    ValueError
        If all weights are zero.
    """
    y = np.asarray(y)
    y = y.reshape(len(y), -1)
    rows, weights = _weighted_rows(len(y), sample_weight, rows)
    _, mean, std = _block_moments(y[rows], weights)
    return mean, _scale(mean, std)


def _scale(mean, std):
    """Replace the standard deviation of constant channels by 1."""
    return np.where(std <= CONSTANT_TOLERANCE * np.abs(mean), 1.0, std)


def _weighted_rows(n_samples, sample_weight, rows):
    """Give the rows that have a weight, and their weights."""
    rows = np.arange(n_samples) if rows is None else rows
    if sample_weight is None:
        return rows, np.ones(len(rows))
    weighted = sample_weight > 0
    if not weighted.any():
        raise ValueError("sample_weight must not be zero for all samples.")
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weighted.all():
        return rows, weights
    return rows[weighted], weights[weighted]


def _data_moments(data, sample_weight=None, rows=None, factors=None):
    """Give total weight, mean and standard deviation of the steps, by blocks."""
    rows, weights = _weighted_rows(len(data), sample_weight, rows)
    moments = None
    for piece in row_blocks(data, rows):
        step_weights = np.repeat(weights[piece], data.lengths[rows[piece]])
        if factors is not None:
            step_weights *= factors.take(rows[piece])[:, 0]
            if not step_weights.any():
                continue
        block = _block_moments(data.take(rows[piece]), step_weights)
        moments = block if moments is None else _merge(moments, block)
    return moments


def _block_moments(values, weights):
    """Give total weight, mean and standard deviation of the columns of a block.

    Values, which may be overwritten, are centred twice: what the first mean has lost
    to rounding, the second finds. Each column is first brought near 1 by a power of
    two, which costs no bit and lets neither the sum nor a square overflow or vanish.

    Where values are NaN, the total weight is that of each column's other values.
    """
    columns = np.ascontiguousarray(values.T, dtype=np.float64)
    peak = _peak(columns)
    if np.isnan(peak).any():
        missing = np.isnan(columns)
        weights = np.where(missing, 0.0, weights)
        columns[missing] = 0.0
        peak = _peak(columns)
    exponent = np.clip(np.frexp(peak)[1], -1000, 1000)
    columns *= np.ldexp(1.0, -exponent)[:, np.newaxis]

    total = weights.sum(axis=-1)
    shares = weights / _divisor(total)[..., np.newaxis]
    mean = np.zeros(len(columns))
    for _ in range(2):
        shift = (columns * shares).sum(axis=1)
        columns -= shift[:, np.newaxis]
        mean += shift
    columns *= columns
    columns *= shares
    std = np.sqrt(columns.sum(axis=1))
    return total, np.ldexp(mean, exponent), np.ldexp(std, exponent)


def _peak(columns):
    """Give the largest absolute value of each column, NaN if it holds that."""
    return np.maximum(columns.max(axis=1), -columns.min(axis=1))


def _divisor(total):
    """Replace a total weight of 0, which is that of no values, by 1."""
    return np.where(total > 0, total, 1.0)


def _merge(first, second):
    """Give total weight, mean and standard deviation of two sets taken together."""
    total = first[0] + second[0]
    share_1, share_2 = first[0] / _divisor(total), second[0] / _divisor(total)
    distance = second[1] - first[1]
    mean = first[1] + distance * share_2
    # The variances and the squared distance add up; hypot squares without overflow.
    within = np.hypot(np.sqrt(share_1) * first[2], np.sqrt(share_2) * second[2])
    std = np.hypot(within, np.sqrt(share_1 * share_2) * distance)
    return total, mean, std


def _has_columns(scaler):
    """Tell whether the output has columns to name: not after a fit on sequences."""
    return getattr(scaler, "_is_two_d", True)


class SequenceScaler(
    CallbackSupportMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator
):
    """Standardize sequences: each channel gets zero mean and unit variance.

    The mean and the standard deviation of a channel are those of all its steps in
    all samples. A two-dimensional `X` holds one univariate series a row: one channel
    with one mean and one scale, unlike in
    :class:`~sklearn.preprocessing.StandardScaler`, which would give each time step
    its own.

    Parameters
    ----------
    with_mean : bool, default=True
        Whether to subtract the mean.
    with_std : bool, default=True
        Whether to divide by the standard deviation. Constant channels are left
        undivided.
    n_channels : int, default=None
        Number of channels of a two-dimensional `X` whose rows are flattened
        sequences, step after step. None means 1.

    Attributes
    ----------
    mean_ : ndarray of shape (n_channels,)
        The mean of each channel.
    var_ : ndarray of shape (n_channels,)
        The variance of each channel.
    scale_ : ndarray of shape (n_channels,) or None
        What each channel is divided by: its standard deviation, or 1 if it is
        constant. None if ``with_std=False``.
    n_steps_seen_ : int or float
        The number of steps seen, or the sum of their weights.
    n_features_in_ : int
        Number of channels, or of columns if `X` was two-dimensional.
    n_channels_in_ : int
        Number of channels.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the channels or columns, if `X` had names that are all strings.

    See Also
    --------
    sklearn.preprocessing.StandardScaler : One mean and scale for each column.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.scaling import SequenceScaler
    >>> X = [np.array([[0.0, 1.0], [2.0, 1.0]]), np.array([[4.0, 1.0]])]
    >>> scaler = SequenceScaler().fit(X)
    >>> scaler.mean_
    array([2., 1.])
    >>> scaler.transform(X)[1]
    array([[1.22474487, 0.        ]])
    """

    def __init__(
        self,
        with_mean: bool = True,
        with_std: bool = True,
        n_channels: int | None = None,
    ) -> None:
        self.with_mean = with_mean
        self.with_std = with_std
        self.n_channels = n_channels

    @with_callbacks
    def fit(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Compute the mean and the scale of each channel.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps, n_channels) or \
                (n_samples, n_timesteps), list of arrays, Sequences or DataFrame
            The sequences.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight for each sample, which each of its steps takes.

        Returns
        -------
        self : object
            Fitted scaler.

        Raises
        ------
        ValueError
            If `X` is not a set of finite sequences, or if a weight is negative or
            all weights are zero.
        """
        context = self._init_callback_context()
        context.call_on_fit_task_begin(estimator=self, X=X)
        self._update(X, sample_weight, reset=True)
        context.call_on_fit_task_end(estimator=self, X=X)
        return self

    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Take further samples into the mean and the scale of each channel.

        Parameters
        ----------
        X : as in :meth:`fit`
            The sequences.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight for each sample, which each of its steps takes.

        Returns
        -------
        self : object
            Fitted scaler.

        Raises
        ------
        ValueError
            As :meth:`fit`, and if `X` has other channels than before.
        """
        return self._update(X, sample_weight, reset=not hasattr(self, "mean_"))

    def _update(self, X, sample_weight, reset):
        data = check_sequences(self, X, reset=reset, n_channels=self.n_channels)
        if sample_weight is not None:
            sample_weight = check_weights(sample_weight, len(data))
        total, mean, std = _data_moments(data, sample_weight)
        if sample_weight is None and np.ndim(total) == 0:
            total = int(total)  # otherwise NaN got in, by assume_finite
        if not reset:
            total, mean, std = _merge(
                (self.n_steps_seen_, self.mean_, self._std), (total, mean, std)
            )
        self._is_two_d = _is_two_d(X, data)
        self._std = std
        self.n_steps_seen_, self.mean_ = total, mean
        with np.errstate(over="ignore", under="ignore"):
            self.var_ = std**2
        self.scale_ = _scale(mean, std) if self.with_std else None
        return self

    def transform(self, X: Any) -> Any:
        """Standardize sequences.

        Parameters
        ----------
        X : as in :meth:`fit`
            The sequences.

        Returns
        -------
        X_scaled : ndarray, Sequences or DataFrame
            A two- or three-dimensional array of the shape of `X`; a frame with the
            index and columns of `X` if that has an (instance, time) index;
            ``Sequences`` for all other sequences.
        """
        check_is_fitted(self)
        return self._map(X, self._standardize)

    def inverse_transform(self, X: Any) -> Any:
        """Undo the standardization.

        Parameters
        ----------
        X : as in :meth:`fit`
            Standardized sequences.

        Returns
        -------
        X_original : ndarray, Sequences or DataFrame
            What :meth:`transform` would return for the same kind of `X`.
        """
        check_is_fitted(self)
        return self._map(X, self._restore)

    def _standardize(self, values):
        if self.with_mean:
            values -= self.mean_
        if self.with_std:
            values /= self.scale_
        return values

    def _restore(self, values):
        if self.with_std:
            values *= self.scale_
        if self.with_mean:
            values += self.mean_
        return values

    def _map(self, X, function):
        """Apply a function to all steps of X, by blocks that it may write to."""
        data = check_sequences(self, X, reset=False, n_channels=self.n_channels)
        values = np.empty((int(data.lengths.sum()), data.n_channels), data.dtype)
        rows, used = np.arange(len(data)), 0
        for piece in row_blocks(data, rows):
            block = function(data.take(rows[piece]))
            values[used : used + len(block)] = block
            used += len(block)
        return like_data(X, data, values)

    @available_if(_has_columns)
    def get_feature_names_out(self, input_features=None):
        """Give the names of the columns: those of the input.

        Only a scaler of two-dimensional data has columns.

        Parameters
        ----------
        input_features : array-like of str of shape (n_features_in_,), default=None
            Names to use; None means those seen in fit, or else x0, x1, ...

        Returns
        -------
        feature_names_out : ndarray of str of shape (n_features_in_,)
            The names.
        """
        return super().get_feature_names_out(input_features)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        return tags


def _is_two_d(X, data):
    """Tell whether X is two-dimensional: a row for each sample."""
    return isinstance(data, PaddedData) and getattr(X, "ndim", 2) == 2


def like_data(X, data, values):
    """Put new values of all steps into the kind of container that X is."""
    if isinstance(data, PaddedData):
        return _array_like(X, data, values)
    if data.index is not None and hasattr(X, "iloc"):
        return _frame_like(X, values)
    starts = np.cumsum(data.lengths) - data.lengths
    return Sequences._of(values, starts, data.lengths, data.index, data.feature_names)


def _array_like(X, data, values):
    """Give an array of the shape of X, with NaN where X is padded."""
    n_steps = data._n_steps
    shape = (len(data), n_steps, data.n_channels)
    if (data.lengths < n_steps).any():
        padded = np.full(shape, np.nan, dtype=values.dtype)
        padded[np.arange(n_steps) < data.lengths[:, np.newaxis]] = values
        values = padded
    return (
        values.reshape(len(data), -1) if _is_two_d(X, data) else values.reshape(shape)
    )


def _frame_like(X, values):
    """Give a frame with the index and columns of X, in the order of its rows."""
    import pandas as pd

    instances, _ = pd.factorize(X.index.get_level_values(0))
    ordered = np.empty_like(values)
    ordered[np.argsort(instances, kind="stable")] = values
    if X.ndim == 1:
        return pd.Series(ordered[:, 0], index=X.index, name=X.name)
    return pd.DataFrame(ordered, index=X.index, columns=X.columns)
