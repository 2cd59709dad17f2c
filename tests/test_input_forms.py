"""What the network reads of X: missing values, differences, frames, static features."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV

from skrnn import RNNClassifier, RNNRegressor, Sequences
from skrnn.sequences import SkipMissing

RNG = np.random.default_rng(0)
LENGTHS = [4, 7, 5, 3, 8, 4, 6, 3] * 5
RAGGED = [RNG.normal(2.0, 3.0, size=(n, 2)) for n in LENGTHS]
Y = np.array([x[-1, 0] - x[0, 1] for x in RAGGED])
BRIEF = {"hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0, "cell": "gru"}
BRIEF |= {"n_iter_no_change": np.inf}


def regressor(**settings):
    return RNNRegressor(**BRIEF | settings)


def with_holes(share=0.2):
    """Return the sequences with missing values, but none in their first step."""
    rng = np.random.default_rng(1)
    holes = [x.copy() for x in RAGGED]
    for x in holes:
        x[1:][rng.random(x[1:].shape) < share] = np.nan
    return holes


def test_missing_values_are_an_error_unless_they_are_expected():
    X = with_holes()
    sample = next(i for i, x in enumerate(X) if np.isnan(x).any())
    with pytest.raises(ValueError, match=f"contains NaN: sample {sample}, .*missing="):
        regressor().fit(X, Y)
    model = regressor().fit(RAGGED, Y)
    with pytest.raises(ValueError, match="contains NaN"):
        model.predict(X)


def test_a_step_with_a_missing_value_is_skipped():
    X = with_holes()
    without = [x[~np.isnan(x).any(axis=1)] for x in X]
    model, expected = regressor(missing="mask").fit(X, Y), regressor().fit(without, Y)
    assert_array_equal(model._parameters, expected._parameters)
    assert_array_equal(model.predict(X), expected.predict(without))


def test_a_sequence_of_nothing_but_missing_values():
    X = with_holes()
    X[3] = np.full((2, 2), np.nan)
    with pytest.raises(ValueError, match="sample 3"):
        regressor(missing="mask").fit(X, Y)
    assert np.isfinite(regressor(missing="indicator").fit(X, Y).predict(X)).all()


def test_missing_values_become_means_with_an_indicator():
    X = with_holes()
    means = np.nanmean(np.concatenate(X), axis=0)
    settings = {"standardize": False, "shuffle": False}
    model = regressor(missing="indicator").fit(X, Y)
    assert_allclose(model._inputs.mean[:2], means)
    by_zeros = [np.hstack([np.nan_to_num(x), np.isnan(x)]).astype(float) for x in X]
    plain = regressor(missing="indicator", **settings).fit(X, Y)
    expected = regressor(**settings).fit(by_zeros, Y)
    assert_array_equal(plain.predict(X), expected.predict(by_zeros))
    # the values that stand in have no weight in the scale
    assert_allclose(model._inputs.scale[:2], np.nanstd(np.concatenate(X), axis=0))


@pytest.mark.parametrize("form", ["array", "frame"])
def test_missing_values_in_arrays(form):
    X = RNG.normal(size=(30, 5))
    X[RNG.random(X.shape) < 0.2] = np.nan
    y = np.nansum(X, axis=1)
    if form == "frame":
        import pandas as pd

        X = pd.DataFrame(X).add_prefix("t")
    model = regressor(missing="indicator").fit(X, y)
    assert np.isfinite(model.predict(X)).all()
    assert model.n_features_in_ == 5 and model.n_channels_in_ == 1


def test_infinity_is_never_missing():
    X = with_holes()
    X[2][1, 0] = np.inf
    for missing in ("mask", "indicator"):
        with pytest.raises(ValueError, match="infinity"):
            regressor(missing=missing).fit(X, Y)


def test_differences_are_channels():
    model = regressor(differences=True).fit(RAGGED, Y)
    by_hand = [np.hstack([x, np.diff(x, axis=0, prepend=x[:1])]) for x in RAGGED]
    expected = regressor().fit(by_hand, Y)
    assert model.n_features_in_ == 2
    assert_allclose(model._inputs.mean, expected._inputs.mean)
    # otherwise the samples are in another order: theirs is by what X holds
    ordered = {"shuffle": False}
    model = regressor(differences=True, **ordered).fit(RAGGED, Y)
    expected = regressor(**ordered).fit(by_hand, Y)
    assert_array_equal(model.predict(RAGGED), expected.predict(by_hand))


def test_frames_are_fewer_steps():
    settings = {"standardize": False, "shuffle": False}
    by_hand = []
    for x in RAGGED:
        filled = np.vstack([x, *[x[-1:]] * (-len(x) % 3)])
        by_hand.append(filled.reshape(-1, 6))
    model = regressor(steps_per_frame=3, **settings).fit(RAGGED, Y)
    expected = regressor(**settings).fit(by_hand, Y)
    assert_array_equal(model.predict(RAGGED), expected.predict(by_hand))


def test_steps_of_a_frame_have_the_scale_of_their_channel():
    model = regressor(steps_per_frame=2).fit(RAGGED, Y)
    means = np.concatenate(RAGGED).mean(axis=0)
    assert_allclose(model._inputs.mean, [*means, *means])


def test_static_features_are_seen():
    static = RNG.normal(size=(40, 1))
    X = Sequences(RAGGED, static=static)
    model = regressor(max_iter=60).fit(X, static[:, 0])
    assert model.score(X, static[:, 0]) > 0.9


def test_a_grid_search_chooses():
    y = Y > 0
    grid = {"steps_per_frame": [1, 2], "differences": [False, True]}
    grid["missing"] = ["mask", "indicator"]
    X = np.empty(40, dtype=object)
    X[:] = with_holes()
    search = GridSearchCV(RNNClassifier(**BRIEF), grid, cv=2).fit(X, y)
    assert set(search.best_params_) == set(grid)


def test_another_form_is_another_network():
    model = regressor(warm_start=True, differences=True).fit(RAGGED, Y)
    with pytest.raises(ValueError, match="reads X in another way"):
        model.set_params(differences=False).fit(RAGGED, Y)
    model.set_params(differences=True).fit(RAGGED, Y)


def test_steps_are_no_samples_for_a_network_that_goes_on():
    model = regressor().partial_fit(RAGGED, Y).set_params(return_sequences=True)
    with pytest.raises(ValueError, match="return_sequences"):
        model.partial_fit(RAGGED, [x[:, 0] for x in RAGGED])


@pytest.mark.parametrize("make", [RNNRegressor, RNNClassifier])
@pytest.mark.parametrize("per_step", [False, True])
def test_what_there_is_a_target_for_was_settled_in_fit(make, per_step):
    y = [x[:, 0] > 0 for x in RAGGED] if per_step else Y > 0
    model = make(**BRIEF, return_sequences=per_step).fit(RAGGED, y)
    score, predicted = model.score(RAGGED, y), model.predict(RAGGED)
    model.set_params(return_sequences=not per_step)
    assert model.score(RAGGED, y) == score
    again = model.predict(RAGGED)
    for one, other in zip(predicted, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("per_step", [False, True])
def test_what_is_skipped_is_looked_for_once(monkeypatch, per_step):
    n_times = 0
    count_steps = SkipMissing.__init__

    def counting(self, data):
        nonlocal n_times
        n_times += 1
        count_steps(self, data)

    monkeypatch.setattr(SkipMissing, "__init__", counting)
    X = with_holes()
    y = [np.arange(len(x)) for x in X] if per_step else Y
    model = regressor(missing="mask", return_sequences=per_step).fit(X, y)
    assert n_times == 1
    model.predict(X)
    assert n_times == 2
    model.score(X, y)
    assert n_times == 3


def test_a_fitted_model_goes_by_what_it_was_fitted_with():
    model = regressor().fit(RAGGED, Y).set_params(missing="mask")
    with pytest.raises(ValueError, match="contains NaN"):
        model.predict(with_holes())
    model = regressor(missing="mask").fit(with_holes(), Y)
    expected = model.predict(with_holes())
    assert_array_equal(
        model.set_params(missing="error").predict(with_holes()), expected
    )
