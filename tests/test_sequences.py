import copy
import pickle
import subprocess
import sys
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, RegressorMixin, config_context
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_score,
    learning_curve,
    train_test_split,
)
from sklearn.utils import _safe_indexing, check_array, indexable
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import (
    _num_samples,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from skrnn.sequences import (
    PaddedData,
    Sequences,
    check_sequences,
    check_target_index,
)


class LastStep(RegressorMixin, BaseEstimator):
    """Least squares on the first and the last step and their position."""

    def __init__(self, n_channels=None, ridge=1e-9):
        self.n_channels = n_channels
        self.ridge = ridge

    def _features(self, data):
        steps = np.concatenate([data.take(block) for block in data.blocks()])
        last = np.cumsum(data.lengths) - 1
        first = last - data.lengths + 1
        return np.column_stack([np.ones(len(data)), steps[first], steps[last]])

    def fit(self, X, y):
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        data = check_sequences(self, X, reset=True, n_channels=self.n_channels)
        y = check_array(
            column_or_1d(y, warn=True), ensure_2d=False, dtype=float, input_name="y"
        )
        check_consistent_length(data, y)
        A = self._features(data)
        self.coef_ = np.linalg.solve(
            A.T @ A + self.ridge * np.eye(A.shape[1]), A.T @ np.asarray(y, float)
        )
        return self

    def predict(self, X):
        check_is_fitted(self)
        data = check_sequences(self, X, reset=False, n_channels=self.n_channels)
        return self._features(data) @ self.coef_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


def check(X, n_channels=None, **fitted):
    """Check X as fit does, or as predict does after a fit that left `fitted`."""
    estimator = LastStep()
    vars(estimator).update(fitted)
    return check_sequences(estimator, X, reset=not fitted, n_channels=n_channels)


def ragged(lengths, n_channels=2, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, n_channels)).astype(dtype) for n in lengths]


def long_frame(names=("b", "a", "c"), lengths=(2, 3, 1)):
    keys = [(name, t) for name, n in zip(names, lengths, strict=True) for t in range(n)]
    index = pd.MultiIndex.from_tuples(keys, names=["instance", "time"])
    values = np.arange(2.0 * len(keys)).reshape(-1, 2)
    return pd.DataFrame(values, index=index, columns=["x", "z"])


def assert_samples(data, samples):
    """The data set holds these samples, in whichever form."""
    assert len(data) == len(samples)
    np.testing.assert_array_equal(data.lengths, [len(s) for s in samples])
    assert data.lengths.dtype == np.int64
    for rows in (np.arange(len(samples)), np.arange(len(samples))[::-1], slice(1, 3)):
        steps = data.take(rows)
        listed = (
            samples[rows] if isinstance(rows, slice) else [samples[i] for i in rows]
        )
        np.testing.assert_array_equal(
            steps, np.concatenate([np.reshape(s, (len(s), -1)) for s in listed])
        )
        assert steps.dtype == data.dtype
        flags = steps.flags
        assert flags.c_contiguous and flags.writeable and flags.aligned


# The two forms ------------------------------------------------------------------

BASE = np.arange(5 * 4 * 3).reshape(5, 4, 3)
READ_ONLY = BASE.astype(float)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    "X",
    [
        BASE.astype(np.float32),
        BASE.astype(np.int8),
        BASE.astype(np.uint64),
        BASE > 30,
        BASE.astype(np.float16),
        BASE.astype(np.longdouble),
        BASE.astype(">f4"),
        READ_ONLY,
        np.asfortranarray(BASE, dtype=float),
        np.arange(60.0).reshape(3, 4, 5).T,
        np.arange(240.0).reshape(10, 4, 6)[::-2, :, ::-2],
        np.broadcast_to(1.5, (5, 4, 3)),
    ],
    ids=lambda X: f"{X.dtype}{X.strides}",
)
def test_padded_data_takes_any_array(X):
    data = PaddedData(X)
    single = X.dtype.itemsize == 4
    assert data.dtype == (np.float32 if single else np.float64)
    assert data.dtype.isnative
    assert_samples(data, list(X.astype(data.dtype)))


def test_take_never_shares_memory_with_the_users_array():
    X = np.ones((5, 4, 3))
    for data in (PaddedData(X), PaddedData(X, [4, 4, 1, 2, 3]), Sequences(X)):
        values = data.values if isinstance(data, Sequences) else X
        for rows in (slice(None), slice(0, 1), np.array([0]), np.arange(5)):
            assert not np.shares_memory(data.take(rows), values)


def test_a_memory_mapped_array_is_read_by_blocks(tmp_path):
    X = np.lib.format.open_memmap(
        tmp_path / "X.npy", mode="w+", dtype=np.int16, shape=(16000, 500)
    )
    X[:] = np.arange(500)
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    tracemalloc.start()
    data = check(X)
    data.take(np.arange(3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 2**24 < X.size * 8, "less than the whole, as float64"
    np.testing.assert_array_equal(data.take(np.array([7])).ravel(), np.arange(500))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_arrays_are_not_copied(dtype):
    X = np.ones((4, 6), dtype)
    for data in (check(X), check(X, n_channels=3), check(X.reshape(4, 3, 2))):
        assert np.shares_memory(data._X, X)
    strided = np.ones((4, 12), dtype)[:, ::-2]
    assert np.shares_memory(check(strided, n_channels=3)._X, strided)


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=20),
    st.integers(1, 3),
    st.integers(1, 400),
    st.data(),
)
@settings(deadline=None, max_examples=60)
def test_all_forms_hold_the_same_samples(lengths, n_channels, max_bytes, draw):
    samples = ragged(lengths, n_channels)
    padded = np.full((len(lengths), max(lengths), n_channels), np.nan)
    for row, sample in zip(padded, samples, strict=True):
        row[: len(sample)] = sample
    flat = padded.reshape(len(lengths), -1)
    rows = np.array(
        draw.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=10)), dtype=int
    )
    expected = np.concatenate([np.empty((0, n_channels)), *(samples[i] for i in rows)])
    forms = [Sequences(samples), check(flat, n_channels=n_channels), check(samples)]
    for data in forms:
        np.testing.assert_array_equal(data.take(rows), expected)
        np.testing.assert_array_equal(data.lengths, lengths)
        blocks = list(data.blocks(max_bytes))
        taken = [data.take(block) for block in blocks]
        np.testing.assert_array_equal(np.concatenate(taken), np.concatenate(samples))
        for block, steps in zip(blocks, taken, strict=True):
            assert steps.nbytes <= max_bytes or block.stop - block.start == 1


def test_blocks_are_as_large_as_they_may_be():
    data = PaddedData(np.ones((10, 4, 2)))
    assert [b.stop - b.start for b in data.blocks(4 * 64)] == [4, 4, 2]
    data = Sequences(ragged([1, 2, 3, 9, 1, 1], 1))
    assert [b.stop - b.start for b in data.blocks(6 * 8)] == [3, 1, 2]


# Sequences ----------------------------------------------------------------------


def test_sequences_are_indexed_like_a_one_dimensional_array():
    samples = ragged([2, 1, 4, 3])
    X = Sequences(samples)
    assert X.shape == (4,) and X.ndim == 1 and len(X) == 4
    for i in (0, 3, -1, np.int64(2), np.array(1)):
        np.testing.assert_array_equal(X[i], samples[i])
    array = np.empty(4, dtype=object)
    array[:] = samples
    keys = [
        slice(1, 3),
        slice(None, None, -2),
        [2, 0, 2],
        [-1],
        np.array([3, 1], dtype=np.uint8),
        np.array([True, False, True, False]),
        [False, True, False, True],
        [],
    ]
    for key in keys:
        subset = X[key]
        assert isinstance(subset, Sequences)
        assert subset.values is X.values, "not copied"
        expected = array[
            np.asarray(key, int) if isinstance(key, list) and not key else key
        ]
        assert len(subset) == len(expected)
        for got, wanted in zip(subset, expected, strict=True):
            np.testing.assert_array_equal(got, wanted)
    assert_samples(X[[2, 0, 3]][[1, 2, 0]], [samples[0], samples[3], samples[2]])


@pytest.mark.parametrize(
    "key", [4, -5, 1.0, "a", None, [0.0], [[0]], [True], True, (0, 1), [7]]
)
def test_sequences_refuse_other_keys(key):
    with pytest.raises(IndexError):
        Sequences(ragged([2, 1, 4, 3]))[key]


def test_sequences_become_an_object_array_and_nothing_else():
    for lengths in ([2, 2, 2], [2, 3], [4, 1]):  # equal lengths must not be stacked
        X = Sequences(ragged(lengths))
        array = np.asarray(X)
        assert array.dtype == object and array.shape == (len(lengths),)
        for got, wanted in zip(array, X.to_list(), strict=True):
            np.testing.assert_array_equal(got, wanted)
        with pytest.raises(TypeError, match="to_list"):
            np.asarray(X, dtype=float)
        assert_samples(check(array), X.to_list())


def test_a_pickled_subset_keeps_its_own_steps_only():
    X = Sequences(ragged([1000, 2, 3, 1000]))
    subset = X[[2, 1]]
    assert len(pickle.dumps(subset)) < 2000
    for twin in (pickle.loads(pickle.dumps(subset)), copy.deepcopy(subset)):
        assert_samples(twin, [X[2], X[1]])
        assert not np.shares_memory(twin.values, X.values)
    assert_samples(copy.copy(subset), [X[2], X[1]])
    repeated = pickle.loads(pickle.dumps(X[[1, 1, 2]]))
    assert_samples(repeated, [X[1], X[1], X[2]])


def test_repr_is_short():
    X = Sequences(ragged([2, 5]))
    assert repr(X) == "Sequences(n_samples=2, n_channels=2, lengths=2..5)"
    assert repr(X[[]]) == "Sequences(n_samples=0, n_channels=2, lengths=none)"


def test_sequences_copy_what_they_are_made_of():
    sample = np.ones((3, 1))
    X = Sequences([sample])
    X.values[:] = 0
    assert sample.all()


@pytest.mark.parametrize(
    "key",
    [[3, 0], np.array([1, 2]), slice(1, 4), np.array([True, False] * 4), (0, 2)],
    ids=str,
)
def test_scikit_learn_indexes_sequences(key):
    samples = ragged(range(1, 9))
    X = Sequences(samples)
    rows = np.arange(8)[list(key) if isinstance(key, tuple) else key]
    subset = _safe_indexing(X, key)
    assert subset.values is X.values
    assert [len(s) for s in subset] == [len(samples[i]) for i in rows]
    assert _num_samples(X) == 8
    assert indexable(X, rows[:0].tolist() + [0] * 8)[0] is X


@pytest.mark.parametrize("form", ["sequences", "list", "object", "3d", "flat", "2d"])
def test_scikit_learn_splits_every_form(form):
    rng = np.random.default_rng(0)
    samples = ragged(rng.integers(2, 7, size=40))
    y = np.array([s[0, 0] - 2 * s[-1, 0] for s in samples])
    X, n_channels = samples, None
    if form == "sequences":
        X = Sequences(samples)
    elif form == "object":
        X = np.empty(40, dtype=object)
        X[:] = samples
    elif form == "3d":
        X = np.stack([s[[0, -1]] for s in samples])
    elif form == "flat":
        X, n_channels = np.full((40, 14), np.nan), 2
        for row, sample in zip(X, samples, strict=True):
            row[: sample.size] = sample.ravel()
    elif form == "2d":
        X = np.stack([s[[0, -1], 0] for s in samples])
    model = LastStep(n_channels=n_channels)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    assert model.fit(X_train, y_train).score(X_test, y_test) > 0.99
    assert cross_val_score(model, X, y, cv=4).min() > 0.99
    assert learning_curve(model, X, y, cv=3)[2][1:].min() > 0.9


def test_grid_search_sends_sequences_to_other_processes():
    samples = ragged(np.arange(40) % 5 + 1)
    y = np.array([s[-1, 1] for s in samples])
    search = GridSearchCV(LastStep(), {"ridge": [1e-6, 10.0]}, cv=3, n_jobs=2)
    assert search.fit(Sequences(samples), y).best_params_ == {"ridge": 1e-6}


# Long frames --------------------------------------------------------------------


def test_a_long_frame_keeps_the_order_of_appearance_and_the_labels():
    frame = long_frame()
    X = Sequences.from_long(frame)
    assert list(X.index) == ["b", "a", "c"]
    assert list(X.feature_names) == ["x", "z"]
    assert_samples(X, [frame.loc[[name]].to_numpy() for name in "bac"])
    subset = X[[2, 0]]
    assert list(subset.index) == ["c", "b"]
    assert list(pickle.loads(pickle.dumps(subset)).index) == ["c", "b"]
    for same in (frame[["x"]], frame["x"]):
        assert Sequences.from_long(same).n_channels == 1


def test_rows_of_an_instance_need_not_be_neighbours():
    frame = long_frame()
    mixed = frame.iloc[[2, 0, 3, 5, 1, 4]]
    X = Sequences.from_long(mixed)
    assert list(X.index) == ["a", "b", "c"]
    assert_samples(X, [frame.loc[[name]].to_numpy() for name in "abc"])


def test_a_long_frame_with_named_columns():
    frame = long_frame().reset_index()
    by_columns = Sequences.from_long(frame, instance="instance", time="time")
    assert_samples(by_columns, Sequences.from_long(long_frame()).to_list())
    only_z = Sequences.from_long(frame, "instance", columns=["z"])  # time is ignored
    np.testing.assert_array_equal(only_z.values.ravel(), frame["z"])
    assert list(Sequences.from_long(frame, "instance").feature_names) == list(
        ["time", "x", "z"]
    )


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2020", periods=3),
        pd.period_range("2020", periods=3, freq="M"),
        pd.date_range("2020", periods=3, tz="Europe/Berlin"),
        [0.5, 1, 7],
        ["a", "b", "c"],
    ],
    ids=lambda times: type(times).__name__,
)
def test_times_must_increase_within_an_instance(times):
    index = pd.MultiIndex.from_product([["q", "p"], times])
    frame = pd.DataFrame({"x": np.arange(6.0)}, index=index)
    assert list(Sequences.from_long(frame).lengths) == [3, 3]
    for rows in ([0, 1, 2, 3, 5, 4], [0, 1, 2, 3, 4, 4]):
        with pytest.raises(ValueError, match=r"instance 'p' do not.*sort_index\(\)"):
            Sequences.from_long(frame.iloc[rows])


def test_from_long_refuses_what_it_cannot_read():
    frame = long_frame()
    columns = frame.reset_index()
    for error, pattern, arguments in [
        (ValueError, "two levels", (columns,)),
        (ValueError, "time names a column", (frame, None, "time")),
        (ValueError, "no column 'nowhere'; there are", (columns, "nowhere")),
        (ValueError, "no values", (frame.iloc[:0],)),
        (ValueError, "no values", (frame[[]],)),
        (TypeError, "DataFrame is needed, got ndarray", (frame.to_numpy(),)),
        (ValueError, "column 'd' holds datetime64", (frame.assign(d=pd.Timestamp(0)),)),
        (ValueError, "column 'd' holds", (frame.assign(d="1"),)),
        (ValueError, "column 'd' is complex", (frame.assign(d=1j),)),
        (
            ValueError,
            "label of row 1 is missing",
            (columns.replace("a", None).iloc[1:], "instance", "time"),
        ),
        (
            ValueError,
            "time of row 2",
            (columns.assign(time=[0, 1, None, 1, 2, 0]), "instance", "time"),
        ),
        (
            ValueError,
            "cannot be ordered",
            (columns.assign(time=[0, object(), 0, 1, 2, 0]), "instance", "time"),
        ),
    ]:
        with pytest.raises(error, match=pattern):
            Sequences.from_long(*arguments)
    with pytest.raises(TypeError, match="from_long"):
        Sequences(frame)


def test_y_in_another_order_than_the_instances_is_refused():
    data = check(long_frame())
    y = pd.Series([1.0, 2.0, 3.0], index=["b", "a", "c"])
    check_target_index(data, y)
    check_target_index(data, y.to_frame())
    check_target_index(data, y.sort_index().to_numpy())
    check_target_index(data, y.reset_index(drop=True))  # no labels of ours
    check_target_index(data[[2, 0]], y.iloc[[2, 0]])
    check_target_index(data, long_frame()["x"])
    check_target_index(check(np.ones((3, 2))), y.sort_index())
    for wrong in (y.sort_index(), y.sort_index().to_frame(), long_frame().sort_index()):
        with pytest.raises(ValueError, match="sample 0 is 'b' in X and 'a' in y"):
            check_target_index(data, wrong)
    with pytest.raises(ValueError, match="in y and 'a' in w. Use w.loc.*of y"):
        check_target_index(data, y.sort_index(), "w", "y")


# What X is ------------------------------------------------------------------------

SAMPLES = ragged([3, 2, 4])


def as_object_array(samples):
    array = np.empty(len(samples), dtype=object)
    for i, sample in enumerate(samples):
        array[i] = sample
    return array


class OnlyArray:
    """Something of another library that NumPy can read."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype=dtype)


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        as_object_array,
        Sequences,
        lambda samples: [s.tolist() for s in samples],
        lambda samples: tuple(tuple(map(tuple, s)) for s in samples),
        lambda samples: [list(s) for s in samples],
        lambda samples: [pd.DataFrame(s) for s in samples],
        lambda samples: [OnlyArray(s) for s in samples],
        lambda samples: [s.astype(object) for s in samples],
        lambda samples: [samples[0], samples[1].tolist(), pd.DataFrame(samples[2])],
        lambda samples: pd.Series(samples),
        lambda samples: pd.concat(dict(enumerate(map(pd.DataFrame, samples)))),
    ],
)
@pytest.mark.parametrize("samples", [SAMPLES, [s[:2] for s in SAMPLES]])
def test_forms_of_multivariate_sequences(make, samples):
    data = check(make(samples))
    assert_samples(data, samples)
    assert data.n_channels == 2
    estimator = LastStep()
    check_sequences(estimator, make(samples), reset=True)
    assert estimator.n_features_in_ == estimator.n_channels_in_ == 2


@pytest.mark.parametrize(
    "make",
    [
        list,
        as_object_array,
        lambda samples: [pd.Series(s) for s in samples],
        lambda samples: [s[:, None] for s in samples],
        lambda samples: [s[:, None].tolist() for s in samples],
        lambda samples: [samples[0], *(s[:, None] for s in samples[1:])],
        lambda samples: as_object_array([s.tolist() for s in samples]),
    ],
)
@pytest.mark.parametrize("length", [None, 2])
def test_forms_of_univariate_sequences(make, length):
    samples = [s[:length, 0] for s in SAMPLES]
    data = check(make(samples))
    assert_samples(data, samples)
    assert data.n_channels == 1


@pytest.mark.parametrize(
    "make",
    [
        np.asarray,
        lambda X: X.tolist(),
        lambda X: tuple(map(tuple, X)),
        pd.DataFrame,
        lambda X: X.astype(object),
        lambda X: pd.DataFrame(X, dtype=object),
        lambda X: pd.DataFrame(X).convert_dtypes(),
        OnlyArray,
    ],
)
def test_forms_of_rows(make):
    X = np.arange(12.0).reshape(3, 4)
    estimator = LastStep()
    data = check_sequences(estimator, make(X), reset=True)
    assert_samples(data, list(X))
    assert estimator.n_features_in_ == 4 and estimator.n_channels_in_ == 1
    data = check(make(X), n_channels=2)
    assert_samples(data, list(X.reshape(3, 2, 2)))


@pytest.mark.parametrize(
    "make", [np.asarray, lambda X: X.astype(object), OnlyArray, Sequences, list]
)
def test_forms_of_three_dimensions(make):
    X = np.arange(24.0).reshape(4, 3, 2)
    estimator = LastStep()
    assert_samples(check_sequences(estimator, make(X), reset=True), list(X))
    assert estimator.n_features_in_ == estimator.n_channels_in_ == 2
    assert check(make(X), n_channels=2).n_channels == 2
    with pytest.raises(ValueError, match="X has 2 channels, but n_channels=3"):
        check(make(X), n_channels=3)


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        ([np.float32, np.float32], np.float32),
        ([np.float32, np.float64], np.float64),
        ([np.float32, np.int8], np.float64),
        ([np.float16, np.float16], np.float64),
        ([bool, np.uint64], np.float64),
        ([">f4", "<f4"], np.float32),
    ],
)
def test_the_dtype_of_computation(dtypes, expected):
    samples = [np.ones((n, 2), dtype) for n, dtype in enumerate(dtypes, 1)]
    assert check(samples).dtype == expected
    assert check(samples).dtype.isnative
    assert check(np.ones((2, 3), dtypes[0])).dtype == (
        np.float32 if "4" in str(dtypes[0]) or dtypes[0] is np.float32 else np.float64
    )


def test_nullable_columns_convert_or_are_reported():
    frame = pd.DataFrame({"a": [1, 2], "b": [True, False], "c": [0.5, 1.5]})
    nullable = frame.convert_dtypes()
    expected = frame.to_numpy(dtype=float)
    assert_samples(check(nullable), list(expected))
    assert_samples(check([nullable, nullable]), [expected, expected])
    for column in nullable:
        missing = nullable.copy()
        missing.loc[1, column] = pd.NA
        channel = list(nullable).index(column)
        with pytest.raises(
            ValueError, match=f"NaN: sample 1, step {channel}, channel 0"
        ):
            check(missing)
        with pytest.raises(
            ValueError, match=f"NaN: sample 1, step 1, channel {channel}"
        ):
            check([nullable, missing])


def test_nan_at_the_end_of_flattened_rows_is_padding():
    nan = np.nan
    X = np.array(
        [[1, 2, 3, 4, nan, nan], [1, 2, 3, 4, 5, 6], [1, 2, nan, nan, nan, nan]]
    )
    data = check(X, n_channels=2)
    assert_samples(data, [X[0, :4].reshape(2, 2), X[1].reshape(3, 2), X[2:, :2]])
    assert_samples(
        check(pd.DataFrame(X), n_channels=2), [data.take([i]) for i in range(3)]
    )
    for row, where in [
        ([nan, nan, 3, 4, 5, 6], "sample 1, step 0, channel 0"),
        ([1, 2, 3, nan, nan, nan], "sample 1, step 1, channel 1"),
        ([1, 2, 3, 4, 5, nan], "sample 1, step 2, channel 1"),
        ([nan] * 6, "no steps: sample 1, whose values are all NaN"),
    ]:
        with pytest.raises(ValueError, match=where):
            check(np.array([X[1], row]), n_channels=2)
    with pytest.raises(
        ValueError, match="6 columns, which is not a multiple of n_cha.*4"
    ):
        check(X, n_channels=4)
    for n_channels in (0, -1, True):
        with pytest.raises(ValueError, match="positive integer"):
            check(X, n_channels=n_channels)


# What is refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_place_of_what_is_not_finite(value, word, dtype):
    samples = [np.ones((9, 2), dtype) for _ in range(5)]
    samples[3][7, 1] = value
    where = f"{word}.*: sample 3, step 7, channel 1"
    for X in (np.stack(samples), samples, Sequences(samples)[[0, 1, 4, 3]]):
        with pytest.raises(ValueError, match=where):
            check(X)
    with pytest.raises(ValueError, match=f"{word}.*: sample 3, step 7, channel 0"):
        check(np.stack(samples)[:, :, 1])
    with config_context(assume_finite=True):
        check(np.stack(samples))


def test_the_place_is_right_in_a_later_block(monkeypatch):
    monkeypatch.setattr(
        Sequences, "blocks", lambda self: iter([slice(0, 2), slice(2, 4), slice(4, 5)])
    )
    samples = ragged([2, 3, 4, 5, 1])
    samples[3][2, 0] = np.nan
    with pytest.raises(ValueError, match="sample 3, step 2, channel 0"):
        check(samples)


def test_the_instance_of_a_nan_is_named():
    frame = long_frame()
    frame.iloc[3, 1] = np.nan
    with pytest.raises(
        ValueError, match=r"sample 1, step 1, channel 1 \(instance 'a'\)"
    ):
        check(frame)


def test_large_values_are_finite_and_too_large_ones_are_not():
    assert len(check(np.full((3, 2), 3e38, np.float32))) == 3  # their sum overflows
    assert len(check(np.array([[1e308, 1e308, -1e308]]))) == 1
    if np.finfo(np.longdouble).max > np.finfo(np.float64).max:
        huge = np.full((2, 2), np.finfo(np.longdouble).max)
        for X in (huge, [huge], huge[None]):
            with pytest.raises(ValueError, match="too large"):
                check(X)


MASKED = np.ma.masked_array(np.ones((3, 2)), mask=np.eye(3, 2))
DATES = np.full((3, 2), np.datetime64("2020"))
REFUSED = [
    (None, "got NoneType"),
    ("abc", "got str"),
    ({"a": [1, 2]}, "got dict"),
    ({1, 2}, "got set"),
    ((x for x in SAMPLES), "got generator"),
    (3.0, "Expected 2D array, got scalar"),
    ([], r"0 sample\(s\)"),
    ([[], []], r"0 feature\(s\)"),
    (np.ones(3), "Expected 2D array, got 1D array"),
    ([1.0, 2], "Expected 2D array, got 1D array"),
    (pd.Series([1.0, 2]), "Expected a 2-dimensional container"),
    (["ab", "cd"], "Expected 2D array|strings"),
    ([{"a": 1}, {"b": 2}], "Expected 2D array"),
    (np.ones((2, 2, 2, 2)), "dim 4, while dim <= 3 is required by LastStep"),
    (np.ones((0, 3)), r"0 sample\(s\)"),
    (np.ones((0, 3, 2)), r"0 sample\(s\)"),
    (Sequences(SAMPLES)[[]], r"0 sample\(s\)"),
    (np.ones((3, 0)), r"0 feature\(s\)"),
    (np.ones((3, 2, 0)), r"0 feature\(s\)"),
    (np.ones((3, 0, 2)), "no steps"),
    ([np.ones((2, 0)), np.ones((3, 0))], "0 channels"),
    ([np.ones((2, 2)), np.ones((0, 2))], "no steps: sample 1"),
    ([[[1.0]], []], "no steps: sample 1"),
    (
        [np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 3))],
        "sample 0 has 2, sample 2 has 3",
    ),
    ([np.ones((2, 2)), np.ones(2)], "sample 0 has 2, sample 1 has 1"),
    ([np.ones((2, 2)), np.ones((1, 2, 2))], r"sample 1 has shape \(1, 2, 2\)"),
    ([[[1, 2], [3]], [[1, 2]]], "sample 0 is irregular"),
    ([[1, 2], [3, 4, 5]], "sample 0 has 2 values, sample 1 has 3.*list of arrays"),
    ([np.ones(2), [1, 2]], "mixed.*0 is a sequence, sample 1 is a list of numbers"),
    ([np.ones(2), np.ones(3), 4.0], "mixed.*sample 2 is a single value"),
    ([np.ones(2), None], "mixed.*sample 1 is a single value"),
    ([np.ones((2, 2)), {"a": 1}], "mixed.*sample 1 is of type dict"),
    ([["1", "2"], ["3", "4"]], "strings"),
    (np.array([["1", "2"]]), "strings"),
    (np.array([[1, "2"]], dtype=object), "strings"),
    (np.array([[[1], ["2"]]], dtype=object), "strings"),
    ([np.ones(2), np.array(["1", "2"])], "sample 1 holds strings"),
    ([[[1.0], [2.0]], [["1"]]], "sample 1 holds strings"),
    ([np.ones(2), np.array([1, "2"], dtype=object)], "sample 1 holds strings"),
    ([np.ones(2), np.array([1, {}], dtype=object)], "sample 1 holds objects"),
    ([np.ones(2), np.array([1, None], dtype=object)], "NaN: sample 1, step 1"),
    (np.ones((3, 2)) * 1j, "Complex data not supported"),
    (np.ones((3, 2, 2)) * 1j, "Complex data not supported"),
    ([np.ones(2), np.ones(2) * 1j], "Complex data not supported: sample 1"),
    (DATES, "X holds datetime64"),
    (DATES[None], "X holds datetime64"),
    ([DATES], "sample 0 holds datetime64"),
    (pd.DataFrame(DATES, columns=["a", "b"]), "column 'a' holds datetime64"),
    (pd.DataFrame({"a": [1.0], "b": ["2"]}), "column 'b' holds"),
    (pd.DataFrame({"a": [1.0], "b": ["2"]}, dtype=object), "column 'b' holds strings"),
    (pd.DataFrame({"a": pd.Categorical([1, 2])}), "column 'a' holds category"),
    ([pd.DataFrame({"a": ["x"]})], "sample 0, column 'a' holds"),
    (MASKED, "Masked arrays are not supported"),
    ([MASKED.data, MASKED], "Masked arrays are not supported.*sample 1"),
    (
        [pd.DataFrame({"a": [1], "b": [2]}), pd.DataFrame({"b": [1], "a": [2]})],
        "sample 1 has .'b', 'a'.",
    ),
    (pd.concat({0: long_frame()}), "two levels"),
]


@pytest.mark.parametrize(("X", "pattern"), REFUSED)
def test_bad_input_is_refused_with_its_place(X, pattern):
    estimator = LastStep()
    with pytest.raises(ValueError, match=f"(?s){pattern}"):
        check_sequences(estimator, X, reset=True)
    assert vars(estimator) == vars(LastStep()), "a failed fit leaves nothing behind"


@pytest.mark.parametrize("form", ["csr_array", "csr_matrix", "coo_array", "dok_array"])
def test_sparse_input_is_refused(form):
    with pytest.raises(TypeError, match="[Ss]parse"):
        check(getattr(scipy.sparse, form)(np.eye(3)))


# Static features ----------------------------------------------------------------

STATIC = np.array([[0.5, 1], [2, 3], [4, 5], [6, 7]])


def with_static(samples, static):
    """Each sample with its static features at every step."""
    return [
        np.column_stack([s, np.tile(row, (len(s), 1))]).astype(s.dtype)
        for s, row in zip(samples, static, strict=True)
    ]


@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=12),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([np.float32, np.float64]),
    st.integers(1, 400),
)
def test_static_features_are_channels(lengths, n_channels, n_static, dtype, max_bytes):
    samples = ragged(lengths, n_channels, dtype)
    static = np.random.default_rng(1).normal(size=(len(lengths), n_static))
    X = Sequences(samples, static=static)
    expected = with_static(samples, static)
    assert X.dtype == dtype and X.n_channels == n_channels + n_static
    for data in (X, check(X), Sequences(X.to_list()), pickle.loads(pickle.dumps(X))):
        assert_samples(data, expected)
    for block in X.blocks(max_bytes):
        steps = X.take(block)
        assert steps.nbytes <= max_bytes or block.stop - block.start == 1
        np.testing.assert_array_equal(steps, np.concatenate(expected[block]))


@pytest.mark.parametrize(
    ("key", "rows"),
    [
        (slice(1, 3), [1, 2]),
        (slice(None, None, -2), [3, 1]),
        (slice(0, 0), []),
        ([2, 0, 2], [2, 0, 2]),
        ([-1], [3]),
        ([], []),
        (np.array([3, 1], dtype=np.uint8), [3, 1]),
        (np.array([True, False, True, False]), [0, 2]),
        ([False, True, False, True], [1, 3]),
        ((slice(2, 4), ...), [2, 3]),
    ],
    ids=str,
)
def test_subsets_keep_their_static_features(key, rows):
    samples = ragged([2, 1, 4, 3])
    X = Sequences(samples, static=STATIC)
    expected = [with_static(samples, STATIC)[row] for row in rows]
    subset = X[key]
    assert subset.values is X.values, "not copied"
    again = pickle.loads(pickle.dumps(subset))
    for twin in (subset, again, copy.deepcopy(subset), subset[:]):
        assert len(twin) == len(expected) and twin.n_channels == 4
        for samples in (twin, twin.to_list(), np.asarray(twin)):
            for got, wanted in zip(samples, expected, strict=True):
                np.testing.assert_array_equal(got, wanted)
        back = np.arange(len(expected))[::-1]
        np.testing.assert_array_equal(
            twin.take(back), np.concatenate([np.empty((0, 4)), *expected[::-1]])
        )


def test_one_sample_has_its_static_features():
    samples = ragged([2, 1, 4, 3])
    X = Sequences(samples, static=STATIC)
    for i in (0, 3, -1, np.int64(2), np.array(1)):
        sample = X[i]
        np.testing.assert_array_equal(sample, with_static(samples, STATIC)[i])
        sample[:] = 0
        assert X.values.all() and X.static.all(), "a copy"


def test_repr_tells_of_static_features():
    X = Sequences(ragged([2, 5]), static=[1, 2])
    expected = "Sequences(n_samples=2, n_channels=3, n_static=1, lengths=2..5)"
    assert repr(X) == expected
    assert repr(X[:0]) == expected.replace("=2,", "=0,").replace("2..5", "none")


def test_a_pickled_subset_keeps_its_own_static_features_only():
    X = Sequences(ragged([1000] * 1000, 1), static=np.ones((1000, 100)))
    for subset in (X[3:5], X[[1, 2]]):
        subset = subset[1:]
        twin = pickle.loads(pickle.dumps(subset))
        assert twin.values.shape == (1000, 1) and twin.static.shape == (1, 100)
        np.testing.assert_array_equal(twin[0], subset[0])
        assert len(pickle.dumps(subset)) < 10_000


def test_static_features_are_copied_and_take_the_dtype_of_the_sequences():
    static = np.ones((2, 1))
    X = Sequences(ragged([2, 3], dtype=np.float32), static=static)
    assert X.static.dtype == X.dtype == X[0].dtype == X.take([0]).dtype == np.float32
    X = Sequences(ragged([2, 3]), static=static)
    X.static[:] = 0
    assert static.all()
    for integers in ([3, 4], (True, False), pd.Series([3, 4]), np.array([[3], [4]])):
        X = Sequences(ragged([2, 3]), static=integers)
        assert X.static.dtype == np.float64 and X.static.shape == (2, 1)
        np.testing.assert_array_equal(X.static[:, 0], np.ravel(integers))


@pytest.mark.parametrize("named", [(True, True), (True, False), (False, True)])
def test_names_of_static_features(named):
    samples = ragged([2, 3])
    if named[0]:
        samples = [pd.DataFrame(s, columns=["x", "z"]) for s in samples]
    static = pd.DataFrame(
        [[1, 2], [3, 4]], columns=["u", "v"] if named[1] else [0, 1], index=["q", "p"]
    )
    X = Sequences(samples, static=static)
    assert X.index is None, "rows are in the order of the samples"
    np.testing.assert_array_equal(X.static, static)
    model = LastStep().fit(X, [0.0, 1.0])
    assert model.n_features_in_ == model.n_channels_in_ == 4
    if all(named):
        assert list(model.feature_names_in_) == ["x", "z", "u", "v"]
        assert list(X[1:].feature_names) == ["x", "z", "u", "v"]
    else:
        assert X.feature_names is None
        assert not hasattr(model, "feature_names_in_")


def test_static_features_of_a_long_frame_are_aligned_with_its_instances():
    frame = long_frame()  # of b, a and c
    by_position = [[20, 0.2], [10, 0.1], [30, 0.3]]
    expected = with_static([frame.loc[[k]].to_numpy() for k in "bac"], by_position)
    rows = {"c": [30, 0.3], "other": [0, 0.0], "a": [10, 0.1], "b": [20, 0.2]}
    static = pd.DataFrame.from_dict(rows, orient="index", columns=["size", "age"])
    columns = frame.reset_index()
    for X in (
        Sequences.from_long(frame, static=static),
        Sequences.from_long(frame, static=static.convert_dtypes()),
        Sequences.from_long(frame, static=by_position),
        Sequences.from_long(columns, "instance", "time", static=static),
    ):
        assert_samples(X, expected)
        assert list(X.index) == ["b", "a", "c"]
        subset = pickle.loads(pickle.dumps(X[[2, 0]]))
        assert list(subset.index) == ["c", "b"]
        np.testing.assert_array_equal(subset[0], expected[2])
    named = Sequences.from_long(frame, static=static)
    assert list(named.feature_names) == ["x", "z", "size", "age"]
    sizes = Sequences.from_long(frame, static=static["size"])
    np.testing.assert_array_equal(sizes.static, [[20], [10], [30]])
    assert list(sizes.feature_names) == ["x", "z", "size"]


@pytest.mark.parametrize(
    ("static", "pattern"),
    [
        (np.ones((2, 1)), r"each of the 3 samples, but has shape \(2, 1\)"),
        (np.ones((3, 0)), r"has shape \(3, 0\)"),
        (np.ones((3, 2, 1)), r"has shape \(3, 2, 1\)"),
        (1.0, r"has shape \(\)"),
        ([[1], [2, 3], [4]], "rows of static are irregular"),
        ([["a"], ["b"], ["c"]], "static holds strings"),
        (np.ones((3, 1)) * 1j, "static is complex"),
        (np.ma.masked_array(np.ones((3, 1)), np.eye(3, 1)), "Masked.*: static"),
        (pd.DataFrame({"d": ["x", "y", "z"]}, index=list("abc")), "static column 'd' "),
        (pd.Series(1.0, index=list("ac")), "no row for instance 'b'"),
        (pd.Series(1.0, index=[0, 1, 2]), "no row for instance 'b': its index"),
        (pd.Series(1.0, index=list("abcc")), "more than one row for instance 'c'"),
    ],
    ids=str,
)
def test_static_features_that_are_refused(static, pattern):
    with pytest.raises(ValueError, match=pattern):
        Sequences.from_long(long_frame(), static=static)
    if not isinstance(static, pd.Series):
        with pytest.raises(ValueError, match=pattern):
            Sequences(SAMPLES, static=static)


def test_the_place_of_a_static_feature_that_is_not_finite():
    static = [[0, 1], [2, np.nan], [4, 5]]
    with pytest.raises(ValueError, match="NaN: sample 1, step 0, channel 3"):
        check(Sequences(SAMPLES, static=static))
    huge = Sequences([s.astype(np.float32) for s in SAMPLES], static=[1e300, 0, 0])
    with pytest.raises(ValueError, match="infinity.*: sample 0, step 0, channel 2"):
        check(huge)


# Where NaN is allowed ---------------------------------------------------------------


def check_with_nan(X, n_channels=None):
    return check_sequences(
        LastStep(), X, reset=True, n_channels=n_channels, allow_nan=True
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "make",
    [
        list,
        np.stack,
        Sequences,
        as_object_array,
        lambda samples: [pd.DataFrame(s) for s in samples],
        lambda samples: pd.concat(dict(enumerate(map(pd.DataFrame, samples)))),
    ],
)
def test_nan_passes_where_it_is_allowed_and_infinity_never(make, dtype):
    samples = ragged([9, 9, 9], dtype=dtype)
    samples[0][0] = samples[1][7, 1] = samples[2][:] = np.nan
    assert_samples(check_with_nan(make(samples)), samples)
    for value in (np.inf, -np.inf):
        samples[1][8, 0] = value
        with pytest.raises(ValueError, match="infinity.*: sample 1, step 8, channel 0"):
            check_with_nan(make(samples))


def test_nan_passes_in_rows():
    X = np.arange(12.0).reshape(3, 4)
    X[1, 3] = X[2, 0] = np.nan
    for rows in (X, X.tolist(), pd.DataFrame(X), pd.DataFrame(X).convert_dtypes()):
        assert_samples(check_with_nan(rows), list(X))
    with pytest.raises(ValueError, match="infinity.*: sample 0, step 1, channel 0"):
        check_with_nan(np.array([[1, np.inf], [np.nan, 2]]))


def test_nan_at_the_end_of_flattened_rows_is_padding_where_nan_is_allowed():
    nan = np.nan
    X = np.array(
        [
            [nan, 2, nan, nan, 5, nan, nan, nan],
            [1, 2, 3, 4, 5, 6, nan, 8],
            [nan, nan, 3, 4, nan, nan, nan, nan],
        ]
    )
    lengths = [3, 4, 2]
    expected = [row[: 2 * n].reshape(n, 2) for row, n in zip(X, lengths, strict=True)]
    assert_samples(check_with_nan(X, n_channels=2), expected)
    X[1, 6] = np.inf
    with pytest.raises(ValueError, match="infinity.*: sample 1, step 3, channel 0"):
        check_with_nan(X, n_channels=2)
    X[1] = nan
    with pytest.raises(ValueError, match="no steps: sample 1"):
        check_with_nan(X, n_channels=2)


def test_static_features_may_be_missing_where_nan_is_allowed():
    static = [[0.0], [np.nan], [1.0]]
    data = check_with_nan(Sequences(SAMPLES, static=static))
    assert_samples(data, with_static(SAMPLES, static))


# What fit saw and predict gets ----------------------------------------------------

ROWS = {"n_features_in_": 6, "n_channels_in_": 1}
FLAT = {"n_features_in_": 6, "n_channels_in_": 2}
ONE = {"n_features_in_": 1, "n_channels_in_": 1}
TWO = {"n_features_in_": 2, "n_channels_in_": 2}


@pytest.mark.parametrize(
    ("fitted", "X", "n_channels"),
    [
        (ROWS, np.ones((3, 6)), None),
        (ROWS, np.ones((3, 9, 1)), None),
        (ROWS, [np.ones(2), np.ones(3)], None),
        (FLAT, np.ones((3, 6)), 2),
        (FLAT, np.ones((3, 9, 2)), 2),
        (FLAT, ragged([1, 5]), 2),
        (ONE, np.ones((3, 9)), None),
        (ONE, [np.ones(2), np.ones(3)], None),
        (TWO, np.ones((3, 9, 2)), None),
        (TWO, ragged([1, 5]), None),
        (TWO, np.ones((3, 8)), 2),
    ],
)
def test_predict_takes_every_form_of_the_channels_of_fit(fitted, X, n_channels):
    assert len(check(X, n_channels, **fitted)) == len(X)


@pytest.mark.parametrize(
    ("fitted", "X", "n_channels", "pattern"),
    [
        (ROWS, np.ones((3, 5)), None, "X has 5 features, but LastStep is expecting 6 "),
        (FLAT, np.ones((3, 8)), 2, "X has 8 features, but LastStep is expecting 6 "),
        (FLAT, np.ones((3, 6)), 3, "3 channel.*expecting 2"),
        (ROWS, np.ones((3, 6, 2)), None, "has 2 features.*expecting 1 .*6 columns"),
        (FLAT, ragged([3], 3), None, "has 3 features.*expecting 2 .*6 columns"),
        (TWO, np.ones((3, 2)), None, "expecting 2.*n_timesteps, 2.*n_channels=2"),
        (
            TWO,
            np.ones((3, 4, 3)),
            None,
            "X has 3 features, but LastStep is expecting 2 features as input",
        ),
        (TWO, ragged([3], 1), None, "X has 1 features, but LastStep is expecting 2 "),
    ],
)
def test_predict_refuses_other_channels(fitted, X, n_channels, pattern):
    with pytest.raises(ValueError, match=pattern):
        check(X, n_channels, **fitted)


def test_predict_sets_nothing():
    for X in (np.ones((3, 4)), np.ones((3, 4, 2)), Sequences(SAMPLES), long_frame()):
        model = LastStep().fit(X, np.arange(3))
        before = copy.deepcopy(vars(model))
        model.predict(X)
        assert vars(model).keys() == before.keys()
        for name, value in before.items():
            np.testing.assert_array_equal(vars(model)[name], value)


def test_channel_names_are_feature_names():
    frames = [pd.DataFrame(s, columns=["u", "v"]) for s in SAMPLES]
    y = np.arange(3.0)
    for X in (frames, pd.concat(frames, keys=[*"bac"]), Sequences(frames)):
        model = LastStep().fit(X, y)
        assert list(model.feature_names_in_) == ["u", "v"]
        model.predict(X)
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            model.predict(SAMPLES)
        with pytest.raises(ValueError, match="(?s)should match.*unseen.*- w"):
            model.predict([f.rename(columns={"v": "w"}) for f in frames])
        with pytest.raises(ValueError, match="(?s)should match.*same order"):
            model.predict([f[["v", "u"]] for f in frames])
        model.fit(SAMPLES, y)
        assert not hasattr(model, "feature_names_in_")
    unnamed = LastStep().fit([pd.DataFrame(s) for s in SAMPLES], y)
    assert not hasattr(unnamed, "feature_names_in_")


def test_names_of_time_steps_are_not_names_of_channels():
    wide = pd.DataFrame(np.arange(12.0).reshape(3, 4), columns=list("abcd"))
    model = LastStep().fit(wide, np.arange(3))
    assert list(model.feature_names_in_) == list("abcd")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict([pd.DataFrame({"u": [1.0, 2.0]})])
    with pytest.warns(UserWarning, match="valid feature names"):
        model.predict(wide.to_numpy())


@pytest.mark.contract
def test_check_estimator():
    results = check_estimator(LastStep(), on_fail=None, on_skip=None)
    failed = [r for r in results if r["status"] not in ("passed", "skipped")]
    assert len(results) > 40 and failed == []


def test_pandas_is_imported_by_frames_only():
    code = """
import sys
import numpy as np
from sklearn.base import BaseEstimator
import sklearn.utils.validation  # some versions import pandas themselves
before = "pandas" in sys.modules
from skrnn.sequences import check_sequences
for X in ([np.ones(2), np.ones(3)], np.ones((2, 3)), np.ones((2, 3, 1))):
    check_sequences(BaseEstimator(), X, reset=True)
assert ("pandas" in sys.modules) == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)
