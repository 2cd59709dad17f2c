"""Scores of targets at each step, and of forecasts.

For sequences with a target, or a label, at each step: any metric of scikit-learn. For
forecasts of one series or many: those of the M competitions and their like.
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

__all__ = [
    "flatten_steps",
    "interval_coverage",
    "make_step_scorer",
    "mean_absolute_scaled_error",
    "mean_quantile_loss",
    "root_mean_squared_scaled_error",
    "sequence_accuracy_score",
    "symmetric_mean_absolute_percentage_error",
]
