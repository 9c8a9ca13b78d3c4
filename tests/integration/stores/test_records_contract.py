"""The contract of `Records`, the same for every one of them; and what Redis and SQLite add to it."""

import asyncio

import pytest

from integration.stores.ledger_house import PATIENT
from penstock.errors import StoreUnavailable
from penstock.stores.redis_records import RedisRecords
from penstock.stores.sqlite_ledger import SqliteLedger
from penstock.stores.sqlite_records import SqliteRecords

pytest_plugins = ["redis_fixture"]

ODD_TEXTS = [
    "",
    " ",
    "a\0b",
    "{a}",
    "}",
    "*",
    "日本",
    "%",
    "%25",
    "a:b",
    "\ud800",
    "x" * 3000,
    "table",
    "version",
]


async def test_a_table_that_was_never_written_is_empty(records):
    assert await records.read("keys") == (0, {})
    assert await records.read("keys", 0) == (0, {})
    assert await records.read("keys", 7) == (0, {})


async def test_what_was_put_is_read_whole(records):
    await records.put("keys", {"a": b"1", "b": b"2"})
    await records.put("keys", {"b": b"3", "c": b""})
    _, table = await records.read("keys")
    assert table == {"a": b"1", "b": b"3", "c": b""}


async def test_the_same_version_is_not_read_again(records, more_records):
    await records.put("keys", {"a": b"1"})
    version, _ = await records.read("keys")
    assert version > 0
    assert await (await more_records()).read("keys", version) == (version, None)
    assert (await records.read("keys", version - 1))[1] == {"a": b"1"}


async def test_every_change_raises_the_version_for_everybody(records, more_records):
    other = await more_records()
    version, _ = await records.read("keys")
    for change in (
        records.put("keys", {"a": b"1"}),
        other.put("keys", {"a": b"1"}),
        other.delete("keys", "a"),
        records.put("keys", {"a": b"2"}),
    ):
        await change
        risen, table = await other.read("keys", version)
        assert risen > version
        assert table is not None
        version = risen


async def test_what_changes_nothing_is_no_change(records):
    await records.put("keys", {})
    assert not await records.delete("keys", "a")
    assert await records.read("keys") == (0, {})
    await records.put("keys", {"a": b"1"})
    version, _ = await records.read("keys")
    assert not await records.delete("keys", "b")
    await records.put("keys", {})
    assert await records.read("keys", version) == (version, None)


async def test_a_record_is_forgotten_once(records):
    await records.put("keys", {"a": b"1", "b": b"2"})
    assert await records.delete("keys", "a")
    assert not await records.delete("keys", "a")
    assert await records.delete("keys", "b")
    version, table = await records.read("keys")
    assert (version > 0, table) == (True, {})
    assert await records.read("keys", version) == (version, None)


async def test_tables_and_keys_are_any_text_and_values_any_bytes(records):
    rows = {key: key.encode("utf-8", "surrogatepass") + bytes(range(256)) for key in ODD_TEXTS}
    for table in ODD_TEXTS:
        await records.put(table, {**rows, "its": table.encode("utf-8", "surrogatepass")})
    for table in ODD_TEXTS:
        assert (await records.read(table))[1] == {**rows, "its": table.encode("utf-8", "surrogatepass")}
        assert all([await records.delete(table, key) for key in ODD_TEXTS])


async def test_what_is_returned_is_the_callers_own(records):
    await records.put("keys", {"a": b"1"})
    (await records.read("keys"))[1]["a"] = b"2"
    assert (await records.read("keys"))[1] == {"a": b"1"}


async def test_many_writers_at_once(records, more_records):
    writers = [records, await more_records(), await more_records()]
    await records.put("keys", {"first": b""})
    begin, _ = await records.read("keys")
    await asyncio.gather(*(writers[n % 3].put("keys", {str(n): b"%d" % n}) for n in range(90)))
    version, table = await records.read("keys")
    assert version >= begin + 1
    assert table == {"first": b"", **{str(n): b"%d" % n for n in range(90)}}


async def test_a_read_is_one_command_in_redis(redis_server):
    records = await RedisRecords.open(redis_server.url, **PATIENT)
    await records.put("keys", {"a": b"1"})
    version, _ = await records.read("keys")
    with redis_server.client() as look:
        before = look.info("commandstats")["cmdstat_evalsha"]["calls"]
        await records.read("keys", version)
        assert look.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1
        assert sorted(look.keys()) == [b"penstock-records:{keys}:table", b"penstock-records:{keys}:version"]
    await records.close()


async def test_a_redis_that_lost_its_data_is_not_taken_for_the_old_one(own_redis):
    records = await RedisRecords.open(own_redis.url, **PATIENT)
    await records.put("keys", {"a": b"1"})
    version, _ = await records.read("keys")
    own_redis.kill()
    with pytest.raises(StoreUnavailable):
        await records.put("keys", {"a": b"2"})
    with pytest.raises(StoreUnavailable):
        await records.read("keys")
    with pytest.raises(StoreUnavailable):
        await records.delete("keys", "a")
    own_redis.start()
    assert await eventually(lambda: records.read("keys", version)) == (0, {})
    await records.put("keys", {"b": b"1"})
    again, table = await records.read("keys", version)
    assert again != version
    assert table == {"b": b"1"}
    await records.close()


async def test_a_file_that_was_replaced_is_not_taken_for_the_old_one(tmp_path):
    versions = []
    for name in ("one.db", "two.db"):
        records = await SqliteRecords.open(tmp_path / name, timeout_s=10)
        await records.put("keys", {"a": b"1"})
        versions.append((await records.read("keys"))[0])
        await records.close()
    assert versions[0] != versions[1]


async def test_records_and_ledger_share_a_file(tmp_path):
    ledger = await SqliteLedger.open(tmp_path / "ledger.db", timeout_s=10)
    records = await SqliteRecords.open(tmp_path / "ledger.db", timeout_s=10)
    await asyncio.gather(records.put("keys", {"a": b"1"}), ledger.held("acme", now=0))
    assert (await records.read("keys"))[1] == {"a": b"1"}
    await records.close()
    await ledger.close()


async def eventually(attempt):
    """Try again while it raises StoreUnavailable; a bound of patience, not a measure of time."""
    for _ in range(1000):
        try:
            return await attempt()
        except StoreUnavailable:
            await asyncio.sleep(0.01)
    return await attempt()
