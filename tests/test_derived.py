"""Data sets computed from data sets: each against plain NumPy, sample by sample."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context

from skrnn import RNNRegressor, _reading
from skrnn.blocks import row_blocks
from skrnn.canonical import canonical_rows
from skrnn.scaling import SequenceScaler, channel_statistics
from skrnn.sequences import (
    Beside,
    Differences,
    Filled,
    Frames,
    Indicator,
    PaddedData,
    Sequences,
    SkipMissing,
    SkipPadding,
    backward_to,
)

# What the data sets are to hold: from one sample to one sample ---------------------


def framed(steps, n):
    missing = -len(steps) % n
    whole = np.concatenate([steps, *[steps[-1:]] * missing])
    return np.array([whole[i : i + n].ravel() for i in range(0, len(whole), n)])


def with_differences(steps):
    change = np.diff(steps, axis=0, prepend=steps[:1])
    change[0] = 0
    return np.hstack([steps, change])


def complete(steps):
    return np.array([step for step in steps if not np.isnan(step).any()])


def with_indicator(steps):
    return np.hstack([steps, np.isnan(steps).astype(steps.dtype)])


def make_samples(lengths, n_channels=2, dtype=np.float64, missing=0.0, seed=0):
    """Random samples; a share of their values is NaN, but none at the first step."""
    rng = np.random.default_rng(seed)
    samples = [rng.normal(size=(n, n_channels)).astype(dtype) for n in lengths]
    for sample in samples:
        sample[1:][rng.random((len(sample) - 1, n_channels)) < missing] = np.nan
    return samples


def forms(samples):
    """The samples in both forms; what follows a padded sample must not be read."""
    shape = (len(samples), max(map(len, samples)), samples[0].shape[1])
    padded = np.full(shape, 777, samples[0].dtype)
    for row, sample in zip(padded, samples, strict=True):
        row[: len(sample)] = sample
    return Sequences(samples), PaddedData(padded, [len(s) for s in samples])


def assert_holds(data, expected):
    """The data set holds these samples, however they are taken."""
    dtype = expected[0].dtype
    assert len(data) == len(expected)
    assert data.dtype == dtype
    assert data.n_channels == expected[0].shape[1]
    assert data.lengths.dtype == np.int64
    np.testing.assert_array_equal(data.lengths, [len(s) for s in expected])
    everything = np.arange(len(expected))
    for rows in (everything, everything[::-1], everything[:0], everything[[-1, 0, 0]]):
        assert_takes(data, rows, [expected[row] for row in rows])
    for rows in (slice(None), slice(1, 3), slice(None, None, -1), slice(0, 0)):
        assert_takes(data, rows, expected[rows])
    for max_bytes in (1, 100, 2**18):
        for cut in (data.blocks(max_bytes), row_blocks(data, everything, max_bytes)):
            cut = list(cut)
            for block in cut:
                taken = data.take(everything[block])
                assert taken.nbytes <= max_bytes or block.stop - block.start == 1
            taken = [data.take(block) for block in cut]
            np.testing.assert_array_equal(
                np.concatenate(taken), np.concatenate(expected)
            )


def assert_takes(data, rows, expected):
    steps = data.take(rows)
    nothing = np.empty((0, data.n_channels), data.dtype)
    np.testing.assert_array_equal(steps, np.concatenate([nothing, *expected]))
    assert steps.dtype == data.dtype
    assert steps.flags.c_contiguous and steps.flags.writeable


CASES = {
    "lengths": st.lists(st.integers(1, 9), min_size=1, max_size=12),
    "n_channels": st.integers(1, 3),
    "dtype": st.sampled_from([np.float32, np.float64]),
    "seed": st.integers(0, 99),
}

# One after the other ----------------------------------------------------------------


@given(n=st.integers(1, 12), **CASES)
def test_frames(n, lengths, n_channels, dtype, seed):
    samples = make_samples(lengths, n_channels, dtype, seed=seed)
    for data in forms(samples):
        assert_holds(Frames(data, n), [framed(s, n) for s in samples])


def test_frames_of_whole_arrays_need_no_repetition():
    X = np.arange(24.0).reshape(2, 6, 2)
    np.testing.assert_array_equal(
        Frames(PaddedData(X), 3).take(np.array([1, 0])),
        X[::-1].reshape(4, 6),
    )


@given(missing=st.sampled_from([0.0, 0.4]), **CASES)
def test_differences(missing, lengths, n_channels, dtype, seed):
    samples = make_samples(lengths, n_channels, dtype, missing, seed)
    for data in forms(samples):
        assert_holds(Differences(data), [with_differences(s) for s in samples])


def test_the_first_difference_is_0_where_the_first_value_is_missing():
    data = Differences(Sequences([[np.nan, 1.0, 3.0], [np.nan]]))
    np.testing.assert_array_equal(data.take(slice(None))[:, 1], [0, np.nan, 2, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_differences_are_never_infinite(dtype):
    largest = np.finfo(dtype).max
    sample = np.array([largest, -largest, largest], dtype)
    taken = Differences(Sequences([sample])).take(slice(None))
    np.testing.assert_array_equal(taken[:, 1], [0, -largest, largest])


@given(missing=st.sampled_from([0.0, 0.3, 1.0]), **CASES)
def test_skip_missing(missing, lengths, n_channels, dtype, seed):
    samples = make_samples(lengths, n_channels, dtype, missing, seed)
    for data in forms(samples):
        skipping = SkipMissing(data)
        assert_holds(skipping, [complete(s) for s in samples])
        rows = np.arange(len(samples))
        for chosen in (rows, rows[::-1], rows[:0], slice(None), slice(None, None, -2)):
            taken = [~np.isnan(samples[row]).any(axis=1) for row in rows[chosen]]
            kept = skipping.kept(chosen)
            assert kept.dtype == bool
            np.testing.assert_array_equal(kept, np.concatenate([[], *taken]))
            np.testing.assert_array_equal(
                data.take(chosen)[kept], skipping.take(chosen)
            )


@given(missing=st.sampled_from([0.0, 0.4]), **CASES)
def test_padding_and_what_is_missing_are_skipped_together(
    missing, lengths, n_channels, dtype, seed
):
    samples = make_samples(lengths, n_channels, dtype, missing, seed)
    rng = np.random.default_rng(seed)
    for sample in samples:
        sample[:, 0] = rng.integers(0, 2, len(sample))
        sample[0] = 1  # some step of each sample is left
    kept = [(s[:, 0] != 0) & ~np.isnan(s).any(axis=1) for s in samples]
    for data in forms(samples):
        skipping = SkipPadding(data, [0], 0, missing=True)
        assert_holds(skipping, [s[k] for s, k in zip(samples, kept, strict=True)])
        np.testing.assert_array_equal(skipping.kept(slice(None)), np.concatenate(kept))
        last = len(samples) - 1
        for step, place in enumerate(np.flatnonzero(kept[last])):
            assert skipping.source_step(last, step) == place


@pytest.mark.parametrize(
    ("missing", "message"),
    [(False, "padding_token: sample 1"), (True, r"missing value \(NaN\): sample 0")],
)
def test_a_sample_of_padding_only_is_named(missing, message):
    data = Sequences([[[0, 1], [2, np.nan]], [[0, 1], [0, 2]]])
    with pytest.raises(ValueError, match=message):
        SkipPadding(data, [0], 0, missing)


def test_a_sample_of_missing_steps_only_is_named():
    samples = make_samples([3, 2, 4])
    samples[1][0, 0] = samples[1][1, 1] = np.nan  # each channel has a value
    for data in forms(samples):
        with pytest.raises(ValueError, match=r"\(NaN\): sample 1\. Leave"):
            SkipMissing(data)
    frame = pd.concat(dict(zip("abc", map(pd.DataFrame, samples), strict=True)))
    with pytest.raises(ValueError, match=r"sample 1 \(instance 'b'\)"):
        SkipMissing(Sequences.from_long(frame))


@given(missing=st.sampled_from([0.0, 0.4]), **CASES)
def test_indicator(missing, lengths, n_channels, dtype, seed):
    samples = make_samples(lengths, n_channels, dtype, missing, seed)
    for data in forms(samples):
        assert_holds(Indicator(data), [with_indicator(s) for s in samples])


@given(missing=st.sampled_from([0.0, 0.4]), **CASES)
def test_filled(missing, lengths, n_channels, dtype, seed):
    samples = make_samples(lengths, n_channels, dtype, missing, seed)
    values = np.arange(n_channels) + 0.1
    expected = [np.where(np.isnan(s), values.astype(dtype), s) for s in samples]
    for data in forms(samples):
        assert_holds(Filled(data, values), expected)


@given(**CASES)
def test_beside(lengths, n_channels, dtype, seed):
    left = make_samples(lengths, n_channels, dtype, seed=seed)
    right = make_samples(lengths, 1, np.float32, seed=seed + 1)
    for first, second in ((left, right), (right, left)):
        expected = [np.hstack(pair) for pair in zip(first, second, strict=True)]
        for data in forms(first):
            for other in forms(second):
                assert_holds(Beside(data, other), expected)


def test_beside_needs_the_same_lengths():
    with pytest.raises(ValueError, match="Sample 1 has 2 steps in .* and 4 in the oth"):
        Beside(Sequences(make_samples([3, 2, 4])), Sequences(make_samples([3, 4, 2])))
    with pytest.raises(ValueError, match="have 3 and 1 samples"):
        Beside(Sequences(make_samples([3, 2, 4])), Sequences(make_samples([3])))


# Together -----------------------------------------------------------------------------


@given(n=st.integers(1, 4), skip=st.booleans(), **CASES)
def test_they_compose(n, skip, lengths, n_channels, dtype, seed):
    samples = make_samples(lengths, n_channels, dtype, 0.3, seed)
    first, oracle = (SkipMissing, complete) if skip else (Indicator, with_indicator)
    for data in forms(samples):
        assert_holds(
            Frames(Differences(first(data)), n),
            [framed(with_differences(oracle(s)), n) for s in samples],
        )
        assert_holds(
            Differences(Frames(first(data), n)),
            [with_differences(framed(oracle(s), n)) for s in samples],
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_filled_with_the_mean_is_0_after_standardizing(dtype):
    samples = make_samples([5, 9, 3, 7], 2, dtype, missing=0.4)
    data = Frames(Differences(Indicator(Sequences(samples))), 2)
    mean, scale = channel_statistics(data)
    steps = data.take(slice(None))
    filled = Filled(data, mean).take(slice(None))
    assert np.isnan(steps).sum() > 10
    standardized = (filled - mean.astype(dtype)) / scale.astype(dtype)
    assert (standardized[np.isnan(steps)] == 0).all()
    np.testing.assert_array_equal(filled[~np.isnan(steps)], steps[~np.isnan(steps)])


def test_static_features_are_channels_like_others():
    samples = make_samples([3, 1, 4])
    joined = [np.hstack([s, np.full((len(s), 1), i)]) for i, s in enumerate(samples)]
    data = Sequences(samples, static=[0, 1, 2])
    assert_holds(
        Frames(Differences(data), 2), [framed(with_differences(s), 2) for s in joined]
    )


DERIVE = {
    "frames": lambda data: Frames(data, 2),
    "differences": Differences,
    "skip": SkipMissing,
    "indicator": Indicator,
    "filled": lambda data: Filled(data, [0.5, 0.25]),
    "beside": lambda data: Beside(data, data),
    "all": lambda data: Frames(Differences(SkipMissing(data)), 3),
}


@pytest.mark.parametrize("derive", DERIVE.values(), ids=DERIVE.keys())
def test_identical_samples_merge(derive):
    distinct = make_samples([3, 5, 5, 4], missing=0.3)
    for data in forms([distinct[i] for i in (0, 1, 2, 1, 3, 0, 1)]):
        rows, weights = canonical_rows(derive(data), np.zeros(7))
        assert sorted(zip(rows.tolist(), weights.tolist(), strict=True)) == [
            (0, 2.0),
            (1, 3.0),
            (2, 1.0),
            (4, 1.0),
        ]


def test_targets_beside_tell_samples_apart():
    data = Sequences([[1.0, 2.0]] * 3)
    targets = Sequences([[0, 1], [0, 2], [0, 1]])
    rows, weights = canonical_rows(Beside(data, targets), np.zeros(3))
    assert dict(zip(rows.tolist(), weights.tolist(), strict=True)) == {0: 2.0, 1: 1.0}


@pytest.mark.parametrize("derive", DERIVE.values(), ids=DERIVE.keys())
def test_labels_are_those_of_the_samples(derive):
    frame = pd.concat({key: pd.DataFrame(np.ones((3, 2))) for key in "ba"})
    assert list(derive(Sequences.from_long(frame)).index) == ["b", "a"]
    assert derive(PaddedData(np.ones((3, 2, 2)))).index is None


@pytest.mark.needs_jit
@pytest.mark.parametrize("shuffle", [True, False])
def test_learning_from_them_is_learning_from_their_steps(monkeypatch, shuffle):
    samples = make_samples(np.arange(70) % 9 + 1, 2, np.float32, missing=0.3)
    y = np.array([np.nansum(s) for s in samples])

    def derived(data):
        return Frames(Differences(Filled(Indicator(data), [0.1, 0.2, 0, 0])), 2)

    computed = derived(Sequences(samples))
    laid_out = Sequences([computed.take([row]) for row in range(70)])
    model = RNNRegressor(
        10,
        max_iter=3,
        n_iter_no_change=np.inf,
        early_stopping=True,
        shuffle=shuffle,
        random_state=0,
    )
    expected = model.fit(laid_out, y).predict(laid_out)
    monkeypatch.setattr(_reading, "check_sequences", lambda *_, **__: computed)
    X = samples  # whose place the computed ones take
    np.testing.assert_array_equal(model.fit(X, y).predict(X), expected)


class Witness(PaddedData):
    """Remembers which samples were looked at, and the most steps at a time."""

    def __init__(self, X):
        super().__init__(X)
        self.forget()

    def forget(self):
        self.seen, self.most = set(), 0

    def take(self, rows):
        steps = super().take(rows)
        self.seen.update(np.arange(len(self))[rows].tolist())
        self.most = max(self.most, len(steps))
        return steps


@pytest.mark.parametrize("derive", DERIVE.values(), ids=DERIVE.keys())
def test_only_the_samples_that_are_taken_are_read(tmp_path, derive):
    X = np.random.default_rng(0).normal(size=(50, 400, 2))
    X[:, 1:7] = np.nan
    np.save(tmp_path / "X.npy", X)
    data = Witness(np.load(tmp_path / "X.npy", mmap_mode="r"))
    derived = derive(data)
    assert data.most * 16 <= 2**18, "made by blocks"
    data.forget()
    derived.take(np.array([30, 7]))
    assert data.seen == {7, 30}
    data.forget()
    derived.take(slice(4, 6))
    assert data.seen == {4, 5}


def test_skipping_holds_no_more_than_a_block_of_what_is_left_out():
    X = np.full((500, 400, 2), np.nan)
    X[:, 3] = 1.0
    data = Witness(X)
    skipping = SkipMissing(data)
    assert skipping.take(np.arange(500)).shape == (500, 2)
    assert skipping.kept(slice(None)).sum() == 500
    assert data.most * 16 <= 2**18


def test_nothing_is_copied_of_what_they_are_made_of():
    X = np.ones((4, 6, 2))
    for derive in DERIVE.values():
        for data in (PaddedData(X), Sequences(X)):
            derive(data).take(np.arange(4))[:] = 7
            derive(data).take(slice(None))[:] = 7
            assert (data.take(slice(None)) == 1).all()


# Statistics of what has missing values ----------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("block_bytes", [1, 200, 2**18])
def test_statistics_leave_missing_values_out(monkeypatch, dtype, weighted, block_bytes):
    monkeypatch.setattr(row_blocks, "__defaults__", (block_bytes,))
    samples = make_samples(np.arange(20) % 7 + 1, 3, dtype, missing=0.5)
    samples[0][0] = np.nan
    weight = np.arange(20) % 4 + 0.5 if weighted else None
    step_weights = np.repeat(
        weight if weighted else np.ones(20), [len(s) for s in samples]
    )
    steps = np.concatenate(samples).astype(np.float64)
    mean, scale = channel_statistics(Sequences(samples), weight)
    for channel in range(3):
        there = ~np.isnan(steps[:, channel])
        values, weights = steps[there, channel], step_weights[there]
        expected = np.average(values, weights=weights)
        variance = np.average((values - expected) ** 2, weights=weights)
        np.testing.assert_allclose(mean[channel], expected, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(scale[channel], np.sqrt(variance), rtol=1e-12)


@pytest.mark.parametrize("block_bytes", [1, 2**18])
def test_a_channel_without_values_has_mean_0_and_scale_1(monkeypatch, block_bytes):
    monkeypatch.setattr(row_blocks, "__defaults__", (block_bytes,))
    samples = make_samples([3, 1, 4, 2], 3)
    plain = channel_statistics(Sequences([s[:, [0, 2]] for s in samples]))
    for sample in samples:
        sample[:, 1] = np.nan
    mean, scale = channel_statistics(Sequences(samples), np.ones(4))
    assert (mean[1], scale[1]) == (0, 1)
    np.testing.assert_array_equal([mean[[0, 2]], scale[[0, 2]]], plain)


def test_missing_values_do_not_disturb_other_channels_or_huge_values():
    values = np.random.default_rng(0).normal(size=(50, 20, 2))
    plain = channel_statistics(PaddedData(values))
    sizes = np.array([1e-300, 1e300])
    mean, scale = channel_statistics(PaddedData(values * sizes))
    gaps = values * sizes
    gaps[::2, 3, 0] = np.nan
    np.testing.assert_array_equal(
        np.array(channel_statistics(PaddedData(gaps)))[:, 1], [mean[1], scale[1]]
    )
    np.testing.assert_allclose(
        channel_statistics(PaddedData(gaps))[1][0] / sizes[0], plain[1][0], rtol=0.05
    )


@pytest.mark.parametrize("n_channels", [1, 2])
def test_assume_finite_lets_missing_values_into_the_scaler(n_channels):
    samples = make_samples([5, 3, 6, 4], n_channels, missing=0.4)
    steps = np.concatenate(samples)
    with config_context(assume_finite=True):
        scaler = SequenceScaler().fit(samples[:2]).partial_fit(samples[2:])
    np.testing.assert_array_equal(scaler.n_steps_seen_, (~np.isnan(steps)).sum(axis=0))
    np.testing.assert_allclose(scaler.mean_, np.nanmean(steps, axis=0))
    np.testing.assert_allclose(scaler.scale_, np.nanstd(steps, axis=0))


# Back again -------------------------------------------------------------------------


@given(
    stages=st.lists(st.sampled_from(["differences", "indicator"]), max_size=3),
    skips=st.booleans(),
    n=st.integers(1, 4),
    **CASES,
)
def test_gradients_go_back_through_all_stages(
    stages, skips, n, lengths, n_channels, dtype, seed
):
    """What is computed is linear: its change is the gradient times that of the steps.

    The gradient is that of a weighted sum of all that the last stage computes.
    """
    samples = make_samples(lengths, n_channels, missing=0.3, seed=seed)
    rng = np.random.default_rng(seed)

    def computed(source):
        data = SkipMissing(source) if skips else source
        for stage in stages:
            data = {"differences": Differences, "indicator": Indicator}[stage](data)
        return Frames(Filled(data, np.ones(data.n_channels)), n)

    sources = forms(samples)
    moved = forms([s + rng.integers(-3, 4, s.shape) for s in samples])
    for source, other in zip(sources, moved, strict=True):
        data = computed(source)
        for rows in (slice(None), slice(1, 3), np.arange(len(samples))[::-1]):
            before, after = data.take(rows), computed(other).take(rows)
            weights = rng.normal(size=before.shape)
            gradient = backward_to(source, data, rows, weights)
            change = other.take(rows) - source.take(rows)
            assert gradient.shape == change.shape
            np.testing.assert_allclose(
                np.nansum(gradient * change),
                np.sum(weights * (after - before)),
                atol=1e-9,
            )
            assert not gradient[np.isnan(change)].any()
