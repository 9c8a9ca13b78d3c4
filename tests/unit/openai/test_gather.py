"""Streams put together, as servers really send them."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.openai import sse
from penstock.openai.gather import gather
from penstock.openai.request import Endpoint
from penstock.openai.sse import Event

HEAD = {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m"}


def chunk(delta: object, index: int = 0, finish: str | None = None, **beside: object) -> Event:
    return sse.encode(
        {**HEAD, "choices": [{"index": index, "delta": delta, "finish_reason": finish}], **beside}
    )


def message(*events: Event) -> dict:
    return gather(Endpoint.CHAT, events)["choices"][0]["message"]


def test_a_chat_answer():
    events = [
        Event(b": comment\n\n"),
        sse.encode({"id": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": [1]}),
        chunk(
            {"role": "assistant", "content": "", "refusal": None}, obfuscation="x", system_fingerprint=None
        ),
        chunk({"content": "Hel"}, usage=None, system_fingerprint="fp"),
        chunk({"content": "lo"}, id="c2"),
        chunk({}, finish="stop", service_tier="default"),
        sse.encode({**HEAD, "choices": [], "usage": {"prompt_tokens": 3}}),
        sse.done(),
    ]
    assert gather(Endpoint.CHAT, events) == {
        "id": "c1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "system_fingerprint": "fp",
        "service_tier": "default",
        "prompt_filter_results": [1],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3},
    }


def test_choices_are_sorted_and_apart():
    events = [
        chunk({"content": "b"}, 1),
        chunk({"content": "a"}, 0),
        chunk({}, 1, "stop"),
        chunk({}, 0, "length"),
    ]
    first, second = gather(Endpoint.CHAT, events)["choices"]
    assert (first["index"], first["message"]["content"], first["finish_reason"]) == (0, "a", "length")
    assert (second["index"], second["message"]["content"], second["finish_reason"]) == (1, "b", "stop")


def call(**fields: object) -> Event:
    return chunk({"tool_calls": [fields]})


@pytest.mark.parametrize(
    "deltas",
    [
        [  # OpenAI
            {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
            {"index": 0, "function": {"arguments": '{"x'}},
            {"index": 0, "function": {"arguments": '":1}'}},
            {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
        [  # names told again and again
            {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x'}},
            {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": '":1}'}},
            {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            {"index": 1, "id": "", "type": "function", "function": {"name": "", "arguments": ""}},
        ],
        [  # without an index
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x'}},
            {"function": {"arguments": '":1}'}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{"}},
            {"id": "b", "function": {"name": None, "arguments": "}"}},
        ],
        [  # out of order, from 1
            {"index": 2, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            {"index": 1, "id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        ],
    ],
)
def test_tool_calls(deltas):
    assert message(*(call(**delta) for delta in deltas))["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_an_old_function_call():
    events = [
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
    ]
    assert message(*events)["function_call"] == {"name": "f", "arguments": "{}"}


def test_texts_of_any_name_grow():
    events = [
        chunk({"reasoning_content": "so ", "vendor": "x"}),
        chunk({"reasoning_content": "what", "vendor": "y"}),
    ]
    assert message(*events) == {"role": "assistant", "reasoning_content": "so what", "vendor": "xy"}


def test_lists_and_audio_grow():
    one, two = {"type": "url_citation", "n": 1}, {"type": "url_citation", "n": 2}
    events = [
        chunk({"annotations": [one], "audio": {"id": "au", "data": "QQ"}}),
        chunk({"annotations": [two], "audio": {"data": "==", "expires_at": 9}}),
    ]
    assert message(*events) == {
        "role": "assistant",
        "annotations": [one, two],
        "audio": {"id": "au", "data": "QQ==", "expires_at": 9},
    }


def test_logprobs_grow_and_null_takes_nothing_away():
    def logged(logprobs: object) -> Event:
        return sse.encode({**HEAD, "choices": [{"index": 0, "delta": {}, "logprobs": logprobs}]})

    events = [
        logged(None),
        logged({"content": [{"token": "a"}], "refusal": None}),
        logged({"content": [{"token": "b"}], "refusal": None}),
        logged(None),
    ]
    choice = gather(Endpoint.CHAT, events)["choices"][0]
    assert choice["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}], "refusal": None}


def test_a_completion():
    events = [
        sse.encode({"id": "c", "choices": [{"index": 0, "text": "He", "logprobs": {"tokens": ["He"]}}]}),
        sse.encode({"id": "c", "choices": [{"index": 0, "text": "y", "logprobs": {"tokens": ["y"]}}]}),
        sse.encode(
            {"id": "c", "choices": [{"index": 0, "text": "", "finish_reason": "stop", "logprobs": None}]}
        ),
    ]
    answer = gather(Endpoint.COMPLETIONS, events)
    assert answer["object"] == "text_completion"
    assert answer["choices"] == [
        {"index": 0, "text": "Hey", "logprobs": {"tokens": ["He", "y"]}, "finish_reason": "stop"}
    ]


def test_a_response_is_what_its_last_event_says():
    response = {"id": "r", "status": "incomplete", "output": [{"type": "message"}]}
    events = [
        sse.encode({"type": "response.created", "response": {"id": "r", "status": "in_progress"}}),
        sse.encode({"type": "response.incomplete", "response": response}),
    ]
    assert gather(Endpoint.RESPONSES, events) == response
    assert gather(Endpoint.RESPONSES, events[:1]) == {}


@pytest.mark.parametrize("output", [{}, {"output": None}, {"output": []}])
def test_items_left_out_of_the_last_event_come_from_their_own(output):
    events = [
        sse.encode({"type": "response.output_item.done", "output_index": 1, "item": {"id": "b"}}),
        sse.encode({"type": "response.output_item.done", "output_index": 0, "item": {"id": "a"}}),
        sse.encode({"type": "response.completed", "response": {"id": "r", **output}}),
    ]
    assert gather(Endpoint.RESPONSES, events) == {
        "id": "r",
        "status": "completed",
        "output": [{"id": "a"}, {"id": "b"}],
    }


def test_the_events_stay_as_they_are():
    events = [
        chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"arguments": "1"}}], "annotations": [1]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "2"}}], "annotations": [2]}),
    ]
    before = copy.deepcopy([event.json for event in events])
    assert gather(Endpoint.CHAT, events) == gather(Endpoint.CHAT, events)
    assert [event.json for event in events] == before


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["a", "", "response.completed"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "index",
                    "message",
                    "content",
                    "tool_calls",
                    "function",
                    "id",
                    "text",
                    "logprobs",
                    "response",
                    "output",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
junk_choice = st.fixed_dictionaries(
    {},
    optional={
        "index": junk,
        "text": junk,
        "message": junk,
        "logprobs": junk,
        "finish_reason": junk,
        "delta": st.fixed_dictionaries({}, optional={"content": junk, "tool_calls": junk | st.lists(junk)}),
    },
)
junk_chunk = st.fixed_dictionaries(
    {},
    optional={
        "id": junk,
        "choices": junk | st.lists(junk_choice, max_size=3),
        "type": junk,
        "response": junk,
    },
)


@given(
    st.lists(junk | junk_chunk, max_size=4),
    st.sampled_from([Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.RESPONSES]),
)
def test_no_junk_breaks_it(payloads, endpoint):
    assert isinstance(gather(endpoint, [sse.encode(payload) for payload in payloads]), dict)
