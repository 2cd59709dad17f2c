"""What belongs to each step: targets as users pass them, predictions like X."""

import numpy as np

from skrnn.sequences.derived import Derived
from skrnn.sequences.forms import PaddedData, Sequences
from skrnn.sequences.frames import is_pandas


def read_steps(y, data, name="y"):
    """Return what is known of each step, one sample after the other.

    Parameters
    ----------
    y : array of shape (n_samples, n_timesteps[, k]), list or object array of arrays \
            of shape (length[, k]), Sequences, or frame with an (instance, time) index
    data : PaddedData or Sequences
        Whose steps they belong to.
    name : str, default="y"
        Stands in the errors.

    Returns
    -------
    values : ndarray of shape (n_steps,) or (n_steps, k)

    Raises
    ------
    ValueError
        If y has other samples or lengths than `data`.
    """
    values, lengths = _values_and_lengths(y, data, name)
    if len(lengths) != len(data):
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: "
            f"X has {len(data)}, {name} has {len(lengths)}."
        )
    differ = lengths != data.lengths
    if differ.any():
        sample = int(differ.argmax())
        raise ValueError(
            f"{name} must have a value for each step: sample {sample} has "
            f"{data.lengths[sample]} steps in X and {lengths[sample]} in {name}."
        )
    return values


def _values_and_lengths(y, data, name):
    if is_pandas(y, "Series", "DataFrame") and y.index.nlevels == 2:
        return _of_frame(y)
    if isinstance(y, Sequences):
        values = y.take(slice(None))
        return (values[:, 0] if y.n_channels == 1 else values), y.lengths
    is_list = isinstance(y, list | tuple)
    if not is_list:
        y = np.asarray(y)
    if not is_list and y.ndim > 1:
        if y.ndim > 3:
            raise ValueError(f"{name} has shape {y.shape}: too many dimensions.")
        return _of_array(y, data)
    items = [np.asarray(item) for item in y]
    for sample, item in enumerate(items):
        if item.ndim not in (1, 2):
            raise ValueError(
                f"{name} must have a value for each step (return_sequences=True): "
                f"sample {sample} has shape {item.shape}, not (length,)."
            )
        if item.ndim != items[0].ndim or item.shape[1:] != items[0].shape[1:]:
            raise ValueError(
                f"The steps of {name} must be alike: sample 0 has shape "
                f"{items[0].shape}, sample {sample} has {item.shape}."
            )
    lengths = np.array([len(item) for item in items], np.int64)
    return (np.concatenate(items) if items else np.empty(0)), lengths


def _of_array(y, data):
    lengths = np.full(len(y), y.shape[1], np.int64)
    if isinstance(data, PaddedData) and len(y) == len(data):
        if y.shape[1] == data._n_steps and (data.lengths < y.shape[1]).any():
            # where X is padded at the end, so is y
            valid = np.arange(y.shape[1]) < data.lengths[:, np.newaxis]
            return y[valid], data.lengths
    return y.reshape(-1, *y.shape[2:]), lengths


def _of_frame(y):
    import pandas as pd

    codes, _ = pd.factorize(y.index.get_level_values(0))
    order = np.argsort(codes, kind="stable")
    return y.to_numpy()[order], np.bincount(codes).astype(np.int64)


def like_steps(X, data, values):
    """Bring what is known of each step into the shape of X.

    Parameters
    ----------
    X : object
        As the user passed it.
    data : PaddedData or Sequences
        What `check_sequences` made of it.
    values : ndarray of shape (n_steps,) or (n_steps, k)

    Returns
    -------
    steps : ndarray, Series or DataFrame
        Of shape (n_samples, n_timesteps) or (n_samples, n_timesteps, k) for an array; \
        with the index of X for a frame with an (instance, time) index; otherwise an \
        object array with an array for each sample.
    """
    if is_pandas(X, "Series", "DataFrame") and X.index.nlevels == 2:
        return _frame_like(X, values)
    if isinstance(data, PaddedData) and (data.lengths == data._n_steps).all():
        return values.reshape(len(data), -1, *values.shape[1:])
    steps = np.empty(len(data), dtype=object)
    ends = data.lengths.cumsum()
    for i, (end, length) in enumerate(zip(ends, data.lengths, strict=True)):
        steps[i] = values[end - length : end]
    return steps


def _frame_like(X, values):
    import pandas as pd

    codes, _ = pd.factorize(X.index.get_level_values(0))
    ordered = np.empty_like(values)
    ordered[np.argsort(codes, kind="stable")] = values
    if ordered.ndim == 1:
        return pd.Series(ordered, index=X.index)
    return pd.DataFrame(ordered, index=X.index)


def of_steps(values, lengths):
    """Return numbers of each step as a data set.

    Parameters
    ----------
    values : ndarray of shape (n_steps, n_channels)
        The steps of one sample after those of the other.
    lengths : ndarray of shape (n_samples,)
    """
    return Sequences._of(values, np.cumsum(lengths) - lengths, lengths, None, None)


class OfKept(Derived):
    """What belongs to the steps that another data set keeps.

    Parameters
    ----------
    data : Sequences
        Of all steps.
    present : SkipMissing
        Says which of them are kept.
    """

    def __init__(self, data, present):
        super().__init__(data, data.n_channels, present.lengths)
        self._present = present

    def _compute(self, rows):
        return self._data.take(rows)[self._present.kept(rows)]


def spread_steps(values, present):
    """Return values of the kept steps at all steps: the last known, or the first.

    Parameters
    ----------
    values : ndarray of shape (n_kept_steps, k)
    present : SkipMissing
    """
    kept = present.kept(np.arange(len(present)))
    lengths = present.source_lengths
    at = np.cumsum(kept) - 1
    first = np.cumsum(present.lengths) - present.lengths
    return values[np.maximum(at, np.repeat(first, lengths))]
