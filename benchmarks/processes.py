"""Python in a process of its own: how long it took, and how much memory."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

BENCHMARKS = Path(__file__).parent
# The sources beside the benchmarks are measured, installed or not.
sys.path.insert(0, str(BENCHMARKS.parent))


@dataclass(frozen=True)
class Finished:
    """A process that ended well."""

    seconds: float  # from its start to its end, imports included
    reply: object  # the JSON of the last line that it printed, or None


def run_python(arguments, **environment):
    """Run Python with these arguments to the end; skrnn can be imported.

    `environment` holds variables to set. Raises RuntimeError if the process fails.
    """
    merged = os.environ | environment
    path = [str(BENCHMARKS.parent), str(BENCHMARKS), os.environ.get("PYTHONPATH", "")]
    merged["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=merged,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    printed, errors = process.communicate()
    seconds = time.perf_counter() - begin
    if process.returncode:
        last = (errors.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"{last} (status {process.returncode})")
    lines = printed.strip().splitlines()
    return Finished(seconds, json.loads(lines[-1]) if lines else None)


def peak_memory():
    """Return the most bytes that this process has had resident, or None."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
