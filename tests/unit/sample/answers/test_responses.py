import msgspec
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from penstock.sample.answers import responses, responses_stream

STREAM_EVENT = TypeAdapter(ResponseStreamEvent)
TOOLS = [
    {"type": "function", "name": "weather", "parameters": {"properties": {"city": {"type": "string"}}}},
    {"type": "web_search"},
]
SELDOM = {
    "access_programs",
    "conversation",
    "image",
    "input_transformations",
    "moderation",
    "prompt",
    "prompt_cache_diagnostics",
    "prompt_cache_options",
    "tool_usage",
}
"""Fields that OpenAI sends only for what the request used."""


def ask(text: object = "hello big world", **fields) -> dict:
    return {"model": "gpt-4o", "input": text, **fields}


def answered(text: object = "hello big world", **fields) -> Response:
    return Response.model_validate(responses.answer(ask(text, **fields), 7, 1_800_000_000))


def streamed(**fields) -> list:
    events = responses_stream.events(ask(stream=True, **fields), 7, 1_800_000_000)
    return [STREAM_EVENT.validate_python(event.json) for event in events]


def test_the_object_is_whole():
    told = answered()
    assert told.id == "resp_00000007"
    assert told.status == "completed"
    assert told.output_text == "You said: hello big world"
    assert told.output[0].type == "message"
    assert (told.error, told.incomplete_details) == (None, None)


def test_no_field_that_the_sdk_knows_is_missing():
    assert set(Response.model_fields) - set(responses.answer(ask(), 1, 1)) == SELDOM


def test_the_requests_settings_are_told_back():
    told = answered(
        instructions="be brief",
        temperature=0.2,
        metadata={"team": "a"},
        previous_response_id="resp_1",
        tools=TOOLS,
        user="u1",
        reasoning={"effort": "low"},
    )
    assert (told.instructions, told.temperature, told.metadata) == ("be brief", 0.2, {"team": "a"})
    assert (told.previous_response_id, told.user) == ("resp_1", "u1")
    assert told.reasoning is not None
    assert told.reasoning.effort == "low"
    assert [tool.type for tool in told.tools] == ["function", "web_search"]
    assert told.tools[0].strict is True


def test_usage_counts_input_and_instructions():
    usage = answered(instructions="be brief").usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (5, 5, 10)
    assert usage.input_tokens_details.cached_tokens == 0
    assert usage.output_tokens_details.reasoning_tokens == 0


def test_a_list_of_items_is_heard_like_a_string():
    items = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "input_text", "text": "hello big world"}]},
    ]
    assert answered(items).output_text == "You said: hello big world"


def test_a_tools_output_is_answered_in_words():
    items = [
        {"role": "user", "content": "call a tool"},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
    ]
    assert answered(items, tools=TOOLS).output_text == "The tool said: sunny"


def test_a_limit_makes_it_incomplete():
    told = answered(max_output_tokens=3)
    assert told.status == "incomplete"
    assert told.incomplete_details is not None
    assert told.incomplete_details.reason == "max_output_tokens"
    assert told.output_text == "You said: hello"
    assert told.output[0].status == "incomplete"
    assert streamed(max_output_tokens=3)[-1].type == "response.incomplete"


def test_a_stream_runs_from_created_to_completed():
    assert [event.type for event in streamed()] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * 5,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


@pytest.mark.parametrize("fields", [{}, {"text": "call a tool", "tools": TOOLS}])
def test_events_are_numbered_and_named_and_the_last_is_final(fields: dict):
    events = responses_stream.events(ask(**fields), 7, 1)
    assert [event.json["sequence_number"] for event in events] == list(range(len(events)))
    assert [event.name for event in events] == [event.json["type"] for event in events]
    assert all(event.raw.startswith(b"event: " + event.name.encode() + b"\n") for event in events)
    assert [event.final for event in events] == [False] * (len(events) - 1) + [True]


def test_the_stream_says_what_the_object_says():
    events = streamed()
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    (done,) = [event for event in events if event.type == "response.output_text.done"]
    assert deltas == done.text == answered().output_text
    assert events[-1].response == answered(stream=True)
    assert events[0].response.status == "in_progress"
    assert events[0].response.output == []
    assert events[0].response.usage is None


def test_the_item_of_a_stream_is_one_and_the_same():
    events = streamed()
    (added,) = [event.item for event in events if event.type == "response.output_item.added"]
    (done,) = [event.item for event in events if event.type == "response.output_item.done"]
    assert (added.status, added.content) == ("in_progress", [])
    assert done == events[-1].response.output[0]
    named = {event.item_id for event in events if hasattr(event, "item_id")}
    assert named == {added.id} == {done.id}


def test_a_tool_is_called():
    (call,) = answered("please call a tool", tools=TOOLS).output
    assert call.type == "function_call"
    assert (call.name, call.status, call.call_id) == ("weather", "completed", "call_00000007")
    assert msgspec.json.decode(call.arguments) == {"city": "please call a tool"}


def test_a_tool_call_streams_its_arguments():
    events = streamed(text="please call a tool", tools=TOOLS)
    deltas = [e.delta for e in events if e.type == "response.function_call_arguments.delta"]
    (done,) = [e for e in events if e.type == "response.function_call_arguments.done"]
    assert len(deltas) > 3
    assert "".join(deltas) == done.arguments == events[-1].response.output[0].arguments
    assert done.name == "weather"
    assert not [event for event in events if "text" in event.type]


def test_log_probabilities_come_where_included():
    fields = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
    part = answered(**fields).output[0].content[0]
    assert "".join(entry.token for entry in part.logprobs) == part.text
    assert {len(entry.top_logprobs) for entry in part.logprobs} == {2}
    words = [event for event in streamed(**fields) if event.type == "response.output_text.delta"]
    assert all(word.logprobs[0].token == word.delta for word in words)
    assert answered().output[0].content[0].logprobs == []


def test_padding_comes_unless_it_is_refused():
    def padded(**fields) -> set[bool]:
        events = responses_stream.events(ask(**fields), 1, 1)
        return {"obfuscation" in event.json for event in events if event.name.endswith("text.delta")}

    assert padded() == {True}
    assert padded(stream_options={"include_obfuscation": False}) == {False}


def test_json_is_answered_to_a_json_format():
    told = responses.answer({**ask("hi"), "text": {"format": {"type": "json_object"}}}, 1, 1)
    assert msgspec.json.decode(told["output"][0]["content"][0]["text"])["echo"] == "hi"
