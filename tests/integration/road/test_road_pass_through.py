"""What the chain does not understand streams through untouched."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from gateway_process import Gateway
from wire import Answer, Ask, Wire

from penstock.sample import Running

MB = 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
Both = Callable[..., Awaitable[list[Answer]]]


@pytest.mark.parametrize("stream", [False, True])
async def test_messages_are_the_upstreams_bytes(gateway: Gateway, both: Both, words: str, stream: bool):
    body = {"model": "c", "max_tokens": 9, "messages": [{"role": "user", "content": words}], "stream": stream}
    direct, through = await both(gateway, "/v1/messages", body, headers={"x-api-key": "k"})
    assert through.status == 200
    assert through.body == direct.body
    assert words.encode().split()[0] in through.body
    assert through.headers["content-type"] == direct.headers["content-type"]


async def test_a_pass_through_is_not_cached(gateway: Gateway, sample: Running, ask: Ask, words: str):
    body = {"model": "c", "max_tokens": 9, "messages": [{"role": "user", "content": words}]}
    first, second = [await ask(gateway.port, "/v1/messages", body) for _ in range(2)]
    assert first.status == second.status == 200
    assert sample.calls == 2
    assert "x-dac-cache" not in second.headers


async def test_a_compressed_pass_through_stays_compressed(gateway: Gateway, both: Both, words: str):
    body = {"model": "fault-gzip", "max_tokens": 9, "messages": [{"role": "user", "content": words}]}
    direct, through = await both(gateway, "/v1/messages", body)
    assert through.headers["content-encoding"] == "gzip"
    assert through.body == direct.body
    assert through.body.startswith(b"\x1f\x8b")


@pytest.mark.parametrize("size_bytes", [0, 1024])
async def test_an_upload_arrives_whole(gateway: Gateway, sample: Running, ask: Ask, size_bytes: int):
    raw = bytes(number % 251 for number in range(size_bytes))
    told = await ask(gateway.port, "/v1/files", raw, headers={"content-type": "application/octet-stream"})
    assert sample.requests[0].headers["content-length"] == str(size_bytes)
    assert told.json["bytes"] == size_bytes
    assert told.json["sha256"] == hashlib.sha256(raw).hexdigest()


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_upload_streams_through(gateway: Gateway, sample: Running, chunked: bool):
    piece, pieces = bytes(range(256)) * 256, 1024
    before, peak = gateway.rss_bytes(), 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal peak
        for number in range(pieces):
            yield piece
            if number % 64 == 0:
                peak = max(peak, gateway.rss_bytes())

    headers = {} if chunked else {"content-length": str(pieces * len(piece))}
    async with aiohttp.ClientSession() as session:
        answer = await session.post(gateway.base_url + "/files", data=body(), headers=headers)
        told = await answer.json()
    assert ("content-length" in sample.requests[0].headers) is not chunked
    assert told["bytes"] == 64 * MB
    assert told["sha256"] == hashlib.sha256(piece * pieces).hexdigest()
    assert max(peak, gateway.rss_bytes()) - before < 40 * MB


async def test_an_upload_waits_for_an_upstream_that_does_not_read(
    gateway: Gateway,
    serve_plain: Callable[..., Awaitable[None]],
    connect: Callable[[int], Awaitable[Wire]],
):
    gate, taken = asyncio.Event(), 0

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        await reader.readuntil(b"\r\n\r\n")
        await gate.wait()
        while taken < 64 * MB:
            taken += len(await reader.read(MB))
        writer.write(OK)

    await serve_plain(deaf)
    before, sent, piece = gateway.rss_bytes(), 0, bytes(MB)
    wire = await connect(gateway.port)
    wire.ask("/v1/files", b"", headers={"content-length": str(64 * MB)})
    while sent < 64 * MB:
        wire.writer.write(piece)
        sent += MB
        try:
            await asyncio.wait_for(wire.writer.drain(), 0.5)
        except TimeoutError:
            break
    assert sent < 48 * MB
    assert gateway.rss_bytes() - before < 40 * MB
    gate.set()
    for _ in range(sent, 64 * MB, MB):
        wire.writer.write(piece)
        await wire.writer.drain()
    assert (await wire.answer()).body == b"ok"


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH", "OPTIONS", "PURGE"])
async def test_unknown_paths_and_verbs_are_the_upstreams_business(gateway: Gateway, both: Both, method: str):
    direct, through = await both(gateway, "/v1/files/file-7/content", method=method)
    assert (through.status, through.body) == (404, direct.body)
    assert through.json["error"]["code"] == "unknown_url"
    assert through.headers["x-request-id"] == "req_sample00000001"


async def test_head_has_the_headers_and_no_body(
    gateway: Gateway, sample: Running, connect: Callable[[int], Awaitable[Wire]]
):
    wire = await connect(gateway.port)
    wire.ask("/v1/models", method="HEAD")
    head = await wire.answer(bodiless=True)
    wire.ask("/v1/models")  # were there a body, it would be read as this answer
    listed = await wire.answer()
    assert head.status == 404
    assert listed.status == 200
    assert listed.json["object"] == "list"
    assert [seen.method for seen in sample.requests] == ["HEAD", "GET"]


TARGETS = [
    "/v1/files?limit=2&after=a%2Fb&empty=&flag&x=%20+%2B&x=2",
    "/v1/files/a%2Fb%20c%C3%A9/%41",
    "/v1/files/a;b=c/@:!$&'()*+,=",
    "/v1//files//",
    "/v1/files?q=a?b/c",
    "/v1/files/..a/b../...",
    "/v1/files?path=../../x",
]


@pytest.mark.parametrize("target", TARGETS)
async def test_a_target_reaches_the_upstream_as_it_was_written(
    gateway: Gateway, serve_plain: Callable[..., Awaitable[None]], ask: Ask, target: str
):
    seen: list[str] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head.decode().split(" ")[1])
        writer.write(OK)

    await serve_plain(note)
    told = await ask(gateway.port, target)
    assert told.body == b"ok"
    assert seen == [target]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../admin",
        "/v1/files/../../x",
        "/v1/%2e%2e/admin",
        "/v1/%2E./admin",
        "/v1/files/%2e%2e%2f..%2fx",
        "/v1/..%5cadmin",
        "/v1/..\\admin",
        "/../v1/models",
        "/v1/./models",
        "/v1/files/..;/x",
        "/v1/..",
    ],
)
async def test_dot_segments_are_refused(gateway: Gateway, sample: Running, ask: Ask, path: str):
    told = await ask(gateway.port, path)
    assert told.status == 400
    assert told.json["error"]["code"] == "invalid_path"
    assert sample.calls == 0


async def test_the_key_goes_upstream_and_nothing_of_the_gateway_or_the_browser_does(
    gateway: Gateway, sample: Running, ask: Ask
):
    await ask(
        gateway.port,
        "/v1/files",
        headers={
            "Authorization": "Bearer sk-mine",
            "X-DAC-Thread": "t",
            "X-DAC-Cache": "bypass",
            "Cookie": "session=1",
            "X-Forwarded-For": "10.0.0.1",
            "Proxy-Authorization": "Basic x",
            "Connection": "keep-alive, x-hop",
            "X-Hop": "1",
            "X-Other": "kept",
        },
    )
    (seen,) = sample.requests
    assert seen.headers["authorization"] == "Bearer sk-mine"
    assert seen.headers["x-other"] == "kept"
    hidden = ("x-dac-", "cookie", "x-forwarded-", "proxy-", "x-hop")
    assert not [name for name in seen.headers if name.lower().startswith(hidden)]
    assert seen.headers.getall("host") == [f"127.0.0.1:{sample.port}"]


async def test_a_websocket_is_passed_both_ways(gateway: Gateway, sample: Running):
    headers = {"Authorization": "Bearer sk-mine", "Cookie": "a=b", "X-DAC-Thread": "t"}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            gateway.base_url + "/realtime?model=gpt-realtime", headers=headers, protocols=("realtime",)
        ) as socket,
    ):
        assert socket.protocol == "realtime"
        for number in range(50):
            await socket.send_str(f"text {number} é")
            assert await socket.receive_str(timeout=5) == f"text {number} é"
        await socket.send_bytes(bytes(MB))
        assert await socket.receive_bytes(timeout=5) == bytes(MB)
        await socket.close(code=4001, message=b"done")
    (seen,) = sample.requests
    assert (seen.path, seen.query) == ("/v1/realtime", "model=gpt-realtime")
    assert seen.headers["authorization"] == "Bearer sk-mine"
    assert not [name for name in seen.headers if name.lower().startswith(("x-dac-", "cookie"))]


async def test_a_websockets_upstream_learns_that_the_client_left(
    gateway: Gateway, sample: Running, until: Callable[..., Awaitable[None]]
):
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(gateway.base_url + "/realtime")
        await socket.send_str("hello")
        assert await socket.receive_str(timeout=5) == "hello"
        assert sample.open_connections == 1
    await until(lambda: sample.open_connections == 0, within_s=1)


async def test_a_websocket_to_an_upstream_that_is_down_is_refused_in_json(gateway: Gateway, ask: Ask):
    headers = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-version": "13",
    }
    told = await ask(gateway.port, "/v1/realtime", headers=headers)
    assert told.status == 502
    assert told.json["error"]["code"] == "upstream_unreachable"


async def test_an_upstream_that_is_down_is_a_502_in_openais_shape(
    gateway: Gateway, ask: Ask, chat: dict[str, Any]
):
    for path, body in (("/v1/files", None), ("/v1/chat/completions", chat), ("/v1/models", None)):
        told = await ask(gateway.port, path, body)
        assert told.status == 502
        assert told.json["error"]["code"] == "upstream_unreachable"
        assert told.headers["x-request-id"].startswith("req_")
