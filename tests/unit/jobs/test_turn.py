"""One of all processes has its turn; when it stops or dies, another takes over."""

import pytest

from penstock import testing
from penstock.errors import StoreUnavailable
from penstock.jobs.turn import Turn
from penstock.stores.memory import MemoryLedger
from penstock.stores.sqlite_ledger import SqliteLedger


@pytest.fixture
def clock():
    return testing.FrozenClock()


@pytest.fixture
def ledger():
    return MemoryLedger()


async def test_a_real_ledger_holds_it_too(tmp_path, clock):
    ledger = await SqliteLedger.open(tmp_path / "ledger.db", timeout_s=10)
    one, other = (Turn(ledger, clock, "train") for _ in range(2))
    assert await whose([one, other, one]) == [True, False, True]
    clock.advance(30)
    assert await whose([other, one]) == [True, False]
    await other.give_up()
    assert await one.mine()
    await ledger.close()


@pytest.fixture
def turns(ledger, clock):
    return [Turn(ledger, clock, "train") for _ in range(3)]


async def whose(turns):
    return [await turn.mine() for turn in turns]


async def test_only_one_has_its_turn_and_keeps_it(turns, clock):
    for _ in range(10):
        assert await whose(turns) == [True, False, False]
        clock.advance(9)


async def test_another_takes_over_at_once_when_it_stops(turns):
    await whose(turns)
    await turns[0].give_up()
    assert await whose(turns[1:]) == [True, False]
    assert not await turns[0].mine()
    await turns[0].give_up()  # it has nothing to give
    assert await whose(turns) == [False, True, False]


async def test_another_takes_over_half_a_minute_after_it_died(turns, clock):
    await whose(turns)
    clock.advance(29)
    assert await whose(turns[1:]) == [False, False]
    clock.advance(1)
    assert await whose(turns[1:]) == [True, False]
    assert not await turns[0].mine()  # it was only slow


async def test_jobs_are_apart(ledger, clock):
    assert await Turn(ledger, clock, "train").mine()
    assert await Turn(ledger, clock, "canary").mine()


async def test_a_turn_costs_nobody_anything_even_when_it_expires(turns, ledger, clock):
    await whose(turns)
    clock.advance(31)
    await whose(turns)
    await turns[0].give_up()
    assert await ledger.held("_jobs", now=clock.now()) == 0


async def test_a_store_that_is_gone_is_told(turns, ledger):
    await whose(turns)
    ledger.gone = True
    for turn in turns:
        with pytest.raises(StoreUnavailable):
            await turn.mine()
    ledger.gone = False
    assert await whose(turns) == [True, False, False]


async def test_a_turn_has_a_new_number_whenever_it_was_lost_between(turns, clock):
    for number in (1, 1, 1):
        assert await turns[0].mine()
        assert turns[0].number == number
        clock.advance(9)
    clock.advance(31)  # nobody took it, but somebody might have
    assert await turns[0].mine()
    assert [turn.number for turn in turns] == [2, 0, 0]
    await turns[0].give_up()
    assert await whose(turns[1:]) == [True, False]
    assert [turn.number for turn in turns] == [2, 1, 0]
