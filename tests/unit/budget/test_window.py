"""Periods: the tenant's own midnight, days of 23 and 25 hours, and no moment in none or in two."""

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.budget.window import Period, Periods, Window, period

HOUR = 3_600.0
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC).timestamp(), datetime(2037, 1, 1, tzinfo=UTC).timestamp()


def at(text: str, zone: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("zone", "noon", "hours"),
    [
        ("Europe/Warsaw", "2026-03-29T12:00", 23),
        ("Europe/Warsaw", "2026-10-25T12:00", 25),
        ("Europe/Warsaw", "2026-11-23T12:00", 24),
        ("America/Havana", "2026-03-08T12:00", 23),  # the clock goes from midnight to one
        ("America/Havana", "2026-11-01T12:00", 25),  # and from one back to midnight
        ("Asia/Beirut", "2026-03-29T12:00", 23),  # from midnight to one
        ("Asia/Beirut", "2026-10-24T12:00", 25),  # from midnight back to eleven
        ("Antarctica/Troll", "2026-03-29T12:00", 22),  # two hours at once
        ("Antarctica/Troll", "2026-10-25T12:00", 26),
        ("Australia/Lord_Howe", "2026-04-05T12:00", 24.5),
        ("Pacific/Apia", "2011-12-29T12:00", 24),  # the next day there was the 31st
        ("Pacific/Apia", "2011-12-31T12:00", 24),
        ("UTC", "2026-11-23T12:00", 24),
    ],
)
def test_a_day_begins_at_local_midnight(zone: str, noon: str, hours: float):
    day = period(Window.DAY, at(noon, zone), ZoneInfo(zone))
    assert (day.ends - day.began) / HOUR == hours
    began = datetime.fromtimestamp(day.began, ZoneInfo(zone))
    assert began.date() == datetime.fromisoformat(noon).date()
    assert day.holds(at(noon, zone))
    assert not day.holds(day.ends)
    assert day.holds(day.began)


def test_apia_had_no_30th():
    zone = ZoneInfo("Pacific/Apia")
    before = period(Window.DAY, at("2011-12-29T23:59:59", "Pacific/Apia"), zone)
    after = period(Window.DAY, at("2011-12-31T00:00", "Pacific/Apia"), zone)
    assert before.ends == after.began
    month = period(Window.MONTH, at("2011-12-15T00:00", "Pacific/Apia"), zone)
    assert (month.ends - month.began) / HOUR == 30 * 24


def test_a_clock_put_back_over_midnight_goes_on_with_the_day_that_had_begun():
    zone = "America/St_Johns"  # at one minute past midnight, back to 23:01
    first = period(Window.DAY, at("2009-11-01T00:00:30", zone), ZoneInfo(zone))
    again = period(Window.DAY, at("2009-10-31T23:30", zone, fold=1), ZoneInfo(zone))
    assert again == first
    assert period(Window.MONTH, at("2009-10-31T23:30", zone, fold=1), ZoneInfo(zone)).began == first.began


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(available_timezones())),
    st.floats(FIRST, LAST),
    st.sampled_from([Window.MINUTE, Window.DAY, Window.MONTH]),
)
def test_periods_tile_time(zone: str, now: float, window: Window):
    here = period(window, now, ZoneInfo(zone))
    assert here.holds(now)
    then = period(window, here.ends, ZoneInfo(zone))
    assert then.began == here.ends < then.ends
    before = period(window, here.began - 1, ZoneInfo(zone))
    assert before.ends == here.began
    inside = (here.began + here.ends) / 2
    assert period(window, inside, ZoneInfo(zone)) == here


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(available_timezones())), st.integers(2000, 2036), st.data())
def test_periods_tile_time_around_every_change_of_the_clock(zone: str, year: int, data: st.DataObject):
    info = ZoneInfo(zone)
    start = datetime(year, 1, 1, tzinfo=UTC).timestamp()
    offsets = [datetime.fromtimestamp(start + day * 24 * HOUR, info).utcoffset() for day in range(367)]
    changes = [day for day in range(366) if offsets[day] != offsets[day + 1]]
    for day in changes:
        now = start + day * 24 * HOUR + data.draw(st.floats(0, 24 * HOUR))
        here = period(Window.DAY, now, info)
        assert here.holds(now)
        assert period(Window.DAY, here.ends, info).began == here.ends


def test_months_have_their_own_lengths():
    days = [
        (of.ends - of.began) / 86_400
        for of in (
            period(Window.MONTH, datetime(2028, month, 15, tzinfo=UTC).timestamp(), UTC)
            for month in range(1, 13)
        )
    ]
    assert days == [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


def test_totals_never_end():
    for window in (Window.TOTAL, Window.NONE):
        assert period(window, 5.0, UTC) == Period(window, 0.0, math.inf)
        assert period(window, 5.0, UTC).keep_until == math.inf


@pytest.mark.parametrize("window", [Window.MINUTE, Window.DAY, Window.MONTH])
def test_a_counter_is_kept_beyond_its_period(window: Window):
    of = period(window, 1.8e9, UTC)
    assert of.keep_until >= of.ends + 60 * 60


def test_kept_periods_follow_the_clock_forward_and_back():
    periods = Periods()
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
    today = periods.at(Window.DAY, noon, UTC)
    assert periods.at(Window.DAY, noon + 1, UTC) is today
    tomorrow = periods.at(Window.DAY, noon + 86_400, UTC)
    assert tomorrow.began == today.ends
    assert periods.at(Window.DAY, noon, UTC) == today
    warsaw = periods.at(Window.DAY, noon, ZoneInfo("Europe/Warsaw"))
    assert today.began - warsaw.began == HOUR
