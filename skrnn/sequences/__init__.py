"""What a user may pass as X, brought into one form.

Everything below the estimators sees a data set through a few names:
``len(data)``, ``data.lengths``, ``data.n_channels``, ``data.dtype``,
``data.take(rows)`` and ``data.blocks()``. Two classes have them:
`PaddedData`, a view of an array, and `Sequences`, samples laid end to end.
`check_sequences` decides which one a user's X becomes.
"""

from skrnn.sequences.check import check_sequences, check_target_index
from skrnn.sequences.forms import PaddedData, Sequences

__all__ = ["PaddedData", "Sequences", "check_sequences", "check_target_index"]
