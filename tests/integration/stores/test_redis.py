"""What Redis adds to the contract: its account, its refusals, its deaths; and an URL that stays secret."""

import asyncio
import logging

import pytest
import redis

from penstock.clock import SYSTEM
from penstock.errors import StartError, StoreUnavailable
from penstock.stores.protocol import Entry
from penstock.stores.redis import RedisStore

pytest_plugins = ["redis_fixture"]

ROOMY = 1_000_000
INDEX = [b"penstock:{s}:age", b"penstock:{s}:book", b"penstock:{s}:ends"]


def entry(key="k", value=b"v", space="s", lives_s=60.0):
    return Entry(space, key, value, SYSTEM.now() + lives_s)


@pytest.fixture
def look(redis_server):
    with redis_server.client() as client:
        yield client


@pytest.fixture
async def store(redis_server):
    store = await RedisStore.open(redis_server.url, connect_s=10, operation_s=10)
    yield store
    await store.close()


async def eventually(attempt, tries=1000):
    """Try again while it raises StoreUnavailable; a bound of patience, not a measure of time."""
    for _ in range(tries):
        try:
            return await attempt()
        except StoreUnavailable:
            await asyncio.sleep(0.01)
    return await attempt()


async def until(true):
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never became so")


async def test_the_keys_of_a_space_share_a_slot(store, look):
    await store.put([entry(space="cache:acme"), entry(space="x}y")], limit_bytes=ROOMY)
    keys = sorted(look.keys())
    assert keys == sorted(
        f"penstock:{{{space}}}:{name}".encode()
        for space in ("cache:acme", "x%7Dy")
        for name in ("e:k", "age", "ends", "book")
    )


async def test_an_operation_is_one_command(store, look):
    await store.put([entry()], limit_bytes=ROOMY)  # Redis learns the script
    before = calls(look)
    await store.put([entry(str(n)) for n in range(50)], limit_bytes=ROOMY)
    await store.get("s", "1")
    after = calls(look)
    assert after["evalsha"] - before["evalsha"] == 1
    assert after["get"] - before.get("get", 0) == 1
    assert after["eval"] == before["eval"]


async def test_a_script_that_redis_forgot_is_sent_again(store, look):
    await store.put([entry()], limit_bytes=ROOMY)
    look.script_flush()
    await store.put([entry("b")], limit_bytes=ROOMY)
    assert await store.size_bytes("s") == 2


async def test_redis_expires_by_itself_and_the_account_stays_right(store, look):
    await store.put([entry("short", b"x" * 30, lives_s=0.2), entry("long", b"x" * 10)], limit_bytes=ROOMY)
    assert 0 < look.pttl("penstock:{s}:e:short") <= 200
    await until(lambda: not look.exists("penstock:{s}:e:short"))
    assert await store.size_bytes("s") == 10
    await store.put([entry("new", b"x" * 30)], limit_bytes=40)
    assert await store.get("s", "long") is not None
    assert await store.size_bytes("s") == 40


async def test_the_account_ends_with_its_last_entry(store, look):
    await store.put([entry("a", lives_s=10), entry("b", lives_s=500)], limit_bytes=ROOMY)
    for key in INDEX:
        assert 500_000 < look.pttl(key) <= 560_000
    await store.delete("s", ["b"])
    for key in INDEX:
        assert look.pttl(key) <= 70_000
    await store.delete("s", ["a"])
    assert look.keys() == []


@pytest.mark.parametrize("lost", INDEX)
async def test_an_account_that_lost_a_part_begins_anew(store, look, lost):
    await store.put([entry("a", b"x" * 10)], limit_bytes=ROOMY)
    look.delete(lost)
    await store.put([entry("b", b"x" * 7)], limit_bytes=ROOMY)
    assert await store.size_bytes("s") == 7
    assert look.zcard(INDEX[0]) == look.zcard(INDEX[2]) == 1
    await store.put([entry("a", b"x" * 5)], limit_bytes=ROOMY)
    assert await store.size_bytes("s") == 12


async def test_what_somebody_else_wrote_is_not_an_entry(store, look):
    look.set("penstock:{s}:e:short", b"1234567")
    look.rpush("penstock:{s}:e:list", "secret-value")
    look.set("penstock:{t}:age", "secret-value")
    for wait in (
        store.get("s", "short"),
        store.get("s", "list"),
        store.put([entry(space="t", key="secret-key")], limit_bytes=ROOMY),
        store.size_bytes("t"),
        store.delete("t"),
    ):
        with pytest.raises(StoreUnavailable) as refused:
            await wait
        assert "secret" not in repr(refused.value)
    await store.put([entry()], limit_bytes=ROOMY)
    assert await store.get("s", "k") is not None


async def test_a_full_redis_refuses_and_keeps_its_account(store, look):
    await store.put([entry("a", b"x" * 100)], limit_bytes=ROOMY)
    look.config_set("maxmemory-policy", "noeviction")
    look.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable, match="OutOfMemoryError"):
            await store.put([entry("b", b"x" * 100)], limit_bytes=ROOMY)
        assert await store.get("s", "a") is not None
        assert await store.delete("s", ["a"]) == 1
    finally:
        look.config_set("maxmemory", "0")
    await store.put([entry("c", b"x")], limit_bytes=ROOMY)
    assert await store.size_bytes("s") == 1


async def test_a_replica_refuses_until_it_is_primary_again(store, look):
    await store.put([entry()], limit_bytes=ROOMY)
    look.replicaof("127.0.0.1", "1")
    try:
        with pytest.raises(StoreUnavailable, match="ReadOnlyError"):
            await store.put([entry("b")], limit_bytes=ROOMY)
        assert await store.get("s", "k") is not None
    finally:
        look.replicaof("NO", "ONE")
    await store.put([entry("b")], limit_bytes=ROOMY)


async def test_a_unix_socket(redis_server, look):
    store = await RedisStore.open(f"unix://{redis_server.socket}?db=3")
    await store.put([entry()], limit_bytes=ROOMY)
    assert await store.get("s", "k") is not None
    await store.close()
    assert look.keys() == []  # that is database 0
    look.select(3)
    assert look.dbsize() == 4


async def test_the_right_password(redis_server, look):
    look.acl_setuser(
        "penstock", enabled=True, passwords=["+p@ss/w:rd"], keys=["penstock:*"], commands=["+@all"]
    )
    try:
        store = await RedisStore.open(f"redis://penstock:p%40ss%2Fw%3Ard@127.0.0.1:{redis_server.port}/0")
        await store.put([entry()], limit_bytes=ROOMY)
        assert await store.get("s", "k") is not None
        assert "p@ss" not in repr(store)
        await store.close()
    finally:
        look.acl_deluser("penstock")


async def test_a_wrong_password_is_no_start_error_and_is_not_told(redis_server, caplog):
    with caplog.at_level(logging.DEBUG):
        store = await RedisStore.open(f"redis://admin:hunter2@127.0.0.1:{redis_server.port}/0")
    with pytest.raises(StoreUnavailable) as refused:
        await store.get("s", "k")
    assert "AuthenticationError" in caplog.text
    for text in (str(refused.value), repr(refused.value), repr(store), caplog.text):
        assert "hunter2" not in text
        assert "admin" not in text
    await store.close()


@pytest.mark.parametrize(
    "url",
    [
        *("redis://", "redis:///0", "unix://", "redis://:secret@", "redis://h:secret", "redis://h:1/secret"),
        *("redis://u:sec/ret@h:1", "redis://u:sec#ret@h", "redis://u:12?secret@h", "redis://h:99999/0"),
        *("redis://h/0?secret=1", "redis://h/0?db=secret", "redis://h/0?decode_responses=secret"),
        *("unix://host/secret", "http://secret@h", "rediss://h/0?ssl_check_hostname", "redis://h/0#secret"),
        *("rediss://h/0?ssl_cert_reqs=secret", "redis://h/0?ssl_certfile=secret", "redis://[secret/0"),
    ],
)
async def test_an_url_that_can_not_be_read_is_not_repeated(url):
    with pytest.raises(StartError) as refused:
        await RedisStore.open(url)
    assert "secret" not in str(refused.value)
    assert "redis://" in str(refused.value)
    assert refused.value.__cause__ is None


async def test_a_redis_that_is_not_there_yet_is_a_warning(own_redis, caplog):
    own_redis.kill()
    store = await RedisStore.open(own_redis.url.replace("127", "default:hunter2@127"), probe_s=0.05)
    warned = [record.getMessage() for record in caplog.records if record.name == "penstock.stores"]
    assert warned
    assert all(
        f"redis://127.0.0.1:{own_redis.port}/0 is not there (ConnectionError)" in text for text in warned
    )
    assert "hunter2" not in caplog.text
    for wait in (store.get("s", "k"), store.put([entry()], limit_bytes=1), store.delete("s"), store.ping()):
        with pytest.raises(StoreUnavailable, match="is not there"):
            await wait
    own_redis.start()
    await eventually(store.ping)
    await eventually(lambda: store.put([entry()], limit_bytes=ROOMY))
    assert await store.get("s", "k") is not None
    assert "is back" in caplog.text
    await store.close()


async def test_a_redis_that_died_is_whole_again_after_its_return(own_redis):
    store = await RedisStore.open(own_redis.url, probe_s=0.1)
    await store.put([entry()], limit_bytes=ROOMY)
    own_redis.kill()
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            await store.get("s", "k")
        with pytest.raises(StoreUnavailable):
            await store.put([entry()], limit_bytes=ROOMY)
    own_redis.start()
    back = entry("back")
    async with asyncio.timeout(5):  # the promise itself
        await eventually(lambda: store.put([back], limit_bytes=ROOMY))
        assert await eventually(lambda: store.get("s", "back")) == back
    assert await store.size_bytes("s") == 1
    await store.close()


async def test_a_connection_that_was_closed_while_idle_is_not_noticed(redis_server, look, store):
    await store.put([entry()], limit_bytes=ROOMY)
    for client in look.client_list():
        if client["cmd"] != "client|list":
            look.client_kill_filter(_id=client["id"])
    assert await store.get("s", "k") is not None
    await store.put([entry("b")], limit_bytes=ROOMY)


async def test_a_redis_that_hangs_fails_all_who_wait_once_and_then_nobody_waits(own_redis):
    store = await RedisStore.open(own_redis.url, connect_s=0.1, operation_s=0.1, probe_s=0.1)
    kept = [entry(str(n), str(n).encode() * 50) for n in range(20)]
    await store.put(kept, limit_bytes=ROOMY)
    own_redis.hang()
    try:
        ends = await asyncio.gather(*(store.get("s", e.key) for e in kept), return_exceptions=True)
        assert [type(end) for end in ends] == [StoreUnavailable] * 20
        # Refused before anything is sent: not one turn of the loop is spent on it.
        refused = store.get("s", "0")
        with pytest.raises(StoreUnavailable, match="is not there"):
            refused.send(None)
        for _ in range(30):  # over several probes, which hang too
            with pytest.raises(StoreUnavailable):
                await store.get("s", "0")
            await asyncio.sleep(0.01)
    finally:
        own_redis.go_on()
    # The answers of before the hang are not taken for those of now.
    assert [await eventually(lambda e=e: store.get("s", e.key)) for e in kept] == kept
    await store.close()


async def test_close_sends_what_waits(redis_server, look):
    store = await RedisStore.open(redis_server.url)
    puts = [asyncio.create_task(store.put([entry(str(n))], limit_bytes=ROOMY)) for n in range(600)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*puts) == [None] * 600
    assert look.zcard("penstock:{s}:age") == 600


async def test_a_closed_store_says_so_and_leaves_no_connection(redis_server, look):
    store = await RedisStore.open(redis_server.url)
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.get("s", "k")
    await until(lambda: len(look.client_list()) == 1)


async def test_two_machines_share_one_store(redis_server, store):
    other = await RedisStore.open(redis_server.url)
    await store.put([entry()], limit_bytes=ROOMY)
    assert (await other.get("s", "k")).value == b"v"
    assert await other.delete("s") == 1
    assert await store.get("s", "k") is None
    await other.close()


def calls(look: redis.Redis) -> dict[str, int]:
    stats = look.info("commandstats")
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}
