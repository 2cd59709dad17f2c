"""Calls of kernels, recorded once and replayed without Python in between.

A call into a jitted function from Python takes about a microsecond, and a network of
eight units less than that for a time step. So a layer does not call its kernels: it
adds them to a `Recording`, with arrays that stay where they are, and `replay` runs the
recorded calls one after the other inside other kernels. What changes from one run to
the next is passed in the arrays, such as the number of steps.
"""

import math
from functools import cache
from weakref import WeakValueDictionary

import numba
import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types

from skrnn._jit import kernel
from skrnn.simd import compiled_as, integer

# Words that are passed at each call, at least those that the kernel has: so many, or
# for all calls of a recording more if one of its kernels has more.
WORDS, MAX_WORDS = 96, 192

# By its number each recording whose calls are Python functions: without the JIT.
_INTERPRETED: WeakValueDictionary = WeakValueDictionary()


def _words(function, arguments):
    """Return the words that a call passes."""
    name, words = function.__name__, []
    for argument in arguments:
        words += _words_of(argument, name)
    if len(words) > MAX_WORDS:
        raise ValueError(f"{name} takes {len(words)} words, more than {MAX_WORDS}.")
    return words


def _words_of(argument, name):
    """Return an argument as numba passes it: integers of the size of a pointer."""
    if isinstance(argument, np.ndarray):
        if not argument.flags.c_contiguous:
            raise ValueError(f"{name} must get arrays that are C-contiguous.")
        memory_and_parent = (0, 0)  # the recording keeps the array alive
        address = argument.__array_interface__["data"][0]
        sizes = (argument.size, argument.itemsize, address)
        return (*memory_and_parent, *sizes, *argument.shape, *argument.strides)
    if argument is None:
        return (0,)
    if isinstance(argument, tuple):
        return [word for part in argument for word in _words_of(part, name)]
    if not isinstance(argument, int | np.int64) or isinstance(argument, bool):
        raise TypeError(f"{name} must get arrays and integers, got {argument!r}.")
    return (int(argument),)


class Recording:
    """Kernels with the arguments of their calls.

    These are arrays, integers, None, and tuples of them.
    """

    def __init__(self):
        self._calls = []  # keeps what is recorded alive

    def add(self, function, *arguments):
        """Record a call of a kernel that returns nothing or a float64."""
        self._calls.append((function, arguments))

    def extend(self, other):
        """Record the calls of another recording."""
        self._calls += other._calls

    def program(self):
        """Return what `replay` takes; it is valid as long as the recording lives.

        Raises `ValueError` or `TypeError` for a call that cannot be recorded.
        """
        words = [_words(function, arguments) for function, arguments in self._calls]
        if numba.config.DISABLE_JIT:
            _INTERPRETED[id(self)] = self
            return np.array([[id(self)]])
        n_words = max(map(len, words), default=0)
        n_passed = WORDS if n_words <= WORDS else MAX_WORDS
        program = np.zeros((len(self._calls), 1 + n_passed), np.int64)
        for row, (function, arguments), passed in zip(
            program, self._calls, words, strict=True
        ):
            signature = tuple(map(numba.typeof, arguments))
            row[0] = _address(function, signature, len(passed))
            row[1 : 1 + len(passed)] = passed
        return program


@cache  # asking llvmlite takes its lock, which may be held for ever after a fork
def _address(function, signature, n_words):
    """Return where the machine code of a kernel for these arguments begins."""
    if signature not in function.overloads:
        function.compile(signature)
    compiled = function.overloads[signature]
    described = compiled.fndesc
    if described.restype not in (types.none, types.float64):
        name = function.__name__
        raise TypeError(f"{name} returns {described.restype}, not nothing or float64.")
    convention = compiled.target_context.call_conv.get_function_type(
        described.restype, described.argtypes
    )
    if len(convention.args) != 2 + n_words:  # a numba that passes arrays otherwise
        raise RuntimeError("numba passes arguments in a way that skrnn does not know.")
    return compiled.library.get_pointer_to_function(described.llvm_func_name)


def replay(program):
    """Run the recorded calls in order; return the sum of what they return.

    A call that raises an exception counts as NaN. Numbers too small to be normal count
    as zero meanwhile where the processor can be told so: gradients that vanish over
    many steps would make each operation take a hundred times as long.
    """
    calls = _INTERPRETED[program[0, 0]]._calls
    return sum(function(*arguments) or 0.0 for function, arguments in calls)


POINTER = ir.IntType(8).as_pointer()
FLUSH_TO_ZERO = 0x8040  # of results and of operands, in the x86 control register


def _control_register(builder, action, place):
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VoidType(), [POINTER]),
        f"llvm.x86.sse.{action}",
    )
    builder.call(function, [builder.bitcast(place, POINTER)])


def _following(builder, first, n):
    return [builder.add(first, integer(i)) for i in range(n)]


def _call(builder, address, words, result, exception):
    """Emit a call by numba's convention; return its status.

    That is a place for the result, one for an exception, and the arguments; whoever is
    called ignores the words beyond its own.
    """
    convention = ir.FunctionType(
        ir.IntType(32), [POINTER, POINTER] + [word.type for word in words]
    )
    function = builder.inttoptr(address, convention.as_pointer())
    builder.store(ir.Constant(result.type.pointee, 0.0), result)
    places = [builder.bitcast(place, POINTER) for place in (result, exception)]
    return builder.call(function, [*places, *words])


@compiled_as(replay)
def _replay(typingctx, program):
    def codegen(context, builder, sig, args):
        struct = context.make_array(sig.args[0])(context, builder, args[0])
        n_calls = builder.extract_value(struct.shape, 0)
        number = ir.DoubleType()
        result = cgutils.alloca_once(builder, number)
        exception = cgutils.alloca_once_value(builder, ir.Constant(POINTER, None))
        total = cgutils.alloca_once_value(builder, ir.Constant(number, 0.0))
        has_control = binding.get_process_triple().startswith("x86_64")
        if has_control:
            before = cgutils.alloca_once(builder, ir.IntType(32))
            during = cgutils.alloca_once(builder, ir.IntType(32))
            _control_register(builder, "stmxcsr", before)
            flags = ir.Constant(ir.IntType(32), FLUSH_TO_ZERO)
            builder.store(builder.or_(builder.load(before), flags), during)
            _control_register(builder, "ldmxcsr", during)
        row_size = builder.extract_value(struct.shape, 1)
        wide = builder.icmp_signed(">", row_size, integer(1 + WORDS))
        with builder.if_else(wide, likely=False) as (then, otherwise):
            for branch, n_words in ((then, MAX_WORDS), (otherwise, WORDS)):
                with branch, cgutils.for_range(builder, n_calls) as loop:
                    first = builder.mul(loop.index, integer(1 + n_words))
                    address, *words = (
                        builder.load(builder.gep(struct.data, [place]))
                        for place in _following(builder, first, 1 + n_words)
                    )
                    status = _call(builder, address, words, result, exception)
                    failed = builder.icmp_signed("!=", status, status.type(0))
                    nan = ir.Constant(number, math.nan)
                    returned = builder.select(failed, nan, builder.load(result))
                    updated = builder.fadd(builder.load(total), returned)
                    builder.store(updated, total)
        if has_control:
            _control_register(builder, "ldmxcsr", before)
        return builder.load(total)

    return types.float64(program), codegen


@kernel
def run(program):
    """`replay` for Python."""
    return replay(program)
