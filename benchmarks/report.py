"""What the measurements of `speed.py` say: tables, ratios, shares, plots."""

from statistics import median

TITLES = {
    "fit": "Training, milliseconds per step (threads)",
    "predict": "Prediction, milliseconds per call (threads)",
}
# Not libraries to compare with: skrnn itself, twice, and the machine.
OURS = {"skrnn", "inside", "peak"}
# Numbers of threads whose times are this close are as good: fewer are named.
CLOSE = 1.03


def summarize(measurements):
    """Return for each peer the best time, its threads, and their median time."""
    summary = {}
    for name, by_threads in measurements.items():
        best = min(map(min, by_threads.values()))
        threads = next(
            n for n, times in sorted(by_threads.items()) if min(times) <= CLOSE * best
        )
        middle = median(by_threads[threads])
        summary[name] = {"threads": threads, "best": best, "median": middle}
    return summary


def ratio(result, name="skrnn"):
    """Return the best peer's time divided by ours, or None without both."""
    others = [s["best"] for peer, s in result["summary"].items() if peer not in OURS]
    if not others or name not in result["summary"]:
        return None
    return min(others) / result["summary"][name]["best"]


def peak_rates(results):
    """Return the most operations a second that were seen, by number of threads."""
    rates = {}
    for result in results:
        for threads, times in result["seconds"].get("peak", {}).items():
            rate = result["operations"] / min(times)
            rates[threads] = max(rate, rates.get(threads, 0.0))
    return rates


def add_shares(results):
    """Add to each summary of ours its share of the peak of the threads it had."""
    rates = peak_rates(results)
    for result in results:
        for name in OURS & set(result["summary"]):
            summary = result["summary"][name]
            if rate := rates.get(summary["threads"]):
                summary["share"] = result["operations"] / summary["best"] / rate


def print_table(head, rows):
    """Print a Markdown table."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


def print_machine(results):
    """Print what the machine can do, where it was measured."""
    for threads, rate in sorted(peak_rates(results).items()):
        notes = next(r["notes"]["peak"] for r in results if "peak" in r["notes"])
        memory = notes["bytes_per_second"].get(str(threads), 0.0)
        print(
            f"Peak with {threads} thread(s): {rate / 1e9:.0f} GFLOP/s in fused "
            f"multiply-adds, {memory / 1e9:.1f} GB/s to and from memory"
        )


def print_results(task, results, names):
    """Print one task's rows as a Markdown table, and the worst ratios."""
    shown = [n for n in names if any(n in r["summary"] for r in results)]
    shown = [name for name in shown if name != "peak"]
    columns = {"skrnn": "best peer / skrnn", "inside": "best peer / inside"}
    columns = {name: title for name, title in columns.items() if name in shown}
    head = ["H, B, T, F", "cell", *shown, *columns.values(), "share of peak"]
    rows = []
    for result in results:
        summary = result["summary"]
        times = [format_time(summary.get(name)) for name in shown]
        ratios = [format_number(ratio(result, name), ".2f") for name in columns]
        # What `predict` checks and converts is no arithmetic of the network.
        ours = summary.get("inside") or summary.get("skrnn") or {}
        share = format_number(ours.get("share"), ".0%")
        rows.append([row_label(result), result["cell"], *times, *ratios, share])
    print(f"\n{TITLES[task]}\n")
    print_table(head, rows)
    for name, title in columns.items():
        known = [(x, r) for r in results if (x := ratio(r, name)) is not None]
        if known:
            value, worst = min(known, key=lambda pair: pair[0])
            where = f"{worst['cell']} {row_label(worst)}"
            print(f"\nSmallest {title}: {value:.2f} ({where})")


def print_notes(results):
    """Print what a fit of skrnn costs besides its steps, and what `predict` adds."""
    fits = [r["notes"]["skrnn"] for r in results if r["notes"].get("skrnn")]
    if first := [f["first_fit_seconds"] for f in fits if "first_fit_seconds" in f]:
        print(f"\nLoading or compiling skrnn's kernels: up to {max(first):.2f} s, once")
    key = "fixed_seconds_of_a_fit"
    if fixed := [1e3 * f[key] for f in fits if key in f]:
        print(f"Fixed cost of a fit: {min(fixed):.1f} to {max(fixed):.1f} ms")
    both = [r["summary"] for r in results if {"skrnn", "inside"} <= set(r["summary"])]
    if added := [1e6 * (s["skrnn"]["best"] - s["inside"]["best"]) for s in both]:
        print(f"`predict` above its inside: {min(added):.0f} to {max(added):.0f} µs")


def row_label(result):
    """Return "H, B, T, F", the units with their layers where there are several."""
    keys = ["n_units", "batch_size", "n_timesteps", "n_channels"]
    layers = f"{result['n_layers']} x " if result["n_layers"] > 1 else ""
    return layers + ", ".join(str(result[key]) for key in keys)


def format_time(summary):
    """Return milliseconds to three digits and the number of threads."""
    if summary is None:
        return "–"
    milliseconds = float(f"{1e3 * summary['best']:.3g}")
    return f"{milliseconds:g} ({summary['threads']})"


def format_number(value, form):
    """Return a number in this form, or a dash."""
    return "–" if value is None else f"{value:{form}}"


# Plots --------------------------------------------------------------------------------


def panels(results):
    """Return a figure, and (axis, title, {cell: results}) of each task."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    tasks = list(dict.fromkeys(r["task"] for r in results))
    size = (5.5 * max(1, len(tasks)), 4.5)
    figure, axes = plt.subplots(
        1, max(1, len(tasks)), figsize=size, squeeze=False, sharey=True
    )
    drawn = []
    for task, axis in zip(tasks, axes[0], strict=False):
        rows = [r for r in results if r["task"] == task]
        cells = dict.fromkeys(r["cell"] for r in rows)
        by_cell = {cell: [r for r in rows if r["cell"] == cell] for cell in cells}
        drawn.append((axis, TITLES[task].split(",")[0], by_cell))
    return figure, drawn


def plot_ratios(results, path):
    """Draw the best peer's time over skrnn's, one panel a task, one line a cell."""
    results = [r for r in results if ratio(r) is not None]
    if not results:
        print("Nothing to draw: no row has both skrnn and a peer")
        return
    figure, drawn = panels(results)
    for axis, title, by_cell in drawn:
        for cell, rows in by_cell.items():
            axis.plot([*map(row_label, rows)], [*map(ratio, rows)], "o-", label=cell)
        axis.axhline(1.0, color="grey", linewidth=0.8)
        axis.set(title=title, xlabel="H, B, T, F", yscale="log")
        axis.tick_params(axis="x", rotation=60)
    drawn[0][0].set_ylabel("times faster than the best peer")
    drawn[0][0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def plot_roofline(results, path):
    """Draw operations a second against the operations of a step.

    The flat lines are the machine's peak by number of threads; a slanted one is a step
    that takes no longer than its label, however little there is to compute. Below the
    peak and along a slanted line, it is not the arithmetic that takes the time.
    """
    rates = peak_rates(results)
    results = [r for r in results if "skrnn" in r["summary"]]
    if not results or not rates:
        print("Nothing to draw: no row has both skrnn and the machine's peak")
        return
    figure, drawn = panels(results)
    for axis, title, by_cell in drawn:
        draw_roof(axis, rates, [r["operations"] for c in by_cell.values() for r in c])
        for number, (cell, rows) in enumerate(by_cell.items()):
            color = f"C{number}"
            axis.plot(*points(rows, ours), "o", color=color, label=f"{cell} skrnn")
            known = [r for r in rows if ratio(r) is not None]
            axis.plot(
                *points(known, lambda r: ours(r) * ratio(r)),
                "o",
                markerfacecolor="none",
                color=color,
                label=f"{cell} best peer",
            )
        axis.set(title=title, xlabel="operations of a step", xscale="log", yscale="log")
    drawn[0][0].set_ylabel("GFLOP/s")
    drawn[-1][0].legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def ours(result):
    """Return the seconds of skrnn."""
    return result["summary"]["skrnn"]["best"]


def points(results, seconds):
    """Return operations and 1e9 operations a second."""
    operations = [r["operations"] for r in results]
    return operations, [r["operations"] / seconds(r) / 1e9 for r in results]


def draw_roof(axis, rates, operations):
    """Draw the peaks, and lines of equal time."""
    ends = [min(operations) / 2, max(operations) * 2]
    for rate in rates.values():
        axis.axhline(rate / 1e9, color="black", linewidth=0.8)
    for threads, where in [(min(rates), "top"), (max(rates), "bottom")]:
        label = f"peak, {threads} thread" + ("s" if threads > 1 else "")
        place = (ends[0], rates[threads] / 1e9)
        axis.annotate(label, place, va=where, fontsize="small")
    top = max(rates.values())
    for seconds, label in [(1e-5, "10 µs"), (1e-4, "100 µs"), (1e-3, "1 ms")]:
        line = [ends[0], min(ends[1], seconds * top)]
        if line[0] < line[1]:
            y = [x / seconds / 1e9 for x in line]
            axis.plot(line, y, ":", color="grey", linewidth=0.8)
            axis.annotate(
                label, (line[0], y[0]), color="grey", fontsize="small", va="top"
            )
