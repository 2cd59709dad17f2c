"""What belongs to each step: targets as users pass them, predictions like X."""

from typing import Any, NamedTuple

import numpy as np

from skrnn.sequences.check import check_target_index
from skrnn.sequences.forms import PaddedData, Sequences
from skrnn.sequences.frames import instance_order, is_pandas
from skrnn.sequences.numeric import refuse_masked


class Steps(NamedTuple):
    """The steps of all samples end to end.

    Attributes
    ----------
    values : ndarray of shape (n_steps,) or (n_steps, k)
    lengths : ndarray of int of shape (n_samples,)
        How many of them each sample has.
    index : Index of length n_samples, or None
        Labels of the samples.
    name : str
        Stands in the errors.
    """

    values: Any
    lengths: np.ndarray
    index: Any
    name: str

    def column(self):
        """Return values of shape (n_steps, 1) as (n_steps,)."""
        single = self.values.ndim == 2 and self.values.shape[1] == 1
        return self.values[:, 0] if single else self.values


def flat_steps(y, name):
    """Lay what is known of each step end to end.

    Parameters
    ----------
    y : array of shape (n_samples, n_timesteps[, k]), list or 1-D object array of \
            arrays of shape (length[, k]), Sequences, or Series or DataFrame with an \
            (instance, time) index
    name : str
        Stands in the errors.

    Returns
    -------
    steps : Steps

    Raises
    ------
    ValueError
        If a sample has one value instead of a sequence, the samples differ in k, or \
        the times of an instance do not increase.
    """
    if isinstance(y, Sequences):
        return Steps(y.take(slice(None)), y.lengths, y.index, name)
    if is_pandas(y, "DataFrame", "Series") and y.index.nlevels > 1:
        return _of_frame(y, name)
    refuse_masked(y, name)
    ragged = isinstance(y, list | tuple)
    array = y if ragged else np.asarray(y)
    if not ragged and array.ndim in (2, 3):
        n_samples, n_steps = array.shape[:2]
        values = array.reshape(n_samples * n_steps, *array.shape[2:])
        return Steps(values, np.full(n_samples, n_steps), None, name)
    if not ragged and array.ndim != 1:
        raise ValueError(f"{name} must have 2 or 3 dimensions, got {array.ndim}.")
    if len(array) == 0:
        raise ValueError(f"{name} has no samples.")
    samples = [_of_sample(item, name, i) for i, item in enumerate(array)]
    for i, sample in enumerate(samples):
        if sample.shape[1:] != samples[0].shape[1:]:
            raise ValueError(
                f"The steps of all samples of {name} must have as many values: those "
                f"of sample 0 have shape {samples[0].shape[1:]}, those of sample {i} "
                f"{sample.shape[1:]}."
            )
    lengths = np.fromiter(map(len, samples), np.int64, len(samples))
    return Steps(np.concatenate(samples), lengths, None, name)


def _of_frame(y, name):
    if y.index.nlevels != 2:
        raise ValueError(
            f"The index of {name} must have two levels, (instance, time), but has "
            f"{y.index.nlevels}."
        )
    levels = (y.index.get_level_values(level) for level in range(2))
    try:
        order, lengths, index = instance_order(*levels)
    except ValueError as error:
        raise ValueError(f"In {name}: {error}") from error
    values = y.to_numpy()
    return Steps(values if order is None else values[order], lengths, index, name)


def _of_sample(item, name, i):
    try:
        array = np.asarray(item)
    except ValueError as error:
        raise ValueError(
            f"The steps of {name} must have as many values: sample {i} is irregular "
            f"({error})."
        ) from error
    if array.ndim in (1, 2):
        return array
    if array.ndim == 0:
        raise ValueError(
            f"{name} must have a value for each step, but sample {i} has one value, "
            f"{item!r}. Is return_sequences of the estimator as it should be?"
        )
    raise ValueError(
        f"A sample of {name} has shape (length,) or (length, k), but sample {i} has "
        f"shape {array.shape}."
    )


def check_same_steps(expected, steps):
    """Raise unless the samples are the same, and as long.

    Parameters
    ----------
    expected, steps : Steps
        Labels are compared where both have some.
    """
    one, other = expected.name, steps.name
    if len(expected.lengths) != len(steps.lengths):
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: "
            f"{one} has {len(expected.lengths)}, {other} has {len(steps.lengths)}."
        )
    labelled = expected.index is not None and steps.index is not None
    if labelled and not expected.index.equals(steps.index):
        pairs = enumerate(zip(expected.index, steps.index, strict=True))
        for sample, (ours, theirs) in pairs:
            if ours != theirs:
                raise ValueError(
                    f"The instances of {one} and {other} differ: sample {sample} is "
                    f"{ours!r} in {one} and {theirs!r} in {other}."
                )
    differ = expected.lengths != steps.lengths
    if differ.any():
        sample = int(differ.argmax())
        raise ValueError(
            f"{other} must have a value for each step of {one}: sample {sample} has "
            f"{expected.lengths[sample]} steps in {one} and {steps.lengths[sample]} in "
            f"{other}."
        )


def read_steps(y, data, present, name="y"):
    """Return what is known of the steps of a data set, one sample after the other.

    Parameters
    ----------
    y : as in `flat_steps`
        Of all steps. Where X is padded at the end of its rows, y may be so too.
    data : PaddedData or Sequences
        Whose steps they belong to.
    present : PaddedData, Sequences or SkipMissing
        The same without the steps that are skipped, of which nothing is returned.
    name : str, default="y"
        Stands in the errors.

    Returns
    -------
    values : ndarray of shape (n_kept_steps,) or (n_kept_steps, k)

    Raises
    ------
    ValueError
        If y has other samples or lengths than `data`.
    """
    check_target_index(data, y, name)
    steps = _without_padding(flat_steps(y, name), data)
    check_same_steps(Steps(None, data.lengths, data.index, "X"), steps)
    values = steps.column()
    return values if present is data else values[present.kept(slice(None))]


def _without_padding(steps, data):
    """Leave out the padding where it is that of X."""
    if not isinstance(data, PaddedData) or len(steps.lengths) != len(data):
        return steps
    n_steps = data._n_steps
    if (data.lengths == n_steps).all() or (steps.lengths != n_steps).any():
        return steps
    valid = np.arange(n_steps) < data.lengths[:, np.newaxis]
    return steps._replace(values=steps.values[valid.ravel()], lengths=data.lengths)


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
        with the index of X for a frame with an (instance, time) index; otherwise, and \
        where a row of an array is padded, an object array with an array for each \
        sample.
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

    codes, _ = pd.factorize(X.index.get_level_values(0))  # X was checked
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


def spread_steps(values, present):
    """Return values of the kept steps at all steps: the last known, or the first.

    Parameters
    ----------
    values : ndarray of shape (n_kept_steps, k)
    present : SkipMissing
    """
    return values[last_kept(present)]


def last_kept(present):
    """Return for each step of all the number of the last that is kept, or the first.

    Parameters
    ----------
    present : SkipMissing
    """
    at = np.cumsum(present.kept(slice(None))) - 1
    first = np.cumsum(present.lengths) - present.lengths
    return np.maximum(at, np.repeat(first, present.source_lengths))
