"""Forecast with skforecast: RNNRegressor inside ForecasterRecursive.

    pip install skforecast && python examples/with_skforecast.py

skforecast makes the lags, differences the series and backtests; the network learns
from the lags and from what is known ahead: whether the price is cut on a day. The
forecasts of one week at a time are printed beside those of the week before. The first
fit compiles the network.
"""

import numpy as np
import pandas as pd
from skforecast.model_selection import TimeSeriesFold, backtesting_forecaster
from skforecast.recursive import ForecasterEquivalentDate, ForecasterRecursive
from sklearn.pipeline import make_pipeline

from skrnn import RNNRegressor
from skrnn.forecasting import LagsToSequences

LAGS, HORIZON, N_TEST = 14, 7, 56


def main():
    """Print the mean absolute error of each forecaster, and the next week."""
    days = daily_sales()
    sales, known_ahead = days["sales"], days[["price_cut"]]
    sales = sales[:-HORIZON]  # of the last week only the prices are known

    network = RNNRegressor((32,), max_iter=60, random_state=0)
    # newest value first, then the exogenous columns
    to_sequences = LagsToSequences(LAGS, order="newest_first", exog="last")
    forecaster = ForecasterRecursive(
        estimator=make_pipeline(to_sequences, network), lags=LAGS, differentiation=1
    )
    folds = {"steps": HORIZON, "initial_train_size": len(sales) - N_TEST}
    options = {"metric": "mean_absolute_error", "show_progress": False}
    error, _ = backtesting_forecaster(
        ForecasterEquivalentDate(offset=7), sales, cv=TimeSeriesFold(**folds), **options
    )
    print(f"the week before  {error.iloc[0, 0]:6.2f}")
    error, _ = backtesting_forecaster(
        forecaster,
        sales,
        exog=known_ahead[:-HORIZON],
        cv=TimeSeriesFold(**folds, differentiation=1),
        **options,
    )
    print(f"RNNRegressor     {error.iloc[0, 0]:6.2f}")

    forecaster.fit(sales, exog=known_ahead[:-HORIZON])
    print(forecaster.predict(HORIZON, exog=known_ahead[-HORIZON:]).round(1))


def daily_sales():
    """Return two years of sales that rise, swing with the week and hang on prices."""
    rng = np.random.default_rng(0)
    days = np.arange(728)
    price_cut = rng.integers(0, 6, len(days)) == 0
    week = 10 * np.sin(2 * np.pi * days / 7)
    sales = 100 + 0.05 * days + week + 30 * price_cut + rng.normal(0, 3, len(days))
    index = pd.date_range("2023-01-02", periods=len(days), freq="D")
    return pd.DataFrame({"sales": sales, "price_cut": price_cut.astype(float)}, index)


if __name__ == "__main__":
    main()
