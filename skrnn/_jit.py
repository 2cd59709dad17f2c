"""The one decorator of every jitted function, and where its machine code is kept.

numba stamps a cached function by its own source file alone, so an edited helper, or
an upgrade of the package, would leave stale kernels behind. Here the name of a cached
file holds a hash of everything the machine code depends on: all kernel sources, the
versions, the processor, the signature. A file is written under another name and then
renamed, so that two processes that compile at once cannot disturb each other; and a
cache folder that cannot be written means compiling again, never an error.
"""

import hashlib
import os
import pickle
import tempfile
from functools import cache
from pathlib import Path

import numba
import numpy as np
from numba.core.caching import FunctionCache

# Never "nnan" or "ninf": they would make the check for a diverged loss vanish.
FASTMATH = {"contract", "reassoc", "nsz", "arcp", "afn"}

# Sources that hold, or generate, jitted code; paths relative to this package.
KERNEL_SOURCES = (
    "_jit.py",
    "simd.py",
    "tiles.py",
    "activations.py",
    "products.py",
    "losses.py",
    "optimizers.py",
    "canonical.py",
    "scaling.py",
    "cells",
    "layers",
)


@cache
def kernel_stamp() -> str:
    """Hash of the sources of all kernels and of numba's version."""
    package = Path(__file__).parent
    bits = os.environ.get("SKRNN_VECTOR_BITS", "")
    digest = hashlib.sha256(f"{numba.__version__} {bits}".encode())
    for name in KERNEL_SOURCES:
        path = package / name
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(source.relative_to(package).as_posix().encode())
            digest.update(source.read_bytes())
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
        except (OSError, EOFError, pickle.UnpicklingError):
            return None

    def save(self, key, data):
        path = self._path(key)
        try:
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                file.write(pickle.dumps(data, protocol=pickle.HIGHEST_PROTOCOL))
            os.replace(file.name, path)
        except OSError:
            pass  # a full or read-only disk: the next process compiles again

    def flush(self):
        pass  # a new stamp names new files; old ones are never read again


class _KernelCache(FunctionCache):
    def __init__(self, function):
        super().__init__(function)
        name = f"{function.__module__}.{function.__qualname__}"
        self._cache_file = _StampedFiles(self.cache_path, name)

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except OSError:
            pass  # the folder itself could not be made


# For arguments of kernels: numba compiles a function anew for each literal 0.
ZERO = np.int64(0)

_FLAGS = {"error_model": "numpy", "fastmath": FASTMATH, "nogil": True}


def inner(function):
    """Compile `function` for use by kernels alone: quicker than a kernel of its own."""
    return numba.njit(no_cpython_wrapper=True, **_FLAGS)(function)


def kernel(function):
    """Compile `function` on its first call, without the GIL, cached on disk."""
    compiled = numba.njit(**_FLAGS)(function)
    if not numba.config.DISABLE_JIT:
        try:
            compiled._cache = _KernelCache(function)
        except RuntimeError:
            pass  # numba found no folder that it may write to
    return compiled
