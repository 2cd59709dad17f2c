"""Lag columns, as other forecasting libraries make them, become sequences."""

import re
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

FLOATS = (np.float64, np.float32)
# skforecast's and mlforecast's, sktime's pooled, and sktime's direct reduction. An
# "expanding_mean_lag1" of mlforecast is a feature of its own, not a lag of a series.
LAG_NAMES = (
    re.compile(r"(?P<series>)lag_?(?P<lag>\d+)"),
    re.compile(r"(?P<series>.+)_lag_(?P<lag>\d+)"),
    re.compile(r"lag_(?P<lag>\d+)__(?P<series>.+)"),
)


class LagsToSequences(TransformerMixin, BaseEstimator):
    """Turn rows of lags and exogenous values into sequences, oldest step first.

    Forecasting libraries that reduce a series to a regression hand rows to the
    regressor: sktime's begin with the oldest value, skforecast's and mlforecast's with
    the newest, and exogenous columns stand before, behind or as lags of their own. A
    pipeline of this transformer and :class:`~skrnn.RNNRegressor` learns from either.

    Where `X` is a frame whose columns are named as lags, the names decide and no
    parameter is needed. An array does not say what its columns are: `n_lags` and
    `order` must.

    Parameters
    ----------
    n_lags : int, "all" or None, default=None
        Lags of the series; "all" says that each column is one. None takes them from
        the names ``lag_1``, ``lag1``, ``y_lag_1`` or ``lag_1__y`` of the columns,
        which must be lags without a gap, but may begin with any.
    order : {"oldest_first", "newest_first"} or None, default=None
        Whether the columns go forward in time, as sktime's, or back, as skforecast's
        and mlforecast's. None takes it from the names of the columns.
    exog : {"first", "last", "lags"} or None, default=None
        What the columns beside the lags of the series are where their names do not
        tell: one value of each exogenous variable, before ("first") or behind ("last")
        the lags; or `n_lags` lags of each ("lags"), in the order of those of the
        series and behind them. None says that there are none.
    channels_first : bool, default=False
        Whether `X` is three-dimensional, (n_samples, n_channels, n_lags), as sktime
        gives it to time series regressors. It then goes forward in time unless `order`
        says otherwise, and all of its channels are series.

    Attributes
    ----------
    n_lags_ : int
        Steps of each sequence.
    lag_columns_ : ndarray of int of shape (n_series, n_lags_)
        Where the lags of each series stand in the rows of `X`, the oldest first.
        With `channels_first` a row is one channel after the other.
    exog_columns_ : ndarray of int of shape (n_exog,)
        Where the exogenous columns of one value stand.
    n_features_in_ : int
        Number of columns seen in fit; of channels with `channels_first`.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the columns, if `X` had names that are all strings.

    See Also
    --------
    skrnn.model_selection.make_windows : The windows of a series or a panel.

    Notes
    -----
    Missing values are handed on: ``RNNRegressor(missing="mask")`` can take them.

    Examples
    --------
    The columns that skforecast makes, with the month as an exogenous one:

    >>> import pandas as pd
    >>> from skrnn.forecasting import LagsToSequences
    >>> X = pd.DataFrame({"lag_1": [30.0], "lag_2": [20.0], "month": [4.0]})
    >>> LagsToSequences().fit_transform(X)
    array([[[20.,  4.],
            [30.,  4.]]])

    Those of sktime, where the exogenous series has lags of its own:

    >>> X = [[20.0, 30.0, 2.0, 3.0]]
    >>> LagsToSequences(n_lags=2, order="oldest_first", exog="lags").fit_transform(X)
    array([[[20.,  2.],
            [30.,  3.]]])
    """

    _parameter_constraints: dict = {
        "n_lags": [
            None,
            StrOptions({"all"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "order": [None, StrOptions({"oldest_first", "newest_first"})],
        "exog": [None, StrOptions({"first", "last", "lags"})],
        "channels_first": ["boolean"],
    }

    def __init__(
        self,
        n_lags: int | str | None = None,
        *,
        order: str | None = None,
        exog: str | None = None,
        channels_first: bool = False,
    ) -> None:
        self.n_lags = n_lags
        self.order = order
        self.exog = exog
        self.channels_first = channels_first

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Find out which column is which lag.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_columns)
            Lags and exogenous values, a row for each sample; of shape
            (n_samples, n_channels, n_lags) with `channels_first`.
        y : None
            Ignored.

        Returns
        -------
        self : LagsToSequences
            The fitted transformer.

        Raises
        ------
        ValueError
            If `X` is not a set of such rows; if neither names nor parameters say which
            column is which lag, or they contradict each other; if the columns are not
            as many as the parameters say; or if a lag is missing or there twice.
        """
        if self.channels_first:
            _, n_channels, n_lags = self._read_channels(X).shape
            self.n_features_in_ = n_channels
            columns = _by_channels(n_channels, n_lags, self)
        else:
            self._read_rows(X, reset=True)
            names = getattr(self, "feature_names_in_", ())
            columns = _by_names(names, self)
            if columns is None:
                columns = _by_position(self.n_features_in_, names, self)
        self.lag_columns_, self.exog_columns_ = columns
        self.n_lags_ = self.lag_columns_.shape[1]
        return self

    def transform(self, X: Any) -> NDArray:
        """Turn rows into sequences.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_columns)
            As in :meth:`fit`. An array has the columns in the order of those that fit
            has seen, also where they had names.

        Returns
        -------
        sequences : ndarray of shape (n_samples, n_lags_, n_series + n_exog)
            The oldest step first. The channels are the series, of which the target is
            the first, and then the exogenous columns of one value, repeated at each
            step. float32 stays float32, all else becomes float64.

        Raises
        ------
        ValueError
            If `X` has other columns than in fit.
        """
        check_is_fitted(self)
        if self.channels_first:
            X = self._read_channels(X)
            n_channels, n_lags = self.lag_columns_.shape
            if X.shape[1:] != self.lag_columns_.shape:
                raise ValueError(
                    f"X has {X.shape[1]} channels of {X.shape[2]} lags, but "
                    f"LagsToSequences is expecting {n_channels} features as input, "
                    f"channels of {n_lags} lags."
                )
            X = X.reshape(len(X), -1)
        else:
            X = self._read_rows(X, reset=False)
        n_series = len(self.lag_columns_)
        shape = len(X), self.n_lags_, n_series + len(self.exog_columns_)
        sequences = np.empty(shape, X.dtype)
        sequences[:, :, :n_series] = X[:, self.lag_columns_.T]
        sequences[:, :, n_series:] = X[:, np.newaxis, self.exog_columns_]
        return sequences

    def _read_rows(self, X, reset):
        if getattr(X, "ndim", 2) == 3:
            raise ValueError(
                f"X has the shape {np.shape(X)}: set channels_first=True if its axes "
                "are (n_samples, n_channels, n_lags). Sequences of the shape "
                "(n_samples, n_timesteps, n_channels) need no LagsToSequences."
            )
        return validate_data(
            self, X, reset=reset, dtype=FLOATS, ensure_all_finite="allow-nan"
        )

    def _read_channels(self, X):
        X = check_array(
            X,
            dtype=FLOATS,
            ensure_2d=False,
            allow_nd=True,
            ensure_all_finite="allow-nan",
            estimator=self,
            input_name="X",
        )
        if X.ndim != 3 or 0 in X.shape:
            raise ValueError(
                "With channels_first=True X must be of the shape "
                f"(n_samples, n_channels, n_lags), but is of the shape {X.shape}."
            )
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.two_d_array = not self.channels_first
        tags.input_tags.three_d_array = self.channels_first
        tags.input_tags.allow_nan = True
        return tags


def _by_channels(n_channels, n_lags, parameters):
    """Return where the lags of each channel are, with channels_first."""
    if parameters.exog is not None:
        raise ValueError(
            f"With channels_first=True each channel is a series: exog is "
            f"{parameters.exog!r}, but must be None."
        )
    if parameters.n_lags not in (None, "all", n_lags):
        raise ValueError(
            f"X has {n_lags} steps on its last axis, but n_lags={parameters.n_lags}: "
            "with channels_first=True its axes are (n_samples, n_channels, n_lags)."
        )
    columns = np.arange(n_channels * n_lags).reshape(n_channels, n_lags)
    return _oldest_first(columns, parameters.order), np.arange(0)


def _by_position(n_columns, names, parameters):
    """Return where lags and exogenous columns are, as the parameters say."""
    n_lags, order, exog = parameters.n_lags, parameters.order, parameters.exog
    if n_lags is None or order is None:
        what = "X has no column names" if not len(names) else _no_lags_among(names)
        raise ValueError(
            f"{what}, so which of its {n_columns} columns is which lag must be said: "
            "set n_lags and order, and exog if there are exogenous columns."
        )
    if n_lags == "all":
        if exog is not None:
            raise ValueError(
                "n_lags='all' leaves no exogenous column: set exog=None, or n_lags to "
                f"a number, where exog={exog!r}."
            )
        n_lags = n_columns
    n_others = n_columns - n_lags
    if n_others < 0:
        raise ValueError(f"X has {n_columns} columns, fewer than n_lags={n_lags}.")
    if n_others and exog is None:
        raise ValueError(
            f"X has {n_columns} columns, but n_lags={n_lags}: set exog to say what the "
            f"other {n_others} are, 'first', 'last' or 'lags'."
        )
    if exog == "lags" and n_others % n_lags:
        raise ValueError(
            f"X has {n_columns} columns, which is not a multiple of n_lags={n_lags}, "
            "though with exog='lags' each exogenous series has as many lags."
        )
    columns = np.arange(n_columns)
    if exog == "lags":
        return _oldest_first(columns.reshape(-1, n_lags), order), np.arange(0)
    lags, others = columns[:n_lags], columns[n_lags:]
    if exog == "first":
        others, lags = columns[:n_others], columns[n_others:]
    return _oldest_first(lags[np.newaxis], order), others


def _oldest_first(columns, order):
    return columns[:, ::-1] if order == "newest_first" else columns


def _no_lags_among(names):
    return (
        "No column of X is named as a lag (lag_1, lag1, y_lag_1 or lag_1__y), only "
        f"{', '.join(map(repr, names[:5]))}{' ...' if len(names) > 5 else ''}"
    )


def _by_names(names, parameters):
    """Return where lags and exogenous columns are, or None if no name is a lag's."""
    series, exog = _read_names(names)
    if not series:
        return None
    sets = {name: sorted(columns) for name, columns in series.items()}
    for name, lags in sets.items():
        _check_lags(name, lags, *next(iter(sets.items())))
    # falling lags: the oldest first
    lag_columns = np.array(
        [[at for _, at in sorted(c.items())][::-1] for c in series.values()]
    )
    _check_agreement(names, lag_columns, exog, parameters)
    return lag_columns, np.array(exog, dtype=int)


def _read_names(names):
    """Return {series: {lag: column}} and the columns that are no lags."""
    series = {}
    exog = []
    for column, name in enumerate(names):
        match = next((m for m in (p.fullmatch(name) for p in LAG_NAMES) if m), None)
        if match is None:
            exog.append(column)
            continue
        columns = series.setdefault(match["series"], {})
        other = columns.setdefault(int(match["lag"]), column)
        if other != column:
            raise ValueError(
                f"X has lag {match['lag']} twice: columns {names[other]!r} and "
                f"{name!r}."
            )
    return series, exog


def _check_lags(name, lags, first_name, first_lags):
    """Raise if lags are missing, or are not those of the first series."""
    missing = sorted(set(range(lags[0], lags[-1] + 1)) - set(lags))
    of_series = f" of {name!r}" if name else ""
    if missing:
        raise ValueError(
            f"Lag {missing[0]}{of_series} is missing among the columns of X, which are "
            f"the lags {lags}: the steps of a sequence are equally far apart. Have all "
            f"lags from {lags[0]} to {lags[-1]} made."
        )
    if lags != first_lags:
        of_first = f" of {first_name!r}" if first_name else ""
        raise ValueError(
            f"The lags{of_series} in X are {lags}, but those{of_first} are "
            f"{first_lags}: all series need the same. Rename a column that is not a "
            "lag."
        )


def _check_agreement(names, lag_columns, exog, parameters):
    """Raise if the parameters say other things than the names."""
    n_lags = lag_columns.shape[1]
    if parameters.n_lags == "all" and exog:
        raise ValueError(
            f"n_lags='all', but the column {names[exog[0]]!r} of X is not named as a "
            "lag."
        )
    if parameters.n_lags not in (None, "all", n_lags):
        raise ValueError(
            f"n_lags={parameters.n_lags}, but by their names the columns of X hold "
            f"{n_lags} lags."
        )
    in_order = _oldest_first(lag_columns, parameters.order)
    if parameters.order is not None and (np.diff(in_order, axis=1) < 0).any():
        raise ValueError(
            f"order={parameters.order!r}, but the columns of X are named "
            f"{', '.join(map(repr, names[np.sort(lag_columns[0])]))}: leave order=None "
            "for the names to decide."
        )
