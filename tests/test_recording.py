"""Recorded calls: in order, with the arrays as they are, and for as long as needed."""

import gc
import platform
import threading
import weakref
from types import SimpleNamespace
from typing import NamedTuple

import numba
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skrnn import recording
from skrnn._jit import FASTMATH
from skrnn.recording import MAX_WORDS, WORDS, Recording, replay, run

# Compiled with the flags of `kernel`, but not cached: these bodies are the tests' own.
compiled = numba.njit(error_model="numpy", fastmath=FASTMATH, nogil=True)


@compiled
def note(log, count, number):
    log[count[0]] = number
    count[0] += 1


@compiled
def total(numbers):
    value = 0.0
    for number in numbers:
        value += number
    return value


@compiled
def add_steps(target, source, n_steps):
    for t in range(n_steps[0]):
        target[t] += source[t]


@compiled
def size_and_last(array):
    last = float(array.ravel()[-1]) if array.size else -1.0
    return array.size + 1000 * last


class Pair(NamedTuple):
    array: np.ndarray
    factor: int


def new_log(n=8):
    return np.zeros(n, np.int64), np.zeros(1, np.int64)


@pytest.fixture(params=["as it is", "interpreted"])
def way(request, monkeypatch):
    """Run with the JIT as it is, and the Python definition of `replay` in any case."""
    if request.param == "as it is":
        return run
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    return replay


# --- running --------------------------------------------------------------------------


def test_calls_run_in_order(way):
    log, count = new_log()
    calls = Recording()
    for number in (3, 1, -(2**62), np.int64(2**40)):
        calls.add(note, log, count, number)
    program = calls.program()
    assert way(program) == 0.0
    assert_array_equal(log, [3, 1, -(2**62), 2**40, 0, 0, 0, 0])
    assert way(program) == 0.0
    assert_array_equal(log, [3, 1, -(2**62), 2**40] * 2)


def test_what_the_calls_return_is_summed(way):
    log, count = new_log()
    calls = Recording()
    calls.add(total, np.array([1.5, 2.0]))
    calls.add(note, log, count, 7)  # which returns nothing
    calls.add(total, np.array([0.25], np.float32))
    assert way(calls.program()) == 3.75


def test_a_recording_without_calls_does_nothing(way):
    assert way(Recording().program()) == 0.0


def test_a_number_that_is_not_finite_shows_in_the_sum(way):
    calls = Recording()
    for numbers in ([np.nan], [1.0]):
        calls.add(total, np.array(numbers))
    assert np.isnan(way(calls.program()))


def test_arrays_that_change_between_runs_are_seen(way):
    target, source, n_steps = np.zeros(5), np.arange(5.0), np.array([2])
    calls = Recording()
    calls.add(add_steps, target, source, n_steps)
    program = calls.program()
    way(program)
    assert_array_equal(target, [0, 1, 0, 0, 0])
    source[:], n_steps[0] = 10.0, 4
    way(program)
    assert_array_equal(target, [10, 11, 10, 10, 0])


def test_arrays_of_any_shape_and_dtype(way):
    """Each kind of arguments is a version of the kernel of its own."""
    calls, expected = Recording(), 0.0
    for shape in [(3,), (3, 2), (3, 2, 4), (3, 1, 2, 4), (2, 0)]:
        for dtype in (np.float32, np.float64, np.int64):
            array = np.arange(1, 1 + np.prod(shape), dtype=dtype).reshape(shape)
            calls.add(size_and_last, array)
            expected += array.size + 1000 * (array.size if array.size else -1)
    assert way(calls.program()) == expected


def test_a_recording_goes_on_with_the_calls_of_another(way):
    log, count = new_log()
    one, other = Recording(), Recording()
    one.add(note, log, count, 1)
    other.add(note, log, count, 2)
    one.extend(other)
    one.add(note, log, count, 3)
    program = one.program()
    del other
    gc.collect()
    way(program)
    assert_array_equal(log[:4], [1, 2, 3, 0])


def test_programs_within_a_kernel():
    """What `run` does for Python, kernels do themselves."""
    log, count = new_log()
    calls = Recording()
    calls.add(note, log, count, 5)
    program = calls.program()

    @compiled
    def twice(program):
        return replay(program) + replay(program)

    assert twice(program) == 0.0
    assert_array_equal(log[:3], [5, 5, 0])


def test_programs_run_on_several_threads_at_once():
    programs, targets, keep = [], [], []
    for _ in range(3):
        target = np.zeros(1000)
        calls = Recording()
        for _ in range(50):
            calls.add(add_steps, target, np.ones(1000), np.array([1000]))
        programs.append(calls.program())
        targets.append(target)
        keep.append(calls)
    threads = [
        threading.Thread(target=lambda p=program: [run(p) for _ in range(20)])
        for program in programs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for target in targets:
        assert_array_equal(target, 50 * 20)


# --- lifetime -------------------------------------------------------------------------


def test_a_recording_keeps_its_arrays_and_kernels_alive(way):
    out = np.zeros(3)

    def record():
        @compiled
        def copy(target, source):
            for i in range(len(target)):
                target[i] = source[i]

        calls = Recording()
        source = np.array([1.0, 2.0, 3.0])
        calls.add(copy, out, source)
        return calls, calls.program(), weakref.ref(source)

    calls, program, source = record()
    gc.collect()
    assert source() is not None
    clutter = [np.full(3, 9.0) for _ in range(100)]  # where it would have been freed
    way(program)
    assert_array_equal(out, [1, 2, 3])
    del calls
    gc.collect()
    assert source() is None
    assert len(clutter) == 100


def test_interpreted_programs_end_with_their_recordings(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    before = len(recording._INTERPRETED)
    calls = Recording()
    calls.add(total, np.ones(1))
    program = calls.program()
    assert replay(program) == 1.0
    assert len(recording._INTERPRETED) == before + 1
    del calls
    gc.collect()
    assert len(recording._INTERPRETED) == before


# --- what a program holds -------------------------------------------------------------


class Dispatcher:
    """As much of a compiled kernel as a recording asks for."""

    __name__ = "a kernel"

    def __init__(self, address, n_words):
        self.address = address
        self.overloads = {}
        self.fndesc = self.library = self.target_context = self.call_conv = self
        self.llvm_func_name = "a name"
        self.restype, self.argtypes, self.n_words = numba.types.none, None, n_words

    def compile(self, signature):
        assert signature not in self.overloads
        self.overloads[signature] = self

    def get_function_type(self, restype, argtypes):
        return SimpleNamespace(args=range(2 + self.n_words))

    def get_pointer_to_function(self, name):
        assert name == self.llvm_func_name
        return self.address


def test_a_program_is_the_kernels_and_their_arguments_as_numba_passes_them(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 0)
    one, other = Dispatcher(1234, 10), Dispatcher(5678, 7)
    matrix, vector = np.zeros((3, 2), np.float32), np.zeros(4)
    calls = Recording()
    calls.add(one, matrix, -7)
    calls.add(other, vector)
    calls.add(one, matrix, 8)  # of the same kind: compiled once
    program = calls.program()
    assert program.dtype == np.int64 and program.shape == (3, 1 + WORDS)
    # memory and parent, size, bytes of an item, address, shape, strides
    of_matrix = [0, 0, 6, 4, matrix.ctypes.data, 3, 2, 8, 4]
    of_vector = [0, 0, 4, 8, vector.ctypes.data, 4, 8]
    for row, words in zip(
        program,
        [[1234, *of_matrix, -7], [5678, *of_vector], [1234, *of_matrix, 8]],
        strict=True,
    ):
        assert_array_equal(row[: len(words)], words)
        assert not row[len(words) :].any()
    assert list(one.overloads) == [(numba.typeof(matrix), numba.int64)]
    calls.add(Dispatcher(9, 8), vector)  # which has seven
    with pytest.raises(RuntimeError, match="does not know"):
        calls.program()


def test_where_a_kernel_is_is_asked_once(monkeypatch):
    """Asking takes a lock of llvmlite: a child forked meanwhile would wait for ever."""
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 0)
    known, calls, vector = Dispatcher(1234, 7), Recording(), np.zeros(4)
    calls.add(known, vector)
    program = calls.program()
    monkeypatch.delattr(Dispatcher, "get_pointer_to_function")
    assert_array_equal(calls.program(), program)


# --- refusals -------------------------------------------------------------------------


@compiled
def lengths_and_numbers(arrays, numbers):
    """Sum the lengths of arrays, and numbers of which the last counts more."""
    value = 1000.0 * numbers[-1]
    for array in arrays:
        value += len(array)
    for number in numbers:
        value += number
    return value


def arrays_of_11_words(n):
    return tuple(np.zeros((2**i, 1, 1)) for i in range(n))


@pytest.mark.parametrize(
    "n_arrays, n_numbers, n_passed",
    [
        (8, 8, WORDS),  # as many as the narrow program has
        (8, 9, MAX_WORDS),
        (17, 5, MAX_WORDS),  # as many as there may be
    ],
)
def test_narrow_and_wide_programs(n_arrays, n_numbers, n_passed, way):
    calls = Recording()
    log, count = new_log()
    calls.add(note, log, count, 1)
    arrays, numbers = arrays_of_11_words(n_arrays), tuple(range(n_numbers))
    calls.add(lengths_and_numbers, arrays, numbers)
    calls.add(note, log, count, 2)  # as wide as the widest of the calls
    program = calls.program()
    if not numba.config.DISABLE_JIT:
        assert program.shape == (3, 1 + n_passed)
    expected = 2**n_arrays - 1 + 1000 * (n_numbers - 1) + sum(numbers)
    for _ in range(2):
        assert way(program) == expected
    assert_array_equal(log[:5], [1, 2, 1, 2, 0])


def test_more_words_are_refused(way):
    calls = Recording()
    calls.add(lengths_and_numbers, arrays_of_11_words(17), tuple(range(6)))
    with pytest.raises(
        ValueError, match=r"^lengths_and_numbers takes 193 words, more than 192"
    ):
        calls.program()


# --- None and tuples ------------------------------------------------------------------


@compiled
def add_all(target, parts, more):
    """Add the arrays of a nested tuple, and one more unless it is None."""
    (one, factor), other = parts
    for i in range(len(target)):
        target[i] += factor * one[i] + other[i]
    if more is not None:
        for i in range(len(target)):
            target[i] += more[i]


def test_tuples_and_none(way):
    """Calls with and without an array are versions of their own of a kernel."""
    target, one, other = np.zeros(2), np.array([1.0, 2.0]), np.array([10.0, 20.0])
    calls = Recording()
    calls.add(add_all, target, ((one, 3), other), None)
    calls.add(add_all, target, (Pair(one, 2), other), np.array([500.0, 600.0]))
    program = calls.program()
    way(program)
    assert_array_equal(target, [5 + 20 + 500, 10 + 40 + 600])
    one[:] = 0.0
    way(program)
    assert_array_equal(target, [525 + 520, 650 + 640])


def test_a_recording_keeps_the_arrays_of_tuples_alive(way):
    target, calls = np.zeros(2), Recording()
    part = np.ones(2)
    alive = weakref.ref(part)
    calls.add(add_all, target, ((part, 1), np.ones(2)), None)
    program = calls.program()
    del part
    gc.collect()
    assert alive() is not None
    way(program)
    assert_array_equal(target, 2.0)


@pytest.mark.parametrize("bad", [1.0, "1", [1.0], True, (1.0,)], ids=repr)
def test_what_a_tuple_may_not_hold(bad, way):
    calls = Recording()
    calls.add(add_all, np.zeros(2), ((np.zeros(2), bad), np.zeros(2)), None)
    with pytest.raises(TypeError, match=r"^add_all must get arrays and integers, got "):
        calls.program()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 2)).T,
        np.zeros(6)[::2],
        np.zeros((2, 3), order="F"),
        np.zeros(4)[::-1],
    ],
    ids=["transposed", "every other", "Fortran", "backwards"],
)
def test_arrays_that_are_not_contiguous_are_refused(array, way):
    calls = Recording()
    calls.add(total, array)
    with pytest.raises(
        ValueError, match=r"^total must get arrays that are C-contiguous"
    ):
        calls.program()


@pytest.mark.parametrize(
    "argument",
    [1.0, np.float64(1.0), True, np.True_, "1", [1.0], 1j],
    ids=repr,
)
def test_what_is_neither_array_nor_integer_is_refused(argument, way):
    calls = Recording()
    calls.add(note, *new_log(), argument)
    with pytest.raises(TypeError, match=r"^note must get arrays and integers, got "):
        calls.program()


# --- numbers that are not normal ------------------------------------------------------


@compiled
def multiply(out, a, b):
    out[0] = a[0] * b[0]


TINY = [
    # the result alone is too small, the operand alone, and neither
    (1e-200, 1e-120, 0.0),
    (5e-324, 1e300, 0.0),
    (1e-200, 1e-100, 1e-300),
]


@pytest.mark.needs_jit
@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"),
    reason="only there is the processor told",
)
@pytest.mark.parametrize("a, b, flushed", TINY)
def test_numbers_too_small_to_be_normal_are_zero_while_calls_run(a, b, flushed):
    a, b, out = np.array([a]), np.array([b]), np.full(1, np.nan)
    calls = Recording()
    calls.add(multiply, out, a, b)
    program = calls.program()
    for _ in range(2):
        run(program)
        assert out[0] == pytest.approx(flushed, rel=1e-12, abs=0.0)
        # and not before or after, in Python or in other kernels
        assert a[0] * b[0] > 0
        multiply(out, a, b)
        assert out[0] == a[0] * b[0]


@pytest.mark.needs_jit
def test_the_processor_is_told_the_old_way_after_programs_within_programs():
    """By threads too, each of which has a control register of its own."""
    tiny, out = np.array([1e-310]), np.zeros(1)
    inner, outer = Recording(), Recording()
    inner.add(multiply, np.zeros(1), tiny, np.ones(1))
    outer.add(run, inner.program())
    outer.add(multiply, out, tiny, np.ones(1))
    program, seen = outer.program(), []

    def work():
        run(program)
        seen.append(tiny[0] * 1.0)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    work()
    assert seen == [1e-310] * 2
    # what the inner program left was what the outer one had told
    if platform.machine().lower() in ("x86_64", "amd64"):
        assert out[0] == 0.0


@pytest.mark.needs_jit
def test_a_kernel_that_returns_something_else_is_refused():
    @numba.njit
    def count(x):
        return len(x)

    recording = Recording()
    recording.add(count, np.ones(3))
    with pytest.raises(TypeError, match="count returns int64"):
        recording.program()


@pytest.mark.needs_jit
def test_a_kernel_that_raises_makes_the_sum_nan():
    @numba.njit
    def refuse(x):
        if x[0] > 0.0:
            raise ValueError
        return 1.0

    x = np.zeros(1)
    recording = Recording()
    recording.add(refuse, x)
    program = recording.program()
    assert run(program) == 1.0
    x[0] = 1.0
    assert np.isnan(run(program))
