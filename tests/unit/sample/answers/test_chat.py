import msgspec
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from penstock.openai.sse import DONE, Event, Parser
from penstock.sample.answers import chat

TOOLS = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"properties": {"city": {"type": "string"}}}},
    }
]


def ask(text: str = "hello big world", **fields) -> dict:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **fields}


def answered(**fields) -> ChatCompletion:
    return ChatCompletion.model_validate(chat.answer(ask(**fields), 7, 1_800_000_000), strict=True)


def chunks_of(events: list[Event]) -> list[ChatCompletionChunk]:
    assert events[-1].data == DONE
    return [ChatCompletionChunk.model_validate(event.json, strict=True) for event in events[:-1]]


def streamed(**fields) -> list[ChatCompletionChunk]:
    return chunks_of(chat.events(ask(stream=True, **fields), 7, 1_800_000_000))


def text_of(chunks: list[ChatCompletionChunk], place: int = 0) -> str:
    parts = [choice for chunk in chunks for choice in chunk.choices if choice.index == place]
    return "".join(part.delta.content or "" for part in parts)


def test_the_object_is_whole():
    told = answered()
    assert (told.id, told.created, told.model) == ("chatcmpl-00000007", 1_800_000_000, "gpt-4o")
    assert told.choices[0].message.content == "You said: hello big world"
    assert told.choices[0].finish_reason == "stop"
    assert told.choices[0].logprobs is None


def test_every_key_of_openais_object_is_there():
    told = chat.answer(ask(), 1, 1)
    assert set(told) >= {"id", "object", "created", "model", "choices", "usage", "service_tier"}
    assert set(told["choices"][0]) == {"index", "message", "logprobs", "finish_reason"}
    assert set(told["choices"][0]["message"]) == {"role", "content", "refusal", "annotations"}


def test_usage_counts_words():
    usage = answered().usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (3, 5, 8)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 0
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == 0


def test_the_same_request_gives_the_same_bytes():
    once, again = (chat.events(ask(stream=True), 7, 1) for _ in range(2))
    assert [event.raw for event in once] == [event.raw for event in again]


def test_a_stream_says_the_role_first_then_words_then_why_it_ended():
    chunks = streamed()
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert deltas[0].role == "assistant"
    assert deltas[0].content == ""
    assert [delta.content for delta in deltas[1:-1]] == ["You", " said:", " hello", " big", " world"]
    assert deltas[-1].content is None
    reasons = [chunk.choices[0].finish_reason for chunk in chunks]
    assert reasons == [None] * 6 + ["stop"]


def test_stream_and_object_say_the_same():
    assert text_of(streamed()) == answered().choices[0].message.content
    assert {chunk.id for chunk in streamed()} == {answered().id}


def test_usage_is_streamed_only_where_asked_and_null_before():
    quiet = chat.events(ask(stream=True), 1, 1)
    assert all("usage" not in event.json for event in quiet[:-1])
    told = chat.events(ask(stream=True, stream_options={"include_usage": True}), 1, 1)
    usages = [event.json["usage"] for event in told[:-1]]
    assert usages[:-1] == [None] * (len(usages) - 1)
    assert usages[-1] == chat.answer(ask(), 1, 1)["usage"]
    assert told[-2].json["choices"] == []


def test_padding_comes_unless_it_is_refused_and_evens_sizes_out():
    padded = streamed()
    sizes = {len(chunk.choices[0].delta.content or "") + len(chunk.obfuscation or "") for chunk in padded}
    assert sizes == {chat._PAD_TO}
    assert all(c.obfuscation is None for c in streamed(stream_options={"include_obfuscation": False}))


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_ends_the_answer_with_length(name: str):
    told = answered(**{name: 3})
    assert told.choices[0].message.content == "You said: hello"
    assert told.choices[0].finish_reason == "length"
    assert told.usage is not None
    assert told.usage.completion_tokens == 3
    assert streamed(**{name: 3})[-1].choices[0].finish_reason == "length"


def test_several_choices_differ_and_arrive_in_turns():
    told = answered(n=3)
    assert [choice.index for choice in told.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in told.choices}) == 3
    chunks = streamed(n=3)
    assert [chunk.choices[0].index for chunk in chunks[:6]] == [0, 1, 2, 0, 1, 2]
    for choice in told.choices:
        assert text_of(chunks, choice.index) == choice.message.content
    finished = [c.choices[0].index for c in chunks if c.choices[0].finish_reason]
    assert sorted(finished) == [0, 1, 2]


def test_a_tool_is_called():
    told = answered(text="please call a tool", tools=TOOLS).choices[0]
    assert told.finish_reason == "tool_calls"
    assert told.message.content is None
    (call,) = told.message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "weather"
    assert msgspec.json.decode(call.function.arguments) == {"city": "please call a tool"}


def test_a_tool_call_streams_its_name_once_and_its_arguments_in_pieces():
    chunks = streamed(text="please call a tool", tools=TOOLS)
    parts = [part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or []]
    assert [part.id for part in parts if part.id] == ["call_0000000700"]
    assert [part.function.name for part in parts if part.function and part.function.name] == ["weather"]
    arguments = [part.function.arguments or "" for part in parts if part.function]
    assert len([piece for piece in arguments if piece]) > 3
    assert msgspec.json.decode("".join(arguments)) == {"city": "please call a tool"}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    assert text_of(chunks) == ""


def test_log_probabilities_come_where_asked_one_a_token():
    told = answered(logprobs=True, top_logprobs=2).choices[0]
    assert told.logprobs is not None
    entries = told.logprobs.content or []
    assert "".join(entry.token for entry in entries) == told.message.content
    assert {len(entry.top_logprobs) for entry in entries} == {2}
    words = [c.choices[0] for c in streamed(logprobs=True) if c.choices[0].delta.content]
    assert all(word.logprobs and word.logprobs.content[0].token == word.delta.content for word in words)


def test_json_is_answered_to_a_json_format():
    told = answered(response_format={"type": "json_object"}).choices[0]
    assert msgspec.json.decode(told.message.content or "")["echo"] == "hello big world"


def test_the_bytes_of_the_stream_read_back_as_its_events():
    events = chat.events(ask("Grüße 🌊", stream=True), 1, 1)
    parser = Parser()
    read = parser.feed(b"".join(event.raw for event in events))
    assert [event.data for event in read] == [event.data for event in events]
    assert [event.final for event in events] == [False] * (len(events) - 1) + [True]
