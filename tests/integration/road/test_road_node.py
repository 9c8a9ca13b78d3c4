"""Clients and an upstream from npm, none of them written here. Without node they are skipped, loudly."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from gateway_process import Gateway
from openai import AsyncOpenAI

from penstock.sample import Running

FOLDER = Path(__file__).parents[2] / "node"
AIMOCK = FOLDER / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
Until = Callable[..., Awaitable[None]]
Node = Callable[..., Awaitable[dict[str, Any]]]
LONG = "one two three four five six seven eight nine ten eleven twelve"
FIXTURES = [
    {"match": {"userMessage": "say hello"}, "response": {"content": "Hello from elsewhere!"}},
    {
        "match": {"userMessage": "cut this"},
        "response": {"content": LONG},
        "chunkSize": 5,
        "latency": 20,
        "truncateAfterChunks": 5,
    },
    {"match": {"inputText": "hello"}, "response": {"embedding": [0.25, -0.5, 0.75]}},
    {
        "match": {"userMessage": "the weather"},
        "response": {"toolCalls": [{"name": "weather", "arguments": {"city": "Paris"}}]},
    },
    {
        "match": {"userMessage": "too often"},
        "response": {
            "error": {"message": "Slow down", "type": "rate_limit_error", "code": "slow"},
            "status": 429,
        },
    },
]


@pytest.fixture(scope="session")
def node_path() -> str:
    """Where node is. Without it the tests are skipped; CI must have it."""
    found = shutil.which("node")
    missing = (
        "node is not installed" if found is None else "tests/node/node_modules is not installed (npm ci)"
    )
    if found is None or not AIMOCK.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


@pytest.fixture
def node(node_path: str) -> Node:
    """Run a script of tests/node and give the JSON that it prints."""

    async def run(script: str, *words: str) -> dict[str, Any]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            node_path, script, *words, cwd=FOLDER, stdout=pipe, stderr=pipe
        )
        out, told = await asyncio.wait_for(process.communicate(), 40)
        assert process.returncode == 0, told.decode()
        answer: dict[str, Any] = json.loads(out)
        return answer

    return run


async def test_openai_node_plain(gateway: Gateway, sample: Running, node: Node, words: str):
    told = await node("openai_client.mjs", "plain", gateway.base_url, words)
    assert told == {"text": f"You said: {words}", "requestId": "req_sample00000001", "cache": "miss"}
    assert sample.requests[0].headers["authorization"] == "Bearer sk-node"


async def test_openai_node_streamed(gateway: Gateway, sample: Running, node: Node, words: str):
    told = await node("openai_client.mjs", "stream", gateway.base_url, words)
    assert told == {"text": f"You said: {words}", "finish": "stop"}


async def test_openai_node_responses_streamed(gateway: Gateway, sample: Running, node: Node, words: str):
    told = await node("openai_client.mjs", "responses", gateway.base_url, words)
    assert told == {"text": f"You said: {words}"}


async def test_openai_node_aborts(gateway: Gateway, sample: Running, node: Node, words: str, until: Until):
    told = await node("openai_client.mjs", "abort", gateway.base_url, words, "fault-hang-5")
    assert 2 <= told["seen"] <= 5  # those that had arrived together are given
    await until(lambda: sample.open_connections == 0, within_s=1)
    assert sample.calls == 1


@pytest.mark.parametrize(
    ("fault", "met", "attempts"),
    [
        ("400", {"kind": "BadRequestError", "status": 400, "code": "invalid_value", "seen": 0}, 1),
        ("500", {"kind": "InternalServerError", "status": 500, "code": "server_error", "seen": 0}, 3),
        (
            "429-no-retry",
            {"kind": "RateLimitError", "status": 429, "code": "rate_limit_exceeded", "seen": 0},
            1,
        ),
        ("cut-3", {"kind": "APIError", "code": "upstream_stream_truncated", "seen": 3}, 1),
        ("end-3", {"kind": "APIError", "code": "upstream_stream_truncated", "seen": 3}, 1),
    ],
)
async def test_openai_node_meets_an_error(
    gateway: Gateway,
    sample: Running,
    node: Node,
    words: str,
    fault: str,
    met: dict[str, Any],
    attempts: int,
):
    told = await node("openai_client.mjs", "error", gateway.base_url, words, f"fault-{fault}")
    assert told == met
    assert sample.calls == attempts


async def test_vercel_streams_text(gateway: Gateway, sample: Running, node: Node, words: str):
    told = await node("vercel_client.mjs", gateway.base_url, words)
    expected = {"text": f"You said: {words}", "errors": [], "finish": "stop"}
    assert told == {**expected, "outputTokens": 2 + len(words.split())}


async def test_vercel_meets_a_cut(gateway: Gateway, sample: Running, node: Node, words: str):
    told = await node("vercel_client.mjs", gateway.base_url, words, "fault-cut-3")
    assert told["text"] == "You said:"
    assert len(told["errors"]) == 1
    assert "cut before its end" in told["errors"][0]
    assert sample.calls == 1


@pytest.fixture
async def aimock(
    node_path: str, upstream_port: int, tmp_path: Path, gateway: Gateway
) -> AsyncIterator[AsyncOpenAI]:
    """The Python SDK before the gateway before aimock."""
    fixtures = tmp_path / "fixtures.json"
    fixtures.write_text(json.dumps({"fixtures": FIXTURES}))
    env = {name: value for name, value in os.environ.items() if name != "AIMOCK_API_KEYS"}
    process = await asyncio.create_subprocess_exec(
        *(node_path, str(AIMOCK), "--port", str(upstream_port), "--fixtures", str(fixtures), "--strict"),
        env=env,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _listening(upstream_port)
        async with AsyncOpenAI(base_url=gateway.base_url, api_key="sk-x", max_retries=0) as sdk:
            yield sdk
    finally:
        process.terminate()
        await process.wait()


async def _listening(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return


def _asking(text: str) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}]}


async def test_aimock_answers_chats_streams_tools_and_errors(aimock: AsyncOpenAI, words: str):
    told = await aimock.chat.completions.create(**_asking(f"say hello {words}"))
    assert told.choices[0].message.content == "Hello from elsewhere!"
    stream = await aimock.chat.completions.create(**_asking(f"say hello again {words}"), stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello from elsewhere!"
    assert any(chunk.choices[0].finish_reason == "stop" for chunk in chunks if chunk.choices)
    tools: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    called = await aimock.chat.completions.create(**_asking(f"the weather {words}"), tools=tools)
    (call,) = called.choices[0].message.tool_calls or []
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    with pytest.raises(openai.RateLimitError, match="Slow down"):
        await aimock.chat.completions.create(**_asking(f"too often {words}"))
    vectors = await aimock.embeddings.create(model="text-embedding-3-small", input=words)
    assert vectors.data[0].embedding == [0.25, -0.5, 0.75]


async def test_aimock_answers_responses(aimock: AsyncOpenAI, words: str):
    told = await aimock.responses.create(model="gpt-4o", input=f"say hello {words}")
    assert told.output_text == "Hello from elsewhere!"
    stream = await aimock.responses.create(model="gpt-4o", input=f"say hello again {words}", stream=True)
    events = [event async for event in stream]
    assert events[-1].type == "response.completed"


async def test_aimocks_answers_are_given_again_in_both_forms(aimock: AsyncOpenAI, words: str):
    asked = _asking(f"say hello {words}")
    stream = await aimock.chat.completions.create(**asked, stream=True)
    async for _ in stream:
        pass
    raw = await aimock.chat.completions.with_raw_response.create(**asked)
    assert raw.headers["x-dac-cache"] == "hit"
    assert raw.parse().choices[0].message.content == "Hello from elsewhere!"


async def test_a_stream_that_aimock_cuts_ends_in_an_error_with_a_code(aimock: AsyncOpenAI, words: str):
    stream = await aimock.chat.completions.create(**_asking(f"cut this {words}"), stream=True)
    said: list[str] = []

    async def read_on() -> None:
        async for chunk in stream:
            said.append(chunk.choices[0].delta.content or "")

    with pytest.raises(openai.APIError) as caught:
        await read_on()
    assert caught.value.code == "upstream_stream_truncated"
    assert LONG.startswith("".join(said))
    assert 0 < len("".join(said)) < len(LONG)
