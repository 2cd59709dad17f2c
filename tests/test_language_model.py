"""Language models: probabilities, generated text, and what users pass."""

import copy
import itertools
import pickle
import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils import estimator_checks
from threadpoolctl import threadpool_info, threadpool_limits

from skrnn import RNNLanguageModel, RNNSeq2Seq
from skrnn.softmax import Softmax
from tests.oracles import recurrent

QUICK = {"hidden_layer_sizes": 6, "bptt_steps": 5, "batch_size": 4, "max_iter": 3}
QUICK |= {"random_state": 0}
TEXT = "the cat sat on the mat, and the rat sat on the cat. " * 6
TEXTS = ["anna", "hannah", "nan", "ana", "hanna", "naan"] * 4


@pytest.fixture(scope="module")
def of_text():
    return RNNLanguageModel(**QUICK).fit(TEXT)


@pytest.fixture(scope="module")
def of_texts():
    return RNNLanguageModel(**QUICK).fit(TEXTS)


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
    check("RNNLanguageModel", RNNLanguageModel())


# --- probabilities --------------------------------------------------------------------


def log_probabilities_of(model, ids):
    """Those of all tokens after each of these ids: the equations, step by step."""
    weights = model.weights_
    x = weights["embedding.0.vectors"][ids].astype(np.float64)
    for i in itertools.count():
        names = [name for name in weights if name.startswith(f"layers.{i}.")]
        if not names:
            break
        own = {name.split(".")[-1]: weights[name].astype(float) for name in names}
        x = getattr(recurrent, model.cell)(x, **own)
    if "projection.weights" in weights:
        x = x @ weights["projection.weights"] + weights["projection.bias"]
    if "output.weights" in weights:
        raw = x @ weights["output.weights"] + weights["output.bias"]
    else:
        raw = x @ weights["embedding.0.vectors"].T + weights["output.bias"]
    return raw - np.log(np.exp(raw).sum(axis=1, keepdims=True))


def log_prob_of(model, text, closes):
    ids = [model.vocabulary_.get(token, 1) for token in text]
    logs = log_probabilities_of(model, [0, *ids])
    following = [*ids, 0] if closes else ids
    return sum(logs[i, token] for i, token in enumerate(following))


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "rnn"},
        {"cell": "gru", "hidden_layer_sizes": (5, 4)},
        {"cell": "lstm", "embedding_dim": 3},
        {"cell": "lstm", "tied": True},
        {"cell": "gru", "tied": True, "embedding_dim": 4},
    ],
    ids=str,
)
@pytest.mark.parametrize("X", [TEXT, TEXTS], ids=["one text", "texts"])
def test_probabilities_are_those_of_the_equations(X, options):
    model = RNNLanguageModel(**QUICK | options).fit(X)
    closes = isinstance(X, list)
    texts = X[:5] if closes else [X, X[10:50]]
    expected = [log_prob_of(model, text, closes) for text in texts]
    assert_allclose(model.log_prob(texts), expected, rtol=1e-4)
    n_predicted = sum(len(text) + closes for text in texts)
    assert_allclose(model.score(texts), sum(expected) / n_predicted, rtol=1e-4)
    assert_allclose(model.perplexity(texts), np.exp(-model.score(texts)))
    bits = -sum(expected) / np.log(2) / sum(map(len, texts))
    assert_allclose(model.bits_per_char(texts), bits, rtol=1e-4)


def test_probabilities_of_texts_of_a_length_and_of_longer_ones_sum_to_one(of_texts):
    """Of all texts: those that end after n tokens, and those that go on."""
    tokens = [*of_texts.vocabulary_]
    ended = [text for n in (1, 2, 3) for text in itertools.product(tokens, repeat=n)]
    total = np.exp(of_texts.log_prob(["".join(text) for text in ended])).sum()
    ids = [
        [0, *map(of_texts.vocabulary_.get, text)]
        for text in ended[-(len(tokens) ** 3) :]
    ]
    # neither empty texts nor unknown tokens can be asked for
    logs = [log_probabilities_of(of_texts, i) for i in ids]
    rows = [[0, 1, 2], [1, 2, 3]]
    going_on = sum(
        np.exp(sum(log[t, i[t + 1]] for t in rows[0])) * (1 - np.exp(log[3, 0]))
        for log, i in zip(logs, ids, strict=True)
    )
    start = log_probabilities_of(of_texts, [0])[0]
    never = np.exp(start[0]) + np.exp(start[1])
    for n in (1, 2):
        for text in itertools.product(tokens, repeat=n):
            i = [0, *map(of_texts.vocabulary_.get, text)]
            log = log_probabilities_of(of_texts, i)
            before = sum(log[t, i[t + 1]] for t in range(n))
            never += np.exp(before + log[n, 1])
    assert_allclose(total + going_on + never, 1.0, rtol=1e-5)


def test_texts_do_not_depend_on_each_other(of_texts):
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice([*"anh"], size=n)) for n in rng.integers(1, 30, 40)]
    together = of_texts.log_prob(texts)
    alone = [of_texts.log_prob(text)[0] for text in texts]
    assert_allclose(together, alone, rtol=1e-5)


@pytest.mark.needs_jit
@pytest.mark.parametrize("cutoffs", [None, (4, 9)])
def test_it_learns_what_comes_next(cutoffs):
    model = RNNLanguageModel(
        24,
        bptt_steps=16,
        batch_size=4,
        max_iter=100,
        learning_rate_init=0.02,
        cutoffs=cutoffs,
        random_state=0,
    )
    model.fit(TEXT)
    assert model.score(TEXT) > -0.15
    assert np.all(np.diff(model.loss_curve_[::10]) < 0)
    assert_allclose(-model.loss_curve_[-1], model.score(TEXT), atol=0.1)
    *words, _ = re.findall(r"\w+", model.generate("the", 100, temperature=0))
    assert set(words) <= set(re.findall(r"\w+", TEXT))


@pytest.mark.needs_jit
def test_large_vocabularies_get_an_adaptive_softmax():
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in np.sort(rng.integers(0, 7000, 30_000))]
    model = RNNLanguageModel(4, analyzer="word", max_iter=1, random_state=0)
    model.fit(" ".join(words))
    assert model._architecture.cutoffs
    assert np.isfinite(model.score(" ".join(words[:50])))
    hidden = rng.normal(size=(3, 4)).astype(np.float32)
    logs = model._next_token().log_probabilities(hidden).astype(float)
    sums = np.exp(logs).sum(axis=1)
    assert_allclose(sums, 1.0, rtol=1e-4)
    assert not RNNLanguageModel(4, max_iter=1).fit(TEXT)._architecture.cutoffs


# --- generated text -------------------------------------------------------------------


def test_the_most_likely_token_at_temperature_zero(of_text):
    ids = [0, *(of_text.vocabulary_[char] for char in "the ")]
    tokens = {number: token for token, number in of_text.vocabulary_.items()}
    for _ in range(12):
        scores = log_probabilities_of(of_text, ids)[-1]
        scores[:2] = -np.inf  # neither the boundary nor the unknown token
        ids.append(int(scores.argmax()))
    expected = "the " + "".join(tokens[i] for i in ids[5:])
    assert of_text.generate("the ", 12, temperature=0) == expected
    assert of_text.generate("the ", 12, top_k=1, random_state=3) == expected
    assert of_text.generate("the ", 12, top_p=1e-9, random_state=3) == expected


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_by_their_probabilities(of_texts, temperature):
    n = 4000
    written = of_texts.generate([""] * n, 1, temperature=temperature, random_state=0)
    counts = pd.Series(written).value_counts()
    logs = log_probabilities_of(of_texts, [0])[0] / temperature
    logs[1] = -np.inf
    probabilities = np.exp(logs) / np.exp(logs).sum()
    for token, number in [("", 0), *of_texts.vocabulary_.items()]:
        p = probabilities[number]
        assert abs(counts.get(token, 0) / n - p) < 5 * np.sqrt(p * (1 - p) / n) + 1e-9


def test_text_is_reproducible(of_text):
    first = of_text.generate("the", 30, random_state=1)
    assert first == of_text.generate("the", 30, random_state=1)
    assert first != of_text.generate("the", 30, random_state=2)
    assert first.startswith("the")
    assert len(first) == 33
    assert of_text.generate("the", 0) == "the"


def test_streamed_text_is_the_same(of_text):
    for stop in (None, "t", ["ca", " the"], "zzzzzz"):
        options = {"stop": stop, "random_state": 5}
        pieces = list(of_text.stream("the", 40, **options))
        assert "the" + "".join(pieces) == of_text.generate("the", 40, **options)
    assert len(list(of_text.stream("the", 40, random_state=5))) == 40
    stream = of_text.stream("the", 10**9, random_state=5)
    assert len("".join(itertools.islice(stream, 20))) == 20


def test_text_ends_before_a_stop(of_text):
    whole = of_text.generate("the", 60, random_state=5)
    for stop in (whole[20:23], [whole[30:34], whole[20:23]], whole[4]):
        stops = [stop] if isinstance(stop, str) else stop
        end = min(whole.index(text, 3) for text in stops)
        assert of_text.generate("the", 60, random_state=5, stop=stop) == whole[:end]


def test_texts_end_where_several_were_seen(of_texts, of_text):
    written = of_texts.generate([""] * 50, 60, random_state=0)
    assert len({len(text) for text in written}) > 5
    assert all(len(text) == 60 for text in of_text.generate([""] * 5, 60))


def test_blas_computes_on_one_thread(of_text, monkeypatch):
    """The last bits hang on how many there are, and with them what is drawn."""
    multiply, seen = Softmax._raw, set()

    def watched(self, hidden):
        libraries = [lib for lib in threadpool_info() if lib["user_api"] == "blas"]
        seen.update(lib["num_threads"] for lib in libraries)
        return multiply(self, hidden)

    monkeypatch.setattr(Softmax, "_raw", watched)
    with threadpool_limits(2, "blas"):
        for ask in (of_text.score, of_text.log_prob, of_text.generate):
            seen.clear()
            ask("the cat")
            assert seen <= {1}


def test_prompts_side_by_side(of_text):
    prompts = ["the cat", "a", "", "mat, and the rat"]
    together = of_text.generate(prompts, 20, temperature=0)
    assert together == [of_text.generate(p, 20, temperature=0) for p in prompts]
    assert of_text.generate([], 5) == []


def test_words():
    model = RNNLanguageModel(**QUICK, analyzer="word").fit(TEXT)
    assert {"cat", ",", "."} < set(model.vocabulary_)
    written = model.generate("the cat", 5, random_state=0)
    assert written.startswith("the cat ")
    assert len(written.split(" ")) == 7
    assert not model.generate("", 3, random_state=0).startswith(" ")


@pytest.mark.parametrize(("analyzer", "space"), [(list, ""), (str.split, " ")])
def test_tokens_of_a_callable_are_joined(analyzer, space):
    model = RNNLanguageModel(**QUICK, analyzer=analyzer).fit(TEXT)
    tokens = list(model.stream("the", 5, random_state=0))
    assert all(token.startswith(space) for token in tokens)
    assert all(token.removeprefix(space) in model.vocabulary_ for token in tokens)
    # what is written goes by what was fitted
    model.set_params(analyzer="word")
    assert model.generate("the", 5, random_state=0) == "the" + "".join(tokens)


# --- unknown tokens and wrong input ---------------------------------------------------


def test_unknown_tokens(of_text):
    assert np.isfinite(of_text.log_prob("the Xat")).all()
    assert of_text.log_prob("the Xat") < of_text.log_prob("the cat")
    of_text.generate("the Xat", 3)
    with pytest.raises(ValueError, match="No token of the prompt 'XYZ'"):
        of_text.generate("XYZ", 3)
    strict = clone(of_text).set_params(unknown_tokens="error").fit(TEXT)
    for call in (
        lambda: strict.score(["the cat", "the Xat"]),
        lambda: strict.partial_fit(["the cat", "the Xat"]),
    ):
        with pytest.raises(ValueError, match="Text 1 has the token 'X' at place 4"):
            call()
    with pytest.raises(ValueError, match="Text 0 has the token 'X' at place 4"):
        strict.generate("the Xat", 3)


def test_perplexity_may_be_infinite():
    model = RNNLanguageModel(**QUICK | {"max_iter": 1}, learning_rate="constant")
    model.set_params(learning_rate_init=1000.0, n_iter_no_change=np.inf).fit(TEXT)
    text = min((5 * char for char in model.vocabulary_), key=model.score)
    assert model.score(text) < -710
    assert model.perplexity(text) == np.inf


def test_an_analyzer_may_give_its_tokens_one_by_one():
    model = RNNLanguageModel(**QUICK, analyzer=lambda text: iter(text.split()))
    model.fit(["a b", "b a"])
    assert np.isfinite(model.score(["c"]))
    with pytest.raises(ValueError, match="Text 0 has the token 'c' at place 1"):
        model.set_params(unknown_tokens="error").score(["a c"])


@pytest.mark.parametrize("X", ["", [], [""], ["a", ""], [1], 5, None, b"abc", [None]])
def test_what_is_no_text(X, of_text):
    with pytest.raises((ValueError, TypeError)):
        RNNLanguageModel(**QUICK).fit(X)
    before = pickle.dumps(of_text)
    for method in (of_text.score, of_text.partial_fit):
        with pytest.raises((ValueError, TypeError)):
            method(X)
    assert pickle.dumps(of_text) == before


def test_an_empty_text_is_named(of_text):
    with pytest.raises(ValueError, match="Text 1, '', has no token"):
        RNNLanguageModel(**QUICK).fit(["ab", ""])
    words = RNNLanguageModel(**QUICK, analyzer="word")
    with pytest.raises(ValueError, match=r"Text 1, '  \\n', has no token"):
        words.fit(["ab", "  \n"])
    with pytest.raises(ValueError, match="In the validation set: Text 0, ''"):
        RNNLanguageModel(**QUICK).fit("ab", X_val=[""])
    decoding = RNNLanguageModel(**QUICK, analyzer=lambda text: list(encoded(text)))
    with pytest.raises(ValueError, match="In the validation set: 'ascii' codec"):
        decoding.fit("ab", X_val=["é"])  # an error whose type wants five arguments


def encoded(text):
    return text.encode("ascii").decode()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": -1}, "length"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": np.nan}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": np.nan}, "top_p"),
        ({"stop": ""}, "stop"),
        ({"stop": [1]}, "stop"),
        ({"stop": 3}, "stop"),
        ({"prompt": 5}, "prompt"),
        ({"prompt": b"the"}, "prompt must be a str"),
    ],
)
def test_wrong_arguments_of_generate(of_text, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        of_text.generate(**{"prompt": "the", **options})


def test_stream_checks_at_once(of_text):
    with pytest.raises(ValueError, match="top_p"):
        of_text.stream("the", top_p=2.0)
    with pytest.raises(TypeError, match="one prompt"):
        of_text.stream(["the"])


def test_before_fit():
    model = RNNLanguageModel()
    for call in (model.generate, lambda: model.score(TEXT), model.stream):
        with pytest.raises(NotFittedError):
            call()


@pytest.mark.parametrize(
    "options",
    [
        {"cutoffs": (5, 3)},
        {"cutoffs": []},
        {"cutoffs": (10_000,)},
        {"cutoffs": (5,), "tied": True},
        {"residual": True, "hidden_layer_sizes": (4, 5)},
        {"hidden_layer_sizes": ()},
    ],
    ids=str,
)
def test_settings_that_contradict_each_other(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        RNNLanguageModel(**QUICK | options).fit(TEXT)


# --- training -------------------------------------------------------------------------


@pytest.mark.needs_jit
@pytest.mark.parametrize("X", [3 * TEXT, 6 * TEXTS], ids=["one text", "texts"])
def test_the_same_bits(X, monkeypatch):
    monkeypatch.setattr("skrnn.threads.MIN_FLOPS_PER_THREAD", 1)
    options = QUICK | {"batch_size": 70}  # more than the lanes of a shard
    models = [RNNLanguageModel(**options, n_jobs=n).fit(X) for n in (None, 1, 2, 3)]
    for model in models[1:]:
        assert_array_equal(model._parameters, models[0]._parameters)
        assert model.loss_curve_ == models[0].loss_curve_


def test_forms_of_texts(of_texts):
    forms = [
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, object),
        pd.Series(TEXTS, index=range(5, 5 + len(TEXTS))),
        pd.DataFrame({"text": TEXTS}),
    ]
    for X in forms:
        model = RNNLanguageModel(**QUICK).fit(X)
        assert_array_equal(model._parameters, of_texts._parameters)
        assert_array_equal(model.log_prob(X), of_texts.log_prob(TEXTS))
    one = RNNLanguageModel(**QUICK).fit([TEXT])
    assert_array_equal(one._parameters, RNNLanguageModel(**QUICK).fit(TEXT)._parameters)


@pytest.mark.parametrize("X", [TEXT, TEXTS], ids=["one text", "texts"])
def test_early_stopping_restores_the_best(X):
    options = {"early_stopping": True, "max_iter": 12, "learning_rate_init": 0.03}
    model = RNNLanguageModel(**QUICK | options).fit(X)
    assert len(model.validation_scores_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_)
    held_out = TEXT[-round(0.1 * len(TEXT)) :]
    if isinstance(X, str):
        assert_allclose(model.score(held_out), model.best_validation_score_)


def test_a_validation_set_of_ones_own():
    model = RNNLanguageModel(**QUICK).fit(TEXT, X_val="the rat sat")
    assert_allclose(model.validation_scores_[-1], model.score("the rat sat"))


def test_partial_fit_goes_on(of_text):
    model = copy.deepcopy(of_text)
    other = "the dog ran to the cat. " * 10
    before = model.score(other)
    for _ in range(5):
        model.partial_fit(other)
    assert model.score(other) > before
    assert model.n_iter_ == of_text.n_iter_ + 5
    assert model.vocabulary_ == of_text.vocabulary_
    assert_allclose(of_text.score(other), before)  # the copy shares nothing
    first = RNNLanguageModel(**QUICK).partial_fit(TEXT)
    assert first.n_iter_ == 1


def test_warm_start():
    model = RNNLanguageModel(**QUICK, warm_start=True).fit(TEXT)
    loss = model.loss_
    model.fit(TEXT)
    assert model.n_iter_ == 6
    assert model.loss_curve_[3] < loss * 1.1
    model.set_params(hidden_layer_sizes=7)
    with pytest.raises(ValueError, match="another one: hidden_layer_sizes was"):
        model.fit(TEXT)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "setting", [{"analyzer": "word"}, {"lowercase": True}, {"max_features": 3}]
)
def test_another_way_to_read_needs_a_new_start(method, setting):
    model = RNNLanguageModel(**QUICK, warm_start=True).fit(TEXT)
    with pytest.raises(ValueError, match=f"in another way: {next(iter(setting))} was"):
        getattr(model.set_params(**setting), method)(TEXT)
    assert model.n_iter_ == QUICK["max_iter"]


def test_a_callable_that_came_out_of_a_file_passes_for_the_same():
    model = RNNLanguageModel(**QUICK, analyzer=partial(str.split), warm_start=True)
    other = pickle.loads(pickle.dumps(model.fit(TEXT)))
    assert other.set_params(analyzer=partial(str.split)).fit(TEXT).n_iter_ > 3


@pytest.mark.needs_jit
@pytest.mark.parametrize("cutoffs", [None, [5, 9]])
def test_threads_change_no_bit_of_probabilities(cutoffs, monkeypatch):
    monkeypatch.setattr("skrnn.threads.MIN_FLOPS_PER_THREAD", 1)
    texts = [TEXT[i : i + 3 + i % 7] for i in range(90)]
    model = RNNLanguageModel(**QUICK, cutoffs=cutoffs).fit(texts)
    expected = model.log_prob(texts)
    assert_array_equal(model.set_params(n_jobs=3).log_prob(texts), expected)


def test_pickled_with_its_vocabulary(of_text):
    other = pickle.loads(pickle.dumps(of_text))
    assert other.generate("the", 20, random_state=0) == of_text.generate(
        "the", 20, random_state=0
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_grid_search():
    search = GridSearchCV(
        RNNLanguageModel(**QUICK), {"cell": ["rnn", "gru"], "tied": [True]}, cv=3
    )
    search.fit(np.array(TEXTS, object))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ < 0


def test_text_written_in_training():
    pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")
    from skrnn.callbacks import TextSample

    seen = []
    callback = TextSample("the", 10, every=2, random_state=0, write=seen.append)
    model = RNNLanguageModel(**QUICK | {"max_iter": 4}).set_callbacks(callback)
    model.fit(TEXT)
    assert len(seen) == 2
    assert all("the" in text for text in seen)
    assert model.generate("the", 10, random_state=0) in seen[-1]


def test_a_text_sample_that_cannot_be_shows_before_training():
    pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9")
    from skrnn.callbacks import TextSample

    model = RNNLanguageModel(**QUICK).set_callbacks(TextSample(every=0))
    with pytest.raises(ValueError, match="every must be a positive integer, got 0"):
        model.fit(TEXT)
    other = RNNSeq2Seq(4, max_iter=1).set_callbacks(TextSample())
    with pytest.raises(TypeError, match="not what a RNNSeq2Seq does"):
        other.fit(["a", "b"], ["b", "a"])
    assert model.n_iter_ == other.n_iter_ == 0
