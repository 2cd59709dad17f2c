"""The probabilities of the next token, from all tokens before it."""

from dataclasses import replace

import numpy as np

from skrnn._deferred import Stream, network_of, raw_by_pieces, softmax
from skrnn.sequences import Rows, Sequences
from skrnn.text.documents import BOUNDARY
from skrnn.threads import Threads, one_blas_thread

# Texts that a thread reads side by side.
AT_ONCE = 32


class NextToken:
    """A fitted language model as what reads on, text by text.

    Parameters
    ----------
    architecture : Architecture
        With an output for each token.
    parameters : ndarray of shape (n_parameters,)
    """

    def __init__(self, architecture, parameters):
        body = replace(architecture, n_outputs=0, tied=False, cutoffs=())
        self._network = network_of(body)
        self._parameters = parameters[: self._network.layout.size]
        self._softmax = softmax.softmax_of(network_of(architecture), parameters)
        self._streams = {}

    def of_texts(self, ids, closes, n_threads=1):
        """Return the log-probability of each text.

        Parameters
        ----------
        ids : list of ndarray of intp
            The tokens of each text.
        closes : bool
            Whether the end of a text counts.
        n_threads : int, default=1
            They read different texts.

        Returns
        -------
        logs : ndarray of float64 of shape (n_texts,)
        """
        end = np.full(int(closes), BOUNDARY)
        targets = [np.append(text, end) for text in ids]
        inputs = [np.append(BOUNDARY, text[:-1]) for text in targets]
        lengths = np.array([len(text) for text in targets])
        starts = lengths.cumsum() - lengths
        values = np.concatenate(inputs).astype(np.float32)[:, np.newaxis]
        data = Sequences._of(values, starts, lengths, None, None)
        tokens, logs = np.concatenate(targets), np.zeros(len(ids))

        def read(_, some):
            pieces = raw_by_pieces(self._network, self._parameters, Rows(data, some))
            for rows, steps, hidden in pieces:
                now = tokens[starts[some[rows]] + steps]
                found = self._softmax.log_probability_of(hidden, now)
                np.add.at(logs, some[rows], found)

        order = np.argsort(-lengths, kind="stable")
        # the same parts for any number of threads, for the bits of BLAS hang on them
        parts = [order[i : i + AT_ONCE] for i in range(0, len(order), AT_ONCE)]
        flops = self._network.flops(int(lengths.sum()))
        # one BLAS thread, that a search in several processes finds the same
        with one_blas_thread(), Threads(n_threads, object) as threads:
            threads.map(read, parts, flops)
        return logs

    def begin(self, ids):
        """Read the beginning of a text.

        Parameters
        ----------
        ids : ndarray of intp of shape (n,)
            Tokens behind the boundary; there may be none.

        Returns
        -------
        hidden, state : ndarray of shape (1, n_units) and (1, n_state)
            What `log_probabilities` and `advance` take.
        """
        state = self._stream(1).initial[np.newaxis]
        for token in (BOUNDARY, *ids):
            hidden, state = self.advance([token], state)
        return hidden, state

    def advance(self, tokens, state):
        """Read one more token of each text; return as `begin`, a row for each.

        Parameters
        ----------
        tokens : array-like of int of shape (n,)
        state : ndarray of shape (n, n_state)
        """
        x = np.asarray(tokens, dtype=np.float32)[:, np.newaxis]
        return self._stream(len(x)).advance(x, state)

    def log_probabilities(self, hidden):
        """Return those of all tokens, an array of shape (n, n_tokens)."""
        return self._softmax.log_probabilities(hidden)

    def _stream(self, n):
        """Return what advances so many texts."""
        if n not in self._streams:
            channels = np.zeros(1, np.float32), np.ones(1, np.float32)
            self._streams[n] = Stream(self._network, self._parameters, *channels, n)
        return self._streams[n]
