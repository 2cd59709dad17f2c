"""Scores of steps: the same as scikit-learn's on the steps laid end to end."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import (
    f1_score,
    fbeta_score,
    get_scorer,
    log_loss,
    make_scorer,
    max_error,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate

from skrnn import Sequences
from skrnn.metrics import flatten_steps, make_step_scorer, sequence_accuracy_score

RNG = np.random.default_rng(20)
LENGTHS = 1 + np.arange(12) % 4
RAGGED = [RNG.normal(size=length) for length in LENGTHS]
LABELS = [(x + RNG.normal(0, 0.5, len(x)) > 0).astype(int) for x in RAGGED]
ARRAY = RNG.normal(size=(12, 4))
FLAT_LABELS = np.concatenate(LABELS)
WEIGHT = 1.0 + np.arange(12) % 3


def map_steps(function, X):
    """Apply a function of steps to an array, or to each sample of a list."""
    if isinstance(X, list):
        return [function(x) for x in X]
    return function(X)


class Threshold(ClassifierMixin, BaseEstimator):
    """A class for each step: whether its value exceeds the threshold."""

    def __init__(self, threshold=0.0):
        self.threshold = threshold

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(flatten_steps(y))
        return self

    def predict(self, X):
        return map_steps(lambda x: self.classes_[(x > self.threshold) * 1], X)

    def predict_proba(self, X):
        return map_steps(self._proba, X)

    def _proba(self, x):
        positive = 1 / (1 + np.exp(self.threshold - x))
        return np.stack([1 - positive, positive], axis=-1)


class Shift(RegressorMixin, BaseEstimator):
    """Two values for each step, one of them moved."""

    def __init__(self, shift=0.1):
        self.shift = shift

    def fit(self, X, y):
        return self

    def predict(self, X):
        return map_steps(lambda x: np.stack([x, x + self.shift], axis=-1), X)


def long(samples, labels="dabcefghijkl"):
    frames = [pd.DataFrame(np.asarray(sample)) for sample in samples]
    return pd.concat(frames, keys=list(labels[: len(frames)]))


# flatten_steps ------------------------------------------------------------------------


def objects(samples):
    array = np.empty(len(samples), dtype=object)
    array[:] = samples
    return array


@pytest.mark.contract
@pytest.mark.parametrize("k", [None, 1, 3])
def test_each_form_has_the_same_steps(k):
    shape = () if k is None else (k,)
    samples = [RNG.normal(size=(length, *shape)) for length in LENGTHS]
    expected = np.concatenate(samples)
    assert_array_equal(flatten_steps(samples), expected)
    assert_array_equal(flatten_steps([x.tolist() for x in samples]), expected)
    assert_array_equal(flatten_steps(objects(samples)), expected)
    assert_array_equal(flatten_steps(pd.Series(samples)), expected)
    columns = expected.reshape(len(expected), -1)
    assert_array_equal(flatten_steps(long(samples)), columns)
    assert_array_equal(flatten_steps(Sequences(samples)), columns)


@pytest.mark.parametrize("form", [np.asarray, list, pd.DataFrame])
def test_arrays_of_one_length(form):
    assert_array_equal(flatten_steps(form(ARRAY)), ARRAY.ravel())


def test_three_axes():
    array = RNG.normal(size=(3, 4, 2))
    assert_array_equal(flatten_steps(array), array.reshape(12, 2))


def test_rows_of_a_frame_come_by_instance():
    index = pd.MultiIndex.from_tuples([("b", 0), ("a", 0), ("b", 1), ("a", 1)])
    y = pd.Series([1, 3, 2, 4], index=index)
    assert_array_equal(flatten_steps(y), [1, 2, 3, 4])
    with pytest.raises(ValueError, match="times of instance 'b' do not increase"):
        flatten_steps(y.iloc[::-1].iloc[[1, 0, 3, 2]].rename(index={1: 0}))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, 0, 1], "y must have a value for each step, but sample 0 has one"),
        ([[1, 0], 1], "sample 1 has one value, 1"),
        (np.ones(3), "sample 0 has one value"),
        (np.ones((2, 2, 2, 2)), "y must have 2 or 3 dimensions, got 4"),
        ([np.ones((2, 2, 2))], r"sample 0 has shape \(2, 2, 2\)"),
        ([np.ones((2, 1)), np.ones((2, 3))], r"sample 0 .* \(1,\), .* sample 1 \(3,\)"),
        ([], "y has no samples"),
        (pd.concat([long([[1]])], keys=["x"]), "two levels, .* but has 3"),
    ],
)
def test_what_has_no_steps_is_refused(y, message):
    with pytest.raises(ValueError, match=message):
        flatten_steps(y)


# Scorers ------------------------------------------------------------------------------


@pytest.mark.contract
@pytest.mark.parametrize(
    "name", ["accuracy", "f1_macro", "neg_log_loss", "roc_auc", "neg_brier_score"]
)
@pytest.mark.parametrize("form", ["ragged", "array", "one column"])
def test_named_scorers_of_classes(name, form):
    X = RAGGED if form == "ragged" else ARRAY
    y = LABELS if form == "ragged" else (ARRAY + ARRAY[::-1] > 0).astype(int)
    flat_X, flat_y = flatten_steps(X), flatten_steps(y)
    if form == "one column":
        y = y[:, :, np.newaxis]
    model = Threshold(0.2).fit(X, y)
    score = make_step_scorer(name)(model, X, y)
    assert score == pytest.approx(get_scorer(name)(model, flat_X, flat_y), rel=1e-12)


@pytest.mark.parametrize("name", ["r2", "neg_mean_absolute_error"])
@pytest.mark.parametrize("X", [RAGGED, ARRAY], ids=["ragged", "array"])
def test_named_scorers_of_two_numbers_a_step(name, X):
    y = Shift(0.3).predict(X)
    flat_X, flat_y = flatten_steps(X), flatten_steps(y)
    expected = get_scorer(name)(Shift(), flat_X, flat_y)
    assert make_step_scorer(name)(Shift(), X, y) == pytest.approx(expected, rel=1e-12)
    assert expected != 0


def test_labels_that_are_strings():
    words = np.array(["no", "yes"])
    y = [words[labels] for labels in LABELS]
    model = Threshold().fit(RAGGED, y)
    expected = f1_score(FLAT_LABELS, flatten_steps(RAGGED) > 0)
    scorer = make_step_scorer(f1_score, pos_label="yes")
    assert scorer(model, RAGGED, y) == pytest.approx(expected)
    as_lists = [labels.tolist() for labels in y]
    assert scorer(model, RAGGED, as_lists) == pytest.approx(expected)


def test_metrics_with_parameters():
    model = Threshold().fit(RAGGED, LABELS)
    scorer = make_step_scorer(fbeta_score, beta=2)
    predicted = flatten_steps(RAGGED) > 0
    assert scorer(model, RAGGED, LABELS) == fbeta_score(FLAT_LABELS, predicted, beta=2)
    loss = make_step_scorer(
        log_loss,
        response_method="predict_proba",
        greater_is_better=False,
        labels=[0, 1],
    )
    same = [np.zeros_like(labels) for labels in LABELS]  # log_loss needs the labels
    proba = flatten_steps(model.predict_proba(RAGGED))
    assert loss(model, RAGGED, same) == pytest.approx(np.log(proba[:, 0]).mean())
    auc = make_step_scorer(
        roc_auc_score, response_method=["decision_function", "predict_proba"]
    )
    assert auc(model, RAGGED, LABELS) == roc_auc_score(FLAT_LABELS, proba[:, 1])


@pytest.mark.parametrize(
    "parameter",
    [{"labels": [0, 1]}, {"greater_is_better": False}, {"response_method": "x"}],
    ids=str,
)
def test_a_named_scorer_takes_no_parameters(parameter):
    with pytest.raises(ValueError, match="'f1_macro' has parameters of its own"):
        make_step_scorer("f1_macro", **parameter)


def test_a_frame_by_instance_and_time():
    model = Threshold().fit(RAGGED, LABELS)
    score = make_step_scorer("accuracy")(model, RAGGED, LABELS)
    assert make_step_scorer("accuracy")(model, RAGGED, long(LABELS)) == score
    assert make_step_scorer("accuracy")(model, RAGGED, long(LABELS)[0]) == score


def test_a_weight_is_that_of_each_step():
    model = Threshold().fit(RAGGED, LABELS)
    counts = WEIGHT.astype(int)
    repeated = [[x for x, n in zip(z, counts, strict=True) for _ in range(n)]
                for z in (RAGGED, LABELS)]  # fmt: skip
    for name in ("f1_macro", "neg_log_loss"):
        scorer = make_step_scorer(name)
        weighted = scorer(model, RAGGED, LABELS, sample_weight=WEIGHT)
        assert weighted == pytest.approx(scorer(model, *repeated), rel=1e-12)
        assert weighted != scorer(model, RAGGED, LABELS)


def test_weights_in_other_forms():
    scorer = make_step_scorer("accuracy")
    model = Threshold(0.3).fit(RAGGED, LABELS)
    plain = scorer(model, RAGGED, LABELS)
    weighted = scorer(model, RAGGED, LABELS, WEIGHT)
    assert weighted != plain
    assert scorer(model, RAGGED, LABELS, 2.0) == pytest.approx(plain)
    as_objects = WEIGHT.astype(object)
    assert scorer(model, RAGGED, LABELS, as_objects) == weighted
    of_steps = [np.full(n, w) for n, w in zip(LENGTHS, WEIGHT, strict=True)]
    assert scorer(model, RAGGED, LABELS, of_steps) == weighted
    assert scorer(model, RAGGED, LABELS, Sequences(of_steps)) == weighted
    y = long(LABELS)[0]
    labelled = pd.Series(WEIGHT, index=list("dabcefghijkl"))
    assert scorer(model, RAGGED, y, labelled) == weighted
    message = "0 is 'd' in y and 'a' in sample_weight"
    with pytest.raises(ValueError, match=message):
        scorer(model, RAGGED, y, labelled.sort_index())
    wide = pd.DataFrame(RNG.uniform(1, 2, ARRAY.shape))
    labels = (ARRAY + ARRAY[::-1] > 0).astype(int)
    assert scorer(model, ARRAY, labels, wide) == scorer(
        model, ARRAY, labels, wide.to_numpy()
    )


@pytest.mark.parametrize("label", [-1, np.nan, "pad"], ids=str)
def test_ignored_steps(label):
    """Padding is no part of the score, with weights and probabilities too."""
    kind = object if label == "pad" else float
    y = np.full((12, 4), label, dtype=kind)
    X = np.full((12, 4), 7.0)
    for row, (x, labels) in enumerate(zip(RAGGED, LABELS, strict=True)):
        X[row, : len(x)] = x
        y[row, : len(x)] = labels
    if label == "pad":
        y, truth = y.astype(str), [labels.astype(str) for labels in LABELS]
    else:
        truth = LABELS
    model = Threshold(0.1).fit(RAGGED, truth)
    for name in ("f1_macro", "neg_log_loss"):
        score = make_step_scorer(name, ignore=label)(model, X, y, WEIGHT)
        expected = make_step_scorer(name)(model, RAGGED, truth, WEIGHT)
        assert score == pytest.approx(expected, rel=1e-12)


def test_a_step_is_ignored_if_all_its_values_are():
    y = np.array([[[0.0, 0.0], [np.nan, np.nan]]])
    scorer = make_step_scorer("neg_mean_absolute_error", ignore=np.nan)
    assert scorer(Shift(1.0), np.array([[1.0, 5.0]]), y) == pytest.approx(-1.5)
    y[0, 0, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        scorer(Shift(), np.array([[1.0, 5.0]]), y)


def test_nothing_left_to_score():
    model = Threshold().fit(RAGGED, LABELS)
    scorer = make_step_scorer("accuracy", ignore=-1)
    with pytest.raises(ValueError, match="No step is left to score: all .* -1"):
        scorer(model, RAGGED, [labels * 0 - 1 for labels in LABELS])


def test_other_samples_or_lengths_are_refused():
    scorer = make_step_scorer("accuracy")
    model = Threshold().fit(RAGGED, LABELS)
    with pytest.raises(ValueError, match="y has 11, predict has 12"):
        scorer(model, RAGGED, LABELS[1:])
    shorter = [*LABELS[:3], LABELS[3][:2], *LABELS[4:7], LABELS[7][:1], *LABELS[8:]]
    with pytest.raises(ValueError, match="sample 3 has 2 steps in y and 4 in predict"):
        scorer(model, RAGGED, shorter)
    with pytest.raises(ValueError, match="sample 0 is 'd' in y_true and 'b' in"):
        sequence_accuracy_score(long(LABELS), long(LABELS, "bdacefghijkl"))


def test_one_prediction_a_sample_is_refused():
    class Last(Threshold):
        def predict(self, X):
            return np.array([x[-1] > 0 for x in X]) * 1

    with pytest.raises(ValueError, match="predict must have a value for each step"):
        make_step_scorer("accuracy")(Last().fit(RAGGED, LABELS), RAGGED, LABELS)


def test_a_method_that_the_estimator_lacks():
    with pytest.raises(AttributeError, match="Shift has none .*: predict_proba"):
        make_step_scorer("neg_log_loss")(Shift(), RAGGED, LABELS)


def test_in_a_search_with_workers():
    scorer = make_step_scorer("f1_macro")
    grid = {"threshold": [-2.0, 0.0, 2.0]}
    search = GridSearchCV(Threshold(), grid, scoring=scorer, cv=KFold(3), n_jobs=2)
    search.fit(RAGGED, LABELS)
    assert search.best_params_ == {"threshold": 0.0}
    means = []
    for _, test in KFold(3).split(RAGGED):
        X, y = [RAGGED[i] for i in test], [LABELS[i] for i in test]
        predicted = flatten_steps(X) > 0
        means.append(f1_score(flatten_steps(y), predicted, average="macro"))
    assert search.best_score_ == pytest.approx(np.mean(means))
    same = pickle.loads(pickle.dumps(scorer))
    assert same(search, RAGGED, LABELS) == scorer(search, RAGGED, LABELS)


@pytest.mark.contract
def test_several_scorers_at_once():
    scoring = {name: make_step_scorer(name) for name in ("accuracy", "neg_log_loss")}
    scoring["sequences"] = make_scorer(sequence_accuracy_score)
    results = cross_validate(Threshold(), RAGGED, LABELS, scoring=scoring, cv=KFold(3))
    for name, scorer in scoring.items():
        alone = cross_val_score(
            Threshold(), RAGGED, LABELS, scoring=scorer, cv=KFold(3)
        )
        assert_array_equal(results[f"test_{name}"], alone)
        assert len(set(alone)) > 1


def test_a_search_with_weights():
    """Since scikit-learn 1.9 a search passes its weights on to the scorers."""
    scoring = {"accuracy": make_step_scorer("accuracy"), "f1": make_step_scorer("f1")}
    search = GridSearchCV(
        Threshold(), {"threshold": [0.0]}, scoring=scoring, refit="f1", cv=KFold(2)
    )
    search.fit(RAGGED, LABELS, sample_weight=WEIGHT)
    assert 0 < search.best_score_ < 1


def test_weights_are_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_step_scorer("accuracy").set_score_request(sample_weight=True)
        model = Threshold().set_fit_request(sample_weight=False)
        results = cross_validate(
            model,
            RAGGED,
            LABELS,
            scoring=scorer,
            cv=KFold(2),
            params={"sample_weight": WEIGHT},
        )
    expected = []
    for _, test in KFold(2).split(RAGGED):
        X, y = [RAGGED[i] for i in test], [LABELS[i] for i in test]
        model = Threshold().fit(X, y)
        expected.append(make_step_scorer("accuracy")(model, X, y, WEIGHT[test]))
    assert_array_equal(results["test_score"], expected)


def test_a_metric_without_weights():
    scorer = make_step_scorer(max_error, greater_is_better=False)

    class Same(RegressorMixin, BaseEstimator):
        def predict(self, X):
            return X

    y = ARRAY.copy()
    y[3, 2] += 5
    assert scorer(Same(), ARRAY, y) == pytest.approx(-5)
    assert not scorer._accept_sample_weight()


def test_repr():
    scorer = make_step_scorer(fbeta_score, beta=2, ignore=-1)
    assert repr(scorer).startswith("make_step_scorer(make_scorer(fbeta_score")
    assert repr(scorer).endswith("beta=2), ignore=-1)")


# sequence_accuracy_score --------------------------------------------------------------


@given(data=st.data())
def test_sequence_accuracy_is_its_definition(data):
    lengths = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    label = st.integers(-1, 1)
    y, predicted = (
        [data.draw(st.lists(label, min_size=n, max_size=n)) for n in lengths]
        for _ in range(2)
    )
    weights = data.draw(
        st.lists(st.integers(1, 5), min_size=len(lengths), max_size=len(lengths))
    )
    right = total = 0
    for true, answer, weight in zip(y, predicted, weights, strict=True):
        pairs = [(t, a) for t, a in zip(true, answer, strict=True) if t != -1]
        total += weight * bool(pairs)
        right += weight * (bool(pairs) and all(t == a for t, a in pairs))
    if total == 0:
        with pytest.raises(ValueError, match="No step is left"):
            sequence_accuracy_score(y, predicted, sample_weight=weights, ignore=-1)
        return
    score = sequence_accuracy_score(y, predicted, sample_weight=weights, ignore=-1)
    assert score == pytest.approx(right / total)


def test_sequence_accuracy_of_several_values_a_step():
    y = np.zeros((2, 3, 2))
    predicted = y.copy()
    predicted[1, 2, 0] = 1
    assert sequence_accuracy_score(y, predicted) == 0.5
    with pytest.raises(ValueError, match="as many values a step"):
        sequence_accuracy_score(y, predicted[:, :, 0])


def test_sequence_accuracy_needs_the_same_lengths():
    message = "sample 1 has 1 steps in y_true and 2 in y_pred"
    with pytest.raises(ValueError, match=message):
        sequence_accuracy_score([[1], [1]], [[1], [1, 0]])
