"""Which URL opens which store."""

import pytest

from penstock.errors import StartError
from penstock.stores.open import open_store
from penstock.stores.redis import RedisStore
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
        await open_store(url)
    for form in ("sqlite:///", "sqlite:////", "redis://", "rediss://", "unix://"):
        assert form in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["redis://u:secret", "unix://", "rediss:///0"])
async def test_a_redis_url_that_can_not_be_read_is_not_repeated(url):
    with pytest.raises(StartError) as refused:
        await open_store(url)
    assert "secret" not in str(refused.value)
