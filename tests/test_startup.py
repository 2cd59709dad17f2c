"""What importing costs, and `python -m skrnn`: counted in modules, never in seconds."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import skrnn
from skrnn import RNNClassifier, RNNRegressor, SequenceScaler, _deferred
from skrnn.__main__ import CELLS, main
from skrnn.activations import ACTIVATIONS
from skrnn.cells import CELLS as CELLS_THERE_ARE
from skrnn.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES
from skrnn.optimizers import SOLVERS

ROOT = Path(skrnn.__file__).parents[1]

UNFITTED = """
import pickle
import numpy as np
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from skrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, RNNSeq2Seq
from skrnn import SequenceScaler, Sequences
for model in (
    RNNRegressor((8,), cell="gru"),
    RNNClassifier(loss="squared_error"),
    RNNLanguageModel((8,), tied=True),
    RNNSeq2Seq((8,), attention="additive"),
):
    model = clone(pickle.loads(pickle.dumps(model))).set_params(alpha=0.1)
    assert "alpha=0.1" in repr(model) and model.get_params()["alpha"] == 0.1
    model._repr_html_(), model.__sklearn_tags__(), hasattr(model, "weights_")
    repr(make_pipeline(SequenceScaler(), model))
    model._validate_params()
X = Sequences([np.ones((3, 2)), np.zeros((4, 2))])
SequenceScaler().fit_transform(X)
"""
FIT = """
import numpy as np
from skrnn import RNNRegressor, Sequences
y = np.arange(6.0)
for X in (np.ones((6, 4, 1)), [np.ones((3, 1))] * 6, Sequences([np.ones((3, 1))] * 6)):
    RNNRegressor((2,), max_iter=1, n_iter_no_change=np.inf).fit(X, y).predict(X)
"""


def run(code, *arguments, **variables):
    """Run code in a new process; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def modules_after(code):
    """Return the names of the modules that code loads in a new process."""
    return set(run(f"{code}\nimport sys\nprint(*sys.modules)").split())


# --- imports --------------------------------------------------------------------------


def test_the_package_alone_loads_nothing():
    assert modules_after("import skrnn").isdisjoint({"numpy", "sklearn", "numba"})


def test_what_only_reads_sequences_loads_no_estimator():
    loaded = modules_after("from skrnn import Sequences")
    assert "skrnn.sequences" in loaded
    assert loaded.isdisjoint({"numba", "skrnn._base"})


def test_features_of_speech_load_no_estimator():
    loaded = modules_after("from skrnn.audio import MFCC")
    assert "skrnn.audio" in loaded
    assert loaded.isdisjoint({"numba", "scipy.signal", "skrnn._base"})


@pytest.mark.contract
def test_an_unfitted_estimator_loads_no_compiler():
    loaded = modules_after(UNFITTED)
    assert "skrnn._base" in loaded
    assert loaded.isdisjoint({"numba", "llvmlite"})


def test_the_estimators_load_no_more_of_scikit_learn_than_they_need():
    names = set(skrnn.__all__) - {"RNNForecaster", "__version__"}
    loaded = modules_after(f"from skrnn import {', '.join(sorted(names))}")
    assert loaded.isdisjoint({"sklearn.metrics", "sklearn.model_selection"})


@pytest.mark.needs_jit
def test_arrays_are_read_without_pandas():
    run("import sys\nsys.modules['pandas'] = None\n" + FIT)


@pytest.mark.needs_jit
def test_a_fitted_model_works_in_a_process_that_imports_nothing(tmp_path):
    X = np.random.RandomState(0).normal(size=(12, 4, 1))
    model = RNNClassifier((2,), cell="rnn", max_iter=2, n_iter_no_change=np.inf)
    model.fit(X, X.sum((1, 2)) > 0)
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps((model, X)))
    code = (
        "import pickle, sys\n"
        "model, X = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(*model.predict_proba(X)[:, 1])\n"
        "model.partial_fit(X, model.predict(X))\n"
    )
    predicted = [float(word) for word in run(code, str(path)).split()]
    np.testing.assert_array_equal(predicted, model.predict_proba(X)[:, 1])


def test_every_public_name_is_there():
    for name in skrnn.__all__:
        assert getattr(skrnn, name) is not None
    assert set(skrnn.__all__) <= set(dir(skrnn))
    assert skrnn.SequenceScaler is SequenceScaler
    with pytest.raises(AttributeError, match="no attribute 'Sequence'"):
        _ = skrnn.Sequence


def test_deferred_names_stand_for_the_real_ones():
    deferred = {
        name: value
        for name, value in vars(_deferred).items()
        if isinstance(value, _deferred._Deferred)
    }
    assert {"training", "network_of"} <= set(deferred)
    for name, value in deferred.items():
        assert value._real.__name__.rpartition(".")[2] == name


def test_several_threads_may_be_the_first_to_use_them():
    run(
        "import threading\n"
        "from skrnn import _deferred\n"
        "names = ['training', 'canonical_rows', 'predict_raw', 'losses'] * 2\n"
        "start, done = threading.Barrier(len(names)), []\n"
        "def use(name):\n"
        "    start.wait()\n"
        "    done.append(getattr(_deferred, name)._real.__name__)\n"
        "threads = [threading.Thread(target=use, args=[name]) for name in names]\n"
        "for thread in threads:\n"
        "    thread.start()\n"
        "for thread in threads:\n"
        "    thread.join()\n"
        "assert len(done) == len(names)\n"
    )


def names_allowed(estimator, parameter):
    constraint = estimator._parameter_constraints[parameter][0]
    return constraint.options


def test_the_names_that_are_written_out_are_those_there_are():
    for estimator in (RNNRegressor, RNNClassifier):
        assert names_allowed(estimator, "cell") == set(CELLS_THERE_ARE)
        assert names_allowed(estimator, "activation") == set(ACTIVATIONS)
        assert names_allowed(estimator, "solver") == set(SOLVERS)
    assert names_allowed(RNNRegressor, "loss") == set(REGRESSION_LOSSES)
    assert names_allowed(RNNClassifier, "loss") == set(CLASSIFICATION_LOSSES)
    assert set(CELLS) == set(CELLS_THERE_ARE)


# --- python -m skrnn ------------------------------------------------------------------


def test_without_a_command_there_is_help(capsys):
    assert main([]) == 0
    assert "warmup" in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit, match="^0$"):
        main(["--version"])
    assert capsys.readouterr().out == f"skrnn {skrnn.__version__}\n"


@pytest.mark.parametrize("wrong", [["--cells", "elman"], ["--dtypes", "float16"]])
def test_what_there_is_not_is_refused(wrong, capsys):
    with pytest.raises(SystemExit, match="^2$"):
        main(["warmup", *wrong])
    assert wrong[1] in capsys.readouterr().err


def warm_up(*arguments, **variables):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "skrnn", "warmup", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
    )


def test_warmup_refuses_where_nothing_can_be_kept(tmp_path):
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file" / "cache"
    done = warm_up(
        *["--cells", "rnn", "--dtypes", "float32"],
        NUMBA_CACHE_DIR=str(folder),
        NUMBA_DISABLE_JIT="0",
    )
    assert done.returncode == 1
    assert str(folder) in done.stderr and "NUMBA_CACHE_DIR" in done.stderr


READ_ONLY = """
import sys
from skrnn import _jit
from skrnn.__main__ import main
_jit.writable_folder = lambda: None
_jit._write = lambda name, content: False
print(main(sys.argv[1:]))
"""


@pytest.mark.needs_jit
def test_warmup_is_content_with_a_filled_folder_that_is_read_only():
    arguments = "warmup", "--cells", "rnn", "--dtypes", "float32"
    assert warm_up(*arguments[1:]).returncode == 0
    assert run(READ_ONLY, *arguments).splitlines()[-1] == "0"


def test_warmup_refuses_where_nothing_is_compiled():
    done = warm_up(NUMBA_DISABLE_JIT="1")
    assert done.returncode == 1
    assert "NUMBA_DISABLE_JIT" in done.stderr


COVERAGE = """
import gc, sys
import numpy as np
from numba.core.dispatcher import Dispatcher
from skrnn import RNNClassifier, RNNLanguageModel, RNNRegressor, RNNSeq2Seq
from skrnn.__main__ import main

def compiled():
    return {
        (kernel.__module__, kernel.__qualname__, signature)
        for kernel in gc.get_objects()
        if isinstance(kernel, Dispatcher) and kernel.__module__.startswith("skrnn.")
        for signature in kernel.signatures
    }

cell, dtype = sys.argv[1:]
assert main(["warmup", "--cells", cell, "--dtypes", dtype]) == 0
before = compiled()
assert before
random = np.random.RandomState(1)
quick = dict(cell=cell, max_iter=1, n_iter_no_change=np.inf)
for n, n_steps, n_channels, sizes in [
    (130, 7, 1, (3,)), (33, 1, 9, (40,)), (16, 40, 3, (130, 5)), (1, 3, 1, (17, 24, 9)),
]:
    X = random.normal(size=(n, n_steps, n_channels)).astype(dtype)
    outputs = random.normal(size=(n, 3))
    model = RNNRegressor(sizes, n_jobs=2, batch_size=n, **quick).fit(X, outputs)
    model.predict(X), model.predict(X[:1]), model.predict([X[0], X[-1, :1]])
X = random.normal(size=(90, 6, 2)).astype(dtype)
for y in (np.arange(90) % 2, np.arange(90) % 5, random.rand(90, 4) > 0.5):
    RNNClassifier((20,), early_stopping=True, **quick).fit(X, y).predict_proba(X[:20])
for activation in ("relu", "logistic", "identity"):
    RNNRegressor(activation=activation, shuffle=False, **quick).fit(X, X[:, 0, 0])
text = "what is in this text is read twice, and then written on. " * 20
for cutoffs in (None, (5,)):
    model = RNNLanguageModel(70, cell=cell, cutoffs=cutoffs, max_iter=2).fit(text)
    model.score([text, "read"]), model.generate(["read", "text"], 3)
sources, targets = ["what is read"] * 30, ["is then written"] * 30
for attention in ("dot", "additive", None):
    model = RNNSeq2Seq((70,), cell=cell, attention=attention, batch_size=20, max_iter=1)
    model.fit(sources, targets).set_params(beam_width=2).predict_n_best(sources[:3], 2)
    model.log_prob(sources, targets), model.score(sources, targets)
print("new:", sorted(map(str, compiled() - before)))
"""


@pytest.mark.needs_jit
@pytest.mark.parametrize("cell", ["rnn", "lstm"])  # the GRU is like the LSTM
def test_after_warmup_nothing_is_left_to_compile(cell):
    *lines, new = run(COVERAGE, cell, "float32").splitlines()
    assert lines[0].startswith("Machine code is kept in ")
    assert [line.split(":")[0] for line in lines[1:]] == [
        f"float32 {cell}",
        "float32 losses and solvers",
        "forecasts",
        "texts",
        "translations",
    ]
    assert new == "new: []"
