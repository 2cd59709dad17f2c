"""RNNForecaster among scikit-learn's tools: searches and splits by time."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import (
    GridSearchCV,
    TimeSeriesSplit,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)

from skrnn.model_selection import PanelTimeSeriesSplit
from tests.test_forecaster import HORIZON, KINDS, MONTHS, WIDE, forecaster
from tests.test_panel_reading import in_form, long_frame

# tiny data has few past errors
pytestmark = [
    pytest.mark.filterwarnings("ignore:Past errors tell"),
    pytest.mark.needs_jit,
]

GRID = {"lags": [4, 8], "cell": ["gru", "rnn"], "hidden_layer_sizes": [4, [3, 3]]}
SPLIT = TimeSeriesSplit(n_splits=2, test_size=HORIZON)
PANEL_SPLIT = PanelTimeSeriesSplit(n_splits=2, test_size=HORIZON)
EMPTY = pd.DataFrame(index=MONTHS)
EXOG = pd.DataFrame({"x": np.arange(40.0) ** 2, "z": [0, 1] * 20}, MONTHS)


def one(**options):
    return forecaster(theta=False, **options)


def by_hand(model, data, cv=SPLIT):
    scores = []
    for train, test in cv.split(data):
        fitted = clone(model).fit(data.iloc[train])
        scores.append(fitted.score(data.iloc[test]))
    return scores


@pytest.mark.parametrize("data", [WIDE["a"], WIDE], ids=["series", "wide"])
def test_search_of_a_series_or_a_wide_frame(data):
    search = GridSearchCV(one(), GRID, cv=SPLIT, error_score="raise").fit(data)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) == 8
    expected = by_hand(one(**search.best_params_), data)
    assert_allclose(search.best_score_, np.mean(expected), rtol=1e-12)
    expected = one(**search.best_params_).fit(data).predict()
    assert_array_equal(search.predict(HORIZON), expected)
    assert search.score(data.set_axis(MONTHS + 40)) < 0


def test_search_of_an_array():
    model = one(season_length=12)
    search = GridSearchCV(model, {"lags": [4, 8]}, cv=SPLIT, error_score="raise")
    same = clone(search).fit(WIDE["a"])
    search.fit(WIDE["a"].to_numpy())
    found, expected = (s.cv_results_["mean_test_score"] for s in (search, same))
    assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("gap", [0, 3])
@pytest.mark.parametrize("y", [WIDE["a"], WIDE], ids=["series", "wide"])
@pytest.mark.parametrize("X", [EMPTY, EXOG], ids=["empty", "exog"])
@pytest.mark.parametrize(
    "scoring", [None, "neg_mean_absolute_error", "neg_root_mean_squared_error"]
)
def test_search_with_columns_apart(X, y, scoring, gap):
    cv = TimeSeriesSplit(n_splits=2, test_size=HORIZON, gap=gap)
    search = GridSearchCV(
        one(), {"lags": [4, 8]}, cv=cv, scoring=scoring, error_score="raise"
    )
    search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert (search.cv_results_["mean_test_score"] < 0).all()
    if scoring == "neg_mean_absolute_error":
        errors = []
        for train, test in cv.split(X):
            fitted = one(**search.best_params_).fit(X.iloc[train], y.iloc[train])
            answer = fitted.predict(X.iloc[test])
            assert answer.index.equals(MONTHS[test])
            errors.append(np.abs(answer - y.iloc[test]).mean(axis=None))
        assert_allclose(search.best_score_, -np.mean(errors), rtol=1e-12)
    answer = search.predict(EXOG[X.columns].set_axis(MONTHS + 40)[:2])
    assert answer.index.equals(MONTHS[:2] + 40)


def test_the_default_score_is_the_same_in_each_way():
    """A gap does not shift the forecasts, for the index tells it."""
    for gap in (0, 3):
        cv = TimeSeriesSplit(n_splits=2, test_size=HORIZON, gap=gap)
        whole = cross_val_score(one(), WIDE["a"], cv=cv, error_score="raise")
        apart = cross_val_score(one(), EMPTY, WIDE["a"], cv=cv, error_score="raise")
        assert_array_equal(whole, apart)
        assert_array_equal(whole, by_hand(one(), WIDE["a"], cv))


@pytest.mark.parametrize("kind", ["long", "multi", "multi frame"])
@pytest.mark.parametrize("gap", [0, 2])
def test_search_of_a_panel(kind, gap):
    data = in_form(kind, WIDE.rename_axis("ds"))
    cv = PanelTimeSeriesSplit(n_splits=2, test_size=HORIZON, gap=gap)
    groups = data["ds"] if kind == "long" else None
    search = GridSearchCV(one(), {"lags": [4, 8]}, cv=cv, error_score="raise")
    search.fit(data, groups=groups)
    wide_cv = TimeSeriesSplit(n_splits=2, test_size=HORIZON, gap=gap)
    expected = cross_val_score(one(**search.best_params_), WIDE, cv=wide_cv)
    assert_allclose(search.best_score_, expected.mean(), rtol=1e-12)
    assert len(search.predict(HORIZON)) == 3 * HORIZON


@pytest.mark.parametrize("by_time", [False, True])
def test_search_of_a_panel_with_columns_apart(by_time):
    long = long_frame(WIDE.rename_axis("ds"))
    long["x"] = np.arange(120.0) ** 0.5
    if by_time:
        long = long.sort_values(["ds", "unique_id"], ignore_index=True)
    X, y = long.drop(columns="y"), long["y"]
    search = GridSearchCV(
        one(),
        {"lags": [4, 8]},
        cv=PANEL_SPLIT,
        scoring="neg_mean_absolute_error",
        error_score="raise",
    ).fit(X, y, groups=X["ds"])
    multi = long.set_index(["unique_id", "ds"])
    same = clone(search).fit(multi[["x"]], multi["y"])
    found, expected = (s.cv_results_["mean_test_score"] for s in (search, same))
    assert_allclose(found, expected, rtol=1e-12)
    assert np.isfinite(found).all()


def test_a_panel_whose_series_begin_and_end_at_other_times():
    """A score is that of the series that have both a history and true values."""
    uneven = WIDE.assign(d=WIDE["a"].where(np.arange(40) > 36))
    uneven.iloc[:34, 1] = np.nan
    uneven.iloc[37:, 2] = np.nan
    long = long_frame(uneven.rename_axis("ds")).dropna()
    scores = cross_val_score(
        one(), long, groups=long["ds"], cv=PANEL_SPLIT, error_score="raise"
    )
    multi = long.set_index(["unique_id", "ds"])["y"]
    same = cross_val_score(one(), multi, cv=PANEL_SPLIT, error_score="raise")
    assert_array_equal(scores, same)
    first = one().fit(uneven[["a", "c"]][:32])
    assert_allclose(scores[0], first.score(uneven[["a", "c"]][32:36]), rtol=1e-12)
    # a column of the test part without values
    fitted = one().fit(uneven[["a", "c"]][:37])
    score = fitted.score(uneven[["a", "c"]][37:])
    assert score == fitted.score(uneven[["a"]][37:])


def test_scores_of_the_training_part():
    results = cross_validate(
        one(), WIDE, cv=SPLIT, return_train_score=True, error_score="raise"
    )
    for name in ("train_score", "test_score"):
        assert np.isfinite(results[name]).all()
        assert (results[name] < 0).all()
    results = cross_validate(
        one(),
        long_frame(WIDE.rename_axis("ds")),
        groups=np.tile(MONTHS, 3),
        cv=PANEL_SPLIT,
        return_train_score=True,
        error_score="raise",
    )
    assert (results["train_score"] < 0).all()


def test_in_processes():
    search = GridSearchCV(one(), {"lags": [4, 8]}, cv=SPLIT, error_score="raise")
    found = clone(search).set_params(n_jobs=2).fit(WIDE).cv_results_
    expected = search.fit(WIDE).cv_results_
    assert_array_equal(found["mean_test_score"], expected["mean_test_score"])


def test_the_true_future_is_refused():
    with pytest.raises(ValueError, match="of X equals y"):
        cross_val_score(one(), WIDE["a"], WIDE["a"], cv=SPLIT, error_score="raise")
    with pytest.raises(ValueError, match="of X equals y"):
        GridSearchCV(one(), {"lags": [4]}, cv=SPLIT, error_score="raise").fit(
            WIDE["a"].to_numpy(), WIDE["a"].to_numpy()
        )


@pytest.mark.parametrize("kind", KINDS)
def test_values_of_the_future_do_not_matter(kind):
    data = in_form(kind, WIDE)
    fitted = one().fit(data)
    if kind == "array":
        later = data[:HORIZON]
        assert_array_equal(fitted.predict(later), fitted.predict(later * 7))
        return
    later = in_form(kind, WIDE[:HORIZON].set_axis(MONTHS[:HORIZON] + 40))
    changed = later.copy()
    if isinstance(changed, pd.Series):
        changed *= -7
    else:
        columns = ["y"] if "y" in changed else list(changed)
        changed[columns] *= -7
    expected, answer = fitted.predict(later), fitted.predict(changed)
    assert answer.equals(expected)


def test_forecasts_of_all_test_parts():
    with pytest.raises(ValueError, match="partitions"):
        cross_val_predict(one(), EMPTY, WIDE["a"], cv=SPLIT)
