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
    lane_count,
    splat,
    value_rows,
    vector_of,
)

# Rows of a product computed at once: accumulators that fit beside the operands in 32
# (AVX-512, NEON) or 16 vector registers. The tuples stand for their length.
LARGEST = 8 if VECTOR_BITS == 256 else 16
EIGHT, FOUR, ONE = (0,) * 8, (0,) * 4, (0,)
# Rows of a gradient computed at once, each of two registers.
PANEL_BLOCK = (0,) * (6 if VECTOR_BITS == 256 else 12)


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

    Where a lane is a sequence, `bias` is a flat array of a number for each row of the
    buffer `rows`, else another buffer of one step.
    """
    values = value_rows(bias)[0] if bias.ndim == 2 else bias
    shape = value_rows(rows).shape[2:]
    return tuple(
        np.broadcast_to(values[first + i], shape).astype(rows.dtype)
        for i in range(len(block))
    )


@compiled_as(start_block)
def _start_block(typingctx, block, bias, first, rows):
    vector = vector_of(rows)
    result = types.UniTuple(vector, block.count)

    def splats(context, builder, sig, args):
        first = as_intp(context, builder, args[2], sig.args[2])
        base = first_element(context, builder, sig.args[1], args[1])
        values = []
        for i in range(block.count):
            pointer = builder.gep(base, [builder.add(first, integer(i))])
            values.append(splat(builder, builder.load(pointer), vector.count))
        return context.make_tuple(builder, result, values)

    def loads(context, builder, sig, args):
        first = as_intp(context, builder, args[2], sig.args[2])
        source = RowPointers(context, builder, sig.args[1], args[1])
        places = [builder.add(first, integer(i)) for i in range(block.count)]
        return context.make_tuple(builder, result, [source.load(p) for p in places])

    return result(block, bias, first, rows), splats if bias.ndim == 1 else loads


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
    """Add to ``sums[i]`` the sum of ``w[j, i] rows[t, first + j]`` over j < n_terms.

    `sums` is a tuple of n values, and `w` lies in the flat array `packed`, in the order
    in which it is read: w[j, i] is ``packed[start + j n + i]``. Where a lane is a unit,
    each of the L units in a row is a term of its own, each weight a value of L numbers,
    and `start` is counted in blocks of L times L of them.
    """
    terms = value_rows(rows)[t, first : first + n_terms]
    n = len(sums)
    if rows.ndim == 2:
        lanes = lane_count(rows.dtype)
        size = n_terms * n * lanes**2
        weights = packed[start * lanes**2 :][:size].reshape(n_terms * lanes, n, lanes)
        products = np.einsum("jil,j->il", weights, terms.ravel())
    else:
        weights = packed[start : start + n_terms * n].reshape(n_terms, n)
        products = np.tensordot(weights.T, terms, axes=1)
    return tuple(total + product for total, product in zip(sums, products, strict=True))


@compiled_as(multiply_add)
def _multiply_add_block(typingctx, sums, packed, start, rows, t, first, n_terms):
    vector, n = vector_of(rows), len(sums)
    units_are_lanes = rows.ndim == 2

    def codegen(context, builder, sig, args):
        start, t, first, n_terms = (
            as_intp(context, builder, args[i], sig.args[i]) for i in (2, 4, 5, 6)
        )
        weights = first_element(context, builder, sig.args[1], args[1])
        source = RowPointers(context, builder, sig.args[3], args[3])
        row = source.index(t, first)
        initial = cgutils.unpack_tuple(builder, args[0])
        term_size = 1  # numbers of a weight
        if units_are_lanes:
            term_size = vector.count
            lanes = integer(vector.count)
            start = builder.mul(start, builder.mul(lanes, lanes))
            row, n_terms = builder.mul(row, lanes), builder.mul(n_terms, lanes)
        scalars = first_element(context, builder, sig.args[3], args[3])

        def load_term(j):
            place = builder.add(row, j)
            if not units_are_lanes:
                return source.load(place)
            scalar = builder.load(builder.gep(scalars, [place]))
            return splat(builder, scalar, vector.count)

        def load_weight(place):
            pointer = builder.gep(weights, [place])
            if not units_are_lanes:
                return splat(builder, builder.load(pointer), vector.count)
            pointer = builder.bitcast(pointer, ir.PointerType(initial[0].type))
            return builder.load(pointer, align=source.align)

        entry = builder.block
        loop = builder.append_basic_block("terms")
        done = builder.append_basic_block("terms.done")
        some = builder.icmp_signed(">", n_terms, integer(0))
        builder.cbranch(some, loop, done)

        builder.position_at_end(loop)
        j = builder.phi(ir.IntType(64))
        j.add_incoming(integer(0), entry)
        running = [builder.phi(value.type) for value in initial]
        value = load_term(j)
        offset = builder.add(start, builder.mul(j, integer(n * term_size)))
        if not units_are_lanes:
            ahead = builder.add(offset, integer(PREFETCH_TERMS * n))
            _prefetch(builder, weights, ahead)
        updated = []
        for i in range(n):
            running[i].add_incoming(initial[i], entry)
            weight = load_weight(builder.add(offset, integer(i * term_size)))
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


def transpose_tile(panel, k, column, z, t, first, lane):
    """Store a square of step `t` of z with its axes swapped.

    ``panel[k + i, column + c] = z[t, first + c, lane + i]`` for i, c below the number
    of lanes of a register. Beyond the last row of z that row is taken again.
    """
    n = lane_count(z.dtype)
    rows = np.minimum(first + np.arange(n), z.shape[1] - 1)
    square = z[t, rows].reshape(n, -1)[:, lane : lane + n]
    panel[k : k + n, column : column + n] = square.T


def _transposed(builder, vectors):
    """Emit the transpose of n vectors of n lanes."""
    n = len(vectors)
    integers = ir.VectorType(ir.IntType(32), n)
    half = n // 2
    while half:
        # swap the upper right and the lower left quarter of each square of 2 half
        low = [i if i & half == 0 else n + i - half for i in range(n)]
        high = [i + half if i & half == 0 else n + i for i in range(n)]
        swapped = list(vectors)
        for i in range(n):
            if i & half == 0:
                pair = vectors[i], vectors[i + half]
                for place, lanes in ((i, low), (i + half, high)):
                    mask = ir.Constant(integers, lanes)
                    swapped[place] = builder.shuffle_vector(*pair, mask)
        vectors = swapped
        half //= 2
    return vectors


@compiled_as(transpose_tile)
def _transpose_tile(typingctx, panel, k, column, z, t, first, lane):
    vector = Vector(z.dtype)

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
        for c in range(vector.count):
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

    To ``target[i + a, column + c]`` goes the sum of ``x[t + s, first + a, lane]
    panel[s n_lanes + lane, c]`` over s < n_steps and lane < n_lanes, for a < len(block)
    and all columns c of the panel, which fill two registers; what would lie beside the
    columns of the target is left out. Both numbers must be positive.
    """
    n, n_columns = len(block), panel.shape[1]
    left = x[t : t + n_steps, first : first + n].reshape(n_steps, n, -1)
    left = left[:, :, :n_lanes]
    right = panel[: n_steps * n_lanes].reshape(n_steps, n_lanes, n_columns)
    sums = np.einsum("sal,slc->ac", left, right)
    columns = np.arange(column, column + n_columns)
    inside = (columns >= 0) & (columns < target.shape[1])
    target[i : i + n, columns[inside]] += sums[:, inside]


@compiled_as(add_products)
def _add_products(
    typingctx, target, i, column, block, x, t, first, panel, n_steps, n_lanes
):
    vector, n = Vector(x.dtype), block.count
    n_vectors = 2  # of a row of the panel

    def codegen(context, builder, sig, args):
        i, column, t, first, n_steps, n_lanes = (
            as_intp(context, builder, args[p], sig.args[p]) for p in (1, 2, 5, 6, 8, 9)
        )
        left = ElementPointers(context, builder, sig.args[4], args[4])
        right = ElementPointers(context, builder, sig.args[7], args[7])
        row_size = integer(vector_of(x).count)
        step_size = builder.mul(left.shape[1], row_size)
        x_start = builder.mul(
            builder.add(builder.mul(t, left.shape[1]), first), row_size
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
        x_place = builder.add(x_step, lane)
        for a in range(n):
            offset = integer(a * vector_of(x).count)
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


class ElementPointers:
    """Pointers to the elements of a C-contiguous array, and to vectors of them."""

    def __init__(self, context, builder, array_type, array):
        self.builder = builder
        self.align = array_type.dtype.bitwidth // 8
        struct = context.make_array(array_type)(context, builder, array)
        self.base = struct.data
        self.shape = cgutils.unpack_tuple(builder, struct.shape)
        self.vector = context.get_value_type(Vector(array_type.dtype))

    def load(self, place):
        """Load an element."""
        return self.builder.load(self.builder.gep(self.base, [place], inbounds=True))

    def load_vector(self, place):
        """Load the vector that begins with an element."""
        return self.builder.load(self._pointer(place), align=self.align)

    def store_vector(self, place, value):
        """Store a vector from an element on."""
        self.builder.store(value, self._pointer(place), align=self.align)

    def masked_load(self, place, mask):
        """Load some lanes of a vector, zeros elsewhere."""
        zero = ir.Constant(self.vector, [0.0] * self.vector.count)
        return self._masked("load", self.vector, self._pointer(place), mask, zero)

    def masked_store(self, place, value, mask):
        """Store some lanes of a vector."""
        self._masked("store", ir.VoidType(), self._pointer(place), mask, value)

    def _pointer(self, place):
        element = self.builder.gep(self.base, [place])
        return self.builder.bitcast(element, ir.PointerType(self.vector))

    def _masked(self, action, result, pointer, mask, value):
        i32 = ir.IntType(32)
        count, width = self.vector.count, 8 * self.align
        before = [value.type] if action == "store" else []
        after = [value.type] if action == "load" else []
        kinds = [*before, pointer.type, i32, mask.type, *after]
        function = cgutils.get_or_insert_function(
            self.builder.module,
            ir.FunctionType(result, kinds),
            f"llvm.masked.{action}.v{count}f{width}.p0v{count}f{width}",
        )
        values = [pointer, i32(self.align), mask]
        values = [value, *values] if action == "store" else [*values, value]
        return self.builder.call(function, values)
