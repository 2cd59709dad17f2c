"""`init` and `freeze`: to go on from a fitted model, and to leave parts as they are."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV

from skrnn import RNNClassifier, RNNRegressor, RNNTransformer

RNG = np.random.default_rng(4)
X = RNG.normal(size=(40, 5, 2))
Y = X[:, 1, 0] - X[:, 4, 1]
CLASSES = np.array(["low", "mid", "high"])[np.digitize(Y, [-0.7, 0.7])]
BRIEF = {"cell": "rnn", "hidden_layer_sizes": (4, 3), "max_iter": 3, "random_state": 0}
BRIEF |= {"n_iter_no_change": np.inf, "pooling": "last"}
# Training that changes nothing: what it starts from is seen.
STILL = {"freeze": ("layers", "output"), "max_iter": 1}
LAYERS = [
    f"layers.{i}.{name}"
    for i in range(2)
    for name in ("input_weights", "recurrent_weights", "bias")
]


def regressor(**settings):
    return RNNRegressor(**BRIEF | settings)


def classifier(**settings):
    return RNNClassifier(**BRIEF | settings)


@pytest.fixture(scope="module")
def source():
    """A regressor that is fitted to other data on another scale."""
    return regressor(random_state=1).fit(3 + 2 * X, 100 * Y)


def assert_same(model, other, names):
    for name in names:
        np.testing.assert_array_equal(model.weights_[name], other.weights_[name])


def changed(model, other):
    """Return the names of the parameters that differ."""
    return {
        name
        for name, values in model.weights_.items()
        if not np.array_equal(values, other.weights_[name])
    }


# --- init -----------------------------------------------------------------------------


def test_the_test_itself_sees_the_start(source):
    start = regressor(**STILL).fit(X, Y)
    assert changed(start, source) == set(source.weights_)
    again = regressor(**STILL | {"max_iter": 2}).fit(X, Y)
    assert changed(start, again) == set()


def test_a_model_is_begun_with_as_it_is(source):
    model = regressor(init=source, **STILL).fit(X, Y)
    assert_same(model, source, LAYERS)
    # the output is turned to the scale of these targets: it predicts the same
    np.testing.assert_allclose(model.predict(X), source.predict(X), rtol=1e-9)
    far = regressor(init=source, **STILL).fit(X, 1e6 + 1e-3 * Y)
    np.testing.assert_allclose(far.predict(X), source.predict(X), rtol=1e-6)


def test_targets_of_another_scale_are_learned(source):
    y = 5000 + 1000 * Y
    model = regressor(init=source, max_iter=100, learning_rate_init=0.02).fit(X, y)
    plain = regressor(max_iter=100, learning_rate_init=0.02).fit(X, y)
    assert model.score(X, y) > min(0.8, plain.score(X, y) - 0.1)


def test_cells_are_not_mixed_up():
    source = regressor(cell="janet").fit(X, Y)
    with pytest.raises(ValueError, match="cell='janet', but here cell='mingru'"):
        regressor(cell="mingru", init=source).fit(X, Y)
    with pytest.raises(ValueError, match="bidirectional=False, but here"):
        regressor(cell="janet", bidirectional=True, init=source).fit(X, Y)


def test_scales_of_channels_are_kept_where_steps_are_skipped():
    source = regressor().fit(X + 100, Y)
    model = regressor(init=source, missing="mask", **STILL).fit(X, Y)
    np.testing.assert_array_equal(model._inputs.mean, source._inputs.mean)


def test_of_what_holds_a_model_the_model_is_asked_for(source):
    search = GridSearchCV(regressor(), {"max_iter": [1]}, cv=2).fit(X, Y)
    with pytest.raises(TypeError, match="pass best_estimator_"):
        regressor(init=search).fit(X, Y)


def test_weights_are_begun_with_at_scales_of_ones_own(source):
    model = regressor(init=source.weights_, **STILL).fit(X, Y)
    assert changed(model, source) == set()
    plain = regressor(**STILL).fit(X, Y)
    standardized = (model._standardization(), model._target_mean)
    expected = (plain._standardization(), plain._target_mean)
    np.testing.assert_equal(standardized, expected)


def test_training_goes_on_from_there(source):
    model = regressor(init=source).fit(X, Y)
    assert changed(model, source) == set(source.weights_)
    assert model.n_iter_ == 3  # its own epochs


@pytest.mark.parametrize("frozen", [False, True])
def test_a_regressor_becomes_a_classifier(source, frozen):
    init = FrozenEstimator(source) if frozen else source
    model = classifier(init=init, **STILL).fit(X, CLASSES)
    assert_same(model, source, LAYERS)
    assert model.weights_["output.weights"].shape == (3, 3)
    np.testing.assert_array_equal(model._standardization(), source._standardization())


def test_the_output_of_another_kind_of_target_is_not_taken(source):
    # One number each, but a log-odds is no forecast.
    two = classifier(init=source, **STILL).fit(X, Y > 0)
    assert changed(two, source) == {"output.weights", "output.bias"}
    median = regressor(init=source, loss="absolute_error", **STILL).fit(X, Y)
    assert changed(median, source) == {"output.weights", "output.bias"}


def test_the_output_is_taken_for_the_same_classes_only():
    three = classifier(random_state=1).fit(X, CLASSES)
    same = classifier(init=three, **STILL).fit(X[:30], CLASSES[:30])
    assert changed(same, three) == set()
    np.testing.assert_array_equal(same.predict_proba(X), three.predict_proba(X))
    others = np.char.upper(CLASSES)
    renamed = classifier(init=three, **STILL).fit(X, others)
    assert changed(renamed, three) == {"output.weights", "output.bias"}
    fewer = classifier(init=three, **STILL).fit(X, Y > 0)
    assert_same(fewer, three, LAYERS)
    assert fewer.weights_["output.weights"].shape == (3, 1)


def test_a_deeper_network_begins_with_the_layers_there_are(source):
    deeper = regressor(init=source, hidden_layer_sizes=(4, 3, 3), **STILL).fit(X, Y)
    assert_same(deeper, source, LAYERS)
    fresh = regressor(hidden_layer_sizes=(4, 3, 3), **STILL).fit(X, Y)
    assert_same(deeper, fresh, ["layers.2.input_weights", "layers.2.recurrent_weights"])


def test_a_transformer_is_fine_tuned():
    learned = RNNTransformer(**BRIEF).fit(X)
    model = classifier(init=learned.network_, freeze=("layers.0",)).fit(X, CLASSES)
    assert_same(model, learned.network_, LAYERS[:3])
    assert set(LAYERS[3:]) <= changed(model, learned.network_)


@pytest.mark.needs_jit
def test_a_frozen_estimator_survives_clones_and_searches(source):
    model = classifier(init=FrozenEstimator(source), freeze="layers")
    assert_same(clone(model).fit(X, CLASSES), source, LAYERS)
    search = GridSearchCV(
        model, {"max_iter": [1, 2]}, cv=2, n_jobs=2, error_score="raise"
    )
    assert_same(search.fit(X, CLASSES).best_estimator_, source, LAYERS)
    weights = clone(classifier(init=source.weights_, freeze="layers"))
    assert_same(weights.fit(X, CLASSES), source, LAYERS)


def test_a_clone_of_a_model_says_what_to_do(source):
    with pytest.raises(
        NotFittedError, match=r"RNNRegressor that is not fitted.*Frozen"
    ):
        clone(regressor(init=source)).fit(X, Y)


@pytest.mark.parametrize(
    ("settings", "data", "message"),
    [
        (
            {"hidden_layer_sizes": (4, 5)},
            X,
            r"layers.1.input_weights of shape \(4, 3\)",
        ),
        ({}, X[:, :, :1], r"layers.0.input_weights of shape \(2, 4\).*\(1, 4\)"),
    ],
)
def test_other_shapes_are_refused_by_name(source, settings, data, message):
    model = regressor(init=source, **settings)
    with pytest.raises(ValueError, match=message):
        model.fit(data, Y)
    assert not hasattr(model, "n_iter_")


def test_what_is_no_model_is_refused(source):
    with pytest.raises(ValueError, match=r"no layer with the name.*'kernel'.*layers.0"):
        regressor(init={"kernel": np.ones(3)}).fit(X, Y)
    linear = LinearRegression().fit(X[:, 0], Y)
    with pytest.raises(TypeError, match="init must be.*got LinearRegression"):
        regressor(init=linear).fit(X, Y)
    with pytest.raises(ValueError, match="'init' parameter"):
        regressor(init="weights").fit(X, Y)


def test_warm_start_goes_on_from_its_own_weights(source):
    model = regressor(init=source, warm_start=True).fit(X, Y)
    before = {name: values.copy() for name, values in model.weights_.items()}
    model.set_params(**STILL).fit(X, Y)
    for name, values in model.weights_.items():
        np.testing.assert_array_equal(values, before[name])


# --- freeze ---------------------------------------------------------------------------

SOLVERS = {
    "adam": {"solver": "adam", "alpha": 1.0},
    "adamw": {"solver": "adamw", "alpha": 0.5},
    "rmsprop": {"solver": "rmsprop", "alpha": 1.0},
    "sgd": {"solver": "sgd", "momentum": 0.9, "alpha": 1.0, "learning_rate_init": 0.1},
    "early stopping": {"early_stopping": True},
    "by pieces": {"bptt_steps": 2},
    "noise": {"dropout": 0.2, "adversarial_eps": 0.1},
}


@pytest.mark.parametrize("freeze", ["layers.0", ("layers.1.bias", "layers.0.bias")])
@pytest.mark.parametrize("solver", SOLVERS)
def test_frozen_parameters_keep_every_bit(source, solver, freeze):
    model = regressor(init=source, freeze=freeze, **SOLVERS[solver]).fit(X, Y)
    names = {"layers.1.bias", "layers.0.bias"}
    if freeze == "layers.0":
        names = set(LAYERS[:3])
    assert changed(model, source) == set(source.weights_) - names


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd"])
def test_frozen_in_every_further_call(source, solver):
    model = regressor(init=source, freeze="layers.0", warm_start=True)
    model.set_params(**SOLVERS[solver]).fit(X, Y).partial_fit(X, Y).fit(X, Y)
    assert changed(model, source) == set(source.weights_) - set(LAYERS[:3])


@pytest.mark.parametrize("solver", ["adam", "adamw", "rmsprop", "sgd"])
def test_what_is_frozen_may_change_between_calls(solver):
    model = regressor(**SOLVERS[solver]).partial_fit(X, Y).partial_fit(X, Y)
    before = {name: values.copy() for name, values in model.weights_.items()}
    model.set_params(freeze="layers.1").partial_fit(X, Y)  # in spite of the momentum
    after = {name: values.copy() for name, values in model.weights_.items()}
    for name in before:
        same = np.array_equal(before[name], after[name])
        assert same == name.startswith("layers.1.")
    model.set_params(freeze=()).partial_fit(X, Y)
    for name in before:
        assert not np.array_equal(after[name], model.weights_[name])


def test_frozen_from_the_start_without_init():
    model = regressor(freeze="layers.0").fit(X, Y)
    assert_same(model, regressor(**STILL).fit(X, Y), LAYERS[:3])


def test_frozen_embeddings():
    tokens = RNG.integers(0, 6, size=(30, 4))
    table = RNG.normal(size=(6, 3))
    settings = BRIEF | {"embeddings": table}
    y = tokens[:, 0] > 2
    name = "embedding.0.vectors"
    frozen = RNNClassifier(freeze="embedding", **settings).fit(tokens, y)
    np.testing.assert_array_equal(frozen.weights_[name], table)
    learned = RNNClassifier(**settings).fit(tokens, y)
    assert not np.array_equal(learned.weights_[name], table)
    # and from one model to another
    plain = {k: v for k, v in settings.items() if k != "embeddings"}
    other = RNNClassifier(
        init=learned, freeze="embedding", embedding_dim=3, n_tokens=6, **plain
    ).fit(tokens, y)
    np.testing.assert_array_equal(other.weights_[name], learned.weights_[name])


@pytest.mark.parametrize(
    "freeze", ["layers.2", "layer", ("output", "bias"), "layers.1x"]
)
def test_names_of_nothing_are_refused(freeze):
    wrong = freeze if isinstance(freeze, str) else "bias"
    with pytest.raises(ValueError, match=f"{wrong!r}.*'layers.1.bias', 'output.weig"):
        regressor(freeze=freeze).fit(X, Y)


def test_layer_1_is_not_layer_10():
    sizes = (2,) * 11
    still = regressor(hidden_layer_sizes=sizes, **STILL).fit(X, Y)
    model = regressor(hidden_layer_sizes=sizes, freeze="layers.1").fit(X, Y)
    same = set(model.weights_) - changed(model, still)
    assert same == {name for name in model.weights_ if name.startswith("layers.1.")}
