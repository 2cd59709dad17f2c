"""Recurrent networks (RNN, LSTM, GRU) as scikit-learn estimators.

`RNNRegressor` and `RNNClassifier` learn from sequences of any length; `Sequences`
holds such sequences, and `SequenceScaler` standardizes them.
"""

from skrnn._version import __version__
from skrnn.classifier import RNNClassifier
from skrnn.regressor import RNNRegressor
from skrnn.scaling import SequenceScaler
from skrnn.sequences import Sequences

__all__ = [
    "RNNClassifier",
    "RNNRegressor",
    "SequenceScaler",
    "Sequences",
    "__version__",
]
