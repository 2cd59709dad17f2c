"""What happens inside, layer by layer and step by step."""

from typing import Any

import numpy as np

from skrnn.gradients import selected_output, steps_in_lanes
from skrnn.inspection.passes import Reading
from skrnn.layers import (
    Attention,
    Bidirectional,
    RecurrentLayer,
    Residual,
    SeveralPoolings,
)
from skrnn.sequences import like_steps


def attention_weights(estimator: Any, X: Any) -> Any:
    """Return how much each step counts in the pooled state of a sequence.

    Parameters
    ----------
    estimator : RNNRegressor or RNNClassifier
        A fitted network with ``pooling="attention"``.
    X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
        In any of the forms that the estimator takes.

    Returns
    -------
    weights : ndarray or Series
        A number for each step, which are positive and add up to 1 over a sample, in the
        shape of X: (n_samples, n_timesteps) for an array; with the index of X for a
        frame with an (instance, time) index; otherwise an object array with an array
        for each sample. Steps that are skipped have 0. With `steps_per_frame` the steps
        of a frame share its weight alike.

    Raises
    ------
    ValueError
        If the model has no attention.
    TypeError
        If `estimator` is something else, such as a pipeline.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    See Also
    --------
    AttentionDisplay : Draws them for a sequence.

    Notes
    -----
    They say which states are averaged. A state knows of other steps than its own, so
    that they need not say which values matter; see :func:`integrated_gradients`.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn import RNNClassifier
    >>> from skrnn.inspection import attention_weights
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> model = RNNClassifier((4,), pooling="attention", max_iter=5, tol=0)
    >>> model = model.fit(X, X.max(axis=1) > 1.5)
    >>> weights = attention_weights(model, X)
    >>> weights.shape, bool(np.allclose(weights.sum(axis=1), 1))
    ((60, 5), True)
    """
    reading = Reading(estimator, X)
    pooling = reading.network.layers.get("pooling")
    several = isinstance(pooling, SeveralPoolings)
    attention = pooling.poolings.get("attention") if several else pooling
    if not isinstance(attention, Attention):
        now = "None (return_sequences=True)" if pooling is None else estimator.pooling
        raise ValueError(
            'Only a model with pooling="attention" has attention weights; this one '
            f"has pooling={now}."
        )
    data, form = reading.data, estimator._inputs
    place = list(reading.network.layers).index("pooling")
    nothing = np.zeros((len(data), 1))
    read = []
    for rows, work, prepared in reading.passes(
        data, estimator._parameters, selected_output, [0.0], nothing, nothing
    ):
        # its backward pass has divided them by their sum
        buffers = work.stack[place].buffers
        weights = (buffers.parts["attention"] if several else buffers).weights
        read.append(steps_in_lanes(weights[:, np.newaxis], prepared.lengths[rows]))
    values = form.spread(data, reading.present, np.concatenate(read)[:, 0])
    return like_steps(X, data, values)


def gradient_norms(estimator: Any, X: Any, y: Any, *, align: str = "end") -> np.ndarray:
    """Return how much of the loss's gradient reaches the states of each step.

    Where the norm falls by orders of magnitude from one end of the sequences to the
    other, the network does not learn what is that far away: the gradient vanishes [1]_.

    Parameters
    ----------
    estimator : RNNRegressor or RNNClassifier
        A fitted network. After a few epochs it tells most; a perfect fit has no
        gradient anywhere.
    X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
        In any of the forms that the estimator takes.
    y : array-like
        Targets.
    align : {"end", "start"}, default="end"
        Which steps of sequences of different lengths belong together: those as far
        from the end, or those as far from the start.

    Returns
    -------
    norms : ndarray of shape (n_hidden_layers, n_steps)
        The Euclidean norm of the gradient of a sample's own loss with respect to the
        hidden state of a layer after a step, both directions together; the mean over
        the samples that have the step. Steps are those that the network sees: frames,
        and none that are skipped. The last column is the last step for ``align="end"``,
        the first column the first for ``align="start"``.

    Raises
    ------
    ValueError
        If y does not fit X, or `align` is something else.
    TypeError
        If `estimator` is something else, such as a pipeline.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    See Also
    --------
    GradientNormDisplay : Draws them.

    References
    ----------
    .. [1] Bengio, Simard and Frasconi, "Learning long-term dependencies with gradient
       descent is difficult", IEEE Transactions on Neural Networks 5, 1994.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn import RNNRegressor
    >>> from skrnn.inspection import gradient_norms
    >>> X = np.random.default_rng(0).normal(size=(100, 30))
    >>> model = RNNRegressor((8,), cell="rnn", max_iter=2, random_state=0)
    >>> model = model.fit(X, X[:, 0])
    >>> norms = gradient_norms(model, X, X[:, 0])
    >>> norms.shape
    (1, 30)
    >>> bool(norms[0, 0] < 0.1 * norms[0, -1])  # the first step is out of reach
    True
    """
    if align not in ("end", "start"):
        raise ValueError(f'align must be "end" or "start", got {align!r}.')
    reading = Reading(estimator, X)
    arguments = reading.loss(y)
    columns, norms = [], []
    for rows, work, prepared in reading.passes(
        reading.data, estimator._parameters, *arguments
    ):
        lengths = prepared.lengths[rows]
        n_steps = int(prepared.lengths.max())
        lacking = n_steps - lengths if align == "end" else np.zeros_like(lengths)
        columns += [
            first + np.arange(n) for first, n in zip(lacking, lengths, strict=True)
        ]
        norms.append(_norms_of_layers(work, lengths))
    column = np.concatenate(columns)
    sums = [np.bincount(column, of_layer) for of_layer in np.hstack(norms)]
    return np.array(sums) / np.bincount(column)


def _norms_of_layers(work, lengths):
    """Return for each recurrent layer the norm at each step, sample after sample."""
    norms = []
    for place in work.stack:
        layer, buffers = place.layer, place.buffers
        if isinstance(layer, Residual):
            layer, buffers = layer.layer, buffers.inner
        if isinstance(layer, Bidirectional):
            ahead = steps_in_lanes(buffers.ahead.d_output, lengths)
            back = steps_in_lanes(buffers.back.d_output, lengths)
            squares = _squares(ahead, layer.n_units)
            squares += _squares(back, layer.n_units)[_reversed_steps(lengths)]
            norms.append(np.sqrt(squares))
        elif isinstance(layer, RecurrentLayer):
            gradient = steps_in_lanes(buffers.d_output, lengths)
            norms.append(np.sqrt(_squares(gradient, layer.n_outputs)))
    return norms


def _squares(gradient, n_units):
    """Return the sum of squares at each step; rows beyond the units do not count."""
    return np.square(gradient[:, :n_units], dtype=np.float64).sum(axis=1)


def _reversed_steps(lengths):
    """Return the places of the steps of each sample from its last to its first."""
    ends = np.cumsum(lengths)
    return np.concatenate(
        [
            np.arange(end - 1, end - n - 1, -1)
            for end, n in zip(ends, lengths, strict=True)
        ]
    )
