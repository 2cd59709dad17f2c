"""Looking into fitted networks, against finite differences of public predictions."""

import copy
import itertools
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skrnn import RNNClassifier, RNNRegressor, Sequences, SequenceScaler
from skrnn.inspection import (
    AttentionDisplay,
    AttributionDisplay,
    GradientNormDisplay,
    LossCurveDisplay,
    attention_weights,
    gradient_norms,
    input_gradient,
    integrated_gradients,
    occlusion,
)
from skrnn.network import network_of
from tests.oracles.derivatives import gradient

RNG = np.random.default_rng(2)
N_SAMPLES, N_STEPS = 20, 7
X = RNG.normal([1.0, -30.0], [0.5, 20.0], size=(N_SAMPLES, N_STEPS, 2))
RAGGED = [x[: 3 + i % 5] for i, x in enumerate(X)]
HOLES = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
HOLES[:, 3] = X[:, 3]  # some step of each sample is whole
Y = X[:, -1, 0] * X[:, -2, 1]
CLASSES = np.array(["low", "middle", "high"])[np.digitize(Y, [-40, -20])]
BRIEF = {"hidden_layer_sizes": (4,), "cell": "rnn", "max_iter": 3, "random_state": 0}
BRIEF |= {"pooling": "last"}

# finite differences of whole models, too slow as plain Python
pytestmark = pytest.mark.needs_jit


def regressor(X=X, y=Y, **options):
    return RNNRegressor(**(BRIEF | options)).fit(X, y)


def classifier(X=X, y=CLASSES, **options):
    return RNNClassifier(**(BRIEF | options)).fit(X, y)


def numerical(function, x):
    """Return the gradient of a function of one sample, 0 where that is missing."""
    known = ~np.isnan(x)

    def of_known(values):
        moved = x.copy()
        moved[known] = values
        return function(moved)

    result = np.zeros_like(x)
    result[known] = gradient(of_known, x[known], step=1e-4)
    return result


def assert_gradient(found, function, samples, atol=1e-7):
    """Compare with finite differences, sample by sample."""
    assert np.any(found[0])
    for of_sample, x in zip(found, samples, strict=True):
        assert_allclose(of_sample, numerical(function, x), rtol=1e-5, atol=atol)


# --- gradients of predictions ---------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"standardize": False},
        {"cell": "gru", "hidden_layer_sizes": (4, 3)},
        {"cell": "lstm", "bidirectional": True},
        {"hidden_layer_sizes": (4, 4), "residual": True, "layer_norm": True},
        {"pooling": "mean", "learn_initial_state": True},
        {"pooling": "max", "dense_layer_sizes": (5,)},
        {"pooling": "attention"},
        {"dropout": 0.5, "input_noise": 0.5},
        {"steps_per_frame": 2},
        {"steps_per_frame": 3, "differences": True},
        {"differences": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("data", [X, RAGGED], ids=["array", "ragged"])
def test_input_gradient(options, data):
    model = regressor(data, **options)
    found = input_gradient(model, data)
    assert_gradient(found[:4], lambda x: model.predict([x])[0], data[:4])


@pytest.mark.parametrize("missing", ["mask", "indicator"])
@pytest.mark.parametrize(
    "options", [{}, {"differences": True}, {"steps_per_frame": 2, "differences": True}]
)
def test_input_gradient_where_values_are_missing(missing, options):
    model = regressor(HOLES, missing=missing, **options)
    found = input_gradient(model, HOLES)
    assert_gradient(found[:3], lambda x: model.predict(x[None])[0], HOLES[:3])
    skipped = np.isnan(HOLES)
    skipped |= (missing == "mask") & skipped.any(axis=2, keepdims=True)
    assert_array_equal(found[skipped], 0)


def test_more_samples_than_a_shard_or_a_block_has():
    many = RNG.normal(size=(3000, 12, 2))
    model = regressor(many, many[:, 0, 0])
    found = input_gradient(model, many)
    places = [0, 1, 1500, 2999]
    one_by_one = [input_gradient(model, many[[i]])[0] for i in places]
    assert_allclose(found[places], one_by_one, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("loss", "y", "options", "targets"),
    [
        ("squared_error", Y, {}, [None, 0, -1]),
        ("squared_error", X[:, -1], {}, [0, 1, -1]),
        ("poisson", np.abs(Y), {}, [None]),
        ("quantile", Y, {"quantile": [0.9, 0.1, 0.5]}, [0, 1, (0, 2)]),
        ("quantile", X[:, -1], {"quantile": [0.9, 0.1]}, [(0, 1), (1, -2)]),
        ("quantile", X[:, -1], {"quantile": 0.3}, [1]),
    ],
)
def test_outputs_of_regressors(loss, y, options, targets):
    model = regressor(y=y, loss=loss, **options)
    for target in targets:
        place = target
        if target is None or np.ndim(model.predict(X[:1])[0]) == 0:
            place = ()
        elif loss == "quantile" and np.ndim(y) == 1 and isinstance(target, tuple):
            place = target[1]
        found = input_gradient(model, X[:3], target=target)
        assert_gradient(found, lambda x, at=place: model.predict([x])[0][at], X[:3])


def test_quantiles_that_cross_are_explained_as_they_are_predicted():
    model = regressor(y=Y, loss="quantile", quantile=[0.5, 0.45], max_iter=1)
    raw = np.diff(model._predict_raw(Sequences(list(X))))[:, 0]
    crossing = X[[raw.argmin(), raw.argmax()]]  # one of each order
    assert raw.min() < 0 < raw.max()
    found = input_gradient(model, crossing, target=1)
    assert_gradient(found, lambda x: model.predict([x])[0][1], crossing)


def test_classes():
    model = classifier()
    for k, name in enumerate(model.classes_):
        found = input_gradient(model, X[:3], target=name)
        assert_gradient(found, lambda x, k=k: model.decision_function([x])[0, k], X[:3])
    predicted = input_gradient(model, X)
    for name in np.unique(model.predict(X)):
        of_class = model.predict(X) == name
        same = input_gradient(model, X[of_class], target=name)
        assert_allclose(predicted[of_class], same, rtol=1e-10, atol=1e-14)


def test_of_two_classes_one_rises_where_the_other_falls():
    model = classifier(y=Y > np.median(Y))
    of_true = input_gradient(model, X[:3], target=True)
    assert_gradient(of_true, lambda x: model.decision_function([x])[0], X[:3])
    assert_array_equal(input_gradient(model, X[:3], target=False), -of_true)
    sign = np.where(model.predict(X[:3]), 1, -1)[:, None, None]
    assert_array_equal(input_gradient(model, X[:3]), sign * of_true)


def test_labels():
    labels = (X[:, -1] > X.mean(axis=(0, 1))).astype(int)
    model = classifier(y=labels)
    found = input_gradient(model, X[:3], target=1)
    assert_gradient(found, lambda x: model.decision_function([x])[0, 1], X[:3])
    with pytest.raises(ValueError, match="2 outputs: say by target"):
        input_gradient(model, X)


@pytest.mark.parametrize("missing", ["error", "mask", "indicator"])
@pytest.mark.parametrize("step", [None, 0, 4, -1])
def test_a_prediction_for_each_step(missing, step):
    data = X if missing == "error" else HOLES
    y = X.sum(axis=2)
    model = regressor(data, y, return_sequences=True, missing=missing)

    def score(x):
        predicted = model.predict(x[None])[0]
        return predicted.sum() if step is None else predicted[step]

    assert_gradient(input_gradient(model, data[:4], step=step), score, data[:4])
    labels = (y > np.median(y)).astype(int)
    model = classifier(data, labels, return_sequences=True, missing=missing)

    def score_of_classes(x, chosen):
        scores = np.where(chosen == 1, 1, -1) * model.decision_function(x[None])[0]
        return scores.sum() if step is None else scores[step]

    found = input_gradient(model, data[:2], step=step)
    for of_sample, x in zip(found, data[:2], strict=True):
        chosen = model.predict(x[None])[0]
        expected = numerical(lambda x, c=chosen: score_of_classes(x, c), x)
        assert_allclose(of_sample, expected, rtol=1e-5, atol=1e-7)


# --- gradients of losses --------------------------------------------------------------


@pytest.mark.parametrize("data", [X, RAGGED], ids=["array", "ragged"])
def test_gradient_of_the_loss(data):
    model = regressor(data, X[:, -1], differences=True)
    scale = X[:, -1].std(axis=0)

    def loss(x, y):
        return (((model.predict([x])[0] - y) / scale) ** 2).mean() / 2

    found = input_gradient(model, data, X[:, -1])
    for i in range(3):
        expected = numerical(lambda x, i=i: loss(x, X[i, -1]), data[i])
        assert_allclose(found[i], expected, rtol=1e-5, atol=1e-7)


def test_gradient_of_the_loss_of_classes_and_of_steps():
    model = classifier(
        class_weight="balanced", label_smoothing=0.0
    )  # each sample counts as one
    found = input_gradient(model, X[:3], CLASSES[:3])
    for of_sample, x, label in zip(found, X, CLASSES, strict=False):
        k = model.classes_.tolist().index(label)
        expected = numerical(lambda x, k=k: -model.predict_log_proba([x])[0, k], x)
        assert_allclose(of_sample, expected, rtol=1e-5, atol=1e-7)
    y = (X.sum(axis=2) > -30).astype(int)
    options = {"missing": "mask", "label_smoothing": 0.0}
    model = classifier(HOLES, y, return_sequences=True, **options)
    found = input_gradient(model, HOLES[:3], y[:3])
    for of_sample, x, labels in zip(found, HOLES, y, strict=False):
        seen = ~np.isnan(x).any(axis=1)

        def loss(x, labels=labels, seen=seen):
            log_p = model.predict_log_proba(x[None])[0]
            return -log_p[np.arange(N_STEPS), labels][seen].sum()

        assert_allclose(of_sample, numerical(loss, x), rtol=1e-5, atol=1e-7)


# --- forms ----------------------------------------------------------------------------


def long(samples):
    frames = [pd.DataFrame(x, columns=["u", "v"]) for x in samples]
    return pd.concat(frames, keys=range(len(frames)), names=["instance", "time"])


@pytest.mark.parametrize(
    "explain", [input_gradient, integrated_gradients, occlusion, attention_weights]
)
def test_results_have_the_shape_of_x(explain):
    model = regressor(RAGGED, pooling="attention")
    expected = explain(model, RAGGED)
    assert expected.dtype == object
    has_channels = expected[0].ndim == 2
    assert [len(e) for e in expected] == [len(x) for x in RAGGED]
    for i, part in enumerate(explain(model, Sequences(RAGGED))):
        assert_array_equal(part, expected[i])
    frame = long(RAGGED).set_axis([0, 1], axis="columns")
    shuffled = frame.sort_index(level="time", sort_remaining=False, kind="stable")
    of_frame = explain(model, shuffled)
    assert of_frame.index.equals(shuffled.index)
    if has_channels:
        assert list(of_frame.columns) == [0, 1]
    assert_array_equal(of_frame.loc[frame.index], np.concatenate(expected))
    of_array = explain(model, X)
    assert of_array.shape == (X.shape if has_channels else X.shape[:2])
    if has_channels:
        flat = np.full((N_SAMPLES, N_STEPS * 2), np.nan)
        for row, x in zip(flat, RAGGED, strict=True):
            row[: x.size] = x.ravel()
        found = explain(model.set_params(n_channels=2), flat)
        assert found.shape == flat.shape
        assert_array_equal(np.isnan(found), np.isnan(flat))
        assert_array_equal(found[0, : expected[0].size], expected[0].ravel())


def test_univariate_series_stay_univariate():
    series = [x[:, 0] for x in RAGGED]
    model = regressor(series)
    assert input_gradient(model, series)[1].shape == series[1].shape
    equal = [x[:5, 0] for x in X]
    assert input_gradient(model, equal)[1].shape == (5,)
    rows = X[:, :, 0].astype(np.float32)
    found = input_gradient(regressor(rows), rows)
    assert (found.shape, found.dtype) == (rows.shape, np.float32)


# --- integrated gradients -------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cell": "gru", "bidirectional": True},
        {"steps_per_frame": 3, "differences": True},
        {"loss": "poisson"},
        {"return_sequences": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("baseline", ["mean", 1.0, [0.5, -20.0], X[::-1]], ids=type)
def test_contributions_add_up(options, baseline):
    y = np.abs(X[:, :, 0] if "return_sequences" in options else Y)
    model = regressor(y=y, **options)
    found = integrated_gradients(model, X, baseline=baseline)
    compared = X.mean(axis=(0, 1)) if isinstance(baseline, str) else baseline
    compared = np.broadcast_to(compared, X.shape).copy()
    change = model.predict(X) - model.predict(compared)
    change = change.reshape(N_SAMPLES, -1).sum(axis=1)
    assert np.abs(change).max() > 1e-3
    assert_allclose(found.sum(axis=(1, 2)), change, rtol=1e-6, atol=1e-8)


def test_contributions_add_up_where_values_are_missing():
    for missing in ("mask", "indicator"):
        model = classifier(HOLES, missing=missing, differences=True)
        found = integrated_gradients(model, HOLES, target="low", baseline=0.0)
        nothing = np.where(np.isnan(HOLES), np.nan, 0.0)
        column = model.classes_.tolist().index("low")
        change = model.decision_function(HOLES) - model.decision_function(nothing)
        assert_allclose(found.sum(axis=(1, 2)), change[:, column], rtol=1e-6, atol=1e-8)
        assert_array_equal(found[np.isnan(HOLES)], 0)


def test_one_point_of_the_line_is_its_middle():
    model = regressor()
    found = integrated_gradients(model, X, baseline=2.0, n_steps=1)
    expected = (X - 2.0) * input_gradient(model, 2.0 + (X - 2.0) / 2)
    assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


# --- tokens ---------------------------------------------------------------------------

TOKENS = [RNG.integers(1, 9, size=3 + i % 4) for i in range(30)]
MOST = np.array([np.bincount(t, minlength=9).argmax() % 3 for t in TOKENS])


def test_contributions_of_tokens_add_up():
    model = classifier(TOKENS, MOST, embedding_dim=3, unknown_tokens="ignore")
    found = integrated_gradients(model, TOKENS, target=1)
    nothing = [np.full(len(t), -1) for t in TOKENS]
    change = model.decision_function(TOKENS) - model.decision_function(nothing)
    assert_allclose([f.sum() for f in found], change[:, 1], rtol=1e-6, atol=1e-9)
    assert not np.any(input_gradient(model, TOKENS)[0])
    hidden = occlusion(model, TOKENS, target=1, window=10)
    assert_allclose([f.mean() for f in hidden], change[:, 1], rtol=1e-8, atol=1e-10)


def test_tokens_beside_numbers_and_padding():
    numbers = RNG.normal(5.0, size=(30, 6))
    tokens = RNG.integers(0, 4, size=(30, 6)).astype(float)
    tokens[:, 0] = 2
    both = np.stack([numbers, tokens], axis=2)
    y = (numbers * (tokens == 1)).sum(axis=1)
    options = {"token_channels": 1, "embedding_dim": 3, "padding_token": 0}
    model = regressor(both, y, unknown_tokens="ignore", **options)
    found = integrated_gradients(model, both, baseline=4.0)
    unknown = np.where(tokens == 0, 0, -1)  # no step less than before
    nothing = np.stack([np.full_like(numbers, 4.0), unknown], axis=2)
    change = model.predict(both) - model.predict(nothing)
    assert_allclose(found.sum(axis=(1, 2)), change, rtol=1e-6, atol=1e-9)
    for explained in (found, occlusion(model, both), input_gradient(model, both)):
        assert_array_equal(explained[tokens == 0], 0)
    gradients = input_gradient(model, both)
    for of_sample, x in zip(gradients[:3], both, strict=False):
        expected = numerical(
            lambda n, x=x: model.predict(np.stack([n, x[:, 1]], axis=1)[None])[0],
            x[:, 0],
        )
        assert_allclose(of_sample[:, 0], expected, rtol=1e-5, atol=1e-8)
        assert_array_equal(of_sample[:, 1], 0)


@pytest.mark.parametrize("padding", [0, -1])
def test_a_hidden_token_is_no_padding(padding):
    length = max(len(t) for t in TOKENS)
    padded = np.full((30, length), padding)
    for row, t in zip(padded, TOKENS, strict=True):
        row[: len(t)] = t
    falls = []
    for X, options in ((TOKENS, {}), (padded, {"padding_token": padding})):
        model = classifier(X, MOST, embedding_dim=3, **options)
        falls.append(occlusion(model, X, target=1))
    for of_sample, of_padded in zip(*falls, strict=True):
        n = len(of_sample)
        assert_array_equal(of_padded[:n], of_sample)
        assert_array_equal(of_padded[n:], 0)


# --- occlusion ------------------------------------------------------------------------


def fall(predict, x, steps, channels, value):
    changed = x.copy()
    changed[np.ix_(steps, channels)] = value
    return predict(x) - predict(changed)


@pytest.mark.parametrize("channels", ["each", "all"])
def test_occlusion(channels):
    model = classifier(RAGGED)
    column = model.classes_.tolist().index("high")
    found = occlusion(
        model,
        RAGGED,
        target="high",
        window=2,
        stride=2,
        baseline=0.0,
        channels=channels,
    )
    groups = [[0], [1]] if channels == "each" else [[0, 1]]

    def predict(x):
        return model.decision_function([x])[0, column]

    for of_sample, x in zip(found[:6], RAGGED, strict=False):
        of_sample = of_sample.reshape(len(x), -1)
        for first in range(0, len(x), 2):
            steps = range(first, min(first + 2, len(x)))
            for k, group in enumerate(groups):
                expected = fall(predict, x, steps, group, 0.0)
                assert_allclose(of_sample[steps, k], expected, rtol=1e-8, atol=1e-12)


def test_steps_in_several_windows_have_their_mean():
    model = regressor()
    found = occlusion(model, X[:1], window=3, channels="all", baseline=[0.0, 1.0])
    windows = [range(s, s + 3) for s in range(N_STEPS - 2)]
    falls = [
        fall(lambda x: model.predict([x])[0], X[0], steps, [0, 1], [0.0, 1.0])
        for steps in windows
    ]
    for t in range(N_STEPS):
        of_step = [f for f, steps in zip(falls, windows, strict=True) if t in steps]
        assert_allclose(found[0, t], np.mean(of_step), rtol=1e-8)


def test_occlusion_of_missing_values_and_of_a_step():
    y = X[:, :, 0]
    model = regressor(HOLES, y, missing="indicator", return_sequences=True)
    found = occlusion(model, HOLES, step=-1)
    assert_array_equal(found[np.isnan(HOLES)], 0)
    mean = np.nanmean(HOLES[:, :, 0])

    def predict(x):
        return model.predict(x[None])[0, -1]

    known = np.flatnonzero(~np.isnan(HOLES[0, :, 0]))
    for t in known:
        expected = fall(predict, HOLES[0], [t], [0], mean)
        assert_allclose(found[0, t, 0], expected, rtol=1e-6, atol=1e-10)


def test_occlusion_where_values_are_missing_and_tokens_are_padded():
    numbers = RNG.normal(size=(30, 6))
    tokens = RNG.integers(0, 4, size=(30, 6)).astype(float)
    numbers[RNG.random(numbers.shape) < 0.3] = np.nan
    numbers[:, 2], tokens[:, 2] = 1.0, 3.0  # some step of each sample is left
    both = np.stack([numbers, tokens], axis=2)
    options = {"token_channels": 1, "embedding_dim": 3, "n_tokens": 4}
    y = np.nansum(numbers * tokens, axis=1)
    model = regressor(both, y, missing="mask", padding_token=0, **options)
    kept = (tokens != 0) & ~np.isnan(numbers)
    rest = [x[k] for x, k in zip(both, kept, strict=True)]
    plain = regressor(rest, y, **options)
    falls = zip(occlusion(model, both), kept, occlusion(plain, rest), strict=True)
    for of_sample, k, of_rest in falls:
        assert_allclose(of_sample[k], of_rest, rtol=1e-8, atol=1e-12)
        assert_array_equal(of_sample[~k], 0)


# --- attention ------------------------------------------------------------------------


def test_attention_weights_are_those_of_the_pooled_state():
    model = regressor(RAGGED, pooling="attention", max_iter=20)
    query = model.weights_["pooling.query"]
    assert np.abs(query).max() > 0.01
    states = {k: v for k, v in model.weights_.items() if k.startswith("layers")}
    found = attention_weights(model, RAGGED)
    mean, scale = (f(np.concatenate(RAGGED), axis=0) for f in (np.mean, np.std))
    for weights, x in zip(found, RAGGED, strict=True):
        h, scores = np.zeros(4), []
        for step in (x - mean) / scale:
            h = np.tanh(
                step @ states["layers.0.input_weights"]
                + h @ states["layers.0.recurrent_weights"]
                + states["layers.0.bias"]
            )
            scores.append(h @ query)
        expected = np.exp(scores) / np.exp(scores).sum()
        assert_allclose(weights, expected, rtol=1e-8)


def test_attention_of_frames_and_of_skipped_steps():
    model = regressor(X, pooling="attention", steps_per_frame=3, max_iter=10)
    weights = attention_weights(model, X)
    assert_allclose(weights.sum(axis=1), 1)
    for first in (0, 3):  # the steps of a frame are alike
        assert_allclose(np.ptp(weights[:, first : first + 3], axis=1), 0, atol=1e-15)
    assert np.ptp(weights[:, [0, 3]]) > 0
    model = regressor(HOLES, pooling="attention", missing="mask")
    weights = attention_weights(model, HOLES)
    assert_allclose(weights.sum(axis=1), 1)
    assert_array_equal(weights == 0, np.isnan(HOLES).any(axis=2))


# --- gradients of states --------------------------------------------------------------


def test_gradient_norms_are_those_of_a_plain_network():
    model = regressor(RAGGED)
    w = {k.removeprefix("layers.0."): v for k, v in model.weights_.items()}
    mean, scale = (f(np.concatenate(RAGGED), axis=0) for f in (np.mean, np.std))
    longest = max(map(len, RAGGED))
    at_end, at_start = np.zeros((2, len(RAGGED), longest)) * np.nan
    for i, (x, y) in enumerate(zip(RAGGED, Y, strict=True)):
        h = [np.zeros(4)]
        for step in (x - mean) / scale:
            pre = step @ w["input_weights"] + h[-1] @ w["recurrent_weights"] + w["bias"]
            h.append(np.tanh(pre))
        error = (model.predict([x])[0] - y) / Y.std()
        d = error * w["output.weights"][:, 0]
        norms = []
        for state in h[:0:-1]:
            norms.insert(0, np.linalg.norm(d))
            d = (d * (1 - state**2)) @ w["recurrent_weights"].T
        at_end[i, longest - len(x) :] = at_start[i, : len(x)] = norms
    found = gradient_norms(model, RAGGED, Y)
    assert found.shape == (1, longest)
    assert_allclose(found[0], np.nanmean(at_end, axis=0), rtol=1e-8)
    found = gradient_norms(model, RAGGED, Y, align="start")
    assert_allclose(found[0], np.nanmean(at_start, axis=0), rtol=1e-8)


def test_gradient_norms_of_both_ways():
    """A network whose two ways change places sees turned sequences as before."""
    sizes = {"hidden_layer_sizes": (3, 3), "bidirectional": True, "pooling": "mean"}
    model = regressor(RAGGED, **sizes)
    swapped = copy.deepcopy(model)
    views = network_of(swapped._architecture).layout.views(swapped._parameters)
    for name, value in model.weights_.items():
        if name in ("layers.1.input_weights", "output.weights"):
            value = np.roll(value, 3, axis=0)
        if name == "layers.1.reverse.input_weights":
            value = np.roll(value, 3, axis=0)
        place, last = name.rsplit(".", 1)
        if place.endswith(".reverse"):
            name = f"{place.removesuffix('.reverse')}.{last}"
        elif place.startswith("layers."):
            name = f"{place}.reverse.{last}"
        views[name][:] = value
    turned = [x[::-1] for x in RAGGED]
    assert_allclose(swapped.predict(turned), model.predict(RAGGED), rtol=1e-10)
    norms = gradient_norms(model, RAGGED, Y)
    assert norms.shape == (2, N_STEPS)
    assert np.ptp(norms, axis=1).min() > 1e-3 * norms.max()
    of_turned = gradient_norms(swapped, turned, Y, align="start")
    assert_allclose(of_turned[:, ::-1], norms, rtol=1e-8)


def test_gradient_norms_of_steps_and_frames():
    model = regressor(y=X[:, :, 0], return_sequences=True, hidden_layer_sizes=(4, 3))
    assert gradient_norms(model, X, X[:, :, 0]).shape == (2, N_STEPS)
    model = regressor(steps_per_frame=2, cell="mingru", layer_norm=True)
    norms = gradient_norms(model, X, Y)
    assert norms.shape == (1, 4)
    assert (norms > 0).all()


# --- errors ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda model: input_gradient(model, X),
        lambda model: input_gradient(model, X, Y),
        lambda model: integrated_gradients(model, X),
        lambda model: occlusion(model, X),
        lambda model: attention_weights(model, X),
        lambda model: gradient_norms(model, X, Y),
        lambda model: AttributionDisplay.from_estimator(model, X[0]),
        lambda model: LossCurveDisplay.from_estimator(model),
    ],
)
def test_what_is_no_fitted_network(call):
    with pytest.raises(NotFittedError, match="RNNRegressor instance is not fitted"):
        call(RNNRegressor())
    pipeline = make_pipeline(SequenceScaler(), RNNRegressor(**BRIEF)).fit(X, Y)
    with pytest.raises(TypeError, match="got Pipeline. Pass its last step, and X as"):
        call(pipeline)
    search = GridSearchCV(RNNRegressor(**BRIEF), {"cell": ["rnn"]}, cv=2).fit(X, Y)
    with pytest.raises(TypeError, match="GridSearchCV. Pass its best_estimator_"):
        call(search)


@pytest.mark.parametrize("explain", [input_gradient, integrated_gradients, occlusion])
def test_wrong_targets_and_steps(explain):
    with pytest.raises(ValueError, match="target='tall' is no class: classes_ are"):
        explain(classifier(), X, target="tall")
    two = regressor(y=X[:, -1])
    with pytest.raises(ValueError, match="2 outputs: say by target=... which"):
        explain(two, X)
    for wrong in (2, -3, "a", (0, 0), 0.5):
        with pytest.raises(
            ValueError, match="none of the 2 outputs, which are numbere"
        ):
            explain(two, X, target=wrong)
    quantiles = regressor(loss="quantile", quantile=[0.1, 0.9], y=X[:, -1])
    with pytest.raises(ValueError, match="2 x 2 outputs, .* output and quantile level"):
        explain(quantiles, X, target=0)
    with pytest.raises(ValueError, match=r"step=1: .* not for each step \(return_seq"):
        explain(regressor(), X, step=1)
    model = regressor(RAGGED, [x[:, 0] for x in RAGGED], return_sequences=True)
    for step in (3, -4):
        with pytest.raises(ValueError, match="sample 0 has 3 steps only"):
            explain(model, RAGGED, step=step)


def test_wrong_arguments():
    model = regressor()
    with pytest.raises(ValueError, match="leave out target and step"):
        input_gradient(model, X, Y, target=0)
    with pytest.raises(ValueError, match="align must be"):
        gradient_norms(model, X, Y, align="left")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        gradient_norms(model, X, Y[:-1])
    with pytest.raises(ValueError, match="stride == 3, must be <= 2"):
        occlusion(model, X, window=2, stride=3)
    with pytest.raises(ValueError, match="channels must be"):
        occlusion(model, X, channels="both")
    with pytest.raises(ValueError, match="n_steps == 0, must be >= 1"):
        integrated_gradients(model, X, n_steps=0)
    with pytest.raises(ValueError, match='pooling="attention" has .* has pooling=last'):
        attention_weights(model, X)
    steps = regressor(y=X[:, :, 0], return_sequences=True, pooling="attention")
    with pytest.raises(ValueError, match="return_sequences=True"):
        attention_weights(steps, X)


@pytest.mark.parametrize("explain", [integrated_gradients, occlusion])
def test_wrong_baselines(explain):
    model = regressor()
    for wrong, message in [
        ("median", 'baseline must be "mean" or numbers'),
        ([1.0, 2.0, 3.0], "one for each of 2 channels"),
        (np.nan, "must be finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            explain(model, X, baseline=wrong)


def test_baselines_that_are_no_data_like_x():
    model = regressor(HOLES, missing="indicator")
    for wrong, message in [
        (X[:, :, :1], "In baseline: X has 1 features"),
        (X[:3], "inconsistent numbers of samples"),
        (RAGGED, "Sample 0 has 7 steps in X and 3 in baseline"),
        (HOLES, "must not have missing values"),
    ]:
        with pytest.raises(ValueError, match=message):
            integrated_gradients(model, X, baseline=wrong)


# --- displays -------------------------------------------------------------------------


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def test_displays_draw_on_the_axes_that_they_are_given(plt):
    attentive = regressor(X, pooling="attention", early_stopping=True)
    _, axes = plt.subplots(4)
    drawn = [
        AttributionDisplay.from_estimator(attentive, X[0], ax=axes[0]),
        AttentionDisplay.from_estimator(attentive, X[0], ax=axes[1]),
        GradientNormDisplay.from_estimator(attentive, X, Y, ax=axes[2]),
        LossCurveDisplay.from_estimator(attentive, ax=axes[3]),
    ]
    for display, ax in zip(drawn, axes, strict=True):
        assert display.ax_ is ax
        assert display.figure_ is ax.figure
        assert display.plot() is display  # on axes of its own
        assert display.ax_ is not ax


@pytest.mark.parametrize("method", ["integrated_gradients", "input_gradient"])
def test_attributions_are_drawn_as_they_are(plt, method):
    model = classifier(long(X), CLASSES)
    display = AttributionDisplay.from_estimator(model, X[0], method=method)
    function = {f.__name__: f for f in (integrated_gradients, input_gradient)}[method]
    named = pd.DataFrame(X[0], columns=["u", "v"])
    expected = function(model, [named])[0]
    image = display.ax_.get_images()[0]
    assert_allclose(image.get_array(), expected.T)
    assert image.norm.vmax == -image.norm.vmin == np.abs(expected).max()
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["u", "v"]
    assert display.label.endswith(f"score of class {model.predict([named])[0]}")


def test_a_series_is_drawn_over_its_contributions(plt):
    series = X[:, :, 0]
    model = regressor(series)
    display = AttributionDisplay.from_estimator(
        model, series[0], method="occlusion", window=2
    )
    (line,) = display.ax_.get_lines()
    assert_array_equal(line.get_ydata(), series[0])
    assert len(display.ax_.patches) == N_STEPS
    assert display.label == "fall of the prediction when hidden"


def test_texts_are_set_in_lines_within_the_axes(plt):
    model = classifier(TOKENS, MOST, embedding_dim=2)
    tokens = np.tile(TOKENS[0], 20)
    display = AttributionDisplay.from_estimator(model, tokens)
    assert [t.get_text() for t in display.ax_.texts] == [str(t) for t in tokens]
    display.figure_.draw_without_rendering()
    boxes = [text.get_window_extent() for text in display.ax_.texts]
    assert len({box.y0 for box in boxes}) == 2
    for before, box in itertools.pairwise(boxes):
        assert before.x1 < box.x0 or before.y0 > box.y1  # right of it, or below
    inside = display.ax_.get_window_extent()
    assert min(box.x0 for box in boxes) >= inside.x0
    assert max(box.x1 for box in boxes) <= inside.x1
    with pytest.raises(ValueError, match="tokens has 2 texts for 60 steps"):
        AttributionDisplay.from_estimator(model, tokens, tokens=["a", "b"])


def test_words_of_characters_are_not_broken(plt):
    text = "the word " * 12
    values = np.ones((len(text), 1))
    display = AttributionDisplay(values, values, tokens=text).plot()
    assert "".join(t.get_text() for t in display.ax_.texts) == text.replace(
        " ", "\u2423"
    )
    heights = np.array([t.xyann[1] for t in display.ax_.texts])
    assert len(set(heights)) > 1
    breaks = np.flatnonzero(np.diff(heights))
    assert {text[i] for i in breaks} == {" "}


def test_names_of_channels_are_counted(plt):
    with pytest.raises(ValueError, match="1 names for 2 channels"):
        AttributionDisplay.from_estimator(regressor(), X[0], feature_names=["u"])
    with pytest.raises(ValueError, match="method must be one of"):
        AttributionDisplay.from_estimator(regressor(), X[0], method="saliency")


def test_curves_of_training(plt):
    model = classifier(early_stopping=True)
    display = LossCurveDisplay.from_estimator(model, yscale="log")
    (line,) = display.ax_.get_lines()
    assert_array_equal(line.get_ydata(), model.loss_curve_)
    assert display.ax_.get_yscale() == "log"
    (scores,) = display.score_ax_.get_lines()
    assert_array_equal(scores.get_ydata(), model.validation_scores_)
    assert display.score_ax_.get_ylabel() == "validation accuracy"
    assert LossCurveDisplay.from_estimator(classifier()).score_ax_ is None


def test_gradient_norms_are_drawn_from_the_last_step(plt):
    model = regressor(hidden_layer_sizes=(3, 2))
    display = GradientNormDisplay.from_estimator(model, X, Y)
    lines = display.ax_.get_lines()
    assert_allclose([line.get_ydata() for line in lines], gradient_norms(model, X, Y))
    assert_array_equal(lines[0].get_xdata(), np.arange(-6, 1))
    display = GradientNormDisplay.from_estimator(model, X, Y, align="start")
    assert_array_equal(display.ax_.get_lines()[0].get_xdata(), np.arange(7))


def test_without_matplotlib_an_error_says_what_to_install(monkeypatch):
    model = regressor()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="requires matplotlib"):
        LossCurveDisplay.from_estimator(model)
