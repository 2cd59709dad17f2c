"""Blocks of SIMD values, and the product that runs over them.

The accumulators of a block are a tuple of values, held in registers through the whole
product: no plain loop gets LLVM to do that, because between rows of one array it
checks for overlap on every entry of an inner loop. As in `simd`, the Python bodies
define what the compiled versions beside them do.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from skrnn.simd import (
    VECTOR_BITS,
    ElementPointers,
    RowPointers,
    as_intp,
    compiled_as,
    emit_multiply_add,
    integer,
    pick,
    splat,
    units_of_row,
    value_rows,
    vector_of,
)

# Rows of a product computed at once: accumulators that fit beside the operands in 32
# (AVX-512, NEON) or 16 vector registers. The tuples stand for their length.
LARGEST = 8 if VECTOR_BITS == 256 else 16
EIGHT, FOUR, ONE = (0,) * 8, (0,) * 4, (0,)


def largest_block(rows):
    """The block of most values that fit into the registers."""
    return (0,) * (LARGEST // 2 if rows.ndim == 4 else LARGEST)


@compiled_as(largest_block)
def _largest_block(typingctx, rows):
    count = LARGEST // vector_of(rows).n_registers
    block = types.UniTuple(types.literal(0), count)  # of the same type as `EIGHT`

    def codegen(context, builder, sig, args):
        return context.make_tuple(builder, block, [integer(0)] * count)

    return block(rows), codegen


def start_block(block, bias, first, rows):
    """A tuple of values to add products to: the bias of the rows from `first` on.

    `bias` has a number for each unit of the rows of the buffer `rows`.
    """
    shape, units = value_rows(rows).shape[2:], units_of_row(rows)
    of_rows = bias[first * units :][: len(block) * units].reshape(-1, units)
    return tuple(np.resize(values, shape).astype(rows.dtype) for values in of_rows)


@compiled_as(start_block)
def _start_block(typingctx, block, bias, first, rows):
    vector = vector_of(rows)
    result = types.UniTuple(vector, block.count)

    def codegen(context, builder, sig, args):
        first = as_intp(context, builder, args[2], sig.args[2])
        numbers = ElementPointers(context, builder, sig.args[1], args[1])
        values = [
            numbers.load_repeated(builder.add(first, integer(i)), rows)
            for i in range(block.count)
        ]
        return context.make_tuple(builder, result, values)

    return result(block, bias, first, rows), codegen


def load_block(block, rows, t, first):
    """The tuple of rows `first` to ``first + len(block) - 1`` of step `t`."""
    return tuple(value_rows(rows)[t, first + i].copy() for i in range(len(block)))


@compiled_as(load_block)
def _load_block(typingctx, block, rows, t, first):
    result = types.UniTuple(vector_of(rows), block.count)

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
        value_rows(rows)[t, first + i] = value


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
    """Add the product of weights and the rows from `first` on, `n_terms` of them.

    With one unit a row ``sums[i]`` gets the sum of ``w[j, i] rows[t, first + j]``.
    `sums` is a tuple of n values, and `w` lies in the flat array `packed`, in the order
    in which it is read: w[j, i] is ``packed[start + j n + i]``. With u units a row each
    of them is a term of its own, each weight stands for u numbers, and `start` is
    counted in u times u of them.
    """
    n, units = len(sums), units_of_row(rows)
    n_samples, size = sums[0].size // units, n_terms * n * units**2
    weights = packed[start * units**2 :][:size].reshape(n_terms * units, n * units)
    values = value_rows(rows)[t, first : first + n_terms]
    terms = values.reshape(n_terms, n_samples, units).swapaxes(1, 2)
    products = weights.T @ terms.reshape(n_terms * units, n_samples)
    products = products.reshape(n, units, n_samples).swapaxes(1, 2)
    return tuple(
        total + product.reshape(total.shape)
        for total, product in zip(sums, products, strict=True)
    )


@compiled_as(multiply_add)
def _multiply_add_block(typingctx, sums, packed, start, rows, t, first, n_terms):
    vector, n, units = vector_of(rows), len(sums), units_of_row(rows)

    def codegen(context, builder, sig, args):
        start, t, first, n_terms = (
            as_intp(context, builder, args[i], sig.args[i]) for i in (2, 4, 5, 6)
        )
        weights = ElementPointers(context, builder, sig.args[1], args[1])
        terms = _Terms(context, builder, sig.args[3], args[3], t, first, n_terms)
        start = builder.mul(start, integer(units))
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
        for phi, value in zip(running, initial, strict=True):
            phi.add_incoming(value, entry)
        place = builder.add(start, builder.mul(j, integer(n * terms.n_at_once)))
        if units < vector.count:
            ahead = builder.add(place, integer(PREFETCH_TERMS * n))
            _prefetch(builder, weights.base, builder.mul(ahead, integer(units)))
        updated = running
        for value in terms.load(j):
            factors = [
                weights.load_repeated(builder.add(place, integer(i)), rows)
                for i in range(n)
            ]
            updated = [
                emit_multiply_add(builder, factor, value, total)
                for factor, total in zip(factors, updated, strict=True)
            ]
            place = builder.add(place, integer(n))
        for phi, value in zip(running, updated, strict=True):
            phi.add_incoming(value, loop)
        following = builder.add(j, integer(1))
        j.add_incoming(following, loop)
        more = builder.icmp_signed("<", following, terms.n_iterations)
        builder.cbranch(more, loop, done)

        builder.position_at_end(done)
        results = [builder.phi(value.type) for _ in range(n)]
        for i in range(n):
            results[i].add_incoming(initial[i], entry)
            results[i].add_incoming(updated[i], loop)
        return context.make_tuple(builder, sig.return_type, results)

    return sums(sums, packed, start, rows, t, first, n_terms), codegen


class _Terms:
    """What a product runs over: each unit of some rows, in all lanes of its sequence.

    An iteration takes `n_at_once` of them: all units of a row, or of a row of a single
    sequence one.
    """

    def __init__(self, context, builder, rows, array, t, first, n_rows):
        self._builder = builder
        self._source = RowPointers(context, builder, rows, array)
        self._scalars = ElementPointers(context, builder, rows, array)
        self._lanes, self._units = vector_of(rows).count, units_of_row(rows)
        self._row = self._source.index(t, first)
        self.n_at_once, self.n_iterations = self._units, n_rows
        if self._units == self._lanes:
            self.n_at_once = 1
            self.n_iterations = builder.mul(n_rows, integer(self._units))

    def load(self, j):
        """Load the values of the iteration of this number."""
        builder, lanes, units = self._builder, self._lanes, self._units
        if units == lanes:
            first = builder.mul(self._row, integer(lanes))
            return [splat(builder, self._scalars.load(builder.add(first, j)), lanes)]
        row = self._source.load(builder.add(self._row, j))
        if units == 1:
            return [row]
        return [
            pick(builder, row, [i - i % units + unit for i in range(lanes)])
            for unit in range(units)
        ]
