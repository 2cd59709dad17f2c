"""What the machine itself can do: multiply-adds in registers, and memory.

A "step" of this peer is the arithmetic of the row's products as fused multiply-adds
whose operands never leave the registers: no program can be faster. Its children take
turns with the libraries, because the clock of a machine goes up and down.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from llvmlite import binding, ir
from numba.extending import intrinsic

from peers.protocol import Peer, powers_of_two_and_all_cores, serve

# Independent sums: enough for the latency of the instruction times the units that run
# it, and few enough for 16 registers with the factor beside them.
N_SUMS = 12
BLOCK = np.int64(100_000)  # iterations of one call: about 0.25 ms
ELEMENTS = 2**23  # of each array of the memory test: three are beyond the caches


def lane_count(bits):
    """Return the lanes of the host's vector registers for numbers of so many bits."""
    features = binding.get_host_cpu_features()
    names = {"avx512f": 512, "avx2": 256}
    return next((n for name, n in names.items() if features.get(name)), 128) // bits


@intrinsic
def multiply_add_chains(typingctx, n, x):
    """Repeat ``sum = sum * x + x`` n times for N_SUMS vectors; return one number."""

    def codegen(context, builder, sig, args):
        bits = sig.args[1].bitwidth
        lanes = lane_count(bits)
        vector = ir.VectorType(context.get_value_type(sig.args[1]), lanes)
        i32, i64 = ir.IntType(32), ir.IntType(64)
        multiply_add = ir.Function(
            builder.module,
            ir.FunctionType(vector, [vector] * 3),
            f"llvm.fmuladd.v{lanes}f{bits}",
        )
        undefined = ir.Constant(vector, ir.Undefined)
        factor = builder.shuffle_vector(
            builder.insert_element(undefined, args[1], i32(0)),
            undefined,
            ir.Constant(ir.VectorType(i32, lanes), [0] * lanes),
        )
        entry, loop = builder.block, builder.append_basic_block("loop")
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(i64)
        k.add_incoming(i64(0), entry)
        sums = [builder.phi(vector) for _ in range(N_SUMS)]
        updated = [builder.call(multiply_add, [s, factor, factor]) for s in sums]
        for i in range(N_SUMS):
            sums[i].add_incoming(ir.Constant(vector, [float(i)] * lanes), entry)
            sums[i].add_incoming(updated[i], loop)
        following = builder.add(k, i64(1))
        k.add_incoming(following, loop)
        done = builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed("<", following, args[0]), loop, done)
        builder.position_at_end(done)
        total = updated[0]
        for value in updated[1:]:  # or LLVM would drop the chains that nobody reads
            total = builder.fadd(total, value)
        return builder.extract_element(total, i32(0))

    return x(n, x), codegen


@numba.njit(nogil=True)
def run_chains(n, x):
    """Run the chains without the GIL."""
    return multiply_add_chains(n, x)


def seconds_on_threads(function, n_threads, repetitions):
    """Return the shortest time of n calls of function(i), all at once."""
    with ThreadPoolExecutor(n_threads) as pool:
        at_once = map if n_threads == 1 else pool.map
        shortest = float("inf")
        for _ in range(repetitions):
            begin = time.perf_counter()
            list(at_once(function, range(n_threads)))
            shortest = min(shortest, time.perf_counter() - begin)
        return shortest


def operations_per_second(n_threads, dtype, repetitions=6, n_blocks=16):
    """Return the best rate of multiply-adds, in pieces of about 4 ms."""
    x = np.dtype(dtype).type(0.999)
    run_chains(BLOCK, x)  # compile

    def chains(_):
        for _ in range(n_blocks):
            run_chains(BLOCK, x)

    operations = 2 * N_SUMS * lane_count(8 * x.itemsize) * int(BLOCK) * n_blocks
    return n_threads * operations / seconds_on_threads(chains, n_threads, repetitions)


def bytes_per_second(n_threads, repetitions=5):
    """Return the best rate of ``a = b + c``, arrays of each thread's own."""
    arrays = [np.ones((3, ELEMENTS), np.float32) for _ in range(n_threads)]

    def add(i):
        a, b, c = arrays[i]
        np.add(b, c, out=a)

    moved = sum(part.nbytes for part in arrays)
    return moved / seconds_on_threads(add, n_threads, repetitions)


class PeakPeer(Peer):
    """Multiply-adds at the machine's peak."""

    packages = ("numba", "llvmlite")

    def __init__(self):
        self._bytes_per_second = {}

    def thread_counts(self):
        """Return 1, 2, 4, ..., all cores."""
        return powers_of_two_and_all_cores()

    def prepare(self, work, threads, seconds):
        """Measure the memory once; return what times the arithmetic of a step."""
        if threads not in self._bytes_per_second:
            self._bytes_per_second[threads] = bytes_per_second(threads)
        return lambda: work.operations / operations_per_second(threads, work.dtype)

    def notes(self):
        """Return the rate of memory by number of threads."""
        return {"bytes_per_second": self._bytes_per_second}


if __name__ == "__main__":
    serve(PeakPeer())
