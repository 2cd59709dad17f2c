"""Data larger than the workspace are read by parts."""

import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest

from skrnn import RNNClassifier, RNNRegressor

pytestmark = pytest.mark.needs_jit

SHAPE = (2000, 200, 64)  # 205 MB of float64, which are holes in a sparse file
BOUND = 80 * 2**20
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
def bounded_memory():
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < BOUND


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
