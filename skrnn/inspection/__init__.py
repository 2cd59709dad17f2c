"""Looking into fitted networks: what predictions hang on, and whether gradients vanish.

The functions take a fitted `RNNRegressor` or `RNNClassifier`; the displays draw what
they return, with Matplotlib. `AlignmentDisplay` is for an `RNNSeq2Seq`.
"""

from skrnn.inspection.alignment import AlignmentDisplay
from skrnn.inspection.attribution import (
    input_gradient,
    integrated_gradients,
    occlusion,
)
from skrnn.inspection.displays import (
    AttentionDisplay,
    AttributionDisplay,
    GradientNormDisplay,
    LossCurveDisplay,
)
from skrnn.inspection.states import attention_weights, gradient_norms

__all__ = [
    "AlignmentDisplay",
    "AttentionDisplay",
    "AttributionDisplay",
    "GradientNormDisplay",
    "LossCurveDisplay",
    "attention_weights",
    "gradient_norms",
    "input_gradient",
    "integrated_gradients",
    "occlusion",
]
