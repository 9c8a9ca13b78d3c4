"""Responses as streams."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai._models import construct_type
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from penstock.openai.ending import ending
from penstock.openai.gather import gather
from penstock.openai.request import Endpoint
from penstock.openai.sse import Event, Parser
from penstock.openai.unfold import unfold
from penstock.openai.watch import Verdict, Watch

RESPONSES = Endpoint.RESPONSES
ANY_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

text = st.text(st.characters(codec="utf-8"), max_size=30)
said = text.filter(bool)
status = st.just("completed")


def token(word: str) -> dict[str, Any]:
    return {"token": word, "logprob": -1.0, "bytes": list(word.encode()), "top_logprobs": []}


tokens = st.lists(said.map(token), min_size=1, max_size=4)
citation = {
    "type": "url_citation",
    "start_index": 0,
    "end_index": 1,
    "title": "t",
    "url": "https://example.org",
}
output_text = st.fixed_dictionaries(
    {"type": st.just("output_text"), "text": text, "annotations": st.lists(st.just(citation), max_size=2)},
    optional={"logprobs": st.just([]) | tokens},
) | tokens.map(
    lambda told: {
        "type": "output_text",
        "text": "".join(entry["token"] for entry in told),
        "annotations": [],
        "logprobs": told,
    }
)
refusal = st.fixed_dictionaries({"type": st.just("refusal"), "refusal": text})
message = st.fixed_dictionaries(
    {
        "type": st.just("message"),
        "role": st.just("assistant"),
        "status": status,
        "content": st.lists(output_text | refusal, max_size=2),
    }
)
reasoning = st.fixed_dictionaries(
    {
        "type": st.just("reasoning"),
        "summary": st.lists(
            st.fixed_dictionaries({"type": st.just("summary_text"), "text": text}), max_size=2
        ),
    },
    optional={
        "content": st.none()
        | st.lists(st.fixed_dictionaries({"type": st.just("reasoning_text"), "text": text}), max_size=2),
        "encrypted_content": st.none() | text,
        "status": status,
    },
)
function_call = st.fixed_dictionaries(
    {
        "type": st.just("function_call"),
        "name": said,
        "arguments": text,
        "status": status,
    }
)
custom_call = st.fixed_dictionaries({"type": st.just("custom_tool_call"), "name": said, "input": text})
mcp_call = st.fixed_dictionaries(
    {"type": st.just("mcp_call"), "name": said, "arguments": text, "server_label": said, "output": text}
)
image = st.fixed_dictionaries(
    {"type": st.just("image_generation_call"), "status": status, "result": st.none() | text}
)
items = st.lists(message | reasoning | function_call | custom_call | mcp_call | image, max_size=4)


@st.composite
def responses(draw: st.DrawFn) -> dict[str, Any]:
    state = draw(st.sampled_from(["completed", "incomplete", "failed"]))
    output = [{"id": f"item_{at}", **item} for at, item in enumerate(draw(items))]
    for item in output:
        if item["type"] in ("function_call", "custom_tool_call"):
            item["call_id"] = f"call_{item['id']}"
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "completed_at": 2,
        "model": "m",
        "status": state,
        "output": output,
        "error": {"code": "server_error", "message": "no"} if state == "failed" else None,
        "incomplete_details": {"reason": "max_output_tokens"} if state == "incomplete" else None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 3,
            "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
            "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": 1},
            "total_tokens": 5,
        },
    }


def events_of(response: dict[str, Any]) -> list[Event]:
    return unfold(RESPONSES, response, include_usage=False)


@settings(max_examples=200)
@given(responses(), st.lists(st.integers(0, 9000), max_size=6))
def test_gathered_again_it_is_the_same_response(response, places):
    events = events_of(response)
    assert gather(RESPONSES, events) == response
    raw = b"".join(event.raw for event in events)
    edges = [0, *sorted(place % len(raw) for place in places), len(raw)]
    parser = Parser()
    parsed = [event for a, b in pairwise(edges) for event in parser.feed(raw[a:b])]
    assert gather(RESPONSES, parsed) == response
    assert [event.name for event in parsed] == [event.json["type"] for event in events]


@given(responses())
def test_openai_s_types_take_every_event(response):
    for event in events_of(response):
        ANY_EVENT.validate_python(event.json)


@given(responses())
def test_openai_s_accumulator_agrees(response):
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    summed: dict[tuple[int, int], str] = {}
    for event in events_of(response):
        for typed in state.handle_event(construct_type(type_=ResponseStreamEvent, value=event.json)):
            if typed.type == "response.output_text.delta":
                summed[typed.output_index, typed.content_index] = typed.snapshot
            elif typed.type == "response.function_call_arguments.delta":
                summed[typed.output_index, 0] = typed.snapshot
    spoken = {
        (at, place): part["text"]
        for at, item in enumerate(response["output"])
        for place, part in enumerate(item.get("content") or ())
        if part["type"] == "output_text" and part["text"]
    }
    called = {
        (at, 0): item["arguments"]
        for at, item in enumerate(response["output"])
        if item["type"] == "function_call" and item["arguments"]
    }
    assert summed == spoken | called


@given(responses())
def test_a_watch_finds_it_whole_and_agrees_on_its_ending(response):
    watch = Watch(RESPONSES)
    events = events_of(response)
    *before, last = [watch.see(event) for event in events]
    assert set(before) == {Verdict.GOES_ON}
    assert last is Verdict.FINAL
    assert watch.ending() == ending(RESPONSES, response)
    assert [event.final for event in events] == [False] * len(before) + [True]
    assert [event.json["sequence_number"] for event in events] == list(range(len(events)))


def response_with(*output: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "r", "status": "completed", "output": list(output), **fields}


def test_a_short_answer_as_openai_streams_it():
    part = {"type": "output_text", "text": "Hi there", "annotations": [citation], "logprobs": []}
    item = {"id": "msg", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    events = events_of(response_with(item, usage={"input_tokens": 1}))
    assert [event.name for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.annotation.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    created, added = events[0].json["response"], events[2].json["item"]
    assert (created["status"], created["output"], created["usage"]) == ("in_progress", [], None)
    assert (added["status"], added["content"]) == ("in_progress", [])
    assert events[3].json["part"] == {**part, "text": "", "annotations": []}
    assert [event.json["delta"] for event in events[4:6]] == ["Hi", " there"]
    assert events[7].json["text"] == "Hi there"


@pytest.mark.parametrize(
    ("kind", "name", "called"),
    [
        ("function_call", "arguments", "response.function_call_arguments"),
        ("mcp_call", "arguments", "response.mcp_call_arguments"),
        ("custom_tool_call", "input", "response.custom_tool_call_input"),
    ],
)
def test_calls_are_told_in_pieces(kind, name, called):
    events = events_of(response_with({"id": "c", "type": kind, name: '{"a": 1}'}))
    assert events[2].json["item"][name] == ""
    assert [event.json["delta"] for event in events if event.name == f"{called}.delta"] == ['{"a":', " 1}"]
    assert [event.json[name] for event in events if event.name == f"{called}.done"] == ['{"a": 1}']


def test_a_summary_is_told_in_pieces():
    item = {"id": "rs", "type": "reasoning", "summary": [{"type": "summary_text", "text": "So then"}]}
    names = [
        event.name.removeprefix("response.reasoning_summary_") for event in events_of(response_with(item))
    ]
    assert names[3:8] == ["part.added", "text.delta", "text.delta", "text.done", "part.done"]


@pytest.mark.parametrize("part", [{"type": "odd"}, {"type": "output_text", "text": None}, {}])
def test_a_part_of_another_kind_is_told_whole(part):
    response = response_with({"id": "m", "type": "message", "content": [part]})
    events = events_of(response)
    assert [event.json["part"] for event in events if "part" in event.json] == [part, part]
    assert gather(RESPONSES, events) == response


def test_an_item_without_an_id_is_called_by_its_call():
    call = {"type": "function_call", "call_id": "call_1", "arguments": "{}"}
    assert {event.json["item_id"] for event in events_of(response_with(call)) if "item_id" in event.json} == {
        "call_1"
    }
    nameless = events_of(response_with({"type": "function_call", "arguments": "{}"}))
    assert {event.json["item_id"] for event in nameless if "item_id" in event.json} == {""}


def test_the_response_stays_as_it_is():
    response = response_with({"id": "m", "type": "message", "status": "completed", "content": []})
    before = str(response)
    events_of(response)
    assert str(response) == before
