"""Vectors of tokens on their way into the lanes, and gradients on theirs back."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn.lanes import SamplesInLanes, UnitsInLanes, by_lane
from skrnn.layers import Embedding, Shard
from skrnn.recording import Recording, run

N_STEPS, N_TOKENS = 5, 6
# fewer than a register has lanes, as many, and more with some beyond whole registers
SIZES = [1, 3, 8, 16, 21, 40]


def place_of(lanes, n_units):
    """Give a layer of two channels of tokens around one of numbers, and its shard."""
    rng = np.random.default_rng(0)
    layer = Embedding(3, ((0, N_TOKENS), (2, 4)), n_units)
    x = lanes.rows(N_STEPS, 3)
    by_lane(x)[:] = rng.integers(-1, N_TOKENS + 1, by_lane(x).shape)
    n = lanes.n_samples
    lengths = rng.integers(1, N_STEPS + 1, n)
    lengths[-1] = N_STEPS - 1
    if n > 1:
        lengths[1] = 0  # no sequence
    n_steps = np.array([N_STEPS - 1, 0, n])  # buffers have room for more
    tables = {
        f"{place}.vectors": rng.normal(size=(size, n_units)).astype(lanes.dtype)
        for place, size in layer._n_tokens
    }
    return layer, x, tables, Shard(lengths, n_steps, np.zeros(2, np.int64))


def known(x, place, table, shard):
    """Give step, lane and token wherever there is a token of the table."""
    for t in range(shard.n_steps[0]):
        for lane, length in enumerate(shard.lengths):
            token = int(by_lane(x)[t, place, lane])
            if t < length and 0 <= token < len(table):
                yield t, lane, token


def record(method, *arguments):
    calls = Recording()
    method(calls, *arguments)
    run(calls.program())


@pytest.mark.parametrize("n_units", SIZES)
@pytest.mark.parametrize("n_registers", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_are_looked_up(dtype, n_registers, n_units):
    """With no register of sequences a lane is a unit of the only one."""
    dtype = np.dtype(dtype)
    lanes = SamplesInLanes(dtype, n_registers) if n_registers else UnitsInLanes(dtype)
    layer, x, tables, shard = place_of(lanes, n_units)
    buffers = layer.allocate(N_STEPS, lanes, training=False)
    buffers.output[:] = 9.0
    record(layer.forward, tables, x, buffers, shard)
    out = by_lane(buffers.output)
    expected = np.full_like(out, 9.0)
    expected[: shard.n_steps[0], : layer.n_outputs] = 0.0
    for i, place in enumerate((0, 2)):
        table, rows = tables[f"{place}.vectors"], slice(i * n_units, (i + 1) * n_units)
        for t, lane, token in known(x, place, table, shard):
            expected[t, rows, lane] = table[token]
    numbers = by_lane(x)[: shard.n_steps[0], 1]
    expected[: shard.n_steps[0], 2 * n_units] = numbers
    assert_array_equal(out, expected)


@pytest.mark.parametrize("n_units", SIZES)
@pytest.mark.parametrize("n_registers", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_are_added_up(dtype, n_registers, n_units):
    rng = np.random.default_rng(1)
    lanes = SamplesInLanes(np.dtype(dtype), n_registers)
    layer, x, tables, shard = place_of(lanes, n_units)
    buffers = layer.allocate(N_STEPS, lanes, training=True)
    d_out, d_x = by_lane(buffers.d_output), np.full_like(x, 9.0)
    d_out[:] = rng.normal(size=d_out.shape)
    for lane, length in enumerate(shard.lengths):
        d_out[length:, :, lane] = np.nan  # must not be read
    gradients = {
        name: rng.normal(size=table.shape).astype(dtype)
        for name, table in tables.items()
    }
    expected = {name: gradient.copy() for name, gradient in gradients.items()}
    for i, place in enumerate((0, 2)):
        d_table, first = expected[f"{place}.vectors"], i * n_units
        for t, lane, token in known(x, place, d_table, shard):
            d_table[token] += d_out[t, first : first + n_units, lane]
    record(layer.backward, tables, x, buffers, gradients, d_x, shard)
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    for name, gradient in gradients.items():
        assert_allclose(gradient, expected[name], rtol=tolerance, atol=tolerance)
    n = shard.n_steps[0]
    assert_array_equal(by_lane(d_x)[:n, [0, 2]], 0.0)
    assert_array_equal(by_lane(d_x)[:n, 1], d_out[:n, 2 * n_units])
