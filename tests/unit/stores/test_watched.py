"""A watched table follows the store, keeps what it read last, and says once that something is wrong."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from penstock import testing
from penstock.errors import StoreUnavailable
from penstock.stores import watched as module
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryRecords
from penstock.stores.watched import Watched, opened

RING = Keyring(bytes(32))


class Records(MemoryRecords):
    """Records that can be silent, and that count how often they are asked, and read whole."""

    def __init__(self) -> None:
        super().__init__()
        self.silent = False
        self.looks = self.whole = 0

    async def read(self, table: str, unless: int = 0) -> tuple[int, Mapping[str, bytes] | None]:
        self.looks += 1
        if self.silent:
            await asyncio.sleep(3600)
        version, found = await super().read(table, unless)
        self.whole += found is not None
        return version, found


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.001)
    monkeypatch.setattr(module, "_FIRST_S", 0.05)


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def clock() -> testing.FrozenClock:
    return testing.FrozenClock()


def lengths(table: Mapping[str, bytes]) -> dict[str, int]:
    return {key: len(value) for key, value in table.items()}


@pytest.fixture
async def watched(records: Records, clock: testing.FrozenClock) -> AsyncIterator[Watched[dict[str, int]]]:
    made: Watched[dict[str, int]] = Watched(records, "t", lengths, {}, "lengths", clock=clock)
    yield made
    await made.stop()


async def until(come_true: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not come_true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


async def test_a_look_gives_what_is_there(watched: Watched[dict[str, int]], records: Records) -> None:
    assert watched.now == {}
    await records.put("t", {"a": b"xy"})
    assert await watched.look() == watched.now == {"a": 2}
    await records.delete("t", "a")
    assert await watched.look() == {}


async def test_what_has_not_changed_is_not_read_again(
    watched: Watched[dict[str, int]], records: Records
) -> None:
    await records.put("t", {"a": b"xy"})
    first = await watched.look()
    assert await watched.look() is first
    watched.begin()
    await until(lambda: records.looks > 10)
    assert records.whole == 1


async def test_it_follows_by_itself(watched: Watched[dict[str, int]], records: Records) -> None:
    await watched.start()
    await records.put("t", {"a": b"xyz"})
    await until(lambda: watched.now == {"a": 3})


async def test_beginning_twice_is_one_follower(watched: Watched[dict[str, int]]) -> None:
    watched.begin()
    await watched.start()
    assert [task.get_name() for task in asyncio.all_tasks()].count("lengths") == 1


async def test_after_a_stop_it_looks_no_more(watched: Watched[dict[str, int]], records: Records) -> None:
    await watched.start()
    await watched.stop()
    looks = records.looks
    await asyncio.sleep(0.01)
    assert records.looks == looks


async def test_one_that_was_never_started_stops(records: Records) -> None:
    await Watched(records, "t", lengths, {}, "lengths").stop()


async def test_a_store_that_is_gone_changes_nothing_and_is_told_once(
    watched: Watched[dict[str, int]],
    records: Records,
    clock: testing.FrozenClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "penstock.stores")
    await records.put("t", {"a": b"xy"})
    await watched.start()
    records.gone, looks = True, records.looks
    clock.advance(7)
    await until(lambda: records.looks > looks + 5)
    assert (watched.now, watched.stale_s) == ({"a": 2}, 7)
    with pytest.raises(StoreUnavailable):
        await watched.look()
    records.gone = False
    await until(lambda: watched.stale_s == 0)
    await until(lambda: len(caplog.records) == 2)
    assert [each.getMessage() for each in caplog.records] == [
        "the store of lengths does not answer",
        "the store of lengths answers again",
    ]


async def test_it_starts_without_a_store(watched: Watched[dict[str, int]], records: Records) -> None:
    records.gone = True
    await watched.start()
    assert (watched.now, watched.stale_s) == ({}, math.inf)
    records.gone = False
    await records.put("t", {"a": b"xy"})
    await until(lambda: watched.now)


async def test_a_silent_store_is_not_waited_for_and_asked_again(
    watched: Watched[dict[str, int]], records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ANSWER_S", 0.01)
    records.silent = True
    await watched.start()
    with pytest.raises(StoreUnavailable, match=r"0\.01 s"):
        await watched.look()
    records.silent = False
    await until(lambda: watched.stale_s == 0)


async def test_a_table_that_cant_be_read_keeps_the_old_one_and_is_read_again(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    def picky(table: Mapping[str, bytes]) -> dict[str, int]:
        if "bad" in table:
            raise KeyError("secret value")
        return lengths(table)

    watched: Watched[dict[str, int]] = Watched(records, "t", picky, {}, "lengths")
    await records.put("t", {"a": b"xy"})
    await watched.start()
    await records.put("t", {"bad": b""})
    await until(lambda: "the lengths can't be read: KeyError" in caplog.text)
    assert "secret" not in caplog.text
    assert watched.now == {"a": 2}
    await records.delete("t", "bad")
    await records.put("t", {"b": b"x"})
    await until(lambda: watched.now == {"a": 2, "b": 1})
    await watched.stop()


async def test_an_older_answer_never_comes_after_a_newer_one(records: Records) -> None:
    slow = asyncio.Event()
    plain, first = records.read, True

    async def read(table: str, unless: int = 0) -> tuple[int, Mapping[str, bytes] | None]:
        nonlocal first
        found = await plain(table, unless)
        if first:
            first = False
            await slow.wait()  # its answer is late
        return found

    records.read = read  # type: ignore[method-assign]
    watched: Watched[dict[str, int]] = Watched(records, "t", lengths, {}, "lengths")
    late = asyncio.create_task(watched.look())
    await asyncio.sleep(0)
    await records.put("t", {"a": b"xy"})
    soon = asyncio.create_task(watched.look())
    await asyncio.sleep(0)
    slow.set()
    assert (await late, await soon, watched.now) == ({}, {"a": 2}, {"a": 2})


async def test_what_is_to_be_done_at_each_look(records: Records) -> None:
    done = 0

    async def then() -> None:
        nonlocal done
        done += 1
        if done == 2:
            raise StoreUnavailable("gone")

    watched: Watched[dict[str, int]] = Watched(records, "t", lengths, {}, "lengths", then=then)
    await watched.start()
    await until(lambda: done > 3)
    records.gone = True
    await until(lambda: watched._trouble is not None)
    seen = done
    await asyncio.sleep(0.01)
    assert done == seen, "only where the store answered"
    await watched.stop()


def test_what_was_sealed_for_its_key_is_opened(caplog: pytest.LogCaptureFixture) -> None:
    good = RING.seal("p", b"7", b"acme/x")
    table = {
        "acme/x": good,
        "globex/moved": good,
        "other/ring": Keyring(b"x" * 32).seal("p", b"7", b"other/ring"),
        "words/no-number": RING.seal("p", b"seven", b"words/no-number"),
        "empty/": b"",
    }
    assert opened(table, RING, "p", int, "a number") == {"acme/x": 7}
    told = [each.getMessage() for each in caplog.records]
    names = ("globex", "other", "words", "empty")
    assert told == [
        f"a number of {name} was not written by this keyring and does not count" for name in names
    ]
