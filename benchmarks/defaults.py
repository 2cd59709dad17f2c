"""Compare default hyperparameters on many small problems, one factor at a time.

    python benchmarks/defaults.py --data FOLDER --out study.jsonl --time-limit 3600
    python benchmarks/defaults.py --out study.jsonl --settings base gru "64 units"
    python benchmarks/defaults.py --out study.jsonl --base cell=gru  # around that
    python benchmarks/defaults.py --out study.jsonl --report         # what is there

The problems are training parts only, split anew for each repeat: whoever chooses
defaults here has seen no test part of `accuracy.py`. A small problem is cut into three
folds, each of which is scored once. Every line of `--out` is a repeat of a problem with
one of the settings, written when it is done and skipped when it is there already, so
that a study may be interrupted and goes on where it was; all settings have a repeat
before one has a second. Each fit has one thread, and its seconds are those of the
processor.

A classification is scored by its accuracy in %, a regression by the share in % by which
its mean absolute error is below the training median's. The tables show the mean rank
among the settings over all problems, the mean difference to "base" with its standard
error over problems, separately for both kinds, how many problems became better and
worse, and the geometric mean of seconds relative to "base".
"""

import argparse
import json
import math
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import (
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
)
from sklearn.utils import _safe_indexing

import datasets
from accuracy import parse_setting
from report import print_table
from skrnn import RNNClassifier, RNNRegressor

# Problems -----------------------------------------------------------------------------

SMALL = 300  # samples


@dataclass(frozen=True)
class Problem:
    """A loader of X and y, and how they are split."""

    load: Callable
    kind: str  # "classes", "series": windows in order of time; or "samples"
    n_samples: int = 1000  # at most

    def read(self, folder, n_samples):
        """Return X and y of at most `n_samples`, and of classes with four or more."""
        X, y = self.load(folder)
        n_samples = min(n_samples, self.n_samples)
        if self.kind == "series":
            return X[:n_samples], y[:n_samples]
        rows = np.random.default_rng(0).permutation(len(X))[:n_samples]
        if self.kind == "classes":
            _, of, counts = np.unique(y[rows], return_inverse=True, return_counts=True)
            rows = rows[counts[of] >= 4]
        return _safe_indexing(X, rows), y[rows]

    def splits(self, X, y, repeat):
        """Return the rows of each training and validation part of a repeat.

        Small sets have three folds, for a few samples tell little.
        """
        if self.kind == "series":
            # a gap, so that no training target lies in the validation part
            gap, size = y.shape[1] - 1, len(X) // 6
            return list(TimeSeriesSplit(3, gap=gap, test_size=size).split(X))
        is_small, in_classes = len(X) < SMALL, self.kind == "classes"
        if is_small:
            folds = StratifiedKFold if in_classes else KFold
            splitter = folds(3, shuffle=True, random_state=repeat)
        else:
            folds = StratifiedShuffleSplit if in_classes else ShuffleSplit
            splitter = folds(1, test_size=0.3, random_state=repeat)
        return list(splitter.split(np.zeros(len(y)), y))


def of_file(name, target="y", fold=1, n_samples=1000):
    """Return a classification from the training part of a file."""
    load = datasets.from_npz(f"{name}.npz", target)
    return Problem(datasets.training_part(load, fold), "classes", n_samples)


PROBLEMS = {
    "JapaneseVowels": of_file("JapaneseVowels"),
    "BasicMotions": of_file("BasicMotions", fold=2),
    "GunPoint": of_file("GunPoint", fold=3),
    "ItalyPowerDemand": of_file("ItalyPowerDemand"),
    "OSULeaf": of_file("OSULeaf", fold=7),
    "FSDD digit": of_file("fsdd_mfcc13", n_samples=600),
    "FSDD speaker": of_file("fsdd_mfcc13", "speaker", n_samples=300),
    "MNIST rows": Problem(
        datasets.training_part(datasets.mnist(28)), "classes", n_samples=2000
    ),
    "names": Problem(datasets.name_letters, "classes", n_samples=2000),
    "digits": Problem(datasets.digits, "classes"),
    **{name: Problem(datasets.series(name), "series") for name in datasets.SERIES},
    "noisy sine": Problem(datasets.noisy_sine, "series"),
    "autoregression": Problem(datasets.autoregression, "series"),
    "chaotic": Problem(datasets.chaotic, "series"),
    "adding": Problem(datasets.small_adding_problem, "samples"),
}
QUICK = ["ItalyPowerDemand", "digits", "airline", "noisy sine"]

# Settings -----------------------------------------------------------------------------


def batch_of(n_samples, settings):
    """Return the size of the minibatches."""
    size = settings.get("batch_size", "auto")
    if size == "auto":
        size = max(8, min(64, n_samples // 8))
    return min(size, n_samples)


def share(k):
    """Return a rule: minibatches of a k-th of the samples, from 8 to 64."""
    return lambda n_samples, settings: max(8, min(64, n_samples // k))


def updates(n_updates, least=1):
    """Return a rule: as many epochs as bring `n_updates`, and `least` of them."""

    def rule(n_samples, settings):
        per_epoch = math.ceil(n_samples / batch_of(n_samples, settings))
        return max(least, math.ceil(n_updates / per_epoch))

    return rule


ONE_CYCLE = {"learning_rate": "cosine"}
# Where a value is a rule, it says what the value is for so many samples.
SETTINGS = {
    "base": {},
    # what reads the sequence
    "rnn": {"cell": "rnn"},
    "lstm": {"cell": "lstm"},
    "gru": {"cell": "gru"},
    "mingru": {"cell": "mingru"},
    "16 units": {"hidden_layer_sizes": (16,)},
    "64 units": {"hidden_layer_sizes": (64,)},
    "128 units": {"hidden_layer_sizes": (128,)},
    "2 layers": {"hidden_layer_sizes": (32, 32)},
    "bidirectional": {"bidirectional": True},
    "last": {"pooling": "last"},
    "mean": {"pooling": "mean"},
    "max": {"pooling": "max"},
    "attention": {"pooling": "attention"},
    "last and max": {"pooling": ["last", "max"]},
    "last and mean": {"pooling": ["last", "mean"]},
    "mean and max": {"pooling": ["mean", "max"]},
    "layer norm": {"layer_norm": True},
    "initial state": {"learn_initial_state": True},
    # the rate, and how long
    "rate 0.002": {"learning_rate_init": 0.002},
    "rate 0.005": {"learning_rate_init": 0.005},
    "rate 0.02": {"learning_rate_init": 0.02},
    "adaptive": {"learning_rate": "adaptive"},
    "one-cycle 50": ONE_CYCLE | {"max_iter": 50},
    "one-cycle 100": ONE_CYCLE | {"max_iter": 100},
    "one-cycle 200": ONE_CYCLE | {"max_iter": 200},
    "patience 20": {"n_iter_no_change": 20},
    "patience 40": {"n_iter_no_change": 40, "max_iter": 400},
    "early stopping": {"early_stopping": True},
    "no clipping": {"max_grad_norm": None},
    "clip 5": {"max_grad_norm": 5.0},
    # minibatches
    "batch 16": {"batch_size": 16},
    "batch 32": {"batch_size": 32},
    "batch 128": {"batch_size": 128},
    "batch n/8": {"batch_size": share(8)},
    "batch n/16": {"batch_size": share(16)},
    # regularization
    "none": {"dropout": 0.0, "input_noise": 0.0, "label_smoothing": 0.0},
    "no dropout": {"dropout": 0.0},
    "no noise": {"input_noise": 0.0},
    "no smoothing": {"label_smoothing": 0.0},
    "dropout 0.1": {"dropout": 0.1},
    "dropout 0.3": {"dropout": 0.3},
    "dropout 0.5": {"dropout": 0.5},
    "recurrent dropout 0.2": {"recurrent_dropout": 0.2},
    "noise 0.1": {"input_noise": 0.1},
    "noise 0.3": {"input_noise": 0.3},
    "smoothing 0.1": {"label_smoothing": 0.1},
    "alpha 0.001": {"alpha": 0.001},
    "adamw 0.01": {"solver": "adamw", "alpha": 0.01},
    # enough updates for small sets, not too many for large ones
    "one-cycle, 500 updates": ONE_CYCLE | {"max_iter": updates(500, 20)},
    "one-cycle, 1000 updates": ONE_CYCLE | {"max_iter": updates(1000, 20)},
    "one-cycle 50, batch n/8": ONE_CYCLE | {"max_iter": 50, "batch_size": share(8)},
    "one-cycle 100, batch n/8": ONE_CYCLE | {"max_iter": 100, "batch_size": share(8)},
    "one-cycle 50, batch 16": ONE_CYCLE | {"max_iter": 50, "batch_size": 16},
    "one-cycle 100, batch 16": ONE_CYCLE | {"max_iter": 100, "batch_size": 16},
    "one-cycle 100, batch n/16": ONE_CYCLE | {"max_iter": 100, "batch_size": share(16)},
}
# Several factors together, around one cycle of 100 epochs.
BEST = ONE_CYCLE | {"max_iter": 100}
SETTINGS |= {
    "C: 64 units": BEST | {"hidden_layer_sizes": (64,)},
    "C: gru": BEST | {"cell": "gru"},
    "C: gru, 64 units": BEST | {"cell": "gru", "hidden_layer_sizes": (64,)},
    "C: gru, 64 units, batch 32": BEST
    | {"cell": "gru", "hidden_layer_sizes": (64,), "batch_size": 32},
    "C: 64 units, batch 32": BEST | {"hidden_layer_sizes": (64,), "batch_size": 32},
    "C: 64 units, rate 0.005": BEST
    | {"hidden_layer_sizes": (64,), "learning_rate_init": 0.005},
    "C: gru, 64 units, rate 0.005": BEST
    | {"cell": "gru", "hidden_layer_sizes": (64,), "learning_rate_init": 0.005},
    "C: gru, batch 16": BEST | {"cell": "gru", "batch_size": 16},
    "C: gru, batch n/8": BEST | {"cell": "gru", "batch_size": share(8)},
    "C: 64 units, batch n/8": BEST
    | {"hidden_layer_sizes": (64,), "batch_size": share(8)},
    "C: mean": BEST | {"pooling": "mean"},
    "C: both, mean": BEST | {"bidirectional": True, "pooling": "mean"},
    "C: gru, both, mean": BEST
    | {"cell": "gru", "bidirectional": True, "pooling": "mean"},
    "C: gru, 64, both, mean, dropout 0.3": BEST
    | {"cell": "gru", "hidden_layer_sizes": (64,), "bidirectional": True}
    | {"pooling": "mean", "dropout": 0.3},
    "C: attention": BEST | {"pooling": "attention"},
    "C: dropout 0.2": BEST | {"dropout": 0.2},
    "C: 64 units, dropout 0.2": BEST | {"hidden_layer_sizes": (64,), "dropout": 0.2},
}
CLASSIFIER_ONLY = {"label_smoothing"}


def resolve(settings, n_samples):
    """Return settings with their rules applied, those of other rules last."""
    plain = {key: value for key, value in settings.items() if not callable(value)}
    rules = {key: value for key, value in settings.items() if callable(value)}
    for key in sorted(rules):  # batch_size before max_iter
        plain[key] = rules[key](n_samples, plain)
    return plain


# Fits ---------------------------------------------------------------------------------


def key_of(problem, n_samples, repeat, settings):
    """Return what tells one fit from all others."""
    return json.dumps([problem, n_samples, repeat, settings], sort_keys=True)


def estimator_defaults():
    """Return the default hyperparameters, as JSON would have them."""
    both = RNNRegressor().get_params() | RNNClassifier().get_params()
    return json.loads(json.dumps(both))


def check_defaults(written, path):
    """Refuse to add to a file, or to read one, that was made with other defaults."""
    now = estimator_defaults()
    other = [n for n in written if n in now and written[n] != now[n]]
    if other:
        was = ", ".join(f"{name}={written[name]!r}" for name in other)
        raise SystemExit(f"{path} was made when the defaults had {was}; name another.")


def read_results(path):
    """Return the fits of a file by key; a torn line is as if not there."""
    results = {}
    lines = path.read_text().splitlines() if path.exists() else []
    for line in lines:
        try:
            result = json.loads(line)
        except ValueError:
            continue
        if "defaults" in result:
            check_defaults(result["defaults"], path)
            continue
        key = [result[name] for name in ("problem", "n_samples", "repeat", "settings")]
        results[key_of(*key)] = result
    return results


def fit_and_score(problem, X, y, repeat, settings):
    """Return mean score, seconds and epochs of a repeat; no score if one diverges."""
    results = []
    for train, test in problem.splits(X, y, repeat):
        estimator = RNNClassifier if problem.kind == "classes" else RNNRegressor
        model = estimator(random_state=repeat, **settings)
        begin = time.process_time()
        try:
            model.fit(_safe_indexing(X, train), y[train])
        except ValueError as error:
            return {"score": None, "error": str(error)}
        seconds = time.process_time() - begin
        score = score_of(problem, model, X, y, train, test)
        results.append([score, seconds, model.n_iter_])
    return dict(
        zip(("score", "seconds", "epochs"), np.mean(results, axis=0), strict=True)
    )


def score_of(problem, model, X, y, train, test):
    """Return the score of a fitted model on the rows of `test`."""
    X_test = _safe_indexing(X, test)
    if problem.kind == "classes":
        return 100 * model.score(X_test, y[test])
    error = np.abs(model.predict(X_test) - y[test]).mean()
    of_median = np.abs(y[test] - np.median(y[train], axis=0)).mean()
    return max(100 - 100 * error / of_median, -100.0)


def plan(options):
    """Return (repeat, problem, setting) of each fit, in order."""
    return [
        (repeat, problem, setting)
        for repeat in range(options.repeats)
        for problem in options.problems
        for setting in options.settings
    ]


class Data:
    """The problems' samples, each read once."""

    def __init__(self, options):
        self.options = options
        self.known = {}

    def __getitem__(self, name):
        """Return X, y and the number of samples trained on."""
        if name not in self.known:
            problem = PROBLEMS[name]
            X, y = problem.read(self.options.data, self.options.max_samples)
            self.known[name] = X, y, len(problem.splits(X, y, 0)[0][0])
        return self.known[name]


def settings_for(name, setting, n_train, options):
    """Return what is passed to the estimator, as JSON would have it."""
    settings = resolve(options.base | SETTINGS[setting], n_train)
    if PROBLEMS[name].kind != "classes":
        settings = {k: v for k, v in settings.items() if k not in CLASSIFIER_ONLY}
    return json.loads(json.dumps(settings))


def run(data, options):
    """Fit what is missing, and append it to the file, until the time is over."""
    done = read_results(options.out)
    end = time.monotonic() + options.time_limit
    warm = set()
    written = options.out.read_text() if options.out.exists() else ""
    with options.out.open("a") as file:
        if not written:
            print(json.dumps({"defaults": estimator_defaults()}), file=file)
        elif not written.endswith("\n"):
            print(file=file)
        for repeat, name, setting in plan(options):
            X, y, n_train = data[name]
            settings = settings_for(name, setting, n_train, options)
            key = key_of(name, n_train, repeat, settings)
            if key in done:
                continue
            if time.monotonic() > end:
                print("The time is over; the same command goes on from here.")
                return
            if (name, setting) not in warm:  # compiling and loading is not counted
                warm.add((name, setting))
                short = settings | {"max_iter": 1}
                fit_and_score(PROBLEMS[name], X, y, repeat, short)
            result = {"problem": name, "n_samples": n_train, "repeat": repeat}
            result |= {"settings": settings}
            result |= fit_and_score(PROBLEMS[name], X, y, repeat, settings)
            done[key] = result
            print(json.dumps(result), file=file, flush=True)


# Tables -------------------------------------------------------------------------------


def collect(data, options):
    """Return a frame of the fits of these settings: one row a fit."""
    done, rows = read_results(options.out), []
    for repeat, name, setting in plan(options):
        n_train = data[name][2]
        settings = settings_for(name, setting, n_train, options)
        result = done.get(key_of(name, n_train, repeat, settings))
        if result:
            kind = PROBLEMS[name].kind
            # one that diverges is worth what a constant is, or less
            score = 0.0 if result["score"] is None else result["score"]
            seconds = result.get("seconds", np.nan)
            rows.append([repeat, name, kind, setting, score, seconds])
    names = ["repeat", "problem", "kind", "setting", "score", "seconds"]
    return pd.DataFrame(rows, columns=names)


def compare(fits):
    """Return a row for each setting: ranks, differences to "base", and seconds.

    A setting is compared with "base" where both have a fit; ranks are those on the
    problems and repeats that all settings have.
    """
    index = ["kind", "problem", "repeat"]
    scores = fits.pivot_table(index=index, columns="setting", values="score")
    seconds = fits.pivot_table(index=index, columns="setting", values="seconds")
    by_problem = ["kind", "problem"]
    ranks = scores.dropna().groupby(by_problem).mean().rank(axis=1, ascending=False)
    difference = scores.sub(scores["base"], axis=0).groupby(by_problem).mean()
    is_class = difference.index.get_level_values("kind") == "classes"
    table = pd.DataFrame(index=scores.columns)
    table["fits"] = scores.count()
    table["rank"] = ranks.mean()
    for kind, chosen in [("classes", is_class), ("values", ~is_class)]:
        table[kind] = difference[chosen].mean()
        table[f"{kind} se"] = difference[chosen].sem()
    table["better"] = (difference > 0).sum()
    table["worse"] = (difference < 0).sum()
    ratio = seconds.div(seconds["base"], axis=0)
    table["times"] = np.exp(np.log(ratio).mean())
    table["seconds"] = seconds.mean()
    return table.sort_values("rank")


def print_comparison(fits):
    """Print what `compare` says, and the scores by problem."""
    table = compare(fits)
    head = ["setting", "fits", "rank", "classes", "values", "better", "worse"]
    head += ["times", "seconds"]
    rows = []
    for name, row in table.iterrows():
        cells = [name, int(row["fits"]), f"{row['rank']:.1f}"]
        for kind in ("classes", "values"):
            cells.append(f"{row[kind]:+.2f} ± {row[f'{kind} se']:.2f}")
        cells += [int(row["better"]), int(row["worse"])]
        rows.append([*cells, f"{row['times']:.2f}", f"{row['seconds']:.2f}"])
    print_table(head, rows)
    means = fits.pivot_table(index="setting", columns="problem", values="score")
    print()
    rows = means.loc[table.index].map("{:.1f}".format).reset_index().to_numpy()
    print_table(["setting", *means.columns], rows)


# The command --------------------------------------------------------------------------


def parse_arguments():
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    folder = os.environ.get("SKRNN_DATA") or Path("..", "shared", "data")
    add("--data", type=Path, default=Path(folder), help="default: %(default)s")
    add("--out", type=Path, required=True, help="file of the fits, one JSON a line")
    add("--problems", nargs="+", choices=PROBLEMS, metavar="PROBLEM")
    add("--settings", nargs="+", choices=SETTINGS, metavar="SETTING")
    add("--base", nargs="+", type=parse_setting, default=[], metavar="NAME=VALUE")
    add(
        "--repeats",
        type=int,
        help="seeds of splits and networks (default: 5, quick: 1)",
    )
    add("--max-samples", type=int, help="of each problem (default: 2000, quick: 200)")
    add("--time-limit", type=float, default=math.inf, help="seconds")
    add("--quick", action="store_true", help="a few problems and one repeat")
    add("--report", action="store_true", help="fit nothing")
    options = parser.parse_args()
    options.base = dict(options.base)
    options.problems = options.problems or (QUICK if options.quick else list(PROBLEMS))
    # "base" is what all others are compared with
    options.settings = list(dict.fromkeys(["base", *(options.settings or SETTINGS)]))
    options.repeats = options.repeats or (1 if options.quick else 5)
    options.max_samples = options.max_samples or (200 if options.quick else 2000)
    return options


def main():
    """Run what the command line asks for."""
    options = parse_arguments()
    # a network that is stopped at max_iter is scored like any other
    warnings.simplefilter("ignore", ConvergenceWarning)
    data = Data(options)
    if not options.report:
        run(data, options)
    print_comparison(collect(data, options))


if __name__ == "__main__":
    main()
