"""What can be guarded by counting instead of timing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

import skrnn
from skrnn import RNNRegressor, training
from skrnn.batches import draw_batches

pytestmark = pytest.mark.needs_jit

# Prints for each kernel: its signatures, and how many of them were loaded or compiled.
COUNT = """
import importlib, json, pkgutil, warnings
import numpy as np
from numba.core.dispatcher import Dispatcher
import skrnn
from skrnn import RNNRegressor

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
for sizes, n_steps, n_channels in [((3,), 5, 1), ((20, 4), 9, 3)]:
    X = rng.normal(size=(100, n_steps, n_channels)).astype("float32")
    y = X[:, -1, 0]
    model = RNNRegressor(sizes, max_iter=2, batch_size=64).fit(X, y)
    model.fit([x[: 3 + i % 3] for i, x in enumerate(X)], y)
    model.predict(X)
kernels = {}
for module in pkgutil.walk_packages(skrnn.__path__, "skrnn."):
    if module.name.endswith("__main__"):
        continue
    for value in vars(importlib.import_module(module.name)).values():
        if isinstance(value, Dispatcher) and value.signatures:
            stats = value.stats
            kernels[f"{value.__module__}.{value.__name__}"] = (
                [str(signature) for signature in value.signatures],
                sum(stats.cache_hits.values()),
                sum(stats.cache_misses.values()),
            )
print(json.dumps(kernels))
"""


def count(folder):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    environment["PYTHONPATH"] = str(Path(skrnn.__file__).parents[1])
    command = [sys.executable, "-c", COUNT]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    return count(folder), count(folder)


def test_no_kernel_is_compiled_for_each_network(counts):
    first, _ = counts
    assert {"skrnn.cells.gru.forward", "skrnn.training._train_on_batches"} <= set(first)
    for name, (signatures, _, _) in first.items():
        # one arrangement of the lanes only; blocks of values have sizes of their own
        most = 6 if "_blocks" in name else 1
        assert len(signatures) <= most, (name, signatures)


def test_a_second_process_compiles_no_kernel(counts):
    first, second = counts
    assert sum(misses for _, _, misses in first.values()) > 10
    assert sum(hits for _, hits, _ in second.values()) > 10
    assert not any(misses for _, _, misses in second.values())


def test_updates_allocate_nothing(monkeypatch):
    _nrt_python.memsys_enable_stats()
    calls = []
    run = training._train_on_batches

    def counting(*arguments):
        before = rtsys.get_allocation_stats().alloc
        run(*arguments)
        n_allocations = rtsys.get_allocation_stats().alloc - before
        calls.append((len(arguments[-1]), n_allocations, len(arguments)))

    monkeypatch.setattr(training, "_train_on_batches", counting)
    X = np.random.default_rng(0).normal(size=(640, 6, 2))
    model = RNNRegressor(4, max_iter=3, batch_size=10, n_iter_no_change=np.inf)
    model.fit(X, X[:, 0, 0])
    # an epoch of a small network is one call, and numba wraps its arguments only
    assert [n_updates for n_updates, _, _ in calls] == [64, 64, 64]
    assert all(n_allocations <= n_arguments for _, n_allocations, n_arguments in calls)


def test_ragged_epochs_cost_the_sum_of_their_lengths():
    rng = np.random.RandomState(0)
    lengths = rng.randint(10, 1001, 2000)
    rows = np.arange(len(lengths))
    batches = draw_batches(rows, lengths, 64, 16, rng)
    shards = np.split(lengths[batches.rows], batches.shards[1:-1])
    assert sum(16 * shard.max() for shard in shards) < 1.25 * lengths.sum()
