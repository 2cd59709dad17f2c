"""Data larger than the workspace are read by parts, and a sample costs few bytes."""

import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest

from skrnn import RNNClassifier, RNNRegressor

pytestmark = pytest.mark.needs_jit

SHAPE = (2000, 200, 64)  # 205 MB of float64, which are holes in a sparse file
BOUND = 80 * 2**20
MANY = 200_000  # short samples: what is kept for each of them shows
BYTES_PER_SAMPLE = 80
BRIEF = {"cell": "rnn", "hidden_layer_sizes": 2, "max_iter": 1, "random_state": 0}
BRIEF |= {"n_iter_no_change": np.inf}


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    path = tmp_path_factory.mktemp("memory") / "x.npy"
    X = np.lib.format.open_memmap(path, "w+", np.float64, SHAPE)
    X[:, -1, 0] = np.arange(len(X))  # or all samples would be the same one
    X.flush()
    yield np.load(path, mmap_mode="r")
    path.unlink()


@contextmanager
def bounded_memory(bound=BOUND):
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < bound


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"shuffle": False}])
def test_a_memory_map_is_fitted_and_predicted_by_parts(mapped, options):
    y = np.arange(len(mapped), dtype=float)
    model = RNNRegressor(**BRIEF | options)
    model.fit(mapped[:20], y[:20]).predict(mapped[:20])  # compile
    with bounded_memory():
        model.fit(mapped, y)
        predicted = model.predict(mapped)
    assert predicted.shape == y.shape and np.isfinite(predicted).all()


def test_several_threads_need_no_copy_either(mapped):
    y = np.arange(len(mapped)) % 2
    model = RNNClassifier(**BRIEF, n_jobs=2)
    model.partial_fit(mapped[:20], y[:20], classes=[0, 1])  # compile
    with bounded_memory():
        model.partial_fit(mapped, y)
        model.predict_proba(mapped)


def test_the_bound_would_catch_a_copy(mapped):
    with pytest.raises(AssertionError), bounded_memory():
        mapped.copy()


@pytest.fixture(scope="module")
def many():
    return np.random.default_rng(0).standard_normal((MANY, 2, 1), dtype=np.float32)


def few_bytes_per_sample():
    return bounded_memory(BYTES_PER_SAMPLE * MANY)


@pytest.mark.parametrize(
    ("estimator", "target", "weighted", "options"),
    [
        (RNNRegressor, "f8", False, {}),
        (RNNRegressor, "f4", True, {"early_stopping": True}),
        (RNNClassifier, "i8", True, {"shuffle": False}),
        (RNNClassifier, "U1", False, {}),
    ],
)
def test_a_sample_takes_few_bytes(many, estimator, target, weighted, options):
    y = (np.arange(MANY) % 3).astype(target)
    weight = np.linspace(1, 2, MANY) if weighted else None
    model = estimator(**BRIEF | {"batch_size": 8192} | options)
    model.fit(many[:100], y[:100]).predict(many[:100])  # compile
    with few_bytes_per_sample():
        model.fit(many, y, weight)
    with few_bytes_per_sample():
        model.predict(many)


def test_repeated_samples_take_few_bytes_too(many):
    X = np.tile(many[: MANY // 2], (2, 1, 1))
    y = np.zeros(MANY)
    model = RNNRegressor(**BRIEF | {"batch_size": 8192})
    model.fit(X[:100], y[:100])  # compile
    with few_bytes_per_sample():
        model.fit(X, y)


def test_probabilities_of_many_classes_are_computed_by_parts(many):
    y = np.arange(20) % 10
    model = RNNClassifier(**BRIEF).fit(many[:20], y)
    n_bytes = model.predict_proba(many[:20]).nbytes // 20 * MANY
    with bounded_memory(4 * n_bytes):  # raw predictions, parts and these joined
        model.predict_proba(many)
