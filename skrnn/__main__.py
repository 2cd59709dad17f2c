"""The command line: ``python -m skrnn warmup`` compiles what a first fit would."""

import argparse
import sys
import time
import warnings

from skrnn import __version__

CELLS = ("rnn", "lstm", "gru", "mingru", "janet")
DTYPES = ("float32", "float64")


def main(arguments=None):
    """Run a command; return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    return warmup(options.cells, options.dtypes)


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m skrnn",
        description="Recurrent networks as scikit-learn estimators.",
    )
    parser.add_argument("--version", action="version", version=f"skrnn {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    command = commands.add_parser(
        "warmup",
        help="compile the kernels now, so that no later process has to",
        description="Compile the kernels for this processor, and keep them where "
        "later processes, also those that may only read, find them: in the folder "
        "that NUMBA_CACHE_DIR names, in the package, or in the user's cache folder.",
    )
    for name, choices in {"cells": CELLS, "dtypes": DTYPES}.items():
        command.add_argument(
            f"--{name}",
            nargs="+",
            choices=choices,
            default=choices,
            metavar=name[:-1].upper(),
            help=f"of {', '.join(choices)}; all of them by default",
        )
    return parser


def warmup(cells, dtypes):
    """Compile for these cells and dtypes; return the exit status."""
    # imported here: help and version are quicker without
    import numba

    from skrnn import _jit

    if numba.config.DISABLE_JIT:
        return _refuse("NUMBA_DISABLE_JIT is set: there is nothing to compile.")
    if not _jit.kernel_stamp():
        return _refuse("the package has no source files, so nothing can be kept.")
    folders = ", ".join(map(str, _jit.cache_folders()))
    print(f"Machine code is kept in {_jit.writable_folder() or folders}", flush=True)
    for dtype in dtypes:
        parts = {f"{dtype} {cell}": (_train_sizes, cell) for cell in cells}
        parts[f"{dtype} losses and solvers"] = _train_choices, cells[0]
        if dtype == "float32":  # the only one of forecasts and of texts
            cell = "lstm" if "lstm" in cells else cells[0]
            parts["forecasts"] = _forecast, cell
            parts["texts"] = _write, cell
            parts["translations"] = _translate, cell
        for what, (train, cell) in parts.items():
            _timed(what, train, cell, dtype)
            # a filled folder may be read-only: only what is new must be kept
            if _jit.n_lost():
                return _refuse(
                    f"no folder took the machine code ({folders}). Set NUMBA_CACHE_DIR "
                    "to one that can be written."
                )
    return 0


def _refuse(why):
    print(f"skrnn: {why}", file=sys.stderr)
    return 1


def _timed(what, function, *arguments):
    begin = time.perf_counter()
    function(*arguments)
    print(f"{what}: {time.perf_counter() - begin:.1f} s", flush=True)


N_SAMPLES = 72  # more than a batch


def _samples(dtype):
    """Return sequences of several lengths."""
    import numpy as np

    values = np.random.RandomState(0).normal(size=(N_SAMPLES, 5, 2)).astype(dtype)
    return [steps[: 3 + i % 3] for i, steps in enumerate(values)]


def _train_sizes(cell, dtype):
    """Fit and predict with all arrangements of the lanes, layers and stacks."""
    from skrnn import RNNRegressor
    from skrnn.simd import lane_count

    lanes = lane_count(dtype)
    X = _samples(dtype)
    y = [float(steps.sum()) for steps in X]
    networks = [{"hidden_layer_sizes": sizes} for sizes in [(8,), (64,), (64, 64)]]
    networks += [
        {"hidden_layer_sizes": (8, 8), "activation": activation}
        for activation in ("tanh", "relu", "logistic", "identity")
    ]
    for network in networks:
        for batch_size in (lanes // 2, lanes, 64):  # pairs, one register, two
            network["batch_size"] = batch_size
            model = RNNRegressor(cell=cell, max_iter=1, **network, **_QUIET)
            model.fit(X, y)
            model.predict(X[:1])
            model.predict(X[:64])


def _train_choices(cell, dtype):
    """Fit with every loss and every solver."""
    from skrnn import RNNClassifier, RNNRegressor, RNNTranscriber

    X = _samples(dtype)
    counts = [i % 3 for i in range(N_SAMPLES)]
    quantiles = {"loss": "quantile", "quantile": [0.1, 0.9]}
    losses = ["absolute_error", "huber", "poisson"]
    solvers = ["adamw", "rmsprop", "sgd"]
    for choice in [
        quantiles,
        *({"loss": loss} for loss in losses),
        *({"solver": solver} for solver in solvers),
    ]:
        RNNRegressor((8,), cell=cell, max_iter=1, **choice, **_QUIET).fit(X, counts)
    for loss in ("log_loss", "squared_error"):
        for y in (counts, [count > 0 for count in counts]):
            model = RNNClassifier((8,), cell=cell, max_iter=1, loss=loss, **_QUIET)
            model.fit(X, y)
    texts = ["ab"[: 1 + count % 2] for count in counts]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # after an epoch it writes nothing
        RNNTranscriber((8,), cell=cell, max_iter=1, **_QUIET).fit(X, texts)


def _forecast(cell, dtype):
    """Fit and forecast two series."""
    import numpy as np

    from skrnn import RNNForecaster

    series = np.sin(np.arange(60.0) * np.pi / 6)
    for season_length in (1, 12):
        for quantiles in (None, [0.1, 0.9]):
            forecaster = RNNForecaster(
                2,
                season_length=season_length,
                cell=cell,
                quantiles=quantiles,
                n_updates=20,
                n_networks=1,
                random_state=0,
            )
            forecaster.fit(series).predict()


def _write(cell, dtype):
    """Fit language models, and write with them."""
    from skrnn import RNNLanguageModel

    texts = ["to be or not to be " * 10, "that is the question " * 3]
    for outputs in ({}, {"tied": True}, {"cutoffs": (3, 6)}):
        for sizes, batch_size in [((8,), 4), ((64,), 32), ((64, 64), 32)]:
            model = RNNLanguageModel(
                sizes,
                cell=cell,
                max_iter=1,
                bptt_steps=4,
                batch_size=batch_size,
                **outputs,
                **_QUIET,
            )
            model.fit(texts).score(texts)
            model.generate("to", 2)
            model.generate(["to"] * 40, 2)


def _translate(cell, dtype):
    """Fit models from texts to texts, and let them write."""
    from skrnn import RNNSeq2Seq

    X = ["to be or", "not to be", "that is the"] * 12
    y = ["or be to", "be to not", "the is that"] * 12
    for attention in ("dot", "additive", None):
        for sizes, batch_size in [((8,), 4), ((64,), 16), ((64, 64), 64)]:
            model = RNNSeq2Seq(
                sizes,
                cell=cell,
                attention=attention,
                max_iter=1,
                batch_size=batch_size,
                **_QUIET,
            )
            model.fit(X, y).log_prob(X, y)
            model.predict(X[:1])
            model.set_params(beam_width=3).predict(X)


_QUIET = {"n_iter_no_change": float("inf"), "random_state": 0}

if __name__ == "__main__":
    sys.exit(main())
