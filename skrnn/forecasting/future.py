"""The rows of the future that a user asks for."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from skrnn.forecasting.clock import label
from skrnn.forecasting.columns import encode, refuse_infinite
from skrnn.forecasting.keys import (
    Table,
    array_keys,
    key_columns,
    key_levels,
    plain_keys,
    wide_keys,
)
from skrnn.forecasting.panel import offsets_of
from skrnn.forecasting.placing import place_rows

SHOWN = 5  # labels in an error


@dataclass(frozen=True)
class Request:
    """Which times of which series to forecast, and what is known ahead.

    Parameters
    ----------
    series, positions : ndarray of int64 of shape (n_rows,)
        The number in the panel and the clock position of each row, in the order of the
        user. Positions may lie within the history.
    offsets : ndarray of int64 of shape (n_series + 1,)
        Where the rows of each series begin in `known`.
    known : ndarray of float64 of shape (n_total, n_known)
        The exogenous columns known ahead: of each series, from the position after its
        end to the last that is asked for. NaN before the first one asked for.
    table : Table
        The rows in the user's form.
    """

    series: np.ndarray
    positions: np.ndarray
    offsets: np.ndarray
    known: np.ndarray
    table: Table

    @property
    def steps(self):
        """How many steps after its end each series is asked for, (n_series,)."""
        return np.diff(self.offsets)


def read_request(form, X, panel, *, unknown_ok=False):
    """Read rows of the future, or their index; see :meth:`Form.read_future`.

    With `unknown_ok` rows of unknown series are left out.

    Raises
    ------
    TypeError
        If X is of another form than the data of the fit.
    ValueError
        If a series is unknown, a time is off the grid or occurs twice, or exogenous
        rows are missing between the first and the last time asked for.
    """
    table = _rows(form, X, panel)
    series = _numbers(table, panel, unknown_ok)[table.codes]
    if (series < 0).any():
        table, series = _rows_of_table(table, series >= 0), series[series >= 0]
    if table.times is None:
        positions = panel.ends[0] + table.places
    else:
        positions = place_rows(
            form.clock, table.times, table.places, table.codes, table.ids
        )
    _refuse_twice(form, series, positions, panel)
    steps = np.zeros(len(panel), dtype=np.int64)
    np.maximum.at(steps, series, positions + 1 - panel.ends[series])
    offsets = offsets_of(steps)
    known = np.full((offsets[-1], panel.known.shape[1]), np.nan)
    request = Request(series, positions, offsets, known, table)
    if form.known:
        _fill_known(form, request, panel)
    return request


def refuse_other_columns(has, needed, what, ignored=()):
    """Raise unless some columns are those of the fit, in any order."""
    missing = [name for name in needed if name not in has]
    if missing:
        raise ValueError(
            f"{what} must have the exogenous column {missing[0]!r} of fit; its columns "
            f"are {list(has)}."
        )
    other = [name for name in has if name not in needed and name not in ignored]
    if other:
        raise ValueError(f"{what} has the column {other[0]!r}, which fit had not.")


def _rows(form, X, panel):
    """Return the rows of X as a table, without a target."""
    kind, like = form.table.kind, form.table
    if not isinstance(X, pd.Index | pd.Series | pd.DataFrame):
        if kind not in ("array", "series"):
            raise TypeError(
                "Rows of the future need their times: pass a DataFrame or an index, "
                f"got {type(X).__name__}."
            )
        return _following(form, X)
    index = X if isinstance(X, pd.Index) else X.index
    columns = X if isinstance(X, pd.DataFrame) else None
    if isinstance(X, pd.Series) and X.name in [c.name for c in form.known]:
        columns = X.to_frame()
    if kind == "long":
        if columns is None or like.names.time not in columns:
            raise TypeError(
                "Rows of the future must be a long frame with the columns "
                f"{[name for name in like.names[:2] if name is not None]}, as in fit."
            )
        table = key_columns(columns, like.names)
        if like.names.id is not None and table.names.id is None:
            raise ValueError(
                f"There is no column {like.names.id!r} that says which series a row "
                "belongs to."
            )
        return table
    if kind == "multi":
        return replace(key_levels(index, like.names), columns=columns)
    if kind != "wide":
        return replace(plain_keys(index), columns=columns)
    if like.separate or columns is None or columns.shape[1] == 0:
        table = wide_keys(index, panel.ids)
        return replace(table, columns=columns, lines=table.places)
    return wide_keys(index, columns.columns)


def _rows_of_table(table, chosen):
    """Return a table with some of its rows, which no answer has the form of."""
    lines = np.arange(len(chosen)) if table.lines is None else table.lines
    return replace(
        table,
        codes=table.codes[chosen],
        places=table.places[chosen],
        lines=lines[chosen],
    )


def _following(form, X):
    """Return rows without an index, which follow the history."""
    array = np.asarray(X)
    if array.ndim not in (1, 2):
        raise ValueError(f"X must have one or two dimensions, got {array.shape}.")
    table = array_keys(len(array))
    names = [column.name for column in form.known]
    if array.ndim == 1 and len(names) == 1:
        array = array[:, np.newaxis]
    if array.ndim == 1 or not names:
        return table
    every = [column.name for column in form.known + form.past]
    if array.shape[1] == len(every) and len(every) > len(names):
        raise ValueError(
            "X has columns known only in the past. Pass those of the future as a "
            "DataFrame."
        )
    if array.shape[1] != len(names):
        raise ValueError(
            f"X has {array.shape[1]} columns, but the exogenous ones are {names}."
        )
    return replace(table, columns=pd.DataFrame(array, columns=names))


def _numbers(table, panel, unknown_ok):
    """Return the number in the panel of each series of the rows, -1 if unknown."""
    if table.kind in ("array", "series") or table.names.id is None:
        return np.zeros(1, dtype=np.int64)
    numbers = panel.ids.get_indexer(table.ids)
    if (numbers < 0).any() and not unknown_ok:
        series = label(table.ids, int((numbers < 0).argmax()))
        known = panel.ids[:SHOWN].tolist()
        more = ", ..." if len(panel) > SHOWN else ""
        raise ValueError(
            f"Series {series} is unknown; there are {str(known)[1:-1]}{more}. Pass its "
            "history to predict."
        )
    return numbers


def _refuse_twice(form, series, positions, panel):
    order = np.lexsort((positions, series))
    twice = (np.diff(series[order]) == 0) & (np.diff(positions[order]) == 0)
    if twice.any():
        row = order[twice.argmax()]
        raise ValueError(
            f"Time {form.clock.times(positions[row], 1)[0]} of series "
            f"{label(panel.ids, series[row])} is asked for twice."
        )


def _fill_known(form, request, panel):
    """Write the exogenous columns of the rows after the history into known."""
    table = request.table
    has = [] if table.columns is None else list(table.columns.columns)
    needed = [column.name for column in form.known]
    ignored = [column.name for column in form.past + form.static]
    refuse_other_columns(
        has, needed, "X of the future", [*ignored, form.table.labels[-1]]
    )
    numbers = encode(form.known, table.columns, "Exogenous")
    if table.lines is not None:
        numbers = numbers[table.lines]
    ahead = request.positions - panel.ends[request.series]
    later = ahead >= 0
    rows = (request.offsets[request.series] + ahead)[later]

    def where(row):
        series = np.searchsorted(request.offsets, row, side="right") - 1
        time = form.clock.times(panel.ends[series] + row - request.offsets[series], 1)
        return f"series {label(panel.ids, series)} at {time[0]}"

    refuse_infinite(
        numbers[later],
        lambda i, j: f"Column {form.names['known'][j]!r} of {where(rows[i])}",
    )
    request.known[rows] = numbers[later]
    first = request.steps.copy()
    np.minimum.at(first, request.series[later], ahead[later])
    every = np.repeat(request.offsets[:-1] + first, request.steps)
    lacking = np.isnan(request.known).all(axis=1) & (np.arange(len(every)) >= every)
    if lacking.any():
        raise ValueError(
            f"The exogenous columns {needed} are missing for "
            f"{where(int(lacking.argmax()))}. They must be given for each step to "
            "forecast; name those that are not known ahead in past_columns."
        )
