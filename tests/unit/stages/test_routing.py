"""The routing stage on the road: threads, budget, cache, and nothing personal in what it leaves behind."""

import asyncio
import base64
import json
import logging
from contextlib import suppress

import pytest
from budget_stage_house import tokens
from routing_house import MODELS, USAGES, House, actions, alias, cascade, of, refuse, settle, stream_of, why

from penstock import testing
from penstock.budget.policy import BudgetPolicy
from penstock.chain import Chain, ChainPolicy
from penstock.errors import Refusal
from penstock.experiment.mixed import Mixed
from penstock.experiment.policy import Arm, Experiment, ExperimentPolicy
from penstock.models.policy import ModelsPolicy
from penstock.policy.base import StagePolicy
from penstock.routing.policy import RoutingPolicy
from penstock.stage import Stage
from penstock.stages.budget import Budget
from penstock.stages.cache import Cache, CachePolicy
from penstock.stages.routing import Routing
from penstock.tenants.policy import Degrade, Tenant, TenantsPolicy

BAD = "I'm sorry, but no."
NUMBER = "How many apples are left?"
BOTH = [{"model": "small", "upstreams": ["east", "west"]}, {"model": "large", "upstreams": ["east", "west"]}]
INTENTS = {
    "code": ["write a function that sorts", "why does this loop never end", "refactor this class please"],
    "maths": ["what is 17 percent of 80", "solve x + 3 = 9", "how many apples are left over"],
}


class Rest(Stage[StagePolicy]):
    """The end of the road."""

    name = "rest"
    policy = StagePolicy

    def __init__(self, upstream):
        self._upstream = upstream

    async def answer(self, exchange, proceed):
        return await self._upstream(exchange)


class Road(House):
    """Cache, budget and routing in front of the upstream."""

    def __init__(
        self, its=None, *limits, models=MODELS, stages=("budget", "routing"), degrade=None, **routing
    ):
        tenant = Tenant(limits=limits, degrade=degrade)
        given = [
            TenantsPolicy(tenants={"acme": tenant}),
            BudgetPolicy(least_output_tokens=1),
            CachePolicy(),
            StagePolicy(),
        ]
        order = ChainPolicy(order=(*stages, "rest"))
        super().__init__(its, models, order, *given, **routing)
        self.budget, self.cache = Budget(), Cache()
        built = {"cache": self.cache, "budget": self.budget, "routing": self.stage}
        self.stages = {name: built[name] for name in stages}
        self.chain = Chain({**self.stages, "rest": Rest(self.upstream)})

    async def open(self):
        for stage in self.stages.values():
            await stage.start(self.resources)
            stage.accept(self.set)
        return self

    async def answer(self, exchange):
        return await self.chain.answer(exchange)

    async def close(self):
        for stage in reversed(self.stages.values()):
            await stage.stop()

    async def charged(self):
        """Give what the ledger holds by account: used, and that nothing is reserved."""
        await settle(60)
        book = self.resources.ledger._book("acme", self.clock.now())
        assert all(standing.reserved == 0 for standing in book.accounts.values()), book.accounts
        assert await self.resources.ledger.held("acme", now=self.clock.now()) == 0
        return {key: standing.used for key, standing in book.accounts.items() if standing.used}


@pytest.fixture
async def build():
    houses = []

    async def make(*given, kind=House, **more):
        houses.append(await kind(*given, **more).open())
        return houses[-1]

    yield make
    for house in houses:
        await house.close()
    await settle()


def spent(*models):
    return sum(USAGES[model].input_tokens + USAGES[model].output_tokens for model in models)


def usd(*models):
    return sum(MODELS.models[model].cost_usd_micros(USAGES[model]) for model in models)


async def test_other_names_pass_untouched(build):
    house = await build()
    exchange = await house.ask(model="small")
    assert (actions(exchange), why(exchange)) == (["pass"], "no alias")
    assert house.upstream.seen[0].calls[0].model == "small"


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/files"])
async def test_an_alias_is_only_one_where_models_speak(build, path):
    house = await build()
    house.upstream.answers["auto"] = "x"
    exchange = house.exchange(path=path, input="x")
    await house.stage.answer(exchange, testing.FakeUpstream(testing.chat("x")))
    assert actions(exchange) == ["pass"]


@pytest.mark.parametrize(("streams", "asked"), [("pre", "small"), ("off", "large")])
async def test_streams_that_are_not_held(build, streams, asked):
    house = await build(cascade(streams=streams))
    house.upstream.answers["small"] = BAD
    await house.ask(stream=True)
    assert house.upstream.asked == [asked]
    await house.ask()
    assert house.upstream.asked[1:] == ["small", "large"]  # a plain answer is judged all the same


async def test_a_thread_keeps_model_and_upstream_until_its_time_is_up(build):
    house = await build(alias(candidates=BOTH, decide="scorer", large_share=0.5, stick_s=60))
    for thread in "abcdefgh":
        seen = set()
        for _ in range(6):
            exchange = await house.ask(headers={"x-dac-thread": thread})
            seen.add((house.upstream.asked[-1], exchange.upstream))
            house.clock.advance(30)
        assert len(seen) == 1
    assert set(house.upstream.asked) == {"small", "large"}


async def test_a_thread_ends(build):
    house = await build(alias(rules=[{"header": {"x-first": "1"}, "use": "large"}], stick_s=60))
    thread = {"x-dac-thread": "t"}
    await house.ask(headers={**thread, "x-first": "1"})
    house.clock.advance(59)
    await house.ask(headers=thread)
    assert house.upstream.asked == ["large", "large"]
    house.clock.advance(60)
    await house.ask(headers=thread)
    assert house.upstream.asked[2:] == ["small"]


@pytest.mark.parametrize("stick", ["thread", "user", "none"])
async def test_nobody_shares_a_thread_with_another_tenant_key_alias_or_user(build, stick):
    its = alias(rules=[{"header": {"x-first": "1"}, "use": "large"}], stick=stick)
    house = await build(its)

    async def asked(first=False, tenant="acme", key_id="k1", user="ada", thread="t"):
        headers = {"x-dac-thread": thread, **({"x-first": "1"} if first else {})}
        exchange = house.exchange(headers=headers, tenant=tenant)
        exchange.key_id, exchange.user = key_id, user
        await house.answer(exchange)
        return house.upstream.asked[-1]

    assert await asked(first=True) == "large"
    assert await asked() == ("small" if stick == "none" else "large")
    assert await asked(tenant="globex") == "small"
    assert await asked(key_id="k2") == "small"
    assert await asked(user="bob", thread="u") == "small"
    assert await asked(user="bob") == ("large" if stick == "thread" else "small")
    assert await asked(thread="u") == ("large" if stick == "user" else "small")


async def test_what_is_kept_of_threads_is_a_hash(build):
    house = await build()
    await house.ask(headers={"x-dac-thread": "MARKER"})
    (name,) = house.stage._thinker.threads._stuck
    assert len(name) == 32
    assert b"MARKER" not in name


def test_a_plan_asks_nobody_and_says_why():
    house = House(alias(rules=[{"intent": ["code"], "use": "large"}]), intents=INTENTS)
    stage = Routing()  # never started, as `penstock explain` has it
    told = [stage.plan(house.exchange(text)) for text in ("write a function that sorts", "solve x + 3 = 9")]
    assert [(each.action, each.reason) for each in told] == [
        ("large", "intent code, rule 1"),
        ("small", "intent maths, by policy"),
    ]
    assert stage.plan(house.exchange(model="small")).action == "pass"


def test_a_chain_without_the_stage_is_refused_where_there_are_aliases():
    assert Routing.demanded(House().set) == "routing.yaml has aliases"
    assert Routing.demanded(testing.policies()) is None


async def test_new_intents_are_learned_beside_the_road(build):
    house = await build()
    house.set = house.set.replacing(of(RoutingPolicy, aliases={"auto": alias()}, intents=INTENTS))
    house.stage.accept(house.set)
    assert (await house.ask("write a function that sorts")).intent is None  # nobody waits for it
    assert await learned(house) == "code"


async def learned(house):
    """Give the intent of a text once there is one; the suite's own limit ends the waiting."""
    while (intent := (await house.ask("write a function that sorts")).intent) is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return intent


async def test_the_intents_of_an_arm_are_learned_with_those_of_the_files(build):
    own = {"programs": INTENTS["code"], "code": ["x y", "y z", "z x"]}
    arms = {"control": Arm(), "treatment": Arm(set={"routing": {"intents": own}})}
    house = await build()
    base = house.set.replacing(of(RoutingPolicy, aliases={"auto": alias()}, intents=INTENTS))
    base = testing.policies(
        *base.by_file.values(), ExperimentPolicy(experiments={"e": Experiment(arms=arms)})
    )
    house.stage.accept(base)
    for arm, intent in (("control", "code"), ("treatment", "programs")):
        house.set = Mixed(base).of((("e", arm),))
        assert await learned(house) == intent


async def test_intents_that_are_gone_are_forgotten(build):
    house = await build(intents=INTENTS)
    with_intents = house.set
    house.stage.accept(house.set.replacing(of(RoutingPolicy, aliases={"auto": alias()})))
    await settle()
    house.set = with_intents
    assert (await house.ask("write a function that sorts")).intent is None


async def test_without_limits_an_alias_costs_nothing_and_works(build):
    road = await build(cascade(), kind=Road)
    road.upstream.answers["small"] = BAD
    await road.ask()
    assert (road.upstream.asked, await road.charged()) == (["small", "large"], {})


@pytest.mark.parametrize("stream", [False, True])
async def test_both_calls_are_charged_in_every_unit(build, stream):
    limits = [tokens(100_000), *(of_unit(unit) for unit in ("usd", "requests"))]
    road = await build(cascade(second_opinion="nano"), *limits, kind=Road)
    road.upstream.answers.update(small="7", nano="8")
    exchange = await road.ask(NUMBER, stream=stream)
    assert sorted(call.model for call in exchange.calls) == ["large", "nano", "small"]
    assert await road.charged() == {
        "tenant/tokens/total/0/": spent("small", "large", "nano"),
        "tenant/usd/total/0/": usd("small", "large", "nano"),
        "tenant/requests/total/0/": 1,
    }


def of_unit(unit, limit=1_000, **more):
    return of(type(tokens(1)), unit=unit, window="total", limit=limit, **more)


@pytest.mark.parametrize("answer", [BAD, "fine"])
async def test_each_models_own_limit_counts_its_own_calls(build, answer):
    limits = [tokens(100_000), *(tokens(100_000, model=model) for model in ("small", "large", "auto"))]
    road = await build(cascade(), *limits, kind=Road)
    road.upstream.answers["small"] = answer
    await road.ask()
    both = ("small", "large") if answer == BAD else ("small",)
    expected = {"": spent(*both), "small": spent("small"), "auto": spent(*both)}
    if answer == BAD:
        expected["large"] = spent("large")
    assert await road.charged() == {f"tenant/tokens/total/0/{name}": used for name, used in expected.items()}


@pytest.mark.parametrize("unit", ["tokens", "usd", "requests"])
async def test_the_large_models_own_limit_keeps_the_small_answer(build, unit):
    full = of_unit(unit, {"tokens": 10, "usd": 0.000001, "requests": 1}[unit], model="large")
    road = await build(cascade(), full, tokens(100_000), kind=Road)
    road.upstream.answers["small"] = BAD
    if unit == "requests":
        await road.ask(model="large")
        del road.upstream.asked[:]
    exchange = await road.ask()
    assert road.upstream.asked == ["small"]
    assert why(exchange) == "gate refused: phrase, but the budget has no room for more"
    assert b"sorry" in road.told
    assert (await road.charged())["tenant/tokens/total/0/"] == spent(
        "small", *["large"] * (unit == "requests")
    )


async def test_a_choice_of_the_large_one_needs_room_for_it(build):
    road = await build(alias(decide="large"), tokens(10, model="large"), tokens(100_000), kind=Road)
    exchange = await road.ask()
    assert (road.upstream.asked, why(exchange)) == (["small"], "the budget has no room for more")
    assert await road.charged() == {"tenant/tokens/total/0/": spent("small")}


@pytest.mark.parametrize("large", [refuse(), 500])
async def test_a_large_one_that_fails_costs_nothing(build, large):
    road = await build(cascade(), tokens(100_000), tokens(100_000, model="large"), kind=Road)
    road.upstream.answers.update(small=BAD, large=large)
    await road.ask(stream=True)
    assert await road.charged() == {"tenant/tokens/total/0/": spent("small")}


async def test_a_client_that_leaves_while_the_large_one_answers_is_charged_for_both(build):
    road = await build(cascade(), tokens(100_000), kind=Road)
    road.upstream.answers["small"] = BAD
    reply = await road.answer(road.exchange(stream=True))
    batches = reply.stream.batches()
    await anext(batches)
    await batches.aclose()
    assert await road.charged() == {"tenant/tokens/total/0/": spent("small", "large")}


async def test_a_client_that_leaves_before_the_large_one_answers_is_charged_for_the_small_one(build):
    road = await build(cascade(second_opinion="nano"), tokens(100_000), kind=Road)
    road.upstream.answers["small"] = BAD
    road.upstream.gates["large"] = asyncio.Event()
    asking = asyncio.ensure_future(road.ask())
    await settle()
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    assert await road.charged() == {"tenant/tokens/total/0/": spent("small")}


async def test_shadow_traffic_is_paid_by_itself_after_the_answer(build):
    its = alias(shadow=0.25)
    road = await build(its, tokens(100_000), tokens(100_000, model="large"), of_unit("requests"), kind=Road)
    road.stage._shadow._rng.random = lambda: 0.0
    road.upstream.gates["large"] = asyncio.Event()
    await road.ask(NUMBER)
    await settle(60)
    book = road.resources.ledger._book("acme", road.clock.now())
    assert book.standing("tenant/tokens/total/0/").used == spent("small")
    assert await road.resources.ledger.held("acme", now=road.clock.now()) == 1
    assert book.standing("tenant/tokens/total/0/large").reserved > 0
    road.upstream.gates["large"].set()
    assert await road.charged() == {
        "tenant/tokens/total/0/": spent("small", "large"),
        "tenant/tokens/total/0/large": spent("large"),
        "tenant/requests/total/0/": 1,
    }


@pytest.mark.parametrize("large", [refuse(), 500, stream_of("a")])
async def test_shadow_traffic_that_brings_nothing_holds_nothing(build, large):
    road = await build(alias(shadow=0.25), tokens(100_000), kind=Road)
    road.stage._shadow._rng.random = lambda: 0.0
    road.upstream.answers["large"] = (
        large if not isinstance(large, list) else (lambda exchange: as_stream(exchange))
    )
    await road.ask(NUMBER)
    used = (await road.charged())["tenant/tokens/total/0/"]
    assert used == spent("small") if not isinstance(large, list) else used >= spent("small")
    assert road.upstream.asked == ["small", "large"]


def as_stream(exchange):
    """Answer with a stream though none was asked for."""
    exchange.request = exchange.request.with_fields(stream=True)
    return stream_of("7 it is")


async def test_shadow_traffic_without_room_is_not_sent(build):
    road = await build(alias(shadow=0.25), tokens(700), kind=Road)  # room for one call, hardly for two
    road.stage._shadow._rng.random = lambda: 0.0
    road.upstream.answers["small"] = "word " * 2
    await road.ask(NUMBER)
    await road.ask(NUMBER, max_tokens=400)
    await road.charged()
    assert road.upstream.asked.count("large") <= 2
    poor = await build(alias(shadow=0.25), tokens(10, model="large"), tokens(10_000), kind=Road)
    poor.stage._shadow._rng.random = lambda: 0.0
    await poor.ask(NUMBER)
    await poor.charged()
    assert poor.upstream.asked == ["small"]


async def test_an_alias_whose_smallest_has_no_price_is_refused_within_a_budget(build):
    models = ModelsPolicy(models={"large": MODELS.models["large"]})
    road = await build(alias(), tokens(100_000), models=models, kind=Road)
    with pytest.raises(Refusal) as refused:
        await road.ask()
    assert (refused.value.status, refused.value.code) == (400, "model_not_priced")
    assert road.upstream.asked == []


async def test_an_answer_to_the_alias_is_kept_under_the_alias(build):
    road = await build(alias(decide="large"), kind=Road, stages=("cache", "budget", "routing"))
    first = await road.ask(temperature=0)
    again = await road.ask(temperature=0)
    assert [each.answer_headers["x-dac-cache"] for each in (first, again)] == ["miss", "hit"]
    assert road.upstream.asked == ["large"]
    await road.ask(temperature=0, model="large")
    await road.ask(temperature=0, model="small")
    assert road.upstream.asked == ["large", "large", "small"]


async def test_an_escalated_answer_is_kept_and_the_small_one_is_not(build):
    road = await build(cascade(), kind=Road, stages=("cache", "budget", "routing"))
    road.upstream.answers["small"] = BAD
    for _ in range(2):
        await road.ask(temperature=0, stream=True)
        assert b"better" in road.told
    assert road.upstream.asked == ["small", "large"]


async def test_a_substituted_answer_is_not_kept(build):
    degrade = Degrade(from_share=0.0, model="small")
    road = await build(
        alias(decide="large"),
        tokens(100_000),
        kind=Road,
        stages=("cache", "budget", "routing"),
        degrade=degrade,
    )
    for _ in range(2):
        exchange = await road.ask(temperature=0)
        assert exchange.substituted
    assert road.upstream.asked == ["small", "small"]


async def test_requests_of_other_arms_share_nothing(build):
    road = await build(kind=Road, stages=("cache", "routing"))
    for arms in ({"e": "a"}, {"e": "b"}, {"e": "a"}, {"e": "b"}, {}):
        exchange = road.exchange(temperature=0)
        exchange.arms = arms
        await testing.read(await road.answer(exchange))
        await settle()
    assert len(road.upstream.asked) == 3


async def test_nothing_personal_is_left_behind(build, caplog):
    caplog.set_level(logging.DEBUG)
    marker = "marker-xyzzy-4711"
    its = cascade(second_opinion="nano").model_copy(update={"shadow": 0.25})
    road = await build(its, tokens(100_000), kind=Road, intents=INTENTS)
    road.stage._shadow._rng.random = lambda: 0.0
    road.upstream.answers.update(small=f"7 {marker}", nano=f"8 {marker}", large=f"9 {marker}")
    told = []
    for number in range(4):
        headers = {"x-dac-thread": f"{marker} {number}"}
        exchange = await road.ask(f"{NUMBER} {marker}", headers=headers, stream=number % 2 == 0, user=marker)
        told.append([exchange.decisions, exchange.answer_headers, exchange.timings, repr(exchange.intent)])
        told.append(exchange.learned)
    await road.charged()
    await road.close()
    records, ledger = road.resources.records, road.resources.ledger
    left = [told, caplog.text, records._tables, ledger._tenants, road.resources.store.entries]
    left.append(
        [
            road.stage._thinker._prompts._gains,
            road.stage._thinker._answers._gains,
            road.stage._thinker.threads._stuck,
        ]
    )
    assert records._tables["outcomes"]
    text = repr(left).lower()
    raw = marker.encode()
    forms = [
        marker,
        raw.hex(),
        base64.b64encode(raw).decode()[:-3],
        json.dumps(marker)[1:-1],
        "xyzzy",
        "apples",
    ]
    assert [form for form in forms if form.lower() in text] == []
