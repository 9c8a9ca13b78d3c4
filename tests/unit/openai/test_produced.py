"""What a model has said: every text once, in streams and in plain answers alike, and junk is silent."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.openai import sse
from penstock.openai.produced import Produced, answer_bytes, produced_bytes, utf8_bytes
from penstock.openai.sse import Event
from penstock.sample.answers import chat, completions, responses, responses_stream

MESSAGES = [{"role": "user", "content": "Grüße, what a nice day for a walk along the river! 🌊"}]
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
FLAT_TOOL = {"type": "function", "name": "look_up", "parameters": {"type": "object"}}


def delta(**said: Any) -> Event:
    return sse.encode({"choices": [{"index": 0, "delta": said}]})


def of_stream(events: list[Event]) -> Produced:
    produced = Produced(collect=True)
    for event in events:
        produced.see(event)
    assert produced.bytes == sum(map(produced_bytes, events))
    return produced


def of_answer(answer: Any) -> Produced:
    produced = Produced(collect=True)
    produced.see_answer(answer)
    assert produced.bytes == answer_bytes(answer)
    return produced


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ({"content": "abc"}, 3),
        ({"content": "é中🌊"}, 2 + 3 + 4),
        ({"content": ""}, 0),
        ({"content": None, "role": "assistant"}, 0),
        ({"refusal": "no"}, 2),
        ({"reasoning_content": "hm"}, 2),
        ({"reasoning": "hm"}, 2),
        ({"reasoning": "hm", "reasoning_content": "hm"}, 2),
        ({"reasoning": "hm", "reasoning_content": None}, 2),
        ({"content": "a", "reasoning": "bc"}, 3),
        ({"function_call": {"name": "f", "arguments": "{}"}}, 3),
        ({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": "{}"}}]}, 3),
        ({"tool_calls": [{"function": {"arguments": "ab"}}, {"function": {"arguments": "cd"}}]}, 4),
        ({"tool_calls": [{"custom": {"name": "f", "input": "abc"}}]}, 4),
        ({"content": [{"type": "text", "text": "ab"}]}, 2),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "abc"}]}]}, 3),
    ],
)
def test_a_delta_and_a_message_say_the_same(said: dict[str, Any], size: int) -> None:
    assert produced_bytes(delta(**said)) == size
    assert answer_bytes({"choices": [{"index": 0, "message": said}]}) == size


@pytest.mark.parametrize(
    "event",
    [
        Event(b": ping\n\n"),
        sse.done(),
        Event(b"data: nonsense\n\n", b"nonsense"),
        sse.encode([1, 2]),
        sse.encode("content"),
        sse.encode({"choices": [], "usage": {"completion_tokens": 9}}),
        sse.encode({"choices": [{"delta": {"role": "assistant"}, "finish_reason": "stop"}]}),
        sse.encode({"type": "response.output_text.done", "text": "again"}),
        sse.encode(
            {"type": "response.completed", "response": {"output": [{"content": [{"text": "again"}]}]}}
        ),
        sse.encode({"type": "response.output_item.done", "item": {"type": "function_call", "name": "again"}}),
        sse.encode({"type": "response.output_audio.delta", "delta": "UklGRg=="}),
        sse.encode({"error": {"message": "no"}}),
    ],
)
def test_what_says_nothing_new(event: Event) -> None:
    assert produced_bytes(event) == 0


@pytest.mark.parametrize(
    "kind", ["output_text", "refusal", "reasoning_text", "reasoning_summary_text", "function_call_arguments"]
)
def test_every_delta_of_a_response_is_said(kind: str) -> None:
    assert produced_bytes(sse.encode({"type": f"response.{kind}.delta", "delta": "für"})) == 4


def test_a_responses_call_says_its_name_once() -> None:
    item = {"type": "function_call", "name": "look_up", "arguments": ""}
    assert produced_bytes(sse.encode({"type": "response.output_item.added", "item": item})) == 7


@pytest.mark.parametrize(
    "body",
    [
        {"model": "m", "messages": MESSAGES},
        {"model": "m", "messages": MESSAGES, "n": 3},
        {"model": "m", "messages": MESSAGES, "tools": [TOOL], "tool_choice": "required"},
    ],
)
def test_a_chat_stream_says_what_its_plain_answer_says(body: dict[str, Any]) -> None:
    streamed, plain = of_stream(chat.events(body, 1, 2)), of_answer(chat.answer(body, 1, 2))
    assert streamed.bytes == plain.bytes > 0
    assert sorted(streamed.texts) == sorted(plain.texts)
    assert len(plain.texts) == body.get("n", 2 if "tools" in body else 1)


def test_a_completions_stream_says_what_its_plain_answer_says() -> None:
    body = {"model": "m", "prompt": ["one two three", "vier fünf"], "n": 2}
    streamed, plain = of_stream(completions.events(body, 1, 2)), of_answer(completions.answer(body, 1, 2))
    assert streamed.bytes == plain.bytes > 0
    assert sorted(streamed.texts) == sorted(plain.texts)


@pytest.mark.parametrize("more", [{}, {"tools": [FLAT_TOOL], "tool_choice": "required"}])
def test_a_response_stream_says_what_its_plain_answer_says(more: dict[str, Any]) -> None:
    body = {"model": "m", "input": MESSAGES, **more}
    streamed, plain = of_stream(responses_stream.events(body, 1, 2)), of_answer(responses.answer(body, 1, 2))
    assert streamed.bytes == plain.bytes > 0
    assert sorted(streamed.texts) == sorted(plain.texts)


def test_a_plain_response_says_its_texts_thoughts_and_calls() -> None:
    answer = {
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "message", "content": [{"type": "output_text", "text": "abc"}, {"refusal": "no"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "custom_tool_call", "name": "g", "input": "xyz"},
        ]
    }
    assert answer_bytes(answer) == 2 + 3 + 2 + 3 + 4


def test_texts_are_put_together_across_events_and_kept_only_if_asked_for() -> None:
    events = [delta(content="Grü"), delta(content="ße"), delta(reasoning="hm"), delta(content="!")]
    assert of_stream(events).texts == ["Grüße!", "hm"]
    silent = Produced()
    for event in events:
        silent.see(event)
    assert (silent.bytes, silent.texts) == (10, [])


def test_half_an_emoji_counts_as_what_replaces_it() -> None:
    assert utf8_bytes("a\ud83d") == 4
    assert of_stream([delta(content="\ud83d"), delta(content="\ude00")]).bytes == 6


@pytest.mark.parametrize(
    "answer", [None, [], "text", 5, {}, {"choices": None}, {"data": [{"embedding": [0.1]}]}]
)
def test_an_answer_without_texts_says_nothing(answer: Any) -> None:
    assert answer_bytes(answer) == 0


words = st.sampled_from(
    "choices delta message content text refusal reasoning tool_calls function custom name arguments index "
    "output summary thinking type item function_call response.output_item.added response.x.delta".split()
)
junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), words),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(words, inner, max_size=6)),
    max_leaves=25,
)


@given(junk)
def test_junk_never_raises(told: Any) -> None:
    event = Event(b"data: {}\n\n", b"{}", _json=told)
    assert of_stream([event]).bytes >= 0
    assert of_answer(told).bytes >= 0


@given(st.lists(st.text(max_size=20), max_size=8))
def test_what_was_said_is_counted_to_the_byte(said: list[str]) -> None:
    produced = of_stream([delta(content=text) for text in said])
    assert produced.bytes == len("".join(said).encode("utf-8", "surrogatepass"))
    assert "".join(produced.texts) == "".join(said)
