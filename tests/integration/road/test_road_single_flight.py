"""Who asks the same at the same time shares one call upstream."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from gateway_process import Gateway
from wire import Answer, Ask, Wire

from penstock.sample import Running

MANY = 64
Connect = Callable[[int], Awaitable[Wire]]
Until = Callable[..., Awaitable[None]]
Start = Callable[..., Awaitable[Running]]
PATH = "/v1/chat/completions"


async def _many(ask: Ask, gateway: Gateway, body: Any, n: int = MANY) -> list[Answer]:
    return list(await asyncio.gather(*(ask(gateway.port, PATH, body) for _ in range(n))))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_many_at_once_make_one_call_and_get_one_answer(
    gateway: Gateway, start_sample: Start, ask: Ask, chat: dict[str, Any], words: str, stream: bool
):
    sample = await start_sample(first_ms=700, delay_ms=20)
    told = await _many(ask, gateway, {**chat, "stream": stream})
    assert sample.calls == 1
    assert {(answer.status, answer.clean) for answer in told} == {(200, True)}
    assert len({answer.body for answer in told}) == 1
    assert words.encode().split()[-1] in told[0].body
    cache = Counter(answer.headers["x-dac-cache"] for answer in told)
    assert cache == {"miss": 1, "coalesced": MANY - 1}
    assert (await ask(gateway.port, PATH, chat)).headers["x-dac-cache"] == "hit"


async def test_a_plain_and_a_streamed_one_do_not_share_a_call_but_both_are_answered(
    gateway: Gateway, start_sample: Start, ask: Ask, chat: dict[str, Any], words: str
):
    sample = await start_sample(first_ms=300)
    plain, streamed = await asyncio.gather(
        ask(gateway.port, PATH, chat), ask(gateway.port, PATH, {**chat, "stream": True})
    )
    assert plain.json["choices"][0]["message"]["content"] == streamed.text == f"You said: {words}"
    assert sample.calls == 2


async def test_a_late_comer_gets_the_beginning_and_then_follows_live(
    gateway: Gateway, start_sample: Start, connect: Connect, chat: dict[str, Any], words: str
):
    sample = await start_sample(delay_ms=100)
    first, late = await connect(gateway.port), await connect(gateway.port)
    first.ask(PATH, {**chat, "stream": True})
    await first.head()
    seen = b""
    pieces = first.pieces()
    while b"said" not in seen:
        seen += await anext(pieces)
    late.ask(PATH, {**chat, "stream": True})
    whole = await late.answer()
    async for piece in pieces:
        seen += piece
    assert late.headers["x-dac-cache"] == "coalesced"
    assert whole.body == seen
    assert whole.text == f"You said: {words}"
    assert sample.calls == 1


async def test_the_first_ones_leaving_fails_nobody_else(
    gateway: Gateway, start_sample: Start, connect: Connect, chat: dict[str, Any], words: str, until: Until
):
    sample = await start_sample(delay_ms=100)
    leader = await connect(gateway.port)
    leader.ask(PATH, {**chat, "stream": True})
    await leader.head()
    await anext(leader.pieces())
    followers = [await connect(gateway.port) for _ in range(5)]
    for follower in followers:
        follower.ask(PATH, {**chat, "stream": True})
        await follower.head()
    leader.leave()
    told = [b"".join([piece async for piece in follower.pieces()]) for follower in followers]
    assert len(set(told)) == 1
    assert told[0].endswith(b"data: [DONE]\n\n")
    assert sample.calls == 1


async def test_the_first_ones_leaving_before_the_answer_fails_nobody_else(
    gateway: Gateway, start_sample: Start, connect: Connect, chat: dict[str, Any], until: Until
):
    sample = await start_sample(first_ms=600)
    leader, follower = await connect(gateway.port), await connect(gateway.port)
    leader.ask(PATH, chat)
    await until(lambda: sample.calls == 1)
    follower.ask(PATH, chat)
    await asyncio.sleep(0.2)  # the follower has joined by then, or else it makes a call of its own
    leader.leave()
    told = await follower.answer()
    assert told.status == 200
    assert told.headers["x-dac-cache"] == "coalesced"
    assert sample.calls == 1


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_when_all_have_left_the_call_is_cancelled(
    gateway: Gateway, sample: Running, connect: Connect, chat: dict[str, Any], until: Until, stream: bool
):
    wires = [await connect(gateway.port) for _ in range(8)]
    for wire in wires:
        wire.ask(PATH, {**chat, "model": "fault-hang-headers", "stream": stream})
    await until(lambda: sample.calls == 1)
    if stream:
        for wire in wires:
            await wire.head()
    for wire in wires[:-1]:
        wire.leave()
    await asyncio.sleep(0.3)
    assert sample.open_connections == 1
    wires[-1].leave()
    await until(lambda: sample.open_connections == 0, within_s=1)
    assert sample.calls == 1


async def test_after_all_have_left_the_next_one_asks_anew(
    gateway: Gateway, sample: Running, connect: Connect, ask: Ask, chat: dict[str, Any], until: Until
):
    body = {**chat, "model": "fault-flaky-1-hang"}
    wire = await connect(gateway.port)
    wire.ask(PATH, body)
    await until(lambda: sample.calls == 1)
    wire.leave()
    await until(lambda: sample.open_connections == 0, within_s=1)
    told = await ask(gateway.port, PATH, body)
    assert (told.status, told.headers["x-dac-cache"]) == (200, "miss")
    assert sample.calls == 2


@pytest.mark.parametrize(
    ("fault", "status"), [("flaky-1-500", 500), ("flaky-1-502", 502), ("flaky-1-429", 429)]
)
async def test_an_error_is_not_kept(
    gateway: Gateway, sample: Running, ask: Ask, chat: dict[str, Any], fault: str, status: int
):
    body = {**chat, "model": f"fault-{fault}"}
    assert (await ask(gateway.port, PATH, body)).status == status
    again = await ask(gateway.port, PATH, body)
    assert (again.status, again.headers["x-dac-cache"]) == (200, "miss")
    assert sample.calls == 2


async def test_a_streams_failure_reaches_all_who_share_it_and_is_not_kept(
    swift: Gateway, sample: Running, ask: Ask, chat: dict[str, Any]
):
    body = {**chat, "model": "fault-flaky-1-hang-4", "stream": True}
    told = await _many(ask, swift, body, 16)
    assert sample.calls == 1
    assert len({answer.body for answer in told}) == 1
    assert [error["code"] for error in told[0].errors] == ["upstream_between_events_timeout"]
    assert Counter(answer.headers["x-dac-cache"] for answer in told) == {"miss": 1, "coalesced": 15}
    again = await ask(swift.port, PATH, body)
    assert (again.errors, again.headers["x-dac-cache"]) == ([], "miss")


async def test_a_plain_failure_reaches_all_who_share_it(
    swift: Gateway, sample: Running, ask: Ask, chat: dict[str, Any]
):
    told = await _many(ask, swift, {**chat, "model": "fault-hang"}, 16)
    assert sample.calls == 1
    assert {answer.status for answer in told} == {504}
    assert {answer.json["error"]["code"] for answer in told} == {"upstream_first_byte_timeout"}


async def test_other_clients_keys_and_other_words_make_calls_of_their_own(
    gateway: Gateway, start_sample: Start, ask: Ask, chat: dict[str, Any]
):
    sample = await start_sample(first_ms=300)
    keys = [{"authorization": f"Bearer sk-{number}"} for number in range(3)]
    told = await asyncio.gather(
        *(ask(gateway.port, PATH, chat, headers=key) for key in keys),
        ask(gateway.port, PATH, {**chat, "seed": 1}),
    )
    assert {answer.headers["x-dac-cache"] for answer in told} == {"miss"}
    assert sample.calls == 4
    assert [seen.headers.get("authorization") for seen in sample.requests].count("Bearer sk-1") == 1


async def test_a_slow_reader_does_not_slow_the_others(
    gateway: Gateway, start_sample: Start, connect: Connect, ask: Ask, chat: dict[str, Any]
):
    sample = await start_sample(delay_ms=20)
    slow = await connect(gateway.port)
    body = {**chat, "model": "fault-huge-event-1", "stream": True}
    slow.ask(PATH, body)
    await slow.head()
    slow.writer.transport.pause_reading()
    async with asyncio.timeout(10):
        others = await _many(ask, gateway, body, 3)
    assert all(answer.finished for answer in others)
    slow.writer.transport.resume_reading()
    assert b"".join([piece async for piece in slow.pieces()]) == others[0].body
    assert sample.calls <= 2  # past max_entry_bytes nobody can join any more
