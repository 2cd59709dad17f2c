"""Forecast many series with mlforecast: one RNNRegressor for all of them.

    pip install mlforecast && python examples/with_mlforecast.py

mlforecast makes lags and date features of all series, differences and scales each, and
cross-validates; one network learns from all. Its forecasts of a year are printed beside
those of the year before. The first fit compiles the network.
"""

import numpy as np
import pandas as pd
from mlforecast import MLForecast
from mlforecast.target_transforms import Differences, LocalStandardScaler
from sklearn.pipeline import make_pipeline

from skrnn import RNNRegressor
from skrnn.forecasting import LagsToSequences

LAGS, HORIZON, N_SHOPS = 12, 12, 20


def main():
    """Print the mean absolute error of each forecaster, and the next year."""
    sales = monthly_sales()
    network = RNNRegressor((32,), max_iter=30, random_state=0)
    forecaster = MLForecast(
        # the names of the columns tell LagsToSequences which is which lag
        models={"RNNRegressor": make_pipeline(LagsToSequences(), network)},
        freq="MS",
        lags=range(1, LAGS + 1),
        date_features=["month"],
        target_transforms=[Differences([1]), LocalStandardScaler()],
    )
    results = forecaster.cross_validation(sales, n_windows=2, h=HORIZON)
    before = sales.assign(ds=sales["ds"] + pd.DateOffset(years=1))
    before = before.rename(columns={"y": "the year before"})
    results = results.merge(before, on=["unique_id", "ds"])
    for name in ["the year before", "RNNRegressor"]:
        print(f"{name:16} {(results[name] - results['y']).abs().mean():6.2f}")
    print(forecaster.fit(sales).predict(HORIZON).head(HORIZON).round(1))


def monthly_sales():
    """Return eight years of sales of shops, each with its level, trend and season."""
    rng = np.random.default_rng(0)
    months = np.arange(96)
    index = pd.date_range("2017-01", periods=len(months), freq="MS")
    shops = []
    for shop in range(N_SHOPS):
        level, trend, swing = rng.uniform([50, -0.2, 5], [200, 0.8, 20])
        season = swing * np.sin(2 * np.pi * (months + rng.integers(0, 12)) / 12)
        values = level + trend * months + season + rng.normal(0, 2, len(months))
        shops.append(pd.DataFrame({"unique_id": shop, "ds": index, "y": values}))
    return pd.concat(shops, ignore_index=True)


if __name__ == "__main__":
    main()
