"""The near store over a dict that can be slow, fail and be looked into."""

import asyncio

import pytest

from penstock.errors import StoreUnavailable
from penstock.stores import near as near_module
from penstock.stores.near import NearStore
from penstock.stores.protocol import Entry
from penstock.testing import FrozenClock, MemoryStore

ROOMY = 1_000_000


class Backend(MemoryStore):
    """A dict; `gate` holds its answers back, `puts` and `gets` are what was asked of it."""

    def __init__(self, clock):
        super().__init__(clock)
        self.gate = asyncio.Event()
        self.gate.set()
        self.puts: list[list[str]] = []
        self.gets: list[str] = []
        self.wrong: Exception | None = None
        self.closed = False

    async def get(self, space, key):
        self.gets.append(key)
        found = await super().get(space, key)
        await self.gate.wait()
        return found

    async def put(self, entries, *, limit_bytes):
        self.puts.append([entry.key for entry in entries])
        await self.gate.wait()
        if self.wrong is not None:
            raise self.wrong
        await super().put(entries, limit_bytes=limit_bytes)

    async def close(self):
        self.closed = True


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def backend(clock):
    return Backend(clock)


@pytest.fixture
async def store(backend, clock):
    store = NearStore(backend, clock, flush_s=0.001, near_ttl_s=60)
    yield store
    backend.gate.set()
    await store.close()


def entry(clock, key="k", value=b"v", space="s", lives_s=3600.0):
    return Entry(space, key, value, clock.now() + lives_s)


def at_once(coroutine):
    """Run a coroutine that must not wait for anything."""
    with pytest.raises(StopIteration) as end:
        coroutine.send(None)
    return end.value.value


async def until(true):
    for _ in range(5000):
        if true():
            return
        await asyncio.sleep(0.001)
    pytest.fail("it never became so")


async def test_what_was_put_is_there_at_once_though_the_backend_is_gone(store, backend, clock):
    backend.gone = True
    at_once(store.put([entry(clock)], limit_bytes=ROOMY))
    assert at_once(store.get("s", "k")) == entry(clock)
    assert backend.gets == []
    backend.gone = False


async def test_what_was_read_once_is_near(store, backend, clock):
    await backend.put([entry(clock)], limit_bytes=ROOMY)
    assert await store.get("s", "k") == entry(clock)
    assert at_once(store.get("s", "k")) == entry(clock)
    assert backend.gets == ["k"]


async def test_what_is_not_there_is_asked_for_again(store, backend, clock):
    assert await store.get("s", "k") is None
    await backend.put([entry(clock)], limit_bytes=ROOMY)
    assert await store.get("s", "k") == entry(clock)


async def test_nothing_is_near_longer_than_its_time_there(store, backend, clock):
    await store.put([entry(clock)], limit_bytes=ROOMY)
    await until(lambda: backend.entries)
    await backend.delete("s", ["k"])  # by another process
    clock.advance(59)
    assert await store.get("s", "k") is not None
    clock.advance(1)
    assert await store.get("s", "k") is None


async def test_a_get_that_can_not_be_answered_is_unavailable(store, backend):
    backend.gone = True
    for wait in (store.get("s", "k"), store.ping(), store.size_bytes("s")):
        with pytest.raises(StoreUnavailable):
            await wait
    backend.gone = False
    await store.ping()
    assert await store.get("s", "k") is None


async def test_the_least_recently_used_leaves_first(backend, clock):
    store = NearStore(backend, clock, limit_bytes=3 * (512 + 100), flush_s=0.001)
    for key in "abc":
        await store.put([entry(clock, key, b"x" * 100)], limit_bytes=ROOMY)
    await until(lambda: len(backend.entries) == 3)
    await store.get("s", "a")
    await store.put([entry(clock, "d", b"x" * 100)], limit_bytes=ROOMY)
    await until(lambda: len(backend.entries) == 4)
    for key in "acd":
        at_once(store.get("s", key))
    assert backend.gets == []
    assert await store.get("s", "b") is not None
    assert backend.gets == ["b"]
    assert store.dropped == 0
    await store.close()


async def test_an_entry_bigger_than_all_that_is_near_goes_to_nobody(backend, clock):
    store = NearStore(backend, clock, limit_bytes=1000, flush_s=0.001)
    await store.put([entry(clock, "small")], limit_bytes=ROOMY)
    await until(lambda: backend.entries)
    await store.put([entry(clock, "huge", b"x" * 2000)], limit_bytes=ROOMY)
    assert await store.get("s", "huge") is None
    assert store.dropped == 1
    await store.close()


async def test_puts_go_to_the_backend_together_and_newest_last(store, backend, clock):
    for key in "abca":
        await store.put([entry(clock, key)], limit_bytes=ROOMY)
    await until(lambda: backend.entries)
    assert backend.puts == [["b", "c", "a"]]


async def test_each_limit_goes_with_its_own_entries(store, backend, clock):
    limits = []
    put = backend.put

    async def watched(entries, *, limit_bytes):
        limits.append(([e.key for e in entries], limit_bytes))
        await put(entries, limit_bytes=limit_bytes)

    backend.put = watched
    await store.put([entry(clock, "a"), entry(clock, "b")], limit_bytes=10)
    await store.put([entry(clock, "c")], limit_bytes=20)
    await until(lambda: len(backend.entries) == 3)
    assert limits == [(["a", "b"], 10), (["c"], 20)]


async def test_many_do_not_wait_for_the_time(backend, clock):
    store = NearStore(backend, clock, flush_s=1000)
    await store.put([entry(clock, str(n)) for n in range(255)], limit_bytes=ROOMY)
    await asyncio.sleep(0.01)
    assert backend.puts == []
    await store.put([entry(clock, "last")], limit_bytes=ROOMY)
    await until(lambda: len(backend.entries) == 256)
    assert len(backend.puts) == 1
    await store.close()


async def test_a_failed_batch_is_tried_again_and_loses_nothing(store, backend, clock):
    backend.gone = True
    await store.put([entry(clock, "a"), entry(clock, "b", b"old")], limit_bytes=ROOMY)
    await until(lambda: len(backend.puts) >= 2)
    await store.put([entry(clock, "b", b"new"), entry(clock, "c")], limit_bytes=ROOMY)
    backend.gone = False
    await until(lambda: len(backend.entries) == 3)
    assert backend.puts[-1] == ["a", "b", "c"]
    assert backend.entries["s", "b"].value == b"new"
    assert store.dropped == 0


async def test_what_is_written_is_not_taken_for_what_replaced_it(store, backend, clock):
    backend.gate.clear()
    await store.put([entry(clock, value=b"old")], limit_bytes=ROOMY)
    await until(lambda: backend.puts)
    await store.put([entry(clock, value=b"new")], limit_bytes=ROOMY)
    backend.gone = True  # the first write fails after its entry was replaced
    backend.gate.set()
    await until(lambda: len(backend.puts) >= 2)
    backend.gone = False
    await until(lambda: backend.entries)
    assert backend.entries["s", "k"].value == (await store.get("s", "k")).value == b"new"
    assert store._pending_bytes == 0


async def test_what_failed_stays_older_than_what_came_meanwhile(store, backend, clock):
    backend.gate.clear()
    backend.wrong = StoreUnavailable("gone")
    await store.put([entry(clock, "a"), entry(clock, "b")], limit_bytes=ROOMY)
    await until(lambda: backend.puts)
    await store.put([entry(clock, "c")], limit_bytes=ROOMY)
    backend.gate.set()
    await until(lambda: len(backend.puts) >= 2)
    backend.wrong = None
    assert backend.puts[1] == ["a", "b", "c"]
    await until(lambda: len(backend.entries) == 3)


@pytest.mark.parametrize("wrong", [StoreUnavailable("gone"), RuntimeError("a mistake of ours")])
async def test_what_fails_again_and_again_is_dropped_and_counted(store, backend, clock, monkeypatch, wrong):
    monkeypatch.setattr(near_module, "_LONGEST_WAIT_S", 0.001)
    backend.wrong = wrong
    await store.put([entry(clock, "a"), entry(clock, "b")], limit_bytes=ROOMY)
    await until(lambda: store.dropped == 2)
    assert len(backend.puts) == 12
    backend.wrong = None
    await store.put([entry(clock, "c")], limit_bytes=ROOMY)
    await until(lambda: backend.entries)
    assert list(backend.entries) == [("s", "c")]


async def test_what_waits_is_bounded_and_the_oldest_are_dropped(backend, clock):
    store = NearStore(backend, clock, limit_bytes=10 * 612, flush_s=0.001)
    backend.gone = True
    for n in range(25):
        await store.put([entry(clock, str(n), b"x" * 100)], limit_bytes=ROOMY)
    assert store.dropped == 15
    backend.gone = False
    await until(lambda: len(backend.entries) == 10)
    assert [key for _, key in backend.entries] == [str(n) for n in range(15, 25)]
    await store.close()


async def test_what_waits_is_found_though_it_left_the_near(backend, clock):
    store = NearStore(backend, clock, flush_s=1000, near_ttl_s=1)
    await store.put([entry(clock, value=b"new"), entry(clock, "big", b"x" * 10)], limit_bytes=5)
    clock.advance(2)
    assert at_once(store.get("s", "k")).value == b"new"
    assert at_once(store.get("s", "big")) is None
    await store.close()


async def test_delete_takes_back_what_was_not_written_yet(backend, clock):
    store = NearStore(backend, clock, flush_s=1000)
    await store.put([entry(clock, "a"), entry(clock, "b")], limit_bytes=ROOMY)
    assert await store.delete("s", ["a"]) == 1
    assert await store.get("s", "a") is None
    await store.close()
    assert list(backend.entries) == [("s", "b")]


async def test_delete_counts_each_entry_once(backend, clock):
    store = NearStore(backend, clock, flush_s=1000)
    await backend.put([entry(clock, key) for key in "abc"], limit_bytes=ROOMY)
    await store.put([entry(clock, key) for key in "cde"], limit_bytes=ROOMY)
    assert await store.delete("s", ["a", "c", "d", "z"]) == 3
    assert await store.delete("s") == 2
    assert backend.entries == {}
    await store.close()


async def test_delete_during_a_write_has_the_last_word(store, backend, clock):
    backend.gate.clear()
    await store.put([entry(clock, "a"), entry(clock, "b")], limit_bytes=ROOMY)
    await until(lambda: backend.puts)
    deletion = asyncio.create_task(store.delete("s", ["a"]))
    await asyncio.sleep(0)
    backend.gate.set()
    assert await deletion == 1
    assert list(backend.entries) == [("s", "b")]
    assert await store.get("s", "a") is None


async def test_what_was_deleted_during_a_write_that_failed_is_not_tried_again(store, backend, clock):
    backend.gate.clear()
    backend.wrong = StoreUnavailable("gone")
    await store.put([entry(clock, "a"), entry(clock, "b")], limit_bytes=ROOMY)
    await until(lambda: backend.puts)
    deletion = asyncio.create_task(store.delete("s"))
    await asyncio.sleep(0)
    backend.gate.set()
    await deletion
    backend.wrong = None
    await store.put([entry(clock, "c")], limit_bytes=ROOMY)
    await until(lambda: backend.entries)
    assert list(backend.entries) == [("s", "c")]


async def test_what_is_put_during_a_delete_stays(store, backend, clock):
    backend.gate.clear()
    await store.put([entry(clock, value=b"old")], limit_bytes=ROOMY)
    await until(lambda: backend.puts)
    deletion = asyncio.create_task(store.delete("s"))
    await asyncio.sleep(0)
    await store.put([entry(clock, value=b"new")], limit_bytes=ROOMY)
    backend.gate.set()
    await deletion
    await until(lambda: backend.entries)
    assert backend.entries["s", "k"].value == (await store.get("s", "k")).value == b"new"


@pytest.mark.parametrize("keys", [None, ["k"]])
async def test_a_read_under_way_does_not_bring_back_what_was_deleted(store, backend, clock, keys):
    await backend.put([entry(clock)], limit_bytes=ROOMY)
    backend.gate.clear()
    read = asyncio.create_task(store.get("s", "k"))
    await until(lambda: backend.gets)
    await store.delete("s", keys)
    backend.gate.set()
    assert await read == entry(clock)  # it asked before the deletion
    assert await store.get("s", "k") is None


async def test_a_read_while_a_delete_waits_does_not_bring_back_what_goes(store, backend, clock):
    await backend.put([entry(clock)], limit_bytes=ROOMY)
    backend.gate.clear()
    await store.put([entry(clock, "other")], limit_bytes=ROOMY)
    await until(lambda: len(backend.puts) == 2)
    deletion = asyncio.create_task(store.delete("s", ["k"]))  # waits for the write under way
    await asyncio.sleep(0)
    read = asyncio.create_task(store.get("s", "k"))
    await until(lambda: backend.gets)
    backend.gate.set()
    await asyncio.gather(read, deletion)
    assert await store.get("s", "k") is None


async def test_a_read_under_way_does_not_bring_back_what_was_replaced(store, backend, clock):
    await backend.put([entry(clock, value=b"old")], limit_bytes=ROOMY)
    backend.gate.clear()
    read = asyncio.create_task(store.get("s", "k"))
    await until(lambda: backend.gets)
    await store.put([entry(clock, value=b"new")], limit_bytes=ROOMY)
    backend.gate.set()
    await read
    assert (await store.get("s", "k")).value == b"new"


async def test_a_delete_that_fails_says_so_and_is_done_here(store, backend, clock):
    await store.put([entry(clock)], limit_bytes=ROOMY)
    backend.gone = True
    with pytest.raises(StoreUnavailable):
        await store.delete("s")
    with pytest.raises(StoreUnavailable):  # that is: it is not near any more
        await store.get("s", "k")
    backend.gone = False


async def test_size_counts_what_waits(backend, clock):
    store = NearStore(backend, clock, flush_s=1000)
    await store.put([entry(clock, str(n), b"xx") for n in range(600)], limit_bytes=ROOMY)
    assert await store.size_bytes("s") == 1200
    await store.close()


async def test_close_writes_what_waits(backend, clock):
    store = NearStore(backend, clock, flush_s=1000)
    await store.put([entry(clock, str(n)) for n in range(600)], limit_bytes=ROOMY)
    await store.close()
    assert len(backend.entries) == 600
    assert backend.closed
    assert store.dropped == 0
    await store.put([entry(clock)], limit_bytes=ROOMY)
    assert store.dropped == 1


async def test_close_does_not_cut_off_a_write(backend, clock):
    store = NearStore(backend, clock, flush_s=0.001)
    backend.gate.clear()
    await store.put([entry(clock)], limit_bytes=ROOMY)
    await until(lambda: backend.puts)
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    assert not closing.done()
    backend.gate.set()
    await closing
    assert list(backend.entries) == [("s", "k")]


async def test_close_without_a_backend_counts_what_is_lost(backend, clock):
    store = NearStore(backend, clock, flush_s=1000)
    backend.gone = True
    await store.put([entry(clock, "a"), entry(clock, "b")], limit_bytes=ROOMY)
    await store.close()
    assert store.dropped == 2
    assert backend.closed
