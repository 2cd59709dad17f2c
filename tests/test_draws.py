"""Random numbers of kernels: the distribution, and what they hang on."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skrnn.draws import add_normal, draw_mask, new_states, seed
from skrnn.lanes import SamplesInLanes

# All seeds are fixed: numbers within five standard deviations stay there.
SHAPE = 400, 10, 16
N = np.prod(SHAPE)


def seeded(key=(5, 0), stream=1, n_lanes=SHAPE[2], done=0):
    states = np.zeros(n_lanes, np.int64)
    seed(states, np.array(key), np.array([1, done, n_lanes]), stream)
    return states


def mask_of(rate, shape=SHAPE, **key):
    mask, n_steps = np.full(shape, np.nan), np.array([shape[0], 0, shape[2]])
    states = seeded(n_lanes=shape[2], **key)
    draw_mask(mask, n_steps, shape[1], np.array([rate]), states)
    return mask


def normal(shape=SHAPE, scale=1.0, x=0.0, **key):
    out, n_steps = np.full(shape, np.nan), np.array([shape[0], 0, shape[2]])
    states = seeded(n_lanes=shape[2], **key)
    x = np.full(shape, x)
    add_normal(out, x, n_steps, shape[1], np.array([scale]), states)
    return out


def assert_mean(values, expected, sd):
    """Within five standard deviations of the mean of independent numbers."""
    assert abs(values.mean() - expected) < 5 * sd / np.sqrt(values.size)


def assert_neighbours_are_independent(values, sd):
    for axis, n in enumerate(values.shape):
        one = np.take(values, range(n - 1), axis)
        other = np.take(values, range(1, n), axis)
        assert_mean(one * other, 0.0, sd**2)


# --- generators -----------------------------------------------------------------------


def mixed(word):
    word %= 2**32
    word = (word ^ word >> 16) * 0x7FEB352D % 2**32
    word = (word ^ word >> 15) * 0x7FEB352D % 2**32
    return word ^ word >> 16


def xorshift(state):
    """As Marsaglia gives it, with 32 bits."""
    state ^= state << 13 & 0xFFFFFFFF
    state ^= state >> 17
    return state ^ state << 5 & 0xFFFFFFFF


@pytest.mark.parametrize("key", [(0, 0), (2**31 - 1, 2**40), (77, 3)])
def test_bits_are_those_of_unbounded_integers(key):
    """Nothing wraps around within 64 bits."""
    states = seeded(key, stream=1001, n_lanes=3, done=128)
    start = mixed(mixed(mixed(mixed(key[0] + 1) + key[1]) + 1001) + 128)
    expected = [mixed(start + lane) for lane in range(3)]
    assert_array_equal(states, expected)
    mask = np.full((2, 2, 3), np.nan)
    draw_mask(mask, np.array([2, 0, 3]), 2, np.array([0.5]), states)
    for lane, state in enumerate(expected):
        for t, k in np.ndindex(2, 2):
            state = xorshift(state)
            assert mask[t, k, lane] == (0.0 if state < 2**31 else 2.0)
        assert states[lane] == state


@pytest.mark.needs_jit
def test_no_two_generators_begin_alike():
    """Of any epoch, shard, layer, piece and lane."""
    states = [
        seeded((epoch, shard), stream, 8, done)
        for epoch in range(10)
        for shard in range(10)
        for stream in (0, 1, 2, 1003, 2004)
        for done in (0, 1, 128)
    ]
    assert len(np.unique(states)) == 10 * 10 * 5 * 3 * 8
    assert np.min(states) > 0  # a generator never leaves zero


def test_the_same_key_gives_the_same_numbers():
    for draw in (lambda **key: mask_of(0.5, (9, 2, 4), **key), normal):
        first = draw(key=(3, 4), stream=5, done=6)
        assert_array_equal(draw(key=(3, 4), stream=5, done=6), first)
        for other in ({"key": (3, 5)}, {"key": (4, 4)}, {"stream": 6}, {"done": 7}):
            key = {"key": (3, 4), "stream": 5, "done": 6} | other
            assert (draw(**key) != first).mean() > 0.3


def test_there_is_a_generator_for_each_lane():
    for n_registers in (1, 2):
        lanes = SamplesInLanes(np.dtype(np.float32), n_registers)
        assert new_states(lanes).shape == (lanes.n_samples,)


# --- masks ----------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.5, 0.9])
def test_masks(rate):
    mask = mask_of(rate)
    assert set(np.unique(mask)) == {0.0, 1.0 / (1.0 - rate)}
    dropped, sd = mask == 0.0, np.sqrt(rate * (1.0 - rate))
    assert_mean(dropped, rate, sd)
    assert_mean(mask, 1.0, sd / (1.0 - rate))
    assert_neighbours_are_independent(dropped - rate, sd)
    for axis in range(3):  # at no step, in no unit or lane more than elsewhere
        for part in np.moveaxis(dropped, axis, 0):
            assert_mean(part, rate, sd)


def test_masks_of_a_single_step_are_independent():
    """As recurrent connections have them: the first numbers of the generators."""
    rate, sd = 0.3, np.sqrt(0.21)
    masks = np.stack([mask_of(rate, (1, 6, 8), key=(1, s))[0] for s in range(500)])
    dropped = (masks == 0.0) - rate
    assert_mean(dropped, 0.0, sd)
    assert_neighbours_are_independent(dropped, sd)


def test_a_rate_of_zero_drops_nothing():
    assert_array_equal(mask_of(0.0), 1.0)


def test_masks_are_drawn_for_the_steps_and_units_that_there_are():
    mask = np.full((4, 3, 2), 7.0)
    n_steps = np.array([2, 0, 2])
    draw_mask(mask, n_steps, 2, np.array([0.5]), seeded(n_lanes=2))
    assert_array_equal(mask[2:], 7.0)
    assert_array_equal(mask[:, 2], 7.0)
    assert set(np.unique(mask[:2, :2])) <= {0.0, 2.0}


# --- normal numbers -------------------------------------------------------------------


def test_normal_numbers():
    z = normal()
    # mean and variance of the powers of a normal number
    for power, mean, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert_mean(z**power, mean, np.sqrt(variance))
    for bound, share in [(0.5, 0.382925), (1, 0.682689), (2, 0.954500), (3, 0.997300)]:
        assert_mean(np.abs(z) < bound, share, np.sqrt(share * (1 - share)))
    assert_neighbours_are_independent(z, 1.0)
    assert_neighbours_are_independent(z**2 - 1.0, 2**0.5)
    assert np.isfinite(z).all() and len(np.unique(z)) > 0.999 * N


def test_normal_numbers_are_added():
    shape = 3, 2, 4
    expected = 5.0 + 0.25 * normal(shape)
    np.testing.assert_allclose(normal(shape, 0.25, x=5.0), expected, rtol=1e-14)
