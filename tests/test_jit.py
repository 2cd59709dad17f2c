"""Where machine code is kept: nothing stale, nothing damaged, never fatal."""

import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numba
import pytest

import skrnn
from skrnn import _jit

pytestmark = pytest.mark.needs_jit
PACKAGE = Path(skrnn.__file__).parent

KERNELS = """
from skrnn._jit import kernel
from skrnn.helper import number

@kernel
def use(x):
    return x + number()

@kernel
def use_twice(x):
    return 2.0 * use(x)
"""
HELPER = """
from skrnn._jit import inner

@inner
def number():
    return {number}
"""
# Prints how many signatures were loaded, and a result.
USE = """
from skrnn.kernels import use, use_twice
value = use(1.0)
print(sum(use.stats.cache_hits.values()), value)
"""
USE_TWICE = """
assert use_twice(1.0) == 2.0 * value
assert sum(use_twice.stats.cache_misses.values()) == 1
"""
COMPILER_IS_OFF = """
from numba.core.base import BaseContext
def refresh(self):
    raise RuntimeError("what a compiler needs was asked for")
BaseContext.refresh = refresh
"""


class Package:
    """A small skrnn with the true `_jit`, and processes that use it."""

    def __init__(self, folder):
        self.root = folder / "package"
        self.cache = folder / "cache"
        package = self.root / "skrnn"
        package.mkdir(parents=True)
        for name in ("_jit.py", "_version.py"):
            shutil.copy(PACKAGE / name, package)
        (package / "__init__.py").touch()
        (package / "kernels.py").write_text(KERNELS)
        self.set_number(1.0)

    def set_number(self, number):
        (self.root / "skrnn" / "helper.py").write_text(HELPER.format(number=number))

    def start(self, code=USE, stderr=None):
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code],
            env={**os.environ, "NUMBA_CACHE_DIR": str(self.cache), "PYTHONPATH": ""},
            cwd=self.root,  # which -c imports from
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def run(self, code=USE):
        """Return how many signatures were loaded, and the result."""
        return result_of(self.start(code))

    def files(self):
        return files(self.cache)


def result_of(process):
    hits, value = process.communicate()[0].split()
    assert process.returncode == 0
    return int(hits), float(value)


def files(folder):
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


@pytest.fixture
def package(tmp_path):
    return Package(tmp_path)


# --- what is kept is used -------------------------------------------------------------


@pytest.mark.contract
def test_a_second_process_only_loads(package):
    assert package.run() == (0, 2.0)
    (kept,) = package.files()
    assert kept.suffix == ".nbc"
    # nor does it ready the compiler, which takes longer than to load a kernel
    assert package.run(COMPILER_IS_OFF + USE) == (1, 2.0)
    assert package.files() == [kept]


def test_a_process_can_load_first_and_then_compile(package):
    package.run()
    assert package.run(USE + USE_TWICE) == (1, 2.0)
    assert len(package.files()) == 2


def test_two_processes_may_compile_at_once(package):
    both = [package.start() for _ in range(2)]
    assert [result_of(process)[1] for process in both] == [2.0, 2.0]
    assert [path.suffix for path in package.files()] == [".nbc"]
    assert package.run() == (1, 2.0)


# --- nothing stale --------------------------------------------------------------------


def test_an_edited_helper_makes_a_new_kernel(package):
    assert package.run() == (0, 2.0)
    package.set_number(20.0)
    assert package.run() == (0, 21.0)
    package.set_number(1.0)
    assert package.run() == (1, 2.0)


def test_the_stamp_knows_every_kernel(monkeypatch):
    """An edit of any file that makes, or holds, jitted code changes the stamp."""
    before = _jit.kernel_stamp.__wrapped__()
    read = Path.read_bytes
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text()
        makes = "@kernel" in source or "@inner" in source or "@compiled_as" in source
        monkeypatch.setattr(
            Path,
            "read_bytes",
            lambda p, edited=path: read(p) + b" " if p == edited else read(p),
        )
        if makes or "@overload" in source:
            assert _jit.kernel_stamp.__wrapped__() != before, path


@pytest.mark.parametrize("name", ["numba", "llvmlite", "np"])
def test_the_stamp_knows_the_versions(monkeypatch, name):
    before = _jit.kernel_stamp.__wrapped__()
    monkeypatch.setattr(getattr(_jit, name), "__version__", "0.0")
    assert _jit.kernel_stamp.__wrapped__() != before


def test_without_sources_nothing_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(_jit, "__file__", str(tmp_path / "frozen" / "_jit.py"))
    assert _jit.kernel_stamp.__wrapped__() == ""


def test_a_kernel_closes_over_nothing():
    number = 1.0

    def add(x):
        return x + number

    with pytest.raises(TypeError, match="closes over"):
        _jit.kernel(add)


# --- nothing is fatal -----------------------------------------------------------------


def double(x):
    return 2.0 * x


@pytest.fixture
def use(tmp_path, monkeypatch):
    """Call a new kernel, as another process would; return what was loaded."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))

    def use():
        kernel = _jit.kernel(double)
        assert kernel(4.0) == 8.0
        return sum(kernel.stats.cache_hits.values())

    return use


DAMAGED = [b"", b"junk", b"\x80\x05cno_module\nno\n.", pickle.dumps(("other", 1))]


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_files_are_compiled_again(use, tmp_path, damage):
    assert use() == 0
    (file,) = files(tmp_path)
    file.write_bytes(damage)
    assert use() == 0
    assert use() == 1  # and mended


def test_a_folder_that_cannot_be_made_is_not_fatal(use, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    assert use() == use() == 0


def test_a_numba_with_another_inside_compiles(use, monkeypatch):
    assert use() == 0
    monkeypatch.delattr("numba.core.runtime.rtsys")
    assert use() == 0


def test_a_read_only_folder_is_read(package):
    package.run()
    kept = package.files()
    folder = kept[0].parent
    folder.chmod(0o555)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("root may write anywhere: see the next test")
        assert package.run(COMPILER_IS_OFF + USE) == (1, 2.0)
        assert package.run(USE + USE_TWICE) == (1, 2.0)
    finally:
        folder.chmod(0o755)
    assert package.files() == kept


@pytest.fixture
def two_folders(tmp_path, monkeypatch):
    folders = [tmp_path / "package", tmp_path / "user"]
    monkeypatch.setattr(_jit, "cache_folders", lambda: folders)
    return folders


@pytest.fixture
def read_only(two_folders, monkeypatch):
    """A folder with a file in it that may only be read, and one that is free."""
    locked, free = two_folders
    locked.mkdir()
    (locked / "old.nbc").write_bytes(b"old")

    def refuse(path, *arguments, **options):
        if locked in Path(path).parents:
            raise PermissionError(path)

    write = Path.write_bytes
    monkeypatch.setattr(
        Path, "write_bytes", lambda p, data: refuse(p) or write(p, data)
    )
    monkeypatch.setattr(os, "utime", refuse)
    return locked, free


def test_what_is_new_goes_where_it_can_be_written(read_only):
    locked, free = read_only
    assert _jit._read("old.nbc") == b"old"
    _jit._write("new.nbc", b"new")
    assert [path.name for path in files(locked)] == ["old.nbc"]
    assert [path.name for path in files(free)] == ["new.nbc"]
    assert _jit._read("new.nbc") == b"new"
    assert _jit._read("none.nbc") is None


def test_a_failed_write_leaves_nothing(two_folders, monkeypatch):
    def fail(*paths):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    _jit._write("name.nbc", b"code")
    assert [files(folder) for folder in two_folders] == [[], []]


def test_the_first_folder_that_takes_a_file_is_named(two_folders):
    package, user = two_folders
    assert _jit.writable_folder() == package
    package.rmdir()
    package.write_text("in the way")
    assert _jit.writable_folder() == user
    user.rmdir()
    user.write_text("in the way")
    assert _jit.writable_folder() is None


def test_numbas_variable_names_the_only_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert _jit.cache_folders() == [tmp_path / "skrnn"]
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    assert _jit.cache_folders()[0] == PACKAGE / "__pycache__"


# --- nothing is kept for ever ---------------------------------------------------------


def age(path):
    long_ago = time.time() - 2 * _jit.SECONDS_KEPT
    os.utime(path, (long_ago, long_ago))


def test_what_is_no_longer_read_is_removed(two_folders):
    folder, _ = two_folders
    folder.mkdir()
    names = ["old.nbc", "killed.nbc.12.34", "used.nbc", "new.nbc", "module.pyc"]
    for name in names:
        (folder / name).write_bytes(b"content")
        if name != "new.nbc":
            age(folder / name)
    _jit._read("used.nbc")
    _jit._write("another.nbc", b"content")
    left = {path.name for path in files(folder)}
    assert left == {"another.nbc", "used.nbc", "new.nbc", "module.pyc"}


# --- who waits is told ----------------------------------------------------------------


def shown_on_a_terminal(package, code):
    """Run code with a terminal for stderr; return what that shows."""
    pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
    ours, theirs = pty.openpty()
    try:
        result_of(package.start(code, stderr=theirs))
        os.write(theirs, b"end")
        return os.read(ours, 10_000).decode().removesuffix("end")
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_terminal_is_told_once_and_only_if_something_is_compiled(package):
    # two kernels, one line
    (line,) = shown_on_a_terminal(package, USE + USE_TWICE).splitlines()
    assert line.startswith("skrnn: compiling")
    assert shown_on_a_terminal(package, USE) == ""


def test_a_file_is_told_nothing(package):
    assert package.start(stderr=subprocess.PIPE).communicate()[1] == ""
    assert len(package.files()) == 1


def test_without_stderr_kernels_compile(use, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    _jit._say_that_it_compiles.cache_clear()
    assert use() == 0
