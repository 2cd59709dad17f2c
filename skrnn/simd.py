"""SIMD values for numba: one value holds a number for each lane of a vector register.

A lane is a sequence of the batch. Buffers are C-contiguous arrays of shape (time,
rows, lanes), where ``lanes`` is what `lane_count` says, so that ``get(buffer, t, k)``
is row k of step t of every sequence at once; values add, subtract and multiply with
each other and with plain numbers. Three products complete the set: `multiply_add`
(a block of rows of ``W @ x``), `outer_sums` (a block of ``sum_t z_t x_t'``) and what
loads and stores their blocks. The accumulators of a block are a tuple of values, held
in registers through the whole product: no plain loop gets LLVM to do that, because it
checks whether arrays overlap on every entry of an inner loop.

Each function's Python body is its definition on NumPy arrays of shape (lanes,); it
runs where the JIT is off and is the oracle of the compiled version beside it.
"""

import operator

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import (
    AbstractTemplate,
    infer,
    infer_global,
    make_intrinsic_template,
    signature,
)
from numba.extending import lower_builtin, models, register_model


def _vector_bits():
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 512
    return 256 if features.get("avx2") else 128


VECTOR_BITS = _vector_bits()

# Rows of a product computed at once: accumulators that fit beside the operands in 32
# (AVX-512, NEON) or 16 vector registers. The tuples stand for their length.
LARGEST = (0,) * (8 if VECTOR_BITS == 256 else 16)
EIGHT, FOUR, ONE = (0,) * 8, (0,) * 4, (0,)


def lane_count(dtype):
    """Return the number of lanes of a SIMD value of this dtype."""
    return VECTOR_BITS // (8 * np.dtype(dtype).itemsize)


class Vector(types.Type):
    """The type of a SIMD value."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.count = VECTOR_BITS // dtype.bitwidth
        super().__init__(name=f"Vector({dtype}, {self.count})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        element = manager.lookup(fe_type.dtype).get_value_type()
        super().__init__(manager, fe_type, ir.VectorType(element, fe_type.count))


def compiled_as(definition):
    """Let jitted code that calls `definition` use the decorated intrinsic instead.

    As ``numba.extending.intrinsic``, but under the name of the Python function that
    defines it, and without a wrapper to compile.
    """

    def register(typer):
        template = make_intrinsic_template(definition, typer, definition.__name__)
        infer(template)
        infer_global(definition, types.Function(template))
        return typer

    return register


# --- LLVM building blocks -------------------------------------------------------------


def _splat(builder, scalar, count):
    vector = ir.VectorType(scalar.type, count)
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), count), [0] * count)
    return builder.shuffle_vector(first, undefined, zeros)


def _as_vector(context, builder, value, from_type, vector):
    if isinstance(from_type, Vector):
        return value
    scalar = context.cast(builder, value, from_type, vector.dtype)
    return _splat(builder, scalar, vector.count)


def _llvm_call(builder, name, *args):
    """Call the LLVM intrinsic `name`, overloaded on the type of its arguments."""
    vector = args[0].type
    width = 32 if isinstance(vector.element, ir.FloatType) else 64
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(vector, [vector] * len(args)),
        f"llvm.{name}.v{vector.count}f{width}",
    )
    return builder.call(function, args)


def _multiply_add(builder, a, b, c):
    # fmuladd, not fma: the latter is a library call on hosts without the instruction
    return _llvm_call(builder, "fmuladd", a, b, c)


def _intp(context, builder, value, from_type):
    return context.cast(builder, value, from_type, types.intp)


def _constant(value):
    return ir.Constant(ir.IntType(64), value)


class _Rows:
    """Pointers into an array of shape (time, rows, lanes), seen as vectors."""

    def __init__(self, context, builder, array_type, array):
        self.builder = builder
        self.vector = Vector(array_type.dtype)
        self.align = array_type.dtype.bitwidth // 8
        struct = context.make_array(array_type)(context, builder, array)
        pointer = ir.PointerType(context.get_value_type(self.vector))
        self.base = builder.bitcast(struct.data, pointer)
        self.n_rows = builder.extract_value(struct.shape, 1)

    def index(self, t, k):
        return self.builder.add(self.builder.mul(t, self.n_rows), k)

    def load(self, index):
        pointer = self.builder.gep(self.base, [index], inbounds=True)
        return self.builder.load(pointer, align=self.align)

    def store(self, index, value):
        pointer = self.builder.gep(self.base, [index], inbounds=True)
        self.builder.store(value, pointer, align=self.align)


def _scalars(context, builder, array_type, array):
    """Pointer to the first element of a contiguous array."""
    return context.make_array(array_type)(context, builder, array).data


# --- values ---------------------------------------------------------------------------


def get(rows, t, k):
    """Row `k` of step `t`: one number for each lane."""
    return rows[t, k].copy()


@compiled_as(get)
def _get(typingctx, rows, t, k):
    def codegen(context, builder, sig, args):
        source = _Rows(context, builder, sig.args[0], args[0])
        t, k = (_intp(context, builder, args[i], sig.args[i]) for i in (1, 2))
        return source.load(source.index(t, k))

    return Vector(rows.dtype)(rows, t, k), codegen


def put(rows, t, k, value):
    """Store `value` as row `k` of step `t`."""
    rows[t, k] = value


@compiled_as(put)
def _put(typingctx, rows, t, k, value):
    def codegen(context, builder, sig, args):
        target = _Rows(context, builder, sig.args[0], args[0])
        t, k = (_intp(context, builder, args[i], sig.args[i]) for i in (1, 2))
        value = _as_vector(context, builder, args[3], sig.args[3], target.vector)
        target.store(target.index(t, k), value)
        return context.get_dummy_value()

    return types.void(rows, t, k, value), codegen


def total(value):
    """Sum over the lanes."""
    return value.sum()


@compiled_as(total)
def _total(typingctx, value):
    def codegen(context, builder, sig, args):
        vector = args[0].type
        width = 32 if isinstance(vector.element, ir.FloatType) else 64
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(vector.element, [vector.element, vector]),
            f"llvm.vector.reduce.fadd.v{vector.count}f{width}",
        )
        zero = ir.Constant(vector.element, 0.0)
        return builder.call(function, [zero, args[0]], fastmath=("reassoc", "nsz"))

    return value.dtype(value), codegen


def minimum(a, b):
    """Lane by lane the smaller of `a` and `b`; a NaN in `a` stays."""
    return np.where(a > b, b, a).astype(a.dtype)


def maximum(a, b):
    """Lane by lane the larger of `a` and `b`; a NaN in `a` stays."""
    return np.where(a < b, b, a).astype(a.dtype)


def where_positive(condition, a, b):
    """`a` in the lanes where `condition` > 0, else `b`."""
    return np.where(condition > 0, a, b).astype(condition.dtype)


def _choice(predicate, order):
    """Emit a choice between two values by comparing two others.

    `order` picks, from the arguments and a zero after them, the two that are compared
    and the two that are chosen from.
    """

    def codegen(context, builder, sig, args):
        vector = sig.return_type
        values = [
            _as_vector(context, builder, arg, arg_type, vector)
            for arg, arg_type in zip(args, sig.args, strict=True)
        ]
        values.append(ir.Constant(values[0].type, [0.0] * vector.count))
        left, right, a, b = (values[i] for i in order)
        return builder.select(builder.fcmp_ordered(predicate, left, right), a, b)

    return codegen


@compiled_as(minimum)
def _minimum(typingctx, a, b):
    return a(a, b), _choice(">", (0, 1, 1, 0))


@compiled_as(maximum)
def _maximum(typingctx, a, b):
    return a(a, b), _choice("<", (0, 1, 1, 0))


@compiled_as(where_positive)
def _where_positive(typingctx, condition, a, b):
    return condition(condition, a, b), _choice(">", (0, 3, 1, 2))


def round_to_integer(value):
    """The nearest integer, as a floating-point number."""
    return np.rint(value)


@compiled_as(round_to_integer)
def _round_to_integer(typingctx, value):
    def codegen(context, builder, sig, args):
        return _llvm_call(builder, "nearbyint", args[0])

    return value(value), codegen


def power_of_two(exponent):
    """2 to the power of an integer-valued number within the dtype's normal range."""
    return np.ldexp(np.ones_like(exponent), exponent.astype(np.int64))


@compiled_as(power_of_two)
def _power_of_two(typingctx, exponent):
    single = exponent.dtype == types.float32

    def codegen(context, builder, sig, args):
        bits = ir.VectorType(ir.IntType(32 if single else 64), exponent.count)
        bias, mantissa = (127, 23) if single else (1023, 52)
        constants = [ir.Constant(bits, [c] * exponent.count) for c in (bias, mantissa)]
        integer = builder.fptosi(args[0], bits)
        shifted = builder.shl(builder.add(integer, constants[0]), constants[1])
        return builder.bitcast(shifted, args[0].type)

    return exponent(exponent), codegen


# --- arithmetic: v + v, v + 1.0, 1.0 + v, and so on -----------------------------------


def _register(operation, emit):
    @infer_global(operation)
    class _Template(AbstractTemplate):
        def generic(self, args, kws):
            vectors = [a for a in args if isinstance(a, Vector)]
            if vectors and all(isinstance(a, Vector | types.Number) for a in args):
                return signature(vectors[0], *args)

    def lower(context, builder, sig, args):
        vector = sig.return_type
        return emit(
            builder,
            *(
                _as_vector(context, builder, arg, arg_type, vector)
                for arg, arg_type in zip(args, sig.args, strict=True)
            ),
        )

    for left, right in (
        (Vector, Vector),
        (Vector, types.Number),
        (types.Number, Vector),
    ):
        lower_builtin(operation, left, right)(lower)


_FLAGS = ("contract", "nsz")  # a product and a sum become one instruction
_register(operator.add, lambda b, x, y: b.fadd(x, y, flags=_FLAGS))
_register(operator.sub, lambda b, x, y: b.fsub(x, y, flags=_FLAGS))
_register(operator.mul, lambda b, x, y: b.fmul(x, y, flags=_FLAGS))
# "arcp" lets float32 use the reciprocal estimate and a Newton step (1 ulp)
_register(operator.truediv, lambda b, x, y: b.fdiv(x, y, flags=("arcp", *_FLAGS)))


# --- products -------------------------------------------------------------------------


def splat_block(block, numbers, first):
    """A tuple of values: ``numbers[first + i]`` in every lane, i < len(block)."""
    return tuple(numbers[first + i] for i in range(len(block)))


@compiled_as(splat_block)
def _splat_block(typingctx, block, numbers, first):
    vector = Vector(numbers.dtype)
    result = types.UniTuple(vector, block.count)

    def codegen(context, builder, sig, args):
        first = _intp(context, builder, args[2], sig.args[2])
        base = _scalars(context, builder, sig.args[1], args[1])
        values = []
        for i in range(block.count):
            pointer = builder.gep(base, [builder.add(first, _constant(i))])
            values.append(_splat(builder, builder.load(pointer), vector.count))
        return context.make_tuple(builder, result, values)

    return result(block, numbers, first), codegen


def load_block(block, rows, t, first):
    """The tuple of rows `first` to ``first + len(block) - 1`` of step `t`."""
    return tuple(rows[t, first + i].copy() for i in range(len(block)))


@compiled_as(load_block)
def _load_block(typingctx, block, rows, t, first):
    result = types.UniTuple(Vector(rows.dtype), block.count)

    def codegen(context, builder, sig, args):
        source = _Rows(context, builder, sig.args[1], args[1])
        t, first = (_intp(context, builder, args[i], sig.args[i]) for i in (2, 3))
        start = source.index(t, first)
        values = [
            source.load(builder.add(start, _constant(i))) for i in range(block.count)
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
        target = _Rows(context, builder, sig.args[0], args[0])
        t, first = (_intp(context, builder, args[i], sig.args[i]) for i in (1, 2))
        start = target.index(t, first)
        for i, value in enumerate(cgutils.unpack_tuple(builder, args[3])):
            target.store(builder.add(start, _constant(i)), value)
        return context.get_dummy_value()

    return types.void(rows, t, first, values), codegen


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
            _intp(context, builder, args[i], sig.args[i]) for i in (2, 4, 5, 6)
        )
        weights = _scalars(context, builder, sig.args[1], args[1])
        source = _Rows(context, builder, sig.args[3], args[3])
        row = source.index(t, first)
        initial = cgutils.unpack_tuple(builder, args[0])

        entry = builder.block
        loop = builder.append_basic_block("terms")
        done = builder.append_basic_block("terms.done")
        some = builder.icmp_signed(">", n_terms, _constant(0))
        builder.cbranch(some, loop, done)

        builder.position_at_end(loop)
        j = builder.phi(ir.IntType(64))
        j.add_incoming(_constant(0), entry)
        running = [builder.phi(value.type) for value in initial]
        value = source.load(builder.add(row, j))
        offset = builder.add(start, builder.mul(j, _constant(n)))
        updated = []
        for i in range(n):
            running[i].add_incoming(initial[i], entry)
            pointer = builder.gep(weights, [builder.add(offset, _constant(i))])
            weight = _splat(builder, builder.load(pointer), vector.count)
            updated.append(_multiply_add(builder, weight, value, running[i]))
            running[i].add_incoming(updated[i], loop)
        following = builder.add(j, _constant(1))
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
    """Add ``sum_t x[x_t + t, x_k + a] . z[z_t + t, z_k + b]`` to ``target[i + a, j + b]``.

    The dot product runs over the lanes; a < len(x_block), b < len(z_block) and
    t < n_steps. `target` is a two-dimensional array.
    """
    left = x[x_t : x_t + n_steps, x_k : x_k + len(x_block)]
    right = z[z_t : z_t + n_steps, z_k : z_k + len(z_block)]
    target[i : i + len(x_block), j : j + len(z_block)] += np.einsum(
        "tal,tbl->ab", left, right
    )


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
            builder.fadd(pick(x, y, lower), pick(x, y, upper), flags=_FLAGS)
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
            _intp(context, builder, args[p], sig.args[p])
            for p in (1, 2, 5, 6, 9, 10, 11)
        )
        left = _Rows(context, builder, sig.args[4], args[4])
        right = _Rows(context, builder, sig.args[8], args[8])
        x_index, z_index = left.index(x_t, x_k), right.index(z_t, z_k)
        zero = ir.Constant(context.get_value_type(vector), [0.0] * vector.count)

        entry = builder.block
        loop = builder.append_basic_block("steps")
        done = builder.append_basic_block("steps.done")
        builder.branch(loop)

        builder.position_at_end(loop)
        t, x_row, z_row = (builder.phi(ir.IntType(64)) for _ in range(3))
        t.add_incoming(_constant(0), entry)
        x_row.add_incoming(x_index, entry)
        z_row.add_incoming(z_index, entry)
        sums = [builder.phi(zero.type) for _ in range(n_x * n_z)]
        z_values = [right.load(builder.add(z_row, _constant(b))) for b in range(n_z)]
        updated = []
        for a in range(n_x):
            x_value = left.load(builder.add(x_row, _constant(a)))
            for b in range(n_z):
                phi = sums[a * n_z + b]
                phi.add_incoming(zero, entry)
                updated.append(_multiply_add(builder, x_value, z_values[b], phi))
        for phi, new in zip(sums, updated, strict=True):
            phi.add_incoming(new, loop)
        following = builder.add(t, _constant(1))
        t.add_incoming(following, loop)
        x_row.add_incoming(builder.add(x_row, left.n_rows), loop)
        z_row.add_incoming(builder.add(z_row, right.n_rows), loop)
        builder.cbranch(builder.icmp_signed("<", following, n_steps), loop, done)

        builder.position_at_end(done)
        n = vector.count
        padded = updated + [zero] * (-len(updated) % n)
        totals = [_lane_sums(builder, padded[p : p + n]) for p in range(0, len(padded), n)]
        base = _scalars(context, builder, sig.args[0], args[0])
        struct = context.make_array(sig.args[0])(context, builder, args[0])
        n_columns = builder.extract_value(struct.shape, 1)
        for a in range(n_x):
            start = builder.add(builder.mul(builder.add(i, _constant(a)), n_columns), j)
            for b in range(n_z):
                p = a * n_z + b
                lane = ir.Constant(ir.IntType(32), p % n)
                value = builder.extract_element(totals[p // n], lane)
                pointer = builder.gep(base, [builder.add(start, _constant(b))])
                builder.store(builder.fadd(builder.load(pointer), value), pointer)
        return context.get_dummy_value()

    return types.void(
        target, i, j, x_block, x, x_t, x_k, z_block, z, z_t, z_k, n_steps
    ), codegen
