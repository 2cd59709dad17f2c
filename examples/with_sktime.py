"""Forecast a series with sktime: RNNRegressor inside make_reduction.

    pip install sktime && python examples/with_sktime.py

sktime cuts the series into windows, differences it, splits and evaluates; the network
learns from the windows. Twelve months ahead are forecast at four moments of the last
four years, beside those of the year before. The first fit compiles the network.
"""

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sktime.forecasting.compose import make_reduction
from sktime.forecasting.model_evaluation import evaluate
from sktime.forecasting.naive import NaiveForecaster
from sktime.performance_metrics.forecasting import MeanAbsoluteError
from sktime.split import ExpandingWindowSplitter
from sktime.transformations.series.difference import Differencer

from skrnn import RNNRegressor
from skrnn.forecasting import LagsToSequences

LAGS, HORIZON = 24, 12


def main():
    """Print the mean absolute error of each forecaster, and the next year."""
    sales = monthly_sales()
    horizon = np.arange(1, HORIZON + 1)
    splits = ExpandingWindowSplitter(
        fh=horizon, initial_window=len(sales) - 48, step_length=12
    )
    network = RNNRegressor((32,), max_iter=60, random_state=0)
    # oldest value first; exogenous columns would come with as many lags each
    to_sequences = LagsToSequences(LAGS, order="oldest_first", exog="lags")
    reduction = make_reduction(
        make_pipeline(to_sequences, network),
        strategy="recursive",
        window_length=LAGS,
        scitype="tabular-regressor",
    )
    forecasters = {
        "the year before": NaiveForecaster(sp=12),
        "RNNRegressor": Differencer() * reduction,
    }
    for name, forecaster in forecasters.items():
        errors = evaluate(
            forecaster, splits, sales, scoring=MeanAbsoluteError(), error_score="raise"
        )
        print(f"{name:16} {errors['test_MeanAbsoluteError'].mean():6.2f}")
    print(forecasters["RNNRegressor"].fit(sales, fh=horizon).predict().round(1))


def monthly_sales():
    """Return twelve years of sales: a trend, a season and noise."""
    months = np.arange(144)
    season = 15 * np.sin(2 * np.pi * months / 12) + 6 * np.cos(2 * np.pi * months / 6)
    noise = np.random.default_rng(0).normal(0, 2, len(months))
    index = pd.period_range("2013-01", periods=len(months), freq="M")
    return pd.Series(100 + 0.5 * months + season + noise, index, name="sales")


if __name__ == "__main__":
    main()
