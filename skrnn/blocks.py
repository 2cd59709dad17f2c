"""Pieces of a data set that fit into memory."""

import numpy as np

CACHE_BYTES = 2**18  # what stays in the cache while a run is worked on
# Lengths that are looked at together. No run of CACHE_BYTES has more samples.
WINDOW = 2**16


def blocks_of(lengths, bytes_per_step, max_bytes, rows=None):
    """Cut samples into runs that need little memory each.

    Parameters
    ----------
    lengths : ndarray of shape (n_samples,)
        The number of steps of each sample.
    bytes_per_step : int
    max_bytes : int
        The bytes that a run may have; a larger sample is alone.
    rows : ndarray of shape (n_rows,), default=None
        The samples to cut, in this order; None means all of them.

    Yields
    ------
    run : slice
        Of `rows`, or of the samples; at most `WINDOW` of them.
    """
    n_rows = len(lengths) if rows is None else len(rows)
    if n_rows == 1:  # what a service predicts: the sums below take microseconds
        yield slice(0, 1)
        return
    start = 0
    while start < n_rows:
        window = slice(start, start + WINDOW)
        steps = lengths[window if rows is None else rows[window]]
        if start + WINDOW >= n_rows and steps.sum() * bytes_per_step <= max_bytes:
            yield slice(start, n_rows)
            return
        ends = np.cumsum(steps) * bytes_per_step
        first = done = 0
        while first < len(ends):
            fitting = int(np.searchsorted(ends, done + max_bytes, side="right"))
            stop = max(fitting, first + 1)
            if stop == len(ends) and first and start + stop < n_rows:
                break  # the run may go on: begin the next window with it
            yield slice(start + first, start + stop)
            first, done = stop, ends[stop - 1]
        start += first


def row_blocks(data, rows, max_bytes=CACHE_BYTES):
    """Cut rows of a data set into runs: ``rows[run]`` are the rows of one."""
    bytes_per_step = data.n_channels * np.dtype(data.dtype).itemsize
    return blocks_of(data.lengths, bytes_per_step, max_bytes, rows)
