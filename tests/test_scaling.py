"""Standardisation of sequences: the statistics, and the transformer around them."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator

from skrnn import canonical
from skrnn.canonical import canonical_rows
from skrnn.scaling import SequenceScaler, channel_statistics, target_statistics
from skrnn.sequences import PaddedData, Sequences, check_sequences


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(canonical.row_blocks, "__defaults__", (200,))


def ragged(seed=0, n=20, n_channels=2, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [
        rng.normal(
            [1, -5, 100][:n_channels], [1, 3, 0.1][:n_channels], (t, n_channels)
        ).astype(dtype)
        for t in rng.integers(1, 9, n)
    ]


# The statistics --------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_statistics_are_those_of_all_steps(small_blocks, dtype, weighted):
    X = ragged(dtype=dtype, n_channels=3)
    weight = np.arange(20) % 4.0 if weighted else None
    steps = np.concatenate(X).astype(np.float64)
    step_weights = np.repeat(weight, [len(x) for x in X]) if weighted else None
    expected = np.average(steps, axis=0, weights=step_weights)
    variance = np.average((steps - expected) ** 2, axis=0, weights=step_weights)

    mean, scale = channel_statistics(Sequences(X), weight)

    assert mean.dtype == scale.dtype == np.float64
    np.testing.assert_allclose(mean, expected, rtol=1e-13)
    np.testing.assert_allclose(scale, np.sqrt(variance), rtol=1e-12)


def test_statistics_of_some_rows():
    X = ragged()
    rows = np.array([3, 7, 4])
    weight = np.array([1.0, 0.5, 2.0])
    some = Sequences([X[row] for row in rows])
    np.testing.assert_array_equal(
        channel_statistics(Sequences(X), weight, rows), channel_statistics(some, weight)
    )
    np.testing.assert_array_equal(
        channel_statistics(Sequences(X), rows=rows), channel_statistics(some)
    )


def test_statistics_do_not_depend_on_the_container(small_blocks):
    X = np.random.default_rng(0).normal(size=(30, 4, 2))
    np.testing.assert_array_equal(
        channel_statistics(PaddedData(X)), channel_statistics(Sequences(list(X)))
    )


def test_statistics_of_canonical_rows_are_bitwise_the_same():
    X = np.array(ragged(n=40), dtype=object)
    y = np.zeros(40)
    weight = np.arange(40) % 3
    repeated = np.random.default_rng(0).permutation(np.repeat(np.arange(40), weight))
    sets = [
        (Sequences(list(X)), y, weight.astype(float)),
        (Sequences(list(X[repeated])), y[repeated], None),
    ]
    results = []
    for data, target, sample_weight in sets:
        rows, weights = canonical_rows(data, target, sample_weight)
        results.append(channel_statistics(data, weights, rows))
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("offset", [0, 1e8, -1e12])
def test_a_large_offset_costs_no_more_than_its_rounding(small_blocks, offset):
    noise = np.random.default_rng(0).integers(-8, 9, size=(50, 20)).astype(float)
    mean, scale = channel_statistics(PaddedData(noise + offset))
    rounding = 1e-14 + abs(offset) * np.finfo(float).eps
    np.testing.assert_allclose(mean - offset, noise.mean(), rtol=0, atol=rounding)
    np.testing.assert_allclose(scale, noise.std(), rtol=0, atol=rounding)


@pytest.mark.parametrize("size", [1e-320, 1e-300, 1e-160, 1e160, 1e300, 1e307])
def test_huge_and_tiny_values(small_blocks, size):
    values = np.random.default_rng(0).uniform(-1, 1, size=(50, 20))
    mean, scale = channel_statistics(PaddedData(values * size))
    rtol = 1e-2 if size < 1e-310 else 1e-12  # such numbers have few bits
    np.testing.assert_allclose(mean / size, values.mean(), rtol=rtol)
    np.testing.assert_allclose(scale / size, values.std(), rtol=rtol)


def test_channels_of_different_size_do_not_disturb_each_other():
    values = np.random.default_rng(0).normal(size=(50, 20, 3))
    sizes = np.array([1e-300, 1.0, 1e300])
    mean, scale = channel_statistics(PaddedData(values * sizes))
    np.testing.assert_allclose(scale / sizes, values.std(axis=(0, 1)), rtol=1e-12)
    np.testing.assert_allclose(mean / sizes, values.mean(axis=(0, 1)), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -1e8 / 3, 1e30, 1e-30, 5e-324])
@pytest.mark.parametrize("weighted", [False, True])
def test_constant_channels_have_scale_one(small_blocks, dtype, value, weighted):
    X = np.full((37, 11, 2), value, dtype=dtype)
    X[:, :, 1] = np.random.default_rng(0).normal(size=(37, 11))
    weight = np.random.default_rng(1).random(37) if weighted else None
    mean, scale = channel_statistics(PaddedData(X), weight)
    assert mean[0] == dtype(value)
    assert scale[0] == 1
    assert 0.5 < scale[1] < 1.5


def test_what_varies_by_rounding_alone_is_constant():
    X = np.full((10, 5), 0.3)
    X[::2] = 0.1 + 0.2  # not 0.3
    assert np.ptp(X) > 0
    assert channel_statistics(PaddedData(X))[1] == 1
    X[::2] = 0.3 + 1e-12
    np.testing.assert_allclose(channel_statistics(PaddedData(X))[1], 5e-13, rtol=1e-3)


def test_samples_without_weight_are_not_seen(small_blocks):
    X = ragged(n=10)
    outliers = [x * 1e200 for x in X]
    mixed = [s for pair in zip(outliers, X, strict=True) for s in pair]
    np.testing.assert_array_equal(
        channel_statistics(Sequences(mixed), np.tile([0.0, 1.0], 10)),
        channel_statistics(Sequences(X), np.ones(10)),
    )


def test_targets():
    y = np.random.default_rng(0).normal([1e8, 2], [1, 0], size=(100, 2))
    weight = np.random.default_rng(1).random(100)
    mean, scale = target_statistics(y, weight)
    expected = np.average(y - [1e8, 0], axis=0, weights=weight)
    np.testing.assert_allclose(mean - [1e8, 0], expected, atol=1e-7)
    assert scale[1] == 1
    spread = np.average((y[:, 0] - mean[0]) ** 2, weights=weight) ** 0.5
    np.testing.assert_allclose(scale[0], spread, rtol=1e-7)


def test_targets_of_one_output_and_of_integers_are_left_as_they_are():
    y = np.array([1, 2, 3, 6])
    mean, scale = target_statistics(y)
    np.testing.assert_array_equal(y, [1, 2, 3, 6])
    np.testing.assert_allclose(mean, [3])
    np.testing.assert_allclose(scale, [np.std(y)])


@pytest.mark.parametrize("weighted", [False, True])
def test_targets_of_some_rows(weighted):
    rng = np.random.default_rng(0)
    y, rows = rng.normal(size=50), rng.permutation(50)[:30]
    weight = rng.integers(0, 3, 30).astype(float) if weighted else None
    before = y.copy()
    of_rows = target_statistics(y, weight, rows)
    np.testing.assert_array_equal(y, before)
    np.testing.assert_array_equal(of_rows, target_statistics(y[rows], weight))


def test_statistics_need_little_memory(tmp_path):
    shape = (20_000, 50, 1)
    X = np.memmap(tmp_path / "X", dtype=np.float64, mode="w+", shape=shape)
    tracemalloc.start()
    channel_statistics(PaddedData(X), np.ones(len(X)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < X.nbytes / 3


def test_all_weights_zero():
    with pytest.raises(ValueError, match="sample_weight must not be zero"):
        channel_statistics(PaddedData(np.ones((3, 2))), np.zeros(3))
    with pytest.raises(ValueError, match="sample_weight must not be zero"):
        target_statistics(np.ones(3), np.zeros(3))


# The transformer -------------------------------------------------------------


SCALERS = [
    SequenceScaler(),
    SequenceScaler(with_mean=False),
    SequenceScaler(with_std=False),
    SequenceScaler(n_channels=1),
]


def name_of(value):
    return getattr(getattr(value, "func", None), "__name__", str(value))


# A list: what parametrize_with_checks of scikit-learn 1.6 gives, pytest 9 refuses.
@pytest.mark.parametrize(
    ("estimator", "check"),
    [pair for scaler in SCALERS for pair in estimator_checks_generator(scaler)],
    ids=name_of,
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


class MeanRegressor(RegressorMixin, BaseEstimator):
    """Predict the mean of a sequence's steps, times a factor."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y):
        check_sequences(self, X, reset=True)
        return self

    def predict(self, X):
        data = check_sequences(self, X, reset=False)
        ends = np.cumsum(data.lengths)
        sums = np.add.reduceat(data.take(np.arange(len(data))), ends - data.lengths)
        return self.factor * (sums / data.lengths[:, np.newaxis]).sum(axis=1)


def long_frame():
    keys = [("b", 1), ("a", 1), ("b", 2), ("a", 2), ("b", 5), ("c", 1)]  # interleaved
    index = pd.MultiIndex.from_tuples(keys, names=["who", "when"])
    values = {"x": [1.0, 2, 3, 4, 5, 6], "z": [0.5, 0, 0, 0, 0, 1]}
    return pd.DataFrame(values, index=index)


def standardized(steps):
    return (steps - steps.mean(axis=0)) / steps.std(axis=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_array_of_series_has_one_mean_and_one_scale(small_blocks, dtype):
    X = np.random.default_rng(0).normal(3, 2, size=(20, 6)).astype(dtype)
    scaler = SequenceScaler().fit(X)
    Z = scaler.transform(X)
    assert scaler.mean_.shape == scaler.scale_.shape == scaler.var_.shape == (1,)
    assert scaler.n_steps_seen_ == 120
    assert scaler.n_features_in_ == 6
    assert Z.dtype == dtype
    np.testing.assert_allclose(Z, (X - X.mean()) / X.std(), rtol=1e-4, atol=1e-6)
    assert list(scaler.get_feature_names_out()) == [f"x{i}" for i in range(6)]


def test_array_with_channels(small_blocks):
    X = np.random.default_rng(0).normal([3, -1], [2, 9], size=(20, 6, 2))
    Z = SequenceScaler().fit_transform(X)
    assert isinstance(Z, np.ndarray)
    np.testing.assert_allclose(Z, (X - X.mean((0, 1))) / X.std((0, 1)), rtol=1e-10)


@pytest.mark.parametrize("container", [list, tuple, Sequences, "objects"])
def test_ragged(small_blocks, container):
    X = ragged()
    if container == "objects":
        given_X = np.empty(len(X), dtype=object)
        given_X[:] = X
    else:
        given_X = container(X)
    Z = SequenceScaler().fit_transform(given_X)
    assert isinstance(Z, Sequences)
    expected = standardized(np.concatenate(X))
    np.testing.assert_allclose(np.concatenate(Z.to_list()), expected, rtol=1e-9)
    np.testing.assert_array_equal(Z.lengths, [len(x) for x in X])


def test_series_of_arrays():
    X = pd.Series([x[:, 0] for x in ragged(n=4)], index=list("aabb"))
    Z = SequenceScaler().fit_transform(X)
    assert isinstance(Z, Sequences)
    expected = standardized(np.concatenate(X.tolist()))
    np.testing.assert_allclose(np.concatenate(Z.to_list())[:, 0], expected, rtol=1e-9)


def test_lists_of_equal_length_stay_sequences():
    X = [np.ones((3, 2)), np.zeros((3, 2))]
    assert isinstance(SequenceScaler().fit_transform(X), Sequences)


def test_list_of_frames_keeps_the_names():
    X = [pd.DataFrame(x, columns=["a", "b"]) for x in ragged(n=3)]
    scaler = SequenceScaler()
    Z = scaler.fit_transform(X)
    assert list(scaler.feature_names_in_) == ["a", "b"]
    SequenceScaler().fit(X).transform(Z)  # names are those of fit: no warning
    assert list(Z.feature_names) == ["a", "b"]


def test_nested_lists_of_numbers_are_an_array():
    Z = SequenceScaler().fit_transform([[1, 2], [3, 4]])
    np.testing.assert_allclose(Z, (np.array([[1, 2], [3, 4]]) - 2.5) / np.sqrt(1.25))


def test_long_frame_gives_a_frame_in_the_order_of_its_rows():
    frame = long_frame()
    Z = SequenceScaler().fit_transform(frame)
    pd.testing.assert_frame_equal(
        Z, (frame - frame.mean()) / frame.std(ddof=0), check_exact=False
    )


def test_long_series_gives_a_series():
    series = long_frame()["x"]
    Z = SequenceScaler().fit_transform(series)
    pd.testing.assert_series_equal(Z, (series - 3.5) / series.std(ddof=0))


def test_subset_of_sequences():
    X = Sequences(ragged())
    scaler = SequenceScaler().fit(X)
    every, some = scaler.transform(X), scaler.transform(X[[5, 2]])
    np.testing.assert_array_equal(some[0], every[5])
    np.testing.assert_array_equal(some[1], every[2])


def test_flattened_rows_with_padding():
    X = np.array([[1, 10, 3, 30], [5, 50, np.nan, np.nan]], dtype=float)
    scaler = SequenceScaler(n_channels=2)
    Z = scaler.fit_transform(X)
    np.testing.assert_allclose(scaler.mean_, [3, 30])
    np.testing.assert_allclose(scaler.scale_, np.sqrt([8 / 3, 800 / 3]))
    a = np.sqrt(1.5)
    np.testing.assert_allclose(Z, [[-a, -a, 0, 0], [a, a, np.nan, np.nan]], atol=1e-15)
    np.testing.assert_allclose(scaler.inverse_transform(Z), X)
    # Padding of every row keeps the width.
    assert scaler.transform(X[1:]).shape == (1, 4)
    assert len(scaler.get_feature_names_out()) == 4


@pytest.mark.parametrize("with_mean", [True, False])
@pytest.mark.parametrize("with_std", [True, False])
def test_inverse_transform_and_switches(with_mean, with_std):
    X = np.random.default_rng(0).normal([3, -1], [2, 9], size=(20, 6, 2))
    scaler = SequenceScaler(with_mean=with_mean, with_std=with_std).fit(X)
    Z = scaler.transform(X)
    np.testing.assert_allclose(
        Z.mean((0, 1)), np.where(with_mean, 0, Z.mean((0, 1))), atol=1e-12
    )
    np.testing.assert_allclose(Z.std((0, 1)), 1 if with_std else X.std((0, 1)))
    if not with_mean:
        np.testing.assert_allclose(Z, X / (X.std((0, 1)) if with_std else 1))
    assert (scaler.scale_ is None) is not with_std
    np.testing.assert_allclose(scaler.inverse_transform(Z), X, rtol=1e-12)


@given(
    cuts=st.lists(st.integers(1, 29), unique=True, max_size=4),
    weighted=st.booleans(),
    offset=st.sampled_from([0.0, 1e6, 1e200]),
)
def test_partial_fits_are_one_fit(cuts, weighted, offset):
    X = Sequences([x * max(1, offset / 10) + offset for x in ragged(n=30)])
    weight = np.random.default_rng(0).random(30) if weighted else None
    whole = SequenceScaler().fit(X, sample_weight=weight)
    parts = SequenceScaler()
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), 30], strict=True):
        part = None if weight is None else weight[start:stop]
        parts.partial_fit(X[start:stop], sample_weight=part)
    np.testing.assert_allclose(parts.mean_, whole.mean_, rtol=1e-10)
    np.testing.assert_allclose(parts.scale_, whole.scale_, rtol=1e-8)
    np.testing.assert_allclose(parts.n_steps_seen_, whole.n_steps_seen_, rtol=1e-12)
    # And fit begins anew.
    np.testing.assert_array_equal(
        parts.fit(X[:5]).scale_, SequenceScaler().fit(X[:5]).scale_
    )


def test_partial_fits_of_a_constant_keep_it_constant():
    scaler = SequenceScaler()
    for n in range(1, 30):
        scaler.partial_fit(np.full((n, 3), 0.1))
    assert scaler.scale_ == 1
    assert scaler.mean_ == 0.1
    scaler.partial_fit(np.full((5, 3), 0.2))
    assert scaler.scale_ < 0.1


@pytest.mark.parametrize("kind", [list, Sequences])
def test_weights_are_repetitions(kind):
    X = ragged(n=20)
    weight = np.arange(20) % 4
    repeated = [x for x, w in zip(X, weight, strict=True) for _ in range(w)]
    weighted = SequenceScaler().fit(kind(X), sample_weight=weight)
    copied = SequenceScaler().fit(kind(repeated))
    np.testing.assert_allclose(weighted.mean_, copied.mean_, rtol=1e-13)
    np.testing.assert_allclose(weighted.scale_, copied.scale_, rtol=1e-13)
    assert weighted.n_steps_seen_ == copied.n_steps_seen_


def test_one_weight_for_each_instance_of_a_frame():
    frame = long_frame()
    scaler = SequenceScaler().fit(frame, sample_weight=[0, 1, 0])  # b, a, c
    np.testing.assert_allclose(scaler.mean_, [3, 0])
    with pytest.raises(ValueError, match="sample_weight"):
        SequenceScaler().fit(frame, sample_weight=np.ones(len(frame)))


def test_bad_weights():
    X = np.ones((2, 3))
    with pytest.raises(ValueError, match="Negative values in .*sample_weight"):
        SequenceScaler().fit(X, sample_weight=[1, -1])
    with pytest.raises(ValueError, match="zero"):
        SequenceScaler().fit(X, sample_weight=[0, 0])


def test_extreme_values_are_scaled():
    X = np.random.default_rng(0).normal(size=(20, 5, 2)) * [1e-300, 1e300]
    Z = SequenceScaler().fit_transform(X)
    np.testing.assert_allclose(Z.std((0, 1)), 1)
    scaler = SequenceScaler().fit(X[:10]).partial_fit(X[10:])
    np.testing.assert_allclose(scaler.transform(X), Z)


def test_input_is_not_changed_and_may_be_read_only():
    X = np.random.default_rng(0).normal(size=(20, 5, 2))
    before = X.copy()
    X.setflags(write=False)
    scaler = SequenceScaler().fit(X)
    scaler.inverse_transform(scaler.transform(X))
    np.testing.assert_array_equal(X, before)
    sequences = Sequences(list(before))
    kept = sequences.values.copy()
    SequenceScaler().fit_transform(sequences)
    np.testing.assert_array_equal(sequences.values, kept)


def test_pandas_output_for_columns():
    X = pd.DataFrame(
        np.arange(12.0).reshape(4, 3), columns=list("abc"), index=[9, 8, 7, 6]
    )
    Z = SequenceScaler().set_output(transform="pandas").fit_transform(X)
    pd.testing.assert_frame_equal(Z, (X - 5.5) / np.arange(12).std())
    assert isinstance(SequenceScaler().fit_transform(X), np.ndarray)


@pytest.mark.parametrize("kind", [np.stack, list, Sequences, long_frame])
def test_global_pandas_output_leaves_sequences_alone(kind):
    X = long_frame() if kind is long_frame else kind([np.eye(2), np.ones((2, 2))])
    expected = Sequences if kind is list else type(X)
    with config_context(transform_output="pandas"):
        scaler = SequenceScaler()
        assert type(scaler.fit_transform(X)) is expected
        assert type(scaler.transform(X)) is expected
    assert not hasattr(scaler, "get_feature_names_out")


def test_weights_are_routed_through_a_pipeline():
    X, weight = ragged(n=20), np.arange(20.0)
    with config_context(enable_metadata_routing=True):
        scaler = SequenceScaler().set_fit_request(sample_weight=True)
        pipeline = make_pipeline(scaler, MeanRegressor())
        pipeline.fit(X, np.zeros(20), sample_weight=weight)
    expected = SequenceScaler().fit(X, sample_weight=weight)
    np.testing.assert_array_equal(pipeline[0].mean_, expected.mean_)


def test_not_fitted():
    with pytest.raises(NotFittedError):
        SequenceScaler().transform(np.ones((2, 3)))
    with pytest.raises(NotFittedError):
        SequenceScaler().get_feature_names_out()


def test_other_channels_than_in_fit():
    scaler = SequenceScaler().fit(np.ones((2, 3, 2)))
    assert scaler.transform(np.ones((2, 7, 2))).shape == (2, 7, 2)
    with pytest.raises(ValueError, match="X has 3 features"):
        scaler.transform(np.ones((2, 3, 3)))
    with pytest.raises(ValueError, match="X has 3 features"):
        scaler.partial_fit(np.ones((2, 3, 3)))


def test_float32_is_preserved_and_said_to_be():
    assert get_tags(SequenceScaler()).transformer_tags.preserves_dtype == [
        "float64",
        "float32",
    ]
    X = Sequences(ragged(dtype=np.float32))
    scaler = SequenceScaler().fit(X)
    Z = scaler.transform(X)
    assert Z.dtype == scaler.inverse_transform(Z).dtype == np.float32
    np.testing.assert_allclose(scaler.inverse_transform(Z).values, X.values, rtol=1e-5)


def test_clone_and_pickle():
    scaler = SequenceScaler(with_mean=False)
    assert clone(scaler).get_params() == scaler.get_params()
    X = Sequences(ragged())
    scaler.fit(X)
    loaded = pickle.loads(pickle.dumps(scaler))
    np.testing.assert_array_equal(
        loaded.transform(X).values, scaler.transform(X).values
    )
    loaded.partial_fit(X)  # what is needed to go on is there
    np.testing.assert_allclose(loaded.scale_, scaler.scale_)


@pytest.mark.parametrize("kind", [list, Sequences, np.stack])
def test_pipeline_and_grid_search(kind):
    rng = np.random.default_rng(0)
    lengths = np.full(40, 5) if kind is np.stack else rng.integers(1, 9, 40)
    X = [rng.normal(7, 3, (length, 1)) for length in lengths]
    y = np.array([x.mean() for x in X])
    pipeline = make_pipeline(SequenceScaler(), MeanRegressor())
    grid = {"sequencescaler__with_std": [True, False], "meanregressor__factor": [0, 1]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(kind(X), y)
    assert search.best_params_["meanregressor__factor"] == 1
    assert search.predict(kind(X)).shape == (40,)
    assert cross_val_score(pipeline, kind(X), y, cv=3, error_score="raise").shape == (
        3,
    )
