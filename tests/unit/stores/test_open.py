"""Which URL opens which stores."""

import threading

import pytest

from penstock.errors import StartError, StoreUnavailable
from penstock.stores.open import open_ledger, open_store, open_stores
from penstock.stores.redis import RedisStore
from penstock.stores.redis_ledger import RedisLedger
from penstock.stores.redis_records import RedisRecords
from penstock.stores.sqlite import SqliteStore
from penstock.testing import FrozenClock


async def test_three_slashes_are_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = await open_store("sqlite:///state/store.db", FrozenClock())
    assert isinstance(store, SqliteStore)
    await store.close()
    assert (tmp_path / "state" / "store.db").is_file()


async def test_four_slashes_are_an_absolute_path(tmp_path):
    store = await open_store(f"sqlite:///{tmp_path}/store.db")
    await store.close()
    assert (tmp_path / "store.db").is_file()


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1/0", "rediss://127.0.0.1:1", "unix:///nowhere/redis.sock?db=1"]
)
async def test_a_redis_need_not_be_there(url, caplog):
    store = await open_store(url, FrozenClock())
    assert isinstance(store, RedisStore)
    assert "is not there" in caplog.text
    await store.close()


@pytest.mark.parametrize(
    "url",
    [
        *("", "store.db", "sqlite:", "sqlite://", "sqlite:///", "sqlite://secret/store.db", "SQLITE:///a"),
        *("postgres://u:secret@h/db", "redis:secret", "redis+sentinel://u:secret@h", "file:///secret"),
    ],
)
async def test_another_url_is_told_the_forms_and_not_repeated(url):
    with pytest.raises(StartError) as refused:
        await open_stores(url)
    with pytest.raises(StartError):
        await open_ledger(url)
    for form in ("sqlite:///", "sqlite:////", "redis://", "rediss://", "unix://"):
        assert form in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["redis://u:secret", "unix://", "rediss:///0"])
async def test_a_redis_url_that_can_not_be_read_is_not_repeated(url):
    with pytest.raises(StartError) as refused:
        await open_store(url)
    assert "secret" not in str(refused.value)


async def test_sqlite_keeps_the_ledger_in_a_file_beside(tmp_path):
    url = f"sqlite:///{tmp_path}/penstock.db"
    stores = await open_stores(url, FrozenClock())
    await stores.records.put("keys", {"a": b"1"})
    ledger, records = await open_ledger(url)
    assert (await records.read("keys"))[1] == {"a": b"1"}
    assert await ledger.read("acme", [], now=0) == ()
    for each in (stores, ledger, records):
        await each.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["penstock-ledger.db", "penstock.db"]
    for wait in (stores.entries.ping(), stores.ledger.held("acme", now=0), stores.records.read("keys")):
        with pytest.raises(StoreUnavailable):
            await wait


async def test_a_ledger_that_can_not_be_opened_leaves_no_thread(tmp_path):
    before = threading.active_count()
    (tmp_path / "penstock-ledger.db").write_bytes(b"not a database, but long enough to be one" * 100)
    with pytest.raises(StartError, match=r"penstock-ledger\.db"):
        await open_stores(f"sqlite:///{tmp_path}/penstock.db", FrozenClock())
    for thread in threading.enumerate():
        if thread.name == "penstock-sqlite":
            thread.join(timeout=10)
    assert threading.active_count() == before


async def test_redis_keeps_all_in_one_place():
    stores = await open_stores("unix:///nowhere/redis.sock", FrozenClock())
    assert [type(each) for each in (stores.entries, stores.ledger, stores.records)] == [
        *(RedisStore, RedisLedger, RedisRecords)
    ]
    await stores.close()
