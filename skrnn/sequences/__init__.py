"""What a user may pass as X, brought into one form.

Everything below the estimators sees a data set through a few names:
``len(data)``, ``data.lengths``, ``data.n_channels``, ``data.dtype``, ``data.index``,
``data.take(rows)`` and ``data.blocks()``. Two classes hold data: `PaddedData`, a view
of an array, and `Sequences`, samples laid end to end. `check_sequences` decides which
one a user's X becomes. The data sets of `skrnn.sequences.derived` are computed from
others.
"""

from skrnn.sequences.check import check_sequences, check_target_index
from skrnn.sequences.derived import (
    Beside,
    Differences,
    Filled,
    Frames,
    Indicator,
    Rows,
    SkipMissing,
    SkipPadding,
    backward_to,
)
from skrnn.sequences.forms import PaddedData, Sequences
from skrnn.sequences.steps import like_steps, of_steps, read_steps, spread_steps

__all__ = [
    "Beside",
    "Differences",
    "Filled",
    "Frames",
    "Indicator",
    "PaddedData",
    "Rows",
    "Sequences",
    "SkipMissing",
    "SkipPadding",
    "backward_to",
    "check_sequences",
    "check_target_index",
    "like_steps",
    "of_steps",
    "read_steps",
    "spread_steps",
]
