"""What a request asks of a model, whatever a client may send."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from penstock import testing
from penstock.routing.asked import needs_of, text_of, thread_of, tokens_of

CHAT, RESPONSES, TEXT = "/v1/chat/completions", "/v1/responses", "/v1/completions"
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}
ANY_JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def asked(path: str = CHAT, headers: Any = None, **body: Any) -> Any:
    return testing.exchange(path, body=body, headers=headers).request


def user(content: Any) -> Any:
    return {"role": "user", "content": content}


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (asked(messages=[user("first"), {"role": "assistant", "content": "no"}, user("last")]), "last"),
        (asked(messages=[user("asked"), {"role": "tool", "content": "a result"}]), "asked"),
        (asked(messages=[user([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])]), "a\nb"),
        (asked(messages=[{"role": "system", "content": "only a system"}]), ""),
        (asked(RESPONSES, input="plain"), "plain"),
        (asked(RESPONSES, input=[user([{"type": "input_text", "text": "parts"}])]), "parts"),
        (asked(TEXT, prompt="once upon"), "once upon"),
        (asked(TEXT, prompt=["one", "two"]), "one\ntwo"),
        (asked(), ""),
    ],
)
def test_the_text_is_what_was_asked_last(request_, text):
    assert text_of(request_) == text


@pytest.mark.parametrize(
    ("request_", "needs"),
    [
        (asked(messages=[user("hi")]), set()),
        (asked(messages=[], tools=[{"type": "function"}]), {"tools"}),
        (asked(messages=[], tools=[]), set()),
        (asked(messages=[], functions=[{"name": "f"}]), {"tools"}),
        (asked(messages=[], response_format=SCHEMA), {"json_schema"}),
        (asked(messages=[], response_format={"type": "json_object"}), set()),
        (asked(RESPONSES, input="x", text={"format": {"type": "json_schema"}}), {"json_schema"}),
        (asked(messages=[user([{"type": "image_url", "image_url": {"url": "data:"}}])]), {"vision"}),
        (asked(RESPONSES, input=[user([{"type": "input_image", "image_url": "data:"}])]), {"vision"}),
        (asked(messages=[user('what is "image_url" for?')]), set()),
    ],
)
def test_what_a_model_must_be_able_to_do(request_, needs):
    assert needs_of(request_) == needs


def test_tokens_follow_the_bytes():
    short, long = asked(messages=[user("x" * 400)]), asked(messages=[user("x" * 4000)])
    assert 100 < tokens_of(short) < 150
    assert tokens_of(long) - tokens_of(short) == 900


def test_a_thread_is_named_by_the_client_or_by_how_it_began():
    system, first = {"role": "system", "content": "be brief"}, user("one")
    began = asked(messages=[system, first])
    later = asked(messages=[system, first, {"role": "assistant", "content": "1"}, user("two")])
    other = asked(messages=[system, user("uno")])
    assert thread_of(began) == thread_of(later) is not None
    assert thread_of(other) != thread_of(began)
    assert thread_of(asked(messages=[first])) is None
    named = asked(headers={"X-DAC-Thread": "t1"}, messages=[first])
    assert thread_of(named) == "t1"
    assert thread_of(asked(RESPONSES, input="one text")) is None


@given(
    body=some.dictionaries(
        some.sampled_from(["messages", "input", "prompt", "text", "response_format", "tools"]), ANY_JSON
    )
)
@pytest.mark.parametrize("path", [CHAT, RESPONSES, TEXT])
def test_nothing_that_a_client_sends_breaks_it(path, body):
    request = asked(path, **body)
    assert isinstance(text_of(request), str)
    assert needs_of(request) <= {"tools", "vision", "json_schema"}
    assert thread_of(request) is None or thread_of(request)
    assert tokens_of(request) >= 0
