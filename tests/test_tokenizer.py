"""Texts to sequences of token ids: the vocabulary, the ids, and the way back."""

import csv
import functools
import gzip
import pickle
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks, get_tags

from skrnn import Sequences, SequenceScaler, SequenceTokenizer
from skrnn.sequences import check_sequences, check_target_index
from skrnn.text import tokenizer as module

TEXTS = ["The cat sat.", "the dog, the cat", "A cat!"]


def ids_of(sequences):
    return [sample.ravel().tolist() for sample in sequences]


def upper_words(text):
    return text.upper().split()


class BagClassifier(ClassifierMixin, BaseEstimator):
    """Naive Bayes on how often each id occurs."""

    def fit(self, X, y):
        data = check_sequences(self, X, reset=True)
        self.n_ids_ = int(data.values.max()) + 1
        self.bayes_ = MultinomialNB().fit(self._counts(data), y)
        self.classes_ = self.bayes_.classes_
        return self

    def _counts(self, data):
        ids = [np.clip(x.ravel().astype(int), 0, self.n_ids_ - 1) for x in data]
        return np.stack([np.bincount(x, minlength=self.n_ids_) for x in ids])

    def predict(self, X):
        data = check_sequences(self, X, reset=False)
        return self.bayes_.predict(self._counts(data))


@pytest.fixture(scope="session")
def names(data_dir):
    with gzip.open(data_dir / "names18.csv.gz", "rt", encoding="utf-8") as file:
        rows = sorted({(row["language"], row["name"]) for row in csv.DictReader(file)})
    languages, texts = zip(*rows, strict=True)
    return list(texts), np.array(languages)


@pytest.fixture(scope="session")
def reviews(data_dir):
    with gzip.open(data_dir / "rt_polarity.tsv.gz", "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t", 1) for line in file]
    labels, texts = zip(*rows, strict=True)
    return list(texts), np.array(labels, dtype=int)


# --- the vocabulary -------------------------------------------------------------------


def test_ids_go_by_falling_frequency_then_by_token():
    tokenizer = SequenceTokenizer().fit(["ccab", "bac!", "zza"])
    assert list(tokenizer.vocabulary_.items()) == [
        ("a", 2),
        ("c", 3),
        ("b", 4),
        ("z", 5),
        ("!", 6),
    ]
    assert tokenizer.n_tokens_ == 7


def test_words_have_one_letter_or_more_and_punctuation_stands_alone():
    tokenizer = SequenceTokenizer("word").fit(["I don't, 2_b!? ", "\u00e9t\u00e9\n\n-"])
    assert set(tokenizer.vocabulary_) == {
        *["I", "don", "'", "t", ",", "2_b", "!", "?", "\u00e9t\u00e9", "-"]
    }


def test_a_callable_gets_the_raw_text():
    tokenizer = SequenceTokenizer(str.split, lowercase=True, strip_accents="ascii")
    assert tokenizer.fit(["\u00c9t\u00e9 A"]).vocabulary_ == {
        "A": 2,
        "\u00c9t\u00e9": 3,
    }
    lazy = SequenceTokenizer(lambda text: (word for word in text.split()))
    np.testing.assert_array_equal(
        lazy.fit_transform(TEXTS).values,
        SequenceTokenizer(str.split).fit_transform(TEXTS).values,
    )


@pytest.mark.parametrize("parameters", [{"max_features": 3}, {"min_frequency": 2}])
def test_rare_tokens_are_unknown(parameters):
    tokenizer = SequenceTokenizer(**parameters).fit(["aabbbcd", "cb"])
    assert tokenizer.vocabulary_ == {"b": 2, "a": 3, "c": 4}
    assert ids_of(tokenizer.transform(["abcd"])) == [[3, 2, 4, 1]]


def test_max_features_and_min_frequency_together():
    tokenizer = SequenceTokenizer(max_features=3, min_frequency=3).fit(["aabbbcd"])
    assert tokenizer.vocabulary_ == {"b": 2}
    assert tokenizer.n_tokens_ == 3


def test_what_is_cut_off_is_not_counted():
    tokenizer = SequenceTokenizer("word", max_length=2)
    X = tokenizer.fit_transform(["a b c", "d", "b c"])
    assert tokenizer.vocabulary_ == {"b": 2, "a": 3, "c": 4, "d": 5}
    assert ids_of(X) == [[3, 2], [5], [2, 4]]
    assert ids_of(SequenceTokenizer(max_length=2).fit_transform(["abc"])) == [[2, 3]]


def test_lowercase_and_accents():
    texts = ["\u00c9a", "e\u0301A", "\u0141"]

    def vocabulary(**parameters):
        return set(SequenceTokenizer(**parameters).fit(texts).vocabulary_)

    assert vocabulary() == {"\u00c9", "a", "e", "\u0301", "A", "\u0141"}
    assert vocabulary(lowercase=True) == {"\u00e9", "a", "e", "\u0301", "\u0142"}
    assert vocabulary(strip_accents="unicode") == {*"EaeA\u0141"}
    assert vocabulary(strip_accents="ascii", lowercase=True) == {*"ea"}
    composed = functools.partial(unicodedata.normalize, "NFC")
    assert vocabulary(strip_accents=composed) == {*"\u00c9a\u00e9A\u0141"}


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("strip_accents", [None, "ascii", "unicode", str.strip])
def test_words_are_those_of_count_vectorizer(lowercase, strip_accents):
    texts = ["Caf\u00e9 au  lait", " El Ni\u00f1o, el ni\u00f1o", "\u0141\u00f3d\u017a"]
    parameters = {
        "analyzer": "word",
        "lowercase": lowercase,
        "strip_accents": strip_accents,
        "token_pattern": r"\b(\w)\w+",
    }
    ours = SequenceTokenizer(**parameters).fit(texts)
    theirs = CountVectorizer(**parameters).fit(texts)
    assert set(ours.vocabulary_) == set(theirs.vocabulary_)


def test_unicode():
    family = "\U0001f468\u200d\U0001f469"  # three code points, one glyph
    texts = ["e\u0301\u00e9", family, "\U0001d11e", "\ud834\udd1e", "\x00\n"]
    tokenizer = SequenceTokenizer()
    X = tokenizer.fit_transform(texts)
    # The halves of a surrogate pair are two characters, and not the one they encode.
    np.testing.assert_array_equal(X.lengths, [3, 3, 1, 2, 2])
    assert tokenizer.n_tokens_ == 11 + 2
    assert tokenizer.inverse_transform(X) == texts
    assert pickle.loads(pickle.dumps(tokenizer)).transform(texts).values.tolist() == (
        X.values.tolist()
    )


@given(
    st.lists(st.text("abc \u00e9", max_size=5), min_size=1, max_size=8).filter(any),
    st.randoms(use_true_random=False),
    st.sampled_from(["char", list]),
    st.sampled_from([None, 1, 2]),
)
def test_the_order_of_the_samples_does_not_matter(texts, random, analyzer, limit):
    tokenizer = SequenceTokenizer(analyzer, max_features=limit)
    order = random.sample(range(len(texts)), len(texts))
    X = tokenizer.fit_transform(texts)
    vocabulary = list(tokenizer.vocabulary_.items())
    Z = clone(tokenizer).fit_transform([texts[i] for i in order])
    assert ids_of(Z) == ids_of(X[order])
    tokenizer.fit([texts[i] for i in order])
    assert list(tokenizer.vocabulary_.items()) == vocabulary


# --- the ids --------------------------------------------------------------------------


def test_ids_are_float32_sequences_of_one_channel():
    X = SequenceTokenizer().fit(["ab", "b"]).transform(["abx", "b"])
    assert type(X) is Sequences
    assert X.dtype == np.float32 and X.n_channels == 1
    assert X.index is None and X.feature_names is None
    assert X.starts.dtype == X.lengths.dtype == np.int64
    assert ids_of(X) == [[3, 2, 1], [2]]


@pytest.mark.parametrize("analyzer", ["char", "word", upper_words])
def test_fit_transform_is_fit_then_transform(analyzer):
    texts = ["", *TEXTS, "", "", TEXTS[0], " "]
    tokenizer = SequenceTokenizer(analyzer, min_frequency=2, max_length=7)
    X = tokenizer.fit_transform(texts)
    Z = clone(tokenizer).fit(texts).transform(texts)
    assert X.dtype == Z.dtype and ids_of(X) == ids_of(Z)
    np.testing.assert_array_equal(X.starts, Z.starts)


def test_a_text_without_tokens_is_one_unknown_token():
    tokenizer = SequenceTokenizer("word").fit(["", "a", " "])
    assert tokenizer.vocabulary_ == {"a": 2}
    assert ids_of(tokenizer.transform(["", "a a", "", " ", "b", ""])) == [
        *[[1], [2, 2], [1], [1], [1], [1]]
    ]
    assert ids_of(tokenizer.transform([""])) == [[1]]


def series(texts):
    return pd.Series(texts, index=list("xyz"))


@pytest.mark.parametrize(
    "kind",
    [
        list,
        tuple,
        np.array,
        lambda texts: np.array(texts, dtype=object),
        lambda texts: [np.str_(text) for text in texts],
        series,
        lambda texts: series(texts).astype(object),
        lambda texts: series(texts).astype("string"),
        lambda texts: series(texts).astype("category"),
        lambda texts: series(texts).array,
        lambda texts: series(texts).to_frame("text"),
        pd.Index,
    ],
)
def test_containers(kind):
    X = kind(TEXTS)
    tokenizer = SequenceTokenizer("word").fit(TEXTS)
    ids = tokenizer.transform(X)
    assert ids_of(ids) == ids_of(tokenizer.transform(TEXTS))
    assert clone(tokenizer).fit(X).vocabulary_ == tokenizer.vocabulary_
    if isinstance(X, pd.Series | pd.DataFrame):
        assert ids.index.equals(X.index)
    else:
        assert ids.index is None


def test_labels_guard_the_order_of_y():
    ids = SequenceTokenizer().fit_transform(series(TEXTS))
    assert ids[[2, 0]].index.tolist() == ["z", "x"]
    check_target_index(ids, pd.Series([1, 2, 3], index=list("xyz")))
    with pytest.raises(ValueError, match="another order"):
        check_target_index(ids, pd.Series([1, 2, 3], index=list("zyx")))


def test_the_input_is_left_alone():
    X, before = list(TEXTS), list(TEXTS)
    SequenceTokenizer(lowercase=True).fit(X).transform(X)
    assert X == before


# --- and back -------------------------------------------------------------------------


@given(st.lists(st.text(min_size=1), min_size=1))
def test_known_characters_come_back(texts):
    tokenizer = SequenceTokenizer()
    assert tokenizer.inverse_transform(tokenizer.fit_transform(texts)) == texts


@given(st.lists(st.text("ab c", max_size=6), min_size=1), st.text("ab", min_size=1))
def test_unknown_characters_come_back_as_the_mark(texts, known):
    tokenizer = SequenceTokenizer(unknown_token="?").fit([known])
    expected = [re.sub(f"[^{known}]", "?", text) or "?" for text in texts]
    assert tokenizer.inverse_transform(tokenizer.transform(texts)) == expected


def test_words_come_back_with_spaces_between_them():
    tokenizer = SequenceTokenizer("word").fit(["a cat, a dog"])
    X = tokenizer.transform(["cat  a,dog mouse"])
    assert tokenizer.inverse_transform(X) == ["cat a , dog \ufffd"]
    tokenizer = SequenceTokenizer(upper_words).fit(["a b"])
    assert tokenizer.inverse_transform(tokenizer.transform(["b a"])) == ["B A"]


@pytest.mark.parametrize("analyzer", ["char", str.split])
def test_padding_is_skipped(analyzer):
    tokenizer = SequenceTokenizer(analyzer).fit(["a"])
    padded = np.array([[0, 2, 2], [2, 0, 0]])
    texts = ["aa", "a"] if analyzer == "char" else ["a a", "a"]
    assert tokenizer.inverse_transform(padded) == texts
    assert tokenizer.inverse_transform(padded[:, :, np.newaxis]) == texts
    assert tokenizer.inverse_transform(list(padded)) == texts


def test_subsets_come_back():
    tokenizer = SequenceTokenizer()
    X = tokenizer.fit_transform(TEXTS)
    assert tokenizer.inverse_transform(X[[2, 0]]) == [TEXTS[2], TEXTS[0]]
    assert tokenizer.inverse_transform(X[:0]) == []


@pytest.mark.parametrize("wrong", [4, -1, 2.5, np.nan, np.inf])
def test_what_is_no_id_is_refused(wrong):
    tokenizer = SequenceTokenizer().fit(["ab"])
    X = [np.array([2.0]), np.array([3.0, wrong, 2.0])]
    with pytest.raises(ValueError, match=r"is no id: sample 1, step 1\. .* 0 to 3"):
        tokenizer.inverse_transform(X)


def test_ids_of_two_channels_are_refused():
    with pytest.raises(ValueError, match="1 channel, but X has 2"):
        SequenceTokenizer().fit(["ab"]).inverse_transform([np.ones((3, 2))])


# --- what is refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("a text", r"got str\. Pass one text as \[text\]"),
        (np.str_("a text"), r"Pass one text as \[text\]"),
        (b"bytes", "got bytes"),
        (3, "got int"),
        (None, "got NoneType"),
        ({"a", "b"}, "got set"),
        ({"a": "b"}, "got dict"),
        (iter(["a"]), "got list_iterator"),
        (np.array("a"), "got ndarray"),
        ([], "Found 0 samples"),
        (np.array([], dtype=str), "Found 0 samples"),
        (np.array([["a", "b"]]), r"shape is \(1, 2\)"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), r"columns \['a', 'b'\]"),
        (["a", b"b"], r"sample 1 is b'b', of type bytes\. Decode"),
        (np.array([b"a"]), "sample 0 is b'a'"),
        (["a", None], "sample 1 is None"),
        (["a", "b", np.nan], "sample 2 is nan, of type float"),
        ([["a", "b"], "c"], r"sample 0 is \['a', 'b'\], of type list"),
        ([1, "a"], "sample 0 is 1, of type int"),
        (np.arange(3), "sample 0 is 0, of type int"),
        (pd.Series(["a", None], index=["u", "v"]), r"sample 1 \(label 'v'\) is"),
        (pd.Series(["a", pd.NA], dtype="string"), r"sample 1 \(label 1\) is <NA>"),
        (np.ma.array(["a", "b"], mask=[0, 1]), "sample 1 is None"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_set_of_texts(X, message):
    with pytest.raises(ValueError, match=message):
        SequenceTokenizer().fit(X)
    tokenizer = SequenceTokenizer().fit(["a"])
    with pytest.raises(ValueError, match="Found 0 samples|X must"):
        tokenizer.transform(X)


@pytest.mark.parametrize(
    ("parameters", "texts", "message"),
    [
        ({}, ["", ""], "X has no tokens"),
        ({"analyzer": "word"}, [" ", "\n"], "X has no tokens"),
        ({"min_frequency": 4}, ["aab", "a"], "min_frequency=4 times.* occurs 3 times"),
        (
            {"analyzer": "word", "token_pattern": r"(\w)(\w)"},
            ["ab"],
            "one capturing group, .* has 2",
        ),
        (
            {"analyzer": lambda text: text},
            ["", "ab"],
            "sample 0 it returned '', of type str",
        ),
        ({"analyzer": {"a": ["b"]}.get}, ["a", "b"], "sample 1 it returned None"),
        (
            {"analyzer": lambda text: ["a", *map(len, text.split())]},
            ["", "ab"],
            "sample 1 it holds 2, of type int",
        ),
    ],
)
def test_texts_and_analyzers_that_do_not_fit(parameters, texts, message):
    tokenizer = SequenceTokenizer(**parameters)
    with pytest.raises(ValueError, match=message):
        tokenizer.fit(texts)
    assert not hasattr(tokenizer, "vocabulary_")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("analyzer", "char_wb"),
        ("lowercase", "yes"),
        ("strip_accents", "utf"),
        ("token_pattern", None),
        ("max_features", 0),
        ("min_frequency", 0.5),
        ("max_length", 0),
        ("unknown_token", None),
    ],
)
def test_wrong_parameters(name, wrong):
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        SequenceTokenizer(**{name: wrong}).fit(TEXTS)


def test_more_ids_than_float32_tells_apart(monkeypatch):
    assert np.float32(module.MAX_IDS) - np.float32(module.MAX_IDS - 1) == 1
    assert np.float32(module.MAX_IDS) == np.float32(module.MAX_IDS + 1)
    monkeypatch.setattr(module, "MAX_IDS", 5)
    assert SequenceTokenizer().fit(["abc"]).n_tokens_ == 5
    with pytest.raises(ValueError, match="4 different tokens.* max_features"):
        SequenceTokenizer().fit(["abcd"])
    assert SequenceTokenizer(max_features=3).fit(["abcd"]).n_tokens_ == 5


def test_not_fitted():
    for method in ("transform", "inverse_transform"):
        with pytest.raises(NotFittedError):
            getattr(SequenceTokenizer(), method)(TEXTS)


# --- as a transformer of scikit-learn -------------------------------------------------


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
    check("SequenceTokenizer", SequenceTokenizer())


@pytest.mark.contract
def test_tags():
    tags = get_tags(SequenceTokenizer())
    assert tags.input_tags.string and tags.input_tags.one_d_array
    assert not tags.input_tags.two_d_array and tags.requires_fit
    assert not tags.input_tags.three_d_array and not tags.input_tags.allow_nan


@pytest.mark.contract
def test_clone_and_pickle():
    tokenizer = SequenceTokenizer(upper_words, max_features=3, unknown_token="?")
    tokenizer.fit(TEXTS)
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy.vocabulary_ == tokenizer.vocabulary_
    assert ids_of(copy.transform(TEXTS)) == ids_of(tokenizer.transform(TEXTS))
    assert clone(tokenizer).get_params() == tokenizer.get_params()
    assert not hasattr(clone(tokenizer), "vocabulary_")


def test_fitting_anew_forgets():
    tokenizer = SequenceTokenizer().fit(["abc"])
    assert tokenizer.fit(["b"]) is tokenizer
    assert tokenizer.vocabulary_ == {"b": 2} and tokenizer.n_tokens_ == 3
    assert set(vars(tokenizer)) >= {"vocabulary_", "n_tokens_"}
    assert not hasattr(tokenizer, "n_features_in_")
    assert not hasattr(tokenizer, "feature_names_in_")


def test_global_pandas_output_leaves_sequences_alone():
    with config_context(transform_output="pandas"):
        tokenizer = SequenceTokenizer()
        assert type(tokenizer.fit_transform(TEXTS)) is Sequences
        assert type(tokenizer.transform(series(TEXTS))) is Sequences
    # Like CountVectorizer, it has no output to set.
    assert not hasattr(tokenizer, "set_output")


def test_callbacks_are_propagated(capsys):
    sklearn_callback = pytest.importorskip("sklearn.callback")
    pytest.importorskip("rich", reason="scikit-learn's ProgressBar needs rich")
    pipeline = make_pipeline(SequenceTokenizer(), SequenceScaler())
    bar = sklearn_callback.ProgressBar(max_propagation_depth=None)
    pipeline.set_callbacks(bar).fit(TEXTS)  # a step without callbacks would warn
    assert "SequenceTokenizer" in capsys.readouterr().out
    SequenceTokenizer().set_callbacks(bar).fit(TEXTS)
    assert "SequenceTokenizer" in capsys.readouterr().out


def test_it_loads_no_compiler():
    code = (
        "import sys\n"
        "sys.modules['numba'] = sys.modules['llvmlite'] = None\n"
        "from skrnn import SequenceTokenizer\n"
        "SequenceTokenizer('word').fit_transform(['a text'])\n"
        "assert 'sklearn.feature_extraction' not in sys.modules\n"
    )
    root = Path(module.__file__).parents[2]
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=root, check=True)


# --- real texts -----------------------------------------------------------------------


def test_names_come_back(names):
    texts, _ = names
    tokenizer = SequenceTokenizer()
    X = tokenizer.fit_transform(texts)
    counts = Counter("".join(texts))
    assert tokenizer.n_tokens_ == len(counts) + 2
    assert list(tokenizer.vocabulary_) == sorted(counts, key=lambda c: (-counts[c], c))
    np.testing.assert_array_equal(X.lengths, [len(text) for text in texts])
    found = np.bincount(X.values[:, 0].astype(int))
    assert found[:2].tolist() == [0, 0]
    assert found[2:].tolist() == sorted(counts.values(), reverse=True)
    assert tokenizer.inverse_transform(X) == texts


def test_words_of_reviews_come_back(reviews):
    texts, _ = reviews
    tokenizer = SequenceTokenizer("word", min_frequency=2)
    X = tokenizer.fit_transform(texts)
    words = [re.findall(r"\w+|[^\w\s]", text) for text in texts]
    counts = Counter(word for line in words for word in line)
    expected = [
        " ".join(w if counts[w] > 1 else "\ufffd" for w in line) for line in words
    ]
    assert tokenizer.inverse_transform(X) == expected
    assert tokenizer.n_tokens_ == sum(count > 1 for count in counts.values()) + 2


def test_search_in_a_pipeline_over_reviews(reviews):
    texts, y = reviews
    train, test, y_train, y_test = train_test_split(
        pd.Series(texts), pd.Series(y), test_size=0.2, random_state=0, stratify=y
    )
    pipeline = make_pipeline(
        SequenceTokenizer(max_features=500, max_length=200), BagClassifier()
    )
    grid = {"sequencetokenizer__analyzer": ["char", "word", upper_words]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(train, y_train)
    assert search.best_params_["sequencetokenizer__analyzer"] != "char"
    assert search.score(test, y_test) > 0.63  # guessing: 1/2


def test_cross_validation_over_names(names):
    texts, languages = names
    chosen = np.isin(languages, ["Japanese", "Italian", "Russian"])
    X = [text for text, take in zip(texts, chosen, strict=True) if take]
    scores = [
        cross_val_score(
            make_pipeline(SequenceTokenizer(lowercase=True), BagClassifier()),
            container(X),
            languages[chosen],
            cv=StratifiedKFold(3, shuffle=True, random_state=0),
            scoring="balanced_accuracy",
            n_jobs=2,
        )
        for container in (list, np.array, pd.Series)
    ]
    assert np.min(scores) > 0.45  # guessing: 1/3
    np.testing.assert_array_equal(scores[1:], scores[:1] * 2)
