"""The matrix products of the network, on (time, rows, lanes) buffers.

Weights enter packed: their columns, which become the rows of the result, are cut into
blocks, and each block lies contiguous in the order in which a product reads it.
"""

from skrnn._jit import ZERO, inner, kernel
from skrnn.simd import get, put, total
from skrnn.tiles import (
    EIGHT,
    FOUR,
    LARGEST,
    ONE,
    add_outer_sums,
    load_block,
    multiply_add,
    splat_block,
    store_block,
)

BLOCK_SIZES = (len(LARGEST), 8, 4, 1)

# `add_weight_gradient` works on so many steps and rows of each operand at a time: what
# a tile reads again then still lies in the first- and second-level cache.
STEPS_AT_ONCE = 64
ROWS_AT_ONCE = 64


@kernel
def pack(weights, boundaries, packed):
    """Cut the columns of `weights` (terms, outputs) into blocks.

    No block crosses one of the `boundaries`, which begin with 0 and end with the
    number of columns. The block of n columns from c on fills ``packed[c * terms:]``,
    term by term with their n weights side by side.
    """
    n_terms = weights.shape[0]
    at = 0
    for i in range(len(boundaries) - 1):
        column, last = boundaries[i], boundaries[i + 1]
        for n in BLOCK_SIZES:
            while last - column >= n:
                for j in range(n_terms):
                    for r in range(n):
                        packed[at] = weights[j, column + r]
                        at += 1
                column += n


@kernel
def pack_transposed(weights, packed):
    """Do as `pack` with the rows of `weights`, of shape (outputs, terms)."""
    n_outputs, n_terms = weights.shape
    row, at = 0, 0
    for n in BLOCK_SIZES:
        while n_outputs - row >= n:
            for j in range(n_terms):
                for r in range(n):
                    packed[at] = weights[row + r, j]
                    at += 1
            row += n


@inner
def _affine_blocks(
    block, first, last, origin, out, t, bias, w, x, x_t, n_x, v, h, h_t, n_h
):
    n = len(block)
    while last - first >= n:
        sums = splat_block(block, bias, first)
        sums = multiply_add(sums, w, (first - origin) * n_x, x, x_t, 0, n_x)
        sums = multiply_add(sums, v, first * n_h, h, h_t, 0, n_h)
        store_block(out, t, first, sums)
        first += n
    return first


@kernel
def affine(first, last, origin, out, t, bias, w, x, x_t, n_x, v, h, h_t, n_h):
    """``out[t] = bias + W x[x_t] + V h[h_t]`` for the rows from `first` to `last`.

    `w` and `v` are packed, the columns of `w` counted from `origin`. `n_x` and `n_h`
    are the numbers of terms; with 0 that product is left out.
    """
    first = _affine_blocks(
        LARGEST, first, last, origin, out, t, bias, w, x, x_t, n_x, v, h, h_t, n_h
    )
    first = _affine_blocks(
        EIGHT, first, last, origin, out, t, bias, w, x, x_t, n_x, v, h, h_t, n_h
    )
    first = _affine_blocks(
        FOUR, first, last, origin, out, t, bias, w, x, x_t, n_x, v, h, h_t, n_h
    )
    first = _affine_blocks(
        ONE, first, last, origin, out, t, bias, w, x, x_t, n_x, v, h, h_t, n_h
    )


@inner
def _accumulate_blocks(block, first, last, out, t, w, x, x_t, x_first, n_terms):
    n = len(block)
    while last - first >= n:
        sums = load_block(block, out, t, first)
        sums = multiply_add(sums, w, first * n_terms, x, x_t, x_first, n_terms)
        store_block(out, t, first, sums)
        first += n
    return first


@kernel
def accumulate(n_rows, out, t, w, x, x_t, x_first, n_terms):
    """``out[t] += W x[x_t]`` for packed weights and the rows of x from `x_first` on."""
    first = ZERO
    first = _accumulate_blocks(
        LARGEST, first, n_rows, out, t, w, x, x_t, x_first, n_terms
    )
    first = _accumulate_blocks(
        EIGHT, first, n_rows, out, t, w, x, x_t, x_first, n_terms
    )
    first = _accumulate_blocks(FOUR, first, n_rows, out, t, w, x, x_t, x_first, n_terms)
    first = _accumulate_blocks(ONE, first, n_rows, out, t, w, x, x_t, x_first, n_terms)


@inner
def _add_outer_tiles(target, i0, i1, j0, j1, x, x_t, z, z_t, z_first, n_steps):
    i_tiled = i0 + (i1 - i0) // 4 * 4
    j_tiled = j0 + (j1 - j0) // 4 * 4
    for j in range(j0, j_tiled, 4):
        k = z_first + j
        for i in range(i0, i_tiled, 4):
            add_outer_sums(target, i, j, FOUR, x, x_t, i, FOUR, z, z_t, k, n_steps)
        for i in range(i_tiled, i1):
            add_outer_sums(target, i, j, ONE, x, x_t, i, FOUR, z, z_t, k, n_steps)
    for j in range(j_tiled, j1):
        k = z_first + j
        for i in range(i0, i_tiled, 4):
            add_outer_sums(target, i, j, FOUR, x, x_t, i, ONE, z, z_t, k, n_steps)
        for i in range(i_tiled, i1):
            add_outer_sums(target, i, j, ONE, x, x_t, i, ONE, z, z_t, k, n_steps)


@kernel
def add_weight_gradient(target, x, z, z_first, n_steps):
    """``target[i, j] += sum of x[t, i] z[t, z_first + j]`` over steps and lanes."""
    n_i, n_j = target.shape
    for t in range(0, n_steps, STEPS_AT_ONCE):
        steps = min(STEPS_AT_ONCE, n_steps - t)
        for j in range(0, n_j, ROWS_AT_ONCE):
            j1 = min(j + ROWS_AT_ONCE, n_j)
            for i in range(0, n_i, ROWS_AT_ONCE):
                i1 = min(i + ROWS_AT_ONCE, n_i)
                _add_outer_tiles(target, i, i1, j, j1, x, t, z, t, z_first, steps)


@kernel
def add_bias_gradient(target, z, n_steps):
    """``target[j] += sum of z[t, j]`` over steps and lanes."""
    for j in range(len(target)):
        sums = get(z, 0, j)
        for t in range(1, n_steps):
            sums = sums + get(z, t, j)
        target[j] += total(sums)


@kernel
def clear(rows, n_steps, n_rows):
    """Set the first rows of the first steps to zero."""
    for t in range(n_steps):
        for k in range(n_rows):
            put(rows, t, k, 0.0)
