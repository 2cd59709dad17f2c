"""Which series and which time each row of a user's data belongs to."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

FORMS = {
    "array": "an array or list",
    "series": "a Series",
    "wide": "a wide frame, a column a series",
    "long": "a long frame",
    "multi": "rows with an index of (series, time)",
}


class Names(NamedTuple):
    """The columns of a long frame; `target` also that of a frame with two levels."""

    id: Hashable = "unique_id"
    time: Hashable = "ds"
    target: Hashable = "y"


@dataclass(frozen=True)
class Table:
    """Rows of one or more series, in the order in which the user has them.

    Parameters
    ----------
    kind : one of FORMS
    codes, places : ndarray of int of shape (n_rows,)
        The series of each row, and the place of its time in `times`.
    ids : Index of length n_series
    times : Index of length n_times, default=None
        None for arrays, whose rows follow each other.
    values : ndarray of float64 of shape (n_rows,), default=None
        The target; None where there is none, in the future.
    columns : DataFrame, default=None
        The exogenous columns.
    lines : ndarray of int of shape (n_rows,), default=None
        The line of `columns` of each row; None means its own.
    names : Names
        Those of a long frame; `id` is None if it has a single series.
    labels : tuple
        The names of the index or its levels, and that of the target.
    separate : bool
        Whether y was given apart from X.
    flat : bool
        Whether the target is a Series or array, not a column of a frame.
    index : Index, default=None
        That of the rows; for a wide frame, of the times.
    """

    kind: str
    codes: np.ndarray
    places: np.ndarray
    ids: pd.Index
    times: pd.Index | None = None
    values: np.ndarray | None = None
    columns: pd.DataFrame | None = None
    lines: np.ndarray | None = None
    names: Names = Names()
    labels: tuple = (None,)
    separate: bool = False
    flat: bool = True
    index: pd.Index | None = None


def key_columns(frame, names):
    """Return the keys of a long frame, without its target, as a table."""
    refuse_twice(frame)
    if names.id not in frame.columns:
        names = names._replace(id=None)
        codes, ids = np.zeros(len(frame), dtype=np.int64), pd.Index([names.target])
    else:
        codes, ids = _numbered(frame[names.id], "series", names.id)
    places, times = _numbered(frame[names.time], "time", names.time)
    return Table(
        "long",
        codes,
        places,
        ids,
        tidy_times(times),
        columns=frame.drop(columns=[n for n in names[:2] if n is not None]),
        names=names,
        flat=False,
        index=frame.index,
    )


def key_levels(index, names):
    """Return the keys that an index with two levels holds, as a table."""
    if index.nlevels != 2:
        raise ValueError(
            f"The index must have two levels, (series, time), but has {index.nlevels}: "
            f"{list(index.names)}."
        )
    parts = []
    for level, kind in enumerate(("series", "time")):
        codes, seen = pd.factorize(index.codes[level])
        if (seen < 0).any():
            row = int(np.flatnonzero(np.asarray(index.codes[level]) < 0)[0])
            raise ValueError(f"The {kind} of row {row} is missing in the index.")
        parts.append((codes, index.levels[level].take(seen)))
    (codes, ids), (places, times) = parts
    if _is_time(ids) and not _is_time(times):
        raise ValueError(
            "The index has the levels (time, series), but must have (series, time): "
            "pass the data with index.swaplevel()."
        )
    return Table(
        "multi",
        codes,
        places,
        ids.rename(None),
        tidy_times(times),
        names=names,
        labels=tuple(index.names),
        index=index,
    )


def plain_keys(index, kind="series", name=None):
    """Return the keys of a single series, as a table."""
    n = len(index)
    zeros = np.zeros(n, dtype=np.int64)
    ids = pd.Index([0 if name is None else name], tupleize_cols=False)
    times = tidy_times(index)
    return Table(
        kind, zeros, np.arange(n), ids, times, labels=(index.name,), index=index
    )


def wide_keys(index, ids):
    """Return the keys of each time for each of some series, as a table."""
    n = len(index)
    return Table(
        "wide",
        np.repeat(np.arange(len(ids)), n),
        np.tile(np.arange(n), len(ids)),
        ids,
        tidy_times(index),
        labels=(index.name,),
        flat=False,
        index=index,
    )


def array_keys(n):
    """Return the keys of rows that follow each other, as a table."""
    zeros = np.zeros(n, dtype=np.int64)
    return Table("array", zeros, np.arange(n), pd.Index([0]))


def tidy_times(times):
    """Bring times into pandas' own types of index; error if one is missing."""
    if not isinstance(times, pd.DatetimeIndex | pd.PeriodIndex | pd.RangeIndex):
        times = times.infer_objects()
    if times.hasnans:
        raise ValueError(f"The time of row {int(times.isna().argmax())} is missing.")
    if times.dtype.kind == "M" and not isinstance(times, pd.DatetimeIndex):
        return pd.DatetimeIndex(times)
    return times


def refuse_twice(frame):
    """Raise if two columns have the same name."""
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()].tolist()[0]
        raise ValueError(f"There are two columns {twice!r}.")


def _numbered(column, kind, name):
    """Return the number of each row's label, and the labels by first appearance."""
    codes, labels = pd.factorize(column)
    if (codes < 0).any():
        row = int((codes < 0).argmax())
        raise ValueError(f"The {kind} of row {row} is missing, in column {name!r}.")
    return codes, labels


def _is_time(labels: Any) -> bool:
    return isinstance(labels, pd.DatetimeIndex | pd.PeriodIndex)
