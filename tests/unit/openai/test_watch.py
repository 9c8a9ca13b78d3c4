"""Watching streams: whole, cut, wrong or dear."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.openai import sse
from penstock.openai.ending import Ending
from penstock.openai.request import Endpoint
from penstock.openai.sse import Event
from penstock.openai.usage import Usage
from penstock.openai.watch import Verdict, Watch, choices_asked

GOES_ON, FINAL, TRUNCATED = Verdict.GOES_ON, Verdict.FINAL, Verdict.TRUNCATED


def event(payload: object, name: str = "") -> Event:
    return sse.encode(payload, name)


def delta(index: int = 0, finish: object = None, **said: object) -> Event:
    return event({"model": "m", "choices": [{"index": index, "delta": said, "finish_reason": finish}]})


def seen(watch: Watch, *events: Event) -> list[Verdict]:
    return [watch.see(event) for event in events]


USAGE = {"prompt_tokens": 3, "completion_tokens": 2}


def test_a_chat_stream_as_openai_sends_it():
    watch = Watch(Endpoint.CHAT)
    stream = [
        delta(role="assistant", content=""),
        delta(content="Hi"),
        delta(finish="stop"),
        event({"choices": [], "usage": USAGE}),
        sse.done(),
    ]
    assert seen(watch, *stream) == [GOES_ON, GOES_ON, GOES_ON, GOES_ON, FINAL]
    assert (watch.usage, watch.model, watch.finish_reasons) == (Usage(3, 2), "m", {0: "stop"})
    assert watch.ending() == Ending(complete=True, empty=False)
    assert not watch.tool_calls


def test_a_server_without_an_end_mark_whose_usage_rides_on_the_finish():
    watch = Watch(Endpoint.CHAT)
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}], "usage": USAGE}
    assert seen(watch, delta(content="Hi"), event(last)) == [GOES_ON, GOES_ON]
    assert watch.at_end() is FINAL
    assert watch.usage == Usage(3, 2)
    assert watch.ending() == Ending(complete=True, truncated=True, empty=False)


@pytest.mark.parametrize(
    "stream",
    [
        [],
        [delta(content="Hi")],
        [delta(0, "stop"), delta(1, content="Hi")],
        [event({"choices": [], "usage": USAGE})],
        [delta(finish="")],
        [delta(finish=1)],
        [delta(finish={})],
    ],
)
def test_an_end_before_the_answer_is_whole(stream):
    watch = Watch(Endpoint.CHAT)
    assert set(seen(watch, *stream)) <= {GOES_ON}
    assert watch.at_end() is TRUNCATED
    assert watch.see(sse.done()) is TRUNCATED
    assert not watch.ending().complete


def test_all_choices_asked_for_must_end():
    watch = Watch(Endpoint.CHAT, n=2)
    seen(watch, delta(0, "stop", content="a"))
    assert watch.at_end() is TRUNCATED
    seen(watch, delta(1, "stop", content="b"))
    assert watch.see(sse.done()) is FINAL


def test_completions_stream():
    watch = Watch(Endpoint.COMPLETIONS)
    stream = [
        event({"choices": [{"index": 0, "text": "Hi", "finish_reason": None}]}),
        event({"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}),
        sse.done(),
    ]
    assert seen(watch, *stream)[-1] is FINAL
    assert watch.ending() == Ending(complete=True, empty=False)


def test_a_tool_call():
    watch = Watch(Endpoint.CHAT)
    seen(watch, delta(tool_calls=[{"index": 0, "id": "c"}]), delta(finish="tool_calls"))
    assert watch.tool_calls
    assert watch.ending() == Ending(complete=True, tool_calls=True, empty=False)


def test_a_refusal():
    watch = Watch(Endpoint.CHAT)
    seen(watch, delta(refusal="No."), delta(finish="stop"))
    assert watch.ending() == Ending(complete=True, refused=True, empty=False)


@pytest.mark.parametrize("endpoint", [Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.RESPONSES])
@pytest.mark.parametrize(
    "wrong",
    [
        event({"error": {"message": "no"}}),
        event({"error": "no"}),
        event({"error": {}}),
        event({"message": "no"}, "error"),
        event([], "error"),
        event({"type": "error", "message": "no"}),
        event({"detail": "no"}),
        event({"object": "error", "message": "no", "code": 400}),
        event({"choices": [{"index": 0, "finish_reason": "error"}], "error": {"code": 502}}),
    ],
)
def test_an_error(endpoint, wrong):
    assert Watch(endpoint).see(wrong) is Verdict.UPSTREAM_ERROR


@pytest.mark.parametrize("data", [b"", b"{", b"null", b"3", b"[1]", b'"[DONE]"', b"DONE", b"<html>", b"\xff"])
@pytest.mark.parametrize("endpoint", [Endpoint.CHAT, Endpoint.RESPONSES])
def test_garbled(endpoint, data):
    assert Watch(endpoint).see(Event(b"data: " + data + b"\n\n", data)) is Verdict.GARBLED


@pytest.mark.parametrize(
    "fine",
    [
        Event(b": comment\n\n"),
        event({"choices": [], "prompt_filter_results": []}),
        event({"choices": [], "error": None}),
        event({"choices": [], "detail": "fine"}),
        event({"choices": None}),
        event({"choices": {}}),
        event({"choices": [None, 3, {}]}),
        event({"choices": [{"index": "0", "delta": None, "finish_reason": None}]}),
        event({}),
        event({"type": "ping"}, "ping"),
    ],
)
def test_odd_but_fine(fine):
    assert Watch(Endpoint.CHAT).see(fine) is GOES_ON


def test_a_choice_without_an_index_is_the_one_at_its_place():
    watch = Watch(Endpoint.CHAT)
    seen(
        watch,
        event({"choices": [{"delta": {"content": "a"}}]}),
        event({"choices": [{"finish_reason": "stop"}]}),
    )
    assert watch.at_end() is FINAL
    assert watch.finish_reasons == {0: "stop"}


def test_an_empty_model_name_is_no_name():
    watch = Watch(Endpoint.CHAT)
    seen(watch, event({"model": "", "choices": []}), event({"model": "gpt", "choices": []}))
    assert watch.model == "gpt"


def test_the_last_usage_told_counts():
    watch = Watch(Endpoint.CHAT)
    for count in (1, 2):
        watch.see(event({"choices": [], "usage": {"completion_tokens": count}}))
    watch.see(event({"choices": [], "usage": None}))
    assert watch.usage == Usage(0, 2)


def told(status: str, **fields: object) -> Event:
    response = {"model": "m", "status": status, "output": [], **fields}
    return event({"type": f"response.{status}", "response": response}, f"response.{status}")


@pytest.mark.parametrize(
    ("status", "complete", "truncated"),
    [("completed", True, False), ("incomplete", False, True), ("failed", False, False)],
)
def test_a_response_ends_with_its_last_event(status, complete, truncated):
    watch = Watch(Endpoint.RESPONSES)
    assert watch.see(told("in_progress")) is GOES_ON
    assert watch.at_end() is TRUNCATED
    assert watch.see(told(status, usage={"input_tokens": 3, "output_tokens": 2})) is FINAL
    assert watch.at_end() is FINAL
    assert watch.see(sse.done()) is FINAL
    assert (watch.usage, watch.model, watch.finish_reasons) == (Usage(3, 2), "m", {0: status})
    assert (watch.ending().complete, watch.ending().truncated) == (complete, truncated)


def test_an_item_told_only_by_its_own_event_counts():
    watch = Watch(Endpoint.RESPONSES)
    watch.see(event({"type": "response.output_item.done", "item": {"type": "function_call"}}))
    watch.see(event({"type": "response.completed", "response": {}}))
    assert watch.ending() == Ending(complete=True, tool_calls=True, empty=False)


@pytest.mark.parametrize(
    "response", [None, [], "x", {"output": None, "usage": 3, "model": 3, "status": None}]
)
def test_a_junk_response_object(response):
    watch = Watch(Endpoint.RESPONSES)
    assert watch.see(event({"type": "response.completed", "response": response})) is FINAL
    assert (watch.usage, watch.model) == (None, None)


@pytest.mark.parametrize(
    ("endpoint", "body", "choices"),
    [
        (Endpoint.CHAT, {}, 1),
        (Endpoint.CHAT, {"n": 3}, 3),
        (Endpoint.CHAT, {"n": None}, 1),
        (Endpoint.CHAT, {"n": "3"}, 1),
        (Endpoint.CHAT, {"n": 0}, 1),
        (Endpoint.CHAT, {"n": True}, 1),
        (Endpoint.CHAT, {"prompt": ["a", "b"]}, 1),
        (Endpoint.COMPLETIONS, {"prompt": "ab"}, 1),
        (Endpoint.COMPLETIONS, {"prompt": ["a", "b"], "n": 2}, 4),
        (Endpoint.COMPLETIONS, {"prompt": [1, 2, 3]}, 1),
        (Endpoint.COMPLETIONS, {"prompt": [[1, 2], [3]]}, 2),
        (Endpoint.COMPLETIONS, {"prompt": []}, 1),
    ],
)
def test_choices_asked(endpoint, body, choices):
    assert choices_asked(endpoint, body) == choices


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["stop", "", "response.completed", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "index",
                    "finish_reason",
                    "delta",
                    "content",
                    "usage",
                    "response",
                    "type",
                    "item",
                    "output",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.lists(junk, max_size=4), st.sampled_from(Endpoint))
def test_no_junk_breaks_it(payloads, endpoint):
    watch = Watch(endpoint)
    for payload in payloads:
        data = msgspec.json.encode(payload)
        assert watch.see(Event(b"data: %s\n\n" % data, data)) in Verdict
    assert watch.at_end() in (FINAL, TRUNCATED)
    assert isinstance(watch.ending(), Ending)
