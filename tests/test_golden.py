"""Values, gradients and training against PyTorch's, from the files in golden/."""

import importlib.util

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skrnn import training
from skrnn.architecture import DecoderPart
from skrnn.lanes import SamplesInLanes
from skrnn.losses import OwnLoss, multiclass_log_loss, squared_error
from skrnn.network import Network
from skrnn.optimizers import Optimizer
from skrnn.parameters import aligned_zeros
from skrnn.schedules import Schedule
from skrnn.training import Trainer
from tests.golden import make_golden
from tests.golden.make_golden import (
    ADAPTIVE,
    BEGIN,
    CTC,
    EMBEDDING_DIM,
    FOLDER,
    KINDS,
    LABEL_LENGTHS,
    LABEL_SMOOTHING,
    LENGTHS,
    N_INPUTS,
    N_TOKENS,
    N_UNITS,
    NAMES,
    OPTIONS,
    RATE,
    SOLVERS,
    TRANSLATIONS,
)
from tests.oracles.buffers import by_unit
from tests.oracles.harness import (
    TrainingRun,
    make_architecture,
    make_network,
    make_training_set,
    predict_in_all_lanes,
    run_network,
)
from tests.oracles.translation import TranslationRun

# Measured where registers have 512 bits: 8e-16 and 6e-7, the same after ten updates.
TOLERANCES = {np.float64: 1e-14, np.float32: 4e-6}
TRAINED_TOLERANCES = {np.float64: 1e-13, np.float32: 1e-5}
DTYPES = list(TOLERANCES)


def load(name, dtype):
    """Return a file's arrays, its network, parameters and sequences."""
    with np.load(FOLDER / f"{name}.npz") as file:
        arrays = dict(file)
    kind, depth = name.rsplit("_", 1)
    n_inputs, n_outputs = arrays["inputs"].shape[2], arrays["targets"].shape[1]
    n_units = len(arrays["parameters/layers.0.recurrent_weights"])
    network = make_network(*KINDS[kind], n_inputs, (n_units,) * int(depth), n_outputs)
    parameters = aligned_zeros((network.layout.size,), dtype)
    for key, view in network.layout.views(parameters).items():
        view[:] = arrays[f"parameters/{key}"]
    sequences = [x[:n] for x, n in zip(arrays["inputs"], LENGTHS, strict=True)]
    return arrays, network, parameters, sequences


def load_option(name, dtype):
    """Return the same of a file of `OPTIONS`."""
    with np.load(FOLDER / f"{name}.npz") as file:
        arrays = dict(file)
    options = dict(OPTIONS[name])
    cell, sizes = options.pop("cell"), options.pop("sizes")
    n_outputs = arrays["raw"].shape[1]
    network = make_network(cell, "tanh", N_INPUTS, sizes, n_outputs, **options)
    parameters = aligned_zeros((network.layout.size,), dtype)
    for key, view in network.layout.views(parameters).items():
        view[:] = arrays[f"parameters/{key}"]
    sequences = [x[:n] for x, n in zip(arrays["inputs"], LENGTHS, strict=True)]
    return arrays, network, parameters, sequences


def check_named(network, flat, arrays, group, tolerance):
    for key, view in network.layout.views(flat).items():
        expected = arrays[f"{group}/{key}"]
        assert view.shape == expected.shape
        assert_allclose(view, expected, rtol=tolerance, atol=tolerance, err_msg=key)


@pytest.mark.parametrize("n_registers", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_prediction_loss_and_gradient(name, dtype, n_registers):
    arrays, network, parameters, sequences = load(name, dtype)
    weights = np.full(len(sequences), 1 / len(sequences))
    raw, loss, gradient = run_network(
        network,
        parameters,
        sequences,
        squared_error,
        arrays["targets"],
        weights,
        n_registers=n_registers,
    )
    tolerance = TOLERANCES[dtype]
    assert_allclose(raw, arrays["raw"], rtol=tolerance, atol=tolerance)
    predicted = predict_in_all_lanes(network, parameters, sequences)
    assert_allclose(predicted, arrays["raw"], rtol=tolerance, atol=tolerance)
    assert_allclose(loss, arrays["loss"], rtol=tolerance)
    check_named(network, gradient, arrays, "gradient", tolerance)


@pytest.mark.parametrize("n_registers", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", NAMES)
def test_ten_updates(name, solver, dtype, n_registers, monkeypatch):
    lanes = SamplesInLanes(np.dtype(dtype), n_registers)
    monkeypatch.setattr(training, "training_lanes", lambda *size: lanes)
    arrays, network, parameters, sequences = load(name, dtype)
    n = len(sequences)
    training_set = make_training_set(sequences, arrays["targets"], np.ones(n), dtype)
    optimizer = Optimizer.create(
        solver, SOLVERS[solver], network.layout.penalized(dtype)
    )
    trainer = Trainer(
        network,
        parameters,
        training_set,
        squared_error,
        np.zeros(0, dtype),
        optimizer,
        Schedule("constant", RATE, 0.5, 10, 0.0),
        alpha=0.0,
        max_grad_norm=0.0,
        batch_size=n,
        n_threads=1,
    )
    with trainer.threads() as threads:
        losses = [
            trainer.epoch(threads, None, False, 0) for _ in arrays[f"{solver}/losses"]
        ]
    tolerance = TRAINED_TOLERANCES[dtype]
    assert_allclose(losses, arrays[f"{solver}/losses"], rtol=tolerance)
    check_named(network, parameters, arrays, solver, tolerance)


@pytest.mark.parametrize("n_registers", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPTIONS)
def test_prediction_loss_and_gradients_of_options(name, dtype, n_registers):
    arrays, network, parameters, sequences = load_option(name, dtype)
    targets, tolerance = arrays["targets"], TOLERANCES[dtype]
    loss, levels = squared_error, ()
    if name in LABEL_SMOOTHING:
        loss, levels = multiclass_log_loss, [LABEL_SMOOTHING[name]]
    training = TrainingRun(
        network,
        parameters,
        max(LENGTHS),
        targets.shape[1],
        loss,
        levels,
        n_registers,
        input_gradient=True,
    )
    weights = np.full(len(targets), 1 / len(targets))
    raw, value, gradient = training(sequences, targets, weights)
    assert_allclose(raw, arrays["raw"], rtol=tolerance, atol=tolerance)
    predicted = predict_in_all_lanes(network, parameters, sequences)
    assert_allclose(predicted, arrays["raw"], rtol=tolerance, atol=tolerance)
    assert_allclose(value, arrays["loss"], rtol=tolerance)
    check_named(network, gradient, arrays, "gradient", tolerance)
    # one by one: together they may be several shards
    n_targets = np.array(LENGTHS) if network.per_step else np.ones(len(LENGTHS), int)
    ends = n_targets.cumsum()
    for i, n in enumerate(LENGTHS):
        rows = slice(ends[i] - n_targets[i], ends[i])
        training(sequences[i : i + 1], targets[rows], weights[rows])
        d_x = by_unit(training.workspace.d_x)[:n, :N_INPUTS, 0]
        expected = arrays["input_gradient"][i, :n]
        assert_allclose(d_x, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("n_registers", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TRANSLATIONS)
def test_networks_that_write(name, dtype, n_registers):
    with np.load(FOLDER / f"{name}.npz") as file:
        arrays = dict(file)
    cell, attention = TRANSLATIONS[name]
    part = DecoderPart((N_UNITS,), 1, N_TOKENS, EMBEDDING_DIM, BEGIN, attention)
    options = {"bidirectional": True, "pooling": None, "decoder": part}
    network = Network(
        make_architecture(cell, "tanh", N_INPUTS, (N_UNITS,), N_TOKENS, **options)
    )
    parameters = aligned_zeros((network.layout.size,), dtype)
    for key, view in network.layout.views(parameters).items():
        view[:] = arrays[f"parameters/{key}"]
    run = TranslationRun(network, parameters, 7, 6, 1, multiclass_log_loss, n_registers)
    sources = [x[:n] for x, n in zip(arrays["sources"], LENGTHS, strict=True)]
    labels = [y[:n, None] for y, n in zip(arrays["labels"], LABEL_LENGTHS, strict=True)]
    raw, value, gradient = run(sources, labels)
    tolerance = TOLERANCES[dtype]
    raw = np.concatenate(raw)
    assert_allclose(raw, arrays["raw"], rtol=tolerance, atol=tolerance)
    assert_allclose(value, arrays["loss"], rtol=tolerance)
    check_named(network, gradient, arrays, "gradient", tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_adaptive_softmax(dtype):
    """PyTorch's tails have no biases: here these are zero."""
    with np.load(FOLDER / "adaptive.npz") as file:
        arrays = dict(file)
    network = make_network(
        "rnn",
        "tanh",
        N_INPUTS,
        ADAPTIVE["sizes"],
        ADAPTIVE["n_classes"],
        pooling=None,
        cutoffs=ADAPTIVE["cutoffs"],
    )
    parameters = aligned_zeros((network.layout.size,), dtype)
    named = {key: a for key, a in arrays.items() if key.startswith("parameters/")}
    for key, values in named.items():
        network.layout.views(parameters)[key.removeprefix("parameters/")][:] = values
    sequences = [x[:n] for x, n in zip(arrays["inputs"], LENGTHS, strict=True)]
    targets = arrays["targets"]
    weights = np.full(len(targets), 1 / len(targets))
    _, value, flat = run_network(
        network, parameters, sequences, OwnLoss(), targets, weights
    )
    tolerance = TOLERANCES[dtype]
    assert_allclose(value, arrays["loss"], rtol=tolerance)
    gradient = network.layout.views(flat)
    for key in (name.removeprefix("parameters/") for name in named):
        expected = arrays[f"gradient/{key}"]
        assert_allclose(gradient[key], expected, rtol=tolerance, atol=tolerance)


@pytest.mark.needs_jit  # it tests the files, with no code of skrnn's
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch")
@pytest.mark.filterwarnings("default")  # PyTorch's own
def test_the_script_gives_the_files(tmp_path):
    make_golden.main(tmp_path)
    for name in [*NAMES, *OPTIONS, *TRANSLATIONS, "adaptive", CTC]:
        with (
            np.load(tmp_path / f"{name}.npz") as new,
            np.load(FOLDER / f"{name}.npz") as stored,
        ):
            assert set(new) == set(stored)
            for key in stored:
                assert_allclose(new[key], stored[key], rtol=1e-10, atol=1e-12)


def test_the_files_are_small():
    sizes = [path.stat().st_size for path in FOLDER.glob("*.npz")]
    assert len(sizes) == len(NAMES) + len(OPTIONS) + len(TRANSLATIONS) + 2
    assert max(sizes) < 100_000 and sum(sizes) < 500_000
