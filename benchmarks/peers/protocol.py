"""What every peer offers, and how the parent talks to its child process.

A peer is a module with a class that derives from `Peer` and ends with `serve(...)`.
It runs in a process of its own, so that no thread pool disturbs another library's,
and answers one line of JSON for each line of JSON that it reads.
"""

import json
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

BENCHMARKS = Path(__file__).parents[1]
N_GATES = {"rnn": 1, "lstm": 4, "gru": 3}
# Operations of a step below which --quick tries one thread only, which wins there or is
# as good, and above which it tries all cores only.
SMALL, LARGE = 1e8, 1e9


@dataclass(frozen=True)
class Work:
    """One row of the benchmark.

    A step of "fit" is forward, backward and Adam on one minibatch, with the squared
    error of one output computed from the last state; one of "predict" is one call on
    one batch.
    """

    task: str  # "fit" or "predict"
    cell: str  # one of N_GATES
    n_units: int
    batch_size: int
    n_timesteps: int
    n_channels: int
    n_layers: int
    dtype: str

    @property
    def layer_inputs(self) -> list[int]:
        """Channels that each layer reads: those of the data, then units."""
        return [self.n_channels] + [self.n_units] * (self.n_layers - 1)

    @property
    def operations(self) -> int:
        """Additions and multiplications that the products of a step cannot do without.

        With n = steps x sequences x gates x units, each layer with F inputs and H units
        takes 2 n (H + F) forward, and in training 2 n (H + F) for the gradient of the
        weights, 2 n H for that of the states, and 2 n F for that of the inputs where
        a layer below needs it. Elementwise work, the output layer and Adam are not
        counted: what they take lowers the share of the peak.
        """
        n = self.n_timesteps * self.batch_size * N_GATES[self.cell] * self.n_units
        total = 0
        for layer, n_inputs in enumerate(self.layer_inputs):
            forward = 2 * n * (self.n_units + n_inputs)
            total += forward
            if self.task == "fit":
                total += forward + 2 * n * self.n_units
                total += 2 * n * n_inputs if layer > 0 else 0
        return total

    @property
    def n_batches(self) -> int:
        """Minibatches in an epoch: more of the cheap ones, all well inside memory."""
        if self.task == "predict":
            return 1
        return int(np.clip(2e9 // self.operations, 2, 64))

    def data(self):
        """Return X (n_samples, n_timesteps, n_channels) and y (n_samples,)."""
        rng = np.random.default_rng(0)
        n_samples = self.n_batches * self.batch_size
        X = rng.standard_normal((n_samples, self.n_timesteps, self.n_channels))
        y = rng.standard_normal(n_samples)
        return X.astype(self.dtype), y.astype(self.dtype)

    def weights(self):
        """Return random weights of a usual size.

        For each layer W_x (rows, inputs), W_h (rows, units) and b (rows,), the gates
        one after the other in the rows; then W_out (1, units) and b_out (1,).
        """
        rng = np.random.default_rng(1)
        rows, scale = N_GATES[self.cell] * self.n_units, self.n_units**-0.5

        def draw(*shapes):
            return [rng.uniform(-scale, scale, s).astype(self.dtype) for s in shapes]

        layers = [
            draw((rows, n_inputs), (rows, self.n_units), (rows,))
            for n_inputs in self.layer_inputs
        ]
        return layers, draw((1, self.n_units), (1,))


class Peer(ABC):
    """A library, as it is timed."""

    packages: tuple[str, ...]

    @abstractmethod
    def thread_counts(self) -> list[int]:
        """Return the numbers of threads to try; the parent keeps the best."""

    @abstractmethod
    def prepare(self, work: Work, threads: int, seconds: float) -> Callable[[], float]:
        """Build and compile; return a function that measures seconds per step.

        A measurement should take about `seconds`.
        """

    def notes(self) -> dict[str, object]:
        """Return what else was measured while preparing."""
        return {}


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def powers_of_two_and_all_cores() -> list[int]:
    """Return 1, 2, 4, ... and the number of cores."""
    powers = [2**i for i in range(cores().bit_length()) if 2**i < cores()]
    return [*powers, cores()]


def likely_best(thread_counts: list[int], operations: int) -> list[int]:
    """Return the numbers of threads that are worth trying for so much work."""
    if operations < SMALL:
        return thread_counts[:1]
    return thread_counts[-1:] if operations > LARGE else thread_counts


def seconds_per_step(run: Callable[[int], object], seconds: float):
    """Return a function that times enough steps of `run(n_steps)` for `seconds`."""
    run(1)  # compile, allocate
    n_steps = 1
    while True:
        begin = time.perf_counter()
        run(n_steps)
        elapsed = time.perf_counter() - begin
        if elapsed > seconds / 4:
            break
        n_steps *= 2
    n_steps = max(1, round(seconds / elapsed * n_steps))

    def measure() -> float:
        begin = time.perf_counter()
        run(n_steps)
        return (time.perf_counter() - begin) / n_steps

    return measure


def serve(peer: Peer) -> None:
    """Answer the parent until it closes the pipe."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not mix with the replies
    versions = {name: version(name) for name in peer.packages}
    print(json.dumps({"versions": versions}), file=replies)
    measures: dict[int, Callable[[], float]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if work := request.get("prepare"):
                measures.clear()
                work = Work(**work)
                counts = peer.thread_counts()
                if request["quick"]:
                    counts = likely_best(counts, work.operations)
                for threads in counts:
                    measures[threads] = peer.prepare(work, threads, request["seconds"])
                reply = {"notes": peer.notes()}
            else:
                reply = {"seconds": {n: measure() for n, measure in measures.items()}}
        except Exception as error:  # one row that fails must not end the run
            measures.clear()
            reply = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(reply), file=replies)


class Child:
    """The parent's end of a peer's process.

    Its methods raise RuntimeError when the peer fails or its process has ended.
    """

    def __init__(self, module: str):
        path = [str(BENCHMARKS.parent), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"peers.{module}"],
            cwd=BENCHMARKS,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def versions(self) -> dict[str, str]:
        """Wait until the library is imported; return the versions of its packages."""
        return self._reply()["versions"]

    def prepare(self, work: Work, seconds: float, quick: bool) -> dict[str, object]:
        """Compile and warm up; return the peer's notes."""
        request = {"prepare": asdict(work), "seconds": seconds, "quick": quick}
        return self._ask(request)["notes"]

    def measure(self) -> dict[int, float]:
        """Return seconds per step for each number of threads."""
        times = self._ask({"measure": True})["seconds"]
        return {int(threads): seconds for threads, seconds in times.items()}

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _ask(self, request):
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # said below, with the exit status
        reply = self._reply()
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply

    def _reply(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"process ended with status {self._process.wait()}")
        return json.loads(line)


def missing_packages(packages: tuple[str, ...]) -> list[str]:
    """Return those of the packages that are not installed."""
    missing = []
    for name in packages:
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(name)
    return missing
