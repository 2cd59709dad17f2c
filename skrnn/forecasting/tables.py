"""The forms of a user's data, each brought into rows of (series, time, value)."""

from dataclasses import replace

import numpy as np
import pandas as pd

from skrnn.forecasting.columns import as_numbers
from skrnn.forecasting.keys import (
    array_keys,
    key_columns,
    key_levels,
    plain_keys,
    refuse_twice,
    wide_keys,
)
from skrnn.sequences.numeric import refuse_masked


def read_table(X, y, names):
    """Read history, of any form.

    Parameters
    ----------
    X, y : object
        As :class:`~skrnn.RNNForecaster` takes them. None for either means that the
        other holds the series.
    names : Names

    Returns
    -------
    table : Table
    """
    if X is None:
        X, y = y, None
    if y is not None:
        return _pair(X, y, names)
    if not isinstance(X, pd.Series | pd.DataFrame):
        return _array(X)
    if X.index.nlevels > 1 or is_long(X, names):
        return _split_target(X, names)
    return _series(X) if X.ndim == 1 else _wide(X)


def is_long(X, names):
    """Whether X is a frame with a column of times and one of series or values."""
    if not isinstance(X, pd.DataFrame):
        return False
    if names.time not in X.columns:
        if names.id in X.columns:
            raise ValueError(
                f"There is a column {names.id!r} of series, but no column "
                f"{names.time!r} of times. Set time_col."
            )
        return False
    if names.id is not None and names.id in X.index.names:
        raise ValueError(
            f"{names.id!r} is the index, not a column: pass frame.reset_index()."
        )
    return names.id in X.columns or names.target in X.columns


def _array(X):
    refuse_masked(X, "X")
    values = X if isinstance(X, np.ndarray) else np.asarray(X, dtype=None)
    if values.ndim != 1:
        raise ValueError(
            "A single series must have one dimension, but the data has "
            f"{values.ndim}, shape {values.shape}. Pass several series as a pandas "
            "DataFrame, a column a series."
        )
    return replace(array_keys(len(values)), values=as_numbers(values, "The series"))


def _series(series):
    table = plain_keys(series.index, "series", series.name)
    return replace(
        table,
        values=as_numbers(series, f"Series {series.name!r}"),
        labels=(*table.labels, series.name),
    )


def _wide(frame):
    refuse_twice(frame)
    if frame.shape[1] == 0:
        raise ValueError("The frame has no columns: there is no series to forecast.")
    hint = ". A long frame needs the columns of id_col, time_col and target_col"
    if all(isinstance(t, np.dtype) and t.kind in "biuf" for t in frame.dtypes):
        values = frame.to_numpy(dtype=np.float64).T.ravel()
    else:
        parts = []
        for place, name in enumerate(frame.columns):
            try:
                parts.append(as_numbers(frame.iloc[:, place], f"Column {name!r}"))
            except TypeError as error:
                raise TypeError(f"{str(error).rstrip('.')}{hint}.") from error
        values = np.concatenate(parts)
    return replace(wide_keys(frame.index, frame.columns), values=values)


def _split_target(data, names):
    """Read rows with keys of their own, one column of which is the target."""
    if data.ndim == 1:
        table = key_levels(data.index, names)
        values = as_numbers(data, f"Series {data.name!r}")
        return replace(table, values=values, labels=(*table.labels, data.name))
    refuse_twice(data)
    if data.index.nlevels == 1:
        table = key_columns(data, names)
    else:
        table = replace(key_levels(data.index, names), columns=data, flat=False)
    columns, target = table.columns, names.target
    if target not in columns.columns:
        if table.kind == "long" or columns.shape[1] != 1:
            raise ValueError(
                f"There is no column {target!r} of values to forecast; there are "
                f"{list(columns.columns)}. Set target_col."
            )
        target = columns.columns[0]
    return replace(
        table,
        values=as_numbers(columns[target], f"Column {target!r}"),
        columns=columns.drop(columns=[target]),
        labels=(*table.labels, target),
    )


def _pair(X, y, names):
    """Read exogenous columns X and the series y."""
    if is_long(X, names):
        return _long_pair(X, y, names)
    X, y = _aligned(X, y)
    if isinstance(y, np.ndarray):
        table = _array(y)
    elif y.index.nlevels > 1:
        if y.ndim == 2 and y.shape[1] != 1:
            raise ValueError(
                f"y must be one column, but has {y.shape[1]}: {list(y.columns)}."
            )
        column = y if y.ndim == 1 else y.iloc[:, 0]
        table = replace(_split_target(column, names), flat=y.ndim == 1)
    else:
        table = _series(y) if y.ndim == 1 else _wide(y)
    lines = table.places if table.kind == "wide" else None
    return replace(table, columns=X, lines=lines, separate=True)


def _aligned(X, y):
    """Return X as a frame of columns and y as a Series, frame or array of its rows."""
    if isinstance(X, pd.Index):
        X = pd.DataFrame(index=X)
    elif isinstance(X, pd.Series):
        X = X.to_frame("X" if X.name is None else X.name)
    elif not isinstance(X, pd.DataFrame):
        refuse_masked(X, "X")
        array = np.asarray(X)
        if array.ndim not in (1, 2):
            raise ValueError(
                f"X must have one or two dimensions, but has shape {array.shape}."
            )
        array = array[:, np.newaxis] if array.ndim == 1 else array
        index = y.index if _has_index(y) and len(y) == len(array) else None
        X = pd.DataFrame(array, index=index)
        if not _has_index(y):
            _same_length(X, y)
            return X, np.asarray(y)
    refuse_twice(X)
    _same_length(X, y)
    if not _has_index(y):
        y = pd.Series(_flat(y), index=X.index)
    elif not X.index.equals(y.index):
        place = int(np.argmax([a != b for a, b in zip(X.index, y.index, strict=True)]))
        raise ValueError(
            f"X and y must have the same index, but row {place} is {X.index[place]} "
            f"in X and {y.index[place]} in y."
        )
    return X, y


def _long_pair(X, y, names):
    """Read a long frame without its target, and a value for each of its rows."""
    table = key_columns(X, names)
    if names.target in table.columns:
        raise ValueError(
            f"X has the column {names.target!r} of the target, and y is given as well. "
            "Pass only one of them."
        )
    _same_length(X, y)
    if _has_index(y) and not y.index.equals(X.index):
        raise ValueError("X and y must have the same index.")
    name = getattr(y, "name", None)
    values = as_numbers(y if isinstance(y, pd.Series) else _flat(y), "y")
    label = names.target if name is None else name
    return replace(table, values=values, labels=(label,), separate=True, flat=True)


def _flat(y):
    """Return an array of one column as one of one dimension."""
    refuse_masked(y, "y")
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(f"y must hold a value for each row, but has shape {y.shape}.")
    return y


def _has_index(y):
    return isinstance(y, pd.Series | pd.DataFrame)


def _same_length(X, y):
    if len(X) != len(y):
        raise ValueError(f"X has {len(X)} rows, but y has {len(y)}.")
