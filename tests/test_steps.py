"""return_sequences: a target, and a prediction, for each step."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import f1_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline

from skrnn import RNNClassifier, RNNRegressor, Sequences, SequenceScaler
from skrnn.metrics import make_step_scorer

RNG = np.random.default_rng(0)
LENGTHS = [3, 7, 5, 1, 7, 4, 6, 2] * 8
RAGGED = [RNG.normal(size=(n, 2)) for n in LENGTHS]
SUMS = [np.cumsum(x[:, 0]) for x in RAGGED]
SIGNS = [np.where(s > 0, "up", "down") for s in SUMS]
EQUAL = RNG.normal(size=(40, 6, 2))
EQUAL_SUMS = np.cumsum(EQUAL[:, :, 0], axis=1)
BRIEF = {"hidden_layer_sizes": (8,), "max_iter": 30, "random_state": 0}
BRIEF |= {"n_iter_no_change": np.inf, "return_sequences": True, "cell": "gru"}


def regressor(**settings):
    return RNNRegressor(**BRIEF | settings)


def classifier(**settings):
    return RNNClassifier(**BRIEF | settings)


def long_frame(sequences, columns=("a", "b")):
    frames = [pd.DataFrame(x, columns=list(columns)) for x in sequences]
    return pd.concat(dict(enumerate(frames)), names=["id", "t"])


def test_a_regressor_learns_running_sums():
    model = regressor(max_iter=60).fit(RAGGED, SUMS)
    predicted = model.predict(RAGGED)
    assert predicted.dtype == object and len(predicted) == len(RAGGED)
    assert [p.shape for p in predicted] == [(n,) for n in LENGTHS]
    expected = r2_score(np.concatenate(SUMS), np.concatenate(predicted))
    assert model.score(RAGGED, SUMS) == pytest.approx(expected)
    assert expected > 0.9


def test_a_classifier_tags_steps():
    model = classifier(max_iter=60).fit(RAGGED, SIGNS)
    predicted = model.predict(RAGGED)
    truth = np.concatenate(SIGNS)
    assert model.score(RAGGED, SIGNS) == (np.concatenate(predicted) == truth).mean()
    assert model.score(RAGGED, SIGNS) > 0.9
    assert_array_equal(model.classes_, ["down", "up"])
    p, log_p = model.predict_proba(RAGGED), model.predict_log_proba(RAGGED)
    scores = model.decision_function(RAGGED)
    for i, n in enumerate(LENGTHS):
        assert p[i].shape == (n, 2) and scores[i].shape == (n,)
        assert_allclose(p[i].sum(axis=1), 1.0)
        assert_allclose(np.exp(log_p[i]), p[i])
        assert_array_equal(scores[i] > 0, p[i][:, 1] > 0.5)


def test_predictions_have_the_shape_of_x():
    model = regressor().fit(EQUAL, EQUAL_SUMS)
    assert model.predict(EQUAL).shape == EQUAL_SUMS.shape
    frame = long_frame(EQUAL)
    series = model.predict(frame.to_numpy().reshape(40, 6, 2))
    assert_array_equal(series, model.predict(EQUAL))
    as_list = model.predict(list(EQUAL))
    assert as_list.dtype == object
    assert_array_equal(np.stack(as_list), model.predict(EQUAL))
    two = np.stack([EQUAL_SUMS, -EQUAL_SUMS], axis=2)
    assert regressor().fit(EQUAL, two).predict(EQUAL).shape == two.shape
    proba = classifier().fit(EQUAL, EQUAL_SUMS > 0).predict_proba(EQUAL)
    assert proba.shape == (40, 6, 2)


def test_a_frame_gives_a_frame_in_the_order_of_its_rows():
    frame = long_frame(RAGGED)
    y = pd.Series(np.concatenate(SUMS), index=frame.index)
    model = regressor().fit(frame, y)
    expected = regressor().fit(RAGGED, SUMS).predict(RAGGED)
    predicted = model.predict(frame)
    assert predicted.index.equals(frame.index)
    assert_array_equal(predicted.to_numpy(), np.concatenate(expected))
    # instances whose rows are not together
    mixed = frame.sort_index(level="t", sort_remaining=False, kind="stable")
    assert not mixed.index.equals(frame.index)
    assert_array_equal(model.predict(mixed).loc[frame.index], predicted)
    again = regressor().fit(mixed, y.loc[mixed.index])
    assert_allclose(again.predict(frame), predicted, atol=1e-5)
    assert model.score(mixed, y.loc[mixed.index]) == pytest.approx(
        model.score(frame, y)
    )


@pytest.mark.parametrize("form", ["list", "object", "Sequences"])
def test_forms_of_y_are_alike(form):
    forms = {"list": [list(s) for s in SUMS], "Sequences": Sequences(SUMS)}
    forms["object"] = np.empty(len(SUMS), dtype=object)
    forms["object"][:] = SUMS
    y = forms[form]
    expected, model = regressor().fit(RAGGED, SUMS), regressor().fit(RAGGED, y)
    assert_array_equal(model._parameters, expected._parameters)
    assert model.score(RAGGED, y) == expected.score(RAGGED, SUMS)


def test_padded_rows():
    flat = np.full((len(RAGGED), 14), np.nan)
    y = np.full((len(RAGGED), 7), 99.0)
    for i, (x, s) in enumerate(zip(RAGGED, SUMS, strict=True)):
        flat[i, : x.size], y[i, : len(s)] = x.ravel(), s
    model = regressor(n_channels=2).fit(flat, y)
    expected = regressor().fit(RAGGED, SUMS)
    assert_array_equal(model._parameters, expected._parameters)
    assert [len(p) for p in model.predict(flat)] == LENGTHS


def test_a_step_does_not_see_later_ones_but_both_ways_do():
    changed = EQUAL.copy()
    changed[:, 4:] = 9.0
    for both in (False, True):
        model = regressor(bidirectional=both).fit(EQUAL, EQUAL_SUMS)
        same = model.predict(changed)[:, :4] == model.predict(EQUAL)[:, :4]
        assert same.all() != both


def test_weights_of_steps_and_of_samples():
    weights = [RNG.integers(0, 3, n).astype(float) for n in LENGTHS]
    zero = [np.where(w == 0, 1e6, s) for w, s in zip(weights, SUMS, strict=True)]
    settings = {"standardize": False, "shuffle": False}
    one = regressor(**settings).fit(RAGGED, SUMS, sample_weight=weights)
    other = regressor(**settings).fit(RAGGED, zero, sample_weight=weights)
    # what has no weight is not looked at, but for the constant to begin with
    assert_allclose(one._parameters, other._parameters, rtol=1e-9)
    score = one.score(RAGGED, SUMS, sample_weight=weights)
    flat = [np.concatenate(part) for part in (SUMS, one.predict(RAGGED), weights)]
    assert score == pytest.approx(r2_score(*flat[:2], sample_weight=flat[2]))
    twice = regressor().fit(RAGGED + RAGGED[:5], SUMS + SUMS[:5])
    weighted = regressor().fit(RAGGED, SUMS, sample_weight=[2] * 5 + [1] * 59)
    assert_array_equal(twice._parameters, weighted._parameters)


def test_class_weights_act_on_steps():
    rare = [np.where(s > 1.5, "rare", "common") for s in SUMS]
    plain = classifier().fit(RAGGED, rare)
    balanced = classifier(class_weight="balanced").fit(RAGGED, rare)
    found = [
        (np.concatenate(model.predict(RAGGED)) == "rare").sum()
        for model in (plain, balanced)
    ]
    assert found[1] > found[0]


def test_early_stopping_and_a_validation_set():
    model = classifier(early_stopping=True, n_iter_no_change=3, max_iter=40)
    model.fit(RAGGED, SIGNS)
    assert model.best_validation_score_ == max(model.validation_scores_)
    y_val = np.where(EQUAL_SUMS > 0, "up", "down")
    model = classifier(max_iter=4).fit(RAGGED, SIGNS, X_val=EQUAL, y_val=y_val)
    assert len(model.validation_scores_) == 4


def test_early_stopping_refuses_unknown_classes_of_a_validation_set():
    with pytest.raises(ValueError, match="In the validation set: y contains classes"):
        classifier().fit(RAGGED, SIGNS, X_val=EQUAL, y_val=EQUAL_SUMS > 0)


def test_partial_fit_goes_on():
    model = classifier().partial_fit(RAGGED, SIGNS, classes=["down", "up"])
    assert model.partial_fit(RAGGED[:9], SIGNS[:9]).n_iter_ == 2


def test_what_scikit_learn_does_with_it():
    scorer = make_step_scorer("f1_macro")
    pipeline = make_pipeline(SequenceScaler(), classifier(max_iter=10))
    X, y = Sequences(RAGGED), np.empty(len(SIGNS), dtype=object)
    y[:] = SIGNS
    grid = {"rnnclassifier__cell": ["rnn", "gru"]}
    search = GridSearchCV(pipeline, grid, scoring=scorer, cv=2).fit(X, y)
    flat = np.concatenate(y), np.concatenate(search.predict(X))
    assert scorer(search, X, y) == pytest.approx(f1_score(*flat, average="macro"))
    assert len(cross_val_score(classifier(max_iter=3), X, y, cv=2)) == 2
    predicted = cross_val_predict(classifier(max_iter=3), X, y, cv=2)
    assert [len(p) for p in predicted] == LENGTHS
    scores = cross_val_score(regressor(max_iter=3), EQUAL, EQUAL_SUMS, cv=2)
    assert np.isfinite(scores).all()


def test_losses_of_regression_at_each_step():
    for loss in ("absolute_error", "huber"):
        assert regressor(loss=loss).fit(RAGGED, SUMS).score(RAGGED, SUMS) > 0.5
    model = regressor(loss="quantile", quantile=[0.1, 0.9]).fit(RAGGED, SUMS)
    assert model.predict(RAGGED)[1].shape == (7, 2)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([*SUMS[:5], SUMS[5][:2], *SUMS[6:]], "sample 5 has 4 steps in X and 2 in y"),
        (SUMS[:-1], "X has 64, y has 63"),
        ([s.sum() for s in SUMS], "sample 0 has shape"),
        (np.zeros(64), "sample 0 has shape"),
        ([*SUMS[:1], np.zeros((7, 2)), *SUMS[2:]], "sample 1 has"),
        (np.zeros((64, 7)), "sample 0 has 3 steps in X and 7 in y"),
        (np.zeros((64, 7, 1, 1)), "too many dimensions"),
    ],
)
def test_targets_that_do_not_fit(y, message):
    with pytest.raises(ValueError, match=message):
        regressor().fit(RAGGED, y)


def test_frames_of_steps_have_no_targets():
    with pytest.raises(ValueError, match="steps_per_frame"):
        regressor(steps_per_frame=2).fit(RAGGED, SUMS)


@pytest.mark.parametrize("missing", ["mask", "indicator"])
def test_missing_steps_have_predictions_too(missing):
    X = [x.copy() for x in RAGGED]
    for x in X:
        if len(x) > 2:
            x[1, 0] = np.nan
    model = regressor(missing=missing).fit(X, SUMS)
    predicted = model.predict(X)
    assert [len(p) for p in predicted] == LENGTHS
    if missing == "mask":  # nothing new is known there
        for p, x in zip(predicted, X, strict=True):
            assert len(x) <= 2 or p[1] == p[0]
