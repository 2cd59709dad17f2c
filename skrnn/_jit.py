"""The one decorator of every jitted function, and where its machine code is kept.

numba stamps a cached function by its own source file alone, so an edited helper, or
an upgrade of the package, would leave stale kernels behind. Here the name of a cached
file holds a hash of everything the machine code depends on: all kernel sources, the
versions, the processor, the signature. A file is written under another name and then
renamed, so that two processes that compile at once cannot disturb each other; and a
cache folder that cannot be written means compiling again, never an error.
"""

import contextlib
import hashlib
import os
import pickle
import sys
import threading
from functools import cache
from pathlib import Path

import numba
import numba.core.caching
import numpy as np

# None in a numba whose inside has changed: compile in each process
FunctionCache = getattr(numba.core.caching, "FunctionCache", None)

# Never "nnan" or "ninf": they would make the check for a diverged loss vanish.
FASTMATH = {"contract", "reassoc", "nsz", "arcp", "afn"}


@cache
def kernel_stamp() -> str:
    """Hash of all sources with jitted code, or what makes it, and numba's version."""
    package = Path(__file__).parent
    bits = os.environ.get("SKRNN_VECTOR_BITS", "")
    versions = f"{sys.implementation.cache_tag} {numba.__version__}"
    digest = hashlib.sha256(f"{versions} {bits}".encode())
    for path in sorted(package.rglob("*.py")):
        source = path.read_bytes()
        if any(word in source for word in (b"_jit", b"numba", b"llvmlite")):
            name = path.relative_to(package).as_posix()
            digest.update(f"{name} {len(source)} ".encode() + source)
    return digest.hexdigest()


class _StampedFiles:
    """A file for each signature of a function, named by all it depends on."""

    def __init__(self, folder, function):
        self._folder = Path(folder)
        self._function = function

    def _path(self, key):
        text = f"{kernel_stamp()}|{self._function}|{key}"
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.nbc"

    def load(self, key):
        try:
            return pickle.loads(self._path(key).read_bytes())
        except Exception:  # a damaged file may raise anything: compile again
            return None

    def save(self, key, data):
        path = self._path(key)
        temporary = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        try:
            temporary.write_bytes(pickle.dumps(data, pickle.HIGHEST_PROTOCOL))
            os.replace(temporary, path)
        except OSError:  # a full or read-only disk: the next process compiles again
            with contextlib.suppress(OSError):
                temporary.unlink()

    def flush(self):
        pass  # a new stamp names new files; old ones are never read again


def _kernel_cache(function):
    """Return numba's cache of a function, with `_StampedFiles` for its files."""

    class KernelCache(FunctionCache):
        def load_overload(self, sig, target_context):
            try:
                return super().load_overload(sig, target_context)
            except Exception:  # damaged, but still a pickle: compile again
                return None

        def save_overload(self, sig, data):
            with contextlib.suppress(OSError):  # the folder itself cannot be made
                super().save_overload(sig, data)

    made = KernelCache(function)
    name = f"{function.__module__}.{function.__qualname__}"
    made._cache_file = _StampedFiles(made.cache_path, name)
    return made


# For arguments of kernels: numba compiles a function anew for each literal 0.
ZERO = np.int64(0)

_FLAGS = {"error_model": "numpy", "fastmath": FASTMATH, "nogil": True}


def inner(function):
    """Compile `function` for use by kernels alone: quicker than a kernel of its own."""
    return numba.njit(no_cpython_wrapper=True, **_FLAGS)(function)


def kernel(function):
    """Compile `function` on its first call, without the GIL, cached on disk."""
    compiled = numba.njit(**_FLAGS)(function)
    if not numba.config.DISABLE_JIT and FunctionCache is not None:
        with contextlib.suppress(RuntimeError):  # no folder that numba may write to
            compiled._cache = _kernel_cache(function)
    return compiled
