"""The forecaster: pandas in, pandas out."""

from collections.abc import Hashable, Sequence
from copy import copy
from dataclasses import replace
from itertools import repeat
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skrnn._choices import check_sizes
from skrnn.cells import CELLS
from skrnn.forecasting.backtest import BacktestMixin
from skrnn.forecasting.calendar import calendar_columns, useful_parts
from skrnn.forecasting.calibration import calibrate
from skrnn.forecasting.clock import label
from skrnn.forecasting.frequency import season_lengths
from skrnn.forecasting.model import new_model, train, training_windows
from skrnn.forecasting.networks import Settings
from skrnn.forecasting.plan import make_plan
from skrnn.forecasting.predicting import checked_levels
from skrnn.forecasting.reading import read_panel
from skrnn.forecasting.streaming import PanelStream, readable_again

# Of the training of fit, for `partial_fit`.
SHARE_OF_UPDATES, SHARE_OF_RATE = 0.1, 0.2


class RNNForecaster(BacktestMixin, BaseEstimator):
    """Forecast one series or many with recurrent networks, in pandas' own terms.

    One model learns from all series together: a network reads the last values of a
    series, brought to their own level and scale, and forecasts all steps of the horizon
    at once. Beside it stands a classical member, the theta method, with a share that
    past windows tell.

    X may be

    - a Series or 1-D array, one series;
    - a wide DataFrame, with a series in each column;
    - a long DataFrame with the columns ``unique_id, ds, y``, or those named by
      `id_col`, `time_col` and `target_col`; further columns are exogenous;
    - a Series or DataFrame with an (id, time) index.

    Or y is the series, in one of these forms, and X has the exogenous columns, or
    nothing but the index. Times are a DatetimeIndex, a PeriodIndex or integers.
    Exogenous columns are known ahead unless `past_columns` or `static_columns` names
    them; the numbers of the horizon must then be passed to `predict`.

    Parameters
    ----------
    horizon : int
        Steps that the networks forecast at once. `predict` goes beyond by taking
        forecasts for values.
    lags : int, default=None
        Steps of the past that a network reads. None: two seasons, or as many as the
        horizon; then further networks look back up to twice as far, unless that is two
        long seasons already.
    season_length : int, default=None
        Steps of a season, 1 for none. None: by the frequency, such as 12 for months; of
        an integer index the lag at which most series repeat themselves, if any.
    freq : str or DateOffset, default=None
        How far steps are apart. None: by the index.
    log : {"auto"} or bool, default="auto"
        Whether to take logarithms of each series whose values are all positive. "auto"
        does where none of them is vanishingly small.
    calendar : {"auto"} or bool, default="auto"
        Whether the networks know where a time lies in its day, week, month and year.
        "auto" chooses the cycles that are longer than a window and that half of the
        series saw twice.
    linear : {"auto"} or bool, default="auto"
        Whether networks correct a linear model of the window rather than forecast on
        their own. "auto" tries both on past windows.
    theta : bool, default=True
        Whether there is a classical member, the dynamic optimised theta method [1]_.
        Its share in the forecast is the one that served best on past windows.
    n_networks : int, default=3
        Networks with different seeds. The forecast is their median.
    quantiles : array-like of float, default=None
        Levels in (0, 1) for `predict_quantiles`, which the networks learn with the
        pinball loss [2]_.
    cell : {"rnn", "lstm", "gru", "mingru", "janet"}, default="lstm"
        The recurrence, as in :class:`RNNRegressor`.
    hidden_layer_sizes : int or array-like of int, default=(64,)
        Units of each recurrent layer.
    dropout : float, default=0.0
        Share of the outputs of recurrent layers that are dropped in training.
    n_updates : int, default=None
        Minibatches to train on, rounded up to a multiple of 20. None: 300 to 1000, by
        how much data there is.
    batch_size : int, default=None
        Windows of a minibatch. None: 16 to 512, by how much data there is.
    learning_rate_init : float, default=0.005
        The highest learning rate of Adam, which rises and falls once over the training.
    alpha : float, default=0.0
        L2 penalty.
    max_grad_norm : float, default=1.0
        Largest norm of the gradient, None for any.
    past_columns, static_columns : array-like of labels, default=()
        Exogenous columns known only in the past, and those that are constant within a
        series, numbers or categories.
    id_col, time_col, target_col : label, default="unique_id", "ds", "y"
        The columns of a long frame.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights and the windows drawn.
    n_jobs : int, default=None
        Threads, by which the networks are shared out. They change no bit. None means 1,
        -1 all processors.

    Attributes
    ----------
    season_length_ : int
        The season in use, 1 for none.
    lags_ : int
        The steps of the past that the first network reads.
    network_weight_ : float
        The share of the networks in a forecast; the rest is theta's.
    linear_ : bool
        Whether networks correct a linear model.
    n_series_ : int
        Series in the fit.
    series_ids_ : Index
        What they are called; not after `fit_pieces`.
    freq_ : DateOffset or int
        How far steps are apart.
    loss_curves_ : list of list of float
        The mean loss of each of twenty parts of the training, of each network.

    See Also
    --------
    RNNRegressor : For sequences and targets of any kind.
    skrnn.model_selection.PanelTimeSeriesSplit : Splits of a panel by time.

    Notes
    -----
    A series is rid of a short season, where an autocorrelation test finds one, by
    classical indices, shrunk as in [3]_. A window is brought to level 0 by its last
    value, or where a long season stays in it by the mean of the last one, and to scale
    1 by the mean size of its changes. No forecast reads anything after its origin.

    References
    ----------
    .. [1] Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler, "Models for
       optimising the theta method and their relationship to state space models",
       International Journal of Forecasting 32 (2016).
    .. [2] Koenker and Bassett, "Regression quantiles", Econometrica 46 (1978).
    .. [3] Miller and Williams, "Shrinkage estimators of time series seasonal factors
       and their effect on forecasting accuracy", International Journal of Forecasting
       19 (2003).

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skrnn import RNNForecaster
    >>> months = pd.period_range("2015-01", periods=72, freq="M")
    >>> season = 10 * np.sin(np.arange(72) * np.pi / 6)
    >>> sales = pd.Series(100 + np.arange(72) + season, index=months, name="sales")
    >>> forecaster = RNNForecaster(horizon=3, n_updates=100, random_state=0)
    >>> forecaster.fit(sales).predict().round(-1)
    2021-01    170.0
    2021-02    180.0
    2021-03    180.0
    Freq: M, Name: sales, dtype: float64
    """

    _parameter_constraints = {
        "horizon": [Interval(Integral, 1, None, closed="left")],
        "lags": [None, Interval(Integral, 1, None, closed="left")],
        "season_length": [None, Interval(Integral, 1, None, closed="left")],
        "freq": "no_validation",
        "log": [StrOptions({"auto"}), "boolean"],
        "calendar": [StrOptions({"auto"}), "boolean"],
        "linear": [StrOptions({"auto"}), "boolean"],
        "theta": ["boolean"],
        "n_networks": [Interval(Integral, 1, None, closed="left")],
        "quantiles": [None, "array-like", Interval(Real, 0, 1, closed="neither")],
        "cell": [StrOptions(set(CELLS))],
        "hidden_layer_sizes": [
            Interval(Integral, 1, None, closed="left"),
            "array-like",
        ],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "n_updates": [None, Interval(Integral, 1, None, closed="left")],
        "batch_size": [None, Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "max_grad_norm": [None, Interval(Real, 0, None, closed="neither")],
        "past_columns": ["array-like"],
        "static_columns": ["array-like"],
        "id_col": "no_validation",
        "time_col": "no_validation",
        "target_col": "no_validation",
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
    }

    def __init__(
        self,
        horizon: int,
        lags: int | None = None,
        *,
        season_length: int | None = None,
        freq: Any = None,
        log: str | bool = "auto",
        calendar: str | bool = "auto",
        linear: str | bool = "auto",
        theta: bool = True,
        n_networks: int = 3,
        quantiles: Any = None,
        cell: str = "lstm",
        hidden_layer_sizes: Any = (64,),
        dropout: float = 0.0,
        n_updates: int | None = None,
        batch_size: int | None = None,
        learning_rate_init: float = 0.005,
        alpha: float = 0.0,
        max_grad_norm: float | None = 1.0,
        past_columns: Sequence[Hashable] = (),
        static_columns: Sequence[Hashable] = (),
        id_col: Hashable = "unique_id",
        time_col: Hashable = "ds",
        target_col: Hashable = "y",
        random_state: int | np.random.RandomState | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.horizon = horizon
        self.lags = lags
        self.season_length = season_length
        self.freq = freq
        self.log = log
        self.calendar = calendar
        self.linear = linear
        self.theta = theta
        self.n_networks = n_networks
        self.quantiles = quantiles
        self.cell = cell
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.n_updates = n_updates
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.alpha = alpha
        self.max_grad_norm = max_grad_norm
        self.past_columns = past_columns
        self.static_columns = static_columns
        self.id_col = id_col
        self.time_col = time_col
        self.target_col = target_col
        self.random_state = random_state
        self.n_jobs = n_jobs

    # --- fit ------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, *, static: Any = None) -> Self:
        """Fit to one or more series.

        Parameters
        ----------
        X : Series, DataFrame or array-like
            The series, or with y the exogenous columns, or their index alone.
        y : Series, DataFrame or array-like, default=None
            The series.
        static : DataFrame, default=None
            What does not change within a series, a row for each; the index has the ids.

        Returns
        -------
        self : RNNForecaster
            The fitted forecaster.

        Raises
        ------
        ValueError
            If times are not sorted, occur twice or are off the frequency, values are
            infinite, or a series has none; the message names the series and the time.

        Warns
        -----
        UserWarning
            If rows are missing between others: they become missing values.
        """
        panel, _, form = self._read(X, y, static)
        return self._fit_panel(panel, form, static)

    def _fit_panel(self, panel, form, static):
        """Fit to a panel; `static` is what was given apart."""
        seeds = self._seeds(check_random_state(self.random_state))
        learned = self._learn(panel, form, seeds)
        self.__dict__.update(learned, _panel=panel, _static=static)
        self._publish()
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_pieces(
        self, pieces: Any, *, static: Any = None, subsample: int = 1_000_000
    ) -> Self:
        """Fit to a panel larger than memory, which comes in pieces.

        A piece is what `fit` takes, a pair ``(X, y)`` where it takes both, and holds
        whole series. A sample of the series decides what hyperparameters leave open,
        and by how much forecasts may err. Then the pieces are read in turn, those of a
        sequence in random order; every series takes part in training as often as any
        other, until as much is learned as from a panel of the size of the sample. Never
        more is in memory than a piece and a few samples. If all series fit into the
        sample, the fitted model is that of `fit`.

        The history is not kept: pass it to `predict`, or to `update` first.

        Parameters
        ----------
        pieces : path, iterable or callable
            The path of a parquet file or of a folder of them, each a piece. Or pieces:
            a list or another iterable, or a callable that returns one. All are read
            more than once; those of an iterator are stored in a temporary folder for
            that. A piece may be the path of a parquet file, or a callable that returns
            the piece, too. Pieces without rows are passed over.
        static : DataFrame, default=None
            As in `fit`, for all series.
        subsample : int, default=1_000_000
            How many values the sample may hold.

        Returns
        -------
        self : RNNForecaster
            The fitted forecaster.

        Raises
        ------
        ValueError
            As `fit`, if a piece does not look like the first, or if a series goes on in
            the piece after it; the message names the piece.

        Warns
        -----
        UserWarning
            If rows are missing between others: they become missing values.

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> from skrnn import RNNForecaster
        >>> def region(name):
        ...     days = pd.date_range("2025-01-01", periods=60)
        ...     keys = [[f"{name} 1", f"{name} 2"], days]
        ...     keys = pd.MultiIndex.from_product(keys, names=["unique_id", "ds"])
        ...     return pd.Series(np.arange(120) % 7, keys, name="y").reset_index()
        >>> forecaster = RNNForecaster(7, n_updates=100, random_state=0)
        >>> forecaster = forecaster.fit_pieces(region(name) for name in ["N", "S"])
        >>> forecaster.predict(history=region("N")).shape
        (14, 3)
        """
        if not isinstance(subsample, Integral) or subsample < 1:
            raise ValueError(
                f"subsample must be a positive integer, got {subsample!r}."
            )
        self._levels()  # before much is read
        random_state = check_random_state(self.random_state)
        seeds = self._seeds(random_state)
        with readable_again(pieces) as pieces:
            options = self._reading_options()
            stream = PanelStream(pieces, random_state, static, **options)
            sample = stream.sample(subsample)
            parts = None
            if stream.n_series > len(sample):
                parts = stream.parts(subsample)
            learned = self._learn(sample, stream.form, seeds, parts)
        self.__dict__.update(learned, _panel=None, _static=static)
        self._publish()
        self.n_series_ = stream.n_series
        return self

    def _seeds(self, random_state):
        return random_state.randint(np.iinfo(np.int32).max, size=self.n_networks)

    def _learn(self, panel, form, seeds, parts=None):
        """Fit to a panel, or decide by it and train on the parts of a larger one.

        Returns the attributes, to be set all at once: a Ctrl-C leaves the old model.
        """
        clock, levels = form.clock, self._levels()
        n_threads = effective_n_jobs(self.n_jobs)
        plan = self._plan(panel, clock)
        cycles = self._calendar_parts(panel, clock, plan)
        full = with_calendar(panel, clock, cycles)
        model = new_model(plan, self._settings(plan, levels), self.log, full)
        model, calibration = calibrate(
            model,
            full,
            int(seeds[0]),
            n_threads,
            linear=self.linear,
            theta=self.theta,
        )
        if parts is None:
            pieces = repeat(training_windows(model, full))
        else:
            pieces = (
                training_windows(model, with_calendar(part, clock, cycles))
                for part in parts
            )
        return {
            "_model": train(model, pieces, seeds.tolist(), n_threads),
            "_calibration": calibration,
            "_parts": cycles,
            "_form": form,
        }

    def _read(self, X, y, static):
        return read_panel(X, y, static=static, **self._reading_options())

    def _reading_options(self):
        names = "id_col time_col target_col past_columns static_columns freq"
        return {name: getattr(self, name) for name in names.split()}

    def _plan(self, panel, clock):
        """Decide by the data what the hyperparameters leave open."""
        seasons = (self.season_length,)
        if self.season_length is None:
            seasons = None if clock.kind == "integers" else season_lengths(clock.freq)
        return make_plan(
            panel,
            seasons,
            self.horizon,
            self.lags,
            self.n_updates,
            self.batch_size,
            sure=self.season_length is not None,
        )

    def _settings(self, plan, levels):
        return Settings(
            self.cell,
            check_sizes("hidden_layer_sizes", self.hidden_layer_sizes),
            float(self.dropout),
            plan.n_updates,
            plan.batch_size,
            float(self.learning_rate_init),
            float(self.alpha),
            self.max_grad_norm,
            levels,
        )

    def _levels(self):
        """Return the quantile levels of the networks, the median among them."""
        if self.quantiles is None:
            return (0.5,)
        levels = checked_levels(self.quantiles, 1)
        if levels is None:
            raise ValueError(
                f"quantiles must be levels between 0 and 1, got {self.quantiles!r}."
            )
        return tuple(sorted({*levels.tolist(), 0.5}))

    def _calendar_parts(self, panel, clock, plan):
        """Return which parts of a time the networks know, None for all."""
        if self.calendar == "auto":
            usual = float(np.median(panel.lengths))
            return useful_parts(clock, plan.shape.n_lags, usual)
        return None if self.calendar else ()

    def _with_calendar(self, panel, clock):
        """Return a panel with the calendar among the columns that are known ahead."""
        return with_calendar(panel, clock, self._parts)

    def update(self, X: Any, y: Any = None, *, static: Any = None) -> Self:
        """Take in later rows, and new series, without training.

        Parameters
        ----------
        X : Series, DataFrame or array-like
            Rows after those of fit, in the form of fit.
        y : Series, DataFrame or array-like, default=None
            As in fit.
        static : DataFrame, default=None
            As in fit, for new series.

        Returns
        -------
        self : RNNForecaster

        Raises
        ------
        ValueError
            If a row is not later than what is known of its series.
        """
        check_is_fitted(self)
        self._panel, self._static, _ = self._extended(X, y, static)
        self._publish()
        return self

    def _extended(self, X, y, static):
        """Return the history with further rows, `static`, and the numbers of series."""
        form, panel = self._form, self._panel
        first = 0 if panel is None else panel.ends[0]
        static = self._all_static(static)
        new, clock, _ = read_panel(
            X, y, static=static, like=form, first=first, missing_ok=panel is not None
        )
        panel = new if panel is None else panel.extended(new, clock)
        if (panel.lengths == 0).any():
            empty = label(panel.ids, int(panel.lengths.argmin()))
            raise ValueError(f"All values of series {empty} are missing. Leave it out.")
        return panel, static, panel.ids.get_indexer(new.ids)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None, *, static: Any = None) -> Self:
        """Take in later rows or new series, and train on these series a little.

        About a tenth of the training of fit, 20 minibatches at least, at a fifth of its
        rate. The first call is fit.

        Parameters
        ----------
        X : Series, DataFrame or array-like
            Rows after those known, in the form of fit.
        y : Series, DataFrame or array-like, default=None
            As in fit.
        static : DataFrame, default=None
            As in fit, for new series.

        Returns
        -------
        self : RNNForecaster
        """
        if not hasattr(self, "_model"):
            return self.fit(X, y, static=static)
        panel, static, numbers = self._extended(X, y, static)
        model, settings = self._model, self._model.settings
        shorter = replace(
            settings,
            n_updates=max(int(SHARE_OF_UPDATES * settings.n_updates), 1),
            learning_rate_init=SHARE_OF_RATE * settings.learning_rate_init,
        )
        full = self._with_calendar(panel.take(numbers), self._form.clock)
        seeds = check_random_state(self.random_state).randint(
            np.iinfo(np.int32).max, size=len(model.networks)
        )
        trained = train(
            replace(model, settings=shorter),
            repeat(training_windows(model, full)),
            (seeds + len(panel.values)).tolist(),  # other windows in each call
            effective_n_jobs(self.n_jobs),
        )
        trained = replace(trained, settings=settings)
        self.__dict__.update(_model=trained, _panel=panel, _static=static)
        self._publish()
        return self

    def _publish(self):
        model = self._model
        self.season_length_ = model.plan.season_length
        self.lags_ = model.plan.shape.n_lags
        self.network_weight_ = model.network_weight
        self.linear_ = model.settings.linear
        self.loss_curves_ = [network.loss_curve for network in model.networks]
        self.freq_ = self._form.clock.freq
        if hasattr(self, "series_ids_"):
            del self.series_ids_
        if self._panel is not None:
            self.n_series_ = len(self._panel)
            self.series_ids_ = self._panel.ids

    def without_history(self) -> Self:
        """Return the forecaster without the series of fit, which predicts others.

        It is small, whatever it was fitted to: for other processes, or a file. Its
        `predict` needs a `history`, or `update` with one first. The rows of `static`
        stay, for the series of that history.

        Returns
        -------
        forecaster : RNNForecaster
            A copy, which shares the model.
        """
        check_is_fitted(self)
        light = copy(self)
        light._panel = None
        if hasattr(light, "series_ids_"):
            del light.series_ids_
        return light

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_model")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        tags.target_tags.required = False
        return tags


def with_calendar(panel, clock, parts):
    """Return a panel with parts of its times among the columns known ahead."""
    columns = calendar_columns(panel.positions, clock, parts)
    return replace(panel, known=np.column_stack([panel.known, columns]))
