"""What a fitted forecaster answers: forecasts, quantiles, intervals and a score."""

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from joblib import effective_n_jobs
from sklearn.utils.validation import check_is_fitted

from skrnn.forecasting.calendar import calendar_columns
from skrnn.forecasting.clock import label
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
            are forecast from what lies before them, a horizon at a time.
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
        self, X: Any = None, level: Any = (80, 95), *, history: Any = None
    ) -> Any:
        """Forecast, with intervals by the errors in past windows.

        Split conformal prediction: the bounds lie so far from the forecast as past
        truths did, in units of how much each series changes from step to step.

        Parameters
        ----------
        X, history : see `predict`
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
        names = ["forecast"]
        for number in levels:
            names += [f"lower_{number:g}", f"upper_{number:g}"]

        def bounds(forecasts):
            values, n_steps = (
                forecasts.values[:, :, np.newaxis],
                forecasts.values.shape[1],
            )
            if not len(levels):
                return values
            offsets = self._calibration.offsets(n_steps, levels / 100)
            shifted = forecasts.shifted(offsets.reshape(n_steps, -1))
            return np.concatenate([values, shifted], axis=2)

        return bounds, names

    def score(self, X: Any, y: Any = None) -> float:
        """Return minus the mean absolute scaled error, averaged over series.

        Errors are scaled by those of the forecast that repeats the season before, in
        the history (Hyndman and Koehler 2006); series without such errors do not count,
        nor do rows without a history, such as those of series that are not known.

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


def interval_levels(level):
    """Return the levels of intervals, in percent, as an array."""
    levels = checked_levels(level, 100)
    if levels is None:
        raise ValueError(f"level must be percents between 0 and 100, got {level!r}.")
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
