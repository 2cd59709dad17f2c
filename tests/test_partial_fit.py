"""One pass at a time."""

from functools import partial

import numpy as np
import pytest

from skrnn import RNNClassifier, RNNRegressor

RNG = np.random.default_rng(1)
X = RNG.normal(size=(30, 4, 2))
Y = X[:, 1, 0] + X[:, 3, 1]
CLASSES = np.digitize(Y, [-0.5, 0.5])
BRIEF = {"cell": "rnn", "hidden_layer_sizes": 4, "random_state": 0}


def same_weights(left, right):
    return all(np.array_equal(w, right.weights_[n]) for n, w in left.weights_.items())


def test_each_call_is_an_epoch():
    model = RNNRegressor(**BRIEF)
    for epoch in range(1, 4):
        assert model.partial_fit(X, Y) is model
        assert model.n_iter_ == len(model.loss_curve_) == epoch
        assert model.t_ == epoch * len(X)
    assert model.loss_curve_[2] < model.loss_curve_[0]


@pytest.mark.parametrize("solver", ["adam", "adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling"])
def test_calls_on_the_same_data_are_the_epochs_of_fit(solver, learning_rate):
    # shuffle=False: every call begins its own sequence of random orders
    settings = BRIEF | {"solver": solver, "learning_rate": learning_rate}
    settings |= {"shuffle": False, "batch_size": 8, "n_iter_no_change": np.inf}
    whole = RNNRegressor(max_iter=4, **settings).fit(X, Y)
    steps = RNNRegressor(**settings)
    for _ in range(4):
        steps.partial_fit(X, Y)
    assert same_weights(whole, steps)
    assert whole.loss_curve_ == steps.loss_curve_


@pytest.mark.parametrize("rate", ["constant", "invscaling", "adaptive", "cosine"])
def test_every_call_learns(rate):
    model = RNNRegressor(learning_rate=rate, **BRIEF)
    for _ in range(4):
        model.partial_fit(X, Y)
        before = {name: w.copy() for name, w in model.weights_.items()}
        model.partial_fit(X, Y)
        assert not all(np.array_equal(w, before[n]) for n, w in model.weights_.items())


def test_scales_are_those_of_the_first_call():
    model = RNNRegressor(**BRIEF).partial_fit(X, Y)
    mean, scale = model._inputs.mean.copy(), model._inputs.scale.copy()
    target = model._target_mean.copy(), model._target_scale.copy()
    model.partial_fit(100 + 7 * X, 5 * Y - 3)
    np.testing.assert_array_equal(model._inputs.mean, mean)
    np.testing.assert_array_equal(model._inputs.scale, scale)
    np.testing.assert_array_equal((model._target_mean, model._target_scale), target)


def test_goes_on_after_fit():
    model = RNNRegressor(max_iter=3, n_iter_no_change=np.inf, **BRIEF).fit(X, Y)
    model.partial_fit(X, Y)
    assert model.n_iter_ == 4


def test_fit_begins_again_after_partial_fit():
    settings = BRIEF | {"max_iter": 3, "n_iter_no_change": np.inf}
    model = RNNRegressor(**settings).partial_fit(X, Y).fit(X, Y)
    assert same_weights(model, RNNRegressor(**settings).fit(X, Y))


def test_sequences_may_have_other_lengths():
    model = RNNRegressor(**BRIEF).partial_fit(X, Y).partial_fit(X[:, :2], Y)
    model.partial_fit([x[: 1 + i % 4] for i, x in enumerate(X)], Y)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.needs_jit
def test_learns():
    model = RNNClassifier(**BRIEF)
    for _ in range(80):
        for part in (slice(0, 15), slice(15, 30)):
            model.partial_fit(X[part], CLASSES[part], classes=[0, 1, 2])
    assert model.score(X, CLASSES) > 0.85


def test_classes_are_needed_once():
    model = RNNClassifier(**BRIEF)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, CLASSES)
    model.partial_fit(X, CLASSES, classes=[2, 0, 1, 7])
    np.testing.assert_array_equal(model.classes_, [0, 1, 2, 7])
    assert model.predict_proba(X).shape == (30, 4)
    model.partial_fit(X[:3], CLASSES[:3])
    model.partial_fit(X[:3], CLASSES[:3], classes=[7, 2, 1, 0])
    with pytest.raises(ValueError, match="differs from the first call"):
        model.partial_fit(X, CLASSES, classes=[0, 1, 2])


def test_a_refused_first_call_leaves_nothing_behind():
    model = RNNClassifier(**BRIEF)
    before = vars(model).copy()
    for train in (model.fit, partial(model.partial_fit, classes=[0, 1])):
        with pytest.raises(ValueError, match="NaN"):
            train(X, np.full(len(X), np.nan))
        assert vars(model) == before


def test_a_call_may_lack_classes():
    model = RNNClassifier(**BRIEF)
    for label in (0, 1, 2):
        chosen = label == CLASSES
        model.partial_fit(X[chosen], CLASSES[chosen], classes=[0, 1, 2])
    assert model.predict_proba(X).shape == (30, 3)


def test_a_class_that_was_not_declared_is_refused():
    model = RNNClassifier(**BRIEF)
    with pytest.raises(ValueError, match=r"classes \[2\] that are not among \[0, 1\]"):
        model.partial_fit(X, CLASSES, classes=[0, 1])


def test_strings_may_grow_longer():
    words = np.array(["a", "bb", "cccc"])
    model = RNNClassifier(**BRIEF)
    model.partial_fit(X[:2], ["a", "a"], classes=words)
    model.partial_fit(X, words[CLASSES])
    assert set(model.predict(X)) <= set(words)


def test_class_weights_hold_when_a_call_lacks_a_class():
    weight = {0: 2.0, 2: 3.0}  # the others weigh 1
    weighted = RNNClassifier(class_weight=weight, **BRIEF)
    explicit = RNNClassifier(**BRIEF)
    for chosen in (CLASSES != 0, CLASSES == 1, CLASSES != 2):
        c = CLASSES[chosen]
        weighted.partial_fit(X[chosen], c, classes=[0, 1, 2])
        weights = np.array([weight.get(i, 1.0) for i in c])
        explicit.partial_fit(X[chosen], c, [0, 1, 2], sample_weight=weights)
    assert same_weights(weighted, explicit)


def test_balanced_class_weights_are_refused():
    model = RNNClassifier(class_weight="balanced", **BRIEF)
    with pytest.raises(ValueError, match="'balanced' is not defined for partial_fit"):
        model.partial_fit(X, CLASSES, classes=[0, 1, 2])


@pytest.mark.parametrize(
    ("X_new", "y_new", "message"),
    [
        (X[:, :, :1], Y, "X has 1 features, but RNNRegressor is expecting 2"),
        (X, np.column_stack([Y, Y]), "y has 2 outputs, expected 1"),
    ],
)
def test_other_data_are_refused(X_new, y_new, message):
    model = RNNRegressor(**BRIEF).partial_fit(X, Y)
    before = model.predict(X)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X_new, y_new)
    np.testing.assert_array_equal(model.predict(X), before)


def test_another_network_is_refused():
    model = RNNRegressor(**BRIEF).partial_fit(X, Y)
    with pytest.raises(ValueError, match="is another one"):
        model.set_params(hidden_layer_sizes=5).partial_fit(X, Y)


def test_early_stopping_does_not_apply():
    model = RNNRegressor(early_stopping=True, **BRIEF).partial_fit(X, Y)
    plain = RNNRegressor(**BRIEF).partial_fit(X, Y)
    assert same_weights(model, plain)
    assert model.validation_scores_ is None


def test_weights_count_as_repetitions():
    weight = np.arange(30) % 3
    weighted, repeated = RNNRegressor(**BRIEF), RNNRegressor(**BRIEF)
    for _ in range(3):
        weighted.partial_fit(X, Y, sample_weight=weight)
        repeated.partial_fit(np.repeat(X, weight, axis=0), np.repeat(Y, weight))
    assert same_weights(weighted, repeated)
