"""Scores of sequences that have a target, or a label, at each step."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import get_scorer, make_scorer
from sklearn.utils import get_tags
from sklearn.utils.validation import _check_sample_weight

from skrnn._samples import has_one_each
from skrnn.sequences import check_target_index
from skrnn.sequences.steps import check_same_steps, flat_steps

__all__ = ["flatten_steps", "make_step_scorer", "sequence_accuracy_score"]

RESPONSES = ("predict", "predict_proba", "predict_log_proba", "decision_function")


def flatten_steps(y: Any) -> np.ndarray:
    """Lay the steps of all samples end to end, as scikit-learn's metrics need them.

    Parameters
    ----------
    y : array-like
        One value, or k values, for each step of each sample:

        - an array or DataFrame of shape (n_samples, n_timesteps), or an array of shape
          (n_samples, n_timesteps, k);
        - a list or 1-D object array of sequences of shape (length,) or (length, k);
        - a Series or DataFrame with an (instance, time) index, where samples come in
          the order in which they first appear;
        - :class:`~skrnn.Sequences`.

    Returns
    -------
    steps : ndarray of shape (n_steps,) or (n_steps, k)
        Those of the first sample, then those of the next. Padding is kept.

    Raises
    ------
    ValueError
        If a sample has one value instead of a sequence, or the samples differ in k.

    Examples
    --------
    >>> from skrnn.metrics import flatten_steps
    >>> flatten_steps([["det", "noun"], ["verb"]])
    array(['det', 'noun', 'verb'], dtype='<U4')
    """
    return flat_steps(y, "y").values


def sequence_accuracy_score(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: ArrayLike | None = None,
    ignore: Any = None,
) -> float:
    """Return the share of the sequences whose steps are all right.

    Parameters
    ----------
    y_true, y_pred : as in :func:`flatten_steps`
        The labels of each step and what was predicted.
    sample_weight : array-like of shape (n_samples,), default=None
        A weight for each sequence.
    ignore : label, default=None
        Steps whose true label is this one do not count, such as -1 or NaN for padding,
        nor do sequences that have no others.

    Returns
    -------
    score : float
        Between 0 and 1.

    Raises
    ------
    ValueError
        If y_true and y_pred differ in their samples or a sample's length, or no step
        counts.

    Examples
    --------
    >>> from skrnn.metrics import sequence_accuracy_score
    >>> sequence_accuracy_score([[0, 1], [1, 1, 0]], [[0, 1], [1, 0, 0]])
    0.5
    """
    true, pred = flat_steps(y_true, "y_true"), flat_steps(y_pred, "y_pred")
    check_same_steps(true, pred)
    counted = _counted(true.values, ignore)
    labels, answers = true.column(), pred.column()
    if labels.shape != answers.shape:
        raise ValueError(
            "y_true and y_pred must have as many values a step: of all steps they "
            f"have the shapes {labels.shape} and {answers.shape}."
        )
    differs = _by_step(labels != answers)
    sample = np.repeat(np.arange(len(true.lengths)), true.lengths)
    n_wrong = np.bincount(sample, counted & differs, len(true.lengths))
    n_counted = np.bincount(sample, counted, len(true.lengths))
    weights = _check_sample_weight(sample_weight, true.lengths, dtype=np.float64)
    return float(np.average(n_wrong == 0, weights=weights * (n_counted > 0)))


def make_step_scorer(
    score_func: str | Callable,
    *,
    response_method: str | Sequence[str] = "predict",
    greater_is_better: bool = True,
    ignore: Any = None,
    **kwargs: Any,
) -> "_StepScorer":
    """Make a scorer of predictions at each step, for cross-validations and searches.

    What it scores are the steps of all samples, laid end to end by
    :func:`flatten_steps`, those of the truth and those of the prediction. So a long
    sequence counts for more than a short one.

    Parameters
    ----------
    score_func : str or callable
        The name of a scorer of scikit-learn, such as ``"accuracy"``, ``"f1_macro"``,
        ``"r2"``, ``"neg_mean_absolute_error"`` or ``"neg_log_loss"``; or a metric
        ``score_func(y_true, y_pred, **kwargs)``.
    response_method : str or list of str, default="predict"
        What to ask the estimator for, as in :func:`sklearn.metrics.make_scorer`:
        "predict", "predict_proba" or "decision_function", or several in order of
        preference. A named scorer has its own.
    greater_is_better : bool, default=True
        Whether a high value of the metric is good; if not, the score is its negative.
        A named scorer has its own.
    ignore : label, default=None
        Steps whose true label is this one are left out, such as -1 or NaN for padding.
        Of several values a step, all must be.
    **kwargs
        Passed to the metric, if it is a callable.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)`` gives a number, of which greater
        is better. The weight of a sample is that of each of its steps, which may also
        have weights of their own, in the forms of :func:`flatten_steps`.

    Raises
    ------
    ValueError
        If a parameter is given that a named scorer has its own of; or, when the scorer
        is called, if truth and prediction differ in their samples or in the length of
        one.

    Notes
    -----
    Whoever uses this scorer says that y has a value for each step: an array of shape
    (n_samples, k) might hold k outputs just as well, which scikit-learn's own scorers
    score.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import BaseEstimator
    >>> from skrnn.metrics import make_step_scorer
    >>> class Positive(BaseEstimator):
    ...     def predict(self, X):
    ...         return [(x > 0).astype(int) for x in X]
    >>> X = [np.array([0.3, -0.1, 0.2]), np.array([-0.5])]
    >>> y = [np.array([1, 1, 1]), np.array([0])]
    >>> make_step_scorer("accuracy")(Positive(), X, y)
    0.75
    """
    if isinstance(score_func, str):
        if response_method != "predict" or not greater_is_better or kwargs:
            raise ValueError(
                f"The scorer {score_func!r} has parameters of its own. To set them, "
                "pass the metric as a function, such as sklearn.metrics.f1_score."
            )
        return _StepScorer(get_scorer(score_func), ignore)
    scorer = make_scorer(
        score_func,
        response_method=response_method,
        greater_is_better=greater_is_better,
        **kwargs,
    )
    return _StepScorer(scorer, ignore)


class _StepScorer:
    """A scorer of scikit-learn that is shown the steps of all samples as samples."""

    def __init__(self, scorer, ignore):
        self._scorer = scorer
        self._ignore = ignore

    def __repr__(self):
        ignore = "" if self._ignore is None else f", ignore={self._ignore!r}"
        return f"make_step_scorer({self._scorer!r}{ignore})"

    def __call__(self, estimator, X, y_true, sample_weight=None):
        true = flat_steps(y_true, "y")
        counted = _counted(true.values, self._ignore)
        # Named like the estimator, for scikit-learn's messages.
        answers = type(type(estimator).__name__, (_FlatAnswers,), {})
        flat = answers(estimator, true, counted)
        kwargs = {}
        if sample_weight is not None:
            kwargs["sample_weight"] = _step_weights(sample_weight, true)[counted]
        return self._scorer(flat, X, true.column()[counted], **kwargs)

    def set_score_request(self, **kwargs):
        """Say what metadata the score needs, as for scikit-learn's scorers."""
        self._scorer.set_score_request(**kwargs)
        return self

    def get_metadata_routing(self):
        """Return what metadata the score needs."""
        return self._scorer.get_metadata_routing()

    def _accept_sample_weight(self):
        # asked by searches that are fitted with weights
        return self._scorer._accept_sample_weight()


class _FlatAnswers:
    """An estimator whose answers for X are those of the steps that count."""

    def __init__(self, estimator, true, counted):
        self._estimator = estimator
        self._true = true
        self._counted = counted

    def __getattr__(self, name):
        value = getattr(self._estimator, name)
        return self._flat(value) if name in RESPONSES else value

    def __sklearn_tags__(self):
        return get_tags(self._estimator)

    def _flat(self, method):
        @wraps(method)  # scikit-learn looks at the name
        def answer(X):
            steps = flat_steps(method(X), method.__name__)
            check_same_steps(self._true, steps)
            # A column of probabilities stays one: those of the only class.
            values = steps.values if "proba" in method.__name__ else steps.column()
            return values[self._counted]

        return answer


def _step_weights(sample_weight, true):
    """Return the weight of each step: its own, or that of its sample."""
    if has_one_each(sample_weight):
        check_target_index(true, sample_weight, "sample_weight", true.name)
        weights = _check_sample_weight(sample_weight, true.lengths)
        return np.repeat(weights, true.lengths)
    weights = flat_steps(sample_weight, "sample_weight")
    check_same_steps(true, weights)
    return weights.column()


def _counted(values, ignore):
    """Tell which steps count: those that are not to be ignored."""
    if ignore is None:
        return np.ones(len(values), dtype=bool)
    # NaN is the value that differs from itself.
    ignored = values != values if ignore != ignore else values == ignore
    counted = ~_by_step(ignored, np.all)
    if not counted.any():
        raise ValueError(f"No step is left to score: all have the label {ignore!r}.")
    return counted


def _by_step(values, over=np.any):
    """Bring together the k values of each step."""
    return over(values, axis=1) if values.ndim == 2 else values
