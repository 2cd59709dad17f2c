"""Networks that write sequences: against the oracle, and against slopes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.architecture import Architecture, DecoderPart, Noise
from skrnn.cells import CELLS
from skrnn.losses import multiclass_log_loss, squared_error
from skrnn.network import Network
from tests.oracles.derivatives import derivative
from tests.oracles.harness import make_parameters, make_sequences
from tests.oracles.translation import TranslationRun, raw_labels

N_SOURCE, N_TARGET, N_NUMBERS = 5, 4, 2  # vocabularies, and channels of numbers
SOURCES = [3, 1, 5, 6]
TARGETS = [2, 4, 1, 3]
# more samples than lanes of a register, in a second shard shorter ones
MANY = [7, 1, 6, 6, 5, 4, 4, 4, 3, 3, 2, 2, 2, 1, 1, 5, 2, 3]


def architecture_of(cell="gru", tokens=True, sizes=(3,), units=(3,), **more):
    """Return an encoder and a decoder: of tokens, or of numbers."""
    part = {"attention": more.pop("attention", "dot")}
    part["combined_size"] = more.pop("combined_size", 0)
    read = {}
    if tokens:
        read = {"n_tokens": ((0, N_SOURCE),), "embedding_dim": 2}
        part |= {"n_tokens": N_TARGET, "embedding_dim": 3, "begin": 3}
    else:
        part |= {"n_channels": N_NUMBERS}
    return Architecture(
        cell,
        more.pop("activation", "tanh"),
        1 if tokens else N_NUMBERS,
        sizes,
        N_TARGET if tokens else N_NUMBERS,
        pooling=None,
        decoder=DecoderPart(units, **part),
        **read,
        **more,
    )


# What hangs on the cell ...
OF_THE_CELL = {
    "plain": {},
    "all": {
        "bidirectional": True,
        "residual": True,
        "layer_norm": True,
        "learn_initial_state": True,
        "attention": "additive",
        "sizes": (2, 2),
        "units": (3, 3),
    },
}
# ... and what does not.
OF_THE_STACK = {
    "additive": {"attention": "additive"},
    "none": {"attention": None},
    "bidirectional": {"bidirectional": True, "sizes": (2,), "units": (3,)},
    "deep": {"sizes": (3, 2), "units": (2, 4)},
    "deep_none": {"sizes": (3, 2), "units": (2, 4), "attention": None},
    "numbers": {"tokens": False},
    "numbers_none": {"tokens": False, "attention": None},
    "combined": {"combined_size": 2},
    "combined_none": {"combined_size": 2, "attention": None},
    "dense": {"dense_layer_sizes": (3,)},
    "tied": {"tied": True},
}
CASES = [
    *((name, cell) for name in OF_THE_CELL for cell in CELLS),
    *((name, "gru") for name in OF_THE_STACK),
]


def of_name(name, cell="gru", **more):
    return architecture_of(cell, **(OF_THE_CELL | OF_THE_STACK)[name], **more)


def samples_of(architecture, source_lengths, target_lengths, seed=1):
    """Return sources, labels and the weights of these."""
    rng = np.random.default_rng(seed)
    weights = [rng.uniform(0.5, 2.0, n) for n in target_lengths]
    if not architecture.decoder.n_tokens:
        labels = make_sequences(rng, target_lengths, N_NUMBERS)
        return make_sequences(rng, source_lengths, N_NUMBERS), labels, weights
    sources = [rng.integers(-1, N_SOURCE + 1, (n, 1)) for n in source_lengths]
    labels = [rng.integers(0, N_TARGET, (n, 1)) for n in target_lengths]
    return sources, labels, weights


def parameters_of(network, dtype=np.float64):
    parameters = make_parameters(network, np.random.default_rng(0), dtype)
    for name, view in network.layout.views(parameters).items():
        if name.startswith("dense_layers") and name.endswith("bias"):
            view += 1.0
    return parameters


def loss_of(architecture):
    return multiclass_log_loss if architecture.decoder.n_tokens else squared_error


def run_of(architecture, network, parameters, n_registers=1, **options):
    n_targets = 1 if architecture.decoder.n_tokens else N_NUMBERS
    loss = loss_of(architecture)
    return TranslationRun(
        network, parameters, 9, 8, n_targets, loss, n_registers, **options
    )


# --- the forward pass -----------------------------------------------------------------


@pytest.mark.parametrize(
    "name, cell, dtype",
    [
        *((*case, np.float64) for case in CASES),
        *((*case, np.float32) for case in CASES if case[1] == "gru"),
    ],
)
def test_predictions_are_the_oracles(name, cell, dtype):
    architecture = of_name(name, cell)
    network = Network(architecture)
    parameters = parameters_of(network, dtype)
    samples = samples_of(architecture, MANY, MANY[::-1])
    sources, labels, weights = samples
    views = network.layout.views(parameters.astype(np.float64))
    expected = [
        raw_labels(architecture, views, source.astype(dtype), of_sample.astype(dtype))
        for source, of_sample in zip(sources, labels, strict=True)
    ]
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    for n_registers in (1, 2):
        training = run_of(architecture, network, parameters, n_registers)
        raw, _, _ = training(*samples)
        for actual, (wanted, _) in zip(raw, expected, strict=True):
            assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)


@settings(max_examples=10)
@given(
    lengths=st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 8)), min_size=1, max_size=20
    ),
    data=st.data(),
)
@pytest.mark.parametrize("name", ["all", "plain", "numbers_none"])
def test_neither_companions_nor_the_order_change_a_prediction(name, lengths, data):
    architecture = of_name(name)
    network = Network(architecture)
    parameters = parameters_of(network)
    sources, labels, _ = samples_of(architecture, *zip(*lengths, strict=True))
    order = data.draw(st.permutations(range(len(lengths))))
    n_alone = data.draw(st.integers(1, len(lengths)))
    raw = run_of(architecture, network, parameters, 2)(sources, labels)[0]
    for some, n_registers in ((order, 1), (order[:n_alone], 2)):
        training = run_of(architecture, network, parameters, n_registers)
        taken = [sources[i] for i in some], [labels[i] for i in some]
        for actual, i in zip(training(*taken)[0], some, strict=True):
            assert_array_equal(actual, raw[i])


def test_without_attention_only_the_mean_of_the_source_counts():
    architecture = of_name("numbers_none")
    network = Network(architecture)
    parameters = parameters_of(network)
    views = network.layout.views(parameters)
    views["decoder.bridge.weights"][:] = 0.0
    training = run_of(architecture, network, parameters)
    sources, labels, _ = samples_of(architecture, [4, 2], [3, 3])
    labels[1] = labels[0]
    one, other = training(sources, labels)[0]
    assert_array_equal(one, other)


# --- feedback -------------------------------------------------------------------------


def best_or_raw(architecture, raw):
    """Return what is fed after a prediction."""
    if architecture.decoder.n_tokens:
        return raw.argmax(axis=1)[:, None]
    return raw


@pytest.mark.parametrize("name", ["plain", "all", "numbers", "numbers_none"])
def test_feedback_replaces_labels_by_predictions(name):
    """All of them, none, and all again: the rate may change from run to run."""
    architecture = of_name(name)
    network = Network(architecture)
    parameters = 2.0 * parameters_of(network)
    sources, labels, _ = samples_of(architecture, SOURCES, TARGETS)
    rate = np.array([1.0])
    training = run_of(architecture, network, parameters, feedback=rate)
    forced = run_of(architecture, network, parameters)
    raw, value, gradient = training(sources, labels)
    views = network.layout.views(parameters)
    n_changed = 0
    for x, of_sample, actual in zip(sources, labels, raw, strict=True):
        first, _ = raw_labels(architecture, views, x, of_sample)
        replaced = best_or_raw(architecture, first)
        expected, _ = raw_labels(architecture, views, x, replaced)
        assert_allclose(actual, expected, rtol=1e-11, atol=1e-12)
        n_changed += (replaced[:-1] != of_sample[:-1]).any()
    assert n_changed
    rate[0] = 0.0
    actual, expected = training(sources, labels), forced(sources, labels)
    for one, other in zip(actual[0], expected[0], strict=True):
        assert_array_equal(one, other)
    assert actual[1] == expected[1]
    assert_array_equal(actual[2], expected[2])
    rate[0] = 1.0
    _, again, gradient_again = training(sources, labels)
    assert again == value
    assert_array_equal(gradient_again, gradient)


def test_feedback_replaces_a_share():
    """By draws of their own for each step of each sample, and for each shard."""
    architecture = architecture_of()
    network = Network(architecture)
    parameters = parameters_of(network)
    bias = network.layout.views(parameters)["output.bias"]
    bias[:] = [0.0, 100.0, 0.0, 0.0]  # 1 is always predicted, and never a label
    rate = np.array([0.3])
    training = run_of(architecture, network, parameters, 1, feedback=rate)
    n = training.lanes.n_samples
    turn = next(p for p in training.workspace.stack if p.layer.turns)
    masks = []
    for _ in range(2):
        training([np.zeros((2, 1))] * n, [np.full((8, 1), 2)] * n)
        fed = turn.buffers.fed.reshape(8, -1, n)[:, 0]
        assert_array_equal(fed[0], 3)
        assert set(fed[1:].ravel()) == {1, 2}
        masks.append(fed[1:] == 1)
    assert_array_equal(*masks)
    training([np.zeros((2, 1))] * 3 * n, [np.full((8, 1), 2)] * 3 * n)  # other shards
    fed = turn.buffers.fed.reshape(8, -1, n)[1:, 0]
    assert ((fed == 1) != masks[0]).any()
    shares = [np.mean(mask) for mask in (masks[0], fed == 1)]
    assert 0.1 < np.mean(shares) < 0.5
    assert (masks[0] != masks[0][:, :1]).any() and (masks[0] != masks[0][:1]).any()


# --- gradients ------------------------------------------------------------------------


def check_slopes(architecture, noise=None, n_registers=1, parameters=None, **options):
    """Along random directions within each named parameter."""
    network = Network(architecture, noise or Noise())
    parameters = parameters_of(network) if parameters is None else parameters
    at = parameters.copy()
    training = run_of(architecture, network, at, n_registers, **options)
    samples = samples_of(architecture, SOURCES, TARGETS)
    rng = np.random.default_rng(0)

    def value(p):
        at[:] = p
        return training(*samples)[1]

    flat = training(*samples)[2]
    for name, where in network.layout.slices.items():
        assert np.abs(flat[where]).max() > 1e-7, name
        for _ in range(2):
            direction = np.zeros_like(flat)
            direction[where] = rng.normal(size=where.stop - where.start)
            direction /= np.linalg.norm(direction)
            slope = derivative(value, parameters, direction, step=2e-5)
            assert_allclose(flat @ direction, slope, rtol=2e-7, atol=2e-8, err_msg=name)


@pytest.mark.parametrize(
    "name, cell, n_registers",
    [
        *((*case, 2) for case in CASES),
        *((*case, 1) for case in CASES if case[1] == "gru"),
    ],
)
def test_gradient(name, cell, n_registers):
    check_slopes(of_name(name, cell), n_registers=n_registers)


@pytest.mark.parametrize("name", ["plain", "all", "numbers_none"])
def test_gradient_under_noise(name):
    noise = Noise(0.1, 0.2, 0.2, 0.2)
    check_slopes(of_name(name), noise)


@pytest.mark.parametrize("name", ["plain", "all"])
def test_gradient_with_feedback(name):
    """What is fed is part of the function as long as the best tokens stay the same."""
    check_slopes(of_name(name), Noise(dropout=0.2), feedback=np.array([0.5]))
