"""scikit-learn's callbacks, and that nothing is missing where it has none."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skrnn import RNNClassifier, RNNRegressor, SequenceScaler, callbacks

RNG = np.random.default_rng(6)
X = RNG.normal(size=(30, 4, 2))
Y = X[:, 0, 0] + X[:, 3, 1]
BRIEF = {"cell": "rnn", "hidden_layer_sizes": 3, "max_iter": 4, "random_state": 0}
BRIEF |= {"n_iter_no_change": np.inf, "learning_rate": "constant", "batch_size": 64}


class Recorder:
    """Note each call, and stop after so many epochs."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.events = []
        self.predictions = []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(
        self, estimator, context, *, X, y, metadata=None, fitted_estimator=None
    ):
        self.events.append(f"begin {context.task_name}")
        self.X, self.y = X, y

    def on_fit_task_end(
        self, estimator, context, *, X, y, metadata=None, fitted_estimator=None
    ):
        self.events.append(f"end {context.task_name}")
        if context.task_name == "epoch":
            self.predictions.append((fitted_estimator, fitted_estimator.predict(X)))
        return context.task_name == "epoch" and estimator.n_iter_ == self.stop_after


@pytest.fixture
def sklearn_callback():
    return pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_the_tasks_are_the_fit_and_its_epochs(sklearn_callback, method):
    recorder = Recorder()
    model = RNNRegressor(**BRIEF).set_callbacks(recorder)
    getattr(model, method)(X, Y)
    epochs = 4 if method == "fit" else 1
    assert recorder.events == [
        "setup",
        "begin fit",
        *["begin epoch", "end epoch"] * epochs,
        "end fit",
        "teardown",
    ]
    assert recorder.X is X and recorder.y is Y


def test_each_epoch_hands_over_a_model_of_its_own(sklearn_callback):
    recorder = Recorder()
    model = RNNRegressor(**BRIEF).set_callbacks(recorder).fit(X, Y)
    for epoch, (fitted, predicted) in enumerate(recorder.predictions, start=1):
        np.testing.assert_array_equal(fitted.predict(X), predicted)
        shorter = RNNRegressor(**BRIEF | {"max_iter": epoch}).fit(X, Y)
        np.testing.assert_array_equal(shorter.predict(X), predicted)
        assert fitted.n_iter_ == epoch
    np.testing.assert_array_equal(model.predict(X), predicted)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_callback_stops_training(sklearn_callback, early_stopping):
    recorder = Recorder(stop_after=2)
    settings = BRIEF | {"early_stopping": early_stopping, "max_iter": 50}
    model = RNNRegressor(**settings).set_callbacks(recorder).fit(X, Y)
    assert model.n_iter_ == 2
    assert recorder.events[-2:] == ["end fit", "teardown"]


def test_callbacks_change_no_bit(sklearn_callback):
    watched = RNNRegressor(**BRIEF).set_callbacks(Recorder()).fit(X, Y)
    plain = RNNRegressor(**BRIEF).fit(X, Y)
    np.testing.assert_array_equal(watched.predict(X), plain.predict(X))


@pytest.mark.needs_jit  # plain Python warns of the overflow
def test_callbacks_are_torn_down_after_an_error(sklearn_callback):
    recorder = Recorder()
    settings = {"activation": "identity", "solver": "sgd", "max_grad_norm": None}
    model = RNNRegressor(**BRIEF | settings, learning_rate_init=1e30)
    with pytest.raises(ValueError, match="infinite or NaN"):
        model.set_callbacks(recorder).fit(X, Y)
    assert recorder.events[-1] == "teardown"


@pytest.mark.parametrize("estimator", [RNNRegressor, RNNClassifier])
def test_scores_of_each_epoch(sklearn_callback, estimator):
    y = Y if estimator is RNNRegressor else Y > 0
    scoring = "r2" if estimator is RNNRegressor else "accuracy"
    monitor = sklearn_callback.ScoringMonitor(scoring=scoring)
    model = estimator(**BRIEF).set_callbacks(monitor).fit(X, y)
    rows = monitor.get_logs().data
    epochs = [row[scoring] for row in rows if row["task_name"] == "epoch"]
    assert len(epochs) == 4
    assert epochs[-1] == pytest.approx(model.score(X, y))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar_around_a_search(sklearn_callback, capsys, n_jobs):
    pytest.importorskip("rich", reason="scikit-learn's ProgressBar needs rich")
    pipeline = make_pipeline(SequenceScaler(), RNNRegressor(**BRIEF))
    grid = {"rnnregressor__hidden_layer_sizes": [2, 3]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs)
    search.set_callbacks(sklearn_callback.ProgressBar(max_propagation_depth=None))
    search.fit(X, Y)
    assert "RNNRegressor" in capsys.readouterr().out
    assert search.best_estimator_[-1].n_iter_ == 4


def test_the_stand_in_of_older_versions(monkeypatch):
    """What callbacks.py defines below 1.9, whatever is installed."""
    import builtins
    import importlib.util

    real_import = builtins.__import__

    def no_callbacks(name, *args, **kwargs):
        if name == "sklearn.callback":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_callbacks)
    spec = importlib.util.spec_from_file_location("stand_in", callbacks.__file__)
    stand_in = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stand_in)

    def fit(self):
        return self

    assert stand_in.with_callbacks(fit) is fit
    context = stand_in.CallbackSupportMixin()._init_callback_context(max_subtasks=3)
    task = context.subcontext(task_name="epoch")
    task.call_on_fit_task_begin(estimator=None, X=X, y=Y)
    assert not task.call_on_fit_task_end(estimator=None, X=X, y=Y)
