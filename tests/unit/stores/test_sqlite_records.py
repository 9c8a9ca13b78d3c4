"""What SQLite adds to records: processes that share them, and reads that wait for no writer."""

import asyncio
import sqlite3

import pytest

from penstock.errors import StartError, StoreUnavailable
from penstock.stores.sqlite_records import SqliteRecords


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "penstock-ledger.db"


@pytest.fixture
async def records(path):
    records = await SqliteRecords.open(path, timeout_s=10)
    yield records
    await records.close()


async def test_records_outlive_the_process(path):
    first = await SqliteRecords.open(path, timeout_s=10)
    await first.put("keys", {"a": b"1"})
    version, _ = await first.read("keys")
    await first.close()
    second = await SqliteRecords.open(path, timeout_s=10)
    assert await second.read("keys", version) == (version, None)
    await second.put("keys", {"b": b"2"})
    assert await second.read("keys", version) == (version + 1, {"a": b"1", "b": b"2"})
    await second.close()


async def test_what_is_put_is_seen_by_another_at_once(records, path):
    other = await SqliteRecords.open(path, timeout_s=10)
    for n in range(20):
        await records.put("keys", {"a": b"%d" % n})
        assert (await other.read("keys"))[1] == {"a": b"%d" % n}
    await other.close()


async def test_puts_that_share_a_commit_each_raise_the_version(records):
    await records.put("keys", {"a": b"1"})
    version, _ = await records.read("keys")
    gone, *_ = await asyncio.gather(
        records.delete("keys", "a"), records.put("keys", {"b": b"2"}), records.put("keys", {"c": b"3"})
    )
    assert gone
    assert await records.read("keys") == (version + 3, {"b": b"2", "c": b"3"})


async def test_a_reader_never_waits_for_a_writer(path):
    records = await SqliteRecords.open(path, timeout_s=0.1)
    await records.put("keys", {"a": b"1"})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert (await records.read("keys"))[1] == {"a": b"1"}
    with pytest.raises(StoreUnavailable):
        await records.put("keys", {"a": b"2"})
    with pytest.raises(StoreUnavailable):
        await records.delete("keys", "a")
    other.execute("COMMIT")
    other.close()
    assert (await records.read("keys"))[1] == {"a": b"1"}
    await records.close()


async def test_a_value_that_is_no_value_keeps_nothing_of_its_put(records):
    with pytest.raises(StoreUnavailable):
        await records.put("keys", {"a": b"1", "b": None})
    assert await records.read("keys") == (0, {})


async def test_a_place_where_no_file_can_be(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StartError, match="File exists"):
        await SqliteRecords.open(tmp_path / "file" / "ledger.db")


async def test_closed_records_say_so(path):
    records = await SqliteRecords.open(path, timeout_s=10)
    await records.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await records.read("keys")
