"""What a new process of skrnn costs before its first result, and `predict` of one.

    python benchmarks/startup.py --quick
    python benchmarks/startup.py --only fit --cells lstm --dtypes float64

Import: seconds of `import sklearn` and, in the same process, of `import skrnn` after
it, alone and with an estimator; MLPRegressor's beside it. Fit: each in a new process,
first with an empty cache of kernels, then with the one that was left behind; what the
first fit takes above a second one is for kernels. Predict: microseconds that the public
`predict` of one sample adds to the network's own work.
"""

import argparse
import json
import os
import tempfile
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from processes import run_python
from report import print_table

CELLS = ["rnn", "lstm", "gru"]
DTYPES = ["float32", "float64"]
# What is timed: what has run before.
IMPORTS = {
    "import sklearn": "",
    "import skrnn": "import sklearn",
    "from skrnn import RNNRegressor": "import sklearn",
    "from sklearn.neural_network import MLPRegressor": "import sklearn",
    "import pandas": "",
    "import numba": "",
}
IMPORT = """
import json, sys, time
exec(sys.argv[2])
begin = time.perf_counter()
exec(sys.argv[1])
seconds = time.perf_counter() - begin
loaded = [name for name in ("numba", "pandas", "scipy") if name in sys.modules]
print(json.dumps({"seconds": seconds, "loaded": loaded}))
"""


def measure_imports(options):
    """Print the seconds of imports, the best of several processes that take turns."""
    replies = {name: [] for name in IMPORTS}
    for _ in range(options.rounds):
        for statement, before in IMPORTS.items():
            reply = run_python(["-c", IMPORT, statement, before]).reply
            replies[statement].append(reply)
    rows = []
    for statement, before in IMPORTS.items():
        seconds = min(reply["seconds"] for reply in replies[statement])
        loaded = ", ".join(replies[statement][0]["loaded"])
        rows.append([f"`{statement}`", before, f"{seconds:.3f}", loaded])
    print("\nImport in a new process, best of several\n")
    print_table(["", "after", "seconds", "are loaded then"], rows)


def make_regressor(cell, n_units):
    """Return an estimator that trains for one epoch."""
    from skrnn import RNNRegressor

    return RNNRegressor(
        cell=cell, hidden_layer_sizes=(n_units,), max_iter=1, random_state=0
    )


def fit_child(cell, dtype):
    """Fit and predict three times in this process; print the seconds as JSON."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((64, 20, 1)).astype(dtype)
    y = rng.standard_normal(64).astype(dtype)
    model = make_regressor(cell, 16)

    def seconds(function, *data):
        begin = time.perf_counter()
        function(*data)
        return time.perf_counter() - begin

    fits = [seconds(model.fit, X, y) for _ in range(3)]
    predictions = [seconds(model.predict, X) for _ in range(3)]
    print(json.dumps({"fit": fits, "predict": predictions}))


def measure_fits(options):
    """Print the first and second fit of each cell and dtype, cold and warm."""
    rows = []
    for cell in options.cells:
        for dtype in options.dtypes:
            with tempfile.TemporaryDirectory() as folder:
                child = [__file__, "--child", cell, dtype]
                runs = [
                    run_python(child, NUMBA_CACHE_DIR=folder)
                    for _ in range(1 + options.rounds)
                ]
                files = [f for _, _, names in os.walk(folder) for f in names]
            cold, *warm = (run.reply for run in runs)
            best = min(warm, key=lambda reply: reply["fit"][0] + reply["predict"][0])
            rows.append([cell, dtype, len(files), *costs(cold), *costs(best)])
    print("\nSeconds of a first call above a later one, in new processes\n")
    head = ["cell", "dtype", "files", "empty cache: fit", "predict", "second fit"]
    print_table([*head, "warm cache: fit", "predict", "second fit"], rows)


def costs(reply):
    """Return the costs of a first fit and predict, and the time of a later fit."""
    extra = [reply[task][0] - min(reply[task][1:]) for task in ("fit", "predict")]
    return [f"{x:.3f}" for x in (*extra, min(reply["fit"][1:]))]


def call_microseconds(function, data, seconds=0.1):
    """Return the shortest of many calls."""
    end, best = time.perf_counter() + seconds, float("inf")
    while (begin := time.perf_counter()) < end:
        function(data)
        best = min(best, time.perf_counter() - begin)
    return 1e6 * best


def one_sample(cell, shape, rounds):
    """Return the microseconds of the public predict of one sample, and of its inside.

    `shape` is H, B, T, F.
    """
    from skrnn.sequences import check_sequences

    rng = np.random.default_rng(0)
    n_units, n_samples, *of_a_sample = shape
    X = rng.standard_normal((64, *of_a_sample), np.float32)
    model = make_regressor(cell, n_units).fit(X, rng.standard_normal(64))
    X = X[:n_samples].copy()
    data = check_sequences(model, X, reset=False, n_channels=model.n_channels)
    public, inside = [], []
    for _ in range(rounds):
        public.append(call_microseconds(model.predict, X))
        inside.append(call_microseconds(model._predict_raw, data))
    return min(public), min(inside)


def measure_one_sample(options):
    """Print what the public predict takes on one sample, and what is network."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows = []
    for shape in [(16, 1, 50, 1), (128, 1, 100, 8)]:
        for cell in options.cells:
            public, inside = one_sample(cell, shape, options.rounds)
            numbers = [f"{x:.0f}" for x in (public, inside, public - inside)]
            rows.append([", ".join(map(str, shape)), cell, *numbers])
    print("\nPrediction of one sample, microseconds, the shortest of many calls\n")
    print_table(["H, B, T, F", "cell", "predict", "inside", "overhead"], rows)


MEASURES = {
    "import": measure_imports,
    "fit": measure_fits,
    "predict": measure_one_sample,
}


def parse_arguments():
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="the lstm in float32, two rounds")
    add("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    add("--cells", nargs="+", choices=CELLS)
    add("--dtypes", nargs="+", choices=DTYPES)
    add("--rounds", type=int, help="processes of each (default: 5, quick: 2)")
    add("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.cells = options.cells or (["lstm"] if options.quick else CELLS)
    options.dtypes = options.dtypes or (["float32"] if options.quick else DTYPES)
    options.rounds = options.rounds or (2 if options.quick else 5)
    return options


def main():
    """Run the benchmark, or one of its children."""
    options = parse_arguments()
    if options.child:
        fit_child(*options.child)
        return
    for name in options.only:
        MEASURES[name](options)


if __name__ == "__main__":
    main()
