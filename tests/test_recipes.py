"""The networks that books and tutorials build first, and that they learn."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skrnn import RNNClassifier, RNNRegressor

pytestmark = pytest.mark.needs_jit
ENDLESS = np.inf


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ten_units_forecast_a_series(seed):
    """One SimpleRNN(10) and Dense(1), RMSprop and the squared error."""
    rng = np.random.default_rng(seed)
    t = np.arange(600)
    cycle = np.sin(2 * np.pi * t / 11) * (1 + 0.5 * np.sin(2 * np.pi * t / 80))
    series = 50 + 40 * cycle + rng.normal(scale=2, size=600)
    windows = np.lib.stride_tricks.sliding_window_view(series, 24)
    X, y = windows[:-1], series[24:]
    model = RNNRegressor(
        hidden_layer_sizes=(10,),
        cell="rnn",
        solver="rmsprop",
        learning_rate_init=0.001,
        batch_size=16,
        max_iter=60,
        n_iter_no_change=ENDLESS,
        random_state=seed,
    )
    model.fit(X[:450], y[:450])
    error = np.abs(model.predict(X[450:]) - y[450:]).mean()
    of_last_value = np.abs(X[450:, -1] - y[450:]).mean()
    of_last_cycle = np.abs(X[450:, -11] - y[450:]).mean()
    assert error < 0.6 * min(of_last_value, of_last_cycle)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_layers_of_ten_units_classify_three_features(seed):
    """Two SimpleRNN(10) and softmax over three features, with Adam."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=400)
    t = np.arange(20)
    phase = rng.uniform(0, 2 * np.pi, size=(400, 1))
    speed = np.array([0.3, 0.6, 1.0])[y][:, np.newaxis]
    waves = [np.sin(speed * t + phase), np.cos(speed * t + phase)]
    X = np.stack([*waves, np.zeros((400, 20))], axis=2)
    X += rng.normal(scale=0.3, size=X.shape)
    model = RNNClassifier(
        hidden_layer_sizes=(10, 10),
        cell="rnn",
        solver="adam",
        max_iter=40,
        n_iter_no_change=ENDLESS,
        random_state=seed,
    )
    model.fit(X[:300], y[:300])
    assert model.out_activation_ == "softmax" and model.n_layers_ == 4
    assert model.score(X[300:], y[300:]) > 0.85  # a guess has 0.33


@pytest.mark.parametrize("seed", [0, 1])
def test_sigmoid_units_read_digits_row_by_row(seed):
    """Sigmoid units, the squared error and Adam on images read as sequences."""
    images, y = load_digits(return_X_y=True)
    X = images.reshape(-1, 8, 8).astype(np.float32)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, random_state=seed, stratify=y
    )
    model = RNNClassifier(
        hidden_layer_sizes=(32,),
        cell="rnn",
        activation="logistic",
        loss="squared_error",
        solver="adam",
        max_iter=40,
        n_iter_no_change=ENDLESS,
        random_state=seed,
    )
    model.fit(X_train, y_train)
    assert model.score(X_test, y_test) > 0.85  # a guess has 0.1


# How invented names of invented languages begin, go on and end.
LANGUAGES = {
    "northern": (
        ["thor", "sig", "bjar", "hald"],
        ["un", "vi", "ge"],
        ["sen", "dottir"],
    ),
    "southern": (["mar", "giu", "lo", "fran"], ["cel", "li", "ren"], ["ino", "etta"]),
    "eastern": (["iva", "pet", "mik", "ser"], ["no", "ro", "ge"], ["vich", "ovna"]),
    "island": (["ka", "mo", "le", "na"], ["ili", "ana", "kea"], ["lani", "noa"]),
}
ALPHABET = sorted({c for parts in LANGUAGES.values() for c in "".join(sum(parts, []))})


def one_hot(name):
    """Turn a name into an array of shape (letters, letters of the alphabet)."""
    return np.eye(len(ALPHABET))[[ALPHABET.index(letter) for letter in name]]


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_names_letter_by_letter(cell):
    """The language of a name, from its letters, one-hot and of unequal numbers."""
    rng = np.random.default_rng(0)
    names, languages = [], []
    for language, (heads, middles, tails) in LANGUAGES.items():
        for head in heads:
            for middle in middles:
                names += [head + tail for tail in tails]
                names += [head + middle + tail for tail in tails]
                languages += [language] * 4
    names, first = np.unique(names, return_index=True)
    languages = np.array(languages)[first]
    # one letter in eight is misread, and endings alone do not tell
    letters = [np.array(list(name)) for name in names]
    for word in letters:
        misread = rng.random(len(word)) < 0.125
        word[misread] = rng.choice(ALPHABET, misread.sum())
    X = [one_hot(word) for word in letters]
    X_train, X_test, y_train, y_test = train_test_split(
        X, languages, random_state=0, stratify=languages, test_size=0.3
    )
    model = RNNClassifier(
        hidden_layer_sizes=(16,),
        cell=cell,
        standardize=False,
        max_iter=60,
        n_iter_no_change=ENDLESS,
        random_state=0,
    )
    model.fit(X_train, y_train)
    assert model.score(X_test, y_test) > 0.7  # a guess has 0.25
