"""The real SDK against the sample upstream."""

import base64
import struct

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from penstock.sample import Running

HELLO = [{"role": "user", "content": "hello there"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


async def test_chat(client: AsyncOpenAI):
    told = await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert told.choices[0].message.content == "You said: hello there"
    assert told.usage is not None
    assert told.usage.total_tokens == 6
    assert told._request_id == "req_sample00000001"


async def test_answers_have_ids_of_their_own(client: AsyncOpenAI):
    told = [await client.chat.completions.create(model="gpt-4o", messages=HELLO) for _ in range(3)]
    assert len({one.id for one in told}) == 3


async def test_chat_stream(client: AsyncOpenAI):
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "You said: hello there"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 4


async def test_the_sdks_own_accumulator_takes_a_chat_stream_with_tools(client: AsyncOpenAI):
    async with client.chat.completions.stream(
        model="gpt-4o", messages=[{"role": "user", "content": "call a tool"}], tools=TOOLS
    ) as stream:
        final = await stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls or []
    assert final.choices[0].finish_reason == "tool_calls"
    assert (call.function.name, call.function.arguments) == ("weather", '{"city":"call a tool"}')


async def test_a_tool_is_called_and_its_result_answered(client: AsyncOpenAI):
    asked = [{"role": "user", "content": "call a tool"}]
    first = await client.chat.completions.create(model="gpt-4o", messages=asked, tools=TOOLS)
    message = first.choices[0].message
    assert message.tool_calls
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}
    second = await client.chat.completions.create(
        model="gpt-4o", messages=[*asked, message.model_dump(exclude_none=True), result], tools=TOOLS
    )
    assert second.choices[0].message.content == "The tool said: sunny"


async def test_a_structured_answer_is_parsed(client: AsyncOpenAI):
    class Echo(BaseModel):
        echo: str

    told = await client.chat.completions.parse(model="gpt-4o", messages=HELLO, response_format=Echo)
    assert told.choices[0].message.parsed == Echo(echo="hello there")


async def test_responses(client: AsyncOpenAI):
    told = await client.responses.create(model="gpt-4o", input="hello there", instructions="be brief")
    assert told.output_text == "You said: hello there"
    assert told.usage is not None
    assert told.usage.input_tokens == 4


async def test_responses_stream_by_the_sdks_own_accumulator(client: AsyncOpenAI):
    async with client.responses.stream(model="gpt-4o", input="hello there") as stream:
        deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert "".join(deltas) == final.output_text == "You said: hello there"


async def test_responses_stream_of_a_tool_call(client: AsyncOpenAI):
    tool = {"type": "function", **TOOLS[0]["function"], "strict": False}
    stream = await client.responses.create(model="gpt-4o", input="call a tool", tools=[tool], stream=True)
    events = [event async for event in stream]
    assert events[-1].type == "response.completed"
    assert events[-1].response.output[0].arguments == '{"city":"call a tool"}'


async def test_responses_cut_by_a_limit(client: AsyncOpenAI):
    told = await client.responses.create(model="gpt-4o", input="hello there", max_output_tokens=2)
    assert (told.status, told.output_text) == ("incomplete", "You said:")


async def test_completions(client: AsyncOpenAI):
    told = await client.completions.create(model="gpt-3.5-turbo-instruct", prompt=["a", "b"])
    assert [choice.text for choice in told.choices] == ["You said: a", "You said: b"]
    stream = await client.completions.create(model="gpt-3.5-turbo-instruct", prompt="a", stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == "You said: a"


async def test_embeddings_which_the_sdk_asks_for_in_base64(client: AsyncOpenAI, sample: Running):
    told = await client.embeddings.create(model="text-embedding-3-small", input=["a", "b"], dimensions=32)
    assert sample.requests[-1].json["encoding_format"] == "base64"
    assert [len(one.embedding) for one in told.data] == [32, 32]
    plain = await client.embeddings.create(
        model="text-embedding-3-small", input="a", dimensions=32, encoding_format="float"
    )
    assert plain.data[0].embedding == told.data[0].embedding
    coded = await client.embeddings.create(
        model="text-embedding-3-small", input="a", dimensions=32, encoding_format="base64"
    )
    assert struct.unpack("<32f", base64.b64decode(coded.data[0].embedding)) == tuple(told.data[0].embedding)


async def test_models(client: AsyncOpenAI):
    names = [model.id async for model in client.models.list()]
    assert "gpt-4o" in names
    assert (await client.models.retrieve("gpt-4o")).id == "gpt-4o"
    with pytest.raises(openai.NotFoundError) as refused:
        await client.models.retrieve("no-such-model")
    assert refused.value.code == "model_not_found"


async def test_files(client: AsyncOpenAI):
    told = await client.files.create(file=("notes.txt", b"x" * 3_000_000), purpose="user_data")
    assert told.bytes > 3_000_000


async def test_bad_requests_are_the_sdks_bad_requests(client: AsyncOpenAI):
    with pytest.raises(openai.BadRequestError) as refused:
        await client.post("/chat/completions", body={"model": "gpt-4o"}, cast_to=object)
    assert (refused.value.code, refused.value.param) == ("missing_required_parameter", "messages")
    with pytest.raises(openai.NotFoundError):
        await client.post("/no/such/thing", body={}, cast_to=object)


async def test_a_required_key(start):
    running = await start(key="sk-right")
    async with AsyncOpenAI(base_url=running.url, api_key="sk-right", max_retries=0) as sdk:
        assert (await sdk.models.list()).data
    async with AsyncOpenAI(base_url=running.url, api_key="sk-wrong", max_retries=0) as sdk:
        with pytest.raises(openai.AuthenticationError) as refused:
            await sdk.models.list()
    assert refused.value.code == "invalid_api_key"
    assert "sk-wrong" not in str(refused.value)


async def test_retries_are_seen_and_a_flaky_fault_heals(sample: Running):
    url = sample.fault_url("flaky-2-500")
    async with AsyncOpenAI(base_url=url, api_key="sk-x", max_retries=2) as sdk:
        told = await sdk.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert told.choices[0].message.content == "You said: hello there"
    counts = [request.headers["x-stainless-retry-count"] for request in sample.requests]
    assert counts == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("scenario", "error"),
    [
        ("400", openai.BadRequestError),
        ("401", openai.AuthenticationError),
        ("403", openai.PermissionDeniedError),
        ("404", openai.NotFoundError),
        ("409", openai.ConflictError),
        ("422", openai.UnprocessableEntityError),
        ("429-quota", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("502", openai.InternalServerError),
        ("529", openai.InternalServerError),
        ("close", openai.APIConnectionError),
        ("reset", openai.APIConnectionError),
        ("short", openai.APIConnectionError),
    ],
)
async def test_a_model_name_meets_a_fault(client: AsyncOpenAI, scenario: str, error: type[Exception]):
    with pytest.raises(error):
        await client.chat.completions.create(model=f"fault-{scenario}", messages=HELLO)


@pytest.mark.parametrize(
    ("scenario", "error"),
    [
        ("cut-3", openai.APIConnectionError),
        ("reset-3", openai.APIConnectionError),
        ("error-3", openai.APIError),
        ("error-event-3", openai.APIError),
    ],
)
async def test_a_stream_that_breaks_gives_its_words_and_then_raises(
    client: AsyncOpenAI, scenario: str, error: type[Exception]
):
    stream = await client.chat.completions.create(model=f"fault-{scenario}", messages=HELLO, stream=True)
    words: list[str] = []

    async def read() -> None:
        async for chunk in stream:
            words.append(chunk.choices[0].delta.content or "")

    with pytest.raises(error):
        await read()
    assert "".join(words) == "You said:"


@pytest.mark.parametrize(
    "scenario",
    [
        "no-done",
        "no-finish",
        "held",
        "slow-first",
        "comments",
        "crlf",
        "wrong-type",
        "gzip",
        "deflate",
        "drip",
    ],
)
async def test_a_stream_that_is_only_odd_is_read_whole(client: AsyncOpenAI, scenario: str):
    stream = await client.chat.completions.create(model=f"fault-{scenario}", messages=HELLO, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == "You said: hello there"
