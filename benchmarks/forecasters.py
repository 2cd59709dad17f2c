"""What `forecasting.py` compares: a function each, from series to forecasts.

It takes a `Competition` and a seed, and returns forecasts (n_series, horizon).
"""

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from competitions import is_seasonal, seasonal_indices
from skrnn.metrics import interval_coverage

# Simple -------------------------------------------------------------------------------


def naive2(data, seed):
    """Return the official Naive2 of M3, or that of M4's code."""
    return data.naive2


def seasonal_naive(data, seed):
    """Return the last season again and again."""
    m, h = data.group.season_length, data.group.horizon
    return np.stack([np.resize(y[-m:], h) for y in data.train])


# statsforecast: one model a series ----------------------------------------------------


def statsforecast_model(name):
    """Return a forecaster that fits a model of statsforecast to each series."""

    def forecast(data, seed):
        from statsforecast import StatsForecast, models

        model = getattr(models, name)(season_length=data.group.season_length)
        long = [
            pd.DataFrame({"unique_id": i, "ds": np.arange(len(y)), "y": y})
            for i, y in enumerate(data.train)
        ]
        found = StatsForecast([model], freq=1, n_jobs=1).forecast(
            df=pd.concat(long), h=data.group.horizon
        )
        return found[name].to_numpy().reshape(len(data.train), -1)

    return forecast


# Boosted trees: one model of all series -----------------------------------------------

# windows that the trees learn from, each with one of the steps ahead
N_ROWS = 200_000
# lags, by season length; "other" has none, like yearly, but longer series
N_LAGS = {1: 6, 4: 8, 12: 24, 24: 24}
# the same step of so many seasons before
N_SEASONS = {1: 0, 4: 2, 12: 2, 24: 7}


def boosted_trees(data, seed):
    """Forecast by boosted trees on windows of logarithms, each on its own scale.

    Season removed where there is one; features are the last values, those of the same
    step in the seasons before, the scale and the step ahead.
    """
    m, h = data.group.season_length, data.group.horizon
    logs, seasons = zip(*(log_without_season(y, m, h) for y in data.train), strict=True)
    n_past = max(N_LAGS[m], m * N_SEASONS[m])
    # padded, so that all series are one array
    lengths = np.array([len(z) for z in logs])
    values = np.full((len(logs), n_past + lengths.max()), np.nan)
    for row, z in zip(values, logs, strict=True):
        row[n_past : n_past + len(z)] = z

    rng = np.random.default_rng(seed)
    series = rng.integers(len(logs), size=N_ROWS)
    step = rng.integers(h, size=N_ROWS)
    # at least 3 values before, and one of the steps ahead known
    span = lengths[series] - step - 3
    kept = span > 0
    series, step, span = series[kept], step[kept], span[kept]
    last = n_past + 2 + rng.integers(span)  # the last step that is known
    X, level, scale = window_features(values, series, last, step, m)
    target = (values[series, last + step + 1] - level) / scale
    model = HistGradientBoostingRegressor(
        loss="absolute_error", learning_rate=0.05, max_iter=400, random_state=seed
    ).fit(X, target)

    series, step = np.repeat(np.arange(len(logs)), h), np.tile(np.arange(h), len(logs))
    last = n_past + lengths[series] - 1
    X, level, scale = window_features(values, series, last, step, m)
    forecast = np.exp(level + scale * model.predict(X)).reshape(-1, h)
    return forecast * np.stack(seasons)


def log_without_season(y, m, horizon):
    """Return log y, without its season if it has one, and the season that follows."""
    if not is_seasonal(y, m):
        return np.log(y), np.ones(horizon)
    indices, n = seasonal_indices(y, m), len(y)
    return np.log(y / np.resize(indices, n)), indices[(n + np.arange(horizon)) % m]


def window_features(values, series, last, step, m):
    """Return the features of windows, and the level and scale that they were put on."""
    recent = values[series[:, None], last[:, None] - np.arange(N_LAGS[m])]
    past = [recent]
    for k in range(1, N_SEASONS[m] + 1):
        # the last known ones of the same step in the season
        back = step + 1 - m * (step // m + k)
        lies_before = last + back >= 0
        same = values[series, np.where(lies_before, last + back, 0)]
        past.append(np.where(lies_before, same, np.nan)[:, None])
    level = recent[:, 0]
    scale = np.nanmean(np.abs(np.diff(recent, axis=1)), axis=1) + 0.01
    shape = (np.hstack(past) - level[:, None]) / scale[:, None]
    return np.column_stack([shape, np.log(scale), step]), level, scale


# skrnn --------------------------------------------------------------------------------


def one_network(data, seed, n_jobs=None):
    """Forecast by one network of skrnn alone, without the classical member."""
    return forecast_with_skrnn(data, seed, 1, n_jobs, theta=False)


def forecast_with_skrnn(data, seed, n_networks=3, n_jobs=None, **options):
    """Forecast by skrnn's defaults, which are told the horizon and nothing else."""
    model = fitted_skrnn(data, seed, n_networks, n_jobs, **options)
    return in_rows(data, model.predict(), "y")


def fitted_skrnn(data, seed, n_networks, n_jobs, **options):
    """Return a forecaster fitted to the training parts."""
    from skrnn import RNNForecaster

    model = RNNForecaster(
        data.group.horizon,
        n_networks=n_networks,
        random_state=seed,
        n_jobs=n_jobs,
        **options,
    )
    return model.fit(data.frame())


def in_rows(data, answer, column):
    """Return a column of forecasts in long form, (n_series, horizon)."""
    values = answer[column].to_numpy().reshape(-1, data.group.horizon)
    order = answer["unique_id"].to_numpy()[:: data.group.horizon]
    return pd.DataFrame(values, index=order).loc[data.ids].to_numpy()


def skrnn_coverage(data, seed, n_networks, n_jobs, levels):
    """Return how often, in percent, the truth lies within intervals of some levels."""
    model = fitted_skrnn(data, seed, n_networks, n_jobs)
    answer = model.predict_interval(level=levels)
    bounds = [
        [in_rows(data, answer, f"{side}_{level}") for side in ("lower", "upper")]
        for level in levels
    ]
    return [100 * interval_coverage(data.test, *pair) for pair in bounds]


def skrnn_theta(data, seed):
    """Forecast by skrnn's dynamic optimised theta, each series on its own."""
    from skrnn.forecasting.theta import theta_forecasts

    offsets = np.cumsum([0, *map(len, data.train)])
    values = np.concatenate(data.train)
    return theta_forecasts(
        values, offsets, data.group.horizon, data.group.season_length
    )


METHODS = {
    "naive2": naive2,
    "seasonal_naive": seasonal_naive,
    "AutoETS": statsforecast_model("AutoETS"),
    "AutoTheta": statsforecast_model("AutoTheta"),
    "DynamicOptimizedTheta": statsforecast_model("DynamicOptimizedTheta"),
    "boosted_trees": boosted_trees,
    "skrnn_theta": skrnn_theta,
    "skrnn_one_network": one_network,
    "skrnn": forecast_with_skrnn,
}
