"""Windows of panels, and splits of them by time: none crosses a series or a split."""

from collections.abc import Hashable, Iterator
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import TimeSeriesSplit
from sklearn.utils import check_consistent_length, check_scalar

from skrnn.sequences.frames import (
    frame_values,
    is_pandas,
    number_instances,
    rank_times,
)
from skrnn.sequences.numeric import computation_dtype, refuse_masked

__all__ = ["PanelTimeSeriesSplit", "make_windows"]

WINDOW_TIMES = ["origin", "end"]


class PanelTimeSeriesSplit(TimeSeriesSplit):
    """Split the rows of a panel by time, all series at the same moment.

    :class:`~sklearn.model_selection.TimeSeriesSplit` of the distinct time stamps: rows
    whose time lies in the test span are test rows, those before it are training rows.
    The rows may be in any order, and the series may begin, end and pause when they
    will.

    The windows of :func:`make_windows` have two times, and are split so that nothing
    leaks, whatever their horizon: those that begin to forecast (their origin) in the
    test span are tested, and those whose last target (their end) is known at the first
    origin of the test span are trained on.

    Parameters
    ----------
    n_splits : int, default=5
        Number of splits, at least 2.
    max_train_size : int, default=None
        The largest number of time stamps of a training part, the last ones. None means
        all.
    test_size : int, default=None
        The number of time stamps of each test part. None means
        ``n_times // (n_splits + 1)``.
    gap : int, default=0
        The number of time stamps left out before each test part. Windows need none.

    See Also
    --------
    sklearn.model_selection.TimeSeriesSplit : The same for rows of one series.
    sklearn.model_selection.GroupKFold : Splits that hold out whole series, with
        ``groups=y.index.get_level_values(0)``.

    Notes
    -----
    What is to be learned from a row must be known at its time. Of rows that hold the
    targets of several steps ahead, but are no windows of :func:`make_windows`, the last
    ``horizon - 1`` time stamps before a test part have targets within it; ``gap``
    leaves them out.

    Examples
    --------
    >>> import pandas as pd
    >>> from skrnn.model_selection import PanelTimeSeriesSplit
    >>> index = pd.MultiIndex.from_product([["a", "b"], [2021, 2022, 2023]])
    >>> panel = pd.DataFrame({"sales": range(6)}, index=index)
    >>> for train, test in PanelTimeSeriesSplit(n_splits=2).split(panel):
    ...     print(train, test)
    [0 3] [1 4]
    [0 1 3 4] [2 5]
    """

    # With metadata routing, groups reach split without a request.
    __metadata_request__split = {"groups": True}

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate the rows of the training and the test part of each split.

        Parameters
        ----------
        X : array-like of n_rows rows
            A DataFrame or Series with an (instance, time) index has the times.
        y : array-like of n_rows rows, default=None
            Its index is used where X has none, or if it is that of windows.
        groups : array-like of shape (n_rows,), default=None
            The time of each row, or an index of one of these kinds, instead of the
            index of X or y.

        Yields
        ------
        train : ndarray of int
            The rows of the training part.
        test : ndarray of int
            The rows of the test part.

        Raises
        ------
        ValueError
            If there are no times, one of them is missing, they cannot be ordered, or
            are too few for these splits.
        """
        check_consistent_length(X, y, groups)
        times, ends = _times_and_ends(X, y, groups)
        ranks, clock = rank_times(times)
        for fold, (before, during) in enumerate(self._spans(clock)):
            train = ranks <= before[-1]
            if ends is not None:
                train &= np.asarray(ends <= clock[during[0]])
            if self.max_train_size:
                used = np.unique(ranks[train])[-self.max_train_size :]
                train &= np.isin(ranks, used)
            if not train.any():
                raise ValueError(
                    f"Split {fold} has no training windows: no target ends by "
                    f"{clock[during[0]]}, where its test part begins. Take fewer or "
                    "smaller test parts (n_splits, test_size), or shorter windows."
                )
            yield np.flatnonzero(train), np.flatnonzero(np.isin(ranks, during))

    def _spans(self, clock):
        """Split the distinct times; the training parts are as long as can be."""
        spans = TimeSeriesSplit(self.n_splits, test_size=self.test_size, gap=self.gap)
        try:
            yield from spans.split(clock)
        except ValueError as error:
            raise ValueError(
                f"{error} What counts as a sample here is a time stamp, of which there "
                f"are {len(clock)}."
            ) from error


def _times_and_ends(X, y, groups):
    """Return the time of each row, and of windows the end of their targets."""
    if groups is not None:
        index = groups if isinstance(groups, pd.MultiIndex) else pd.Index(groups)
    else:
        frames = [part for part in (X, y) if is_pandas(part, "DataFrame", "Series")]
        levels = [part.index for part in frames if part.index.nlevels > 1]
        if not levels:
            raise ValueError(
                "PanelTimeSeriesSplit needs the time of each row: an (instance, time) "
                "index of X or y, or groups=times."
            )
        index = max(levels, key=lambda index: index.nlevels)  # that of windows
    if list(index.names[-2:]) == WINDOW_TIMES:
        return tuple(index.get_level_values(name) for name in WINDOW_TIMES)
    if index.nlevels > 2:
        raise ValueError(
            "The index must have the levels (instance, time), or those that "
            f"make_windows gives, but has {list(index.names)}. Pass the time of each "
            "row as groups, for example groups=X.index.get_level_values(-1)."
        )
    return index.get_level_values(-1), None


def make_windows(
    data: Any,
    lags: int,
    horizon: int = 1,
    *,
    step: int = 1,
    target: Hashable | None = None,
) -> tuple[np.ndarray, Any]:
    """Make samples of a series or a panel: the last values, and those that follow.

    No window reaches from one series into the next. The index of y says which series
    and which times a window has, by which :class:`PanelTimeSeriesSplit` splits the
    windows.

    Parameters
    ----------
    data : Series, DataFrame or array-like
        A Series or DataFrame with an (instance, time) index is a panel: the steps of a
        series are its rows in the order of time, wherever they lie. All else is one
        series, a Series or array of shape (n_times,), or with a channel a column,
        (n_times, n_channels). For a wide frame with one series a column, pass
        ``frame.unstack()``.
    lags : int
        The number of steps of X, which end at the origin of the forecast.
    horizon : int, default=1
        The number of steps after the origin to forecast.
    step : int, default=1
        The number of steps from one window of a series to the next.
    target : label, default=None
        The column to forecast, if there are several. All columns are channels of X.

    Returns
    -------
    X : ndarray of shape (n_windows, lags, n_channels)
        float32 if all columns are, else float64.
    y : DataFrame of shape (n_windows, horizon), or Series if ``horizon=1``
        The values of the target. The columns are the numbers of steps ahead. The index
        has the levels "instance" (or the name of that level in `data`; 0 for a single
        series), "origin", the time of the last step of X, and "end", that of the last
        step of y.

    Raises
    ------
    ValueError
        If no series has ``lags + horizon`` rows, a time occurs twice in a series, an
        instance or time is missing, the target is unknown, or a column is not numeric.

    Notes
    -----
    A step is a row. Where time stamps are missing, the steps of a window are further
    apart; insert rows first if that matters. Missing values stay NaN.

    Examples
    --------
    >>> from skrnn.model_selection import make_windows
    >>> X, y = make_windows([10.0, 11.0, 12.0, 13.0, 14.0], lags=2, horizon=2)
    >>> X[:, :, 0]
    array([[10., 11.],
           [11., 12.]])
    >>> y
    ahead                   1     2
    instance origin end
    0        1      3    12.0  13.0
             2      4    13.0  14.0
    """
    for name, value in (("lags", lags), ("horizon", horizon), ("step", step)):
        check_scalar(value, name, Integral, min_val=1)
    if not is_pandas(data, "DataFrame", "Series"):
        refuse_masked(data, "data")
        array = np.asarray(data)
        data = pd.Series(array) if array.ndim == 1 else pd.DataFrame(array)
    frame = data.to_frame() if data.ndim == 1 else data
    if 0 in frame.shape:
        raise ValueError(f"There are no values: the shape of data is {frame.shape}.")
    column = _target_column(frame, target)
    rows, lengths, labels, times = _rows_by_series(frame.index)
    values = frame_values(frame)[rows]
    values = values.astype(computation_dtype([values.dtype]), copy=False)

    span = lags + horizon
    begins = np.cumsum(lengths) - lengths
    pieces = [
        np.arange(begin, begin + length - span + 1, step)
        for begin, length in zip(begins, lengths, strict=True)
    ]
    first = np.concatenate(pieces)[:, np.newaxis]
    if len(first) == 0:
        raise ValueError(
            f"A window has lags + horizon = {span} rows, but the longest series has "
            f"{lengths.max()}."
        )
    X = values[first + np.arange(lags)]
    y = values[first + np.arange(lags, span), column]
    origin = first[:, 0] + lags - 1
    index = pd.MultiIndex.from_arrays(
        [labels[origin], times[origin], times[origin + horizon]],
        names=[frame.index.names[0] or "instance", *WINDOW_TIMES],
    )
    if horizon == 1:
        return X, pd.Series(y[:, 0], index=index, name=frame.columns[column])
    ahead = pd.RangeIndex(1, horizon + 1, name="ahead")
    return X, pd.DataFrame(y, index=index, columns=ahead)


def _target_column(frame, target):
    """Return the place of the target among the columns."""
    columns = list(frame.columns)
    if target is None and len(columns) == 1:
        return 0
    if columns.count(target) != 1:
        raise ValueError(
            f"target must be one of the columns {columns}, got {target!r}. If each "
            "column is a series of its own, pass frame.unstack()."
        )
    return columns.index(target)


def _rows_by_series(index):
    """Return the rows by series and time, the lengths, and each row's label and time.

    Parameters
    ----------
    index : Index of length n_rows
        Of (instance, time), or of times alone.

    Returns
    -------
    rows : ndarray of int of shape (n_rows,)
        The rows of the first series by time, then those of the next.
    lengths : ndarray of int of shape (n_series,)
    labels, times : Index of length n_rows
        In this order.
    """
    if index.nlevels > 2:
        raise ValueError(
            "The index must have two levels, (instance, time), but has "
            f"{index.nlevels}."
        )
    times = index.get_level_values(-1)
    labels = pd.Index(np.zeros(len(index), dtype=np.int64))
    if index.nlevels == 2:
        labels = index.get_level_values(0)
    codes, _ = number_instances(labels)
    ranks, _ = rank_times(times)
    rows = np.lexsort((ranks, codes))
    twice = (np.diff(codes[rows]) == 0) & (np.diff(ranks[rows]) == 0)
    if twice.any():
        row = rows[twice.argmax()]
        raise ValueError(
            f"Time {times[row]} occurs twice in series {labels[row]}. If there are "
            "several series, their index must be (instance, time)."
        )
    return rows, np.bincount(codes), labels[rows], times[rows]
