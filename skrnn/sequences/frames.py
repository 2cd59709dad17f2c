"""Reading of pandas objects; pandas is imported only where it is there already."""

import sys

import numpy as np

from skrnn.sequences.numeric import computation_dtype, numbers


def is_pandas(X, *names):
    """Whether X is one of these classes, without importing pandas for it."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(
        X, tuple(getattr(pandas, n) for n in names)
    )


def read_long(frame, instance, time, columns):
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

    order, lengths, index = instance_order(labels, times)
    values = frame_values(frame)
    if order is not None:
        values = values[order]
    values = np.array(values, dtype=computation_dtype([values.dtype]), order="C")
    starts = np.cumsum(lengths) - lengths
    return values, starts, lengths, index, string_names(frame.columns)


def instance_order(labels, times=None):
    """Bring together the rows of each instance, in the order of the rows.

    Parameters
    ----------
    labels : Index of length n_rows
        The instance of each row.
    times : Index of length n_rows, default=None
        The time of each row, which must increase within an instance.

    Returns
    -------
    order : ndarray of int of shape (n_rows,), or None
        The rows, instance after instance; None where they lie so already.
    lengths : ndarray of int64 of shape (n_instances,)
        The number of rows of each instance.
    index : Index of length n_instances
        Their labels, as they first appear.
    """
    codes, index = number_instances(labels)
    # The stable sort keeps the order of an instance's rows.
    order = None if (np.diff(codes) >= 0).all() else codes.argsort(kind="stable")
    if times is not None:
        _check_increasing(codes, times, index, order)
    return order, np.bincount(codes).astype(np.int64), index


def number_instances(labels):
    """Return the number of each row's instance, and the labels by first appearance."""
    import pandas as pd

    codes, index = pd.factorize(labels)
    if (codes < 0).any():
        raise ValueError(f"The instance label of row {codes.argmin()} is missing.")
    return codes, index


def rank_times(times):
    """Return the rank of each row's time among the distinct times, and these."""
    import pandas as pd

    try:
        ranks, clock = pd.factorize(times, sort=True)
    except TypeError as error:
        raise ValueError(f"The times cannot be ordered: {error}.") from error
    if (ranks < 0).any():
        raise ValueError(f"The time of row {ranks.argmin()} is missing.")
    return ranks, clock


def _labels_and_times(frame, instance, time):
    """Take the instances and times out of a frame's index or columns."""
    import pandas as pd

    for name in (instance, time) if instance is not None else ():
        if name is not None and name not in frame.columns:
            raise ValueError(
                f"The frame has no column {name!r}; there are {list(frame.columns)}."
            )
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


def frame_values(frame, where=""):
    """Return a frame or a Series as a real array, where pandas.NA is NaN."""
    dtypes = [frame.dtype] if frame.ndim == 1 else list(frame.dtypes)
    if not all(dtype.kind in "biuf" for dtype in dtypes):
        check_columns(frame, where)
    if all(isinstance(dtype, np.dtype) for dtype in dtypes):
        values = frame.to_numpy()
        return values if values.dtype.kind in "biuf" else values.astype(np.float64)
    return frame.to_numpy(dtype=np.float64, na_value=np.nan)


def check_columns(frame, where=""):
    """Raise if a column holds something other than real numbers."""
    if frame.ndim == 1:
        frame = frame.to_frame()
    for position, dtype in enumerate(frame.dtypes):
        if dtype.kind in "biuf":  # pandas' own dtypes have a kind as well
            continue
        column = f"{where}column {frame.columns[position]!r}"
        if not isinstance(dtype, np.dtype):
            raise ValueError(f"X must hold numbers, but {column} holds {dtype}.")
        numbers(frame.iloc[:, position].to_numpy(), column)


def string_names(columns):
    """Names that scikit-learn takes for feature names, or None."""
    if all(isinstance(name, str) for name in columns):
        return np.asarray(columns, dtype=object)
    return None


def common_names(items):
    """Return the column names of frames, or None if a sample is no frame."""
    if not all(is_pandas(item, "DataFrame") for item in items):
        return None
    columns = items[0].columns
    for sample, item in enumerate(items):
        if item.columns is not columns and not item.columns.equals(columns):
            raise ValueError(
                "All frames must have the same columns in the same order: sample 0 "
                f"has {list(columns)}, sample {sample} has {list(item.columns)}."
            )
    return string_names(columns)


def _check_increasing(codes, times, index, order):
    """Raise unless times increase within each instance."""
    ranks, _ = rank_times(times)
    if order is not None:
        codes, ranks = codes[order], ranks[order]
    wrong = (np.diff(codes) == 0) & (np.diff(ranks) <= 0)
    if wrong.any():
        label = index.tolist()[codes[wrong.argmax()]]
        raise ValueError(
            f"The times of instance {label!r} do not increase from row to row. Sort "
            "the frame by instance and time (frame.sort_index(), or with columns "
            "frame.sort_values([instance, time])), drop duplicates, and mind that y "
            "keeps the order of the instances."
        )
