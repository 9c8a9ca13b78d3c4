"""What streams cost: by the upstream's usage, by our own count, or nothing; and what clients see."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from budget_house import Client, Fleet, Json, asked_of, chat, requests, reserved_for, tokens, usage_of

from penstock.openai import wire_json

LIMIT = tokens(1_000_000)
_numbers = iter(range(10_000))


@pytest.fixture
def text() -> str:
    return f"stream{next(_numbers)}x one two three four five six seven eight nine ten eleven twelve"


async def charge_of(fleet: Fleet, holder: str, before: int, limit: Json = LIMIT) -> int:
    return (await fleet.settled(holder, limit)).used - before


async def used(fleet: Fleet, holder: str, limit: Json = LIMIT) -> int:
    return (await fleet.settled(holder, limit)).used


def plain_events(body: bytes) -> list[Any]:
    """Give the events without what differs from call to call."""
    told = [line.removeprefix(b"data: ") for line in body.split(b"\n\n") if line]
    return [event if event == b"[DONE]" else {**json.loads(event), "id": "", "created": 0} for event in told]


async def test_a_client_that_did_not_ask_for_usage_sees_none_and_is_charged_by_it(house: Fleet, text: str):
    before = await used(house, "streams")
    body = chat(text, stream=True)
    async with house.client("streams") as client:
        through = await client.ask(body)
        direct = await Client(client.session, house.upstream.url).ask(body)
    assert plain_events(through.body) == plain_events(direct.body)
    assert b"usage" not in through.body
    sent, _ = asked_of(house.upstream.running.requests, text)
    assert sent["stream_options"] == {"include_usage": True}
    assert await charge_of(house, "streams", before) == usage_of(body)
    assert through.headers["x-dac-budget-remaining"].endswith("unit=tokens; scope=tenant; window=total")


async def test_a_client_that_asked_for_usage_gets_it(house: Fleet, text: str):
    before = await used(house, "streams")
    body = chat(text, stream=True, stream_options={"include_usage": True})
    async with house.client("streams") as client:
        told = plain_events((await client.ask(body)).body)
    assert told[-2]["usage"]["total_tokens"] == usage_of(body)
    assert await charge_of(house, "streams", before) == usage_of(body)


@pytest.mark.parametrize(
    ("fault", "charged", "streamed"),
    [
        ("cut-0", False, True),
        ("cut-1", False, True),
        ("cut-3", True, True),
        ("429", False, True),
        ("429", False, False),
        ("500", False, True),
        ("500", False, False),
    ],
)
async def test_a_failed_call_costs_what_was_said(
    house: Fleet, text: str, fault: str, charged: bool, streamed: bool
):
    before = await used(house, "faulty"), await used(house, "faulty", requests(1))
    body = chat(text, f"fault-{fault}", stream=streamed)
    async with house.client("faulty") as client:
        told = await client.ask(body)
    assert told.status == (int(fault) if fault.isdigit() else 200)
    charge = await charge_of(house, "faulty", before[0])
    assert await charge_of(house, "faulty", before[1], requests(1)) == int(charged)
    assert (charge > 0) is charged
    (sent,) = asked_of(house.upstream.running.requests, text)
    assert charge <= reserved_for(sent)


@pytest.mark.parametrize("events", [2, 6, 11])
async def test_a_client_that_leaves_is_charged_and_the_upstream_let_go(house: Fleet, text: str, events: int):
    running = house.upstream.running
    before = await used(house, "streams")
    async with house.client("streams") as client:
        await client.ask(chat(f"{text} taught", stream=True))  # so that the gateway knows a token's size
        taught = await used(house, "streams")
        assert taught - before == usage_of(chat(f"{text} taught"))
        body = chat(text, "fault-hang-12", stream=True)
        got = (await client.leave_after(body, events)).body
        async with asyncio.timeout(1):
            while _busy(running):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    charge = await charge_of(house, "streams", taught)
    (sent,) = asked_of(running.requests, f'{text}"')
    words = sum(bool(event["choices"][0]["delta"].get("content")) for event in plain_events(got))
    assert len(text.split()) + words <= charge <= reserved_for(sent)


def _busy(running: Any) -> int:
    """Count the calls that the upstream is still answering."""
    return sum(connection._current_request is not None for connection in running._handlers.connections)


async def test_a_plain_call_that_is_given_up_costs_its_prompt_at_the_most(house: Fleet, text: str):
    before = await used(house, "streams")
    async with house.client("streams") as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await client.ask(chat(text, "fault-hang"))
    (sent,) = asked_of(house.upstream.running.requests, text)
    assert 0 < await charge_of(house, "streams", before) <= reserved_for(sent)


@pytest.mark.parametrize("asked", [True, False])
async def test_an_upstream_without_usage_is_charged_by_count(house: Fleet, new_silent: Any, asked: bool):
    """As llama.cpp was for years: no usage, whatever one asks for."""
    fleet, silent = new_silent
    body = chat("say something", stream=True, max_tokens=40)
    if asked:
        body["stream_options"] = {"include_usage": True}
    before = await used(fleet, "plain")
    async with fleet.client("plain") as client:
        told = await client.ask(body, **{"x-dac-cache": "bypass"})
    assert told.status == 200
    assert b"usage" not in told.body
    charge = await charge_of(fleet, "plain", before)
    assert 12 <= charge <= reserved_for(body)  # twelve words
    assert silent[-1]["stream_options"] == {"include_usage": True}


@pytest.fixture(scope="session")
def new_silent(new_fleet: Any) -> Any:
    """A fleet whose upstream never tells usage, and the bodies that upstream got."""
    from threading import Thread

    seen: list[Json] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(await request.json())
        stream = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await stream.prepare(request)
        for word in "one two three four five six seven eight nine ten eleven twelve".split():
            delta = {"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None}
            await stream.write(b"data: " + wire_json.encode({"choices": [delta]}) + b"\n\n")
        last = {"index": 0, "delta": {}, "finish_reason": "stop"}
        await stream.write(b"data: " + wire_json.encode({"choices": [last]}) + b"\n\ndata: [DONE]\n\n")
        return stream

    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app)

    async def serve() -> int:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return int(runner.addresses[0][1])

    port = asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    yield new_fleet({"plain": {"limits": [LIMIT]}}, upstream_url=f"http://127.0.0.1:{port}/v1"), seen
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


async def test_hits_cost_nothing(house: Fleet, text: str):
    body = chat(text)
    async with house.client("cached") as client:
        first = await client.ask(body)
        paid = await used(house, "cached")
        again = [await client.ask({**body, **more}) for more in ({}, {"stream": True})]
    assert first.headers["x-dac-cache"] == "miss"
    assert [told.headers["x-dac-cache"] for told in again] == ["hit", "hit"]
    assert await used(house, "cached") == paid


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "plain"])
async def test_a_shared_call_is_charged_once(house: Fleet, text: str, streamed: bool):
    before = await used(house, "shared")
    body = chat(text + " and more" * 30, stream=streamed)
    async with house.client("shared") as client:
        told = await asyncio.gather(*(client.ask(body) for _ in range(20)))
    assert {answer.status for answer in told} == {200}
    assert len(asked_of(house.upstream.running.requests, text)) == 1
    assert await charge_of(house, "shared", before) == usage_of(body)
