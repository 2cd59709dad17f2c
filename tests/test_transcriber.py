"""RNNTranscriber: from sequences to texts and lists of labels, by CTC."""

import contextlib
import copy
import inspect
import pickle
import warnings
from unittest import SkipTest

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

from skrnn import (
    RNNClassifier,
    RNNLanguageModel,
    RNNTranscriber,
    Sequences,
    SequenceScaler,
)
from skrnn._reading import in_rows
from skrnn._transcripts import Alphabet, read_transcripts
from skrnn.decoding import beam_search_ctc
from skrnn.inspection import gradient_norms, input_gradient, occlusion
from skrnn.metrics import character_error_rate, word_error_rate
from skrnn.sequences import PaddedData, of_steps
from skrnn.text.prefixes import PrefixModel
from tests.oracles import ctc as oracles
from tests.test_docstrings import entries

# Fits of a few epochs do not.
WRITES_NOTHING = "ignore:After .* the network writes nothing yet"
pytestmark = pytest.mark.filterwarnings(WRITES_NOTHING)
BRIEF = {
    "hidden_layer_sizes": (6,),
    "cell": "rnn",
    "max_iter": 3,
    "n_iter_no_change": np.inf,
    "random_state": 0,
}
LEARNS = BRIEF | {"hidden_layer_sizes": (16,), "cell": "gru", "max_iter": 30}
QUIET = {"dropout": 0.0, "input_noise": 0.0, "alpha": 0.0}
CALM = {"learning_rate": "constant", "learning_rate_init": 1e-12}


def keyed(texts, seed=0, noise=0.1):
    """Return a step sequence for each text: letter k is a plateau of height k + 1."""
    rng = np.random.default_rng(seed)
    X = []
    for text in texts:
        steps = [np.zeros(2)]
        for letter in text:
            n = rng.integers(2, 4)
            steps += [np.full(n, "abc".index(letter) + 1.0), np.zeros(2)]
        steps = np.concatenate(steps)
        X.append((steps + rng.normal(0, noise, len(steps)))[:, np.newaxis])
    return X


def texts_of(n, seed=0, low=0, high=5):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("abc"), rng.integers(low, high))) for _ in range(n)]


Y = texts_of(40)
X = keyed(Y)


@pytest.fixture(scope="module")
def learned():
    y = texts_of(300, seed=1)
    return RNNTranscriber(**LEARNS).fit(keyed(y, seed=1), y)


# --- what it learns -------------------------------------------------------------------


@pytest.mark.needs_jit
def test_learns_texts_whose_places_are_not_known(learned):
    y = texts_of(50, seed=2, high=8)
    X = keyed(y, seed=2)
    predicted = learned.predict(X)
    assert predicted.shape == (50,) and predicted.dtype == object
    assert {type(text) for text in predicted} == {str}
    rate = character_error_rate(y, list(predicted))
    assert learned.score(X, y) == 1 - rate
    assert rate < 0.05
    assert learned.symbols_.tolist() == ["a", "b", "c"]


@pytest.mark.needs_jit
@pytest.mark.parametrize("labels", [[7, 8, 10], ["do", "re", "mi"], [0.5, 1.5, -2.0]])
def test_learns_lists_of_labels(labels):
    texts = texts_of(200, seed=3)
    y = [[labels["abc".index(letter)] for letter in text] for text in texts]
    X = keyed(texts, seed=3)
    model = RNNTranscriber(**LEARNS).fit(X, y)
    assert model.symbols_.tolist() == sorted(labels)
    predicted = model.predict(X)
    assert {type(label) for found in predicted for label in found} == {type(labels[0])}
    assert model.score(X, y) == 1 - word_error_rate(y, list(predicted)) > 0.9
    other = RNNTranscriber(**LEARNS).fit(X, texts)
    order = "".join(np.array(list("abc"))[np.argsort(labels)])
    if order == "abc":
        assert model.loss_curve_ == other.loss_curve_


@pytest.mark.parametrize("steps_per_frame", [1, 2])
def test_the_loss_is_the_mean_of_all_transcripts(steps_per_frame):
    """Against the recursion in NumPy, of a network that hardly moves."""
    settings = {"steps_per_frame": steps_per_frame, "max_iter": 1}
    model = RNNTranscriber(**BRIEF | QUIET | CALM | settings).fit(X, Y)
    losses = []
    for raw, text, steps in zip(model.frame_log_proba(X), Y, X, strict=True):
        assert len(raw) == -(-len(steps) // steps_per_frame)
        assert_allclose(np.exp(raw).sum(axis=1), 1.0)
        losses.append(oracles.loss(raw, [1 + "abc".index(letter) for letter in text]))
    assert "" in Y
    assert_allclose(model.loss_, np.mean(losses), rtol=1e-9)

    weights = np.random.default_rng(0).uniform(0, 3, len(X))
    settings |= {"batch_size": len(X)}
    model = RNNTranscriber(**BRIEF | QUIET | CALM | settings).fit(X, Y, weights)
    losses = [
        oracles.loss(raw, [1 + "abc".index(letter) for letter in text])
        for raw, text in zip(model.frame_log_proba(X), Y, strict=True)
    ]
    assert_allclose(model.loss_, np.average(losses, weights=weights), rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_begins_with_how_often_symbols_and_blank_are_at_a_frame(weighted):
    weights = np.arange(len(X)) % 3 if weighted else np.ones(len(X))
    settings = BRIEF | QUIET | CALM | {"max_iter": 1}
    model = RNNTranscriber(**settings).fit(X, Y, weights)
    counts = [1 + weights @ [text.count(letter) for text in Y] for letter in "abc"]
    total = weights @ [len(steps) for steps in X] + 4
    expected = np.append(total - sum(counts), counts) / total
    assert_allclose(np.exp(model.weights_["output.bias"]), expected, rtol=1e-6)


def test_as_many_symbols_as_frames():
    y = ["ab" * (len(steps) // 2) for steps in X]
    even = [steps[: len(text)] for steps, text in zip(X, y, strict=True)]
    assert np.isfinite(RNNTranscriber(**BRIEF).fit(even, y).loss_)


# --- the same whatever the company, the order, the threads ----------------------------


def test_samples_are_transcribed_as_they_would_be_alone():
    model = RNNTranscriber(**BRIEF).fit(X, Y)
    together, frames = model.predict(X), model.frame_log_proba(X)
    for i in (0, 7, 23):
        assert model.predict(X[i : i + 1])[0] == together[i]
        assert_allclose(model.frame_log_proba([X[i]])[0], frames[i], rtol=1e-9)


def assert_same_bits(left, right):
    for name, values in left.weights_.items():
        assert_array_equal(values, right.weights_[name], err_msg=name)


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}])
def test_the_order_of_samples_changes_no_bit(settings):
    order = np.random.default_rng(1).permutation(len(X))
    model = RNNTranscriber(**BRIEF, **settings).fit(X, Y)
    shuffled = [X[i] for i in order], [Y[i] for i in order]
    assert_same_bits(model, RNNTranscriber(**BRIEF, **settings).fit(*shuffled))


def test_weights_are_copies_to_the_last_bit():
    weights = np.random.default_rng(2).integers(0, 3, len(X))
    weights[np.argmax([len(text) for text in Y])] = 0  # the longest is left out
    rows = np.repeat(np.arange(len(X)), weights)
    copies = [X[i] for i in rows], [Y[i] for i in rows]
    assert {*"abc"} == {*"".join(copies[1])}
    weighted = RNNTranscriber(**BRIEF).fit(X, Y, weights)
    copied = RNNTranscriber(**BRIEF).fit(*copies)
    assert_same_bits(weighted, copied)
    assert weighted.score(X, Y, weights) == pytest.approx(copied.score(*copies))


def test_the_same_sequence_with_another_transcript_is_another_sample():
    twice = [X[0], X[0], X[1]], ["ab", "ba", "c"]
    model = RNNTranscriber(**BRIEF | QUIET | CALM | {"max_iter": 1}).fit(*twice)
    assert model.t_ == 3
    twice = [X[0], X[0], X[1]], ["ab", "ab", "c"]
    assert RNNTranscriber(**BRIEF | {"max_iter": 1}).fit(*twice).t_ == 2


@pytest.mark.needs_jit
def test_threads_change_no_bit():
    settings = BRIEF | {"hidden_layer_sizes": (64,), "batch_size": 40}
    one, two = (RNNTranscriber(**settings, n_jobs=n).fit(X, Y) for n in (1, 2))
    assert_same_bits(one, two)
    assert_array_equal(one.predict(X), two.predict(X))


def test_unshuffled_samples_stay_in_order():
    model = RNNTranscriber(**BRIEF, shuffle=False).fit(X, Y)
    other = RNNTranscriber(**BRIEF, shuffle=False).fit(X[::-1], Y[::-1])
    assert model.loss_curve_ != other.loss_curve_


ROWS = st.lists(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=1, max_size=4))


@given(ROWS.filter(bool), st.data())
def test_rows_of_targets_differ_where_targets_do(targets, data):
    """And say nothing of what is not used."""
    lengths = np.array([len(row) for row in targets])
    values = np.concatenate([np.array(row) for row in targets])[:, np.newaxis]
    flags = st.lists(st.booleans(), min_size=len(targets), max_size=len(targets))
    is_used = np.array(data.draw(flags))
    rows = in_rows(of_steps(values, lengths), is_used)
    used = np.flatnonzero(is_used)
    for i in used:
        for j in used:
            assert (rows[i] == rows[j]).all() == (targets[i] == targets[j])
    if len(used) and (lengths != 1).any() and (lengths[used] != 1).any():
        alone = in_rows(of_steps(*laid_out([targets[i] for i in used])), used >= 0)
        assert_array_equal(rows[used], alone)


def laid_out(targets):
    values = np.concatenate([np.array(row) for row in targets])[:, np.newaxis]
    return values, np.array([len(row) for row in targets])


def test_rows_of_single_targets_are_the_targets():
    values = np.arange(6.0).reshape(3, 2)
    assert_array_equal(in_rows(PaddedData(values[:, None]), np.zeros(3) > 0), values)


# --- training -------------------------------------------------------------------------


@pytest.mark.needs_jit
def test_early_stopping_ends_with_the_best_weights():
    y = texts_of(200, seed=4)
    X = keyed(y, seed=4)
    settings = LEARNS | {"early_stopping": True, "n_iter_no_change": 5, "max_iter": 60}
    model = RNNTranscriber(**settings).fit(X, y)
    assert model.n_iter_ < 60
    scores = model.validation_scores_
    assert len(scores) == model.n_iter_
    assert model.best_validation_score_ == max(scores) > 0.8


@pytest.mark.parametrize("kind", ["text", "labels"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("beam_width", [1, 3])
def test_a_validation_set_of_ones_own(kind, weighted, beam_width):
    y = Y if kind == "text" else [list(text) for text in Y]
    weights = np.arange(15.0) if weighted else None
    model = RNNTranscriber(**BRIEF, beam_width=beam_width)
    model.fit(X[15:], y[15:], X_val=X[:15], y_val=y[:15], sample_weight_val=weights)
    score = model.score(X[:15], y[:15], weights)
    assert model.validation_scores_[-1] == pytest.approx(score)


def negative_edits(estimator, X, y):
    assert len(X) == len(y) < len(Y)
    return -character_error_rate(list(y), list(estimator.predict(X)))


def test_any_scorer_decides_when_to_stop():
    model = RNNTranscriber(**BRIEF, early_stopping=True, scoring=negative_edits)
    own = RNNTranscriber(**BRIEF, early_stopping=True).fit(X, Y)
    scores = model.fit(X, pd.Series(Y)).validation_scores_
    assert_allclose(scores, np.array(own.validation_scores_) - 1)


@pytest.mark.needs_jit
def test_nothing_is_stopped_before_anything_is_written():
    """The plateau at the beginning is longer than the patience."""
    slow = LEARNS | {"max_iter": 80, "n_iter_no_change": 3, "learning_rate": "constant"}
    slow |= {"learning_rate_init": 0.002, "early_stopping": True}
    model = RNNTranscriber(**slow).fit(X, Y)
    scores = np.array(model.validation_scores_)
    assert (scores[:6] <= 0).all()
    assert model.best_validation_score_ > 0.2


@pytest.mark.needs_jit
@pytest.mark.filterwarnings("default:After")  # which this module ignores
def test_a_network_that_writes_nothing_says_so():
    with pytest.warns(ConvergenceWarning, match="After 1 epochs the network writes"):
        slow = BRIEF | CALM | {"max_iter": 1}
        levels = [np.full((40, 1), k / 9) for k in range(9)]
        RNNTranscriber(**slow).fit(levels, ["a"] * 9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RNNTranscriber(**LEARNS).fit(X, Y)
        RNNTranscriber(**slow).partial_fit(levels, ["a"] * 9)


def test_a_validation_set_without_a_symbol():
    message = "validation set has empty transcripts only"
    fitted = RNNTranscriber(**BRIEF).fit(X, Y)
    before = pickle.dumps(fitted)
    with pytest.raises(ValueError, match=message):
        fitted.fit(X, Y, X_val=X[:2], y_val=["", ""])
    assert pickle.dumps(fitted) == before
    y = [""] * len(X)
    y[0] = "a"
    model = RNNTranscriber(**BRIEF, early_stopping=True, validation_fraction=0.05)
    model.set_params(shuffle=False)  # the last are held out
    with pytest.raises(ValueError, match=f"{message}.* than validation_fraction=0.05"):
        model.fit(X, y)
    assert not hasattr(model, "n_iter_")
    weights = [1.0, 0.0]
    with pytest.raises(ValueError, match=message):
        fitted.fit(X, Y, X_val=X[:2], y_val=["", "a"], sample_weight_val=weights)


def test_samples_without_weight_need_no_frames():
    y, weights = [*Y[:-1], "abc" * 99], np.ones(len(X))
    weights[-1] = 0.0
    model = RNNTranscriber(**BRIEF).fit(X, y, weights)
    without = RNNTranscriber(**BRIEF).fit(X[:-1], Y[:-1])
    assert model.loss_curve_ == without.loss_curve_


def test_transcripts_in_another_order_are_not_scored():
    frame = as_frame(X)
    series = pd.Series(Y, index=[f"s{i:02}" for i in range(len(X))])
    model = RNNTranscriber(**BRIEF).fit(frame, series)
    assert model.score(frame, series) == RNNTranscriber(**BRIEF).fit(X, Y).score(X, Y)
    weights = pd.Series(1.0, index=series.index)
    with pytest.raises(ValueError, match="the same, but in another order"):
        model.score(frame, series[::-1])
    with pytest.raises(ValueError, match="sample_weight"):
        model.score(frame, series, weights[::-1])
    with pytest.raises(ValueError, match="Negative values"):
        model.score(frame, series, -np.ones(len(X)))


def test_partial_fit_goes_on():
    model = RNNTranscriber(**BRIEF).partial_fit(X[:20], Y[:20], "abcd")
    assert model.symbols_.tolist() == ["a", "b", "c", "d"]
    for _ in range(10):
        model.partial_fit(X[20:], Y[20:])
    assert model.n_iter_ == 11
    assert model.loss_curve_[-1] < model.loss_curve_[1]
    longest = sorted(X, key=len)[-2:]
    model.partial_fit(longest, ["d", "dd"])
    with pytest.raises(ValueError, match="Sample 1 of y has 'e', which is not among"):
        model.partial_fit(longest, ["d", "bed"])
    with pytest.raises(ValueError, match="differs from the first call"):
        model.partial_fit(X[:2], ["a", "b"], "abc")
    assert model.n_iter_ == 12
    alone = RNNTranscriber(**BRIEF).partial_fit(X, Y)
    assert alone.symbols_.tolist() == ["a", "b", "c"]


def test_symbols_must_hold_those_of_the_first_call():
    with pytest.raises(ValueError, match="'c', which is not among"):
        RNNTranscriber(**BRIEF).partial_fit(X, Y, ["a", "b"])


@pytest.mark.parametrize(
    "y, symbols, message",
    [
        (Y, [1, "a"], "labels of symbols must be all texts or all numbers"),
        (Y, [1.0, np.nan], "symbols has nan at place 1"),
        (Y, ["ab", "c"], "symbols of texts are characters, got"),
        (Y, [1, 2], "symbols of texts are characters, got"),
        (Y, "", "symbols has none"),
        (Y, 5, "symbols must be a text, or a list of labels, got 5"),
        ([[1]] * len(X), "ab", "symbols are texts, but the labels of y are numbers"),
    ],
)
def test_symbols_that_cannot_be(y, symbols, message):
    model = RNNTranscriber(**BRIEF)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, y, symbols)
    assert not hasattr(model, "n_iter_")


def test_warm_start_keeps_the_symbols():
    model = RNNTranscriber(**BRIEF, warm_start=True).fit(X, Y)
    model.fit(X, Y)
    assert model.n_iter_ == 6
    with pytest.raises(ValueError, match="'z', which is not among the symbols_"):
        model.fit(X, [*Y[:-1], "z"])
    assert model.n_iter_ == 6


def test_begins_with_the_weights_of_another_model():
    first = RNNTranscriber(**BRIEF).fit(X, Y)
    calm = BRIEF | QUIET | CALM | {"max_iter": 1}
    same = RNNTranscriber(**calm, init=FrozenEstimator(first)).fit(X, Y)
    assert_array_equal(same.predict(X), first.predict(X))
    # of other symbols the output is not taken over
    upper = [text.upper() for text in Y]
    other = RNNTranscriber(**calm, init=first, freeze="layers").fit(X, upper)
    for name, values in first.weights_.items():
        is_same = np.array_equal(other.weights_[name], values)
        assert is_same == (not name.startswith("output.")), name


def test_begins_with_the_layers_of_a_classifier():
    y = [len(text) % 2 for text in Y]
    classifier = RNNClassifier(**BRIEF, bidirectional=True).fit(X, y)
    model = RNNTranscriber(**BRIEF, init=classifier, freeze="layers").fit(X, Y)
    name = "layers.0.input_weights"
    assert_array_equal(model.weights_[name], classifier.weights_[name])


# --- decoding -------------------------------------------------------------------------


def test_beams_are_those_of_the_search():
    model = RNNTranscriber(**BRIEF, beam_width=4, length_bonus=0.3).fit(X, Y)
    predicted = model.predict(X[:5])
    n_best = model.predict_n_best(X[:5], 3)
    for frames, text, found in zip(
        model.frame_log_proba(X[:5]), predicted, n_best, strict=True
    ):
        labels, scores = beam_search_ctc(frames, 4, length_bonus=0.3)
        spelled = ["".join(model.symbols_[best - 1]) for best in labels]
        assert text == spelled[0]
        assert [transcript for transcript, _ in found] == spelled[:3]
        assert_allclose([score for _, score in found], scores[:3])
    # one is asked for more than are kept
    assert max(map(len, model.predict_n_best(X[:5], 9))) > 4


def test_wrong_settings_of_the_search_are_refused():
    model = RNNTranscriber(**BRIEF).fit(X, Y).set_params(beam_width=-3)
    for call in (model.predict, model.predict_n_best, lambda X: model.score(X, Y)):
        with pytest.raises(ValueError, match="'beam_width' parameter"):
            call(X)


def test_settings_of_the_search_may_change_after_fit():
    model = RNNTranscriber(**BRIEF).fit(X, Y)
    greedy = model.predict(X)
    model.set_params(beam_width=8, length_bonus=9.0)
    assert sum(map(len, model.predict(X))) > sum(map(len, greedy))


@pytest.mark.parametrize("missing", ["error", "mask"])
def test_one_frame_after_the_other(missing):
    model = RNNTranscriber(**BRIEF, bidirectional=False, missing=missing).fit(X, Y)
    frames, state = model.frame_log_proba(X[:1])[0], model.initial_state(1)
    for x, row in zip(X[0], frames, strict=True):
        found, state = model.step(x[np.newaxis], state)
        assert_allclose(found, row[np.newaxis], rtol=1e-6)
    with pytest.raises(ValueError, match='must be "frame_log_proba"'):
        model.step(X[0][:1], state, response_method="predict")


def test_frames_of_skipped_steps_are_none():
    with_gap = [np.insert(steps, 1, np.nan, axis=0) for steps in X]
    model = RNNTranscriber(**BRIEF, missing="mask").fit(with_gap, Y)
    plain = RNNTranscriber(**BRIEF).fit(X, Y)
    assert model.loss_curve_ == plain.loss_curve_
    for ours, theirs in zip(
        model.frame_log_proba(with_gap), plain.frame_log_proba(X), strict=True
    ):
        assert_array_equal(ours, theirs)


# --- language models ------------------------------------------------------------------


@pytest.fixture(scope="module")
def language_model():
    """Knows that after an a comes a b, after a b a c and so on."""
    texts = ["abcabcabca"[i : i + 5] for i in range(3)] * 20
    settings = {"max_iter": 40, "bptt_steps": 8, "batch_size": 8, "random_state": 0}
    return RNNLanguageModel(16, **settings).fit(texts)


@pytest.mark.needs_jit
@pytest.mark.parametrize("n_texts", [1, 12])
def test_prefixes_have_the_probabilities_of_the_language_model(n_texts):
    """That of a whole text is the product of those of its characters, and the end."""
    settings = {"max_iter": 2, "bptt_steps": 8, "batch_size": 2, "random_state": 0}
    texts = ["abca", "b", "ccab"] * 4 if n_texts > 1 else "abca b ccab" * 4
    model = RNNLanguageModel(8, **settings).fit(texts)
    prior = PrefixModel(model, np.array(["a", "b", "c"]), True)
    row, state = prior.initial()
    rows, states = np.stack([row] * 3), [state] * 3
    read, sums = ["", "", ""], np.zeros(3)
    rng = np.random.default_rng(0)
    for _ in range(6):
        labels = rng.integers(1, 4, size=3)
        sums += rows[np.arange(3), labels]
        read = [
            text + "abc"[label - 1] for text, label in zip(read, labels, strict=True)
        ]
        rows, states = prior.advance(states, labels)
        assert rows.shape == (3, 4) and len(states) == 3
        if n_texts == 1:
            assert_array_equal(rows[:, 0], 0.0)
        assert_allclose(model.log_prob(read), sums + rows[:, 0], rtol=1e-4)


@pytest.mark.needs_jit
def test_a_language_model_tells_what_noise_hides(learned, language_model):
    rng = np.random.default_rng(5)
    y = ["abcabcabca"[i : i + n] for i, n in rng.integers(3, 7, size=(40, 2)) - [3, 0]]
    X = keyed(y, seed=5, noise=0.6)
    model = copy.deepcopy(learned).set_params(beam_width=8)
    alone = model.score(X, y)
    model.set_params(language_model=language_model, lm_weight=1.0, length_bonus=1.0)
    assert alone < 0.9
    assert model.score(X, y) > alone + 0.05


@pytest.mark.needs_jit
def test_words_are_the_tokens_of_lists():
    words = {"a": "Do", "b": "re", "c": "mi"}
    texts = [text for text in Y if text]
    y = [[words[letter] for letter in text] for text in texts]
    settings = {"max_iter": 1, "bptt_steps": 4, "batch_size": 2, "random_state": 0}
    model = RNNLanguageModel(4, analyzer="word", lowercase=True, **settings)
    model.fit([" ".join(sample) for sample in y])
    prior = PrefixModel(model, np.array(["Do", "mi", "re"]), False)
    vocabulary = model.vocabulary_
    assert prior._ids.tolist() == [0, *(vocabulary[w] for w in ("do", "mi", "re"))]
    frozen = FrozenEstimator(model)
    transcriber = RNNTranscriber(**BRIEF, beam_width=2, language_model=frozen)
    fitted = clone(transcriber).fit(keyed(texts), y)
    assert fitted.language_model.estimator.n_iter_ == 1
    fitted.set_params(lm_weight=3.0)
    found = fitted.predict_n_best(keyed(texts)[:5], 4)
    frames = fitted.frame_log_proba(keyed(texts)[:5])
    for of_sample, frame in zip(found, frames, strict=True):
        expected = beam_search_ctc(frame, 4, language_model=prior, lm_weight=3.0)
        assert_allclose([score for _, score in of_sample], expected[1], rtol=1e-5)


@pytest.mark.needs_jit
def test_searched_and_pickled_with_a_language_model(language_model):
    model = RNNTranscriber(
        **BRIEF, beam_width=3, language_model=FrozenEstimator(language_model)
    )
    search = GridSearchCV(model, {"lm_weight": [0.0, 1.0]}, cv=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    fitted = model.fit(X, Y).set_params(lm_weight=2.0, length_bonus=2.0)
    other = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(other.predict(X), fitted.predict(X))
    assert (fitted.predict(X) != fitted.set_params(lm_weight=0).predict(X)).any()


def test_a_language_model_that_counts_nothing_is_not_asked(monkeypatch):
    monkeypatch.delattr("skrnn.decoding.beam_search_ctc")
    plain = RNNTranscriber(**BRIEF).fit(X, Y)
    model = RNNTranscriber(**BRIEF, language_model=Bigrams(), lm_weight=0).fit(X, Y)
    assert_array_equal(model.predict(X), plain.predict(X))


class Bigrams:
    """A language model of one's own: never the same symbol again."""

    def __init__(self, n_classes=4, returns=np.ndarray.tolist):
        self.n_classes = n_classes
        self.returns = returns

    def initial(self):
        return np.zeros(self.n_classes), 0

    def advance(self, states, labels):
        rows = np.zeros((len(labels), self.n_classes))
        rows[np.arange(len(labels)), labels] = -np.inf
        return rows, self.returns(labels)


@pytest.mark.parametrize("returns", [np.ndarray.tolist, np.array])
def test_any_language_model_will_do(returns):
    prior = Bigrams(returns=returns)
    model = RNNTranscriber(**BRIEF, beam_width=4, language_model=prior)
    for text in clone(model).fit(X, Y).set_params(length_bonus=5.0).predict(X):
        assert all(a != b for a, b in zip(text, text[1:], strict=False))
        assert text


@pytest.mark.parametrize(
    "settings, error, message",
    [
        ({"language_model": Bigrams()}, ValueError, "set beam_width to 16"),
        (
            {"language_model": Bigrams(9), "beam_width": 2},
            ValueError,
            "each of the 3 symbols_, but initial\\(\\) gave the shape \\(9,\\)",
        ),
        (
            {"language_model": RNNLanguageModel(), "beam_width": 2},
            ValueError,
            "RNNLanguageModel that is not fitted. A search",
        ),
        (
            {"language_model": RNNClassifier(), "beam_width": 2},
            TypeError,
            "must be an RNNLanguageModel, .* got RNNClassifier",
        ),
    ],
)
def test_language_models_that_do_not_fit(settings, error, message):
    model = RNNTranscriber(**BRIEF, **settings)
    with pytest.raises(error, match=message):
        model.fit(X, Y)
    assert not hasattr(model, "n_iter_")


@pytest.mark.parametrize(
    "settings, texts, message",
    [
        ({"analyzer": "word"}, ["a b", "b c"], "characters need"),
        ({}, ["xyz", "zyx"], "does not know \\['a', 'b', 'c'\\]"),
        ({"unknown_tokens": "error"}, ["ab", "ba"], "does not know \\['c'\\]"),
    ],
)
def test_language_models_of_other_tokens(settings, texts, message):
    small = {"max_iter": 1, "bptt_steps": 2, "batch_size": 2}
    prior = RNNLanguageModel(3, **small, **settings).fit(texts)
    model = RNNTranscriber(**BRIEF, beam_width=2, language_model=prior)
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y)


# --- forms of X and y -----------------------------------------------------------------


def as_frame(X):
    parts = [pd.DataFrame({"x": steps[:, 0]}) for steps in X]
    names = [f"s{i:02}" for i in range(len(X))]
    return pd.concat(parts, keys=names, names=["instance", "time"])


def test_forms_of_x_and_y():
    first = RNNTranscriber(**BRIEF).fit(X, Y)
    frame = as_frame(X)
    series = pd.Series(Y, index=[f"s{i:02}" for i in range(len(X))])
    for form, y in [
        (Sequences(X), tuple(Y)),
        (frame, series),
        (X, np.array(Y)),
        (X, np.array(Y, dtype=object)),
        (X, pd.Series(Y, dtype="string")),
        (X, pd.DataFrame({"text": Y})),
    ]:
        model = RNNTranscriber(**BRIEF).fit(form, y)
        assert model.loss_curve_ == first.loss_curve_
        assert_array_equal(model.predict(form), first.predict(X))
    with pytest.raises(ValueError, match="the same, but in another order"):
        RNNTranscriber(**BRIEF).fit(frame, series[::-1])


def test_an_array_has_as_many_labels_for_each_sample():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 9, 2)), rng.integers(3, size=(12, 2))
    model = RNNTranscriber(**BRIEF).fit(X, y)
    as_list = RNNTranscriber(**BRIEF).fit(X, [list(row) for row in y])
    as_frame = RNNTranscriber(**BRIEF).fit(X, pd.DataFrame(y))
    assert model.loss_curve_ == as_list.loss_curve_ == as_frame.loss_curve_
    assert model.score(X, y) == as_list.score(X, y.tolist())


@pytest.mark.parametrize(
    "y, message",
    [
        (None, "requires y to be passed"),
        ("abc", "got one str"),
        (3.0, "got one float"),
        ([1.0] * 40, "sample 0 is 1.0, of type float. For one class or number"),
        (np.arange(40), "sample 0 is 0, of type int"),
        ([*Y[:-1], None], "sample 39 of y is missing: it is None"),
        ([*Y[:-1], np.nan], "sample 39 of y is missing: it is nan"),
        (pd.Series([*Y[:-1], pd.NA], dtype="string"), "missing: it is <NA>"),
        ([*Y[:-1], b"ab"], "sample 39 is b'ab', of type bytes"),
        ([*Y[:-1], ["a"]], "sample 0 is a text, sample 39 is a list"),
        ([["a"], *Y[1:]], "sample 0 is a list, sample 1 is a text"),
        ([["a"]] * 39 + [[None]], "sample 39 of y has None at place 0"),
        ([[1]] * 39 + [[1, np.nan]], "sample 39 of y has nan at place 1"),
        ([[[1]]] * 40, "sample 0 of y has \\[1\\] at place 0"),
        ([["a"]] * 39 + [[1]], "39 are texts and 1 are not"),
        ([""] * 40, "All transcripts of y are empty"),
        (np.array(Y)[:, None], "the shape \\(40, 1\\)"),
        (np.zeros((40, 2, 2)), "the shape \\(40, 2, 2\\)"),
        (pd.DataFrame({"id": Y, "text": Y}), r"has \['id', 'text'\]. Pass one of"),
        (pd.DataFrame({"id": range(40), "text": Y}), "must be one column"),
        ([["a", ""]] * 40, "sample 0 of y has one at place 1. Leave padding out"),
        ([[1j]] * 40, "sample 0 of y has 1j at place 0"),
        (dict.fromkeys(range(40), "a"), "got one dict"),
        ({"a"}, "got one set"),
        ([*Y[:-1], "a\0"], r"An array cannot hold '\\x00' of y"),
        ([[2**60 + 1, 2**63]] * 40, "An array cannot hold 1152921504606846977 of y"),
        ([np.array(["2020-01"], "M8[D]")] * 40, "sample 0 of y has the dtype datetime"),
        (Y[:-1], "X has 40, y has 39"),
        ([], "y has no samples"),
        (np.ma.masked_array(np.zeros((40, 2))), "Masked arrays are not supported"),
    ],
)
def test_what_is_no_transcript(y, message):
    model = RNNTranscriber(**BRIEF)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "n_iter_")


def test_more_symbols_than_frames_allow():
    y = list(Y)
    steps = len(X[5])
    y[5] = "ab" * steps
    message = f"sample 5 has {2 * steps} symbols and needs {2 * steps} frames"
    with pytest.raises(ValueError, match=message):
        RNNTranscriber(**BRIEF).fit(X, y)
    y[5] = "a" * ((steps + 1) // 2)  # with a blank between: just enough
    RNNTranscriber(**BRIEF).fit(X, y)
    with pytest.raises(ValueError, match="smaller steps_per_frame"):
        RNNTranscriber(**BRIEF, steps_per_frame=2).fit(X, y)
    # a validation set has no loss
    model = RNNTranscriber(**BRIEF).fit(X, Y, X_val=[[0.0]], y_val=["ab"])
    assert model.validation_scores_[-1] <= 0.5


def test_unknown_symbols_in_a_validation_set_and_in_a_score():
    with pytest.raises(ValueError, match="In the validation set: Sample 1 of y has"):
        RNNTranscriber(**BRIEF).fit(X, Y, X_val=X[:2], y_val=["a", "ax"])
    model = RNNTranscriber(**BRIEF).fit(X, Y)
    assert model.score(X[:2], ["zzzz", "yyyy"]) <= 0  # no error, but all wrong
    with pytest.raises(ValueError, match="fitted to texts, but y holds lists of"):
        model.score(X[:1], [["a"]])
    with pytest.raises(ValueError, match="fitted to texts, but y holds lists of"):
        model.partial_fit(X[:1], [["a"]])
    of_numbers = RNNTranscriber(**BRIEF).fit(X[:3], [[1, 2], [], [1]])
    assert of_numbers.score(X[:3], [[7], [8, 9], []]) <= 0
    with pytest.raises(ValueError, match="symbols are numbers, but the labels of y"):
        of_numbers.score(X[:3], [["1", "2"], [], ["1"]])


def test_texts_for_numbers():
    model = RNNTranscriber(**BRIEF).fit(X[:2], [[1, 2], []])
    with pytest.raises(
        ValueError, match="symbols are numbers, but the labels of y are"
    ):
        model.partial_fit(X[:1], [["1"]])
    model.partial_fit(X[:1], [[]])  # an empty one is of either kind
    assert model.symbols_.tolist() == [1, 2]


def test_every_hyperparameter_is_described_with_its_default():
    described = entries(RNNTranscriber)
    described |= {
        name: entry for names, entry in described.items() for name in names.split(", ")
    }
    for name, parameter in inspect.signature(RNNTranscriber).parameters.items():
        shown = repr(parameter.default).replace("'", '"')
        assert shown in " ".join(described[name].split()).replace("1e-4", "0.0001")


@given(st.lists(st.text("añ 日b", max_size=5), min_size=1).filter(any))
def test_encoding_is_undone_by_decoding(texts):
    transcripts = read_transcripts(texts)
    alphabet = Alphabet.of(transcripts)
    classes, lengths = alphabet.encode(transcripts)
    assert len(classes) == lengths.sum()
    ends = np.cumsum(lengths)
    parts = np.split(classes.astype(int), ends[:-1])
    assert [alphabet.decode(part[part > 0]) for part in parts] == texts


# --- in scikit-learn's hands ----------------------------------------------------------


class Numbered(RNNTranscriber):
    """Its predictions are numbers, as the checks of scikit-learn compare them."""

    def predict(self, X):
        return np.array([frames.sum() for frames in self.frame_log_proba(X)])

    def score(self, X, y, sample_weight=None):
        texts = RNNTranscriber.predict(self, X)
        return -word_error_rate(list(y), list(texts), sample_weight=sample_weight)


@pytest.mark.contract
# the checks set max_iter as low as they like
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("settings", [{}, {"steps_per_frame": 2, "cell": "gru"}])
def test_contract_of_scikit_learn(settings):
    """With the columns of y as labels of a transcript."""
    names = set()
    for estimator, check in estimator_checks_generator(Numbered(**BRIEF | settings)):
        names.add(getattr(check, "func", check).__name__)
        with contextlib.suppress(SkipTest):
            check(estimator)
    assert {"check_sample_weight_equivalence_on_dense_data"} <= names
    assert len(names) > 30


def test_searches_and_pipelines():
    pipeline = make_pipeline(SequenceScaler(), RNNTranscriber(**BRIEF))
    grid = {"rnntranscriber__steps_per_frame": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X[:3]).shape == (3,)
    y = [list(text) for text in Y]
    search = GridSearchCV(RNNTranscriber(**BRIEF), {"beam_width": [1, 2]}, cv=2)
    assert np.isfinite(search.fit(X, y).cv_results_["mean_test_score"]).all()


def test_pickles_and_clones():
    model = RNNTranscriber(**BRIEF, beam_width=3).fit(X, Y)
    other = pickle.loads(pickle.dumps(model))
    assert_array_equal(other.predict(X), model.predict(X))
    assert other.symbols_.tolist() == ["a", "b", "c"]
    assert clone(model).get_params() == model.get_params()


def test_not_fitted():
    for call in ("predict", "predict_n_best", "frame_log_proba"):
        with pytest.raises(ValueError, match="not fitted"):
            getattr(RNNTranscriber(), call)(X)
    with pytest.raises(ValueError, match="not fitted"):
        RNNTranscriber().score(X, Y)
    assert not hasattr(RNNTranscriber(), "symbols_")


@pytest.mark.parametrize("function", [input_gradient, occlusion])
def test_inspection_refuses_what_predicts_no_numbers(function):
    with pytest.raises(TypeError, match="RNNTranscriber predicts whole transcripts"):
        function(RNNTranscriber(**BRIEF).fit(X, Y), X)
    with pytest.raises(TypeError, match="RNNTranscriber predicts whole transcripts"):
        gradient_norms(RNNTranscriber(**BRIEF).fit(X, Y), X, Y)
