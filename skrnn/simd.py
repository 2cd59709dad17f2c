"""SIMD values for numba: one value holds a number for each lane of a vector register.

Values lie in buffers of steps and rows, C-contiguous arrays whose number of dimensions
says what a lane is, L being what `lane_count` says:

- (time, rows, L): a lane is a sequence, and a value fills one register;
- (time, rows, 2, L): likewise, and a value fills two;
- (time, rows, 1, L / 2, 2): a row holds two units of each of L / 2 sequences;
- (time, rows L): a lane is a unit; a row holds L units of the only sequence.

``get(buffer, t, k)`` is row k of step t; values add, subtract and multiply with each
other and with plain numbers. The products of blocks of values are in `tiles`.

Each function's Python body is its definition on NumPy arrays of one value's shape; it
runs where the JIT is off and is the oracle of the compiled version beside it.
"""

import operator
import os

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
    """Width of the host's vector registers, or a narrower one to test on it."""
    if "SKRNN_VECTOR_BITS" in os.environ:
        return int(os.environ["SKRNN_VECTOR_BITS"])
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 512
    return 256 if features.get("avx2") else 128


VECTOR_BITS = _vector_bits()
REGISTER_BYTES = VECTOR_BITS // 8


def lane_count(dtype):
    """Return the number of lanes of a register of this dtype."""
    return VECTOR_BITS // (8 * np.dtype(dtype).itemsize)


class Vector(types.Type):
    """The type of a SIMD value, which fills one register or two."""

    def __init__(self, dtype, n_registers=1):
        self.dtype = dtype
        self.n_registers = n_registers
        self.count = n_registers * VECTOR_BITS // dtype.bitwidth
        super().__init__(name=f"Vector({dtype}, {self.count})")


def vector_of(rows):
    """Return the type of the values in a buffer of this type."""
    return Vector(rows.dtype, 2 if rows.ndim == 4 else 1)


def units_of_row(rows):
    """Return how many units of a sequence lie side by side in a row of a buffer."""
    dtype = str(rows.dtype)  # of numba's types as well
    return {2: lane_count(dtype), 5: 2}.get(rows.ndim, 1)


def value_rows(rows):
    """Return a buffer with an axis of rows, whatever its lanes are."""
    if rows.ndim == 2:
        return rows.reshape(len(rows), -1, lane_count(rows.dtype))
    return rows


def by_row(rows):
    """Return a buffer as (time, rows, sequences, units of a row), not for `get`."""
    values = value_rows(rows)
    return values.reshape(*values.shape[:2], -1, units_of_row(rows))


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

FLAGS = ("contract", "nsz")  # a product and a sum become one instruction


def splat(builder, scalar, count):
    """Emit a vector with the scalar in every lane."""
    vector = ir.VectorType(scalar.type, count)
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return pick(builder, first, [0] * count)


def pick(builder, vector, lanes):
    """Emit a vector of these lanes of another."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
    return builder.shuffle_vector(vector, vector, mask)


def _as_vector(context, builder, value, from_type, vector):
    if isinstance(from_type, Vector):
        return value
    scalar = context.cast(builder, value, from_type, vector.dtype)
    return splat(builder, scalar, vector.count)


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


def emit_multiply_add(builder, a, b, c):
    """Emit ``a * b + c``."""
    # fmuladd, not fma: the latter is a library call on hosts without the instruction
    return _llvm_call(builder, "fmuladd", a, b, c)


def as_intp(context, builder, value, from_type):
    """Emit a cast to the type of indices."""
    return context.cast(builder, value, from_type, types.intp)


def integer(value):
    """Return a constant of the type of indices."""
    return ir.Constant(ir.IntType(64), value)


class RowPointers:
    """Pointers into a buffer, seen as vectors."""

    def __init__(self, context, builder, array_type, array):
        self.builder = builder
        self.vector = vector_of(array_type)
        self.align = array_type.dtype.bitwidth // 8
        struct = context.make_array(array_type)(context, builder, array)
        pointer = ir.PointerType(context.get_value_type(self.vector))
        self.base = builder.bitcast(struct.data, pointer)
        self.n_rows = builder.extract_value(struct.shape, 1)
        if array_type.ndim == 2:
            self.n_rows = builder.sdiv(self.n_rows, integer(self.vector.count))

    def index(self, t, k):
        """Number of row k of step t, counted in rows from the start."""
        return self.builder.add(self.builder.mul(t, self.n_rows), k)

    def load(self, index):
        """Load the row of this number."""
        pointer = self.builder.gep(self.base, [index], inbounds=True)
        return self.builder.load(pointer, align=self.align)

    def store(self, index, value):
        """Store a vector as the row of this number."""
        pointer = self.builder.gep(self.base, [index], inbounds=True)
        self.builder.store(value, pointer, align=self.align)


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

    def load_repeated(self, place, rows):
        """Load a number for each unit of a row of `rows`, repeated for each sequence.

        The place is counted in such groups.
        """
        count, units = vector_of(rows).count, units_of_row(rows)
        first = self.builder.mul(place, integer(units))
        if units == 1:
            return splat(self.builder, self.load(first), count)
        numbers = ir.VectorType(self.base.type.pointee, units)
        group = self.builder.load(self._pointer(first, numbers), align=self.align)
        return pick(self.builder, group, [i % units for i in range(count)])

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

    def _pointer(self, place, vector=None):
        element = self.builder.gep(self.base, [place])
        return self.builder.bitcast(element, ir.PointerType(vector or self.vector))

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


# --- values ---------------------------------------------------------------------------


def get(rows, t, k):
    """Row `k` of step `t`: one number for each lane."""
    return value_rows(rows)[t, k].copy()


@compiled_as(get)
def _get(typingctx, rows, t, k):
    def codegen(context, builder, sig, args):
        source = RowPointers(context, builder, sig.args[0], args[0])
        t, k = (as_intp(context, builder, args[i], sig.args[i]) for i in (1, 2))
        return source.load(source.index(t, k))

    return vector_of(rows)(rows, t, k), codegen


def put(rows, t, k, value):
    """Store `value` as row `k` of step `t`."""
    value_rows(rows)[t, k] = value


@compiled_as(put)
def _put(typingctx, rows, t, k, value):
    def codegen(context, builder, sig, args):
        target = RowPointers(context, builder, sig.args[0], args[0])
        t, k = (as_intp(context, builder, args[i], sig.args[i]) for i in (1, 2))
        value = _as_vector(context, builder, args[3], sig.args[3], target.vector)
        target.store(target.index(t, k), value)
        return context.get_dummy_value()

    return types.void(rows, t, k, value), codegen


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


def quotient(a, b):
    """``a / b`` to within two units in the last place, for b of a usual size."""
    return a / b


@compiled_as(quotient)
def _quotient(typingctx, a, b):
    # a division of 512 bits takes as long as thirty multiplications
    estimates = VECTOR_BITS == 512 and a.dtype == types.float32

    def divide(context, builder, sig, args):
        return builder.fdiv(*args, flags=("arcp", *FLAGS))

    def refine(context, builder, sig, args):
        vector, parts = args[1].type, []
        for i in range(b.n_registers):
            part = _register(builder, args[1], i, b)
            parts.append(_reciprocal(builder, part))
        reciprocal = parts[0]
        if len(parts) == 2:
            lanes = list(range(vector.count))
            mask = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), lanes)
            reciprocal = builder.shuffle_vector(*parts, mask)
        return builder.fmul(args[0], reciprocal, flags=FLAGS)

    return a(a, b), refine if estimates else divide


def _register(builder, value, i, vector):
    """Emit the i-th register of a value."""
    n = vector.count // vector.n_registers
    return pick(builder, value, range(i * n, i * n + n))


def _reciprocal(builder, value):
    """Emit 1 / value for 16 floats: an estimate of 14 bits and a Newton step."""
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(value.type, [value.type, value.type, ir.IntType(16)]),
        "llvm.x86.avx512.rcp14.ps.512",
    )
    everywhere = ir.Constant(ir.IntType(16), -1)
    estimate = builder.call(function, [value, value, everywhere])
    one = ir.Constant(value.type, [1.0] * value.type.count)
    minus = builder.fneg(value)
    error = emit_multiply_add(builder, minus, estimate, one)
    return emit_multiply_add(builder, estimate, error, estimate)


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


def exponent(value):
    """The integer k with ``2^k <= value < 2^(k + 1)``, for a positive normal number."""
    return (np.frexp(value)[1] - 1).astype(value.dtype)


@compiled_as(exponent)
def _exponent(typingctx, value):
    single = value.dtype == types.float32

    def codegen(context, builder, sig, args):
        bits = ir.VectorType(ir.IntType(32 if single else 64), value.count)
        bias, mantissa = (127, 23) if single else (1023, 52)
        # the bits of 2^mantissa, to which an integer of so many bits can be added
        base = bias + mantissa << mantissa
        shift, base = (ir.Constant(bits, [c] * value.count) for c in (mantissa, base))
        raised = builder.lshr(builder.bitcast(args[0], bits), shift)
        number = builder.bitcast(builder.or_(raised, base), args[0].type)
        offset = ir.Constant(number.type, [2.0**mantissa + bias] * value.count)
        return builder.fsub(number, offset)

    return value(value), codegen


# --- arithmetic: v + v, v + 1.0, 1.0 + v, and so on -----------------------------------


def _register_operator(operation, emit):
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


_register_operator(operator.add, lambda b, x, y: b.fadd(x, y, flags=FLAGS))
_register_operator(operator.sub, lambda b, x, y: b.fsub(x, y, flags=FLAGS))
_register_operator(operator.mul, lambda b, x, y: b.fmul(x, y, flags=FLAGS))
# "arcp" lets float32 use the reciprocal estimate and a Newton step (1 ulp)
_register_operator(
    operator.truediv, lambda b, x, y: b.fdiv(x, y, flags=("arcp", *FLAGS))
)
