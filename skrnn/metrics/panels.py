"""Reading series, one or many, and matching what is forecast to the truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skrnn.sequences.frames import is_pandas

LONG = ["unique_id", "ds"]
HINT = (
    "Of a long frame, set the index to (id, time), or rename the columns to unique_id "
    "and ds."
)


@dataclass
class Panel:
    """Series, end to end.

    `values` has a row for each step: (n_rows,), or (n_rows, n_levels) where a step has
    several values. `series` has the number of the series of each row.
    Without times, rows are matched by their order.
    """

    name: str  # of the argument, for messages
    values: np.ndarray
    series: np.ndarray  # of int
    n_series: int
    labels: Any = None  # Index of length n_series; None where series have no names
    times: Any = None  # Index of length n_rows; None where rows have no times
    is_wide: bool = False  # read from a frame with a column for each series

    def order_of_time(self):
        """Return the rows, series after series, in the order of time."""
        if self.times is None:
            return np.arange(len(self.values))
        return np.lexsort([self.times.argsort().argsort(), self.series])

    def by_series(self, scores):
        """Return a score for each series, under its name if it has one."""
        if self.labels is None:
            return scores
        import pandas as pd

        return pd.Series(scores, index=self.labels)

    @property
    def lengths(self):
        """Return the number of rows of each series."""
        return np.bincount(self.series, minlength=self.n_series)

    def place(self, row):
        """Return words for the series and the time of a row."""
        number = self.series[row]
        if self.times is None:
            before = np.count_nonzero(self.series[:row] == number)
            return f"series {number}, step {before}"
        if self.labels is None:
            return f"time {self.times[row]}"
        return f"series {self.labels[number]!r}, time {self.times[row]}"


def read_panel(y, name, levels=None):
    """Read one series or many, with a value a step, or one for each of the levels."""
    if is_pandas(y, "Series", "DataFrame"):
        return _read_pandas(y, name, levels)
    if isinstance(y, (list, tuple)) and any(is_pandas(i, "Series") for i in y):
        raise TypeError(
            f"{name} is a list of Series, whose index would be lost: pass "
            "pandas.concat(list, axis=1), a column each."
        )
    arrays = _as_arrays(y, name, () if levels is None else (len(levels),))
    lengths = np.array([len(array) for array in arrays], dtype=np.intp)
    series = np.repeat(np.arange(len(arrays)), lengths)
    values = np.concatenate(arrays)
    return Panel(name, values, series, len(arrays))


def _as_arrays(y, name, step):
    """Return an array for each series; of one step they have the shape `step`."""
    n_axes = 1 + len(step)
    try:
        array = np.asarray(y, dtype=np.float64)
    except ValueError:  # of different lengths, or no numbers
        arrays = [np.asarray(item, dtype=np.float64) for item in y]
    else:
        arrays = [array] if array.ndim == n_axes else list(np.atleast_1d(array))
    if not sum(map(np.size, arrays)):
        raise ValueError(f"{name} has no values.")
    for i, array in enumerate(arrays):
        if array.ndim != n_axes or array.shape[1:] != step:
            place = f"Series {i} of {name}" if len(arrays) > 1 else name
            columns = f", {step[0]}" if step else ","
            raise ValueError(
                f"{place} must have the shape (n_steps{columns}), got {array.shape}."
            )
    return arrays


def _read_pandas(y, name, levels):
    """Read a Series or a DataFrame, in any of the forms there are."""
    import pandas as pd

    frame = y.to_frame() if isinstance(y, pd.Series) else y
    if frame.columns.nlevels == 1 and frame.columns.isin(LONG).sum() == len(LONG):
        frame = frame.set_index(LONG)
    if frame.index.nlevels == 1 and _is_wide(y, levels):
        return _read_wide(frame, name, levels)
    if frame.index.nlevels > 2:
        raise ValueError(f"The index of {name} must be of times or of (id, time).")
    values = _column_values(frame, name, levels)
    if frame.index.nlevels == 1:
        series = np.zeros(len(frame), dtype=np.intp)
        return Panel(name, values, series, 1, None, frame.index)
    series, labels = frame.index.droplevel(1).factorize()
    times = frame.index.droplevel(0)
    return Panel(name, values, series, len(labels), labels, times)


def _is_wide(y, levels):
    """Whether there is a column, or a group of columns, for each series."""
    return y.ndim == 2 and (levels is None or y.columns.nlevels == 2)


def _read_wide(frame, name, levels):
    """Read a frame with a column for each series, or one for each (series, level)."""
    labels = frame.columns.get_level_values(0).unique()
    parts = [
        _column_values(frame.loc[:, [label]], name, levels, f" of {label!r}")
        for label in labels
    ]
    if not parts:
        raise ValueError(f"{name} has no columns.")
    series = np.repeat(np.arange(len(labels)), len(frame))
    times = frame.index.take(np.tile(np.arange(len(frame)), len(labels)))
    values = np.concatenate(parts)
    return Panel(name, values, series, len(labels), labels, times, is_wide=True)


def _column_values(frame, name, levels, whose=""):
    """Return the values of the only column, or of those of the levels in order."""
    n_columns = 1 if levels is None else len(levels)
    if frame.shape[1] != n_columns:
        raise ValueError(
            f"{name} must have {n_columns} column(s) of values{whose}, it has "
            f"{frame.shape[1]}: {frame.columns.tolist()}. {HINT}"
        )
    values = _numbers(frame, name)
    if levels is None:
        return values[:, 0]
    titles = frame.columns.get_level_values(-1)
    if all(isinstance(title, float) for title in titles):
        near = np.isclose(np.asarray(titles)[None, :], np.asarray(levels)[:, None])
        if (near.sum(axis=1) != 1).any():
            level = levels[int((near.sum(axis=1) != 1).argmax())]
            raise ValueError(f"{name} has no column {level}{whose}.")
        values = values[:, near.argmax(axis=1)]
    return values


def _numbers(frame, name):
    """Return the values of a frame, which are numbers and not times."""
    error = None
    if not any(dtype.kind in "mM" for dtype in frame.dtypes):
        try:
            return frame.to_numpy(np.float64, na_value=np.nan)
        except (TypeError, ValueError) as raised:
            error = raised
    raise ValueError(
        f"{name} must hold numbers, its columns {frame.columns.tolist()} are "
        f"{[str(dtype) for dtype in frame.dtypes]}. {HINT}"
    ) from error


# Matching -----------------------------------------------------------------------------


def matched_values(true, other):
    """Return the values of a panel for the rows of the truth, by index or in order.

    Only where the truth is missing may they be so.
    """
    if true.times is not None and other.times is not None:
        values = _by_index(true, other)
    else:
        _check_same_rows(true, other)
        values = other.values
    finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    wrong = ~np.isnan(true.values) & ~finite
    if wrong.any():
        place = true.place(int(wrong.argmax()))
        raise ValueError(f"{other.name} is missing or infinite at {place}.")
    return values


def _check_same_rows(true, other):
    """Check that rows without an index lie like those that they are compared with."""
    plain = [panel for panel in (true, other) if panel.times is None]
    # A wide frame's rows are times and those of an array are series: no guess.
    guess = [p.is_wide or p.times is None for p in (true, other) if p.n_series > 1]
    if len(plain) == 1 and any(guess):
        raise ValueError(
            f"{true.name} and {other.name} must both have an index, or both be arrays: "
            "several series are matched by index, or by their rows."
        )
    same = len(true.values) == len(other.values)
    if len(plain) == 2:
        same = np.array_equal(true.lengths, other.lengths)
    if not same:
        raise ValueError(
            f"{true.name} and {other.name} must have as many values: "
            f"{_describe(true)} against {_describe(other)}."
        )


def _describe(panel):
    """Return words for the size of a panel."""
    lengths = np.unique(panel.lengths)
    steps = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
    return f"{panel.n_series} series of {steps} steps"


def _by_index(true, other):
    """Return the values at the truth's series and times, NaN where there are none."""
    named = true.labels is not None and other.labels is not None
    if not named and (true.n_series > 1 or other.n_series > 1):
        raise ValueError(
            f"{true.name} and {other.name} must have the same series: "
            f"{_describe(true)} against {_describe(other)}."
        )
    keys, wanted = _keys(other, named), _keys(true, named)
    for panel, index in ((other, keys), (true, wanted)):
        if not index.is_unique:
            row = int(index.duplicated().argmax())
            raise ValueError(f"{panel.name} has two values at {panel.place(row)}.")
    if other.times.dtype.kind != true.times.dtype.kind:
        raise ValueError(
            f"The times of {true.name} are {true.times.dtype}, those of {other.name} "
            f"{other.times.dtype}: convert one of them."
        )
    rows = keys.get_indexer(wanted)
    values = np.full((len(rows), *other.values.shape[1:]), np.nan)
    values[rows >= 0] = other.values[rows[rows >= 0]]
    return values


def _keys(panel, named):
    """Return the index of the rows: their times, below the names of their series."""
    import pandas as pd

    if not named:
        return panel.times
    ids = panel.labels.take(panel.series)
    return pd.MultiIndex.from_arrays([ids, panel.times])


def match_series(true, other):
    """Return for each series of the truth its number in another panel."""
    if (true.labels is None) != (other.labels is None):
        if true.n_series == other.n_series == 1:
            return np.zeros(1, dtype=np.intp)
        raise ValueError(
            f"{true.name} and {other.name} must both name their series, or both be "
            "arrays."
        )
    if true.labels is None:
        if true.n_series != other.n_series:
            raise ValueError(
                f"{true.name} has {true.n_series} series and {other.name} has "
                f"{other.n_series}."
            )
        return np.arange(true.n_series)
    numbers = other.labels.get_indexer(true.labels)
    if (numbers < 0).any():
        label = true.labels[int((numbers < 0).argmax())]
        raise ValueError(f"{other.name} lacks the series {label!r}.")
    return numbers
