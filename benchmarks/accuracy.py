"""Score skrnn on public data sets, beside the best scores known for them.

    python benchmarks/accuracy.py --data FOLDER --quick
    python benchmarks/accuracy.py --only JapaneseVowels GunPoint --seeds 5 --torch
    python benchmarks/accuracy.py --only GunPoint --holdout --set pooling=mean
    python benchmarks/accuracy.py --only GunPoint --search

Each set has its official split, and the test part is used for the score alone. The
recipes (`recipes.py`) are what is passed to the estimator; with `--default` that is
only what a task cannot do without. *Mean* and *sd* are of the seeds, *ensemble* is the
score of their averaged probabilities; *seconds* are those of a fit on one thread. With
`--torch` a PyTorch loop trains the same network for as many epochs of minibatches of
the same size.

To choose settings without looking at the test part, `--holdout` scores on a fifth of
the training part instead, another for each seed, and `--search` prints a grid search.

The sets are not part of the project: `--data`, or SKRNN_DATA, names a folder with the
files that `datasets.py` reads. The synthetic tasks need none.
"""

import argparse
import ast
import importlib
import json
import os
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, train_test_split
from sklearn.utils import _safe_indexing

from peers.protocol import missing_packages
from recipes import ACCURACY, CER, EXACT, NATS, TASKS
from report import print_table

NOTES = """
*simple*: the best of ridge, SVC, forest, MLP, k-NN and tf-idf, for synthetic tasks the
mean, a guess or ridge; *prototype*: PyTorch, the mean over seeds; *published*:
the best number read; *reach*: what must hold; *aim*: where the field's best stands.
"""


# By the name of the estimator where its network is trained by a PyTorch loop.
PEERS = {
    "RNNClassifier": ("torch_loop", "TorchClassifier"),
    "RNNSeq2Seq": ("torch_translation", "TorchTranslator"),
    "RNNLanguageModel": ("torch_language_model", "TorchLanguageModel"),
    "RNNTranscriber": ("torch_transcriber", "TorchTranscriber"),
}
PEER_METRICS = (ACCURACY, CER, EXACT, NATS)

# One task -----------------------------------------------------------------------------


def load(task, options, seed):
    """Return (X_train, X_test, y_train, y_test), as the options want them."""
    X_train, X_test, y_train, y_test = task.load(options.data)
    if options.max_train and options.max_train < len(X_train):
        chosen = np.random.default_rng(0).permutation(len(X_train))[: options.max_train]
        rows = np.sort(chosen)
        X_train, y_train = (_safe_indexing(part, rows) for part in (X_train, y_train))
    if not options.holdout:
        return X_train, X_test, y_train, y_test
    if y_train is None:  # one text, whose end is held out
        (text,) = X_train
        cut = len(text) * 9 // 10
        return [text[:cut]], [text[cut:]], None, None
    if task.in_time:
        return train_test_split(X_train, y_train, test_size=0.2, shuffle=False)
    in_proportion = task.metric is ACCURACY and min(Counter(y_train).values()) > 1
    strata = y_train if in_proportion else None
    return train_test_split(
        X_train, y_train, test_size=0.2, random_state=seed, stratify=strata
    )


def settings_of(task, options):
    """Return what is passed to the estimator."""
    return task.needs | (task.recipe if not options.default else {}) | options.set


def last_step(model):
    """Return the estimator of a pipeline, or the model itself."""
    return model[-1] if hasattr(model, "steps") else model


def warm_up(task, options):
    """Train for an epoch on a few samples: compiling and loading is not counted."""
    X, _, y, _ = load(task, options, 0)
    model = task.make_model(settings_of(task, options) | {"max_iter": 1}, 0)
    if y is None:  # texts without targets
        model.fit([text[:20_000] for text in X])
        return
    rows = np.random.default_rng(0).permutation(len(X))[:500]
    model.fit(_safe_indexing(X, rows), _safe_indexing(y, rows))


def score_seeds(task, options):
    """Return scores, seconds and epochs of each seed, and the score of all together."""
    warm_up(task, options)
    result = {"scores": [], "seconds": [], "epochs": []}
    probabilities = []
    for seed in range(options.seeds):
        X_train, X_test, y_train, y_test = load(task, options, seed)
        model = task.make_model(settings_of(task, options), seed)
        begin = time.perf_counter()
        model.fit(X_train, y_train)
        result["seconds"].append(time.perf_counter() - begin)
        result["epochs"].append(last_step(model).n_iter_)
        result["scores"].append(task.metric.of(model, X_test, y_test))
        add_score_beside(result, task, model, X_test, y_test)
        if task.metric is ACCURACY and not options.holdout:
            probabilities.append(model.predict_proba(X_test))
    if len(probabilities) > 1:
        chosen = model.classes_[np.mean(probabilities, axis=0).argmax(axis=1)]
        result["ensemble"] = 100 * float(np.mean(chosen == y_test))
    return result


def score_torch(task, options, epochs):
    """Return scores and seconds of PyTorch's loop, or why there are none."""
    if task.estimator.__name__ not in PEERS or task.metric not in PEER_METRICS:
        return {"skipped": "there is no loop for such a task"}
    module, name = PEERS[task.estimator.__name__]
    peer = importlib.import_module(module)
    settings = task.estimator().get_params() | settings_of(task, options)
    missing = peer.what_is_missing(settings)
    if missing:
        return {"skipped": ", ".join(missing)}
    result = {"scores": [], "seconds": []}
    for seed, n_epochs in enumerate(epochs):
        X_train, X_test, y_train, y_test = load(task, options, seed)
        if task.tokenizer:
            tokenizer = task.make_model({}, seed)[0].fit(X_train)
            X_train, X_test = map(tokenizer.transform, (X_train, X_test))
        model = getattr(peer, name)(n_epochs, seed, settings)
        result["seconds"].append(model.fit(X_train, y_train).seconds_)
        result["scores"].append(task.metric.of(model, X_test, y_test))
        add_score_beside(result, task, model, X_test, y_test)
    return result


def add_score_beside(result, task, model, X, y):
    """Note a second score, where a task has one and its library is installed."""
    if task.beside is not None and not missing_packages(["sacrebleu"]):
        scores = result.setdefault("beside", {}).setdefault(task.beside.name, [])
        scores.append(task.beside.of(model, X, y))


def run_task(name, options):
    """Return everything that was measured of a task."""
    task = TASKS[name]
    row = {"task": name, "settings": settings_of(task, options)}
    row["skrnn"] = score_seeds(task, options)
    print(f"  {name}: {describe(row['skrnn'])}", flush=True)
    if options.torch:
        row["torch"] = score_torch(task, options, row["skrnn"]["epochs"])
        print(f"  {name}, PyTorch: {describe(row['torch'])}", flush=True)
    return row


def describe(result):
    """Return one line about a result."""
    if "skipped" in result:
        return f"skipped: {result['skipped']}"
    mean, seconds = np.mean(result["scores"]), np.mean(result["seconds"])
    beside = [f"{k} {np.mean(v):.5g}" for k, v in result.get("beside", {}).items()]
    return ", ".join([f"{mean:.5g} in {seconds:.1f} s a fit", *beside])


# Choosing -----------------------------------------------------------------------------


def search(name, options):
    """Print a grid search on the training part."""
    task = TASKS[name]
    X, _, y, _ = load(task, options, 0)
    model = task.make_model(settings_of(task, options), 0)
    prefix = f"{type(last_step(model)).__name__.lower()}__" if task.tokenizer else ""
    grid = {f"{prefix}{key}": values for key, values in task.grid.items()}

    def scoring(model, X, y):
        score = task.metric.of(model, X, y)
        return -score if task.metric.is_error else score

    cv = TimeSeriesSplit(5) if task.in_time else 5
    found = GridSearchCV(
        model, grid, scoring=scoring, cv=cv, n_jobs=options.n_jobs, refit=False
    )
    found = found.fit(X, y).cv_results_
    rows = [
        [
            ", ".join(f"{key}={value}" for key, value in found["params"][i].items()),
            f"{abs(found['mean_test_score'][i]):.5g}",
            f"{found['std_test_score'][i]:.2g}",
            f"{found['mean_fit_time'][i]:.1f}",
        ]
        for i in np.argsort(found["rank_test_score"])
    ]
    print(f"\n{name}: {task.metric.name}, 5 folds of the training part\n")
    print_table(["settings", "mean", "sd", "seconds"], rows)


# The command --------------------------------------------------------------------------


def format_number(value):
    """Return a number to four digits or more, or a dash."""
    return "–" if value is None else f"{value:.5g}"


def verdict(task, score):
    """Return which of the bars the score reaches."""
    bars = task.bars
    for name, bar in [("aim", bars.aim), ("reach", bars.reach)]:
        if bar is not None and task.metric.reaches(score, bar):
            return name
    return "no"


def print_results(rows, options):
    """Print the scores as Markdown, beside the bars."""
    head = ["task", "", "mean", "sd", "ensemble", "seconds"]
    head += ["torch", "seconds"] * options.torch
    head += ["simple", "prototype", "published", "reach", "aim", "met"]
    lines = []
    for row in rows:
        task, ours = TASKS[row["task"]], row["skrnn"]
        mean = np.mean(ours["scores"])
        cells = [row["task"], task.metric.name, format_number(mean)]
        cells += [f"{np.std(ours['scores']):.2g}", format_number(ours.get("ensemble"))]
        cells += [f"{np.mean(ours['seconds']):.1f}"]
        if options.torch:
            peer = row["torch"]
            cells += [
                format_number(np.mean(peer[key]) if key in peer else None)
                for key in ("scores", "seconds")
            ]
        bars = task.bars
        cells += [
            format_number(bar) for bar in (bars.simple, bars.prototype, bars.published)
        ]
        cells += [format_number(bars.reach), format_number(bars.aim)]
        lines.append([*cells, verdict(task, mean)])
    print()
    print_table(head, lines)
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
    add("--only", nargs="+", choices=list(TASKS), metavar="NAME")
    add("--seeds", type=int, help="fits of each (default: 5, quick: 1)")
    add("--default", action="store_true", help="the defaults instead of the recipes")
    add("--set", nargs="+", type=parse_setting, default=[], metavar="NAME=VALUE")
    add("--max-train", type=int, help="use that many training samples at most")
    add("--holdout", action="store_true", help="score on a part of the training part")
    add("--search", action="store_true", help="only search the grids of recipes.py")
    add("--n-jobs", type=int, default=1, help="of the search (default: 1)")
    add("--torch", action="store_true", help="train the same with PyTorch")
    add("--quick", action="store_true", help="small sets and one seed")
    add("--json", type=Path, metavar="OUT", help="write every score")
    options = parser.parse_args()
    options.set = dict(options.set)
    options.seeds = options.seeds or (1 if options.quick else 5)
    small = [name for name in TASKS if TASKS[name].quick or not options.quick]
    options.only = options.only or small
    if options.torch and (missing := missing_packages(["torch"])):
        print(f"PyTorch is skipped: not installed: {', '.join(missing)}")
        options.torch = False
    return options


def main():
    """Run what the command line asks for."""
    options = parse_arguments()
    # a network that is stopped at max_iter is scored like any other
    warnings.simplefilter("ignore", ConvergenceWarning)
    if options.search:
        for name in options.only:
            search(name, options)
        return
    rows = [run_task(name, options) for name in options.only]
    print_results(rows, options)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
