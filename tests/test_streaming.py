"""initial_state and step: one step at a time."""

import pickle
import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from skrnn import RNNClassifier, RNNRegressor
from skrnn.cells import CELLS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 12, 2)).astype(np.float32)
SUMS = X[:, :, 0].sum(axis=1)
BRIEF = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
BRIEF |= {"n_iter_no_change": np.inf}
SETTINGS = [
    *({"cell": cell} for cell in CELLS),
    {"cell": "rnn", "activation": "relu"},
    {"pooling": "mean"},
    {"pooling": "max"},
    {"hidden_layer_sizes": (6, 6, 6), "residual": True, "layer_norm": True},
    {"learn_initial_state": True, "dense_layer_sizes": (4,)},
    {"dropout": 0.3, "recurrent_dropout": 0.3, "input_noise": 0.1},
    {"differences": True},
    {"steps_per_frame": 2},
    {"steps_per_frame": 3, "differences": True},
    {"missing": "indicator"},
    {"loss": "quantile", "quantile": [0.1, 0.9]},
]


def regressor(**settings):
    return RNNRegressor(**BRIEF | settings)


def stepped(model, X, response_method="predict"):
    """Return what is predicted after each step."""
    state, k = model.initial_state(len(X)), model.steps_per_frame
    answers = []
    for t in range(0, X.shape[1], k):
        x = X[:, t] if k == 1 else X[:, t : t + k]
        y, state = model.step(x, state, response_method=response_method)
        answers.append(y)
    return answers


@pytest.mark.parametrize("n", [1, 2, 40])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_steps_give_the_bits_of_the_whole(settings, n):
    model = regressor(**settings).fit(X, SUMS)
    assert_array_equal(stepped(model, X[:n])[-1], model.predict(X[:n]))


@pytest.mark.parametrize("n", [1, 40])
def test_attention_gives_the_same_but_for_rounding(n):
    model = regressor(pooling="attention", max_iter=10).fit(X, SUMS)
    assert_allclose(stepped(model, X[:n])[-1], model.predict(X[:n]), atol=2e-6)


def test_each_answer_is_that_of_the_steps_so_far():
    model = regressor(pooling="mean").fit(X, SUMS)
    for t, y in enumerate(stepped(model, X)):
        assert_array_equal(y, model.predict(X[:, : t + 1]))


def test_a_prediction_for_each_step():
    model = regressor(return_sequences=True).fit(X, np.cumsum(X[:, :, 0], axis=1))
    assert_array_equal(np.stack(stepped(model, X), axis=1), model.predict(X))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_responses_of_a_classifier(n_classes):
    y = np.array(["a", "b", "c"])[np.arange(40) % n_classes]
    model = RNNClassifier(**BRIEF).fit(X, y)
    for method in ("predict", "predict_proba", "decision_function"):
        expected = getattr(model, method)(X)
        assert_array_equal(stepped(model, X, method)[-1], expected)
    with pytest.raises(ValueError, match="response_method"):
        stepped(model, X, "score")


def test_missing_values_by_their_indicator():
    holes = X.copy()
    holes[RNG.random(holes.shape) < 0.3] = np.nan
    model = regressor(missing="indicator").fit(holes, SUMS)
    assert_array_equal(stepped(model, holes)[-1], model.predict(holes))


def test_streams_whose_step_is_skipped_are_left_out():
    holes = X.copy()
    holes[RNG.random((40, 12)) < 0.3, 1] = np.nan
    holes[:, 0] = X[:, 0]
    model = regressor(missing="mask", differences=True).fit(holes, SUMS)
    state, y = model.initial_state(40), np.zeros(40, np.float32)
    for t in range(12):
        rows = ~np.isnan(holes[:, t]).any(axis=1)
        y[rows], state[rows] = model.step(holes[rows, t], state[rows])
    assert_array_equal(y, model.predict(holes))


@pytest.mark.parametrize("settings", [{}, {"differences": True}], ids=str)
@pytest.mark.parametrize("missing", ["error", "mask"])
@pytest.mark.parametrize("n", [1, 3])
def test_steps_with_missing_values_are_refused(settings, missing, n):
    model = regressor(missing=missing, **settings, steps_per_frame=n).fit(X, SUMS)
    x = X[:, 0].copy() if n == 1 else X[:, :n].copy()
    state = model.initial_state(40)
    following = model.step(x, state)[1]
    x.reshape(40, n, 2)[5, -1, 1] = np.nan
    of_frame = "step 2 of the frame, " if n > 1 else ""
    message = rf"x has nan in stream 5, {of_frame}channel 1\. Leave such streams out"
    for before in (state, following):
        with pytest.raises(ValueError, match=message):
            model.step(x, before)


def test_infinity_is_no_missing_value():
    model = regressor(missing="indicator", differences=True).fit(X, SUMS)
    x = np.full((40, 2), np.nan)
    x[3, 1] = -np.inf
    with pytest.raises(ValueError, match="x has -inf in stream 3, channel 1"):
        model.step(x, model.initial_state(40))


def test_states_are_numbers_of_each_stream():
    model = regressor(cell="lstm", hidden_layer_sizes=(8, 4)).fit(X, SUMS)
    state = model.initial_state(40)
    assert state.shape == (40, 2 * (8 + 4)) and state.dtype == np.float32
    _, state = model.step(X[:, 0], state)
    before = state.copy()
    y, following = model.step(X[:, 1], state)
    assert_array_equal(state, before)
    # some streams only, in another order, stored meanwhile, in another model object
    rows = [5, 3, 17]
    stored = pickle.loads(pickle.dumps((model, state[rows])))
    y_some, some = stored[0].step(X[rows, 1], stored[1])
    assert_array_equal(y_some, y[rows])
    assert_array_equal(some, following[rows])


def test_the_parameters_are_those_of_now():
    model = regressor().fit(X, SUMS)
    first = stepped(model, X)[-1]
    model.set_params(random_state=1).fit(X, SUMS)
    assert_array_equal(stepped(model, X)[-1], model.predict(X))
    assert (stepped(model, X)[-1] != first).any()
    model.partial_fit(X, SUMS)
    assert_array_equal(stepped(model, X)[-1], model.predict(X))


def test_steps_between_epochs_see_the_parameters_of_then():
    steps = []

    def scorer(model, X, y):
        steps.append((stepped(model, X)[-1] == model.predict(X)).all())
        return 0.0

    settings = {"early_stopping": True, "scoring": scorer, "max_iter": 4}
    model = regressor(**settings).fit(X, SUMS)
    assert len(steps) == 5 and all(steps)  # once before the first epoch
    assert_array_equal(stepped(model, X)[-1], model.predict(X))


def test_streams_in_many_threads():
    model = regressor().fit(X, SUMS)
    expected, wrong = model.predict(X), []

    def work():
        for _ in range(20):
            if (stepped(model, X)[-1] != expected).any():
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((40, 3)), r"x has shape \(40, 3\), expected \(40, 2\)"),
        (np.zeros((39, 2)), r"expected \(40, 2\)"),
        (np.zeros(2), r"expected \(40, 2\)"),
        (np.full((40, 2), np.nan), "x has nan in stream 0, channel 0"),
        (np.full((40, 2), np.inf), "x has inf in stream 0, channel 0"),
    ],
)
def test_steps_that_do_not_fit(x, message):
    model = regressor().fit(X, SUMS)
    with pytest.raises(ValueError, match=message):
        model.step(x, model.initial_state(40))
    assert_array_equal(stepped(model, X)[-1], model.predict(X))  # nothing is broken


def test_states_that_do_not_fit():
    model = regressor().fit(X, SUMS)
    with pytest.raises(ValueError, match="state has shape"):
        model.step(X[:, 0], np.zeros((40, 3), np.float32))
    with pytest.raises(ValueError, match="dtype float64, expected float32"):
        model.step(X[:, 0], model.initial_state(40).astype(float))
    with pytest.raises(ValueError, match="bidirectional"):
        regressor(bidirectional=True).fit(X, SUMS).initial_state()
    with pytest.raises(NotFittedError):
        regressor().initial_state()
    with pytest.raises(ValueError, match="no 'predict_proba'"):
        stepped(model, X, "predict_proba")


@pytest.mark.parametrize(
    "settings", [{}, {"missing": "indicator"}, {"differences": True}], ids=str
)
def test_states_of_another_width(settings):
    model = regressor(**settings).fit(X, SUMS)
    state = model.initial_state(40)
    for wrong in (np.hstack([state, state[:, :1]]), state[:, :-1], state[:, :0]):
        with pytest.raises(ValueError, match=r"state has shape \(40, .* \(40, "):
            model.step(X[:, 0], wrong)


@pytest.mark.parametrize("n", [1, 2, 3, 40])
@pytest.mark.parametrize("settings", [{}, {"pooling": "attention"}], ids=str)
def test_a_broken_state_breaks_nothing_else(settings, n):
    model = regressor(**settings).fit(X, SUMS)
    expected = stepped(model, X[:n])[-1]
    for broken in (np.nan, np.inf):
        state = model.initial_state(n)
        state[-1, 0] = broken
        with pytest.raises(ValueError, match=f"state of stream {n - 1} is not finite"):
            model.step(X[:n, 0], state)
        assert_array_equal(stepped(model, X[:n])[-1], expected)


def test_arguments_that_are_no_states():
    model = regressor().fit(X, SUMS)
    for state in (None, np.zeros(16, np.float32), 3):
        with pytest.raises(ValueError, match="a row for each stream"):
            model.step(X[:1, 0], state)
    for n in (0, -1):
        with pytest.raises(ValueError, match="n_samples"):
            model.initial_state(n)
    with pytest.raises(TypeError, match="n_samples"):
        model.initial_state(X)


def test_the_first_step_of_a_stream_may_be_missing():
    holes = X.copy()
    holes[:, 0, 0] = np.nan
    settings = {"missing": "indicator", "differences": True}
    model = regressor(**settings).fit(holes, SUMS)
    for t, y in enumerate(stepped(model, holes)):
        assert_array_equal(y, model.predict(holes[:, : t + 1]))
