"""Weights in the order in which the products read them, by NumPy."""

import numpy as np


def block_sizes(largest):
    """Return the numbers of columns that a block may have, the largest first."""
    return [n for n in (16, 8, 4, 1) if n <= largest]


def in_blocks(columns, cuts, largest):
    """Return the columns, (terms, columns, ...), one block after the other."""
    parts = []
    for first, last in zip(cuts[:-1], cuts[1:], strict=True):
        while first < last:
            n = next(size for size in block_sizes(largest) if size <= last - first)
            parts.append(columns[:, first : first + n].ravel())
            first += n
    return np.concatenate([columns[:0].ravel(), *parts])


def spread_units(numbers, n_units, lanes):
    """Return the last axis, blocks of so many units, with zeros up to whole rows."""
    n_blocks = numbers.shape[-1] // n_units
    width = -(-n_units // lanes) * lanes
    out = np.zeros((*numbers.shape[:-1], n_blocks, width), numbers.dtype)
    shape = (*numbers.shape[:-1], n_blocks, n_units)
    out[..., :n_units] = numbers.reshape(shape)
    return out.reshape(*numbers.shape[:-1], n_blocks * width)


def fill_up(weights, n_units, lanes):
    """Return weights for units in lanes as (terms, rows, lanes), filled up with 0."""
    filled = spread_units(weights, n_units, lanes)
    more = np.zeros((-len(filled) % lanes, filled.shape[1]), filled.dtype)
    filled = np.vstack([filled, more])
    return filled.reshape(len(filled), filled.shape[1] // lanes, lanes)
