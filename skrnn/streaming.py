"""One step at a time, for many streams side by side; their states are plain arrays."""

import numpy as np

from skrnn._jit import kernel
from skrnn.lanes import prediction_lanes
from skrnn.network import (
    KeptStates,
    PackedParameters,
    PredictionWorkspace,
    bring_in,
    bring_out,
    load,
)
from skrnn.recording import Recording, replay, run

# Streams whose buffers are kept for the next step.
N_KEPT = 8


class Stream:
    """The buffers that take some streams a step further.

    Parameters
    ----------
    network : Network
        Causal.
    parameters : ndarray of shape (n_parameters,)
        Read now, not later.
    mean, inverse_scale : ndarray of shape (n_channels,)
        How channels are standardized.
    n_streams : int

    Attributes
    ----------
    n_states : int
        Numbers that a stream's state has.
    initial : ndarray of shape (n_states,)
    """

    def __init__(self, network, parameters, mean, inverse_scale, n_streams):
        dtype = parameters.dtype
        self.source = parameters  # its identity tells whether this is up to date
        self._parameters = parameters.copy()
        lanes = prediction_lanes(dtype, n_streams, network.may_overflow)
        packed = PackedParameters(network, self._parameters, lanes, training=False)
        self._workspace = workspace = PredictionWorkspace(network, packed, 1)
        states = KeptStates(workspace.stack, lanes)
        self._state, self.n_states = states.array, states.array.shape[1]
        self._calls, self._take_out = Recording(), Recording()
        states.record(self._calls, bring_in)
        self._calls.extend(workspace._calls)
        self._calls.extend(workspace._carry_calls)
        states.record(self._take_out, bring_out)
        self._calls.extend(self._take_out)
        self._program = self._calls.program()
        begin = Recording()
        begin.extend(workspace._reset_calls)
        begin.extend(self._take_out)
        run(begin.program())
        self.initial = self._state[0].copy()
        self._dtype = dtype
        self._x_shape = n_streams, network.n_inputs
        self._state_shape = n_streams, self.n_states
        self._raw_shape = n_streams, network.n_outputs
        self._arrays = (
            np.arange(n_streams, dtype=np.int64),
            np.ones(n_streams, np.int64),
            mean,
            inverse_scale,
            workspace.x,
            workspace.shard.lengths,
            workspace.shard.n_steps,
            self._state,
            workspace.raw,
        )

    def advance(self, x, state):
        """Return the raw predictions after a step, and the states.

        Parameters
        ----------
        x : array-like of shape (n_streams, n_channels)
        state : ndarray of shape (n_streams, n_states)

        Returns
        -------
        raw : ndarray of shape (n_streams, n_outputs)
        state : ndarray of shape (n_streams, n_states)
        """
        x = self._checked(x, "x", self._x_shape)
        state = self._checked(state, "state", self._state_shape)
        raw = np.empty(self._raw_shape, self._dtype)
        following = np.empty(self._state_shape, self._dtype)
        if not _advance(self._program, x, *self._arrays, state, following, raw):
            if np.isfinite(x).all():
                stream = np.argwhere(~np.isfinite(state))[0, 0]
                raise ValueError(f"The state of stream {stream} is not finite.")
            stream, channel = np.argwhere(~np.isfinite(x))[0]
            raise ValueError(
                f"x has {x[stream, channel]} in stream {stream}, channel {channel}. "
                "Leave such streams out, step(x[rows], state[rows]), or impute what is "
                "missing."
            )
        return raw, following

    def _checked(self, array, name, shape):
        if type(array) is not np.ndarray or array.dtype is not self._dtype:
            array = np.asarray(array)
            if name == "state" and array.dtype != self._dtype:
                raise ValueError(
                    f"The state has dtype {array.dtype}, expected {self._dtype}: pass "
                    "what initial_state or step returned."
                )
            array = array.astype(self._dtype)
        if array.shape != shape:
            raise ValueError(
                f"{name} has shape {array.shape}, expected {shape}: a row for each "
                "stream."
            )
        return array if array.flags.c_contiguous else np.ascontiguousarray(array)


@kernel
def _advance(
    program,
    values,
    starts,
    lengths,
    mean,
    inverse_scale,
    x,
    held,
    n_steps,
    state,
    raw,
    before,
    after,
    out,
):
    """Write raw predictions and states after a step; return whether all is finite.

    If x or the states before are not, nothing is done: NaN would stay in the buffers.
    """
    for i in range(len(values)):
        for channel in range(values.shape[1]):
            if not np.isfinite(values[i, channel]):
                return False
        for k in range(before.shape[1]):
            if not np.isfinite(before[i, k]):
                return False
    n_lanes = len(held)
    for begin in range(0, len(values), n_lanes):
        end = min(begin + n_lanes, len(values))
        n_steps[1] = 0
        load(values, starts, lengths, mean, inverse_scale, begin, end, x, held, n_steps)
        n_steps[1] = 1  # there may have been steps before: the state says
        for i in range(begin, end):
            for k in range(state.shape[1]):
                state[i - begin, k] = before[i, k]
        replay(program)
        for i in range(begin, end):
            for k in range(out.shape[1]):
                out[i, k] = raw[0, k, i - begin]
            for k in range(state.shape[1]):
                after[i, k] = state[i - begin, k]
    return True


# Streams of the last steps while nobody uses them; as in `skrnn.prediction` without a
# lock.
_kept: dict = {}


def take_stream(parameters, n_streams):
    """Return a `Stream` that was kept, or None; `keep_stream` gives it back.

    Parameters
    ----------
    parameters : ndarray of shape (n_parameters,)
        An array that does not change: other parameters are another array.
    n_streams : int
    """
    return _kept.pop((id(parameters), n_streams), None)


def keep_stream(stream, n_streams):
    """Keep a stream, and with it the parameters it was made of, for the next step."""
    _kept[id(stream.source), n_streams] = stream
    if len(_kept) > N_KEPT:
        for oldest in list(_kept)[:-N_KEPT]:
            _kept.pop(oldest, None)
