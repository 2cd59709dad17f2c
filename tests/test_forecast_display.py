"""ForecastDisplay draws histories, forecasts, intervals and what came."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skrnn import RNNForecaster
from skrnn.forecasting import ForecastDisplay

# tiny data has few past errors
pytestmark = pytest.mark.filterwarnings("ignore:Past errors tell")

N, HORIZON = 80, 6
MONTHS = pd.date_range("2018-01-01", periods=N, freq="MS")


def values(seed):
    noise = np.random.default_rng(seed).normal(size=N)
    return 50 + 5 * np.sin(np.arange(N) * np.pi / 6) + noise


SALES = pd.Series(values(0), index=MONTHS, name="sales, t")
WIDE = pd.DataFrame({name: values(i) for i, name in enumerate("abcdefghijk")}, MONTHS)
LONG = WIDE.melt(ignore_index=False, var_name="unique_id", value_name="y")
LONG = LONG.rename_axis("ds").reset_index()


def forecaster(**params):
    small = {"n_updates": 3, "n_networks": 1, "hidden_layer_sizes": 2, "lags": 12}
    small |= {"theta": False, "linear": False, "random_state": 0}
    return RNNForecaster(**{"horizon": HORIZON} | small | params)


@pytest.fixture(autouse=True)
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def edges(band):
    """Return the lower and upper bounds of a band, and its times."""
    points = band.get_paths()[0].vertices
    at = np.unique(points[:, 0])
    bounds = [points[points[:, 0] == x, 1] for x in at]
    return at, [b.min() for b in bounds], [b.max() for b in bounds]


def test_a_series_with_its_intervals_and_truth():
    network = forecaster().fit(SALES[:-HORIZON])
    display = ForecastDisplay.from_estimator(network, truth=SALES[-9:])
    (ax,) = display.axes_
    assert ax.figure is display.figure_
    assert ax.get_ylabel() == "sales, t"
    assert ax.get_title(loc="left") == ""
    (lines,), (bands,) = display.lines_, display.bands_
    expected = network.predict_interval()
    (line,) = lines["forecast"]
    assert_array_equal(line.get_xdata(), MONTHS[-HORIZON:])
    assert_array_equal(line.get_ydata(), expected["forecast"])
    assert list(bands) == ["95", "80"]  # the narrow one upon the wide one
    for level, (band,) in bands.items():
        _, lower, upper = edges(band)
        assert_allclose(lower, expected[f"lower_{level}"])
        assert_allclose(upper, expected[f"upper_{level}"])
    (history,) = lines["history"]
    assert_array_equal(history.get_xdata(), MONTHS[-HORIZON - 48 : -HORIZON])
    assert_array_equal(history.get_ydata(), SALES[-HORIZON - 48 : -HORIZON])
    (truth,) = lines["truth"]  # from the last point of the history on
    assert_array_equal(truth.get_ydata(), SALES[-HORIZON - 1 :])
    (legend,) = display.figure_.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["history", "truth", "forecast", "95 %", "80 %"]


def test_dates_are_short_and_few():
    display = ForecastDisplay.from_estimator(forecaster().fit(SALES))
    display.figure_.draw_without_rendering()
    (ax,) = display.axes_
    texts = [t.get_text() for t in ax.get_xticklabels() if t.get_text()]
    assert 3 <= len(texts) <= 8
    assert max(map(len, texts)) <= 4
    assert "2022" in texts


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_times_are_those_on_the_wall(zone):
    hours = pd.date_range("2024-05-01", periods=N, freq="h", tz=zone)
    network = forecaster().fit(pd.Series(values(0), hours))
    (lines,) = ForecastDisplay.from_estimator(network, level=None).lines_
    expected = pd.date_range(hours[-1].tz_localize(None), periods=7, freq="h")[1:]
    assert_array_equal(lines["forecast"][0].get_xdata(), expected)


@pytest.mark.parametrize("data", [SALES.to_numpy(), SALES.reset_index(drop=True)])
def test_integers_are_steps(data):
    network = forecaster().fit(data[:-HORIZON])
    truth = data[-HORIZON:]
    display = ForecastDisplay.from_estimator(network, truth=truth, n_history=5)
    (lines,), (ax,) = display.lines_, display.axes_
    assert_array_equal(lines["forecast"][0].get_xdata(), np.arange(N - HORIZON, N))
    assert_array_equal(lines["history"][0].get_xdata(), np.arange(N - 11, N - 6))
    assert_array_equal(lines["truth"][0].get_ydata()[1:], truth)
    assert ax.get_xlabel() == "step"


def test_periods_are_drawn_where_they_begin():
    periods = SALES.set_axis(MONTHS.to_period("M"))
    network = forecaster().fit(periods[:-HORIZON])
    display = ForecastDisplay.from_estimator(network, truth=periods)
    (lines,) = display.lines_
    assert_array_equal(lines["forecast"][0].get_xdata(), MONTHS[-HORIZON:])
    assert_array_equal(lines["truth"][0].get_ydata()[1:], SALES[-HORIZON:])


@pytest.mark.parametrize("form", ["wide", "long", "multi"])
def test_a_panel_is_a_grid_of_its_first_series(form):
    multi = LONG.set_index(["unique_id", "ds"])["y"]
    data = {"wide": WIDE, "long": LONG, "multi": multi}[form]
    network = forecaster().fit(data)
    display = ForecastDisplay.from_estimator(network, level=80)
    assert display.axes_.shape == (9,)
    assert len(display.figure_.axes) == 9
    assert [ax.get_title(loc="left") for ax in display.axes_] == list("abcdefghi")
    expected = network.predict()
    if form != "wide":
        keys = expected if form == "long" else expected.reset_index()
        expected = keys.pivot(index="ds", columns="unique_id", values="y")
    for name, lines in zip("abcdefghi", display.lines_, strict=True):
        assert_array_equal(lines["forecast"][0].get_ydata(), expected[name])
        assert_array_equal(lines["history"][0].get_ydata(), WIDE[name][-48:])
    display = ForecastDisplay.from_estimator(network, ids=["k", "b"], level=None)
    assert [ax.get_title(loc="left") for ax in display.axes_] == ["k", "b"]
    drawn = [lines["forecast"][0].get_ydata() for lines in display.lines_]
    assert_array_equal(drawn, expected[["k", "b"]].T)
    assert len(ForecastDisplay.from_estimator(network, ids="b").axes_) == 1


def test_pairs_name_a_series():
    columns = pd.MultiIndex.from_product([["north", "south"], ["a", "b"]])
    wide = WIDE.iloc[:, :4].set_axis(columns, axis=1)
    network = forecaster()
    display = ForecastDisplay.from_estimator(network.fit(wide), ids=("south", "a"))
    expected = network.predict()["south", "a"]
    assert_array_equal(display.lines_[0]["forecast"][0].get_ydata(), expected)
    frame = network.backtest(wide)
    display = ForecastDisplay.from_backtest(frame, history=wide, ids=[("north", "b")])
    assert display.axes_[0].get_title(loc="left") == "('north', 'b')"
    history = display.lines_[0]["history"][0].get_ydata()
    assert_array_equal(history, wide["north", "b"][-66:-18])


def test_rows_of_the_future_and_other_series():
    X = pd.DataFrame({"price": values(5)}, index=MONTHS)
    network = forecaster().fit(X[:-8], SALES[:-8])
    display = ForecastDisplay.from_estimator(network, X[-8:])
    expected = network.predict(X[-8:])
    assert_array_equal(display.lines_[0]["forecast"][0].get_ydata(), expected)
    other = SALES[:-20] + 7
    network = forecaster().fit(SALES)
    display = ForecastDisplay.from_estimator(network, 3, history=other)
    expected = network.predict(3, history=other)
    assert_array_equal(display.lines_[0]["forecast"][0].get_xdata(), expected.index)
    assert_array_equal(display.lines_[0]["history"][0].get_ydata(), other[-48:])


def test_rows_of_the_past_have_their_truth_and_cutoffs():
    network = forecaster().fit(SALES)
    display = ForecastDisplay.from_estimator(network, MONTHS[-9:])
    assert_array_equal(display.forecasts["y"], SALES[-9:])
    cutoffs = display.forecasts["cutoff"].unique()
    assert_array_equal(cutoffs, MONTHS[[-10, -4]])
    assert len(display.lines_[0]["forecast"]) == 2
    assert_array_equal(display.lines_[0]["history"][0].get_xdata()[-1:], MONTHS[-10])


def test_a_backtest_with_overlapping_windows():
    frame = forecaster().backtest(SALES, n_windows=3, step=2, level=80)
    display = ForecastDisplay.from_backtest(frame, history=SALES)
    (lines,), (bands,), (ax,) = display.lines_, display.bands_, display.axes_
    assert len(lines["forecast"]) == len(bands["80"]) == 3
    for line, (_, window) in zip(
        lines["forecast"], frame.groupby("cutoff"), strict=True
    ):
        assert_array_equal(line.get_xdata(), window["ds"])
        assert_array_equal(line.get_ydata(), window["forecast"])
    assert len({line.get_color() for line in lines["forecast"]}) == 3
    dashes = {str(line._dash_pattern) for line in lines["forecast"]}
    assert len(dashes) == 3  # told apart without colour
    assert_array_equal(lines["truth"][0].get_ydata(), SALES[-11:])
    assert_array_equal(lines["history"][0].get_ydata(), SALES[-58:-10])
    assert ax.get_ylabel() == "sales, t"
    display = ForecastDisplay.from_backtest(frame)
    assert_array_equal(display.lines_[0]["truth"][0].get_ydata(), SALES[-10:])
    assert display.lines_[0]["history"] == []


def test_a_backtest_of_a_panel():
    names = {"id_col": "shop", "time_col": "day", "target_col": "sold"}
    data = LONG[["unique_id", "ds", "y"]].set_axis(list(names.values()), axis=1)
    frame = forecaster(**names).backtest(data, n_windows=2)
    display = ForecastDisplay.from_backtest(
        frame, history=data, ids=["c", "a"], n_history=4
    )
    assert [ax.get_title(loc="left") for ax in display.axes_] == ["c", "a"]
    assert [ax.get_ylabel() for ax in display.axes_] == ["sold", ""]
    for name, lines in zip("ca", display.lines_, strict=True):
        assert_array_equal(lines["history"][0].get_ydata(), WIDE[name][-16:-12])
        expected = frame.loc[frame["shop"] == name, "forecast"]
        drawn = np.concatenate([line.get_ydata() for line in lines["forecast"]])
        assert_array_equal(drawn, expected)


def test_it_draws_on_the_axes_that_it_is_given(plt):
    network = forecaster().fit(WIDE[["a", "b"]])
    figure, axes = plt.subplots(2, 2)
    display = ForecastDisplay.from_estimator(network, ax=axes)
    assert display.figure_ is figure
    assert list(display.axes_) == list(axes[0])
    assert axes[0, 0].get_legend() is not None
    assert display.plot() is display  # on axes of its own
    assert display.figure_ is not figure
    display = ForecastDisplay.from_estimator(network, ids="a", ax=axes[1, 0])
    assert display.axes_[0] is axes[1, 0]
    with pytest.raises(ValueError, match="There are 2 series, but ax has 1 axes"):
        ForecastDisplay.from_estimator(network, ax=axes[0, 0])


def test_a_single_step_and_a_short_history_are_seen():
    network = forecaster(horizon=1).fit(SALES)
    display = ForecastDisplay.from_estimator(network, n_history=1)
    (lines,) = display.lines_
    assert lines["forecast"][0].get_marker() == "o"
    assert lines["history"][0].get_marker() == "o"


def test_bad_arguments_are_named():
    network = forecaster().fit(WIDE)
    with pytest.raises(ValueError, match="Series 'z' is unknown; there are 'a', 'b'"):
        ForecastDisplay.from_estimator(network, ids=["a", "z"])
    with pytest.raises(ValueError, match="ids is empty"):
        ForecastDisplay.from_estimator(network, ids=[])
    with pytest.raises(ValueError, match="truth has none of the times"):
        ForecastDisplay.from_estimator(network, truth=WIDE)
    with pytest.raises(ValueError, match="frame must have the columns id, time"):
        ForecastDisplay.from_backtest(LONG)
    with pytest.raises(ValueError, match="level must be percents"):
        ForecastDisplay.from_estimator(network, level=100)


def test_without_matplotlib_an_error_says_what_to_install(monkeypatch):
    network = forecaster().fit(SALES)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"ForecastDisplay.plot requires matplotlib"):
        ForecastDisplay.from_estimator(network)
