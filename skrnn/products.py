"""The matrix products of the network, on buffers of SIMD values.

Weights enter packed: their columns, which become the rows of the result, are cut into
blocks, and each block lies contiguous in the order in which a product reads it.
"""

from skrnn._jit import ZERO, inner, kernel
from skrnn.panels import PANEL_BLOCK, add_products, transpose_tile
from skrnn.parameters import aligned_zeros
from skrnn.simd import get, lane_count, put
from skrnn.tiles import (
    EIGHT,
    FOUR,
    ONE,
    largest_block,
    load_block,
    multiply_add,
    start_block,
    store_block,
)

# Rows of a panel: sequences times steps of which `add_gradients` sums products at a
# time.
PANEL_ROWS = 512
# Bytes of the inputs and states of as many steps. They are read again for each panel,
# so they shall stay in the second-level cache, of which this is the half or less.
CACHED_BYTES = 2**19


@inner
def _affine_blocks(
    block, first, last, origin, out, t, bias, w, x, x_t, n_x, v, h, h_t, n_h
):
    n = len(block)
    while last - first >= n:
        if bias is None:
            sums = load_block(block, out, t, first)
        else:
            sums = start_block(block, bias, first, out)
        sums = multiply_add(sums, w, (first - origin) * n_x, x, x_t, 0, n_x)
        sums = multiply_add(sums, v, first * n_h, h, h_t, 0, n_h)
        store_block(out, t, first, sums)
        first += n
    return first


@kernel
def affine(first, last, origin, out, t, bias, w, x, x_t, n_x, v, h, h_t, n_h):
    """``out[t] = bias + W x[x_t] + V h[h_t]`` for the rows from `first` to `last`.

    `w` and `v` are packed, the columns of `w` counted from `origin`. `n_x` and `n_h`
    are the numbers of rows of x and h; with 0 that product is left out. Where `bias` is
    None, what ``out[t]`` holds stands for it.
    """
    first = _affine_blocks(
        largest_block(out),
        first,
        last,
        origin,
        out,
        t,
        bias,
        w,
        x,
        x_t,
        n_x,
        v,
        h,
        h_t,
        n_h,
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
    first = _accumulate_blocks(
        largest_block(out), ZERO, n_rows, out, t, w, x, x_t, x_first, n_terms
    )
    first = _accumulate_blocks(
        EIGHT, first, n_rows, out, t, w, x, x_t, x_first, n_terms
    )
    first = _accumulate_blocks(FOUR, first, n_rows, out, t, w, x, x_t, x_first, n_terms)
    first = _accumulate_blocks(ONE, first, n_rows, out, t, w, x, x_t, x_first, n_terms)


# --- gradients of weights: products summed over steps and sequences -------------------


@inner
def _fill_panel(panel, z, t, first, n_columns, n_steps, n_lanes):
    n = panel.shape[1] // 2
    for s in range(n_steps):
        # a tile may reach beyond the lanes in use: the next one writes over it; of
        # pairs there are at most half as many sequences as lanes, and so one tile
        for lane in range(0, n_lanes, n):
            k = s * n_lanes + lane
            transpose_tile(panel, k, ZERO, z, t + s, first, lane)
            if first + n < n_columns:
                transpose_tile(panel, k, n, z, t + s, first + n, lane)


@inner
def _add_panel_blocks(block, i, last, target, column, x, t, panel, n_steps, n_lanes):
    n = len(block)
    while last - i >= n:
        add_products(target, i, column, block, x, t, i, panel, n_steps, n_lanes)
        i += n
    return i


@inner
def _add_panel(target, first, last, column, x, t, panel, n_steps, n_lanes):
    """Add to some rows of the target, and its columns from `column` on, if any."""
    if -panel.shape[1] < column < target.shape[1]:
        i = _add_panel_blocks(
            PANEL_BLOCK, first, last, target, column, x, t, panel, n_steps, n_lanes
        )
        i = _add_panel_blocks(
            FOUR, i, last, target, column, x, t, panel, n_steps, n_lanes
        )
        _add_panel_blocks(ONE, i, last, target, column, x, t, panel, n_steps, n_lanes)


@inner
def _add_bias(d_bias, column, panel, n_rows):
    """Add the sums of the panel's columns; its last row is scratch."""
    scratch = panel.shape[0] - 1
    for v in range(2):
        if n_rows % 2:
            put(panel, n_rows, v, 0.0)
        a, b = get(panel, 0, v), get(panel, 1, v)
        for k in range(2, n_rows, 2):  # two sums at a time: an addition takes a while
            a, b = a + get(panel, k, v), b + get(panel, k + 1, v)
        put(panel, scratch, v, a + b)
    for c in range(min(panel.shape[1], len(d_bias) - column)):
        d_bias[column + c] += panel[scratch, c]


@kernel
def add_gradients(d_input, d_recurrent, d_bias, x, h, z, first, panel, shard_size):
    """Add to the gradients of weights and bias, with z that of the products' results.

    ``d_input[i, j] += sum of x[t, i] z[t, first + j]``, ``d_recurrent[i, j] += sum of
    h[t, i] z[t, j]`` and ``d_bias[j] += sum of z[t, j]`` over ``shard_size[0]`` steps
    and the first ``shard_size[2]`` sequences, with i, j and `first` counting units, not
    rows. `panel` is one of `new_panel`.
    """
    n_steps, n_lanes = shard_size[0], shard_size[2]
    # a tile that is transposed may reach as far beyond the rows as it has lanes
    n_rows = panel.shape[0] - panel.shape[1] // 2 - 1
    bytes_of_step = (x[0].size + h[0].size) * x.itemsize
    steps_at_once = max(1, min(n_rows // n_lanes, CACHED_BYTES // bytes_of_step))
    for t in range(0, n_steps, steps_at_once):
        steps = min(steps_at_once, n_steps - t)
        for column in range(0, len(d_bias), panel.shape[1]):
            _fill_panel(panel, z, t, column, len(d_bias), steps, n_lanes)
            n, m = len(d_input), len(d_recurrent)
            _add_panel(d_input, ZERO, n, column - first, x, t, panel, steps, n_lanes)
            _add_panel(d_recurrent, ZERO, m, column, h, t, panel, steps, n_lanes)
            _add_bias(d_bias, column, panel, steps * n_lanes)


@kernel
def add_transposed_gradients(d_weights, x, z, panel, shard_size):
    """Do as `add_gradients` for many weights that lie as (results, terms).

    ``d_weights[j, i] += sum of z[t, j] x[t, i]``, some rows at a time, so that what z
    has of them stays in the cache while the panel passes over the terms.
    """
    n_steps, n_lanes = shard_size[0], shard_size[2]
    n_results, n_terms = d_weights.shape
    n_rows = panel.shape[0] - panel.shape[1] // 2 - 1
    steps_at_once = max(1, n_rows // n_lanes)
    bytes_of_row = steps_at_once * z[0, 0].size * z.itemsize
    rows_at_once = max(64, CACHED_BYTES // bytes_of_row)
    for first in range(0, n_results, rows_at_once):
        last = min(first + rows_at_once, n_results)
        for t in range(0, n_steps, steps_at_once):
            steps = min(steps_at_once, n_steps - t)
            for column in range(0, n_terms, panel.shape[1]):
                _fill_panel(panel, x, t, column, n_terms, steps, n_lanes)
                _add_panel(d_weights, first, last, column, z, t, panel, steps, n_lanes)


def new_panel(dtype):
    """Return scratch for `add_gradients`: rows of two registers' length."""
    lanes = lane_count(dtype)
    return aligned_zeros((PANEL_ROWS + lanes + 1, 2 * lanes), dtype)


# --- other sums, and packing ----------------------------------------------------------


@kernel
def clear(rows, n_steps, n_rows):
    """Set the first rows of the first steps to zero."""
    for t in range(n_steps[0]):
        for k in range(n_rows):
            put(rows, t, k, 0.0)


@kernel
def pack(weights, boundaries, largest, packed):
    """Cut the columns of `weights` (terms, outputs) into blocks.

    No block crosses one of the `boundaries`, which begin with 0 and end with the
    number of columns. The block of n columns from c on fills ``packed[c * terms:]``,
    term by term with their n weights side by side. `largest` is the size of
    `tiles.largest_block`.
    """
    n_terms = weights.shape[0]
    at = 0
    for i in range(len(boundaries) - 1):
        column, last = boundaries[i], boundaries[i + 1]
        for n in (largest, 8, 4, 1):
            while last - column >= n:
                for j in range(n_terms):
                    for r in range(n):
                        packed[at] = weights[j, column + r]
                        at += 1
                column += n


@kernel
def pack_transposed(weights, largest, packed):
    """Do as `pack` with the rows of `weights`, of shape (outputs, terms)."""
    n_outputs, n_terms = weights.shape
    row, at = 0, 0
    for n in (largest, 8, 4, 1):
        while n_outputs - row >= n:
            for j in range(n_terms):
                for r in range(n):
                    packed[at] = weights[row + r, j]
                    at += 1
            row += n


@kernel
def pack_units(weights, transposed, n_units, units_of_row, boundaries, largest, packed):
    """Do as `pack` where so many units lie side by side in a row.

    The columns, or if `transposed` the rows, are those of blocks of `n_units`; each
    block is filled up with zeros to whole rows, and so are the terms. `boundaries`
    count these rows.
    """
    n_terms, units = weights.shape[1 if transposed else 0], units_of_row
    rows_of_block = -(-n_units // units)
    at = 0
    for i in range(len(boundaries) - 1):
        row, last = boundaries[i], boundaries[i + 1]
        for n in (largest, 8, 4, 1):
            while last - row >= n:
                for j in range(-(-n_terms // units) * units):
                    block, first = divmod(row, rows_of_block)
                    for _ in range(n):
                        for unit in range(first * units, (first + 1) * units):
                            k = block * n_units + unit
                            if j >= n_terms or unit >= n_units:
                                packed[at] = 0.0
                            elif transposed:
                                packed[at] = weights[k, j]
                            else:
                                packed[at] = weights[j, k]
                            at += 1
                        first += 1
                        if first == rows_of_block:
                            block, first = block + 1, 0
                row += n


@kernel
def spread(numbers, n_units, width, apart):
    """Put blocks of `n_units` numbers `width` apart."""
    for i in range(len(numbers)):
        block, unit = divmod(i, n_units)
        apart[block * width + unit] = numbers[i]
