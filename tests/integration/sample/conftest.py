import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import msgspec
import pytest
from openai import AsyncOpenAI

from penstock.sample import Running, Settings, serve

FAST = Settings(drip_ms=0, slow_ms=20, held_ms=20)
Start = Callable[..., Awaitable[Running]]
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello there"}]}


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Wait until something has come true."""

    async def wait(come_true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not come_true():  # noqa: ASYNC110 - nobody would set an event for it
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start servers with settings of the test's own; they stop with it."""
    started: list[Running] = []

    async def with_settings(**settings: Any) -> Running:
        started.append(await serve(settings=replace(FAST, **settings)))
        return started[-1]

    yield with_settings
    for running in started:
        await running.stop()


@pytest.fixture
async def sample(start: Start) -> Running:
    return await start()


@pytest.fixture
async def web() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def client(sample: Running) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=sample.url, api_key="sk-x", max_retries=0) as sdk:
        yield sdk


@dataclass
class Wire:
    """A plain TCP connection on which a test sees every byte and how it ended."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def post(self, path: str, body: Any) -> None:
        raw = msgspec.json.encode(body)
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        self.writer.write(f"{head}content-length: {len(raw)}\r\n\r\n".encode() + raw)

    async def silent(self) -> bool:
        """Whether nothing arrives for a moment."""
        try:
            await asyncio.wait_for(self.reader.readexactly(1), 0.1)
        except TimeoutError:
            return True
        return False

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), headers

    async def chunk(self) -> bytes:
        """Read one chunk of a chunked body; empty for the last."""
        size = int(await self.reader.readline(), 16)
        data = await self.reader.readexactly(size)
        assert await self.reader.readexactly(2) == b"\r\n"
        return data

    async def chunks(self) -> list[bytes]:
        """Read all chunks of a body that ends properly."""
        found = []
        while chunk := await self.chunk():
            found.append(chunk)
        return found


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[Running], Awaitable[Wire]]]:
    """Open plain connections; they close with the test."""
    opened: list[Wire] = []

    async def to(running: Running) -> Wire:
        opened.append(Wire(*await asyncio.open_connection(running.host, running.port, limit=8 * 1024 * 1024)))
        return opened[-1]

    yield to
    for wire in opened:
        wire.writer.close()


@pytest.fixture
async def wire(sample: Running, connect: Callable[[Running], Awaitable[Wire]]) -> Wire:
    return await connect(sample)


@pytest.fixture
def chat() -> dict[str, Any]:
    return dict(CHAT)


@pytest.fixture
def chat_stream() -> dict[str, Any]:
    return {**CHAT, "stream": True}
