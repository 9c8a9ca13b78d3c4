"""Hiding the usage that only we asked for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.openai import sse
from penstock.openai.hide_usage import HideUsage, tells_only_usage
from penstock.openai.sse import Event, Parser


def event(text: str) -> Event:
    (parsed,) = Parser().feed(f"data: {text}\n\n".encode())
    return parsed


def hidden(given: Event) -> list[Event]:
    return list(HideUsage().event(given))


@pytest.mark.parametrize(
    ("came", "goes"),
    [
        ('{"id":"a","choices":[{"index":0}],"usage":null}', '{"id":"a","choices":[{"index":0}]}'),
        ('{"id": "a", "choices": [], "usage": null, "x": 1}', '{"id": "a", "choices": [], "x": 1}'),
        ('{"usage":null,"id":"a"}', '{"id":"a"}'),
        ('{ "usage" : null , "id": "a" }', '{"id": "a" }'),
        ('{"id":"a" , "usage" :null }', '{"id":"a"  }'),
    ],
)
def test_a_null_goes_and_nothing_else(came, goes):
    (shown,) = hidden(event(came))
    assert shown.raw == f"data: {goes}\n\n".encode()
    assert shown.data == goes.encode()
    assert shown.json == json.loads(goes) == Event(b"", shown.data).json


@pytest.mark.parametrize(
    "text",
    [
        '{"choices":[{"delta":{"content":",\\"usage\\":null"}}]}',
        '{"choices":[{"delta":{"content":"a,","usage":null}}]}',
        '{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":3}}',
        '{"choices":[{"delta":{"usage":1,"b":{"a":1,"usage":null}}}],"usage":null}',
        '{"usage":null}',
        '{"choices":[],"usage":{"a":1}}x',
        "[DONE]",
        '["usage"]',
        '"usage"',
    ],
)
def test_these_stay_as_they_are(text):
    came = event(text)
    assert hidden(came) == [came]
    assert hidden(came)[0] is came


def test_data_over_several_lines_stays():
    (came,) = Parser().feed(b'data: {"a":1,\ndata: "usage":null}\n\n')
    assert came.json == {"a": 1, "usage": None}
    assert hidden(came) == [came]


def test_comments_stay():
    comment = Event(b": usage\n\n")
    assert hidden(comment) == [comment]


def test_the_usage_chunk_goes():
    assert hidden(event('{"id":"a","choices":[],"usage":{"prompt_tokens":3}}')) == []


def test_name_and_final_mark_stay():
    (shown,) = hidden(sse.encode({"a": 1, "usage": None}, "x", final=True))
    assert (shown.name, shown.final, shown.raw) == ("x", True, b'event: x\ndata: {"a":1}\n\n')


@pytest.mark.parametrize(
    ("chunk", "only"),
    [
        ({"choices": [], "usage": {}}, True),
        ({"choices": [], "usage": None}, False),
        ({"choices": [{}], "usage": {}}, False),
        ({"usage": {}}, False),
        (None, False),
    ],
)
def test_what_the_usage_chunk_is(chunk, only):
    assert tells_only_usage(chunk) is only


value = st.none() | st.text(max_size=8) | st.sampled_from([',"usage":null', '"usage":null,', "{", ","])
chunks = st.dictionaries(st.text(max_size=4) | st.just("usage"), value, max_size=4)


@given(chunks, st.booleans(), st.sampled_from([(",", ":"), (", ", ": ")]))
def test_only_the_top_level_null_ever_goes(inner, ours, separators):
    chunk = {"id": "a", "choices": [inner], **({"usage": None} if ours else {})}
    (shown,) = hidden(event(json.dumps(chunk, ensure_ascii=False, separators=separators)))
    wanted = {name: value for name, value in chunk.items() if name != "usage"}
    assert Event(b"", shown.data).json == shown.json
    assert shown.json in (wanted, chunk)
    if "usage" not in inner:
        assert shown.json == wanted
