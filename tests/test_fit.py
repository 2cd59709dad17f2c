"""What `fit` leaves behind, and when it stops."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skrnn import RNNClassifier, RNNRegressor
from skrnn.lanes import FewSamplesInLanes, SamplesInLanes, training_lanes
from skrnn.simd import lane_count

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5, 2))
Y = X[:, 2, 0] - 0.5 * X[:, 4, 1]
CLASSES = np.digitize(Y, [-0.5, 0.5])
ENDLESS = np.inf


def regressor(**settings):
    brief = {"cell": "rnn", "hidden_layer_sizes": 4, "max_iter": 3}
    brief |= {"n_iter_no_change": ENDLESS, "random_state": 0}
    brief |= {"learning_rate": "constant", "learning_rate_init": 0.01, "batch_size": 64}
    return RNNRegressor(**brief | settings)


def classifier(**settings):
    brief = {"cell": "rnn", "hidden_layer_sizes": 4, "max_iter": 3}
    brief |= {"n_iter_no_change": ENDLESS, "random_state": 0}
    brief |= {"learning_rate": "constant", "learning_rate_init": 0.01, "batch_size": 64}
    return RNNClassifier(**brief | settings)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "cell, activation", [("rnn", "relu"), ("lstm", "tanh"), ("gru", "tanh")]
)
def test_small_batches_learn_the_same_in_pairs(cell, activation, dtype, monkeypatch):
    """Two units of a sequence in a row are an arrangement, and change no result."""
    samples = [x[: 2 + i % 4].astype(dtype) for i, x in enumerate(X)]
    batch_size = lane_count(dtype) // 2
    settings = {"cell": cell, "activation": activation, "batch_size": batch_size}
    used, models = [], []

    def one_register(*size):
        return SamplesInLanes(np.dtype(dtype), 1)

    for choose in (training_lanes, one_register):

        def spy(*size, choose=choose):
            used.append(choose(*size))
            return used[-1]

        monkeypatch.setattr("skrnn.training.training_lanes", spy)
        models.append(regressor(hidden_layer_sizes=(6, 4), **settings))
        models[-1].fit(samples, Y)
    assert used == [FewSamplesInLanes(np.dtype(dtype)), one_register()]
    tolerance = 1e-4 if dtype == np.float32 else 1e-11
    in_pairs, apart = models
    assert_allclose(in_pairs.loss_curve_, apart.loss_curve_, rtol=tolerance)
    expected = apart.predict(samples)
    assert_allclose(in_pairs.predict(samples), expected, rtol=0, atol=tolerance)


@pytest.mark.contract
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("sizes", [5, (5,), [5, 3], np.array([3, 5])])
def test_fits_and_predicts(cell, sizes):
    model = regressor(cell=cell, hidden_layer_sizes=sizes)
    assert model.fit(X, Y) is model
    assert model.predict(X).shape == (40,)
    assert np.isfinite(model.predict(X)).all()
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert model.n_layers_ == np.size(sizes) + 2


@pytest.mark.needs_jit
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_learns(cell):
    settings = {"cell": cell, "max_iter": 100, "hidden_layer_sizes": 8}
    model = regressor(**settings).fit(X, Y)
    assert model.score(X, Y) > 0.9
    settings |= {"pooling": "last", "input_noise": 0, "dropout": 0}
    model = classifier(**settings).fit(X, CLASSES)
    assert model.score(X, CLASSES) > 0.9


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    ("ours", "theirs", "y"),
    [(regressor, MLPRegressor, Y), (classifier, MLPClassifier, CLASSES)],
)
def test_attributes_are_those_of_mlp(ours, theirs, y, early_stopping):
    settings = {"early_stopping": early_stopping, "validation_fraction": 0.2}
    ours = ours(**settings).fit(X, y)
    settings |= {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
    theirs = theirs(n_iter_no_change=10**6, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(X.reshape(40, -1), y)
    public = {name for name in vars(theirs) if name.endswith("_") and name[0] != "_"}
    for name in public - {"coefs_", "intercepts_"}:  # ours are in weights_
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert (mine is None) == (other is None), name
        assert np.shape(mine) == np.shape(other), name
    for name in ("n_iter_", "n_layers_", "n_outputs_", "out_activation_", "t_"):
        assert getattr(ours, name) == getattr(theirs, name), name


def test_loss_attributes_agree():
    model = regressor().fit(X, Y)
    assert len(model.loss_curve_) == model.n_iter_ == 3
    assert model.loss_ == model.loss_curve_[-1]
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.t_ == 3 * len(X)


def test_says_when_it_has_not_converged():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\) reached"):
        regressor(n_iter_no_change=10).fit(X, Y)


def test_stops_without_progress():
    model = regressor(n_iter_no_change=2, tol=1e9, max_iter=50).fit(X, Y)
    # The first epoch is an improvement on nothing; then three are not.
    assert model.n_iter_ <= 4


def test_adaptive_rate_goes_on_without_progress():
    model = regressor(n_iter_no_change=1, tol=1e9, max_iter=200)
    constant = model.fit(X, Y).n_iter_
    assert model.set_params(learning_rate="adaptive").fit(X, Y).n_iter_ > 2 * constant


def test_cosine_runs_its_course():
    model = regressor(n_iter_no_change=1, tol=1e9, max_iter=20, learning_rate="cosine")
    assert model.fit(X, Y).n_iter_ == 20


def test_verbose_prints_as_mlp_does(capsys):
    regressor(verbose=True).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        f"Iteration {i}" for i in (1, 2, 3)
    ]
    assert all(", loss = " in line for line in lines)


def test_is_silent_by_default(capsys):
    regressor().fit(X, Y)
    assert capsys.readouterr() == ("", "")


def test_settings_are_left_as_they_were():
    sizes = [4, 3]
    model = regressor(hidden_layer_sizes=sizes)
    before = model.get_params()
    model.fit(X, Y)
    assert model.get_params() == before
    assert model.hidden_layer_sizes is sizes and sizes == [4, 3]


def test_data_are_left_as_they_were():
    X_before, y_before = X.copy(), Y.copy()
    regressor().fit(X, Y)
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(Y, y_before)


def test_a_second_fit_forgets_the_first():
    model = regressor().fit(X[:, :3, :1], -Y)
    model.fit(X, Y)
    again = regressor().fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), again.predict(X))
    assert model.loss_curve_ == again.loss_curve_


def test_a_warm_start_goes_on():
    model = regressor(warm_start=True).fit(X, Y)
    first = model.loss_
    model.fit(X, Y)
    assert model.n_iter_ == len(model.loss_curve_) == 6
    assert model.loss_ < first


@pytest.mark.parametrize("change", [{"cell": "gru"}, {"hidden_layer_sizes": 5}])
def test_a_warm_start_refuses_another_network(change):
    model = regressor(warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match="warm_start=False"):
        model.set_params(**change).fit(X, Y)


@pytest.mark.parametrize("model", [regressor(), classifier()])
def test_cannot_predict_before_fit(model):
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert not hasattr(model, "weights_")


@pytest.mark.parametrize("bad", [np.zeros(40), np.full(40, np.nan)])
def test_a_refused_fit_leaves_the_fitted_model_alone(bad):
    model = classifier().fit(X, CLASSES)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="weight"):
        model.fit(X, CLASSES > 0, sample_weight=bad)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert set(model.predict(X)) <= {0, 1, 2}


DIVERGING = {"activation": "identity", "solver": "sgd", "learning_rate_init": 1e30}


@pytest.mark.needs_jit  # plain Python warns of the overflow
def test_divergence_names_the_epoch_and_what_to_try():
    model = regressor(max_grad_norm=None, **DIVERGING)
    with pytest.raises(
        ValueError, match=r"infinite or NaN in epoch \d+.*(learning_rate_init).*1e\+30"
    ):
        model.fit(X, Y)


@pytest.mark.needs_jit  # plain Python warns of the overflow
def test_divergence_leaves_the_last_good_weights():
    model = regressor(max_grad_norm=None, **DIVERGING)
    with pytest.raises(ValueError, match="infinite or NaN") as error:
        model.fit(X, Y)
    assert f"epoch {model.n_iter_ + 1}" in str(error.value)
    assert all(np.isfinite(w).all() for w in model.weights_.values())
    # They are those of training that ended just before.
    calm = regressor(max_grad_norm=None, **DIVERGING, warm_start=False)
    calm.set_params(max_iter=model.n_iter_).fit(X, Y)
    for name, weights in calm.weights_.items():
        np.testing.assert_array_equal(model.weights_[name], weights)
