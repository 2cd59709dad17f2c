"""scikit-learn's callbacks, with a stand-in where scikit-learn is older than 1.9."""

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9

    def with_callbacks(method):
        """Leave the method as it is."""
        return method

    class _NoContext:
        """A context without callbacks."""

        def subcontext(self, **kwargs):
            return self

        def call_on_fit_task_begin(self, **kwargs):
            return self

        def call_on_fit_task_end(self, **kwargs):
            return False

    class CallbackSupportMixin:
        """Give an estimator a callback context that does nothing."""

        def _init_callback_context(self, **kwargs):
            return _NoContext()


__all__ = ["CallbackSupportMixin", "with_callbacks"]
