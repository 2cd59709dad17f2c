"""The same random_state gives the same bits: on any number of threads, in any order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skrnn import RNNClassifier, RNNRegressor, Sequences, threads

RNG = np.random.default_rng(8)
X = RNG.normal(size=(70, 6, 2))
RAGGED = [x[: 1 + i % 6] for i, x in enumerate(X)]
Y = X[:, 0, 0] - X[:, 0, 1]
BRIEF = {"cell": "rnn", "hidden_layer_sizes": 3, "max_iter": 2, "random_state": 0}
BRIEF |= {"n_iter_no_change": np.inf, "batch_size": 40}


@pytest.fixture(autouse=True)
def threads_though_there_is_little_to_do(monkeypatch):
    monkeypatch.setattr(threads, "MIN_FLOPS_PER_THREAD", 1)


def assert_same(left, right):
    for name, weights in left.weights_.items():
        np.testing.assert_array_equal(right.weights_[name], weights, err_msg=name)
    assert left.loss_curve_ == right.loss_curve_


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("data", [X, Sequences(RAGGED)], ids=["array", "ragged"])
def test_threads_change_no_bit(cell, dtype, data):
    if isinstance(data, np.ndarray):
        data = data.astype(dtype)
    elif dtype == np.float32:
        data = Sequences([x.astype(dtype) for x in RAGGED])
    options = BRIEF | {"cell": cell}
    one = RNNRegressor(**options).fit(data, Y)
    for n_jobs in (2, 3, -1):
        several = RNNRegressor(**options, n_jobs=n_jobs).fit(data, Y)
        assert_same(several, one)
        np.testing.assert_array_equal(several.predict(data), one.predict(data))


@settings(max_examples=8)
@given(
    n_samples=st.integers(2, 70),
    batch_size=st.integers(1, 70),
    n_jobs=st.integers(2, 5),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=2),
)
def test_threads_change_no_bit_of_any_network(n_samples, batch_size, n_jobs, sizes):
    options = BRIEF | {"batch_size": batch_size, "hidden_layer_sizes": sizes}
    x, y = X[:n_samples], Y[:n_samples]
    one = RNNRegressor(**options).fit(x, y)
    assert_same(RNNRegressor(**options, n_jobs=n_jobs).fit(x, y), one)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("estimator", [RNNRegressor, RNNClassifier])
def test_the_same_seed_gives_the_same_bits(estimator, early_stopping):
    y = Y if estimator is RNNRegressor else Y > 0
    options = BRIEF | {"early_stopping": early_stopping}
    first = estimator(**options).fit(X, y)
    assert_same(estimator(**options).fit(X, y), first)
    options["random_state"] = np.random.RandomState(0)
    assert_same(estimator(**options).fit(X, y), first)
    # the generator has moved on
    other = estimator(**options).fit(X, y)
    assert other.loss_curve_ != first.loss_curve_


def test_other_seeds_give_other_networks():
    curves = {
        tuple(RNNRegressor(**BRIEF | {"random_state": seed}).fit(X, Y).loss_curve_)
        for seed in (0, 1, None, None)
    }
    assert len(curves) == 4


def test_the_global_generator_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    RNNRegressor(**BRIEF).fit(X, Y).predict(X)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@settings(max_examples=10)
@given(rows=st.permutations(range(70)))
def test_the_order_of_samples_changes_no_prediction(rows):
    model = RNNRegressor(**BRIEF).fit(RAGGED, Y)
    expected = model.predict(RAGGED)[rows]
    np.testing.assert_allclose(
        model.predict([RAGGED[i] for i in rows]), expected, rtol=1e-12, atol=1e-14
    )


@settings(max_examples=10)
@given(n_padding=st.integers(0, 5), n_samples=st.integers(2, 70))
def test_padding_changes_no_bit(n_padding, n_samples):
    flat = np.full((n_samples, 2 * (6 + n_padding)), np.nan)
    for row, sequence in zip(flat, RAGGED[:n_samples], strict=True):
        row[: sequence.size] = sequence.ravel()
    y = Y[:n_samples]
    model = RNNRegressor(**BRIEF, n_channels=2).fit(flat, y)
    expected = RNNRegressor(**BRIEF).fit(RAGGED[:n_samples], y)
    assert_same(model, expected)
    np.testing.assert_array_equal(
        model.predict(flat), expected.predict(RAGGED[:n_samples])
    )
