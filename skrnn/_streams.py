"""What predicts one step at a time."""

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted, check_scalar

from skrnn._deferred import Stream, keep_stream, network_of, take_stream


class StreamingMixin:
    """`initial_state` and `step` of the estimators."""

    # of BaseRNN
    _inputs: Any
    unknown_tokens: str
    _response: Callable

    def initial_state(self, n_samples: int = 1) -> np.ndarray:
        """Return the states of streams of which no step is known yet.

        Parameters
        ----------
        n_samples : int, default=1
            How many streams there are, side by side.

        Returns
        -------
        state : ndarray of shape (n_samples, n_state)
            Plain numbers, for `step`. Rows may be taken out, put together with those of
            other times, and stored.
        """
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        stream = self._stream(1)
        keep_stream(stream, 1)
        n_more = self._inputs.n_remembered
        state = np.zeros((n_samples, stream.n_states + n_more), stream.source.dtype)
        state[:, : stream.n_states] = stream.initial
        return state

    def step(
        self, x: ArrayLike, state: np.ndarray, *, response_method: str = "predict"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Take streams a step further: predict from all steps so far.

        The same as predicting the whole sequences so far, but for rounding, without
        going through them again. A step that is skipped, with ``missing="mask"`` or as
        `padding_token`, changes neither the state nor the prediction: leave its stream
        out of the call, as in ``model.step(x[rows], state[rows])``.

        Parameters
        ----------
        x : array-like of shape (n_samples, n_channels)
            The next step of each stream; with `steps_per_frame` the next frame, of
            shape (n_samples, steps_per_frame, n_channels).
        state : ndarray of shape (n_samples, n_state)
            What `initial_state`, or the step before, returned. It is not changed.
        response_method : {"predict", "predict_proba", "decision_function"}, \
                default="predict"
            What to return of the predictions.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            As that method returns it for n_samples sequences.
        state : ndarray of shape (n_samples, n_state)
            The new states.

        Raises
        ------
        ValueError
            If x or the state has another shape; if x has a value that is not finite,
            except for NaN with ``missing="indicator"``, a step that is skipped, or a
            token beyond the vocabulary; or if predictions need later steps
            (`bidirectional`).

        Examples
        --------
        >>> import numpy as np
        >>> from skrnn import RNNRegressor
        >>> X = np.random.default_rng(0).normal(size=(50, 8, 1))
        >>> model = RNNRegressor((4,), max_iter=5, tol=0, n_iter_no_change=np.inf)
        >>> model = model.fit(X, X.sum(axis=(1, 2)))
        >>> state = model.initial_state(50)
        >>> for t in range(8):
        ...     y, state = model.step(X[:, t], state)
        >>> bool(np.allclose(y, model.predict(X)))
        True
        """
        if getattr(state, "ndim", 0) != 2:
            raise ValueError(
                "state must be an array with a row for each stream: pass what "
                "initial_state or step returned."
            )
        n = len(state)
        stream, inputs, memory = self._stream(n), self._inputs, None
        if not inputs.is_plain:  # else the stream checks it
            shape = n, stream.n_states + inputs.n_remembered
            if state.shape != shape:
                raise ValueError(
                    f"state has shape {state.shape}, expected {shape}: pass what "
                    "initial_state or step returned."
                )
            memory = state[:, stream.n_states :]
            x, memory = inputs.next_step(x, memory, self.unknown_tokens)
            state = state[:, : stream.n_states]
        raw, following = stream.advance(x, state)
        keep_stream(stream, n)
        if memory is not None:
            following = np.hstack([following, memory])
        return self._response(raw, response_method), following

    def _stream(self, n_samples):
        """Return a `Stream` of the parameters as they are."""
        if not hasattr(self, "_parameters"):  # quicker than what says so
            check_is_fitted(self)
        stream = take_stream(self._parameters, n_samples)
        if stream is not None:
            return stream
        network = network_of(self._architecture)
        if not network.is_causal:
            raise ValueError(
                "With bidirectional=True predictions need the whole sequence: there is "
                "no state that a step could go on from."
            )
        return Stream(network, self._parameters, *self._standardization(), n_samples)
