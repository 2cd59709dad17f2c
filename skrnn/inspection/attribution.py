"""On what in a sequence a prediction hangs, value by value."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_consistent_length

from skrnn._inputs import NO_TOKEN
from skrnn.inspection.passes import Explained, Reading
from skrnn.inspection.targets import in_shape_of
from skrnn.network import network_of
from skrnn.parameters import aligned_copy
from skrnn.sequences import Sequences, like_steps, of_steps
from skrnn.sequences.derived import Derived


def input_gradient(
    estimator: Any, X: Any, y: Any = None, *, target: Any = None, step: Any = None
) -> Any:
    """Return the derivative of the loss, or of a prediction, by each value of X.

    Also known as saliency [1]_. The derivatives are in the units of X, for X as it is:
    standardizing, differences and frames are parts of the function.

    Parameters
    ----------
    estimator : RNNRegressor or RNNClassifier
        A fitted network.
    X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
        In any of the forms that the estimator takes.
    y : array-like, default=None
        Targets. With them the derivative is that of the loss that was minimized,
        without the penalty: of each sample its own, whose weight is 1. With
        ``return_sequences=True`` the losses of its steps are added up. Without y, it
        is that of a prediction, which `target` and `step` choose.
    target : class, int or tuple, default=None
        Of a classifier the class (of several labels the number of one) whose
        ``decision_function`` is meant: for the first of two classes, its negative. Of
        a regressor the number of the output of ``predict``, of several quantile levels
        that of the level, or a tuple of both. None means the predicted class, or the
        only output.
    step : int, default=None
        With ``return_sequences=True``, the step whose prediction is meant, from the
        end if negative. None means their sum.

    Returns
    -------
    gradient : ndarray, DataFrame or Series
        In the shape of X: an array for an array, with NaN where X is padded; a frame
        for a frame with an (instance, time) index; otherwise an object array with an
        array for each sample. It is 0 for tokens and at steps and values that are
        skipped or missing.

    Raises
    ------
    ValueError
        If `target` is no class or output, None leaves it open, or `step` is beyond a
        sample.
    TypeError
        If `estimator` is something else, such as a pipeline.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    See Also
    --------
    integrated_gradients : Contributions that add up to the prediction.
    occlusion : What changes where a part of X is hidden.

    References
    ----------
    .. [1] Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks:
       visualising image classification models and saliency maps", ICLR workshop 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn import RNNRegressor
    >>> from skrnn.inspection import input_gradient
    >>> X = np.random.default_rng(0).normal(size=(100, 6))
    >>> y = X[:, -1] - X[:, -2]  # the last change
    >>> model = RNNRegressor((8,), max_iter=100, random_state=0, alpha=0)
    >>> model = model.fit(X, y)
    >>> gradient = input_gradient(model, X)
    >>> gradient.shape
    (100, 6)
    >>> gradient.mean(axis=0).round() + 0.0
    array([ 0.,  0.,  0.,  0., -1.,  1.])
    """
    if y is not None:
        if target is not None or step is not None:
            raise ValueError("With y it is the loss: leave out target and step.")
        reading = Reading(estimator, X)
        arguments = reading.loss(y)
        gradient = reading.gradient(reading.data, estimator._parameters, *arguments)
    else:
        reading = Explained(estimator, X, target, step)
        gradient = reading.score_gradient(reading.data, estimator._parameters)
    return in_shape_of(X, reading.data, gradient)


def integrated_gradients(
    estimator: Any,
    X: Any,
    *,
    target: Any = None,
    baseline: Any = "mean",
    n_steps: int = 50,
    step: Any = None,
) -> Any:
    """Return the contribution of each value of X to a prediction.

    Derivatives are averaged along the straight line from a baseline to X, and
    multiplied with the way [1]_. The contributions of a sample add up to its prediction
    less that for the baseline.

    Parameters
    ----------
    estimator : RNNRegressor or RNNClassifier
        A fitted network.
    X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
        In any of the forms that the estimator takes.
    target, step : default=None
        What is predicted, as in :func:`input_gradient`.
    baseline : "mean", float, array-like of shape (n_channels,) or like X, \
            default="mean"
        What X is compared with: the mean of each channel in training, which the
        estimator knows if ``standardize=True`` and is otherwise taken to be 0; numbers;
        or sequences of the same lengths as X. What is missing in X stays missing.
        Tokens are compared with no token, for which zeros stand.
    n_steps : int, default=50
        Points of the line, by Gauss and Legendre, at which the gradient is taken. Raise
        it if the contributions do not add up.

    Returns
    -------
    contributions : ndarray, DataFrame or Series
        In the shape of X, as for :func:`input_gradient`, in the units of the
        prediction. That of a token is that of its whole vector.

    Raises
    ------
    ValueError, TypeError, sklearn.exceptions.NotFittedError
        As :func:`input_gradient`, or if `baseline` is not one of these.

    See Also
    --------
    AttributionDisplay : Draws them for a sequence.

    References
    ----------
    .. [1] Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML
       2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn import RNNRegressor
    >>> from skrnn.inspection import integrated_gradients
    >>> X = np.random.default_rng(0).normal(size=(100, 6))
    >>> model = RNNRegressor((8,), max_iter=20, random_state=0)
    >>> model = model.fit(X, X[:, -1] * X[:, -2])
    >>> contributions = integrated_gradients(model, X, baseline=0.0)
    >>> change = model.predict(X) - model.predict(np.zeros((1, 6)))
    >>> bool(np.allclose(contributions.sum(axis=1), change))
    True
    """
    n_steps = check_scalar(n_steps, "n_steps", int, min_val=1)
    explained = Explained(estimator, X, target, step)
    data, form = explained.data, estimator._inputs
    tokens = [place for place, _ in form.n_tokens]
    numeric = np.setdiff1d(np.arange(data.n_channels), tokens)
    compared = _baseline_of(estimator, data, baseline)
    total = np.zeros((data.lengths.sum(), data.n_channels))
    nodes, weights = np.polynomial.legendre.leggauss(n_steps)  # of [-1, 1]
    for share, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        between = _Between(data, compared, share, numeric)
        parameters = _scaled_embeddings(estimator, share)
        total += weight * explained.score_gradient(between, parameters, scale=share)
    for block in data.blocks():
        rows = slice(
            data.lengths[: block.start].sum(), data.lengths[: block.stop].sum()
        )
        way = data.take(block) - compared.take(block)
        way[:, tokens] = 1.0
        total[rows] *= np.where(np.isnan(way), 0.0, way)
    return in_shape_of(X, data, total.astype(data.dtype))


class _Constant:
    """The same step for all steps, as far as data sets are taken from."""

    def __init__(self, values):
        self._values = values

    def take(self, rows):
        return self._values


class _Between(Derived):
    """A point of the way from a baseline to a data set; tokens are at their end."""

    def __init__(self, data, baseline, share, numeric):
        super().__init__(data, data.n_channels)
        self._baseline = baseline
        self._share = share
        self._numeric = numeric

    def _compute(self, rows):
        steps = self._data.take(rows)
        baseline = np.broadcast_to(self._baseline.take(rows), steps.shape)
        for channel in self._numeric:
            start = baseline[:, channel]
            steps[:, channel] = start + self._share * (steps[:, channel] - start)
        return steps


def _baseline_of(estimator, data, baseline):
    """Return the baseline as something to take rows of."""
    if isinstance(baseline, str) or np.isscalar(baseline) or _is_vector(baseline):
        return _Constant(_constant_baseline(estimator, data, baseline))
    try:
        compared, _ = estimator._read_for_prediction(baseline)
    except (TypeError, ValueError) as error:
        raise type(error)(f"In baseline: {error}") from error
    check_consistent_length(data, compared)
    differ = compared.lengths != data.lengths
    if differ.any():
        sample = int(differ.argmax())
        raise ValueError(
            f"Sample {sample} has {data.lengths[sample]} steps in X and "
            f"{compared.lengths[sample]} in baseline."
        )
    if any(np.isnan(compared.take(block)).any() for block in compared.blocks()):
        raise ValueError("baseline must not have missing values.")
    return compared


def _constant_baseline(estimator, data, baseline):
    """Return one number for each channel."""
    if isinstance(baseline, str):
        if baseline != "mean":
            raise ValueError(f'baseline must be "mean" or numbers, got {baseline!r}.')
        return estimator._inputs.mean[: data.n_channels].astype(data.dtype)
    try:
        values = np.broadcast_to(np.asarray(baseline, data.dtype), (data.n_channels,))
    except ValueError:
        raise ValueError(
            f"baseline must be a number, or one for each of {data.n_channels} "
            f"channels, got {baseline!r}."
        ) from None
    if not np.isfinite(values).all():
        raise ValueError(f"baseline must be finite, got {baseline!r}.")
    return values.copy()


def _is_vector(values):
    """Tell whether these are numbers side by side."""
    if isinstance(values, Sequences) or getattr(values, "ndim", 1) != 1:
        return False
    return all(map(np.isscalar, values))


def _scaled_embeddings(estimator, factor):
    """Return the parameters with this multiple of the vectors of tokens."""
    if not estimator._inputs.n_tokens:
        return estimator._parameters
    parameters = aligned_copy(estimator._parameters)
    views = network_of(estimator._architecture).layout.views(parameters)
    for name, view in views.items():
        if name.startswith("embedding."):
            view *= factor
    return parameters


# --- occlusion ------------------------------------------------------------------------


def _hidden_token(form):
    """Return a token that is in no vocabulary, and no padding."""
    return NO_TOKEN if form.padding_token != NO_TOKEN else NO_TOKEN - 1


def occlusion(
    estimator: Any,
    X: Any,
    *,
    target: Any = None,
    window: int = 1,
    stride: int = 1,
    baseline: str | float | ArrayLike = "mean",
    channels: str = "each",
    step: Any = None,
) -> Any:
    """Return how much a prediction falls when a part of a sequence is hidden.

    A window slides over the sequences, in which a baseline takes the place of the
    values [1]_. No gradient is taken: it is a prediction for each place of the window.

    Parameters
    ----------
    estimator : RNNRegressor or RNNClassifier
        A fitted network.
    X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
        In any of the forms that the estimator takes.
    target, step : default=None
        What is predicted, as in :func:`input_gradient`.
    window : int, default=1
        Steps that are hidden together.
    stride : int, default=1
        Steps from one window to the next, at most `window`.
    baseline : "mean", float or array-like of shape (n_channels,), default="mean"
        What hidden values become, as in :func:`integrated_gradients`; tokens become
        unknown ones.
    channels : {"each", "all"}, default="each"
        Whether channels are hidden one by one or together.

    Returns
    -------
    falls : ndarray, DataFrame or Series
        The prediction less that without the values, in the shape of X; for
        ``channels="all"`` a number for each step, as ``predict`` of a model with
        ``return_sequences=True`` would return them. A step in several windows has
        their mean. What is missing stays so, and has 0.

    Raises
    ------
    ValueError, TypeError, sklearn.exceptions.NotFittedError
        As :func:`input_gradient`, or if a parameter is not one of these.

    References
    ----------
    .. [1] Zeiler and Fergus, "Visualizing and understanding convolutional networks",
       ECCV 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn import RNNRegressor
    >>> from skrnn.inspection import occlusion
    >>> X = np.random.default_rng(0).normal(size=(100, 6))
    >>> model = RNNRegressor((8,), max_iter=100, random_state=0)
    >>> model = model.fit(X, X[:, -1])
    >>> falls = occlusion(model, X[:1], baseline=0.0)
    >>> bool(np.allclose(falls[0, -1], X[0, -1], atol=0.2))
    True
    """
    window = check_scalar(window, "window", int, min_val=1)
    stride = check_scalar(stride, "stride", int, min_val=1, max_val=window)
    if channels not in ("each", "all"):
        raise ValueError(f'channels must be "each" or "all", got {channels!r}.')
    explained = Explained(estimator, X, target, step)
    data = explained.data
    hidden = _constant_baseline(estimator, data, baseline)
    form = estimator._inputs
    hidden[[place for place, _ in form.n_tokens]] = _hidden_token(form)
    every = np.arange(data.n_channels)
    groups = every[:, np.newaxis] if channels == "each" else [every]
    values, seen = data.take(slice(None)), explained.seen()
    before = explained.values(data)
    falls = np.zeros((len(values), len(groups)))
    counts = np.zeros((len(values), 1))
    for first in range(0, int(data.lengths.max()), stride):
        inside, of_sample = _window_of_each(data.lengths, first, window, stride)
        counts[inside, 0] += 1
        for k, group in enumerate(groups):
            part = np.zeros(values.shape, bool)
            part[np.ix_(inside, group)] = True
            part = part & seen & ~np.isnan(values)
            changed = of_steps(np.where(part, hidden, values), data.lengths)
            change = before - explained.values(changed)
            falls[inside, k] += np.where(part.any(axis=1)[inside], change[of_sample], 0)
    falls = (falls / counts).astype(data.dtype)
    if channels == "each":
        return in_shape_of(X, data, falls)
    return like_steps(X, data, falls[:, 0])


def _window_of_each(lengths, first, window, stride):
    """Return the steps in the window that begins at `first`, and whose they are.

    Sequences whose end the window before has reached have none.
    """
    starts = np.cumsum(lengths) - lengths
    sample = np.repeat(np.arange(len(lengths)), lengths)
    step = np.arange(lengths.sum()) - starts[sample]
    is_new = (first == 0) | (first + window - stride < lengths)
    inside = is_new[sample] & (first <= step) & (step < first + window)
    return np.flatnonzero(inside), sample[inside]
