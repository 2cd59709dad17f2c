"""How much memory a forecaster takes for a panel in parquet files.

    pip install pyarrow && python benchmarks/large_panel.py --quick
    python benchmarks/large_panel.py

Panels of 1, 2, 4 ... times as many files of monthly series are fitted in child
processes: `fit` on all of them in one frame, `fit_pieces` on the folder. *Above* is the
most that was resident beyond what was resident before, with the libraries and kernels
loaded; the time is that of reading and of fitting one network.
"""

import argparse
import functools
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from growth import MB, memory_of
from processes import run_python
from report import print_table
from skrnn import RNNForecaster

N_STEPS = 100
METHODS = ("fit", "fit_pieces")


def write_piece(path, number, n_series):
    """Write a file of monthly series, each a random walk with a trend and a season."""
    rng = np.random.default_rng(number)
    months = np.arange(N_STEPS)
    steps = rng.normal(0.2, 1, (n_series, N_STEPS)).cumsum(axis=1)
    season = 5 * np.sin(2 * np.pi * months / 12) * rng.uniform(0, 2, (n_series, 1))
    names = np.char.mod(f"{number}-%d", np.arange(n_series))
    frame = pd.DataFrame(
        {
            "unique_id": names.repeat(N_STEPS),
            "ds": np.tile(pd.date_range("2015", periods=N_STEPS, freq="MS"), n_series),
            "y": (100 + steps + season).ravel(),
        }
    )
    frame.to_parquet(path / f"{number:05}.parquet", index=False)
    return int(frame.memory_usage(deep=True).sum())


def fit(method, folder, forecaster, subsample):
    """Read a folder and fit."""
    if method == "fit":
        forecaster.fit(pd.read_parquet(folder))
    else:
        forecaster.fit_pieces(folder, subsample=subsample)


def child(options):
    """Fit in this process; print the memory as JSON."""
    folder = Path(options.folder)
    first = min(folder.iterdir())
    few = pd.read_parquet(first).head(50 * N_STEPS)
    settings = {"n_networks": 1, "random_state": 0, "n_updates": options.updates}
    forecaster = RNNForecaster(12, **settings)
    forecaster.fit_pieces([few], subsample=len(few) // 2)  # compile, load
    run = functools.partial(fit, options.child, folder, forecaster, options.subsample)
    print(json.dumps(memory_of(run)))


def measure(options):
    """Print a table with a row for each size and method."""
    rows = []
    for n_files in options.files:
        with tempfile.TemporaryDirectory() as folder:
            size = sum(
                write_piece(Path(folder), i, options.series) for i in range(n_files)
            )
            for method in METHODS:
                arguments = ["--child", method, "--folder", folder]
                arguments += ["--subsample", options.subsample]
                arguments += ["--updates", options.updates]
                reply = run_python([__file__, *arguments]).reply
                n_rows = f"{n_files * options.series * N_STEPS:,}"
                cells = [f"{size / MB:.0f}", f"{reply['above'] / MB:.0f}"]
                rows.append(
                    [n_files, n_rows, cells[0], method, *cells[1:]]
                    + [f"{reply['seconds']:.0f}"]
                )
    print(f"\nFiles of {options.series} series of {N_STEPS} steps; subsample of")
    print(f"{options.subsample:,} values, {options.updates} updates\n")
    head = ["files", "rows", "as a frame, MB", "", "above, MB", "seconds"]
    print_table(head, rows)


def parse_arguments():
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="smaller files, and fewer")
    add("--files", type=int, nargs="+", help="default: 10 20 40 80, quick: 4 8")
    add("--series", type=int, help="of each file (default: 2000, quick: 500)")
    add("--subsample", type=int, help="default: 1,000,000, quick: 50,000")
    add("--updates", type=int, default=300, help="minibatches")
    add("--child", choices=METHODS, help=argparse.SUPPRESS)
    add("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    quick = options.quick
    options.files = options.files or ([4, 8] if quick else [10, 20, 40, 80])
    options.series = options.series or (500 if quick else 2000)
    options.subsample = options.subsample or (50_000 if quick else 1_000_000)
    return options


def main():
    """Run the benchmark, or one of its children."""
    options = parse_arguments()
    if options.child:
        child(options)
    else:
        measure(options)


if __name__ == "__main__":
    main()
