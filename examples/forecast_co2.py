"""Forecast two years of carbon dioxide, with intervals, beside the year before.

    python examples/forecast_co2.py [figure.png]

The monthly means of Mauna Loa that statsmodels carries. Five backtests first, each from
what was known at its time, then the last two years with what came. The first run
compiles the networks.
"""

import sys
import time
from pathlib import Path

import statsmodels.api as sm

from skrnn import RNNForecaster
from skrnn.forecasting import ForecastDisplay

HORIZON = 24
PARAMS: dict = {"random_state": 0}


def main():
    """Print the errors of the past, and draw the forecast."""
    begin = time.perf_counter()
    co2 = load()
    compare(RNNForecaster(HORIZON, **PARAMS), co2)
    forecaster = RNNForecaster(HORIZON, **PARAMS).fit(co2[:-HORIZON])
    print(
        f"\nThe last {HORIZON} months, scored by minus the mean absolute scaled error"
    )
    print(f"{'RNNForecaster':24} {forecaster.score(co2[-HORIZON:]):6.3f}")
    path = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_suffix(".png")
    try:
        draw(forecaster, co2).savefig(path, dpi=100)
        print(f"\nFigure: {path}")
    except OSError as error:
        print(f"\nNo figure: {error}")
    print(f"All in {time.perf_counter() - begin:.0f} s.")


def load():
    """Return the series, with the missing months missing."""
    weeks = sm.datasets.co2.load_pandas().data["co2"]
    return weeks.resample("MS").mean().rename("CO₂ in the air, ppm")


def compare(forecaster, co2):
    """Backtest, and print the errors beside those of the year before."""
    past = forecaster.backtest(co2, n_windows=5, level=80)
    times = past["ds"].dt.to_period("M")
    years = (times - past["cutoff"].dt.to_period("M")).map(lambda gap: -(-gap.n // 12))
    before = co2.set_axis(co2.index.to_period("M")).reindex(times - 12 * years)
    inside = past["y"].between(past["lower_80"], past["upper_80"])
    print(f"{past['cutoff'].nunique()} backtests of {HORIZON} months{'MAE':>12}")
    for name, forecast in {
        "the year before": before.to_numpy(),
        "RNNForecaster": past["forecast"],
    }.items():
        print(f"{name:24} {abs(past['y'] - forecast).mean():6.3f} ppm")
    print(f"in the interval of 80 %  {100 * inside.mean():6.1f} %")


def draw(forecaster, co2):
    """Return the figure of the last months."""
    truth = co2[-HORIZON:]
    return ForecastDisplay.from_estimator(
        forecaster, truth=truth, n_history=7 * 12
    ).figure_


if __name__ == "__main__":
    main()
