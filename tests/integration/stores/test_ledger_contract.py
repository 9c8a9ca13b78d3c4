"""The contract of `Ledger`, the same for every one of them."""

import asyncio

import pytest

from integration.stores.ledger_house import NOW, account, hold, line, settle, standing, use
from penstock.stores.ledger import MOST, PER, Denial, Grant, Line, Settled, Standing

pytest_plugins = ["redis_fixture"]

ODD_TEXTS = [
    "",
    " ",
    "a\0b",
    "{a}",
    "}",
    "*",
    "日本",
    "%",
    "%25",
    "a:b",
    "\ud800",
    "x" * 3000,
    "due",
    "a b c d",
]


# reserve


async def test_what_was_never_charged_stands_at_zero(ledger):
    assert await ledger.read("acme", [account("a"), account("b")], now=NOW) == (Standing(), Standing())
    assert await ledger.read("acme", [], now=NOW) == ()
    assert await ledger.held("acme", now=NOW) == 0


async def test_a_reservation_is_held_and_then_charged_as_it_was_used(ledger):
    assert await hold(ledger, "r", line(fixed=30, tokens=1), tokens=50) == Grant(50, (Standing(0, 80),))
    assert await ledger.held("acme", now=NOW) == 1
    assert await settle(ledger, "r", (line(), 42)) == Settled((Standing(42, 0),))
    assert await standing(ledger) == Standing(42, 0)
    assert await ledger.held("acme", now=NOW) == 0


async def test_all_lines_hold_or_none(ledger):
    lines = line("a", 100, 60), line("b", 50, 60), line("c", 100, 60), line("d", 59, 60)
    assert await hold(ledger, "r", *lines) == Denial((1, 3), (Standing(),) * 4)
    assert await ledger.held("acme", now=NOW) == 0
    for name in "abcd":
        assert await standing(ledger, name) == Standing()


async def test_the_tightest_line_says_how_many_tokens(ledger):
    lines = line("a", 1000, 10, 1), line("b", 100, 7, 3), line("c", 2, 1)
    assert await hold(ledger, "r", *lines, tokens=500, least=1) == Grant(
        31, (Standing(0, 41), Standing(0, 100), Standing(0, 1))
    )


async def test_fewer_tokens_than_the_least_are_a_denial(ledger):
    assert await hold(ledger, "a", line(fixed=91, tokens=1), tokens=50, least=10) == Denial(
        (0,), (Standing(),)
    )
    assert await hold(ledger, "b", line(fixed=90, tokens=1), tokens=50, least=10) == Grant(
        10, (Standing(0, 100),)
    )


async def test_who_asks_for_fewer_than_the_least_gets_those(ledger):
    assert await hold(ledger, "a", line(tokens=1), tokens=5, least=16) == Grant(5, (Standing(0, 5),))


async def test_a_limit_is_reached_and_never_passed(ledger):
    assert isinstance(await hold(ledger, "a", line(fixed=100)), Grant)
    assert await hold(ledger, "b", line(fixed=1)) == Denial((0,), (Standing(0, 100),))
    assert await settle(ledger, "a", (line(), 99)) is not None
    assert isinstance(await hold(ledger, "c", line(fixed=1)), Grant)
    assert await hold(ledger, "d", line(fixed=1)) == Denial((0,), (Standing(99, 1),))


async def test_nothing_always_fits(ledger):
    await use(ledger, 500)
    assert await hold(ledger, "a", line(limit=100)) == Grant(0, (Standing(500, 0),))
    assert await hold(ledger, "b", line(limit=100, tokens=1), tokens=9) == Grant(0, (Standing(500, 0),))
    assert await hold(ledger, "c", line(limit=100, tokens=1), tokens=9, least=1) == Denial(
        (0,), (Standing(500, 0),)
    )
    assert await hold(ledger, "d", tokens=7) == Grant(7, ())
    assert await ledger.held("acme", now=NOW) == 3


async def test_two_lines_of_one_account_add_up(ledger):
    lines = line(limit=100, fixed=40), line(limit=100, tokens=2)
    assert await hold(ledger, "a", *lines, tokens=99) == Grant(30, (Standing(0, 100),) * 2)
    assert await settle(ledger, "a", (line(), 10), (line(), 20)) == Settled((Standing(30),) * 2)
    lines = line(limit=100, fixed=40), line(limit=60, fixed=30)
    assert await hold(ledger, "b", *lines) == Denial((1,), (Standing(30),) * 2)


async def test_a_limit_that_changed_counts_at_once(ledger):
    await use(ledger, 90)
    assert await hold(ledger, "a", line(limit=80, fixed=1)) == Denial((0,), (Standing(90),))
    assert await hold(ledger, "b", line(limit=91, fixed=1)) == Grant(0, (Standing(90, 1),))


@pytest.mark.parametrize("rate", [1, 3, 333_333, 999_999, PER, PER + 1, 15_000_000, 2**40 + 12_345, MOST])
@pytest.mark.parametrize("room", [0, 1, 999, 10**9 + 7, MOST - 1, MOST])
async def test_money_is_counted_exactly_however_large(ledger, rate, room):
    needs = Line(account(), room, 0, rate)
    granted = await hold(ledger, "r", needs, tokens=MOST)
    assert granted.standings[0].reserved == needs.amount(granted.tokens) <= room
    assert granted.tokens == MOST or needs.amount(granted.tokens + 1) > room


@pytest.mark.parametrize("name", ODD_TEXTS)
async def test_names_are_any_text(ledger, name):
    assert isinstance(await hold(ledger, name, line(name, fixed=7), tenant=name), Grant)
    assert await standing(ledger, name, tenant=name) == Standing(0, 7)
    assert await ledger.renew(name, [name], now=NOW, expires_at=NOW + 9) == 1
    assert await settle(ledger, name, (line(name), 3), tenant=name) == Settled((Standing(3),))
    await ledger.reset(name, [account(name)], now=NOW)
    assert await standing(ledger, name, tenant=name) == Standing()


async def test_tenants_and_accounts_are_apart(ledger):
    for at, text in enumerate(ODD_TEXTS):
        await hold(ledger, "r", line(text, 100, at), tenant=text)
    for at, text in enumerate(ODD_TEXTS):
        accounts = [account(other) for other in ODD_TEXTS]
        expected = tuple(Standing(0, at if other == text else 0) for other in ODD_TEXTS)
        assert await ledger.read(text, accounts, now=NOW) == expected


# top-up


async def test_a_second_reserve_is_a_top_up(ledger):
    await hold(ledger, "r", line(fixed=30), lives_s=10)
    assert await hold(ledger, "r", line(fixed=20), line("b", fixed=5), lives_s=100) == Grant(
        0, (Standing(0, 50), Standing(0, 5))
    )
    assert await ledger.held("acme", now=NOW + 50) == 1
    assert await settle(ledger, "r", (line(), 60), (line("b"), 1)) == Settled((Standing(60), Standing(1)))


async def test_a_top_up_without_room_leaves_what_was_held(ledger):
    await hold(ledger, "r", line(fixed=90), lives_s=10)
    assert await hold(ledger, "r", line(fixed=20), lives_s=100) == Denial((0,), (Standing(0, 90),))
    assert await standing(ledger, now=NOW + 10) == Standing(90, 0, 90)


async def test_a_top_up_of_an_expired_one_goes_on_with_it(ledger):
    await hold(ledger, "r", line(fixed=30))
    assert await hold(ledger, "r", line(fixed=20), now=NOW + 60) == Grant(0, (Standing(30, 20, 30),))
    assert await standing(ledger, now=NOW + 120) == Standing(50, 0, 50)
    assert await settle(ledger, "r", (line(), 45), now=NOW + 121) == Settled((Standing(45),))
    assert await settle(ledger, "r", (line(), 45), now=NOW + 121) is None


# settle


async def test_settling_twice_charges_once(ledger):
    await hold(ledger, "r", line(fixed=30))
    assert await settle(ledger, "r", (line(), 20)) is not None
    assert await settle(ledger, "r", (line(), 20)) is None
    assert await settle(ledger, "never", (line(), 20)) is None
    assert await standing(ledger) == Standing(20)


async def test_more_than_was_held_is_charged_all_the_same(ledger):
    await hold(ledger, "r", line(fixed=30))
    assert await settle(ledger, "r", (line(), 130)) == Settled((Standing(130),))


async def test_accounts_not_named_are_let_go_and_unheld_ones_charged(ledger):
    await hold(ledger, "r", line("a", fixed=30), line("b", fixed=5))
    assert await settle(ledger, "r", (line("c"), 9)) == Settled((Standing(9),))
    assert [await standing(ledger, name) for name in "abc"] == [Standing(), Standing(), Standing(9)]


async def test_settling_nothing_releases(ledger):
    await hold(ledger, "r", line(fixed=30))
    assert await settle(ledger, "r") == Settled(())
    assert await standing(ledger) == Standing()


# take


async def test_taking_takes_what_fits(ledger):
    await hold(ledger, "r", line(fixed=30))
    lines = (line(), 60), (line(), 60), (line("b", 5), 9), (line("c"), 0)
    assert await ledger.take("acme", lines, now=NOW) == (60, 10, 5, 0)
    assert await standing(ledger) == Standing(70, 30)
    assert await ledger.take("acme", [(line(limit=50), 1)], now=NOW) == (0,)
    assert await ledger.take("acme", [], now=NOW) == ()


# warnings


async def warned(ledger, *lines):
    await hold(ledger, "w")
    return (await settle(ledger, "w", *lines)).warned


async def test_an_account_is_warned_of_once(ledger, another):
    here, there = ledger, await another()
    day = line(limit=100, warn_from=80)
    assert await warned(here, (day, 79)) == ()
    assert await warned(there, (line("b", warn_from=5), 1), (day, 1), (day, 0)) == (1,)
    assert await warned(here, (day, 50)) == ()
    await here.reset("acme", [account()], now=NOW)
    assert await warned(there, (day, 0)) == ()
    assert await warned(there, (day, 80)) == (0,)


async def test_a_warning_is_due_whatever_raised_the_charge(ledger):
    await use(ledger, 90)
    assert await warned(ledger, (line(warn_from=80), 0)) == (0,)
    await hold(ledger, "crashed", line("b", fixed=90))
    await hold(ledger, "r")
    found = await settle(ledger, "r", (line("b", warn_from=80), 1), now=NOW + 60)
    assert found == Settled((Standing(91, 0, 90),), (0,))


async def test_without_a_charge_there_is_no_warning(ledger):
    assert await warned(ledger, (line(warn_from=0), 0), (line(), 500)) == (0,)
    assert await warned(ledger, (line("b", warn_from=0), 0), (line("c"), 500)) == ()


# reset


async def test_a_reset_leaves_what_is_held(ledger):
    await hold(ledger, "r", line(fixed=30))
    await use(ledger, 50)
    await ledger.reset("acme", [account(), account("unknown")], now=NOW)
    assert await standing(ledger) == Standing(0, 30)
    assert await settle(ledger, "r", (line(), 20)) == Settled((Standing(20),))


# many at once


async def test_a_crowd_never_passes_the_limit(ledger, another):
    ledgers = [ledger, await another(), await another()]

    async def call(n):
        granted = await hold(ledgers[n % 3], f"r{n}", line(fixed=3, tokens=1), tokens=7, least=7)
        if isinstance(granted, Grant):
            await settle(ledgers[(n + 1) % 3], f"r{n}", (line(), 10))
            return 10
        return 0

    charged = await asyncio.gather(*(call(n) for n in range(64)))
    assert sum(charged) == 100
    assert await standing(ledger) == Standing(100)


@pytest.mark.parametrize("bad", [-1, MOST + 1, 2**80, 1.5])
async def test_what_can_not_be_counted_is_refused(ledger, bad):
    for fields in ((bad, 0, 0), (0, bad, 0), (0, 0, bad)):
        with pytest.raises(ValueError, match="whole number"):
            Line(account(), *fields)
    for wait in (
        hold(ledger, "r", tokens=bad),
        hold(ledger, "r", least=bad),
        settle(ledger, "r", (line(), bad)),
        ledger.take("acme", [(line(), bad)], now=NOW),
    ):
        with pytest.raises(ValueError, match="whole number"):
            await wait
    assert await ledger.held("acme", now=NOW) == 0
