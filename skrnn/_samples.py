"""Samples with their targets and weights, and what of them is held out."""

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_sample_weight

from skrnn.sequences import (
    Rows,
    Sequences,
    check_target_index,
    of_steps,
    read_steps,
)
from skrnn.sequences.frames import is_pandas


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


@contextmanager
def errors_about(what):
    """Let errors of values say what they are about, such as the validation set."""
    try:
        yield
    except (TypeError, ValueError) as error:
        # not type(error): a UnicodeDecodeError, say, wants other arguments
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"In {what}: {error}") from error


def check_weights(sample_weight, n_samples):
    """Return the weights as float64, of which one at least is positive."""
    weights = _check_sample_weight(
        sample_weight,
        np.empty((n_samples, 0)),
        dtype=np.float64,
        ensure_non_negative=True,
    )
    if not (weights > 0).any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number: all "
            "sample_weight are zero."
        )
    return weights


def check_step_weights(sample_weight, data, present=None):
    """Return weights of samples, and factors for their steps as a data set, or None.

    Parameters
    ----------
    sample_weight : object
        What the user passed.
    data : PaddedData or Sequences
    present : PaddedData, Sequences or SkipMissing, default=None
        The same without the steps that are skipped. Where there are targets for each \
        step: there may be a weight for each too, in any of the forms of these targets.
    """
    if sample_weight is None:
        return None, None
    if present is None or has_one_each(sample_weight):
        check_target_index(data, sample_weight, "sample_weight")
        return check_weights(sample_weight, len(data)), None
    values = read_steps(sample_weight, data, present, "sample_weight")
    factors = check_weights(values, len(values))[:, np.newaxis]
    return None, of_steps(factors, present.lengths)


def has_one_each(sample_weight):
    """Whether there is a weight for each sample, not for each of its steps."""
    if isinstance(sample_weight, Sequences):
        return False
    if is_pandas(sample_weight, "Series", "DataFrame"):
        if sample_weight.index.nlevels > 1:
            return False
    if np.isscalar(sample_weight):  # the same for all, as in scikit-learn
        return True
    if hasattr(sample_weight, "ndim") and sample_weight.ndim != 1:
        return False
    return all(np.ndim(weight) == 0 for weight in sample_weight)


def class_weights(class_weight, classes, targets, sample_weight):
    """Return each sample's class weight.

    scikit-learn's ``compute_sample_weight`` counts samples where this adds up their
    weights, and knows of no class that the samples lack.

    Parameters
    ----------
    class_weight : dict or "balanced"
        By class, 1 for those it leaves out; or inverse to the classes' weights.
    classes : ndarray of shape (n_classes,)
    targets : ndarray of shape (n_samples,)
        Numbers of the classes.
    sample_weight : ndarray of shape (n_samples,)
    """
    numbers = targets.astype(np.intp)
    if isinstance(class_weight, str):
        # exact sums, which no order of the samples changes
        total = np.array(
            [math.fsum(sample_weight[numbers == c]) for c in range(len(classes))]
        )
        n_present = np.count_nonzero(total)
        share = n_present * total / total.sum()
        return (1.0 / np.where(share > 0, share, 1.0))[numbers]
    if not isinstance(class_weight, dict):
        raise ValueError(f"class_weight must be a dict here, got {class_weight!r}.")
    unknown = set(class_weight) - set(classes.tolist())
    if unknown:
        raise ValueError(
            f"class_weight has classes {sorted(unknown, key=str)} that are not among "
            f"{classes.tolist()}."
        )
    by_class = np.array([class_weight.get(c, 1.0) for c in classes.tolist()])
    if by_class.dtype.kind not in "iuf" or not (by_class >= 0).all():
        raise ValueError(
            f"class_weight must hold numbers that are not negative, got {class_weight}."
        )
    return by_class[numbers]


class Samples(NamedTuple):
    """A data set with its encoded targets and weights, and the rows to use of it.

    `data` has the steps that the network sees. Targets are a data set too: a single
    step for each sample, all of its steps, or a sequence with a length of its own.
    `weights` and `score_weights` have a number for each sample; `factors`, where there
    are any, are a data set with one for each step, that the sample's weight multiplies.
    `weights` and `factors` include those of the classes, the others do not. If
    `together`, the targets of a sample have one weight, whatever their number.
    """

    data: Any
    targets: Any
    weights: np.ndarray
    score_weights: np.ndarray
    rows: np.ndarray
    factors: Any = None
    score_factors: Any = None
    together: bool = False

    def split(self, fraction, shuffle, strata, random_state):
        """Return the samples without a fraction of their rows, and these.

        ``strata(targets, n_held_out)`` gives the groups whose shares are kept, or
        None. Without `shuffle` the last rows are held out: what comes after the
        training part is the fairer test.
        """
        rows = self.rows
        n_held_out = max(2, round(fraction * len(rows)))  # R² is not defined for one
        if n_held_out >= len(rows):
            raise ValueError(
                f"early_stopping with validation_fraction={fraction} leaves no sample "
                f"to train on: it holds out {n_held_out} of n_samples={len(rows)} that "
                "differ."
            )
        if shuffle:
            # imported here: a tenth of a second that few need
            from sklearn.model_selection import train_test_split

            train, held_out = train_test_split(
                rows,
                test_size=n_held_out,
                random_state=random_state,
                stratify=strata(self.targets.take(rows), n_held_out),
            )
        else:
            train, held_out = rows[:-n_held_out], rows[-n_held_out:]
        return self._replace(rows=train), self._replace(rows=held_out)

    def without_weightless(self):
        """Return the samples without the rows of which nothing has a weight."""
        sums = self.weights_of_targets().sums()
        return self._replace(rows=self.rows[sums[self.rows] > 0])

    def weights_of_targets(self):
        """Return the weights as a data set, as long as the targets."""
        return StepWeights(
            self.weights, self.factors, self.targets.lengths, self.together
        )

    def used_weights(self):
        """Return the weight of each used row."""
        if self.weights.strides == (0,):  # all are the same number in memory
            return self.weights[: len(self.rows)]
        return self.weights[self.rows]

    def used_targets(self):
        """Return the targets of the used rows, and the weight of each of them."""
        weights = self.weights_of_targets().take(self.rows)[:, 0]
        return self.targets.take(self.rows), weights

    def used_score_weights(self):
        """Return the weight of each target of the used rows in a score.

        Of targets that count together there is one for each sample.
        """
        if self.together:
            return self.score_weights[self.rows]
        lengths = self.targets.lengths
        weights = StepWeights(self.score_weights, self.score_factors, lengths)
        return weights.take(self.rows)[:, 0]

    def used_data(self):
        """Return the used rows as a data set of their own; nothing is copied."""
        return Rows(self.data, self.rows)


def held_out_rows(n, fraction, random_state):
    """Draw which of n samples are held out; return the others, and these, in order.

    Raises `ValueError` if no other is left.
    """
    n_held_out = max(1, round(fraction * n))
    if n_held_out >= n:
        raise ValueError(
            f"early_stopping with validation_fraction={fraction} leaves no sample to "
            f"train on: it holds out {n_held_out} of n_samples={n}."
        )
    order = random_state.permutation(n)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def rows_of(part, rows):
    """Return some rows of what a user passed: X, y or the weights of steps.

    What has a row for each step, a frame with an (instance, time) index, becomes a list
    with one frame for each sample.
    """
    if is_pandas(part, "Series", "DataFrame") and part.index.nlevels == 2:
        groups = [group for _, group in part.groupby(level=0, sort=False)]
        return [groups[row] for row in rows]
    return _safe_indexing(part, rows)


class StepWeights:
    """The weights of targets as a data set of one channel.

    Parameters
    ----------
    of_samples : ndarray of shape (n_samples,)
    factors : Sequences or None
        What multiplies them, for each target.
    lengths : ndarray of shape (n_samples,)
        How many targets each sample has.
    together : bool, default=False
        Whether these count once. The sample's weight is then that of each of them.
    """

    def __init__(self, of_samples, factors, lengths, together=False):
        self._of_samples = of_samples
        self._factors = factors
        self.lengths = lengths
        self._together = together

    def take(self, rows):
        """Return the weights of some samples, (n_targets, 1)."""
        weights = np.repeat(self._of_samples[rows], self.lengths[rows])[:, np.newaxis]
        return weights if self._factors is None else weights * self._factors.take(rows)

    def sums(self):
        """Return the sum for each sample."""
        if self._factors is None:
            if self._together or (self.lengths == 1).all():
                return self._of_samples
            return self._of_samples * self.lengths
        ends = np.cumsum(self._factors.lengths)
        starts = ends - self._factors.lengths
        factors = self._factors.take(slice(None))[:, 0]
        return self._of_samples * np.add.reduceat(factors, starts)
