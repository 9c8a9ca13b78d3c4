"""What official SDKs do at a limit: one attempt on the hard stop, another try where waiting helps."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from budget_house import Fleet, Json, chat
from gateway_process import Gateway
from tests.integration.house.house_parts import needs

NODE = Path(__file__).parents[2] / "node"
# With the SDKs' own number of retries, which the clients of tests/node leave out for Vercel's.
VERCEL = """
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText } from "ai";
const [baseURL, apiKey] = process.argv.slice(1);
const provider = createOpenAICompatible({ name: "penstock", baseURL, apiKey });
try {
  const { text } = await generateText({ model: provider("m"), prompt: "hello vercel" });
  console.log(JSON.stringify({ text }));
} catch (problem) {
  console.log(JSON.stringify({ name: problem.name, status: problem.statusCode ?? null }));
}
"""
OPENAI = """
import OpenAI from "openai";
const [baseURL, apiKey] = process.argv.slice(1);
const client = new OpenAI({ baseURL, apiKey });
const asked = { model: "m", max_tokens: 30, messages: [{ role: "user", content: "hello node" }] };
try {
  const answer = await client.chat.completions.create(asked);
  console.log(JSON.stringify({ text: answer.choices[0].message.content }));
} catch (problem) {
  console.log(JSON.stringify({ name: problem.constructor.name, status: problem.status, code: problem.code }));
}
"""
Attempts = Callable[[], Awaitable[list[int]]]


async def run_node(script: str, gateway: Gateway, key: str) -> Json:
    if not (NODE / "node_modules" / "openai").exists() or shutil.which("node") is None:
        needs("node")
        pytest.skip("tests/node/node_modules is not installed (npm ci)")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *("node", "--input-type=module", "-e", script, gateway.base_url, key),
        cwd=NODE,
        stdout=pipe,
        stderr=pipe,
    )
    out, told = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == 0, told.decode()
    answer: Json = json.loads(out)
    return answer


@pytest.fixture
async def spent(house: Fleet) -> Fleet:
    """Tenants whose only request is made."""
    for tenant in ("gone", "vercel"):
        async with house.client(tenant) as client:
            assert (await client.ask(chat("the only one"))).status in (200, 429, 403)
        await house.settled(tenant, {"unit": "requests", "window": "total"})
    return house


def attempts_of(fleet: Fleet, tenant: str) -> Attempts:
    """Give the statuses that the gateway itself logged for a tenant from now on."""
    gateway = fleet.gateways[0]
    before = sum(line["tenant"] == tenant for line in gateway.exchanges)

    async def attempts() -> list[int]:
        await asyncio.sleep(0.3)  # the log is written in batches
        return [line["status"] for line in gateway.exchanges if line["tenant"] == tenant][before:]

    return attempts


async def logged(fleet: Fleet, tenant: str) -> Attempts:
    await asyncio.sleep(0.3)
    return attempts_of(fleet, tenant)


async def test_python_stops_at_once(spent: Fleet) -> None:
    attempts = await logged(spent, "gone")
    with (
        openai.OpenAI(base_url=spent.gateways[0].base_url, api_key=spent.keys["gone"]) as sdk,
        pytest.raises(openai.RateLimitError) as stop,
    ):
        await asyncio.to_thread(lambda: sdk.chat.completions.create(**chat("sync")))
    assert stop.value.code == "insufficient_quota"
    assert await attempts() == [429]


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
async def test_async_python_stops_at_once(spent: Fleet, streamed: bool) -> None:
    attempts = await logged(spent, "gone")
    async with openai.AsyncOpenAI(base_url=spent.gateways[0].base_url, api_key=spent.keys["gone"]) as sdk:
        with pytest.raises(openai.RateLimitError) as stop:
            await sdk.chat.completions.create(**chat("async"), stream=streamed)
    assert stop.value.response.headers["x-should-retry"] == "false"
    assert 1 <= int(stop.value.response.headers["retry-after"]) <= 60
    assert await attempts() == [429]


async def test_node_stops_at_once(spent: Fleet) -> None:
    attempts = await logged(spent, "gone")
    told = await run_node(OPENAI, spent.gateways[0], spent.keys["gone"])
    assert told == {"name": "RateLimitError", "status": 429, "code": "insufficient_quota"}
    assert await attempts() == [429]


async def test_vercel_stops_at_once_on_403(spent: Fleet) -> None:
    attempts = await logged(spent, "vercel")
    told = await run_node(VERCEL, spent.gateways[0], spent.keys["vercel"])
    assert told["status"] == 403
    assert await attempts() == [403]


async def busy(house: Fleet, words: int, then: Awaitable[Any]) -> list[Any]:
    """Do something while the tenant's one stream is taken by so many words, 4 ms each at the least."""
    async with house.client("narrow") as client:
        first = asyncio.create_task(client.ask(chat("w " * words, stream=True), **{"x-dac-cache": "bypass"}))
        while not await house.held("narrow"):  # noqa: ASYNC110 - nobody would set an event for it
            await asyncio.sleep(0.01)
        done: list[Any] = await asyncio.gather(first, then)
        return done


async def test_python_tries_again_when_another_stream_has_ended(house: Fleet) -> None:
    attempts = await logged(house, "narrow")
    gateway = house.gateways[0]
    async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key=house.keys["narrow"]) as sdk:
        _, answer = await busy(house, 150, sdk.chat.completions.create(**chat("hello again"), max_tokens=30))
    assert answer.choices[0].message.content == "You said: hello again"
    statuses = await attempts()
    assert statuses.count(200) == 2
    assert set(statuses) == {200, 429}


async def test_node_tries_again_when_another_stream_has_ended(house: Fleet) -> None:
    attempts = await logged(house, "narrow")
    _, told = await busy(house, 400, run_node(OPENAI, house.gateways[0], house.keys["narrow"]))
    assert told == {"text": "You said: hello node"}
    assert (await attempts()).count(200) == 2


async def test_requests_per_minute_say_when_to_try_again(house: Fleet) -> None:
    async with house.client("slow") as client:
        told = [await client.ask(chat(f"fast {number}")) for number in range(6)]  # a minute may end
    stopped = next(answer for answer in told if answer.status == 429)
    assert stopped.code == "rate_limit_exceeded"
    assert 1 <= int(stopped.headers["retry-after"]) <= 60
    assert "x-should-retry" not in stopped.headers
    assert stopped.headers["x-ratelimit-limit-requests"] == "2"
    assert stopped.headers["x-ratelimit-remaining-requests"] == "0"
