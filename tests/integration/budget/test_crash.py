"""One of the gateways dies by kill -9 in the middle: nothing is overrun, and what it held is charged."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable

import aiohttp
import pytest
from budget_house import (
    RESERVATION_S,
    Client,
    Fleet,
    Json,
    asked_of,
    chat,
    requests,
    reserved_for,
    tokens,
    usage_of,
)

LIMIT = tokens(1_300)
TEXT = " ".join("abcdefghij" * 6)


async def insist(client: Client, body: Json) -> str:
    for _ in range(400):
        try:
            told = await client.ask(body)
        except aiohttp.ClientError:
            return "lost"
        if told.status == 200:
            return "whole" if not body.get("stream") or b"[DONE]" in told.body else "lost"
        if told.code == "insufficient_quota":
            return "stopped"
        assert told.code == "rate_limit_exceeded"
        await asyncio.sleep(0.1)
    raise AssertionError("neither an answer nor a stop")


@pytest.mark.timeout(120)
async def test_a_killed_gateways_reservations_become_charges(
    fleet: Fleet, record_property: Callable[[str, object], None]
) -> None:
    before = len(asked_of(fleet.upstream.running.requests, "wreck"))
    async with fleet.client("wreck", 0) as living, fleet.client("wreck", 1) as dying:
        jobs = [
            asyncio.create_task(insist((living, dying)[number % 2], _body(number))) for number in range(64)
        ]
        while len(asked_of(fleet.upstream.running.requests, "wreck")) < before + 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        os.kill(fleet.gateways[1].pid, signal.SIGKILL)
        ended = Counter(await asyncio.gather(*jobs))
    standing = await fleet.settled("wreck", LIMIT, within_s=RESERVATION_S + 5)
    calls = asked_of(fleet.upstream.running.requests, "wreck")[before:]
    record_property("figures", f"{standing}, {len(calls)} calls, {ended}")
    assert standing.used <= LIMIT["limit"]
    assert await fleet.held("wreck") == 0
    assert ended["lost"] > 0
    # What is not expired was settled with what the upstream counted: no client of a living gateway left.
    whole = [usage_of(body) for body in calls]
    assert standing.used - standing.expired in _sums(whole)
    assert standing.expired <= sum(map(reserved_for, calls))
    charged = await fleet.settled("wreck", requests(1))
    assert charged.used >= ended["whole"]
    assert len(calls) <= charged.used <= len(calls) + charged.expired


def _body(number: int) -> Json:
    streamed: Json = {"stream": True} if number % 4 < 2 else {}
    return chat(f"wreck{number} {TEXT}", max_tokens=70, **streamed)


def _sums(amounts: list[int]) -> set[int]:
    """Give what any of the amounts come to together."""
    sums = {0}
    for amount in amounts:
        sums |= {amount + other for other in sums}
    return sums
