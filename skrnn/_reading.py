"""From what a user passes to checked samples: data sets of inputs and targets."""

import numpy as np

from skrnn._deferred import canonical_rows
from skrnn._inputs import InputForm, check_tokens
from skrnn._samples import Samples, check_step_weights, errors_about
from skrnn.sequences import (
    Beside,
    PaddedData,
    check_sequences,
    check_target_index,
    of_steps,
    read_steps,
)
from skrnn.sequences.frames import is_pandas
from skrnn.sequences.numeric import refuse_masked


def refuse_steps(y):
    """Raise if y has something for each step, where there is one target a sample."""
    is_frame = is_pandas(y, "Series", "DataFrame") and y.index.nlevels == 2
    if isinstance(y, np.ndarray) and y.dtype == object and y.ndim == 1:
        y = y.tolist()
    is_ragged = isinstance(y, list) and len({np.size(item) for item in y}) > 1
    if is_frame or is_ragged:
        raise ValueError(
            "y must have one target for each sequence. For one at each step set "
            "return_sequences=True."
        )


def in_rows(targets, is_used):
    """Return targets as an array that differs where they do, a row for each sample.

    What is not used has zeros, and no influence on the others.

    Parameters
    ----------
    targets : PaddedData or Sequences
    is_used : ndarray of bool of shape (n_samples,)
    """
    lengths = targets.lengths
    if (lengths == 1).all():
        return targets.take(slice(None))
    used, n_channels = np.flatnonzero(is_used), targets.n_channels
    sizes = lengths[used] * n_channels
    rows = np.zeros((len(lengths), 1 + sizes.max(initial=0)))
    rows[used, 0] = sizes  # which tells the zeros after the end from targets
    filled = rows[used, 1:]
    filled[np.arange(filled.shape[1]) < sizes[:, np.newaxis]] = targets.take(
        used
    ).ravel()
    rows[used, 1:] = filled
    return rows


class ReadingMixin:
    """Checks X, y and weights by the hyperparameters of the estimator it is mixed into.

    That has `_encode`, `_weighs_classes` and `_class_weights`, see `BaseRNN`.
    """

    _targets_count_together = False

    def _checked_data(self, X, *, reset):
        """Return X as a data set."""
        # a fitted model goes by what it was fitted with, whatever was set since
        missing = self.missing if reset else self._inputs.missing
        return check_sequences(
            self,
            X,
            reset=reset,
            n_channels=self.n_channels,
            allow_nan=missing != "error",
        )

    def _read(self, X, y, sample_weight, *, new_inputs, new_targets):
        """Check the training data; learn the form of X, and that of y, if new."""
        data = self._checked_data(X, reset=new_inputs)
        if new_targets:
            self._inputs = InputForm.of(self, data)
        elif not InputForm.of(self, data, self._inputs).is_like(self._inputs):
            raise ValueError(
                "The network that was fitted before reads X in another way: missing, "
                "differences, steps_per_frame, return_sequences, the tokens or the "
                "channels were others. Call fit, with warm_start=False, to begin again."
            )
        return self._with_targets(data, y, sample_weight, reset=new_targets)

    def _with_targets(self, data, y, sample_weight, *, reset):
        """Return `Samples` of a data set."""
        present = self._present(data)
        targets = self._checked_targets(data, present, y, reset)
        weighted = present if self._inputs.per_step else None
        sample_weight, factors = check_step_weights(sample_weight, data, weighted)
        rows, weights = self._training_rows(present, targets, sample_weight, factors)
        samples = Samples(
            present,
            targets,
            weights,
            weights,
            rows,
            factors,
            factors,
            self._targets_count_together,
        )
        return self._weighted_by_class(samples)

    def _present(self, data):
        """Return the data set without the steps that are skipped, its tokens checked.

        This reads all of it.
        """
        present = self._inputs.present(data)
        if self._inputs.n_tokens:
            check_tokens(present, self._inputs.n_tokens, self.unknown_tokens)
        return present

    def _weighted_by_class(self, samples):
        """Return the samples with the weights of their classes."""
        if not self._weighs_classes:
            return samples.without_weightless()
        targets, weights = samples.targets, samples.weights
        everything = slice(None)
        of_classes = self._class_weights(
            targets.take(everything),
            samples.weights_of_targets().take(everything)[:, 0],
        )
        if self._inputs.per_step:
            factors = of_classes[:, np.newaxis]
            if samples.factors is not None:
                factors = factors * samples.factors.take(everything)
            samples = samples._replace(factors=of_steps(factors, targets.lengths))
        else:
            samples = samples._replace(weights=weights * of_classes)
        samples = samples.without_weightless()
        if not len(samples.rows):
            raise ValueError("class_weight leaves no sample with a positive weight.")
        return samples

    def _training_rows(self, present, targets, sample_weight, factors):
        """Return the rows to train on, in order, and a weight for each sample."""
        n_samples = len(present)
        if sample_weight is None:
            sample_weight = np.broadcast_to(1.0, (n_samples,))  # one number in memory
        if not self.shuffle:  # the order is the user's
            return np.nonzero(sample_weight > 0)[0], sample_weight
        content, encoded = present, np.zeros((n_samples, 1))
        if self._inputs.per_step:
            content = Beside(content, targets)
            if factors is not None:
                content = Beside(content, factors)
        else:
            encoded = in_rows(targets, sample_weight > 0)
        rows, merged = canonical_rows(content, encoded, sample_weight)
        if len(rows) == n_samples:  # none is merged
            return rows, sample_weight
        weights = np.zeros(n_samples)
        weights[rows] = merged
        return rows, weights

    def _read_validation(self, validation):
        """Check a validation set of the user's own."""
        with errors_about("the validation set"):
            data = self._checked_data(validation.X, reset=False)
            samples = self._with_targets(
                data, validation.y, validation.sample_weight, reset=False
            )
        weights = np.ones(len(data))
        if validation.sample_weight is not None:
            weights = samples.score_weights
        return samples._replace(score_weights=weights, rows=np.arange(len(data)))

    def _checked_targets(self, data, present, y, reset):
        """Return the encoded targets as a data set.

        Those of steps, without the steps that the network does not see.
        """
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but "
                "the target y is None."
            )
        refuse_masked(y, "y")
        if self._inputs.per_step:
            targets = self._encode(read_steps(y, data, present), reset)
            return of_steps(targets, present.lengths)
        check_target_index(data, y)
        targets = self._targets_of_samples(y, reset)
        if len(targets) != len(data):
            raise ValueError(
                "Found input variables with inconsistent numbers of samples: "
                f"X has {len(data)}, y has {len(targets)}."
            )
        return targets

    def _targets_of_samples(self, y, reset):
        """Return the encoded targets as a data set, where not each step has one."""
        refuse_steps(y)
        return PaddedData(self._encode(y, reset)[:, np.newaxis])

    def _truth(self, data, present, y, sample_weight):
        """Return what raw predictions are compared with, and its weights or None.

        With `return_sequences` that of all steps but those that are skipped.
        """
        if not self._inputs.per_step:
            check_target_index(data, y)
            check_target_index(data, sample_weight, "sample_weight")
            return y, sample_weight
        truth = read_steps(y, data, present)
        of_samples, factors = check_step_weights(sample_weight, data, present)
        if factors is not None:
            return truth, factors.take(slice(None))[:, 0]
        if of_samples is None:
            return truth, None
        return truth, np.repeat(of_samples, present.lengths)
