"""Reserving: as much as there is, after a more exact count where the first bound is too much."""

import asyncio

import pytest

from penstock.budget.limits import Applied
from penstock.budget.need import Need
from penstock.budget.window import Window
from penstock.errors import StoreUnavailable
from penstock.models.policy import Model, ModelsPolicy
from penstock.stores.ledger import Denial, Grant, Standing
from unit.budget.budget_bits import MODEL, MODELS, TOKENS, Shop, applied, request

COUNTED = ModelsPolicy(models={"m": Model(**{**MODEL.model_dump(), "tokenizer": "o200k_base"})})


@pytest.fixture
async def shop():
    shop = Shop()
    yield shop
    await shop.books.close()


def need(models: ModelsPolicy = MODELS, limits: tuple[Applied, ...] = (TOKENS,), **body) -> Need:
    asked = request(**body)
    return Need.of(asked, models.find(asked.model), limits, 128)


async def test_all_that_was_asked_is_granted_where_it_fits(shop: Shop):
    of = need(max_tokens=20)
    asked = await shop.till.ask(of, [TOKENS])
    assert isinstance(asked.answer, Grant)
    assert (asked.answer.tokens, asked.short, asked.denied) == (20, False, [])
    assert await shop.standing() == Standing(reserved=of.prompt_tokens + 20)


async def test_less_is_granted_where_less_is_left(shop: Shop):
    await shop.use(600)
    of = need()
    asked = await shop.till.ask(of, [TOKENS])
    assert isinstance(asked.answer, Grant)
    assert asked.answer.tokens == 400 - of.prompt_tokens
    assert asked.short
    assert await shop.standing() == Standing(used=600, reserved=400)


async def test_too_little_is_denied(shop: Shop):
    of = need()
    await shop.use(1_000 - of.prompt_tokens - 15)
    asked = await shop.till.ask(of, [TOKENS])
    assert isinstance(asked.answer, Denial)
    assert ([stand.limit for stand in asked.denied], asked.waits, asked.short) == ([TOKENS], False, True)
    assert (await shop.standing()).reserved == 0


async def test_a_short_answer_needs_no_more_than_it_asks(shop: Shop):
    of = need(max_tokens=3)
    await shop.use(1_000 - of.prompt_tokens - 3)
    assert isinstance((await shop.till.ask(of, [TOKENS])).answer, Grant)


async def test_a_prompt_is_counted_where_its_bytes_are_too_many(shop: Shop):
    of = need(COUNTED, messages=[{"role": "user", "content": "hello " * 200}])
    assert of.prompt_tokens > 1_000
    asked = await shop.till.ask(of, [TOKENS])
    assert isinstance(asked.answer, Grant)
    assert asked.need.prompt_tokens < 500
    assert asked.answer.tokens == 500
    assert (await shop.standing()).reserved == asked.need.prompt_tokens + 500


async def test_a_first_grant_does_not_stand_in_the_way_of_the_exact_one(shop: Shop):
    """The first bound leaves room for some output tokens, the exact one for all of them."""
    of = need(COUNTED, messages=[{"role": "user", "content": "hello " * 90}])
    assert 500 < of.prompt_tokens < 984
    asked = await shop.till.ask(of, [TOKENS])
    assert isinstance(asked.answer, Grant)
    assert asked.answer.tokens == 500
    assert await shop.ledger.held("acme", now=shop.clock.now()) == 1


async def test_what_others_hold_may_come_back(shop: Shop):
    first = await shop.till.ask(need(), [TOKENS])
    second = await shop.till.ask(need(messages=[{"role": "user", "content": "x" * 600}]), [TOKENS])
    assert isinstance(second.answer, Denial)
    assert second.waits
    await shop.till.give_back(first)
    assert await shop.standing() == Standing()


async def test_giving_back_a_denial_does_nothing(shop: Shop):
    await shop.use(1_000)
    await shop.till.give_back(await shop.till.ask(need(), [TOKENS]))
    assert await shop.standing() == Standing(used=1_000)


async def test_one_that_is_full_keeps_all_from_being_charged(shop: Shop):
    few = applied("requests", 1)
    limits = (TOKENS, few)
    assert isinstance((await shop.till.ask(need(limits=limits, max_tokens=16), limits)).answer, Grant)
    before = await shop.standing()
    second = await shop.till.ask(need(limits=limits, max_tokens=16), limits)
    assert [stand.limit for stand in second.denied] == [few]
    assert await shop.standing() == before


async def test_a_top_up_is_all_or_nothing(shop: Shop):
    of = need(max_tokens=50)
    asked = await shop.till.ask(of, [TOKENS])
    more = await shop.till.top_up(asked.reservation, of, [TOKENS])
    assert isinstance(more.answer, Grant)
    held = await shop.standing()
    assert held.reserved == 2 * (of.prompt_tokens + 50)
    too_much = need(max_tokens=500)
    assert isinstance((await shop.till.top_up(asked.reservation, too_much, [TOKENS])).answer, Denial)
    assert await shop.standing() == held


async def test_the_share_is_of_budgets_and_not_of_rates(shop: Shop):
    rate = applied(window=Window.MINUTE, amount=500)
    await shop.use(450, rate)
    await shop.use(300)
    asked = await shop.till.ask(need(max_tokens=16), [TOKENS, rate])
    assert asked.share == 0.3
    assert (await shop.till.ask(need(), [rate])).share == 0.0


async def test_a_store_that_is_gone_leaves_nothing_held(shop: Shop):
    shop.ledger.gone = True
    with pytest.raises(StoreUnavailable):
        await shop.till.ask(need(), [TOKENS])
    shop.ledger.gone = False
    await shop.books.close()
    assert await shop.standing() == Standing()


async def test_a_client_that_leaves_while_it_is_reserved_leaves_nothing_held(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    reserve = shop.ledger.reserve

    async def slow(*args, **named):
        answer = await reserve(*args, **named)
        await asyncio.sleep(60)
        return answer

    monkeypatch.setattr(shop.ledger, "reserve", slow)
    asking = asyncio.create_task(shop.till.ask(need(), [TOKENS]))
    await asyncio.sleep(0.01)
    assert (await shop.standing()).reserved > 0
    asking.cancel()
    await asyncio.wait([asking])
    await shop.books.close()
    assert await shop.standing() == Standing()
