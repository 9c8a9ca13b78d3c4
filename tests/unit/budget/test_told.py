"""What clients are told: headers on every answer, and refusals that say what helps."""

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from penstock.budget.told import headers, moment, stopped, warning
from penstock.budget.window import Window
from unit.budget.budget_bits import applied, stand

NOW = 1.8e9
DAY, MINUTE, MONTH = Window.DAY, Window.MINUTE, Window.MONTH


def test_the_tightest_limit_is_told():
    told = headers(
        [
            stand(applied(window=DAY), used=100, reserved=50, ends=NOW + 3_600),
            stand(applied(amount=100, scope="user:ada"), used=90, ends=math.inf),
            stand(applied("requests", 10, window=MINUTE), used=4, ends=NOW + 61),
            stand(applied("usd", 2_000_000, window=MONTH), used=1_000_000, ends=NOW + 86_400),
        ],
        NOW,
        UTC,
        0.8,
    )
    assert told == {
        "x-ratelimit-limit-tokens": "100",
        "x-ratelimit-remaining-tokens": "10",
        "x-ratelimit-reset-tokens": "0s",
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "6",
        "x-ratelimit-reset-requests": "1m1s",
        "x-dac-budget-remaining": "10; unit=tokens; scope=user:ada; window=total",
        "x-dac-budget-warning": "unit=tokens; scope=user:ada; window=total; used=90; limit=100; reset=never",
    }


@pytest.mark.parametrize(
    ("used", "reserved", "warns"), [(799, 0, False), (800, 0, True), (1_000, 0, True), (700, 200, False)]
)
def test_the_warning_goes_by_what_is_used(used: int, reserved: int, warns: bool):
    told = headers([stand(used=used, reserved=reserved)], NOW, UTC, 0.8)
    assert ("x-dac-budget-warning" in told) is warns


def test_rates_are_not_warned_of():
    told = headers([stand(applied(window=MINUTE), used=999, ends=NOW + 5)], NOW, UTC, 0.8)
    assert "x-dac-budget-warning" not in told
    assert told["x-dac-budget-remaining"] == "1; unit=tokens; scope=tenant; window=minute"


def test_more_than_the_limit_is_nothing_left():
    assert headers([stand(used=2_000)], NOW, UTC, 0.8)["x-ratelimit-remaining-tokens"] == "0"


def test_a_warning_says_the_tenants_own_time():
    zone = ZoneInfo("Europe/Warsaw")
    midnight = datetime(2026, 11, 24, tzinfo=zone).timestamp()
    told = warning(stand(applied("usd", 3_000_000, window=DAY), used=2_500_000, ends=midnight), zone)
    assert told == (
        "unit=usd; scope=tenant; window=day; used=2.500000; limit=3.000000; reset=2026-11-24T00:00:00+01:00"
    )


def test_a_models_name_stands_in_a_header_only_where_it_can():
    assert warning(stand(applied(model="large")), UTC).count("; model=large") == 1
    assert "model" not in warning(stand(applied(model="größe\r\nx: y")), UTC)


@pytest.mark.parametrize(
    ("limit", "ends", "status", "code", "wait", "retries"),
    [
        (applied(window=DAY), NOW + 20_000, 429, "insufficient_quota", "60", "false"),
        (applied(window=DAY), NOW + 12.2, 403, "insufficient_quota", "13", "false"),
        (applied(), math.inf, 429, "insufficient_quota", "60", "false"),
        (applied(window=MINUTE), NOW + 12.2, 429, "rate_limit_exceeded", "13", None),
        (applied(window=MINUTE), NOW, 429, "rate_limit_exceeded", "1", None),
    ],
)
def test_the_refusal(limit, ends: float, status: int, code: str, wait: str, retries: str | None):
    refusal = stopped([stand(limit, used=1_000, ends=ends)], "acme", NOW, UTC, status, waits=False)
    assert (refusal.status, refusal.code) == (status, code)
    assert refusal.headers["retry-after"] == wait
    assert refusal.headers.get("x-should-retry") == retries
    assert limit.named("acme") in refusal.message
    resets = "does not reset" in refusal.message or "It resets at 20" in refusal.message
    assert resets


def test_a_rate_is_429_whatever_the_hard_stop_is():
    refusal = stopped([stand(applied(window=MINUTE), ends=NOW + 5)], "acme", NOW, UTC, 403, waits=False)
    assert (refusal.status, refusal.kind) == (429, "rate_limit_error")


def test_what_others_hold_may_come_back_in_a_moment():
    refusal = stopped([stand(applied(window=DAY), reserved=1_000)], "acme", NOW, UTC, 403, waits=True)
    assert (refusal.status, refusal.code) == (429, "rate_limit_exceeded")
    assert refusal.headers == {"retry-after": "1"}
    assert "when other answers have ended" in refusal.message


def test_of_several_limits_the_one_that_lasts_longest_is_named():
    denied = [
        stand(applied(window=MINUTE), ends=NOW + 5),
        stand(applied(window=DAY, scope="user:ada"), ends=NOW + 500),
        stand(applied("usd", 10, window=MONTH), ends=NOW + 5_000),
    ]
    refusal = stopped(denied, "acme", NOW, UTC, 429, waits=False)
    assert "usd of the month for tenant acme" in refusal.message
    assert refusal.code == "insufficient_quota"


def test_a_refusal_holds_no_figures():
    shown = [stand(applied(amount=7_654_321), used=7_654_000, reserved=321)]
    assert "7654" not in stopped(shown, "acme", NOW, UTC, 429, waits=False).message.replace(",", "")


def test_moments_are_in_utc():
    assert moment(0) == "1970-01-01T00:00:00+00:00"
