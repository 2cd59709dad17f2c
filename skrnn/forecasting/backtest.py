"""Forecasts of the past, each from what was known at its time."""

import warnings
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import check_scalar
from sklearn.utils.parallel import Parallel, delayed

from skrnn.forecasting.clock import label
from skrnn.forecasting.predicting import ForecastingMixin, interval_levels
from skrnn.threads import one_blas_thread

# A model needs a series with so many values before the first cutoff.
FEWEST_VALUES = 2


@dataclass(frozen=True)
class Window:
    """The rows that are forecast from one cutoff.

    Attributes
    ----------
    cut : int
        The clock position of the first row; what lies before is known.
    series, positions : ndarray of int64 of shape (n_rows,)
        The number in the panel and the clock position of each row, series by series.
    """

    cut: int
    series: np.ndarray
    positions: np.ndarray

    @classmethod
    def of(cls, panel, cut, horizon):
        """Take the series that have values both before and after the cut."""
        numbers = np.flatnonzero((panel.starts < cut) & (panel.ends > cut))
        series = np.repeat(numbers, horizon)
        positions = cut + np.tile(np.arange(horizon), len(numbers))
        there = positions < panel.ends[series]
        return cls(cut, series[there], positions[there])


class BacktestMixin(ForecastingMixin):
    """What :class:`RNNForecaster` would have forecast in the past."""

    horizon: int
    n_jobs: int | None
    _validate_params: Any
    _read: Any

    def backtest(
        self,
        X: Any,
        y: Any = None,
        *,
        n_windows: int = 3,
        step: int | None = None,
        refit: bool = False,
        level: Any = None,
        static: Any = None,
    ) -> pd.DataFrame:
        """Forecast the last part of the data, from several cutoffs in turn.

        All series are cut at the same moments, so that no forecast knows what came
        later in another series. The last cutoff is a horizon before the end of the
        latest series. The forecaster itself is not changed, and need not be fitted.

        Parameters
        ----------
        X, y : Series, DataFrame or array-like
            The data, as for `fit`. Columns that are known ahead are known within a
            window; those of `past_columns` are not.
        n_windows : int, default=3
            How many cutoffs there are.
        step : int, default=None
            How many steps they are apart. None means the horizon: windows follow each
            other without overlap.
        refit : bool, default=False
            Whether to fit anew at each cutoff. If not, one model is fitted to what lies
            before the first, and later values only extend what it forecasts from. With
            `n_jobs`, or under :func:`joblib.parallel_config`, the fits run in parallel.
        level : float or array-like of float, default=None
            Intervals to forecast, in percent, as for `predict_interval`.
        static : DataFrame, default=None
            As for `fit`.

        Returns
        -------
        forecasts : DataFrame
            A row for each series, cutoff and time within its window, in this order,
            with the columns

            - `id_col` and `time_col`, or the names that the levels of an (id, time)
              index have; of a single Series the id is its name;
            - "cutoff", the time of the last row that was known;
            - `target_col`, what came, NaN where that is missing;
            - "forecast", and with `level` "lower_80", "upper_80", ...;
            - with `quantiles`, a column for each level, called by its number.

        Raises
        ------
        TypeError
            If y is a number.
        ValueError
            If no series is long enough for `n_windows`; the message names the longest.

        Warns
        -----
        UserWarning
            If a series is in no window, for it ends before the first or begins in the
            last.

        Notes
        -----
        Series that have no time in common, such as those of a competition, are aligned
        at their ends with an integer index that ends at the same number for each.

        References
        ----------
        Tashman, "Out-of-sample tests of forecasting accuracy: an analysis and review",
        International Journal of Forecasting 16 (2000).

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> from skrnn import RNNForecaster
        >>> months = pd.period_range("2018-01", periods=72, freq="M")
        >>> sales = pd.Series(np.arange(72.0), index=months, name="sales")
        >>> forecaster = RNNForecaster(horizon=2, n_updates=20, random_state=0)
        >>> forecaster.backtest(sales, n_windows=2).round({"forecast": 0})
          unique_id       ds   cutoff     y  forecast
        0     sales  2023-09  2023-08  68.0      68.0
        1     sales  2023-10  2023-08  69.0      69.0
        2     sales  2023-11  2023-10  70.0      70.0
        3     sales  2023-12  2023-10  71.0      71.0
        """
        self._validate_params()
        if isinstance(y, Integral):
            raise TypeError(
                f"y must hold the values to forecast, got {y!r}. Pass the number of "
                f"windows by its name, n_windows={y!r}."
            )
        check_scalar(n_windows, "n_windows", Integral, min_val=1)
        horizon = self.horizon
        step = horizon if step is None else step
        check_scalar(step, "step", Integral, min_val=1)
        levels = None if level is None else interval_levels(level)
        panel, clock, form = self._read(X, y, static)
        last = panel.ends.max() - horizon
        cuts = last - step * np.arange(n_windows)[::-1]
        _check_history(panel, clock, cuts, step)
        windows = [Window.of(panel, int(cut), horizon) for cut in cuts]
        _warn_of_unused(panel, clock, windows)
        if refit:
            # bits do not depend on n_jobs, and there are threads enough
            single = clone(self).set_params(n_jobs=1)
            with one_blas_thread():
                parts = Parallel(n_jobs=self.n_jobs, prefer="threads")(
                    delayed(_forecasts)(clone(single), panel, form, [window], levels)
                    for window in windows
                )
        else:
            parts = [_forecasts(clone(self), panel, form, windows, levels)]
        values = np.concatenate([values for values, _ in parts])
        return _tidy(self, panel, form, windows, values, parts[0][1])


def _check_history(panel, clock, cuts, step):
    """Raise if there is next to nothing before the first cut."""
    before = np.minimum(panel.ends, cuts[0]) - panel.starts
    longest = int(before.argmax())
    if before[longest] >= FEWEST_VALUES:
        return
    horizon = panel.ends.max() - cuts[-1]
    n_windows = f"{len(cuts)} window{'s' if len(cuts) > 1 else ''}"
    raise ValueError(
        f"Series {label(panel.ids, longest)} has {panel.lengths[longest]} values from "
        f"{clock.times(panel.starts[longest], 1)[0]} on, too few for {n_windows} of "
        f"{horizon} steps, {step} apart: the first would begin at "
        f"{clock.times(cuts[0], 1)[0]}, with less than {FEWEST_VALUES} values before "
        "it. Ask for fewer windows, or a smaller step or horizon."
    )


def _warn_of_unused(panel, clock, windows):
    """Warn if a series is in none of the windows."""
    used = np.zeros(len(panel), dtype=bool)
    for window in windows:
        used[window.series] = True
    if used.all():
        return
    series = int(used.argmin())
    first, last = clock.times_at([panel.starts[series], panel.ends[series] - 1])
    warnings.warn(
        f"{(~used).sum()} series are in no window, such as "
        f"{label(panel.ids, series)}, which goes from {first} to {last}. All series "
        "are cut at the same times.",
        UserWarning,
        stacklevel=3,
    )


def _forecasts(forecaster, panel, form, windows, levels):
    """Fit before the first window, and forecast each from what lies before it.

    Returns
    -------
    values : ndarray of shape (n_rows, n_names)
        The rows of all windows.
    names : list of n_names labels
    """
    panel, form = _known_levels(panel, form, windows[0].cut)
    history = panel.head(windows[0].cut)
    forecaster._fit_panel(history.take(history.lengths > 0), form, None)
    compute, names = _columns(forecaster, levels)
    values = [_window_values(forecaster, panel, window, compute) for window in windows]
    return np.concatenate(values), names


def _window_values(forecaster, panel, window, compute):
    numbers = np.unique(window.series)
    cuts = np.full(len(numbers), window.cut)
    rows = np.arange(len(window.series))
    return forecaster._piece(panel, window, rows, numbers, cuts, None, compute)


def _columns(forecaster, levels):
    """Return what to compute of forecasts, and what the results are called."""
    bounds, names = forecaster._bounds(() if levels is None else levels)
    if forecaster.quantiles is None:
        return bounds, names

    def compute(forecasts):
        return np.concatenate([bounds(forecasts), forecasts.quantiles], axis=2)

    return compute, [*names, *forecaster._model.levels]


def _known_levels(panel, form, cut):
    """Leave out the indicators of levels that nothing before the cut has."""
    before = panel.head(cut)
    before = before.take(before.lengths > 0)
    columns: dict = {}
    for group in ("known", "past"):
        seen = (getattr(before, group) == 1).any(axis=0)
        columns[group], kept = _seen(getattr(form, group), seen)
        panel = replace(panel, **{group: getattr(panel, group)[:, kept]})
    seen = (before.static == 1).any(axis=0)
    n_own = sum(len(column.names) for column in form.static)
    columns["static"], own = _seen(form.static, seen[:n_own])
    columns["of_series"], given = _seen(form.of_series, seen[n_own:])
    panel = replace(panel, static=panel.static[:, np.append(own, given)])
    return panel, replace(form, **columns)


def _seen(columns, seen):
    """Return columns with the levels that were seen, and a mask of their numbers."""
    kept, masks, begin = [], [np.zeros(0, dtype=bool)], 0
    for column in columns:
        end = begin + len(column.names)
        mask = np.ones(end - begin, dtype=bool)
        if column.levels is not None:
            mask = seen[begin:end]
            column = replace(column, levels=column.levels[mask])
        kept.append(column)
        masks.append(mask)
        begin = end
    return tuple(kept), np.concatenate(masks)


def _tidy(forecaster, panel, form, windows, values, names):
    """Return the rows of all windows as a frame, series by series."""
    series = np.concatenate([window.series for window in windows])
    positions = np.concatenate([window.positions for window in windows])
    cuts = np.repeat([w.cut for w in windows], [len(w.series) for w in windows])
    order = np.lexsort((positions, cuts, series))
    series, positions, cuts = series[order], positions[order], cuts[order]
    truth = panel.values[panel.offsets[series] + positions - panel.starts[series]]
    id_name, time_name, target = column_names(forecaster, form)
    columns = {
        id_name: panel.ids.to_flat_index()[series],
        time_name: form.clock.times_at(positions),
        "cutoff": form.clock.times_at(cuts - 1),
        target: truth,
    }
    if len({*columns, *names}) < 4 + len(names):
        raise ValueError(
            f"The columns of the result would be called {[*columns, *names]}, some "
            "alike. Set id_col, time_col and target_col to other names."
        )
    columns |= dict(zip(names, values[order].T, strict=True))
    return pd.DataFrame(columns)


def column_names(forecaster, form):
    """Return what the columns of series, times and values are called."""
    names = [forecaster.id_col, forecaster.time_col, forecaster.target_col]
    if form.table.kind == "multi":
        own = form.table.labels
        return tuple(b if a is None else a for a, b in zip(own, names, strict=True))
    return tuple(names)
