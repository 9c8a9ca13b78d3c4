"""cache makes one call of all that ask the same at the same time."""

import asyncio
from typing import Any

import pytest
from cache_house import CHAT, STREAM, house, request, settle

from penstock import testing
from penstock.errors import Refusal
from penstock.exchange import Exchange
from penstock.reply import Reply


@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_sixty_four_at_once_make_one_call(body: dict[str, Any]) -> None:
    home = await house(testing.chat("hi") if body is CHAT else testing.chat_stream("a", "b"))
    exchanges = [request(body) for _ in range(64)]
    answers = await asyncio.gather(*map(home.ask, exchanges))
    assert len(set(answers)) == 1
    assert home.upstream.calls == 1
    told = [exchange.answer_headers["x-dac-cache"] for exchange in exchanges]
    assert sorted(told) == ["coalesced"] * 63 + ["miss"]
    assert len(home.store.entries) == 1
    assert not home.cache._flights


async def test_who_asks_for_another_form_or_another_thing_shares_nothing() -> None:
    home = await house(testing.chat("hi"))
    wanting = {**STREAM, "stream_options": {"include_usage": True}}
    await asyncio.gather(*(home.ask(request(body)) for body in (CHAT, {**CHAT, "seed": 1}, STREAM, wanting)))
    assert home.upstream.calls == 4


async def test_without_single_flight_each_asks_for_itself() -> None:
    home = await house()

    async def slow(exchange: Exchange) -> Reply:
        await settle()
        return await home.upstream(exchange)

    asking = (testing.run_stage(home.cache, request(single_flight=False), slow) for _ in range(3))
    await asyncio.gather(*asking)
    assert home.upstream.calls == 3


async def test_an_error_is_shared_but_not_kept() -> None:
    home = await house(Refusal(429, "slow_down", "Later."), testing.chat("hi"))
    got = await asyncio.gather(*(home.ask(request()) for _ in range(5)), return_exceptions=True)
    assert [type(problem) for problem in got] == [Refusal] * 5
    assert home.upstream.calls == 1
    assert b"hi" in await home.ask(request())


async def test_the_first_client_may_leave_and_the_others_get_their_answer() -> None:
    home = await house(testing.chat_stream("a", "b"))
    gate = asyncio.Event()

    async def rest(exchange: Exchange) -> Reply:
        await gate.wait()
        return await home.upstream(exchange)

    async def ask() -> bytes:
        return await testing.read(await testing.run_stage(home.cache, request(STREAM), rest))

    leader, follower = asyncio.create_task(ask()), asyncio.create_task(ask())
    await asyncio.sleep(0.01)
    leader.cancel()
    gate.set()
    assert (await follower).endswith(b"[DONE]\n\n")
    assert len(home.store.entries) == 1
    assert home.upstream.calls == 1


async def test_when_all_have_left_the_next_one_asks_anew() -> None:
    home = await house()
    hanging = asyncio.create_task(testing.run_stage(home.cache, request(), lambda _: asyncio.Future()))
    await asyncio.sleep(0.01)
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
    assert b"hi" in await home.ask(request())
