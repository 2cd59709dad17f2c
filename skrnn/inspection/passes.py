"""From a fitted estimator to its gradients: what the functions of inspection share."""

import numpy as np
from joblib import effective_n_jobs

from skrnn.gradients import backward_passes, selected_output, steps_in_lanes
from skrnn.inspection.targets import (
    Score,
    check_network,
    check_step,
)
from skrnn.layers import Embedding
from skrnn.network import network_of
from skrnn.prediction import predict_raw
from skrnn.sequences import PaddedData, backward_to, of_steps
from skrnn.sequences.steps import last_kept


class Reading:
    """Data as a fitted network reads them.

    Parameters
    ----------
    estimator : BaseRNN
    X : object
        As the user passed it.

    Attributes
    ----------
    estimator : as the parameter
    network : Network
    data : PaddedData or Sequences
        What X is.
    present : PaddedData, Sequences or SkipMissing
        The same without the steps that are skipped.
    per_step : bool
        Whether there is a prediction for each step, not only for each sample.
    """

    def __init__(self, estimator, X):
        check_network(estimator)
        if estimator._targets_count_together:
            raise TypeError(
                f"{type(estimator).__name__} predicts whole transcripts, and there is "
                "no number for each sequence or step to look into. Of its layers make "
                "an RNNClassifier: init=estimator."
            )
        self.estimator = estimator
        self.network = network_of(estimator._architecture)
        self.per_step = self.network.per_step
        self.data, self.present = estimator._read_for_prediction(X)

    def passes(self, data, parameters, loss, levels, targets, weights):
        """Go forward and backward through a data set, see `backward_passes`.

        Parameters
        ----------
        data : PaddedData, Sequences or Derived
            With the channels of X.
        parameters : ndarray of shape (n_parameters,)
        loss, levels
            As in `backward_passes`.
        targets, weights : ndarray of shape (n_predictions, n_targets) or (..., 1)

        Yields
        ------
        rows : slice
        workspace : TrainingWorkspace
        prepared : PaddedData, Sequences or Derived
            What the network reads of `data`.
        """
        prepared = self._prepared(data)
        of_predictions = (self._data_set(v, prepared) for v in (targets, weights))
        for rows, work in backward_passes(
            self.network,
            parameters,
            prepared,
            *self.estimator._standardization(),
            loss,
            levels,
            *of_predictions,
        ):
            yield rows, work, prepared

    def _prepared(self, data):
        """Return what the network reads of a data set."""
        form = self.estimator._inputs
        return form.prepare(form.present(data))

    def _data_set(self, values, prepared):
        """Return numbers of each prediction as a data set."""
        if self.per_step:
            return of_steps(values, prepared.lengths)
        return PaddedData(values[:, np.newaxis])

    def loss(self, y):
        """Return the loss that was minimized, its parameters, targets and weights.

        That is the last four arguments of `passes`, all samples with a weight of 1.
        """
        estimator = self.estimator
        targets = estimator._checked_targets(self.data, self.present, y, False)
        targets = targets.take(slice(None))
        loss, levels = estimator._loss()
        weights = np.ones((len(targets), 1))
        return loss.function, levels, estimator._standardized(targets), weights

    def gradient(self, data, parameters, loss, levels, targets, weights, scale=None):
        """Return the gradient with respect to the values of a data set.

        Parameters
        ----------
        data, parameters, loss, levels, targets, weights
            As in `passes`.
        scale : float, default=None
            If given, channels of tokens have, instead of zeros, the derivative with
            respect to a common factor of their vectors, which is `scale` now.

        Returns
        -------
        gradient : ndarray of shape (n_steps, n_channels)
        """
        gradient = np.empty((data.lengths.sum(), data.n_channels), parameters.dtype)
        ends = np.cumsum(data.lengths)
        _, inverse_scale = self.estimator._standardization()
        for rows, work, prepared in self.passes(
            data, parameters, loss, levels, targets, weights
        ):
            lengths = prepared.lengths[rows]
            d_x = steps_in_lanes(work.d_x, lengths)[:, : len(inverse_scale)]
            d_x *= inverse_scale
            if scale is not None:
                self._add_tokens(d_x, work, lengths, scale)
            steps = slice(ends[rows.start] - data.lengths[rows.start], ends[rows][-1])
            gradient[steps] = backward_to(data, prepared, rows, d_x)
        return gradient

    def _add_tokens(self, d_x, work, lengths, scale):
        """Write the derivatives with respect to the factors of the vectors."""
        embedding, n_tokens = work.stack[0], self.estimator._inputs.n_tokens
        if not isinstance(embedding.layer, Embedding):
            return
        buffers, n = embedding.buffers, embedding.layer.n_units
        vectors = steps_in_lanes(buffers.output, lengths)
        products = vectors * steps_in_lanes(buffers.d_output, lengths) / scale
        for i, (place, _) in enumerate(n_tokens):
            d_x[:, place] = products[:, i * n : (i + 1) * n].sum(axis=1)


class Explained(Reading):
    """Data as a network reads them, with a score of each sample.

    Parameters
    ----------
    estimator, X : as in `Reading`
    target : object
        See `Score.of`.
    step : int or None
        Of which step the score is, where there is one for each; the sum if None.
    """

    def __init__(self, estimator, X, target, step):
        super().__init__(estimator, X)
        check_step(step, self.data, self.per_step)
        self._predictions = self._prediction_of_steps()
        self._steps = self._chosen_steps(step)
        raw = self._raw(self.data, estimator._parameters)
        self.score = Score.of(estimator, target, raw)

    def _prediction_of_steps(self):
        """Return the number of the prediction that each step of X has."""
        if not (self.per_step and self.estimator._inputs.skips):
            return np.arange(self.data.lengths.sum())
        return last_kept(self.present)  # as `spread_steps` does it

    def _chosen_steps(self, step):
        """Return the steps whose scores count, of all samples."""
        lengths = self.data.lengths
        if step is None:
            return np.arange(lengths.sum())
        ends = np.cumsum(lengths)
        return ends + step if step < 0 else ends - lengths + step

    def _raw(self, data, parameters):
        return predict_raw(
            self.network,
            parameters,
            self._prepared(data),
            *self.estimator._standardization(),
            effective_n_jobs(self.estimator.n_jobs),
        )

    def seen(self):
        """Tell of each step of X whether the network reads it: (n_steps, 1)."""
        if not self.estimator._inputs.skips:
            return np.ones((self.data.lengths.sum(), 1), bool)
        return self.present.kept(slice(None))[:, np.newaxis]

    def values(self, data):
        """Return the score of each sample of a data set that differs in values only."""
        scores = self.score.values(self._raw(data, self.estimator._parameters))
        if not self.per_step:
            return scores
        chosen = np.zeros(data.lengths.sum())
        chosen[self._steps] = scores[self._predictions[self._steps]]
        return np.add.reduceat(chosen, np.cumsum(data.lengths) - data.lengths)

    def score_gradient(self, data, parameters, scale=None):
        """Return the gradient of the samples' scores; arguments as in `gradient`."""
        columns, slopes = self.score.slopes(self._raw(data, parameters))
        if self.per_step:
            counted = self._predictions[self._steps]
            slopes = slopes * np.bincount(counted, minlength=len(slopes))
        return self.gradient(
            data,
            parameters,
            selected_output,
            [0.0],
            columns[:, np.newaxis].astype(np.float64),
            slopes[:, np.newaxis],
            scale,
        )
