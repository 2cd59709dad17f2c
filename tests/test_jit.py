"""Where machine code is kept: nothing stale, nothing damaged, never fatal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import skrnn
from skrnn import _jit

pytestmark = pytest.mark.needs_jit
PACKAGE = Path(skrnn.__file__).parent

USE = """
import numpy as np
from skrnn import _jit, parameters
from skrnn.optimizers import rmsprop
p, g, m, v = (np.ones(4) for _ in range(4))
rmsprop(p, g, m, v, v, 1, (0.1, 0.9, 1e-8))
print(sum(rmsprop.stats.cache_hits.values()), p[0])
"""


def run(folder):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    environment["PYTHONPATH"] = str(PACKAGE.parent)
    command = [sys.executable, "-W", "error", "-c", USE]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    )
    hits, value = done.stdout.split()
    return int(hits), float(value)


def files(folder):
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


def test_a_second_process_only_loads(tmp_path):
    first_hits, value = run(tmp_path)
    kept = files(tmp_path)
    assert first_hits == 0 and len(kept) == 1 and kept[0].suffix == ".nbc"
    assert run(tmp_path) == (1, value)
    assert files(tmp_path) == kept


@pytest.mark.parametrize("damage", [b"", b"junk", b"\x80\x05cno_module\nno\n."])
def test_damaged_files_are_compiled_again(tmp_path, damage):
    _, value = run(tmp_path)
    (file,) = files(tmp_path)
    file.write_bytes(damage)
    assert run(tmp_path) == (0, value)
    assert run(tmp_path) == (1, value)  # and mended


def test_a_folder_that_cannot_be_made_is_not_fatal(tmp_path):
    (tmp_path / "file").write_text("in the way")
    hits, _ = run(tmp_path / "file" / "cache")
    assert hits == 0


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(*paths):
        raise OSError("disk full")

    kept = _jit._StampedFiles(tmp_path, "function")
    monkeypatch.setattr(os, "replace", fail)
    kept.save("key", "code")
    assert files(tmp_path) == []
    assert kept.load("key") is None


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
