"""How time and memory of skrnn grow with samples, steps and ragged lengths.

    python benchmarks/growth.py --quick
    python benchmarks/growth.py --only ragged --cell gru
    python benchmarks/growth.py --only memory --big

Time: twice the samples or steps should take twice as long, and a ragged data set as
long as one of equal lengths with as many steps in all; *padded* is what padding each
batch to the longest sequence of all would take. The shortest of several rounds counts,
in which the data sets take turns.

Memory: of a child process; *above the data* is the most that was resident in `fit` and
`predict` beyond what was resident before, with the data, the libraries and kernels
loaded. `--big` adds a memmap of 4 GB in a sparse file: its pages are resident
while the system has nothing better to keep, so they are told apart where it tells.
"""

import argparse
import functools
import json
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from processes import peak_memory, run_python
from report import print_table
from skrnn import RNNRegressor

MB = 2**20
SHORTEST, LONGEST = 10, 1000  # of the ragged data sets


def make_regressor(options, n_epochs=1, **settings):
    """Return an estimator that trains for n_epochs."""
    return RNNRegressor(
        cell=options.cell,
        hidden_layer_sizes=(options.units,),
        max_iter=n_epochs,
        n_iter_no_change=n_epochs + 1,
        random_state=0,
        n_jobs=options.n_jobs,
        **settings,
    )


# Time ---------------------------------------------------------------------------------


def equal_lengths(n_samples, n_timesteps):
    """Return X (n_samples, n_timesteps, 1) and y."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, n_timesteps, 1), np.float32)
    return X, rng.standard_normal(n_samples, np.float32)


def ragged(lengths):
    """Return a list of sequences of these lengths, and y."""
    steps, _ = equal_lengths(1, int(lengths.sum()))
    X = np.split(steps[0], np.cumsum(lengths)[:-1])
    return X, equal_lengths(len(lengths), 1)[1]


def ragged_lengths(n_samples):
    """Return lengths by name: those of two distributions over SHORTEST to LONGEST."""
    rng = np.random.default_rng(1)
    heavy = SHORTEST * (1 + rng.pareto(0.8, n_samples))
    return {
        "uniform": rng.integers(SHORTEST, LONGEST + 1, n_samples),
        "heavy tail": np.clip(heavy, SHORTEST, LONGEST).astype(np.int64),
    }


def shortest_seconds(functions, rounds):
    """Return the shortest time of each function, which take turns."""
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            begin = time.perf_counter()
            function()
            best[name] = min(best[name], time.perf_counter() - begin)
    return best


def fit_and_predict_seconds(data_sets, options):
    """Return the seconds of fit and of predict, each by name of the data set."""
    models = {name: make_regressor(options).fit(*d) for name, d in data_sets.items()}
    fits = {name: lambda n=name: models[n].fit(*data_sets[n]) for name in models}
    predictions = {
        name: lambda n=name: models[n].predict(data_sets[n][0]) for name in models
    }
    return [shortest_seconds(f, options.rounds) for f in (fits, predictions)]


def print_growth(title, data_sets, options):
    """Print times of data sets that double in size, and their ratios to the first."""
    fit, predict = fit_and_predict_seconds(data_sets, options)
    first = next(iter(data_sets))
    rows = [
        [
            name,
            f"{fit[name]:.3f}",
            f"{fit[name] / fit[first]:.2f}",
            f"{1e3 * predict[name]:.1f}",
            f"{predict[name] / predict[first]:.2f}",
        ]
        for name in data_sets
    ]
    print(f"\n{title}\n")
    print_table(["", "fit, s", "times", "predict, ms", "times"], rows)


def measure_samples(options):
    """Print the times of n, 2 n and 4 n samples."""
    n = 256 if options.quick else 2048
    sets = {f"{k * n} samples": equal_lengths(k * n, 50) for k in (1, 2, 4)}
    print_growth("Samples, of 50 steps", sets, options)


def measure_steps(options):
    """Print the times of T, 2 T and 4 T steps."""
    n = 256 if options.quick else 1024
    sets = {f"{k * 100} steps": equal_lengths(n, k * 100) for k in (1, 2, 4)}
    print_growth(f"Steps, of {n} samples", sets, options)


def measure_ragged(options):
    """Print the times of ragged data relative to equal lengths, step by step."""
    n = 128 if options.quick else 1024
    rows = []
    for name, lengths in ragged_lengths(n).items():
        equal = equal_lengths(n, max(1, round(lengths.mean())))
        sets = {"ragged": ragged(lengths), "equal": equal}
        total = {"ragged": lengths.sum(), "equal": equal[0].size}
        times = fit_and_predict_seconds(sets, options)
        per_step = [t["ragged"] / t["equal"] * total["equal"] for t in times]
        ratios = [f"{value / total['ragged']:.2f}" for value in per_step]
        padded = f"{lengths.max() * n / total['ragged']:.2f}"
        rows.append([name, total["ragged"], *ratios, padded])
    print(f"\n{n} sequences of {SHORTEST} to {LONGEST} steps: time of a step relative")
    print("to equal lengths with as many steps in all\n")
    print_table(["lengths", "steps", "fit", "predict", "padded"], rows)


# Memory -------------------------------------------------------------------------------


def resident():
    """Return the bytes now resident, and those of them that belong to no file.

    The pages of mapped files cost no memory that another program could need.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not Linux: the peak alone is known
        return peak_memory() or 0, 0
    sizes = dict(line.split(":", 1) for line in lines)
    return [1024 * int(sizes[key].split()[0]) for key in ("VmRSS", "RssAnon")]


def memory_of(run):
    """Return the time of run(), and its memory above what was resident before."""
    samples, done = [resident()], threading.Event()
    peak_before = peak_memory()

    def watch():
        while not done.wait(0.005):
            samples.append(resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin = time.perf_counter()
    run()
    seconds = time.perf_counter() - begin
    done.set()
    watcher.join()
    total, anonymous = np.max(samples, axis=0).tolist()
    if peak_memory() != peak_before:  # a new one, and no sample can have missed it
        total = max(total, peak_memory())
    return {
        "seconds": seconds,
        "total": total,
        "above": total - samples[0][0],
        "anonymous_above": anonymous - samples[0][1],
    }


def random_array(options):
    """Return X of shape (samples, 50, 1), drawn in place."""
    X = np.empty((options.samples, 50, 1), np.float32)
    np.random.default_rng(0).standard_normal(out=X, dtype=np.float32)
    return X


def sparse_memmap(path, n_bytes, n_timesteps=1000, n_channels=10):
    """Return a memmap of shape (samples, 1000, 10), zeros but for a first number."""
    n_samples = n_bytes // (4 * n_timesteps * n_channels)
    shape = (n_samples, n_timesteps, n_channels)
    X = np.memmap(path, np.float32, "w+", shape=shape)
    # A page for each sequence: no two are equal, and the file stays small.
    X[:, 0, 0] = np.random.default_rng(0).standard_normal(n_samples)
    X.flush()
    return np.memmap(path, np.float32, "r", shape=shape)


def memory_child(options):
    """Fit and predict in this process; print the memory as JSON."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    model = make_regressor(options, batch_size=256)
    with tempfile.TemporaryDirectory() as folder:
        if options.child == "memmap":
            X = sparse_memmap(Path(folder) / "X", 4 * 10**9)
        else:
            X = random_array(options)
        y = np.random.default_rng(1).standard_normal(len(X), np.float32)
        model.fit(X[:512], y[:512]).predict(X[:512])  # compile, load
        reply = {"data": X.nbytes}
        reply["fit"] = memory_of(functools.partial(model.fit, X, y))
        reply["predict"] = memory_of(functools.partial(model.predict, X))
    print(json.dumps(reply))


def measure_memory(options):
    """Print the memory of large data sets, each in a process of its own."""
    rows = []
    for kind in ["array", "memmap"] if options.big else ["array"]:
        child = ["--child", kind, "--cell", options.cell, "--units", options.units]
        child += ["--samples", options.samples, "--n-jobs", options.n_jobs]
        reply = run_python([__file__, *child]).reply
        for task in ("fit", "predict"):
            sizes = [f"{reply[task][key] / MB:.0f}" for key in KEYS]
            name = f"{kind} of {reply['data'] / MB:.0f} MB"
            rows.append([name, task, f"{reply[task]['seconds']:.1f}", *sizes])
    print(f"\nMemory, MB; the array holds {options.samples} samples of 50 steps\n")
    head = ["data", "", "seconds", "above the data", "without files", "in all"]
    print_table(head, rows)


KEYS = ["above", "anonymous_above", "total"]
MEASURES = {
    "samples": measure_samples,
    "steps": measure_steps,
    "ragged": measure_ragged,
    "memory": measure_memory,
}


def parse_arguments():
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="less data, fewer rounds")
    add("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    add("--cell", choices=["rnn", "lstm", "gru"], default="lstm")
    add("--units", type=int, default=16)
    add("--n-jobs", type=int, default=1)
    add("--rounds", type=int, help="of each time (default: 5, quick: 2)")
    add("--samples", type=int, help="of the array (default: 1,000,000, quick: 100,000)")
    add("--big", action="store_true", help="also a memmap of 4 GB, some minutes")
    add("--child", choices=["array", "memmap"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.samples = options.samples or (100_000 if options.quick else 1_000_000)
    return options


def main():
    """Run the benchmark, or one of its children."""
    options = parse_arguments()
    if options.child:
        memory_child(options)
        return
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name in options.only:
        MEASURES[name](options)


if __name__ == "__main__":
    main()
