"""Records in a Redis that is not there; what they do in one is in tests/integration/stores."""

import pytest

from penstock.errors import StartError, StoreUnavailable
from penstock.stores.redis_records import RedisRecords


async def test_every_method_says_that_it_is_not_there():
    records = await RedisRecords.open("unix://:secret@/nowhere/redis.sock", probe_s=1000)
    assert repr(records) == "RedisRecords(unix:///nowhere/redis.sock)"
    for wait in (records.put("keys", {"a": b"1"}), records.delete("keys", "a"), records.read("keys")):
        with pytest.raises(StoreUnavailable, match="is not there"):
            await wait
    await records.put("keys", {})  # nothing to say to it
    await records.close()


async def test_an_url_that_can_not_be_read_is_refused():
    with pytest.raises(StartError):
        await RedisRecords.open("redis://")
