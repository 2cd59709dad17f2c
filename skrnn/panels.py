"""Gradients of weights by panels: products summed over steps and sequences.

One of the factors is first brought into a panel with its axes swapped, so that a lane
is a unit and nothing needs to be summed over lanes. As in `simd`, the Python bodies
define what the compiled versions beside them do.
"""

import numpy as np
from llvmlite import ir
from numba.core import types

from skrnn.simd import (
    FLAGS,
    VECTOR_BITS,
    ElementPointers,
    Vector,
    as_intp,
    by_row,
    compiled_as,
    emit_multiply_add,
    integer,
    lane_count,
    splat,
    units_of_row,
    vector_of,
)

# Rows of a gradient computed at once, each of two registers.
PANEL_BLOCK = (0,) * (6 if VECTOR_BITS == 256 else 12)


def transpose_tile(panel, k, column, z, t, first, lane):
    """Store a tile of step `t` of z with its axes swapped.

    ``panel[k + i, column + c] = z[t, unit first + c, sequence lane + i]`` for c below
    the number L of lanes of a register, and i below L divided by the units of a row,
    which must divide `first`. Beyond the last row of z that row is taken again.
    """
    n, units = lane_count(z.dtype), units_of_row(z)
    size = n // units
    rows = np.minimum(first // units + np.arange(size), z.shape[1] - 1)
    tile = by_row(z)[t, rows, lane : lane + size].swapaxes(0, 1)
    panel[k : k + size, column : column + n] = tile.reshape(size, n)


def _transposed(builder, vectors):
    """Emit the transpose of n vectors of n groups of lanes."""
    n, size = len(vectors), vectors[0].type.count // len(vectors)
    integers = ir.VectorType(ir.IntType(32), n * size)
    half = n // 2
    while half:
        # swap the upper right and the lower left quarter of each square of 2 half
        low = [i if i & half == 0 else n + i - half for i in range(n)]
        high = [i + half if i & half == 0 else n + i for i in range(n)]
        swapped = list(vectors)
        for i in range(n):
            if i & half == 0:
                pair = vectors[i], vectors[i + half]
                for place, groups in ((i, low), (i + half, high)):
                    lanes = [group * size + c for group in groups for c in range(size)]
                    mask = ir.Constant(integers, lanes)
                    swapped[place] = builder.shuffle_vector(*pair, mask)
        vectors = swapped
        half //= 2
    return vectors


@compiled_as(transpose_tile)
def _transpose_tile(typingctx, panel, k, column, z, t, first, lane):
    vector, units = Vector(z.dtype), units_of_row(z)

    def codegen(context, builder, sig, args):
        k, column, t, first, lane = (
            as_intp(context, builder, args[p], sig.args[p]) for p in (1, 2, 4, 5, 6)
        )
        source = ElementPointers(context, builder, sig.args[3], args[3])
        target = ElementPointers(context, builder, sig.args[0], args[0])
        n_rows, n_lanes = source.shape[1], integer(vector_of(z).count)
        last = builder.sub(n_rows, integer(1))
        start = builder.mul(t, n_rows)
        vectors = []
        first = builder.udiv(first, integer(units))
        lane = builder.mul(lane, integer(units))
        for c in range(vector.count // units):
            row = builder.add(first, integer(c))
            row = builder.select(builder.icmp_signed("<", row, last), row, last)
            place = builder.mul(builder.add(start, row), n_lanes)
            vectors.append(source.load_vector(builder.add(place, lane)))
        for i, value in enumerate(_transposed(builder, vectors)):
            row = builder.mul(builder.add(k, integer(i)), target.shape[1])
            target.store_vector(builder.add(row, column), value)
        return context.get_dummy_value()

    return types.void(panel, k, column, z, t, first, lane), codegen


def add_products(target, i, column, block, x, t, first, panel, n_steps, n_lanes):
    """Add products of rows of x and the columns of a panel.

    To ``target[i + a, column + c]`` goes the sum of ``x[t + s, unit first + a, sequence
    lane] panel[s n_lanes + lane, c]`` over s < n_steps and lane < n_lanes, for a <
    len(block) and all columns c of the panel, which fill two registers; what would lie
    beside the columns of the target is left out. Both numbers must be positive, and
    `first` be the first of a row or the block a single unit.
    """
    n, n_columns = len(block), panel.shape[1]
    left = by_row(x)[t : t + n_steps, :, :n_lanes].swapaxes(2, 3)
    left = left.reshape(n_steps, -1, n_lanes)[:, first : first + n]
    right = panel[: n_steps * n_lanes].reshape(n_steps, n_lanes, n_columns)
    sums = np.einsum("sal,slc->ac", left, right)
    columns = np.arange(column, column + n_columns)
    inside = (columns >= 0) & (columns < target.shape[1])
    target[i : i + n, columns[inside]] += sums[:, inside]


@compiled_as(add_products)
def _add_products(
    typingctx, target, i, column, block, x, t, first, panel, n_steps, n_lanes
):
    vector, n, units = Vector(x.dtype), block.count, units_of_row(x)
    n_vectors = 2  # of a row of the panel

    def codegen(context, builder, sig, args):
        i, column, t, first, n_steps, n_lanes = (
            as_intp(context, builder, args[p], sig.args[p]) for p in (1, 2, 5, 6, 8, 9)
        )
        left = ElementPointers(context, builder, sig.args[4], args[4])
        right = ElementPointers(context, builder, sig.args[7], args[7])
        row_size = integer(vector_of(x).count)
        step_size = builder.mul(left.shape[1], row_size)
        row = builder.udiv(first, integer(units))
        x_start = builder.add(
            builder.mul(builder.add(builder.mul(t, left.shape[1]), row), row_size),
            builder.urem(first, integer(units)),
        )
        zero = ir.Constant(context.get_value_type(vector), [0.0] * vector.count)
        word = ir.IntType(64)

        entry = builder.block
        steps = builder.append_basic_block("steps")
        lanes = builder.append_basic_block("lanes")
        steps_end = builder.append_basic_block("steps.end")
        done = builder.append_basic_block("steps.done")
        builder.branch(steps)

        builder.position_at_end(steps)
        s, x_step, z_step = (builder.phi(word) for _ in range(3))
        s.add_incoming(integer(0), entry)
        x_step.add_incoming(x_start, entry)
        z_step.add_incoming(integer(0), entry)
        sums = [builder.phi(zero.type) for _ in range(n * n_vectors)]
        for phi in sums:
            phi.add_incoming(zero, entry)
        builder.branch(lanes)

        builder.position_at_end(lanes)
        lane, z_place = builder.phi(word), builder.phi(word)
        lane.add_incoming(integer(0), steps)
        z_place.add_incoming(z_step, steps)
        running = [builder.phi(zero.type) for _ in sums]
        values = [
            right.load_vector(builder.add(z_place, integer(v * vector.count)))
            for v in range(n_vectors)
        ]
        updated = []
        x_place = builder.add(x_step, builder.mul(lane, integer(units)))
        for a in range(n):
            offset = integer(a // units * vector_of(x).count + a % units)
            scalar = left.load(builder.add(x_place, offset))
            factor = splat(builder, scalar, vector.count)
            for v in range(n_vectors):
                phi = running[a * n_vectors + v]
                updated.append(emit_multiply_add(builder, factor, values[v], phi))
        for phi, before, after in zip(running, sums, updated, strict=True):
            phi.add_incoming(before, steps)
            phi.add_incoming(after, lanes)
        next_lane = builder.add(lane, integer(1))
        next_z = builder.add(z_place, integer(n_vectors * vector.count))
        lane.add_incoming(next_lane, lanes)
        z_place.add_incoming(next_z, lanes)
        more = builder.icmp_signed("<", next_lane, n_lanes)
        builder.cbranch(more, lanes, steps_end)

        builder.position_at_end(steps_end)
        following = builder.add(s, integer(1))
        s.add_incoming(following, steps_end)
        x_step.add_incoming(builder.add(x_step, step_size), steps_end)
        z_step.add_incoming(next_z, steps_end)
        for phi, new in zip(sums, updated, strict=True):
            phi.add_incoming(new, steps_end)
        builder.cbranch(builder.icmp_signed("<", following, n_steps), steps, done)

        builder.position_at_end(done)
        out = ElementPointers(context, builder, sig.args[0], args[0])
        n_columns = out.shape[1]
        # all loads before all stores: rows of the target may lie a multiple of 4096
        # bytes apart, and a load would wait for an earlier store to a like address
        stores = []
        for a in range(n):
            row = builder.mul(builder.add(i, integer(a)), n_columns)
            for v in range(n_vectors):
                at = builder.add(column, integer(v * vector.count))
                inside = _lanes_inside(builder, at, n_columns, vector.count)
                place = builder.add(row, at)
                old = out.masked_load(place, inside)
                new = builder.fadd(old, updated[a * n_vectors + v], flags=FLAGS)
                stores.append((place, new, inside))
        for place, value, inside in stores:
            out.masked_store(place, value, inside)
        return context.get_dummy_value()

    signature = types.void(
        target, i, column, block, x, t, first, panel, n_steps, n_lanes
    )
    return signature, codegen


def _lanes_inside(builder, at, n_columns, count):
    """Emit the mask of the lanes whose columns, from `at` on, exist."""
    lanes = ir.Constant(ir.VectorType(ir.IntType(64), count), list(range(count)))
    columns = builder.add(splat(builder, at, count), lanes)
    # as unsigned numbers those to the left of the first are large
    return builder.icmp_unsigned("<", columns, splat(builder, n_columns, count))
