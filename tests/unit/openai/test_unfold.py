"""Answers as streams: gathered again they are the same, and OpenAI's own types take every event."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from penstock.openai import sse
from penstock.openai.ending import ending
from penstock.openai.gather import gather
from penstock.openai.request import Endpoint
from penstock.openai.sse import Event, Parser
from penstock.openai.unfold import replayed, unfold
from penstock.openai.watch import Verdict, Watch

CHAT, COMPLETIONS = Endpoint.CHAT, Endpoint.COMPLETIONS

text = st.text(st.characters(codec="utf-8"), max_size=30)
said = text.filter(bool)
logprob = st.floats(-20, 0)


def token(word: str, value: float) -> dict[str, Any]:
    return {"token": word, "logprob": value, "bytes": list(word.encode()), "top_logprobs": []}


tokens = st.lists(st.builds(token, said, logprob), min_size=1, max_size=5)
call = st.builds(
    lambda call_id, name, arguments: {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    },
    said,
    said,
    text,
)
citation = st.builds(
    lambda title: {
        "type": "url_citation",
        "url_citation": {"start_index": 0, "end_index": 1, "title": title, "url": "https://example.org"},
    },
    text,
)
usage = st.builds(
    lambda ins, outs: {"prompt_tokens": ins, "completion_tokens": outs, "total_tokens": ins + outs},
    st.integers(0, 99),
    st.integers(0, 99),
)


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    optional = {
        "refusal": st.none() | said,
        "annotations": st.lists(citation, max_size=2),
        "tool_calls": st.none() | st.lists(call, max_size=3),
        "function_call": st.fixed_dictionaries({"name": said, "arguments": text}),
        "reasoning_content": st.none() | text,
        "reasoning": text,
        "audio": st.fixed_dictionaries(
            {"id": said, "data": said, "expires_at": st.integers(0), "transcript": text}
        ),
    }
    fixed = {"role": st.just("assistant"), "content": st.none() | text}
    return draw(st.fixed_dictionaries(fixed, optional=optional))


@st.composite
def chat_choices(draw: st.DrawFn, index: int) -> dict[str, Any]:
    message = draw(messages())
    reason = draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter"]))
    choice = {"index": index, "message": message, "finish_reason": reason}
    kind = draw(st.sampled_from(["absent", "null", "spelling", "other", "empty"]))
    if kind == "spelling":
        told = draw(tokens)
        message["content"] = "".join(entry["token"] for entry in told)
        choice["logprobs"] = {"content": told, "refusal": draw(st.none() | st.just([]))}
    elif kind != "absent":
        choice["logprobs"] = {
            "null": None,
            "other": {"content": draw(tokens), "refusal": None},
            "empty": {"content": [], "refusal": None},
        }[kind]
    return choice


@st.composite
def answers(draw: st.DrawFn, kind: str, choice: Any) -> dict[str, Any]:
    top = {"id": said, "object": st.just(kind), "created": st.integers(1, 2**40), "model": said}
    beside = {
        "usage": usage,
        "system_fingerprint": st.none() | said,
        "service_tier": st.sampled_from(["default", "flex", None]),
        "prompt_filter_results": st.lists(st.just({"prompt_index": 0}), max_size=1),
    }
    answer = draw(st.fixed_dictionaries(top, optional=beside))
    answer["choices"] = [draw(choice(index)) for index in range(draw(st.integers(1, 3)))]
    return answer


@st.composite
def text_choices(draw: st.DrawFn, index: int) -> dict[str, Any]:
    told = draw(st.lists(said, min_size=1, max_size=4))
    logprobs = {
        "tokens": told,
        "token_logprobs": [draw(logprob) for _ in told],
        "top_logprobs": draw(st.none() | st.just([{} for _ in told])),
        "text_offset": list(range(len(told))),
    }
    choice = {
        "index": index,
        "text": "".join(told),
        "finish_reason": draw(st.sampled_from(["stop", "length"])),
    }
    kind = draw(st.sampled_from(["absent", "null", "spelling", "other"]))
    if kind == "other":
        choice["text"] = draw(text)
    if kind != "absent":
        choice["logprobs"] = None if kind == "null" else logprobs
    return choice


chats = answers("chat.completion", chat_choices)
completions = answers("text_completion", text_choices)
either = st.one_of(st.tuples(st.just(CHAT), chats), st.tuples(st.just(COMPLETIONS), completions))


def cut_and_parsed(events: list[Event], places: list[int]) -> list[Event]:
    raw = b"".join(event.raw for event in events)
    edges = [0, *sorted(place % (len(raw) + 1) for place in places), len(raw)]
    parser = Parser()
    return [event for a, b in pairwise(edges) for event in parser.feed(raw[a:b])]


@settings(max_examples=300)
@given(either, st.lists(st.integers(0, 5000), max_size=6))
def test_gathered_again_it_is_the_same_answer(given_answer, places):
    endpoint, answer = given_answer
    events = unfold(endpoint, answer, include_usage=True)
    assert gather(endpoint, events) == answer
    assert gather(endpoint, cut_and_parsed(events, places)) == answer


@given(either)
def test_without_usage_only_the_usage_is_missing(given_answer):
    endpoint, answer = given_answer
    events = unfold(endpoint, answer, include_usage=False)
    wanted = {name: value for name, value in answer.items() if name != "usage"}
    assert gather(endpoint, events) == wanted
    assert not any(b'"usage"' in event.raw for event in events if "usage" not in str(answer["choices"]))


@given(either, st.booleans())
def test_a_watch_finds_it_whole_and_agrees_on_its_ending(given_answer, include_usage):
    endpoint, answer = given_answer
    events = unfold(endpoint, answer, include_usage=include_usage)
    watch = Watch(endpoint, len(answer["choices"]))
    *before, last = [watch.see(event) for event in events]
    assert set(before) == {Verdict.GOES_ON}
    assert last is Verdict.FINAL
    assert watch.ending() == ending(endpoint, answer)
    assert [event.final for event in events] == [False] * len(before) + [True]


@given(either, st.booleans())
def test_openai_s_types_take_every_event(given_answer, include_usage):
    endpoint, answer = given_answer
    *chunks, done = unfold(endpoint, answer, include_usage=include_usage)
    assert done.data == sse.DONE
    for event in chunks:
        if endpoint is CHAT:
            ChatCompletionChunk.model_validate(event.json)
        elif not event.json["choices"] or event.json["choices"][0]["finish_reason"]:
            Completion.model_validate(event.json)  # the SDK's type has no place for a null finish_reason


# The SDK's own accumulator refuses content that is no whole answer, and numbers it adds up.
plain = chats.filter(
    lambda answer: all(
        choice["finish_reason"] not in ("length", "content_filter") and "audio" not in choice["message"]
        for choice in answer["choices"]
    )
)


@given(plain)
def test_openai_s_accumulator_agrees(answer):
    state = ChatCompletionStreamState()
    for event in unfold(CHAT, answer, include_usage=True)[:-1]:
        state.handle_chunk(ChatCompletionChunk.model_validate(event.json))
    summed = state.get_final_completion()
    for theirs, ours in zip(summed.choices, ChatCompletion.model_validate(answer).choices, strict=True):
        assert theirs.message.content == ours.message.content
        assert (theirs.message.refusal or None) == ours.message.refusal
        assert theirs.finish_reason == ours.finish_reason
        assert [
            (made.id, made.function.name, made.function.arguments) for made in theirs.message.tool_calls or []
        ] == [
            (made.id, made.function.name, made.function.arguments) for made in ours.message.tool_calls or []
        ]
    assert (summed.usage is None) is ("usage" not in answer)


def answer(**message: object) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1},
    }


def deltas(events: list[Event]) -> list[object]:
    return [choice["delta"] for event in events if event.json for choice in event.json["choices"]]


def test_a_short_answer_as_openai_streams_it():
    events = unfold(CHAT, answer(content="Hello, world", refusal=None), include_usage=True)
    assert deltas(events) == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hello,"},
        {"content": " world"},
        {},
    ]
    assert [event.json["usage"] for event in events[:-1]] == [None] * 4 + [{"prompt_tokens": 1}]
    assert events[-2].json["choices"] == []
    assert events[0].json["object"] == "chat.completion.chunk"


def test_a_call_tells_its_name_first():
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    assert deltas(unfold(CHAT, answer(content=None, tool_calls=[call]), include_usage=False)) == [
        {"role": "assistant", "content": None},
        {"tool_calls": [{"index": 0, **call, "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": " 1}"}}]},
        {},
    ]


@pytest.mark.parametrize(
    "call",
    [
        {"id": "c", "type": "custom", "custom": {"name": "f", "input": "some words here"}},
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}},
        {"id": "c", "type": "odd", "value": 3},
    ],
)
def test_other_calls_come_back_too(call):
    given_answer = answer(content=None, tool_calls=[call])
    assert gather(CHAT, unfold(CHAT, given_answer, include_usage=True)) == given_answer


def test_reasoning_comes_before_the_content_and_refusals_after():
    given_answer = answer(refusal="no", content="yes", reasoning_content="hm")
    order = [next(iter(delta)) for delta in deltas(unfold(CHAT, given_answer, include_usage=False))[1:-1]]
    assert order == ["reasoning_content", "content", "refusal"]


@pytest.mark.parametrize("content", [[{"type": "text", "text": "a b"}], {"a": "b"}, 3, False])
def test_odd_content_comes_back(content):
    given_answer = answer(content=content, name="two words", vendor={"x": [1], "y": None})
    assert gather(CHAT, unfold(CHAT, given_answer, include_usage=True)) == given_answer


def test_the_answer_stays_as_it_is():
    given_answer = answer(content="a b", tool_calls=[{"index": 0, "id": "x"}])
    before = str(given_answer)
    unfold(CHAT, given_answer, include_usage=True)
    assert str(given_answer) == before


# --- stored streams ---------------------------------------------------------------------------


def stored(*, usage: bool, done: bool = True) -> list[Event]:
    events = unfold(CHAT, answer(content="a b"), include_usage=usage)
    raw = b"".join(event.raw for event in events if done or event.data != sse.DONE)
    return Parser().feed(raw)


USAGE = {"prompt_tokens": 1}


@pytest.mark.parametrize("has", [True, False])
@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("asks", [True, False])
def test_a_stored_stream_as_the_reader_asks(has, done, asks):
    before = stored(usage=has, done=done)
    again = replayed(CHAT, before, USAGE, include_usage=asks)
    assert [event.final for event in again] == [False] * (len(again) - 1) + [True]
    assert not any(event.final for event in before)
    told = [event.json["usage"] for event in again if event.json and event.json.get("usage")]
    assert told == ([USAGE] if asks else [])
    assert (again[-1].data == sse.DONE) is done
    assert gather(CHAT, again) == gather(CHAT, unfold(CHAT, answer(content="a b"), include_usage=asks))


def test_what_the_reader_asked_for_anyway_keeps_its_bytes():
    for usage in (True, False):
        before = stored(usage=usage)
        again = replayed(CHAT, before, USAGE, include_usage=usage)
        assert [event.raw for event in again] == [event.raw for event in before]


def test_an_unknown_usage_is_not_made_up():
    before = stored(usage=False)
    again = replayed(CHAT, before, None, include_usage=True)
    assert [event.raw for event in again] == [event.raw for event in before]


def test_usage_that_rides_on_the_finish_is_not_told_twice():
    finish = {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE}
    before = [sse.encode(finish), sse.done()]
    for asks in (True, False):
        again = replayed(CHAT, before, USAGE, include_usage=asks)
        assert [event.raw for event in again] == [event.raw for event in before]


def test_the_usage_chunk_looks_like_its_neighbours():
    chunk = replayed(CHAT, stored(usage=False), USAGE, include_usage=True)[-2]
    assert chunk.json == {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [],
        "usage": USAGE,
    }


def test_a_stored_response_is_left_alone():
    before = [sse.encode({"type": "response.completed", "response": {}, "usage": None}, "response.completed")]
    (again,) = replayed(Endpoint.RESPONSES, before, USAGE, include_usage=False)
    assert (again.raw, again.final) == (before[0].raw, True)


def test_an_empty_list_stays_empty():
    assert replayed(CHAT, [], None, include_usage=False) == []
