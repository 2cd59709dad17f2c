"""What the words of a translation attended to, as a map."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from skrnn.inspection.displays import MAX_NAMED_TOKENS, _Display, _whole_ticks


class AlignmentDisplay(_Display):
    """How much each step of a target attends to each step of its source.

    It is best made by :meth:`from_estimator`.

    Parameters
    ----------
    weights : ndarray of shape (n_target_steps, n_source_steps)
        Of one pair.
    source, target : sequence of str, default=None
        The texts of the steps.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    RNNSeq2Seq.attention_weights : What is drawn.

    Examples
    --------
    >>> from skrnn import RNNSeq2Seq
    >>> from skrnn.inspection import AlignmentDisplay
    >>> model = RNNSeq2Seq(8, analyzer="char", max_iter=1).fit(["ab", "b"], ["ba", "b"])
    >>> display = AlignmentDisplay.from_estimator(model, "ab")  # doctest: +SKIP
    """

    def __init__(
        self,
        weights: np.ndarray,
        *,
        source: Sequence[str] | None = None,
        target: Sequence[str] | None = None,
    ) -> None:
        self.weights = weights
        self.source = source
        self.target = target

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        source: Any,
        target: Any = None,
        *,
        ax: Any = None,
        cmap: str = "Blues",
    ) -> Self:
        """Compute and draw the weights of one pair.

        Parameters
        ----------
        estimator : RNNSeq2Seq
            A fitted model with attention.
        source : str or array-like of shape (length, n_channels) or (length,)
            One source.
        target : as source, default=None
            Its target; None means that which the model predicts.
        ax : matplotlib Axes, default=None
            Where to draw; a new one if None.
        cmap : str, default="Blues"
            The colours of Matplotlib.

        Returns
        -------
        display : AlignmentDisplay

        Raises
        ------
        TypeError
            If the estimator has no alignments.
        ValueError
            If nothing is written of the source.
        """
        if not hasattr(estimator, "attention_weights"):
            raise TypeError(
                "AlignmentDisplay draws what an RNNSeq2Seq attends to, got "
                f"{type(estimator).__name__}."
            )
        one = [None if x is None else _one(x) for x in (source, target)]
        found = estimator.attention_weights(*one)[0]
        if not len(found.weights):
            raise ValueError(f"Nothing is written of {source!r}: pass a target.")
        display = cls(found.weights, source=found.source, target=found.target)
        return display.plot(ax, cmap=cmap)

    def plot(self, ax: Any = None, *, cmap: str = "Blues") -> Self:
        """Draw the weights, the source along the top.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new one if None.
        cmap : str, default="Blues"
            The colours of Matplotlib.

        Returns
        -------
        display : AlignmentDisplay
        """
        ax = self._axes(ax)
        image = ax.imshow(self.weights, cmap=cmap, vmin=0, vmax=1, aspect="auto")
        ax.figure.colorbar(image, ax=ax, label="attention weight")
        ax.xaxis.tick_top()
        ax.xaxis.set_label_position("top")
        _name_steps(ax.xaxis, ax.set_xticks, self.source, "source", rotation=90)
        _name_steps(ax.yaxis, ax.set_yticks, self.target, "target", rotation=0)
        return self


def _one(sequence):
    """Return a data set of one sequence."""
    return [sequence] if isinstance(sequence, str) else [np.asarray(sequence)]


def _name_steps(axis, set_ticks, tokens, label, rotation):
    """Write the tokens beside an axis, where there is room for them."""
    if tokens is None or len(tokens) > MAX_NAMED_TOKENS:
        axis.set_label_text(f"step of the {label}")
        _whole_ticks(axis)
        return
    axis.set_label_text(label)
    names = [str(token).replace(" ", "␣") for token in tokens]
    is_long = max(map(len, names)) > 2
    set_ticks(np.arange(len(names)), names, rotation=rotation if is_long else 0)
