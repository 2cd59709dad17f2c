"""Data sets of `accuracy.py` and `defaults.py`: files of a folder, and made ones.

A loader takes the folder and returns (X_train, X_test, y_train, y_test), as
`train_test_split` does. X is a list of arrays (length, n_channels), an array
(n_samples, n_timesteps, n_channels), or a list of strings.
"""

import gzip
from functools import cache

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skrnn.audio import MFCC

# Files --------------------------------------------------------------------------------


def from_npz(name, target="y"):
    """Return a loader of a file of sequences, the training part first."""

    def load(folder):
        with np.load(folder / name) as file:
            steps = file["values"].astype(np.float32)
            X = np.split(steps, np.cumsum(file["lengths"])[:-1])
            y, n_train = file[target], int(file["n_train"])
        return X[:n_train], X[n_train:], y[:n_train], y[n_train:]

    return load


def mnist(n_channels):
    """Return a loader of MNIST whose steps are so many pixels, row by row."""

    def load(folder):
        with np.load(folder / "mnist.npz") as file:
            X_train, X_test = (
                file[f"x_{part}"].reshape(-1, 784 // n_channels, n_channels)
                for part in ("train", "test")
            )
            y_train, y_test = file["y_train"], file["y_test"]
        return X_train.astype(np.float32), X_test.astype(np.float32), y_train, y_test

    return load


def split_texts(texts, labels):
    """Return four fifths of the texts for training, the labels in proportion."""
    texts, labels = list(texts), np.asarray(labels)
    return train_test_split(
        texts, labels, test_size=0.2, stratify=labels, random_state=0
    )


def names(folder):
    """Return surnames and their languages, without duplicates."""
    frame = pd.read_csv(folder / "names18.csv.gz", keep_default_na=False)
    frame = frame.drop_duplicates()
    return split_texts(frame["name"], frame["language"])


def rt_polarity(folder):
    """Return sentences of film reviews, and whether they praise."""
    # quoting=3: quotation marks belong to the sentences
    path = folder / "rt_polarity.tsv.gz"
    frame = pd.read_csv(path, sep="\t", header=None, quoting=3)
    return split_texts(frame[1].str.strip(), frame[0])


@cache
def digit_strings(folder, n_train=3000, n_test=300):
    """Return strings of 3 to 7 spoken digits as MFCC with slopes, and the digits.

    Recordings are joined at random, for the test part those that no training string
    has. A part of the training strings shares its recordings with the others.
    """
    with np.load(folder / "fsdd_audio.npz") as file:
        recordings = np.split(file["values"], np.cumsum(file["lengths"])[:-1])
        digits, is_test = file["digit"].astype(str), file["index"] < 5
    rng, parts = np.random.default_rng(0), []
    for part, n_strings in [(~is_test, n_train), (is_test, n_test)]:
        strings = [
            rng.choice(np.flatnonzero(part), size=rng.integers(3, 8))
            for _ in range(n_strings)
        ]
        X = [np.concatenate([recordings[i] for i in string]) for string in strings]
        features = MFCC(8000, deltas=2).fit_transform(X)
        y = np.array(["".join(digits[string]) for string in strings], dtype=object)
        parts.append(([x.astype(np.float32) for x in features], y))
    (X_train, y_train), (X_test, y_test) = parts
    return X_train, X_test, y_train, y_test


# Classic synthetic tasks --------------------------------------------------------------


def shakespeare(folder):
    """Return the first nine tenths of a text, and the half of the rest to choose by.

    Its last twentieth is for nobody to look at.
    """
    with gzip.open(folder / "tinyshakespeare.txt.gz", "rt", encoding="utf-8") as file:
        text = file.read()
    n = len(text)
    return [text[: n * 90 // 100]], [text[n * 90 // 100 : n * 95 // 100]], None, None


def translations(folder):
    """Return French sentences and their English, no French one in both parts.

    A fifth of the French sentences are the test part, with all translations of each.
    """
    path = folder / "eng_fra_filtered.tsv.gz"
    frame = pd.read_csv(path, sep="\t", header=None, quoting=3, names=["en", "fr"])
    distinct = frame["fr"].drop_duplicates().sort_values()
    is_test = frame["fr"].isin(distinct.sample(frac=0.2, random_state=0))
    train, test = frame[~is_test], frame[is_test]
    return tuple(part[side].tolist() for side in ("fr", "en") for part in (train, test))


def adding_problem(n_timesteps, n_train=20_000, n_test=2_000):
    """Return a loader of the adding problem (Hochreiter and Schmidhuber 1997).

    The first channel is uniform on [0, 1], the second marks one step in each half with
    a 1, and y is the sum of the two marked values, whose variance is 1/6.
    """

    def load(folder=None):
        rng = np.random.default_rng(0)
        n_samples, half = n_train + n_test, n_timesteps // 2
        X = np.zeros((n_samples, n_timesteps, 2), np.float32)
        X[:, :, 0] = rng.random((n_samples, n_timesteps))
        first = rng.integers(0, half, n_samples)
        second = rng.integers(half, n_timesteps, n_samples)
        rows = np.arange(n_samples)
        X[rows, first, 1] = X[rows, second, 1] = 1
        y = X[rows, first, 0] + X[rows, second, 0]
        return X[:n_train], X[n_train:], y[:n_train], y[n_train:]

    return load


def copying(n_timesteps, n_train=10_000, n_test=1_000, n_symbols=8, n_copied=10):
    """Return a loader of the copying task (Hochreiter and Schmidhuber 1997).

    After `n_copied` symbols come `n_timesteps` blanks, of which the last is a signal to
    write the symbols; y, one class a step, is blank until then. X is one-hot.
    """

    def load(folder=None):
        rng = np.random.default_rng(0)
        n_samples, blank, signal = n_train + n_test, n_symbols, n_symbols + 1
        symbols = rng.integers(0, n_symbols, (n_samples, n_copied))
        tokens = np.full((n_samples, n_timesteps + 2 * n_copied), blank)
        y = tokens.copy()
        tokens[:, :n_copied] = y[:, -n_copied:] = symbols
        tokens[:, -n_copied - 1] = signal
        X = np.eye(n_symbols + 2, dtype=np.float32)[tokens]
        return X[:n_train], X[n_train:], y[:n_train], y[n_train:]

    return load


def mackey_glass_series(n_timesteps, delay=17):
    """Return the Mackey-Glass series as ReservoirPy makes it, but for its history.

    dx/dt = 0.2 x(t - delay) / (1 + x(t - delay)^10) - 0.1 x(t), in Runge-Kutta steps
    of 1 over which the delayed value stays as it is.
    """
    x = np.empty(n_timesteps + delay)
    x[: delay + 1] = 1.2 + 0.2 * (np.random.default_rng(0).random(delay + 1) - 0.5)
    for t in range(delay, len(x) - 1):
        inflow = 0.2 * x[t - delay] / (1 + x[t - delay] ** 10)
        k1 = inflow - 0.1 * x[t]
        k2 = inflow - 0.1 * (x[t] + k1 / 2)
        k3 = inflow - 0.1 * (x[t] + k2 / 2)
        k4 = inflow - 0.1 * (x[t] + k3)
        x[t + 1] = x[t] + (k1 + 2 * k2 + 2 * k3 + k4) / 6
    return x[delay:]


def mackey_glass(folder=None, n_timesteps=2000, n_lags=50):
    """Return windows of the Mackey-Glass series; y is the change in the next step.

    The last fifth of the steps is forecast, each from the true values before it: an
    error of the change is one of the forecast.
    """
    windows = sliding_window_view(mackey_glass_series(n_timesteps), n_lags + 1)
    X, y = windows[:, :-1].astype(np.float32), windows[:, -1] - windows[:, -2]
    n_test = n_timesteps // 5
    return X[:-n_test], X[-n_test:], y[:-n_test], y[-n_test:]


# Windows of single series, for `defaults.py` ------------------------------------------


def windows(series, n_lags, horizon):
    """Return X and y of windows, less the level, the last known value."""
    parts = sliding_window_view(np.asarray(series, np.float32), n_lags + horizon)
    level = parts[:, n_lags - 1 : n_lags]
    return parts[:, :n_lags] - level, parts[:, n_lags:] - level


# name: column, lags, horizon, whether to take logarithms
SERIES = {
    "airline": ("value", 24, 12, True),
    "lynx": ("value", 20, 5, True),
    "shampoo": ("value", 8, 3, True),
    "uschange": ("Consumption", 12, 4, False),
}


def series(name):
    """Return a loader of the windows of a series; it returns X and y."""
    column, n_lags, horizon, logarithms = SERIES[name]

    def load(folder):
        values = pd.read_csv(folder / f"{name}.csv")[column].to_numpy()
        return windows(np.log(values) if logarithms else values, n_lags, horizon)

    return load


def noisy_sine(folder=None):
    """Return windows of a cycle whose height changes, under noise."""
    rng, t = np.random.default_rng(0), np.arange(400)
    cycle = np.sin(2 * np.pi * t / 11) * (1 + 0.5 * np.sin(2 * np.pi * t / 80))
    return windows(cycle + rng.normal(scale=0.3, size=400), 24, 6)


def autoregression(folder=None):
    """Return windows of x(t) = 1.5 x(t - 1) - 0.8 x(t - 2) + noise."""
    noise, x = np.random.default_rng(0).normal(size=420), np.zeros(420)
    for t in range(2, 420):
        x[t] = 1.5 * x[t - 1] - 0.8 * x[t - 2] + noise[t]
    return windows(x[20:], 20, 3)


def chaotic(folder=None):
    """Return windows of the Mackey-Glass series, 10 steps ahead."""
    return windows(mackey_glass_series(800)[200:], 30, 10)


def small_adding_problem(folder=None):
    """Return 1,000 samples of the adding problem of 50 steps."""
    X, _, y, _ = adding_problem(50, n_train=1000, n_test=1)()
    return X, y


# Training parts of classifications, for `defaults.py` ---------------------------------


def digits(folder=None):
    """Return scikit-learn's digits, as 8 steps of 8 pixels."""
    X, y = load_digits(return_X_y=True)
    return X.reshape(-1, 8, 8).astype(np.float32), y


def one_hot_letters(texts):
    """Return an array (length, n_letters) for each text."""
    letters = sorted(set("".join(texts)))
    codes = {letter: code for code, letter in enumerate(letters)}
    one_hot = np.eye(len(letters), dtype=np.float32)
    return [one_hot[[codes[letter] for letter in text]] for text in texts]


def name_letters(folder):
    """Return the training part of `names`, one-hot."""
    texts, _, y, _ = names(folder)
    return one_hot_letters(texts), y


def training_part(load, fold=1):
    """Return a loader of a training part, with `fold` steps joined into one."""

    def load_part(folder):
        X, _, y, _ = load(folder)
        if fold > 1:
            # what does not fill a step is left out at the beginning
            X = [x[len(x) % fold :].reshape(len(x) // fold, -1) for x in X]
        return X, y

    return load_part
