"""The door: what a user passes as X becomes one of the two forms."""

import operator
from collections.abc import Iterator, Mapping, Set

import numpy as np
from sklearn import get_config
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skrnn.sequences.forms import PaddedData, Sequences
from skrnn.sequences.frames import check_columns, is_pandas
from skrnn.sequences.numeric import holds_strings, numbers, refuse_masked


def check_sequences(estimator, X, *, reset, n_channels=None, allow_nan=False):
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
    allow_nan : bool, default=False
        Whether values may be missing. NaN to the end of a flattened row is padding
        still.

    Returns
    -------
    data : PaddedData or Sequences

    Raises
    ------
    ValueError
        If X holds something other than finite real numbers (or NaN, where that is
        allowed), an empty sequence, or another number of channels than expected; the
        message says where.
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
            return _check_rows(estimator, X, array, reset, n_channels, allow_nan)
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
    _check_finite(data, allow_nan)
    _check_channels(estimator, data, reset)
    return data


def check_target_index(data, y, name="y", of="X"):
    """Refuse a y whose labels are those of X in another order.

    Parameters
    ----------
    data : PaddedData or Sequences
        What `check_sequences` returned.
    y : object
        The target. Only a Series or DataFrame has labels to compare; of a
        two-level index the first level.
    name, of : str, default="y" and "X"
        Stand for y and X in the error.

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
    if data.index is None or not is_pandas(y, "Series", "DataFrame"):
        return
    labels = y.index
    if labels.nlevels == 2:
        labels = labels.get_level_values(0).unique()
    if len(labels) != len(data.index) or labels.equals(data.index):
        return
    if set(labels) == set(data.index):
        pairs = enumerate(zip(data.index, labels, strict=True))
        sample, ours, theirs = next((i, a, b) for i, (a, b) in pairs if a != b)
        raise ValueError(
            f"The instances of {of} and {name} are the same, but in another order: "
            f"sample {sample} is {ours!r} in {of} and {theirs!r} in {name}. Use "
            f"{name}.loc[...] to reorder {name} by the instances of {of}."
        )


def _as_sequences(X):
    """X as Sequences, or None where X is one array."""
    if isinstance(X, Sequences):
        return X
    if is_pandas(X, "DataFrame", "Series") and X.index.nlevels > 1:
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
    if type(X) is np.ndarray and X.dtype.kind == "f" and X.ndim in (2, 3) and X.size:
        return X  # nothing to check but what is in it: predict of a sample is quick
    refuse_masked(X, "X")
    # scikit-learn's messages say nothing of use here; an array may be a dict (dok).
    unsized = X is None or isinstance(X, str | bytes | Mapping | Set | Iterator)
    if unsized and not hasattr(X, "shape"):
        raise ValueError(
            "Expected 2D or 3D array, a list of arrays, Sequences or a DataFrame, got "
            f"{type(X).__name__} instead."
        )
    if is_pandas(X, "DataFrame"):
        check_columns(X)
    elif isinstance(X, np.ndarray) and holds_strings(X):
        numbers(X, "X")  # scikit-learn would parse them
    array = check_array(
        X,
        dtype="numeric",
        ensure_all_finite=False,  # done in blocks, and so that the error says where
        allow_nd=True,
        estimator=estimator,
        input_name="X",
    )
    if array.dtype.kind not in "biuf":
        numbers(array, "X")
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


def _check_rows(estimator, X, array, reset, n_channels, allow_nan):
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
    _check_finite(data, allow_nan)

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
        _check_columns(estimator, X, reset)
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
    _check_columns(estimator, stand_in, reset)
    if reset:
        estimator.n_channels_in_ = data.n_channels


def _check_columns(estimator, X, reset):
    """Set or check the number and the names of the columns of X."""
    if (
        not reset
        and type(X) is np.ndarray
        and not hasattr(estimator, "feature_names_in_")
    ):
        if X.shape[1] == getattr(estimator, "n_features_in_", None):
            return  # validate_data would take a while to find that there are no names
    validate_data(estimator, X, reset=reset, skip_check_array=True)


def _check_finite(data, allow_nan):
    """Raise at the first value that is infinite, or NaN unless that is allowed."""
    if get_config()["assume_finite"]:
        return
    for block in data.blocks():
        with np.errstate(over="ignore", invalid="ignore"):
            steps = data.take(block)
            if np.isfinite(steps.sum()):
                continue
        wrong = np.isinf(steps) if allow_nan else ~np.isfinite(steps)
        if not wrong.any():
            continue
        step, channel = np.argwhere(wrong)[0]
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
                f"Input X contains NaN: {where}. Impute missing values first, or see "
                "the estimators' missing=. Where "
                "NaN pads shorter sequences, pass a list of arrays without it."
            )
        raise ValueError(
            "Input X contains infinity or a value too large for "
            f"{steps.dtype!r}: {where}."
        )
