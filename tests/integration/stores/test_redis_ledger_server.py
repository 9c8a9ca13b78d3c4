"""What Redis adds to the ledger: its keys, its refusals, its deaths; and nothing is charged twice."""

import asyncio
import logging
import random

import pytest

from integration.stores.ledger_house import NOW, PATIENT, account, line
from penstock.errors import StoreUnavailable
from penstock.stores.ledger import MOST, REMEMBERED_S, Denial, Grant, Settled, Standing
from penstock.stores.redis_ledger import RedisLedger

pytest_plugins = ["redis_fixture"]

ROOT = "penstock-ledger:{acme}:"
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def look(redis_server):
    with redis_server.client() as client:
        yield client


@pytest.fixture
async def ledger(redis_server):
    ledger = await RedisLedger.open(redis_server.url, **PATIENT)
    yield ledger
    await ledger.close()


async def hold(ledger, reservation, *lines, now=NOW):
    return await ledger.reserve(
        *("acme", reservation, lines), tokens=0, least=0, now=now, expires_at=now + 60
    )


async def eventually(attempt):
    """Try again while it raises StoreUnavailable; a bound of patience, not a measure of time."""
    for _ in range(1000):
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


def scripts(look):
    stats = look.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("eval", "evalsha"))


async def test_an_operation_is_one_script_call_and_keys_share_a_slot(ledger, look):
    await hold(ledger, "r", line(fixed=1))
    await ledger.settle("acme", "r", [(line(), 1)], now=NOW)
    before = scripts(look)
    await hold(ledger, "r", line("a", fixed=1), line("b", fixed=1), line("c", fixed=1))
    assert scripts(look) - before == 1
    await ledger.settle("acme", "r", [(line("a"), 1), (line("b"), 1)], now=NOW)
    assert scripts(look) - before == 2
    await hold(ledger, "s", line("a", fixed=1))
    assert sorted(look.keys()) == sorted(
        f"{ROOT}{name}".encode() for name in ("a:a", "a:b", "a:c", "a:day", "h:s", "due")
    )


async def test_scripts_that_redis_forgot_are_sent_again(ledger, look):
    await hold(ledger, "r", line(fixed=1))
    look.script_flush()
    assert await hold(ledger, "s", line(fixed=1)) == Grant(0, (Standing(0, 2),))


async def test_an_account_ends_with_its_window_but_not_while_something_is_held(ledger, look):
    await hold(ledger, "r", line(fixed=5, keep_until=NOW + 100))
    key = f"{ROOT}a:day"
    assert look.ttl(key) == -1
    await ledger.settle("acme", "r", [(line(keep_until=NOW + 100), 3)], now=NOW)
    assert 100 < look.ttl(key) <= 160
    await ledger.take("acme", [(line(keep_until=NOW + 1000), 1)], now=NOW)
    await ledger.take("acme", [(line(keep_until=NOW + 10), 1)], now=NOW)
    assert 1000 < look.ttl(key) <= 1060
    await hold(ledger, "s", line(fixed=5, keep_until=NOW + 100))
    assert look.ttl(key) == -1
    await ledger.settle("acme", "s", [], now=NOW)
    assert 1000 < look.ttl(key) <= 1060
    await ledger.take("acme", [(line(), 1)], now=NOW)
    assert look.ttl(key) == -1


async def test_what_expired_is_remembered_for_a_day_and_its_account_with_it(ledger, look):
    await hold(ledger, "r", line(fixed=5, keep_until=NOW + 100))
    await ledger.held("acme", now=NOW + 60)
    for name in ("a:day", "h:r", "gone"):
        assert REMEMBERED_S < look.ttl(ROOT + name) <= REMEMBERED_S + 60
    await ledger.held("acme", now=NOW + 60 + REMEMBERED_S)
    assert look.keys() == [f"{ROOT}a:day".encode()]


async def test_a_top_up_of_what_expired_is_kept_again(ledger, look):
    await hold(ledger, "r", line(fixed=5))
    await hold(ledger, "r", line(fixed=5), now=NOW + 60)
    assert look.ttl(f"{ROOT}h:r") == -1
    assert not look.exists(f"{ROOT}gone")


async def test_what_somebody_else_wrote_there_is_a_refusal(ledger, look):
    look.set(f"{ROOT}a:day", "secret-value")
    with pytest.raises(StoreUnavailable) as refused:
        await hold(ledger, "secret-id", line(fixed=5))
    assert "secret" not in repr(refused.value)
    assert await ledger.held("acme", now=NOW) == 0


async def test_a_full_redis_reserves_nothing_in_part_and_settles_still(ledger, look):
    await hold(ledger, "r", line(fixed=5))
    look.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable, match="OutOfMemoryError"):
            await hold(ledger, "s", line(fixed=7))
        assert await ledger.settle("acme", "r", [(line(), 3)], now=NOW) == Settled((Standing(3),))
    finally:
        look.config_set("maxmemory", "0")
    assert await ledger.read("acme", [account()], now=NOW) == (Standing(3),)


@pytest.mark.parametrize(("policy", "warns"), [("noeviction", False), ("allkeys-lru", True)])
async def test_a_server_that_evicts_is_warned_of(redis_server, look, caplog, policy, warns):
    look.config_set("maxmemory-policy", policy)
    try:
        ledger = await RedisLedger.open(redis_server.url, **PATIENT)
    finally:
        look.config_set("maxmemory-policy", "noeviction")
    assert (f"maxmemory-policy {policy}" in caplog.text) == warns
    await ledger.close()


async def test_who_may_not_look_at_the_settings_is_not_warned(redis_server, look, caplog):
    look.acl_setuser(
        *("penstock", True), passwords=["+secret"], keys=["penstock-*"], commands=["+@all", "-config"]
    )
    try:
        url = f"redis://penstock:secret@127.0.0.1:{redis_server.port}/0"
        ledger = await RedisLedger.open(url, **PATIENT)
        assert await hold(ledger, "r", line(fixed=5)) == Grant(0, (Standing(0, 5),))
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
        await ledger.close()
    finally:
        look.acl_deluser("penstock")


async def test_without_redis_every_method_is_refused_until_it_is_back(own_redis):
    ledger = await RedisLedger.open(own_redis.url, connect_s=10, operation_s=10, probe_s=0.02)
    own_redis.kill()
    for _ in range(3):
        for wait in (
            hold(ledger, "r", line(fixed=5)),
            ledger.settle("acme", "r", [], now=NOW),
            ledger.take("acme", [], now=NOW),
            ledger.renew("acme", [], now=NOW, expires_at=NOW),
            ledger.read("acme", [], now=NOW),
            ledger.reset("acme", [], now=NOW),
            ledger.held("acme", now=NOW),
        ):
            with pytest.raises(StoreUnavailable):
                await wait
    own_redis.start()
    assert await eventually(lambda: hold(ledger, "r", line(fixed=5))) == Grant(0, (Standing(0, 5),))
    await ledger.close()


async def test_a_redis_that_hangs_is_waited_for_no_longer_than_said(own_redis):
    ledger = await RedisLedger.open(own_redis.url, connect_s=0.1, operation_s=0.1, probe_s=0.02)
    own_redis.hang()
    try:
        ends = await asyncio.gather(
            *(hold(ledger, str(n), line(fixed=1)) for n in range(20)), return_exceptions=True
        )
        assert [type(end) for end in ends] == [StoreUnavailable] * 20
    finally:
        own_redis.go_on()
    # What was asked may have happened; it is at most once, and it expires.
    (standing,) = await eventually(lambda: ledger.read("acme", [account()], now=NOW))
    assert standing.reserved in (0, 20)
    (standing,) = await ledger.read("acme", [account()], now=NOW + 60)
    assert standing.reserved == 0
    await ledger.close()


async def test_a_connection_closed_while_idle_is_not_noticed(redis_server, look, ledger):
    await hold(ledger, "r", line(fixed=5))
    for client in others(look):
        look.client_kill_filter(_id=client["id"])
    await asyncio.sleep(0.05)  # the loop sees the end of the connection
    assert await hold(ledger, "r", line(fixed=5)) == Grant(0, (Standing(0, 10),))


def others(look):
    return [client for client in look.client_list() if client["cmd"] != "client|list"]


async def test_cut_connections_charge_nothing_twice(redis_server, look, ledger):
    """Whatever is cut while it is under way is asked for again, as a caller in doubt would."""
    dice, charged, cut = random.Random(4), 0, 0  # noqa: S311
    for round_ in range(40):
        ids = [f"{round_}-{n}" for n in range(30)]
        await asyncio.gather(
            *(eventually(lambda i=i: hold(ledger, i, line(limit=MOST, fixed=9))) for i in ids)
        )
        amounts = {reservation: dice.randint(1, 9) for reservation in ids}

        def settles(amounts=amounts):
            return [
                asyncio.create_task(ledger.settle("acme", reservation, [(line(), amount)], now=NOW))
                for reservation, amount in amounts.items()
            ]

        tasks = settles()
        for _ in range(dice.randint(1, 4)):
            await asyncio.sleep(0)
        for client in others(look):
            look.client_kill_filter(_id=client["id"])
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, Settled | StoreUnavailable) for end in ends)
        doubtful = [i for i, end in zip(ids, ends, strict=True) if isinstance(end, StoreUnavailable)]
        cut += len(doubtful)
        for reservation in doubtful:
            settled = [(line(), amounts[reservation])]
            await eventually(lambda i=reservation, s=settled: ledger.settle("acme", i, s, now=NOW))
        charged += sum(amounts.values())
    assert cut > 0
    # A reservation whose answer was cut was made twice at most; by its settlement all of it is let go.
    assert await ledger.read("acme", [account()], now=NOW) == (Standing(charged),)
    assert await ledger.held("acme", now=NOW) == 0


async def test_what_is_cut_is_never_taken_twice(redis_server, look, ledger):
    tried = done = 0
    for _ in range(60):
        tasks = [asyncio.create_task(ledger.take("acme", [(line(limit=MOST), 1)], now=NOW)) for _ in range(9)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for client in others(look):
            look.client_kill_filter(_id=client["id"])
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        tried += len(ends)
        done += sum(end == (1,) for end in ends)
    (standing,) = await eventually(lambda: ledger.read("acme", [account()], now=NOW))
    assert done <= standing.used <= tried
    assert done < tried


async def test_killed_in_the_middle_of_settlements_and_back_with_its_data(own_redis):
    own_redis.kill()
    own_redis.start(*DURABLE)
    ledger = await RedisLedger.open(own_redis.url, **PATIENT)
    ids, amounts = [str(n) for n in range(400)], {str(n): n % 7 for n in range(400)}
    await asyncio.gather(*(hold(ledger, i, line(limit=MOST, fixed=7)) for i in ids))
    tasks = [asyncio.create_task(ledger.settle("acme", i, [(line(), amounts[i])], now=NOW)) for i in ids]
    await until(lambda: sum(task.done() for task in tasks) > 100)
    own_redis.kill()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    doubtful = [i for i, end in zip(ids, ends, strict=True) if isinstance(end, StoreUnavailable)]
    own_redis.start(*DURABLE)
    for reservation in doubtful:
        settled = [(line(), amounts[reservation])]
        await eventually(lambda i=reservation, s=settled: ledger.settle("acme", i, s, now=NOW))
    assert await ledger.read("acme", [account()], now=NOW) == (Standing(sum(amounts.values())),)
    assert isinstance(await hold(ledger, "new", line(limit=1, fixed=9)), Denial)
    await ledger.close()
