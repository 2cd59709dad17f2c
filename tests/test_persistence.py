"""Pickles, copies and clones."""

import copy
import dataclasses
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from skrnn import RNNClassifier, RNNRegressor, Sequences

RNG = np.random.default_rng(7)
X = RNG.normal(size=(24, 4, 2))
Y = X[:, 0, 0] + X[:, 3, 1]
CLASSES = np.array(["a", "b", "c"])[np.digitize(Y, [-0.5, 0.5])]
BRIEF = {"cell": "rnn", "hidden_layer_sizes": 3, "max_iter": 3, "random_state": 0}
BRIEF |= {"n_iter_no_change": np.inf}

MODELS = [
    RNNRegressor(**BRIEF),
    RNNRegressor(**BRIEF, early_stopping=True, solver="sgd"),
    RNNRegressor(**BRIEF | {"cell": "gru"}, loss="quantile", quantile=[0.1, 0.9]),
    RNNClassifier(**BRIEF | {"cell": "lstm"}),
    RNNClassifier(**BRIEF, class_weight={"a": 2.0}, solver="rmsprop"),
]


@pytest.fixture(params=MODELS, ids=str)
def fitted(request):
    y = CLASSES if isinstance(request.param, RNNClassifier) else Y
    return clone(request.param).fit(X, y), y


def assert_same(left, right):
    for name, weights in left.weights_.items():
        np.testing.assert_array_equal(right.weights_[name], weights, err_msg=name)
    assert left.loss_curve_ == right.loss_curve_
    np.testing.assert_array_equal(left.predict(X), right.predict(X))


def through_joblib(path, mode):
    def dump_and_load(model):
        joblib.dump(model, path / "model.joblib")
        return joblib.load(path / "model.joblib", mmap_mode=mode)

    return dump_and_load


WAYS = {
    "pickle": lambda path: lambda model: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda path: copy.deepcopy,
    "copy": lambda path: copy.copy,
    "joblib": lambda path: through_joblib(path, None),
    "mapped": lambda path: through_joblib(path, "r"),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_comes_back_predicts_the_same(fitted, way, tmp_path):
    model, _ = fitted
    assert_same(model, WAYS[way](tmp_path)(model))


@pytest.mark.parametrize("way", WAYS)
def test_what_comes_back_trains_on_the_same(fitted, way, tmp_path):
    model, y = fitted
    expected = copy.deepcopy(model).partial_fit(X, y)
    back = WAYS[way](tmp_path)(model)
    assert_same(back.partial_fit(X, y), expected)


@pytest.mark.parametrize("way", WAYS)
def test_training_what_comes_back_leaves_the_model_alone(fitted, way, tmp_path):
    model, y = fitted
    unspoiled = copy.deepcopy(model)
    WAYS[way](tmp_path)(model).partial_fit(X, y)
    assert_same(model, unspoiled)
    # nor what the next step of training depends on
    assert_same(model.partial_fit(X, y), unspoiled.partial_fit(X, y))


def test_a_mapped_model_fits_again(fitted, tmp_path):
    model, y = fitted
    back = through_joblib(tmp_path, "r")(model)
    assert_same(
        back.set_params(warm_start=True).fit(X, y),
        model.set_params(warm_start=True).fit(X, y),
    )


def test_a_clone_has_the_settings_only(fitted):
    model, y = fitted
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert vars(twin).keys() == twin.get_params().keys()
    assert_same(twin.fit(X, y), model)


ALLOWED = (str, bytes, int, float, bool, type(None), np.generic, np.dtype)


def parts(value, where):
    """Walk through all that a value holds: pairs of a place and a leaf."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from parts(item, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from parts(item, f"{where}[{i}]")
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from parts(getattr(value, field.name), f"{where}.{field.name}")
    else:
        yield where, value


def test_a_fitted_model_holds_arrays_numbers_and_strings(fitted):
    model, _ = fitted
    for name, value in vars(model).items():
        for where, part in parts(value, name):
            is_array = type(part) is np.ndarray and part.dtype != object
            assert is_array or isinstance(part, ALLOWED), (where, type(part))


def test_a_fitted_model_holds_nothing_of_the_data():
    long = RNG.normal(size=(2000, 8, 2))
    size = [
        len(pickle.dumps(RNNRegressor(**BRIEF).fit(x, x[:, 0, 0])))
        for x in (long[:20], long)
    ]
    assert abs(size[1] - size[0]) < 200


def test_sequences_survive_a_pickle():
    data = Sequences([x[: 1 + i % 4] for i, x in enumerate(X)])
    model = RNNRegressor(**BRIEF).fit(data, Y)
    again = RNNRegressor(**BRIEF).fit(pickle.loads(pickle.dumps(data)), Y)
    assert_same(model, again)
