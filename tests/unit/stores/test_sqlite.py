"""What SQLite adds to the contract: its file, its threads, and a disk that fails."""

import asyncio
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from penstock.errors import StartError, StoreUnavailable
from penstock.stores.protocol import Entry
from penstock.stores.sqlite import SqliteStore
from penstock.testing import FrozenClock

ROOMY = 1_000_000
SECRET_KEY, SECRET_VALUE = "sk-secret-key", b"secret-value"


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "state" / "store.db"


def entry(clock, key="k", value=b"v", space="s", lives_s=60.0):
    return Entry(space, key, value, clock.now() + lives_s)


def rows(path, sql):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


@pytest.fixture
def watched(monkeypatch):
    """Real connections that tell where they were made and what they run; and a disk that can hang."""
    connect = sqlite3.connect

    class Watched:
        threads: list[threading.Thread]
        statements: list[str]
        runs: threading.Event

        def connect(self, *arguments, **options):
            self.threads.append(threading.current_thread())
            connection = connect(*arguments, **options)
            connection.set_trace_callback(self.statements.append)
            connection.set_progress_handler(self.progress, 1)
            return connection

        def progress(self):
            self.runs.wait(timeout=10)
            return 0

    watched = Watched()
    watched.threads, watched.statements, watched.runs = [], [], threading.Event()
    watched.runs.set()
    monkeypatch.setattr(sqlite3, "connect", watched.connect)
    yield watched
    watched.runs.set()


async def opened(path, clock, **options):
    return await SqliteStore.open(path, clock, **{"timeout_s": 10, "write_s": 10, "sweep_s": 1000} | options)


async def test_the_file_is_for_its_owner_only(path, clock):
    store = await opened(path, clock)
    await store.put([entry(clock)], limit_bytes=ROOMY)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["store.db", "store.db-shm", "store.db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    await store.close()


async def test_it_shares_by_a_write_ahead_log_and_leaves_one_file(path, clock):
    store = await opened(path, clock)
    await store.close()
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]
    assert [file.name for file in path.parent.iterdir()] == ["store.db"]


async def test_entries_outlive_the_process(path, clock):
    store = await opened(path, clock)
    await store.put([entry(clock)], limit_bytes=ROOMY)
    await store.close()
    store = await opened(path, clock)
    assert await store.get("s", "k") == entry(clock)
    assert await store.size_bytes("s") == 1
    await store.close()


async def test_sqlite_is_never_called_in_the_loops_thread(path, clock, watched):
    store = await opened(path, clock)
    await store.put([entry(clock)], limit_bytes=ROOMY)
    await store.get("s", "k")
    await store.close()
    # A connection works only in the thread that made it; SQLite's module sees to that.
    assert len(watched.threads) == len(set(watched.threads)) == 2
    assert threading.current_thread() not in watched.threads


async def test_what_waits_together_is_done_together(path, clock, watched):
    store = await opened(path, clock)
    del watched.statements[:]
    await asyncio.gather(*(store.put([entry(clock, key=str(n))], limit_bytes=ROOMY) for n in range(16)))
    assert watched.statements.count("BEGIN IMMEDIATE") == 1
    del watched.statements[:]
    await asyncio.gather(*(store.get("s", str(n)) for n in range(16)))
    assert watched.statements.count("BEGIN") == 1
    await store.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"this is a text, and quite a long one" * 100, "not a SQLite database"),
        ("CREATE TABLE theirs (a)", "not Penstock's"),
        ("CREATE TABLE a (b); PRAGMA application_id = 1346719315; PRAGMA user_version = 2", "newer Penstock"),
    ],
)
async def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path, clock, content, message):
    path = tmp_path / "store.db"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        connection = sqlite3.connect(path)
        connection.executescript(content)
        connection.close()
    before = path.read_bytes()
    with pytest.raises(StartError, match=message) as refused:
        await opened(path, clock)
    assert str(refused.value).startswith(f"{path}: ")
    assert path.read_bytes() == before


async def test_our_own_files_are_known_again(path, clock):
    store = await opened(path, clock)
    await store.close()
    assert rows(path, "PRAGMA application_id") == [(1346719315,)]
    assert rows(path, "PRAGMA user_version") == [(1,)]


async def test_a_place_where_no_file_can_be(tmp_path, clock):
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="File exists"):
        await opened(tmp_path / "file" / "store.db", clock)
    with pytest.raises(StartError, match="SQLITE_CANTOPEN"):
        await opened(tmp_path, clock)


async def test_many_that_open_a_new_file_at_once_all_get_it(tmp_path, clock):
    for attempt in range(5):
        path = tmp_path / f"{attempt}.db"
        stores = await asyncio.gather(*(opened(path, clock) for _ in range(8)))
        await asyncio.gather(*(s.put([entry(clock, str(at))], limit_bytes=9) for at, s in enumerate(stores)))
        assert [await s.size_bytes("s") for s in stores] == [8] * 8
        for store in stores:
            await store.close()


async def test_opening_waits_for_who_looks_at_the_new_file(tmp_path, clock):
    path = tmp_path / "store.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.executescript("BEGIN; SELECT * FROM sqlite_schema;")
    opening = asyncio.create_task(opened(path, clock))
    await asyncio.sleep(0.1)
    assert not opening.done()
    other.execute("ROLLBACK")
    other.close()
    await (await opening).close()


async def test_an_empty_file_becomes_a_store(tmp_path, clock):
    (tmp_path / "store.db").touch()
    store = await opened(tmp_path / "store.db", clock)
    await store.put([entry(clock)], limit_bytes=ROOMY)
    assert await store.get("s", "k") is not None
    await store.close()


async def test_a_failed_start_leaves_no_thread(tmp_path, clock):
    with pytest.raises(StartError):
        await opened(tmp_path, clock)
    for thread in threading.enumerate():
        if thread.name == "penstock-sqlite":
            thread.join(timeout=10)
            assert not thread.is_alive()


async def test_a_disk_that_hangs_costs_the_timeout_and_no_more(path, clock, watched):
    store = await opened(path, clock, timeout_s=0.05, write_s=0.05)
    watched.runs.clear()
    for wait in (
        store.get("s", SECRET_KEY),
        store.size_bytes("s"),
        store.ping(),
        store.put([entry(clock, key=SECRET_KEY, value=SECRET_VALUE)], limit_bytes=ROOMY),
        store.delete("s", [SECRET_KEY]),
        store.delete("s"),
    ):
        with pytest.raises(StoreUnavailable, match=r"did not answer within 0\.05 s") as late:
            await wait
        assert "secret" not in repr(late.value)
    watched.runs.set()
    await eventually(lambda: store.get("s", "none"))
    await store.close()


async def test_what_nobody_waits_for_any_more_is_not_done(path, clock, watched):
    store = await opened(path, clock, write_s=0.1)
    watched.runs.clear()
    begun = asyncio.create_task(store.put([entry(clock, key="begun")], limit_bytes=ROOMY))
    await asyncio.sleep(0.01)
    late = asyncio.create_task(store.put([entry(clock, key="late")], limit_bytes=ROOMY))
    assert all(
        isinstance(end, StoreUnavailable) for end in await asyncio.gather(begun, late, return_exceptions=True)
    )
    watched.runs.set()
    await eventually(lambda: store.put([entry(clock, key="after")], limit_bytes=ROOMY))
    assert await store.get("s", "late") is None
    assert await store.get("s", "after") is not None
    await store.close()


async def test_a_crowd_before_a_disk_that_hangs_is_sent_away(path, clock, watched):
    store = await opened(path, clock, timeout_s=0.3)
    watched.runs.clear()
    ends = await asyncio.gather(*(store.get("s", "k") for _ in range(1100)), return_exceptions=True)
    reasons = [str(end) for end in ends]
    assert reasons.count("too many operations wait for SQLite") == 1100 - 1024
    watched.runs.set()
    await eventually(lambda: store.get("s", "k"))
    await store.close()


async def test_a_writer_of_another_process_holds_up_writes_for_a_while_and_reads_never(path, clock):
    store = await opened(path, clock, write_s=0.2)
    await store.put([entry(clock)], limit_bytes=ROOMY)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="SQLITE_BUSY"):
        await store.put([entry(clock, key="b")], limit_bytes=ROOMY)
    assert await store.get("s", "k") is not None
    other.execute("ROLLBACK")
    other.close()
    await store.put([entry(clock, key="b")], limit_bytes=ROOMY)
    assert await store.size_bytes("s") == 2
    await store.close()


async def test_a_file_that_broke_is_unavailable_and_tells_nothing(path, clock):
    store = await opened(path, clock)
    await store.put(
        [entry(clock, key=f"{SECRET_KEY}{n}", value=SECRET_VALUE) for n in range(2000)], limit_bytes=ROOMY
    )
    await store.close()
    size = path.stat().st_size
    store = await opened(path, clock)
    with path.open("r+b") as file:  # all but the first page, which holds the schema
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    for wait in (
        lambda: store.get("s", SECRET_KEY),
        lambda: store.put([entry(clock, key=SECRET_KEY, value=SECRET_VALUE)], limit_bytes=ROOMY),
        lambda: store.delete("s"),
    ):
        with pytest.raises(StoreUnavailable, match="SQLITE_CORRUPT") as broken:
            await wait()
        assert "secret" not in repr(broken.value)
    await store.close()


async def test_a_batch_that_fails_is_not_kept_in_part(path, clock):
    store = await opened(path, clock)
    impossible = Entry("s", SECRET_KEY, SECRET_VALUE, 10**400)  # more than SQLite can count
    puts = [store.put([entry(clock, key="a")], limit_bytes=ROOMY), store.put([impossible], limit_bytes=ROOMY)]
    ends = await asyncio.gather(*puts, return_exceptions=True)
    assert [str(end) for end in ends] == ["SQLite failed: OverflowError"] * 2
    assert rows(path, "SELECT * FROM entries") == rows(path, "SELECT * FROM spaces") == []
    await store.put([entry(clock, key="a")], limit_bytes=ROOMY)
    assert await store.size_bytes("s") == 1
    await store.close()


async def test_expired_entries_are_swept_though_nobody_asks(path, clock):
    store = await opened(path, clock, sweep_s=0.01)
    await store.put([entry(clock, key=str(n), lives_s=5) for n in range(1100)], limit_bytes=ROOMY)
    await store.put([entry(clock, key="lasting")], limit_bytes=ROOMY)
    clock.advance(6)

    async def swept():
        if rows(path, "SELECT key FROM entries") != [(b"lasting",)]:
            raise StoreUnavailable

    await eventually(swept)
    assert rows(path, "SELECT space, bytes, entries FROM spaces") == [(b"s", 1, 1)]
    await store.close()


async def test_an_empty_space_leaves_no_trace(path, clock):
    store = await opened(path, clock)
    await store.put([entry(clock, value=b"")], limit_bytes=ROOMY)
    assert rows(path, "SELECT space, bytes, entries FROM spaces") == [(b"s", 0, 1)]
    await store.delete("s")
    assert rows(path, "SELECT * FROM spaces") == rows(path, "SELECT * FROM entries") == []
    await store.close()


async def test_close_writes_what_waits(path, clock):
    store = await opened(path, clock)
    puts = [asyncio.create_task(store.put([entry(clock, key=str(n))], limit_bytes=ROOMY)) for n in range(50)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*puts) == [None] * 50
    assert rows(path, "SELECT count(*) FROM entries") == [(50,)]


async def test_a_closed_store_says_so(path, clock):
    store = await opened(path, clock)
    await store.close()
    await store.close()
    for wait in (
        store.get("s", "k"),
        store.put([entry(clock)], limit_bytes=1),
        store.delete("s"),
        store.ping(),
    ):
        with pytest.raises(StoreUnavailable, match="closed"):
            await wait


async def eventually(attempt, tries=500):
    """Try again while it raises StoreUnavailable; a bound of patience, not a measure of time."""
    for _ in range(tries):
        try:
            return await attempt()
        except StoreUnavailable:
            await asyncio.sleep(0.01)
    return await attempt()
