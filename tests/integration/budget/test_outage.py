"""Redis goes in the middle: a clear answer, a quick return, and nothing lost."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from budget_house import Client, Fleet, asked_of, chat, tokens, usage_of
from tests.integration.house.house_parts import RedisProcess, needs

LIMIT = tokens(100_000)


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """A Redis that keeps every write, and that these tests may break."""
    needs("redis-server")
    server = RedisProcess(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def shaky(new_fleet: Callable[..., Fleet], own_redis: RedisProcess) -> Iterator[Fleet]:
    fleet = new_fleet({"acme": {"limits": [LIMIT]}, "hung": {"limits": [LIMIT]}}, store=own_redis.url)
    yield fleet
    fleet.stop()


async def until_200(client: Client, text: str) -> None:
    while (await client.ask(chat(text), **{"x-dac-cache": "bypass"})).status != 200:  # noqa: ASYNC110 - nobody would set an event for it
        await asyncio.sleep(0.05)


@pytest.mark.timeout(90)
async def test_redis_dies_and_comes_back(shaky: Fleet, own_redis: RedisProcess) -> None:
    async with shaky.client("acme") as client:
        await until_200(client, "before")
        under_way = asyncio.create_task(client.ask(chat("midway " + "w " * 150, stream=True)))
        while not asked_of(shaky.upstream.running.requests, "midway"):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
        own_redis.signal(signal.SIGKILL)
        refused = [await client.ask(chat(f"refused {number}")) for number in range(3)]
        finished = await under_way
        await asyncio.to_thread(own_redis.start)
        async with asyncio.timeout(5):
            await until_200(client, "after")
    assert {told.status for told in refused} == {503}
    assert {told.code for told in refused} == {"budget_unavailable"}
    assert b"[DONE]" in finished.body
    standing = await shaky.settled("acme", LIMIT, within_s=10)
    calls = [
        call
        for marker in ("before", "midway", "after")
        for call in asked_of(shaky.upstream.running.requests, f'"content":"{marker}')
    ]
    assert not asked_of(shaky.upstream.running.requests, "refused")
    assert standing.used == sum(map(usage_of, calls))
    assert standing.expired == 0


@pytest.mark.timeout(90)
async def test_redis_hangs_for_a_while(shaky: Fleet, own_redis: RedisProcess) -> None:
    async with shaky.client("hung") as client:
        await until_200(client, "hanging first")
        own_redis.signal(signal.SIGSTOP)
        try:
            refused = await client.ask(chat("hanging refused"))
        finally:
            own_redis.signal(signal.SIGCONT)
        async with asyncio.timeout(5):
            await until_200(client, "hanging last")
    assert (refused.status, refused.code) == (503, "budget_unavailable")
    standing = await shaky.settled("hung", LIMIT, within_s=15)
    assert standing.used == sum(map(usage_of, asked_of(shaky.upstream.running.requests, "hanging")))


def test_the_folder_holds_nothing_that_was_said(shaky: Fleet, own_redis: RedisProcess) -> None:
    files = [path for folder in (shaky.state, own_redis.folder) for path in Path(folder).rglob("*")]
    assert [path for path in files if path.is_file()]
    assert not [path for path in files if path.is_file() and b"hanging" in path.read_bytes()]
