"""The same data in any form make the same model; other data make a clear error."""

import numpy as np
import pandas as pd
import pytest

from skrnn import RNNClassifier, RNNRegressor, Sequences

RNG = np.random.default_rng(4)
# Short decimals: they are the same numbers in float32 and in float64.
X = RNG.integers(-8, 8, size=(18, 4, 2)) / 4
RAGGED = [x[: 1 + i % 4] for i, x in enumerate(X)]
Y = X[:, 0, 0] - X[:, 0, 1] / 2
BRIEF = {"cell": "rnn", "hidden_layer_sizes": 3, "max_iter": 3, "random_state": 0}
BRIEF |= {"n_iter_no_change": np.inf, "batch_size": 8}


def flat(sequences):
    """One row a sequence, NaN to its end."""
    rows = np.full((len(sequences), 8), np.nan)
    for row, sequence in zip(rows, sequences, strict=True):
        row[: sequence.size] = sequence.ravel()
    return rows


def long(sequences):
    frames = [pd.DataFrame(s, columns=["u", "v"]) for s in sequences]
    return pd.concat(frames, keys=range(len(frames)), names=["instance", "time"])


def objects(sequences):
    array = np.empty(len(sequences), dtype=object)
    for i, sequence in enumerate(sequences):
        array[i] = sequence
    return array


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def on_disk(path, array, mode="r"):
    np.save(path / "x.npy", array)
    return np.load(path / "x.npy", mmap_mode=mode)


FORMS = {
    "list": list,
    "tuple": tuple,
    "nested lists": lambda s: [x.tolist() for x in s],
    "objects": objects,
    "Sequences": Sequences,
    "frames": lambda s: [pd.DataFrame(x) for x in s],
    "long frame": long,
    "from_long": lambda s: Sequences.from_long(long(s)),
    "integers": lambda s: [x.astype(object) for x in s],
    "flat": flat,
    "flat frame": lambda s: pd.DataFrame(flat(s)),
}


def fitted(data, y=Y, **settings):
    return RNNRegressor(**BRIEF | settings).fit(data, y)


def assert_same(left, right):
    assert left.loss_curve_ == right.loss_curve_
    for name, weights in left.weights_.items():
        np.testing.assert_array_equal(right.weights_[name], weights, err_msg=name)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sequences", [X, RAGGED], ids=["equal", "ragged"])
def test_each_form_makes_the_same_model(form, sequences):
    channels = 2 if form.startswith("flat") else None
    data = FORMS[form](sequences)
    model = fitted(data, n_channels=channels)
    expected = fitted(Sequences(list(sequences)))
    assert_same(model, expected)
    np.testing.assert_array_equal(
        model.predict(data), expected.predict(list(sequences))
    )


@pytest.mark.parametrize("form", FORMS)
def test_each_form_makes_the_same_classes(form):
    settings = BRIEF | {"n_channels": 2 if form.startswith("flat") else None}
    classes = np.array(["no", "yes"])[(Y > 0).astype(int)]
    data = FORMS[form](RAGGED)
    model = RNNClassifier(**settings).fit(data, classes)
    expected = RNNClassifier(**BRIEF).fit(RAGGED, classes)
    assert_same(model, expected)
    np.testing.assert_array_equal(model.predict(data), expected.predict(RAGGED))


@pytest.mark.parametrize("n_channels", [None, 2])
def test_an_array_makes_the_same_model_as_sequences(n_channels):
    assert_same(fitted(X, n_channels=n_channels), fitted(list(X)))


@pytest.mark.parametrize(
    "change",
    [
        np.asfortranarray,
        read_only,
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
        lambda a: a[::-1][::-1],
        lambda a: a.astype(">f8"),
        lambda a: a.tolist(),
    ],
    ids=["Fortran", "read-only", "strided", "reversed", "big-endian", "lists"],
)
def test_memory_layout_changes_nothing(change):
    assert_same(fitted(change(X)), fitted(X))
    np.testing.assert_array_equal(fitted(X).predict(change(X)), fitted(X).predict(X))


@pytest.mark.parametrize("mode", ["r", "c"])
def test_a_memory_map_changes_nothing(tmp_path, mode):
    assert_same(fitted(on_disk(tmp_path, X, mode)), fitted(X))


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, np.float16, bool])
def test_other_numbers_are_computed_in_float64(dtype):
    values = (np.abs(X) * 4).astype(dtype)
    model = fitted(values)
    assert_same(model, fitted(values.astype(np.float64)))
    assert model.predict(values).dtype == np.float64


def test_float32_is_computed_in_float32():
    # in one batch: its order depends on the bits of the data
    model = fitted(X.astype(np.float32), batch_size=18)
    assert model.predict(X.astype(np.float32)).dtype == np.float32
    assert all(w.dtype == np.float32 for w in model.weights_.values())
    np.testing.assert_allclose(
        model.predict(X), fitted(X, batch_size=18).predict(X), atol=1e-3
    )


@pytest.mark.parametrize(
    "change",
    [list, pd.Series, lambda y: y.astype(np.float32), lambda y: y.astype(object)],
    ids=["list", "Series", "float32", "object"],
)
def test_each_form_of_y_makes_the_same_model(change):
    model = fitted(X, change(Y))
    assert_same(model, fitted(X, Y))
    assert model.predict(X).shape == (18,)


def test_several_outputs():
    y = np.column_stack([Y, -Y, Y**2])
    model = fitted(X, y)
    assert model.n_outputs_ == 3 and model.predict(X).shape == (18, 3)
    for other in (y.tolist(), pd.DataFrame(y), np.asfortranarray(y)):
        assert_same(fitted(X, other), model)


def test_a_column_of_targets_is_raveled_with_a_warning():
    with pytest.warns(UserWarning, match="column-vector y"):
        model = fitted(X, Y[:, np.newaxis])
    assert model.predict(X).shape == (18,)


def test_the_number_of_features_and_their_names():
    assert fitted(X).n_features_in_ == 2
    assert fitted(X[:, :, 0]).n_features_in_ == 4
    model = fitted(long(RAGGED))
    assert list(model.feature_names_in_) == ["u", "v"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(long(RAGGED)[["v", "u"]])


def test_sequences_may_be_longer_than_in_fit():
    model = fitted(X[:, :2])
    np.testing.assert_array_equal(
        model.predict(list(X) + [np.tile(X[0], (5, 1))])[:18], model.predict(X)
    )


def spoiled(sample, step, channel, value):
    data = [x.copy() for x in RAGGED]
    data[sample][step, channel] = value
    return data


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("stage", ["fit", "predict"])
def test_what_is_not_finite_is_named(value, stage):
    where = "sample 7, step 2, channel 1"
    model = fitted(RAGGED)
    with pytest.raises(ValueError, match=f"(NaN|infinity).*{where}"):
        getattr(model, stage)(*[spoiled(7, 2, 1, value), Y][: 1 + (stage == "fit")])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([*RAGGED[:5], RAGGED[5][:0], *RAGGED[6:]], "no steps: sample 5"),
        (
            [*RAGGED[:5], RAGGED[5][:, :1], *RAGGED[6:]],
            "sample 0 has 2, sample 5 has 1",
        ),
        ([*RAGGED[:5], [["a", "b"]], *RAGGED[6:]], "sample 5 holds strings"),
        (X.astype(str), "strings"),
        (X + 1j, "(?i)complex"),
        (X[:, np.newaxis], "dim 4"),
        (X[:0], "0 sample"),
        ([], "0 sample"),
        ("abc", "got str"),
        (None, "got NoneType"),
        (np.ma.masked_array(X, X > 1), "(?i)masked"),
    ],
)
def test_wrong_sequences_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        fitted(data)


def test_other_channels_than_in_fit_are_refused():
    with pytest.raises(ValueError, match="1 features.*expecting 2"):
        fitted(X).predict(X[:, :, :1])
    with pytest.raises(ValueError, match="X has 2 channels, but n_channels=3"):
        fitted(X, n_channels=3)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        (Y[:-1], "inconsistent numbers of samples: X has 18, y has 17"),
        (np.where(Y > 1, np.nan, Y), "y contains NaN"),
        (np.where(Y > 1, np.inf, Y), "y contains infinity"),
        (np.array(["a"] * 18), "(?i)could not convert|string"),
        (Y.astype(str), "(?i)string"),
        (X, "dim 3"),
    ],
)
def test_wrong_targets_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        fitted(X, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (Y, "(?i)unknown label type|continuous"),
        (None, "requires y to be passed"),
        (np.where(Y > 1, np.nan, 1.0), "y contains NaN"),
        (np.ones((18, 2, 2)), "(?i)multiclass-multioutput|dim|unknown"),
        (np.column_stack([np.arange(18), np.arange(18)]), "1d array"),
    ],
)
def test_wrong_classes_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        RNNClassifier(**BRIEF).fit(X, y)


def test_labels_in_another_order_are_refused():
    shuffled = pd.Series(Y, index=np.roll(np.arange(18), 1))
    with pytest.raises(ValueError, match="in another order: sample 0 is"):
        fitted(long(RAGGED), shuffled)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cell": "elman"}, "'cell'.*'rnn'.*Got 'elman'"),
        ({"cell": "elman"}, "'cell'.*'gru'.*Got 'elman'"),
        ({"solver": "lbfgs"}, "'solver'.*'adam'.*Got 'lbfgs'"),
        ({"loss": "hinge"}, "'loss'.*'squared_error'.*Got 'hinge'"),
        ({"activation": "sigmoid"}, "'activation'.*'logistic'.*Got 'sigmoid'"),
        ({"learning_rate": 0.1}, "'learning_rate'.*'constant'.*Got 0.1"),
        ({"hidden_layer_sizes": 0}, "hidden_layer_sizes.*0"),
        ({"hidden_layer_sizes": (4, 0)}, r"hidden_layer_sizes.*\(4, 0\)"),
        ({"hidden_layer_sizes": ()}, r"hidden_layer_sizes.*\(\)"),
        ({"hidden_layer_sizes": (4.5,)}, r"hidden_layer_sizes.*\(4.5,\)"),
        ({"hidden_layer_sizes": "4"}, "hidden_layer_sizes.*'4'"),
        ({"hidden_layer_sizes": [[4, 4]]}, "hidden_layer_sizes"),
        ({"batch_size": -1}, "batch_size.*-1"),
        ({"batch_size": "all"}, "batch_size.*'all'"),
        ({"max_iter": 0}, "max_iter.*0"),
        ({"learning_rate_init": np.nan}, "learning_rate_init.*nan"),
        ({"learning_rate_init": 0}, "learning_rate_init.*0"),
        ({"alpha": -1}, "alpha.*-1"),
        ({"max_grad_norm": 0}, "max_grad_norm.*0"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"random_state": "one"}, "random_state.*'one'"),
        ({"standardize": "yes"}, "standardize.*'yes'"),
        ({"quantile": 1.5}, "quantile.*1.5"),
        ({"loss": "quantile", "quantile": [0.1, 1.2]}, "quantile.*1.2"),
        ({"loss": "quantile", "quantile": []}, "quantile"),
        ({"loss": "quantile", "quantile": [0.5, 0.5]}, "quantile"),
        ({"huber_delta": 0}, "huber_delta.*0"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        fitted(X, **settings)
