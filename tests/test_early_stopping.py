"""Validation sets: what is held out, when training stops, which weights stay."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import (
    accuracy_score,
    get_scorer,
    make_scorer,
    mean_absolute_error,
    r2_score,
)

from skrnn import RNNClassifier, RNNRegressor, Sequences
from skrnn.metrics import make_step_scorer

RNG = np.random.default_rng(2)
X = RNG.normal(size=(60, 4, 2))
Y = X[:, 1, 0] + RNG.normal(size=60)
CLASSES = np.digitize(Y, [-0.5, 0.5])
CLASSES_OF_STEPS = np.digitize(X[:, :, 0], [-0.5, 0.5])
X_VAL = RNG.normal(size=(20, 4, 2))
Y_VAL = X_VAL[:, 1, 0] + RNG.normal(size=20)
BRIEF = {"cell": "rnn", "hidden_layer_sizes": 4, "random_state": 0, "max_iter": 6}
BRIEF |= {"n_iter_no_change": np.inf, "learning_rate_init": 0.05}
BRIEF |= {"learning_rate": "constant", "batch_size": 64}


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


# --- any scorer -----------------------------------------------------------------------

LONG = pd.MultiIndex.from_product([range(60), range(4)])
FORMS = {
    "array": (X, Y),
    "flat": (X.reshape(60, -1), Y),
    "list": (list(X), list(Y)),
    "Sequences": (Sequences(list(X)), Y),
    "long frame": (pd.DataFrame(X.reshape(240, 2), index=LONG), pd.Series(Y)),
    "wide frame": (pd.DataFrame(X[:, :, 0], index=range(9, 69)), pd.Series(Y)),
}


def absolute_error_of(estimator, X, y, sample_weight=None):
    return -mean_absolute_error(y, estimator.predict(X), sample_weight=sample_weight)


def small_errors(y, predicted):
    return np.mean(np.abs(np.subtract(y, predicted)) < 1)


@pytest.mark.parametrize("form", FORMS)
def test_a_named_scorer_scores_what_is_held_out(form):
    # The last rows, where the order is the user's: known, and easy to score again.
    X, y = FORMS[form]
    settings = BRIEF | {"shuffle": False, "early_stopping": True, "n_channels": 2}
    if form == "wide frame":
        settings["n_channels"] = None
    model = RNNRegressor(scoring="neg_mean_absolute_error", **settings).fit(X, y)
    assert len(model.validation_scores_) == 6
    predicted = model.predict(X)[-6:]
    expected = -mean_absolute_error(np.asarray(y)[-6:], predicted)
    assert max(model.validation_scores_) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("scoring", "expected"),
    [
        ("neg_mean_absolute_error", lambda y, p: -mean_absolute_error(y, p)),
        (absolute_error_of, lambda y, p: -mean_absolute_error(y, p)),
        (make_scorer(small_errors), small_errors),
        (
            make_scorer(small_errors, greater_is_better=False),
            lambda y, p: -small_errors(y, p),
        ),
        ("r2", r2_score),
        (None, r2_score),
    ],
)
def test_ones_own_validation_set_is_scored_by_any_scorer(scoring, expected):
    model = RNNRegressor(scoring=scoring, early_stopping=True, **BRIEF)
    model.fit(X, Y, X_val=list(X_VAL), y_val=list(Y_VAL))
    best = expected(Y_VAL, model.predict(X_VAL))
    assert model.best_validation_score_ == pytest.approx(best, rel=1e-9)
    assert model.best_validation_score_ == max(model.validation_scores_)


@pytest.mark.parametrize("name", ["neg_log_loss", "f1_macro", "roc_auc_ovr"])
def test_classifiers_are_scored_by_their_probabilities_or_labels(name):
    y = np.array(["low", "mid", "high"])[CLASSES]
    model = RNNClassifier(scoring=name, early_stopping=True, **BRIEF)
    model.fit(X, y, X_val=X[:20], y_val=y[:20])
    expected = get_scorer(name)(model, X[:20], y[:20])
    assert model.best_validation_score_ == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("scoring", ["neg_mean_absolute_error", absolute_error_of])
def test_scorers_get_the_weights(scoring):
    weight = np.arange(20) % 4
    model = RNNRegressor(scoring=scoring, **BRIEF)
    model.fit(X, Y, X_val=X_VAL, y_val=Y_VAL, sample_weight_val=weight)
    expected = -mean_absolute_error(Y_VAL, model.predict(X_VAL), sample_weight=weight)
    assert model.validation_scores_[-1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_sample_that_is_there_twice_counts_twice_for_any_scorer(weighted):
    # What is merged for training is held out as often as it was there.
    settings = BRIEF | {"early_stopping": True, "validation_fraction": 0.5}
    twice = [*range(60), *range(0, 60, 2)]
    weight = np.ones(90) if weighted else None
    scores = [
        RNNRegressor(scoring=scoring, **settings)
        .fit(X[twice], Y[twice], sample_weight=weight)
        .validation_scores_
        for scoring in ("r2", None)
    ]
    assert scores[0] == pytest.approx(scores[1], rel=1e-9)
    as_weights = RNNRegressor(scoring="r2", **settings)
    as_weights.fit(X, Y, sample_weight=np.where(np.arange(60) % 2, 1, 2))
    assert as_weights.validation_scores_ == pytest.approx(scores[0], rel=1e-9)


STEPS = {
    "array": (X, CLASSES_OF_STEPS),
    "ragged list": (
        [x[: 1 + i % 4] for i, x in enumerate(X)],
        [c[: 1 + i % 4] for i, c in enumerate(CLASSES_OF_STEPS)],
    ),
    "long frame": (
        pd.DataFrame(X.reshape(240, 2), index=LONG),
        pd.Series(CLASSES_OF_STEPS.ravel(), index=LONG),
    ),
}


@pytest.mark.parametrize("weights", [None, "samples", "steps"])
@pytest.mark.parametrize("form", STEPS)
@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss"])
def test_steps_are_scored_by_step_scorers(form, weights, scoring):
    X, y = STEPS[form]
    lengths = np.tile([1, 2, 3, 4], 15) if form == "ragged list" else np.full(60, 4)
    weight = None
    if weights == "samples":
        weight = 1.0 + np.arange(60)
    elif weights == "steps":
        weight = [np.arange(1.0, 1 + n) for n in lengths]
    scorer = make_step_scorer(scoring)
    settings = BRIEF | {"shuffle": False, "early_stopping": True}
    model = RNNClassifier(return_sequences=True, scoring=scorer, **settings)
    model.fit(X, y, sample_weight=weight)
    last = slice(-6, None)
    if form == "long frame":
        X, y = X.iloc[-24:], y.iloc[-24:]
    else:
        X, y = X[last], y[last]
    kept = None if weight is None else weight[last]
    expected = scorer(model, X, y, sample_weight=kept)
    assert model.best_validation_score_ == pytest.approx(expected, rel=1e-9)
    if scoring == "accuracy":
        model.set_params(scoring=None)
        again = RNNClassifier(return_sequences=True, **settings)
        again.fit(*STEPS[form], sample_weight=weight)
        assert again.validation_scores_ == pytest.approx(
            [*map(float, model.validation_scores_)], rel=1e-9
        )


def test_a_scorer_that_is_none_is_refused():
    with pytest.raises(ValueError, match="'fast' is not a valid scoring"):
        RNNRegressor(scoring="fast", early_stopping=True, **BRIEF).fit(X, Y)
    with pytest.raises(ValueError, match="scoring"):
        RNNRegressor(scoring=r2_score, early_stopping=True, **BRIEF).fit(X, Y)


def test_a_scorer_that_fails_leaves_the_model_as_it_was():
    model = RNNRegressor(**BRIEF).fit(X, Y)
    before = model.predict(X)
    for scoring in ("nonsense", "roc_auc", lambda model, X: 0.0):
        model.set_params(scoring=scoring, early_stopping=True)
        with pytest.raises((ValueError, TypeError, AttributeError)):
            model.fit(X, Y)
        np.testing.assert_array_equal(model.predict(X), before)
        assert model.n_iter_ == BRIEF["max_iter"]


def test_names_of_scorers_know_nothing_of_steps():
    model = RNNRegressor(**BRIEF, return_sequences=True, scoring="r2")
    with pytest.raises(ValueError, match=r"make_step_scorer\('r2'\)"):
        model.set_params(early_stopping=True).fit(X, X[:, :, 0])
