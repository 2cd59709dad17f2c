"""Forecasts and searches on a cluster of two processes are those of one process."""

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from skrnn import RNNForecaster

dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.needs_jit

KEYS = ["unique_id", "ds"]
FORECASTER = RNNForecaster(
    6, n_networks=1, n_updates=40, hidden_layer_sizes=4, random_state=0
)


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def panel():
    """Monthly random walks, a long frame sorted by series and time."""
    months = pd.date_range("2020-01-01", periods=48, freq="MS")
    rng = np.random.default_rng(0)
    walks = 100 + rng.normal(size=(20, 48)).cumsum(axis=1)
    frame = pd.DataFrame(walks, [f"shop {i:02}" for i in range(20)], months)
    frame = frame.rename_axis(index="unique_id", columns="ds")
    return frame.stack().rename("y").reset_index()


@pytest.fixture(scope="module")
def fitted(panel):
    return clone(FORECASTER).fit(panel)


def forecast(part, forecaster):
    if part.empty:
        return part
    return forecaster.predict(history=part.sort_values(KEYS))


def partitions_by_series(panel, npartitions):
    rows = dd.from_pandas(panel.sample(frac=1, random_state=0), npartitions=3)
    return rows.shuffle(on="unique_id", npartitions=npartitions)


def assert_same(found, expected):
    found, expected = (
        frame.sort_values(KEYS, ignore_index=True) for frame in (found, expected)
    )
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_exact=True)


@pytest.mark.parametrize("npartitions", [4, 60])
def test_forecasts_of_partitions(npartitions, client, panel, fitted):
    parts = partitions_by_series(panel, npartitions)
    if npartitions == 60:  # more than there are series
        assert (parts.map_partitions(len).compute() == 0).any()
    light = fitted.without_history()
    found = parts.map_partitions(forecast, light, meta=panel.iloc[:0]).compute()
    assert_same(found, fitted.predict())


def test_partitions_may_be_pieces(client, panel):
    parts = partitions_by_series(panel, 4)
    sort = parts.map_partitions(pd.DataFrame.sort_values, KEYS, meta=panel.iloc[:0])
    pieces = [part.compute for part in sort.partitions]
    found = clone(FORECASTER).fit_pieces(pieces).predict(history=panel)
    assert_same(found, clone(FORECASTER).fit(sort.compute()).predict())


def test_files_that_dask_writes(client, panel, tmp_path):
    pytest.importorskip("pyarrow")
    sort = dd.from_pandas(panel, npartitions=5, sort=False)
    sort = sort.shuffle(on="unique_id", npartitions=5)
    sort = sort.map_partitions(pd.DataFrame.sort_values, KEYS, meta=panel.iloc[:0])
    sort.to_parquet(tmp_path, write_index=False)
    pieces = clone(FORECASTER).fit_pieces(tmp_path)
    assert pieces.n_series_ == 20
    parts = dd.read_parquet(tmp_path)
    found = parts.map_partitions(forecast, pieces, meta=panel.iloc[:0]).compute()
    assert_same(found, pieces.predict(history=panel))


def test_grid_search(client, panel):
    series = panel[panel["unique_id"] == "shop 03"].set_index("ds")["y"]
    search = GridSearchCV(
        clone(FORECASTER),
        {"cell": ["gru", "rnn"]},
        cv=TimeSeriesSplit(2, test_size=6),
        error_score="raise",
    )
    expected = search.fit(series).cv_results_["mean_test_score"]
    with parallel_config("dask"):
        found = search.fit(series).cv_results_["mean_test_score"]
    assert_array_equal(found, expected)
    assert len(set(expected)) == 2


def test_backtest(client, panel):
    forecaster = clone(FORECASTER)
    expected = forecaster.backtest(panel, n_windows=2, refit=True, level=80)
    with parallel_config("dask"):
        found = forecaster.backtest(panel, n_windows=2, refit=True, level=80)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert len(found) == 2 * 6 * 20
