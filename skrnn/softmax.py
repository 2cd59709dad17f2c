"""Probabilities of many classes from hidden states, in NumPy.

What predicts needs no gradients and few steps at a time, and BLAS is quick at it. Use
`skrnn.threads.one_blas_thread` where the last digits must not hang on the machine.
"""

import numpy as np

from skrnn.layers import AdaptiveSoftmax

BLOCK_BYTES = 2**24  # of the predictions of all classes that are held at a time


def softmax_of(network, parameters):
    """Return the softmax over the outputs of a network.

    Parameters
    ----------
    network : Network
        With an output layer: plain, tied or adaptive.
    parameters : ndarray of shape (n_parameters,)
        Its flat vector, which is read, not copied.

    Returns
    -------
    softmax : Softmax or AdaptiveLogSoftmax
        It takes the states below the output, and below its projection: those that the
        same architecture with ``n_outputs=0`` gives.

    Examples
    --------
    >>> import numpy as np
    >>> from skrnn.architecture import Architecture
    >>> from skrnn.network import network_of
    >>> network = network_of(Architecture("gru", "tanh", 1, (2,), 3, pooling=None))
    >>> parameters = np.zeros(network.layout.size)
    >>> softmax = softmax_of(network, parameters)
    >>> np.exp(softmax.log_probabilities(np.ones((1, 2)))).round(3)
    array([[0.333, 0.333, 0.333]])
    """
    own = dict(
        zip(network.layers, network.parameters_of_layers(parameters), strict=True)
    )
    layer, output = network.layers["output"], own["output"]
    if isinstance(layer, AdaptiveSoftmax):
        return _adaptive(layer, output)
    weights = output["table"].T if "table" in output else output["weights"]
    return Softmax(weights, output["bias"], own.get("projection"))


def _adaptive(layer, parameters):
    tails = []
    for i in range(len(layer.ends) - 1):
        below, above = (
            {key: parameters[f"tails.{i}.{name}.{key}"] for key in ("weights", "bias")}
            for name in ("projection", "classes")
        )
        tails.append(Softmax(above["weights"], above["bias"], below))
    return AdaptiveLogSoftmax(
        Softmax(parameters["weights"], parameters["bias"]), tails, layer.ends
    )


def _blocks(n_rows, n_classes, itemsize):
    """Cut rows into slices whose predictions of all classes take little memory."""
    n = max(1, BLOCK_BYTES // (n_classes * itemsize))
    return [slice(first, first + n) for first in range(0, n_rows, n)]


def _check_targets(targets, n_classes):
    outside = np.flatnonzero((targets < 0) | (targets >= n_classes))
    if len(outside):
        row = outside[0]
        raise ValueError(
            f"Class {targets[row]} of row {row} is none of the {n_classes}, 0 to "
            f"{n_classes - 1}."
        )


class Softmax:
    """Logarithms of the probabilities of the classes of an affine map.

    Parameters
    ----------
    weights : ndarray of shape (n_inputs, n_classes)
    bias : ndarray of shape (n_classes,)
    projection : dict of str to ndarray, default=None
        The "weights" and "bias" of an affine map from the states to these inputs.
    """

    def __init__(self, weights, bias, projection=None):
        self._weights = weights
        self._bias = bias
        self._projection = projection
        self.n_classes = len(bias)

    def _raw(self, hidden):
        if self._projection is not None:
            hidden = hidden @ self._projection["weights"] + self._projection["bias"]
        raw = hidden @ self._weights
        raw += self._bias
        return raw

    def log_probabilities(self, hidden):
        """Return those of all classes.

        Parameters
        ----------
        hidden : ndarray of shape (n_rows, n_units)

        Returns
        -------
        logs : ndarray of shape (n_rows, n_classes)
        """
        dtype = np.result_type(hidden, self._bias)
        logs = np.empty((len(hidden), self.n_classes), dtype)
        for rows in _blocks(len(hidden), self.n_classes, dtype.itemsize):
            raw = self._raw(hidden[rows])
            np.subtract(raw, _log_of_sum(raw)[:, None], out=logs[rows])
        return logs

    def log_probability_of(self, hidden, targets):
        """Return that of one class in each row, in memory that does not grow with them.

        Parameters
        ----------
        hidden : ndarray of shape (n_rows, n_units)
        targets : ndarray of int of shape (n_rows,)
            The classes.

        Returns
        -------
        logs : ndarray of shape (n_rows,)

        Raises
        ------
        ValueError
            If a target is not a class.
        """
        _check_targets(targets, self.n_classes)
        dtype = np.result_type(hidden, self._bias)
        logs = np.empty(len(hidden), dtype)
        for rows in _blocks(len(hidden), self.n_classes, dtype.itemsize):
            raw = self._raw(hidden[rows])
            chosen = raw[np.arange(len(raw)), targets[rows]]
            logs[rows] = chosen - _log_of_sum(raw)
        return logs


def _log_of_sum(raw):
    """Return the logarithm of the sum of the powers of e, row by row."""
    largest = raw.max(axis=1)
    return largest + np.log(np.exp(raw - largest[:, None]).sum(axis=1))


class AdaptiveLogSoftmax:
    """Logarithms of the probabilities of classes of a head and of tails.

    Parameters
    ----------
    head : Softmax
        Of the classes before the first tail, and of the tails.
    tails : list of Softmax
    ends : sequence of int
        The number of classes of the head and of each further tail, added up.
    """

    def __init__(self, head, tails, ends):
        self._head = head
        self._tails = tails
        self._ends = ends
        self.n_classes = ends[-1]

    def _spans(self):
        """Yield each tail with its row of the head, and its first class and the end."""
        first = self._ends[0]
        spans = zip(self._tails, self._ends[:-1], self._ends[1:], strict=True)
        for i, (tail, low, high) in enumerate(spans):
            yield tail, first + i, low, high

    def log_probabilities(self, hidden):
        """Do as `Softmax.log_probabilities`."""
        first, head = self._ends[0], self._head.log_probabilities(hidden)
        logs = np.empty((len(hidden), self.n_classes), head.dtype)
        logs[:, :first] = head[:, :first]
        for tail, row, low, high in self._spans():
            for rows in _blocks(len(hidden), high - low, head.itemsize):
                of_tail = tail.log_probabilities(hidden[rows])
                np.add(of_tail, head[rows, row, None], out=logs[rows, low:high])
        return logs

    def log_probability_of(self, hidden, targets):
        """Do as `Softmax.log_probability_of`, with a tail for its own classes only."""
        _check_targets(targets, self.n_classes)
        in_head = targets.copy()
        for _, row, low, high in self._spans():
            in_head[(low <= targets) & (targets < high)] = row
        logs = self._head.log_probability_of(hidden, in_head)
        for tail, _, low, high in self._spans():
            rows = np.flatnonzero((low <= targets) & (targets < high))
            if len(rows):
                logs[rows] += tail.log_probability_of(hidden[rows], targets[rows] - low)
        return logs
