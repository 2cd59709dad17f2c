"""Measure what each remedy of docs/remedies.md does against its trouble.

    python benchmarks/remedies.py --quick
    python benchmarks/remedies.py --only adding copying --seeds 5

Each trouble has a small task, made of random numbers or of scikit-learn's digits, and
settings: the first is the network without a remedy, the others have one each. The
score is that of samples that no fit has seen, the mean over seeds and their standard
deviation; data, weights and order of training differ with the seed. `pytest` does not
measure this: another machine gives other seconds, and slightly other scores.
"""

import argparse
import json
import time
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skrnn import RNNClassifier, RNNRegressor

CHUNK = 100  # samples that are scored at a time, and the fewest of a test part


@dataclass
class Trouble:
    """A task on which something goes wrong, and settings that may help.

    `make(rng, n)` returns X and y of n samples; ``network(**base | settings[name])`` is
    fitted, and `measure(model, X, y)` is its score in test.
    """

    title: str
    make: Callable
    settings: dict
    base: dict = field(default_factory=dict)
    network: type = RNNClassifier
    measure: Callable | None = None
    unit: str = "accuracy, %"
    n_train: int = 500
    n_test: int = 1000
    epochs: int = 30
    note_memory: bool = False


# Tasks: each returns X and y of n samples --------------------------------------------


def adding(rng, n, n_steps=200):
    """Return numbers of which two are marked, and the sum of these two.

    Hochreiter and Schmidhuber (1997); the first marked one lies in the first half.
    """
    X = np.zeros((n, n_steps, 2), np.float32)
    X[:, :, 0] = rng.uniform(size=(n, n_steps))
    half = n_steps // 2
    X[np.arange(n), rng.integers(0, half, n), 1] = 1
    X[np.arange(n), rng.integers(half, n_steps, n), 1] = 1
    return X, (X[:, :, 0] * X[:, :, 1]).sum(axis=1)


def short_adding(rng, n):
    """Return the same with 50 numbers."""
    return adding(rng, n, n_steps=50)


def adding_in_float64(rng, n):
    """Return the same in twice the precision, for small effects."""
    X, y = short_adding(rng, n)
    return X.astype(np.float64), y


N_SYMBOLS, N_COPIED = 8, 4


def copying(rng, n, n_blanks=100):
    """Return symbols, blanks and a sign to repeat; y is asked for at the end only."""
    symbols = rng.integers(2, 2 + N_SYMBOLS, (n, N_COPIED))
    X = np.zeros((n, n_blanks + 2 * N_COPIED), np.float32)
    X[:, :N_COPIED] = symbols
    X[:, -N_COPIED - 1] = 1
    y = np.zeros(X.shape, int)
    y[:, -N_COPIED:] = symbols
    return X[:, :, np.newaxis], y


def of_copies(model, X, y):
    """Return the accuracy of the steps that are to be repeated."""
    return 100 * np.mean(model.predict(X)[:, -N_COPIED:] == y[:, -N_COPIED:])


def digits(rng, n):
    """Return images of digits, 8 rows of 8 pixels."""
    data = load_digits()
    rows = rng.permutation(len(data.target))[:n]
    return data.images[rows].astype(np.float32), data.target[rows]


def pixels(rng, n):
    """Return digits pixel by pixel: 64 steps of one channel."""
    X, y = digits(rng, n)
    return X.reshape(len(X), 64, 1), y


def noisy_labels(rng, n):
    """Return digits; of the first 200, which are those of training, 1 in 5 is wrong."""
    X, y = digits(rng, n)
    wrong = rng.random(len(y)) < 0.2
    wrong[SMALL:] = False
    return X, np.where(wrong, rng.integers(0, 10, len(y)), y)


SMALL = 200


def without_values(rng, n):
    """Return digits of which 30 % of the pixels are missing."""
    X, y = digits(rng, n)
    X[rng.random(X.shape) < 0.3] = np.nan
    return X, y


def without_steps(rng, n):
    """Return digits of which each row is missing with probability 0.3."""
    X, y = digits(rng, n)
    missing = rng.random(X.shape[:2]) < 0.3
    missing[:, 3] = False  # something must be left
    X[missing] = np.nan
    return X, y


def event(rng, n, n_steps=150):
    """Return noise with an event somewhere in it: up and down, or down and up."""
    X = rng.normal(0, 0.5, (n, n_steps)).astype(np.float32)
    y = rng.integers(0, 2, n)
    begin = rng.integers(n_steps // 3, n_steps // 2, n)
    for x, label, t in zip(X, y, begin, strict=True):
        x[t : t + 3] += 2 - 4 * label
        x[t + 3 : t + 6] -= 2 - 4 * label
    return X[:, :, np.newaxis], y


def levels(rng, n, n_steps=60):
    """Return small waves of three frequencies on large random walks."""
    y = rng.integers(0, 3, n)
    t = np.arange(n_steps)
    phase = rng.uniform(0, 2 * np.pi, (n, 1))
    wave = np.sin((0.6 + 0.3 * y[:, np.newaxis]) * t + phase)
    walk = np.cumsum(rng.normal(0, 0.5, (n, n_steps)), axis=1)
    X = wave + walk + rng.normal(0, 20, (n, 1))
    return X[:, :, np.newaxis].astype(np.float32), y


N_WORDS = 300


def words(rng, n, n_steps=20):
    """Return ids of words; a tenth of the words say yes or no, and the most win."""
    ids = rng.integers(0, N_WORDS, (n, n_steps))
    votes = np.where(ids < N_WORDS // 10, 1 - 2 * (ids % 2), 0).sum(axis=1)
    y = votes + rng.uniform(-0.5, 0.5, n) > 0
    return ids[:, :, np.newaxis].astype(np.float32), y.astype(int)


def one_hot_words(rng, n):
    """Return the same with a channel for each word."""
    ids, y = words(rng, n)
    return np.eye(N_WORDS, dtype=np.float32)[ids[:, :, 0].astype(int)], y


def memory_of_minutes(rng, n, n_steps=4000):
    """Return a noisy wave and, for each step, its mean over the last 20 steps."""
    t = np.arange(n_steps)
    frequency = rng.uniform(0.02, 0.1, (n, 1))
    X = np.sin(frequency * t) + rng.normal(0, 0.5, (n, n_steps))
    sums = np.cumsum(X, axis=1)
    sums[:, 20:] -= sums[:, :-20].copy()
    return X[:, :, np.newaxis].astype(np.float32), sums / 20


def r2_of_steps(model, X, y):
    """Return R² over the steps of all sequences, in %."""
    residual = np.square(model.predict(X).ravel() - y.ravel()).sum()
    return 100 * (1 - residual / np.square(y - y.mean()).sum())


def filled(make, value=0.0):
    """Return a task without its gaps: a number stands where nothing was."""

    def make_filled(rng, n):
        X, y = make(rng, n)
        return np.where(np.isnan(X), np.float32(value), X), y

    return make_filled


# Measures ----------------------------------------------------------------------------


def accuracy(model, X, y):
    """Return the accuracy in %."""
    return 100 * model.score(X, y)


def r2(model, X, y):
    """Return R² in %."""
    return 100 * model.score(X, y)


def attacked(model, X, y):
    """Return the accuracy in % when the inputs are moved against the network.

    By the fast gradient sign method (Goodfellow et al. 2015): each pixel by 1.5 of its
    16 levels, the way that lowers the probability of the right class.
    """
    X, y = X[: 3 * CHUNK].astype(np.float64), y[: 3 * CHUNK]
    right = np.arange(len(y)), np.searchsorted(model.classes_, y)
    gradient = np.empty_like(X)
    for place in np.ndindex(X.shape[1:]):
        some = (slice(None), *place)
        up, down = X.copy(), X.copy()
        up[some] += 0.01
        down[some] -= 0.01
        of_right = [np.log(model.predict_proba(x)[right] + 1e-12) for x in (up, down)]
        gradient[some] = of_right[0] - of_right[1]
    return 100 * model.score(X - 1.5 * np.sign(gradient), y)


def reach(model, X, y):
    """Return log10 of the effect of the first 5 steps divided by that of the last 5.

    The effect of a step is the change of the prediction for a small change of the
    step's input, a root mean square over samples; rounding errors hide what is less
    than 1e-12.
    """
    X = X[:CHUNK]

    def effect(t):
        moved = [X.copy(), X.copy()]
        moved[0][:, t, 0] += 1e-3
        moved[1][:, t, 0] -= 1e-3
        return np.subtract(*map(model.predict, moved))

    first, last = (
        np.sqrt(np.mean([np.square(effect(t)) for t in steps]))
        for steps in (range(5), range(X.shape[1] - 5, X.shape[1]))
    )
    return np.log10(max(first / last, 1e-12))


# Troubles ----------------------------------------------------------------------------

CELLS = {cell: {"cell": cell} for cell in ("rnn", "lstm", "gru", "mingru", "janet")}
DEEP = {"hidden_layer_sizes": (16,) * 8, "cell": "lstm"}
SGD = {"solver": "sgd", "learning_rate_init": 0.1}
WIDE = {"hidden_layer_sizes": (64,), "cell": "gru"}
REGULARIZED = {
    "nothing": {},
    "alpha=0.1": {"alpha": 0.1},
    "dropout=0.4": {"dropout": 0.4},
    "input_dropout=0.2": {"input_dropout": 0.2},
    "recurrent_dropout=0.3": {"recurrent_dropout": 0.3},
    "input_noise=0.5": {"input_noise": 0.5},
    "label_smoothing=0.2": {"label_smoothing": 0.2},
    "early_stopping": {"early_stopping": True, "n_iter_no_change": np.inf},
    "dropout=0.4, input_noise=0.5": {"dropout": 0.4, "input_noise": 0.5},
}

TROUBLES = {
    "adding": Trouble(
        "What matters lies far back: adding two of 200 numbers",
        adding,
        CELLS | {"lstm, learn_initial_state": {"learn_initial_state": True}},
        network=RNNRegressor,
        measure=r2,
        unit="R², %",
        n_train=2000,
    ),
    "copying": Trouble(
        "What matters lies far back: repeating 4 symbols after 100 blanks",
        copying,
        CELLS | {"janet, class_weight=None": {"cell": "janet", "class_weight": None}},
        base={
            "return_sequences": True,
            "embedding_dim": 8,
            "hidden_layer_sizes": (64,),
            "class_weight": "balanced",  # nearly all steps are blank
        },
        measure=of_copies,
        n_train=2000,
    ),
    "vanishing": Trouble(
        "Gradients vanish: effect of the first of 50 steps beside the last",
        adding_in_float64,
        CELLS,
        network=RNNRegressor,
        measure=reach,
        unit="log10 of the ratio",
        n_train=200,
        n_test=CHUNK,
        epochs=1,
    ),
    "exploding": Trouble(
        "Gradients explode: a plain cell with relu, adding two of 50 numbers",
        short_adding,
        {
            "max_grad_norm=None": {"max_grad_norm": None},
            "max_grad_norm=1.0": {"max_grad_norm": 1.0},
            "max_grad_norm=0.1": {"max_grad_norm": 0.1},
            "sgd, max_grad_norm=None": SGD | {"max_grad_norm": None},
            "sgd, max_grad_norm=1.0": SGD | {"max_grad_norm": 1.0},
        },
        base={"cell": "rnn", "activation": "relu"},
        network=RNNRegressor,
        measure=r2,
        unit="R², %",
        n_train=1000,
    ),
    "deep": Trouble(
        "Eight layers do not learn",
        digits,
        {
            "nothing": {},
            "residual": {"residual": True},
            "layer_norm": {"layer_norm": True},
            "residual, layer_norm": {"residual": True, "layer_norm": True},
            "one layer": {"hidden_layer_sizes": (16,)},
        },
        base=DEEP,
    ),
    "overfitting": Trouble(
        "Few samples: 200 digits, of which a fifth has a wrong label",
        noisy_labels,
        REGULARIZED,
        base=WIDE,
        n_train=SMALL,
        epochs=60,
    ),
    "middle": Trouble(
        "What matters is in the middle: an event within 150 steps of noise",
        event,
        {
            "nothing": {},
            "bidirectional": {"bidirectional": True},
            'pooling="mean"': {"pooling": "mean"},
            'pooling="max"': {"pooling": "max"},
            'pooling="attention"': {"pooling": "attention"},
            'bidirectional, pooling="max"': {"bidirectional": True, "pooling": "max"},
        },
        base={"cell": "gru", "hidden_layer_sizes": (16,)},
        epochs=20,
    ),
    "fine": Trouble(
        "Many steps of little content: digits pixel by pixel",
        pixels,
        {
            "nothing": {},
            "steps_per_frame=4": {"steps_per_frame": 4},
            "steps_per_frame=8": {"steps_per_frame": 8},
        },
        base={"cell": "gru"},
        n_train=800,
        n_test=900,
    ),
    "levels": Trouble(
        "The level hides the course: small waves on large walks",
        levels,
        {"nothing": {}, "differences": {"differences": True}},
        base={"cell": "gru"},
    ),
    "missing values": Trouble(
        "Values are missing: 30 % of the pixels of digits",
        without_values,
        {
            "filled with 0": {"make": filled(without_values)},
            'missing="indicator"': {"missing": "indicator"},
        },
        base={"cell": "gru"},
    ),
    "missing steps": Trouble(
        "Steps are missing: 30 % of the rows of digits",
        without_steps,
        {
            "filled with 0": {"make": filled(without_steps)},
            'missing="indicator"': {"missing": "indicator"},
            'missing="mask"': {"missing": "mask"},
        },
        base={"cell": "gru"},
    ),
    "very long": Trouble(
        "Sequences of 4000 steps take memory and time",
        memory_of_minutes,
        {
            "nothing": {},
            "bptt_steps=400": {"bptt_steps": 400},
            "bptt_steps=50": {"bptt_steps": 50},
        },
        base={"cell": "gru", "hidden_layer_sizes": (16,), "return_sequences": True},
        network=RNNRegressor,
        measure=r2_of_steps,
        unit="R², %",
        n_train=64,
        n_test=20,
        epochs=5,
        note_memory=True,
    ),
    "attack": Trouble(
        "Inputs are moved against the network: digits after a fast gradient attack",
        digits,
        {
            "nothing": {},
            "input_noise=0.3": {"input_noise": 0.3},
            "adversarial_eps=0.1": {"adversarial_eps": 0.1},
            "adversarial_eps=0.3": {"adversarial_eps": 0.3},
        },
        base={"cell": "gru"},
        measure=attacked,
        n_test=300,
    ),
    "slow": Trouble(
        "Training takes long: digits after 20 epochs",
        digits,
        {
            "constant": {"learning_rate": "constant"},
            "invscaling, 0.1": {
                "learning_rate": "invscaling",
                "learning_rate_init": 0.1,
            },
            "cosine": {},
            "cosine, 0.03": {"learning_rate_init": 0.03},
        },
        base={"cell": "gru"},
        epochs=20,
        n_train=1000,
        n_test=700,
    ),
    "tokens": Trouble(
        "Steps are words: 300 of them, 30 say yes or no",
        words,
        {
            "ids as numbers": {},
            "one-hot channels": {"make": one_hot_words},
            "embedding_dim=4": {"embedding_dim": 4},
            "embedding_dim=16": {"embedding_dim": 16},
        },
        base={"cell": "gru"},
        n_train=1000,
        epochs=20,
    ),
}


# Running -----------------------------------------------------------------------------


# What a table varies is all that disturbs a network, or helps it: no default does.
PLAIN = {
    "cell": "lstm",
    "hidden_layer_sizes": (32,),
    "pooling": "last",
    "dropout": 0.0,
    "input_noise": 0.0,
    "batch_size": 64,
    "learning_rate": "cosine",
    "learning_rate_init": 0.01,
    "n_iter_no_change": np.inf,
}


def fitted(trouble, settings, seed, options):
    """Return a fitted network, its test part and its seconds; None if it diverged."""
    n_train = min(trouble.n_train, options.max_train)
    make = settings.get("make", trouble.make)
    X, y = make(np.random.default_rng(seed), n_train + trouble.n_test)
    test = X[n_train:], y[n_train:]
    chosen = {
        **PLAIN,
        **({"label_smoothing": 0.0} if trouble.network is RNNClassifier else {}),
        "max_iter": min(trouble.epochs, options.max_iter),
        "random_state": seed,
        **trouble.base,
        **{name: value for name, value in settings.items() if name != "make"},
    }
    model = trouble.network(**chosen)
    begin = time.perf_counter()
    try:
        model.fit(X[:n_train], y[:n_train])
    except ValueError as error:
        if "became infinite" not in str(error):
            raise
        return None, test, time.perf_counter() - begin
    return model, test, time.perf_counter() - begin


def peak_megabytes(trouble, settings, options):
    """Return the most memory that a fit holds at once, in MB."""
    tracemalloc.start()
    fitted(trouble, settings, 0, options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def run_setting(trouble, settings, options):
    """Return the scores of each seed, how many fits diverged, and their seconds."""
    scores, seconds = [], []
    measure = trouble.measure or accuracy
    options.warm(trouble, settings)  # that no seconds are the compiler's
    for seed in range(options.seeds):
        model, test, elapsed = fitted(trouble, settings, seed, options)
        seconds.append(elapsed)
        if model is not None:
            scores.append(float(measure(model, *test)))
    result = {"scores": scores, "seconds": float(np.median(seconds))}
    if trouble.note_memory:
        result["megabytes"] = peak_megabytes(trouble, settings, options)
    return result


def describe(result, seeds):
    """Return the columns of the table: score, seconds, and what is to be noted."""
    scores = result["scores"]
    text = f"{np.mean(scores):.1f} ± {np.std(scores):.1f}" if scores else "–"
    notes = []
    if len(scores) < seeds:
        notes.append(f"{seeds - len(scores)} of {seeds} diverged")
    if "megabytes" in result:
        notes.append(f"{result['megabytes']:.0f} MB")
    return text, f"{result['seconds']:.1f}", ", ".join(notes)


def run_trouble(name, options):
    """Measure all settings of a trouble, and print them as a table."""
    trouble, results = TROUBLES[name], {}
    print(f"\n### {trouble.title}\n\n`--only {name!r}`\n", flush=True)
    print(f"| setting | {trouble.unit} | s | |\n|---|---|---|---|", flush=True)
    for setting, settings in trouble.settings.items():
        results[setting] = result = run_setting(trouble, settings, options)
        cells = setting, *describe(result, options.seeds)
        print("| " + " | ".join(cells) + " |", flush=True)
    return results


def warm(trouble, settings):
    """Do one short fit, for which what is missing is compiled."""
    few = argparse.Namespace(max_train=64, max_iter=1)
    fitted(trouble, settings, 0, few)


def parse_arguments():
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=TROUBLES, default=[*TROUBLES], metavar="NAME")
    add("--seeds", type=int, help="fits of each setting (default: 5, quick: 1)")
    add("--max-train", type=int, default=10**9, help="training samples at most")
    add("--max-iter", type=int, default=10**9, help="epochs at most")
    add("--quick", action="store_true", help="one seed")
    add("--json", type=Path, metavar="OUT", help="write every score")
    options = parser.parse_args()
    options.seeds = options.seeds or (1 if options.quick else 5)
    options.warm = warm
    return options


def main():
    """Run what the command line asks for."""
    options = parse_arguments()
    # a network that is stopped at max_iter is scored like any other
    warnings.simplefilter("ignore", ConvergenceWarning)
    results = {name: run_trouble(name, options) for name in options.only}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
