"""The flow of a stream: nothing is held back, nothing runs ahead, and who leaves is missed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from gateway_process import Gateway
from wire import Wire

from penstock.sample import Running

Connect = Callable[[int], Awaitable[Wire]]
Until = Callable[..., Awaitable[None]]
Ended = Callable[..., Awaitable[list[dict[str, Any]]]]
MB = 1024 * 1024
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
NEXT_S = 10  # only a test that fails waits so long


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _event(number: int, finish: str = "null") -> bytes:
    delta = b'{"index":0,"delta":{"content":"w%d"},"finish_reason":%s}' % (number, finish.encode())
    return b'data: {"id":"c","object":"chat.completion.chunk","model":"m","choices":[%s]}\n\n' % delta


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_an_event_reaches_the_client_before_the_next_one_is_sent(
    gateway: Gateway,
    serve_plain: Callable[..., Awaitable[None]],
    connect: Connect,
    chat: dict[str, Any],
    path: str,
):
    """The upstream sends an event only once the client has the one before: whoever buffers stops it all."""
    has_it = asyncio.Semaphore(0)

    async def in_step(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        for number in range(20):
            await has_it.acquire()
            writer.write(_chunk(_event(number)))
        await has_it.acquire()
        writer.write(_chunk(_event(20, '"stop"')) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    await serve_plain(in_step)
    wire = await connect(gateway.port)
    wire.ask(path, {**chat, "stream": True})
    async with asyncio.timeout(NEXT_S):
        assert await wire.head() == 200  # the head comes before any event is sent
        pieces = wire.pieces()
        for number in range(20):
            has_it.release()
            assert await anext(pieces) == _event(number)
        has_it.release()
        rest = b"".join([piece async for piece in pieces])
    assert rest == _event(20, '"stop"') + b"data: [DONE]\n\n"


async def test_half_an_event_waits_for_its_other_half_and_nothing_else_does(
    gateway: Gateway, serve_plain: Callable[..., Awaitable[None]], connect: Connect, chat: dict[str, Any]
):
    has_it = asyncio.Event()

    async def halves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        second = _event(1, '"stop"')
        writer.write(HEAD + _chunk(_event(0) + second[:30]))
        await has_it.wait()
        writer.write(_chunk(second[30:] + b"data: [DONE]\n\n") + b"0\r\n\r\n")

    await serve_plain(halves)
    wire = await connect(gateway.port)
    wire.ask("/v1/chat/completions", {**chat, "stream": True})
    async with asyncio.timeout(NEXT_S):
        await wire.head()
        pieces = wire.pieces()
        assert await anext(pieces) == _event(0)
        has_it.set()
        assert b"".join([piece async for piece in pieces]) == _event(1, '"stop"') + b"data: [DONE]\n\n"


async def test_what_arrived_before_a_cut_reaches_even_a_slow_client(
    gateway: Gateway, serve_plain: Callable[..., Awaitable[None]], connect: Connect, chat: dict[str, Any]
):
    large = _event(0).replace(b"w0", b"w" * 16 * MB)
    cut = asyncio.Event()

    async def large_then_cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + _chunk(large))
        await writer.drain()
        await asyncio.sleep(0.3)  # the gateway has it by now and waits for the client
        writer.write(_chunk(_event(1)) + _chunk(_event(2)))
        writer.close()
        cut.set()

    await serve_plain(large_then_cut)
    wire = await connect(gateway.port)
    wire.writer.transport.pause_reading()
    wire.ask("/v1/chat/completions", {**chat, "stream": True}, headers={"X-DAC-Cache": "bypass"})
    async with asyncio.timeout(NEXT_S):
        await cut.wait()
        await asyncio.sleep(0.2)
        wire.writer.transport.resume_reading()
        told = await wire.answer()
    assert len(told.body) > len(large)
    assert told.body[len(large) :].startswith(_event(1) + _event(2))
    assert [error["code"] for error in told.errors] == ["upstream_stream_truncated"]


@pytest.mark.parametrize("cache", ["bypass", ""], ids=["alone", "shareable"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_a_client_that_does_not_read_stops_the_upstream(
    gateway: Gateway, sample: Running, chat: dict[str, Any], until: Until, path: str, cache: str
):
    before = gateway.rss_bytes()
    wire = await Wire.to(gateway.port, limit=64 * 1024)
    body = {**chat, "model": "fault-endless", "stream": True, "max_tokens": 9}
    wire.ask(path, body, headers={"X-DAC-Cache": cache} if cache else None)
    await wire.head()
    read = 0
    async for piece in wire.pieces():
        read += len(piece)
        if read > 64 * 1024:
            break
    wire.writer.transport.pause_reading()
    await asyncio.sleep(1)
    settled = sample.taken_bytes
    await asyncio.sleep(1)
    assert sample.taken_bytes == settled
    assert 0 < settled < 48 * MB  # nearly all of it in the kernel's buffers for two connections
    assert gateway.rss_bytes() - before < 40 * MB
    wire.writer.transport.abort()
    await until(lambda: sample.open_connections == 0, within_s=1)


LEAVES = [("hang-headers", True), ("hang-3", True), ("hang", True), ("hang", False), ("hang-headers", False)]


@pytest.mark.parametrize("cache", ["bypass", ""], ids=["alone", "shareable"])
@pytest.mark.parametrize(("fault", "stream"), LEAVES)
async def test_a_client_that_leaves_ends_the_upstream_call(
    gateway: Gateway,
    sample: Running,
    connect: Connect,
    chat: dict[str, Any],
    until: Until,
    ended: Ended,
    fault: str,
    stream: bool,
    cache: str,
):
    wire = await connect(gateway.port)
    body = {**chat, "model": f"fault-{fault}", "stream": stream}
    wire.ask("/v1/chat/completions", body, headers={"X-DAC-Cache": cache} if cache else None)
    await until(lambda: sample.calls == 1)
    if fault == "hang-3":
        await wire.head()
        seen, pieces = b"", wire.pieces()
        while b"said" not in seen:  # the third event, however the first ones were joined
            seen += await anext(pieces)
    wire.leave()
    await until(lambda: sample.open_connections == 0, within_s=1)
    (line,) = await ended()
    assert line["error"] == "client_left"
    assert line.get("outcome", "abandoned") == "abandoned"


async def test_a_client_that_leaves_an_upload_or_an_unknown_path_ends_the_call(
    gateway: Gateway, sample: Running, connect: Connect, until: Until, ended: Ended
):
    for path in ("/v1/files", "/v1/messages"):
        wire = await connect(gateway.port)
        wire.ask(path, b"half", headers={"content-length": "100000"})
        await until(lambda: sample.open_connections == 1)
        wire.leave()
        await until(lambda: sample.open_connections == 0, within_s=1)
    assert [line["error"] for line in await ended(2)] == ["client_left"] * 2


async def test_a_client_that_leaves_right_after_the_end_mark_has_not_left(
    gateway: Gateway, sample: Running, connect: Connect, chat: dict[str, Any], ended: Ended
):
    """The Python SDK does so: it closes at `[DONE]` and does not read what ends the body."""
    wire = await connect(gateway.port)
    wire.ask("/v1/chat/completions", {**chat, "model": "fault-held", "stream": True})
    await wire.head()
    async for piece in wire.pieces():
        if b"[DONE]" in piece:
            break
    wire.leave()
    (line,) = await ended()
    assert "error" not in line
    assert line["outcome"] == "complete"
    assert line["output_tokens"] > 0


async def test_what_was_read_to_the_end_mark_is_kept_although_the_client_left(
    gateway: Gateway, sample: Running, connect: Connect, chat: dict[str, Any], ended: Ended
):
    for number, expected in enumerate(("miss", "hit"), start=1):
        wire = await connect(gateway.port)
        wire.ask("/v1/chat/completions", {**chat, "model": "fault-held", "stream": True})
        await wire.head()
        assert wire.headers["x-dac-cache"] == expected
        async for piece in wire.pieces():
            if b"[DONE]" in piece:
                break
        wire.leave()
        await ended(number)
    assert sample.calls == 1


async def test_a_connection_serves_one_request_after_the_other(
    gateway: Gateway, sample: Running, connect: Connect, chat: dict[str, Any]
):
    wire = await connect(gateway.port)
    for number in range(10):
        wire.ask("/v1/chat/completions", {**chat, "seed": number, "stream": number % 2 == 0})
        told = await wire.answer()
        assert (told.status, told.clean) == (200, True)
    assert sample.calls == 10
    assert sample.connections == 1  # and upstream, too, one connection is enough


async def test_pipelined_requests_are_answered_in_order(
    gateway: Gateway, sample: Running, connect: Connect, chat: dict[str, Any]
):
    wire = await connect(gateway.port)
    for number in range(3):
        content = f"{chat['messages'][0]['content']} pipe {number}"
        wire.ask("/v1/chat/completions", {**chat, "messages": [{"role": "user", "content": content}]})
    for number in range(3):
        told = await wire.answer()
        assert told.json["choices"][0]["message"]["content"].endswith(f"pipe {number}")
