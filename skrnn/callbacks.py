"""scikit-learn's callbacks, with a stand-in where scikit-learn is older than 1.9."""


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

__all__ = ["CallbackSupportMixin", "with_callbacks"]
