"""Drawings of forecasts, in the manner of scikit-learn's displays."""

from dataclasses import replace
from itertools import cycle
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from skrnn.forecasting.backtest import column_names
from skrnn.forecasting.clock import label
from skrnn.forecasting.keys import Names
from skrnn.forecasting.predicting import interval_levels
from skrnn.forecasting.tables import read_table

MOST_AXES = 9  # unless ids asks for more
# Of the history is shown so many times what is forecast, or at least so many steps.
SHOWN_HORIZONS, FEWEST_SHOWN = 5, 48
WIDTH, HEIGHT = 7.2, 3.6  # of a figure with one axes
WIDTH_IN_GRID, HEIGHT_IN_GRID = 3.6, 2.2  # of each axes
# Okabe and Ito: told apart by colour-blind readers, and by their dashes without colour
COLORS = ["#0072B2", "#D55E00", "#009E73"]
DASHES = ["-", (0, (4, 1.5)), (0, (1, 1))]
OPACITY = 0.2  # of a band; those of several levels lie one upon the other
COLUMNS = ["cutoff", "forecast"]  # of a backtest, the third and the fifth
SHOWN = 5  # labels in an error
N_MARKED = 40  # a line of fewer steps shows each


class ForecastDisplay:
    """Series with their forecasts, intervals and what came.

    It is best made by :meth:`from_estimator` or :meth:`from_backtest`.

    Parameters
    ----------
    forecasts : DataFrame
        As :meth:`RNNForecaster.backtest` returns it: the columns id, time, cutoff and
        truth, whatever their names, then "forecast" and, for intervals, "lower_80",
        "upper_80", ...
    history : DataFrame, default=None
        The columns id, time and value.
    value_name : str, default=None
        What the values are, for the axis.
    titles : bool, default=True
        Whether the name of each series is above it.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes of shape (n_series,)
    lines_ : list of dict
        Of each axes the lines, in lists: "history", "truth" and "forecast", one of
        these for each cutoff.
    bands_ : list of dict
        Of each axes the bands of each level, such as "80", in lists.

    See Also
    --------
    RNNForecaster.predict_interval : What is drawn.
    RNNForecaster.backtest : Forecasts of the past.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn import RNNForecaster
    >>> from skrnn.forecasting import ForecastDisplay
    >>> series = np.sin(np.arange(100) / 3)
    >>> forecaster = RNNForecaster(horizon=12, n_updates=20).fit(series)
    >>> display = ForecastDisplay.from_estimator(forecaster)  # doctest: +SKIP
    """

    figure_: Any
    axes_: Any
    lines_: list[dict]
    bands_: list[dict]

    def __init__(
        self,
        forecasts: pd.DataFrame,
        *,
        history: pd.DataFrame | None = None,
        value_name: str | None = None,
        titles: bool = True,
    ) -> None:
        self.forecasts = forecasts
        self.history = history
        self.value_name = value_name
        self.titles = titles

    @classmethod
    def from_estimator(
        cls,
        forecaster: Any,
        X: Any = None,
        *,
        truth: Any = None,
        ids: Any = None,
        level: Any = (80, 95),
        n_history: int | None = None,
        history: Any = None,
        ax: Any = None,
    ) -> Self:
        """Forecast, and draw that after the history.

        Parameters
        ----------
        forecaster : RNNForecaster
            A fitted forecaster.
        X : int, Index, Series, DataFrame or array-like, default=None
            What to forecast, as for `predict`; None means the horizon.
        truth : Series, DataFrame or array-like, default=None
            What came, in the form of the data of `fit`. Times that are not forecast are
            not shown.
        ids : label or list of labels, default=None
            The series to draw; None means the first nine.
        level : float, array-like of float or None, default=(80, 95)
            Intervals, in percent; None for none.
        n_history : int, default=None
            How many steps of the history are shown. None means five times as many as
            are forecast, and at least 48.
        history : Series, DataFrame, array-like or tuple, default=None
            Series to forecast in place of those of `fit`, as for `predict`.
        ax : matplotlib Axes or array of them, default=None
            Where to draw, one for each series; new ones if None.

        Returns
        -------
        display : ForecastDisplay

        Raises
        ------
        ValueError
            If a series is unknown, `truth` has no time that is forecast, or as
            `predict_interval` does.
        """
        check_is_fitted(forecaster)
        panel, form = forecaster._history(history)
        numbers = _numbers(panel.ids, ids)
        series, positions, values, names = _forecasts(forecaster, X, level, panel, form)
        shown = np.isin(series, numbers)
        series, positions, values = series[shown], positions[shown], values[shown]
        rank = np.argsort(numbers)[np.searchsorted(np.sort(numbers), series)]
        order = np.lexsort((positions, rank))
        series, positions, values = series[order], positions[order], values[order]
        names = column_names(forecaster, form), names
        frame = _frame(forecaster, panel, form, series, positions, values, names)
        if truth is not None:
            frame.isetitem(3, _truth(truth, panel, form, series, positions))
        display = cls(
            frame,
            history=_last(_known_rows(panel, form, numbers), frame, n_history),
            value_name=_value_name(form),
            titles=form.table.kind not in ("array", "series"),
        )
        return display.plot(ax)

    @classmethod
    def from_backtest(
        cls,
        frame: pd.DataFrame,
        *,
        history: Any = None,
        ids: Any = None,
        n_history: int | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the forecasts of a backtest over what came.

        Parameters
        ----------
        frame : DataFrame
            What :meth:`RNNForecaster.backtest` returned.
        history : Series, DataFrame or array-like, default=None
            The series of the backtest, in their form, to show what came before the
            first cutoff.
        ids : label or list of labels, default=None
            The series to draw; None means the first nine.
        n_history : int, default=None
            How many steps are shown before the first cutoff. None means five times as
            many as a window has, and at least 48.
        ax : matplotlib Axes or array of them, default=None
            Where to draw, one for each series; new ones if None.

        Returns
        -------
        display : ForecastDisplay

        Raises
        ------
        ValueError
            If a series is unknown, or the frame is not that of a backtest.
        """
        if len(frame.columns) < 5 or list(frame.columns[[2, 4]]) != COLUMNS:
            raise ValueError(
                "frame must have the columns id, time, 'cutoff', truth and 'forecast', "
                f"in this order, as backtest returns them; it has {list(frame)}."
            )
        every = _index(frame.iloc[:, 0].unique())
        chosen = every[_numbers(every, ids)]
        single, target = len(every) == 1, frame.columns[3]
        value_name = every[0] if single else target
        shown = _of_series(frame, chosen)
        if history is not None:
            names = Names(frame.columns[0], frame.columns[1], target)
            rows = _rows(read_table(history, None, names))
            if single and rows.iloc[:, 0].nunique() == 1:
                rows.isetitem(0, every.repeat(len(rows)))
            history = _last(_of_series(rows, chosen), frame, n_history)
        display = cls(
            shown,
            history=history,
            value_name=_name_of_values(value_name),
            titles=not single,
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            Where to draw, one for each series; new ones if None.

        Returns
        -------
        display : ForecastDisplay
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        ids = _index(self.forecasts.iloc[:, 0].unique())
        axes, n_columns = _axes(len(ids), ax)
        self.axes_, self.figure_ = axes, axes[0].figure
        self.lines_, self.bands_ = [], []
        for number, axis in enumerate(axes):
            self._draw(axis, ids[[number]])
            if self.titles:
                axis.set_title(str(ids[number]), loc="left", fontsize="medium")
            if self.value_name is not None and number % n_columns == 0:
                axis.set_ylabel(self.value_name)
        self._add_legend(ax is None)
        return self

    def _draw(self, ax, series):
        """Draw one series."""
        forecasts = _of_series(self.forecasts, series)
        lines = {"history": [], "truth": [], "forecast": []}
        bands = {level: [] for level in self._levels()}
        self._draw_values(ax, series, forecasts, lines)
        windows = forecasts.groupby("cutoff", sort=True)
        styles = cycle(zip(COLORS, DASHES, strict=True))
        for (_, window), (color, dashes) in zip(windows, styles, strict=False):
            times = _on_axis(window.iloc[:, 1])
            for level, drawn in bands.items():
                lower, upper = window[f"lower_{level}"], window[f"upper_{level}"]
                look = {"color": color, "alpha": OPACITY, "linewidth": 0}
                if len(window) == 1:  # of no width
                    look["linewidth"] = 4
                band = ax.fill_between(times, lower, upper, **look, label=f"{level} %")
                drawn.append(band)
            lines["forecast"] += ax.plot(
                times,
                window["forecast"],
                color=color,
                linestyle=dashes,
                linewidth=1.8,
                marker="o" if len(window) == 1 else None,
                label="forecast",
            )
        self.lines_.append(lines)
        self.bands_.append(bands)
        _format_times(ax, forecasts.iloc[:, 1])
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)

    def _draw_values(self, ax, series, forecasts, lines):
        """Draw what came, before the forecasts and since."""
        look = {"color": "black", "linewidth": 1, "markersize": 3, "zorder": 1.9}
        first = _on_axis(forecasts.iloc[:, 1]).min()
        before = pd.DataFrame()
        if self.history is not None:
            before = _of_series(self.history, series)
            before = before[_on_axis(before.iloc[:, 1]) < first]
            marker = "o" if len(before) == 1 else None
            lines["history"] += ax.plot(
                *_line(before, 2), marker=marker, label="history", **look
            )
        came = forecasts.drop_duplicates(forecasts.columns[1])
        came = came.iloc[np.argsort(_on_axis(came.iloc[:, 1]), kind="stable")]
        if came.iloc[:, 3].isna().all():
            return
        times, values = _line(came, 3)
        marked = slice(0, None)
        if len(before):  # the line goes on from there
            last, value = _line(before[-1:], 2)
            times, values = np.append(last, times), np.append(value, values)
            marked = slice(1, None)
        marker = "o" if len(came) <= N_MARKED else None
        lines["truth"] += ax.plot(
            times, values, marker=marker, markevery=marked, label="truth", **look
        )

    def _levels(self):
        """The levels of the intervals, the widest first."""
        begin = len("lower_")
        named = [name for name in self.forecasts if isinstance(name, str)]
        levels = [name[begin:] for name in named if name.startswith("lower_")]
        return sorted(levels, key=float, reverse=True)

    def _swatch(self, handle):
        """Return a band for the legend, as dark as it is upon the wider ones."""
        levels = [f"{level} %" for level in self._levels()]
        if handle.get_label() not in levels:
            return handle
        from matplotlib.patches import Patch

        n_bands = levels.index(handle.get_label()) + 1
        alpha = 1 - (1 - OPACITY) ** n_bands
        return Patch(color=COLORS[0], alpha=alpha, lw=0, label=handle.get_label())

    def _add_legend(self, outside):
        """Say once what is what."""
        handles: dict = {}
        for drawn in [*self.lines_, *self.bands_]:
            for artists in drawn.values():
                for artist in artists[:1]:
                    handles.setdefault(artist.get_label(), artist)
        order = ["history", "truth", "forecast", *(f"{n} %" for n in self._levels())]
        shown = [handles[name] for name in order if name in handles]
        shown = [self._swatch(handle) for handle in shown]
        if outside:
            self.figure_.legend(
                handles=shown,
                loc="outside upper right",
                ncols=len(shown),
                frameon=False,
            )
        else:
            self.axes_[0].legend(handles=shown, frameon=False)


# --- what is drawn --------------------------------------------------------------------


def _numbers(every, ids):
    """Return which series to draw, by their numbers."""
    if ids is None:
        return np.arange(min(len(every), MOST_AXES))
    if isinstance(ids, str | tuple) or not np.iterable(ids):
        ids = [ids]
    wanted = _index(list(dict.fromkeys(ids)))
    if not len(wanted):
        raise ValueError("ids is empty: there is no series to draw.")
    numbers = every.to_flat_index().get_indexer(wanted)
    if (numbers < 0).any():
        more = ", ..." if len(every) > SHOWN else ""
        raise ValueError(
            f"Series {label(wanted, int((numbers < 0).argmax()))} is unknown; there "
            f"are {str(every[:SHOWN].tolist())[1:-1]}{more}."
        )
    return numbers


def _forecasts(forecaster, X, level, panel, form):
    """Return series, positions and values of what is forecast, and their names."""
    levels = () if level is None else interval_levels(level)
    compute, names = forecaster._bounds(levels)
    if X is None or isinstance(X, Integral):
        n_steps = forecaster._n_steps(X, form)
        values = forecaster._horizon(panel, n_steps, compute)
        series = np.repeat(np.arange(len(panel)), n_steps)
        positions = (panel.ends[:, np.newaxis] + np.arange(n_steps)).ravel()
        return series, positions, values.reshape(len(series), -1), names
    request = form.read_future(X, panel)
    values = forecaster._checked_rows(request, panel, form, compute)
    return request.series, request.positions, values, names


def _frame(forecaster, panel, form, series, positions, values, names):
    """Return forecasts in the form of a backtest."""
    ends, horizon = panel.ends[series], forecaster._model.plan.shape.horizon
    first = panel.ends.copy()
    np.minimum.at(first, series, positions)
    block = (positions - first[series]) // horizon * horizon
    within = positions < ends
    cuts = np.where(within, first[series] + block, ends)
    truth = np.full(len(series), np.nan)
    known = within & (positions >= panel.starts[series])
    at = panel.offsets[series] + positions - panel.starts[series]
    truth[known] = panel.values[at[known]]
    (id_name, time_name, target), columns = names
    frame = {
        id_name: panel.ids.to_flat_index()[series],
        time_name: form.clock.times_at(positions),
        "cutoff": form.clock.times_at(cuts - 1),
        target: truth,
    }
    return pd.DataFrame(frame | dict(zip(columns, values.T, strict=True)))


def _truth(truth, panel, form, series, positions):
    """Return what came at the times of the forecasts, NaN where unknown."""
    table = read_table(truth, None, form.table.names)
    if table.times is None:
        table = replace(table, times=form.clock.times(panel.ends[0], len(table.places)))
    single = form.table.kind in ("array", "series")
    numbers = panel.ids.get_indexer(panel.ids if single else table.ids)[table.codes]
    at = form.clock.positions(table.times)[table.places]
    known = numbers >= 0
    came = pd.Series(
        table.values[known], pd.MultiIndex.from_arrays([numbers[known], at[known]])
    )
    came = came[~came.index.duplicated()]
    asked = pd.MultiIndex.from_arrays([series, positions])
    if not asked.isin(came.index).any():
        first, last = form.clock.times_at([positions.min(), positions.max()])
        raise ValueError(
            f"truth has none of the times that are forecast, from {first} to {last}."
        )
    return came.reindex(asked).to_numpy()


def _known_rows(panel, form, numbers):
    """Return the history of some series as a frame of id, time and value."""
    panel = panel.take(numbers)
    ids = panel.ids.to_flat_index().repeat(panel.lengths)
    times = form.clock.times_at(panel.positions)
    return pd.DataFrame({"id": ids, "time": times, "value": panel.values})


def _rows(table):
    """Return rows of any form as a frame of id, time and value."""
    times = pd.RangeIndex(len(table.places)) if table.times is None else table.times
    return pd.DataFrame(
        {
            "id": table.ids.to_flat_index()[table.codes],
            "time": times[table.places],
            "value": table.values,
        }
    )


def _last(history, forecasts, n_history):
    """Return the last rows of each series that lie before its first forecast."""
    series = _index(forecasts.iloc[:, 0].unique())
    codes = series.get_indexer(_index(forecasts.iloc[:, 0]))
    if n_history is None:
        longest = forecasts.groupby([codes, "cutoff"]).size().max()
        n_history = max(SHOWN_HORIZONS * longest, FEWEST_SHOWN)
    first = forecasts.iloc[:, 1].groupby(codes).min()
    codes = series.get_indexer(_index(history["id"]))
    history, codes = history[codes >= 0], codes[codes >= 0]
    before = history["time"].array < first.loc[codes].array
    return history[before].groupby(codes[before]).tail(n_history)


def _of_series(frame, series):
    """Return the rows of some series, in their order."""
    codes = series.get_indexer(_index(frame.iloc[:, 0]))
    order = np.argsort(codes, kind="stable")
    return frame.iloc[order[codes[order] >= 0]]


def _index(labels):
    """Return labels as an index; pairs stay single labels."""
    return pd.Index(labels, tupleize_cols=False)


def _value_name(form):
    """Return what the values of a fit are called, or None."""
    kind, labels = form.table.kind, form.table.labels
    return None if kind in ("array", "wide") else _name_of_values(labels[-1])


def _name_of_values(name):
    """Return a name that says something, or None."""
    return name if isinstance(name, str) and name != Names().target else None


# --- matplotlib -----------------------------------------------------------------------


def _axes(n, ax):
    """Return axes for series, and how many there are side by side."""
    if ax is not None:
        axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
        if len(axes) < n:
            raise ValueError(
                f"There are {n} series, but ax has {len(axes)} axes. Choose with ids."
            )
        return axes[:n], 1
    import matplotlib.pyplot as plt

    n_columns = min(int(np.ceil(np.sqrt(n))), 3)
    n_rows = -(-n // n_columns)
    size = WIDTH, HEIGHT
    if n > 1:
        size = WIDTH_IN_GRID * n_columns, HEIGHT_IN_GRID * n_rows
    _, grid = plt.subplots(
        n_rows, n_columns, figsize=size, squeeze=False, layout="constrained"
    )
    for spare in grid.ravel()[n:]:
        spare.remove()
    return grid.ravel()[:n], n_columns


def _on_axis(times):
    """Return times as matplotlib draws them: on the clock of their time zone."""
    if isinstance(times.dtype, pd.PeriodDtype):
        times = times.dt.to_timestamp()
    elif isinstance(times.dtype, pd.DatetimeTZDtype):
        times = times.dt.tz_localize(None)
    return times.to_numpy()


def _line(frame, column):
    """Return the times and the values of a column as they are drawn."""
    return _on_axis(frame.iloc[:, 1]), frame.iloc[:, column].to_numpy()


def _format_times(ax, times):
    """Set few ticks, with dates as short as they can be."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import MaxNLocator

    if times.dtype.kind in "iu":
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        ax.set_xlabel("step")
        return
    locator = AutoDateLocator(minticks=3, maxticks=7)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
