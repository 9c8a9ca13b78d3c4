"""Shadow traffic: the other model is asked once the answer is whole, for its own money, beside the road."""

import asyncio

import msgspec
import pytest
from routing_house import House, alias, cascade, of, refuse, settle, tasks

from penstock import testing
from penstock.jobs.shelf import Shelf
from penstock.routing.answer_features import answer_of
from penstock.routing.features import Features, hashed
from penstock.routing.feedback import Served
from penstock.routing.outcomes import Learned, Outcome, Outcomes
from penstock.routing.policy import Rule

NUMBER = "How many apples are left?"


@pytest.fixture
async def build():
    houses = []

    async def make(its=None, learn=None, **answers):
        house = await House(its or alias(shadow=0.25), **({"learn": learn} if learn else {})).open()
        house.stage._shadow._rng = Always()
        house.upstream.answers.update({"small": "7", "large": "The answer is 8", **answers})
        houses.append(house)
        return house

    before = tasks()
    yield make
    for house in houses:
        await house.close()
    await settle()
    assert tasks() <= before


class Always:
    """Chance that draws every request."""

    drawn = 0.0

    def random(self):
        return self.drawn


async def learned(house):
    """Give what waits for the trainer."""
    await settle()
    mine = house.stage._outcomes
    if mine._waiting:
        await mine._flush()
    outcomes = Outcomes(house.records, house.resources.keyring)
    found = await outcomes.waiting()
    await outcomes.drop(found)
    return list(found.values())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("decide", "first", "other"), [("small", "small", "large"), ("large", "large", "small")]
)
async def test_the_other_model_is_asked_and_the_two_compared(build, stream, decide, first, other):
    house = await build(alias(decide=decide, shadow=0.25))
    exchange = await house.ask(NUMBER, stream=stream, stream_options={"include_usage": True})
    (outcome,) = await learned(house)
    assert house.upstream.asked == [first, other]
    assert (outcome.tenant, outcome.alias, outcome.small, outcome.large) == ("acme", "auto", 0.0, 1.0)
    assert outcome.small_right is False
    assert outcome.learned == exchange.learned
    assert outcome.observed().served.value == first
    body = house.upstream.seen[1].request.body
    assert (body["stream"], "stream_options" in body) == (False, False)


async def test_the_clients_exchange_knows_nothing_of_it(build):
    house = await build()
    exchange = house.exchange(NUMBER)
    exchange.inspected = True
    body = await testing.read(await house.answer(exchange))
    await learned(house)
    assert [call.model for call in exchange.calls] == ["small"]
    assert (exchange.attempts, exchange.answer_headers["x-dac-model"]) == (1, "small-on-the-wire")
    assert bytes(exchange.received) == body
    assert exchange.request.model == "small-on-the-wire"


async def test_the_road_does_not_wait(build):
    house = await build()
    house.upstream.gates["large"] = asyncio.Event()
    await house.ask(NUMBER)
    assert house.upstream.asked == ["small"]
    await settle()
    assert house.upstream.asked == ["small", "large"]
    house.upstream.gates["large"].set()
    assert len(await learned(house)) == 1


async def test_it_waits_for_the_end_of_a_stream(build):
    house = await build()
    reply = await house.answer(house.exchange(NUMBER, stream=True))
    batches = reply.stream.batches()
    await anext(batches)
    await settle()
    assert house.upstream.asked == ["small"]
    await batches.aclose()  # the client leaves: no whole answer to compare
    assert (await learned(house), house.upstream.asked) == ([], ["small"])


@pytest.mark.parametrize("drawn", [0.25, 0.5])
async def test_chance_decides(build, drawn):
    house = await build()
    house.stage._shadow._rng.drawn = drawn
    await house.ask(NUMBER)
    assert (await learned(house), house.upstream.asked) == ([], ["small"])


@pytest.mark.parametrize(
    ("count", "fields", "shadow", "below"),
    [
        (0, {}, 0.03, 0.1),
        (999, {}, 0.03, 0.1),
        (1_000, {}, 0.03, 0.03),
        (0, {}, 0.2, 0.2),  # no less than ever after
        (0, {"shadow_first": 0}, 0.03, 0.03),
        (0, {"shadow_first": 0.25}, 0.03, 0.25),
        (0, {}, 0.0, 0.0),  # who asks for none has none
    ],
)
async def test_at_first_more_are_compared(build, count, fields, shadow, below):
    house = await build(alias(shadow=shadow), learn=fields)
    known = {("acme", "auto"): count, ("globex", "auto"): 5_000, ("acme", "other"): 5_000}
    house.stage._shadow._count = lambda *place: known[place]
    for drawn, compared in ((below * 0.99, below > 0), (below, False)):
        house.stage._shadow._rng.drawn = drawn
        del house.upstream.asked[:]
        await house.ask(NUMBER)
        assert len(await learned(house)) == compared, drawn
        assert house.upstream.asked == ["small", "large"][: 1 + compared]


async def test_how_many_are_known_comes_from_the_trainers_shelf(build):
    house = await build(alias(shadow=0.03))
    house.stage._shadow._rng.drawn = 0.05
    await house.ask(NUMBER)
    assert len(await learned(house)) == 1
    shelf = Shelf(house.records, house.resources.keyring, ("acme", "auto"))
    told = Outcome("acme", "auto", Learned.of(Features(*[frozenset()] * 3), Served.SMALL, 1.0, None).packed())
    await shelf.add({f"key{at}": told for at in range(1_001)})
    await house.stage._known.look()
    await house.ask(NUMBER)
    assert await learned(house) == []


async def test_an_ephemeral_one_is_never_compared(build):
    house = await build()
    exchange = house.exchange(NUMBER)
    exchange.ephemeral = True
    await house.answer(exchange)
    assert (await learned(house), house.upstream.asked) == ([], ["small"])


@pytest.mark.parametrize("fails", [{"large": refuse()}, {"large": 500}, {"small": 500}, {"large": "no idea"}])
async def test_what_fails_or_cannot_be_compared_teaches_nothing(build, fails):
    house = await build(**fails)
    await house.ask(NUMBER)
    assert await learned(house) == []


async def test_one_model_alone_has_nobody_to_be_compared_with(build):
    house = await build(alias("small", shadow=0.25))
    await house.ask(NUMBER)
    assert (await learned(house), house.upstream.asked) == ([], ["small"])


async def test_a_second_opinion_is_not_taken_for_the_answer(build):
    its = cascade(second_opinion="nano").model_copy(update={"shadow": 0.25})
    house = await build(its, nano="7", large="7")
    house.upstream.gates["nano"] = gate = asyncio.Event()
    asking = asyncio.ensure_future(house.ask(NUMBER))
    await settle()
    gate.set()  # the opinion comes last
    exchange = await asking
    assert [call.model for call in exchange.calls] == ["small", "nano"]
    (outcome,) = await learned(house)
    assert (outcome.small, house.upstream.asked[-1]) == (1.0, "large")


def judged(shadow=0.25, **fields):
    return cascade(**fields).model_copy(update={"shadow": shadow})


@pytest.mark.parametrize("stream", [False, True])
async def test_after_an_escalation_both_are_known_and_nobody_is_asked_again(build, stream):
    house = await build(judged(second_opinion="nano"), nano="9")
    exchange = await house.ask(NUMBER, stream=stream)
    (outcome,) = await learned(house)
    assert exchange.escalated
    assert sorted(house.upstream.asked) == ["large", "nano", "small"]
    assert (outcome.small, outcome.large, outcome.small_right) == (0.0, 1.0, False)
    assert shape(outcome) >= hashed(["agrees=False"])


@pytest.mark.parametrize("nano", ["7", "8"])
async def test_the_features_are_those_of_the_judgement(build, nano):
    house = await build(judged(second_opinion="nano"), nano=nano)
    exchange = await house.ask(NUMBER)
    (outcome,) = await learned(house)
    assert shape(outcome) >= hashed([f"agrees={nano == '7'}"])
    told = msgspec.msgpack.decode(exchange.learned, type=Learned)
    assert outcome.answer_features == answer_of(told)


@pytest.mark.parametrize(
    ("fields", "prompt", "same"),
    [
        ({}, NUMBER, True),
        ({"gates": ["logprobs"]}, NUMBER, False),
        ({"second_opinion": "nano"}, NUMBER, False),
        ({"second_opinion": "nano"}, "tell me", True),
    ],
)
async def test_of_an_answer_that_was_not_judged_only_what_a_judgement_would_see_is_learned(
    build, fields, prompt, same
):
    its = judged(**fields).model_copy(update={"decide": "large"})
    house = await build(its, small="", large="better")
    await house.ask(prompt)
    (outcome,) = await learned(house) or [None]
    assert house.upstream.asked == ["large", "small"]
    if prompt == NUMBER:
        assert outcome is None  # nothing to compare
        house.upstream.answers.update(small="7", large="7")
        await house.ask(prompt)
        (outcome,) = await learned(house)
    assert bool(outcome.answer_features) is same
    assert (outcome.small_right is None) is not same


async def test_an_opinion_of_the_large_model_is_no_answer_of_its(build):
    house = await build(judged(second_opinion="large"), large="7")
    exchange = await house.ask(NUMBER)
    assert (exchange.escalated, exchange.answer_headers["x-dac-model"]) == (False, "small-on-the-wire")
    (outcome,) = await learned(house)
    assert sorted(house.upstream.asked) == ["large", "large", "small"]
    assert (outcome.small, outcome.observed().served.value) == (1.0, "small")


async def test_a_middle_model_that_was_first_is_not_taken_for_the_small_one(build):
    its = judged().model_copy(update={"candidates": alias("small", "nano", "large").candidates})
    rule = of(Rule, header={"x-tier": "nano"}, use="nano")
    house = await build(its.model_copy(update={"rules": (rule,)}), nano="I'm sorry, but no.", small="8")
    exchange = await house.ask(NUMBER, headers={"x-tier": "nano"})
    assert exchange.escalated
    (outcome,) = await learned(house)
    assert house.upstream.asked == ["nano", "large", "small"]
    assert (outcome.small, outcome.large) == (1.0, 1.0)


def shape(outcome):
    return frozenset(msgspec.msgpack.decode(outcome.answer_features)[2])


async def test_the_end_ends_it(build):
    house = await build()
    house.upstream.gates["large"] = asyncio.Event()
    await house.ask(NUMBER)
    await settle()
    await house.stage._shadow.stop()
    assert house.upstream.cancelled == ["large"]


async def test_no_word_is_kept(build):
    house = await build(small="7 MARKER-small", large="7 MARKER-large")
    await house.ask(NUMBER + " MARKER-prompt")
    (outcome,) = await learned(house)
    assert b"MARKER" not in msgspec.msgpack.encode(outcome)
    assert b"marker" not in msgspec.msgpack.encode(outcome)
