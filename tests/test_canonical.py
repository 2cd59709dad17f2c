"""The canonical training set: content alone decides rows, order and weights."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skrnn import canonical
from skrnn.canonical import canonical_rows, row_blocks


class Ragged:
    """The least that canonical_rows asks of its data; counts what is taken."""

    def __init__(self, sequences, dtype=np.float64):
        self.sequences = [
            np.array(s, dtype=dtype).reshape(len(s), -1) for s in sequences
        ]
        self.lengths = np.array([len(s) for s in sequences], dtype=np.int64)
        self.n_channels = self.sequences[0].shape[1]
        self.dtype = np.dtype(dtype).type
        self.largest_take = 0

    def __len__(self):
        return len(self.sequences)

    def take(self, rows):
        taken = np.concatenate([self.sequences[row] for row in rows])
        self.largest_take = max(self.largest_take, taken.nbytes)
        return taken


def contents(sequences, y, sample_weight=None, dtype=np.float64):
    """Give the canonical set as bytes, which compare bit by bit."""
    data = Ragged(sequences, dtype)
    y = np.asarray(y)
    rows, weights = canonical_rows(data, y, sample_weight)
    assert rows.dtype == np.int64
    assert weights.dtype == np.float64
    samples = [(data.sequences[row].tobytes(), y[row].tobytes()) for row in rows]
    return samples, weights.tobytes()


def weak_hash(data, targets, rows):
    return np.zeros(len(rows), dtype=np.uint64)


def some_bits_hash(data, targets, rows):
    return (data.lengths[rows] % 2).astype(np.uint64)


@pytest.fixture(params=["hash", "some bits", "no hash"])
def any_hash(request, monkeypatch):
    hashes = {"some bits": some_bits_hash, "no hash": weak_hash}
    if request.param in hashes:
        monkeypatch.setattr(canonical, "_hash_samples", hashes[request.param])


# Few values, so that samples are often identical; -0.0, NaN and halves of words too.
VALUES = st.sampled_from([0.0, -0.0, 1.0, -1.0, 1.5, 5e-324, 1e300, math.nan])
SAMPLES = st.lists(
    st.tuples(
        st.lists(VALUES, min_size=1, max_size=3),
        st.sampled_from([0.0, 1.0]),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=12,
)


def check_weights_are_repetitions(samples, order):
    x, y, weight = map(list, zip(*samples, strict=True))
    weighted = contents(x, y, np.array(weight, dtype=float))
    repeated = [sample for sample in samples for _ in range(sample[2])]
    if not repeated:
        assert weighted == ([], b"")
        return
    order.shuffle(repeated)
    x, y, _ = map(list, zip(*repeated, strict=True))
    assert weighted == contents(x, y)
    assert weighted == contents(x, y, np.ones(len(x)))


@given(samples=SAMPLES, order=st.randoms())
def test_weights_are_repetitions(samples, order):
    check_weights_are_repetitions(samples, order)


@pytest.mark.parametrize("hash_samples", [weak_hash, some_bits_hash])
def test_weights_are_repetitions_when_hashes_collide(hash_samples):
    @settings(max_examples=50)
    @given(samples=SAMPLES, order=st.randoms())
    def check(samples, order):
        check_weights_are_repetitions(samples, order)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "_hash_samples", hash_samples)
        check()


@given(
    samples=SAMPLES,
    weights=st.lists(st.floats(0, 1e6), min_size=12, max_size=12),
    order=st.randoms(),
)
def test_order_of_samples_does_not_matter(samples, weights, order):
    x, y, _ = map(list, zip(*samples, strict=True))
    weights = np.array(weights[: len(x)])
    permutation = list(range(len(x)))
    order.shuffle(permutation)
    assert contents(x, y, weights) == contents(
        [x[i] for i in permutation], [y[i] for i in permutation], weights[permutation]
    )


def test_groups_are_those_of_a_dictionary(any_hash):
    rng = np.random.default_rng(0)
    x = [rng.integers(0, 2, size=rng.integers(1, 4)) for _ in range(200)]
    y = rng.integers(0, 2, size=(200, 2))
    weight = rng.integers(0, 3, size=200).astype(float)
    expected = {}
    for sample, target, w in zip(x, y, weight, strict=True):
        key = (tuple(sample), tuple(target))
        expected[key] = expected.get(key, 0) + w
    expected = {key: total for key, total in expected.items() if total}

    rows, weights = canonical_rows(Ragged(x), y, weight)

    found = {
        (tuple(x[row]), tuple(y[row])): w for row, w in zip(rows, weights, strict=True)
    }
    assert found == expected
    assert len(rows) == len(expected)


def test_collisions_change_nothing_but_the_order(any_hash):
    x = [[1.0], [2.0], [1.0], [1.0, 1.0], [2.0], [1.0]]
    rows, weights = canonical_rows(Ragged(x), np.array([0, 0, 0, 0, 0, 1]))
    groups = dict(zip(rows.tolist(), weights.tolist(), strict=True))
    assert groups == {0: 2, 1: 2, 3: 1, 5: 1}


def test_the_first_sample_leads_its_group():
    rows, weights = canonical_rows(Ragged([[3.0]] * 5), np.zeros(5), np.arange(5.0))
    np.testing.assert_array_equal(rows, [1])  # sample 0 has no weight
    np.testing.assert_array_equal(weights, [10])


def test_weights_are_summed_with_one_rounding():
    equal = [[1.0]] * 10
    _, weights = canonical_rows(Ragged(equal), np.zeros(10), np.full(10, 0.1))
    assert weights == [10 * 0.1]
    _, weights = canonical_rows(
        Ragged(equal[:4]), np.zeros(4), np.array([1e16, 1.0, 1.0, 1.0])
    )
    assert weights == [1e16 + 4]  # 1e16 + 3 lies between two floats, nearest is + 4


def test_zeros_of_different_sign_are_different():
    rows, _ = canonical_rows(Ragged([[0.0], [-0.0]]), np.zeros(2))
    assert len(rows) == 2
    rows, _ = canonical_rows(Ragged([[0.0], [0.0]]), np.array([0.0, -0.0]))
    assert len(rows) == 2


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.uint64, "f4", "f8"])
def test_targets_of_any_number_type(dtype):
    y = np.array([0, 1, 1, 0]).astype(dtype)
    rows, weights = canonical_rows(Ragged([[1.0]] * 4), y)
    assert sorted(rows) == [0, 1]
    np.testing.assert_array_equal(weights, [2, 2])


def test_targets_in_columns_and_not_contiguous():
    y = np.array([[0, 1, 2], [0, 5, 2], [0, 1, 3]])[:, ::2]
    rows, weights = canonical_rows(Ragged([[1.0]] * 3), y)
    assert dict(zip(rows.tolist(), weights.tolist(), strict=True)) == {0: 2, 2: 1}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hash_tells_structured_samples_apart(dtype):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(40)
    samples = [np.zeros(n) for n in range(1, 200)]
    samples += [np.full(n, c) for n in range(1, 40) for c in (1, -1, 2, 0.5, -0.0)]
    samples += [np.roll(noise, shift) for shift in range(40)]  # permuted steps
    samples += [sign * np.roll(np.arange(7.0), s) for sign in (1, -1) for s in range(7)]
    samples += [np.where(np.arange(8) == i, -1.0, 1.0) for i in range(8)]
    samples += [np.eye(16)[i] for i in range(16)]
    for bits in range(256):  # every pattern of signs, and of two levels
        pattern = (bits >> np.arange(8)) & 1
        samples += [np.where(pattern, -3.0, 3.0), pattern * 1e-3, 1e8 + 8 * pattern]
    samples = list({np.array(s, dtype=dtype).tobytes(): s for s in samples}.values())
    data = Ragged(samples, dtype)
    rows = np.arange(len(data))

    hashes = canonical._hash_samples(data, np.zeros((len(data), 1), np.uint64), rows)

    assert len(np.unique(hashes)) == len(data)
    # And the bits look like chance: each is set in about half of the hashes.
    bits = (hashes[:, np.newaxis] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    spread = 5 * 0.5 / np.sqrt(len(data))
    np.testing.assert_allclose(bits.mean(axis=0), 0.5, atol=spread)


def test_hash_depends_on_length_and_targets_apart_from_values():
    # The same words altogether, cut differently into values and targets.
    word = np.array([1.0]).view(np.uint64)
    data = Ragged([[1.0], [1.0, 1.0]])
    one = canonical._hash_samples(data, np.tile(word, (2, 2)), np.array([0]))
    two = canonical._hash_samples(data, np.tile(word, (2, 1)), np.array([1]))
    assert one != two


def test_hash_depends_on_every_target():
    data = Ragged([[1.0]] * 4)
    targets = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.uint64)
    hashes = canonical._hash_samples(data, targets, np.arange(4))
    assert len(np.unique(hashes)) == 4


def test_data_is_read_by_blocks(any_hash, monkeypatch):
    x = np.tile(np.arange(40.0), (100, 1))
    x[::3] += 1
    data = Ragged(x)
    expected = canonical_rows(data, np.zeros(100))
    assert data.largest_take > 1000
    data.largest_take = 0
    small_blocks = row_blocks.__defaults__
    monkeypatch.setattr(row_blocks, "__defaults__", (1000,))
    found = canonical_rows(data, np.zeros(100))
    assert small_blocks != (1000,)
    assert data.largest_take <= 1000
    np.testing.assert_array_equal(found, expected)


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=20),
    max_bytes=st.integers(1, 400),
)
def test_row_blocks_cover_all_rows_once(lengths, max_bytes):
    data = Ragged([np.zeros(length) for length in lengths])
    rows = np.arange(len(lengths))[::-1]
    pieces = list(row_blocks(data, rows, max_bytes))
    np.testing.assert_array_equal(np.concatenate([rows[p] for p in pieces]), rows)
    for piece in pieces:
        n_bytes = data.take(rows[piece]).nbytes
        assert n_bytes <= max_bytes or len(rows[piece]) == 1
    for piece, after in zip(pieces, pieces[1:], strict=False):  # none could be longer
        assert (
            data.lengths[rows[piece]].sum() * 8 + (data.lengths[rows[after]][0] * 8)
            > max_bytes
        )


def test_all_weights_zero_leave_nothing():
    rows, weights = canonical_rows(Ragged([[1.0], [2.0]]), np.zeros(2), np.zeros(2))
    assert len(rows) == len(weights) == 0


def test_disagreeing_numbers_of_samples():
    data = Ragged([[1.0], [2.0]])
    with pytest.raises(ValueError, match="y has 3 samples, X has 2"):
        canonical_rows(data, np.zeros(3))
    with pytest.raises(ValueError, match=r"sample_weight has shape \(1,\)"):
        canonical_rows(data, np.zeros(2), np.ones(1))


@pytest.mark.parametrize("weight", [-1.0, np.nan])
def test_weights_that_are_none(weight):
    with pytest.raises(ValueError, match="sample_weight must hold numbers"):
        canonical_rows(Ragged([[1.0], [2.0]]), np.zeros(2), np.array([1.0, weight]))
