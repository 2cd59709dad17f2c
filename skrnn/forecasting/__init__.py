"""Forecasts of series and panels of series.

From the top to the bottom: `forecaster` is the estimator, and `display` draws what it
forecasts. `backtest` forecasts the past, `predicting` the future; `streaming` reads
panels larger than memory. `calibration` tries a `model` on the past, which decides what
is left open and tells the errors. The model is `networks`, perhaps on a `linear` model,
with `losses` of their own, and `theta` beside them; the `plan` says how long the
`windows` are that they read, of series after their `preparation`.

`reading` knows the forms of data that a user may pass; `future` reads the rows to
forecast, `static` the columns of series; `answers` has the form of the data; `tables`
brings each form into rows, `columns` makes numbers of what these hold, `placing` and
`keys` find series and steps. Below there are arrays: a `panel` of series on a `clock`,
whose step is a `frequency`, the features of a `calendar`, and `seasonality`. Beside
them, `lags` makes sequences of the lag columns of other libraries.
"""

from skrnn.forecasting.display import ForecastDisplay
from skrnn.forecasting.forecaster import RNNForecaster
from skrnn.forecasting.lags import LagsToSequences

__all__ = ["ForecastDisplay", "LagsToSequences", "RNNForecaster"]
