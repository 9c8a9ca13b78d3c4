"""What the store tests share: a clock that stands still, and each store that there is."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from penstock.clock import SYSTEM
from penstock.stores.near import NearStore
from penstock.stores.redis import RedisStore
from penstock.stores.sqlite import SqliteStore
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
