"""The table of keys follows the store, finds by value, and says how old its knowledge is."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from penstock import testing
from penstock.errors import StoreUnavailable
from penstock.stores import watched
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryRecords
from penstock.tenants import table as tables
from penstock.tenants.book import KeyBook
from penstock.tenants.key import KEYS, USES, open_uses
from penstock.tenants.table import KeyTable

RING = Keyring(bytes(32))


class Records(MemoryRecords):
    """Records that count how often they are read whole, and that can be gone, broken or silent."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble: Exception | None = None
        self.silent = False
        self.looks = self.whole = 0
        self.puts: list[tuple[str, Mapping[str, bytes]]] = []

    async def put(self, table: str, records: Mapping[str, bytes]) -> None:
        if self.trouble:
            raise self.trouble
        self.puts.append((table, records))
        await super().put(table, records)

    async def read(self, table: str, unless: int = 0) -> tuple[int, Mapping[str, bytes] | None]:
        self.looks += 1
        if self.silent:
            await asyncio.sleep(3600)
        if self.trouble:
            raise self.trouble
        version, found = await super().read(table, unless)
        self.whole += bool(found)
        return version, found


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "LOOK_S", 0.001)
    monkeypatch.setattr(watched, "_FIRST_S", 0.05)


@pytest.fixture
def clock() -> testing.FrozenClock:
    return testing.FrozenClock()


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def book(records: Records, clock: testing.FrozenClock) -> KeyBook:
    return KeyBook(records, RING, clock)


@pytest.fixture
async def table(records: Records, clock: testing.FrozenClock) -> AsyncIterator[KeyTable]:
    made = KeyTable(records, RING, clock)
    yield made
    await made.stop()


async def until(come_true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not come_true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


async def test_a_key_is_found_by_its_value_and_by_no_other(table: KeyTable, book: KeyBook) -> None:
    made, other = await book.create("acme"), await book.create("acme")
    await table.look()
    assert table.find(made.value) == made.key
    assert table.find(other.value) == other.key
    for wrong in ("", made.value[:-1], made.value + "x", made.key.id, made.key.mac.hex(), "ż\ud800\x00"):
        assert table.find(wrong) is None


async def test_a_long_value_is_no_key_though_it_begins_like_one(table: KeyTable, book: KeyBook) -> None:
    made = await book.create("acme")
    await table.look()
    assert table.find(made.value + " " * 10_000_000) is None


async def test_every_value_costs_one_mac_of_at_most_512_bytes(
    table: KeyTable, book: KeyBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await book.create("acme")
    await table.look()
    hashed: list[bytes] = []
    mac_of = tables.mac_of
    monkeypatch.setattr(tables, "mac_of", lambda ring, key: hashed.append(key) or mac_of(ring, key))
    for value in ("", made.value, "x" * 5000):
        table.find(value)
    assert [len(value) for value in hashed] == [0, 70, 512]


async def test_a_mac_in_the_store_is_no_key(table: KeyTable, book: KeyBook) -> None:
    made = await book.create("acme")
    await table.look()
    assert table.find(made.key.mac.decode("latin-1")) is None


async def test_before_the_first_look_nothing_is_known(table: KeyTable) -> None:
    assert table.stale_s == math.inf
    assert table.find("x") is None


async def test_it_follows_what_is_made_and_revoked(table: KeyTable, book: KeyBook) -> None:
    table.begin()
    await table.looked()
    made = await book.create("acme")
    await until(lambda: table.find(made.value))
    await book.revoke(made.key)
    await until(lambda: (found := table.find(made.value)) and found.revoked_at)


async def test_an_unchanged_table_is_not_read_again(table: KeyTable, book: KeyBook, records: Records) -> None:
    await book.create("acme")
    table.begin()
    await until(lambda: records.looks > 10)
    assert records.whole == 1


async def test_begin_twice_is_one_follower(table: KeyTable) -> None:
    table.begin()
    table.begin()
    await table.looked()
    assert [task.get_name() for task in asyncio.all_tasks()].count("client keys") == 1


async def test_age_counts_from_when_the_store_was_asked(
    table: KeyTable, clock: testing.FrozenClock, records: Records
) -> None:
    await table.look()
    assert table.stale_s == 0
    clock.advance(3)
    assert table.stale_s == 3

    async def slow(*_: object, **__: object) -> tuple[int, None]:
        clock.advance(2)  # the store may have changed while its answer was on the way
        return 0, None

    records.read = slow  # type: ignore[method-assign,assignment]
    await table.look()
    assert table.stale_s == 2


@pytest.mark.parametrize("trouble", [StoreUnavailable("gone"), ValueError("a bug")])
async def test_trouble_makes_it_old_and_it_comes_back_by_itself(
    table: KeyTable,
    book: KeyBook,
    records: Records,
    clock: testing.FrozenClock,
    caplog: pytest.LogCaptureFixture,
    trouble: Exception,
) -> None:
    caplog.set_level(logging.INFO, "penstock.stores")
    made = await book.create("acme")
    table.begin()
    await table.looked()
    records.trouble, looks = trouble, records.looks
    await until(lambda: records.looks > looks + 5)
    clock.advance(60)
    assert table.stale_s == 60
    assert table.find(made.value), "what to do with old knowledge is for others to say"
    records.trouble = None
    await until(lambda: table.stale_s == 0)
    await until(lambda: len(caplog.records) == 2)
    assert [each.levelname for each in caplog.records] == ["ERROR", "INFO"], (
        "once each, however often it looked"
    )


async def test_a_store_that_is_not_there_yet_is_no_reason_to_wait(table: KeyTable, records: Records) -> None:
    records.silent = True
    table.begin()
    await table.looked()
    assert table.stale_s == math.inf


async def test_a_store_that_never_answers_is_given_up_and_asked_again(
    table: KeyTable, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "_ANSWER_S", 0.01)
    records.silent = True
    table.begin()
    await until(lambda: records.looks > 2)
    records.silent = False
    await until(lambda: table.stale_s == 0)


async def test_records_of_another_keyring_are_told_and_are_no_keys(
    table: KeyTable, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    made = await KeyBook(records, Keyring(b"x" * 32)).create("acme")
    await table.look()
    assert table.find(made.value) is None
    assert "1 records of keys are not sealed by this keyring" in caplog.text


async def test_a_table_that_was_lost_knows_no_keys(table: KeyTable, book: KeyBook, records: Records) -> None:
    made = await book.create("acme")
    await table.look()
    await records.delete(KEYS, made.key.id)
    await table.look()
    assert table.find(made.value) is None


async def used_at(records: Records) -> dict[str, float]:
    _, uses = await records.read(USES)
    return open_uses(RING, uses or {})


async def test_last_uses_are_written_behind_and_only_when_they_moved_by_a_minute(
    table: KeyTable, book: KeyBook, records: Records, clock: testing.FrozenClock
) -> None:
    key = (await book.create("acme")).key
    table.begin()
    await table.looked()
    began = clock.now()

    async def seconds(number: float) -> None:
        clock.advance(number)
        table.used(key, clock.now())
        clock.advance(5)
        looks = records.looks
        await until(lambda: records.looks > looks + 2)

    table.used(key, began)
    assert await used_at(records) == {}, "never on a request's way"
    await seconds(0)
    assert await used_at(records) == {key.id: began}
    await seconds(50)
    assert await used_at(records) == {key.id: began}
    await seconds(50)
    assert await used_at(records) == {key.id: began + 110}
    assert [table for table, _ in records.puts] == [KEYS, USES, USES]


async def test_a_last_use_that_could_not_be_written_is_written_later(
    table: KeyTable, book: KeyBook, records: Records, clock: testing.FrozenClock
) -> None:
    key = (await book.create("acme")).key
    table.begin()
    await table.looked()
    table.used(key, clock.now())
    records.trouble = StoreUnavailable("gone")
    clock.advance(5)
    looks = records.looks
    await until(lambda: records.looks > looks + 2)
    records.trouble = None
    clock.advance(5)
    looks = records.looks
    await until(lambda: records.looks > looks + 2)
    assert await used_at(records) == {key.id: clock.now() - 10}


async def test_stopping_writes_what_waits(
    book: KeyBook, records: Records, clock: testing.FrozenClock
) -> None:
    table = KeyTable(records, RING, clock)
    key = (await book.create("acme")).key
    table.begin()
    await table.looked()
    table.used(key, clock.now())
    await table.stop()
    assert await used_at(records) == {key.id: clock.now()}
    looks = records.looks
    await asyncio.sleep(0.01)
    assert records.looks == looks


async def test_stopping_without_a_store_or_a_beginning_is_quiet(
    records: Records, clock: testing.FrozenClock, book: KeyBook
) -> None:
    await KeyTable(records, RING, clock).stop()
    table = KeyTable(records, RING, clock)
    table.begin()
    await table.looked()
    table.used((await book.create("acme")).key, clock.now())
    records.trouble = StoreUnavailable("gone")
    await table.stop()
