"""The one decorator of every jitted function, and where its machine code is kept.

numba stamps a cached function by its own source file alone, so an edited helper, or
an upgrade of the package, would leave stale kernels behind. Here the name of a cached
file holds a hash of everything the machine code depends on: all kernel sources, the
versions, the processor, the signature. A file is written under another name and then
renamed, so that two processes that compile at once cannot disturb each other. Folders
that can only be read are read, as in an image that `python -m skrnn warmup` was run in;
and where none can be written, each process compiles: nothing here is ever an error.
"""

import contextlib
import hashlib
import os
import pickle
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

import llvmlite
import numba
import numpy as np

# Never "nnan" or "ninf": they would make the check for a diverged loss vanish.
FASTMATH = {"contract", "reassoc", "nsz", "arcp", "afn"}

# What has not been read for so long is removed: the code of older versions, mostly.
SECONDS_KEPT = 30 * 24 * 3600

# --- what machine code depends on -----------------------------------------------------


@cache
def kernel_stamp() -> str:
    """Hash of all sources with jitted code, or what makes it, and of the versions.

    Empty where there are no sources to read, as in a frozen program.
    """
    package = Path(__file__).parent
    bits = os.environ.get("SKRNN_VECTOR_BITS", "")
    versions = (numba.__version__, llvmlite.__version__, np.__version__)
    digest = hashlib.sha256(
        f"{sys.implementation.cache_tag} {versions} {bits}".encode()
    )
    paths = sorted(package.rglob("*.py"))
    for path in paths:
        source = path.read_bytes()
        if any(word in source for word in (b"_jit", b"numba", b"llvmlite")):
            name = path.relative_to(package).as_posix()
            digest.update(f"{name} {len(source)} ".encode() + source)
    return digest.hexdigest() if paths else ""


# --- files ----------------------------------------------------------------------------


def cache_folders():
    """Return the folders that are read; the first that can be written is written."""
    if numba.config.CACHE_DIR:
        return [Path(numba.config.CACHE_DIR) / "skrnn"]
    from numba.misc.appdirs import user_cache_dir

    return [Path(__file__).parent / "__pycache__", Path(user_cache_dir("skrnn", False))]


def _read(name):
    """Return the content of a cached file, or None."""
    for folder in cache_folders():
        path = folder / name
        with contextlib.suppress(OSError):
            content = path.read_bytes()
            with contextlib.suppress(OSError):  # read-only
                os.utime(path)  # in use, so `_remove_unused` spares it
            return content
    return None


def writable_folder():
    """Return the folder that new machine code goes to, or None."""
    for folder in cache_folders():
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            return folder
    return None


def _write(name, content):
    """Keep a file in the first folder that takes it; return whether one did."""
    for folder in cache_folders():
        temporary = folder / f"{name}.{os.getpid()}.{threading.get_ident()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            os.replace(temporary, folder / name)
        except OSError:  # full or read-only
            with contextlib.suppress(OSError):
                temporary.unlink()
        else:
            _remove_unused(folder)
            return True
    return False


@cache  # once a process
def _remove_unused(folder):
    for path in folder.glob("*.nbc*"):
        with contextlib.suppress(OSError):  # another process was quicker
            if path.stat().st_mtime < time.time() - SECONDS_KEPT:
                path.unlink()


# --- numba's side ---------------------------------------------------------------------


class _KernelCache:
    """What numba asks of a function's cache. It may ask otherwise in a later version.

    A failure of any kind therefore means compiling again.
    """

    cache_path = None
    n_lost = 0  # compiled functions that no folder took, of all caches

    def __init__(self, function):
        if function.__closure__:
            raise TypeError("The stamp does not know what a kernel closes over.")
        # now, while the sources are those that are being imported
        self._stem = f"{kernel_stamp()}|{function.__module__}.{function.__qualname__}"

    def _file_name(self, signature, codegen):
        text = f"{self._stem}|{signature}|{codegen.magic_tuple()}"
        return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.nbc"

    def load_overload(self, signature, target_context):
        """Return the compiled function for a signature, or None."""
        with contextlib.suppress(Exception):  # a damaged file may raise anything
            from numba.core.compiler import CompileResult
            from numba.core.runtime import rtsys

            content = _read(self._file_name(signature, target_context.codegen()))
            if content is not None:
                # numba's own would first import all that a compiler needs: 0.2 s
                rtsys.initialize(target_context)
                return CompileResult._rebuild(target_context, *pickle.loads(content))
        _say_that_it_compiles()
        return None

    def save_overload(self, signature, compiled):
        """Keep a compiled function."""
        with contextlib.suppress(Exception):
            if compiled.library.has_dynamic_globals:  # addresses in this process
                return
            content = pickle.dumps(compiled._reduce(), pickle.HIGHEST_PROTOCOL)
            name = self._file_name(signature, compiled.codegen)
            _KernelCache.n_lost += not _write(name, content)

    def flush(self):
        """A new stamp names new files; there is nothing to drop."""


@cache  # once a process
def _say_that_it_compiles():
    with contextlib.suppress(Exception):  # stderr may be closed, or no file at all
        if sys.stderr.isatty():
            text = "skrnn: compiling kernels, once for this environment ..."
            print(text, file=sys.stderr, flush=True)


def n_lost():
    """Return how many functions this process compiled that no folder could keep."""
    return _KernelCache.n_lost


# --- decorators -----------------------------------------------------------------------

# For arguments of kernels: numba compiles a function anew for each literal 0.
ZERO = np.int64(0)

_FLAGS = {"error_model": "numpy", "fastmath": FASTMATH, "nogil": True}


def inner(function):
    """Compile `function` for use by kernels alone: quicker than a kernel of its own."""
    return numba.njit(no_cpython_wrapper=True, forceinline=True, **_FLAGS)(function)


def kernel(function):
    """Compile `function` on its first call, without the GIL, cached on disk."""
    compiled = numba.njit(**_FLAGS)(function)
    if not numba.config.DISABLE_JIT and kernel_stamp():
        compiled._cache = _KernelCache(function)
    return compiled
