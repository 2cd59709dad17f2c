"""Features of sequences that a network has learned without labels."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrnn import RNNClassifier, RNNTransformer, Sequences

RNG = np.random.default_rng(3)
X = RNG.normal(size=(20, 6, 2))
BRIEF = {"cell": "rnn", "hidden_layer_sizes": 4, "max_iter": 2, "random_state": 0}
BRIEF |= {"n_iter_no_change": np.inf, "learning_rate": "constant", "batch_size": 64}


def transformer(**settings):
    return RNNTransformer(**BRIEF | settings)


def waves(n=60, n_steps=25):
    """Two channels, of which the second lags behind the first."""
    rng = np.random.default_rng(0)
    t = np.arange(n_steps) + rng.uniform(0, 20, size=(n, 1))
    return np.stack([np.sin(0.5 * t), 10 * np.cos(0.5 * t)], axis=2)


@pytest.fixture(scope="module")
def digits():
    """Images as sequences of 8 rows: many without labels, 50 with, and some to test."""
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8).astype(np.float32)
    split = StratifiedShuffleSplit(1, train_size=50, random_state=0)
    few, _ = next(split.split(X[:1200], y[:1200]))
    return X[:1200], X[few], y[few], X[1200:], y[1200:]


# --- what is learned ------------------------------------------------------------------


@pytest.mark.needs_jit
def test_forecast_learns_to_predict_the_next_step():
    X = waves()
    model = transformer(
        task="forecast", cell="gru", hidden_layer_sizes=16, max_iter=60
    ).fit(X)
    predicted = model.network_.predict(X)
    after_a_few = predicted[:, 5:-1].reshape(-1, 2)
    assert r2_score(X[:, 6:].reshape(-1, 2), after_a_few) > 0.97
    assert r2_score(X[:, 5:-1].reshape(-1, 2), after_a_few) < 0.95  # not a copy


@pytest.mark.needs_jit
@pytest.mark.parametrize("bidirectional", [False, True])
def test_reconstruct_learns_to_remove_noise(bidirectional):
    X = waves()
    model = transformer(
        task="reconstruct",
        input_noise=0.7,
        bidirectional=bidirectional,
        cell="gru",
        hidden_layer_sizes=16,
        max_iter=60,
    ).fit(X)
    scale = X.std(axis=(0, 1))
    disturbed = X + 0.7 * scale * np.random.default_rng(1).normal(size=X.shape)
    cleaned = model.network_.predict(disturbed)

    def error(values):
        return np.mean(((values - X)[:, 10:] / scale) ** 2)

    assert error(cleaned) < 0.5 * error(disturbed)


def test_what_is_dropped_of_the_inputs():
    def dropped(**settings):
        return transformer(**settings).fit(X).network_.input_dropout

    assert dropped(task="forecast") == 0.0
    assert dropped(task="forecast", input_dropout=0.2) == 0.2
    assert dropped(task="reconstruct") == 0.5
    assert dropped(task="reconstruct", input_noise=0.1) == 0.0
    assert dropped(task="reconstruct", input_dropout=0.2, input_noise=0.1) == 0.2


def test_the_last_step_is_an_input_only():
    model = transformer().fit(X)
    anything = [np.append(x[1:], [[9.0, -9.0]], axis=0) for x in X]
    weights = np.ones((20, 6))
    weights[:, -1] = 0
    by_hand = clone(model.network_).fit(X, anything, weights)
    for name, values in by_hand.weights_.items():
        np.testing.assert_allclose(model.network_.weights_[name], values, rtol=1e-9)


def test_nothing_is_learned_from_single_steps_but_they_have_features():
    single = [np.full((1, 2), 7.0 + i) for i in range(5)]
    model = transformer().fit([*X, *single])
    alone = transformer().fit(X)
    for name, values in alone.network_.weights_.items():
        np.testing.assert_array_equal(model.network_.weights_[name], values)
    assert model.transform(single).shape == (5, 4)


@pytest.mark.parametrize("only", [X[:, :1], X[:, 0, :1], [x[:1] for x in X]])
def test_single_steps_alone_have_no_next_one(only):
    with pytest.raises(ValueError, match=r"all sequences have one step.*reconstruct"):
        transformer().fit(only)
    model = transformer(task="reconstruct").fit(only)
    assert model.transform(only).shape == (20, 4)


# --- features -------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("task", ["forecast", "reconstruct"])
def test_features_are_pooled_states_of_the_last_layer(task, pooling):
    model = transformer(task=task, pooling=pooling, hidden_layer_sizes=(4, 3))
    features = model.fit(X, "ignored").transform(X)
    expected = model.network_.hidden_states(X, pooling=pooling)
    np.testing.assert_array_equal(features, expected)
    assert features.shape == (20, 3)


def test_both_ways_make_twice_the_features():
    model = transformer(task="reconstruct", bidirectional=True).fit(X)
    assert model.transform(X).shape == (20, 8)
    assert len(model.get_feature_names_out()) == 8


def test_every_form_of_x_has_the_same_features():
    index = pd.MultiIndex.from_product([range(20), range(6)])
    flat = X.reshape(20, 12)
    padded = np.hstack([flat, np.full((20, 2), np.nan)])
    forms = [X, list(X), Sequences(list(X)), flat, padded]
    forms.append(pd.DataFrame(X.reshape(120, 2), index=index))
    features = [transformer(n_channels=2).fit_transform(form) for form in forms]
    for other in features[1:]:
        np.testing.assert_array_equal(other, features[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_features_have_the_dtype_of_x(dtype):
    assert transformer().fit_transform(X.astype(dtype)).dtype == dtype


def test_names():
    model = transformer().fit(X)
    names = [f"rnntransformer{i}" for i in range(4)]
    assert model.get_feature_names_out().tolist() == names


def test_frames_have_a_row_for_each_instance():
    index = pd.MultiIndex.from_product([list("tsrqponmlkjihgfedcba"), range(6)])
    long = pd.DataFrame(X.reshape(120, 2), index=index, columns=["a", "b"])
    model = transformer().set_output(transform="pandas")
    features = model.fit_transform(long)
    assert features.index.tolist() == list("tsrqponmlkjihgfedcba")
    assert features.columns.tolist() == model.get_feature_names_out().tolist()
    plain = clone(model).set_output(transform="default").fit(long).transform(long)
    np.testing.assert_array_equal(features.to_numpy(), plain)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    wide = pd.DataFrame(X[:, :, 0], index=range(5, 25))
    assert model.fit_transform(wide).index.tolist() == list(range(5, 25))
    assert model.fit_transform(X).index.tolist() == list(range(20))


# --- as any other transformer ---------------------------------------------------------


def test_the_same_seed_gives_the_same_bits_in_another_process_form():
    model = transformer(task="reconstruct", input_dropout=0.3).fit(X)
    again = clone(model).set_params(n_jobs=2).fit(X)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.transform(X), model.transform(X))


@pytest.mark.needs_jit
def test_in_a_searched_pipeline():
    pipeline = make_pipeline(transformer(), StandardScaler(), Ridge())
    grid = {"rnntransformer__pooling": ["last", "mean", "max"], "ridge__alpha": [1, 9]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, error_score="raise")
    search.fit(X, X[:, :, 0].mean(axis=1))
    assert search.best_params_["rnntransformer__pooling"] == "mean"


def test_pooling_may_be_changed_after_the_fit_and_other_settings_reach_the_network():
    settings = {"solver": "sgd", "batch_size": 7, "early_stopping": True}
    model = transformer(**settings, validation_fraction=0.3).fit(X)
    for name, value in settings.items():
        assert getattr(model.network_, name) == value
    assert model.n_iter_ == model.network_.n_iter_ == 2
    assert len(model.network_.validation_scores_) == 2


@pytest.mark.parametrize(
    ("settings", "data", "message"),
    [
        ({"bidirectional": True}, X, "sees the next step.*task='reconstruct'"),
        ({"task": "words"}, X, "'task' parameter.*forecast"),
        ({"pooling": "attention"}, X, "'pooling' parameter.*last"),
        ({"input_dropout": 1.0}, X, "'input_dropout' parameter"),
        ({}, np.where(X > 2, np.nan, X), r"NaN.*sample \d+"),
    ],
)
def test_what_there_is_not_is_refused(settings, data, message):
    with pytest.raises(ValueError, match=message):
        transformer(**settings).fit(data)


def test_other_channels_than_those_of_fit_are_refused():
    model = transformer().fit(X)
    with pytest.raises(ValueError, match="1 features, but RNNTransformer is expecting"):
        model.transform(X[:, :, :1])


# --- what it is for -------------------------------------------------------------------


@pytest.mark.needs_jit
def test_unlabelled_sequences_help_where_labels_are_few(digits):
    unlabelled, X, y, X_test, y_test = digits
    course = {"learning_rate": "cosine", "random_state": 0, "cell": "gru"}
    course |= {"hidden_layer_sizes": 64, "bidirectional": True}
    learned = RNNTransformer(task="reconstruct", max_iter=40, pooling="max", **course)
    learned.fit(unlabelled)
    network = RNNClassifier(max_iter=60, pooling="max", **course)
    scratch = network.fit(X, y).score(X_test, y_test)
    tuned = clone(network).set_params(init=learned.network_.weights_)
    tuned = tuned.fit(X, y).score(X_test, y_test)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    linear = linear.fit(learned.transform(X), y)
    assert tuned > scratch + 0.03
    assert linear.score(learned.transform(X_test), y_test) > scratch + 0.03
