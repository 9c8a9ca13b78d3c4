"""Faults of the connection, byte by byte on a plain socket."""

import aiohttp
import msgspec
import pytest

from penstock.sample import Running, faults
from penstock.sample.faults import connection

PATH = "/fault/{}/v1/chat/completions"
SEEN = {"close", "reset", "hang", "hang-headers", "short", "slow-headers", "huge-K"}


def test_every_connection_fault_is_looked_at():
    assert set(faults.CONNECTION) == SEEN


@pytest.fixture(params=[False, True], ids=["plain", "stream"])
def body(request: pytest.FixtureRequest, chat: dict) -> dict:
    return {**chat, "stream": request.param}


async def test_close_ends_without_a_byte(wire, body: dict):
    wire.post(PATH.format("close"), body)
    assert await wire.reader.read() == b""


async def test_reset_resets_without_a_byte(wire, body: dict):
    wire.post(PATH.format("reset"), body)
    with pytest.raises(ConnectionResetError):
        await wire.reader.read(1)


async def test_hang_sends_nothing_and_ends_when_the_client_leaves(wire, sample: Running, body: dict, until):
    wire.post(PATH.format("hang"), body)
    assert await wire.silent()
    await gone(wire, sample, until)


async def test_hang_headers_sends_the_head_and_nothing_more(wire, sample: Running, body: dict, until):
    wire.post(PATH.format("hang-headers"), body)
    status, headers = await wire.head()
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream" if body["stream"] else "application/json")
    assert await wire.silent()
    await gone(wire, sample, until)


async def gone(wire, sample: Running, until) -> None:
    """Leave, and see that the server lets go of its end."""
    assert sample.open_connections == 1
    wire.writer.close()
    await until(lambda: sample.open_connections == 0)


async def test_nothing_lasts_longer_than_its_bound(wire, body: dict, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("penstock.sample.server.LONGEST_S", 0.05)
    wire.post(PATH.format("hang"), body)
    assert await wire.reader.read() == b""


async def test_short_sends_half_of_what_it_promises(wire, chat: dict):
    wire.post(PATH.format("short"), chat)
    status, headers = await wire.head()
    left = await wire.reader.read()
    assert status == 200
    assert len(left) == int(headers["content-length"]) // 2
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(left)


async def test_slow_headers_come_byte_by_byte_and_the_answer_is_good(wire, chat: dict):
    wire.post(PATH.format("slow-headers"), chat)
    pieces = []
    while b"\r\n\r\n" not in b"".join(pieces):
        pieces.append(await wire.reader.read(65_536))
    head = b"".join(pieces).partition(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert len(pieces) > 20
    rest = b"".join(pieces).partition(b"\r\n\r\n")[2] + await wire.reader.read()
    assert msgspec.json.decode(rest)["choices"][0]["message"]["content"] == "You said: hello there"


async def test_slow_headers_stop_when_the_client_leaves(wire, sample: Running, chat: dict, until):
    wire.post(PATH.format("slow-headers"), chat)
    await wire.reader.read(1)
    await gone(wire, sample, until)


async def test_huge_is_a_correct_answer_of_that_size(sample: Running, web: aiohttp.ClientSession, chat: dict):
    async with web.post(sample.fault_url("huge-3") + "/chat/completions", json=chat) as answer:
        raw = await answer.read()
    assert len(raw) > 3 * 1_048_576
    assert msgspec.json.decode(raw)["object"] == "chat.completion"


async def test_a_request_that_could_not_be_answered_is_refused_and_not_bent(sample: Running, web):
    async with web.post(sample.fault_url("short") + "/chat/completions", json={"model": "m"}) as answer:
        assert answer.status == 400


def test_forever_is_longer_than_the_bound_of_the_server():
    from penstock.sample.server import LONGEST_S

    assert connection.FOREVER_S > LONGEST_S == 120
