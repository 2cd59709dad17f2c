"""Scores of forecasts, of one series or of many."""

import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from skrnn.metrics.panels import match_series, matched_values, read_panel

Average = Literal["series", "points"] | None


def symmetric_mean_absolute_percentage_error(
    y_true: Any, y_pred: Any, *, average: Average = "series"
) -> Any:
    """Return the sMAPE in %, between 0 and 200.

    The mean of ``200 |y - f| / (|y| + |f|)``, which is 0 where both are 0: the measure
    of the M3 and M4 competitions [1]_ [2]_.

    Parameters
    ----------
    y_true, y_pred : array-like
        What came, and what was forecast; missing values (NaN) of `y_true` do not count.
        In one of these forms:

        - one series: an array of shape (n_steps,) or a Series;
        - several series as rows: an array of shape (n_series, n_steps), or a list of
          arrays that may differ in length;
        - several series as columns: a DataFrame whose index are times;
        - a Series, or DataFrame of one column, with an (id, time) index; or a DataFrame
          with the columns "unique_id", "ds" and one of values.

        What has an index is matched by it, and forecasts of other times or series are
        not looked at; the rest goes by order.
    average : {"series", "points"} or None, default="series"
        Whether each series counts for as much as another, or each of its values. None
        returns the score of each series.

    Returns
    -------
    score : float, or array or Series of shape (n_series,)
        The smaller, the better. With ``average=None``, a Series if the series have
        names; NaN for one without a value that counts.

    Raises
    ------
    ValueError
        If a value that counts has no forecast, if the forms of `y_true` and `y_pred` do
        not fit, or if no value counts.

    References
    ----------
    .. [1] Makridakis and Hibon, "The M3-Competition: results, conclusions and
       implications", International Journal of Forecasting 16 (2000).
    .. [2] Makridakis, Spiliotis and Assimakopoulos, "The M4 Competition: 100,000 time
       series and 61 forecasting methods", International Journal of Forecasting 36
       (2020).

    Examples
    --------
    >>> from skrnn.metrics import symmetric_mean_absolute_percentage_error
    >>> symmetric_mean_absolute_percentage_error([100, 0], [300, 0])
    50.0
    """
    true = _read_true(y_true)
    pred = matched_values(true, read_panel(y_pred, "y_pred"))
    size = np.abs(true.values) + np.abs(pred)
    errors = 200 * np.abs(true.values - pred)
    errors = np.divide(errors, size, out=np.zeros_like(errors), where=size != 0)
    errors[np.isnan(true.values)] = np.nan
    return _averaged(true, errors, average)


def mean_absolute_scaled_error(
    y_true: Any,
    y_pred: Any,
    y_train: Any,
    *,
    season_length: int = 1,
    average: Average = "series",
) -> Any:
    """Return the MASE: errors in units of the seasonal naive method's [1]_.

    The mean absolute error, divided by the mean of ``|y_t - y_(t - m)|`` over the
    training part, m being the length of the season.

    Parameters
    ----------
    y_true, y_pred : array-like
        As in :func:`symmetric_mean_absolute_percentage_error`.
    y_train : array-like
        What came before: the values that the forecasts were made from, in the same form
        as `y_true`, in steps of equal length, and NaN where missing. Series may differ
        in length (a list of arrays, or NaN), and those that `y_true` lacks do not
        matter.
    season_length : int, default=1
        The steps of a season: 12 for months of a year; 1 for none.
    average : {"series", "points"} or None, default="series"
        As in :func:`symmetric_mean_absolute_percentage_error`.

    Returns
    -------
    score : float, or array or Series of shape (n_series,)
        Below 1 the forecasts err less than the seasonal naive method does one step
        ahead on the training part. With ``average=None``, NaN for a series that has no
        scale.

    Raises
    ------
    ValueError
        As in :func:`symmetric_mean_absolute_percentage_error`; also if `y_train` lacks
        a series, or if no series has a scale.

    Warns
    -----
    UserWarning
        If a series has no scale, as its training part repeats itself exactly, or is not
        longer than a season: it does not count.

    References
    ----------
    .. [1] Hyndman and Koehler, "Another look at measures of forecast accuracy",
       International Journal of Forecasting 22 (2006).

    Examples
    --------
    >>> from skrnn.metrics import mean_absolute_scaled_error
    >>> mean_absolute_scaled_error([5, 6], [4, 5], y_train=[1, 3, 1, 3])
    0.5
    """
    true = _read_true(y_true)
    errors = np.abs(true.values - matched_values(true, read_panel(y_pred, "y_pred")))
    scales = _scales(true, y_train, season_length, np.abs)
    return _averaged(true, errors, average, scales)


def root_mean_squared_scaled_error(
    y_true: Any,
    y_pred: Any,
    y_train: Any,
    *,
    season_length: int = 1,
    average: Average = "series",
) -> Any:
    """Return the RMSSE, which unlike the MASE asks for the mean, not for the median.

    The root of the mean squared error divided by the mean of ``(y_t - y_(t - m))^2``
    over the training part, m being the length of the season: the measure of the M5
    competition [1]_, where m is 1 and `y_train` begins with the first sale.

    Parameters
    ----------
    y_true, y_pred, y_train, season_length
        As in :func:`mean_absolute_scaled_error`.
    average : {"series", "points"} or None, default="series"
        Of several series, the mean of their RMSSE, each series or each value counting
        for as much as another. None returns the score of each series.

    Returns
    -------
    score : float, or array or Series of shape (n_series,)
        The smaller, the better.

    Raises
    ------
    ValueError
        As in :func:`mean_absolute_scaled_error`.

    Warns
    -----
    UserWarning
        As in :func:`mean_absolute_scaled_error`.

    References
    ----------
    .. [1] Makridakis, Spiliotis and Assimakopoulos, "The M5 competition: background,
       organization, and implementation", International Journal of Forecasting 38
       (2022).

    Examples
    --------
    >>> from skrnn.metrics import root_mean_squared_scaled_error
    >>> root_mean_squared_scaled_error([5, 6], [4, 5], y_train=[1, 3, 1, 3])
    0.5
    """
    true = _read_true(y_true)
    errors = (true.values - matched_values(true, read_panel(y_pred, "y_pred"))) ** 2
    scales = _scales(true, y_train, season_length, np.square)
    return _averaged(true, errors, average, scales, np.sqrt)


def mean_quantile_loss(
    y_true: Any, y_quantiles: Any, levels: ArrayLike, *, average: Average = "series"
) -> Any:
    """Return the mean quantile loss, or pinball loss, over several levels [1]_.

    At level q and with d = y - forecast, the loss of a value is ``q d`` if d is
    positive and ``(q - 1) d`` if not. With one level it is
    :func:`sklearn.metrics.mean_pinball_loss`; at 0.5, half of the absolute error.

    Parameters
    ----------
    y_true : array-like
        As in :func:`symmetric_mean_absolute_percentage_error`.
    y_quantiles : array-like
        A column for each level, in the form of `y_true`: an array of shape
        (n_steps, n_levels) or (n_series, n_steps, n_levels), or a DataFrame; for
        series as columns, one whose columns are (series, level). Columns that are
        called like the levels, as numbers, may come in any order.
    levels : array-like of shape (n_levels,)
        Between 0 and 1.
    average : {"series", "points"} or None, default="series"
        As in :func:`symmetric_mean_absolute_percentage_error`.

    Returns
    -------
    score : float, or array or Series of shape (n_series,)
        In units of y. The smaller, the better.

    Raises
    ------
    ValueError
        As in :func:`symmetric_mean_absolute_percentage_error`; also if a level is not
        between 0 and 1, or `y_quantiles` has not a column for each.

    References
    ----------
    .. [1] Koenker and Bassett, "Regression quantiles", Econometrica 46 (1978).

    Examples
    --------
    >>> from skrnn.metrics import mean_quantile_loss
    >>> mean_quantile_loss([10, 10], [[8, 10], [9, 12]], levels=[0.25, 0.5])
    0.4375
    """
    levels = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    if levels.ndim != 1 or not len(levels) or not ((levels > 0) & (levels < 1)).all():
        raise ValueError(f"levels must lie between 0 and 1, got {levels.tolist()}.")
    true = _read_true(y_true)
    quantiles = matched_values(true, read_panel(y_quantiles, "y_quantiles", levels))
    difference = true.values[:, None] - quantiles
    losses = np.maximum(levels * difference, (levels - 1) * difference)
    return _averaged(true, losses.mean(axis=1), average)


def interval_coverage(
    y_true: Any, lower: Any, upper: Any, *, average: Average = "series"
) -> Any:
    """Return the share of the values that lie within their intervals.

    Parameters
    ----------
    y_true : array-like
        As in :func:`symmetric_mean_absolute_percentage_error`.
    lower, upper : array-like
        The ends of the intervals, which belong to them, in the form of `y_true`.
    average : {"series", "points"} or None, default="series"
        As in :func:`symmetric_mean_absolute_percentage_error`.

    Returns
    -------
    coverage : float, or array or Series of shape (n_series,)
        Between 0 and 1. Good intervals of level 80 % cover 0.8 of the values; the
        narrower ones, if several do, are better.

    Raises
    ------
    ValueError
        As in :func:`symmetric_mean_absolute_percentage_error`; also if an interval ends
        below its beginning.

    Examples
    --------
    >>> from skrnn.metrics import interval_coverage
    >>> interval_coverage([1, 2, 3, 4], lower=[0, 2, 4, 3], upper=[2, 3, 5, 6])
    0.75
    """
    true = _read_true(y_true)
    low = matched_values(true, read_panel(lower, "lower"))
    high = matched_values(true, read_panel(upper, "upper"))
    if (low > high).any():
        place = true.place(int((low > high).argmax()))
        raise ValueError(f"lower is above upper at {place}.")
    covered = ((low <= true.values) & (true.values <= high)).astype(np.float64)
    covered[np.isnan(true.values)] = np.nan
    return _averaged(true, covered, average)


# Common to all ------------------------------------------------------------------------


def _read_true(y_true):
    """Read the truth, in which NaN is a missing value."""
    true = read_panel(y_true, "y_true")
    infinite = np.isinf(true.values)
    if infinite.any():
        raise ValueError(f"y_true is infinite at {true.place(int(infinite.argmax()))}.")
    return true


def _scales(true, y_train, season_length, size):
    """Return the mean size of the seasonal differences of each series, NaN if 0."""
    if season_length != int(season_length) or season_length < 1:
        raise ValueError(
            f"season_length must be an integer >= 1, got {season_length!r}."
        )
    train = read_panel(y_train, "y_train")
    numbers = match_series(true, train)
    sums, counts = np.zeros(train.n_series), np.zeros(train.n_series)
    order = train.order_of_time()
    values, series = train.values[order], train.series[order]
    m = int(season_length)
    differences = size(values[m:] - values[:-m])
    counted = (series[m:] == series[:-m]) & ~np.isnan(differences)
    np.add.at(sums, series[m:][counted], differences[counted])
    np.add.at(counts, series[m:][counted], 1)
    scales = np.full(train.n_series, np.nan)
    np.divide(sums, counts, out=scales, where=sums > 0)
    scales = scales[numbers]
    if np.isnan(scales).any():
        number = int(np.isnan(scales).argmax())
        label = number if true.labels is None else repr(true.labels[number])
        warnings.warn(
            f"{np.isnan(scales).sum()} series have no scale and do not count, such as "
            f"{label}: y_train repeats itself exactly every {m} step(s), or has no two "
            "values so far apart.",
            stacklevel=3,
        )
    return scales


def _averaged(true, errors, average, scales=None, transform=None):
    """Average the errors (n_rows,), NaN where none counts, over each series and all."""
    if average not in ("series", "points", None):
        raise ValueError(
            f"average must be 'series', 'points' or None, got {average!r}."
        )
    counted = ~np.isnan(errors)
    sums = np.bincount(true.series[counted], errors[counted], true.n_series)
    counts = np.bincount(true.series[counted], minlength=true.n_series)
    scores = np.full(true.n_series, np.nan)
    np.divide(sums, counts, out=scores, where=counts > 0)
    if scales is not None:
        scores /= scales
    if transform is not None:
        scores = transform(scores)
    if average is None:
        return true.by_series(scores)
    counts = np.where(np.isnan(scores), 0, counts)
    if not counts.any():
        raise ValueError("Nothing is left to score: no value of y_true counts.")
    weights = counts if average == "points" else counts > 0
    return float(np.average(np.where(counts > 0, scores, 0.0), weights=weights))
