"""Time a grid search over LSTMs as a whole process: skrnn, skorch, Keras, SciKeras.

    python benchmarks/grid_search.py
    python benchmarks/grid_search.py --quick --n-jobs 1 2

Each library searches the same grid of Adam's learning rates by 3-fold cross-validation
of scikit-learn's GridSearchCV, and fits the best one again: an LSTM of 32 units on
2,000 sequences of 50 steps, batches of 32, 5 epochs. What is timed is one process from
its start to its end, import included, and a library's processes take turns with those
of the others. The task is to follow a leaky sum of a noisy input, and the scores (R²)
show that the libraries learn it alike. What is not installed is skipped.

skorch runs with PyTorch's own number of threads and with one, which is often faster
for so small a network; Keras runs on JAX, or else on PyTorch.
"""

import argparse
import contextlib
import json
import os
import warnings

import numpy as np

from peers.protocol import missing_packages
from processes import run_python
from report import print_table

LIBRARIES = {
    "skrnn": ("scikit-learn", "numba"),
    "skorch": ("skorch", "torch"),
    "skorch, 1 thread": ("skorch", "torch"),
    "keras": ("keras",),
    "scikeras": ("scikeras", "keras"),
}
N_UNITS, N_EPOCHS, BATCH_SIZE, N_FOLDS = 32, 5, 32, 3
DECAY = 0.85  # of the leaky sum, a step


def make_data(n_samples=2000, n_timesteps=50, noise=0.1):
    """Return X (n_samples, n_timesteps) and y (n_samples,), both of variance 1."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, n_timesteps))
    y = X @ DECAY ** np.arange(n_timesteps)[::-1]
    y = y / y.std() + noise * rng.standard_normal(n_samples)
    return X.astype(np.float32), (y / y.std()).astype(np.float32)


# Each returns an estimator, the name of its learning rate, and arguments for `fit`.


def skrnn_estimator():
    """RNNRegressor as it is."""
    from skrnn import RNNRegressor

    estimator = RNNRegressor(
        cell="lstm",
        hidden_layer_sizes=(N_UNITS,),
        batch_size=BATCH_SIZE,
        max_iter=N_EPOCHS,
        random_state=0,
    )
    return estimator, "learning_rate_init", {}


def skorch_estimator():
    """nn.LSTM and a linear layer on its last state."""
    import torch
    from skorch import NeuralNetRegressor

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.recurrent = torch.nn.LSTM(1, N_UNITS, batch_first=True)
            self.output = torch.nn.Linear(N_UNITS, 1)

        def forward(self, x):
            states, _ = self.recurrent(x[:, :, None])
            return self.output(states[:, -1])[:, 0]

    torch.manual_seed(0)
    estimator = NeuralNetRegressor(
        Network,
        optimizer=torch.optim.Adam,
        max_epochs=N_EPOCHS,
        batch_size=BATCH_SIZE,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    return estimator, "lr", {}


def keras_network(learning_rate):
    """Return a compiled Keras model."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((None,)),
            keras.layers.Reshape((-1, 1)),
            keras.layers.LSTM(N_UNITS),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(learning_rate), "mean_squared_error")
    return model


def keras_estimator():
    """The wrapper that Keras brings."""
    from keras.wrappers import SKLearnRegressor

    def build(X, y, learning_rate):
        return keras_network(learning_rate)

    fit = {"epochs": N_EPOCHS, "batch_size": BATCH_SIZE, "verbose": 0}
    return SKLearnRegressor(build), "model_kwargs", fit


def scikeras_estimator():
    """SciKeras' wrapper."""
    from scikeras.wrappers import KerasRegressor

    estimator = KerasRegressor(
        keras_network,
        model__learning_rate=1e-3,
        epochs=N_EPOCHS,
        batch_size=BATCH_SIZE,
        verbose=0,
        random_state=0,
    )
    return estimator, "model__learning_rate", {}


ESTIMATORS = {
    "skrnn": skrnn_estimator,
    "skorch": skorch_estimator,
    "keras": keras_estimator,
    "scikeras": scikeras_estimator,
}


def search(library, n_candidates, n_jobs):
    """Search in this process; print the best score and learning rate as JSON."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import GridSearchCV

    warnings.simplefilter("ignore", ConvergenceWarning)  # 5 epochs are few
    estimator, name, fit_arguments = ESTIMATORS[library]()
    rates = np.geomspace(1e-3, 3e-2, n_candidates).tolist()
    values = rates
    if name == "model_kwargs":
        values = [{"learning_rate": rate} for rate in rates]
    grid = GridSearchCV(
        estimator, {name: values}, cv=N_FOLDS, scoring="r2", n_jobs=n_jobs
    )
    # Keras draws progress bars, which must not mix with the reply.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        grid.fit(*make_data(), **fit_arguments)
    scores = grid.cv_results_["mean_test_score"]
    reply = {"score": grid.best_score_, "rate": rates[grid.best_index_]}
    print(json.dumps(reply | {"scores": scores.tolist()}))


def run_search(name, options, n_jobs):
    """Run one search in a new process."""
    backend = "torch" if missing_packages(("jax",)) else "jax"
    environment = {"JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}
    environment["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND", backend)
    library, _, one_thread = name.partition(", ")
    if one_thread:
        environment["OMP_NUM_THREADS"] = "1"
    child = ["--child", library, "--candidates", options.candidates]
    return run_python([__file__, *child, "--n-jobs", n_jobs], **environment)


def compare(names, options, n_jobs):
    """Run all searches, taking turns, and print their times and scores."""
    runs = {name: [] for name in names}
    for _ in range(options.rounds):
        for name in list(runs):
            try:
                runs[name].append(run_search(name, options, n_jobs))
            except RuntimeError as error:
                print(f"{name} is skipped: {error}")
                del runs[name]
    best = {n: min(run.seconds for run in finished) for n, finished in runs.items()}
    rows = []
    for name, finished in runs.items():
        reply = finished[0].reply
        times = "–" if "skrnn" not in best else f"{best[name] / best['skrnn']:.2f}"
        score, rate = f"{reply['score']:.3f}", f"{reply['rate']:.2g}"
        rows.append([name, f"{best[name]:.1f}", times, score, rate])
    print(f"\n{options.candidates} candidates x {N_FOLDS} folds, n_jobs={n_jobs}\n")
    head = ["library", "seconds", "times skrnn's", "best R²", "learning rate"]
    print_table(head, rows)


def parse_arguments():
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="3 candidates, one round")
    add("--candidates", type=int, help="learning rates (default: 12, quick: 3)")
    add("--rounds", type=int, help="processes of each (default: 3, quick: 1)")
    add("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    add("--n-jobs", nargs="+", type=int, default=[1], help="of GridSearchCV")
    add("--child", choices=ESTIMATORS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.candidates = options.candidates or (3 if options.quick else 12)
    options.rounds = options.rounds or (1 if options.quick else 3)
    return options


def main():
    """Run the benchmark, or the search of one library."""
    options = parse_arguments()
    if options.child:
        search(options.child, options.candidates, options.n_jobs[0])
        return
    names = []
    for name in options.libraries:
        if missing := missing_packages(LIBRARIES[name]):
            print(f"{name} is skipped: not installed: {', '.join(missing)}")
        else:
            names.append(name)
    for n_jobs in options.n_jobs:
        compare(names, options, n_jobs)


if __name__ == "__main__":
    main()
