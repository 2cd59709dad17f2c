"""Blocks of SIMD values, and the two products that run over them.

The accumulators of a block are a tuple of values, held in registers through the whole
product: no plain loop gets LLVM to do that, because between rows of one array it
checks for overlap on every entry of an inner loop. As in `simd`, the Python bodies
define what the compiled versions beside them do.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from skrnn.simd import (
    FLAGS,
    VECTOR_BITS,
    RowPointers,
    Vector,
    as_intp,
    compiled_as,
    emit_multiply_add,
    first_element,
    integer,
    splat,
)

# Rows of a product computed at once: accumulators that fit beside the operands in 32
# (AVX-512, NEON) or 16 vector registers. The tuples stand for their length.
LARGEST = (0,) * (8 if VECTOR_BITS == 256 else 16)
EIGHT, FOUR, ONE = (0,) * 8, (0,) * 4, (0,)


def splat_block(block, numbers, first):
    """A tuple of values: ``numbers[first + i]`` in every lane, i < len(block)."""
    return tuple(numbers[first + i] for i in range(len(block)))


@compiled_as(splat_block)
def _splat_block(typingctx, block, numbers, first):
    vector = Vector(numbers.dtype)
    result = types.UniTuple(vector, block.count)

    def codegen(context, builder, sig, args):
        first = as_intp(context, builder, args[2], sig.args[2])
        base = first_element(context, builder, sig.args[1], args[1])
        values = []
        for i in range(block.count):
            pointer = builder.gep(base, [builder.add(first, integer(i))])
            values.append(splat(builder, builder.load(pointer), vector.count))
        return context.make_tuple(builder, result, values)

    return result(block, numbers, first), codegen


def load_block(block, rows, t, first):
    """The tuple of rows `first` to ``first + len(block) - 1`` of step `t`."""
    return tuple(rows[t, first + i].copy() for i in range(len(block)))


@compiled_as(load_block)
def _load_block(typingctx, block, rows, t, first):
    result = types.UniTuple(Vector(rows.dtype), block.count)

    def codegen(context, builder, sig, args):
        source = RowPointers(context, builder, sig.args[1], args[1])
        t, first = (as_intp(context, builder, args[i], sig.args[i]) for i in (2, 3))
        start = source.index(t, first)
        values = [
            source.load(builder.add(start, integer(i))) for i in range(block.count)
        ]
        return context.make_tuple(builder, result, values)

    return result(block, rows, t, first), codegen


def store_block(rows, t, first, values):
    """Store a tuple of values as the rows from `first` of step `t`."""
    for i, value in enumerate(values):
        rows[t, first + i] = value


@compiled_as(store_block)
def _store_block(typingctx, rows, t, first, values):
    def codegen(context, builder, sig, args):
        target = RowPointers(context, builder, sig.args[0], args[0])
        t, first = (as_intp(context, builder, args[i], sig.args[i]) for i in (1, 2))
        start = target.index(t, first)
        for i, value in enumerate(cgutils.unpack_tuple(builder, args[3])):
            target.store(builder.add(start, integer(i)), value)
        return context.get_dummy_value()

    return types.void(rows, t, first, values), codegen


# Terms ahead of which weights are fetched: where they come from the second-level
# cache, the sixteen loads of a line would otherwise all wait for it.
PREFETCH_TERMS = 16


def _prefetch(builder, base, offset):
    address = builder.bitcast(builder.gep(base, [offset]), ir.IntType(8).as_pointer())
    i32 = ir.IntType(32)
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VoidType(), [address.type, i32, i32, i32]),
        "llvm.prefetch.p0i8",
    )
    for_reading, keep_in_all_caches, data = i32(0), i32(3), i32(1)
    builder.call(function, [address, for_reading, keep_in_all_caches, data])


def multiply_add(sums, packed, start, rows, t, first, n_terms):
    """``sums[i] + sum_j packed[start + j n + i] rows[t, first + j]``, j < n_terms.

    `sums` is a tuple of n values and `packed` a flat array of weights, laid out for
    this block so that they are read one after the other.
    """
    weights = packed[start : start + n_terms * len(sums)].reshape(n_terms, len(sums))
    products = weights.T @ rows[t, first : first + n_terms]
    return tuple(total + product for total, product in zip(sums, products, strict=True))


@compiled_as(multiply_add)
def _multiply_add_block(typingctx, sums, packed, start, rows, t, first, n_terms):
    vector, n = Vector(rows.dtype), len(sums)

    def codegen(context, builder, sig, args):
        start, t, first, n_terms = (
            as_intp(context, builder, args[i], sig.args[i]) for i in (2, 4, 5, 6)
        )
        weights = first_element(context, builder, sig.args[1], args[1])
        source = RowPointers(context, builder, sig.args[3], args[3])
        row = source.index(t, first)
        initial = cgutils.unpack_tuple(builder, args[0])

        entry = builder.block
        loop = builder.append_basic_block("terms")
        done = builder.append_basic_block("terms.done")
        some = builder.icmp_signed(">", n_terms, integer(0))
        builder.cbranch(some, loop, done)

        builder.position_at_end(loop)
        j = builder.phi(ir.IntType(64))
        j.add_incoming(integer(0), entry)
        running = [builder.phi(value.type) for value in initial]
        value = source.load(builder.add(row, j))
        offset = builder.add(start, builder.mul(j, integer(n)))
        _prefetch(builder, weights, builder.add(offset, integer(PREFETCH_TERMS * n)))
        updated = []
        for i in range(n):
            running[i].add_incoming(initial[i], entry)
            pointer = builder.gep(weights, [builder.add(offset, integer(i))])
            weight = splat(builder, builder.load(pointer), vector.count)
            updated.append(emit_multiply_add(builder, weight, value, running[i]))
            running[i].add_incoming(updated[i], loop)
        following = builder.add(j, integer(1))
        j.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, n_terms), loop, done)

        builder.position_at_end(done)
        results = [builder.phi(value.type) for _ in range(n)]
        for i in range(n):
            results[i].add_incoming(initial[i], entry)
            results[i].add_incoming(updated[i], loop)
        return context.make_tuple(builder, sig.return_type, results)

    return sums(sums, packed, start, rows, t, first, n_terms), codegen


def add_outer_sums(target, i, j, x_block, x, x_t, x_k, z_block, z, z_t, z_k, n_steps):
    """Add a block of outer products, summed over steps and lanes, to `target`.

    To ``target[i + a, j + b]`` goes the sum over t < n_steps, and over the lanes, of
    ``x[x_t + t, x_k + a] z[z_t + t, z_k + b]``, for a < len(x_block) and
    b < len(z_block). `n_steps` must be positive.
    """
    left = x[x_t : x_t + n_steps, x_k : x_k + len(x_block)]
    right = z[z_t : z_t + n_steps, z_k : z_k + len(z_block)]
    target[i : i + len(x_block), j : j + len(z_block)] += np.einsum(
        "tal,tbl->ab", left, right
    )


def _pick(builder, vector, lanes):
    """Some lanes of a vector, as a shorter one."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
    return builder.shuffle_vector(vector, vector, mask)


def _lane_sums(builder, vectors):
    """The sums over the lanes of n vectors of n lanes, in order, as one vector.

    Each round halves the number of vectors: a pair becomes one vector whose segments
    hold, in their lower and upper half, the half-added segments of the two.
    """
    count = vectors[0].type.count
    integers = ir.VectorType(ir.IntType(32), count)

    def pick(x, y, lanes):
        return builder.shuffle_vector(x, y, ir.Constant(integers, lanes))

    segment = count
    while len(vectors) > 1:
        half = segment // 2
        lower = [
            source + start + lane
            for start in range(0, count, segment)
            for source in (0, count)
            for lane in range(half)
        ]
        upper = [lane + half for lane in lower]
        pairs = zip(
            vectors[: len(vectors) // 2], vectors[len(vectors) // 2 :], strict=True
        )
        vectors = [
            builder.fadd(pick(x, y, lower), pick(x, y, upper), flags=FLAGS)
            for x, y in pairs
        ]
        segment = half
    return vectors[0]


@compiled_as(add_outer_sums)
def _add_outer_sums(
    typingctx, target, i, j, x_block, x, x_t, x_k, z_block, z, z_t, z_k, n_steps
):
    vector = Vector(x.dtype)
    n_x, n_z = x_block.count, z_block.count

    def codegen(context, builder, sig, args):
        i, j, x_t, x_k, z_t, z_k, n_steps = (
            as_intp(context, builder, args[p], sig.args[p])
            for p in (1, 2, 5, 6, 9, 10, 11)
        )
        left = RowPointers(context, builder, sig.args[4], args[4])
        right = RowPointers(context, builder, sig.args[8], args[8])
        x_index, z_index = left.index(x_t, x_k), right.index(z_t, z_k)
        zero = ir.Constant(context.get_value_type(vector), [0.0] * vector.count)

        entry = builder.block
        loop = builder.append_basic_block("steps")
        done = builder.append_basic_block("steps.done")
        builder.branch(loop)

        builder.position_at_end(loop)
        t, x_row, z_row = (builder.phi(ir.IntType(64)) for _ in range(3))
        t.add_incoming(integer(0), entry)
        x_row.add_incoming(x_index, entry)
        z_row.add_incoming(z_index, entry)
        sums = [builder.phi(zero.type) for _ in range(n_x * n_z)]
        z_values = [right.load(builder.add(z_row, integer(b))) for b in range(n_z)]
        updated = []
        for a in range(n_x):
            x_value = left.load(builder.add(x_row, integer(a)))
            for b in range(n_z):
                phi = sums[a * n_z + b]
                phi.add_incoming(zero, entry)
                updated.append(emit_multiply_add(builder, x_value, z_values[b], phi))
        for phi, new in zip(sums, updated, strict=True):
            phi.add_incoming(new, loop)
        following = builder.add(t, integer(1))
        t.add_incoming(following, loop)
        x_row.add_incoming(builder.add(x_row, left.n_rows), loop)
        z_row.add_incoming(builder.add(z_row, right.n_rows), loop)
        builder.cbranch(builder.icmp_signed("<", following, n_steps), loop, done)

        builder.position_at_end(done)
        n = vector.count
        padded = updated + [zero] * (-len(updated) % n)
        totals = [
            _lane_sums(builder, padded[p : p + n]) for p in range(0, len(padded), n)
        ]
        base = first_element(context, builder, sig.args[0], args[0])
        struct = context.make_array(sig.args[0])(context, builder, args[0])
        n_columns = builder.extract_value(struct.shape, 1)
        # all loads before all stores: rows of the target may lie a multiple of 4096
        # bytes apart, and a load would wait for an earlier store to a like address
        updates = []
        for a in range(n_x):
            start = builder.add(builder.mul(builder.add(i, integer(a)), n_columns), j)
            for b in range(0, n_z, n):  # of a row the sums that lie in one vector
                place = a * n_z + b
                lanes = [(place + lane) % n for lane in range(min(n, n_z))]
                sums_of_row = _pick(builder, totals[place // n], lanes)
                pointer = builder.bitcast(
                    builder.gep(base, [builder.add(start, integer(b))]),
                    ir.PointerType(sums_of_row.type),
                )
                old = builder.load(pointer, align=left.align)
                updates.append((builder.fadd(old, sums_of_row), pointer))
        for new, pointer in updates:
            builder.store(new, pointer, align=left.align)
        return context.get_dummy_value()

    return types.void(
        target, i, j, x_block, x, x_t, x_k, z_block, z, z_t, z_k, n_steps
    ), codegen
