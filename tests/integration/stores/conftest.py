"""What the store tests share: a clock that stands still, and each store, ledger and records."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integration.stores.ledger_house import PATIENT
from penstock.clock import SYSTEM
from penstock.stores.memory import MemoryLedger, MemoryRecords
from penstock.stores.near import NearStore
from penstock.stores.redis import RedisStore
from penstock.stores.redis_ledger import RedisLedger
from penstock.stores.redis_records import RedisRecords
from penstock.stores.sqlite import SqliteStore
from penstock.stores.sqlite_ledger import SqliteLedger
from penstock.stores.sqlite_records import SqliteRecords
from penstock.testing import FrozenClock

sys.path.insert(0, str(Path(__file__).parents[2]))  # for redis_fixture; importlib mode puts no folder there


@pytest.fixture
def clock():
    # Redis expires by the real clock, so the frozen one starts there.
    return FrozenClock(SYSTEM.now())


@pytest.fixture
async def sqlite_store(tmp_path, clock) -> AsyncIterator[SqliteStore]:
    # Long waits: the machine that runs the tests may be slower than a user would bear.
    store = await SqliteStore.open(tmp_path / "store.db", clock, timeout_s=10, write_s=10, sweep_s=0.01)
    yield store
    await store.close()


@pytest.fixture
async def redis_store(redis_server, clock) -> AsyncIterator[RedisStore]:
    store = await RedisStore.open(redis_server.url, clock, connect_s=10, operation_s=10)
    yield store
    await store.close()


@pytest.fixture
async def near_store(sqlite_store, clock) -> AsyncIterator[NearStore]:
    store = NearStore(sqlite_store, clock, flush_s=0.01)
    yield store
    await store.close()


@pytest.fixture(params=["sqlite_store", "redis_store", "near_store"])
def store(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["sqlite_store", "redis_store"])
def backend(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["memory", "sqlite", "redis"])
def kind(request):
    return request.param


async def _opened(kind, request, memory, sqlite, redis):
    """Give a function that opens one more on the same store, and close all of them at the end."""
    made = []
    if kind == "memory":
        one = memory()

    async def another():
        if kind == "memory":
            return one
        if kind == "sqlite":
            path = request.getfixturevalue("tmp_path") / "penstock-ledger.db"
            made.append(await sqlite.open(path, timeout_s=20))
        else:
            made.append(await redis.open(request.getfixturevalue("redis_server").url, **PATIENT))
        return made[-1]

    yield another
    for each in made:
        await each.close()


@pytest.fixture
async def another(kind, request):
    async for opened in _opened(kind, request, MemoryLedger, SqliteLedger, RedisLedger):
        yield opened


@pytest.fixture
async def ledger(another):
    return await another()


@pytest.fixture
async def more_records(kind, request):
    async for opened in _opened(kind, request, MemoryRecords, SqliteRecords, RedisRecords):
        yield opened


@pytest.fixture
async def records(more_records):
    return await more_records()
