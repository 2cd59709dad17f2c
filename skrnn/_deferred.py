"""What the estimators use of the compiled modules, imported when first used.

numba takes a quarter of a second to import, and whoever only makes, clones or prints
an estimator does not need it. Each name here stands for the real one, whose module is
imported by the first call or the first look at an attribute.
"""

from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING


class _Deferred:
    """Stands for a module, or for what has a name there."""

    def __init__(self, module, name=None):
        self._module = module
        self._name = name

    @cached_property
    def _real(self):
        module = import_module(self._module)
        return module if self._name is None else getattr(module, self._name)

    def __getattr__(self, attribute):
        return getattr(self._real, attribute)

    def __call__(self, *args, **kwargs):
        return self._real(*args, **kwargs)


if TYPE_CHECKING:
    from skrnn import (
        beams,
        ctc,
        decoding,
        epochs,
        generation,
        losses,
        softmax,
        stateful,
        training,
    )
    from skrnn.canonical import canonical_rows
    from skrnn.network import network_of
    from skrnn.optimizers import Optimizer
    from skrnn.pieces import raw_by_pieces
    from skrnn.prediction import predict_raw
    from skrnn.scheduled import ScheduledTrainer
    from skrnn.streaming import Stream, keep_stream, take_stream
    from skrnn.truncated import TruncatedTrainer
else:
    beams = _Deferred("skrnn.beams")
    ctc = _Deferred("skrnn.ctc")
    decoding = _Deferred("skrnn.decoding")
    epochs = _Deferred("skrnn.epochs")
    generation = _Deferred("skrnn.generation")
    losses = _Deferred("skrnn.losses")
    training = _Deferred("skrnn.training")
    softmax = _Deferred("skrnn.softmax")
    stateful = _Deferred("skrnn.stateful")
    canonical_rows = _Deferred("skrnn.canonical", "canonical_rows")
    network_of = _Deferred("skrnn.network", "network_of")
    Optimizer = _Deferred("skrnn.optimizers", "Optimizer")
    raw_by_pieces = _Deferred("skrnn.pieces", "raw_by_pieces")
    predict_raw = _Deferred("skrnn.prediction", "predict_raw")
    ScheduledTrainer = _Deferred("skrnn.scheduled", "ScheduledTrainer")
    keep_stream = _Deferred("skrnn.streaming", "keep_stream")
    Stream = _Deferred("skrnn.streaming", "Stream")
    take_stream = _Deferred("skrnn.streaming", "take_stream")
    TruncatedTrainer = _Deferred("skrnn.truncated", "TruncatedTrainer")
