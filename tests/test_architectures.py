"""Every option of a network: against the oracle, against slopes, and its symmetries."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skrnn import prediction
from skrnn.architecture import Noise
from skrnn.cells import CELLS
from skrnn.lanes import SamplesInLanes
from skrnn.losses import CLASSIFICATION_LOSSES, multiclass_log_loss, squared_error
from skrnn.network import Network
from skrnn.parameters import aligned_zeros
from skrnn.stack import POOLINGS
from tests.oracles import losses as oracles
from tests.oracles.buffers import by_unit
from tests.oracles.derivatives import derivative
from tests.oracles.harness import (
    ARRANGEMENTS,
    TrainingRun,
    assert_same_bits,
    check_gradient,
    make_architecture,
    make_parameters,
    make_sequences,
    predict_in,
    predict_in_all_lanes,
    run_network,
)
from tests.oracles.network import raw_prediction

N_CHANNELS = 3
RAGGED = [3, 1, 5, 6]
# more sequences than lanes of two registers, in pieces and whole
LONG_RAGGED = [7, 1, 6, 6, 5, 4, 4, 4, 3, 3, 2, 2, 2, 1, 1, 5, 9, 8]

# What hangs on the cell, and is tried with each of them ...
OF_THE_CELL = {
    "plain": {},
    "bidirectional": {"bidirectional": True},
    "layer_norm": {"layer_norm": True},
    "learn_initial_state": {"learn_initial_state": True},
    "all": {
        "bidirectional": True,
        "residual": True,
        "layer_norm": True,
        "learn_initial_state": True,
        "pooling": "attention",
        "dense_layer_sizes": (4,),
        "n_tokens": ((1, 4),),
        "embedding_dim": 2,
    },
}
# ... and what does not.
OF_THE_STACK = {
    "residual": {"residual": True, "sizes": (3, 3, 3)},
    **{f"pooling_{name}": {"pooling": name} for name in POOLINGS if name != "last"},
    "poolings": {"pooling": ("last", "attention", "max")},
    "steps": {"pooling": None},
    "dense": {"dense_layer_sizes": (5, 4)},
    "dense_steps": {"dense_layer_sizes": (5,), "pooling": None},
    "bidirectional_steps": {"bidirectional": True, "pooling": None},
    "bidirectional_max": {"bidirectional": True, "pooling": "max"},
    "embedding": {"n_tokens": ((1, 4),), "embedding_dim": 2},
    "embeddings": {"n_tokens": ((0, 4), (2, 2)), "embedding_dim": 3},
    "tied": {"n_tokens": ((1, 2),), "embedding_dim": 3, "tied": True},
    "tied_steps": {
        "n_tokens": ((0, 4), (2, 2)),
        "embedding_dim": 2,
        "tied": True,
        "pooling": None,
    },
    "tokens": {"n_tokens": ((0, 4), (1, 2), (2, 9)), "embedding_dim": 1},
}
# Each type of argument is a version of a kernel to compile: so float32 is tried, and
# gradients where rows fill one register, with a single cell.
CASES = [
    *((name, cell) for name in OF_THE_CELL for cell in CELLS),
    *((name, "gru") for name in OF_THE_STACK),
]


def architecture_of(name, cell="gru", **more):
    options = {"sizes": (3, 3), **(OF_THE_CELL | OF_THE_STACK)[name], **more}
    return make_architecture(cell, "tanh", N_CHANNELS, n_outputs=2, **options)


def parameters_of(network, dtype=np.float64):
    """Random ones, by which the units of hidden dense layers are not all dead."""
    parameters = make_parameters(network, np.random.default_rng(0), dtype)
    for name, view in network.layout.views(parameters).items():
        if name.startswith("dense_layers") and name.endswith("bias"):
            view += 1.0
    return parameters


def sequences_of(architecture, lengths, seed=1):
    """Sequences whose channels of tokens have some that are beyond the table."""
    rng = np.random.default_rng(seed)
    sequences = make_sequences(rng, lengths, N_CHANNELS)
    for place, n_tokens in architecture.n_tokens:
        for sequence in sequences:
            sequence[:, place] = rng.integers(-1, n_tokens + 1, len(sequence))
    return sequences


def targets_of(architecture, lengths):
    rng = np.random.default_rng(2)
    n = len(lengths) if architecture.pooling else sum(lengths)
    return rng.normal(size=(n, 2)), rng.uniform(0.5, 2.0, size=n)


# --- predictions ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, cell, dtype",
    [
        *((*case, np.float64) for case in CASES),
        *((*case, np.float32) for case in CASES if case[1] == "gru"),
    ],
)
def test_predictions_are_the_oracles(name, cell, dtype):
    """In all lanes, from the buffers of training too, whole and in pieces."""
    architecture = architecture_of(name, cell)
    network = Network(architecture)
    parameters = parameters_of(network, dtype)
    sequences = sequences_of(architecture, LONG_RAGGED)
    raw = predict_in_all_lanes(network, parameters, sequences)
    views = network.layout.views(parameters.astype(np.float64))
    expected = np.vstack(
        [raw_prediction(architecture, views, s.astype(dtype)) for s in sequences]
    )
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    assert_allclose(raw, expected, rtol=tolerance, atol=tolerance)
    targets, _ = targets_of(architecture, LONG_RAGGED)
    for n_registers in (1, 2):
        trained = run_network(
            network,
            parameters,
            sequences,
            squared_error,
            targets,
            n_registers=n_registers,
        )
        assert_same_bits(trained[0], raw)


@pytest.mark.parametrize("chunk_steps", [1, 3])
@pytest.mark.parametrize("name", [*OF_THE_CELL, *OF_THE_STACK])
def test_pieces_of_the_steps_change_nothing(name, chunk_steps, monkeypatch):
    architecture = architecture_of(name)
    sequences = sequences_of(architecture, LONG_RAGGED)
    results = []
    for n_steps in (100, chunk_steps):
        # a network of its own: for a known one a roomy predictor may be kept
        network = Network(architecture)
        parameters = parameters_of(network)
        monkeypatch.setattr(prediction, "CHUNK_STEPS", n_steps)
        results.append(predict_in_all_lanes(network, parameters, sequences))
    if "attention" in (architecture.pooling or ()):  # which rescales as it goes
        assert_allclose(results[1], results[0], rtol=1e-13, atol=1e-14)
    else:
        assert_array_equal(results[1], results[0])


def test_attention_by_pieces_bears_any_scores(monkeypatch):
    """Rising, falling, and so far apart that their exponentials overflow."""
    architecture = architecture_of("pooling_attention")
    sequences = sequences_of(architecture, [8, 6, 3])
    for scale in (1e4, -1e4):
        results = []
        for n_steps in (100, 3, 1):
            network = Network(architecture)
            parameters = parameters_of(network)
            network.layout.views(parameters)["pooling.query"][:] = scale
            monkeypatch.setattr(prediction, "CHUNK_STEPS", n_steps)
            results.append(predict_in_all_lanes(network, parameters, sequences))
        views = network.layout.views(parameters)
        expected = [raw_prediction(architecture, views, s) for s in sequences]
        for result in results:
            assert_allclose(result, expected, rtol=1e-11)


# --- symmetries -----------------------------------------------------------------------


@settings(max_examples=10)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=20), data=st.data())
@pytest.mark.parametrize("name", [*OF_THE_CELL, *OF_THE_STACK])
def test_neither_companions_nor_the_order_change_a_prediction(name, lengths, data):
    architecture = architecture_of(name)
    network = Network(architecture)
    parameters = parameters_of(network)
    sequences = sequences_of(architecture, lengths)
    order = data.draw(st.permutations(range(len(lengths))))
    n_alone = data.draw(st.integers(1, len(lengths)))
    lanes = SamplesInLanes(parameters.dtype, 2)
    raw = predict_in(lanes, network, parameters, sequences)
    by_sequence = np.split(raw, np.cumsum(lengths)[:-1]) if network.per_step else raw
    for some in (order, order[:n_alone]):
        taken = [sequences[i] for i in some]
        expected = np.vstack([by_sequence[i] for i in some])
        for arrangement in ARRANGEMENTS:
            lanes = arrangement(parameters.dtype)
            result = predict_in(lanes, network, parameters, taken)
            assert_same_bits(result, expected)


@pytest.mark.parametrize("cell", CELLS)
def test_both_ways_swapped_read_reversed_sequences_alike(cell):
    architecture = architecture_of("bidirectional_steps", cell, sizes=(3,))
    network = Network(architecture)
    parameters = parameters_of(network)
    sequences = sequences_of(architecture, RAGGED)
    swapped = parameters.copy()
    views, other = map(network.layout.views, (parameters, swapped))
    for name in views:
        if name.startswith("layers.0.reverse."):
            twin = name.replace("reverse.", "")
            other[name][:], other[twin][:] = views[twin], views[name]
    other["output.weights"][:] = np.roll(views["output.weights"], 3, axis=0)
    raw = predict_in_all_lanes(network, parameters, sequences)
    mirrored = predict_in_all_lanes(network, swapped, [s[::-1] for s in sequences])
    ends = np.cumsum(RAGGED)[:-1]
    expected = np.vstack([steps[::-1] for steps in np.split(raw, ends)])
    assert_allclose(mirrored, expected, rtol=1e-13, atol=1e-14)


def test_attention_to_all_steps_alike_is_the_mean():
    attention = architecture_of("pooling_attention")
    mean = replace(attention, pooling="mean")
    networks = [Network(attention), Network(mean)]
    parameters = parameters_of(networks[0])
    views = networks[0].layout.views(parameters)
    views["pooling.query"][:] = 0.0
    without_query = np.zeros(networks[1].layout.size)
    for name, view in networks[1].layout.views(without_query).items():
        view[:] = views[name]
    sequences = sequences_of(attention, RAGGED)
    one = predict_in_all_lanes(networks[0], parameters, sequences)
    other = predict_in_all_lanes(networks[1], without_query, sequences)
    assert_allclose(one, other, rtol=1e-14, atol=1e-15)


def test_the_last_step_of_predictions_by_step_is_the_prediction_from_the_last():
    steps, last = architecture_of("steps"), architecture_of("plain")
    parameters = parameters_of(Network(last))
    sequences = sequences_of(last, RAGGED)
    raw = predict_in_all_lanes(Network(steps), parameters, sequences)
    expected = predict_in_all_lanes(Network(last), parameters, sequences)
    assert_array_equal(raw[np.cumsum(RAGGED) - 1], expected)


# --- gradients ------------------------------------------------------------------------


def check_gradient_of(architecture, n_registers, noise=None, lengths=RAGGED):
    network = Network(architecture, noise or Noise())
    sequences = sequences_of(architecture, lengths)
    targets, weights = targets_of(architecture, lengths)
    flat = check_gradient(
        network,
        sequences,
        squared_error,
        targets,
        n_registers,
        weights,
        parameters=parameters_of(network),
    )
    # a gradient that is zero would agree with the slope of what takes no part
    for name, view in network.layout.views(flat).items():
        if (
            architecture.pooling == "last"
            and name == "layers.1.reverse.recurrent_weights"
        ):
            assert_array_equal(view, 0.0)  # at the last step it has read one step only
        else:
            assert np.abs(view).max() > 1e-5, name


@pytest.mark.parametrize(
    "name, cell, n_registers",
    [
        *((*case, 2) for case in CASES),
        *((*case, 1) for case in CASES if case[1] == "gru"),
    ],
)
def test_gradient(name, cell, n_registers):
    check_gradient_of(architecture_of(name, cell), n_registers)


@pytest.mark.needs_jit
@pytest.mark.parametrize("name", [*OF_THE_CELL, *OF_THE_STACK])
def test_gradient_of_several_shards(name):
    check_gradient_of(architecture_of(name), 1, lengths=LONG_RAGGED)


@pytest.mark.needs_jit
@pytest.mark.parametrize("cell", CELLS)
def test_gradient_of_all_options_for_each_step(cell):
    architecture = architecture_of("all", cell, pooling=None, sizes=(4, 4, 4))
    check_gradient_of(architecture, 2)


NOISES = {
    "inputs": Noise(inputs=0.3),
    "input_dropout": Noise(input_dropout=0.3),
    "dropout": Noise(dropout=0.3),
    "recurrent_dropout": Noise(recurrent_dropout=0.3),
    "all": Noise(0.1, 0.2, 0.2, 0.2),
}


@pytest.mark.parametrize("n_registers", [1, 2])
@pytest.mark.parametrize("noise", NOISES)
def test_gradient_under_noise(noise, n_registers):
    """Which a key determines, so that it is part of the function."""
    architecture = architecture_of("plain")
    check_gradient_of(architecture, n_registers, NOISES[noise])


@pytest.mark.parametrize("cell", CELLS)
def test_gradient_under_noise_of_all_options(cell):
    architecture = architecture_of("all", cell, sizes=(4, 4))
    check_gradient_of(architecture, 2, NOISES["all"])


@pytest.mark.parametrize("n_registers", [1, 2, "pairs"])
@pytest.mark.parametrize(
    "name, more",
    [
        ("plain", {"sizes": (4, 2)}),
        ("bidirectional", {}),
        ("layer_norm", {}),
        ("residual", {}),
        ("embedding", {}),
        ("pooling_attention", {"sizes": (3,)}),
        ("bidirectional_steps", {}),
        ("all", {}),
    ],
)
def test_gradient_of_the_inputs(name, more, n_registers):
    """Channel by channel and step by step; tokens have none."""
    architecture = architecture_of(name, **more)
    network, lengths = Network(architecture), [5, 2]  # two fit into any lanes
    if n_registers == "pairs":
        if not network.takes_pairs:
            return
        lengths = [5]
    sequences = sequences_of(architecture, lengths)
    targets, weights = targets_of(architecture, lengths)
    training = TrainingRun(
        network,
        parameters_of(network),
        7,
        2,
        squared_error,
        n_registers=n_registers,
        input_gradient=True,
    )

    def value(flat):
        ends = np.cumsum(lengths)[:-1] * N_CHANNELS
        moved = [s.reshape(-1, N_CHANNELS) for s in np.split(flat, ends)]
        return training(moved, targets, weights)[1]

    at = np.concatenate(sequences).ravel()
    value(at)
    d_x = by_unit(training.workspace.d_x)[:, :N_CHANNELS].copy()
    tokens = [place for place, _ in architecture.n_tokens]
    assert np.abs(np.delete(d_x, tokens, axis=1)).max() > 1e-3
    assert_array_equal(d_x[:, tokens], 0.0)
    for lane, n in enumerate(lengths):
        first = sum(lengths[:lane])
        for t, channel in np.ndindex(n, N_CHANNELS):
            if channel not in tokens:
                direction = np.zeros_like(at)
                direction[(first + t) * N_CHANNELS + channel] = 1.0
                slope = derivative(value, at, direction, step=1e-5)
                assert_allclose(d_x[t, channel, lane], slope, rtol=2e-7, atol=2e-9)
        assert_array_equal(d_x[n : max(lengths), :, lane], 0.0)


def test_gradient_of_classes_by_step_with_smoothed_labels():
    architecture = replace(architecture_of("steps"), n_outputs=4)
    network = Network(architecture)
    sequences = sequences_of(architecture, RAGGED)
    targets = np.random.default_rng(3).integers(4, size=(sum(RAGGED), 1))
    check_gradient(network, sequences, multiclass_log_loss, targets, 1, levels=[0.2])


@pytest.mark.parametrize("name", ["log_loss", "squared_error"])
@pytest.mark.parametrize("n_classes", [7, 8])
def test_there_are_no_classes_but_those_asked_for(name, n_classes):
    """Whose number may be one that buffers of several steps would add a row to."""
    architecture = replace(architecture_of("steps"), n_outputs=n_classes)
    network = Network(architecture)
    sequences = sequences_of(architecture, RAGGED)
    targets = np.random.default_rng(3).integers(n_classes, size=(sum(RAGGED), 1))
    loss = CLASSIFICATION_LOSSES[name]["multiclass"].function
    parameters = parameters_of(network)
    raw, value, _ = run_network(network, parameters, sequences, loss, targets)
    expected = getattr(oracles, f"multiclass_{name}")(raw, targets, 1.0, ())
    assert_allclose(value, expected, rtol=1e-12)


def test_pairs_are_taken_by_plain_layers_only():
    assert Network(architecture_of("plain", sizes=(2, 4))).takes_pairs
    for name, options in (OF_THE_CELL | OF_THE_STACK).items():
        network = Network(architecture_of(name, sizes=(4, 4)))
        hidden = "dense_layer_sizes" in options and len(options) == 1
        assert network.takes_pairs == (name == "plain" or hidden), name
    for noise in NOISES.values():
        assert not Network(architecture_of("plain", sizes=(2, 4)), noise).takes_pairs


@pytest.mark.needs_jit  # overflows on purpose, of which NumPy warns
def test_what_overflows_spoils_no_other_sequence():
    """By the buffers that poolings keep from one shard to the next."""
    for pooling in (*POOLINGS, ("last", "attention")):
        options = {"cell": "rnn", "activation": "relu", "n_inputs": 1, "sizes": (2,)}
        network = Network(make_architecture(**options, pooling=pooling))
        parameters = aligned_zeros((network.layout.size,), np.float32)
        views = network.layout.views(parameters)
        for name, value in {
            "layers.0.input_weights": 1.0,
            "layers.0.recurrent_weights": 2.0,
            "output.weights": 1.0,
        }.items():
            views[name][:] = value
        calm = [np.full((n, 1), -1.0) for n in (5, 3, 4)]
        wild = [np.ones((150, 1)), *calm]
        for lanes in ARRANGEMENTS[1:]:
            arrangement = lanes(np.dtype(np.float32))
            predict_in(arrangement, network, parameters, wild)
            raw = predict_in(arrangement, network, parameters, calm)
            assert_array_equal(raw, 0.0)
