"""Metadata routing: weights and validation sets on their way through other tools."""

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline

from skrnn import RNNClassifier, RNNRegressor, SequenceScaler

RNG = np.random.default_rng(11)
X = RNG.normal(size=(36, 4, 2))
Y = X[:, 0, 0] + X[:, 3, 1]
WEIGHT = 1.0 + np.arange(36) % 3
BRIEF = {"cell": "rnn", "hidden_layer_sizes": 3, "max_iter": 3, "random_state": 0}
BRIEF |= {"n_iter_no_change": np.inf}


@pytest.fixture(autouse=True)
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def regressor(**settings):
    return RNNRegressor(**BRIEF | settings)


def test_weights_reach_the_end_of_a_pipeline():
    model = regressor().set_fit_request(sample_weight=True)
    scaler = SequenceScaler().set_fit_request(sample_weight=False)
    pipeline = make_pipeline(scaler, model).fit(X, Y, sample_weight=WEIGHT)
    scaled = SequenceScaler().fit_transform(X)
    expected = regressor().fit(scaled, Y, sample_weight=WEIGHT)
    np.testing.assert_array_equal(pipeline.predict(X), expected.predict(scaled))


def test_weights_are_split_by_a_search():
    model = regressor().set_fit_request(sample_weight=True)
    model.set_score_request(sample_weight=True)
    search = GridSearchCV(model, {"hidden_layer_sizes": [2, 3]}, cv=KFold(2))
    search.fit(X, Y, sample_weight=WEIGHT)
    scores = []
    for train, test in KFold(2).split(X):
        part = regressor(**search.best_params_)
        part.fit(X[train], Y[train], sample_weight=WEIGHT[train])
        scores.append(part.score(X[test], Y[test], sample_weight=WEIGHT[test]))
    assert search.best_score_ == pytest.approx(np.mean(scores), rel=1e-12)


def test_weights_reach_a_pipeline_in_a_search():
    model = RNNClassifier(**BRIEF).set_fit_request(sample_weight=True)
    model.set_score_request(sample_weight=True)
    scaler = SequenceScaler().set_fit_request(sample_weight=True)
    pipeline = make_pipeline(scaler, model)
    search = GridSearchCV(pipeline, {"rnnclassifier__hidden_layer_sizes": [2]}, cv=2)
    search.fit(X, Y > 0, sample_weight=WEIGHT)
    expected = pipeline.set_params(rnnclassifier__hidden_layer_sizes=2)
    expected.fit(X, Y > 0, sample_weight=WEIGHT)
    np.testing.assert_array_equal(search.predict_proba(X), expected.predict_proba(X))


def test_a_validation_set_reaches_the_estimator():
    model = regressor(early_stopping=True).set_fit_request(X_val=True, y_val=True)
    pipeline = Pipeline([("rnn", model)])
    pipeline.fit(X[:26], Y[:26], X_val=X[26:], y_val=Y[26:])
    expected = regressor(early_stopping=True)
    expected.fit(X[:26], Y[:26], X_val=X[26:], y_val=Y[26:])
    assert pipeline[-1].validation_scores_ == expected.validation_scores_


def test_a_pipeline_transforms_the_validation_set():
    model = regressor(early_stopping=True).set_fit_request(X_val=True, y_val=True)
    pipeline = Pipeline(
        [("scale", SequenceScaler()), ("rnn", model)], transform_input=["X_val"]
    )
    pipeline.fit(X[:26], Y[:26], X_val=X[26:], y_val=Y[26:])
    scaler = SequenceScaler().fit(X[:26])
    expected = regressor(early_stopping=True).fit(
        scaler.transform(X[:26]), Y[:26], X_val=scaler.transform(X[26:]), y_val=Y[26:]
    )
    assert pipeline[-1].validation_scores_ == expected.validation_scores_


def test_a_search_hands_a_validation_set_on_whole():
    # one of another length than X: scikit-learn would split it with X
    model = regressor().set_fit_request(X_val=True, y_val=True)
    results = cross_validate(
        model,
        X,
        Y,
        cv=2,
        params={"X_val": X[:5], "y_val": Y[:5]},
        return_estimator=True,
    )
    for part in results["estimator"]:
        expected = part.score(X[:5], Y[:5])
        assert part.validation_scores_[-1] == pytest.approx(expected, rel=1e-12)


def test_what_nobody_asked_for_is_refused():
    search = GridSearchCV(regressor(), {"hidden_layer_sizes": [2]}, cv=2)
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        search.fit(X, Y, sample_weight=WEIGHT)


@pytest.mark.parametrize("estimator", [RNNRegressor, RNNClassifier])
def test_requests_can_be_made_of_each_method(estimator):
    model = estimator(**BRIEF)
    model.set_fit_request(
        sample_weight=True, X_val=True, y_val=True, sample_weight_val=True
    )
    model.set_partial_fit_request(sample_weight=True)
    model.set_score_request(sample_weight=True)
