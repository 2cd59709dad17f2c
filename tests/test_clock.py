"""Positions and times are the same thing; frequencies are found as pandas has them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skrnn.forecasting.calendar import calendar_features
from skrnn.forecasting.frequency import season_lengths
from skrnn.forecasting.placing import make_clock

OFFSETS = [
    pd.offsets.Second(5),
    pd.offsets.Minute(30),
    pd.offsets.Hour(),
    pd.offsets.Hour(36),
    pd.offsets.Day(),
    pd.offsets.Day(2),
    pd.offsets.BusinessDay(),
    pd.offsets.BusinessDay(3),
    pd.offsets.Week(weekday=2),
    pd.offsets.Week(2, weekday=6),
    pd.offsets.SemiMonthEnd(),
    pd.offsets.MonthBegin(),
    pd.offsets.MonthEnd(),
    pd.offsets.BMonthEnd(),
    pd.offsets.MonthEnd(2),
    pd.offsets.QuarterBegin(startingMonth=2),
    pd.offsets.QuarterEnd(startingMonth=3),
    pd.offsets.YearBegin(month=4),
    pd.offsets.YearEnd(),
    pd.offsets.WeekOfMonth(week=2, weekday=4),
]
# Without these, which nobody can tell from a list of times.
INFERRED = [o for o in OFFSETS if o.n != 3 and type(o).__name__ != "SemiMonthEnd"]
ZONES = [None, "UTC", "Europe/Paris", "America/New_York"]
CLOCK_CHANGES = ["2024-03-29 10:00", "2024-11-01 10:00", "2023-12-28"]


@st.composite
def regular(draw, least=1):
    """Draw an index without gaps, of any kind."""
    n = draw(st.integers(least, 60))
    kind = draw(st.sampled_from(["datetimes", "periods", "integers"]))
    if kind == "integers":
        start, step = draw(st.integers(-50, 50)), draw(st.integers(1, 4))
        return pd.RangeIndex(start, start + n * step, step)
    if kind == "periods":
        freq = draw(st.sampled_from(["h", "D", "W-TUE", "M", "2M", "Q-NOV"]))
        return pd.period_range("2020-02", periods=n, freq=pd.PeriodDtype(freq).freq)
    offset = draw(st.sampled_from(OFFSETS))
    start = draw(st.sampled_from(CLOCK_CHANGES))
    start = pd.Timestamp(start, tz=draw(st.sampled_from(ZONES)))
    return pd.date_range(start, periods=n, freq=offset)


@pytest.mark.contract
@given(index=regular(), shift=st.integers(-30, 30), data=st.data())
def test_positions_and_times_are_inverse(index, shift, data):
    freq = index.step if isinstance(index, pd.RangeIndex) else index.freq
    clock = make_clock(index, freq=freq)
    assert_array_equal(clock.positions(index), np.arange(len(index)))
    pd.testing.assert_index_equal(clock.times(0, len(index)), index)
    moved = clock.times(shift, 20)
    assert_array_equal(clock.positions(moved), np.arange(shift, shift + 20))
    order = data.draw(st.permutations(range(20)))
    assert_array_equal(clock.positions(moved[order]), shift + np.array(order))
    assert list(clock.times_at(shift + np.array(order))) == list(moved[order])


@given(index=regular(least=2), n=st.integers(1, 20))
def test_times_beyond_the_end_are_those_of_pandas(index, n):
    known, future = index[:-1], index[-1:]
    freq = index.step if isinstance(index, pd.RangeIndex) else index.freq
    clock = make_clock(known, freq=freq)
    pd.testing.assert_index_equal(clock.times(len(known), 1), future, check_exact=True)
    if isinstance(index, pd.DatetimeIndex):
        expected = pd.date_range(known[0], periods=len(known) + n, freq=index.freq)
        pd.testing.assert_index_equal(clock.times(len(known), n), expected[-n:])


@pytest.mark.contract
@given(offset=st.sampled_from(INFERRED), zone=st.sampled_from(ZONES))
def test_frequencies_are_inferred(offset, zone):
    start = pd.Timestamp("2021-03-01", tz=zone)
    index = pd.date_range(start, periods=40, freq=offset)
    clock = make_clock(pd.DatetimeIndex(list(index)))
    assert list(clock.times(0, 45)) == list(
        pd.date_range(start, periods=45, freq=offset)
    )


@given(
    # pandas itself has to see the third Friday of each month without a gap
    offset=st.sampled_from(INFERRED[:-1]),
    gaps=st.sets(st.integers(8, 33), max_size=5, min_size=1),
    zone=st.sampled_from(ZONES),
)
def test_frequencies_are_inferred_across_gaps(offset, gaps, zone):
    index = pd.date_range("2021-03-01", periods=40, freq=offset, tz=zone)
    kept = np.setdiff1d(np.arange(40), list(gaps))
    clock = make_clock(pd.DatetimeIndex(list(index[kept])))
    assert_array_equal(clock.positions(index), np.arange(40))
    assert_array_equal(clock.positions(index[kept]), kept)


@pytest.mark.parametrize(
    ("times", "following"),
    [
        (["2024-01-31", "2024-02-29"], "2024-03-31"),
        (["2024-01-01", "2024-02-01", "2024-04-01"], "2024-05-01"),
        (["2023-12-31", "2024-12-31"], "2025-12-31"),
        (["2023-07-01", "2023-10-01"], "2024-01-01"),
        (["2024-01-15", "2024-02-15", "2024-03-15"], "2024-04-15"),
        (["2024-01-02", "2024-01-09"], "2024-01-16"),
        (["2024-01-02", "2024-01-03"], "2024-01-04"),
        (["2024-01-02 00:00", "2024-01-02 01:00"], "2024-01-02 02:00"),
        (["2024-01-01", "2024-01-01 12:00", "2024-01-02"], "2024-01-02 12:00"),
        (["2024-01-01", "2024-07-01"], "2025-01-01"),
        (["2024-08-30", "2024-09-30", "2024-11-29"], "2024-12-31"),
        (["2024-05-01", "2024-06-03", "2024-08-01"], "2024-09-02"),
        (["2024-03-29", "2024-06-28"], "2024-09-30"),
        (["2024-01-10", "2024-02-07"], "2024-03-06"),
    ],
)
def test_few_points(times, following):
    index = pd.DatetimeIndex(pd.to_datetime(times, format="ISO8601"))
    clock = make_clock(index)
    last = clock.positions(index)[-1]
    assert clock.times(last + 1, 1)[0] == pd.Timestamp(following)


def test_trading_days_with_holidays_are_business_days():
    days = pd.bdate_range("2024-01-01", "2024-03-01").delete([14, 22])
    clock = make_clock(days)
    assert clock.freq == pd.offsets.BusinessDay()


def test_days_keep_their_time_where_the_clock_is_set():
    days = pd.date_range("2024-03-29", periods=4, freq="D", tz="Europe/Paris")
    clock = make_clock(pd.DatetimeIndex(list(days)))
    assert [time.hour for time in clock.times(0, 6)] == [0] * 6
    hours = pd.date_range("2024-03-30 23:00", periods=3, freq="h", tz="Europe/Paris")
    clock = make_clock(hours)
    assert [time.hour for time in clock.times(0, 5)] == [23, 0, 1, 3, 4]


def test_a_time_of_the_day_that_is_left_out_moves_on():
    days = pd.to_datetime([f"2024-03-{day} 02:30" for day in (28, 29, 30)])
    days = days.tz_localize("Europe/Paris")
    clock = make_clock(days)
    times = clock.times(0, 5)
    assert times[3] == pd.Timestamp("2024-03-31 03:00", tz="Europe/Paris")
    assert_array_equal(clock.positions(times), np.arange(5))


def test_days_of_another_zone_last_24_hours():
    days = pd.date_range("2024-03-28", periods=8, freq="D", tz="UTC")
    for kept in (range(8), [0, 1, 2, 4, 5, 7]):
        there = pd.DatetimeIndex(list(days[list(kept)].tz_convert("Europe/Paris")))
        clock = make_clock(there)
        assert_array_equal(clock.positions(there), kept)
        assert clock.times(8, 1)[0] == days[-1] + pd.Timedelta(days=1)


def test_a_midnight_that_is_left_out():
    days = pd.date_range("2024-03-07", periods=6).tz_localize(
        "America/Havana", nonexistent="shift_forward"
    )
    clock = make_clock(pd.DatetimeIndex(list(days)))
    assert_array_equal(clock.positions(days), range(6))


@pytest.mark.parametrize("first", [True, False])
def test_a_midnight_that_comes_twice(first):
    days = pd.date_range("2023-11-03", periods=6)
    days = days.tz_localize("America/Havana", ambiguous=np.full(6, first))
    clock = make_clock(pd.DatetimeIndex(list(days)))
    assert_array_equal(clock.positions(days), range(6))


def test_another_zone_is_the_same_moment():
    hours = pd.date_range("2024-03-30", periods=48, freq="h", tz="Europe/Paris")
    clock = make_clock(hours)
    assert_array_equal(clock.positions(hours.tz_convert("UTC")), np.arange(48))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_units_of_datetimes(unit):
    days = pd.date_range("2024-01-01", periods=5, freq="D").as_unit(unit)
    clock = make_clock(days)
    assert clock.times(5, 2).dtype == days.dtype
    assert_array_equal(clock.positions(clock.times(-2, 3).as_unit("ns")), [-2, -1, 0])
    finer = days.as_unit("ns") + pd.Timedelta(1, "ns")
    with pytest.raises(ValueError, match=r"2024-01-01 00:00:00.000000001"):
        clock.positions(finer)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "Int64"])
def test_types_of_integers(dtype):
    index = pd.Index([3, 5, 7, 11], dtype=dtype)
    clock = make_clock(index)
    assert_array_equal(clock.positions(index), [0, 1, 2, 4])
    assert list(clock.times(5, 2)) == [13, 15]


@pytest.mark.parametrize(
    ("freq", "start", "match"),
    [
        ("W", "2024-01-01", "2024-01-01 .* not on the grid of freq 'W-SUN'.*'W-MON'"),
        (pd.offsets.MonthEnd(), "2024-01-01", "not on the grid"),
        ("nonsense", "2024-01-01", "freq must be an offset alias"),
        ("-1D", "2024-01-01", "must be positive"),
        (7, "2024-01-01", "freq must be an offset alias"),
    ],
)
def test_a_freq_that_does_not_fit(freq, start, match):
    with pytest.raises(ValueError, match=match):
        make_clock(pd.date_range(start, periods=9, freq="7D"), freq=freq)


def test_freq_as_a_string():
    index = pd.DatetimeIndex(["2024-01-31", "2024-04-30"])
    for freq in ("M", pd.offsets.MonthEnd(), pd.offsets.MonthEnd().freqstr):
        assert_array_equal(make_clock(index, freq=freq).positions(index), [0, 3])
    periods = pd.period_range("2024-01", periods=3, freq="M")
    assert make_clock(periods, freq="M").freq == periods.freq
    with pytest.raises(ValueError, match="the periods have freq 'M'"):
        make_clock(periods, freq="D")
    with pytest.raises(ValueError, match="a step such as 1, got 'D'"):
        make_clock(pd.RangeIndex(3), freq="D")
    with pytest.raises(ValueError, match="a single time"):
        make_clock(index[:1])
    assert make_clock(index[:1], freq="D").times(1, 1)[0] == pd.Timestamp("2024-02-01")


def test_times_of_another_kind():
    days = pd.date_range("2024-01-01", periods=5)
    clock = make_clock(days)
    for other in (days.tz_localize("UTC"), days.to_period(), pd.RangeIndex(5)):
        with pytest.raises(TypeError, match="like those before"):
            clock.positions(other)
    with pytest.raises(TypeError, match="'string'.*to_datetime"):
        clock.positions(days.astype(str))
    with pytest.raises(TypeError, match="several time zones"):
        clock.positions(pd.Index([days[0], days[1].tz_localize("UTC")]))
    with pytest.raises(TypeError, match="freq 'M'"):
        make_clock(days.to_period()).positions(days.to_period("M"))


@pytest.mark.parametrize(
    ("freq", "lengths"),
    [
        ("s", (60, 3600)),
        ("min", (60, 1440)),
        ("5min", (288, 2016)),
        ("15min", (96, 672)),
        ("30min", (48, 336)),
        ("h", (24, 168)),
        ("6h", (4, 28)),
        ("5h", (1,)),
        ("D", (7,)),
        ("24h", (7,)),
        ("2D", (1,)),
        ("7D", (52,)),
        ("B", (5,)),
        ("W", (52,)),
        ("W-THU", (52,)),
        ("2W", (26,)),
        (pd.offsets.SemiMonthEnd(), (24,)),
        ("MS", (12,)),
        (pd.offsets.MonthEnd(), (12,)),
        (pd.offsets.MonthEnd(2), (6,)),
        (pd.DateOffset(months=3), (4,)),
        (pd.DateOffset(years=1), (1,)),
        (pd.DateOffset(weeks=1), (52,)),
        ("QS", (4,)),
        (pd.offsets.BQuarterEnd(), (4,)),
        (pd.offsets.YearEnd(), (1,)),
        (pd.offsets.YearBegin(), (1,)),
        (1, (1,)),
    ],
)
def test_season_lengths(freq, lengths):
    if freq == "s":  # of hours without a name of their own
        assert season_lengths(pd.DateOffset(hours=1)) == (24, 168)
        assert season_lengths(pd.offsets.BusinessHour()) == (1,)
    assert season_lengths(freq) == lengths


@pytest.mark.parametrize(
    ("freq", "parts"),
    [
        ("s", ["minute", "hour", "day", "week", "month", "year"]),
        ("min", ["hour", "day", "week", "month", "year"]),
        ("h", ["day", "week", "month", "year"]),
        ("D", ["week", "month", "year"]),
        ("B", ["week", "month", "year"]),
        ("W", ["month", "year"]),
        ("MS", ["year"]),
        ("QS", ["year"]),
        (pd.offsets.YearBegin(), []),
    ],
)
def test_calendar_features(freq, parts):
    n = 3601 if "week" in parts else 100
    times = pd.date_range("2024-02-01", periods=n, freq=freq)
    features, names = calendar_features(times, freq)
    assert names == [f"{part}_{wave}" for part in parts for wave in ("sin", "cos")]
    assert features.shape == (len(times), len(names))
    assert features.dtype == np.float64
    assert (np.abs(features) <= 1).all()
    assert (np.ptp(features, axis=0) > 0).all()
    periods = times.to_period("D") if freq == "D" else None
    if periods is not None:
        assert_array_equal(calendar_features(periods, freq)[0], features)


def test_the_calendar_goes_by_the_clock_on_the_wall():
    hours = pd.date_range("2024-03-30", periods=72, freq="h", tz="Europe/Paris")
    features, names = calendar_features(hours, "h")
    noon = hours.hour == 12
    day = features[noon][:, [names.index("day_sin"), names.index("day_cos")]]
    assert np.allclose(day, [0, -1])
    assert calendar_features(pd.RangeIndex(3), 1)[0].shape == (3, 0)
