"""Forecast a series and read digits with recurrent networks, in two minutes.

    python examples/quickstart.py [figure.png]

First the sea surface temperature off Peru, where El Niño shows: 24 months go in, the
next 12 come out. Then scikit-learn's digits, read one row of eight pixels after the
other. GridSearchCV chooses the cell and the size of both networks on the training
part alone, as it does for the MLPs beside them. The first run compiles the networks.
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

LAGS, HORIZON, N_TEST = 24, 12, 120  # months; the last 120 forecasts are the test
RNN = {"random_state": 0}
RNN_GRID = {"cell": ["rnn", "lstm", "gru"], "hidden_layer_sizes": [(16,), (64,)]}
MLP = {"learning_rate_init": 0.01, "max_iter": 500, "random_state": 0}
MLP_GRID = {"hidden_layer_sizes": [(16,), (64,)], "alpha": [0.01, 1, 10]}


def main():
    """Run both tasks, print their tables and save the figure."""
    begin = time.perf_counter()
    observed, forecasts = forecast_sea_temperature()
    images, true, read = read_digits()
    path = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_suffix(".png")
    try:
        draw(observed, forecasts, images, true, read).savefig(path)
        print(f"\nFigure: {path}")
    except OSError as error:
        print(f"\nNo figure: {error}")
    print(f"All in {time.perf_counter() - begin:.0f} s.")


def forecast_sea_temperature():
    """Return what was observed and each method's forecasts, (N_TEST, HORIZON)."""
    print("Forecasting the sea surface temperature (the first fit compiles)")
    years = sm.datasets.elnino.load_pandas().data.drop(columns="YEAR")
    series = years.to_numpy(np.float32).ravel()  # float32 is faster than float64
    windows = sliding_window_view(series, LAGS + HORIZON)
    X, y = windows[:, :LAGS], windows[:, LAGS:]
    # what a training window looks ahead at lies before the first forecast of the test
    X_train, X_test = X[: -N_TEST - HORIZON + 1], X[-N_TEST:]
    y_train, y_test = y[: -N_TEST - HORIZON + 1], y[-N_TEST:]

    cv = TimeSeriesSplit(n_splits=3, gap=HORIZON - 1)  # neighbours share months
    options = {"cv": cv, "scoring": "neg_mean_absolute_error"}
    rnn = GridSearchCV(RNNRegressor(max_iter=60, **RNN), RNN_GRID, verbose=3, **options)
    mlp = GridSearchCV(MLPRegressor(**MLP), MLP_GRID, verbose=1, **options)
    scaled_mlp = TransformedTargetRegressor(  # RNNRegressor scales X and y itself
        make_pipeline(StandardScaler(), mlp), transformer=StandardScaler()
    )
    forecasts = {
        "the year before": X_test[:, -12:],
        "RNNRegressor": rnn.fit(X_train, y_train).predict(X_test),
        "MLPRegressor": scaled_mlp.fit(X_train, y_train).predict(X_test),
    }
    print(f"\n{N_TEST} forecasts of {HORIZON} months      MAE     RMSE    sMAPE")
    for name, forecast in forecasts.items():
        mae, rmse, smape = forecast_errors(y_test, forecast)
        print(f"{name:24} {mae:5.3f} °C {rmse:5.3f} °C {smape:5.2f} %")
    print(f"Chosen for RNNRegressor: {rnn.best_params_}\n")
    return y_test, forecasts


def forecast_errors(y_true, y_pred):
    """Return mean absolute error, root mean squared error and sMAPE in percent."""
    error = np.abs(y_true - y_pred)
    smape = 200 * np.mean(error / (np.abs(y_true) + np.abs(y_pred)))
    return error.mean(), np.sqrt(np.mean(error**2)), smape


def read_digits():
    """Return the images of the test part, their digits and what the network read."""
    print("Classification: handwritten digits, row by row")
    digits = load_digits()
    X, y = digits.images.astype(np.float32), digits.target  # X: (1797, 8 rows, 8)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, stratify=y, random_state=0
    )
    rnn = GridSearchCV(RNNClassifier(max_iter=20, **RNN), RNN_GRID, cv=3, verbose=3)
    rnn.fit(X_train, y_train)
    mlp = GridSearchCV(MLPClassifier(**MLP), MLP_GRID, cv=3, verbose=1)
    mlp = make_pipeline(StandardScaler(), mlp).fit(X_train.reshape(-1, 64), y_train)
    print(f"\n{len(y_test)} digits              accuracy")
    print(f"RNNClassifier {100 * rnn.score(X_test, y_test):17.2f} %")
    print(f"MLPClassifier {100 * mlp.score(X_test.reshape(-1, 64), y_test):17.2f} %")
    print(f"Chosen for RNNClassifier: {rnn.best_params_}")
    return X_test, y_test, rnn.predict(X_test)


def draw(observed, forecasts, images, true, read):
    """Return the figure."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    top, bottom = figure.subfigures(2, 1)
    left, right = bottom.subfigures(1, 2)
    draw_forecasts(top.subplots(), observed, forecasts)
    draw_errors(left.subplots(), observed, forecasts)
    right.suptitle("Digits as read by RNNClassifier, wrongly in red")
    draw_digits(right.subplots(3, 8), images, true, read)
    return figure


def draw_forecasts(axes, observed, forecasts):
    """Draw every twelfth forecast: they follow each other."""
    months = np.arange(N_TEST).reshape(-1, HORIZON)
    axes.plot(months.ravel(), observed[::HORIZON].ravel(), "k.-", label="observed")
    for name, style in {"the year before": "C7--", "RNNRegressor": "C3-"}.items():
        lines = axes.plot(months.T, forecasts[name][::HORIZON].T, style)
        lines[0].set_label(name)
    axes.set(xlabel="month of the test part", ylabel="°C", ylim=(18, 28))
    axes.legend(ncols=3, loc="lower left", frameon=False)


def draw_errors(axes, observed, forecasts):
    """Draw the error over the distance."""
    styles = {"the year before": "C7.-", "MLPRegressor": "C0.-", "RNNRegressor": "C3.-"}
    for name, style in styles.items():
        error = np.abs(observed - forecasts[name]).mean(axis=0)
        axes.plot(np.arange(1, HORIZON + 1), error, style, label=name)
    axes.set(xlabel="months ahead", ylabel="mean absolute error, °C", ylim=(0, None))
    axes.legend(frameon=False)


def draw_digits(grid, images, true, read):
    """Draw images under what was read, the wrong ones first."""
    wrong_first = np.argsort(read == true, kind="stable")
    for axes, i in zip(grid.flat, wrong_first[: grid.size], strict=True):
        axes.imshow(images[i], cmap="gray_r")
        axes.set_title(read[i], color="k" if read[i] == true[i] else "C3")
        axes.axis("off")


if __name__ == "__main__":
    main()
