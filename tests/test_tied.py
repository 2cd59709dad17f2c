"""An output tied to the vectors of tokens is a dense one with the same numbers."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skrnn.losses import multiclass_log_loss
from skrnn.network import Network
from tests.oracles.harness import (
    assert_same_bits,
    make_architecture,
    make_parameters,
    predict_in_all_lanes,
    run_network,
)

LENGTHS = [7, 1, 6, 5, 3, 3, 2, 9, 4]
TABLE = "embedding.0.vectors"


def problem(n_tokens, n_units, n_vector):
    rng = np.random.default_rng(0)
    architecture = make_architecture(
        "gru",
        n_inputs=1,
        sizes=(n_units,),
        n_outputs=n_tokens,
        pooling=None,
        n_tokens=((0, n_tokens),),
        embedding_dim=n_vector,
    )
    sequences = [rng.integers(n_tokens, size=(n, 1)).astype(float) for n in LENGTHS]
    targets = rng.integers(n_tokens, size=(sum(LENGTHS), 1))
    return architecture, sequences, targets, rng.uniform(size=len(targets))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_registers", [1, 2])
@pytest.mark.parametrize("n_tokens, n_vector", [(5, 3), (67, 8), (150, 40)])
def test_the_dense_layer_of_the_transposed_table(
    n_tokens, n_vector, n_registers, dtype
):
    architecture, *task = problem(n_tokens, n_vector, n_vector)
    plain = Network(architecture)
    tied = Network(replace(architecture, tied=True))
    parameters = make_parameters(tied, np.random.default_rng(1), dtype)
    other = make_parameters(plain, np.random.default_rng(2), dtype)
    views, of_plain = tied.layout.views(parameters), plain.layout.views(other)
    for name, view in of_plain.items():
        view[:] = views[TABLE].T if name == "output.weights" else views[name]
    sequences, targets, weights = task
    results = [
        run_network(
            network,
            numbers,
            sequences,
            multiclass_log_loss,
            targets,
            weights,
            n_registers=n_registers,
        )
        for network, numbers in ((tied, parameters), (plain, other))
    ]
    assert_same_bits(results[0][0], results[1][0])
    assert_allclose(results[0][1], results[1][1], rtol=1e-13)
    found, expected = (
        network.layout.views(result[2])
        for network, result in zip((tied, plain), results, strict=True)
    )
    total = expected[TABLE] + expected.pop("output.weights").T
    tolerance = 100 * np.finfo(dtype).eps
    assert_allclose(found[TABLE], total, rtol=tolerance, atol=tolerance)
    assert_allclose(
        found["output.bias"], expected["output.bias"], rtol=tolerance, atol=tolerance
    )
    assert_same_bits(
        predict_in_all_lanes(tied, parameters, sequences),
        predict_in_all_lanes(plain, other, sequences),
    )


def test_states_of_another_size_are_projected():
    architecture, *_ = problem(5, 4, 3)
    network = Network(replace(architecture, tied=True))
    shapes = network.layout.shapes
    assert shapes["projection.weights"] == (4, 3)
    assert shapes["output.bias"] == (5,)
    assert "output.weights" not in shapes
    flat = np.full(network.layout.size, np.nan)
    network.initialize(flat, np.random.RandomState(0))
    assert np.isfinite(flat).all()


def test_there_must_be_as_many_tokens_as_classes():
    architecture, *_ = problem(5, 4, 3)
    message = r"tied output of 6 classes .*'embedding\.0\.vectors': \(5, 3\)"
    with pytest.raises(ValueError, match=message):
        Network(replace(architecture, tied=True, n_outputs=6))
