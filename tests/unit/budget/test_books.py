"""The books of a process: settled once, tried again while the store is gone, renewed while it lasts."""

import asyncio
from collections.abc import Sequence

import pytest

from penstock.budget import books as module
from penstock.budget.books import Books
from penstock.errors import StoreUnavailable
from penstock.stores.ledger import Account, Line, Settled, Standing
from penstock.stores.memory import MemoryLedger
from penstock.testing import FrozenClock

ACCOUNT = Account("tokens", float("inf"))
LINE = Line(ACCOUNT, 100, 10, warn_from=20)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
async def books(ledger: MemoryLedger, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_AGAIN_S", 0.001)
    monkeypatch.setattr(module, "_LOOK_S", 0.001)
    books = Books(ledger, clock, 60.0)
    yield books
    await books.close()


async def hold(books: Books, ledger: MemoryLedger, clock: FrozenClock, name: str) -> None:
    now = clock.now()
    await ledger.reserve("acme", name, [LINE], tokens=0, least=0, now=now, expires_at=now + books.lasts_s)
    books.hold("acme", name)


async def standing(ledger: MemoryLedger, clock: FrozenClock) -> Standing:
    return (await ledger.read("acme", [ACCOUNT], now=clock.now()))[0]


async def until(come_true) -> None:
    async with asyncio.timeout(5):
        while not await come_true():  # noqa: ASYNC110 - nobody would set an event for it
            await asyncio.sleep(0.001)


async def test_a_settlement_charges_once_and_tells(books: Books, ledger: MemoryLedger, clock: FrozenClock):
    told: list[Settled] = []
    await hold(books, ledger, clock, "one")
    books.settle("acme", "one", [(LINE, 25)], told.append)
    books.settle("acme", "one", [(LINE, 25)], told.append)
    await books.close()
    assert await standing(ledger, clock) == Standing(used=25)
    assert [settled.warned for settled in told] == [(0,)]


async def test_letting_go_is_done_when_it_returns(books: Books, ledger: MemoryLedger, clock: FrozenClock):
    await hold(books, ledger, clock, "one")
    await books.let_go("acme", "one")
    assert await standing(ledger, clock) == Standing()


async def test_what_could_not_be_let_go_is_let_go_later(
    books: Books, ledger: MemoryLedger, clock: FrozenClock
):
    await hold(books, ledger, clock, "one")
    ledger.gone = True
    with pytest.raises(StoreUnavailable):
        await books.let_go("acme", "one")
    ledger.gone = False
    await books.close()
    assert await standing(ledger, clock) == Standing()


async def test_a_settlement_waits_for_the_store(books: Books, ledger: MemoryLedger, clock: FrozenClock):
    await hold(books, ledger, clock, "one")
    ledger.gone = True
    books.settle("acme", "one", [(LINE, 7)])
    await asyncio.sleep(0.02)
    ledger.gone = False
    await books.close()
    assert await standing(ledger, clock) == Standing(used=7)


async def test_a_late_settlement_replaces_the_charge_of_its_expiry(
    books: Books, ledger: MemoryLedger, clock: FrozenClock
):
    await hold(books, ledger, clock, "one")
    ledger.gone = True
    books.settle("acme", "one", [(LINE, 7)])
    clock.advance(1_000)
    await asyncio.sleep(0.01)
    ledger.gone = False
    assert await standing(ledger, clock) == Standing(used=10, expired=10)
    await books.close()
    assert await standing(ledger, clock) == Standing(used=7)


async def test_what_is_held_is_renewed_and_what_has_ended_is_not(
    books: Books, ledger: MemoryLedger, clock: FrozenClock
):
    await hold(books, ledger, clock, "one")
    await hold(books, ledger, clock, "two")
    books.settle("acme", "two", [(LINE, 1)])
    for _ in range(5):
        clock.advance(30)
        await asyncio.sleep(0.01)
    assert await standing(ledger, clock) == Standing(used=1, reserved=10)
    clock.advance(61)
    assert await standing(ledger, clock) == Standing(used=11, expired=10)


async def test_only_what_is_held_is_asked_to_be_renewed(
    books: Books, ledger: MemoryLedger, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
):
    asked: list[Sequence[str]] = []

    async def renew(tenant: str, reservations: Sequence[str], *, now: float, expires_at: float) -> int:
        asked.append(reservations)
        return 0

    monkeypatch.setattr(ledger, "renew", renew)
    for name in ("one", "two", "three"):
        await hold(books, ledger, clock, name)
    books.settle("acme", "two", [])
    await books.let_go("acme", "three")
    clock.advance(30)
    await asyncio.sleep(0.02)
    assert asked
    assert asked[-1] == ["one"]


async def test_renewals_follow_a_shorter_life_at_once(books: Books, ledger: MemoryLedger, clock: FrozenClock):
    await asyncio.sleep(0.01)
    books.lasts_s = 5.0
    await hold(books, ledger, clock, "one")
    for _ in range(4):
        clock.advance(3)
        await asyncio.sleep(0.01)
    assert await standing(ledger, clock) == Standing(reserved=10)


async def test_renewals_survive_a_store_that_is_gone(books: Books, ledger: MemoryLedger, clock: FrozenClock):
    await hold(books, ledger, clock, "one")
    ledger.gone = True
    clock.advance(30)
    await asyncio.sleep(0.01)
    ledger.gone = False
    clock.advance(16)
    await asyncio.sleep(0.01)
    clock.advance(30)
    assert await standing(ledger, clock) == Standing(reserved=10)


async def test_something_may_be_worked_out_first(books: Books, ledger: MemoryLedger, clock: FrozenClock):
    async def half(charges: Sequence[tuple[Line, int]]) -> Sequence[tuple[Line, int]]:
        return [(line, amount // 2) for line, amount in charges]

    async def fails(charges: Sequence[tuple[Line, int]]) -> Sequence[tuple[Line, int]]:
        raise StoreUnavailable("gone")

    await hold(books, ledger, clock, "one")
    await hold(books, ledger, clock, "two")
    books.settle("acme", "one", [(LINE, 8)], None, half)
    books.settle("acme", "two", [(LINE, 8)], None, fails)
    await books.close()
    assert await standing(ledger, clock) == Standing(used=12)


async def test_a_charge_that_no_ledger_takes_ends(
    books: Books, ledger: MemoryLedger, clock: FrozenClock, caplog: pytest.LogCaptureFixture
):
    await hold(books, ledger, clock, "one")
    books.settle("acme", "one", [(LINE, 2**60)])
    await books.close()
    assert "can't be written" in caplog.text
    clock.advance(61)
    assert await standing(ledger, clock) == Standing(used=10, expired=10)


async def test_closing_does_not_wait_for_ever(
    books: Books, ledger: MemoryLedger, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_CLOSING_S", 0.01)
    await hold(books, ledger, clock, "one")
    ledger.gone = True
    books.settle("acme", "one", [(LINE, 7)])
    async with asyncio.timeout(5):
        await books.close()
