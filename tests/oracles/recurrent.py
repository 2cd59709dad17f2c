"""Recurrent cells, one sequence at a time, as their equations read.

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


def gate(products, bias, gain):
    """Return a pre-activation, normalized over the units where there is a gain."""
    if gain is None:
        return products + bias
    deviations = products - products.mean()
    sd = np.sqrt(np.mean(deviations**2) + 1e-5)
    return gain * deviations / sd + bias


def blocks(vector, n):
    return [None] * n if vector is None else np.split(vector, n)


def rnn(
    x,
    input_weights,
    recurrent_weights,
    bias,
    activation="tanh",
    gain=None,
    initial_hidden=0.0,
):
    """Return the hidden state after each step of x, (n_steps, n_inputs)."""
    h = np.zeros(len(recurrent_weights)) + initial_hidden
    hidden = []
    for x_t in x:
        products = x_t @ input_weights + h @ recurrent_weights
        h = ACTIVATIONS[activation](gate(products, bias, gain))
        hidden.append(h)
    return np.array(hidden)


def lstm(
    x,
    input_weights,
    recurrent_weights,
    bias,
    activation=None,
    gain=None,
    initial_hidden=0.0,
    initial_state=0.0,
):
    """Gates i, f, n, o."""
    h = np.zeros(len(recurrent_weights)) + initial_hidden
    c = np.zeros(len(recurrent_weights)) + initial_state
    hidden = []
    for x_t in x:
        products = x_t @ input_weights + h @ recurrent_weights
        i, f, n, o = map(gate, blocks(products, 4), blocks(bias, 4), blocks(gain, 4))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(n)
        h = sigmoid(o) * np.tanh(c)
        hidden.append(h)
    return np.array(hidden)


def gru(
    x,
    input_weights,
    recurrent_weights,
    bias,
    activation=None,
    gain=None,
    initial_hidden=0.0,
):
    """Columns of the recurrence n, r, z; of the inputs r, z, n; biases n, r, z, n."""
    h = np.zeros(len(recurrent_weights)) + initial_hidden
    hidden = []
    w_r, w_z, w_n = np.split(input_weights, 3, axis=1)
    v_n, v_r, v_z = np.split(recurrent_weights, 3, axis=1)
    b_recurrent_n, b_r, b_z, b_n = blocks(bias, 4)
    g_recurrent_n, g_r, g_z, g_n = blocks(gain, 4)
    for x_t in x:
        r = sigmoid(gate(x_t @ w_r + h @ v_r, b_r, g_r))
        z = sigmoid(gate(x_t @ w_z + h @ v_z, b_z, g_z))
        recurrent_n = gate(h @ v_n, b_recurrent_n, g_recurrent_n)
        n = np.tanh(gate(x_t @ w_n, b_n, g_n) + r * recurrent_n)
        h = z * h + (1.0 - z) * n
        hidden.append(h)
    return np.array(hidden)


def mingru(x, input_weights, bias, activation=None, gain=None, initial_hidden=0.0):
    """Columns of the inputs, and biases: z, n."""
    h = np.zeros(len(bias) // 2) + initial_hidden
    hidden = []
    for x_t in x:
        z, n = map(
            gate, blocks(x_t @ input_weights, 2), blocks(bias, 2), blocks(gain, 2)
        )
        h = (1.0 - sigmoid(z)) * h + sigmoid(z) * n
        hidden.append(h)
    return np.array(hidden)


def janet(
    x,
    input_weights,
    recurrent_weights,
    bias,
    activation=None,
    gain=None,
    initial_hidden=0.0,
):
    """Gates f, n."""
    h = np.zeros(len(recurrent_weights)) + initial_hidden
    hidden = []
    for x_t in x:
        products = x_t @ input_weights + h @ recurrent_weights
        f, n = map(gate, blocks(products, 2), blocks(bias, 2), blocks(gain, 2))
        h = sigmoid(f) * h + (1.0 - sigmoid(f)) * np.tanh(n)
        hidden.append(h)
    return np.array(hidden)


# By the names of skrnn.cells.CELLS. Weights are passed by name, those that there are.
CELLS = {"rnn": rnn, "lstm": lstm, "gru": gru, "mingru": mingru, "janet": janet}
