"""Recurrent networks, one sequence at a time, as their equations read.

Weights are those of skrnn by name: a matrix with a row for each input and its gates
side by side in the columns. All in float64, and as slow as it is plain.
"""

import numpy as np


def sigmoid(x):
    return np.exp(-np.logaddexp(0.0, -x))


ACTIVATIONS = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "logistic": sigmoid,
    "identity": lambda x: x,
}


def rnn(x, input_weights, recurrent_weights, bias, activation="tanh"):
    """Return the hidden state after each step of x, (n_steps, n_inputs)."""
    h = np.zeros(len(recurrent_weights))
    hidden = []
    for x_t in x:
        h = ACTIVATIONS[activation](bias + x_t @ input_weights + h @ recurrent_weights)
        hidden.append(h)
    return np.array(hidden)


def lstm(x, input_weights, recurrent_weights, bias, activation=None):
    """Gates i, f, n, o."""
    h = c = np.zeros(len(recurrent_weights))
    hidden = []
    for x_t in x:
        gates = bias + x_t @ input_weights + h @ recurrent_weights
        i, f, n, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(n)
        h = sigmoid(o) * np.tanh(c)
        hidden.append(h)
    return np.array(hidden)


def gru(x, input_weights, recurrent_weights, bias, activation=None):
    """Columns of the recurrence n, r, z; of the inputs r, z, n; biases n, r, z, n."""
    h = np.zeros(len(recurrent_weights))
    hidden = []
    w_r, w_z, w_n = np.split(input_weights, 3, axis=1)
    v_n, v_r, v_z = np.split(recurrent_weights, 3, axis=1)
    b_recurrent_n, b_r, b_z, b_n = np.split(bias, 4)
    for x_t in x:
        r = sigmoid(b_r + x_t @ w_r + h @ v_r)
        z = sigmoid(b_z + x_t @ w_z + h @ v_z)
        n = np.tanh(b_n + x_t @ w_n + r * (b_recurrent_n + h @ v_n))
        h = z * h + (1.0 - z) * n
        hidden.append(h)
    return np.array(hidden)


def mingru(x, input_weights, bias, activation=None):
    """Gates z, n, which hang on the inputs alone."""
    h = np.zeros(input_weights.shape[1] // 2)
    hidden = []
    for x_t in x:
        z, n = np.split(bias + x_t @ input_weights, 2)
        h = (1.0 - sigmoid(z)) * h + sigmoid(z) * n
        hidden.append(h)
    return np.array(hidden)


def janet(x, input_weights, recurrent_weights, bias, activation=None):
    """Gates f, n."""
    h = np.zeros(len(recurrent_weights))
    hidden = []
    for x_t in x:
        f, n = np.split(bias + x_t @ input_weights + h @ recurrent_weights, 2)
        h = sigmoid(f) * h + (1.0 - sigmoid(f)) * np.tanh(n)
        hidden.append(h)
    return np.array(hidden)


# By the names of skrnn.cells.CELLS, each with the signature of `rnn`.
CELLS = {"rnn": rnn, "lstm": lstm, "gru": gru, "mingru": mingru, "janet": janet}


def raw_prediction(cell, activation, views, x):
    """Return the raw prediction for a sequence from the named parameters."""
    x = np.asarray(x, np.float64)
    n_layers = sum(name.endswith("recurrent_weights") for name in views)
    for i in range(n_layers):
        names = ("input_weights", "recurrent_weights", "bias")
        weights = [views[f"layers.{i}.{name}"].astype(np.float64) for name in names]
        x = CELLS[cell](x, *weights, activation)
    return x[-1] @ views["output.weights"] + views["output.bias"]
