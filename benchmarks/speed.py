"""Time skrnn's public fit and predict beside PyTorch, JAX, Keras and onnxruntime.

    python benchmarks/speed.py --quick
    python benchmarks/speed.py --cells lstm --rows 32,32,50,1 256,8,500,256,2
    python benchmarks/speed.py --json speed.json --plot speed.png --roofline roof.png

Every library runs in a child process of its own and they take turns, round by round,
so that a slow moment of the machine meets all of them. Of each library the best round
at its best number of threads counts. What is not installed is skipped.

A row is H, B, T, F: units, sequences in a batch, time steps, channels; a fifth number
is the number of layers. A step of training is forward, backpropagation through time and
Adam on one shuffled minibatch of data in memory, with the squared error of one output
from the last state; its time is the marginal one, so that the fixed costs of a fit
(validation, standardization; listed below the table) and compilation are outside it, as
they are for the peers. A prediction is one call on one batch, NumPy arrays in and out;
*inside* is skrnn's without the checks of `predict`.

The share of the peak is that of the arithmetic which a step's products cannot do
without (`Work.operations`), against what the same number of cores does in fused
multiply-adds alone: the best of all rounds, measured between the libraries. It is that
of a whole step of training, and of the inside of a prediction.
"""

import argparse
import json
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path

import report
from peers.protocol import N_GATES, Child, Work, cores, missing_packages

CELLS = list(N_GATES)
GRID = {
    "fit": [
        (8, 32, 24, 1),
        (16, 32, 50, 1),
        (32, 32, 50, 1),
        (64, 32, 50, 8),
        (128, 32, 50, 8),
        (128, 128, 100, 8),
        (256, 64, 100, 16),
        (256, 8, 500, 256, 2),
    ],
    "predict": [
        (16, 1, 50, 1),
        (16, 256, 50, 1),
        (64, 256, 50, 8),
        (128, 1, 100, 8),
        (128, 256, 100, 8),
        (256, 64, 100, 16),
    ],
}
# Name of the peer: what it needs installed.
PEERS = {
    "torch": ("torch",),
    "jax": ("jax",),
    "keras": ("keras",),
    "onnx": ("onnxruntime", "onnx"),
    "skrnn": ("scikit-learn", "numba"),
    "inside": ("scikit-learn", "numba"),
    "peak": ("numba", "llvmlite"),
}
PREDICT_ONLY = {"onnx", "inside"}  # onnxruntime cannot train
# Of all rows with --quick: one that has spent its share has no second round.
QUICK_SECONDS = 120


def parse_arguments():
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--quick", action="store_true", help="under three minutes: few rounds, no Keras"
    )
    add("--tasks", nargs="+", choices=GRID, default=list(GRID))
    add("--cells", nargs="+", choices=CELLS, default=CELLS)
    add("--rows", nargs="+", type=parse_row, metavar="H,B,T,F[,layers]")
    add("--peers", nargs="+", choices=PEERS, help="default: all that are installed")
    add("--rounds", type=int, help="measurements of each (default: 5, quick: 1 or 2)")
    add("--seconds", type=float, help="of one measurement (default: 0.3, quick: 0.03)")
    add("--dtype", choices=["float32", "float64"], default="float32")
    add("--json", type=Path, metavar="OUT", help="write every measurement")
    add("--plot", type=Path, metavar="OUT.png", help="draw the ratios (matplotlib)")
    add("--roofline", type=Path, metavar="OUT.png", help="draw the shares of the peak")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (0.03 if options.quick else 0.3)
    if options.peers is None:
        # Compiling each row anew, Keras alone would take longer than all others.
        options.peers = [name for name in PEERS if name != "keras" or not options.quick]
    return options


def parse_row(text):
    """Return (H, B, T, F) or (H, B, T, F, layers)."""
    row = tuple(map(int, text.split(",")))
    if len(row) not in (4, 5) or min(row) < 1:
        raise argparse.ArgumentTypeError(f"not H,B,T,F or H,B,T,F,layers: {text}")
    return row


def make_works(options):
    """Return every row of every task."""
    return [
        Work(task, cell, *row[:4], *(row[4:] or (1,)), options.dtype)
        for task in options.tasks
        for row in options.rows or GRID[task]
        for cell in options.cells
    ]


def start_children(names):
    """Return the processes that start, by peer, and the versions they run."""
    missing = {name: missing_packages(PEERS[name]) for name in names}
    # All at once: they spend their first seconds importing.
    starting = {name: Child(f"{name}_peer") for name in names if not missing[name]}
    children, versions = {}, {"python": platform.python_version()}
    for name in names:
        if name not in starting:
            print(f"{name} is skipped: not installed: {', '.join(missing[name])}")
            continue
        try:
            versions |= starting[name].versions()
            children[name] = starting[name]
        except RuntimeError as error:
            print(f"{name} is skipped: its {error}")
    return children, versions


def measure_all(works, children, options):
    """Return the results of all rows; with --quick each has its share of the time."""
    end = time.monotonic() + (QUICK_SECONDS if options.quick else float("inf"))
    results = []
    for i, work in enumerate(works):
        now = time.monotonic()
        deadline = now + (end - now) / (len(works) - i)
        results.append(measure_row(work, children, options, deadline))
        row = f"{work.task} {work.cell} {report.row_label(asdict(work))}"
        took = time.monotonic() - now
        print(f"{i + 1}/{len(works)} {row}: {took:.1f} s", file=sys.stderr)
        # Compiling skrnn's kernels happens once on a machine, and is not counted.
        notes = results[-1]["notes"].get("skrnn", {})
        end += notes.get("first_fit_seconds", 0.0)
    return results


def measure_row(work, children, options, deadline):
    """Return every measurement of one row, the peers taking turns."""
    result = asdict(work) | {"operations": work.operations}
    result |= {"seconds": {}, "notes": {}, "errors": {}}

    def give_up(name, error):
        print(f"{name} has no {report.row_label(result)} {work.cell}: {error}")
        result["errors"][name] = str(error)
        result["seconds"].pop(name, None)

    for name, child in children.items():
        if work.task == "fit" and name in PREDICT_ONLY:
            continue
        try:
            notes = child.prepare(work, options.seconds, options.quick)
            result["notes"][name], result["seconds"][name] = notes, {}
        except RuntimeError as error:
            give_up(name, error)
    for n_done in range(options.rounds):
        if n_done and time.monotonic() > deadline:
            break
        for name in list(result["seconds"]):
            time.sleep(0.02)  # the previous library's idle threads stop spinning
            try:
                for threads, value in children[name].measure().items():
                    result["seconds"][name].setdefault(threads, []).append(value)
            except RuntimeError as error:
                give_up(name, error)
    return result | {"summary": report.summarize(result["seconds"])}


def cpu_name():
    """Return the processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            x.split(":")[1].strip() for x in lines if x.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    """Run the benchmark."""
    options = parse_arguments()
    children, versions = start_children(options.peers)
    machine = {"cpu": cpu_name(), "cores": cores(), "versions": versions}
    named = ", ".join(f"{name} {number}" for name, number in versions.items())
    print(f"{machine['cpu']}, {machine['cores']} cores; {named}; {options.dtype}")
    results = measure_all(make_works(options), children, options)
    for child in children.values():
        child.close()
    report.add_shares(results)
    report.print_machine(results)
    for task in options.tasks:
        done = [result for result in results if result["task"] == task]
        report.print_results(task, done, list(children))
    report.print_notes(results)
    if options.json:
        contents = {"machine": machine, "dtype": options.dtype, "results": results}
        options.json.write_text(json.dumps(contents, indent=1) + "\n")
    if options.plot:
        report.plot_ratios(results, options.plot)
    if options.roofline:
        report.plot_roofline(results, options.roofline)


if __name__ == "__main__":
    main()
