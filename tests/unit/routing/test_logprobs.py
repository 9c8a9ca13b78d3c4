"""Log-probabilities: asked for where the client leaves it to us, and gone from what it gets."""

import pytest

from penstock import testing
from penstock.openai import sse, wire_json
from penstock.openai.request import Endpoint
from penstock.openai.sse import Event, Parser
from penstock.reply import Reply, Stream
from penstock.routing.logprobs import Refusers, Without, asking, refused, without
from penstock.sample.answers import chat, completions, responses, responses_stream

CHAT, RESPONSES, TEXT = "/v1/chat/completions", "/v1/responses", "/v1/completions"
INCLUDED = "message.output_text.logprobs"
SAID = "tell me: ünïcode \"quotes\" and 'more'"
BODIES = {
    CHAT: {"model": "m", "messages": [{"role": "user", "content": SAID}], "n": 2},
    RESPONSES: {"model": "m", "input": SAID},
    TEXT: {"model": "m", "prompt": [SAID, "another"]},
}
SAMPLES = {
    CHAT: (chat.answer, chat.events),
    RESPONSES: (responses.answer, responses_stream.events),
    TEXT: (completions.answer, completions.events),
}
ALL = pytest.mark.parametrize("path", BODIES)


def request(path, **body):
    return testing.exchange(path, body={**BODIES[path], **body}).request


@pytest.mark.parametrize(
    ("path", "told", "fields"),
    [
        (CHAT, {}, {"logprobs": True, "top_logprobs": 2}),
        (CHAT, {"logprobs": False}, {"logprobs": True, "top_logprobs": 2}),
        (CHAT, {"logprobs": None, "top_logprobs": None}, {"logprobs": True, "top_logprobs": 2}),
        (TEXT, {}, {"logprobs": 2}),
        (RESPONSES, {}, {"include": [INCLUDED], "top_logprobs": 2}),
        (RESPONSES, {"include": None}, {"include": [INCLUDED], "top_logprobs": 2}),
        (RESPONSES, {"include": ["x"]}, {"include": ["x", INCLUDED], "top_logprobs": 2}),
    ],
)
def test_they_are_asked_for(path, told, fields):
    its = request(path, **told)
    before = dict(its.body)
    assert asking(its).body == {**before, **fields}
    assert its.body == before


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (CHAT, {"logprobs": True}),
        (CHAT, {"top_logprobs": 3}),
        (CHAT, {"logprobs": "yes"}),
        (TEXT, {"logprobs": 0}),
        (TEXT, {"logprobs": 5}),
        (RESPONSES, {"include": [INCLUDED]}),
        (RESPONSES, {"top_logprobs": 0}),
        (RESPONSES, {"include": "all"}),
    ],
)
def test_a_client_that_says_what_it_wants_is_not_overruled(path, told):
    assert asking(request(path, **told)) is None


@ALL
def test_a_plain_answer_is_what_it_would_have_been(path):
    answer, _ = SAMPLES[path]
    its = request(path)
    given, plain = (wire_json.encode(answer(each.body, 7, 0)) for each in (asking(its), its))
    assert b'"logprob"' in given or b'"token_logprobs"' in given
    assert without(its.endpoint, given) == plain
    assert without(its.endpoint, plain) == plain


@ALL
async def test_so_is_a_stream(path):
    _, events = SAMPLES[path]
    its = request(path, stream=True)
    given, plain = (events(each.body, 7, 0) for each in (asking(its), its))
    assert len(given) == len(plain)
    stream = Reply(200, stream=Stream(testing.Events([given[:3], given[3:]])))
    body = await testing.read(stream.observed_by(Without(its.endpoint)))
    assert body == b"".join(event.raw for event in plain)


@ALL
def test_names_and_ends_of_events_stay(path):
    _, events = SAMPLES[path]
    its = request(path, stream=True)
    clean = Without(its.endpoint)
    given, plain = (events(each.body, 7, 0) for each in (asking(its), its))
    told = [out for event in given for out in clean.event(event)]
    assert [(event.name, event.final, event.data, event.json) for event in told] == [
        (event.name, event.final, event.data, event.json) for event in plain
    ]


SPREAD = b'event: x\r\ndata: {"choices":\r\ndata: [{"logprobs": {"content": [1]}}]}\r\n\r\n'


def test_an_event_of_several_lines_is_written_anew():
    (event,) = Parser().feed(SPREAD)
    (clean,) = Without(Endpoint.CHAT).event(event)
    assert clean.raw == b'event: x\ndata: {"choices":\ndata: [{"logprobs": null}]}\n\n'
    assert Parser().feed(clean.raw)[0].data == clean.data


@pytest.mark.parametrize(
    "event",
    [
        sse.done(),
        Event(b": logprobs\n\n"),
        Event(b"logprobs\n\n", b"logprobs"),
        sse.encode({"choices": [{"delta": {"content": "what are logprobs?"}, "logprobs": None}]}),
        sse.encode({"logprobs": [1], "choices": []}),
    ],
)
def test_other_events_stay_the_same_object(event):
    assert Without(Endpoint.CHAT).event(event) == (event,)
    assert Without(Endpoint.CHAT).event(event)[0] is event


@pytest.mark.parametrize(
    ("status", "body", "is_it"),
    [
        (400, b"'logprobs' is not supported with this model", True),
        (403, b"You are not allowed to request logprobs from this model", True),
        (422, b'{"detail": [{"loc": ["body", "top_logprobs"]}]}', True),
        (400, b"Invalid value: 'message.output_text.logprobs'", True),
        (400, b"bad", False),
        (500, b"logprobs", False),
        (200, b'{"logprobs": null}', False),
    ],
)
def test_a_refusal_names_them(status, body, is_it):
    assert refused(Reply(status, body=body)) is is_it


def test_who_refused_is_known_for_some_minutes():
    refusers = Refusers()
    assert not refusers.know("m", 0.0)
    refusers.add("m", 10.0)
    assert refusers.know("m", 10.0)
    assert refusers.know("m", 309.9)
    assert not refusers.know("m", 310.0)
    assert not refusers.know("other", 10.0)
    refusers.add("m", 400.0)
    assert refusers.know("m", 401.0)
