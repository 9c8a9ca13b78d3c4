"""One request's reservation to its end: charged once, whatever ends first, and told on the answer."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from penstock import testing
from penstock.budget.counting import Counting
from penstock.budget.held import Held
from penstock.budget.limits import Applied
from penstock.budget.need import Need
from penstock.budget.policy import BudgetPolicy
from penstock.budget.told import Stand
from penstock.exchange import Call
from penstock.openai.produced import Produced
from penstock.openai.usage import Usage
from penstock.reply import Reply
from penstock.stores.ledger import Standing
from penstock.tenants.policy import TenantsPolicy
from unit.budget.budget_bits import CHAT, MODELS, TOKENS, Shop, applied

Open = Callable[..., Any]


@pytest.fixture
async def shop():
    shop = Shop()
    yield shop
    await shop.books.close()


@pytest.fixture
def warned() -> list[Stand]:
    return []


@pytest.fixture
def hold(shop: Shop, warned: list[Stand]) -> Open:
    async def hold(limits: Sequence[Applied] = (TOKENS,), **body: Any) -> Held:
        asked_for = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 100}
        exchange = testing.exchange(CHAT, body={**asked_for, **body}, given=[MODELS, TenantsPolicy()])
        need = Need.of(exchange.request, MODELS.find(exchange.request.model), limits, 128)
        asked = await shop.till.ask(need, limits)
        return Held(exchange, shop.till, asked, Counting(), lambda model: limits, warned.append)

    return hold


async def settled(shop: Shop, limit: Applied = TOKENS) -> Standing:
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return await shop.standing(limit)


def answered(held: Held, *usages: Usage | None) -> None:
    held.exchange.calls += [Call("m", usage) for usage in usages]
    held.exchange.attempts = len(usages)


async def test_release_costs_nothing(shop: Shop, hold: Open):
    held = await hold()
    assert (await shop.standing()).reserved > 0
    held.release()
    assert await settled(shop) == Standing()


async def test_whatever_ends_first_counts(shop: Shop, hold: Open):
    first, second = await hold(), await hold()
    answered(first, Usage(10, 20))
    first.charge(Produced())
    first.release()
    first.charge(Produced())
    second.release()
    answered(second, Usage(10, 20))
    second.charge(Produced())
    assert await settled(shop) == Standing(used=30)


async def test_one_settlement_goes_out(shop: Shop, hold: Open, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []
    held = await hold()
    monkeypatch.setattr(shop.books, "settle", lambda tenant, reservation, *_: asked.append(reservation))
    answered(held, Usage(10, 20))
    for _ in range(3):
        held.charge(Produced())
        held.release()
        held.abandon()
    assert len(asked) == 1


async def test_every_call_costs(shop: Shop, hold: Open):
    held = await hold()
    answered(held, Usage(10, 20), Usage(1, 2))
    assert held.charge(Produced()) == [33]
    assert await settled(shop) == Standing(used=33)


async def test_a_call_that_is_given_up_before_it_went_out_is_free(shop: Shop, hold: Open):
    (await hold()).abandon()
    assert await settled(shop) == Standing()


async def test_a_call_that_is_given_up_after_it_costs_its_prompt(shop: Shop, hold: Open):
    held = await hold()
    held.exchange.attempts = 1
    held.abandon()
    standing = await settled(shop)
    assert 0 < standing.used <= held.need.prompt_tokens
    assert standing.reserved == 0


@pytest.mark.parametrize("status", [400, 429, 500, 503])
async def test_an_error_is_free(shop: Shop, hold: Open, status: int):
    held = await hold()
    held.exchange.attempts = 1
    held.follow(Reply(status, body=b"{}"))
    assert await settled(shop) == Standing()


async def test_a_plain_answer_is_charged_and_told_at_once(shop: Shop, hold: Open):
    held = await hold()
    answered(held, Usage(10, 20))
    held.follow(testing.chat("hello")())
    assert held.exchange.answer_headers["x-dac-budget-remaining"].startswith("970; ")
    assert await settled(shop) == Standing(used=30)


@pytest.mark.parametrize("usage", [None, Usage()], ids=["none", "zero"])
async def test_a_plain_answer_without_usage_is_counted(shop: Shop, hold: Open, usage: Usage | None):
    held = await hold()
    answered(held, usage)
    held.follow(testing.chat("one two three four five six seven eight")())
    standing = await settled(shop)
    assert 8 <= standing.used <= held.need.prompt_tokens + 100


async def test_an_upstream_that_counts_more_than_it_was_allowed_is_believed(shop: Shop, hold: Open):
    held = await hold()
    answered(held, Usage(900, 900))
    held.follow(testing.chat("hello")())
    assert await settled(shop) == Standing(used=1_800)


async def test_a_stream_is_charged_at_its_end(shop: Shop, hold: Open):
    held = await hold()
    answered(held, Usage(10, 20))
    reply = held.follow(testing.chat_stream("a", "b")())
    told = held.exchange.answer_headers["x-dac-budget-remaining"]
    assert told.startswith(f"{1_000 - held.need.prompt_tokens}; ")
    assert (await settled(shop)).used == 0
    await testing.read(reply)
    assert await settled(shop) == Standing(used=30)


async def test_a_stream_that_nobody_reads_is_charged_its_prompt(shop: Shop, hold: Open):
    held = await hold()
    answered(held, None)
    await held.follow(testing.chat_stream("a")()).aclose()
    standing = await settled(shop)
    assert 0 < standing.used <= held.need.prompt_tokens


async def test_units_are_charged_by_what_they_count(shop: Shop, hold: Open):
    limits = [TOKENS, applied("usd", 10**9), applied("requests", 5), applied("streams", 3)]
    held = await hold(limits)
    answered(held, Usage(10, 20))
    held.follow(testing.chat("hello")())
    told = [(await settled(shop, limit)).used for limit in limits]
    assert told == [30, 10 + 20 * 4, 1, 0]
    assert [(await settled(shop, limit)).reserved for limit in limits] == [0, 0, 0, 0]


async def test_a_top_up_holds_more_and_brings_its_own_limits(shop: Shop, hold: Open):
    held = await hold()
    first = await shop.standing()
    assert await held.top_up("small")
    assert (await shop.standing()).reserved == 2 * first.reserved
    extra = applied(model="small", amount=700)
    held._limits_for = lambda model: [TOKENS, extra]
    assert await held.top_up("small")
    answered(held, Usage(10, 20), Usage(1, 2))
    held.exchange.calls[1].model = "small"
    held.charge(Produced())
    assert await settled(shop) == Standing(used=33)
    assert await settled(shop, extra) == Standing(used=3)  # what this model used, and nothing else


async def test_a_top_up_without_room_or_price_is_not_taken(shop: Shop, hold: Open):
    held = await hold(max_tokens=500)
    before = await shop.standing()
    assert not await held.top_up("small")
    assert not await held.top_up("unheard-of")
    assert await shop.standing() == before


@pytest.mark.parametrize(
    ("used", "told"),
    [(100, (429, "rate_limit_exceeded")), (900, (403, "insufficient_quota"))],
    ids=["others hold it", "it is used"],
)
async def test_the_refusal_is_that_of_the_top_up_as_the_policy_has_it(
    shop: Shop, hold: Open, used: int, told: tuple[int, str]
):
    shop.till = replace(shop.till, policy=BudgetPolicy(hard_stop=403))
    held, other = await hold(max_tokens=290), await hold(max_tokens=16)
    answered(other, Usage(used, 0))
    other.charge(Produced())
    await settled(shop)
    assert not await held.top_up("small")
    refusal = held.refusal()
    assert (refusal.status, refusal.code) == told
    assert "x-dac-budget-remaining" in held.exchange.answer_headers


async def test_without_a_refused_top_up_the_refusal_is_a_plain_one(hold: Open):
    refusal = (await hold()).refusal()
    assert (refusal.status, refusal.code) == (429, "insufficient_quota")


async def test_a_due_warning_is_passed_on_once(shop: Shop, hold: Open, warned: list[Stand]):
    for usage in (Usage(500, 200), Usage(50, 60), Usage(10, 10)):
        held = await hold(max_tokens=16)
        answered(held, usage)
        held.follow(testing.chat("hello")())
        await settled(shop)
    (stand,) = warned
    assert (stand.limit, stand.standing.used, stand.share) == (TOKENS, 810, 0.81)
