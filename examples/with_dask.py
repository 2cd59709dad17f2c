"""Forecast a panel that is larger than memory: parquet files, and Dask for many cores.

    pip install pyarrow "dask[dataframe]" distributed && python examples/with_dask.py

A folder of parquet files, each with whole series, is learned from piece by piece. Then
two processes of Dask forecast the files side by side; on a cluster it is the same. The
forecasts of a year are printed beside those of the year before. The first fit compiles
the network.
"""

import tempfile
from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster

from skrnn import RNNForecaster

HORIZON, N_FILES, N_SHOPS, N_MONTHS = 12, 8, 25, 96


def main():
    """Print the mean absolute error of each forecaster, and the next year of a shop."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(N_FILES):
            path = Path(folder) / f"{number}.parquet"
            monthly_sales(number).to_parquet(path, index=False)
        forecaster = RNNForecaster(HORIZON, n_networks=1, n_updates=200, random_state=0)
        # At most a quarter of the rows in a sample, to show that it need not be all.
        n_values = N_FILES * N_SHOPS * N_MONTHS // 4
        # The training must not see the year that is forecast.
        forecaster.fit_pieces(past_of_files(folder), subsample=n_values)
        with (
            LocalCluster(
                n_workers=2, threads_per_worker=1, dashboard_address=":0"
            ) as cluster,
            Client(cluster),
        ):
            sales = dd.read_parquet(folder)
            meta = pd.DataFrame(columns=["y", "forecast", "before"], dtype=float)
            results = sales.map_partitions(evaluate, forecaster, meta=meta).compute()
    for name, column in {
        "the year before": "before",
        "RNNForecaster": "forecast",
    }.items():
        print(f"{name:16} {(results[column] - results['y']).abs().mean():6.2f}")


def past_of_files(folder):
    """Return what reads the rows of each file before the last year."""
    return [
        lambda path=path: past(pd.read_parquet(path)) for path in Path(folder).iterdir()
    ]


def past(sales):
    """Return all rows but those of the last year."""
    return sales[sales["ds"] <= sales["ds"].max() - pd.DateOffset(months=HORIZON)]


def evaluate(sales, forecaster):
    """Return the last year of some shops and its forecasts."""
    history = past(sales)
    forecast = forecaster.predict(history=history).rename(columns={"y": "forecast"})
    before = sales.assign(ds=sales["ds"] + pd.DateOffset(years=1))
    before = before.rename(columns={"y": "before"})
    merged = sales.merge(forecast, on=["unique_id", "ds"])
    return merged.merge(before, on=["unique_id", "ds"])[["y", "forecast", "before"]]


def monthly_sales(number):
    """Return eight years of sales of shops, each with its level, trend and season."""
    rng = np.random.default_rng(number)
    months = np.arange(N_MONTHS)
    index = pd.date_range("2017-01", periods=N_MONTHS, freq="MS")
    shops = []
    for shop in range(N_SHOPS):
        level, trend, swing = rng.uniform([50, -0.2, 5], [200, 0.8, 20])
        season = swing * np.sin(2 * np.pi * (months + rng.integers(0, 12)) / 12)
        values = level + trend * months + season + rng.normal(0, 1, N_MONTHS)
        name = f"{number}-{shop}"
        shops.append(pd.DataFrame({"unique_id": name, "ds": index, "y": values}))
    return pd.concat(shops, ignore_index=True)


if __name__ == "__main__":
    main()
