"""Which of a model's scores is looked at, and how it follows from raw predictions."""

import operator
from dataclasses import dataclass

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from skrnn._base import BaseRNN
from skrnn.scaling import like_data
from skrnn.sequences import PaddedData, like_steps


def check_network(estimator):
    """Raise unless this is a fitted network of this package."""
    if not isinstance(estimator, BaseRNN):
        inner = ""
        if hasattr(estimator, "best_estimator_"):
            inner = " Pass its best_estimator_."
        elif hasattr(estimator, "steps"):
            inner = " Pass its last step, and X as the steps before transform it."
        raise TypeError(
            "Only RNNRegressor and RNNClassifier can be looked into, got "
            f"{type(estimator).__name__}.{inner}"
        )
    check_is_fitted(estimator)


def in_shape_of(X, data, values):
    """Bring values of each step and channel into the shape of X.

    Parameters
    ----------
    X : object
        As the user passed it.
    data : PaddedData or Sequences
        What it is.
    values : ndarray of shape (n_steps, n_channels)

    Returns
    -------
    shaped : ndarray, Series or DataFrame
        As :func:`input_gradient` describes it.
    """
    if isinstance(data, PaddedData) or hasattr(X, "iloc"):
        return like_data(X, data, values)
    shaped = like_steps(X, data, values)
    for i, item in enumerate(X):
        if np.ndim(item) == 1:
            shaped[i] = shaped[i][:, 0]
    return shaped


def check_step(step, data, per_step):
    """Raise unless each sample has this step, and a prediction there."""
    if step is None:
        return
    if not per_step:
        raise ValueError(
            f"step={step}: the model predicts once for a sample, not for each step "
            "(return_sequences=False)."
        )
    step = operator.index(step)
    short = data.lengths < (step + 1 if step >= 0 else -step)
    if short.any():
        sample = int(short.argmax())
        raise ValueError(
            f"step={step}: sample {sample} has {data.lengths[sample]} steps only."
        )


@dataclass
class Score:
    """A number for each prediction: a class's decision function, or an output.

    Attributes
    ----------
    estimator : BaseRNN
    target : ndarray of int of shape (n_predictions, n_axes) or (1, n_axes)
        Of which class, output, or output and quantile level.
    name : str
        What it is called in a drawing.
    """

    estimator: object
    target: np.ndarray
    name: str

    @classmethod
    def of(cls, estimator, target, raw):
        """Return the score that the user asks for.

        Parameters
        ----------
        estimator : BaseRNN
        target : object
            A class, the number of an output, a tuple for outputs with quantile levels,
            or None for the predicted class or the only output.
        raw : ndarray of shape (n_predictions, n_raw)
            The raw predictions, which say what the predicted classes are.

        Raises
        ------
        ValueError
            If there is no such class or output, or None leaves it open.
        """
        if is_classifier(estimator) and estimator._kind != "multilabel":
            return cls._of_class(estimator, target, raw)
        shape = (estimator.n_outputs_,)
        if not is_classifier(estimator):
            _, levels, has_levels = estimator._objective
            shape += (len(levels),) if has_levels else ()
        place = _place(target, shape)
        what = "the prediction"
        if is_classifier(estimator):
            what = "the score of label"
        number = place[0] if len(place) == 1 else place
        name = what if np.prod(shape) == 1 else f"{what} {number}"
        return cls(estimator, np.array([place]), name)

    @classmethod
    def _of_class(cls, estimator, target, raw):
        if target is None:
            chosen = estimator._choose(estimator._from_raw(raw)).reshape(-1, 1)
            return cls(estimator, chosen, "the score of the predicted class")
        found = np.flatnonzero(estimator.classes_ == target)
        if np.ndim(target) or not len(found):
            raise ValueError(
                f"target={target!r} is no class: classes_ are "
                f"{estimator.classes_.tolist()}."
            )
        return cls(estimator, found[None], f"the score of class {target}")

    def values(self, raw):
        """Return the score of each raw prediction, in float64."""
        if is_classifier(self.estimator):
            raw = raw.astype(np.float64)
            columns, signs = self.slopes(raw)
            return signs * np.take_along_axis(raw, columns[:, None], axis=1)[:, 0]
        y = self.estimator._from_raw(raw)
        place = np.broadcast_to(self.target, (len(y), self.target.shape[1]))
        return y[np.arange(len(y)), *place.T]

    def slopes(self, raw):
        """Return on which raw prediction the score hangs, and its derivative.

        Returns
        -------
        columns : ndarray of int of shape (n_predictions,)
        slopes : ndarray of shape (n_predictions,)
        """
        n, estimator = len(raw), self.estimator
        first = np.broadcast_to(self.target[:, 0], (n,))
        if is_classifier(estimator):
            if estimator._kind == "binary":  # one number, positive for the second
                return np.zeros(n, np.int64), np.where(first == 1, 1.0, -1.0)
            return first, np.ones(n)
        loss, levels, has_levels = estimator._objective
        columns = first
        if len(levels) > 1:
            # predictions are sorted: the level of this rank takes the number of another
            rank = np.argsort(np.argsort(levels))[self.target[0, 1]]
            of_output = raw.reshape(n, -1, len(levels))[:, self.target[0, 0]]
            by_rank = np.argsort(of_output, axis=1, kind="stable")
            columns = first * len(levels) + by_rank[:, rank]
        slopes = np.full(n, estimator._target_scale[self.target[0, 0]])
        return columns, slopes * self.values(raw) if loss == "poisson" else slopes


def _place(target, shape):
    """Return the place of one output as a tuple."""
    sizes = [size for size in shape if size > 1]
    outputs = " x ".join(map(str, shape))
    if target is None:
        if sizes:
            raise ValueError(
                f"The model has {outputs} outputs: say by target=... which is meant."
            )
        return (0,) * len(shape)
    given = target if isinstance(target, tuple) else (target,)
    if len(given) < len(shape) and shape[0] == 1:
        given = (0, *given)
    try:
        place = tuple(map(operator.index, given))
    except TypeError:
        place = ()
    fits = len(place) == len(shape)
    if not fits or not all(-n <= i < n for i, n in zip(place, shape, strict=True)):
        raise ValueError(
            f"target={target!r} is none of the {outputs} outputs, which are numbered "
            "from 0" + (", output and quantile level." if len(shape) > 1 else ".")
        )
    return tuple(i % n for i, n in zip(place, shape, strict=True))
