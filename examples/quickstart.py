"""Forecast a series and read digits with recurrent networks, in two minutes.

    python examples/quickstart.py [figure.png]

First the sea surface temperature off Peru, where El Niño shows: the past 24 months go
in, the next 12 come out. Then scikit-learn's digits, eight rows of eight pixels, read
row by row. scikit-learn searches the cell and the size of both networks on training
data alone, as it does for the MLP beside them. The first run compiles the networks.
"""

import sys
import time
from pathlib import Path

import numpy as np
import statsmodels.api as sm
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrnn import RNNClassifier, RNNRegressor

LAGS, HORIZON, N_TEST = 24, 12, 120  # months; forecasts from 120 months are the test
DEFAULT_FIGURE = Path(__file__).with_suffix(".png")
RNN = {"learning_rate": "cosine", "random_state": 0}
RNN_GRID = {"cell": ["rnn", "lstm", "gru"], "hidden_layer_sizes": [(16,), (48,)]}


def main():
    """Run both tasks, print their tables and save the figure."""
    begin = time.perf_counter()
    observed, forecasts = forecast_sea_temperature()
    figure = draw(observed, forecasts, read_digits())
    save(figure, sys.argv[1] if len(sys.argv) > 1 else DEFAULT_FIGURE)
    print(f"All in {time.perf_counter() - begin:.0f} s.")


def forecast_sea_temperature():
    """Return what was observed and each method's forecasts, (n_test, horizon)."""
    print("\nForecasting: sea surface temperature, monthly, 1950-2010")
    series = load_sea_temperature()
    X, y = make_windows(series, LAGS, HORIZON)
    # a training window ends where the first forecast of the test begins
    X_train, y_train = X[: -N_TEST - HORIZON + 1], y[: -N_TEST - HORIZON + 1]
    X_test, y_test = X[-N_TEST:], y[-N_TEST:]

    # neighbouring windows share months: the gap keeps them out of the validation
    splits = TimeSeriesSplit(n_splits=3, gap=HORIZON - 1)
    rnn = search(RNNRegressor(max_iter=60, **RNN), RNN_GRID, splits)
    mlp = search(
        TransformedTargetRegressor(
            make_pipeline(
                StandardScaler(), MLPRegressor(max_iter=1000, random_state=0)
            ),
            transformer=StandardScaler(),
        ),
        {
            "regressor__mlpregressor__hidden_layer_sizes": [(16,), (48,)],
            "regressor__mlpregressor__alpha": [0.01, 1, 10],
        },
        splits,
    )
    forecasts = {
        "same month last year": X_test[:, -12:],
        "MLPRegressor": mlp.fit(X_train, y_train).predict(X_test),
        "RNNRegressor": rnn.fit(X_train, y_train).predict(X_test),
    }
    print(f"\n{N_TEST} forecasts of {HORIZON} months, °C    MAE   RMSE  sMAPE")
    for name, forecast in forecasts.items():
        mae, rmse, smape = forecast_errors(y_test, forecast)
        print(f"{name:32} {mae:6.3f} {rmse:6.3f} {smape:5.2f}%")
    print(f"RNNRegressor is {describe(rnn)}.")
    return y_test, forecasts


def load_sea_temperature():
    """Return the months of El Niño's region 1+2, in °C."""
    months = sm.datasets.elnino.load_pandas().data.drop(columns="YEAR").to_numpy()
    return months[np.isfinite(months)]  # row by row; the last months are missing


def make_windows(series, lags, horizon):
    """Return X of shape (n, lags) and what follows, y of shape (n, horizon)."""
    windows = sliding_window_view(series, lags + horizon)
    return windows[:, :lags], windows[:, lags:]


def forecast_errors(y_true, y_pred):
    """Return mean absolute error, root mean squared error and sMAPE in percent."""
    error = np.abs(y_true - y_pred)
    smape = 200 * np.mean(error / (np.abs(y_true) + np.abs(y_pred)))
    return error.mean(), np.sqrt(np.mean(error**2)), smape


def read_digits():
    """Return images of the test set, and the digits that the network reads there."""
    print("\nClassification: handwritten digits, read row by row")
    digits = load_digits()
    X_train, X_test, y_train, y_test = train_test_split(
        digits.images,
        digits.target,
        test_size=0.25,
        stratify=digits.target,
        random_state=0,
    )  # images are sequences: (n_samples, 8 rows, 8 pixels)
    rnn = search(RNNClassifier(max_iter=20, **RNN), RNN_GRID, 3)
    mlp = search(
        make_pipeline(StandardScaler(), MLPClassifier(max_iter=500, random_state=0)),
        {"mlpclassifier__hidden_layer_sizes": [(48,), (100,)]},
        3,
    )
    rnn.fit(X_train, y_train)
    mlp.fit(X_train.reshape(-1, 64), y_train)
    print(f"\n{len(y_test)} digits                     accuracy")
    print(f"MLPClassifier {100 * mlp.score(X_test.reshape(-1, 64), y_test):24.2f}%")
    print(f"RNNClassifier {100 * rnn.score(X_test, y_test):24.2f}%")
    print(f"RNNClassifier is {describe(rnn)}.")
    return X_test, y_test, rnn.predict(X_test)


def search(model, grid, splits):
    """Return a grid search that prints a line for each fit."""
    scoring = "neg_mean_absolute_error" if isinstance(splits, TimeSeriesSplit) else None
    return GridSearchCV(model, grid, scoring=scoring, cv=splits, verbose=3)


def describe(rnn):
    """Say what a grid search chose."""
    best = rnn.best_params_
    return f"one {best['cell']} layer of {best['hidden_layer_sizes'][0]} units"


def draw(observed, forecasts, digits):
    """Return a figure of the forecasts, their errors, and some digits."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    top, bottom = figure.subfigures(2, 1)
    draw_forecasts(top.subplots(), observed, forecasts)
    left, right = bottom.subfigures(1, 2)
    draw_errors(left.subplots(), observed, forecasts)
    draw_digits(right, *digits)
    return figure


def draw_forecasts(axes, observed, forecasts):
    """Draw every twelfth forecast, so that they follow each other."""
    months = np.arange(observed[::HORIZON].size)
    axes.plot(months, observed[::HORIZON].ravel(), "k.-", lw=0.8, label="observed")
    for name, style in {"same month last year": "C7--", "RNNRegressor": "C3"}.items():
        for start, year in enumerate(forecasts[name][::HORIZON]):
            label = name if start == 0 else None
            axes.plot(start * HORIZON + np.arange(HORIZON), year, style, label=label)
    axes.set(
        xlabel="month of the test", ylabel="°C", title="Forecasts, a year at a time"
    )
    axes.legend(ncols=3, loc="lower left")


def draw_errors(axes, observed, forecasts):
    """Draw the mean absolute error over how far the forecast looks ahead."""
    for (name, forecast), color in zip(
        forecasts.items(), ["C7", "C0", "C3"], strict=True
    ):
        error = np.abs(observed - forecast).mean(axis=0)
        axes.plot(np.arange(1, HORIZON + 1), error, "o-", color=color, ms=3, label=name)
    axes.set(xlabel="months ahead", ylabel="mean absolute error, °C", ylim=(0, None))
    axes.legend()


def draw_digits(figure, images, true, read):
    """Draw digits and what the network read, the misread ones first."""
    figure.suptitle("Digits, as read by RNNClassifier (misread ones in red)")
    order = np.argsort(true == read, kind="stable")
    for axes, i in zip(figure.subplots(3, 8).flat, order, strict=False):
        axes.imshow(images[i], cmap="gray_r")
        axes.set_title(read[i], color="k" if read[i] == true[i] else "C3", fontsize=9)
        axes.axis("off")


def save(figure, path):
    """Save the figure, and go on where that is not allowed."""
    try:
        figure.savefig(path, dpi=100)
        print(f"\nFigure: {path}")
    except OSError as error:
        print(f"\nNo figure: {error}")


if __name__ == "__main__":
    main()
