"""The flat vector of parameters, and memory for it."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skrnn.parameters import (
    CACHE_LINE,
    ParameterLayout,
    aligned_copy,
    aligned_zeros,
)


def test_views_share_the_flat_vector():
    layout = ParameterLayout({"a.weights": (2, 3), "a.bias": (3,), "b.weights": (1, 4)})
    flat = np.arange(13.0)
    views = layout.views(flat)
    assert layout.size == 13
    assert_array_equal(views["a.bias"], [6, 7, 8])
    views["b.weights"][0, 3] = -1
    assert flat[12] == -1
    assert_array_equal(layout.penalized(np.float32), [1] * 6 + [0] * 3 + [1] * 4)


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 5), (0, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_aligned_zeros(shape, dtype):
    zeros = aligned_zeros(shape, dtype)
    assert zeros.shape == shape and zeros.dtype == dtype
    assert zeros.flags.c_contiguous and zeros.flags.writeable
    assert not zeros.any()
    assert zeros.size == 0 or zeros.ctypes.data % CACHE_LINE == 0


def test_aligned_copy_is_writable_and_its_own():
    original = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    original.flags.writeable = False
    copy = aligned_copy(original)
    assert copy.dtype == original.dtype and copy.ctypes.data % CACHE_LINE == 0
    assert_array_equal(copy, original)
    copy[0, 0] = 9
    assert original[0, 0] == 0
