"""Writing step by step: the same numbers as in one pass, and the best sequences."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skrnn import generation
from skrnn.architecture import Architecture, DecoderPart
from skrnn.beams import _Beams, beam_search
from skrnn.cells import CELLS
from skrnn.generation import (
    Decoding,
    Model,
    alignments,
    follow,
    log_probabilities,
    write_numbers,
)
from skrnn.lanes import SamplesInLanes
from skrnn.losses import multiclass_log_loss
from skrnn.network import Network, Samples
from skrnn.optimizers import Optimizer
from skrnn.parameters import aligned_zeros
from skrnn.schedules import Schedule
from skrnn.training import Trainer, TrainingSet
from tests.oracles.harness import Ragged
from tests.oracles.translation import raw_labels
from tests.test_decoder import (
    CASES,
    N_NUMBERS,
    N_TARGET,
    architecture_of,
    of_name,
    parameters_of,
    run_of,
    samples_of,
)

END = 0
OTHERS_NEED_JIT = [
    pytest.param(cell, marks=pytest.mark.needs_jit if cell != "gru" else ())
    for cell in CELLS
]
SOURCES = [7, 1, 6, 6, 5, 4, 4, 3, 2, 2, 1]


class Task:
    """A network of an architecture, and sources for it.

    Parameters are as large as `scale`, and the end is so much less likely.
    """

    def __init__(
        self,
        architecture,
        lengths=SOURCES,
        dtype=np.float64,
        scale=1.0,
        end_bias=0.0,
    ):
        self.architecture = architecture
        self.network = Network(architecture)
        self.parameters = parameters_of(self.network, dtype)
        self.parameters *= scale
        self.network.layout.views(self.parameters)["output.bias"][END] += end_bias
        self.sources, self.labels, _ = samples_of(architecture, lengths, lengths[::-1])
        self.data = Ragged(self.sources, dtype)
        zeros = np.zeros(self.data.n_channels, dtype)
        self.model = Model(self.network, self.parameters, zeros, zeros + 1)

    def raw(self, i, labels):
        """Return the oracle's predictions for a source, and attention weights."""
        views = self.network.layout.views(self.parameters.astype(np.float64))
        return raw_labels(self.architecture, views, self.sources[i], labels)

    def log_probability(self, i, tokens):
        """Return the oracle's log-probability of tokens."""
        raw, _ = self.raw(i, np.array(tokens)[:, None])
        logs = raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)
        return logs[np.arange(len(tokens)), list(tokens)].sum()


def steps_of(n, n_samples=11):
    return np.full(n_samples, n)


# --- step by step ---------------------------------------------------------------------


@pytest.mark.needs_jit
@pytest.mark.parametrize("name, cell", CASES)
def test_steps_give_what_one_pass_gives(name, cell):
    task = Task(of_name(name, cell))
    training = run_of(task.architecture, task.network, task.parameters, 1)
    expected = training(task.sources, task.labels)[0]
    n_seen = 0
    for rows, t, raw, *_ in follow(task.model, task.data, task.labels):
        for row, prediction in zip(rows, raw, strict=True):
            assert_array_equal(prediction, expected[row][t])
        n_seen += len(rows)
    assert n_seen == sum(map(len, task.labels))


@pytest.mark.parametrize("name", ["plain", "additive", "bidirectional", "deep"])
def test_alignments_and_log_probabilities_are_the_oracles(name):
    task = Task(of_name(name))
    weights = alignments(task.model, task.data, task.labels)
    logs = log_probabilities(task.model, task.data, task.labels)
    for i, of_sample in enumerate(task.labels):
        expected = task.raw(i, of_sample)[1]
        assert_allclose(weights[i], expected, rtol=1e-11, atol=1e-13)
        assert_allclose(weights[i].sum(axis=1), 1.0, rtol=1e-12)
        expected = task.log_probability(i, of_sample[:, 0])
        assert_allclose(logs[i].sum(), expected, rtol=1e-12)


def test_hypotheses_go_on_from_where_others_are():
    task = Task(of_name("all", "lstm"), [4])
    decoding = Decoding(task.model, 4, 3)
    decoding.begin(Samples.take(task.data, np.zeros(3, int), np.float64))
    decoding.step()
    decoding.step(np.array([[0.0], [1.0], [2.0]]))
    decoding.reorder(np.array([2, 0, 2]))
    raw = decoding.step(np.array([[1.0], [1.0], [0.0]])).copy()
    for i, tokens in enumerate([(2, 1), (0, 1), (2, 0)]):
        labels = np.array([*tokens, 0])[:, None]  # each step has read the one before
        expected = task.raw(0, labels)[0][2]
        assert_allclose(raw[i], expected, rtol=1e-12, atol=1e-13)


# --- numbers --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["numbers", "numbers_none"])
def test_numbers_are_fed_back(name):
    task = Task(of_name(name))
    n_steps = np.arange(1, 1 + len(SOURCES))
    predictions = write_numbers(task.model, task.data, n_steps)
    for i, n in enumerate(n_steps):
        written = np.zeros((0, N_NUMBERS))
        for _ in range(n):  # what is read last does not matter yet
            labels = np.vstack([written, np.zeros((1, N_NUMBERS))])
            written = np.vstack([written, task.raw(i, labels)[0][-1:]])
        assert_allclose(predictions[i], written, rtol=1e-11, atol=1e-12)


# --- tokens ---------------------------------------------------------------------------


def greedy(task, i, n_steps, never=()):
    """Return the oracle's tokens, and whether they came to an end."""
    tokens = []
    while len(tokens) < n_steps:
        raw = task.raw(i, np.array([*tokens, 0])[:, None])[0][-1]
        raw[list(never)] = -np.inf
        best = int(raw.argmax())
        if best == END:
            return tokens, True
        tokens.append(best)
    return tokens, False


def sequences_up_to(n_steps, never=()):
    """Yield all sequences that end within so many steps, the end included."""
    others = [k for k in range(N_TARGET) if k != END and k not in never]
    for n in range(n_steps):
        for tokens in product(others, repeat=n):
            yield (*tokens, END)


@pytest.mark.parametrize("cell", OTHERS_NEED_JIT)
@pytest.mark.parametrize("attention", ["dot", "additive", None])
def test_a_beam_of_one_is_greedy(cell, attention):
    lengths = set()
    for end_bias in (9.0, 3.0, 0.0, -15.0):
        architecture = architecture_of(cell, attention=attention)
        task = Task(architecture, [7, 1, 4], scale=3.0, end_bias=end_bias)
        found = beam_search(task.model, task.data, END, steps_of(6, 3))
        for i, (best,) in enumerate(found):
            tokens, ended = greedy(task, i, 6)
            assert_array_equal(best.tokens, tokens)
            assert best.ended == ended
            lengths.add(len(tokens))
            expected = task.log_probability(i, tokens + [END] * ended)
            assert_allclose(best.log_probability, expected, rtol=1e-11, atol=1e-13)
            mean = expected / (len(tokens) + ended)
            assert_allclose(best.score, mean, rtol=1e-11, atol=1e-13)
    assert len(lengths) > 1


@pytest.mark.parametrize("length_penalty", [0.0, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("name", ["plain", "additive"])
def test_a_wide_beam_finds_the_best_sequences(name, length_penalty):
    task = Task(of_name(name), [5, 1, 3], scale=2.0)
    found = beam_search(
        task.model,
        task.data,
        END,
        steps_of(4, 3),
        width=50,  # more than there are
        n_best=5,
        length_penalty=length_penalty,
    )
    for i, hypotheses in enumerate(found):
        scores = {
            tokens: task.log_probability(i, tokens) / len(tokens) ** length_penalty
            for tokens in sequences_up_to(4)
        }
        best = sorted(scores, key=scores.get, reverse=True)[:5]
        assert [(*h.tokens, END) for h in hypotheses] == best
        assert_allclose([h.score for h in hypotheses], [scores[s] for s in best])
        assert all(h.ended for h in hypotheses)


def test_a_wider_beam_finds_what_is_more_likely():
    task = Task(architecture_of(), scale=3.0, end_bias=-4.0)
    probabilities = []
    for width in (1, 30):
        found = beam_search(
            task.model, task.data, END, steps_of(5), width=width, length_penalty=0.0
        )
        probabilities.append([best.log_probability for (best,) in found])
    narrow, wide = map(np.array, probabilities)
    assert (wide >= narrow - 1e-12).all() and (wide > narrow + 1e-3).any()


@pytest.mark.parametrize("width", [2, 3, 5])
def test_beginnings_that_end_do_not_end_the_search(width):
    # as after label smoothing: an end is as unlikely as any wrong token
    beams = _Beams(np.array([12]), END, width, n_best=1, length_penalty=1.0)
    for right in [1, 2, 3, 1, 2, 3, 1, END]:
        logs = np.log(np.full((width, 4), 0.005))
        logs[:, END], logs[:, right] = np.log(0.006), np.log(0.984)
        beams.extend(logs)
        if beams.done.all():
            break
    ((best,),) = beams.best()
    assert_array_equal(best.tokens, [1, 2, 3, 1, 2, 3, 1])
    assert best.ended


def test_some_tokens_are_never_written():
    task = Task(architecture_of(), scale=4.0, end_bias=-8.0)
    usual = beam_search(task.model, task.data, END, steps_of(6))
    assert any(2 in best.tokens for (best,) in usual)
    found = beam_search(task.model, task.data, END, steps_of(6), never=(2,))
    for i, (best,) in enumerate(found):
        tokens, ended = greedy(task, i, 6, never=(2,))
        assert_array_equal(best.tokens, tokens)
        assert best.ended == ended


def test_what_has_not_ended_is_cut_at_its_own_last_step():
    task = Task(architecture_of())
    views = task.network.layout.views(task.parameters)
    views["output.bias"][:] = [-1e3, 0.0, 0.0, 0.0]  # it never ends
    n_steps = np.arange(1, 1 + len(SOURCES))
    found = beam_search(task.model, task.data, END, n_steps, width=3, n_best=2)
    for i, hypotheses in enumerate(found):
        assert [len(h.tokens) for h in hypotheses] == [n_steps[i]] * 2
        assert not any(h.ended for h in hypotheses)
        assert hypotheses[0].score >= hypotheses[1].score
        for h in hypotheses:
            expected = task.log_probability(i, h.tokens)
            assert_allclose(h.log_probability, expected, rtol=1e-11)


@pytest.mark.parametrize("n_tokens_of_beam", [1, 2, 7])
def test_a_beam_may_be_wider_than_the_vocabulary(n_tokens_of_beam):
    """And than the lanes of a register, in which its hypotheses do not all fit."""
    task = Task(architecture_of(), [3, 2], scale=2.0)
    wide = 40 * n_tokens_of_beam
    found = beam_search(task.model, task.data, END, steps_of(3, 2), width=wide)
    for i, (best,) in enumerate(found):
        scores = {s: task.log_probability(i, s) / len(s) for s in sequences_up_to(3)}
        assert (*best.tokens, END) == max(scores, key=scores.get)


# --- what changes nothing -------------------------------------------------------------


def same(found, expected):
    for hypotheses, others in zip(found, expected, strict=True):
        for one, other in zip(hypotheses, others, strict=True):
            assert_array_equal(one.tokens, other.tokens)
            assert one.log_probability == other.log_probability
            assert one.score == other.score and one.ended == other.ended


@pytest.mark.needs_jit
@settings(max_examples=10)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=40), data=st.data())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neither_companions_nor_the_order_change_what_is_written(dtype, lengths, data):
    architecture = of_name("bidirectional")
    task = Task(architecture, lengths, dtype, scale=3.0, end_bias=-4.0)
    options = {"width": 3, "n_best": 2}
    expected = beam_search(
        task.model, task.data, END, steps_of(6, len(lengths)), **options
    )
    order = data.draw(st.permutations(range(len(lengths))))
    n_taken = data.draw(st.integers(1, len(lengths)))
    taken = order[:n_taken]
    some = Ragged([task.sources[i] for i in taken], dtype)
    found = beam_search(task.model, some, END, steps_of(6, n_taken), **options)
    same(found, [expected[i] for i in taken])


@pytest.mark.needs_jit
@pytest.mark.parametrize("at_once", [1, 7, 64])
def test_sources_by_parts_and_threads_change_no_bit(at_once, monkeypatch):
    numbers = Task(of_name("numbers"), 4 * SOURCES)
    tokens = Task(architecture_of(), 4 * SOURCES, scale=3.0, end_bias=-4.0)
    n_steps = steps_of(5, len(tokens.data))

    def results(n_threads):
        return (
            beam_search(
                tokens.model, tokens.data, END, n_steps, width=2, n_threads=n_threads
            ),
            write_numbers(numbers.model, numbers.data, n_steps, n_threads),
            log_probabilities(tokens.model, tokens.data, tokens.labels, n_threads),
            alignments(tokens.model, tokens.data, tokens.labels, n_threads),
        )

    expected = results(1)
    monkeypatch.setattr(generation, "HYPOTHESES_AT_ONCE", at_once)
    monkeypatch.setattr("skrnn.threads.MIN_FLOPS_PER_THREAD", 1)
    for n_threads in (1, 3):
        found = results(n_threads)
        same(found[0], expected[0])
        for lists, others in zip(found[1:], expected[1:], strict=True):
            for one, other in zip(lists, others, strict=True):
                assert_array_equal(one, other)


def test_of_long_sources_fewer_are_held_at_a_time(monkeypatch):
    task = Task(architecture_of(), [4] * 40)

    def counts():
        return [
            len(rows) for rows, _ in generation.decodings(task.model, task.data, 1, 1)
        ]

    assert counts() == [40]
    monkeypatch.setattr(generation, "SOURCE_STEPS_AT_ONCE", 100)
    assert counts() == [25, 15]
    monkeypatch.setattr(generation, "SOURCE_STEPS_AT_ONCE", 1)  # one for each lane
    n_lanes = SamplesInLanes(task.parameters.dtype, 1).n_samples
    assert set(counts()[:-1]) == {n_lanes}


# --- learning -------------------------------------------------------------------------


@pytest.mark.needs_jit
@pytest.mark.parametrize("attention", ["dot", "additive"])
def test_it_learns_to_write_backwards(attention):
    """Each token looks at its own place in the source: so the alignment says."""
    n_tokens, begin = 8, 9
    part = DecoderPart((24,), 1, 10, 12, begin, attention)
    read = {"n_tokens": ((0, n_tokens + 1),), "embedding_dim": 12}
    architecture = Architecture(
        "gru", "tanh", 1, (16,), n_tokens + 1, True, pooling=None, decoder=part, **read
    )
    rng = np.random.default_rng(0)
    sources = [rng.integers(1, n_tokens + 1, (n, 1)) for n in rng.integers(2, 6, 1000)]
    labels = [np.vstack([source[::-1], [[END]]]) for source in sources]
    network = Network(architecture)
    parameters = aligned_zeros((network.layout.size,), np.float32)
    network.initialize(parameters, np.random.RandomState(0))
    weights = Ragged([np.ones((len(of), 1)) for of in labels])
    zeros = np.zeros(1, np.float32)
    n_train = 900
    training_set = TrainingSet(
        Ragged(sources, np.float32),
        np.arange(n_train),
        Ragged(labels, np.float32),
        weights,
        np.array([len(of) for of in labels], float),
        zeros,
        zeros + 1,
    )
    feedback = np.zeros(1)
    settings_of_adam = {
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-8,
        "weight_decay": 0.0,
    }
    trainer = Trainer(
        network,
        parameters,
        training_set,
        multiclass_log_loss,
        zeros,
        Optimizer.create(
            "adam", settings_of_adam, network.layout.penalized(np.float32)
        ),
        Schedule("constant", 0.01, 0.5, 10, 0.0),
        alpha=0.0,
        max_grad_norm=1.0,
        batch_size=32,
        n_threads=1,
        feedback=feedback,
    )
    random_state = np.random.RandomState(0)
    losses = []
    with trainer.threads() as threads:
        for epoch in range(20):
            feedback[0] = 0.2 * (epoch >= 10)
            losses.append(trainer.epoch(threads, random_state, True, 900 * epoch))
    assert losses[-1] < 0.1 * losses[0]
    held_out = np.arange(n_train, len(sources))
    model = Model(network, parameters, zeros, zeros + 1)
    data = Ragged([sources[i] for i in held_out], np.float32)
    found = beam_search(model, data, END, steps_of(10, len(held_out)), width=2)
    right = [
        np.array_equal([*best.tokens, END], labels[i][:, 0])
        for i, (best,) in zip(held_out, found, strict=True)
    ]
    assert np.mean(right) > 0.9
    looks = alignments(model, data, [labels[i] for i in held_out])
    at = np.concatenate([of[:-1].argmax(axis=1) for of in looks])
    places = np.concatenate([np.arange(n)[::-1] for n in data.lengths])
    assert np.mean(at == places) > 0.9
