"""A weight means "this sample so many times", to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skrnn import RNNClassifier, RNNRegressor, Sequences

RNG = np.random.default_rng(3)
X = RNG.normal(size=(24, 4, 2))
RAGGED = [x[: 1 + i % 4] for i, x in enumerate(X)]
Y = X[:, 0, 0] + X[:, 0, 1]
CLASSES = np.digitize(Y, [-0.5, 0.5])
WEIGHT = np.arange(24) % 4
BRIEF = {"cell": "rnn", "hidden_layer_sizes": 3, "max_iter": 3, "random_state": 0}
BRIEF |= {"n_iter_no_change": np.inf, "batch_size": 7}

SETTINGS = [
    {},
    {"early_stopping": True, "validation_fraction": 0.25},
    {"solver": "rmsprop", "learning_rate": "invscaling"},
    {"learning_rate": "cosine", "alpha": 1.0},
    {"cell": "gru", "hidden_layer_sizes": (3, 2)},
    {"cell": "lstm", "max_grad_norm": None, "standardize": False},
]


def assert_same(left, right):
    for name, weights in left.weights_.items():
        np.testing.assert_array_equal(right.weights_[name], weights, err_msg=name)
    assert left.loss_curve_ == right.loss_curve_
    assert left.validation_scores_ == right.validation_scores_
    np.testing.assert_array_equal(left.predict(X), right.predict(X))


@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize("form", ["array", "ragged"])
@pytest.mark.parametrize(
    ("estimator", "y"), [(RNNRegressor, Y), (RNNClassifier, CLASSES)]
)
def test_weights_count_as_repetitions(estimator, y, form, options):
    data = X if form == "array" else Sequences(RAGGED)
    rows = RNG.permutation(np.repeat(np.arange(24), WEIGHT))
    weighted = estimator(**BRIEF | options).fit(data, y, sample_weight=WEIGHT)
    repeated = estimator(**BRIEF | options).fit(data[rows], y[rows])
    assert_same(weighted, repeated)


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile", "poisson"])
def test_weights_count_as_repetitions_for_every_loss(loss):
    y = np.exp(Y)
    rows = np.repeat(np.arange(24), WEIGHT)
    weighted = RNNRegressor(loss=loss, **BRIEF).fit(X, y, sample_weight=WEIGHT)
    assert_same(weighted, RNNRegressor(loss=loss, **BRIEF).fit(X[rows], y[rows]))


@pytest.mark.parametrize("shuffle", [True, False])
def test_weights_of_any_dtype_are_the_same_weights(shuffle):
    weight = np.linspace(0.5, 4, 24, dtype=np.float32)
    model = RNNRegressor(shuffle=shuffle, **BRIEF).fit(X, Y, sample_weight=weight)
    wide = RNNRegressor(shuffle=shuffle, **BRIEF)
    assert_same(model, wide.fit(X, Y, sample_weight=weight.astype(np.float64)))


def test_weights_do_something():
    weighted = RNNRegressor(**BRIEF).fit(X, Y, sample_weight=WEIGHT)
    plain = RNNRegressor(**BRIEF).fit(X, Y)
    assert not np.allclose(weighted.predict(X), plain.predict(X))


def test_weights_of_one_change_nothing():
    ones = RNNRegressor(**BRIEF).fit(X, Y, sample_weight=np.ones(24))
    assert_same(ones, RNNRegressor(**BRIEF).fit(X, Y))


def test_samples_of_weight_zero_are_not_there():
    weight = WEIGHT > 0
    y = np.where(weight, Y, 1e6)
    weighted = RNNRegressor(**BRIEF).fit(X, y, sample_weight=weight)
    assert_same(weighted, RNNRegressor(**BRIEF).fit(X[weight], y[weight]))


def test_samples_of_weight_zero_are_not_there_in_the_users_order():
    weight = np.where(WEIGHT > 0, WEIGHT, 0)
    kept = weight > 0
    settings = BRIEF | {"shuffle": False}
    weighted = RNNRegressor(**settings).fit(X, Y, sample_weight=weight)
    assert_same(
        weighted,
        RNNRegressor(**settings).fit(X[kept], Y[kept], sample_weight=weight[kept]),
    )


@settings(max_examples=8)
@given(rows=st.permutations(range(24)))
def test_the_order_of_samples_changes_nothing(rows):
    rows = np.array(rows)
    model = RNNRegressor(early_stopping=True, validation_fraction=0.3, **BRIEF)
    straight = model.fit(X, Y, sample_weight=1 + WEIGHT).predict(X)
    model.fit(X[rows], Y[rows], sample_weight=1 + WEIGHT[rows])
    np.testing.assert_array_equal(model.predict(X), straight)


@settings(max_examples=8)
@given(weight=st.lists(st.integers(0, 3), min_size=24, max_size=24).filter(any))
def test_any_weights_count_as_repetitions(weight):
    rows = np.repeat(np.arange(24), weight)
    weighted = RNNRegressor(**BRIEF).fit(X, Y, sample_weight=weight)
    assert_same(weighted, RNNRegressor(**BRIEF).fit(X[rows], Y[rows]))


@pytest.mark.parametrize("weight", [{0: 1.0, 1: 5.0, 2: 0.5}, "balanced"])
def test_class_weights_are_sample_weights(weight):
    by_class = weight
    if weight == "balanced":
        by_class = dict(enumerate(24 / (3 * np.bincount(CLASSES))))
    expected = RNNClassifier(**BRIEF)
    expected.fit(X, CLASSES, sample_weight=[by_class[c] for c in CLASSES])
    assert_same(RNNClassifier(class_weight=weight, **BRIEF).fit(X, CLASSES), expected)


def test_class_weights_multiply_sample_weights():
    by_class = np.array([1.0, 4.0, 2.0])
    model = RNNClassifier(class_weight=dict(enumerate(by_class)), **BRIEF)
    model.fit(X, CLASSES, sample_weight=WEIGHT)
    expected = RNNClassifier(**BRIEF)
    expected.fit(X, CLASSES, sample_weight=WEIGHT * by_class[CLASSES])
    assert_same(model, expected)


def test_weights_count_as_repetitions_in_balanced_classes():
    # "balanced" counts the samples of a class: one of weight 2 is two of them
    rows = np.repeat(np.arange(24), WEIGHT)
    weighted = RNNClassifier(class_weight="balanced", **BRIEF)
    repeated = RNNClassifier(class_weight="balanced", **BRIEF)
    weighted.fit(X, CLASSES, sample_weight=WEIGHT)
    assert_same(weighted, repeated.fit(X[rows], CLASSES[rows]))


def test_class_weights_of_strings():
    words = np.array(["a", "b", "c"])[CLASSES]
    model = RNNClassifier(class_weight={"a": 1, "b": 5, "c": 2}, **BRIEF).fit(X, words)
    numbers = RNNClassifier(class_weight={0: 1, 1: 5, 2: 2}, **BRIEF).fit(X, CLASSES)
    np.testing.assert_array_equal(model.predict_proba(X), numbers.predict_proba(X))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(24), "(?i)weight.*zero"),
        (-np.ones(24), "(?i)negative.*sample_weight"),
        (np.full(24, np.nan), "sample_weight contains NaN"),
        (np.full(24, np.inf), "sample_weight contains infinity"),
        (np.ones(23), r"\(23,\)"),
        (np.ones((24, 1)), "(?i)1D"),
    ],
)
def test_wrong_weights_are_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        RNNRegressor(**BRIEF).fit(X, Y, sample_weight=weight)


@pytest.mark.parametrize(
    ("weight", "message"), [({7: 1.0}, "class_weight"), ({0: -1.0}, "(?i)weight")]
)
def test_wrong_class_weights_are_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        RNNClassifier(class_weight=weight, **BRIEF).fit(X, CLASSES)
