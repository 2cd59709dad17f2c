"""Panels in pieces: what is learned of them, and what they may be."""

import pickle
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skrnn import RNNForecaster
from skrnn.forecasting.panel import joined
from skrnn.forecasting.reading import read_panel
from skrnn.forecasting.streaming import PanelStream, Sample, parquet_files

# tiny data has few past errors
pytestmark = pytest.mark.filterwarnings("ignore:Past errors tell")

SETTINGS = {
    "horizon": 4,
    "n_networks": 1,
    "n_updates": 40,
    "hidden_layer_sizes": 4,
    "random_state": 0,
}
N_STEPS = 36


def panel_of(names, n_steps=N_STEPS):
    """Return a long frame of monthly series, each with a level and a trend."""
    frames = []
    for name in names:
        rng = np.random.default_rng(abs(int(name)))
        months = pd.period_range("2020-01", periods=n_steps, freq="M")
        values = 100 + rng.normal() * np.arange(n_steps) + rng.normal(size=n_steps)
        frames.append(pd.DataFrame({"unique_id": name, "ds": months, "y": values}))
    return pd.concat(frames, ignore_index=True)


def pieces_of(panel, n_series):
    """Cut a long frame into pieces of so many series."""
    numbers = pd.factorize(panel["unique_id"])[0] // n_series
    return [piece for _, piece in panel.groupby(numbers)]


@pytest.fixture(scope="module")
def panel():
    return panel_of(range(12))


@pytest.fixture(scope="module")
def fitted(panel):
    return RNNForecaster(**SETTINGS).fit(panel)


@pytest.fixture(scope="module")
def streamed(panel):
    """Fitted to pieces of which a sample holds a third."""
    forecaster = RNNForecaster(**SETTINGS)
    return forecaster.fit_pieces(pieces_of(panel, 5), subsample=4 * N_STEPS)


def assert_same_forecasts(a, b, panel):
    expected = a.predict_interval(history=panel)
    pd.testing.assert_frame_equal(b.predict_interval(history=panel), expected)


class Again:
    """Something that is iterated again and again, without a length."""

    def __init__(self, pieces):
        self.pieces = pieces

    def __iter__(self):
        return iter(self.pieces)


# --- what is learned ------------------------------------------------------------------


@pytest.mark.needs_jit
@pytest.mark.parametrize(
    "form",
    [
        lambda panel: [panel],
        lambda panel: pieces_of(panel, 5),
        lambda panel: iter(pieces_of(panel, 5)),
        lambda panel: Again(pieces_of(panel, 1)),
        lambda panel: lambda: (piece for piece in pieces_of(panel, 7)),
        lambda panel: [lambda: panel],
        lambda panel: [(panel.drop(columns="y"), panel["y"])],
    ],
    ids=["one", "list", "iterator", "iterable", "callable", "callables", "pair"],
)
def test_what_fits_into_the_sample_gives_the_bits_of_fit(form, panel, fitted):
    forecaster = RNNForecaster(**SETTINGS).fit_pieces(form(panel))
    assert forecaster.n_series_ == 12 and not hasattr(forecaster, "series_ids_")
    history = panel
    if forecaster._form.table.separate:
        history = panel.drop(columns="y"), panel["y"]
    np.testing.assert_array_equal(
        forecaster.predict_interval(history=history).to_numpy()[:, 2:],
        fitted.predict_interval().to_numpy()[:, 2:],
    )


@pytest.mark.needs_jit
@pytest.mark.parametrize("form", [list, iter, Again, lambda pieces: lambda: pieces])
def test_a_stream_learns_the_same_in_each_form_that_keeps_the_order(form, panel):
    def fit(pieces):
        forecaster = RNNForecaster(**SETTINGS)
        return forecaster.fit_pieces(pieces, subsample=4 * N_STEPS)

    pieces = pieces_of(panel, 5)
    kind = "sequence" if form in (list, iter) else "order"
    expected = fit(pieces if kind == "sequence" else lambda: iter(pieces))
    assert_same_forecasts(expected, fit(form(pieces)), panel)


@pytest.mark.needs_jit
def test_a_stream_learns_from_more_than_a_sample_of_its_size(panel, streamed):
    assert streamed.n_series_ == 12
    sample = PanelStream([panel], np.random.RandomState(0)).sample(4 * N_STEPS)
    alone = RNNForecaster(**SETTINGS)
    names = sample.ids.tolist()
    assert len(names) == 4
    alone.fit(panel[panel["unique_id"].isin(names)])
    ours = streamed.predict(history=panel)["y"]
    assert not np.array_equal(ours, alone.predict(history=panel)["y"])


@pytest.mark.needs_jit
def test_a_stream_is_as_accurate_as_fit():
    panel = panel_of(range(60))
    past = panel[panel["ds"] < "2022-09"]
    future = panel[panel["ds"] >= "2022-09"]
    settings = SETTINGS | {"n_updates": 200, "theta": False}

    def error(forecaster):
        forecast = forecaster.predict(future.drop(columns="y"), history=past)
        return np.abs(forecast["y"] - future["y"]).mean()

    whole = RNNForecaster(**settings).fit(past)
    pieces = RNNForecaster(**settings)
    pieces.fit_pieces(pieces_of(past, 4), subsample=10 * N_STEPS)
    naive = past.groupby("unique_id")["y"].transform("last")
    last = past.assign(y=naive).drop_duplicates("unique_id").set_index("unique_id")["y"]
    repeated = np.abs(future["unique_id"].map(last) - future["y"]).mean()
    assert error(pieces) < 1.15 * error(whole)
    assert error(pieces) < 0.9 * repeated


@pytest.mark.needs_jit
def test_the_same_for_any_number_of_threads(panel, streamed):
    settings = SETTINGS | {"n_networks": 2}
    one, two = (
        RNNForecaster(**settings, n_jobs=n).fit_pieces(
            pieces_of(panel, 5), subsample=4 * N_STEPS
        )
        for n in (1, 2)
    )
    assert_same_forecasts(one, two, panel)


@pytest.mark.needs_jit
def test_memory_is_that_of_a_piece_and_some_samples():
    def piece(number):
        frame = panel_of([0], 200)
        many = pd.concat([frame] * 100, ignore_index=True)
        return many.assign(unique_id=np.repeat(np.arange(100), 200) + 100 * number)

    n_bytes = 80 * piece(0).memory_usage().sum()
    forecaster = RNNForecaster(**SETTINGS, season_length=1)
    forecaster.fit_pieces([lambda: piece(0)], subsample=2000)  # compile
    tracemalloc.start()
    try:
        pieces = (piece(number) for number in range(80))
        forecaster.fit_pieces(pieces, subsample=20_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert forecaster.n_series_ == 8000
    assert peak < 0.4 * n_bytes


# --- samples and parts ----------------------------------------------------------------


def read(frame):
    return read_panel(frame)[0]


def test_a_sample_does_not_depend_on_the_cut(panel):
    samples = []
    for n in (1, 5, 12):
        sample, random_state = Sample(5 * N_STEPS), np.random.RandomState(3)
        for piece in pieces_of(panel, n):
            sample.add(read(piece), random_state)
        samples.append(sample.panel.ids.tolist())
    assert len(samples[0]) == 5 and samples[0] == sorted(samples[0])
    assert samples[1] == samples[0] and samples[2] == samples[0]


def test_every_series_is_as_likely_in_a_sample():
    panel = read(panel_of(range(10), 2))
    counts, random_state = np.zeros(10), np.random.RandomState(0)
    for _ in range(2000):
        sample = Sample(6)
        for i in range(0, 10, 3):
            sample.add(panel.take(slice(i, i + 3)), random_state)
        counts[sample.panel.ids] += 1
    assert counts.sum() == 3 * 2000
    assert np.abs(counts / 2000 - 0.3).max() < 0.05


def test_a_sample_holds_one_series_however_long():
    sample = Sample(1)
    sample.add(read(panel_of(range(3))), np.random.RandomState(0))
    assert len(sample.panel) == 1


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_parts_go_through_all_series_equally(cut, panel):
    pieces = pieces_of(panel, cut)
    stream = PanelStream(lambda: iter(pieces), np.random.RandomState(0))
    stream.sample(4 * N_STEPS)
    parts = stream.parts(4 * N_STEPS)
    drawn = [next(parts) for _ in range(20)]
    assert {len(part) for part in drawn} == {4}
    ids = np.concatenate([part.ids for part in drawn])
    assert_array_equal(ids, np.resize(np.arange(12), 80))
    expected = read(panel)
    for part in drawn:
        for i, name in enumerate(part.ids):
            assert_array_equal(part.series(i), expected.series(name))


def test_many_pieces_are_gone_through_once_and_parts_are_bounded():
    pieces = [panel_of([i], 3) for i in range(100)]
    stream = PanelStream(lambda: iter(pieces), np.random.RandomState(0))
    stream.sample(6)
    parts = stream.parts(6)
    drawn = [next(parts) for _ in range(20)]
    for number, part in enumerate(drawn):
        assert len(part) == 2
        assert set(part.ids) <= set(range(5 * number, 5 * number + 5))


def test_pieces_of_a_sequence_come_in_random_order(panel):
    stream = PanelStream(pieces_of(panel, 1), np.random.RandomState(0))
    assert_array_equal(stream.sample(10**6).ids, np.arange(12))
    names = [next(iter(stream._panels(quiet=True)))[0] for _ in range(20)]
    assert len(set(names)) > 5


def test_joined_panels_are_one_panel(panel):
    parts = [read(piece) for piece in pieces_of(panel, 5)]
    whole, expected = joined(parts), read(panel)
    for name in ("ids", "values", "offsets", "known", "past", "static"):
        assert_array_equal(getattr(whole, name), getattr(expected, name))


# --- columns --------------------------------------------------------------------------


@pytest.mark.needs_jit
def test_levels_are_those_of_all_pieces(panel):
    kinds = panel["unique_id"].map(lambda name: "ab"[name >= 6])
    panel = panel.assign(kind=kinds)
    settings = SETTINGS | {"static_columns": ["kind"]}
    whole = RNNForecaster(**settings).fit(panel)
    pieces = RNNForecaster(**settings).fit_pieces(pieces_of(panel, 5))
    (column,) = pieces._form.static
    assert column.levels.tolist() == ["a", "b"]
    assert_same_forecasts(whole, pieces, panel)
    stranger = panel.assign(kind="c")
    assert np.isfinite(pieces.predict(history=stranger)["y"]).all()


@pytest.mark.needs_jit
def test_columns_known_ahead_and_static_frames_are_used(panel):
    panel = panel.assign(holiday=(panel["ds"].dt.month == 12).astype(float))
    static = pd.DataFrame({"size": np.arange(12.0)}, index=np.arange(12))
    whole = RNNForecaster(**SETTINGS).fit(panel, static=static)
    pieces = RNNForecaster(**SETTINGS)
    pieces.fit_pieces(pieces_of(panel, 5), static=static)
    ahead = panel.groupby("unique_id").tail(4).drop(columns="y")
    ahead["ds"] += 4
    expected = whole.predict(ahead)
    for forecaster in (pieces, whole.without_history()):
        forecast = forecaster.predict(ahead, history=panel)
        pd.testing.assert_frame_equal(forecast, expected)


# --- after the fit --------------------------------------------------------------------


@pytest.mark.needs_jit
def test_the_history_comes_with_update(panel, streamed):
    later = pickle.loads(pickle.dumps(streamed))
    with pytest.raises(ValueError, match="pass the series to forecast as history"):
        later.predict()
    with pytest.raises(ValueError, match="keeps no history"):
        later.score(panel)
    later.update(panel)
    pd.testing.assert_frame_equal(later.predict(), streamed.predict(history=panel))
    assert later.series_ids_.tolist() == list(range(12))


@pytest.mark.needs_jit
def test_fit_pieces_forgets_what_was_fitted_before(panel):
    forecaster = RNNForecaster(**SETTINGS).fit(panel_of([20, 21]))
    forecaster.fit_pieces([panel])
    assert not hasattr(forecaster, "series_ids_")
    with pytest.raises(ValueError, match="history"):
        forecaster.predict()


@pytest.mark.needs_jit
def test_without_history_is_small_and_predicts_the_same(panel, fitted):
    light = fitted.without_history()
    assert_same_forecasts(fitted, pickle.loads(pickle.dumps(light)), panel)
    assert not hasattr(light, "series_ids_")
    # the forecaster itself still has it
    assert len(fitted.predict()) == 48
    difference = len(pickle.dumps(fitted)) - len(pickle.dumps(light))
    assert difference > fitted._panel.values.nbytes
    assert len(pickle.dumps(light)) < 50_000


# --- what pieces may be ---------------------------------------------------------------


@pytest.mark.needs_jit
def test_wide_frames_series_and_arrays_may_be_pieces(panel):
    wide = panel.pivot(index="ds", columns="unique_id", values="y")
    expected = RNNForecaster(**SETTINGS).fit(wide).predict()
    pieces = RNNForecaster(**SETTINGS).fit_pieces([wide[[0, 1, 2]], wide.iloc[:, 3:]])
    pd.testing.assert_frame_equal(pieces.predict(history=wide), expected)
    series = [wide[name].rename("sales") for name in wide]
    one = RNNForecaster(**SETTINGS).fit_pieces(series)
    forecast = one.predict(history=series[7])
    assert_array_equal(forecast, expected[7])
    arrays = RNNForecaster(**SETTINGS, season_length=12, calendar=False)
    arrays.fit_pieces([s.to_numpy() for s in series])
    assert arrays.predict(history=series[7].to_numpy()).shape == (4,)


def test_which_files_are_pieces(tmp_path):
    for name in ["b.parquet", "a/1.parquet", "_x/2.parquet", ".y.parquet", "c.csv"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [file.relative_to(tmp_path).as_posix() for file in parquet_files(tmp_path)]
    assert found == ["a/1.parquet", "b.parquet"]
    assert parquet_files(str(tmp_path / "c.csv")) == [tmp_path / "c.csv"]
    with pytest.raises(FileNotFoundError, match="no parquet file"):
        parquet_files(tmp_path / "nowhere")


@pytest.mark.needs_jit
def test_an_iterator_is_stored_only_meanwhile(monkeypatch, tmp_path, panel):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []

    def pieces():
        for piece in pieces_of(panel, 5):
            seen.append(sum(1 for _ in tmp_path.rglob("*")))
            yield piece

    RNNForecaster(**SETTINGS).fit_pieces(pieces(), subsample=N_STEPS)
    assert seen == [1, 2, 3]  # the folder, and the pieces so far
    assert not list(Path(tmp_path).iterdir())


@pytest.mark.needs_jit
def test_pieces_without_rows_are_passed_over(panel, fitted):
    first, second, third = pieces_of(panel, 5)
    empty = first.iloc[:0]
    forecaster = RNNForecaster(**SETTINGS)
    forecaster.fit_pieces([empty, first, second, empty, third])
    assert_same_forecasts(fitted, forecaster, panel)


# --- errors ---------------------------------------------------------------------------


@pytest.mark.needs_jit
def test_a_piece_in_another_form_is_named(panel):
    first, second, third = pieces_of(panel, 5)
    cases = {
        "In piece 2: The data must be a long frame": second.set_index("ds")["y"],
        "In piece 2: The data has the column 'x'": second.assign(x=1.0),
        "In piece 2: The value of series 5 at 2020-01": second.assign(y=np.inf),
    }
    for message, odd in cases.items():
        with pytest.raises(ValueError, match=message):
            RNNForecaster(**SETTINGS).fit_pieces([first, odd, third])
    with pytest.raises(ValueError, match="In piece 1: There is no column 'y'"):
        RNNForecaster(**SETTINGS).fit_pieces([first.drop(columns="y")])


@pytest.mark.needs_jit
def test_a_missing_level_column_is_named(panel):
    panel = panel.assign(kind="a")
    pieces = pieces_of(panel, 5)
    pieces[1] = pieces[1].drop(columns="kind")
    forecaster = RNNForecaster(**SETTINGS, static_columns=["kind"])
    with pytest.raises(ValueError, match="In piece 2: The data must have .* 'kind'"):
        forecaster.fit_pieces(pieces)


@pytest.mark.needs_jit
def test_series_that_go_on_in_the_next_piece_are_refused(panel):
    by_time = [panel[panel["ds"] < "2021-01"], panel[panel["ds"] >= "2021-01"]]
    with pytest.raises(ValueError, match="In piece 2: series 0 is also in the piece"):
        RNNForecaster(**SETTINGS).fit_pieces(by_time)


def test_no_pieces(panel):
    with pytest.raises(ValueError, match="no piece"):
        RNNForecaster(**SETTINGS).fit_pieces([])
    with pytest.raises(TypeError, match="single DataFrame. Pass it to fit"):
        RNNForecaster(**SETTINGS).fit_pieces(panel)
    with pytest.raises(TypeError, match="pieces must be the path"):
        RNNForecaster(**SETTINGS).fit_pieces(3)
    with pytest.raises(ValueError, match="subsample must be a positive integer"):
        RNNForecaster(**SETTINGS).fit_pieces([panel], subsample=0)


@pytest.mark.needs_jit
def test_a_callable_must_return_a_new_iterator(panel):
    once = iter(pieces_of(panel, 5))
    with pytest.raises(ValueError, match="no piece|only once"):
        RNNForecaster(**SETTINGS).fit_pieces(lambda: once, subsample=N_STEPS)


@pytest.mark.needs_jit
def test_gaps_are_told_of_once(panel):
    gaps = panel.drop(index=[3, 300])
    with pytest.warns(UserWarning, match="no row for") as warned:
        RNNForecaster(**SETTINGS).fit_pieces(pieces_of(gaps, 5), subsample=3 * N_STEPS)
    assert len(warned) == 2


@pytest.mark.parametrize("subsample", [2, 1000])
def test_series_of_one_value_are_refused(panel, subsample):
    short = pieces_of(panel.groupby("unique_id").head(1), 5)
    with pytest.raises(ValueError, match="No series has two values"):
        RNNForecaster(**SETTINGS).fit_pieces(short, subsample=subsample)
