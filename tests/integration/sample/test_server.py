"""What the server records, its headers, and the endpoints that no OpenAI SDK reads."""

import asyncio
import gzip
import hashlib

import aiohttp
import pytest

from penstock.openai.sse import Parser
from penstock.sample import Running, serve


async def test_requests_are_recorded_as_they_came(sample: Running, web: aiohttp.ClientSession, chat: dict):
    async with web.post(
        sample.url + "/chat/completions?api-version=2026&x=%20y", json=chat, headers={"X-Custom": "one"}
    ) as answer:
        assert answer.status == 200
    (seen,) = sample.requests
    assert (seen.method, seen.path, seen.query) == (
        "POST",
        "/v1/chat/completions",
        "api-version=2026&x=%20y",
    )
    assert seen.headers["x-custom"] == "one"
    assert seen.json == chat
    assert seen.peer_port not in (0, sample.port)
    assert seen.at > 1_700_000_000


async def test_calls_and_connections_are_counted_apart(sample: Running, web: aiohttp.ClientSession):
    ports = set()
    for path in ("/models", "/models/gpt-4o", "/no/such/path"):
        async with web.get(sample.url + path) as answer:
            await answer.read()
        ports.add(sample.requests[-1].peer_port)
    assert (sample.calls, sample.connections, len(ports)) == (3, 1, 1)
    sample.reset()
    assert (sample.calls, sample.connections, sample.requests) == (0, 0, [])


async def test_health_tells_the_counts_and_is_not_counted(sample: Running, web: aiohttp.ClientSession):
    health = sample.url.removesuffix("/v1") + "/health"
    async with web.get(sample.url + "/models") as answer:
        await answer.read()
    async with web.get(health) as answer:
        told = await answer.json()
    assert told == {"status": "ok", "calls": 1, "connections": 1, "taken_bytes": 0}
    assert sample.calls == 1


async def test_headers_of_openai_come_with_answers_streams_and_errors(
    sample: Running, web: aiohttp.ClientSession, chat: dict, chat_stream: dict
):
    ids, left = [], []
    for body in (chat, chat_stream, {"model": "m"}, {**chat, "model": "fault-500"}):
        async with web.post(sample.url + "/chat/completions", json=body) as answer:
            assert answer.headers["openai-version"] == "2020-10-01"
            assert int(answer.headers["openai-processing-ms"]) > 0
            assert answer.headers["x-ratelimit-limit-requests"] == "10000"
            ids.append(answer.headers["x-request-id"])
            left.append(int(answer.headers["x-ratelimit-remaining-requests"]))
    assert len(set(ids)) == 4
    assert left == [9999, 9998, 9997, 9996]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/nothing"),
        ("GET", "/v1"),
        ("GET", "/"),
        ("POST", "/chat/completions"),
        ("POST", "/fault/500/chat/completions"),
    ],
)
async def test_unknown_paths_are_404_in_openais_shape(
    sample: Running, web: aiohttp.ClientSession, method: str, path: str
):
    async with web.request(method, sample.url.removesuffix("/v1") + path, json={}) as answer:
        assert answer.status == 404
        error = (await answer.json())["error"]
    assert (error["code"], error["type"]) == ("unknown_url", "invalid_request_error")
    assert sample.requests[-1].path == path


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b"\xff"])
async def test_bodies_that_are_no_object_are_refused(sample: Running, web: aiohttp.ClientSession, raw: bytes):
    async with web.post(sample.url + "/responses", data=raw) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["code"] == "invalid_json"
    assert sample.requests[-1].body == raw


@pytest.mark.parametrize("header", ["authorization", "api-key", "x-api-key"])
async def test_the_key_may_come_in_three_headers(start, web: aiohttp.ClientSession, header: str):
    running = await start(key="sk-right")
    bearer = "Bearer " if header == "authorization" else ""
    for key, status in (("sk-right", 200), ("sk-wrong", 401), ("", 401)):
        async with web.get(running.url + "/models", headers={header: bearer + key}) as answer:
            assert answer.status == status
    async with web.get(running.url + "/models") as answer:
        assert answer.status == 401
    async with web.get(running.url.removesuffix("/v1") + "/health") as answer:
        assert answer.status == 200


async def test_an_upload_of_many_megabytes_is_counted_and_not_kept(
    sample: Running, web: aiohttp.ClientSession
):
    digest = hashlib.sha256()

    async def pieces():
        for number in range(320):
            piece = bytes([number % 256]) * 65_536
            digest.update(piece)
            yield piece

    async with web.post(sample.url + "/files", data=pieces()) as answer:
        told = await answer.json()
    assert told["bytes"] == 320 * 65_536
    assert told["sha256"] == digest.hexdigest()
    assert sample.requests[-1].body == b""


async def test_a_client_that_waits_for_100_continue_gets_it(sample: Running, web: aiohttp.ClientSession):
    async with web.post(sample.url + "/files", data=b"abc", expect100=True) as answer:
        assert (await answer.json())["bytes"] == 3


async def test_anthropics_messages_plain_and_streamed(
    sample: Running, web: aiohttp.ClientSession, chat: dict, chat_stream: dict
):
    async with web.post(sample.url + "/messages", json=chat) as answer:
        assert (await answer.json())["content"][0]["text"] == "You said: hello there"
    async with web.post(sample.url + "/messages", json=chat_stream) as answer:
        events = Parser().feed(await answer.read())
    assert (events[0].name, events[-1].name) == ("message_start", "message_stop")


async def test_the_websocket_echoes_text_and_bytes(sample: Running, web: aiohttp.ClientSession):
    async with web.ws_connect(sample.url + "/realtime?model=m", protocols=("realtime",)) as socket:
        assert socket.protocol == "realtime"
        await socket.send_str("grüezi")
        assert await socket.receive_str() == "grüezi"
        await socket.send_bytes(b"\x00\xff")
        assert await socket.receive_bytes() == b"\x00\xff"


async def test_every_event_is_a_chunk_of_its_own(wire, chat_stream: dict):
    wire.post("/v1/chat/completions", chat_stream)
    status, headers = await wire.head()
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    chunks = await wire.chunks()
    assert len(chunks) == 7
    assert all(chunk.startswith(b"data: ") and chunk.endswith(b"\n\n") for chunk in chunks)


async def test_the_connection_serves_again_after_a_stream(wire, sample: Running, chat_stream: dict):
    for _ in range(3):
        wire.post("/v1/chat/completions", chat_stream)
        await wire.head()
        assert (await wire.chunks())[-1] == b"data: [DONE]\n\n"
    assert (sample.calls, sample.connections) == (3, 1)


@pytest.mark.parametrize("streamed", [False, True])
async def test_first_ms_passes_before_an_answer_begins(start, connect, chat: dict, streamed: bool):
    wire = await connect(await start(first_ms=60_000))
    wire.post("/v1/chat/completions", {**chat, "stream": streamed})
    if streamed:
        _, headers = await wire.head()
        assert headers["openai-processing-ms"] == "60000"
    assert await wire.silent()


async def test_delay_ms_passes_between_events(start, connect, chat_stream: dict):
    wire = await connect(await start(delay_ms=60_000))
    wire.post("/v1/chat/completions", chat_stream)
    await wire.head()
    assert b'"role":"assistant"' in await wire.chunk()
    assert await wire.silent()


async def test_a_paced_answer_is_whole(start, web: aiohttp.ClientSession, chat_stream: dict):
    running = await start(first_ms=1, delay_ms=1)
    async with web.post(running.url + "/chat/completions", json=chat_stream) as answer:
        assert len(Parser().feed(await answer.read())) == 7


async def test_a_compressed_request_is_recorded_as_it_came(sample: Running, web: aiohttp.ClientSession):
    squeezed = gzip.compress(b'{"model":"m"}')
    headers = {"content-encoding": "gzip"}
    async with web.post(sample.url + "/responses", data=squeezed, headers=headers) as answer:
        assert answer.status == 400
    assert sample.requests[-1].body == squeezed


async def test_the_same_request_gives_the_same_answer_but_for_id_and_time(
    sample: Running, web: aiohttp.ClientSession, chat: dict
):
    told = []
    for _ in range(2):
        async with web.post(sample.url + "/chat/completions", json=chat) as answer:
            told.append(await answer.json())
    for one in told:
        one.pop("id")
        one.pop("created")
    assert told[0] == told[1]


async def test_stop_ends_answers_that_hang_and_frees_the_port(web: aiohttp.ClientSession, chat: dict, until):
    running = await serve()
    hanging = asyncio.create_task(
        web.post(running.fault_url("hang") + "/chat/completions", json=chat).__aenter__()
    )
    await until(lambda: running.calls == 1)
    await running.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await hanging
    again = await serve(port=running.port)
    await again.stop()


async def test_a_taken_port_is_told(sample: Running):
    with pytest.raises(OSError, match="address already in use"):
        await serve(port=sample.port)


async def test_an_ipv6_address_stands_in_brackets():
    assert Running(host="::1", port=8000).url == "http://[::1]:8000/v1"
