"""Keras on JAX, or on PyTorch where JAX is not installed."""

import os

from peers.protocol import Peer, cores, missing_packages, seconds_per_step, serve

BACKEND = "torch" if missing_packages(("jax",)) else "jax"
os.environ["KERAS_BACKEND"] = BACKEND
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import keras  # noqa: E402  (the backend is chosen before the import)

if BACKEND == "jax":
    import jax

CELLS = {
    "rnn": keras.layers.SimpleRNN,
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
}


def recurrent_layers(work):
    """Return the layers; all but the last hand on their states of every step."""
    last = work.n_layers - 1
    return [
        CELLS[work.cell](work.n_units, return_sequences=layer < last)
        for layer in range(work.n_layers)
    ]


class KerasPeer(Peer):
    """A Sequential model through fit and predict_on_batch."""

    packages = ("keras", BACKEND)

    def thread_counts(self):
        """Return what the backend takes."""
        return [cores()]

    def prepare(self, work, threads, seconds):
        """Time steps of fit, or calls of predict_on_batch."""
        keras.backend.clear_session()
        keras.config.set_floatx(work.dtype)
        if BACKEND == "jax":
            jax.config.update("jax_enable_x64", work.dtype == "float64")
        X, y = work.data()
        model = keras.Sequential(
            [
                keras.Input((work.n_timesteps, work.n_channels)),
                *recurrent_layers(work),
                keras.layers.Dense(1),
            ]
        )
        model.compile(keras.optimizers.Adam(), "mean_squared_error")

        def fit(n_steps):
            epochs = -(-n_steps // work.n_batches)
            model.fit(X, y, batch_size=work.batch_size, epochs=epochs, verbose=0)

        def predict(n_calls):
            for _ in range(n_calls):
                model.predict_on_batch(X)

        if work.task == "predict":
            return seconds_per_step(predict, seconds)
        # fit runs whole epochs: count in those, and divide by their minibatches.
        measure = seconds_per_step(lambda n: fit(n * work.n_batches), seconds)
        return lambda: measure() / work.n_batches


if __name__ == "__main__":
    serve(KerasPeer())
