"""Several real processes on one SQLite file, and one that is killed while it writes."""

import asyncio
import hashlib
import sqlite3
import subprocess
import sys

import pytest

from penstock.clock import SYSTEM
from penstock.stores.protocol import Entry
from penstock.stores.sqlite import SqliteStore

LIMIT = 100_000

# Writes entries whose value tells whether it is whole, and says each key after its put has returned.
WRITER = """
import asyncio, hashlib, sys
from itertools import count
from pathlib import Path
from penstock.clock import SYSTEM
from penstock.stores.protocol import Entry
from penstock.stores.sqlite import SqliteStore

async def main(path, name, most, limit, begin):
    while SYSTEM.now() < float(begin):
        pass
    store = await SqliteStore.open(Path(path), timeout_s=20, write_s=20)
    for at in range(int(most)) if int(most) else count():
        keys = [f"{name}-{at}-{part}" for part in range(4)]
        puts = [
            store.put([Entry("s", key, hashlib.sha256(key.encode()).digest() * 40, SYSTEM.now() + 3600)],
                      limit_bytes=int(limit))
            for key in keys
        ]
        await asyncio.gather(*puts)
        print(*keys, sep="\\n", flush=True)
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def writer(path, name, most, limit=LIMIT, begin=0.0):
    command = [sys.executable, "-c", WRITER, str(path), name, str(most), str(limit), str(begin)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def whole(entry: Entry) -> bool:
    return entry.value == hashlib.sha256(entry.key.encode()).digest() * 40


@pytest.fixture
async def store_at(tmp_path):
    stores = []

    async def opened():
        stores.append(await SqliteStore.open(tmp_path / "store.db", timeout_s=20, write_s=20))
        return stores[-1]

    yield opened
    for store in stores:
        await store.close()


async def ends(*writers):
    """Wait for the writers; give the keys they put."""
    said = [(await asyncio.to_thread(process.communicate))[0].split() for process in writers]
    assert [process.returncode for process in writers] == [0] * len(writers)
    return [key for keys in said for key in keys]


@pytest.mark.parametrize("_round", range(3))
async def test_processes_that_start_at_once_make_one_store(tmp_path, store_at, _round):
    path, begin = tmp_path / "store.db", SYSTEM.now() + 0.5  # by then all four have started
    keys = await ends(*(writer(path, name, 15, limit=10_000_000, begin=begin) for name in "abcd"))
    store = await store_at()
    assert len(keys) == 4 * 15 * 4
    for key in keys:
        assert whole(await store.get("s", key))
    assert await store.size_bytes("s") == len(keys) * 1280


async def test_processes_keep_one_bound_together(tmp_path, store_at):
    path = tmp_path / "store.db"
    keys = await ends(*(writer(path, name, 40) for name in "ab"))
    store = await store_at()
    alive = [key for key in keys if await store.get("s", key) is not None]
    assert await store.size_bytes("s") == len(alive) * 1280 == LIMIT // 1280 * 1280
    assert await store.delete("s") == len(alive)


async def test_one_process_sees_what_another_put(tmp_path, store_at):
    mine, theirs = await store_at(), await store_at()
    kept = Entry("s", "k", b"v", SYSTEM.now() + 60)
    await mine.put([kept], limit_bytes=LIMIT)
    assert await theirs.get("s", "k") == kept
    await theirs.delete("s", ["k"])
    assert await mine.get("s", "k") is None


async def test_a_writer_that_is_killed_leaves_whole_entries(tmp_path, store_at):
    path = tmp_path / "store.db"
    said: list[str] = []
    for round_ in range(3):
        process = writer(path, f"r{round_}", 0, limit=10_000_000)
        for _ in range(80):
            said.append((await asyncio.to_thread(process.stdout.readline)).strip())
        process.kill()
        said += process.communicate()[0].split()
    store = await store_at()
    found = [await store.get("s", key) for key in said if key.count("-") == 2]
    assert None not in found
    assert all(whole(entry) for entry in found)
    assert await store.size_bytes("s") >= len(found) * 1280
    await store.put([Entry("s", "after", b"v", SYSTEM.now() + 60)], limit_bytes=10_000_000)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    sums = connection.execute(
        "SELECT (SELECT sum(bytes) FROM spaces), (SELECT sum(size) FROM entries)"
    ).fetchone()
    connection.close()
    assert sums[0] == sums[1]
