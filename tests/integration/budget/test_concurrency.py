"""64 clients at once against a budget for ten calls, on two gateways with one store."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import openai
import pytest
from budget_house import Client, Fleet, Json, asked_of, chat, requests, reserved_for, tokens, usage_of

LIMIT = tokens(1_300)
CLIENTS = 64
TEXT = " ".join("abcdefghij" * 6)  # sixty words of one letter: about 122 tokens a call
MOST_S = 25.0
Record = Callable[[str, object], None]


def body_of(marker: str, number: int, **fields: Any) -> Json:
    return chat(f"{marker}{number} {TEXT}", max_tokens=70, **fields)


async def insist(client: Client, body: Json, leave_after: int = 0) -> str:
    """Ask as often as a limit says to try again; give how it ended."""
    streams = bool(body.get("stream"))
    while True:
        try:
            if leave_after and streams:
                told = await client.leave_after(body, leave_after)
            else:
                async with asyncio.timeout(0.04 if leave_after else MOST_S):
                    told = await client.ask(body)
        except TimeoutError:
            return "left"
        if told.status == 200:
            if b"[DONE]" in told.body or not streams:
                return "whole"
            assert leave_after
            return "left"
        assert told.status == 429, told.body
        if told.code == "insufficient_quota":
            return "stopped"
        assert told.code == "rate_limit_exceeded"
        await asyncio.sleep(random.uniform(0.03, 0.1))  # noqa: S311


async def insist_by_sdk(fleet: Fleet, tenant: str, body: Json, gateway: int) -> str:
    async with openai.AsyncOpenAI(
        base_url=fleet.gateways[gateway].base_url, api_key=fleet.keys[tenant], max_retries=8
    ) as sdk:
        try:
            await sdk.chat.completions.create(**body)
        except openai.RateLimitError as stop:
            return "stopped" if stop.code == "insufficient_quota" else f"gave up at {stop.code}"
        return "whole"


async def storm(fleet: Fleet, tenant: str, *, leaving: bool) -> list[str]:
    """Let all clients loose; one in four is an official SDK, one in four streams, and some leave.

    Gives how each ended, by its number.
    """
    chooser = random.Random(4)  # noqa: S311
    async with fleet.client(tenant, 0) as first, fleet.client(tenant, 1) as second:
        jobs = []
        for number in range(CLIENTS):
            client = (first, second)[number % 2]
            if number % 4 == 0:
                jobs.append(insist_by_sdk(fleet, tenant, body_of(tenant, number), number // 4 % 2))
                continue
            streamed: Json = {"stream": True} if number % 4 == 1 else {}
            leave = chooser.choice([0, 2, 9, 30]) if leaving else 0
            jobs.append(insist(client, body_of(tenant, number, **streamed), leave))
        return list(await asyncio.gather(*jobs))


@pytest.mark.timeout(90)
async def test_the_counter_is_the_sum_of_what_the_upstream_counted(fleet: Fleet, record_property: Record):
    fleet.upstream.running.requests.clear()
    ended = Counter(await storm(fleet, "storm", leaving=False))
    standing = await fleet.settled("storm", LIMIT)
    calls = asked_of(fleet.upstream.running.requests, "storm")
    record_property("figures", f"{standing}, {len(calls)} calls, {ended}")
    assert standing.used == sum(map(usage_of, calls))
    assert standing.used <= LIMIT["limit"]
    assert (standing.reserved, standing.expired) == (0, 0)
    assert ended["whole"] == len(calls) >= 6
    assert ended["whole"] + ended["stopped"] == CLIENTS
    assert (await fleet.settled("storm", requests(1))).used == len(calls)


@pytest.mark.timeout(90)
async def test_clients_that_leave_overrun_nothing_and_are_charged_once(fleet: Fleet, record_property: Record):
    fleet.upstream.running.requests.clear()
    ended = await storm(fleet, "riot", leaving=True)
    standing = await fleet.settled("riot", LIMIT)
    calls = {_number(call): call for call in asked_of(fleet.upstream.running.requests, "riot")}
    record_property("figures", f"{standing}, {len(calls)} calls, {Counter(ended)}")
    assert standing.used <= LIMIT["limit"]
    assert (standing.reserved, standing.expired) == (0, 0)
    whole = sum(usage_of(call) for number, call in calls.items() if ended[number] == "whole")
    left = [(number, call) for number, call in calls.items() if ended[number] == "left"]
    assert {ended[number] for number in calls} <= {"whole", "left"}
    most = sum(reserved_for(call, body_of("riot", number)) for number, call in left)
    assert whole <= standing.used <= whole + most
    assert (whole < standing.used) == bool(left)
    charged = (await fleet.settled("riot", requests(1))).used
    assert len(calls) <= charged <= ended.count("whole") + ended.count("left")


def _number(call: Json) -> int:
    return int(call["messages"][0]["content"].split()[0].removeprefix("riot"))
