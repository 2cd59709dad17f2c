"""Forecasts of series and panels of series.

From the top to the bottom: `reading` knows the forms of data that a user may pass, and
gives the answers in the same form; `tables` brings each form into rows; `columns` makes
numbers of what the columns hold. Below it there are arrays: a `panel` of series on a
`clock`, whose step is a `frequency`, and the features of a `calendar`. Beside them,
`lags` makes sequences of the lag columns of other libraries.
"""

from skrnn.forecasting.display import ForecastDisplay
from skrnn.forecasting.forecaster import RNNForecaster
from skrnn.forecasting.lags import LagsToSequences

__all__ = ["ForecastDisplay", "LagsToSequences", "RNNForecaster"]
