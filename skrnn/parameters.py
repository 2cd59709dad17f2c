"""All parameters of a network in one flat vector, with a named view of each."""

import math

import numpy as np

CACHE_LINE = 64


def aligned_zeros(shape, dtype):
    """Zeros that begin on a cache line: other vector loads would straddle two."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(size + CACHE_LINE, np.uint8)
    address = raw.__array_interface__["data"][0]  # quicker than raw.ctypes
    start = -address % CACHE_LINE
    return raw[start : start + size].view(dtype).reshape(shape)


def aligned_copy(array):
    """Return a writable copy that begins on a cache line."""
    copy = aligned_zeros(array.shape, array.dtype)
    copy[:] = array
    return copy


class ParameterLayout:
    """Names, shapes and places of the parameters within the flat vector.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        The shape of each parameter, in their order in the vector.
    """

    def __init__(self, shapes):
        self.shapes = shapes
        self.slices = {}
        start = 0
        for name, shape in shapes.items():
            stop = start + math.prod(shape)
            self.slices[name] = slice(start, stop)
            start = stop
        self.size = start

    def views(self, flat):
        """Return a dict of views, one for each parameter, into a flat vector."""
        return {
            name: flat[self.slices[name]].reshape(shape)
            for name, shape in self.shapes.items()
        }

    def penalized(self, dtype, frozen=None):
        """Return ones where the penalty applies, to weights, and zeros elsewhere.

        It does not apply where the mask `frozen` is True either.
        """
        mask = aligned_zeros((self.size,), dtype)
        for name, where in self.slices.items():
            mask[where] = name.endswith("weights")
        if frozen is not None:
            mask[frozen] = 0.0
        return mask
