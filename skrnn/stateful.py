"""Training on streams: each minibatch goes on where the one before has ended.

The gradient goes back to the beginning of a minibatch, the states come from before it:
truncated back-propagation through time (Williams and Peng 1990) along as many streams
as a minibatch has samples.
"""

import math

import numpy as np

from skrnn.recording import run
from skrnn.threads import Threads
from skrnn.training import Trainer


class StatefulTrainer(Trainer):
    """A `Trainer` for which sample i of a minibatch continues sample i of the last one.

    The samples of a minibatch must be as long as each other, and the rows in order: an
    epoch is not to shuffle them. It begins with the initial states.

    Parameters
    ----------
    *args, **kwargs
        Those of `Trainer`. The network must be causal.
    """

    _max_slots = math.inf  # each shard has its own workspace, in which its states stay

    def threads(self):
        """Return the `Threads` for epochs."""
        self._workspaces = [self._make_workspace() for _ in self._slots]
        for workspace in self._workspaces:
            workspace.record_pieces()
        return Threads(self.n_threads, lambda: None)

    def epoch(self, *args, **kwargs):
        """Go along the streams from their beginning; return the mean loss."""
        for workspace in self._workspaces:
            run(workspace.reset)
        return super().epoch(*args, **kwargs)

    def _workspace(self, own, slot):
        return self._workspaces[slot]

    def _on_one_thread(self, *args):
        work = super()._on_one_thread if len(self._slots) == 1 else self._on_threads
        work(*args)


class Segments:
    """Streams cut into segments: a data set for `StatefulTrainer`.

    Numbers in a row are cut into as many streams as a minibatch has samples, all as
    long, and these into segments. Those that lie at the same place of their streams
    come together: sample ``p * n_streams + s`` is segment p of stream s.

    Parameters
    ----------
    numbers : ndarray of shape (n,)
        What is left over behind whole streams is not used.
    n_streams : int
    n_steps : int
        Of a segment; the last ones of the streams may be shorter.
    n_total : int
        Numbers of all streams.
    """

    n_channels = 1

    def __init__(self, numbers, n_streams, n_steps):
        self._n_streams = n_streams
        self._stream_length = len(numbers) // n_streams
        self._n_steps = n_steps
        self._numbers = numbers
        begins = np.arange(0, self._stream_length, n_steps)
        lengths = np.minimum(n_steps, self._stream_length - begins)
        self.lengths = np.repeat(lengths, n_streams)

    def __len__(self):
        """The number of segments."""
        return len(self.lengths)

    def take(self, rows):
        """Return the numbers of some segments, (n_steps_total, 1)."""
        place, stream = np.divmod(np.arange(len(self))[rows], self._n_streams)
        starts = stream * self._stream_length + place * self._n_steps
        lengths = self.lengths[rows]
        first = lengths.cumsum() - lengths
        steps = np.arange(lengths.sum()) + np.repeat(starts - first, lengths)
        return self._numbers[steps, np.newaxis]
