import hashlib
import os
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skrnn"


def kernel_key():
    """Hash what compiled code depends on: numba, Python, all sources that compile.

    These are the sources of `skrnn._jit.kernel_stamp`, which imports numba.
    """
    digest = hashlib.sha256(f"{version('numba')} {sys.version}".encode())
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_bytes()
        if any(word in source for word in (b"_jit", b"numba", b"llvmlite")):
            name = path.relative_to(PACKAGE).as_posix()
            digest.update(f"{name} {len(source)} ".encode() + source)
    return digest.hexdigest()[:16]


def use_cache_of_these_sources():
    """Point numba at a cache folder that no other version of the kernels uses.

    Were `skrnn._jit` to take a stale kernel, no test would run on code that is gone.
    """
    if "numba" in sys.modules:
        raise RuntimeError("numba was imported before tests/conftest.py set its cache")
    key = kernel_key()
    user_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    base = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(user_cache) / "skrnn-tests")
    # A worker of pytest-xdist inherits the folder that its parent has chosen.
    folder = base if base.name == key else base / key
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)


use_cache_of_these_sources()

# scikit-learn skips its check of array API inputs without this. SciPy reads it once,
# on import; the workers of pytest-xdist inherit it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

# The first example compiles a kernel: a deadline would measure the compiler.
settings.register_profile("skrnn", deadline=None, max_examples=30, print_blob=True)
settings.load_profile("skrnn")

JIT_DISABLED = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


def pytest_addoption(parser):
    default = os.environ.get("SKRNN_DATA") or ROOT.parent / "shared" / "data"
    parser.addoption(
        "--skrnn-data",
        type=Path,
        default=Path(default),
        help="folder of the public data sets (or set SKRNN_DATA); without it the "
        "tests that read them are skipped (default: %(default)s)",
    )


def pytest_collection_modifyitems(items):
    skip = pytest.mark.skip(reason="needs the JIT, and NUMBA_DISABLE_JIT is set")
    for item in items:
        if JIT_DISABLED and item.get_closest_marker("needs_jit"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def data_dir(request):
    """Folder of the public data sets that are not part of the repository."""
    folder = request.config.getoption("--skrnn-data")
    if not folder.is_dir():
        pytest.skip(f"no data sets in {folder}: pass --skrnn-data or set SKRNN_DATA")
    return folder
