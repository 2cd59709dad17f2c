"""Scores of targets at each step, of forecasts, and of transcripts.

For sequences with a target, or a label, at each step: any metric of scikit-learn. For
forecasts of one series or many: those of the M competitions and their like. For texts:
the rates of wrong characters and words, and BLEU and chrF of translations.
"""

from skrnn.metrics.forecasts import (
    interval_coverage,
    mean_absolute_scaled_error,
    mean_quantile_loss,
    root_mean_squared_scaled_error,
    symmetric_mean_absolute_percentage_error,
)
from skrnn.metrics.steps import (
    flatten_steps,
    make_step_scorer,
    sequence_accuracy_score,
)
from skrnn.metrics.transcripts import character_error_rate, word_error_rate
from skrnn.metrics.translations import bleu, chrf

__all__ = [
    "bleu",
    "character_error_rate",
    "chrf",
    "flatten_steps",
    "interval_coverage",
    "make_step_scorer",
    "mean_absolute_scaled_error",
    "mean_quantile_loss",
    "root_mean_squared_scaled_error",
    "sequence_accuracy_score",
    "symmetric_mean_absolute_percentage_error",
    "word_error_rate",
]
