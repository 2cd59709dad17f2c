"""Panels in parquet files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from skrnn import RNNForecaster
from tests.test_forecaster_streaming import (
    SETTINGS,
    assert_same_forecasts,
    panel_of,
    pieces_of,
)

pytest.importorskip("pyarrow")

pytestmark = pytest.mark.needs_jit

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def panel():
    return panel_of(range(12))


def test_parquet_files_of_a_folder(tmp_path, panel):
    stamped = panel.assign(ds=panel["ds"].dt.to_timestamp())
    for number, piece in enumerate(pieces_of(stamped, 5)):
        folder = tmp_path / f"region-{number}"
        folder.mkdir()
        piece.to_parquet(folder / "part.0.parquet", index=False)
    (tmp_path / "_metadata.parquet").write_bytes(b"")
    whole = RNNForecaster(**SETTINGS).fit(stamped)
    for pieces in (tmp_path, str(tmp_path), sorted(tmp_path.rglob("part*"))):
        pieces = RNNForecaster(**SETTINGS).fit_pieces(pieces)
        assert_same_forecasts(whole, pieces, stamped)


def test_a_file_is_named(tmp_path, panel):
    panel.assign(y="much").to_parquet(tmp_path / "odd.parquet")
    with pytest.raises(TypeError, match=r"In file .*odd\.parquet: Column 'y' must"):
        RNNForecaster(**SETTINGS).fit_pieces(tmp_path)


def test_large_panel_prints_the_memory_of_both_methods():
    options = ["--files", "2", "--series", "60", "--subsample", "3000"]
    script = str(ROOT / "benchmarks" / "large_panel.py")
    done = subprocess.run(
        [sys.executable, script, *options, "--updates", "20"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for method in ("fit", "fit_pieces"):
        # how large a frame is hangs on pandas' strings
        assert re.search(rf"\| 2 \| 12,000 \| \d+ \| {method} \| ", done.stdout)
