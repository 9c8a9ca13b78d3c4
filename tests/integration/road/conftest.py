import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from gateway_process import Gateway
from openai import AsyncOpenAI

from penstock.sample import Running, Settings, serve
from penstock.testing import FrozenClock

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode puts no folder there

from wire import Answer, Ask, Wire

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
QUICK = Settings(drip_ms=0, slow_ms=50, held_ms=200)

SWIFT_UPSTREAMS = """
default: sample
upstreams:
  sample:
    url: http://replaced.test/v1
    timeouts: {connect_s: 1, first_byte_s: 1, between_events_s: 1, total_s: 5}
"""
KEEPING_CACHE = """
on_failure: skip
ttl_s: 3600
ttl_by_endpoint: {completions: 1}
tool_calls: true
several_choices: true
max_temperature: 1.5
"""
_numbers = count()


@pytest.fixture(scope="session")
def swift(start_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway that does not wait long for its upstream."""
    return start_gateway("swift", upstreams=SWIFT_UPSTREAMS)


@pytest.fixture(scope="session")
def keeping(start_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway whose cache keeps more than the shipped one, and completions for a second."""
    return start_gateway("keeping", cache=KEEPING_CACHE)


@pytest.fixture
def words() -> str:
    """A text that no other test has said, so that no other test's answer is given again."""
    return f"hello from test {next(_numbers)}"


@pytest.fixture
def chat(words: str) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": words}]}


@pytest.fixture
async def start_sample(upstream_port: int) -> AsyncIterator[Callable[..., Awaitable[Running]]]:
    """Start the sample upstream where the gateways expect it, with settings of the test's own."""
    started: list[Running] = []

    async def start(**settings: Any) -> Running:
        started.append(await serve(port=upstream_port, settings=replace(QUICK, **settings)))
        return started[-1]

    yield start
    for running in started:
        await running.stop()


@pytest.fixture
async def sample(start_sample: Callable[..., Awaitable[Running]]) -> Running:
    return await start_sample()


@pytest.fixture
async def serve_plain(upstream_port: int) -> AsyncIterator[Callable[[Talk], Awaitable[None]]]:
    """Serve a scripted upstream where the gateways expect theirs; it stops with the test."""
    started: list[asyncio.Server] = []

    async def serve_with(talk: Talk) -> None:
        async def talk_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await talk(reader, writer)
            writer.close()

        started.append(await asyncio.start_server(talk_and_close, "127.0.0.1", upstream_port))

    yield serve_with
    for server in started:
        server.close()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[int], Awaitable[Wire]]]:
    """Open plain connections by port; they close with the test."""
    opened: list[Wire] = []

    async def to(port: int) -> Wire:
        opened.append(await Wire.to(port))
        return opened[-1]

    yield to
    for wire in opened:
        wire.leave()


@pytest.fixture
def ask(connect: Callable[[int], Awaitable[Wire]]) -> Ask:
    """Ask a port once, on a connection of its own, and give the whole answer."""

    async def once(port: int, path: str, body: Any = None, **more: Any) -> Answer:
        wire = await connect(port)
        wire.ask(path, body, **more)
        answer = await wire.answer(bodiless=more.get("method") == "HEAD")
        wire.leave()
        return answer

    return once


@pytest.fixture
def both(start_sample: Callable[..., Awaitable[Running]], ask: Ask) -> Callable[..., Awaitable[list[Answer]]]:
    """Ask the upstream itself and then through a gateway, each as its first call at the same moment."""

    async def twice(gateway: Gateway, path: str, body: Any = None, **more: Any) -> list[Answer]:
        answers = []
        for port in (None, gateway.port):
            sample = await start_sample(clock=FrozenClock())
            answers.append(await ask(port or sample.port, path, body, **more))
            await sample.stop()
        return answers

    return twice


@pytest.fixture
async def client(gateway: Gateway, sample: Running) -> AsyncIterator[AsyncOpenAI]:
    """The SDK as its users have it, behind the gateway."""
    async with AsyncOpenAI(base_url=gateway.base_url, api_key="sk-test") as sdk:
        yield sdk


@pytest.fixture
async def direct(sample: Running) -> AsyncIterator[AsyncOpenAI]:
    """The same SDK, straight at the upstream."""
    async with AsyncOpenAI(base_url=sample.url, api_key="sk-test") as sdk:
        yield sdk


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """Wait until something has come true."""

    async def wait(come_true: Callable[[], bool], within_s: float = 10.0) -> None:
        async with asyncio.timeout(within_s):
            while not come_true():  # noqa: ASYNC110 - nobody would set an event for it
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture
async def ended(
    gateway: Gateway, ask: Ask, until: Callable[..., Awaitable[None]]
) -> Callable[..., Awaitable[Any]]:
    """Give the log lines of the exchanges that this test made, once there are `n` of them."""
    before = len(gateway.exchanges)
    await ask(gateway.port, "/v1/../a-refusal-that-ends-what-tests-before-have-logged")
    await until(lambda: any(line["status"] == 400 for line in gateway.exchanges[before:]))
    before = len(gateway.exchanges)

    async def lines(n: int = 1) -> list[dict[str, Any]]:
        await until(lambda: len(gateway.exchanges) >= before + n)
        return gateway.exchanges[before:]

    return lines
