import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

from skrnn import RNNRegressor
from skrnn.forecasting import LagsToSequences
from skrnn.forecasting import lags as module

CHECKED = [
    LagsToSequences("all", order="oldest_first"),
    LagsToSequences("all", order="newest_first"),
    LagsToSequences(1, order="newest_first", exog="first"),
    LagsToSequences(1, order="newest_first", exog="last"),
    LagsToSequences(1, order="oldest_first", exog="lags"),
]
PAIRS = [pair for e in CHECKED for pair in estimator_checks_generator(e)]


def name_of(value):
    function = getattr(value, "func", value)
    return getattr(function, "__name__", None) or repr(value)


@pytest.mark.contract
@pytest.mark.parametrize(("estimator", "check"), PAIRS, ids=name_of)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


# A row of each: lags of a series whose value at time t is t, and exogenous values ----

# steps of the times 6, 7, 8 with what is said of them
SERIES = [[6.0], [7.0], [8.0]]
WITH_EXOG = [[6.0, 50.0, 60.0], [7.0, 50.0, 60.0], [8.0, 50.0, 60.0]]
WITH_LAGS = [[6.0, 16.0, 26.0], [7.0, 17.0, 27.0], [8.0, 18.0, 28.0]]
ROWS = [
    ([6, 7, 8], {"n_lags": "all", "order": "oldest_first"}, SERIES),
    ([8, 7, 6], {"n_lags": "all", "order": "newest_first"}, SERIES),
    ([6, 7, 8], {"n_lags": 3, "order": "oldest_first"}, SERIES),
    ([6, 7, 8], {"n_lags": 3, "order": "oldest_first", "exog": "last"}, SERIES),
    ([6, 7, 8], {"n_lags": 3, "order": "oldest_first", "exog": "lags"}, SERIES),
    (
        [8, 7, 6, 50, 60],
        {"n_lags": 3, "order": "newest_first", "exog": "last"},
        WITH_EXOG,
    ),
    (
        [50, 60, 8, 7, 6],
        {"n_lags": 3, "order": "newest_first", "exog": "first"},
        WITH_EXOG,
    ),
    (
        [50, 60, 6, 7, 8],
        {"n_lags": 3, "order": "oldest_first", "exog": "first"},
        WITH_EXOG,
    ),
    (
        [6, 7, 8, 16, 17, 18, 26, 27, 28],
        {"n_lags": 3, "order": "oldest_first", "exog": "lags"},
        WITH_LAGS,
    ),
    (
        [8, 7, 6, 18, 17, 16, 28, 27, 26],
        {"n_lags": 3, "order": "newest_first", "exog": "lags"},
        WITH_LAGS,
    ),
]


@pytest.mark.parametrize(("row", "settings", "expected"), ROWS)
def test_parameters_say_what_the_columns_are(row, settings, expected):
    Z = LagsToSequences(**settings).fit_transform([row, np.add(row, 100)])
    np.testing.assert_array_equal(Z, [expected, np.add(expected, 100)])
    names = [f"column{i}" for i in range(len(row))]
    frame = pd.DataFrame([row], columns=names)
    Z = LagsToSequences(**settings).fit_transform(frame)
    np.testing.assert_array_equal(Z, [expected])


FRAMES = [
    ({"lag_1": 8, "lag_2": 7, "lag_3": 6}, SERIES),
    ({"lag1": 8, "lag2": 7, "lag3": 6}, SERIES),
    ({"lag3": 6, "lag2": 7, "lag1": 8}, SERIES),
    ({"lag_9": 6, "lag_7": 8, "lag_8": 7}, SERIES),
    ({"lag_0__y": 8, "lag_1__y": 7, "lag_2__y": 6}, SERIES),
    ({"y_lag_1": 8, "y_lag_2": 7, "y_lag_3": 6}, SERIES),
    ({"lag_10": 7, "lag_9": 8, "lag_11": 6}, SERIES),
    ({"lag_1": 8, "a": 50, "lag_2": 7, "lag_3": 6, "b": 60}, WITH_EXOG),
    (
        {"expanding_mean_lag1": 50, "lag1": 8, "lag2": 7, "lag3": 6, "lag": 60},
        WITH_EXOG,
    ),
    (
        {
            **{"y_lag_1": 8, "y_lag_2": 7, "y_lag_3": 6},
            **{"x_lag_3": 16, "x_lag_2": 17, "x_lag_1": 18},
            **{"lag_1__z": 28, "lag_2__z": 27, "lag_3__z": 26},
        },
        WITH_LAGS,
    ),
]


@pytest.mark.parametrize(
    ("row", "expected"), FRAMES, ids=lambda x: " ".join(map(str, x))
)
def test_names_say_what_the_columns_are(row, expected):
    frame = pd.DataFrame([row], dtype=float)
    transformer = LagsToSequences().fit(frame)
    np.testing.assert_array_equal(transformer.transform(frame), [expected])
    assert transformer.n_lags_ == 3
    assert transformer.feature_names_in_.tolist() == list(row)
    assert clone(transformer).set_params(n_lags=3).fit(frame).n_lags_ == 3


def test_integer_and_categorical_columns_of_a_frame_are_numbers():
    frame = pd.DataFrame({"lag_1": [1, 2], "shop": pd.Categorical([7, 9])})
    Z = LagsToSequences().fit_transform(frame)
    assert Z.dtype == np.float64
    np.testing.assert_array_equal(Z, [[[1, 7]], [[2, 9]]])


def test_a_fit_on_a_frame_reads_arrays_by_position():
    frame = pd.DataFrame([[5.0, 2.0, 1.0]], columns=["price", "lag1", "lag2"])
    transformer = LagsToSequences().fit(frame)
    with pytest.warns(UserWarning, match="valid feature names"):
        Z = transformer.transform(frame.to_numpy())
    np.testing.assert_array_equal(Z, [[[1, 5], [2, 5]]])
    with pytest.raises(ValueError, match="feature names"):
        transformer.transform(frame[["lag2", "lag1", "price"]])
    with pytest.raises(ValueError, match="now missing:\n- lag2"):
        transformer.transform(frame[["price", "lag1"]])


@pytest.mark.parametrize("order", [None, "oldest_first"])
def test_channels_first_swaps_the_axes(order):
    X = np.arange(24.0).reshape(2, 3, 4)
    transformer = LagsToSequences(channels_first=True, order=order)
    Z = transformer.fit_transform(X)
    np.testing.assert_array_equal(Z, X.transpose(0, 2, 1))
    assert transformer.n_features_in_ == 3 and transformer.n_lags_ == 4
    backward = clone(transformer).set_params(order="newest_first", n_lags=4)
    np.testing.assert_array_equal(backward.fit_transform(X[:, :, ::-1]), Z)


@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64, ">f8", np.int16]),
        st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 4)),
        elements=st.integers(-100, 100),
    )
)
def test_blocks_of_lags_and_channels_are_the_same(X):
    rows = np.asfortranarray(X.reshape(len(X), -1))
    rows.flags.writeable = False
    by_rows = LagsToSequences(X.shape[2], order="oldest_first", exog="lags")
    Z = by_rows.fit_transform(rows)
    np.testing.assert_array_equal(Z, X.transpose(0, 2, 1))
    np.testing.assert_array_equal(
        Z, LagsToSequences(channels_first=True).fit_transform(X)
    )
    assert Z.dtype == (np.float32 if X.dtype == np.float32 else np.float64)
    assert Z.flags.c_contiguous and not np.shares_memory(Z, X)


def test_missing_values_are_handed_on():
    X = [[1.0, np.nan]]
    Z = LagsToSequences("all", order="newest_first").fit_transform(X)
    np.testing.assert_array_equal(Z, [[[np.nan], [1.0]]])


def test_a_global_output_of_pandas_does_not_touch_sequences():
    with config_context(transform_output="pandas"):
        Z = LagsToSequences("all", order="newest_first").fit_transform([[1.0, 2.0]])
    assert type(Z) is np.ndarray and Z.shape == (1, 2, 1)
    assert not hasattr(LagsToSequences, "get_feature_names_out")


@pytest.mark.needs_jit
def test_a_pipeline_is_the_network_on_its_sequences():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5))
    y = X[:, 0] + X[:, 4]
    network = RNNRegressor((8,), max_iter=5, random_state=0)
    transformer = LagsToSequences(4, order="newest_first", exog="last")
    model = make_pipeline(transformer, network).fit(X, y)
    Z = np.stack([X[:, 3::-1], np.repeat(X[:, 4:], 4, axis=1)], axis=2)
    expected = clone(network).fit(Z, y).predict(Z)
    np.testing.assert_array_equal(model.predict(X), expected)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), expected)


# What would be read wrongly ----------------------------------------------------------

OLD, NEW = {"order": "oldest_first"}, {"order": "newest_first"}
ARRAYS = [
    ({}, 4, "no column names, so which of its 4 columns .* set n_lags and order"),
    ({"n_lags": 4}, 4, "set n_lags and order"),
    (OLD, 4, "set n_lags and order"),
    ({"n_lags": 5, **OLD}, 4, "4 columns, fewer than n_lags=5"),
    ({"n_lags": 3, **OLD}, 4, "4 columns, but n_lags=3: set exog .* other 1 are"),
    ({"n_lags": 3, "exog": "lags", **OLD}, 4, "4 columns, which is not a multiple of"),
    ({"n_lags": "all", "exog": "last", **OLD}, 4, "leaves no exogenous column"),
    ({"n_lags": "some"}, 4, "n_lags.* must be"),
    ({"order": "up"}, 4, "order.* must be"),
]


@pytest.mark.parametrize(("settings", "n_columns", "message"), ARRAYS)
def test_columns_of_an_array_that_nothing_tells_apart(settings, n_columns, message):
    with pytest.raises(ValueError, match=message):
        LagsToSequences(**settings).fit(np.ones((2, n_columns)))


NAMED = [
    ({}, ["a", "b"], r"No column of X is named as a lag .*'a', 'b', so .* set n_lags"),
    ({}, list("abcdefg"), r"'d', 'e' \.\.\., so"),
    ({}, ["lag_1", "lag_2", "lag_12"], "Lag 3 is missing .* lags from 1 to 12"),
    ({}, ["y_lag_1", "y_lag_3"], "Lag 2 of 'y' is missing"),
    ({}, ["lag_1", "lag_2", "lag1"], "lag 1 twice: columns 'lag_1' and 'lag1'"),
    ({}, ["lag_1", "lag_2", "x_lag_1"], r"lags of 'x' in X are \[1\], .* \[1, 2\]"),
    ({"n_lags": 3}, ["lag_1", "lag_2"], "n_lags=3, but by their names .* 2 lags"),
    ({"n_lags": "all"}, ["lag_1", "a"], "the column 'a' of X is not named as a lag"),
    (OLD, ["lag_1", "lag_2"], "oldest_first.*are named 'lag_1', 'lag_2'"),
    (NEW, ["a", "lag_2", "lag_1"], "newest_first.*are named 'lag_2', 'lag_1'"),
    (NEW, ["lag_2", "lag_1", "lag_3"], "newest_first"),
]


@pytest.mark.parametrize(("settings", "names", "message"), NAMED)
def test_names_that_leave_a_doubt(settings, names, message):
    frame = pd.DataFrame(np.ones((2, len(names))), columns=names)
    with pytest.raises(ValueError, match=message):
        LagsToSequences(**settings).fit(frame)


CHANNELS = [
    ({}, (2, 3), r"must be of the shape .* but is of the shape \(2, 3\)"),
    ({}, (2, 0, 3), "must be of the shape"),
    ({"n_lags": 3}, (2, 3, 1), "1 steps on its last axis, but n_lags=3"),
    ({"exog": "lags"}, (2, 3, 4), "exog is 'lags', but must be None"),
]


@pytest.mark.parametrize(("settings", "shape", "message"), CHANNELS)
def test_axes_that_are_not_channels_and_lags(settings, shape, message):
    with pytest.raises(ValueError, match=message):
        LagsToSequences(channels_first=True, **settings).fit(np.ones(shape))


def test_other_axes_than_in_fit():
    transformer = LagsToSequences(channels_first=True).fit(np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match="4 channels of 3 lags, .* channels of 4 lags"):
        transformer.transform(np.ones((2, 4, 3)))
    with pytest.raises(ValueError, match=r"\(2, 4, 3\): set channels_first=True"):
        LagsToSequences("all", order="oldest_first").fit(np.ones((2, 4, 3)))


def test_the_forms_of_names_are_those_that_the_docstring_tells():
    for name in ("lag_1", "lag1", "y_lag_1", "lag_1__y"):
        assert sum(bool(p.fullmatch(name)) for p in module.LAG_NAMES) == 1
        assert f"``{name}``" in LagsToSequences.__doc__
