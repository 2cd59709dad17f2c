"""What predictions and the attributes of a fitted model look like."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils import estimator_html_repr

from skrnn import RNNClassifier, RNNRegressor, prediction

RNG = np.random.default_rng(5)
X = RNG.normal(size=(40, 4, 2))
RAGGED = [x[: 1 + i % 4] for i, x in enumerate(X)]
Y = X[:, 0, 0] + X[:, 3, 1]
CLASSES = np.digitize(Y, [-0.5, 0.5])
BRIEF = {"cell": "rnn", "hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0}
BRIEF |= {"n_iter_no_change": np.inf, "learning_rate": "constant", "batch_size": 64}


def regressor(**settings):
    return RNNRegressor(**BRIEF | settings)


def classifier(**settings):
    return RNNClassifier(**BRIEF | settings)


# Regression ------------------------------------------------------------------


def test_one_quantile_is_one_prediction():
    model = regressor(loss="quantile", quantile=0.9).fit(X, Y)
    assert model.predict(X).shape == (40,)
    expected = d2_pinball_score(Y, model.predict(X), alpha=0.9)
    assert model.score(X, Y) == pytest.approx(expected)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_several_quantiles_are_the_last_axis(n_outputs):
    y = Y if n_outputs == 1 else np.column_stack([Y, -Y])
    model = regressor(loss="quantile", quantile=[0.1, 0.5, 0.9]).fit(X, y)
    assert model.predict(X).shape == (*y.shape, 3)
    scores = [
        d2_pinball_score(y, model.predict(X)[..., i], alpha=q)
        for i, q in enumerate([0.1, 0.5, 0.9])
    ]
    assert model.score(X, y) == pytest.approx(np.mean(scores))


@settings(max_examples=10)
@given(
    levels=st.lists(st.floats(0.01, 0.99), min_size=2, max_size=4, unique=True),
    seed=st.integers(0, 99),
)
def test_quantiles_never_cross_whatever_their_order(levels, seed):
    model = regressor(
        loss="quantile", quantile=levels, random_state=seed, learning_rate_init=0.3
    )
    predicted = model.fit(X, Y).predict(X)[:, np.argsort(levels)]
    assert (np.diff(predicted, axis=1) >= 0).all()


@pytest.mark.needs_jit
def test_quantiles_cover_their_shares():
    y = Y + RNG.normal(size=40)
    x, y = np.tile(X, (10, 1, 1)) + RNG.normal(size=(400, 4, 2)), np.tile(y, 10)
    model = regressor(loss="quantile", quantile=[0.2, 0.8], max_iter=60).fit(x, y)
    below = (y[:, np.newaxis] < model.predict(x)).mean(axis=0)
    np.testing.assert_allclose(below, [0.2, 0.8], atol=0.1)


def test_poisson_predicts_positive_rates():
    counts = RNG.poisson(np.exp(Y))
    model = regressor(loss="poisson").fit(X, counts)
    assert (model.predict(10 * X) > 0).all()
    assert model.out_activation_ == "exp"
    with pytest.raises(ValueError, match="must not be negative"):
        model.fit(X, Y)


def test_outputs_are_in_the_units_of_the_targets():
    small, large = regressor().fit(X, Y), regressor().fit(X, 1e6 + 1e3 * Y)
    expected = 1e6 + 1e3 * small.predict(X)
    np.testing.assert_allclose(large.predict(X), expected, rtol=1e-9)


def test_score_is_r2():
    weight = np.arange(40) % 3
    y = np.column_stack([Y, -Y])
    model = regressor().fit(X, y)
    expected = r2_score(y, model.predict(X), sample_weight=weight)
    assert model.score(X, y, sample_weight=weight) == pytest.approx(expected)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_a_constant_target_is_predicted(loss):
    model = regressor(loss=loss, max_iter=60).fit(X, np.full(40, 7.0))
    np.testing.assert_allclose(model.predict(X), 7, atol=0.5)


# Classification --------------------------------------------------------------


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities(loss, n_classes):
    c = CLASSES % n_classes
    model = classifier(loss=loss).fit(X, c)
    p = model.predict_proba(X)
    assert p.shape == (40, n_classes) and (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(X), model.classes_[p.argmax(axis=1)])
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(p))


@pytest.mark.parametrize(
    "names",
    [
        np.array(["low", "mid", "high"]),
        np.array([10, -3, 7]),
        np.array([0.0, 2.0, 1.0]),
        np.array(["low", "mid", "high"], dtype=object),
    ],
)
def test_classes_may_have_any_names(names):
    y = names[CLASSES]
    model = classifier(max_iter=1).fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(names))
    assert model.predict(X).dtype == y.dtype
    assert set(model.predict(X)) <= set(names)


@pytest.mark.parametrize("dtype", ["str", "category", "object"])
def test_classes_may_be_in_a_series(dtype):
    y = pd.Series(np.array(["a", "b", "c"])[CLASSES]).astype(dtype)
    model = classifier().fit(X, y)
    assert list(model.classes_) == ["a", "b", "c"]
    assert 0 <= model.score(X, y) <= 1


def test_one_class_predicts_itself():
    model = classifier().fit(X, ["only"] * 40)
    assert set(model.predict(X)) == {"only"}
    np.testing.assert_array_equal(model.predict_proba(X), np.ones((40, 1)))


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("n_labels", [2, 3])
def test_several_labels(loss, n_labels):
    y = np.column_stack([X[:, 0, 0] > 0, Y > 0, Y > 1])[:, :n_labels].astype(int)
    model = classifier(loss=loss, early_stopping=True).fit(X, y)
    p = model.predict_proba(X)
    assert p.shape == (40, n_labels)
    np.testing.assert_array_equal(model.predict(X), (p > 0.5).astype(int))
    assert model.n_outputs_ == n_labels and model.out_activation_ == "logistic"


# Both ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predictions_have_the_dtype_of_the_data(dtype):
    x = X.astype(dtype)
    assert regressor().fit(x, Y).predict(x).dtype == dtype
    assert classifier().fit(x, CLASSES).predict_proba(x).dtype == dtype


@pytest.mark.parametrize("data", [X, RAGGED], ids=["array", "ragged"])
def test_chunks_predict_as_the_whole(data, monkeypatch):
    model = regressor().fit(data, Y)
    whole = model.predict(data)
    monkeypatch.setattr(prediction, "CHUNK_BYTES", 100)
    np.testing.assert_array_equal(model.predict(data), whole)
    one_by_one = [model.predict(data[i : i + 1])[0] for i in range(40)]
    np.testing.assert_allclose(one_by_one, whole, rtol=1e-12)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_weights_are_named_read_only_views(cell):
    model = regressor(cell=cell, hidden_layer_sizes=(4, 3)).fit(X, Y)
    gates = {"rnn": 1, "lstm": 4, "gru": 3}[cell]
    weights = model.weights_
    assert weights["layers.0.input_weights"].shape == (2, 4 * gates)
    assert weights["layers.0.recurrent_weights"].shape == (4, 4 * gates)
    assert weights["layers.1.input_weights"].shape == (4, 3 * gates)
    assert weights["output.weights"].shape == (3, 1)
    assert weights["output.bias"].shape == (1,)
    for weight in weights.values():
        with pytest.raises(ValueError, match="read-only"):
            weight[...] = 0
    model.partial_fit(X, Y)
    model.predict(X)


def test_weights_are_all_that_a_prediction_needs():
    model = regressor(standardize=False).fit(X, Y)
    w = model.weights_
    h = np.zeros((40, 4))
    for t in range(4):
        h = np.tanh(
            X[:, t] @ w["layers.0.input_weights"]
            + h @ w["layers.0.recurrent_weights"]
            + w["layers.0.bias"]
        )
    expected = h @ w["output.weights"] + w["output.bias"]
    np.testing.assert_allclose(model.predict(X), expected[:, 0], rtol=1e-9)


@pytest.mark.parametrize("model", [regressor(), classifier()])
def test_html_and_text(model):
    assert repr(model).startswith(f"{type(model).__name__}(")
    assert "cell='rnn'" in repr(model)
    for state in (model, model.fit(X, CLASSES)):
        assert type(model).__name__ in estimator_html_repr(state)
