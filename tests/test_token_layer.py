"""Tokens of a small vocabulary: the same as an embedding below the layer."""

from unittest.mock import patch

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skrnn import stack
from skrnn.cells import CELLS
from skrnn.layers import Embedding, TokenLayer, Vocabulary
from skrnn.losses import multiclass_log_loss
from skrnn.network import Network
from skrnn.prediction import predict_raw
from tests.oracles.harness import (
    Ragged,
    check_gradient,
    make_architecture,
    make_parameters,
    run_network,
)

LENGTHS = (6, 3, 1)


def make_both(n_tokens, cell, **more):
    """Return the network with the products of tokens, and that of an embedding."""
    architecture = make_architecture(
        cell,
        "tanh",
        1,
        (5,),
        n_tokens,
        products_of_tokens=True,
        n_tokens=((0, n_tokens),),
        embedding_dim=3,
        **more,
    )
    ours = Network(architecture)
    with patch.object(stack, "LARGEST_VOCABULARY", 0):
        return ours, Network(architecture)


def make_texts(n_tokens):
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, n_tokens, size=(n, 1)).astype(float) for n in LENGTHS]
    return texts, rng.integers(0, n_tokens, size=(sum(LENGTHS), 1)).astype(float)


@pytest.mark.parametrize("n_registers", [1, 2])
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("n_tokens", [7, 40])
@pytest.mark.parametrize("cell", CELLS)
def test_the_same_numbers(cell, n_tokens, layer_norm, n_registers):
    ours, other = make_both(n_tokens, cell, layer_norm=layer_norm, pooling=None)
    assert isinstance(ours.layers["embedding"], Vocabulary)
    assert isinstance(ours.layers["layers.0"], TokenLayer)
    assert type(other.layers["embedding"]) is Embedding
    assert ours.layout.slices == other.layout.slices
    parameters = make_parameters(ours, np.random.default_rng(1))
    texts, targets = make_texts(n_tokens)
    results = [
        run_network(
            network,
            parameters,
            texts,
            multiclass_log_loss,
            targets,
            n_registers=n_registers,
        )
        for network in (ours, other)
    ]
    for found, expected in zip(*results, strict=True):
        if isinstance(found, dict):
            assert found.keys() == expected.keys()
            for name in found:
                assert_allclose(found[name], expected[name], atol=1e-12)
        else:
            assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_gradient(cell):
    ours, _ = make_both(7, cell, pooling=None)
    texts, targets = make_texts(7)
    check_gradient(ours, texts, multiclass_log_loss, targets, 1)


@pytest.mark.parametrize("n_samples", [1, 3, 40])
@pytest.mark.parametrize("cell", CELLS)
def test_predictions(cell, n_samples):
    ours, other = make_both(7, cell)
    parameters = make_parameters(ours, np.random.default_rng(1))
    rng = np.random.default_rng(5)
    data = Ragged(
        [
            rng.integers(-1, 8, size=(n, 1)).astype(float)  # -1 and 7 are unknown
            for n in rng.integers(1, 9, size=n_samples)
        ]
    )
    channels = np.zeros(1), np.ones(1)
    found, expected = (
        predict_raw(network, parameters, data, *channels, 1)
        for network in (ours, other)
    )
    assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize(
    "more",
    [
        {"bidirectional": True},
        {"n_tokens": ((0, 600),)},
        {"n_inputs": 2},
        {"products_of_tokens": False},
    ],
    ids=str,
)
def test_where_there_would_be_more_products_or_other_inputs(more):
    sizes = {"n_inputs": 1, "n_tokens": ((0, 7),), "products_of_tokens": True} | more
    architecture = make_architecture(
        "gru", "tanh", sizes.pop("n_inputs"), (5,), 2, embedding_dim=3, **sizes
    )
    assert type(Network(architecture).layers["embedding"]) is Embedding
