"""From pandas to arrays and back: the same values, the same form, clear errors."""

import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skrnn.forecasting.reading import read_panel

DAYS = pd.date_range("2024-01-01", periods=6, name="day")
KINDS = ["array", "series", "wide", "long", "ds", "multi", "multi frame"]


def wide_frame(n_series=3, index=DAYS):
    """Make a frame whose values tell row and column."""
    values = np.arange(len(index))[:, np.newaxis] + 100.0 * np.arange(n_series)
    return pd.DataFrame(values, index=index, columns=list("abcdef"[:n_series]))


def long_frame(wide, id_col="unique_id", time_col="ds", target_col="y"):
    """Make a long frame, the series one after the other."""
    frame = wide.rename_axis(time_col).reset_index()
    return frame.melt(time_col, var_name=id_col, value_name=target_col)[
        [id_col, time_col, target_col]
    ]


def in_form(kind, wide):
    """Bring a wide frame into a form; those of one series take the first column."""
    first = wide.columns[0]
    long = long_frame(wide)
    return {
        "array": wide[first].to_numpy(),
        "series": wide[first],
        "wide": wide,
        "long": long,
        "ds": long.loc[long.unique_id == first, ["ds", "y"]],
        "multi": long.set_index(["unique_id", "ds"])["y"],
        "multi frame": long.set_index(["unique_id", "ds"]),
    }[kind]


def indexes(n):
    """Draw an index of n times, of any kind."""
    start = pd.Timestamp("2024-03-29")
    return st.sampled_from(
        [
            pd.RangeIndex(n, name="t"),
            pd.Index(np.arange(5, 5 + 3 * n, 3)),
            pd.date_range(start, periods=n, freq="D", tz="Europe/Paris"),
            pd.date_range(start, periods=n, freq="h", name="hour"),
            pd.date_range(start, periods=n, freq="B"),
            pd.date_range(start, periods=n, freq=pd.offsets.MonthEnd()),
            pd.date_range(start, periods=n, freq="QS", unit="s"),
            pd.period_range(start, periods=n, freq="M", name="month"),
        ]
    )


@pytest.mark.contract
@given(kind=st.sampled_from(KINDS), data=st.data())
def test_history_and_its_future_make_up_the_whole(kind, data):
    n, horizon = 8, 3
    whole = wide_frame(index=data.draw(indexes(n + horizon)))
    known, future = whole.iloc[:n], whole.iloc[n:]
    panel, _, form = read_panel(in_form(kind, known))
    n_series = 1 if kind in ("array", "series", "ds") else 3
    for i in range(n_series):
        assert_array_equal(panel.series(i), known.iloc[:, i])
    assert len(panel) == n_series
    values = future.to_numpy().T[:n_series]
    answer = form.answer(values, panel)
    expected = in_form(kind, future)
    if kind == "array":
        assert_array_equal(answer, expected)
        return
    if kind in ("multi", "multi frame"):
        assert type(answer) is type(expected)
        assert list(answer.index) == list(expected.index)
        assert answer.index.names == expected.index.names
        assert_array_equal(answer, expected)
        return
    check = (
        pd.testing.assert_series_equal
        if kind == "series"
        else pd.testing.assert_frame_equal
    )
    if kind in ("long", "ds"):
        expected = expected.reset_index(drop=True)
    check(answer, expected, check_index_type="equiv")
    # and row by row, in the order asked for
    for asked in (expected, expected.iloc[::-1]):
        request = form.read_future(asked, panel)
        rows = panel.ends[request.series]
        values = request.series * 100.0 + n + (request.positions - rows)
        check(form.answer_rows(values, request, panel), asked, check_freq=False)


@given(index=indexes(9), data=st.data())
def test_any_rows_of_a_long_frame(index, data):
    cells = st.tuples(st.integers(0, 2), st.integers(0, 8))
    kept = data.draw(st.lists(cells, unique=True, min_size=1, max_size=27))
    kept = sorted(kept, key=lambda cell: (cell[1], cell[0]))
    whole = wide_frame(index=index)
    frame = pd.DataFrame(
        {
            "unique_id": [whole.columns[i] for i, _ in kept],
            "ds": pd.Index([index[t] for _, t in kept]),
            "y": [whole.iloc[t, i] for i, t in kept],
        }
    )
    freq = index[1] - index[0] if index.dtype.kind == "i" else index.freq
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        panel, clock, _ = read_panel(frame, freq=freq)
    for i, name in enumerate(panel.ids):
        own = [t for j, t in kept if whole.columns[j] == name]
        times = clock.times(panel.starts[i], panel.lengths[i])
        expected = whole[name].copy()
        expected[[t not in own for t in range(9)]] = np.nan
        expected = expected.iloc[own[0] : own[-1] + 1]
        assert list(times) == list(expected.index)
        assert_array_equal(panel.series(i), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_several_forecasts_of_a_time(kind):
    wide = wide_frame(2)
    panel, _, form = read_panel(in_form(kind, wide))
    values = np.arange(len(panel) * 3 * 2.0).reshape(len(panel), 3, 2)
    answer = form.answer(values, panel, ["lo", "hi"])
    if kind == "array":
        assert_array_equal(answer, values[0])
        return
    if kind == "wide":
        assert answer.columns.tolist() == [
            ("a", "lo"),
            ("a", "hi"),
            ("b", "lo"),
            ("b", "hi"),
        ]
        assert_array_equal(answer["b"], values[1])
        assert list(answer.index) == list(DAYS[-1] + pd.to_timedelta([1, 2, 3], "D"))
    else:
        assert list(answer.columns[-2:]) == ["lo", "hi"]
        assert_array_equal(answer[["lo", "hi"]], values.reshape(-1, 2))
    asked = in_form(kind, wide.set_axis(DAYS + pd.Timedelta(days=6)))
    request = form.read_future(asked, panel)
    rows = form.answer_rows(np.ones((len(request.series), 2)), request, panel, [1, 2])
    assert rows.index.equals(asked.index)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: pd.Series([1, 2, 3], DAYS[:3], dtype="int8"), [1, 2, 3]),
        (lambda: pd.Series([1, 2, 3], DAYS[:3], dtype="uint64"), [1, 2, 3]),
        (lambda: pd.Series([0.5, 2, 3], DAYS[:3], dtype="float32"), [0.5, 2, 3]),
        (lambda: pd.Series([1, None, 3], DAYS[:3], dtype="Int64"), [1, np.nan, 3]),
        (lambda: pd.Series([1, None, 3], DAYS[:3], dtype="Float32"), [1, np.nan, 3]),
        (lambda: pd.Series([True, None], DAYS[:2], dtype="boolean"), [1, np.nan]),
        (lambda: pd.Series([True, False], DAYS[:2]), [1, 0]),
        (lambda: pd.Series([Decimal("1.5"), None], DAYS[:2]), [1.5, np.nan]),
        (lambda: pd.Series([1, pd.NA, 2.5], DAYS[:3], dtype=object), [1, np.nan, 2.5]),
        (lambda: pd.Series(pd.arrays.SparseArray([1.0, 0, 0])), [1, 0, 0]),
        (lambda: [1, 2.5, None], [1, 2.5, np.nan]),
        (lambda: np.array([1, 2, 3], dtype=np.float16), [1, 2, 3]),
    ],
)
def test_types_of_numbers(make, expected):
    panel, _, _ = read_panel(make())
    assert_array_equal(panel.values, expected)
    data = make()
    if isinstance(data, pd.Series):
        panel, _, _ = read_panel(data.to_frame("a").assign(b=1.0))
        assert_array_equal(panel.series(0), expected)


def test_arrow():
    pa = pytest.importorskip("pyarrow")
    frame = long_frame(wide_frame(2))
    frame["y"] = frame["y"].astype(pd.ArrowDtype(pa.float64()))
    frame.loc[2, "y"] = None
    frame["ds"] = frame["ds"].astype(pd.ArrowDtype(pa.timestamp("ns")))
    frame["unique_id"] = frame["unique_id"].astype(pd.ArrowDtype(pa.string()))
    frame["x"] = pd.Series([Decimal(1)] * 12, dtype=pd.ArrowDtype(pa.decimal128(5, 2)))
    panel, clock, form = read_panel(frame)
    assert np.isnan(panel.values[2])
    assert panel.ids.tolist() == ["a", "b"]
    assert (panel.known == 1).all()
    assert clock.times(0, 1)[0] == DAYS[0]
    assert form.answer(np.ones((2, 1)), panel).shape == (2, 3)


def test_columns_that_begin_and_end_late():
    wide = wide_frame(3)
    wide.iloc[:2, 1] = np.nan
    wide.iloc[4:, 2] = np.nan
    wide.iloc[3, 0] = np.nan
    panel, _, form = read_panel(wide)
    assert panel.starts.tolist() == [0, 2, 0]
    assert panel.ends.tolist() == [6, 6, 6]
    assert_array_equal(panel.series(2), [200, 201, 202, 203, np.nan, np.nan])
    assert form.answer(np.ones((3, 2)), panel).index[0] == pd.Timestamp("2024-01-07")


def test_series_that_end_at_different_times():
    frame = long_frame(wide_frame(2)).drop(index=[10, 11])
    panel, _, form = read_panel(frame)
    answer = form.answer(np.ones((2, 1)), panel)
    assert answer.ds.dt.day.tolist() == [7, 5]
    panel, _, form = read_panel(wide_frame(2))
    answer = form.answer(np.array([[1.0, 2], [3, 4]]), panel.head([6, 5]))
    assert_array_equal(answer, [[np.nan, 3], [1, 4], [2, np.nan]])


@pytest.mark.parametrize(
    "ids",
    [
        pd.Categorical(["b", "a", "c"], categories=["c", "a", "b", "z"]),
        [3, 1, 2],
        pd.array([3, 1, 2], dtype="Int64"),
        ["x", 7, ("t", 1)],
        [True, False, None],
    ],
)
def test_kinds_of_ids(ids):
    frame = long_frame(wide_frame(3))
    frame["unique_id"] = pd.Series(ids).repeat(6).to_numpy()
    if None in list(ids):
        with pytest.raises(ValueError, match="series of row 12 is missing"):
            read_panel(frame)
        return
    if isinstance(ids, pd.Categorical):
        frame["unique_id"] = frame["unique_id"].astype(ids.dtype)
    panel, _, form = read_panel(frame)
    assert list(panel.ids) == list(ids)
    answer = form.answer(np.ones((3, 1)), panel)
    assert list(answer.unique_id) == list(ids)
    assert answer.unique_id.dtype == frame.unique_id.dtype
    request = form.read_future(answer, panel)
    assert request.series.tolist() == [0, 1, 2]
    multi = frame.set_index(["unique_id", "ds"])
    assert list(read_panel(multi)[0].ids) == list(ids)


def test_rows_of_series_may_be_mixed():
    frame = long_frame(wide_frame(3))
    by_time = frame.sort_values(["ds", "unique_id"])
    panel, _, _ = read_panel(frame)
    mixed, _, _ = read_panel(by_time)
    assert_array_equal(panel.values, mixed.values)


def test_columns_of_other_names():
    frame = long_frame(wide_frame(2), "shop", "week", "sales")
    options = {"id_col": "shop", "time_col": "week", "target_col": "sales"}
    panel, _, form = read_panel(frame, **options)
    assert list(form.answer(np.ones((2, 1)), panel)) == ["shop", "week", "sales"]
    multi = frame.set_index(["shop", "week"])
    panel, _, form = read_panel(multi)
    answer = form.answer(np.ones((2, 1)), panel)
    assert answer.index.names == ["shop", "week"]
    assert list(answer) == ["sales"]


def test_series_named_by_a_column_index():
    wide = wide_frame(2).rename_axis(columns="shop")
    wide.columns = pd.MultiIndex.from_tuples([("n", 1), ("s", 2)], names=["r", "k"])
    panel, _, form = read_panel(wide)
    assert form.answer(np.ones((2, 1)), panel).columns.equals(wide.columns)
    both = form.answer(np.ones((2, 1, 2)), panel, ["lo", "hi"])
    assert both.columns.names == ["r", "k", None]
    assert both.columns[-1] == ("s", 2, "hi")


# Exogenous and static columns ---------------------------------------------------------


def rich_frame():
    """Make a long frame of two series with columns of all kinds."""
    frame = long_frame(wide_frame(2))
    frame["promo"] = [True, False] * 6
    frame["day"] = pd.Categorical(["mo", "tu", "we"] * 4, ["su", "we", "tu", "mo"])
    frame["sold"] = np.arange(12) + 0.5
    frame["size"] = ["big"] * 6 + ["small"] * 6
    frame["area"] = [3] * 6 + [4] * 6
    return frame


RICH = {"past_columns": ["sold"], "static_columns": ["size", "area"]}


def test_columns_become_numbers():
    panel, _, form = read_panel(rich_frame(), **RICH)
    assert form.names == {
        "known": ["promo", "day=we", "day=tu", "day=mo"],
        "past": ["sold"],
        "static": ["size=big", "size=small", "area"],
    }
    assert_array_equal(panel.known[:4, 0], [1, 0, 1, 0])
    assert_array_equal(panel.known[:4, 1:], np.eye(3)[[2, 1, 0, 2]])
    assert_array_equal(panel.past[:, 0], np.arange(12) + 0.5)
    assert_array_equal(panel.static, [[1, 0, 3], [0, 1, 4]])


def test_later_data_has_the_columns_of_the_fit():
    frame = rich_frame()
    _, clock, form = read_panel(frame, **RICH)
    later = frame.iloc[[0, 1], ::-1].assign(day=["mo", "xx"], size="huge")
    later["ds"] += pd.Timedelta(days=6)
    panel, same, _ = read_panel(later, like=form)
    assert same is clock
    assert panel.starts.tolist() == [6]
    assert_array_equal(panel.known, [[1, 0, 0, 1], [0, 0, 0, 0]])
    assert_array_equal(panel.static, [[0, 0, 3]])
    with pytest.raises(ValueError, match="must have the exogenous column 'promo'"):
        read_panel(later.drop(columns="promo"), like=form)
    with pytest.raises(ValueError, match="column 'extra', which fit had not"):
        read_panel(later.assign(extra=1), like=form)
    with pytest.raises(ValueError, match="must be a long frame as in fit, but is a S"):
        read_panel(pd.Series([1.0], DAYS[:1]), like=form)
    with pytest.raises(TypeError, match="time zone like those before"):
        read_panel(later.assign(ds=later.ds.dt.tz_localize("UTC")), like=form)


@pytest.mark.parametrize("kind", KINDS)
def test_later_rows_follow(kind):
    whole = wide_frame(2, pd.date_range("2024-01-01", periods=9))
    panel, clock, form = read_panel(in_form(kind, whole[:6]))
    later = in_form(kind, whole[6:])
    if kind == "series":
        later = later.rename("another name")
    more, _, same = read_panel(later, like=form, first=panel.ends[0])
    longer = panel.extended(more, clock)
    assert len(longer) == len(panel)
    for i in range(len(panel)):
        assert_array_equal(longer.series(i), whole.iloc[:, i])
    if kind == "series":
        assert same.answer(np.ones((1, 2)), longer).name == "another name"
    alone, _, _ = read_panel(None, in_form(kind, whole[:6]))
    assert_array_equal(alone.values, panel.values)


def test_no_rows_of_the_future():
    for kind in ("series", "wide", "long", "multi"):
        data = in_form(kind, wide_frame(2))
        panel, _, form = read_panel(data)
        request = form.read_future(data.iloc[:0], panel)
        assert request.series.shape == (0,)
        answer = form.answer_rows(np.empty(0), request, panel)
        assert len(answer) == 0


@pytest.mark.parametrize("kind", ["array", "series", "wide", "multi", "long"])
def test_columns_apart_from_the_series(kind):
    wide = wide_frame(2)
    exog = pd.DataFrame({"x": np.arange(6) * 2.0, "z": [0, 1] * 3}, index=DAYS)
    y = in_form(kind, wide)
    n_series = 1 if kind in ("array", "series") else 2
    if kind == "array":
        exog = exog.to_numpy()
    elif kind in ("multi", "long"):
        exog = pd.concat([exog] * 2, ignore_index=True)
        keys = long_frame(wide).drop(columns="y")
        if kind == "multi":
            exog.index = y.index
        else:
            exog, y = keys.join(exog), y["y"]
    panel, _, form = read_panel(exog, y)
    assert_array_equal(panel.known[:6, 0], np.arange(6) * 2.0)
    assert len(panel) == n_series
    for i in range(n_series):
        assert_array_equal(panel.series(i), wide.iloc[:, i])
    if kind in ("array", "series"):
        later = form.read_future(np.ones((2, 2)), panel)
        assert later.positions.tolist() == [6, 7]
        assert_array_equal(later.known, np.ones((2, 2)))
    if kind == "wide":
        future = exog.set_axis(DAYS + pd.Timedelta(days=6))
        request = form.read_future(future, panel)
        assert_array_equal(request.known[:, 0], np.tile(np.arange(6) * 2.0, 2))
        answer = form.answer_rows(request.positions, request, panel)
        assert answer.shape == (6, 2)
    if kind == "long":
        request = form.read_future(exog, panel)
        answer = form.answer_rows(np.arange(12.0), request, panel)
        assert isinstance(answer, pd.Series)


def test_a_column_as_a_series():
    y = wide_frame(1)["a"]
    for name in ("x", None):
        panel, _, form = read_panel((y**2).rename(name), y)
        assert_array_equal(panel.known[:, 0], y**2)
    later = pd.Series([1.0, 2.0], DAYS[-2:] + pd.Timedelta(days=2), name="X")
    assert_array_equal(form.read_future(later, panel).known[:, 0], [1, 2])
    request = form.read_future([5.0, 6.0], panel)
    answer = form.answer_rows(request.known[:, 0], request, panel)
    assert answer.index.equals(DAYS[-2:] + pd.Timedelta(days=2))
    panel, _, form = read_panel(y.to_frame() ** 2, list(y), past_columns=["a"])
    assert_array_equal(panel.past[:, 0], y**2)
    assert form.read_future([0, 0], panel).steps.tolist() == [2]
    panel, _, form = read_panel(list(y**2), list(y))
    request = form.read_future([5.0, 6.0], panel)
    assert_array_equal(request.known, [[5], [6]])
    assert_array_equal(form.answer_rows(np.ones(2), request, panel), [1, 1])


def test_a_gap_before_the_rows_asked_for_needs_no_columns():
    y = wide_frame(1)["a"]
    exog = pd.DataFrame({"x": np.arange(6.0) ** 2}, DAYS)
    panel, _, form = read_panel(exog.iloc[:2], y.iloc[:2])
    request = form.read_future(exog.iloc[4:], panel)
    assert_array_equal(request.known[:, 0], [np.nan, np.nan, 16, 25])
    assert request.positions.tolist() == [4, 5]


def test_an_index_alone():
    wide = wide_frame(1)
    for X in (pd.DataFrame(index=DAYS), DAYS):
        panel, _, form = read_panel(X, wide["a"])
        assert_array_equal(panel.values, wide["a"])
        assert panel.known.shape == (6, 0)
        request = form.read_future(DAYS + pd.Timedelta(days=7), panel)
        assert request.steps.tolist() == [7]


@pytest.mark.parametrize("named", ["index", "column"])
def test_static_columns_in_a_frame_of_their_own(named):
    wide = wide_frame(2)
    static = pd.DataFrame({"unique_id": ["b", "a"], "kind": ["x", "w"], "n": [1, 2]})
    static = static if named == "column" else static.set_index("unique_id")
    panel, _, form = read_panel(wide, static=static)
    assert form.names["static"] == ["kind=w", "kind=x", "n"]
    assert_array_equal(panel.static, [[1, 0, 2], [0, 1, 1]])
    panel, _, _ = read_panel(wide[["b"]], static=static, like=form)
    assert_array_equal(panel.static, [[0, 1, 1]])
    with pytest.raises(ValueError, match="static must have the exogenous column 'kind"):
        read_panel(wide, like=form)
    with pytest.raises(ValueError, match="static has no row for series 'c'"):
        read_panel(wide_frame(3), static=static)
    with pytest.raises(ValueError, match="two rows for series 'b'"):
        read_panel(wide, static=pd.concat([static, static]))
    with pytest.raises(TypeError, match="static must be a DataFrame"):
        read_panel(wide, static={"a": 1})


def test_rows_of_the_future_and_what_lies_before_them():
    frame = rich_frame()
    panel, _, form = read_panel(frame, **RICH)
    rows = pd.DataFrame(
        {
            "unique_id": ["b", "b", "a", "a"],
            "ds": pd.to_datetime(
                ["2024-01-09", "2024-01-08", "2024-01-07", "2024-01-02"]
            ),
            "promo": [1, 0, 1, 1],
            "day": ["we", "mo", "tu", "tu"],
        }
    )
    request = form.read_future(rows, panel)
    assert request.series.tolist() == [1, 1, 0, 0]
    assert request.positions.tolist() == [8, 7, 6, 1]
    assert request.steps.tolist() == [1, 3]
    assert_array_equal(
        request.known,
        [[1, 0, 1, 0], [np.nan] * 4, [0, 0, 0, 1], [1, 1, 0, 0]],
    )


# Bad input ----------------------------------------------------------------------------


def changed(column, rows, value, frame=None):
    """Return a rich frame with another value in some rows."""
    frame = rich_frame() if frame is None else frame
    frame[column] = frame[column].astype(object)
    frame.loc[rows, column] = value
    return frame.infer_objects()


BAD = {
    "unsorted": (
        lambda: wide_frame(2).iloc[[0, 2, 1, 3]],
        "times of series 'a' are not sorted: 2024-01-02 .* follows 2024-01-03",
    ),
    "unsorted long": (
        lambda: long_frame(wide_frame(2)).iloc[[0, 1, 2, 3, 4, 5, 7, 6]],
        "times of series 'b' are not sorted: 2024-01-01",
    ),
    "duplicate times": (
        lambda: long_frame(wide_frame(2)).iloc[[0, 1, 2, 6, 7, 7]],
        "2024-01-02 .* occurs twice in series 'b'",
    ),
    "missing time": (
        lambda: changed("ds", [3], pd.NaT),
        "time of row 3 is missing, in column 'ds'",
    ),
    "missing time in an index": (
        lambda: pd.Series([1.0, 2], pd.DatetimeIndex(["2024-01-01", None])),
        "time of row 1 is missing",
    ),
    "mixed frequencies": (
        lambda: pd.concat(
            [
                long_frame(wide_frame(1)),
                long_frame(
                    wide_frame(1, pd.date_range("2024-01-01", periods=5, freq="2D"))
                ).assign(unique_id="weekly"),
            ]
        ),
        "'a' has freq 'D', but series 'weekly' has freq '2D'",
    ),
    "mixed frequencies, the finer shorter": (
        lambda: pd.concat(
            [
                long_frame(wide_frame(1)),
                long_frame(
                    wide_frame(1, pd.date_range("2024-01-01", periods=5, freq="h"))
                ).assign(unique_id="hourly"),
            ]
        ),
        "'a' has freq 'D', but series 'hourly' has freq '[hH]'",
    ),
    "off the grid": (
        lambda: changed("ds", [9], pd.Timestamp("2024-01-04 07:00")),
        "Time 2024-01-04 07:00:00 of series 'b' is not on the grid of freq 'D'",
    ),
    "all missing": (
        lambda: wide_frame(2).assign(b=np.nan),
        "All values of series 'b' are missing",
    ),
    "one series, all missing": (
        lambda: pd.Series([np.nan] * 3, DAYS[:3], name="s"),
        "All values of series 's' are missing",
    ),
    "infinite": (
        lambda: changed("y", [8], np.inf),
        "The value of series 'b' at 2024-01-03 00:00:00 is infinite",
    ),
    "infinite column": (
        lambda: changed("sold", [8], -np.inf),
        "Column 'sold' of series 'b' at 2024-01-03 00:00:00 is infinite",
    ),
    "static that changes": (
        lambda: changed("size", [8], "big"),
        "'size' is not constant in series 'b'",
    ),
    "no rows": (lambda: rich_frame().iloc[:0], "no rows"),
    "an empty array": (lambda: [], "no rows"),
    "no columns": (lambda: pd.DataFrame(index=DAYS), "no series"),
    "two dimensions": (lambda: np.ones((3, 2)), "must have one dimension"),
    "twice a column": (
        lambda: wide_frame(2).set_axis(["a", "a"], axis=1),
        "columns 'a'",
    ),
    "no column of times": (lambda: rich_frame().drop(columns="ds"), "no column 'ds'"),
    "no target": (lambda: rich_frame().drop(columns="y"), "no column 'y' of values"),
    "ids in the index": (lambda: rich_frame().set_index("unique_id"), "reset_index"),
    "levels swapped": (
        lambda: in_form("multi", wide_frame(2)).swaplevel().sort_index(),
        r"must have \(series, time\)",
    ),
    "a missing level": (
        lambda: pd.Series([1.0, 2], [["a", None], DAYS[:2]]),
        "series of row 1 is missing",
    ),
    "three levels": (
        lambda: rich_frame().set_index(["unique_id", "ds", "promo"]),
        "two levels",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_values(case):
    make, match = BAD[case]
    data = make()
    rich = isinstance(data, pd.DataFrame) and "sold" in data
    with pytest.raises(ValueError, match=match):
        read_panel(data, **(RICH if rich and "promo" in data else {}))


BAD_TYPES = {
    "strings": (lambda: changed("y", [0], "1"), "Column 'y' must hold numbers"),
    "strings in a wide frame": (
        lambda: wide_frame(2).assign(shop="x"),
        "Column 'shop' must hold numbers.*id_col",
    ),
    "a list of strings": (lambda: ["1", "2"], "The series must hold numbers"),
    "objects": (
        lambda: pd.Series([1.0, {}], DAYS[:2], name="s"),
        "'s' must hold numbers: .*dict",
    ),
    "complex": (lambda: pd.Series([1j], DAYS[:1]), "has type complex128"),
    "strings in a column": (
        lambda: rich_frame().assign(promo="x"),
        "column 'promo' must hold numbers.*category",
    ),
    "dates in a column": (
        lambda: rich_frame().assign(promo=pd.Timestamp("2024")),
        "column 'promo' must hold numbers",
    ),
    "times as strings": (
        lambda: rich_frame().assign(ds=lambda f: f.ds.astype(str)),
        "'string'.*pd.to_datetime",
    ),
    "times as fractions": (lambda: pd.Series([1.0], [0.5]), "'floating'"),
    "naive and aware": (
        lambda: changed("ds", [8], pd.Timestamp("2024-01-03", tz="UTC")),
        "several time zones, or only some have one",
    ),
    "datetimes and integers": (lambda: changed("ds", [8], 5), "mixed"),
}


@pytest.mark.parametrize("case", BAD_TYPES)
def test_bad_types(case):
    make, match = BAD_TYPES[case]
    data = make()
    rich = isinstance(data, pd.DataFrame) and "sold" in data
    with pytest.raises(TypeError, match=match):
        read_panel(data, **(RICH if rich else {}))


def test_options_that_name_no_column():
    with pytest.raises(ValueError, match="past_columns has 'no'"):
        read_panel(rich_frame(), past_columns=["no"])
    with pytest.raises(ValueError, match="static_columns has 'size'"):
        read_panel(wide_frame(2), static_columns=["size"])


def test_gaps_are_missing_and_said_so():
    frame = long_frame(wide_frame(2)).drop(index=[2, 8, 9])
    with pytest.warns(UserWarning, match="'a' has no row for 2024-01-03.*3 such gaps"):
        panel, _, _ = read_panel(frame, freq="D")
    assert_array_equal(panel.series(0), [0, 1, np.nan, 3, 4, 5])
    assert_array_equal(panel.series(1), [100, 101, np.nan, np.nan, 104, 105])


def test_weekends_are_no_gaps_of_business_days():
    index = pd.bdate_range("2024-01-01", periods=12)
    panel, _, _ = read_panel(pd.Series(np.arange(12.0), index))
    assert len(panel.values) == 12


def test_constant_series_are_fine():
    panel, _, _ = read_panel(wide_frame(2) * 0)
    assert_array_equal(panel.values, 0)


def test_the_target_is_no_column():
    wide = wide_frame(2)
    series = wide["a"]
    for X, y in (
        (series, series),
        (series.to_frame(), series),
        (wide, wide),
        (wide, series),
        (series.to_numpy(), series.to_numpy()),
        (series * 0, series * 0),
    ):
        with pytest.raises(ValueError, match="of X equals y"):
            read_panel(X, y)
    read_panel(pd.DataFrame({"holiday": 0.0}, DAYS), series * 0)
    long = long_frame(wide)
    with pytest.raises(ValueError, match="column 'y' of the target, and y is given"):
        read_panel(long, long["y"])


def test_columns_and_series_that_do_not_belong_together():
    wide = wide_frame(2)
    exog = pd.DataFrame({"x": np.arange(6.0) ** 2}, DAYS)
    with pytest.raises(ValueError, match="X has 5 rows, but y has 6"):
        read_panel(exog.iloc[:5], wide["a"])
    with pytest.raises(ValueError, match="row 0 is 2024-01-02 .* in X and 2024-01-01"):
        read_panel(exog.set_axis(DAYS + pd.Timedelta(days=1)), wide["a"])
    twice = long_frame(wide).set_index(["unique_id", "ds"])
    with pytest.raises(ValueError, match="y must be one column, but has 2"):
        read_panel(twice, twice.assign(z=1))
    long = long_frame(wide)
    with pytest.raises(ValueError, match="X and y must have the same index"):
        read_panel(long.drop(columns="y"), long["y"].iloc[::-1])
    with pytest.raises(ValueError, match="X must have one or two dimensions"):
        read_panel(np.ones((6, 1, 1)), wide["a"])
    with pytest.raises(ValueError, match="y must hold a value for each row"):
        read_panel(exog, np.ones((6, 2)))


BAD_FUTURES = {
    "unknown series": (
        lambda f: f.assign(unique_id=["a", "zzz"]),
        "Series 'zzz' is unknown; there are 'a', 'b'",
    ),
    "off the grid": (
        lambda f: f.assign(ds=f.ds + pd.Timedelta(hours=1)),
        "2024-01-07 01:00:00 of series 'a' is not on the grid",
    ),
    "twice": (lambda f: f.iloc[[0, 0]], "2024-01-07 .* of series 'a' is asked for twi"),
    "no column": (lambda f: f.drop(columns="promo"), "must have the .*column 'promo'"),
    "another column": (lambda f: f.assign(q=1), "column 'q', which fit had not"),
    "no series": (lambda f: f.drop(columns="unique_id"), "no column 'unique_id'"),
    "a row left out": (
        lambda f: f.assign(ds=f.ds + pd.to_timedelta([0, 1], "D")),
        "missing for series 'a' at 2024-01-08",
    ),
    "missing values": (
        lambda f: f.assign(promo=np.nan, day=pd.Categorical([None, None])),
        "missing for series 'a' at 2024-01-07",
    ),
    "infinite": (
        lambda f: f.assign(promo=[0, np.inf]),
        "Column 'promo' of series 'a' at 2024-01-08 .* is infinite",
    ),
}


@pytest.mark.parametrize("case", BAD_FUTURES)
def test_bad_futures(case):
    change, match = BAD_FUTURES[case]
    panel, _, form = read_panel(rich_frame(), **RICH)
    future = rich_frame().iloc[:2].drop(columns="y")
    future["ds"] += pd.Timedelta(days=6)
    assert form.read_future(future, panel).steps.tolist() == [2, 0]
    with pytest.raises(ValueError, match=match):
        form.read_future(change(future), panel)


def test_futures_of_another_form():
    panel, _, form = read_panel(rich_frame(), **RICH)
    with pytest.raises(TypeError, match="need their times"):
        form.read_future([1, 2], panel)
    with pytest.raises(TypeError, match="a long frame with the columns"):
        form.read_future(DAYS, panel)
    panel, _, form = read_panel(wide_frame(2))
    with pytest.raises(ValueError, match="Series 'x' is unknown"):
        form.read_future(pd.DataFrame({"x": 0}, DAYS), panel)
    exog = pd.DataFrame({"x": np.arange(6.0) ** 2}, DAYS)
    panel, _, form = read_panel(exog, wide_frame(1)["a"])
    with pytest.raises(ValueError, match="must have the exogenous column 'x'"):
        form.read_future(DAYS, panel)
    with pytest.raises(ValueError, match="one or two dimensions"):
        form.read_future(np.ones((2, 1, 1)), panel)
    with pytest.raises(ValueError, match="X has 3 columns"):
        form.read_future(np.ones((2, 3)), panel)


def test_values_of_the_future_are_not_read():
    series = wide_frame(1)["a"]
    panel, _, form = read_panel(series)
    later = series.set_axis(DAYS + pd.Timedelta(days=6))
    for asked in (later, later * np.nan, later.astype(str)):
        request = form.read_future(asked, panel)
        assert_array_equal(request.positions, np.arange(6, 12))
        assert request.known.shape == (6, 0)


def test_a_slip_in_the_times_takes_no_memory():
    y = pd.Series(1.0, index=[*range(59), 10**13])
    with pytest.raises(ValueError, match=r"Between 58 and 10{13} of series 0 .* slip"):
        read_panel(y)
    # gaps that may be meant are filled
    y = pd.Series(1.0, index=[*range(59), 5000])
    with pytest.warns(UserWarning, match="no row for 59"):
        panel, *_ = read_panel(y)
    assert len(panel.values) == 5001
