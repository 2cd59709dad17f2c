"""Score skrnn on public data sets, beside the best scores known for them.

    python benchmarks/accuracy.py --data FOLDER --quick
    python benchmarks/accuracy.py --only JapaneseVowels GunPoint --seeds 5
    python benchmarks/accuracy.py --set learning_rate=cosine max_iter=100

Each set has its official split, and the test part is used for the score alone. The
`default` column has the estimator's defaults, but for what `--set` says. The `recipe`
column has the settings in this file: for the small sets chosen by hold-outs from the
training part, for the others a first guess. The score is the mean over seeds. The sets
are not part of the project: `--data`, or SKRNN_DATA, names a folder with the files
listed in TASKS and SERIES.
"""

import argparse
import ast
import json
import os
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skrnn import RNNClassifier, RNNRegressor

NOTES = """
Accuracies in %, errors as mean absolute error. Networks read forwards and predict
from the last state; bidirectional layers, dropout, pooling and ensembles, with which
the prototypes were made, are not part of skrnn yet. *simple*: the best of ridge, SVC,
forest, MLP and k-NN; *prototype*: PyTorch; *reach* and *aim*: what skrnn is to reach.
"""


@dataclass
class Task:
    """A classification: how to load it, how to train, and what others score."""

    load: object
    bars: tuple  # simple, prototype, reach, aim
    recipe: dict = field(default_factory=dict)
    fold: int = 1  # steps that the recipe joins into one
    differences: bool = False  # whether the recipe adds them as channels
    quick: bool = False


# Loading: each returns X_train, X_test (lists of arrays), y_train, y_test -----------


def from_npz(name, target="y"):
    """Return a loader of a file of sequences, the training part first."""

    def load(folder):
        with np.load(folder / name) as file:
            steps = file["values"].astype(np.float32)
            X = np.split(steps, np.cumsum(file["lengths"])[:-1])
            y, n_train = file[target], int(file["n_train"])
        return X[:n_train], X[n_train:], y[:n_train], y[n_train:]

    return load


def load_mnist(folder):
    """Return images of 28 rows of 28 pixels."""
    with np.load(folder / "mnist.npz") as file:
        X_train, X_test = (
            list(file[f"x_{part}"].reshape(-1, 28, 28).astype(np.float32))
            for part in ("train", "test")
        )
        return X_train, X_test, file["y_train"], file["y_test"]


def load_names(folder):
    """Return surnames, letter by letter, one-hot, without duplicates."""
    frame = pd.read_csv(folder / "names18.csv.gz", keep_default_na=False)
    frame = frame.drop_duplicates()
    letters = sorted(set("".join(frame["name"])))
    one_hot = np.eye(len(letters), dtype=np.float32)
    X = [one_hot[[letters.index(letter) for letter in name]] for name in frame["name"]]
    return train_test_split(
        X,
        frame["language"].to_numpy(),
        test_size=0.2,
        stratify=frame["language"],
        random_state=0,
    )


COSINE = {"learning_rate": "cosine"}
TASKS = {
    "JapaneseVowels": Task(
        from_npz("JapaneseVowels.npz"),
        (98.65, 98.2, 98.4, 99.3),
        COSINE
        | {
            "cell": "gru",
            "hidden_layer_sizes": (64,),
            "batch_size": 32,
            "max_iter": 60,
        },
        fold=2,
        quick=True,
    ),
    "BasicMotions": Task(
        from_npz("BasicMotions.npz"),
        (92.5, 100, 100, 100),
        COSINE | {"max_iter": 100},
        fold=4,
        quick=True,
    ),
    "GunPoint": Task(
        from_npz("GunPoint.npz"),
        (96, 97.8, 98, 99.5),
        COSINE | {"cell": "gru", "batch_size": 16, "max_iter": 100},
        fold=10,
        differences=True,
        quick=True,
    ),
    "ItalyPowerDemand": Task(
        from_npz("ItalyPowerDemand.npz"),
        (96.8, 96.75, 96.8, 97.3),
        COSINE | {"cell": "rnn", "alpha": 0.01, "batch_size": 16, "max_iter": 60},
        quick=True,
    ),
    "OSULeaf": Task(
        from_npz("OSULeaf.npz"),
        (58.7, 78.7, 80, 92),
        COSINE | {"cell": "gru", "hidden_layer_sizes": (64,), "max_iter": 60},
        fold=14,
        differences=True,
    ),
    "FSDD digit": Task(
        from_npz("fsdd_mfcc13.npz"),
        (99.3, 99.2, 99.2, 99.8),
        COSINE | {"cell": "gru", "hidden_layer_sizes": (64,), "max_iter": 20},
    ),
    "FSDD speaker": Task(
        from_npz("fsdd_mfcc13.npz", "speaker"),
        (99.7, 99.8, 99.8, 100),
        COSINE | {"cell": "gru", "hidden_layer_sizes": (64,), "max_iter": 20},
    ),
    "names": Task(
        load_names,
        (82.8, 81.7, 82.5, 85),
        COSINE | {"cell": "gru", "hidden_layer_sizes": (128,), "max_iter": 8},
    ),
    "MNIST rows": Task(
        load_mnist,
        (97.45, 98.87, 99.0, 99.4),
        COSINE
        | {"cell": "gru", "hidden_layer_sizes": (128,), "max_iter": 4}
        | {"batch_size": 128, "learning_rate_init": 0.003},
    ),
}

# name: column, lags, horizon, season, whether to take logarithms
SERIES = {
    "airline": ("value", 24, 12, 12, True),
    "lynx": ("value", 20, 10, 10, True),
    "shampoo": ("value", 8, 3, 1, True),
    "uschange": ("Consumption", 12, 4, 4, False),
}


# Classification --------------------------------------------------------------------


def prepare(X, task):
    """Add differences and join steps, as the recipe says."""
    if task.differences:
        X = [np.hstack([x, np.diff(x, axis=0, prepend=x[:1])]) for x in X]
    if task.fold == 1:
        return X
    # what does not fill a step is left out at the beginning
    return [x[len(x) % task.fold :].reshape(len(x) // task.fold, -1) for x in X]


def score_classification(task, folder, settings, seeds, max_train, *, recipe):
    """Return the accuracies in % for each seed, the seconds and epochs of a fit."""
    X_train, X_test, y_train, y_test = task.load(folder)
    if recipe:
        X_train, X_test = prepare(X_train, task), prepare(X_test, task)
    X_train, y_train = X_train[:max_train], y_train[:max_train]
    scores, begin = [], time.perf_counter()
    for seed in range(seeds):
        model = RNNClassifier(random_state=seed, **settings).fit(X_train, y_train)
        scores.append(100 * model.score(X_test, y_test))
    return scores, (time.perf_counter() - begin) / seeds, model.n_iter_


def run_classification(name, options):
    """Return one row of the table of classifications."""
    task = TASKS[name]
    row = {"task": name, "bars": task.bars}
    for column, settings in {"default": {}, "recipe": task.recipe}.items():
        if column not in options.columns:
            continue
        scores, seconds, epochs = score_classification(
            task,
            options.data,
            settings | options.set if column == "default" else settings,
            options.seeds,
            options.max_train,
            recipe=column == "recipe",
        )
        row[column] = {"scores": scores, "seconds": seconds, "epochs": epochs}
        print(
            f"  {name}, {column}: {np.mean(scores):.2f} in {seconds:.1f} s", flush=True
        )
    return row


# Forecasting -----------------------------------------------------------------------


def run_forecast(name, options):
    """Return the errors on the last fifth of a series, the network's and the naive."""
    column, lags, horizon, season, logarithms = SERIES[name]
    series = pd.read_csv(options.data / f"{name}.csv")[column].to_numpy(np.float32)
    windows = sliding_window_view(series, lags + horizon)
    forward = np.log if logarithms else np.asarray
    backward = np.exp if logarithms else np.asarray
    level = forward(windows[:, lags - 1 : lags])
    X, y = forward(windows[:, :lags]) - level, forward(windows[:, lags:]) - level
    n_test = len(X) // 5
    n_train = len(X) - n_test - horizon + 1
    actual = windows[-n_test:, lags:]
    errors = []
    for seed in range(options.seeds):
        settings = COSINE | {"cell": "gru", "batch_size": 16, "max_iter": 40}
        model = RNNRegressor(random_state=seed, **(settings | options.set))
        model.fit(X[:n_train], y[:n_train])
        forecast = backward(model.predict(X[-n_test:]) + level[-n_test:])
        errors.append(float(np.abs(forecast - actual).mean()))
    last = lags - season + np.arange(horizon) % season
    naive = float(np.abs(windows[-n_test:, last] - actual).mean())
    print(f"  {name}: {np.mean(errors):.4g}, naive {naive:.4g}", flush=True)
    return {"series": name, "errors": errors, "naive": naive}


# The command -----------------------------------------------------------------------


def print_tables(classification, forecasts, options):
    """Print both as Markdown."""
    if classification:
        head = " | ".join(f"{c} | s, epochs" for c in options.columns)
        print(f"\n| task | {head} | simple | prototype | reach | aim |")
        print("|---" * (5 + 2 * len(options.columns)) + "|")
    for row in classification:
        cells = [row["task"]]
        for result in (row[column] for column in options.columns):
            mean, spread = np.mean(result["scores"]), np.std(result["scores"])
            cells.append(f"{mean:.2f} ± {spread:.2f}")
            cells.append(f"{result['seconds']:.1f}, {result['epochs']}")
        print("| " + " | ".join(cells + [f"{bar:g}" for bar in row["bars"]]) + " |")
    if forecasts:
        print("\n| series | RNNRegressor | seasonal naive |\n|---|---|---|")
    for row in forecasts:
        mean, spread = np.mean(row["errors"]), np.std(row["errors"])
        print(f"| {row['series']} | {mean:.4g} ± {spread:.2g} | {row['naive']:.4g} |")
    print(NOTES)


def parse_setting(text):
    """Return (name, value) of name=value."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value


def parse_arguments():
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    default = os.environ.get("SKRNN_DATA") or Path("..", "shared", "data")
    add("--data", type=Path, default=Path(default), help="default: %(default)s")
    add("--only", nargs="+", choices=[*TASKS, *SERIES], metavar="NAME")
    add("--columns", nargs="+", choices=["default", "recipe"])
    add("--seeds", type=int, help="fits of each (default: 5, quick: 1)")
    add("--max-train", type=int, help="use that many training samples at most")
    add("--set", nargs="+", type=parse_setting, default=[], metavar="NAME=VALUE")
    add("--quick", action="store_true", help="small sets and one seed: under 3 minutes")
    add("--json", type=Path, metavar="OUT", help="write every score")
    options = parser.parse_args()
    options.set = dict(options.set)
    options.columns = options.columns or ["default", "recipe"]
    options.seeds = options.seeds or (1 if options.quick else 5)
    small = [name for name in TASKS if TASKS[name].quick or not options.quick]
    options.only = options.only or [*small, *SERIES]
    return options


def main():
    """Run what the command line asks for."""
    options = parse_arguments()
    # a network that is stopped at max_iter is scored like any other
    warnings.simplefilter("ignore", ConvergenceWarning)
    classification = [
        run_classification(n, options) for n in options.only if n in TASKS
    ]
    forecasts = [run_forecast(n, options) for n in options.only if n in SERIES]
    print_tables(classification, forecasts, options)
    if options.json:
        results = {"classification": classification, "forecasts": forecasts}
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
