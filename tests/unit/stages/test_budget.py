"""The budget stage: what it reserves, charges, tells and refuses."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest
from multidict import CIMultiDict

from penstock import testing
from penstock.budget.policy import BudgetPolicy
from penstock.budget.window import Window
from penstock.errors import Refusal, StageFailed
from penstock.exchange import Exchange
from penstock.models.prompt import prompt_bound
from penstock.openai.request import request_of
from penstock.reply import Reply
from penstock.stages.budget import Budget
from penstock.stores.ledger import Standing
from penstock.tenants.policy import Group, Limit
from penstock.upstream import failures
from unit.stages.budget_stage_house import CHAT, MODEL, House, Upstream, degrade, tokens

Make = Callable[..., Any]
REQUESTS = Limit(unit="requests", window="total", limit=1_000)


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    houses: list[House] = []

    async def make(*limits: Limit, **more: Any) -> House:
        houses.append(await House(*limits, **more).open())
        return houses[-1]

    yield make
    for house in houses:
        await house.stage.stop()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_whole_answer_is_charged_what_the_upstream_told(make: Make, stream: bool):
    house = await make(tokens(1_000), REQUESTS)
    exchange = await house.ask(Upstream(5), stream=stream)
    assert await house.standing() == Standing(used=8)
    assert await house.standing("requests") == Standing(used=1)
    assert [(told.stage, told.action) for told in exchange.decisions] == [("budget", "reserve")]


async def test_nothing_is_counted_without_limits(make: Make):
    house = await make()
    exchange = await house.ask(model="unheard-of", max_tokens=-1)
    assert exchange.answer_headers == {}
    assert exchange.purse is None
    assert await house.ledger.held("acme", now=house.clock.now()) == 0


@pytest.mark.parametrize("tenant", ["globex", "default", ""])
async def test_other_tenants_limits_are_not_ones_own(make: Make, tenant: str):
    house = await make(tokens(1))
    exchange = house.exchange()
    exchange.tenant = tenant
    assert (await house.stage.answer(exchange, Upstream())).status == 200


async def test_no_more_than_is_left_goes_upstream(make: Make):
    house, upstream = await make(tokens(300)), Upstream(1_000)
    exchange = house.exchange()
    bound = prompt_bound(exchange.request, MODEL)
    await house.stage.answer(exchange, upstream)
    await house.rest()
    assert upstream.seen[0].request.body["max_tokens"] == 300 - bound
    assert (await house.standing()).used == 3 + 300 - bound


async def test_what_fits_goes_upstream_as_it_came(make: Make):
    house, upstream = await make(tokens(10_000)), Upstream()
    exchange = house.exchange(max_tokens=100)
    raw = exchange.request.raw
    await house.stage.answer(exchange, upstream)
    assert upstream.seen[0].request.raw == raw


async def test_the_hard_stop(make: Make):
    house, upstream = await make(tokens(100)), Upstream()
    with pytest.raises(Refusal) as stop:
        await house.ask(upstream)
    assert (stop.value.status, stop.value.code) == (429, "insufficient_quota")
    assert stop.value.headers["x-should-retry"] == "false"
    assert upstream.seen == []
    assert await house.standing() == Standing()


@pytest.mark.parametrize(
    ("policy", "tenant", "status"), [(429, None, 429), (403, None, 403), (403, 429, 429), (429, 403, 403)]
)
async def test_the_status_of_the_hard_stop(make: Make, policy: int, tenant: int | None, status: int):
    house = await make(tokens(100), policy=BudgetPolicy(hard_stop=policy), hard_stop=tenant)
    exchange = house.exchange()
    with pytest.raises(Refusal) as stop:
        await house.stage.answer(exchange, Upstream())
    assert stop.value.status == status
    assert exchange.answer_headers["x-ratelimit-remaining-tokens"] == "100"
    assert exchange.decisions[-1].action == "stop"


async def test_the_day_after_there_is_a_new_budget(make: Make):
    house = await make(tokens(250, "day"), timezone="Europe/Warsaw")
    await house.ask(max_tokens=16)
    first = await house.standing(window=Window.DAY)
    house.clock.advance(86_400)
    assert await house.standing(window=Window.DAY) == Standing()
    await house.ask(max_tokens=16)
    house.clock.advance(-86_400)  # and a clock that goes back finds what it left
    assert await house.standing(window=Window.DAY) == first


async def test_a_clock_that_goes_back_while_a_call_runs_loses_nothing(make: Make):
    house = await make(tokens(1_000, "day"))
    exchange = house.exchange(stream=True)
    reply = await house.stage.answer(exchange, Upstream(5))
    house.clock.advance(-2 * 86_400)
    await testing.read(reply)
    await house.rest()
    house.clock.advance(2 * 86_400)
    assert await house.standing(window=Window.DAY) == Standing(used=8)


async def test_groups_and_models_are_counted_beside_their_tenant(make: Make):
    house = await make(
        tokens(10_000),
        tokens(5_000, model="small"),
        projects={"search": Group(limits=(tokens(4_000),))},
        users={"ada": Group(limits=(tokens(3_000),))},
    )
    exchange = house.exchange(model="small-2026-01-31", max_tokens=20)
    exchange.project, exchange.user = "search", "ada"
    await house.stage.answer(exchange, Upstream(5))
    await house.rest()
    scopes = [{}, {"model": "small"}, {"scope": "project:search"}, {"scope": "user:ada"}]
    assert [(await house.standing(**scope)).used for scope in scopes] == [8, 8, 8, 8]
    assert exchange.answer_headers["x-dac-budget-remaining"].endswith("scope=user:ada; window=total")


@pytest.mark.parametrize("usage", [True, False], ids=["told", "counted"])
@pytest.mark.parametrize("events", [0, 1, 3])
async def test_a_stream_that_its_client_leaves_is_charged_what_was_said(make: Make, events: int, usage: bool):
    house = await make(tokens(1_000), REQUESTS)
    exchange = house.exchange(stream=True, max_tokens=50)
    reply = await house.stage.answer(exchange, Upstream(20, usage=usage))
    async with aclosing(reply.stream.batches()) as batches:
        for _ in range(events):
            await anext(batches)
    await reply.aclose()
    await house.rest()
    standing = await house.standing()
    assert standing.reserved == 0
    assert events <= standing.used <= prompt_bound(exchange.request, MODEL) + 50
    assert await house.standing("requests") == Standing(used=1)


async def test_a_client_that_leaves_before_the_answer(make: Make):
    house = await make(tokens(1_000))

    async def hangs(exchange: Exchange) -> Reply:
        exchange.attempts += 1
        await asyncio.sleep(60)
        raise AssertionError

    asking = asyncio.create_task(house.stage.answer(house.exchange(), hangs))
    await house.rest()
    assert (await house.standing()).reserved > 0
    asking.cancel()
    await asyncio.wait([asking])
    await house.rest()
    standing = await house.standing()
    assert 0 < standing.used < 300
    assert standing.reserved == 0


@pytest.mark.parametrize("problem", [failures.closed(), Refusal(429, "slow", "Slow."), ValueError("broken")])
async def test_a_call_that_fails_costs_nothing(make: Make, problem: Exception):
    house = await make(tokens(1_000), REQUESTS)
    with pytest.raises(type(problem)):
        await house.ask(Upstream(fails=problem))
    await house.rest()
    assert await house.standing() == Standing()
    assert await house.standing("requests") == Standing()


@pytest.mark.parametrize(("texts", "charged"), [((), False), (("hello ", "there "), True)])
async def test_a_stream_that_breaks_costs_what_it_said(make: Make, texts: tuple[str, ...], charged: bool):
    house = await make(tokens(1_000))
    upstream = Upstream()

    async def breaks(exchange: Exchange) -> Reply:
        await upstream(exchange)
        exchange.calls[-1].usage = None
        return testing.chat_stream(*texts, ending=failures.truncated())()

    await house.ask(breaks, stream=True)
    standing = await house.standing()
    assert standing.reserved == 0
    assert (standing.used > 0) is charged


async def test_an_answer_that_cannot_be_followed_leaves_nothing_held(make: Make):
    house = await make(tokens(1_000))
    upstream = Upstream(usage=False)

    async def odd(exchange: Exchange) -> Reply:
        await upstream(exchange)
        return Reply(200, body=b"no JSON")

    with pytest.raises(ValueError):  # noqa: PT011 - whatever reading it raises
        await house.ask(odd)
    await house.rest()
    assert (await house.standing()).reserved == 0


async def test_a_store_that_is_gone(make: Make):
    house, upstream = await make(tokens(1_000)), Upstream()
    house.ledger.gone = True
    with pytest.raises(StageFailed) as refused:
        await house.ask(upstream)
    assert (refused.value.status, refused.value.code) == (503, "budget_unavailable")
    assert upstream.seen == []
    house.ledger.gone = False
    await house.ask(upstream)
    assert (await house.standing()).used == 8


async def test_too_many_streams_at_once(make: Make):
    house = await make(Limit(unit="streams", limit=1))
    first = await house.stage.answer(house.exchange(stream=True), Upstream())
    with pytest.raises(Refusal) as refused:
        await house.ask()
    assert (refused.value.status, refused.value.code) == (429, "rate_limit_exceeded")
    assert refused.value.headers == {"retry-after": "1"}
    await testing.read(first)
    await house.rest()
    assert (await house.ask(stream=True)).decisions[-1].action == "reserve"


async def test_requests_per_minute(make: Make):
    house = await make(Limit(unit="requests", window="minute", limit=2))
    house.clock.advance(-(house.clock.now() % 60) + 50)
    for _ in range(2):
        await house.ask()
    with pytest.raises(Refusal) as refused:
        await house.ask()
    assert (refused.value.code, refused.value.headers["retry-after"]) == ("rate_limit_exceeded", "10")
    house.clock.advance(10)
    await house.ask()


async def test_degrading(make: Make):
    house, upstream = await make(tokens(1_000), degrade=degrade(0.5)), Upstream(300)
    first = await house.ask(upstream, max_tokens=300)
    assert not first.substituted
    second = await house.ask(upstream, max_tokens=300)
    third = await house.ask(upstream, max_tokens=100)
    assert [seen.request.model for seen in upstream.seen] == ["m", "m", "small"]
    assert [exchange.substituted for exchange in (first, second, third)] == [False, False, True]
    assert "degrade" in [told.action for told in third.decisions]
    assert (await house.standing()).reserved == 0


async def test_what_the_large_models_limit_stops_the_small_one_answers(make: Make):
    house, upstream = await make(tokens(10_000), tokens(100, model="m"), degrade=degrade(1)), Upstream()
    exchange = await house.ask(upstream)
    assert upstream.seen[0].request.model == "small"
    assert exchange.substituted
    assert (await house.standing(model="m")) == Standing()


async def test_the_small_model_is_never_degraded_again(make: Make):
    house, upstream = await make(tokens(1_000), degrade=degrade(0)), Upstream()
    exchange = await house.ask(upstream, model="small")
    assert not exchange.substituted


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/v1/audio/speech", "POST", 403),
        ("/v1/images/generations", "POST", 403),
        ("/v1/batches", "POST", 403),
        ("/v1/moderations", "POST", None),
        ("/v1/files", "POST", None),
        ("/v1/files/x/content", "POST", None),
        ("/v1/filesystem", "POST", 403),
        ("/v1/files", "GET", None),
        ("/v1/models", "GET", None),
        ("/v1/files/x", "DELETE", None),
    ],
)
async def test_endpoints(make: Make, path: str, method: str, status: int | None):
    house = await make(tokens(1_000), REQUESTS)
    exchange = house.exchange(path, method)
    rest = testing.FakeUpstream(testing.chat("x"))
    if status is None:
        await house.stage.answer(exchange, rest)
        assert rest.calls == 1
        return
    with pytest.raises(Refusal) as refused:
        await house.stage.answer(exchange, rest)
    assert (refused.value.status, refused.value.code) == (status, "endpoint_not_metered")


async def test_what_is_not_metered_is_no_matter_where_only_requests_are_counted(make: Make):
    house = await make(REQUESTS)
    assert (
        await house.stage.answer(house.exchange("/v1/audio/speech"), testing.FakeUpstream(testing.chat("x")))
    ).status == 200


async def test_an_upgrade_is_no_plain_get(make: Make):
    house = await make(tokens(1_000))
    request = request_of("GET", "/v1/realtime", CIMultiDict({"upgrade": "websocket"}), b"")
    exchange = Exchange(request, house.set)
    exchange.tenant = "acme"
    with pytest.raises(Refusal) as refused:
        house.stage.plan(exchange)
    assert refused.value.code == "endpoint_not_metered"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"tools": [{"type": "web_search"}]}),
        (CHAT, {"web_search_options": {}}),
        ("/v1/responses", {"model": "m", "input": "hi", "tools": [{"type": "code_interpreter"}]}),
        (
            "/v1/responses",
            {"model": "m", "input": "hi", "previous_response_id": "r", "tools": [{"type": "web_search"}]},
        ),
        ("/v1/responses", {"model": "m", "prompt": {"id": "p"}, "tools": [{"type": "mcp"}]}),
    ],
)
async def test_tools_that_the_provider_runs(make: Make, path: str, body: dict[str, Any]):
    house = await make(tokens(1_000))
    with pytest.raises(Refusal) as refused:
        await house.stage.answer(house.exchange(path, **body), Upstream())
    assert (refused.value.status, refused.value.code) == (403, "tool_not_metered")
    allowed = await make(tokens(100_000), policy=BudgetPolicy(unmetered_tools=True))
    assert (await allowed.stage.answer(allowed.exchange(path, **body), Upstream())).status == 200


@pytest.mark.parametrize("name", ["max_tokens", "n"])
@pytest.mark.parametrize("value", [-1, 0, True, "2", 10**30])
async def test_numbers_that_cannot_be_meant(make: Make, name: str, value: Any):
    house, upstream = await make(tokens(100_000)), Upstream()
    if (name, value) == ("max_tokens", 10**30):
        await house.ask(upstream, max_tokens=value)
    else:
        with pytest.raises(Refusal) as refused:
            await house.ask(upstream, **{name: value})
        assert (refused.value.status, refused.value.param) == (400, name)
        assert upstream.seen == []
    assert (await house.standing()).reserved == 0


async def test_the_plan_says_what_would_be_reserved(make: Make):
    house = await make(tokens(1_000), REQUESTS)
    plan = house.stage.plan(house.exchange(max_tokens=50))
    assert plan.action == "reserve"
    assert plan.reason.startswith("limits on tokens, requests; up to ")
    assert (await house.standing()).reserved == 0
    with pytest.raises(Refusal):
        house.stage.plan(house.exchange(max_tokens=-1))


def test_a_stage_that_was_never_started_has_a_plan():
    house = House(tokens(1_000))
    assert Budget().plan(house.exchange()).action == "reserve"
    assert House().stage.plan(House().exchange()).action == "pass"
