"""What a fitted forecaster answers: forecasts, quantiles, intervals and a score."""

import warnings
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from joblib import effective_n_jobs
from sklearn.utils.validation import check_is_fitted

from skrnn.forecasting.calendar import calendar_columns
from skrnn.forecasting.clock import label
from skrnn.forecasting.future import refuse_other_columns
from skrnn.forecasting.model import Outlook
from skrnn.forecasting.reading import read_panel
from skrnn.forecasting.static import static_frame


class ForecastingMixin:
    """The methods of :class:`RNNForecaster` that look ahead."""

    _model: Any
    _calibration: Any
    _panel: Any
    _form: Any
    _static: Any = None

    def predict(self, X: Any = None, *, history: Any = None) -> Any:
        """Forecast.

        Parameters
        ----------
        X : int, Index, Series, DataFrame or array-like, default=None
            None for the horizon, or how many steps. Or the rows to forecast, with the
            columns that are known ahead: each gets a forecast, and values of the series
            themselves are ignored. They may begin after a gap. Those within the history
            are forecast from what lies before them, a horizon at a time, but by
            networks that were fitted to all of it: `backtest` is the fair trial.
        history : Series, DataFrame, array-like or tuple, default=None
            Series to forecast in place of those of fit, in the form of fit: a pair
            ``(X, y)`` where that had both, or ``(X, y, static)``.

        Returns
        -------
        forecasts : Series, DataFrame or ndarray
            In the form of fit, with the index of the future.

        Raises
        ------
        ValueError
            If rows of columns that are known ahead are missing, a series is unknown, or
            there is no history before a row.
        """
        return self._answer(X, history, _values)

    def predict_quantiles(self, X: Any = None, *, history: Any = None) -> Any:
        """Forecast the levels of `quantiles`, and the median.

        Parameters
        ----------
        X, history : see `predict`

        Returns
        -------
        quantiles : DataFrame or ndarray of shape (n_steps, n_levels)
            A column for each level, which never cross; of a wide frame a column for
            each series and level.

        Raises
        ------
        ValueError
            If the forecaster was fitted without `quantiles`.
        """
        check_is_fitted(self)
        levels = self._model.levels
        if levels == (0.5,):
            raise ValueError(
                "The forecaster was fitted without quantiles. Set them, for example "
                "quantiles=[0.1, 0.9], before fit, or use predict_interval."
            )
        return self._answer(X, history, _quantiles, list(levels))

    def predict_interval(
        self, X: Any = None, *, level: Any = (80, 95), history: Any = None
    ) -> Any:
        """Forecast, with intervals by the errors in past windows.

        Split conformal prediction: the bounds lie so far from the forecast as past
        truths did, in units of how much each series changes from step to step. These
        errors are those of one network that was trained without the end of the series,
        which also served to choose the share of theta; `update` and `partial_fit` leave
        them as they are.

        Parameters
        ----------
        X, history : see `predict`
            A single number is one of steps, not a level.
        level : float or array-like of float, default=(80, 95)
            How often the truth is to lie between the bounds, in percent.

        Returns
        -------
        intervals : DataFrame or ndarray of shape (n_steps, 1 + 2 * n_levels)
            The columns "forecast", "lower_80", "upper_80", ...; of a wide frame those
            of each series.

        Raises
        ------
        ValueError
            If a level is not between 0 and 100, or the series were too short to set
            anything apart in fit.

        Warns
        -----
        UserWarning
            If past errors are too few for a level.
        """
        check_is_fitted(self)
        return self._answer(X, history, *self._bounds(interval_levels(level)))

    def _bounds(self, levels):
        """Return what computes forecasts and intervals, and the names of these."""
        if len(levels) and self._calibration is None:
            raise ValueError(
                "The series of fit were too short, or had no values at the end, to try "
                "forecasts on their past, so nothing is known of errors. Pass longer "
                "series, or more."
            )
        if len(levels) and max(levels) > (surest := self._calibration.surest_level()):
            warnings.warn(
                f"Past errors tell of intervals up to {surest:.0f} % only, for the "
                "series of fit were few or short: beyond they grow no wider.",
                UserWarning,
                stacklevel=3,
            )
        names = ["forecast"]
        for number in levels:
            names += [f"lower_{number:g}", f"upper_{number:g}"]

        def bounds(forecasts):
            values = forecasts.values[:, :, np.newaxis]
            if not len(levels):
                return values
            n_steps = values.shape[1]
            offsets = self._calibration.offsets(n_steps, levels / 100)
            shifted = forecasts.shifted(offsets.reshape(n_steps, -1))
            return np.concatenate([values, shifted], axis=2)

        return bounds, names

    def score(self, X: Any, y: Any = None) -> float:
        """Return minus the mean absolute scaled error, averaged over series.

        Errors are scaled by the mean change from step to step in the history (Hyndman
        and Koehler 2006, with a season of 1, so that scores of forecasters with other
        seasons compare); series without changes do not count, nor do rows without a
        history, such as those of series that are not known.

        Parameters
        ----------
        X : Series, DataFrame or array-like
            The rows to forecast, as in `predict`; without y with the true values.
        y : Series, DataFrame or array-like, default=None
            The true values.

        Returns
        -------
        score : float
            0 is perfect, and greater is better.
        """
        check_is_fitted(self)
        panel, form = self._history(None)
        truth, _, _ = read_panel(
            X,
            y,
            static=self._static,
            like=form,
            first=panel.ends[0],
            missing_ok=True,
        )
        request = form.read_future(X, panel, unknown_ok=True)
        forecasts = self._rows(request, panel, _values)
        numbers = truth.ids.get_indexer(panel.ids[request.series])
        at = request.positions - truth.starts[numbers]
        known = at >= 0
        values = np.full(len(at), np.nan)
        values[known] = truth.values[truth.offsets[numbers[known]] + at[known]]
        errors = np.abs(values - forecasts) / self._changes()[request.series]
        known = np.isfinite(errors)
        if not known.any():
            raise ValueError(
                "There is nothing to score: no row has a known value and a history "
                "that changes."
            )
        counts = np.bincount(request.series[known], minlength=len(panel))
        sums = np.bincount(request.series[known], errors[known], minlength=len(panel))
        scored = counts > 0
        return -float((sums[scored] / counts[scored]).mean())

    def _changes(self):
        """Return the mean size of the changes from step to step of each series."""
        panel = self._panel
        changes = np.abs(np.diff(panel.values, append=np.nan))
        changes[panel.offsets[1:] - 1] = np.nan  # into the next series
        known = ~np.isnan(changes)
        series = np.repeat(np.arange(len(panel)), panel.lengths)[known]
        sums = np.bincount(series, changes[known], minlength=len(panel))
        counts = np.bincount(series, minlength=len(panel))
        means = sums / np.maximum(counts, 1)
        return np.where(means > 0.0, means, np.nan)

    # --- from requests to forecasts -------------------------------------------------

    def _answer(self, X, history, compute, names=None):
        """Return what is computed of the forecasts in the form of the user's data."""
        check_is_fitted(self)
        panel, form = self._history(history)
        if X is None or isinstance(X, Integral):
            values = self._horizon(panel, self._n_steps(X, form), compute)
            return form.answer(values, panel, names)
        request = form.read_future(X, panel)
        if not len(request.positions):
            raise ValueError("X has no rows, so there is nothing to forecast.")
        values = self._checked_rows(request, panel, form, compute)
        return form.answer_rows(values, request, panel, names)

    def _n_steps(self, X, form):
        """Return how many steps to forecast, where X is not rows."""
        n_steps = self._model.plan.shape.horizon if X is None else int(X)
        if n_steps < 1 or isinstance(X, bool):
            raise ValueError(f"At least one step must be forecast, got {X!r}.")
        if form.known:
            columns = [column.name for column in form.known]
            raise ValueError(
                f"The columns {columns} are known ahead: pass their rows of the "
                "future as X, or name them in past_columns."
            )
        return n_steps

    def _horizon(self, panel, n_steps, compute):
        """Return what is computed for the steps after each series."""
        ahead = np.empty((len(panel), n_steps, 0))
        return compute(self._forecast(panel, ahead))[:, :n_steps]

    def _checked_rows(self, request, panel, form, compute):
        """Return what is computed for each row of a request, each with a history."""
        values = self._rows(request, panel, compute)
        lost = np.isnan(values).reshape(len(values), -1).any(axis=1)
        if lost.any():
            row = int(lost.argmax())
            time = form.clock.times(request.positions[row], 1)[0]
            series = label(panel.ids, request.series[row])
            raise ValueError(
                f"Series {series} has no history before {time} to forecast it from."
            )
        return values

    def _history(self, history):
        """Return the panel to forecast, and its form."""
        if history is not None:
            parts = history if isinstance(history, tuple) else (history,)
            X, y, static = (*parts, None, None)[:3]
            static = self._all_static(static)
            panel, _, form = read_panel(X, y, static=static, like=self._form)
            return panel, form
        if self._panel is None:
            raise ValueError(
                "The forecaster keeps no history after fit_pieces and without_history: "
                "pass the series to forecast as history, or to update first."
            )
        return self._panel, self._form

    def _all_static(self, static):
        """Return the static columns given apart, those of `static` in first place."""
        if static is not None:
            has = list(static_frame(static, self._form.table.names))
            needed = [column.name for column in self._form.of_series]
            refuse_other_columns(has, needed, "static")
        if static is None or self._static is None:
            return self._static if static is None else static
        names = self._form.table.names
        static, before = (static_frame(each, names) for each in (static, self._static))
        others = before[~before.index.isin(static.index)]
        return pd.concat([others, static]) if len(others) else static

    def _rows(self, request, panel, compute):
        """Return what is computed for each row of a request; NaN without a history."""
        horizon = self._model.plan.shape.horizon
        rows = np.arange(len(request.positions))
        later = request.positions >= panel.ends[request.series]
        pieces = []
        if later.any():
            numbers = np.flatnonzero(request.steps)
            pieces.append((rows[later], numbers, panel.ends[numbers], request))
        # within the history: a horizon at a time from the first row of each series
        first = panel.ends.copy()
        np.minimum.at(first, request.series, request.positions)
        blocks = (request.positions - first[request.series]) // horizon
        for block in np.unique(blocks[~later]):
            these = rows[~later & (blocks == block)]
            numbers = np.unique(request.series[these])
            cuts = first[numbers] + block * horizon
            some = cuts > panel.starts[numbers]
            these = these[np.isin(request.series[these], numbers[some])]
            if len(these):
                pieces.append((these, numbers[some], cuts[some], None))
        out = None
        for these, numbers, cuts, ahead in pieces:
            values = self._piece(panel, request, these, numbers, cuts, ahead, compute)
            if out is None:
                out = np.full((len(rows), *values.shape[1:]), np.nan)
            out[these] = values
        return np.full(len(rows), np.nan) if out is None else out

    def _piece(self, panel, request, rows, numbers, cuts, ahead, compute):
        """Return what is computed for some rows, of series that are cut before them."""
        ends = panel.ends
        ends[numbers] = cuts
        history = panel.head(ends).take(numbers)
        places = np.searchsorted(numbers, request.series[rows])
        steps = request.positions[rows] - cuts[places]
        n_steps = int(steps.max()) + 1
        if ahead is not None:
            source, begins = request.known, request.offsets[numbers]
            n_known = request.steps[numbers]
        else:
            source = panel.known
            begins = panel.offsets[numbers] + cuts - panel.starts[numbers]
            n_known = panel.ends[numbers] - cuts
        within = np.arange(n_steps)
        at = begins[:, np.newaxis] + np.minimum(within, n_known[:, np.newaxis] - 1)
        known = source[at]
        known[within >= n_known[:, np.newaxis]] = np.nan
        return compute(self._forecast(history, known))[places, steps]

    def _forecast(self, panel, ahead):
        """Return the `Forecasts` of a panel, with the columns known ahead of it.

        They go on to whole horizons: the first steps are the same whatever their number
        is, for the calendar of the steps that a network sees is always known.
        """
        clock, horizon = self._form.clock, self._model.plan.shape.horizon
        more = -ahead.shape[1] % horizon
        ahead = np.pad(ahead, ((0, 0), (0, more), (0, 0)), constant_values=np.nan)
        positions = panel.ends[:, np.newaxis] + np.arange(ahead.shape[1])
        calendar = calendar_columns(positions, clock, self._parts)
        outlook = Outlook(
            self._with_calendar(panel, clock), np.concatenate([ahead, calendar], axis=2)
        )
        return self._model.forecast(outlook, effective_n_jobs(self.n_jobs))


def _values(forecasts):
    return forecasts.values


def _quantiles(forecasts):
    return forecasts.quantiles


def interval_levels(level):
    """Return the levels of intervals, in percent, as an array."""
    levels = checked_levels(level, 100)
    if levels is None:
        raise ValueError(f"level must be percents between 0 and 100, got {level!r}.")
    if (levels < 1).any():
        raise ValueError(f"level is in percent: pass 80 for 80 %, got {level!r}.")
    if len(np.unique(levels)) < len(levels):
        raise ValueError(f"level must not repeat itself, got {level!r}.")
    return levels


def checked_levels(levels, highest):
    """Return levels as an array, (n_levels,), or None if they are not within (0, 1).

    Parameters
    ----------
    levels : float or array-like
    highest : float
        What stands for 1.
    """
    try:
        levels = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    except (TypeError, ValueError):
        return None
    within = levels.ndim == 1 and ((0 < levels) & (levels < highest)).all()
    return levels if within and len(levels) else None
