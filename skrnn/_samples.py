"""Samples with their targets and weights, and what of them is held out."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import _check_sample_weight

from skrnn.sequences import PaddedData, Sequences


@dataclass(frozen=True)
class Validation:
    """A validation set as the user passes it, or none."""

    X: Any = None
    y: Any = None
    sample_weight: Any = None

    def __post_init__(self):
        if (self.X is None) != (self.y is None):
            raise ValueError("X_val and y_val must be passed together.")
        if self.X is None and self.sample_weight is not None:
            raise ValueError("sample_weight_val needs X_val and y_val.")


def check_weights(sample_weight, n_samples):
    """Return the weights as float64, of which one at least is positive."""
    weights = _check_sample_weight(
        sample_weight, np.empty((n_samples, 1)), ensure_non_negative=True
    )
    if not (weights > 0).any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number: all "
            "sample_weight are zero."
        )
    return weights


class Samples(NamedTuple):
    """A data set with its encoded targets and weights, and the rows to use of it."""

    data: PaddedData | Sequences
    targets: np.ndarray
    weights: np.ndarray
    rows: np.ndarray

    def split(self, fraction, shuffle, strata, random_state):
        """Return the samples without a fraction of their rows, and these.

        ``strata(targets, n_held_out)`` gives the groups whose shares are kept, or
        None. Without `shuffle` the last rows are held out: what comes after the
        training part is the fairer test.
        """
        rows = self.rows
        n_held_out = max(1, round(fraction * len(rows)))
        if n_held_out >= len(rows):
            raise ValueError(
                f"validation_fraction={fraction} leaves no sample of {len(rows)} to "
                "train on."
            )
        if shuffle:
            train, held_out = train_test_split(
                rows,
                test_size=n_held_out,
                random_state=random_state,
                stratify=strata(self.targets[rows], n_held_out),
            )
        else:
            train, held_out = rows[:-n_held_out], rows[-n_held_out:]
        return self._replace(rows=train), self._replace(rows=held_out)

    def used_data(self):
        """Return the used rows as a data set of their own; nothing is copied."""
        return _Rows(self.data, self.rows)


class _Rows:
    """Some rows of a data set, in the form that the rest of the package reads."""

    def __init__(self, data, rows):
        self._data = data
        self._rows = rows
        self.lengths = data.lengths[rows]
        self.n_channels = data.n_channels
        self.dtype = data.dtype

    def __len__(self):
        return len(self._rows)

    def take(self, rows):
        return self._data.take(self._rows[rows])
