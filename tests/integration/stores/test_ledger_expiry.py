"""The contract of `Ledger` when time passes: reservations that expire, live on, or are settled late."""

import asyncio
from itertools import batched

import pytest

from integration.stores.ledger_house import NOW, account, hold, line, settle, standing, use
from penstock.stores.ledger import MOST, REMEMBERED_S, Grant, Settled, Standing

pytest_plugins = ["redis_fixture"]


async def test_an_expired_reservation_becomes_a_charge_where_that_is_meant(ledger):
    lines = line("a", fixed=30), line("b", fixed=1, charged_on_expiry=False)
    await hold(ledger, "r", *lines, line("a", fixed=4, charged_on_expiry=False))
    assert await standing(ledger, "a", now=NOW + 59.999) == Standing(0, 34)
    assert await standing(ledger, "a", now=NOW + 60) == Standing(30, 0, 30)
    assert await standing(ledger, "b", now=NOW + 60) == Standing()
    assert await ledger.held("acme", now=NOW + 60) == 0


@pytest.mark.parametrize("method", ["reserve", "take", "read", "renew", "reset", "held", "settle"])
async def test_every_method_sees_to_expiry_first(ledger, method):
    await hold(ledger, "old", line(fixed=100))
    await hold(ledger, "free", line("b", 1, fixed=1, charged_on_expiry=False))
    later = NOW + 60
    if method == "reserve":
        assert await hold(ledger, "r", line("b", 1, 1), now=later) == Grant(0, (Standing(0, 1),))
    if method == "take":
        assert await ledger.take("acme", [(line("b", 1), 1), (line(), 1)], now=later) == (1, 0)
    if method == "renew":
        assert await ledger.renew("acme", ["old"], now=later, expires_at=later + 60) == 0
    if method == "reset":
        await ledger.reset("acme", [account()], now=later)
    if method == "held":
        assert await ledger.held("acme", now=later) == 0
    if method == "settle":
        assert await settle(ledger, "never", now=later) is None
    if method == "read":
        assert await standing(ledger, now=later) == Standing(100, 0, 100)
    # At an earlier time again: it is as it was left.
    assert await standing(ledger) == (Standing() if method == "reset" else Standing(100, 0, 100))


async def test_a_late_settlement_replaces_the_charge(ledger):
    await hold(ledger, "r", line(fixed=30), line("b", fixed=8))
    await use(ledger, 5)
    late = NOW + REMEMBERED_S - 1
    assert await standing(ledger, now=NOW + 60) == Standing(35, 0, 30)
    assert await settle(ledger, "r", (line(), 12), now=late) == Settled((Standing(17),))
    assert await standing(ledger, "b", now=late) == Standing()
    assert await settle(ledger, "r", (line(), 12), now=late) is None


async def test_a_settlement_that_finds_the_expiry_itself(ledger):
    await hold(ledger, "r", line(fixed=30))
    assert await settle(ledger, "r", (line(), 12), now=NOW + 1000) == Settled((Standing(12),))


async def test_much_later_the_charge_is_final(ledger):
    await hold(ledger, "r", line(fixed=30))
    assert await standing(ledger, now=NOW + 60) == Standing(30, 0, 30)
    final = NOW + 60 + REMEMBERED_S
    assert await settle(ledger, "r", (line(), 12), now=final) is None
    assert await standing(ledger, now=final) == Standing(30, 0, 30)


async def test_thousands_that_expire_at_once_are_all_seen_to(ledger):
    count = 1203
    for step in batched(range(count), 500):
        await asyncio.gather(*(hold(ledger, f"r{n}", line(limit=MOST, fixed=n)) for n in step))
    total = sum(range(count))
    assert await hold(ledger, "new", line(limit=total + 1, fixed=1), now=NOW + 60) == Grant(
        0, (Standing(total, 1, total),)
    )
    assert await ledger.held("acme", now=NOW + 60) == 1


async def test_a_clock_that_steps_back_loses_nothing(ledger):
    await hold(ledger, "r", line(fixed=30))
    assert await standing(ledger, now=NOW - 5000) == Standing(0, 30)
    assert await settle(ledger, "r", (line(), 12), now=NOW - 5000) == Settled((Standing(12),))
    await hold(ledger, "s", line(fixed=3), now=NOW - 7000)
    assert await standing(ledger) == Standing(15, 0, 3)
    assert await settle(ledger, "s", (line(), 1), now=NOW - 7000) == Settled((Standing(13),))


async def test_an_end_of_time_never_comes(ledger):
    await hold(ledger, "r", line(fixed=30), lives_s=float("inf"))
    assert await standing(ledger, now=NOW * 100) == Standing(0, 30)


# renew


async def test_what_is_renewed_lives_on(ledger):
    for name in "abc":
        await hold(ledger, name, line(fixed=10))
    await settle(ledger, "c", (line(), 1))
    assert await ledger.renew("acme", ["a", "c", "x", "a"], now=NOW + 59, expires_at=NOW + 100) == 1
    assert await standing(ledger, now=NOW + 60) == Standing(11, 10, 10)
    assert await standing(ledger, now=NOW + 100) == Standing(21, 0, 20)
    assert await ledger.renew("acme", ["a"], now=NOW + 100, expires_at=NOW + 200) == 0
    assert await ledger.renew("acme", [], now=NOW, expires_at=NOW + 200) == 0


# reset


async def test_a_late_settlement_takes_nothing_from_after_a_reset(ledger):
    await hold(ledger, "old", line(fixed=30))
    await ledger.reset("acme", [account()], now=NOW + 60)
    await hold(ledger, "young", line(fixed=40), now=NOW + 60)
    assert await standing(ledger, now=NOW + 120) == Standing(40, 0, 40)
    assert await settle(ledger, "old", (line(), 5), now=NOW + 120) == Settled((Standing(45, 0, 40),))
    assert await settle(ledger, "young", (line(), 6), now=NOW + 120) == Settled((Standing(11),))


async def test_of_two_expiries_a_reset_takes_the_first_away(ledger):
    await hold(ledger, "r", line(fixed=30))
    await ledger.reset("acme", [account()], now=NOW + 60)
    await hold(ledger, "r", line(fixed=4), now=NOW + 60)
    await hold(ledger, "other", line(fixed=50), now=NOW + 60)
    assert await standing(ledger, now=NOW + 120) == Standing(54, 0, 54)
    assert await settle(ledger, "r", (line(), 5), now=NOW + 120) == Settled((Standing(55, 0, 50),))
