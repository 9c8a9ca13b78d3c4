"""The budget stage under random mixtures: no limit is overrun, nothing stays held, each is charged once."""

import asyncio
from contextlib import aclosing
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import testing
from penstock.errors import Refusal
from penstock.exchange import Exchange
from penstock.reply import Reply, Stream
from penstock.tenants.policy import Limit
from penstock.upstream import failures
from unit.stages.budget_stage_house import House, Upstream, degrade, tokens


class Ended:
    """How one request of the property ends."""

    def __init__(self, house: House, way: str, body: dict[str, Any], words: int) -> None:
        self.house, self.way, self.words = house, way, words
        self.body = {**body, "stream": way in ("whole stream", "left", "unread", "broken")}
        self.go = asyncio.Event()

    async def run(self) -> None:
        fails = failures.closed() if self.way == "failed" else None
        self.upstream = Upstream(self.words, fails=fails, usage=self.way != "silent")
        exchange = self.house.exchange(**self.body)
        answering = asyncio.create_task(self.house.stage.answer(exchange, self._gated))
        if self.way == "cancelled":
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            answering.cancel()
            await asyncio.wait([answering])
            return
        try:
            reply = await answering
        except Refusal:
            return
        await self.go.wait()
        if self.way == "left" and reply.stream is not None:
            async with aclosing(reply.stream.batches()) as batches:
                await anext(batches)
        elif self.way == "unread":
            await reply.aclose()
        else:
            await testing.read(reply)
        await reply.aclose()

    async def _gated(self, exchange: Exchange) -> Reply:
        if self.way == "cancelled":
            exchange.attempts += 1
            await asyncio.sleep(60)
        reply = await self.upstream(exchange)
        if self.way == "broken":
            exchange.calls[-1].usage = None
            return Reply(
                200, stream=Stream(testing.Events([[testing.chunk({"content": "a "})], failures.truncated()]))
            )
        return reply


TOTAL = "tenant/tokens/total/0/"  # the account of the tenant's tokens
WAYS = ["whole", "whole stream", "silent", "left", "unread", "broken", "failed", "cancelled"]
ASKS = st.fixed_dictionaries(
    {},
    optional={
        "max_tokens": st.integers(1, 600),
        "n": st.integers(1, 3),
        "model": st.sampled_from(["m", "small"]),
        "messages": st.integers(1, 300).map(lambda n: [{"role": "user", "content": "w" * n}]),
    },
)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(WAYS), ASKS, st.integers(0, 700)), min_size=1, max_size=12),
    st.integers(100, 3_000),
    st.integers(1, 12),
    st.sampled_from([None, 0.3]),
    st.randoms(use_true_random=False),
)
async def test_no_mixture_overruns_a_limit(
    asked: list[tuple[str, dict[str, Any], int]], limit: int, most: int, share: float | None, order: Any
):
    few = Limit(unit="requests", window="total", limit=most)
    limits = tokens(limit), few, tokens(limit // 2 + 1, model="m")
    house = await House(*limits, degrade=None if share is None else degrade(share)).open()
    charged: list[int] = []
    settle = house.ledger.settle

    async def watch(tenant: str, reservation: str, lines: Any, *, now: float) -> Any:
        settled = await settle(tenant, reservation, lines, now=now)
        if settled is not None:
            charged.extend(amount for line, amount in lines if line.account.name == TOTAL)
        return settled

    house.ledger.settle = watch  # type: ignore[method-assign]
    running = [Ended(house, way, body, words) for way, body, words in asked]
    tasks = [asyncio.create_task(one.run()) for one in running]
    order.shuffle(running)
    for one in running:
        await house.rest()
        await _holds(house, limit, most)
        one.go.set()
    await asyncio.gather(*tasks)
    await house.rest()
    await _holds(house, limit, most)
    assert (await house.standing()).reserved == (await house.standing("requests")).reserved == 0
    assert await house.ledger.held("acme", now=house.clock.now()) == 0
    assert (await house.standing()).used == sum(charged)
    await house.stage.stop()


async def _holds(house: House, limit: int, most: int) -> None:
    for standing, amount in (
        (await house.standing(), limit),
        (await house.standing(model="m"), limit // 2 + 1),
        (await house.standing("requests"), most),
    ):
        assert standing.used + standing.reserved <= amount
