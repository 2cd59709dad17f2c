"""Tokens: whole numbers that stand for vectors."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from skrnn import RNNClassifier, RNNRegressor, Sequences, SequenceTokenizer
from skrnn.inspection import input_gradient
from skrnn.network import network_of

# whole fits, too slow as plain Python; what they run is tried alone elsewhere
pytestmark = pytest.mark.needs_jit

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(2, 9, 120)
TOKENS = [RNG.integers(0, 6, n) for n in LENGTHS]
# which of two tokens comes more often
LABELS = np.array([(t == 2).sum() > (t == 4).sum() for t in TOKENS])
BRIEF = {"hidden_layer_sizes": (8,), "max_iter": 40, "random_state": 0, "cell": "gru"}
BRIEF |= {"n_iter_no_change": np.inf, "learning_rate_init": 0.02}


def classifier(**settings):
    return RNNClassifier(**{"embedding_dim": 4, **BRIEF, **settings})


def test_tokens_are_learned():
    model = classifier().fit(TOKENS, LABELS)
    assert model.score(TOKENS, LABELS) > 0.95
    assert model.weights_["embedding.0.vectors"].shape == (6, 4)


def test_integers_and_floats_are_the_same_tokens():
    model = classifier().fit(TOKENS, LABELS)
    as_floats = classifier().fit([t.astype(float) for t in TOKENS], LABELS)
    assert_array_equal(model._parameters, as_floats._parameters)


def test_the_network_is_that_of_the_vectors():
    """As if each token's vector had been passed as numbers."""
    table = RNG.normal(size=(6, 3))
    settings = {"embeddings": table, "embedding_dim": None, "freeze": "embedding"}
    model = classifier(**settings, standardize=False).fit(TOKENS, LABELS)
    vectors = [table[t] for t in TOKENS]
    by_name = {**model.weights_}
    assert_array_equal(by_name.pop("embedding.0.vectors"), table)
    plain = RNNClassifier(**BRIEF | {"max_iter": 1}, standardize=False)
    plain.set_params(init=by_name, freeze=list(by_name)).fit(vectors, LABELS)
    expected = model.decision_function(TOKENS)
    assert_array_equal(plain.decision_function(vectors), expected)


def test_tokens_beside_numbers():
    numbers = [RNG.normal(size=n) for n in LENGTHS]
    y = [n[t == 3].sum() for n, t in zip(numbers, TOKENS, strict=True)]
    frames = [
        pd.DataFrame({"number": n, "token": t})
        for n, t in zip(numbers, TOKENS, strict=True)
    ]
    settings = BRIEF | {"embedding_dim": 4, "max_iter": 150}
    by_name = RNNRegressor(**settings, token_channels="token").fit(frames, y)
    by_place = RNNRegressor(**settings, token_channels=[1]).fit(
        [frame.to_numpy() for frame in frames], y
    )
    assert_array_equal(by_name._parameters, by_place._parameters)
    assert by_name.score(frames, y) > 0.8
    # tokens are not standardized, numbers are
    assert_array_equal(by_name._inputs.scale[1], 1.0)
    assert by_name._inputs.mean[0] != 0.0


def test_several_channels_of_tokens_have_tables_of_their_own():
    X = [np.column_stack([t, t % 2]) for t in TOKENS]
    model = classifier().fit(X, LABELS)
    shapes = {n: v.shape for n, v in model.weights_.items() if "vectors" in n}
    assert shapes == {"embedding.0.vectors": (6, 4), "embedding.1.vectors": (2, 4)}


def test_padding_is_no_step():
    padded = np.zeros((120, 12), int)
    in_front = padded.copy()
    shifted = [t + 1 for t in TOKENS]
    for i, t in enumerate(shifted):
        padded[i, : len(t)] = t
        in_front[i, 12 - len(t) :] = t
    expected = classifier().fit(shifted, LABELS)
    for X in (padded, in_front):
        model = classifier(padding_token=0).fit(X, LABELS)
        assert_array_equal(model.predict_proba(X), expected.predict_proba(shifted))


def test_tokens_beyond_the_vocabulary():
    model = classifier().fit(TOKENS, LABELS)
    X = [*TOKENS[:3], np.array([1, 2, 6])]
    message = (
        r"Token 6 is not in the vocabulary of n_tokens=6, 0 to 5: sample 3, step 2"
    )
    with pytest.raises(ValueError, match=message):
        model.predict(X)
    with pytest.raises(ValueError, match="Token -1 is not in"):
        model.predict([np.array([-1])])
    with pytest.raises(ValueError, match=r"whole numbers, got 0\.5: sample 0, step 1"):
        model.predict([np.array([0.0, 0.5])])
    lenient = classifier(unknown_tokens="ignore").fit(TOKENS, LABELS)
    known, unknown = [np.array([1, 2, 3])], [np.array([1, 77, 3])]
    assert np.isfinite(lenient.predict_proba(unknown)).all()
    assert (lenient.predict_proba(unknown) != lenient.predict_proba(known)).any()
    other = [np.array([1, -5, 3])]  # all of them are zeros
    assert_array_equal(lenient.predict_proba(unknown), lenient.predict_proba(other))


@pytest.mark.parametrize("missing", ["error", "mask"])
def test_errors_name_the_step_of_what_was_passed(missing):
    model = classifier(padding_token=0, missing=missing).fit(TOKENS, LABELS)
    tokens = [np.array([1.0, 2.0]), np.array([0.0, 1.0, 0.0, 0.0, 99.0, 0.0])]
    step = 4
    if missing == "mask":
        tokens[1] = np.array([0.0, np.nan, 1.0, np.nan, 0.0, 99.0, 0.0])
        step = 5
    for ask in (model.predict, lambda X: input_gradient(model, X)):
        with pytest.raises(ValueError, match=f"Token 99 .*: sample 1, step {step}, "):
            ask(tokens)
    with pytest.raises(ValueError, match=f"Token 99 .*: sample 1, step {step}, "):
        classifier(padding_token=0, missing=missing, n_tokens=6).fit(
            tokens, [False, True]
        )


def test_a_missing_token_is_no_token():
    """Zeros stand for it, as for an unknown one, and nothing is learned of them."""
    holes = [np.where(RNG.random(len(t)) < 0.3, np.nan, t + 1.0) for t in TOKENS]
    settings = {"missing": "indicator", "n_tokens": 7, "unknown_tokens": "ignore"}
    model = classifier(**settings, alpha=0, max_iter=5).fit(holes, LABELS)
    begun = classifier(**settings, max_iter=1, learning_rate_init=1e-30)
    name = "embedding.0.vectors"
    initial = begun.fit(holes, LABELS).weights_[name]
    moved = (model.weights_[name] != initial).any(axis=1)
    assert_array_equal(moved, [False] + 6 * [True])  # no token is 0
    # nor does the prediction hang on the vector of token 0
    expected = model.predict_proba(holes)
    state, p = model.initial_state(1), None
    for token in holes[0]:
        p, state = model.step([[token]], state, response_method="predict_proba")
    assert_array_equal(p, expected[:1])
    model._parameters = model._parameters.copy()
    views = network_of(model._architecture).layout.views(model._parameters)
    views[name][0] += 7.0
    assert_array_equal(model.predict_proba(holes), expected)
    state = model.initial_state(1)
    for token in holes[0]:
        p, state = model.step([[token]], state, response_method="predict_proba")
    assert_array_equal(p, expected[:1])


def test_a_larger_vocabulary():
    model = classifier(n_tokens=50).fit(TOKENS, LABELS)
    assert model.weights_["embedding.0.vectors"].shape == (50, 4)
    model.predict([np.array([49])])
    with pytest.raises(ValueError, match="n_tokens=3, 0 to 2"):
        classifier(n_tokens=3).fit(TOKENS, LABELS)


def test_partial_fit_keeps_the_vocabulary():
    model = classifier().partial_fit(TOKENS, LABELS, classes=[False, True])
    few = [np.array([1, 0]), np.array([0, 1])]
    model.partial_fit(few, [True, False])
    assert model._inputs.n_tokens == ((0, 6),)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps_per_frame": 2}, "channels of numbers"),
        ({"differences": True}, "channels of numbers"),
        ({"token_channels": [1]}, "token_channels has 1, but X has 1 channels"),
        ({"token_channels": "word"}, "names 'word', not a channel"),
        ({"embeddings": np.zeros((6, 3))}, "has 3 columns, but embedding_dim=4"),
        ({"embeddings": np.zeros(6)}, "shape"),
        ({"embeddings": np.zeros((6, 4)), "n_tokens": 7}, "6 rows, but n_tokens=7"),
        ({"token_channels": []}, "token_channels is empty"),
        ({"token_channels": [0, 0]}, "token_channels has channel 0 twice"),
        ({"adversarial_eps": 0.1}, "adversarial_eps moves numbers"),
        ({"embedding_dim": None, "padding_token": 0}, "padding_token needs tokens"),
        ({"embedding_dim": None, "n_tokens": 9}, "n_tokens needs tokens"),
        ({"embedding_dim": None, "token_channels": 0}, "token_channels needs tokens"),
        (
            {"embedding_dim": None, "unknown_tokens": "ignore"},
            "unknown_tokens needs tokens",
        ),
    ],
)
def test_settings_that_do_not_fit(settings, message):
    with pytest.raises(ValueError, match=message):
        classifier(**settings).fit(TOKENS, LABELS)


@pytest.mark.parametrize("settings", [{"n_tokens": 9}, {"embeddings": np.ones((9, 4))}])
def test_training_goes_on_with_the_same_vocabulary_only(settings):
    model = classifier(max_iter=2, warm_start=True).fit(TOKENS, LABELS)
    before = model._parameters.copy()
    model.set_params(**settings)
    for proceed in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=r"another way: .*tokens"):
            proceed(TOKENS, LABELS)
    assert_array_equal(model._parameters, before)
    model.set_params(n_tokens=6, embeddings=None).fit(TOKENS, LABELS)
    assert model.n_iter_ == 4
    settings = {"n_tokens": None, "warm_start": False} | settings
    model.set_params(**settings).fit(TOKENS, LABELS)
    assert len(model.weights_["embedding.0.vectors"]) == 9


def test_strings_in_a_pipeline():
    names = ["anna", "bella", "carl", "dirk", "ella", "finn", "gina", "hugo"] * 8
    endings = [name[-1] for name in names]
    model = make_pipeline(SequenceTokenizer("char"), classifier(max_iter=80))
    assert model.fit(names, endings).score(names, endings) > 0.95
    assert model.predict(["zoë", "öla"]).shape == (2,)  # letters never seen
    grid = {
        "sequencetokenizer__analyzer": ["char", "word"],
        "rnnclassifier__embedding_dim": [2, 4],
    }
    model.set_params(rnnclassifier__max_iter=3)
    search = GridSearchCV(model, grid, cv=2).fit(pd.Series(names), endings)
    assert set(search.best_params_) == set(grid)
    assert len(cross_val_score(model, np.array(names), endings, cv=2)) == 2


def test_sequences_of_the_tokenizer_compute_in_float32():
    X = SequenceTokenizer("char").fit_transform(["ab", "ba"] * 10)
    assert isinstance(X, Sequences)
    model = classifier(max_iter=2).fit(X, [0, 1] * 10)
    assert model.predict_proba(X).dtype == np.float32


def test_streams_of_tokens():
    model = classifier().fit(TOKENS, LABELS)
    state = model.initial_state(1)
    for token in TOKENS[0]:
        p, state = model.step([[token]], state, response_method="predict_proba")
    assert_array_equal(p, model.predict_proba(TOKENS[:1]))


@pytest.mark.parametrize("padding", [0, -1])
def test_streams_of_padded_tokens(padding):
    shifted = [t + 1 for t in TOKENS]
    X = np.full((120, 9), padding)
    for i, t in enumerate(shifted):
        X[i, 9 - len(t) :] = t
    model = classifier(padding_token=padding).fit(X, LABELS)
    state, p = model.initial_state(120), np.zeros((120, 2))
    with pytest.raises(ValueError, match=f"padding_token={padding}, .* in stream"):
        model.step(X[:, :1], state)
    for t in range(9):
        rows = X[:, t] != padding
        if rows.any():
            p[rows], state[rows] = model.step(
                X[rows, t : t + 1], state[rows], response_method="predict_proba"
            )
    assert_array_equal(p, model.predict_proba(X))


def test_steps_with_unknown_tokens():
    frames = [np.column_stack([np.zeros(len(t)), t]) for t in TOKENS]
    settings = {"token_channels": 1, "max_iter": 2}
    model = classifier(**settings).fit(frames, LABELS)
    state = model.initial_state(3)
    for token, message in (
        (99.0, "Token 99 is not in the vocabulary of n_tokens=6, 0 to 5"),
        (-1, "Token -1 is not in the vocabulary"),
        (-3.5, r"whole numbers, got -3\.5"),
    ):
        x = [[0.5, 1.0], [0.5, 2.0], [0.5, token]]
        with pytest.raises(ValueError, match=message + ".*: stream 2, channel 1"):
            model.step(x, state)
    lenient = classifier(unknown_tokens="ignore", **settings).fit(frames, LABELS)
    x = np.array([[0.5, 1.0], [0.5, 99.0], [0.5, -3.0]])
    found, _ = lenient.step(x, state, response_method="predict_proba")
    assert_array_equal(found, lenient.predict_proba(x[:, np.newaxis]))
    with pytest.raises(ValueError, match=r"whole numbers, got 0\.5: stream 0"):
        lenient.step(x - [0.0, 0.5], state)


def test_pieces_of_sequences_of_tokens():
    """A backward pass once went on to the end of the sequence, beyond its buffers."""
    X = RNG.integers(0, 6, (16, 60))
    y = RNG.normal(size=(16, 60))
    settings = {"return_sequences": True, "bptt_steps": 5, "max_iter": 3}
    settings |= {"hidden_layer_sizes": (4,), "random_state": 0, "shuffle": False}
    tokens = RNNRegressor(**settings, embedding_dim=3, solver="sgd")
    tokens.set_params(learning_rate_init=1e-3).fit(X, y)
    assert np.isfinite(tokens.loss_curve_).all()
    weights = dict(tokens.weights_)
    settings |= {"standardize": False, "learning_rate_init": 0.01}
    frozen = RNNRegressor(**settings, embedding_dim=3, init=dict(weights))
    frozen.set_params(freeze="embedding").fit(X, y)
    table = weights.pop("embedding.0.vectors")
    by_hand = RNNRegressor(**settings, init=weights).fit(table[X], y)
    assert_array_equal(frozen.predict(X), by_hand.predict(table[X]))


def test_float32_tells_so_many_tokens_apart():
    X = np.array([[[2**24]], [[3.0]]], np.float32)
    with pytest.raises(ValueError, match="16777216 tokens apart, but channel 0 has"):
        RNNRegressor(**BRIEF, embedding_dim=1).fit(X, [0.0, 1.0])
