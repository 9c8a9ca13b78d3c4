"""The official Python SDK in its current major, as its users have it, through the gateway."""

import asyncio
import base64
import struct
from typing import Any

import openai
import pytest
from gateway_process import Gateway
from openai import AsyncOpenAI, OpenAI

from penstock.sample import Running

TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


async def test_chat(client: AsyncOpenAI, sample: Running, chat: dict[str, Any], words: str):
    told = await client.chat.completions.create(**chat)
    assert told.choices[0].message.content == f"You said: {words}"
    assert told.usage is not None
    assert told.usage.completion_tokens == 2 + len(words.split())
    assert told._request_id == "req_sample00000001"
    assert sample.calls == 1


async def test_chat_streamed(client: AsyncOpenAI, chat: dict[str, Any], words: str):
    stream = await client.chat.completions.create(**chat, stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == f"You said: {words}"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)


async def test_a_streams_usage_comes_where_it_is_asked_for(client: AsyncOpenAI, chat: dict[str, Any]):
    options = {"include_usage": True}
    stream = await client.chat.completions.create(**chat, stream=True, stream_options=options)
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens > 0


async def test_the_synchronous_client(gateway: Gateway, sample: Running, chat: dict[str, Any], words: str):
    def talk() -> tuple[str | None, str]:
        with OpenAI(base_url=gateway.base_url, api_key="sk-test") as sdk:
            plain = sdk.chat.completions.create(**chat).choices[0].message.content
            asked = {**chat, "messages": [{"role": "user", "content": words + " again"}]}
            stream = sdk.chat.completions.create(**asked, stream=True)
            return plain, "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    assert await asyncio.to_thread(talk) == (f"You said: {words}", f"You said: {words} again")
    assert sample.calls == 2


async def test_raw_headers_are_the_upstreams_and_the_gateways(client: AsyncOpenAI, chat: dict[str, Any]):
    raw = await client.chat.completions.with_raw_response.create(**chat)
    assert raw.headers["x-request-id"] == "req_sample00000001"
    assert raw.headers["openai-version"] == "2020-10-01"
    assert raw.headers["x-ratelimit-limit-requests"] == "10000"
    assert raw.headers["x-dac-cache"] == "miss"
    assert raw.headers["x-dac-model"] == "gpt-4o"
    assert raw.headers["x-dac-attempts"] == "1"
    assert raw.headers["x-dac-upstream"] == "openai"
    assert raw.parse().choices[0].finish_reason == "stop"


async def test_raw_headers_of_a_hit_are_the_gateways_own(client: AsyncOpenAI, chat: dict[str, Any]):
    first = await client.chat.completions.create(**chat)
    raw = await client.chat.completions.with_raw_response.create(**chat)
    assert raw.headers["x-dac-cache"] == "hit"
    assert int(raw.headers["age"]) >= 0
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["x-request-id"] != "req_sample00000001"
    assert raw.parse() == first


async def test_with_streaming_response(client: AsyncOpenAI, chat: dict[str, Any], words: str):
    async with client.chat.completions.with_streaming_response.create(**chat, stream=True) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert any(words.split()[-1] in line for line in lines)


async def test_tools(client: AsyncOpenAI, words: str):
    asked: Any = [{"role": "user", "content": f"call a tool {words}"}]
    first = await client.chat.completions.create(model="gpt-4o", messages=asked, tools=TOOLS)
    (call,) = first.choices[0].message.tool_calls or []
    assert first.choices[0].finish_reason == "tool_calls"
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    asked += [first.choices[0].message.model_dump(exclude_none=True), result]
    second = await client.chat.completions.create(model="gpt-4o", messages=asked, tools=TOOLS)
    assert second.choices[0].message.content == "The tool said: sunny"


async def test_tools_streamed(client: AsyncOpenAI, words: str):
    asked: Any = [{"role": "user", "content": f"call a tool {words}"}]
    async with client.chat.completions.stream(model="gpt-4o", messages=asked, tools=TOOLS) as stream:
        final = await stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls or []
    assert call.function.name == "weather"
    assert call.function.arguments == f'{{"city":"call a tool {words}"}}'


async def test_responses(client: AsyncOpenAI, words: str):
    told = await client.responses.create(model="gpt-4o", input=words)
    assert told.output_text == f"You said: {words}"
    assert told.status == "completed"


async def test_responses_streamed(client: AsyncOpenAI, words: str):
    stream = await client.responses.create(model="gpt-4o", input=words, stream=True)
    events = [event async for event in stream]
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == f"You said: {words}"


async def test_completions(client: AsyncOpenAI, words: str):
    told = await client.completions.create(model="gpt-4o", prompt=words)
    stream = await client.completions.create(model="gpt-4o", prompt=words + " again", stream=True)
    texts = [chunk.choices[0].text async for chunk in stream]
    assert told.choices[0].text == f"You said: {words}"
    assert "".join(texts) == f"You said: {words} again"


async def test_embeddings_in_both_encodings_are_the_same_vector(client: AsyncOpenAI, words: str):
    floats = await client.embeddings.create(model="e", input=words, encoding_format="float", dimensions=8)
    coded = await client.embeddings.create(model="e", input=words, encoding_format="base64", dimensions=8)
    unpacked = struct.unpack("<8f", base64.b64decode(str(coded.data[0].embedding)))
    assert len(floats.data[0].embedding) == 8
    assert floats.data[0].embedding == pytest.approx(unpacked)


async def test_models(client: AsyncOpenAI, direct: AsyncOpenAI):
    through = [model.id async for model in client.models.list()]
    assert through == [model.id async for model in direct.models.list()]
    assert (await client.models.retrieve(through[0])).id == through[0]


ERRORS = [
    ("400", openai.BadRequestError, "invalid_value"),
    ("400-retry", openai.BadRequestError, "invalid_value"),
    ("401", openai.AuthenticationError, "invalid_api_key"),
    ("403", openai.PermissionDeniedError, "unsupported_country_region_territory"),
    ("404", openai.NotFoundError, "model_not_found"),
    ("408", openai.APIStatusError, "timeout"),
    ("409", openai.ConflictError, "conflict"),
    ("422", openai.UnprocessableEntityError, None),
    ("429-after-0", openai.RateLimitError, "rate_limit_exceeded"),
    ("429-no-retry", openai.RateLimitError, "rate_limit_exceeded"),
    ("429-quota", openai.RateLimitError, "insufficient_quota"),
    ("429-after-200", openai.RateLimitError, "rate_limit_exceeded"),
    ("500", openai.InternalServerError, "server_error"),
    ("504", openai.InternalServerError, "gateway_timeout"),
    ("529", openai.InternalServerError, "overloaded_error"),
]


@pytest.mark.parametrize(("fault", "kind", "code"), ERRORS, ids=[name for name, *_ in ERRORS])
async def test_an_error_is_the_same_exception_after_the_same_attempts_as_direct(
    client: AsyncOpenAI,
    direct: AsyncOpenAI,
    sample: Running,
    chat: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    kind: type[openai.APIStatusError],
    code: str | None,
):
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    met, attempts = [], []
    for sdk in (direct, client):
        sample.reset()
        with pytest.raises(kind) as caught:
            await sdk.chat.completions.create(**{**chat, "model": f"fault-{fault}"})
        met.append((type(caught.value), caught.value.status_code, caught.value.code, caught.value.body))
        attempts.append(sample.calls)
    assert met[0] == met[1]
    assert met[1][2] == code
    assert attempts[0] == attempts[1]


async def test_without_retries_there_is_one_attempt(
    client: AsyncOpenAI, sample: Running, chat: dict[str, Any]
):
    with pytest.raises(openai.InternalServerError):
        await client.with_options(max_retries=0).chat.completions.create(**{**chat, "model": "fault-500"})
    assert sample.calls == 1


async def test_an_sdk_gets_over_an_upstream_that_fails_once(
    client: AsyncOpenAI, sample: Running, chat: dict[str, Any], words: str
):
    told = await client.chat.completions.create(**{**chat, "model": "fault-flaky-1-500"})
    assert told.choices[0].message.content == f"You said: {words}"
    assert sample.calls == 2


async def test_a_stream_that_is_cut_raises_after_its_deltas(
    client: AsyncOpenAI, sample: Running, chat: dict[str, Any]
):
    stream = await client.chat.completions.create(**{**chat, "model": "fault-cut-4"}, stream=True)
    seen = [(await anext(stream)).choices[0].delta.content for _ in range(4)]
    with pytest.raises(openai.APIError) as caught:
        await anext(stream)
    assert "".join(map(str, seen)) == "You said: hello"
    assert caught.value.code == "upstream_stream_truncated"
    assert sample.calls == 1


async def test_twenty_calls_at_once_each_get_their_own_answer(
    client: AsyncOpenAI, sample: Running, words: str
):
    async def one(number: int) -> str | None:
        messages: Any = [{"role": "user", "content": f"{words} number {number}"}]
        told = await client.chat.completions.create(model="gpt-4o", messages=messages)
        return told.choices[0].message.content

    told = await asyncio.gather(*(one(number) for number in range(20)))
    assert told == [f"You said: {words} number {number}" for number in range(20)]
    assert sample.calls == 20


async def test_what_the_sdk_says_of_itself_reaches_the_upstream(
    client: AsyncOpenAI, sample: Running, chat: dict[str, Any]
):
    await client.chat.completions.create(**chat, extra_headers={"X-DAC-Cache": "bypass", "Cookie": "a=b"})
    (seen,) = sample.requests
    assert seen.headers["authorization"] == "Bearer sk-test"
    assert seen.headers["user-agent"].startswith("AsyncOpenAI/Python 3.")
    assert seen.headers["x-stainless-lang"] == "python"
    assert not [name for name in seen.headers if name.lower().startswith(("x-dac-", "cookie"))]
