"""scikit-learn's callbacks, with a stand-in where scikit-learn is older than 1.9."""

from collections.abc import Callable
from numbers import Integral
from typing import Any


class _NoContext:
    """A context of no callbacks."""

    def subcontext(self, **kwargs):
        return self

    def call_on_fit_task_begin(self, **kwargs):
        return self

    def call_on_fit_task_end(self, **kwargs):
        return False


class _NoCallbacks:
    """What an estimator asks of ``CallbackSupportMixin``, without callbacks."""

    def _init_callback_context(self, **kwargs):
        return _NoContext()


def _unchanged(method):
    return method


try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9
    CallbackSupportMixin = _NoCallbacks
    with_callbacks = _unchanged

__all__ = ["CallbackSupportMixin", "TextSample", "with_callbacks"]


class TextSample:
    """Write on from a prompt after epochs of training, to see what was learned.

    For `RNNLanguageModel.set_callbacks`, with scikit-learn 1.9 or newer.

    Parameters
    ----------
    prompt : str, default=""
        How the text begins.
    length : int, default=200
        Tokens to add at most.
    every : int, default=1
        After so many epochs, and again after as many.
    write : callable, default=print
        Called with a str: the number of the epoch, its loss, and the text.
    **options
        Of `RNNLanguageModel.generate`.

    Raises
    ------
    ValueError
        By fit, if `every` is not a positive integer.
    TypeError
        By fit, if the estimator cannot generate texts.

    Examples
    --------
    >>> from skrnn import RNNLanguageModel
    >>> from skrnn.callbacks import TextSample
    >>> model = RNNLanguageModel(8, max_iter=2, random_state=0)
    >>> sample = TextSample("to be", 10, temperature=0.5)
    >>> model = model.set_callbacks(sample)  # doctest: +SKIP
    """

    def __init__(
        self,
        prompt: str = "",
        length: int = 200,
        *,
        every: int = 1,
        write: Callable[[str], Any] = print,
        **options: Any,
    ) -> None:
        self.prompt = prompt
        self.length = length
        self.every = every
        self.write = write
        self.options = options

    def setup(self, estimator, context):
        """Raise if there will be no text, before anything is trained."""
        if not isinstance(self.every, Integral) or self.every < 1:
            raise ValueError(f"every must be a positive integer, got {self.every!r}.")
        if not hasattr(estimator, "generate"):
            raise TypeError(
                "TextSample shows what an RNNLanguageModel generates, not what a "
                f"{type(estimator).__name__} does."
            )

    def teardown(self, estimator, context):
        """Nothing is to be cleared away."""

    def on_fit_task_begin(self, estimator, context, **kwargs):
        """Nothing is written before an epoch."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None, **kwargs):
        """Write a text after an epoch; never stop training."""
        if context.task_name == "epoch" and estimator.n_iter_ % self.every == 0:
            text = fitted_estimator.generate(self.prompt, self.length, **self.options)
            n, loss = estimator.n_iter_, estimator.loss_
            self.write(f"Iteration {n}, loss = {loss:.4f}:\n{text}")
        return False
