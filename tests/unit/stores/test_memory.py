"""The ledger and records of the test kit; their contract is in tests/integration/stores."""

import asyncio

import pytest

from penstock.errors import StoreUnavailable
from penstock.stores.ledger import PER, REMEMBERED_S, Account, Denial, Grant, Ledger, Line, Settled, Standing
from penstock.stores.memory import MemoryLedger, MemoryRecords
from penstock.stores.records import Records

NOW = 1_800_000_000.0
DAY, STREAMS = Account("day", NOW + 86_400), Account("streams", float("inf"))


@pytest.fixture
def ledger() -> Ledger:
    return MemoryLedger()


@pytest.fixture
def records() -> Records:
    return MemoryRecords()


def hold(ledger, reservation, *lines, tokens=0, least=0, now=NOW):
    return ledger.reserve(
        *("acme", reservation, lines), tokens=tokens, least=least, now=now, expires_at=now + 60
    )


async def test_a_call_from_its_reservation_to_its_settlement(ledger):
    day, streams = Line(DAY, 100, 10, 2 * PER, warn_from=80), Line(STREAMS, 1, 1, charged_on_expiry=False)
    granted = await hold(ledger, "r", day, streams, tokens=500, least=1)
    assert granted == Grant(45, (Standing(0, 100), Standing(0, 1)))
    assert await hold(ledger, "s", day, streams, tokens=500, least=1) == Denial((0, 1), granted.standings)
    assert await ledger.held("acme", now=NOW) == 1
    settled = await ledger.settle("acme", "r", [(day, 90), (streams, 0)], now=NOW)
    assert settled == Settled((Standing(90), Standing()), (0,))
    assert await ledger.settle("acme", "r", [(day, 90)], now=NOW) is None
    assert await ledger.take("acme", [(day, 50)], now=NOW) == (10,)
    await ledger.reset("acme", [DAY], now=NOW)
    assert await ledger.read("acme", [DAY, STREAMS], now=NOW) == (Standing(), Standing())


async def test_a_crash_from_its_expiry_to_its_end(ledger):
    day, streams = Line(DAY, 100, 30), Line(STREAMS, 1, 1, charged_on_expiry=False)
    for reservation in ("late", "lost"):
        await hold(ledger, reservation, day)
    await hold(ledger, "renewed", day, streams)
    assert await ledger.renew("acme", ["renewed", "unknown"], now=NOW, expires_at=NOW + 90) == 1
    assert await ledger.read("acme", [DAY, STREAMS], now=NOW + 60) == (Standing(60, 30, 60), Standing(0, 1))
    assert await ledger.read("acme", [DAY, STREAMS], now=NOW + 90) == (Standing(90, 0, 90), Standing())
    assert await ledger.settle("acme", "late", [(day, 7)], now=NOW + 91) == Settled((Standing(67, 0, 60),))
    much_later = NOW + 90 + REMEMBERED_S
    assert await ledger.settle("acme", "lost", [(day, 7)], now=much_later) is None
    assert await ledger.read("acme", [DAY], now=much_later) == (Standing(67, 0, 60),)


async def test_it_never_lets_go_of_the_loop(ledger):
    coroutine = hold(ledger, "r", Line(DAY, 100, 30))
    with pytest.raises(StopIteration):
        coroutine.send(None)


async def test_what_is_gone_is_unavailable(ledger, records):
    ledger.gone = records.gone = True
    for wait in (
        hold(ledger, "r", Line(DAY, 100, 30)),
        ledger.settle("acme", "r", [], now=NOW),
        ledger.take("acme", [], now=NOW),
        ledger.renew("acme", [], now=NOW, expires_at=NOW),
        ledger.read("acme", [], now=NOW),
        ledger.reset("acme", [], now=NOW),
        ledger.held("acme", now=NOW),
        records.put("keys", {"a": b"1"}),
        records.delete("keys", "a"),
        records.read("keys"),
    ):
        with pytest.raises(StoreUnavailable):
            await wait
    ledger.gone = records.gone = False
    assert await ledger.held("acme", now=NOW) == 0
    assert await records.read("keys") == (0, {})
    await asyncio.gather(ledger.close(), records.close())


async def test_records_have_a_version(records):
    await records.put("keys", {"a": b"1"})
    first, table = await records.read("keys")
    assert table == {"a": b"1"}
    assert await records.read("keys", first) == (first, None)
    assert await records.delete("keys", "a")
    assert await records.read("keys", first) == (first + 1, {})


async def test_versions_of_two_do_not_meet(records):
    other = MemoryRecords()
    for each in (records, other):
        await each.put("keys", {"a": b"1"})
    assert (await records.read("keys"))[0] != (await other.read("keys"))[0]
