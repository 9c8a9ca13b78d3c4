"""What SQLite adds to the ledger: its file, what it outlives, and what it sweeps away."""

import asyncio
import math
import sqlite3
import stat

import pytest

from penstock.errors import StartError, StoreUnavailable
from penstock.stores.ledger import REMEMBERED_S, Account, Denial, Grant, Line, Settled, Standing
from penstock.stores.sqlite_ledger import SqliteLedger

NOW = 1_800_000_000.0
DAY = Account("day", math.inf)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "penstock-ledger.db"


@pytest.fixture
async def ledger(path):
    ledger = await SqliteLedger.open(path, timeout_s=10)
    yield ledger
    await ledger.close()


def hold(ledger, reservation="r", fixed=30, now=NOW, account=DAY, limit=100):
    return ledger.reserve(
        *("acme", reservation, [Line(account, limit, fixed)]), tokens=0, least=0, now=now, expires_at=now + 60
    )


def count(path, table):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
    finally:
        connection.close()


async def test_the_file_is_for_its_owner_only(ledger, path):
    await hold(ledger)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_what_was_held_and_charged_outlives_the_process(path):
    first = await SqliteLedger.open(path, timeout_s=10)
    await hold(first, "a")
    await first.take("acme", [(Line(DAY, 100, 0), 7)], now=NOW)
    await first.close()
    second = await SqliteLedger.open(path, timeout_s=10)
    assert await second.read("acme", [DAY], now=NOW) == (Standing(7, 30),)
    assert await second.settle("acme", "a", [(Line(DAY, 100, 0), 5)], now=NOW) == Settled((Standing(12),))
    await second.close()


async def test_two_on_one_file_are_one_ledger(ledger, path):
    other = await SqliteLedger.open(path, timeout_s=10)
    grants = await asyncio.gather(*(hold((ledger, other)[n % 2], str(n), fixed=9) for n in range(40)))
    assert sum(isinstance(grant, Grant) for grant in grants) == 11
    assert sum(isinstance(grant, Denial) for grant in grants) == 29
    assert await other.read("acme", [DAY], now=NOW) == (Standing(0, 99),)
    await other.close()


async def test_a_denial_among_others_in_one_commit_fails_none_of_them(ledger):
    first, denied, last = await asyncio.gather(
        hold(ledger, "a", 60), hold(ledger, "b", 60), hold(ledger, "c", 40)
    )
    assert (first, denied, last) == (
        Grant(0, (Standing(0, 60),)),
        Denial((0,), (Standing(0, 60),)),
        Grant(0, (Standing(0, 100),)),
    )


async def test_settled_reservations_leave_nothing(ledger, path):
    for n in range(5):
        await hold(ledger, str(n))
        await ledger.settle("acme", str(n), [(Line(DAY, 100, 0), 1)], now=NOW)
    assert [count(path, table) for table in ("accounts", "reservations", "holds")] == [1, 0, 0]


async def test_an_account_is_forgotten_after_its_window_but_not_while_something_is_held(ledger, path):
    for n in range(20):
        await hold(ledger, str(n), account=Account(f"minute:{n}", NOW + 60), now=NOW)
    for n in range(1, 20):
        await ledger.settle("acme", str(n), [(Line(Account(f"minute:{n}", NOW + 60), 100, 0), 1)], now=NOW)
    await ledger.renew("acme", ["0"], now=NOW, expires_at=NOW + 10_000)
    assert count(path, "accounts") == 20
    await ledger.held("acme", now=NOW + 119)
    assert count(path, "accounts") == 20
    await ledger.held("another tenant", now=NOW + 120)
    assert count(path, "accounts") == 1
    assert await ledger.read("acme", [Account("minute:0", NOW + 60)], now=NOW + 121) == (Standing(0, 30),)


async def test_a_charge_by_expiry_is_remembered_with_its_account_for_a_day(ledger, path):
    await hold(ledger, account=Account("minute", NOW + 60))
    late = NOW + 60 + REMEMBERED_S - 1
    line = Line(Account("minute", NOW + 60), 100, 0)
    await ledger.take("acme", [(line, 7)], now=NOW + 60)
    await ledger.held("acme", now=late)
    assert await ledger.settle("acme", "r", [(line, 4)], now=late) == Settled((Standing(11),))
    await hold(ledger, "s", account=Account("minute", NOW + 60), now=late)
    await ledger.held("acme", now=late + 60)
    assert [count(path, table) for table in ("reservations", "holds")] == [1, 1]
    await ledger.held("acme", now=late + 120 + REMEMBERED_S)
    assert [count(path, table) for table in ("accounts", "reservations", "holds")] == [0, 0, 0]


async def test_a_writer_of_another_process_is_waited_for_and_no_longer_than_said(path):
    ledger = await SqliteLedger.open(path, timeout_s=0.1)
    await hold(ledger, "a")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for wait in (
        hold(ledger),
        ledger.settle("acme", "a", [], now=NOW),
        ledger.take("acme", [], now=NOW),
        ledger.renew("acme", [], now=NOW, expires_at=NOW),
        ledger.read("acme", [], now=NOW),
        ledger.reset("acme", [], now=NOW),
        ledger.held("acme", now=NOW),
    ):
        with pytest.raises(StoreUnavailable):
            await wait
    other.execute("COMMIT")
    other.close()
    assert await eventually(lambda: ledger.read("acme", [DAY], now=NOW)) == (Standing(0, 30),)
    await ledger.close()


async def eventually(attempt):
    for _ in range(100):
        try:
            return await attempt()
        except StoreUnavailable:
            await asyncio.sleep(0.01)
    return await attempt()


async def test_a_file_that_is_not_a_ledger_is_refused(path):
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE secret_table (n INTEGER)")
    connection.close()
    with pytest.raises(StartError, match="not Penstock's") as refused:
        await SqliteLedger.open(path)
    assert "secret" not in str(refused.value)


async def test_a_closed_ledger_says_so(path):
    ledger = await SqliteLedger.open(path, timeout_s=10)
    await ledger.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await ledger.held("acme", now=NOW)


async def test_what_nobody_waits_for_any_more_is_not_held(ledger):
    task = asyncio.create_task(hold(ledger))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await ledger.held("acme", now=NOW) == 0
