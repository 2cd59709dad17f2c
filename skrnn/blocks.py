"""Pieces of a data set that fit into memory."""

import numpy as np

CACHE_BYTES = 2**18  # what stays in the cache while a run is worked on


def blocks_of(steps, bytes_per_step, max_bytes):
    """Cut samples into runs that need little memory each.

    Parameters
    ----------
    steps : ndarray of shape (n_samples,)
        The number of steps of each sample.
    bytes_per_step : int
    max_bytes : int
        The bytes that a run may have; a larger sample is alone.

    Yields
    ------
    run : slice
    """
    ends = np.cumsum(steps) * bytes_per_step
    start = done = 0
    while start < len(ends):
        fitting = int(np.searchsorted(ends, done + max_bytes, side="right"))
        stop = max(fitting, start + 1)
        yield slice(start, stop)
        start, done = stop, ends[stop - 1]


def row_blocks(data, rows, max_bytes=CACHE_BYTES):
    """Cut rows of a data set into runs: ``rows[run]`` are the rows of one."""
    bytes_per_step = data.n_channels * np.dtype(data.dtype).itemsize
    return blocks_of(data.lengths[rows], bytes_per_step, max_bytes)
