"""Predictors are kept between calls, and never give another model's predictions."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn import RNNClassifier, RNNRegressor, prediction
from skrnn.lanes import SamplesInLanes
from skrnn.network import Network
from skrnn.prediction import N_KEPT, predict_raw
from tests.oracles.harness import (
    Ragged,
    make_architecture,
    make_network,
    make_parameters,
    make_sequences,
)
from tests.oracles.network import raw_prediction

RAGGED = [3, 1, 5]
LONG_RAGGED = [6, 6, 5, 4, 4, 4, 3, 3, 2, 2, 2, 1, 1]
TIMEOUT = 60.0  # of what would otherwise hang


def predict(network, parameters, sequences):
    data = Ragged(sequences, parameters.dtype)
    zeros = np.zeros(data.n_channels, parameters.dtype)
    return predict_raw(network, parameters, data, zeros, zeros + 1, 1)


@pytest.fixture
def none_kept(monkeypatch):
    """Begin without predictors, and see what is kept."""
    kept = type(prediction._kept)()
    monkeypatch.setattr(prediction, "_kept", kept)
    return kept


def test_a_kept_predictor_follows_the_parameters(none_kept):
    rng = np.random.default_rng(16)
    network = make_network("gru", "tanh", 2, (3, 2), 2)
    one, other = make_parameters(network, rng), make_parameters(network, rng)
    for n in (1, 5):
        sequences = make_sequences(rng, RAGGED[:n] * 2, 2)[:n]
        expected = []
        for parameters in (one, other):
            none_kept.clear()
            expected.append(predict(network, parameters, sequences))
        assert (expected[0] != expected[1]).any()
        for i, parameters in enumerate([one, other, one, one, other]):
            result = predict(network, parameters, sequences)
            assert_array_equal(result, expected[i % 3 % 2])
        # parameters that change in place
        changing = one.copy()
        assert_array_equal(predict(network, changing, sequences), expected[0])
        changing[:] = other
        assert_array_equal(predict(network, changing, sequences), expected[1])


def test_a_kept_predictor_does_not_follow_parameters_that_change_later(none_kept):
    rng = np.random.default_rng(17)
    network = make_network()
    parameters = make_parameters(network, rng)
    sequences = make_sequences(rng, RAGGED, 2)
    before = parameters.copy()
    expected = predict(network, parameters, sequences)
    parameters[:] = 0.0
    assert_array_equal(predict(network, before, sequences), expected)


def test_predictors_are_kept_apart_by_dtype_and_by_what_lies_in_the_lanes(none_kept):
    rng = np.random.default_rng(18)
    architecture = make_architecture("lstm", "tanh", 2, (3,), 1)
    network = Network(architecture)
    single = make_parameters(network, rng, np.float32)
    double = single.astype(np.float64)
    sequences = make_sequences(rng, LONG_RAGGED * 2, 2)
    for n in (len(sequences), 3, 1) * 2:
        for parameters, rtol in ((single, 1e-4), (double, 1e-12)):
            raw = predict(network, parameters, sequences[:n])
            assert raw.dtype == parameters.dtype
            views = network.layout.views(double)
            expected = [
                raw_prediction(architecture, views, s.astype(raw.dtype))
                for s in sequences[:n]
            ]
            assert_allclose(raw, expected, rtol=rtol, atol=rtol)
    assert len(none_kept) > 2


def test_a_predictor_of_short_sequences_makes_room_for_longer_ones(none_kept):
    rng = np.random.default_rng(19)
    network = make_network()
    parameters = make_parameters(network, rng)
    sequences = make_sequences(rng, [9, 2, 30], 2)
    expected = [predict(network, parameters, [s]) for s in reversed(sequences)][::-1]
    none_kept.clear()
    for sequence, raw, room in zip(sequences, expected, [9, 9, 30], strict=True):
        assert_array_equal(predict(network, parameters, [sequence]), raw)
        (kept,) = none_kept.values()
        assert kept.n_steps == room


def test_a_predictor_is_used_again_and_few_are_kept(none_kept, monkeypatch):
    rng = np.random.default_rng(20)
    sequences = make_sequences(rng, RAGGED, 2)
    made, new = [], prediction._Predictor
    monkeypatch.setattr(
        prediction, "_Predictor", lambda *args: made.append(args) or new(*args)
    )
    networks = [make_network() for _ in range(N_KEPT + 3)]
    for network in networks:
        parameters = make_parameters(network, rng)
        for _ in range(2):
            predict(network, parameters, sequences)
    assert len(made) == len(networks)
    assert len(none_kept) == N_KEPT
    # those of the last calls are kept
    predict(networks[-1], make_parameters(networks[-1], rng), sequences)
    assert len(made) == len(networks)
    predict(networks[0], make_parameters(networks[0], rng), sequences)
    assert len(made) == len(networks) + 1


def test_a_large_predictor_is_not_kept(none_kept, monkeypatch):
    network = make_network()
    parameters = make_parameters(network, np.random.default_rng(21))
    monkeypatch.setattr(prediction, "MAX_KEPT_PARAMETERS", network.layout.size - 1)
    predict(network, parameters, [np.ones((3, 2))])
    assert not none_kept
    monkeypatch.setattr(prediction, "MAX_KEPT_PARAMETERS", network.layout.size)
    predict(network, parameters, [np.ones((3, 2))])
    assert len(none_kept) == 1


def test_a_failed_prediction_spoils_none_that_follows(none_kept):
    rng = np.random.default_rng(22)
    network = make_network()
    parameters = make_parameters(network, rng)
    data = Ragged(make_sequences(rng, RAGGED, 2))
    arguments = (network, parameters, data, np.zeros(2), np.ones(2), 1)
    expected, take = predict_raw(*arguments), data.take

    def interrupted(rows):
        raise KeyboardInterrupt

    data.take = interrupted
    with pytest.raises(KeyboardInterrupt):
        predict_raw(*arguments)
    data.take = take
    assert_array_equal(predict_raw(*arguments), expected)


# --- through the estimators -----------------------------------------------------------

X = np.random.default_rng(23).normal(size=(20, 4, 2))
Y = X[:, 0, 0] + X[:, 3, 1]
BRIEF = {"hidden_layer_sizes": 3, "max_iter": 2, "n_iter_no_change": np.inf}


def afresh(model, X=X):
    """Return predictions that nothing kept has a part in."""
    kept, prediction._kept = prediction._kept, type(prediction._kept)()
    try:
        return model.predict(X)
    finally:
        prediction._kept = kept


def fit_again(model):
    return model.fit(X[::-1], Y)


def train_on(model):
    return model.partial_fit(X, Y)


@pytest.mark.parametrize("change", [fit_again, train_on])
@pytest.mark.parametrize("rows", [slice(0, 1), slice(0, 3), slice(None)])
def test_predictions_after_training_again_are_not_those_before(change, rows):
    model = RNNRegressor(random_state=0, **BRIEF).fit(X, Y)
    before = model.predict(X[rows])
    change(model)
    after = model.predict(X[rows])
    assert (after != before).all()
    assert_array_equal(after, afresh(model, X[rows]))


@pytest.mark.parametrize("rows", [slice(0, 1), slice(None)])
def test_two_models_of_the_same_architecture_alternately(rows):
    models = [RNNRegressor(random_state=seed, **BRIEF).fit(X, Y) for seed in (0, 1)]
    # of the same network: one class, or one output, looks like the other
    models.append(RNNClassifier(random_state=2, **BRIEF).fit(X, Y > 0))
    expected = [afresh(model, X[rows]) for model in models]
    assert (expected[0] != expected[1]).all()
    for _ in range(2):
        for model, values in zip(models, expected, strict=True):
            assert_array_equal(model.predict(X[rows]), values)


@pytest.mark.parametrize("rows", [slice(0, 1), slice(None)])
def test_models_that_predict_at_the_same_time(rows, monkeypatch):
    monkeypatch.setattr("skrnn.threads.MIN_FLOPS_PER_THREAD", 1)
    models = [
        RNNRegressor(random_state=seed, n_jobs=n_jobs, **BRIEF).fit(X, Y)
        for seed, n_jobs in [(0, None), (1, None), (2, 2)]
    ]
    models.append(models[0])  # and one that two threads use
    expected = [afresh(model, X[rows]) for model in models]
    barrier = threading.Barrier(len(models))

    def predict_often(model, values):
        barrier.wait(TIMEOUT)
        return all(np.array_equal(model.predict(X[rows]), values) for _ in range(60))

    with ThreadPoolExecutor(len(models)) as pool:
        assert all(pool.map(predict_often, models, expected))


def test_predictions_while_another_model_of_its_kind_is_trained():
    model = RNNRegressor(random_state=0, **BRIEF).fit(X, Y)
    expected = afresh(model)
    other = RNNRegressor(random_state=1, **BRIEF)
    done = threading.Event()

    def train():
        try:
            for _ in range(5):
                other.partial_fit(X, Y).predict(X)
        finally:
            done.set()

    thread = threading.Thread(target=train)
    thread.start()
    while not done.is_set():
        assert_array_equal(model.predict(X), expected)
    thread.join()
    assert_array_equal(other.predict(X), afresh(other))


class Predicting:
    """A callback that predicts after each epoch, as the model stands."""

    def __init__(self, rows):
        self.rows = rows
        self.pairs = []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **options):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None, **options):
        if context.task_name == "epoch":
            rows = X[self.rows]
            self.pairs.append(
                (fitted_estimator.predict(rows), afresh(fitted_estimator, rows))
            )


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("rows", [slice(0, 1), slice(None)])
def test_predictions_in_a_callback_are_of_the_epoch_that_ended(rows, early_stopping):
    pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")
    callback = Predicting(rows)
    model = RNNRegressor(random_state=0, early_stopping=early_stopping, **BRIEF)
    quiet = RNNRegressor(random_state=0, early_stopping=early_stopping, **BRIEF)
    model.set_params(max_iter=4).set_callbacks(callback).fit(X, Y)
    assert len(callback.pairs) == 4
    for predicted, expected in callback.pairs:
        assert_array_equal(predicted, expected)
    assert all(
        (one != next_one).all()
        for (one, _), (next_one, _) in zip(
            callback.pairs[:-1], callback.pairs[1:], strict=True
        )
    )
    # and predicting in between changes nothing
    assert_array_equal(
        model.predict(X), quiet.set_params(max_iter=4).fit(X, Y).predict(X)
    )


def test_a_predictor_that_is_dropped_is_gone_at_once():
    network = make_network("gru", "tanh", 1, (2,), 1)
    lanes = SamplesInLanes(np.dtype("d"), 1)
    predictor = prediction._predictor(network, lanes, 3)
    gone = weakref.ref(predictor)
    gc.disable()
    try:
        del predictor
        assert gone() is None
    finally:
        gc.enable()


def test_kept_predictors_have_the_workspace_of_one_thread(monkeypatch):
    monkeypatch.setattr("skrnn.threads.MIN_FLOPS_PER_THREAD", 1)
    network = make_network("gru", "tanh", 1, (2,), 1)
    parameters = make_parameters(network, np.random.default_rng(0))
    data = Ragged(make_sequences(np.random.default_rng(0), [3] * 300, 1))
    predict_raw(network, parameters, data, np.zeros(1), np.ones(1), 3)
    for predictor in prediction._kept.values():
        assert len(predictor._threads._workspaces) == 1
