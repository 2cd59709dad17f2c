"""Recurrent networks (RNN, LSTM, GRU) as scikit-learn estimators.

`RNNRegressor` and `RNNClassifier` learn from sequences of any length; `Sequences`
holds such sequences, and `SequenceScaler` standardizes them.
"""

from skrnn.classifier import RNNClassifier
from skrnn.regressor import RNNRegressor
from skrnn.scaling import SequenceScaler
from skrnn.sequences import Sequences

__version__ = "0.1.0"
__all__ = ["RNNClassifier", "RNNRegressor", "SequenceScaler", "Sequences"]
