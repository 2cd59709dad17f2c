"""From the forms of a user's data to a panel of arrays, and back."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from skrnn.forecasting.answers import answer_horizon, answer_rows
from skrnn.forecasting.clock import Clock, kind_of, label
from skrnn.forecasting.columns import Column, encode, refuse_infinite
from skrnn.forecasting.future import Request, read_request, refuse_other_columns
from skrnn.forecasting.keys import FORMS, Names, Table
from skrnn.forecasting.panel import empty_panel, offsets_of
from skrnn.forecasting.placing import make_clock, place_rows, series_at
from skrnn.forecasting.static import static_frame, static_numbers
from skrnn.forecasting.tables import read_table

# Sums of larger values may overflow.
LARGEST = 1e300
# Panels of more steps than these, and than so many a row, are not made: a slip in a
# time would take all memory.
MOST_STEPS, STEPS_A_ROW = 10**7, 1000


@dataclass(frozen=True)
class Form:
    """How the data of a fit looked, which later data must match.

    Parameters
    ----------
    table : Table
        The form of the rows, without their content.
    clock : Clock
    known, past, static : tuple of Column
        The exogenous columns known ahead, those known only in the past, and those that
        do not change within a series.
    of_series : tuple of Column
        The static columns given in a frame of their own.
    """

    table: Table
    clock: Clock
    known: tuple[Column, ...] = ()
    past: tuple[Column, ...] = ()
    static: tuple[Column, ...] = ()
    of_series: tuple[Column, ...] = ()

    @property
    def names(self):
        """The names of the columns of known, past and static, a dict."""
        groups = {
            "known": self.known,
            "past": self.past,
            "static": self.static + self.of_series,
        }
        return {
            group: [name for column in columns for name in column.names]
            for group, columns in groups.items()
        }

    def read_future(self, X, panel, *, unknown_ok=False) -> Request:
        """Read which times to forecast, and the columns known ahead of them.

        Parameters
        ----------
        X : object
            Rows of the future in the form of the fit, or their index.
        panel : Panel
            The history.
        unknown_ok : bool, default=False
            Whether rows of series that are not in the panel are left out.

        Returns
        -------
        request : Request
        """
        return read_request(self, X, panel, unknown_ok=unknown_ok)

    def answer(self, values, panel, names=None) -> Any:
        """Return the forecasts of a horizon in the form of the fit.

        Parameters
        ----------
        values : ndarray of shape (n_series, horizon) or (n_series, horizon, n_names)
            Those of the steps after the end of each series.
        panel : Panel
            The history.
        names : list of n_names labels, default=None
            What several forecasts of a time are called.

        Returns
        -------
        forecasts : ndarray, Series or DataFrame
        """
        return answer_horizon(self, values, panel, names)

    def answer_rows(self, values, request, panel, names=None) -> Any:
        """Return a forecast for each row of a request, with the index of its X.

        Parameters
        ----------
        values : ndarray of shape (n_rows,) or (n_rows, n_names)
        request : Request
        panel : Panel
        names : list of n_names labels, default=None

        Returns
        -------
        forecasts : ndarray, Series or DataFrame
        """
        return answer_rows(self, values, request, panel, names)


def read_panel(
    X,
    y=None,
    *,
    static=None,
    id_col="unique_id",
    time_col="ds",
    target_col="y",
    past_columns=(),
    static_columns=(),
    freq=None,
    like=None,
    first=0,
    missing_ok=False,
):
    """Read one or more series in any of the forms that :class:`RNNForecaster` takes.

    Parameters
    ----------
    X : Series, DataFrame, Index, ndarray or list
        The series if y is None, else the exogenous columns.
    y : Series, DataFrame, ndarray or list, default=None
    static : DataFrame, default=None
        The static columns, a row a series.
    id_col, time_col, target_col : label
        The columns of a long frame.
    past_columns, static_columns : sequence of labels
        The exogenous columns known only in the past, and those that are constant.
    freq : str, DateOffset or int, default=None
        None means that of the index, or of most times.
    like : Form, default=None
        That of earlier data, which replaces all of the options above.
    first : int, default=0
        With `like`, the clock position of the first value of an array, for it has no
        times.
    missing_ok : bool, default=False
        Whether all values of a series may be missing, and at its beginning some: the
        rows go on with those of a series.

    Returns
    -------
    panel : Panel
        Begins each series at its first value that is not missing, without
        `missing_ok`. Missing values at the end stay, so that a forecast begins after
        the last row.
    clock : Clock
    form : Form

    Raises
    ------
    TypeError
        If a column does not hold numbers, or times are of another kind.
    ValueError
        If anything else is wrong; the message names the series and the time.

    Warns
    -----
    UserWarning
        If rows are missing between others, which become missing values.
    """
    names = Names(id_col, time_col, target_col) if like is None else like.table.names
    table = read_table(X, y, names)
    if like is not None:
        table = _of_same_kind(table, like.table)
    if len(table.codes) == 0:
        raise ValueError("There are no rows: a forecast needs some history.")
    order, offsets = _by_series(table)
    if table.times is None:
        start = 0 if like is None else first
        table = replace(table, times=pd.RangeIndex(start, start + len(order)))
    rows = table.places[order]
    _check_sorted(table, rows, offsets)
    keys = table.times, rows, offsets, table.ids
    clock = make_clock(*keys, freq=freq) if like is None else like.clock
    codes = table.codes[order]
    positions = place_rows(clock, table.times, rows, codes, table.ids)
    if like is None:
        form = _describe(table, clock, static, past_columns, static_columns)
    else:
        form = _matching(like, table, static)
    panel = _fill(table, form, order, positions, offsets, static)
    if missing_ok:
        return panel, clock, form
    panel = panel.without_lead()
    if (panel.lengths == 0).any():
        empty = label(panel.ids, int(panel.lengths.argmin()))
        raise ValueError(f"All values of series {empty} are missing. Leave it out.")
    return panel, clock, form


def _of_same_kind(table, like):
    """Return the table with the id of a single series; raise if the form is another."""
    if table.kind != like.kind:
        raise ValueError(
            f"The data must be {FORMS[like.kind]} as in fit, but is "
            f"{FORMS[table.kind]}."
        )
    if like.names.id is not None and table.names.id is None:
        raise ValueError(
            f"There is no column {like.names.id!r} that says which series a row "
            "belongs to, as in fit."
        )
    return replace(table, ids=like.ids) if len(like.ids) else table


def _by_series(table):
    """Return the rows series after series, and where each series begins."""
    codes = table.codes
    order = np.arange(len(codes))
    if (np.diff(codes) < 0).any():
        order = codes.argsort(kind="stable")
    return order, offsets_of(np.bincount(codes, minlength=len(table.ids)))


def _check_sorted(table, rows, offsets):
    """Raise unless the times increase within each series."""
    kind_of(table.times)
    stamps = table.times.asi8 if hasattr(table.times, "asi8") else table.times
    stamps = np.asarray(stamps)[rows]
    wrong = np.diff(stamps) <= 0
    wrong[offsets[1:-1] - 1] = False
    if not wrong.any():
        return
    row = int(wrong.argmax())
    time, earlier = (table.times[rows[i]] for i in (row + 1, row))
    series = label(table.ids, series_at(row, offsets))
    if stamps[row] == stamps[row + 1]:
        raise ValueError(
            f"Time {time} occurs twice in series {series}. If there are several "
            "series, say which is which: a column each, or id_col."
        )
    raise ValueError(
        f"The times of series {series} are not sorted: {time} follows {earlier}. Sort "
        "the rows by time, for example with sort_index or sort_values."
    )


def _describe(table, clock, static, past_columns, static_columns):
    """Return the form of the data of a fit."""
    columns = table.columns if table.columns is not None else pd.DataFrame()
    for option, chosen in (
        ("past_columns", past_columns),
        ("static_columns", static_columns),
    ):
        for name in chosen:
            if name not in columns.columns:
                raise ValueError(
                    f"{option} has {name!r}, which is none of the exogenous columns "
                    f"{list(columns.columns)}."
                )
    own = [*past_columns, *static_columns]
    ahead = [name for name in columns.columns if name not in own]
    frame = static_frame(static, table.names)
    return Form(
        _bare(table),
        clock,
        known=tuple(Column.of(columns[name], name) for name in ahead),
        past=tuple(Column.of(columns[name], name) for name in past_columns),
        static=tuple(Column.of(columns[name], name, True) for name in static_columns),
        of_series=tuple(Column.of(frame[name], name, True) for name in frame),
    )


def _matching(like, table, static):
    """Return the form of later data, with the columns of the fit."""
    has = [] if table.columns is None else list(table.columns.columns)
    needed = [column.name for column in like.known + like.past + like.static]
    refuse_other_columns(has, needed, "The data")
    has = list(static_frame(static, table.names))
    refuse_other_columns(has, [c.name for c in like.of_series], "static")
    return replace(like, table=_bare(table))


def _bare(table):
    """Return a table without its content, but the id of a form that has only one."""
    single = table.kind in ("array", "series") or table.names.id is None
    none = dict.fromkeys(("places", "times", "values", "columns", "lines", "index"))
    return replace(table, codes=None, ids=table.ids[:single], **none)


def _fill(table, form, order, positions, offsets, static):
    """Lay rows that are sorted by series and time into a panel."""
    starts, ends = positions[offsets[:-1]], positions[offsets[1:] - 1] + 1
    codes = table.codes[order]
    _refuse_wide_gaps(table, form.clock, codes, positions, (ends - starts).sum())
    panel = empty_panel(table.ids, starts, ends, *map(_width, (form.known, form.past)))
    places = panel.offsets[codes] + positions - starts[codes]
    _warn_of_gaps(panel, places, form.clock)

    def where(row):
        series = label(table.ids, codes[row])
        return f"of series {series} at {form.clock.times(positions[row], 1)[0]}"

    values = table.values[order]
    refuse_infinite(values[:, np.newaxis], lambda row, _: f"The value {where(row)}")
    if (np.abs(values) > LARGEST).any():
        place = where(int((np.abs(values) > LARGEST).argmax()))
        raise ValueError(f"The value {place} is larger than {LARGEST:g}.")
    panel.values[places] = values
    for group in ("known", "past"):
        columns, names = getattr(form, group), form.names[group]
        if columns:
            numbers = encode(columns, table.columns, "Exogenous")
            numbers = numbers[order if table.lines is None else table.lines[order]]
            refuse_infinite(
                numbers, lambda row, j, names=names: f"Column {names[j]!r} {where(row)}"
            )
            getattr(panel, group)[places] = numbers
    if table.separate:
        _refuse_target(table, form, panel)
    return replace(panel, static=static_numbers(table, form, order, offsets, static))


def _refuse_wide_gaps(table, clock, codes, positions, n_steps):
    """Raise at times so far apart that nothing but a slip explains it."""
    if n_steps <= MOST_STEPS + STEPS_A_ROW * len(codes):
        return
    gaps = np.where(np.diff(codes) == 0, np.diff(positions), 0)
    row = int(gaps.argmax())
    before, after = clock.times_at(positions[row : row + 2])
    raise ValueError(
        f"Between {before} and {after} of series {label(table.ids, codes[row])} "
        f"{gaps[row] - 1} steps are missing. Is there a slip in the times? If not, the "
        f"frequency ({clock.name}) is another: pass freq."
    )


def _width(columns):
    return sum(len(column.names) for column in columns)


def _warn_of_gaps(panel, places, clock):
    """Warn if no row fell into a place."""
    n_missing = len(panel.values) - len(places)
    if n_missing == 0:
        return
    empty = np.ones(len(panel.values), dtype=bool)
    empty[places] = False
    place = int(empty.argmax())
    series = series_at(place, panel.offsets)
    time = clock.times(panel.starts[series] + place - panel.offsets[series], 1)[0]
    warnings.warn(
        f"Series {label(panel.ids, series)} has no row for {time}; {n_missing} such "
        f"gaps in all are taken as missing values. If there are none, the frequency "
        f"({clock.name}) is another: pass freq.",
        UserWarning,
        stacklevel=4,
    )


def _refuse_target(table, form, panel):
    """Raise if an exogenous column known ahead is the target."""
    same = panel.known == panel.values[:, np.newaxis]
    same |= np.isnan(panel.known) & np.isnan(panel.values[:, np.newaxis])
    same = np.logical_and.reduceat(same, panel.offsets[:-1], axis=0)
    # The columns of a wide frame are those of every series.
    leaks = same.any(axis=0) if table.kind == "wide" else same.all(axis=0)
    for column in np.flatnonzero(leaks):
        name = form.names["known"][column]
        distinct = np.unique(panel.known[:, column])
        # Indicators may agree with y by chance.
        if name == str(table.labels[-1]) or (~np.isnan(distinct)).sum() > 2:
            raise ValueError(
                f"Column {name!r} of X equals y, so that predict would be handed the "
                "true future. Pass the series alone as X, or other columns."
            )
