"""Faults of streams, chunk by chunk on a plain socket."""

import asyncio
import zlib

import aiohttp
import msgspec
import pytest

from penstock.openai.sse import DONE, Event, Parser
from penstock.sample import Running, faults
from penstock.sample.faults import bends

PATH = "/fault/{}/v1/chat/completions"
EVENTS = 7
"""What a good stream of the fixtures' question has: role, four words, finish, [DONE]."""


def read(raw: bytes) -> list[Event]:
    parser = Parser()
    return parser.feed(raw) + parser.end()


def text_of(events: list[Event]) -> str:
    choices = [event.json["choices"][0] for event in events if event.json and event.json.get("choices")]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def events_of(web: aiohttp.ClientSession, sample: Running, scenario: str, body: dict) -> list[Event]:
    async with web.post(sample.fault_url(scenario) + "/chat/completions", json=body) as answer:
        assert answer.status == 200
        return read(await answer.read())


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_cut_closes_in_the_middle_of_the_body(wire, chat_stream: dict, after: int):
    wire.post(PATH.format(f"cut-{after}"), chat_stream)
    await wire.head()
    chunks = [await wire.chunk() for _ in range(after)]
    assert len(read(b"".join(chunks))) == after
    assert await wire.reader.read() == b""


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_reset_resets_after_the_events_have_arrived(wire, chat_stream: dict, after: int):
    wire.post(PATH.format(f"reset-{after}"), chat_stream)
    await wire.head()
    assert len([await wire.chunk() for _ in range(after)]) == after
    with pytest.raises(ConnectionResetError):
        await wire.reader.read(1)


@pytest.mark.parametrize("after", [0, 3])
async def test_hang_sends_no_more_events(wire, chat_stream: dict, after: int):
    wire.post(PATH.format(f"hang-{after}"), chat_stream)
    await wire.head()
    assert len([await wire.chunk() for _ in range(after)]) == after
    assert await wire.silent()


@pytest.mark.parametrize("after", [0, 3, 99])
async def test_end_ends_properly_and_the_connection_serves_again(wire, chat_stream: dict, after: int):
    for _ in range(2):
        wire.post(PATH.format(f"end-{after}"), chat_stream)
        await wire.head()
        assert len(await wire.chunks()) == min(after, EVENTS)


@pytest.mark.parametrize(
    ("scenario", "setting", "before"),
    [("held", "held_ms", EVENTS), ("slow-first", "slow_ms", 0), ("drip", "drip_ms", 0)],
)
async def test_a_pause_comes_in_its_place_and_then_the_rest(
    start, connect, chat_stream: dict, scenario: str, setting: str, before: int
):
    slow = await connect(await start(**{setting: 60_000}))
    slow.post(PATH.format(scenario), chat_stream)
    assert (await slow.head())[0] == 200
    assert len([await slow.chunk() for _ in range(before)]) == before
    assert await slow.silent()
    quick = await connect(await start(**{setting: 1}))
    quick.post(PATH.format(scenario), chat_stream)
    await quick.head()
    assert len(read(b"".join(await quick.chunks()))) == EVENTS


@pytest.mark.parametrize("scenario", ["drip", "single-bytes"])
async def test_drip_and_single_bytes_send_bytes_one_by_one(wire, chat_stream: dict, scenario: str):
    wire.post(PATH.format(scenario), chat_stream)
    await wire.head()
    chunks = await wire.chunks()
    assert {len(chunk) for chunk in chunks} == {1}
    whose = bends.MULTI_BYTE if scenario == "single-bytes" else "You"
    assert text_of(read(b"".join(chunks))) == f"{whose} said: hello there"


@pytest.mark.parametrize(("coding", "bits"), [("gzip", 31), ("deflate", 15)])
async def test_compressed_streams_are_flushed_at_every_event(wire, chat_stream: dict, coding: str, bits: int):
    wire.post(PATH.format(coding), chat_stream)
    _, headers = await wire.head()
    assert headers["content-encoding"] == coding
    chunks = await wire.chunks()
    inflate = zlib.decompressobj(wbits=bits)
    blocks = [inflate.decompress(chunk) for chunk in chunks]
    assert all(block.endswith(b"\n\n") for block in blocks[:EVENTS])
    assert blocks[EVENTS:] == [b""]
    assert inflate.eof
    assert text_of(read(b"".join(blocks))) == "You said: hello there"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_plain_answers_are_compressed_too(sample: Running, web, chat: dict, coding: str):
    async with web.post(sample.fault_url(coding) + "/chat/completions", json=chat) as answer:
        assert answer.headers["content-encoding"] == coding
        told = await answer.json()
    assert told["choices"][0]["message"]["content"] == "You said: hello there"


async def test_endless_counts_what_is_taken_and_waits_for_a_client_that_takes_nothing(
    wire, sample: Running, chat_stream: dict
):
    wire.post(PATH.format("endless"), chat_stream)
    await wire.head()
    first = await wire.chunk()
    assert read(first)[0].json["choices"][0]["delta"]["content"]
    for _ in range(200):
        await wire.chunk()
    stalled = await settled(sample)
    assert stalled > 200 * len(first)
    for _ in range(20_000):
        await wire.chunk()
    assert sample.taken_bytes > 20_000 * len(first)
    wire.writer.close()
    ended = await settled(sample)
    await asyncio.sleep(0.05)
    assert sample.taken_bytes == ended


async def settled(sample: Running) -> int:
    """Wait until the server can't get rid of any more bytes."""
    before = -1
    async with asyncio.timeout(20):
        while sample.taken_bytes != before:
            before = sample.taken_bytes
            await asyncio.sleep(0.1)
    return before


async def test_wrong_type_is_a_good_stream_under_another_name(wire, chat_stream: dict):
    wire.post(PATH.format("wrong-type"), chat_stream)
    assert (await wire.head())[1]["content-type"] == "text/plain"
    assert len(await wire.chunks()) == EVENTS


async def test_usage_rides_on_the_finish_chunk_unasked(sample: Running, web, chat_stream: dict):
    events = await events_of(web, sample, "usage-on-finish", chat_stream)
    (last,) = [event for event in events if event.json and event.json["choices"][0]["finish_reason"]]
    assert last.json["usage"]["total_tokens"] == 6
    assert events[-1].data == DONE


async def test_a_huge_event_is_one_event(sample: Running, web, chat_stream: dict):
    events = await events_of(web, sample, "huge-event-2", chat_stream)
    assert len(events) == EVENTS
    assert max(len(event.raw) for event in events) > 2 * 1_048_576


@pytest.mark.parametrize(
    ("scenario", "blocks", "part"),
    [
        ("error-2", 3, b'data: {"error":'),
        ("error-0", 1, b'data: {"error":'),
        ("error-event-2", 3, b'event: error\ndata: {"error":'),
        ("detail-2", 3, b'data: {"detail":'),
        ("malformed-2", EVENTS + 1, bends.MALFORMED),
        ("garbage-2", EVENTS + 1, bends.GARBAGE),
        ("no-done", EVENTS - 1, b'"finish_reason":"stop"'),
        ("no-finish", EVENTS - 1, b"data: [DONE]"),
        ("comments", 2 * EVENTS, b": ping\n\n"),
        ("bare-fields", 2 * EVENTS, b"retry: 3000\n\n"),
        ("crlf", EVENTS, b"data: [DONE]\r\n\r\n"),
        ("cr", EVENTS, b"data: [DONE]\r\r"),
    ],
)
async def test_bent_streams_go_out_block_by_block(
    wire, chat_stream: dict, scenario: str, blocks: int, part: bytes
):
    wire.post(PATH.format(scenario), chat_stream)
    assert (await wire.head())[1]["content-type"].startswith("text/event-stream")
    chunks = await wire.chunks()
    assert len(chunks) == blocks
    assert any(part in chunk for chunk in chunks)


@pytest.mark.parametrize("name", [name for name in faults.STREAM if name not in ("gzip", "deflate")])
async def test_plain_requests_get_plain_answers_from_stream_faults(
    sample: Running, web, chat: dict, name: str
):
    url = sample.fault_url(name.replace("-K", "-2"))
    async with web.post(url + "/chat/completions", json=chat) as answer:
        assert (await answer.json())["choices"][0]["message"]["content"] == "You said: hello there"


async def test_stream_faults_act_on_responses_and_completions_too(sample: Running, web):
    for path, body in (
        ("/responses", {"model": "m", "input": "hi"}),
        ("/completions", {"model": "m", "prompt": "hi"}),
        ("/messages", {"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
    ):
        async with web.post(sample.fault_url("end-2") + path, json={**body, "stream": True}) as answer:
            assert len(read(await answer.read())) == 2


async def test_a_flaky_cut_is_cut_once(sample: Running, web, chat_stream: dict):
    with pytest.raises(aiohttp.ClientPayloadError):
        await events_of(web, sample, "flaky-1-cut-2", chat_stream)
    assert len(await events_of(web, sample, "flaky-1-cut-2", chat_stream)) == EVENTS


async def test_a_bad_request_is_refused_before_a_stream_opens(sample: Running, web):
    async with web.post(
        sample.fault_url("cut-2") + "/chat/completions", json={"model": "m", "stream": True}
    ) as answer:
        assert answer.status == 400
        assert msgspec.json.decode(await answer.read())["error"]["param"] == "messages"
