"""Drawings, in the manner of scikit-learn's displays."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skrnn.inspection.attribution import (
    input_gradient,
    integrated_gradients,
    occlusion,
)
from skrnn.inspection.passes import Explained
from skrnn.inspection.states import attention_weights, gradient_norms
from skrnn.inspection.targets import check_network

METHODS: dict[str, tuple[Any, str]] = {
    "integrated_gradients": (integrated_gradients, "contribution to {}"),
    "input_gradient": (input_gradient, "derivative of {}"),
    "occlusion": (occlusion, "fall of {} when hidden"),
}
# Okabe and Ito: told apart by colour-blind readers as well
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
LINE_POINTS, PAD_POINTS = 12, 2  # of text: the height of a line, what is around it
MAX_NAMED_TOKENS = 40  # that there is room for below an axis


class _Display:
    """What is alike: the axes to draw on."""

    ax_: Any
    figure_: Any

    def _axes(self, ax, **figure):
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(layout="constrained", **figure)
        self.ax_, self.figure_ = ax, ax.figure
        return ax


class AttributionDisplay(_Display):
    """What each value of a sequence contributes to a prediction.

    A series is drawn over its contributions; several channels as a map; tokens as text
    on the colours of theirs. It is best made by :meth:`from_estimator`.

    Parameters
    ----------
    attributions : ndarray of shape (length, n_channels)
        Of one sequence.
    values : ndarray of shape (length, n_channels)
        The sequence.
    tokens : sequence of str of length `length`, default=None
        The texts of the steps.
    feature_names : list of str, default=None
        Names of the channels.
    label : str, default="contribution"
        What the colours mean.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    integrated_gradients : What is drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn import RNNRegressor
    >>> from skrnn.inspection import AttributionDisplay
    >>> X = np.random.default_rng(0).normal(size=(100, 6))
    >>> model = RNNRegressor((8,), max_iter=5).fit(X, X[:, -1])
    >>> display = AttributionDisplay.from_estimator(model, X[0])  # doctest: +SKIP
    """

    def __init__(
        self,
        attributions: np.ndarray,
        values: np.ndarray,
        *,
        tokens: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        label: str = "contribution",
    ) -> None:
        self.attributions = attributions
        self.values = values
        self.tokens = tokens
        self.feature_names = feature_names
        self.label = label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        sequence: ArrayLike,
        *,
        method: str = "integrated_gradients",
        target: Any = None,
        step: int | None = None,
        tokens: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        ax: Any = None,
        cmap: str = "RdBu_r",
        **params: Any,
    ) -> Self:
        """Explain the prediction for one sequence, and draw it.

        Parameters
        ----------
        estimator : RNNRegressor or RNNClassifier
            A fitted network.
        sequence : array-like or DataFrame of shape (length, n_channels) or (length,)
            One sample.
        method : {"integrated_gradients", "input_gradient", "occlusion"}, \
                default="integrated_gradients"
            The function whose result is drawn.
        target, step : default=None
            What is predicted, as in :func:`input_gradient`.
        tokens : sequence of str, default=None
            The text of each step, for sequences of tokens; None means the tokens
            themselves.
        feature_names : sequence of str, default=None
            Names of the channels; None means those seen in fit, if any.
        ax : matplotlib Axes, default=None
            Where to draw; a new one if None.
        cmap : str or Colormap, default="RdBu_r"
            Colours from negative to positive contributions.
        **params : dict
            Further arguments of the function, such as ``baseline``.

        Returns
        -------
        display : AttributionDisplay
        """
        if method not in METHODS:
            raise ValueError(f"method must be one of {list(METHODS)}, got {method!r}.")
        function, label = METHODS[method]
        check_network(estimator)
        X = _data_set(estimator, sequence)
        explained = Explained(estimator, X, target, step)
        shown = function(estimator, X, target=target, step=step, **params)[0]
        values = explained.data.take(slice(None))
        n_tokens = estimator._inputs.n_tokens
        if tokens is None and len(n_tokens) == values.shape[1] == 1:
            tokens = [f"{token:.0f}" for token in values[:, 0]]
        if tokens is not None and len(tokens) != len(values):
            raise ValueError(f"tokens has {len(tokens)} texts for {len(values)} steps.")
        display = cls(
            np.reshape(shown, (len(values), -1)),
            values,
            tokens=tokens,
            feature_names=_names(estimator, values.shape[1], feature_names),
            label=label.format(_name(estimator, X, target, explained.score)),
        )
        return display.plot(ax, cmap=cmap)

    def plot(self, ax: Any = None, *, cmap: str = "RdBu_r") -> Self:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new one if None.
        cmap : str or Colormap, default="RdBu_r"
            Colours from negative to positive contributions.

        Returns
        -------
        display : AttributionDisplay
        """
        is_new, ax = ax is None, self._axes(ax)
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        largest = float(np.abs(self.attributions).max()) or 1.0
        colors = ScalarMappable(Normalize(-largest, largest), cmap)
        below: Any = {}
        if self.tokens is not None:
            if is_new:  # the layout gives the axes their width
                ax.set_axis_off()
                self.figure_.draw_without_rendering()
            n_lines = self._draw_text(ax, colors)
            if is_new:
                height = (1.6 * n_lines + 5) * LINE_POINTS / 72
                self.figure_.set_size_inches(6.4, height)
            below = {"location": "bottom", "aspect": 40, "shrink": 0.6}
        elif self.values.shape[1] == 1:
            self._draw_series(ax, colors)
        else:
            self._draw_map(ax, colors)
        bar = self.figure_.colorbar(colors, ax=ax, **below)
        bar.set_label(self.label)
        bar.outline.set_visible(False)
        return self

    def _draw_series(self, ax, colors):
        steps = np.arange(len(self.values))
        for step, value in zip(steps, self.attributions[:, 0], strict=True):
            color = colors.to_rgba(value)
            ax.axvspan(step - 0.5, step + 0.5, color=color, linewidth=0)
        marker = "o" if len(steps) <= 100 else None
        ax.plot(steps, self.values[:, 0], color="black", marker=marker, markersize=3)
        ax.set(xlim=(-0.5, len(steps) - 0.5), xlabel="step")
        ax.set_ylabel(self.feature_names[0] if self.feature_names else "value")
        _whole_ticks(ax.xaxis)

    def _draw_map(self, ax, colors):
        shown = self.attributions.T
        ax.imshow(
            shown,
            cmap=colors.cmap,
            norm=colors.norm,
            aspect="auto",
            interpolation="nearest",
        )
        ax.set_xlabel("step")
        _whole_ticks(ax.xaxis)
        if self.feature_names and len(shown) <= MAX_NAMED_TOKENS:
            ax.set_yticks(range(len(shown)), self.feature_names)
        else:
            ax.set_ylabel("channel")
            _whole_ticks(ax.yaxis)

    def _draw_text(self, ax, colors):
        """Set the tokens as text; return the number of lines."""
        ax.set_axis_off()
        total = self.attributions.sum(axis=1)
        texts = []
        for token, value in zip(self.tokens, total, strict=True):
            behind = colors.to_rgba(value)
            text = ax.annotate(
                token if str(token).strip() else "\N{OPEN BOX}",
                xy=(0, 1),
                xycoords="axes fraction",
                xytext=(0, 0),
                textcoords="offset points",
                color=_legible_on(behind),
                bbox={"facecolor": behind, "linewidth": 0, "pad": PAD_POINTS},
                family="monospace",
                va="top",
            )
            text.set_in_layout(False)
            texts.append(text)
        return _flow(ax, texts, _pieces(self.tokens))


class AttentionDisplay(_Display):
    """How much each step of a sequence counts in a model with attention.

    Parameters
    ----------
    weights : ndarray of shape (length,)
        The weights of one sequence.
    tokens : sequence of str of length `length`, default=None
        The texts of the steps.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    attention_weights : What is drawn.
    """

    def __init__(
        self, weights: np.ndarray, *, tokens: Sequence[str] | None = None
    ) -> None:
        self.weights = weights
        self.tokens = tokens

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        sequence: ArrayLike,
        *,
        tokens: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Self:
        """Compute and draw the weights of one sequence.

        Parameters
        ----------
        estimator : RNNRegressor or RNNClassifier
            A fitted network with ``pooling="attention"``.
        sequence : array-like or DataFrame of shape (length, n_channels) or (length,)
            One sample.
        tokens : sequence of str, default=None
            The text of each step.
        ax : matplotlib Axes, default=None
            Where to draw; a new one if None.

        Returns
        -------
        display : AttentionDisplay
        """
        check_network(estimator)
        weights = attention_weights(estimator, _data_set(estimator, sequence))[0]
        if tokens is not None and len(tokens) != len(weights):
            raise ValueError(
                f"tokens has {len(tokens)} texts for {len(weights)} steps."
            )
        return cls(weights, tokens=tokens).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the weights, with that of all steps alike for comparison.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new one if None.

        Returns
        -------
        display : AttentionDisplay
        """
        ax = self._axes(ax)
        steps, n = np.arange(len(self.weights)), len(self.weights)
        ax.bar(steps, self.weights, width=0.8 if n <= 60 else 1.0, color=COLORS[0])
        ax.axhline(
            1 / n, color="black", linestyle="--", linewidth=1, label="all steps alike"
        )
        ax.set(ylabel="attention weight", xlim=(-0.6, n - 0.4))
        if self.tokens is not None and n <= MAX_NAMED_TOKENS:
            is_long = max(map(len, self.tokens)) > 2
            ax.set_xticks(steps, self.tokens, rotation=90 if is_long else 0)
        else:
            ax.set_xlabel("step")
            _whole_ticks(ax.xaxis)
        ax.legend(frameon=False)
        _without_frame(ax)
        return self


class GradientNormDisplay(_Display):
    """How much of the loss's gradient reaches each step, a curve for each layer.

    Parameters
    ----------
    norms : ndarray of shape (n_layers, n_steps)
        The mean norms of the gradient.
    align : {"end", "start"}, default="end"
        Whether the last column is the last step of all sequences, or the first column
        their first.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    gradient_norms : What is drawn.
    """

    def __init__(self, norms: np.ndarray, *, align: str = "end") -> None:
        self.norms = norms
        self.align = align

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, align: str = "end", ax: Any = None
    ) -> Self:
        """Compute and draw the norms.

        Parameters
        ----------
        estimator : RNNRegressor or RNNClassifier
            A fitted network.
        X : array-like, list of arrays, Sequences or DataFrame of n_samples sequences
            In any of the forms that the estimator takes.
        y : array-like
            Targets.
        align : {"end", "start"}, default="end"
            See :func:`gradient_norms`.
        ax : matplotlib Axes, default=None
            Where to draw; a new one if None.

        Returns
        -------
        display : GradientNormDisplay
        """
        return cls(gradient_norms(estimator, X, y, align=align), align=align).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the norms on a logarithmic scale.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new one if None.

        Returns
        -------
        display : GradientNormDisplay
        """
        ax = self._axes(ax)
        steps = np.arange(self.norms.shape[1])
        label = "step"
        if self.align == "end":
            steps, label = steps - len(steps) + 1, "step, counted from the last"
        marker = "o" if len(steps) <= 50 else None
        for layer, norms in enumerate(self.norms):
            ax.plot(
                steps,
                np.where(norms > 0, norms, np.nan),
                color=COLORS[layer % len(COLORS)],
                marker=marker,
                markersize=3,
                label=f"layer {layer}",
            )
        ax.set(
            yscale="log",
            xlabel=label,
            ylabel="norm of the gradient",
        )
        if len(self.norms) > 1:
            ax.legend(frameon=False)
        _whole_ticks(ax.xaxis)
        _without_frame(ax)
        return self


class LossCurveDisplay(_Display):
    """The loss of each epoch, and the validation scores where there are any.

    Parameters
    ----------
    loss_curve : sequence of float
        The loss of each epoch.
    validation_scores : sequence of float, default=None
        The scores of the validation set.
    score_name : str, default="validation score"
        What they are called.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Of the loss.
    score_ax_ : matplotlib Axes or None
        Of the scores.
    figure_ : matplotlib Figure
    """

    score_ax_: Any

    def __init__(
        self,
        loss_curve: Sequence[float],
        *,
        validation_scores: Sequence[float] | None = None,
        score_name: str = "validation score",
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_scores = validation_scores
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, yscale: str = "linear"
    ) -> Self:
        """Draw the course of training of a fitted network.

        Parameters
        ----------
        estimator : RNNRegressor or RNNClassifier
            A fitted network.
        ax : matplotlib Axes, default=None
            Where to draw; a new one if None.
        yscale : {"linear", "log"}, default="linear"
            Scale of the loss.

        Returns
        -------
        display : LossCurveDisplay
        """
        check_network(estimator)
        name = "accuracy" if is_classifier(estimator) else "score"
        if isinstance(estimator.scoring, str):
            name = estimator.scoring
        elif estimator.scoring is not None:
            name = "score"
        display = cls(
            estimator.loss_curve_,
            validation_scores=estimator.validation_scores_,
            score_name=f"validation {name}",
        )
        return display.plot(ax, yscale=yscale)

    def plot(self, ax: Any = None, *, yscale: str = "linear") -> Self:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new one if None.
        yscale : {"linear", "log"}, default="linear"
            Scale of the loss.

        Returns
        -------
        display : LossCurveDisplay
        """
        ax = self._axes(ax)
        self.score_ax_ = None
        epochs = np.arange(1, len(self.loss_curve) + 1)
        ax.plot(epochs, self.loss_curve, color=COLORS[0])
        ax.set(yscale=yscale, xlabel="epoch", ylabel="training loss")
        _whole_ticks(ax.xaxis)
        _without_frame(ax)
        if self.validation_scores is not None:
            self.score_ax_ = other = ax.twinx()
            scores = np.asarray(self.validation_scores)
            first = len(epochs) - len(scores)  # after partial_fit there are fewer
            other.plot(epochs[first:], scores, color=COLORS[1])
            ax.yaxis.label.set_color(COLORS[0])
            other.set_ylabel(self.score_name, color=COLORS[1])
            other.spines["top"].set_visible(False)
        return self


# --- what they share ------------------------------------------------------------------


def _data_set(estimator, sequence):
    """Return a data set of one sample, with the names of the channels that fit saw."""
    if hasattr(sequence, "iloc"):
        return [sequence]
    array = np.asarray(sequence)
    names = getattr(estimator, "feature_names_in_", None)
    n_channels = 1 if array.ndim == 1 else array.shape[-1]
    if names is None or len(names) != n_channels:  # of the columns of 2-D X
        return [array]
    import pandas as pd

    return [pd.DataFrame(array, columns=names)]


def _names(estimator, n_channels, names):
    """Return the names of the channels, or None."""
    if names is None:
        names = getattr(estimator, "feature_names_in_", None)
        if names is None or len(names) != n_channels:  # of the columns of 2-D X
            return None
    if len(names) != n_channels:
        raise ValueError(
            f"feature_names has {len(names)} names for {n_channels} channels."
        )
    return list(names)


def _name(estimator, X, target, score):
    """Return what is predicted, in words."""
    if target is None and is_classifier(estimator):
        if estimator._architecture.pooling is not None:
            return f"the score of class {estimator.predict(X)[0]}"
    return score.name


def _whole_ticks(axis):
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def _without_frame(ax):
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _legible_on(color):
    """Return black or white, by the luminance of what is behind."""
    luminance = np.dot([0.299, 0.587, 0.114], color[:3])
    return "black" if luminance > 0.5 else "white"


def _pieces(tokens):
    """Return runs of tokens that stay on one line: words of single characters."""
    if any(len(token) > 1 for token in tokens):
        return [[i] for i in range(len(tokens))]
    pieces = [[]]
    for i, token in enumerate(tokens):
        pieces[-1].append(i)
        if not token.strip():
            pieces.append([])
    return pieces


def _flow(ax, texts, pieces):
    """Set texts side by side, in lines; return how many there are."""
    from matplotlib.transforms import Bbox

    renderer = ax.figure.canvas.get_renderer()
    points = 72 / ax.figure.dpi
    boxes = [Bbox(text.get_window_extent(renderer).get_points()) for text in texts]
    width = ax.get_window_extent(renderer).width * points
    # characters touch, words do not
    gap = (2 if len(pieces) < len(texts) else 3) * PAD_POINTS
    x, line = PAD_POINTS, 0
    for piece in pieces:
        widths = [boxes[i].width * points + gap for i in piece]
        if x > PAD_POINTS and x + sum(widths) > width:
            x, line = PAD_POINTS, line + 1
        for i, advance in zip(piece, widths, strict=True):
            if x > PAD_POINTS and x + advance > width:  # a word longer than a line
                x, line = PAD_POINTS, line + 1
            texts[i].xyann = (x, -PAD_POINTS - 1.6 * LINE_POINTS * line)
            x += advance
    return line + 1
