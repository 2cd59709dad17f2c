"""CTC: values against all paths there are, gradients against slopes, and PyTorch's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.ctc import CTC, allocate, ctc, frames_needed
from skrnn.lanes import SamplesInLanes
from skrnn.optimizers import Optimizer
from skrnn.recording import Recording, run
from skrnn.schedules import Schedule
from skrnn.simd import lane_count
from skrnn.training import Trainer, TrainingSet
from tests.golden.make_golden import FOLDER
from tests.oracles import ctc as oracles
from tests.oracles.derivatives import derivative, gradient
from tests.oracles.harness import (
    Ragged,
    make_network,
    make_parameters,
    make_sequences,
    predict_in,
)

DTYPES = [np.float32, np.float64]
TOLERANCES = {np.float32: 2e-5, np.float64: 1e-11}


def shard_of(sequences, transcripts, weights=None, dtype=np.float64, room=(0, 0)):
    """Return what `ctc` takes: sequences of scores in lanes, and their labels.

    None is a lane without a sequence. The buffers have room for some more frames and
    labels, and what is no sequence's is not a number.
    """
    n_lanes = len(sequences)
    n_classes = next(s.shape[1] for s in sequences if s is not None)
    lengths = np.array([0 if s is None else len(s) for s in sequences], np.int64)
    n_frames, n_labels = lengths.max(), max(1, *map(len, transcripts))
    raw = np.full((n_frames + room[0], n_classes, n_lanes), np.nan, dtype)
    target = np.full((n_labels + room[1], 1, n_lanes), np.nan, dtype)
    weight = np.full((len(target), 1, n_lanes), np.nan)
    weight[0, 0] = np.ones(n_lanes) if weights is None else weights
    for lane, (scores, labels) in enumerate(zip(sequences, transcripts, strict=True)):
        if scores is not None:
            raw[: len(scores), :, lane] = scores
        target[: len(labels), 0, lane] = labels
    n_steps = np.array([n_frames, 0, n_lanes])
    target_lengths = np.array([len(labels) for labels in transcripts], np.int64)
    return raw, target, weight, n_steps, lengths, target_lengths


def scratch_for(raw, target):
    return allocate(len(raw), raw.shape[1], len(target))


def evaluate(sequences, transcripts, weights=None, dtype=np.float64, room=(0, 0)):
    """Return the loss and the gradient of each sequence's scores."""
    arguments = shard_of(sequences, transcripts, weights, dtype, room)
    raw, target, weight, n_steps, lengths, target_lengths = arguments
    before = [array.copy() for array in arguments]
    d_raw = np.full_like(raw, 9.0)
    scratch = scratch_for(raw, target)
    for array in scratch:
        array[:] = 7  # of a shard before
    value = ctc(raw, d_raw, target, weight, n_steps, lengths, target_lengths, scratch)
    for array, copy in zip(arguments, before, strict=True):
        assert_array_equal(array, copy)
    gradients = []
    for lane, length in enumerate(lengths):
        assert_array_equal(d_raw[length : n_steps[0], :, lane], 0.0)
        gradients.append(d_raw[:length, :, lane].astype(np.float64))
    assert_array_equal(d_raw[n_steps[0] :], 9.0)
    return value, gradients


def random_problem(rng, lengths, n_labels, n_classes):
    """Draw scores, and labels that so many frames can make."""
    sequences = [2.0 * rng.normal(size=(n, n_classes)) for n in lengths]
    transcripts = [
        oracles.collapse(rng.integers(n_classes, size=n))[:most]
        for n, most in zip(lengths, n_labels, strict=True)
    ]
    return sequences, transcripts


# --- values and gradients -------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_frames", [1, 2, 4])
def test_value_and_gradient_by_all_paths(n_frames, dtype):
    """Of all labels that there are for two labels and so many frames."""
    raw = 2.0 * np.random.default_rng(0).normal(size=(n_frames, 3))
    raw = raw.astype(dtype).astype(np.float64)
    log_p = oracles.log_softmax(raw)
    of_all = oracles.log_probabilities_of_all(log_p)
    assert () in of_all and (n_frames < 3 or (1, 1) in of_all)
    tolerance = TOLERANCES[dtype]
    for labels, log_probability in of_all.items():
        value, (d_raw,) = evaluate([raw], [labels], dtype=dtype)
        assert_allclose(value, -log_probability, rtol=tolerance)
        expected = np.exp(log_p) - oracles.occupancy(log_p, labels)
        assert_allclose(d_raw, expected, rtol=tolerance, atol=tolerance)


def test_probabilities_of_all_labels_add_up_to_one():
    raw = np.random.default_rng(1).normal(size=(5, 3))
    labels = list(oracles.log_probabilities_of_all(raw))
    values = [evaluate([raw], [transcript])[0] for transcript in labels]
    assert_allclose(np.exp(-np.array(values)).sum(), 1.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_lanes", ["few", "one register", "two registers"])
def test_ragged_lanes(n_lanes, dtype):
    """Each lane is as it would be alone, whatever the others are."""
    rng = np.random.default_rng(2)
    n = {"few": 3, "one register": 1, "two registers": 2}[n_lanes]
    n *= 1 if n_lanes == "few" else lane_count(dtype)
    lengths = 1 + rng.permutation(n) % 12
    sequences, transcripts = random_problem(rng, lengths, rng.integers(7, size=n), 4)
    sequences[n // 2], transcripts[n // 2] = None, ()
    weights = rng.uniform(0.5, 2.0, n)
    value, gradients = evaluate(sequences, transcripts, weights, dtype, room=(2, 3))
    total, tolerance = 0.0, TOLERANCES[dtype]
    for i, (raw, labels) in enumerate(zip(sequences, transcripts, strict=True)):
        if raw is None:
            continue
        total += weights[i] * oracles.loss(raw, labels)
        slope = gradient(lambda r, labels=labels: oracles.loss(r, labels), raw, 1e-3)
        expected = weights[i] * slope
        assert_allclose(gradients[i], expected, rtol=1e-5, atol=tolerance + 1e-9)
    assert_allclose(value, total, rtol=tolerance)


def test_gradient_is_the_slope_of_the_value():
    rng = np.random.default_rng(3)
    raw, labels = rng.normal(size=(9, 4)), [2, 2, 1, 3, 3]
    _, (d_raw,) = evaluate([raw], [labels])
    slope = gradient(lambda r: evaluate([r], [labels])[0], raw, step=1e-3)
    assert_allclose(d_raw, slope, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    "labels, n_frames",
    [((), 1), ((), 6), ((1,), 1), ((1, 2), 2), ((1, 1), 3), ((2, 2, 2), 5)],
)
def test_the_fewest_frames(labels, n_frames):
    """Where one path alone makes the labels, the loss is its own."""
    raw = np.random.default_rng(4).normal(size=(n_frames, 3))
    path = [0] * n_frames if not labels else []
    for u, label in enumerate(labels):
        path += [0, label] if u and labels[u - 1] == label else [label]
    log_p = oracles.log_softmax(raw)
    value, (d_raw,) = evaluate([raw], [labels])
    assert_allclose(value, -log_p[np.arange(n_frames), path].sum())
    assert_allclose(d_raw, np.exp(log_p) - np.eye(3)[path], atol=1e-12)


@pytest.mark.parametrize("labels, n_frames", [((1,), 0), ((1, 2), 1), ((1, 1), 2)])
def test_too_few_frames(labels, n_frames):
    """The loss is infinite, the gradient 0, and other lanes are as they were."""
    raw = np.random.default_rng(5).normal(size=(4, 3))
    short, fine = raw[:n_frames], (raw, (1, 2))
    alone, (d_alone,) = evaluate([fine[0]], [fine[1]])
    value, (d_short, d_fine) = evaluate([short, fine[0]], [labels, fine[1]])
    if n_frames:
        assert value == np.inf
    else:  # no frames are no sequence
        assert value == alone
    assert_array_equal(d_short, 0.0)
    assert_array_equal(d_fine, d_alone)
    # of weight 0 it does not count
    value, (d_short, d_fine) = evaluate([short, raw], [labels, fine[1]], [0.0, 1.0])
    assert value == alone
    assert_array_equal(d_short, 0.0)
    assert_array_equal(d_fine, d_alone)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
def test_extreme_scores(size, dtype):
    """Neither certainty nor its opposite makes anything infinite."""
    rng = np.random.default_rng(6)
    raw = (size * rng.choice([-1.0, 0.0, 1.0], size=(12, 4))).astype(dtype)
    labels = [1, 2, 2, 3]
    value, (d_raw,) = evaluate([raw], [labels], dtype=dtype)
    expected = oracles.loss(raw.astype(np.float64), labels)
    assert expected >= size and np.isfinite(value)
    assert_allclose(value, expected, rtol=1e-12)
    assert np.abs(d_raw).max() <= 1 + 1e-6
    if size < 1e5:  # else sums of scores have no digits left behind the point
        assert_allclose(d_raw.sum(axis=1), 0.0, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_certain_and_right(dtype):
    path = [0, 1, 1, 0, 2, 0, 2]
    raw = 1e4 * np.eye(3)[path]
    value, (d_raw,) = evaluate([raw], [[1, 2, 2]], dtype=dtype)
    assert value == 0.0
    assert_array_equal(np.abs(d_raw) < 1e-300, True)


@pytest.mark.needs_jit
@pytest.mark.parametrize("dtype", DTYPES)
def test_long_sequences(dtype):
    """Probabilities far below the smallest number, to the last digits of the dtype."""
    rng = np.random.default_rng(7)
    raw = rng.normal(size=(1000, 30)).astype(dtype)
    labels = rng.integers(1, 30, size=200)
    value, (d_raw,) = evaluate([raw], [labels], dtype=dtype)
    wide = raw.astype(np.float64)
    assert_allclose(value, oracles.loss(wide, labels), rtol=1e-12)
    assert value > 1000
    assert_allclose(d_raw.sum(axis=1), 0.0, atol=1e-6 if dtype == np.float32 else 1e-9)
    _, (d_wide,) = evaluate([wide], [labels])
    assert_allclose(d_raw, d_wide, atol=1e-7)


@pytest.mark.parametrize("place", [0, 2, 4])
def test_not_a_number_shows_in_the_value(place):
    """Else a diverged network would go unnoticed; in a class of no label, too."""
    raw = np.random.default_rng(8).normal(size=(5, 4))
    raw[place, 3] = np.nan
    other = np.random.default_rng(9).normal(size=(5, 4))
    value, (_, d_other) = evaluate([raw, other], [[1, 2], [1]])
    assert np.isnan(value)
    assert np.isfinite(d_other).all()
    value, (d_raw, _) = evaluate([raw, other], [[1, 2], [1]], [0.0, 1.0])
    assert value == evaluate([other], [[1]])[0]
    assert_array_equal(d_raw, 0.0)


def test_recorded():
    """As layers and losses are run: with what changes in the arrays."""
    rng = np.random.default_rng(11)
    sequences, transcripts = random_problem(rng, [7, 5, 6], [4, 3, 2], 3)
    raw, *rest = shard_of(sequences, transcripts)
    d_raw = np.zeros_like(raw)
    calls, scratch = Recording(), scratch_for(raw, rest[0])
    calls.add(ctc, raw, d_raw, *rest, scratch)
    program = calls.program()
    for _ in range(2):
        value, expected = evaluate(sequences, transcripts)
        assert run(program) == value
        for lane, d in enumerate(expected):
            assert_array_equal(d_raw[: len(d), :, lane], d)
        sequences = [scores + rng.normal(size=scores.shape) for scores in sequences]
        raw[:] = shard_of(sequences, transcripts)[0]


def test_a_target_of_zero_ends_the_labels():
    """So that an empty transcript may have a target, and with it a weight."""
    raw = np.random.default_rng(10).normal(size=(6, 4))
    for labels in ((), (2,), (1, 1, 3)):
        value, (d_raw,) = evaluate([raw], [labels], [0.5])
        for more in ([0], [0, 0], [0, 2]):
            same, (d_same,) = evaluate([raw], [[*labels, *more]], [0.5])
            assert same == value
            assert_array_equal(d_same, d_raw)


@pytest.mark.parametrize("batch_size", [1, 4, 40])
def test_in_training(batch_size):
    """The loss of an epoch, and an update down the slope, of a network's parameters."""
    rng = np.random.default_rng(12)
    network = make_network("gru", "tanh", 2, (3,), 8, pooling=None)
    lengths = [6, 3, 5, 7]
    sequences = make_sequences(rng, lengths, 2)
    _, transcripts = random_problem(rng, lengths, [3, 0, 2, 4], 8)
    weights = np.array([1.0, 0.5, 2.0, 1.0])
    targets = [np.array(t or [0.0])[:, None] for t in transcripts]
    training_set = TrainingSet(
        Ragged(sequences),
        np.arange(4),
        Ragged(targets),
        Ragged([np.full(t.shape, w) for t, w in zip(targets, weights, strict=True)]),
        weights,
        np.zeros(2),
        np.ones(2),
    )
    parameters = make_parameters(network, rng)
    before, rate = parameters.copy(), 1e-3
    plain = {"momentum": 0.0, "nesterovs_momentum": 0.0}
    trainer = Trainer(
        network,
        parameters,
        training_set,
        CTC(),
        np.zeros(0),
        Optimizer.create("sgd", plain, network.layout.penalized(np.float64)),
        Schedule("constant", rate, 0.5, 10, 0.0),
        alpha=0.0,
        max_grad_norm=0.0,
        batch_size=batch_size,
        n_threads=1,
    )

    def loss_at(p):
        raw = predict_in(SamplesInLanes(p.dtype, 1), network, p, sequences)
        parts = np.split(raw, np.cumsum(lengths)[:-1])
        losses = map(oracles.loss, parts, transcripts)
        return np.average(list(losses), weights=weights)

    with trainer.threads() as threads:
        loss = trainer.epoch(threads, None, False, 0)
    if batch_size == 1:  # the parameters change meanwhile
        assert loss_at(parameters) < loss_at(before)
        return
    assert_allclose(loss, loss_at(before))
    step = parameters - before
    slope = derivative(loss_at, before, step / rate, step=1e-4)
    assert_allclose(slope, -(step @ step) / rate**2, rtol=1e-7)


# --- what must hold for all -----------------------------------------------------------


@st.composite
def problems(draw):
    """Some lanes with labels that their frames can make."""
    seed = draw(st.integers(0, 2**32 - 1))
    lengths = draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))
    n_labels = [draw(st.integers(0, 6)) for _ in lengths]
    n_classes = draw(st.integers(2, 5))
    rng = np.random.default_rng(seed)
    return random_problem(rng, lengths, n_labels, n_classes)


@given(problems())
def test_gradients_of_a_frame_sum_to_zero(problem):
    _, gradients = evaluate(*problem)
    for d_raw in gradients:
        assert_allclose(d_raw.sum(axis=1), 0.0, atol=1e-12)


@given(problems(), st.integers(1, 5), st.integers(1, 5))
def test_room_changes_nothing(problem, n_frames, n_labels):
    value, gradients = evaluate(*problem)
    same, same_gradients = evaluate(*problem, room=(n_frames, n_labels))
    assert value == same
    for d_raw, d_same in zip(gradients, same_gradients, strict=True):
        assert_array_equal(d_raw, d_same)


@given(problems(), st.floats(1e-3, 1e3))
def test_weights_scale(problem, factor):
    n = len(problem[0])
    value, gradients = evaluate(*problem)
    scaled, scaled_gradients = evaluate(*problem, np.full(n, factor))
    assert_allclose(scaled, factor * value)
    for d_raw, d_scaled in zip(gradients, scaled_gradients, strict=True):
        assert_allclose(d_scaled, factor * d_raw, atol=1e-12)


@given(problems(), st.floats(-100, 100))
def test_a_constant_more_for_all_classes_changes_nothing(problem, constant):
    sequences, transcripts = problem
    value, gradients = evaluate(sequences, transcripts)
    shifted = [scores + constant for scores in sequences]
    same, same_gradients = evaluate(shifted, transcripts)
    assert_allclose(same, value, rtol=1e-10, atol=1e-10)
    for d_raw, d_same in zip(gradients, same_gradients, strict=True):
        assert_allclose(d_raw, d_same, atol=1e-9)


# --- PyTorch --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_against_pytorch(dtype):
    with np.load(FOLDER / "ctc.npz") as file:
        arrays = dict(file)
    lengths, ends = arrays["lengths"], np.cumsum(arrays["target_lengths"])
    sequences = [
        raw[:n] for raw, n in zip(arrays["raw"].swapaxes(0, 1), lengths, strict=True)
    ]
    transcripts = np.split(arrays["labels"], ends[:-1])
    assert any(len(t) == 0 for t in transcripts) and len(set(lengths)) > 1
    weights = arrays["weights"]
    value, gradients = evaluate(sequences, transcripts, weights, dtype)
    assert_allclose(value, weights @ arrays["losses"], rtol=TOLERANCES[dtype])
    for lane, d_raw in enumerate(gradients):
        expected = arrays["gradient"][: lengths[lane], lane]
        atol = 1e-6 if dtype == np.float32 else 1e-12
        assert_allclose(d_raw, expected, rtol=TOLERANCES[dtype], atol=atol)


# --- how many frames labels need ------------------------------------------------------


@given(st.lists(st.lists(st.integers(1, 2), max_size=4), max_size=5))
def test_frames_needed(transcripts):
    """So many make the labels, and fewer do not."""
    offsets = np.cumsum([0, *map(len, transcripts)])
    labels = np.array([label for labels in transcripts for label in labels], np.int64)
    needed = frames_needed(labels, offsets)
    assert needed.shape == (len(transcripts),)
    for n_frames, transcript in zip(needed, transcripts, strict=True):
        if n_frames:
            raw = np.zeros((n_frames, 3))
            assert np.isfinite(evaluate([raw], [transcript])[0])
        if n_frames > 1:
            assert evaluate([raw[1:]], [transcript])[0] == np.inf
        assert (n_frames == 0) == (not transcript)
