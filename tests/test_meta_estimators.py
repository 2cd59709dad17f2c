"""scikit-learn's own tools, over estimators of sequences in each form that they take.

Not here, for scikit-learn refuses X of more or less than two axes there: Bagging*,
OneVsOne, SelfTraining, ColumnTransformer, StandardScaler, permutation_importance. They
work on the flat form, which the last tests show.
"""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    StratifiedKFold,
    TimeSeriesSplit,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    train_test_split,
    validation_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from skrnn import (
    RNNClassifier,
    RNNRegressor,
    RNNTransformer,
    Sequences,
    SequenceScaler,
)

pytestmark = pytest.mark.needs_jit

N = 48
RNG = np.random.default_rng(10)
ARRAY = RNG.normal(size=(N, 5, 2))
LENGTHS = 2 + np.arange(N) % 4
Y = ARRAY[:, 0, 0] - ARRAY[:, 1, 1]
CLASSES = np.array(["low", "mid", "high"])[np.digitize(Y, [-0.7, 0.7])]
BINARY = np.where(Y > 0, "yes", "no")
BRIEF = {"cell": "rnn", "hidden_layer_sizes": 4, "max_iter": 4, "random_state": 0}
BRIEF |= {"n_iter_no_change": np.inf, "n_channels": 2, "batch_size": 64}


def ragged():
    return [x[:length] for x, length in zip(ARRAY, LENGTHS, strict=True)]


def objects():
    array = np.empty(N, dtype=object)
    array[:] = ragged()
    return array


def flat():
    rows = np.full((N, 10), np.nan)
    for row, sequence in zip(rows, ragged(), strict=True):
        row[: sequence.size] = sequence.ravel()
    return rows


FORMS = {
    "array": ARRAY,
    "list": ragged(),
    "equal list": list(ARRAY),
    "objects": objects(),
    "Sequences": Sequences(ragged()),
    "flat": ARRAY.reshape(N, -1),
    "flat padded": flat(),
}


@pytest.fixture(params=FORMS)
def X(request):
    return FORMS[request.param]


def regressor(**settings):
    return RNNRegressor(**BRIEF | settings)


def classifier(**settings):
    return RNNClassifier(**BRIEF | settings)


# Model selection -------------------------------------------------------------


def test_train_test_split_and_clone(X):
    X_train, X_test, y_train, y_test = train_test_split(X, Y, random_state=0)
    model = clone(regressor()).fit(X_train, y_train)
    assert model.predict(X_test).shape == y_test.shape


def test_cross_validation(X):
    scores = cross_val_score(regressor(), X, Y, cv=TimeSeriesSplit(3))
    assert np.isfinite(scores).all()
    results = cross_validate(
        classifier(),
        X,
        CLASSES,
        cv=StratifiedKFold(3),
        scoring=["accuracy", "neg_log_loss"],
        return_estimator=True,
    )
    assert np.isfinite(results["test_neg_log_loss"]).all()
    assert len(results["estimator"]) == 3


def test_cross_val_predict(X):
    proba = cross_val_predict(classifier(), X, CLASSES, cv=3, method="predict_proba")
    assert proba.shape == (N, 3)
    predicted = cross_val_predict(regressor(), X, Y, cv=3)
    # each part is what a model of the other parts predicts
    train, test = next(iter(StratifiedKFold(3).split(np.zeros(N), CLASSES)))
    take = (lambda i: [X[k] for k in i]) if isinstance(X, list) else X.__getitem__
    expected = classifier().fit(take(train), CLASSES[train]).predict_proba(take(test))
    np.testing.assert_array_equal(proba[test], expected)
    assert predicted.shape == (N,)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search(X, n_jobs):
    grid = {"cell": ["rnn", "gru"], "hidden_layer_sizes": [(3,), (3, 2)]}
    search = GridSearchCV(regressor(), grid, cv=2, n_jobs=n_jobs).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X).shape == (N,)
    assert search.score(X, Y) == search.best_estimator_.score(X, Y)


def test_halving_search(X):
    search = HalvingGridSearchCV(
        regressor(), {"hidden_layer_sizes": [2, 3, 4]}, cv=2, random_state=0
    )
    assert search.fit(X, Y).predict(X).shape == (N,)


def test_halving_search_over_epochs(X):
    search = HalvingGridSearchCV(
        regressor(),
        {"hidden_layer_sizes": [2, 3, 4]},
        cv=2,
        resource="max_iter",
        max_resources=6,
        random_state=0,
    )
    assert search.fit(X, Y).best_estimator_.n_iter_ == 6


def test_curves(X):
    sizes, train, test = learning_curve(regressor(), X, Y, cv=2, train_sizes=[0.5, 1.0])
    assert sizes.tolist() == [12, 24] and np.isfinite([train, test]).all()
    train, test = validation_curve(
        regressor(), X, Y, cv=2, param_name="max_iter", param_range=[1, 4]
    )
    assert train[1].mean() > train[0].mean()


def test_permutation_test(X):
    score, others, p = permutation_test_score(
        regressor(), X, Y, cv=2, n_permutations=4, random_state=0
    )
    assert len(others) == 4 and np.isfinite([score, *others]).all()
    assert p == pytest.approx((1 + (others >= score).sum()) / 5)


# Composition -----------------------------------------------------------------


def test_pipeline(X):
    pipeline = make_pipeline(SequenceScaler(n_channels=2), classifier())
    pipeline.fit(X, CLASSES)
    assert pipeline.predict_proba(X).shape == (N, 3)
    search = GridSearchCV(pipeline, {"rnnclassifier__cell": ["rnn", "lstm"]}, cv=2)
    assert np.isfinite(search.fit(X, CLASSES).best_score_)


def test_transformed_target(X):
    model = TransformedTargetRegressor(regressor(), transformer=StandardScaler())
    model.fit(X, Y)
    assert model.predict(X).shape == (N,)
    assert model.score(X, Y) == pytest.approx(regressor().fit(X, Y).score(X, Y))


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration(X, method):
    model = CalibratedClassifierCV(classifier(), cv=2, method=method).fit(X, CLASSES)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)


def test_calibration_of_a_frozen_model(X):
    frozen = FrozenEstimator(classifier().fit(X, CLASSES))
    before = frozen.predict_proba(X)
    model = CalibratedClassifierCV(frozen).fit(X, CLASSES)
    np.testing.assert_array_equal(frozen.predict_proba(X), before)
    assert set(model.predict(X)) <= set(CLASSES)


def test_thresholds(X):
    fixed = FixedThresholdClassifier(classifier(), threshold=0.0, pos_label="yes")
    assert set(fixed.fit(X, BINARY).predict(X)) == {"yes"}
    tuned = TunedThresholdClassifierCV(classifier(), cv=2, random_state=0)
    assert 0 <= tuned.fit(X, BINARY).best_threshold_ <= 1


def test_voting(X):
    members = [("a", regressor()), ("b", regressor(cell="gru"))]
    model = VotingRegressor(members).fit(X, Y)
    expected = np.mean([m.predict(X) for m in model.estimators_], axis=0)
    np.testing.assert_allclose(model.predict(X), expected)
    members = [("a", classifier()), ("b", classifier(cell="gru"))]
    model = VotingClassifier(members, voting="soft").fit(X, CLASSES)
    assert model.predict_proba(X).shape == (N, 3)


def test_stacking(X):
    members = [("a", regressor()), ("b", regressor(cell="gru"))]
    model = StackingRegressor(members, final_estimator=Ridge(), cv=2).fit(X, Y)
    assert model.predict(X).shape == (N,)
    members = [("a", classifier()), ("b", classifier(cell="gru"))]
    model = StackingClassifier(members, LogisticRegression(), cv=2).fit(X, CLASSES)
    assert model.predict_proba(X).shape == (N, 3)


def test_voting_of_seeds(X):
    members = [(f"seed {seed}", classifier(random_state=seed)) for seed in range(3)]
    model = VotingClassifier(members, voting="soft").fit(X, CLASSES)
    alone = [classifier(random_state=seed).fit(X, CLASSES) for seed in range(3)]
    expected = np.mean([member.predict_proba(X) for member in alone], axis=0)
    np.testing.assert_allclose(model.predict_proba(X), expected)
    members = [(f"seed {seed}", regressor(random_state=seed)) for seed in range(3)]
    model = VotingRegressor(members, n_jobs=2).fit(X, Y)
    alone = [regressor(random_state=seed).fit(X, Y).predict(X) for seed in range(3)]
    np.testing.assert_allclose(model.predict(X), np.mean(alone, axis=0))


def transformer(**settings):
    return RNNTransformer(**BRIEF | settings)


def test_features_of_a_transformer(X):
    pipeline = make_pipeline(transformer(), LogisticRegression()).fit(X, CLASSES)
    np.testing.assert_array_equal(
        pipeline.decision_function(X),
        LogisticRegression()
        .fit(transformer().fit_transform(X), CLASSES)
        .decision_function(transformer().fit(X).transform(X)),
    )
    union = make_union(transformer(pooling="max"), transformer(pooling="last"))
    assert union.fit_transform(X).shape == (N, 8)


def test_stacking_of_features_and_networks(X):
    members = [
        ("features", make_pipeline(transformer(), LogisticRegression())),
        ("network", classifier()),
    ]
    model = StackingClassifier(members, LogisticRegression(), cv=2).fit(X, CLASSES)
    assert model.predict_proba(X).shape == (N, 3)
    assert model.transform(X).shape == (N, 6)
    members = [("features", make_pipeline(transformer(), Ridge())), ("b", regressor())]
    model = StackingRegressor(members, Ridge(), cv=2).fit(X, Y)
    assert model.transform(X).shape == (N, 2)


def test_one_versus_rest(X):
    model = OneVsRestClassifier(classifier()).fit(X, CLASSES)
    assert len(model.estimators_) == 3
    assert set(model.predict(X)) <= set(CLASSES)


def test_several_outputs(X):
    y = np.column_stack([Y, -Y])
    model = MultiOutputRegressor(regressor()).fit(X, y)
    assert model.predict(X).shape == (N, 2)


def test_several_classifications(X):
    y = np.column_stack([CLASSES, BINARY])
    predicted = MultiOutputClassifier(classifier()).fit(X, y).predict(X)
    assert set(predicted[:, 0]) <= set(CLASSES) and set(predicted[:, 1]) <= {
        "yes",
        "no",
    }


# What insists on two axes ----------------------------------------------------


def test_flat_sequences_in_tools_that_insist_on_two_axes():
    X = FORMS["flat"]
    scaled = make_pipeline(StandardScaler(), regressor(standardize=False))
    assert np.isfinite(cross_val_score(scaled, X, Y, cv=2)).all()
    bag = BaggingRegressor(regressor(), n_estimators=2, random_state=0).fit(X, Y)
    assert bag.predict(X).shape == (N,)
    bag = BaggingClassifier(
        classifier(), n_estimators=8, max_samples=0.5, oob_score=True, random_state=0
    )
    assert bag.fit(X, CLASSES).predict_proba(X).shape == (N, 3)
    assert len({member.loss_ for member in bag.estimators_}) == 8
    pairs = OneVsOneClassifier(classifier()).fit(X, CLASSES)
    assert set(pairs.predict(X)) <= set(CLASSES)
    model = regressor(max_iter=60).fit(X, Y)
    importance = permutation_importance(model, X, Y, n_repeats=2, random_state=0)
    # the first value of the first channel, and the second of the second
    assert set(np.argsort(importance.importances_mean)[-2:]) == {0, 3}


def test_chains():
    # each member of a chain sees the targets before it as further columns
    X, y = FORMS["flat"], np.column_stack([Y, -Y])
    chain = RegressorChain(regressor(n_channels=1)).fit(X, y)
    assert chain.predict(X).shape == (N, 2)
    chain = ClassifierChain(classifier(n_channels=1)).fit(X, (y > 0).astype(int))
    assert chain.predict(X).shape == (N, 2)
