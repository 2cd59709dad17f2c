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

# whole fits, too slow as plain Python; what they run is tried alone elsewhere
pytestmark = pytest.mark.needs_jit

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


@pytest.mark.parametrize("make", [regressor, classifier])
def test_validation_scores_are_those_of_score(make):
    y, y_val = SUMS, EQUAL_SUMS
    if make is classifier:
        y, y_val = SIGNS, np.where(EQUAL_SUMS > 0, "up", "down")
    model = make(max_iter=4).fit(RAGGED, y, X_val=EQUAL, y_val=y_val)
    assert len(model.validation_scores_) == 4
    assert model.validation_scores_[-1] == pytest.approx(model.score(EQUAL, y_val))
    assert model.validation_scores_[0] != model.validation_scores_[-1]
    weights = RNG.uniform(0, 3, EQUAL_SUMS.shape)
    validation = {"X_val": EQUAL, "y_val": y_val, "sample_weight_val": weights}
    model = make(max_iter=4).fit(RAGGED, y, **validation)
    score = model.score(EQUAL, y_val, weights)
    assert model.validation_scores_[-1] == pytest.approx(score)


def test_early_stopping_ends_with_the_best_parameters():
    settings = {"early_stopping": True, "shuffle": False, "n_iter_no_change": 3}
    settings |= {"validation_fraction": 0.25, "learning_rate": "constant"}
    model = classifier(max_iter=40, **settings).fit(RAGGED, SIGNS)
    assert model.best_validation_score_ == max(model.validation_scores_)
    held_out = RAGGED[-16:], SIGNS[-16:]
    assert model.score(*held_out) == pytest.approx(model.best_validation_score_)


def test_early_stopping_refuses_unknown_classes_of_a_validation_set():
    with pytest.raises(ValueError, match="In the validation set: y contains classes"):
        classifier().fit(RAGGED, SIGNS, X_val=EQUAL, y_val=EQUAL_SUMS > 0)


def test_partial_fit_goes_on():
    settings = {"learning_rate_init": 0.02, "label_smoothing": 0.0}
    model = classifier(dropout=0.0, input_noise=0.0, **settings)
    model.partial_fit(RAGGED, SIGNS, classes=["down", "up"])
    before = model._parameters.copy()
    for _ in range(9):
        model.partial_fit(RAGGED, SIGNS)
    assert model.n_iter_ == 10 and (model._parameters != before).any()
    assert model.loss_curve_[-1] < 0.8 * model.loss_curve_[0]
    # another part of the samples, of one class alone
    up = [x for x, s in zip(RAGGED, SIGNS, strict=True) if (s == "up").all()]
    model.partial_fit(up, [np.full(len(x), "up") for x in up])
    assert_array_equal(model.classes_, ["down", "up"])


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
        ([s.sum() for s in SUMS], "sample 0 has one value"),
        (np.zeros(64), "sample 0 has one value"),
        ([*SUMS[:1], np.zeros((7, 2)), *SUMS[2:]], r"those of sample 1 \(2,\)"),
        ([SUMS[0], [[1.0], [1.0, 2.0]], *SUMS[2:]], "sample 1 is irregular"),
        (np.zeros((64, 7)), "sample 0 has 3 steps in X and 7 in y"),
        (np.zeros((64, 7, 1, 1)), "2 or 3 dimensions, got 4"),
        (np.ma.masked_less(np.zeros((64, 7)), 1), "Masked arrays"),
    ],
)
def test_targets_that_do_not_fit(y, message):
    with pytest.raises(ValueError, match=message):
        regressor().fit(RAGGED, y)


def test_frames_of_steps_have_no_targets():
    with pytest.raises(ValueError, match="steps_per_frame"):
        regressor(steps_per_frame=2).fit(RAGGED, SUMS)


# Labels of a frame --------------------------------------------------------------------

FRAME = long_frame(RAGGED)
FRAME_SUMS = pd.Series(np.concatenate(SUMS), index=FRAME.index)
INSTANCES = list(range(len(RAGGED)))


def test_weights_of_instances_in_another_order_are_refused():
    weights = pd.Series(1.0 + np.arange(64), index=INSTANCES)
    of_steps = pd.Series(1.0 + np.arange(len(FRAME)), index=FRAME.index)
    model = regressor(max_iter=1).fit(FRAME, FRAME_SUMS, sample_weight=weights)
    for right in (weights, of_steps):
        wrong = right.loc[INSTANCES[::-1]]
        message = "0 is 0 in X and 63 in sample_weight. Use sample_weight.loc"
        with pytest.raises(ValueError, match=message):
            regressor().fit(FRAME, FRAME_SUMS, sample_weight=wrong)
        with pytest.raises(ValueError, match=message):
            model.score(FRAME, FRAME_SUMS, sample_weight=wrong)
        assert np.isfinite(model.score(FRAME, FRAME_SUMS, sample_weight=right))
    with pytest.raises(ValueError, match="0 is 0 in X and 63 in y"):
        model.score(FRAME, FRAME_SUMS.loc[INSTANCES[::-1]])


@pytest.mark.parametrize("estimator", [RNNRegressor, RNNClassifier])
def test_a_score_of_instances_in_another_order_is_refused(estimator):
    y = pd.Series([s[-1] > 0 for s in SUMS], index=INSTANCES).astype(float)
    model = estimator(4, max_iter=1, n_iter_no_change=np.inf).fit(FRAME, y)
    weights = y + 1
    assert model.score(FRAME, y, weights) == model.score(FRAME, y.array, weights.array)
    with pytest.raises(ValueError, match="0 is 0 in X and 63 in y"):
        model.score(FRAME, y[::-1])
    for call in (model.score, model.fit):
        with pytest.raises(ValueError, match="0 is 0 in X and 63 in sample_weight"):
            call(FRAME, y, sample_weight=weights[::-1])


def test_times_and_instances_of_y_are_compared():
    frame = long_frame(RAGGED[:3])
    y = FRAME_SUMS.loc[:2]
    model = regressor(max_iter=1).fit(frame, y)
    shuffled = pd.concat([y.iloc[1:3], y.iloc[:1], y.iloc[3:]])
    others = y.rename(index={1: 7}, level=0)
    unknown = y.set_axis(pd.MultiIndex.from_arrays([[0.0] * 14 + [np.nan], range(15)]))
    for call in (model.fit, model.score):
        with pytest.raises(ValueError, match="In y: The times of instance 0 do not"):
            call(frame, shuffled)
        with pytest.raises(ValueError, match="sample 1 is 1 in X and 7 in y"):
            call(frame, others)
        with pytest.raises(ValueError, match="instance label of row 14 is missing"):
            call(frame, unknown)
    # where X has no labels there is nothing to compare
    model = regressor(max_iter=1).fit(RAGGED[:3], others)
    assert model.score(RAGGED[:3], others) == model.score(RAGGED[:3], SUMS[:3])


# Forms of weights ---------------------------------------------------------------------


def test_forms_of_weights():
    def fitted(weights):
        return regressor(max_iter=2).fit(EQUAL, EQUAL_SUMS, sample_weight=weights)

    of_samples, of_steps = RNG.uniform(1, 2, 40), RNG.uniform(1, 2, (40, 6))
    ragged = np.empty(40, dtype=object)
    ragged[:] = list(of_steps)
    for form, like in [
        (2.0, np.full(40, 2.0)),
        (of_samples.astype(object), of_samples),
        (pd.Series(of_samples), of_samples),
        (list(of_samples), of_samples),
        (pd.DataFrame(of_steps), of_steps),
        (pd.Series(list(of_steps)), of_steps),
        (ragged, of_steps),
        (Sequences(of_steps), of_steps),
        (of_steps.tolist(), of_steps),
    ]:
        model, expected = fitted(form), fitted(like)
        assert_array_equal(model._parameters, expected._parameters)
        score = model.score(EQUAL, EQUAL_SUMS, sample_weight=form)
        assert score == expected.score(EQUAL, EQUAL_SUMS, sample_weight=like)


# Steps that are skipped ---------------------------------------------------------------


def gaps():
    """Return sequences of which steps are missing, and which are not."""
    X, kept = [x.copy() for x in RAGGED], []
    for x in X:
        if len(x) > 2:
            x[1, 0] = np.nan
        kept.append(~np.isnan(x[:, 0]))
    return X, kept


def kept_of(values, kept):
    return [v[k] for v, k in zip(values, kept, strict=True)]


def test_steps_marked_by_an_indicator_have_predictions_of_their_own():
    X, _ = gaps()
    predicted = regressor(missing="indicator").fit(X, SUMS).predict(X)
    assert [len(p) for p in predicted] == LENGTHS
    assert all(p[1] != p[0] for p, x in zip(predicted, X, strict=True) if len(x) > 2)


def test_skipped_steps_have_the_prediction_of_the_step_before():
    X, kept = gaps()
    model = regressor(missing="mask").fit(X, SUMS)
    predicted = model.predict(X)
    assert [len(p) for p in predicted] == LENGTHS
    for p, x in zip(predicted, X, strict=True):
        assert len(x) <= 2 or p[1] == p[0]
    whole = model.predict(kept_of(X, kept))
    assert_array_equal(np.concatenate(kept_of(predicted, kept)), np.concatenate(whole))


@pytest.mark.parametrize("make", [regressor, classifier])
def test_targets_and_weights_of_skipped_steps_do_not_count(make):
    X, kept = gaps()
    y, unknown = (SUMS, np.nan) if make is regressor else (SIGNS, "unknown")
    y = [np.where(k, v, unknown) for k, v in zip(kept, y, strict=True)]
    weights = [np.where(k, RNG.uniform(1, 2, len(k)), np.nan) for k in kept]
    whole = tuple(kept_of(values, kept) for values in (X, y, weights))
    model = make(missing="mask").fit(X, y, sample_weight=weights)
    expected = make().fit(*whole)
    assert_array_equal(model._parameters, expected._parameters)
    assert model.score(X, y) == expected.score(*whole[:2])
    assert model.score(X, y, weights) == expected.score(*whole)
    by_sample = 1.0 + np.arange(64)
    assert model.score(X, y, by_sample) == expected.score(*whole[:2], by_sample)
    model = make(missing="mask", max_iter=2).fit(X, y, X_val=X, y_val=y)
    assert model.validation_scores_[-1] == pytest.approx(model.score(X, y))


def test_padding_has_no_class():
    tokens = [RNG.integers(1, 5, n) for n in LENGTHS]
    tags = [np.where(t > 2, "high", "low") for t in tokens]
    padded, y = np.zeros((64, 7), int), np.full((64, 7), "pad!")
    for i, (t, tag) in enumerate(zip(tokens, tags, strict=True)):
        padded[i, : len(t)], y[i, : len(t)] = t, tag
    settings = {"embedding_dim": 2, "n_tokens": 5}
    model = classifier(padding_token=0, **settings).fit(padded, y)
    assert_array_equal(model.classes_, ["high", "low"])
    expected = classifier(**settings).fit(tokens, tags)
    assert_array_equal(model._parameters, expected._parameters)
    assert model.score(padded, y) == expected.score(tokens, tags)
    assert model.predict(padded).shape == (64, 7)


def test_missing_steps_and_padding_at_once():
    rows = [[[1, 0.5], [0, 0.1], [2, np.nan], [3, 0.4]], [[0, 0], [4, 0.3], [1, 0.2]]]
    X = [np.array(row) for row in rows]
    kept = [np.array([1, 0, 0, 1], bool), np.array([0, 1, 1], bool)]
    y = [np.where(k, np.arange(len(k)), np.nan) for k in kept]
    settings = {"embedding_dim": 2, "token_channels": 0, "n_tokens": 5}
    model = regressor(missing="mask", padding_token=0, **settings).fit(X, y)
    expected = regressor(**settings).fit(kept_of(X, kept), kept_of(y, kept))
    assert_array_equal(model._parameters, expected._parameters)
    (a, b, c, d), (e, f, _) = model.predict(X)
    assert a == b == c != d and e == f
    assert model.score(X, y) == expected.score(kept_of(X, kept), kept_of(y, kept))


def test_padded_rows_give_an_array_only_where_none_is_shorter():
    flat = EQUAL.reshape(40, 12).copy()
    model = regressor(n_channels=2, max_iter=1).fit(flat, EQUAL_SUMS)
    assert model.predict(flat).shape == (40, 6)
    flat[3, 8:] = np.nan
    predicted = model.predict(flat)
    assert predicted.dtype == object and predicted.shape == (40,)
    assert [len(p) for p in predicted[2:5]] == [6, 4, 6]


def test_who_forgets_return_sequences_is_reminded():
    frame = long_frame(RAGGED)
    for X, y in [
        (RAGGED, SUMS),
        (RAGGED, SIGNS),
        (frame, pd.Series(np.concatenate(SUMS), index=frame.index)),
    ]:
        for estimator in (RNNRegressor, RNNClassifier):
            with pytest.raises(ValueError, match="set return_sequences=True"):
                estimator(max_iter=1).fit(X, y)


def test_weights_of_steps_reach_the_scales_of_channels():
    of_samples = RNG.integers(1, 4, len(RAGGED)).astype(float)
    of_steps = [np.full(n, w) for n, w in zip(LENGTHS, of_samples, strict=True)]
    settings = {"shuffle": False}
    by_sample = regressor(**settings).fit(RAGGED, SUMS, of_samples)
    by_step = regressor(**settings).fit(RAGGED, SUMS, of_steps)
    assert_allclose(by_step._inputs.mean, by_sample._inputs.mean, rtol=1e-12)
    assert_allclose(by_step._inputs.scale, by_sample._inputs.scale, rtol=1e-12)
    assert_allclose(by_step._parameters, by_sample._parameters, rtol=1e-6)
    # a step of weight 0 is not looked at
    far = [x.copy() for x in RAGGED]
    none = [np.ones(n) for n in LENGTHS]
    for x, w in zip(far, none, strict=True):
        x[-1], w[-1] = 1e6, len(x) == 1
    model = regressor(**settings).fit(far, SUMS, none)
    assert abs(model._inputs.mean).max() < 1e6
