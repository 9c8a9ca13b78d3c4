"""The cascade on the road: who answers, what the client sees, who is charged, and what is left behind."""

import asyncio
import itertools
import re
from contextlib import suppress

import msgspec
import pytest
from routing_house import CHAT, House, Paced, actions, cascade, raw, refuse, settle, stream_of, tasks, why

from penstock import testing
from penstock.errors import StoreUnavailable
from penstock.openai import wire_json
from penstock.reply import Stream
from penstock.routing.cascade import Trust
from penstock.routing.outcomes import Learned
from penstock.routing.weights import NOTHING, Weights

NUMBER = "How many apples are left?"
BAD = "I'm sorry, but no."
WAYS = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


class Purse:
    def __init__(self, *models, gone=False):
        self.models, self.gone = models, gone
        self.asked = []

    async def top_up(self, model):
        self.asked.append(model)
        if self.gone:
            raise StoreUnavailable("gone")
        return model in self.models


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


def text(house, stream):
    if not stream:
        return wire_json.decode(house.told)["choices"][0]["message"]["content"]
    events = [wire_json.decode(line[6:]) for line in house.told.split(b"\n\n") if line.startswith(b"data: {")]
    return "".join(each["choices"][0]["delta"].get("content", "") for each in events)


def calls(exchange):
    return sorted(call.model for call in exchange.calls)


def model(exchange):
    return exchange.answer_headers["x-dac-model"]


def served(exchange):
    return msgspec.msgpack.decode(exchange.learned, type=Learned).served


@WAYS
async def test_a_good_answer_goes_out_and_nobody_else_is_asked(build, stream):
    house = await build()
    exchange = await house.ask(stream=stream)
    assert (text(house, stream), house.upstream.asked) == ("fine", ["small"])
    assert actions(exchange) == ["small", "kept"]
    assert (calls(exchange), model(exchange), served(exchange)) == (["small"], "small-on-the-wire", "small")


@WAYS
async def test_a_bad_answer_is_the_larges_to_give(build, stream):
    house = await build()
    house.upstream.answers["small"] = BAD
    exchange = await house.ask(stream=stream)
    assert text(house, stream) == "better"
    assert b"sorry" not in house.told
    assert (actions(exchange), why(exchange)) == (["small", "escalated"], "gate refused: phrase")
    assert (calls(exchange), model(exchange)) == (["large", "small"], "large-on-the-wire")
    assert served(exchange) == "small"  # who was chosen; the calls say who answered
    assert all(call.usage is not None for call in exchange.calls)


async def test_the_large_stream_flows_live(build):
    house = await build()
    house.upstream.answers["small"] = BAD
    reply = await house.answer(house.exchange(stream=True))
    batches = reply.stream.batches()
    assert raw([await anext(batches)]) == raw(stream_of("better")[:1])
    await batches.aclose()
    assert all(source.closed for source in house.upstream.sources)


@WAYS
@pytest.mark.parametrize(
    ("large", "said"),
    [
        (refuse(), "gate refused: phrase, but large failed: upstream_failed"),
        (500, "gate refused: phrase, but large answered 500"),
        (429, "gate refused: phrase, but large answered 429"),
    ],
)
async def test_where_the_large_one_fails_the_small_answer_goes_out(build, stream, large, said):
    house = await build()
    house.upstream.answers.update(small=BAD, large=large)
    exchange = await house.ask(stream=stream)
    assert text(house, stream) == BAD
    assert (actions(exchange), why(exchange)) == (["small", "kept"], said)
    assert (calls(exchange), model(exchange), exchange.model) == (["small"], *["small-on-the-wire"] * 2)
    assert exchange.usage == exchange.calls[0].usage
    assert served(exchange) == "small"


@WAYS
@pytest.mark.parametrize("gone", [False, True])
async def test_where_the_budget_has_no_room_the_small_answer_goes_out(build, stream, gone):
    house = await build()
    house.upstream.answers["small"] = BAD
    exchange = house.exchange(stream=stream)
    exchange.purse = Purse(gone=gone)
    body = await testing.read(await house.answer(exchange))
    assert b"sorry" in body
    assert (house.upstream.asked, exchange.purse.asked) == (["small"], ["large"])
    assert why(exchange) == "gate refused: phrase, but the budget has no room for more"
    assert model(exchange) == "small-on-the-wire"


@WAYS
@pytest.mark.parametrize(
    ("second", "answered", "asked"),
    [
        ("The answer is 7", "small", ["nano", "small"]),
        ("It is 8", "large", ["large", "nano", "small"]),
        ("no idea", "large", ["large", "nano", "small"]),
        (refuse(), "small", ["nano", "small"]),
        (500, "small", ["nano", "small"]),
    ],
    ids=["agrees", "differs", "can't be compared", "fails", "answers 500"],
)
async def test_a_second_opinion(build, stream, second, answered, asked):
    house = await build(second_opinion="nano")
    house.upstream.answers.update(small="7", large="It is 8", nano=second)
    exchange = await house.ask(NUMBER, stream=stream)
    assert sorted(house.upstream.asked) == asked
    assert model(exchange) == f"{answered}-on-the-wire"
    assert calls(exchange) == [each for each in asked if each != "nano" or isinstance(second, str)]
    assert exchange.usage == next(call.usage for call in exchange.calls if call.model == answered)


async def test_an_opinion_is_asked_for_plainly_and_beside_the_small_one(build):
    house = await build(second_opinion="nano")
    house.upstream.answers.update(small="7", nano="7")
    house.upstream.gates["small"] = asyncio.Event()
    asking = asyncio.ensure_future(
        house.ask(NUMBER, stream=True, stream_options={"include_usage": True}, temperature=0)
    )
    await settle()
    assert sorted(house.upstream.asked) == ["nano", "small"]
    (asked,) = [each.request.body for each in house.upstream.seen if each.request.model.startswith("nano")]
    assert (asked["stream"], asked["temperature"], "stream_options" in asked) == (False, 0, False)
    house.upstream.gates["small"].set()
    await asking


async def test_an_opinion_on_what_cannot_be_compared_is_not_asked_for(build):
    house = await build(second_opinion="nano")
    await house.ask("tell me a story")
    assert house.upstream.asked == ["small"]


@pytest.mark.parametrize("gone", [False, True])
async def test_an_opinion_without_room_is_left_out(build, gone):
    house = await build(second_opinion="nano")
    house.upstream.answers["small"] = "7"
    exchange = house.exchange(NUMBER)
    exchange.purse = Purse("large", gone=gone)
    await house.answer(exchange)
    assert (house.upstream.asked, exchange.purse.asked) == (["small"], ["nano"])


async def test_a_client_that_leaves_ends_the_opinion_too(build):
    house = await build(second_opinion="nano")
    house.upstream.gates["small"] = house.upstream.gates["nano"] = asyncio.Event()
    asking = asyncio.ensure_future(house.ask(NUMBER))
    await settle()
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    assert sorted(house.upstream.cancelled) == ["nano", "small"]


async def test_a_client_that_leaves_while_the_opinion_is_awaited_ends_it(build):
    house = await build(second_opinion="nano")
    house.upstream.answers["small"] = "7"
    house.upstream.gates["nano"] = asyncio.Event()
    asking = asyncio.ensure_future(house.ask(NUMBER, stream=True))
    await settle()
    assert house.upstream.sources[0].closed
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    assert house.upstream.cancelled == ["nano"]


async def test_a_client_that_leaves_while_the_large_one_is_asked_ends_that(build):
    house = await build()
    house.upstream.answers["small"] = BAD
    house.upstream.gates["large"] = asyncio.Event()
    asking = asyncio.ensure_future(house.ask(stream=True))
    await settle()
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    assert house.upstream.cancelled == ["large"]
    assert all(source.closed for source in house.upstream.sources)


async def test_a_small_one_that_fails_ends_the_opinion_and_says_so(build):
    house = await build(second_opinion="nano")
    house.upstream.answers["small"] = refuse()
    house.upstream.gates["nano"] = asyncio.Event()
    with pytest.raises(type(refuse())):
        await house.ask(NUMBER)
    assert house.upstream.cancelled == ["nano"]
    assert house.upstream.asked.count("large") == 0


async def test_a_small_answer_that_is_an_error_goes_out(build):
    house = await build()
    house.upstream.answers["small"] = 400
    exchange = await house.ask()
    assert (house.upstream.asked, exchange.answer_headers["x-dac-model"]) == (["small"], "small-on-the-wire")


async def test_a_stream_is_released_when_its_time_is_up_and_nobody_waits_for_an_opinion(build):
    first, second, *rest = stream_of("7 it is")
    house = await build(second_opinion="nano", hold_s=0.02)
    source = Paced([first, None, second, *rest])
    house.upstream.answers["small"] = lambda exchange: source
    house.upstream.gates["nano"] = asyncio.Event()
    reply = await house.answer(house.exchange(NUMBER, stream=True))
    assert house.upstream.cancelled == ["nano"]
    batches = reply.stream.batches()
    assert raw([await anext(batches)]) == raw([first])
    source.go.set()
    assert raw([each async for each in batches]) == raw([second, *rest])


async def test_an_opinion_holds_a_stream_no_longer_than_may_be(build):
    house = await build(second_opinion="nano", hold_s=0.02)
    house.upstream.answers["small"] = "7"
    house.upstream.gates["nano"] = asyncio.Event()
    exchange = await house.ask(NUMBER, stream=True)
    assert (actions(exchange), house.upstream.cancelled) == (["small", "kept"], ["nano"])


@pytest.mark.parametrize("events", [0, 1, 2])
async def test_a_stream_that_breaks_while_it_is_held_is_the_larges_to_give(build, events):
    house = await build(second_opinion="nano")
    house.upstream.answers["small"] = [*stream_of("one two")[:events], refuse()]
    house.upstream.gates["nano"] = asyncio.Event()  # nobody waits for it any more
    exchange = await house.ask(NUMBER, stream=True)
    assert house.told == raw(stream_of("better"))
    assert (actions(exchange), why(exchange)) == (
        ["small", "escalated"],
        "the small stream broke: upstream_failed",
    )
    assert (exchange.escalated, model(exchange)) == (True, "large-on-the-wire")
    assert house.upstream.cancelled == ["nano"]
    assert all(source.closed for source in house.upstream.sources)


async def test_where_nobody_else_can_answer_a_broken_stream_ends_in_one_error(build):
    for answer, room in ((refuse(), True), (500, True), ("better", False)):
        house = await build()
        house.upstream.answers.update(small=[*stream_of("one two")[:1], refuse("cut")], large=answer)
        exchange = house.exchange(stream=True)
        exchange.purse = Purse("large") if room else Purse()
        reply = await house.answer(exchange)
        body = await testing.read(reply)
        assert body.count(b'data: {"error"') == 1
        assert body.startswith(raw(stream_of("one two")[:1]))
        assert isinstance(reply.stream, Stream)
        assert reply.stream.failure.code == "cut"
        assert house.upstream.asked == ["small", "large"][: 1 + room]
        assert why(exchange).startswith("the small stream broke: cut, but ")
        assert (exchange.escalated, model(exchange)) == (False, "small-on-the-wire")


@pytest.mark.parametrize(("large", "shown"), [("better", b"better"), (500, b"sorry")])
async def test_a_reviewer_sees_the_answer_that_went_out(build, large, shown):
    house = await build(second_opinion="nano")
    house.upstream.answers.update(small=BAD, large=large)
    exchange = house.exchange(NUMBER)
    exchange.inspected = True
    body = await testing.read(await house.answer(exchange))
    assert shown in body
    assert bytes(exchange.received) == body


async def test_a_thread_stays_with_whom_answered_it(build):
    for large, stays in (("better", "large"), (500, "small")):
        house = await build()
        house.upstream.answers.update(small=BAD, large=large)
        thread = {"headers": {"x-dac-thread": "t"}}
        await house.ask(**thread)
        house.upstream.answers.update(small="fine", large="better")
        del house.upstream.asked[:]
        await house.ask(**thread)
        assert house.upstream.asked == [stays]


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/completions", CHAT])
async def test_every_endpoint_is_judged(build, path):
    house = await build()
    good, cut = {
        "/v1/responses": ({"status": "completed", "output": []}, {"status": "incomplete", "output": []}),
        "/v1/completions": ({"choices": [{"text": "a"}]}, {"choices": [{"text": ""}]}),
        CHAT: ({"choices": [{"message": {"content": "a"}}]}, {"choices": [{"message": {"content": ""}}]}),
    }[path]
    house.upstream.answers.update(small=cut, large=good)
    house.upstream.answers = {
        name: (lambda exchange, body=body: lambda: testing.Reply(200, body=wire_json.encode(body)))
        if isinstance(body, dict)
        else body
        for name, body in house.upstream.answers.items()
    }
    exchange = await house.ask(path=path, input="x", prompt="x")
    assert actions(exchange) == ["small", "escalated"]
    assert wire_json.decode(house.told) == good


@WAYS
async def test_a_trained_score_sends_its_share_to_the_large_one(build, stream):
    house = await build(large_share=0.3)
    house.trust(Trust(NOTHING, gain=Weights((1.0, 1.0, 1.0), 0.2, {1: 0.0})))
    large = 0
    for number in range(300):
        exchange = await house.ask(f"hello {number:03}", stream=stream)
        large += exchange.escalated
    assert large / 300 == pytest.approx(0.3, abs=0.06)
    assert re.fullmatch(r"gain \+0\.200, above \d+% of the latest answers|confidence .*", why(exchange))


async def test_what_a_gate_refuses_is_part_of_the_share(build):
    house = await build(large_share=0.3)
    house.trust(Trust(NOTHING, gain=Weights((1.0, 1.0, 1.0), 0.2, {1: 0.0})))
    turns = itertools.cycle([BAD, *["fine"] * 4])
    house.upstream.answers["small"] = lambda exchange: next(turns)
    reasons = [why(await house.ask(f"hello {number:03}")) for number in range(300)]
    refused = sum(reason.startswith("gate") for reason in reasons)
    scored = sum(reason.startswith("gain") for reason in reasons)
    assert refused == 60
    assert (refused + scored) / 300 == pytest.approx(0.3, abs=0.03)


async def test_what_gains_nothing_stays_small_whatever_the_share(build):
    house = await build(large_share=1.0)
    house.trust(Trust(NOTHING, gain=Weights((1.0, 1.0, 1.0), -0.1, {1: 1.0})))
    assert not any([(await house.ask()).escalated for _ in range(20)])
