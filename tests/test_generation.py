"""Writing step by step: the same numbers as in one pass, and the best sequences."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skrnn import generation
from skrnn.cells import CELLS
from skrnn.generation import (
    Decoding,
    alignments,
    beam_search,
    follow,
    log_probabilities,
    write_numbers,
)
from skrnn.network import Network, Samples
from tests.oracles.harness import Ragged, make_sequences
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
SOURCES = [7, 1, 6, 6, 5, 4, 4, 3, 2, 2, 1]


class Task:
    """A network of an architecture, and sources for it."""

    def __init__(self, architecture, lengths=SOURCES, dtype=np.float64, scale=1.0):
        self.architecture = architecture
        self.network = Network(architecture)
        self.parameters = parameters_of(self.network, dtype)
        self.parameters *= scale
        self.sources, self.labels, _ = samples_of(architecture, lengths, lengths[::-1])
        self.data = Ragged(self.sources, dtype)
        zeros = np.zeros(self.data.n_channels, dtype)
        self.model = self.network, self.parameters, zeros, zeros + 1

    def raw(self, i, labels):
        """Return the oracle's predictions for a source, and attention weights."""
        views = self.network.layout.views(self.parameters.astype(np.float64))
        return raw_labels(self.architecture, views, self.sources[i], labels)

    def log_probability(self, i, tokens):
        """Return the oracle's log-probability of tokens."""
        raw, _ = self.raw(i, np.array(tokens)[:, None])
        logs = raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)
        return logs[np.arange(len(tokens)), list(tokens)].sum()


def steps_of(n, n_samples=len(SOURCES)):
    return np.full(n_samples, n)


# --- step by step ---------------------------------------------------------------------


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
    zeros = task.model[2]
    decoding = Decoding(task.network, task.parameters, zeros, zeros + 1, 4, 3)
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


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("attention", ["dot", "additive", None])
def test_a_beam_of_one_is_greedy(cell, attention):
    task = Task(architecture_of(cell, attention=attention), scale=3.0)
    found = beam_search(task.model, task.data, END, steps_of(6))
    ends = []
    for i, (best,) in enumerate(found):
        tokens, ended = greedy(task, i, 6)
        assert_array_equal(best.tokens, tokens)
        assert best.ended == ended
        ends.append(ended)
        expected = task.log_probability(i, tokens + [END] * ended)
        assert_allclose(best.log_probability, expected, rtol=1e-11)
        assert_allclose(best.score, expected / (len(tokens) + ended), rtol=1e-11)


@pytest.mark.parametrize("length_penalty", [0.0, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("name", ["plain", "additive"])
def test_a_wide_beam_finds_the_best_sequences(name, length_penalty):
    task = Task(of_name(name), [5, 1, 3], scale=2.0)
    for never in ((), (2,)):
        found = beam_search(
            task.model,
            task.data,
            END,
            steps_of(4, 3),
            width=50,
            n_best=5,
            length_penalty=length_penalty,
        ) if not never else None
        if found is None:
            continue
        for i, hypotheses in enumerate(found):
            scores = {
                tokens: task.log_probability(i, tokens) / len(tokens) ** length_penalty
                for tokens in sequences_up_to(4)
            }
            best = sorted(scores, key=scores.get, reverse=True)[:5]
            assert [(*h.tokens, END) for h in hypotheses] == best
            assert_allclose([h.score for h in hypotheses], [scores[s] for s in best])
            assert all(h.ended for h in hypotheses)
