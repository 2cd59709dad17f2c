"""Forecast the M3 competition and M4's hourly series, beside what others forecast.

    python benchmarks/forecasting.py --data FOLDER --quick
    python benchmarks/forecasting.py --only m3_yearly m4_hourly --methods skrnn naive2
    python benchmarks/forecasting.py --methods skrnn --seeds 5 --networks 10
    python benchmarks/forecasting.py --coverage --seeds 3
    python benchmarks/forecasting.py --save FOLDER

Every method sees the training parts alone, and the same settings forecast every group:
what differs between groups, a method decides from the horizon, the times and the data.
A group's score is the mean over its series of a series' mean over the horizon, in the
mean over seeds; *OWA* is the mean of sMAPE and MASE divided by those of Naive2 (as in
M4), and *seconds* those of a fit with its forecasts. statsforecast is skipped where it
is not installed.

`--save` writes each method's forecasts of each group with the last seed as CSV
(`series_id,h,value`). The series are not part of the project: `--data`, or SKRNN_DATA,
names a folder with m3.csv.gz, m3_info.csv and m3_reference_forecasts.csv.gz, made from
robjhyndman/Mcomp, and m4_hourly.csv.gz, from Mcompetitions/M4-methods (both on GitHub).
"""

import argparse
import functools
import json
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

import competitions
from competitions import GROUPS, M3_BARS
from forecasters import METHODS, skrnn_coverage
from peers.protocol import missing_packages
from report import print_table
from skrnn.metrics import (
    mean_absolute_scaled_error,
    symmetric_mean_absolute_percentage_error,
)

NOTES = """
sMAPE of others: *classical*: the best of AutoETS, Theta and DynamicOptimizedTheta;
*prototype*: ten PyTorch networks; *reach, one* must hold for a single network and
*reach* for an ensemble; *aim*: where the field's best stands.
"""

LEVELS = (80, 95)  # of intervals, in percent
STATSFORECAST = {"AutoETS", "AutoTheta", "DynamicOptimizedTheta"}
RANDOM = {
    "boosted_trees",
    "skrnn_one_network",
    "skrnn",
}  # the others have no use for a seed
SLOW = {("AutoETS", "m4_hourly")}  # half an hour

# Scores -------------------------------------------------------------------------------


def score(data, forecasts):
    """Return the sMAPE and the MASE of each series."""
    smape = symmetric_mean_absolute_percentage_error(data.test, forecasts, average=None)
    mase = mean_absolute_scaled_error(
        data.test,
        forecasts,
        data.train,
        season_length=data.group.season_length,
        average=None,
    )
    return np.stack([smape, mase])


def summarize(scores, baseline, weights=None):
    """Return sMAPE, MASE and OWA of many series (2, n_series)."""
    smape, mase = np.average(scores, axis=1, weights=weights)
    over = [smape, mase] / np.average(baseline, axis=1, weights=weights)
    return {"smape": smape, "mase": mase, "owa": float(over.mean())}


# Runs ---------------------------------------------------------------------------------


def run_method(name, method, data, options):
    """Return the scores of each seed, and the seconds it took."""
    seeds = range(options.seed, options.seed + options.seeds)
    result = {"scores": [], "seconds": []}
    for seed in list(seeds) if name in RANDOM else [options.seed]:
        begin = time.perf_counter()
        forecasts = method(data, seed)
        result["seconds"].append(time.perf_counter() - begin)
        result["scores"].append(score(data, forecasts))
    if options.save:
        options.save.mkdir(parents=True, exist_ok=True)
        save(options.save / f"{name}_{data.name}.csv", data, forecasts)
    return result


def save(path, data, forecasts):
    """Write forecasts as series_id, h, value."""
    n_series, horizon = forecasts.shape
    columns = {
        "series_id": np.repeat(data.ids, horizon),
        "h": np.tile(np.arange(1, horizon + 1), n_series),
        "value": forecasts.ravel(),
    }
    pd.DataFrame(columns).to_csv(path, index=False)


def warm_up(method, options):
    """Forecast a few series: compiling and loading is not counted."""
    method(competitions.load("m3_quarterly", options.data, 8), 0)


def run_groups(options):
    """Return the results of each method, by group."""
    methods = {name: METHODS[name] for name in options.methods}
    if "skrnn" in methods:
        methods["skrnn"] = functools.partial(
            methods["skrnn"], n_networks=options.networks, n_jobs=options.n_jobs
        )
    for name in methods:
        warm_up(methods[name], options)
    results = {}
    for group in options.only:
        data = competitions.load(group, options.data, options.max_series)
        rows = results[group] = {"baseline": score(data, data.naive2)}
        for name, method in methods.items():
            if (name, group) in SLOW and not options.slow:
                print(f"  {group}, {name}: skipped, pass --slow to run it")
                continue
            rows[name] = result = run_method(name, method, data, options)
            mean = np.mean([s.mean(axis=1) for s in result["scores"]], axis=0)
            seconds = np.mean(result["seconds"])
            text = f"sMAPE {mean[0]:.3f}, MASE {mean[1]:.3f} in {seconds:.1f} s"
            print(f"  {group}, {name}: {text}", flush=True)
    return results


# Tables -------------------------------------------------------------------------------


def rows_of(label, results, horizons, bars, weighted=False):
    """Return lines of the table: those of the series of several groups together."""
    groups = list(results)
    baseline = np.hstack([results[g]["baseline"] for g in groups])
    weights = None
    if weighted:
        n_series = [results[g]["baseline"].shape[1] for g in groups]
        weights = np.repeat([horizons[g] for g in groups], n_series)
    lines = []
    for name in (name for name in results[groups[0]] if name != "baseline"):
        seeds = zip(*(results[g][name]["scores"] for g in groups), strict=True)
        found = [summarize(np.hstack(s), baseline, weights) for s in seeds]
        smape = [f["smape"] for f in found]
        seconds = sum(np.mean(results[g][name]["seconds"]) for g in groups)
        cells = [label, name, baseline.shape[1], f"{np.mean(smape):.2f}"]
        cells += [f"{np.std(smape):.2f}" if len(found) > 1 else ""]
        cells += [f"{np.mean([f[key] for f in found]):.3f}" for key in ("mase", "owa")]
        lines.append([*cells, f"{seconds:.1f}", *bar_cells(bars)])
    return lines


def bar_cells(bars):
    """Return the bars of a group as text."""
    values = [bars.classical, bars.prototype, bars.reach_one, bars.reach, bars.aim]
    return ["–" if value is None else f"{value:.2f}" for value in values]


def print_results(results, options):
    """Print the scores as Markdown, beside the bars."""
    head = ["group", "method", "series", "sMAPE", "sd", "MASE", "OWA", "seconds"]
    head += ["classical", "prototype", "reach, one", "reach", "aim"]
    horizons = {name: group.horizon for name, group in GROUPS.items()}
    lines = []
    for name, rows in results.items():
        lines += rows_of(name, {name: rows}, horizons, GROUPS[name].bars)
    m3 = {name: rows for name, rows in results.items() if GROUPS[name].file == "m3"}
    if len(m3) == 4:
        lines += rows_of("M3, by points", m3, horizons, M3_BARS, weighted=True)
        lines += rows_of("M3, by series", m3, horizons, competitions.Bars())
    last = options.seed + options.seeds - 1
    seeds = f"Seed {last}" if options.seeds == 1 else f"Seeds {options.seed} to {last}"
    networks = f"; skrnn with {options.networks} network(s)"
    print(f"\n{seeds}{networks if 'skrnn' in options.methods else ''}\n")
    print_table(head, lines)
    print(NOTES)


def print_coverage(options):
    """Print how often the truth lies within intervals, a line for each group."""
    lines = []
    for group in options.only:
        data = competitions.load(group, options.data, options.max_series)
        seeds = range(options.seed, options.seed + options.seeds)
        found = [
            skrnn_coverage(data, seed, options.networks, options.n_jobs, LEVELS)
            for seed in seeds
        ]
        lines.append([group, *(f"{mean:.1f}" for mean in np.mean(found, axis=0))])
    print_table(["group", *(f"{level} %" for level in LEVELS)], lines)


# The command --------------------------------------------------------------------------


def parse_arguments():
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    default = os.environ.get("SKRNN_DATA") or Path("..", "shared", "data")
    add("--data", type=Path, default=Path(default), help="default: %(default)s")
    add("--only", nargs="+", choices=list(GROUPS), metavar="GROUP")
    add("--methods", nargs="+", choices=list(METHODS), metavar="METHOD")
    add("--seed", type=int, default=0, help="the first seed (default: 0)")
    add("--seeds", type=int, default=1, help="how many (default: 1)")
    add("--networks", type=int, default=3, help="of skrnn's ensemble (default: 3)")
    add("--n-jobs", type=int, help="threads of skrnn's ensemble")
    add("--max-series", type=int, help="forecast that many of a group at most")
    add("--slow", action="store_true", help="also AutoETS on M4's hourly series")
    add("--quick", action="store_true", help="fifty series of each group")
    add("--coverage", action="store_true", help="that of skrnn's intervals instead")
    add("--save", type=Path, metavar="FOLDER", help="write the forecasts as CSV")
    add("--json", type=Path, metavar="OUT", help="write the scores of every series")
    options = parser.parse_args()
    options.only = options.only or list(GROUPS)
    options.methods = options.methods or list(METHODS)
    if options.quick:
        options.max_series = options.max_series or 50
    if STATSFORECAST & set(options.methods) and missing_packages(["statsforecast"]):
        print("statsforecast's methods are skipped: it is not installed")
        options.methods = [m for m in options.methods if m not in STATSFORECAST]
    return options


def main():
    """Run what the command line asks for."""
    options = parse_arguments()
    if options.coverage:
        print_coverage(options)
        return
    results = run_groups(options)
    print_results(results, options)
    if options.json:
        text = json.dumps(results, indent=1, default=lambda a: np.asarray(a).tolist())
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
