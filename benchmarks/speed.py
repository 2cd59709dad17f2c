"""Time skrnn's public fit and predict beside PyTorch, JAX, Keras and onnxruntime.

    python benchmarks/speed.py --quick
    python benchmarks/speed.py --cells lstm --rows 32,32,50,1 --plot speed.png

Every library runs in a child process of its own and they take turns, round by round,
so that a slow moment of the machine meets all of them. Of each library the best round
at its best number of threads counts. What is not installed is skipped.

A row is H, B, T, F: units, sequences in a batch, time steps, channels. A step of
training is forward, backpropagation through time and Adam on one shuffled minibatch
of data in memory, with the squared error of one output from the last state; its time
is the marginal one, so that the fixed costs of a fit (validation, standardization;
listed below the table) and compilation are outside it, as they are for the peers. A
prediction is one call on one batch, NumPy arrays in and out.
"""

import argparse
import json
import platform
import time
from dataclasses import asdict
from pathlib import Path
from statistics import median

from peers.protocol import Child, Work, cores, missing_packages

CELLS = ["rnn", "lstm", "gru"]
GRID = {
    "fit": [
        (8, 32, 24, 1),
        (16, 32, 50, 1),
        (32, 32, 50, 1),
        (64, 32, 50, 8),
        (128, 32, 50, 8),
        (128, 128, 100, 8),
        (256, 64, 100, 16),
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
TITLES = {
    "fit": "Training, milliseconds per step (threads)",
    "predict": "Prediction, milliseconds per call (threads)",
}
# Name of the peer: what it needs installed.
PEERS = {
    "torch": ("torch",),
    "jax": ("jax",),
    "keras": ("keras",),
    "onnx": ("onnxruntime", "onnx"),
    "skrnn": ("scikit-learn", "numba"),
}
# Of one task with --quick: on a slow machine the last, large rows are left out.
QUICK_SECONDS = 75
# onnxruntime cannot train.
PREDICT_ONLY = {"onnx"}


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
    add("--rows", nargs="+", type=parse_row, metavar="H,B,T,F", help="instead of all")
    add("--peers", nargs="+", choices=PEERS, help="default: all that are installed")
    add("--rounds", type=int, help="measurements of each (default: 5, quick: 2)")
    add("--seconds", type=float, help="of one measurement (default: 0.3, quick: 0.05)")
    add("--dtype", choices=["float32", "float64"], default="float32")
    add("--json", type=Path, metavar="OUT", help="write every measurement")
    add("--plot", type=Path, metavar="OUT.png", help="draw the ratios (matplotlib)")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (0.05 if options.quick else 0.3)
    if options.peers is None:
        # Compiling each row anew, Keras alone would take longer than all others.
        options.peers = [name for name in PEERS if name != "keras" or not options.quick]
    return options


def parse_row(text):
    """Return (H, B, T, F)."""
    n_units, batch_size, n_timesteps, n_channels = map(int, text.split(","))
    return n_units, batch_size, n_timesteps, n_channels


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


def measure_task(task, children, options):
    """Return the results of one task's rows, of as many as there is time for."""
    rows = options.rows or GRID[task]
    works = [Work(task, c, *r, options.dtype) for r in rows for c in options.cells]
    deadline = time.monotonic() + (QUICK_SECONDS if options.quick else float("inf"))
    done = []
    while works and time.monotonic() < deadline:
        work = works.pop(0)
        result = measure_row(work, children, options.rounds, options.seconds)
        # Compiling skrnn's kernels happens once on a machine, and is not counted.
        deadline += result["notes"].get("skrnn", {}).get("first_fit_seconds", 0.0)
        done.append(result)
    for work in works:
        print(f"No time for {task} {work.cell} {row_label(asdict(work))}")
    return done


def measure_row(work, children, rounds, seconds):
    """Return every measurement of one row, the peers taking turns."""
    result = asdict(work) | {"seconds": {}, "notes": {}, "errors": {}}

    def give_up(name, error):
        print(f"{name} has no {row_label(result)} {work.cell}: {error}")
        result["errors"][name] = str(error)
        result["seconds"].pop(name, None)

    for name, child in children.items():
        if work.task == "fit" and name in PREDICT_ONLY:
            continue
        try:
            result["notes"][name] = child.prepare(work, seconds)
            result["seconds"][name] = {}
        except RuntimeError as error:
            give_up(name, error)
    for _ in range(rounds):
        for name in list(result["seconds"]):
            time.sleep(0.02)  # the previous library's idle threads stop spinning
            try:
                for threads, value in children[name].measure().items():
                    result["seconds"][name].setdefault(threads, []).append(value)
            except RuntimeError as error:
                give_up(name, error)
    return result | {"summary": summarize(result["seconds"])}


def summarize(measurements):
    """Return for each peer the best time, its threads, and their median time."""
    summary = {}
    for name, by_threads in measurements.items():
        threads = min(by_threads, key=lambda n: min(by_threads[n]))
        summary[name] = {
            "threads": threads,
            "best": min(by_threads[threads]),
            "median": median(by_threads[threads]),
        }
    return summary


def ratio(result):
    """Return the best peer's time divided by skrnn's, or None without both."""
    others = [s["best"] for name, s in result["summary"].items() if name != "skrnn"]
    if not others or "skrnn" not in result["summary"]:
        return None
    return min(others) / result["summary"]["skrnn"]["best"]


def print_table(task, results, names):
    """Print one task's rows as a Markdown table, and the worst ratio."""
    names = [n for n in names if any(n in r["summary"] for r in results)]
    print(f"\n{TITLES[task]}\n")
    print("| H, B, T, F | cell | " + " | ".join(names) + " | best peer / skrnn |")
    print("|---|---|" + "---|" * len(names) + "---|")
    for result in results:
        times = [format_time(result["summary"].get(name)) for name in names]
        value = ratio(result)
        times.append("–" if value is None else f"{value:.2f}")
        print(f"| {row_label(result)} | {result['cell']} | {' | '.join(times)} |")
    if ratios := [(value, r) for r in results if (value := ratio(r)) is not None]:
        value, worst = min(ratios, key=lambda pair: pair[0])
        print(f"\nWorst ratio: {value:.2f} ({worst['cell']} {row_label(worst)})")


def print_notes(results):
    """Print what a fit of skrnn costs besides its steps."""
    fits = [r["notes"]["skrnn"] for r in results if r["notes"].get("skrnn")]
    if first := [f["first_fit_seconds"] for f in fits if "first_fit_seconds" in f]:
        print(f"\nLoading or compiling skrnn's kernels: up to {max(first):.2f} s, once")
    key = "fixed_seconds_of_a_fit"
    if fixed := [1e3 * f[key] for f in fits if key in f]:
        print(f"Fixed cost of a fit: {min(fixed):.1f} to {max(fixed):.1f} ms")


def row_label(result):
    """Return "H, B, T, F"."""
    keys = ["n_units", "batch_size", "n_timesteps", "n_channels"]
    return ", ".join(str(result[key]) for key in keys)


def format_time(summary):
    """Return milliseconds to three digits and the number of threads."""
    if summary is None:
        return "–"
    milliseconds = float(f"{1e3 * summary['best']:.3g}")
    return f"{milliseconds:g} ({summary['threads']})"


def cpu_name():
    """Return the processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            x.split(":")[1].strip() for x in lines if x.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def plot_ratios(results, path):
    """Draw the best peer's time over skrnn's, one panel a task, one line a cell."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    tasks = list(dict.fromkeys(r["task"] for r in results if ratio(r) is not None))
    if not tasks:
        print("Nothing to draw: no row has both skrnn and a peer")
        return
    figure, axes = plt.subplots(
        1, len(tasks), figsize=(5.5 * len(tasks), 4.5), squeeze=False, sharey=True
    )
    for task, axis in zip(tasks, axes[0], strict=True):
        for cell in CELLS:
            rows = [r for r in results if (r["task"], r["cell"]) == (task, cell)]
            rows = [r for r in rows if ratio(r) is not None]
            if not rows:
                continue
            axis.plot(
                [row_label(r) for r in rows], [*map(ratio, rows)], "o-", label=cell
            )
        axis.axhline(1.0, color="grey", linewidth=0.8)
        axis.set(title=TITLES[task].split(",")[0], xlabel="H, B, T, F", yscale="log")
        axis.tick_params(axis="x", rotation=60)
    axes[0, 0].set_ylabel("times faster than the best peer")
    axes[0, 0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main():
    """Run the benchmark."""
    options = parse_arguments()
    children, versions = start_children(options.peers)
    machine = {"cpu": cpu_name(), "cores": cores(), "versions": versions}
    named = ", ".join(f"{name} {number}" for name, number in versions.items())
    print(f"{machine['cpu']}, {machine['cores']} cores; {named}; {options.dtype}")
    results = []
    for task in options.tasks:
        done = measure_task(task, children, options)
        print_table(task, done, list(children))
        results += done
    print_notes(results)
    for child in children.values():
        child.close()
    if options.json:
        report = {"machine": machine, "dtype": options.dtype, "results": results}
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.plot:
        plot_ratios(results, options.plot)


if __name__ == "__main__":
    main()
