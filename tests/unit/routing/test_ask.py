"""Asking a candidate: paid for, at one of its upstreams, and remembered for its thread."""

import random
from contextlib import suppress

import msgspec
import pytest
from routing_house import House, Upstream, actions, alias, refuse, why

from penstock import testing
from penstock.errors import Refusal, StoreUnavailable
from penstock.models.policy import Model, ModelsPolicy
from penstock.routing.ask import Asker
from penstock.routing.balance import Balance
from penstock.routing.outcomes import Learned
from penstock.routing.think import Thinker
from penstock.routing.weights import NOTHING


class Purse:
    """Has room for some models."""

    def __init__(self, *models):
        self.models = models
        self.asked = []

    async def top_up(self, model):
        self.asked.append(model)
        return model in self.models

    async def beside(self, copy, call):
        raise AssertionError

    def refusal(self):
        return Refusal(403, "insufficient_quota", f"no room for {self.asked[-1]}")


class Asking:
    def __init__(self, its=None, *given):
        self.house = House(its, *given)
        self.thinker = Thinker(self.house.clock, lambda tenant, alias: NOTHING)
        self.balance = Balance(self.house.clock, random.Random(0))  # noqa: S311
        self.asker = Asker(self.thinker, self.balance, self.house.clock)
        self.upstream = Upstream()

    async def ask(self, place=0, thread=None, purse=None, **asked):
        exchange = self.house.exchange(**asked)
        exchange.purse = purse
        its = self.house.policy.aliases["auto"]
        thought = self.thinker.think(exchange, "auto", its, thread)
        reply = await self.asker.ask(exchange, thought, its.candidates[place], "because", self.upstream)
        self.told = await testing.read(reply)
        return exchange


async def test_the_candidates_own_name_goes_on_and_nothing_else_changes():
    asking = Asking()
    exchange = await asking.ask(1, temperature=0.5)
    assert asking.upstream.asked == ["large"]
    body = dict(asking.upstream.seen[0].request.body)
    assert body.pop("model") == "large-on-the-wire"
    assert body == {"messages": [{"role": "user", "content": "hello"}], "temperature": 0.5}
    assert (actions(exchange), why(exchange)) == (["large"], "because")
    assert exchange.target is None


async def test_the_smallest_is_paid_for_already():
    asking, purse = Asking(), Purse()
    exchange = await asking.ask(0, purse=purse)
    assert (asking.upstream.asked, purse.asked, actions(exchange)) == (["small"], [], ["small"])


@pytest.mark.parametrize("room", [True, False])
async def test_another_is_asked_only_where_the_budget_has_room(room):
    asking, purse = Asking(), Purse("large" if room else "other")
    exchange = await asking.ask(1, purse=purse)
    assert purse.asked == ["large"]
    assert asking.upstream.asked == ["large" if room else "small"]
    assert why(exchange) == ("because" if room else "the budget has no room for more")


ABLE = Model(
    input_usd_per_million=1.0,
    output_usd_per_million=1.0,
    context_tokens=8_000,
    max_output_tokens=500,
    abilities=("tools",),
)
PLAIN = ABLE.model_copy(update={"abilities": ()})
THREE = ModelsPolicy(models={"small": PLAIN, "middle": ABLE, "large": ABLE})
TOOLS = [{"type": "function", "function": {"name": "f"}}]


@pytest.mark.parametrize(
    ("room", "answered", "asked"),
    [
        (["large", "middle"], "large", ["large"]),
        (["middle"], "middle", ["large", "middle"]),
        (["small"], None, ["large", "middle"]),
    ],
)
async def test_without_room_the_smallest_that_can_answer_is_asked_or_nobody(room, answered, asked):
    asking, purse = Asking(alias("small", "middle", "large"), THREE), Purse(*room)
    asking.upstream.answers["middle"] = "so so"
    if answered is None:
        with pytest.raises(Refusal) as refused:
            await asking.ask(2, purse=purse, tools=TOOLS)
        assert (refused.value.status, refused.value.message) == (403, "no room for middle")
    else:
        exchange = await asking.ask(2, purse=purse, tools=TOOLS)
        assert actions(exchange) == ["large"]
    assert asking.upstream.asked == ([answered] if answered else [])
    assert purse.asked == asked


async def test_what_the_smallest_can_do_it_does_without_a_question():
    asking, purse = Asking(alias("small", "middle", "large"), THREE), Purse()
    exchange = await asking.ask(2, purse=purse)
    assert (asking.upstream.asked, purse.asked) == (["small"], ["large"])
    assert why(exchange) == "the budget has no room for more"


async def test_an_answer_without_a_choice_is_refused_by_the_budget():
    asking, purse = Asking(alias("small", "large"), THREE), Purse()
    with pytest.raises(Refusal, match="no room for large"):
        await asking.ask(1, purse=purse, tools=TOOLS)
    assert asking.upstream.asked == []


@pytest.mark.parametrize("gone", [True, False])
async def test_a_further_call_is_not_worth_a_failure(gone):
    asking = Asking()
    exchange = asking.house.exchange()
    assert await asking.asker.affords_more(exchange, "large")
    exchange.purse = Purse("large")
    assert await asking.asker.affords_more(exchange, "large")
    if gone:
        exchange.purse.top_up = gone_store
    assert not await asking.asker.affords_more(exchange, "nano")


async def gone_store(model):
    raise StoreUnavailable("gone")


async def test_another_request_than_the_clients_may_be_asked():
    asking = Asking()
    exchange = asking.house.exchange()
    its = asking.house.policy.aliases["auto"]
    thought = asking.thinker.think(exchange, "auto", its, None)
    other = exchange.request.with_fields(logprobs=True)
    await asking.asker.ask_paid(exchange, thought, its.candidates[0], asking.upstream, other)
    assert asking.upstream.seen[0].request.body["logprobs"] is True


@pytest.mark.parametrize(("place", "served"), [(0, "small"), (1, "large")])
async def test_what_may_be_learned_names_who_was_asked(place, served):
    exchange = await Asking().ask(place)
    learned = msgspec.msgpack.decode(exchange.learned, type=Learned)
    assert (learned.served, learned.topic, learned.answer) == (served, None, None)
    assert learned.words
    assert len({msgspec.msgpack.decode((await Asking().ask(place)).learned)[6] for _ in range(5)}) == 5


async def test_nothing_is_learned_of_an_ephemeral_one():
    asking = Asking()
    exchange = asking.house.exchange()
    exchange.ephemeral = True
    its = asking.house.policy.aliases["auto"]
    thought = asking.thinker.think(exchange, "auto", its, None)
    await asking.asker.ask(exchange, thought, its.candidates[0], "because", asking.upstream)
    assert exchange.learned == b""


def shared(**fields):
    both = [{"model": "small", "upstreams": ["east", "west"]}, {"model": "large", "upstreams": ["west"]}]
    return alias(candidates=both, **fields)


async def test_one_of_its_upstreams_is_the_target():
    asking = Asking(shared())
    seen = {(await asking.ask(0)).target for _ in range(40)}
    assert seen == {"east", "west"}
    assert (await asking.ask(1)).target == "west"


async def test_a_thread_keeps_its_upstream():
    asking = Asking(shared())
    first = (await asking.ask(0, thread=b"t")).target
    assert {(await asking.ask(0, thread=b"t")).target for _ in range(20)} == {first}
    stuck = asking.thinker.threads.get(b"t", asking.house.clock.now())
    assert (stuck.model, stuck.upstream) == ("small", first)


async def test_a_thread_is_remembered_from_its_last_request_on():
    asking = Asking(shared(stick_s=10))
    await asking.ask(0, thread=b"t")
    asking.house.clock.advance(9)
    await asking.ask(0, thread=b"t")
    asking.house.clock.advance(9)
    assert asking.thinker.threads.get(b"t", asking.house.clock.now())
    asking.house.clock.advance(1)
    assert asking.thinker.threads.get(b"t", asking.house.clock.now()) is None


@pytest.mark.parametrize("answer", ["fine", 500, 400, refuse(), refuse("bad", 400)])
@pytest.mark.parametrize("stream", [True, False])
async def test_no_call_stays_open_in_the_balance(answer, stream):
    asking = Asking(shared())
    asking.upstream.answers["small"] = answer
    with suppress(Refusal):
        await asking.ask(0, stream=stream)
    assert asking.upstream.asked == ["small"]
    assert [route.in_flight for route in asking.balance.states()] == [0, 0]
