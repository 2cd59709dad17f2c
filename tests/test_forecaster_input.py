"""What RNNForecaster refuses, and what it says then; Ctrl-C changes nothing."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skrnn import RNNForecaster, training
from tests.test_forecaster import HORIZON, MONTHS, TINY, WIDE, forecaster
from tests.test_panel_reading import long_frame

# tiny data has few past errors
pytestmark = pytest.mark.filterwarnings("ignore:Past errors tell")

A = WIDE["a"]
DAYS = pd.date_range("2024-01-01", periods=40, freq="D")
DAILY = A.set_axis(DAYS)
LONG = long_frame(WIDE.set_axis(DAYS).rename_axis("ds"))

MONTHLY = pd.DataFrame(
    {
        "unique_id": "m",
        "ds": pd.date_range("2024-01-01", periods=9, freq="MS"),
        "y": 1.0,
    }
)


def replaced(data, place, value):
    data = data.copy()
    data.iloc[place] = value
    return data


BAD_DATA = {
    "unsorted": (
        lambda: DAILY.iloc[[0, 2, 1, *range(3, 40)]],
        "series 'a' are not sorted: 2024-01-02 .* follows 2024-01-03",
    ),
    "unsorted in a panel": (
        lambda: LONG.iloc[[*range(41), 42, 41, *range(43, 120)]],
        "series 'b' are not sorted",
    ),
    "twice": (
        lambda: DAILY.iloc[[0, 1, 1, *range(2, 40)]],
        "2024-01-02 .* occurs twice in series 'a'",
    ),
    "mixed frequencies": (
        lambda: pd.concat([LONG, MONTHLY]),
        "'a' has freq 'D', but series 'm' has freq 'MS'",
    ),
    "off the grid": (
        lambda: DAILY.set_axis([*DAYS[:39], DAYS[39] + pd.Timedelta(hours=5)]),
        "Time .* is not on the grid",
    ),
    "no time": (lambda: DAILY.set_axis([*DAYS[:39], pd.NaT]), "time of row 39 is miss"),
    "empty": (lambda: A[:0], "no rows"),
    "empty list": (list, "no rows"),
    "empty frame": (lambda: pd.DataFrame(), "no columns"),
    "all missing": (lambda: A * np.nan, "All values of series 'a' are missing"),
    "all missing in a panel": (
        lambda: WIDE.assign(b=np.nan),
        "All values of series 'b' are missing",
    ),
    "infinite": (lambda: replaced(DAILY, 3, np.inf), "'a' at 2024-01-04 .* is infinit"),
    "one value": (lambda: A[:1], "No series has two values"),
    "one value of an array": (lambda: [1.0], "No series has two values"),
    "one value each": (lambda: WIDE[:1], "No series has two values"),
    "two dimensions": (lambda: np.ones((5, 2)), "one dimension.*shape .5, 2."),
    "three levels": (
        lambda: pd.concat({1: LONG.set_index(["unique_id", "ds"])}),
        "two ",
    ),
    "no target": (lambda: LONG.rename(columns={"y": "z"}), "no column 'y'"),
    "no frequency": (lambda: A[:1].set_axis(pd.to_datetime(["2024"])), "Pass freq"),
}
BAD_TYPES = {
    "strings": (lambda: A.astype(str), "'a' must hold numbers, but"),
    "strings in a column": (lambda: LONG.assign(y="x"), "'y' must hold numbers"),
    "categories": (lambda: A.astype("category"), "must hold numbers"),
    "no times": (
        lambda: A.set_axis([f"t{i}" for i in range(40)]),
        "must be datetimes, periods or int",
    ),
    "floats as times": (
        lambda: A.set_axis(np.arange(40) + 0.5),
        "must be datetimes, periods or int",
    ),
    "numbers and a time zone": (
        lambda: DAILY.set_axis([*DAYS[:20], *DAYS[20:].tz_localize("UTC")]),
        "time zone",
    ),
    "None": (lambda: None, "one dimension"),
    "a string": (lambda: "abc", "one dimension"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data(case):
    make, match = BAD_DATA[case]
    with pytest.raises(ValueError, match=match):
        forecaster().fit(make())


@pytest.mark.parametrize("case", BAD_TYPES)
def test_bad_types(case):
    make, match = BAD_TYPES[case]
    with pytest.raises((TypeError, ValueError), match=match):
        forecaster().fit(make())


@pytest.mark.parametrize(
    "options, match",
    [
        ({"horizon": 0}, "'horizon' parameter .* must be an int in the range"),
        ({"horizon": 2.5}, "'horizon'"),
        ({"lags": 0}, "'lags'"),
        ({"season_length": 0}, "'season_length'"),
        ({"freq": "nonsense"}, "freq"),
        ({"log": "yes"}, "'log'"),
        ({"calendar": None}, "'calendar'"),
        ({"linear": "no"}, "'linear'"),
        ({"theta": "auto"}, "'theta'"),
        ({"n_networks": 0}, "'n_networks'"),
        ({"quantiles": [0.5, 1.0]}, "quantiles"),
        ({"quantiles": [0.0]}, "quantiles"),
        ({"quantiles": []}, "quantiles"),
        ({"quantiles": [[0.1, 0.9]]}, "quantiles"),
        ({"quantiles": 2}, "'quantiles'"),
        ({"quantiles": [np.nan]}, "quantiles"),
        ({"quantiles": ["low"]}, "quantiles"),
        ({"cell": "cnn"}, "'cell'"),
        ({"hidden_layer_sizes": 0}, "'hidden_layer_sizes'"),
        ({"hidden_layer_sizes": []}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": [8, 0]}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": [2.5]}, "hidden_layer_sizes"),
        ({"dropout": 1.0}, "'dropout'"),
        ({"n_updates": 0}, "'n_updates'"),
        ({"batch_size": 0}, "'batch_size'"),
        ({"learning_rate_init": 0.0}, "'learning_rate_init'"),
        ({"alpha": -1.0}, "'alpha'"),
        ({"max_grad_norm": 0.0}, "'max_grad_norm'"),
        ({"past_columns": ["x"]}, "past_columns has 'x'"),
        ({"static_columns": ["x"]}, "static_columns has 'x'"),
        ({"random_state": "x"}, "'random_state'"),
        ({"n_jobs": 1.5}, "'n_jobs'"),
    ],
)
def test_bad_options(options, match):
    model = forecaster(**options)
    with pytest.raises(ValueError, match=match):
        model.fit(DAILY)
    assert not hasattr(model, "season_length_")


@pytest.mark.needs_jit  # plain Python warns where kernels overflow
def test_a_diverging_training_says_so():
    with pytest.raises(ValueError, match="diverged.*learning_rate_init"):
        forecaster(learning_rate_init=1e38, cell="rnn", alpha=1.0).fit(A)


@pytest.fixture(scope="module")
def fitted():
    return forecaster(quantiles=[0.1]).fit(WIDE.set_axis(DAYS))


@pytest.mark.parametrize("method", ["predict", "predict_quantiles", "predict_interval"])
@pytest.mark.parametrize("X", [0, -1, np.int64(0), True, False])
def test_no_steps(fitted, method, X):
    with pytest.raises(ValueError, match="At least one step must be forecast, got"):
        getattr(fitted, method)(X)


@pytest.mark.parametrize("X", [2.0, "3", [3], object(), np.ones((2, 2))])
def test_no_times(fitted, X):
    with pytest.raises((TypeError, ValueError), match="times|int"):
        fitted.predict(X)


def test_times_that_do_not_follow(fitted):
    with pytest.raises(TypeError, match="time zone like those before"):
        fitted.predict(DAYS.tz_localize("UTC") + pd.Timedelta(days=40))
    with pytest.raises(TypeError, match="must be datetimes"):
        fitted.predict(MONTHS + 40)
    with pytest.raises(ValueError, match="not on the grid"):
        fitted.predict(DAYS + pd.Timedelta(hours=1))
    with pytest.raises(ValueError, match="asked for twice"):
        fitted.predict(DAYS[[0, 0]] + pd.Timedelta(days=40))
    with pytest.raises(ValueError, match="Series 'd' is unknown; there are 'a', 'b'"):
        fitted.predict(pd.DataFrame({"d": 0}, DAYS + pd.Timedelta(days=40)))
    with pytest.raises(ValueError, match="no history before 2023-12-"):
        fitted.predict(DAYS - pd.Timedelta(days=5))


@pytest.mark.parametrize(
    "level", [0, 100, 101, -5, np.nan, [80, 100], [], [[80]], "high", None]
)
def test_bad_levels(fitted, level):
    with pytest.raises((TypeError, ValueError), match=r"level must be percents"):
        fitted.predict_interval(level=level)


def test_data_of_another_form(fitted):
    for method in (fitted.update, fitted.partial_fit, fitted.score):
        with pytest.raises(ValueError, match="must be a wide frame"):
            method(DAILY)
        with pytest.raises(TypeError, match="time zone like those before"):
            method(WIDE.set_axis(DAYS.tz_localize("UTC")))
    with pytest.raises(ValueError, match="must be a wide frame"):
        fitted.predict(history=DAILY)
    with pytest.raises(ValueError, match="no rows"):
        fitted.predict(history=WIDE.set_axis(DAYS)[:0])
    before = fitted.predict()
    assert before.index[0] == DAYS[-1] + pd.Timedelta(days=1)


def test_gaps_are_said():
    with pytest.warns(UserWarning, match="'a' has no row for 2024-01-06"):
        forecaster().fit(DAILY.drop(DAYS[5]))
    weekdays = DAILY.set_axis(pd.date_range("2024-01-01", periods=40, freq="B"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forecaster().fit(weekdays)


def test_a_single_time_needs_a_frequency_only():
    values = pd.DataFrame(np.arange(1.0, 5).reshape(2, 2), DAYS[:2], list("ab"))
    fitted = forecaster(freq="D").fit(values)
    assert fitted.predict().index[0] == DAYS[2]


def test_one_value_and_missing_ones():
    """They are steps that passed, so there is a forecast, but no error known."""
    for n in (2, 5, 20, 40):
        fitted = forecaster(linear="auto").fit(replaced(A[:n], slice(1, n), np.nan))
        assert fitted.predict().between(25, 100).all()
        with pytest.raises(ValueError, match="nothing is known of errors"):
            fitted.predict_interval()
    end = replaced(A, slice(20, 40), np.nan)
    fitted = forecaster(linear="auto").fit(end)
    assert fitted.predict().between(25, 100).all()


# Ctrl-C -------------------------------------------------------------------------------


@pytest.fixture
def interrupt(monkeypatch):
    """Press Ctrl-C at the beginning of a part of the training, counted from 0."""

    def press(at):
        parts = iter(range(100_000))
        real = training.Trainer.epoch

        def epoch(self, *args):
            if next(parts) == at:
                raise KeyboardInterrupt
            return real(self, *args)

        monkeypatch.setattr(training.Trainer, "epoch", epoch)

    return press


@pytest.mark.parametrize("at", [0, 5, 25, 65])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_interrupted_fit_leaves_all_as_it_was(interrupt, at, n_jobs):
    options = TINY | {"n_networks": 2, "n_jobs": n_jobs, "calendar": True}
    model = RNNForecaster(HORIZON, **options)
    interrupt(at)
    with pytest.raises(KeyboardInterrupt):
        model.fit(WIDE)
    assert vars(model) == vars(RNNForecaster(HORIZON, **options))


@pytest.mark.parametrize("again", ["fit", "partial_fit"])
def test_an_interrupted_training_keeps_the_model(interrupt, again):
    model = forecaster(calendar=True).fit(WIDE[:36])
    before, expected = dict(vars(model)), model.predict_interval()
    interrupt(7)
    with pytest.raises(KeyboardInterrupt):
        if again == "fit":
            model.set_params(calendar=False).fit(DAILY).predict()
        else:
            model.partial_fit(WIDE[36:])
    model.set_params(calendar=True)
    assert vars(model) == before
    assert_array_equal(model.predict_interval(), expected)


def test_an_update_may_hold_missing_values_alone():
    months = pd.period_range("2020-01", periods=30, freq="M")
    y = pd.DataFrame({"a": np.arange(30.0), "b": np.arange(30.0)}, months)
    fitted = RNNForecaster(2, n_networks=1, n_updates=20).fit(y[:28])
    later = y[28:].assign(b=np.nan)
    answer = fitted.update(later).predict()
    assert answer.index[0] == months[-1] + 1
    assert np.isfinite(answer.to_numpy()).all()
