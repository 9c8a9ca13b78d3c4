"""The gate on log-probabilities on the road: who is asked for them, who gets them, what is learned."""

import msgspec
import pytest
from routing_house import House, Paced, actions, cascade, settle, tasks, why

from penstock import testing
from penstock.openai import sse, wire_json
from penstock.routing.features import hashed
from penstock.routing.outcomes import Learned

NUMBER = "How many apples are left?"
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
GATED = {"gates": ["logprobs"], "least_mean_logprob": -2.0}


@pytest.fixture
async def build():
    houses = []

    async def make(**fields):
        houses.append(await House(cascade(**fields)).open())
        return houses[-1]

    before = tasks()
    yield make
    for house in houses:
        await house.close()
    await settle()
    assert tasks() <= before


def probable(exchange, logprob=-0.5):
    """Answer with log-probabilities where they are asked for, as OpenAI does."""
    wanted = exchange.request.body.get("logprobs")
    told = {"content": [{"token": "7", "logprob": logprob, "top_logprobs": []}]} if wanted else None
    if not exchange.request.stream:
        body = {"id": "c", "choices": [{"message": {"content": "7"}, "logprobs": told}], "model": "m"}
        return lambda: testing.Reply(200, body=wire_json.encode(body))
    chunks = [
        {"choices": [{"index": 0, "delta": {"content": "7"}, "logprobs": told}]},
        {"choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]},
    ]
    return [*([sse.encode(chunk)] for chunk in chunks), [sse.done()]]


def reluctant(exchange):
    """Refuse log-probabilities."""
    if "logprobs" not in exchange.request.body:
        return probable(exchange)
    return testing.Reply(400, body=b'{"error": {"message": "logprobs are not supported"}}')


@WAYS
async def test_log_probabilities_are_asked_for_read_and_taken_out(build, stream):
    told = []
    for fields in ({}, GATED):
        house = await build(**fields)
        house.upstream.answers["small"] = probable
        exchange = await house.ask(stream=stream)
        assert actions(exchange) == ["small", "kept"]
        told.append(house.told)
        asked = house.upstream.seen[0].request.body
        assert [asked.get("logprobs"), asked.get("top_logprobs")] == ([True, 2] if fields else [None, None])
    assert told[0] == told[1]
    assert b'"logprobs":null' in told[1]


@WAYS
async def test_low_ones_escalate_and_the_large_one_is_not_asked_for_any(build, stream):
    house = await build(**GATED)
    house.upstream.answers.update(small=lambda exchange: probable(exchange, -3.0), large=probable)
    exchange = await house.ask(stream=stream)
    assert (actions(exchange), why(exchange)) == (["small", "escalated"], "gate logprobs: mean")
    body = house.upstream.seen[1].request.body
    assert "logprobs" not in body
    assert "top_logprobs" not in body


@WAYS
async def test_a_client_that_asks_for_them_itself_gets_them(build, stream):
    house = await build(**GATED)
    house.upstream.answers["small"] = probable
    await house.ask(stream=stream, logprobs=True)
    assert b'"logprob":-0.5' in house.told
    assert "top_logprobs" not in house.upstream.seen[0].request.body


@WAYS
async def test_a_model_that_refuses_them_is_asked_without_for_some_minutes(build, stream):
    house = await build(**GATED)
    house.upstream.answers["small"] = reluctant
    for minutes, calls_now in ((0, 2), (4, 1), (2, 2)):
        house.clock.advance(60 * minutes)
        del house.upstream.asked[:]
        exchange = house.exchange(stream=stream)
        exchange.inspected = True
        body = await testing.read(await house.answer(exchange))
        assert (house.upstream.asked, exchange.attempts) == (["small"] * calls_now, 1)
        assert (actions(exchange), [call.model for call in exchange.calls]) == (["small", "kept"], ["small"])
        assert b"7" in body
        assert b"not supported" not in bytes(exchange.received)


async def test_a_refusal_that_is_about_something_else_is_the_clients(build):
    house = await build(**GATED)
    body = b'{"error": {"message": "what are logprobs?"}}'
    house.upstream.answers["small"] = lambda exchange: testing.Reply(400, body=body)
    await house.ask()
    assert (house.upstream.asked, house.told) == (["small"] * 2, body)
    assert not house.stage._asker.refusers.know("small", house.clock.monotonic())


async def test_what_a_stream_still_brings_after_its_time_is_cleaned_too(build):
    house = await build(**GATED, hold_s=0.02)
    told = {"content": [{"token": "a", "logprob": -0.5, "top_logprobs": []}]}
    chunk = [sse.encode({"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": told}]})]
    source = Paced([chunk, None, chunk, [sse.done()]])
    house.upstream.answers["small"] = lambda exchange: source
    reply = await house.answer(house.exchange(stream=True))
    source.go.set()
    body = await testing.read(reply)
    assert body.count(b'"logprobs":null') == 2
    assert b"-0.5" not in body


@WAYS
async def test_what_was_seen_of_the_answer_is_carried_along(build, stream):
    house = await build(second_opinion="nano", **GATED)
    house.upstream.answers.update(small=probable, nano="7")
    exchange = await house.ask(NUMBER, stream=stream)
    learned = msgspec.msgpack.decode(exchange.learned, type=Learned)
    _, shape = learned.answer
    assert hashed(["agrees=True", "mean_logprob=5"]) <= shape
    exchange = house.exchange(NUMBER, stream=stream)
    exchange.ephemeral = True
    await testing.read(await house.answer(exchange))
    assert exchange.learned == b""


async def test_an_answer_that_nobody_judged_leaves_nothing_of_it(build):
    house = await build()
    house.upstream.answers["small"] = 400
    exchange = await house.ask()
    assert msgspec.msgpack.decode(exchange.learned, type=Learned).answer is None
