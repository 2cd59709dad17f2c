"""Ctrl-C keeps the model as trained so far."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from skrnn import RNNClassifier, RNNRegressor, training
from skrnn.optimizers import Optimizer

RNG = np.random.default_rng(9)
X = RNG.normal(size=(30, 4, 2))
Y = X[:, 0, 0] + X[:, 3, 1]
BRIEF = {"cell": "rnn", "hidden_layer_sizes": 3, "max_iter": 50, "random_state": 0}
BRIEF |= {"n_iter_no_change": np.inf, "learning_rate": "constant", "batch_size": 64}


@pytest.fixture
def interrupt(monkeypatch):
    """Press Ctrl-C at the beginning of an epoch, counted from 0."""

    def press(at_epoch):
        epochs = iter(range(1000))
        real_epoch = training.Trainer.epoch

        def epoch(self, *args):
            if next(epochs) == at_epoch:
                raise KeyboardInterrupt
            return real_epoch(self, *args)

        monkeypatch.setattr(training.Trainer, "epoch", epoch)

    return press


@pytest.mark.parametrize("estimator", [RNNRegressor, RNNClassifier])
def test_keeps_the_model_with_a_warning(interrupt, estimator):
    y = Y if estimator is RNNRegressor else Y > 0
    interrupt(3)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model = estimator(**BRIEF).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 3
    shorter = estimator(**BRIEF | {"max_iter": 3}).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), shorter.predict(X))


def test_also_between_two_epochs(monkeypatch):
    calls, copy = iter(range(1000)), Optimizer.copy

    def copy_or_be_interrupted(self):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return copy(self)

    monkeypatch.setattr(Optimizer, "copy", copy_or_be_interrupted)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model = RNNRegressor(**BRIEF).fit(X, Y)
    assert model.n_iter_ == 3
    assert np.isfinite(model.predict(X)).all()


def test_keeps_the_best_weights_with_early_stopping(interrupt):
    interrupt(4)
    model = RNNRegressor(**BRIEF, early_stopping=True)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, Y, X_val=X[:9], y_val=-Y[:9])
    assert model.score(X[:9], -Y[:9]) == max(model.validation_scores_)


def test_before_the_first_epoch_ends_the_network_is_untrained(interrupt):
    interrupt(0)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model = RNNRegressor(**BRIEF).fit(X, Y)
    assert model.n_iter_ == 0 and model.loss_curve_ == []
    assert np.isfinite(model.predict(X)).all()


def test_training_goes_on_afterwards(interrupt):
    interrupt(2)
    model = RNNRegressor(**BRIEF | {"max_iter": 5}, warm_start=True)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, Y)
    model.fit(X, Y)
    assert model.n_iter_ == 2 + 5
    model.partial_fit(X, Y)
    assert model.n_iter_ == 8


@pytest.mark.needs_jit
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to another process")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_real_signal(n_jobs):
    code = f"""
import signal, warnings
import numpy as np
from skrnn import RNNRegressor
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job of `sh &` ignores it
X = np.random.RandomState(0).normal(size=(300, 20, 2))
model = RNNRegressor(32, cell="rnn", max_iter=10**6, tol=0, n_iter_no_change=np.inf,
                     n_jobs={n_jobs}, verbose=True)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.fit(X, X[:, 0, 0])
assert any("interrupted by user" in str(w.message) for w in caught), caught
assert np.isfinite(model.predict(X)).all()
assert model.n_iter_ >= 2
print("kept")
"""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, text=True
    )
    with process:
        for line in process.stdout:
            if line.startswith("Iteration 2,"):
                process.send_signal(signal.SIGINT)
                break
        assert process.stdout.read().endswith("kept\n")
    assert process.returncode == 0
