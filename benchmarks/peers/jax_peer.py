"""JAX: one jitted training step around lax.scan, with Adam written out."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax  # noqa: E402  (the platform is chosen before the import)
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402

from peers.protocol import Peer, cores, seconds_per_step, serve  # noqa: E402


def rnn_step(W_h, state, projected):
    """Return the state after one time step."""
    return jnp.tanh(projected + state @ W_h)


def lstm_step(W_h, state, projected):
    """Return hidden and cell state after one time step."""
    hidden, memory = state
    gates = projected + hidden @ W_h
    i, f, g, o = jnp.split(gates, 4, axis=-1)
    memory = jax.nn.sigmoid(f) * memory + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(memory), memory


def gru_step(W_h, state, projected):
    """Return the state after one time step, the reset gate after the product."""
    r_x, z_x, n_x = jnp.split(projected, 3, axis=-1)
    r_h, z_h, n_h = jnp.split(state @ W_h, 3, axis=-1)
    r, z = jax.nn.sigmoid(r_x + r_h), jax.nn.sigmoid(z_x + z_h)
    return z * state + (1 - z) * jnp.tanh(n_x + r * n_h)


STEPS = {"rnn": rnn_step, "lstm": lstm_step, "gru": gru_step}


def make_forward(cell):
    """Return forward(parameters, x) -> (batch,), x of shape (batch, time, channels)."""

    def run_layer(layer, x, keep_all):
        W_x, W_h, b = layer
        # The inputs of all time steps are multiplied at once, outside the scan.
        projected = x @ W_x + b
        zeros = jnp.zeros((x.shape[1], W_h.shape[0]), x.dtype)
        state = (zeros, zeros) if cell == "lstm" else zeros

        def step(state, projected):
            state = STEPS[cell](W_h, state, projected)
            return state, hidden(state) if keep_all else None

        state, states = lax.scan(step, state, projected)
        return states if keep_all else hidden(state)

    def hidden(state):
        return state[0] if cell == "lstm" else state

    def forward(parameters, x):
        layers, (W_out, b_out) = parameters
        x = jnp.swapaxes(x, 0, 1)
        for layer in layers[:-1]:
            x = run_layer(layer, x, keep_all=True)
        return (run_layer(layers[-1], x, keep_all=False) @ W_out + b_out)[:, 0]

    return forward


def make_train_step(forward, learning_rate=1e-3, beta_1=0.9, beta_2=0.999):
    """Return the jitted step of Adam on the rows of one minibatch."""

    def loss(parameters, x, y):
        return jnp.mean((forward(parameters, x) - y) ** 2)

    def train_step(state, X, y, rows):
        parameters, first, second, t = state
        gradients = jax.grad(loss)(parameters, X[rows], y[rows])
        t = t + 1
        first = jax.tree.map(
            lambda m, g: beta_1 * m + (1 - beta_1) * g, first, gradients
        )
        second = jax.tree.map(
            lambda v, g: beta_2 * v + (1 - beta_2) * g * g, second, gradients
        )
        rate = learning_rate * jnp.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        parameters = jax.tree.map(
            lambda p, m, v: (p - rate * m / (jnp.sqrt(v) + 1e-8)).astype(p.dtype),
            parameters,
            first,
            second,
        )
        return parameters, first, second, t

    return jax.jit(train_step, donate_argnums=0)


class JaxPeer(Peer):
    """JAX as its users write a recurrent network by hand."""

    packages = ("jax",)

    def thread_counts(self):
        """Return what XLA takes: its pool has one thread a core, and is fixed."""
        return [cores()]

    def prepare(self, work, threads, seconds):
        """Time jitted steps or calls."""
        jax.config.update("jax_enable_x64", work.dtype == "float64")
        # Copies: a donated buffer must not be a view of NumPy's memory.
        parameters = jax.tree.map(
            lambda weight: jnp.array(weight.T, copy=True), work.weights()
        )
        make = fit_steps if work.task == "fit" else predict_calls
        return seconds_per_step(make(parameters, work), seconds)


def fit_steps(parameters, work):
    """Return a function that takes n steps over shuffled minibatches."""
    train_step = make_train_step(make_forward(work.cell))
    X, y = map(jnp.asarray, work.data())
    first, second = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
    state = parameters, first, second, jnp.zeros((), X.dtype)
    rng = np.random.default_rng(0)

    def run(n_steps):
        nonlocal state
        for step in range(n_steps):
            if step % work.n_batches == 0:
                batches = rng.permutation(len(X)).astype(np.int32)
                batches = batches.reshape(work.n_batches, work.batch_size)
            state = train_step(state, X, y, batches[step % work.n_batches])
        jax.block_until_ready(state)

    return run


def predict_calls(parameters, work):
    """Return a function that predicts one batch n times, NumPy in and out."""
    forward = jax.jit(make_forward(work.cell))
    X, _ = work.data()

    def run(n_calls):
        for _ in range(n_calls):
            np.asarray(forward(parameters, X))

    return run


if __name__ == "__main__":
    serve(JaxPeer())
