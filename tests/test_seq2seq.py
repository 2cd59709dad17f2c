"""From sequences to sequences: what is learned and written, and what users pass."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.utils import estimator_checks

from skrnn import RNNSeq2Seq, Sequences, SequenceTokenizer
from skrnn.inspection import AlignmentDisplay
from skrnn.text.spacing import SpacedWords
from tests.oracles.translation import raw_labels

QUICK = {"hidden_layer_sizes": 6, "batch_size": 8, "max_iter": 2, "random_state": 0}
QUICK |= {"dropout": 0.0}
X = ["one cat", "two cats", "a dog", "the dogs", "one dog, two dogs", "cats"] * 4
Y = ["un chat", "deux chats", "un chien", "les chiens", "l'un, l'autre !", "chats"] * 4


def reversals(n, seed=0, longest=6):
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice([*"abcd"], rng.integers(2, longest))) for _ in range(n)]
    return texts, [text[::-1] for text in texts]


def sines(n, n_steps=12, n_channels=1, seed=0):
    rng = np.random.default_rng(seed)
    times = rng.uniform(0, 6, (n, 1)) + 0.5 * np.arange(n_steps)
    return np.stack([3 + 2 * np.sin(times + k) for k in range(n_channels)], axis=-1)


@pytest.fixture(scope="module")
def of_words():
    learned = {"hidden_layer_sizes": 16, "max_iter": 25, "learning_rate_init": 0.02}
    return RNNSeq2Seq(**QUICK | learned).fit(X, Y)


@pytest.fixture(scope="module")
def reversing():
    model = RNNSeq2Seq(24, analyzer="char", dropout=0.0, random_state=0)
    return model.set_params(learning_rate_init=0.02).fit(*reversals(400))


@pytest.fixture(scope="module")
def of_numbers():
    waves = sines(60)
    model = RNNSeq2Seq(12, dropout=0.0, max_iter=30, batch_size=16, random_state=0)
    return model.set_params(learning_rate_init=0.01).fit(waves[:, :8], waves[:, 8:])


@pytest.mark.contract
@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_estimator_repr,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_mixin_order,
    ],
    ids=lambda check: check.__name__,
)
def test_scikit_learn_checks_that_need_no_table(check):
    """scikit-learn itself skips all checks of estimators of texts."""
    check("RNNSeq2Seq", RNNSeq2Seq())


# --- what is learned ------------------------------------------------------------------


@pytest.mark.needs_jit
def test_it_learns_to_reverse_letters(reversing):
    texts, turned = reversals(100, seed=1)
    assert reversing.score(texts, turned) > 0.95
    assert reversing.predict(["abcd", "dab"]) == ["dcba", "bad"]


@pytest.mark.needs_jit
@pytest.mark.parametrize(
    "options",
    [
        {"attention": "additive", "cell": "lstm"},
        {"attention": None, "bidirectional": False, "tied": False},
        {"hidden_layer_sizes": (20, 12), "decoder_layer_sizes": 24},
        {"scheduled_sampling": 0.2, "embedding_dim": 12},
    ],
    ids=str,
)
def test_it_learns_to_reverse_by_other_networks(options):
    model = RNNSeq2Seq(24, analyzer="char", dropout=0.0, random_state=0)
    model.set_params(learning_rate_init=0.02, max_iter=25, **options)
    model.fit(*reversals(400, longest=5))
    assert model.score(*reversals(100, seed=1, longest=5)) > 0.9


NUMBERS = dict(enumerate("zero one two three four five six seven eight nine".split()))


@pytest.mark.needs_jit
def test_it_learns_to_add_spelled_numbers():
    rng = np.random.default_rng(0)
    pairs = [(a, b) for a in range(10) for b in range(10) if a + b < 10] * 8
    rng.shuffle(pairs)
    sums = [f"{NUMBERS[a]} plus {NUMBERS[b]}" for a, b in pairs]
    totals = [NUMBERS[a + b] for a, b in pairs]
    model = RNNSeq2Seq(24, dropout=0.0, max_iter=25, random_state=0)
    model.set_params(learning_rate_init=0.02).fit(sums[:300], totals[:300])
    assert model.score(sums[300:], totals[300:]) > 0.95


@pytest.mark.needs_jit
def test_it_learns_to_go_on_with_waves(of_numbers):
    waves = sines(30, seed=1)
    given, expected = waves[:, :8], waves[:, 8:]
    assert of_numbers.score(given, expected) > 0.95
    predicted = of_numbers.predict(given)
    assert predicted.shape == (30, 4, 1)
    residual = ((predicted - expected) ** 2).sum()
    r2 = 1 - residual / ((expected - expected.mean()) ** 2).sum()
    assert_allclose(of_numbers.score(given, expected), r2)


# --- the words of targets -------------------------------------------------------------


@given(st.text(alphabet="ab1 \n\t.,'", min_size=1))
def test_words_with_their_spaces_make_up_the_text_again(text):
    split = SpacedWords(r"\w+|[^\w\s]", lowercase=False)
    tokens = split(text)
    assert split.join(tokens) == text.strip()
    words = SequenceTokenizer("word")._splitter()(text)
    assert [token.strip() for token in tokens] == words


def test_a_first_word_without_a_space_is_kept_whole():
    assert SpacedWords.join([" we", "'", "re"]) == "we're"
    assert SpacedWords.join(["re", " late"]) == "re late"


def test_words_by_other_patterns():
    assert SpacedWords(r"\w+", False)("a, b (c)d") == [" a", " b", " c", "d"]
    assert SpacedWords(r"<(\w+)>", True)("<A> <B>") == [" a", " b"]
    with pytest.raises(ValueError, match="one capturing group"):
        SpacedWords(r"(a)(b)", False)("ab")


@pytest.mark.needs_jit
def test_predictions_are_written_as_the_targets_are():
    targets = ["I'm cold!", "You're (very)  hot...", '"No."']
    sources = ["j'ai froid", "tu as chaud", "non"]
    model = RNNSeq2Seq(16, dropout=0.0, max_iter=100, random_state=0)
    model.set_params(learning_rate_init=0.02).fit(sources, targets)
    assert model.predict(sources) == targets
    assert model.score(sources, targets) == 1.0
    lower = clone(model).set_params(lowercase=True).fit(sources, targets)
    assert lower.predict(["J'AI FROID"]) == ["i'm cold!"]
    assert lower.score(sources, targets) == 1.0


@pytest.mark.needs_jit
@pytest.mark.parametrize(
    ("analyzer", "expected"), [(str.split, "b a"), (list, "b a"), ("char", "b a")]
)
def test_tokens_of_a_callable_are_joined(analyzer, expected):
    model = RNNSeq2Seq(16, dropout=0.0, max_iter=60, random_state=0)
    model.set_params(target_analyzer=analyzer, learning_rate_init=0.02)
    model.fit(["a b", "c"], ["b a", "c"])
    assert model.predict(["a b"]) == [expected]


# --- probabilities and predictions ----------------------------------------------------


def log_prob_of(model, source, target):
    """By the equations, with ids by the vocabularies."""
    split = model._source.tokenizer._splitter(), model._target.tokenizer._splitter()
    x = [[model.source_vocabulary_.get(token, 1)] for token in split[0](source)]
    labels = [model.target_vocabulary_.get(token, 1) for token in split[1](target)]
    labels = np.array([*labels, 0])[:, None]
    weights = {name: w.astype(np.float64) for name, w in model.weights_.items()}
    raw, alignment = raw_labels(model._architecture, weights, x, labels)
    logs = raw - np.log(np.exp(raw).sum(axis=1, keepdims=True))
    return logs[np.arange(len(labels)), labels[:, 0]].sum(), alignment


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"attention": "additive", "cell": "lstm", "hidden_layer_sizes": (5, 4)},
        {"attention": None, "tied": False, "cell": "rnn", "bidirectional": False},
        {"decoder_layer_sizes": (4,), "embedding_dim": 3, "target_analyzer": "char"},
    ],
    ids=str,
)
def test_probabilities_are_those_of_the_equations(options):
    model = RNNSeq2Seq(**QUICK | options).fit(X, Y)
    sources, targets = [*X[:6], "one zebra"], [*Y[:6], "un zebre"]
    expected = [
        log_prob_of(model, *pair) for pair in zip(sources, targets, strict=True)
    ]
    logs = [log for log, _ in expected]
    assert_allclose(model.log_prob(sources, targets), logs, rtol=1e-4)
    if model.attention is not None:
        found = model.attention_weights(sources, targets)
        for (_, weights), of_pair in zip(expected, found, strict=True):
            assert_allclose(of_pair.weights, weights[:-1], atol=1e-5)


def test_what_is_held_out_is_scored_by_the_mean_of_tokens(of_words):
    model = RNNSeq2Seq(**QUICK).fit(X, Y, X_val=X[:3], y_val=Y[:3])
    logs = model.log_prob(X[:3], Y[:3]).sum()
    n_tokens = sum(len(model._target.tokenizer._splitter()(y)) + 1 for y in Y[:3])
    assert_allclose(model.validation_scores_[-1], logs / n_tokens, rtol=1e-5)


def test_predictions_do_not_depend_on_each_other(reversing):
    texts, _ = reversals(60, seed=2, longest=12)
    for width in (1, 3):
        model = copy.deepcopy(reversing).set_params(beam_width=width)
        alone = [model.predict([text])[0] for text in texts]
        assert model.predict(texts) == alone


def test_a_model_may_write_nothing(of_words):
    log, *_ = of_words.log_prob(["one cat", "a dog"], ["", "un"])
    labels, (x,) = np.zeros((1, 1)), of_words._source.read(["one cat"])
    raw, _ = raw_labels(of_words._architecture, of_words.weights_, x, labels)
    assert_allclose(log, raw[0, 0] - np.log(np.exp(raw[0]).sum()), rtol=1e-4)
    assert of_words.attention_weights(["one cat"], [""])[0].weights.shape == (0, 2)
    assert of_words.score(["one cat"], [""]) == 0.0


def test_a_beam_finds_what_is_at_least_as_likely(of_words):
    model = copy.deepcopy(of_words).set_params(length_penalty=0.0)
    greedy = model.predict(X[:6])
    wide = model.set_params(beam_width=8).predict(X[:6])
    gain = model.log_prob(X[:6], wide) - model.log_prob(X[:6], greedy)
    assert (gain > -1e-5).all()


def test_several_predictions_and_their_probabilities(of_words):
    found = of_words.predict_n_best(X[:6], 3)
    assert [len(best) for best in found] == [3] * 6
    for source, best in zip(X[:6], found, strict=True):
        texts, logs = zip(*best, strict=True)
        assert len(set(texts)) == 3
        again = of_words.log_prob([source] * 3, texts)
        # words that were written together are read as another, unknown one
        legible = ["chatautre" not in text for text in texts]
        assert legible[0]
        assert_allclose(np.array(logs)[legible], again[legible], rtol=1e-4)
    model = copy.deepcopy(of_words).set_params(beam_width=3)
    assert [best[0][0] for best in found] == model.predict(X[:6])


@pytest.mark.parametrize(
    "setting", [{"max_length": 0}, {"beam_width": 2.5}, {"length_penalty": -1.0}]
)
def test_what_is_set_after_fit_is_checked(of_words, setting):
    model = copy.deepcopy(of_words).set_params(**setting)
    with pytest.raises(ValueError, match=next(iter(setting))):
        model.predict(X[:2])


def test_predictions_end(of_words, reversing):
    model = copy.deepcopy(reversing).set_params(max_length=2)
    assert model.predict(["abcd", "ab"]) == ["dc", "ba"]
    assert model.set_params(max_length=4).predict(["abcd", "ab"]) == ["dcba", "ba"]
    # as long as any target in training, and in proportion for longer sources
    longest = max(map(len, reversals(400)[0]))
    written = reversing.predict(["abcd" * 5])[0]
    assert len(written) <= 20 + 20 // longest
    assert all("\ufffd" not in text for text in of_words.predict(["zebra", "one lion"]))


@pytest.mark.parametrize(
    "changed",
    [{"beam_width": 0}, {"length_penalty": -1.0}, {"max_length": 0}],
    ids=str,
)
def test_settings_of_predictions_are_checked_after_fit_too(of_words, changed):
    (name,) = changed
    model = copy.deepcopy(of_words).set_params(**changed)
    with pytest.raises(ValueError, match=name):
        model.predict(X[:1])


def test_unknown_tokens(of_words):
    strict = clone(of_words).set_params(unknown_tokens="error").fit(X, Y)
    assert len(of_words.predict(["zebra"])) == 1  # though nothing of it is known
    with pytest.raises(ValueError, match="Text 1 has the token 'zebra' at place 1"):
        strict.predict(["one cat", "one zebra"])
    with pytest.raises(ValueError, match="In y: Text 0 has the token ' zebre'"):
        strict.log_prob(["one cat"], ["un zebre"])
    rare = RNNSeq2Seq(**QUICK, min_frequency=5).fit(X, Y)
    assert "cat" not in rare.source_vocabulary_
    assert {"one", "dog"} < set(rare.source_vocabulary_)
    assert len(RNNSeq2Seq(**QUICK, max_features=3).fit(X, Y).target_vocabulary_) == 3


# --- alignments -----------------------------------------------------------------------


def test_alignments_say_which_letters_are_read(reversing):
    (found,) = reversing.attention_weights(["abcd"])
    assert (found.source, found.target) == ([*"abcd"], [*"dcba"])
    assert found.weights.shape == (4, 4)
    assert_allclose(found.weights.sum(axis=1), 1.0, rtol=1e-5)
    assert_array_equal(found.weights.argmax(axis=1), [3, 2, 1, 0])
    given = reversing.attention_weights(["abcd", "ba"], ["dc", "ab"])
    assert [of_pair.weights.shape for of_pair in given] == [(2, 4), (2, 2)]
    assert_allclose(given[0].weights, found.weights[:2], rtol=1e-4)


def test_alignments_of_words_and_numbers(of_words, of_numbers):
    (found,) = of_words.attention_weights(["one dog, two"], ["l'un !"])
    assert found.source == ["one", "dog", ",", "two"]
    assert found.target == ["l", "'", "un", "!"]
    (found,) = of_numbers.attention_weights(sines(1)[:, :8])
    assert found.weights.shape == (4, 8)
    assert found.source == [*range(8)]
    model = RNNSeq2Seq(**QUICK, attention=None).fit(X, Y)
    with pytest.raises(ValueError, match="without attention"):
        model.attention_weights(X)


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def test_the_display_names_the_tokens(reversing, of_numbers, plt):
    display = AlignmentDisplay.from_estimator(reversing, "abcd")
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == [*"abcd"]
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == [*"dcba"]
    image = display.ax_.get_images()[0]
    assert_array_equal(image.get_array(), display.weights)
    _, ax = plt.subplots()
    assert AlignmentDisplay.from_estimator(reversing, "abc", "cba", ax=ax).ax_ is ax
    drawn = AlignmentDisplay.from_estimator(of_numbers, sines(1)[0, :8])
    assert drawn.weights.shape == (4, 8)
    many = AlignmentDisplay(np.eye(60), source=["a"] * 60).plot()
    assert many.ax_.get_xlabel() == "step of the source"
    with pytest.raises(TypeError, match="RNNSeq2Seq"):
        AlignmentDisplay.from_estimator(object(), "ab")


# --- numbers --------------------------------------------------------------------------


@pytest.mark.needs_jit
def test_numbers_come_in_the_form_of_the_targets():
    waves = sines(12)[..., 0]
    quick = RNNSeq2Seq(**QUICK)
    assert quick.fit(waves[:, :8], waves[:, 8:]).predict(waves[:3, :8]).shape == (3, 4)
    lists = [wave[: 2 + i % 3] for i, wave in enumerate(waves)]
    model = quick.fit(list(waves), lists)
    with pytest.raises(ValueError, match="pass n_steps"):
        model.predict(list(waves))
    found = model.predict(list(waves[:2]), n_steps=[1, 5])
    assert [part.shape for part in found] == [(1,), (5,)]
    assert np.isfinite(model.score(list(waves), lists))
    model.partial_fit(list(waves[:2]), [waves[0, :3], waves[1, :3]])
    with pytest.raises(ValueError, match="pass n_steps"):  # there were others before
        model.predict(list(waves))
    index = pd.MultiIndex.from_product([range(12), range(4)])
    frame = pd.DataFrame(np.tile(waves[:, :4].reshape(-1, 1), 2), index)
    model = quick.fit(waves, frame)
    assert [part.shape for part in model.predict(waves[:2])] == [(4, 2)] * 2
    several = sines(12, n_channels=2)
    model = quick.fit(several[:, :8].astype(np.float32), Sequences(several[:, 8:]))
    assert [part.shape for part in model.predict(several[:2, :8])] == [(4, 2)] * 2
    for n_steps in (0, 1.5, [1, 2, 3]):
        with pytest.raises(ValueError, match="n_steps"):
            model.predict(several[:2, :8], n_steps=n_steps)


@pytest.mark.needs_jit
def test_what_is_known_of_channels():
    waves = sines(6, n_channels=2)
    model = RNNSeq2Seq(**QUICK)
    assert not hasattr(model, "n_features_in_")
    assert model.fit(waves, waves[:, :2]).n_features_in_ == 2
    assert not hasattr(model, "feature_names_in_")
    index = pd.MultiIndex.from_product([range(6), range(12)])
    frame = pd.DataFrame(waves.reshape(-1, 2), index, columns=["a", "b"])
    assert [*model.fit(frame, waves).feature_names_in_] == ["a", "b"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"a": "c"}))
    assert not hasattr(model.fit(X[:6], waves), "n_features_in_")


@pytest.mark.needs_jit
def test_one_step_has_no_r2():
    waves = sines(6)
    model = RNNSeq2Seq(**QUICK).fit(waves, waves[:, :1])
    with pytest.raises(ValueError, match="two of them at least"):
        model.score(waves[:1], waves[:1, :1])
    with pytest.raises(ValueError, match="two of them at least"):
        model.fit(waves, waves, X_val=waves[:1], y_val=waves[:1, :1])


@pytest.mark.needs_jit
def test_units_of_numbers_make_no_difference():
    waves = sines(20).astype(np.float64)
    model = RNNSeq2Seq(**QUICK)
    expected = model.fit(waves[:, :8], waves[:, 8:]).predict(waves[:, :8])
    model.fit(64 * waves[:, :8], 128 * waves[:, 8:] + 1)
    assert_allclose(model.predict(64 * waves[:, :8]), 128 * expected + 1, rtol=1e-6)


@pytest.mark.needs_jit
def test_each_side_may_be_texts_or_numbers():
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice([*"ud"], 3)) for _ in range(200)]
    moves = [
        np.cumsum([1.0 if c == "u" else -1.0 for c in text for _ in range(2)])
        for text in texts
    ]
    options = {"analyzer": "char", "dropout": 0.0, "random_state": 0}
    model = RNNSeq2Seq(16, max_iter=30, learning_rate_init=0.02, **options)
    assert model.fit(moves, texts).score(moves, texts) > 0.95
    assert model.source_vocabulary_ is None
    assert model.fit(texts, moves).score(texts, moves) > 0.95
    assert model.target_vocabulary_ is None
    for method in (model.log_prob, lambda X, y: model.predict_n_best(X)):
        with pytest.raises(ValueError, match="is for texts"):
            method(texts, moves)


# --- wrong input ----------------------------------------------------------------------


def test_wrong_input_is_named_and_nothing_is_lost(of_words, of_numbers):
    waves = sines(6)
    holed = waves.copy()
    holed[2, 3, 0] = np.nan
    for model, pair, message in [
        (of_words, (X[:3], Y[:2]), "X has 3, y has 2"),
        (of_words, (["a", ""], Y[:2]), "Text 1, '', has no token"),
        (of_words, (X[:2], ["a", None]), "In y: y must hold texts, but sample 1"),
        (of_words, (waves, Y[:6]), "fitted to texts, but these are none: got ndarray"),
        (of_words, (X[:6], waves), "In y: The model was fitted to texts"),
        (of_numbers, (X[:6], waves), "numbers, but these are texts"),
        (of_numbers, (holed, waves), "NaN: sample 2, step 3, channel 0"),
        (of_numbers, (waves, holed), "In y: .*NaN: sample 2, step 3, channel 0"),
        (of_numbers, (sines(6, n_channels=2), waves), "2 features, but RNNSeq2Seq"),
    ]:
        before = pickle.dumps(model)
        for method in (model.partial_fit, model.score):
            with pytest.raises((ValueError, TypeError), match=message):
                method(*pair)
        assert pickle.dumps(model) == before
    for source, message in [
        ("the cat", r"Pass one text as \[text\]"),
        ([], "Found 0 samples"),
        ([None], "these are none: got list of NoneType"),
        ([X[:1]], "these are none: got list of list"),
    ]:
        with pytest.raises(ValueError, match=message):
            of_words.predict(source)
    for pair in [(X[:3], Y[:2]), (X, None), (5, Y), ([], []), ("a", "b"), ([1], ["a"])]:
        with pytest.raises((ValueError, TypeError)):
            RNNSeq2Seq(**QUICK).fit(*pair)
    for method in (of_words.predict, lambda X: RNNSeq2Seq(**QUICK).fit(X, X)):
        with pytest.raises(ValueError, match=r"Pass one text as \[text\]"):
            method("one cat")
    with pytest.raises(ValueError, match="Found 0 samples"):
        of_words.predict([])
    one_each = np.arange(len(X))
    for y in (one_each, one_each.tolist(), pd.Series(one_each)):
        with pytest.raises(ValueError, match="RNNRegressor and RNNClassifier are for"):
            RNNSeq2Seq(**QUICK).fit(X, y)
    with pytest.raises(ValueError, match="In the validation set: In y: Text 0"):
        RNNSeq2Seq(**QUICK).fit(X, Y, X_val=["cat"], y_val=[""])
    with pytest.raises(ValueError, match="In y: Text 1, ' ', has no token"):
        copy.deepcopy(of_words).partial_fit(X[:2], ["a", " "])
    with pytest.raises(ValueError, match="together"):
        RNNSeq2Seq(**QUICK).fit(X, Y, X_val=X)
    with pytest.raises(ValueError, match="n_steps is for numbers"):
        of_words.predict(X, n_steps=3)
    with pytest.raises(ValueError, match="n == 0, must be >= 1"):
        of_words.predict_n_best(X, 0)


def test_labels_in_another_order_are_refused():
    sources, targets = pd.Series(X), pd.Series(Y)
    with pytest.raises(ValueError, match="in another order"):
        RNNSeq2Seq(**QUICK).fit(sources, targets[::-1])


def test_before_fit():
    model = RNNSeq2Seq()
    for method in (model.predict, model.predict_n_best, model.attention_weights):
        with pytest.raises(NotFittedError):
            method(X)
    for method in (model.score, model.log_prob):
        with pytest.raises(NotFittedError):
            method(X, Y)


@pytest.mark.parametrize(
    "options",
    [
        {"decoder_layer_sizes": ()},
        {"hidden_layer_sizes": ()},
        {"residual": True, "hidden_layer_sizes": (4, 5)},
        {"residual": True, "decoder_layer_sizes": (4, 5)},
        {"attention": "luong"},
        {"scheduled_sampling": 1.1},
        {"beam_width": 0},
        {"early_stopping": True, "validation_fraction": 0.99},
    ],
    ids=str,
)
def test_settings_that_cannot_be(options):
    (name, *_) = [name for name in reversed(options)]
    with pytest.raises(ValueError, match=name):
        RNNSeq2Seq(**QUICK | options).fit(X, Y)


# --- training -------------------------------------------------------------------------


@pytest.mark.needs_jit
@pytest.mark.parametrize("scheduled_sampling", [0.0, 0.5])
def test_the_same_bits(scheduled_sampling, monkeypatch):
    monkeypatch.setattr("skrnn.threads.MIN_FLOPS_PER_THREAD", 1)
    sources, targets = 4 * X, 4 * Y  # more than the lanes of a shard
    options = QUICK | {"dropout": 0.3, "scheduled_sampling": scheduled_sampling}
    options |= {"batch_size": 80}
    models = [
        RNNSeq2Seq(**options, n_jobs=n).fit(sources, targets) for n in (None, 1, 2, 3)
    ]
    expected = models[0].log_prob(sources, targets)
    for model in models[1:]:
        assert_array_equal(model._parameters, models[0]._parameters)
        assert model.loss_curve_ == models[0].loss_curve_
        assert_array_equal(model.log_prob(sources, targets), expected)


def test_scheduled_sampling_rises_from_nothing():
    plain = RNNSeq2Seq(**QUICK | {"max_iter": 3}).fit(X, Y)
    model = clone(plain).set_params(scheduled_sampling=0.9).fit(X, Y)
    assert model.loss_curve_[0] == plain.loss_curve_[0]
    assert model.loss_curve_[1] != plain.loss_curve_[1]
    once = RNNSeq2Seq(**QUICK, scheduled_sampling=0.9).partial_fit(X, Y)
    assert once.loss_curve_[0] != plain.loss_curve_[0]


def test_forms_of_texts(of_words):
    model = RNNSeq2Seq(**QUICK)
    expected = model.fit(X, Y)._parameters
    for sources, targets in [
        (tuple(X), tuple(Y)),
        (np.array(X), np.array(Y, object)),
        (pd.Series(X), pd.DataFrame({"french": Y})),
    ]:
        assert_array_equal(model.fit(sources, targets)._parameters, expected)
        assert model.predict(sources) == model.predict(X)


@pytest.mark.parametrize("of_what", ["texts", "numbers"])
def test_early_stopping_restores_the_best(of_what):
    pair = (X, Y) if of_what == "texts" else (sines(24)[:, :8], sines(24)[:, 8:])
    options = {"early_stopping": True, "max_iter": 12, "learning_rate_init": 0.03}
    model = RNNSeq2Seq(**QUICK | options, validation_fraction=0.3).fit(*pair)
    assert len(model.validation_scores_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_)
    again = RNNSeq2Seq(**QUICK | options).fit(*pair, X_val=pair[0], y_val=pair[1])
    if of_what == "numbers":
        assert_allclose(again.score(*pair), again.best_validation_score_)


def test_partial_fit_goes_on(of_words):
    model = copy.deepcopy(of_words)
    other = ["a cat", "the cat"], ["le chat", "les chats"]
    before = model.log_prob(*other).sum()
    for _ in range(5):
        model.partial_fit(*other)
    assert model.log_prob(*other).sum() > before
    assert model.n_iter_ == of_words.n_iter_ + 5
    assert model.target_vocabulary_ == of_words.target_vocabulary_
    assert_allclose(of_words.log_prob(*other).sum(), before)  # nothing is shared
    assert RNNSeq2Seq(**QUICK).partial_fit(X, Y).n_iter_ == 1


APART = {"tied": False, "label_smoothing": 0.0}


@pytest.mark.needs_jit
def test_an_adaptive_softmax_writes_by_the_probabilities_it_learned():
    learned = {"hidden_layer_sizes": 48, "max_iter": 40, "learning_rate_init": 0.01}
    model = RNNSeq2Seq(**QUICK | learned, **APART, cutoffs=(4, 7)).fit(X, Y)
    assert "output.tails.1.classes.weights" in model.weights_
    assert model.score(X, Y) > 0.9
    best = [found[0] for found in model.predict_n_best(X[:6], 3)]
    texts, logs = zip(*best, strict=True)
    assert_allclose(model.log_prob(X[:6], texts), logs, rtol=1e-4)
    logs = model.log_prob(X, Y)
    model.set_params(learning_rate_init=1e-12).partial_fit(X, Y)
    n_tokens = sum(len(of_pair.target) + 1 for of_pair in model.attention_weights(X, Y))
    assert model.loss_ == pytest.approx(-logs.sum() / n_tokens, rel=1e-4)
    other = pickle.loads(pickle.dumps(model))
    assert other.set_params(n_jobs=2).predict(X) == model.predict(X)


@pytest.mark.parametrize(
    "setting", [{"tied": True}, {"label_smoothing": 0.1}, {"scheduled_sampling": 0.5}]
)
def test_what_an_adaptive_softmax_does_not_go_with(setting, monkeypatch):
    model = RNNSeq2Seq(**QUICK, **APART | setting, cutoffs=(4,))
    with pytest.raises(ValueError, match=f"but {next(iter(setting))}="):
        model.fit(X, Y)
    monkeypatch.setattr("skrnn._choices.LARGEST_PLAIN", 5)
    model.set_params(cutoffs="auto").fit(X, Y)
    assert not any("tails" in name for name in model.weights_)
    model.set_params(**APART, scheduled_sampling=0.0).fit(X, Y)
    assert any("tails" in name for name in model.weights_)


def test_warm_start():
    model = RNNSeq2Seq(**QUICK, warm_start=True).fit(X, Y)
    loss = model.loss_
    model.fit(X, Y)
    assert model.n_iter_ == 4
    assert model.loss_curve_[2] < loss * 1.1
    model.set_params(hidden_layer_sizes=7)
    with pytest.raises(ValueError, match="another one: hidden_layer_sizes was"):
        model.fit(X, Y)


@pytest.mark.parametrize(
    "setting",
    [
        {"analyzer": "char"},
        {"target_analyzer": "char"},
        {"target_analyzer": str.split},
        {"lowercase": True},
    ],
)
def test_another_way_to_read_needs_a_new_start(setting):
    model = RNNSeq2Seq(**QUICK, warm_start=True).fit(X, Y)
    model.fit(X, Y)  # the same way does not
    with pytest.raises(ValueError, match="read in another way: "):
        model.set_params(**setting).fit(X, Y)


@pytest.mark.parametrize("analyzer", ["word", "char", str.split])
def test_pickled_with_its_vocabularies(analyzer):
    model = RNNSeq2Seq(**QUICK, analyzer=analyzer).fit(X, Y)
    other = pickle.loads(pickle.dumps(model))
    assert other.predict(X) == model.predict(X)
    assert_array_equal(other.log_prob(X, Y), model.log_prob(X, Y))


def test_searches_and_cross_validation():
    search = GridSearchCV(RNNSeq2Seq(**QUICK), {"attention": ["dot", None]}, cv=2)
    search.fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    model = RNNSeq2Seq(**QUICK)
    predicted = cross_val_predict(model, X, Y, cv=2)
    assert len(predicted) == len(X)
    assert all(isinstance(text, str) for text in predicted)
    assert predicted[:12].tolist() == model.fit(X[12:], Y[12:]).predict(X[:12])


def test_callbacks_see_each_epoch():
    pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")
    seen = []

    class Watch:
        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_begin = lambda self, *args, **kwargs: None

        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None, **rest):
            if context.task_name == "epoch":
                seen.append(fitted_estimator.predict(X[:1]))
            return False

    model = RNNSeq2Seq(**QUICK).set_callbacks(Watch()).fit(X, Y)
    assert len(seen) == 2
    assert seen[-1] == model.predict(X[:1])
