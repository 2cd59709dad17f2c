"""Validation sets: what is held out, when training stops, which weights stay."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score

from skrnn import RNNClassifier, RNNRegressor

RNG = np.random.default_rng(2)
X = RNG.normal(size=(60, 4, 2))
Y = X[:, 1, 0] + RNG.normal(size=60)
CLASSES = np.digitize(Y, [-0.5, 0.5])
X_VAL = RNG.normal(size=(20, 4, 2))
Y_VAL = X_VAL[:, 1, 0] + RNG.normal(size=20)
BRIEF = {"cell": "rnn", "hidden_layer_sizes": 4, "random_state": 0, "max_iter": 6}
BRIEF |= {"n_iter_no_change": np.inf, "learning_rate_init": 0.05}


def test_keeps_the_best_weights_though_it_never_stopped():
    model = RNNRegressor(early_stopping=True, **BRIEF)
    model.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    scores = model.validation_scores_
    assert model.n_iter_ == len(scores) == 6
    assert model.best_validation_score_ == max(scores)
    assert scores[-1] < max(scores)  # or this test would show nothing
    assert r2_score(Y_VAL, model.predict(X_VAL)) == max(scores)


@pytest.mark.needs_jit
def test_keeps_the_best_weights_when_it_stops():
    settings = BRIEF | {"max_iter": 500, "n_iter_no_change": 5}
    model = RNNRegressor(early_stopping=True, **settings)
    model.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    scores = model.validation_scores_
    assert model.n_iter_ < 500
    assert r2_score(Y_VAL, model.predict(X_VAL)) == max(scores)
    assert all(s <= max(scores[:-6]) + model.tol for s in scores[-6:])


def test_best_weights_are_those_of_a_shorter_fit():
    model = RNNRegressor(early_stopping=True, **BRIEF)
    model.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    best = int(np.argmax(model.validation_scores_)) + 1
    shorter = RNNRegressor(**BRIEF | {"max_iter": best}).fit(X, Y)
    for name, weights in shorter.weights_.items():
        np.testing.assert_array_equal(model.weights_[name], weights)


def test_ones_own_validation_set_without_early_stopping_only_watches():
    watched = RNNClassifier(**BRIEF)
    watched.fit(X, CLASSES, X_val=X[:20], y_val=CLASSES[:20])
    plain = RNNClassifier(**BRIEF).fit(X, CLASSES)
    for name, weights in plain.weights_.items():
        np.testing.assert_array_equal(watched.weights_[name], weights)
    last = accuracy_score(CLASSES[:20], watched.predict(X[:20]))
    assert watched.validation_scores_[-1] == last
    assert plain.validation_scores_ is None


def test_the_validation_set_may_have_weights():
    weight = np.arange(20) % 4
    model = RNNRegressor(**BRIEF)
    model.fit(X, Y, X_val=X_VAL, y_val=Y_VAL, sample_weight_val=weight)
    expected = r2_score(Y_VAL, model.predict(X_VAL), sample_weight=weight)
    assert model.validation_scores_[-1] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("form", ["list", "flat"])
def test_the_validation_set_may_have_another_form(form):
    model = RNNRegressor(n_channels=2, **BRIEF)
    model.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    other = list(X_VAL) if form == "list" else X_VAL.reshape(20, -1)
    if form == "flat":
        train = X.reshape(60, -1)
    else:
        train = X
    again = RNNRegressor(n_channels=2, **BRIEF)
    again.fit(train, Y, X_val=other, y_val=Y_VAL)
    assert again.validation_scores_ == model.validation_scores_


def test_held_out_samples_are_not_learned_from():
    # The last ones, where the order is the user's: what they hold changes nothing.
    settings = BRIEF | {"shuffle": False, "early_stopping": True}
    settings["standardize"] = False
    y = Y.copy()
    y[-6:] = -100
    curves = [RNNRegressor(**settings).fit(X, target).loss_curve_ for target in (Y, y)]
    assert curves[0] == curves[1]


def test_held_out_shares_are_those_of_the_classes(monkeypatch):
    held_out = []

    def score(self, targets, *others):
        held_out.append(targets)
        return 0.0

    monkeypatch.setattr(RNNClassifier, "_score_encoded", score)
    c = np.arange(200) % 10 == 0
    settings = BRIEF | {"validation_fraction": 0.3, "max_iter": 1}
    model = RNNClassifier(early_stopping=True, **settings)
    model.fit(RNG.normal(size=(200, 2, 1)), c)
    assert np.bincount(held_out[0].astype(int).ravel()).tolist() == [54, 6]


def test_the_network_starts_the_same_with_and_without():
    still = BRIEF | {"learning_rate_init": 1e-300, "max_iter": 1, "alpha": 0.0}
    first = RNNRegressor(**still).fit(X, Y).weights_
    second = RNNRegressor(early_stopping=True, **still).fit(X, Y).weights_
    for name in first.keys() - {"output.bias"}:
        np.testing.assert_allclose(first[name], second[name], rtol=0, atol=1e-200)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("estimator", [RNNRegressor, RNNClassifier])
def test_too_few_samples_to_hold_some_out(estimator, shuffle):
    model = estimator(early_stopping=True, shuffle=shuffle, **BRIEF)
    with pytest.raises(ValueError, match=r"validation_fraction|n_samples=1"):
        model.fit(X[:1], CLASSES[:1])


@pytest.mark.parametrize("shuffle", [False, True])
def test_enough_is_held_out_to_have_a_score(shuffle):
    # R² of one sample is not defined: no epoch would ever be the best.
    model = RNNRegressor(early_stopping=True, shuffle=shuffle, **BRIEF)
    model.fit(X[:8], Y[:8])
    assert np.isfinite(model.validation_scores_).all()


def test_says_what_did_not_improve(capsys):
    settings = BRIEF | {"n_iter_no_change": 1, "tol": 1e9, "verbose": True}
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        RNNRegressor(early_stopping=True, **settings).fit(X, Y)
    out = capsys.readouterr().out
    assert "Validation score: " in out
    assert "Validation score did not improve more than tol=" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X_val": X_VAL}, "X_val and y_val must be passed together"),
        ({"y_val": Y_VAL}, "X_val and y_val must be passed together"),
        ({"sample_weight_val": Y_VAL}, "sample_weight_val needs X_val and y_val"),
        ({"X_val": X_VAL, "y_val": Y_VAL[:3]}, "inconsistent numbers of samples"),
        ({"X_val": X_VAL[:, :, :1], "y_val": Y_VAL}, "1 features.*expecting 2"),
    ],
)
def test_a_wrong_validation_set_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RNNRegressor(**BRIEF).fit(X, Y, **arguments)


def test_validation_classes_must_be_known():
    with pytest.raises(ValueError, match=r"classes \[9\] that are not among"):
        RNNClassifier(**BRIEF).fit(X, CLASSES, X_val=X[:2], y_val=[0, 9])
