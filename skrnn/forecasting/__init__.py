"""Forecasting: what stands between series and the networks."""

from skrnn.forecasting.lags import LagsToSequences

__all__ = ["LagsToSequences"]
