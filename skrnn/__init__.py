"""Recurrent networks (RNN, LSTM, GRU) as scikit-learn estimators.

`RNNRegressor` and `RNNClassifier` learn from sequences of any length; `Sequences`
holds such sequences, `SequenceScaler` standardizes them, `SequenceTokenizer` makes them
of texts, and `RNNTransformer` makes features of them for any other estimator.
`RNNForecaster` forecasts series. `RNNLanguageModel` learns what texts are like and
writes more, `RNNSeq2Seq` translates, and `RNNTranscriber` writes texts of sequences
such as speech.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from skrnn._version import __version__

if TYPE_CHECKING:
    from skrnn.classifier import RNNClassifier
    from skrnn.forecasting import RNNForecaster
    from skrnn.language_model import RNNLanguageModel
    from skrnn.regressor import RNNRegressor
    from skrnn.scaling import SequenceScaler
    from skrnn.seq2seq import RNNSeq2Seq
    from skrnn.sequences import Sequences
    from skrnn.text import SequenceTokenizer
    from skrnn.transcriber import RNNTranscriber
    from skrnn.transformer import RNNTransformer

__all__ = [
    "RNNClassifier",
    "RNNForecaster",
    "RNNLanguageModel",
    "RNNRegressor",
    "RNNSeq2Seq",
    "RNNTranscriber",
    "RNNTransformer",
    "SequenceScaler",
    "SequenceTokenizer",
    "Sequences",
    "__version__",
]

# Imported when first asked for: `python -m skrnn` and `skrnn.sequences` need few.
_HOMES = {
    "RNNClassifier": "skrnn.classifier",
    "RNNForecaster": "skrnn.forecasting",
    "RNNLanguageModel": "skrnn.language_model",
    "RNNRegressor": "skrnn.regressor",
    "RNNSeq2Seq": "skrnn.seq2seq",
    "RNNTranscriber": "skrnn.transcriber",
    "RNNTransformer": "skrnn.transformer",
    "SequenceScaler": "skrnn.scaling",
    "SequenceTokenizer": "skrnn.text",
    "Sequences": "skrnn.sequences",
}


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # found there from now on
    return value


def __dir__():
    return sorted({*globals(), *__all__})
