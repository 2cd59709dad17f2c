"""The states of the last layer, which are features for other models."""

import numpy as np
import pandas as pd
import pytest

from skrnn import RNNClassifier, RNNRegressor, Sequences

RNG = np.random.default_rng(7)
LENGTHS = RNG.integers(1, 300, size=20)  # longer than a piece of a prediction
X = [RNG.normal(size=(length, 2)) for length in LENGTHS]
Y = RNG.normal(size=20)
BRIEF = {"hidden_layer_sizes": 5, "max_iter": 2, "random_state": 0}
BRIEF |= {"n_iter_no_change": np.inf}
NETWORKS = {
    "lstm": {},
    "relu": {"cell": "rnn", "activation": "relu"},
    "both ways": {"bidirectional": True, "cell": "gru"},
    "two layers": {"hidden_layer_sizes": (5, 3), "cell": "gru"},
    "residual": {"hidden_layer_sizes": (4, 4), "residual": True, "layer_norm": True},
    "attention and dense": {"pooling": "attention", "dense_layer_sizes": (3,)},
    "steps": {"return_sequences": True},
    "dropout": {"dropout": 0.3, "input_noise": 0.1},
}
POOLED = {
    "last": lambda states: states[-1],
    "mean": lambda states: states.mean(axis=0),
    "max": lambda states: states.max(axis=0),
}


def fitted(**settings):
    model = RNNRegressor(**BRIEF | settings)
    y = [x[:, 0] for x in X] if model.return_sequences else Y
    return model.fit(X, y)


@pytest.mark.needs_jit
@pytest.mark.parametrize("network", NETWORKS)
def test_pooled_states_are_those_of_the_steps_pooled(network):
    model = fitted(**NETWORKS[network])
    of_steps = model.hidden_states(X, pooling=None)
    assert [len(states) for states in of_steps] == LENGTHS.tolist()
    n_states = np.ravel(model.hidden_layer_sizes)[-1] * (1 + model.bidirectional)
    for pooling, pool in POOLED.items():
        pooled = model.hidden_states(X, pooling=pooling)
        assert pooled.shape == (20, n_states)
        expected = np.array([pool(states) for states in of_steps])
        np.testing.assert_allclose(pooled, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", POOLED)
def test_the_output_layer_makes_predictions_of_them(pooling, bidirectional):
    short = [x[:9] for x in X]
    model = RNNClassifier(pooling=pooling, bidirectional=bidirectional, **BRIEF)
    model.fit(short, np.digitize(Y, [-0.5, 0.5]))
    states, weights = model.hidden_states(short, pooling=pooling), model.weights_
    raw = states @ weights["output.weights"] + weights["output.bias"]
    np.testing.assert_allclose(raw, model.decision_function(short), rtol=1e-9)


def test_they_come_in_the_shape_of_x():
    X = RNG.normal(size=(4, 6, 2))
    model = RNNRegressor(cell="rnn", **BRIEF).fit(X, np.arange(4.0))
    states = model.hidden_states(X, pooling=None)
    assert states.shape == (4, 6, 5)
    index = pd.MultiIndex.from_product([list("abcd"), range(6)])
    frame = pd.DataFrame(X.reshape(24, 2), index=index)
    of_frame = model.hidden_states(frame, pooling=None)
    assert of_frame.index.equals(index)
    np.testing.assert_allclose(of_frame.to_numpy(), states.reshape(24, 5), rtol=1e-9)
    pooled = model.hidden_states(Sequences(list(X)))
    np.testing.assert_allclose(pooled, states[:, -1], rtol=1e-9)


def test_a_step_that_is_skipped_has_the_state_of_the_step_before():
    X = RNG.normal(size=(4, 6, 1))
    X[1, 3] = np.nan
    model = RNNRegressor(cell="rnn", missing="mask", **BRIEF).fit(X, np.arange(4.0))
    states = model.hidden_states(X, pooling=None)
    np.testing.assert_array_equal(states[1, 3], states[1, 2])
    without = model.hidden_states([np.delete(X[1], 3, axis=0)])
    np.testing.assert_allclose(states[1, -1], without[0], rtol=1e-9)


def test_what_there_is_not_is_refused():
    X = RNG.normal(size=(4, 6, 1))
    model = RNNRegressor(cell="rnn", steps_per_frame=2, **BRIEF).fit(X, np.arange(4.0))
    with pytest.raises(ValueError, match="'last', 'mean', 'max', None.*'attention'"):
        model.hidden_states(X, pooling="attention")
    with pytest.raises(ValueError, match="steps_per_frame > 1"):
        model.hidden_states(X, pooling=None)
    assert model.hidden_states(X).shape == (4, 5)


@pytest.mark.parametrize("shuffle", [False, True])
def test_sequences_without_any_weight_take_no_part(shuffle):
    # A minibatch of such sequences alone has no mean loss.
    X = [RNG.normal(size=(length, 1)) for length in [1] * 6 + [4] * 3]
    y = [x[:, 0] for x in X]
    weights = [np.append(np.ones(len(x) - 1), 0) for x in X]
    settings = BRIEF | {"return_sequences": True, "batch_size": 2, "cell": "rnn"}
    model = RNNRegressor(shuffle=shuffle, **settings).fit(X, y, weights)
    alone = RNNRegressor(shuffle=shuffle, **settings).fit(X[6:], y[6:], weights[6:])
    for name, values in alone.weights_.items():
        np.testing.assert_array_equal(model.weights_[name], values)
