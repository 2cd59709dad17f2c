"""What reviewers and attackers found, each once."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import InconsistentVersionWarning

from skrnn import RNNClassifier, RNNRegressor, Sequences

BRIEF = {
    "cell": "rnn",
    "hidden_layer_sizes": (4,),
    "learning_rate": "cosine",  # which ends without a ConvergenceWarning
    "max_iter": 5,
    "batch_size": 64,  # the order of the samples hangs on what y holds
    "random_state": 0,
}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 6, 2))
Y = X[:, :, 0].sum(axis=1)
CLASSES = (Y > 0).astype(int)


def regressor(**settings):
    return RNNRegressor(**{**BRIEF, **settings})


def test_the_loss_of_a_fitted_model_is_that_of_fit():
    model = regressor(loss="poisson").fit(X, np.exp(Y / 4))
    expected = model.predict(X)
    model.set_params(loss="squared_error")
    assert_array_equal(model.predict(X), expected)
    model = regressor(loss="quantile", quantile=[0.1, 0.9]).fit(X, Y)
    expected, score = model.predict(X), model.score(X, Y)
    model.set_params(quantile=0.5)
    assert_array_equal(model.predict(X), expected)
    assert model.score(X, Y) == score


@pytest.mark.parametrize("change", [{"loss": "poisson"}, {"loss": "huber"}])
def test_no_other_loss_in_training_on(change):
    model = regressor(warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match="was fitted with the loss"):
        model.set_params(**change).fit(X, np.exp(Y))
    with pytest.raises(ValueError, match="was fitted with the loss"):
        model.partial_fit(X, np.exp(Y))


def test_reported_loss_is_minimized_loss():
    """With the penalty of each batch, as scikit-learn's MLP reports it."""
    settings = {"max_iter": 1, "learning_rate_init": 1e-12, "tol": 0}
    few = regressor(alpha=100.0, batch_size=10, **settings).fit(X, Y)
    none = regressor(alpha=0.0, batch_size=10, **settings).fit(X, Y)
    weights = [w for name, w in few.weights_.items() if not name.endswith("bias")]
    squares = sum((w**2).sum() for w in weights)
    assert few.loss_ - none.loss_ == pytest.approx(0.5 * 100.0 * squares / 10)


def test_the_first_update_has_the_initial_rate():
    settings = {"solver": "sgd", "momentum": 0.0, "max_iter": 1, "batch_size": 60}
    settings["n_iter_no_change"] = np.inf
    inverse = regressor(**{**settings, "learning_rate": "invscaling"}).fit(X, Y)
    constant = regressor(**{**settings, "learning_rate": "constant"}).fit(X, Y)
    for name, weights in constant.weights_.items():
        assert_array_equal(weights, inverse.weights_[name])


def test_best_values_are_numbers_or_none():
    model = RNNClassifier(**BRIEF, early_stopping=True, warm_start=True)
    model.fit(X, CLASSES).set_params(early_stopping=False).fit(X, CLASSES)
    assert model.best_loss_ == min(model.loss_curve_[BRIEF["max_iter"] :])
    assert model.best_validation_score_ is None


@pytest.mark.needs_jit  # overflows on purpose, of which NumPy warns
def test_moments_are_restored_after_divergence():
    model = regressor(max_grad_norm=None).partial_fit(X.astype("f"), Y)
    before = model.weights_["output.weights"].copy()
    with pytest.raises(ValueError, match="infinite or NaN"):
        model.partial_fit(X.astype("f"), Y * 1e30)
    assert_array_equal(model.weights_["output.weights"], before)
    model.partial_fit(X.astype("f"), Y)
    assert (model.weights_["output.weights"] != before).any()


def test_validation_score_knows_no_class_weights():
    coins = np.random.default_rng(1).permutation(np.arange(len(X)) % 2)
    weighted = RNNClassifier(**BRIEF, early_stopping=True, class_weight={0: 1, 1: 1e6})
    weighted.fit(X, coins)  # six samples are held out; of coins some must be wrong
    assert set(weighted.validation_scores_) <= {k / 6 for k in range(6)}


@pytest.mark.parametrize("class_weight", ["balanced", {0: 0.3, 1: 0.7}])
def test_order_and_repetition_with_class_weights(class_weight):
    weight = np.round(RNG.uniform(0.1, 1.0, len(X)), 2)
    model = RNNClassifier(**BRIEF, class_weight=class_weight)
    expected = model.fit(X, CLASSES, weight).predict_proba(X)
    order = RNG.permutation(len(X))
    model.fit(X[order], CLASSES[order], weight[order])
    assert_array_equal(model.predict_proba(X), expected)


def test_float32_with_targets_far_from_zero():
    expected = regressor(max_iter=30).fit(X.astype("f"), Y).score(X.astype("f"), Y)
    model = regressor(max_iter=30).fit(X.astype("f"), Y + 1e8)
    assert model.predict(X.astype("f")).dtype == np.float64
    assert model.score(X.astype("f"), Y + 1e8) == pytest.approx(expected, abs=0.01)
    assert regressor().fit(X.astype("f"), Y).predict(X.astype("f")).dtype == "f"


@pytest.mark.needs_jit  # overflows on purpose, of which NumPy warns
def test_divergence_that_only_the_validation_set_sees():
    wild = {"activation": "identity", "learning_rate_init": 1e3, "max_grad_norm": None}
    long = RNG.normal(size=(20, 300, 1))
    with pytest.raises(ValueError, match="infinite or NaN in epoch"):
        regressor(**wild, max_iter=50).fit(long, Y[:20], X_val=long, y_val=Y[:20])


def test_a_channel_of_tiny_scale_is_constant():
    tiny = X.astype("f") * np.array([1.0, 1e-42], "f")
    assert np.isfinite(regressor().fit(tiny, Y).predict(tiny)).all()


def test_values_too_large_for_a_float32_model():
    model = regressor().fit(X.astype("f"), Y)
    with pytest.raises(ValueError, match="too large for float32"):
        model.predict(X * 1e200)


def test_tiny_weights_are_weights():
    model = regressor(alpha=0.0)
    expected = model.fit(X.astype("f"), Y).predict(X.astype("f"))
    model.fit(X.astype("f"), Y, np.full(len(X), 2.0**-900))
    np.testing.assert_allclose(model.predict(X.astype("f")), expected, rtol=1e-4)


@pytest.mark.parametrize(
    "y, message",
    [
        (pd.Series(pd.date_range("2024", periods=60)), "dates"),
        (pd.Series(pd.timedelta_range("1D", periods=60)), "dates or durations"),
        (np.ma.masked_array(Y, Y > 1), "Masked"),
        (Y.astype(str), "strings"),
    ],
)
def test_targets_that_are_no_numbers(y, message):
    with pytest.raises(ValueError, match=message):
        regressor().fit(X, y)


@pytest.mark.parametrize("class_weight", [{0: "x"}, {0: -1.0}, {7: 1.0}])
def test_class_weights_that_make_no_sense(class_weight):
    with pytest.raises(ValueError, match="class_weight"):
        RNNClassifier(**BRIEF, class_weight=class_weight).fit(X, CLASSES)


def test_labels_declared_and_given_must_agree():
    labels = np.eye(3, dtype=int)[RNG.integers(0, 3, len(X))]
    with pytest.raises(ValueError, match="classes has 5 labels, but y has 3"):
        RNNClassifier(**BRIEF).partial_fit(X, labels, classes=range(5))


def test_a_stream_that_starts_with_one_sample_is_warned_about():
    with pytest.warns(UserWarning, match="saw one sample only"):
        regressor().partial_fit(X[:1], Y[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regressor(standardize=False).partial_fit(X[:1], Y[:1])


def test_a_refused_number_of_jobs_changes_nothing():
    model = regressor().fit(X, Y)
    expected = model.predict(X)
    with pytest.raises(ValueError, match="n_jobs"):
        model.set_params(n_jobs=0).fit(X, Y)
    assert_array_equal(model.set_params(n_jobs=None).predict(X), expected)


def test_pickles_of_another_version_warn(monkeypatch):
    model = regressor().fit(X, Y)
    monkeypatch.setattr("skrnn._learning.__version__", "0.0.1")
    old = pickle.dumps(model)
    monkeypatch.undo()
    with pytest.warns(InconsistentVersionWarning, match="skrnn 0.0.1"):
        loaded = pickle.loads(old)
    assert_array_equal(loaded.predict(X), model.predict(X))
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


def test_a_sequence_that_is_not_there():
    with pytest.raises(IndexError, match="There are 2 sequences, got 5"):
        Sequences([np.ones(3), np.ones(2)])[5]
