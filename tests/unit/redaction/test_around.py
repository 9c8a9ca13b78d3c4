"""What stands around an answer's texts is read as well: ids, names, keys, tokens, lines of events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redaction_house import call, chunk, find, joined, keyed, split, through, vault_of_all

from penstock.errors import Refusal
from penstock.openai import sse, wire_json
from penstock.openai.request import Endpoint
from penstock.openai.sse import Event, Parser
from penstock.redaction import AnswerRules, Blocked, StreamRestorer, Vault, restore_body
from penstock.redaction.actions import Action

MAIL = "bob@other.net"
OWN = "ann@example.org"
PLACEHOLDER = vault_of_all().placeholder("EMAIL", OWN)


def rules(action=Action.PLACEHOLDER) -> AnswerRules:
    return AnswerRules(find, {"*": action})


def reading(endpoint=Endpoint.CHAT) -> StreamRestorer:
    return StreamRestorer(endpoint, vault_of_all(), rules=rules())


def raw(events) -> bytes:
    return b"".join(event.raw for event in events)


def arrived(text: bytes) -> Event:
    (event,) = Parser().feed(text)
    return event


FIELDS = [
    "id",
    "model",
    "name",
    "finish_reason",
    "status",
    "data",
    "result",
    "system_fingerprint",
    "format",
    "odd",
]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("endpoint", [Endpoint.CHAT, Endpoint.RESPONSES, Endpoint.COMPLETIONS])
def test_every_field_of_a_whole_answer_is_read(endpoint, field):
    answer = {"object": "x", field: MAIL, "deep": [{field: MAIL, MAIL: {"a": MAIL}}]}
    out = restore_body(endpoint, answer, vault_of_all(), rules=rules())
    assert MAIL.encode() not in wire_json.encode(out)
    assert out["deep"][0]["[EMAIL]"] == {"a": "[EMAIL]"}


def test_the_client_s_own_values_and_the_api_s_words_stay():
    answer = {
        "id": "chatcmpl-0123abc",
        "object": "chat.completion",
        "data": "QUJDREVG" * 9,
        "name": OWN,
        OWN: 1,
    }
    assert restore_body(Endpoint.CHAT, answer, vault_of_all(), rules=rules()) is answer


def test_a_placeholder_in_an_id_stays_one():
    answer = {"id": PLACEHOLDER, "content": PLACEHOLDER}
    out = restore_body(Endpoint.CHAT, answer, vault_of_all(), rules=rules())
    assert out == {"id": PLACEHOLDER, "content": OWN}


def test_a_blocked_value_in_a_key_is_not_in_the_refusal_s_place():
    with pytest.raises(Blocked) as refused:
        restore_body(Endpoint.CHAT, {"a": {MAIL: {"b": MAIL}}}, Vault(keyed()), rules=rules(Action.BLOCK))
    assert MAIL not in refused.value.message
    assert refused.value.pointer == "/a"


@pytest.mark.parametrize("stream", [False, True])
def test_a_record_s_place_holds_no_key_that_is_a_value(stream):
    noting = rules()
    told = {MAIL: {"b": "123-45-6789 "}}
    if stream:
        through(StreamRestorer(Endpoint.CHAT, Vault(keyed()), rules=noting), [chunk(told), sse.done()])
    else:
        restore_body(Endpoint.CHAT, told, Vault(keyed()), rules=noting)
    assert {one.type for one in noting.redactions} == {"EMAIL", "US_SSN"}
    assert all(MAIL not in one.pointer for one in noting.redactions)


# Chunks


CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
CHOICE = {"index": 0, "delta": {"content": "so "}, "finish_reason": None}


@pytest.mark.parametrize(
    "told",
    [
        {**CHUNK, "id": MAIL, "choices": [CHOICE]},
        {**CHUNK, "citations": [f"mailto:{MAIL}"], "choices": [CHOICE]},
        {**CHUNK, MAIL: 1, "choices": [CHOICE]},
        {**CHUNK, "choices": [], "usage": {"note": MAIL}},
        {**CHUNK, "choices": MAIL},
        {**CHUNK, "choices": [MAIL]},
        {**CHUNK, "choices": [{**CHOICE, "index": MAIL}]},
        {**CHUNK, "choices": [{**CHOICE, "finish_reason": MAIL}]},
        {**CHUNK, "choices": [{**CHOICE, "stop_reason": MAIL}]},
        {**CHUNK, "choices": [{**CHOICE, "message": {"content": MAIL}}]},
        {**CHUNK, "choices": [{**CHOICE, "delta": {"role": MAIL}}]},
        {**CHUNK, "choices": [{**CHOICE, "delta": {"reasoning_content": MAIL}}]},
        {**CHUNK, "choices": [{**CHOICE, "delta": {"refusal": MAIL}}]},
        {**CHUNK, "choices": [{**CHOICE, "delta": {"annotations": [{"url_citation": {"title": MAIL}}]}}]},
        {**CHUNK, "choices": [{**CHOICE, "delta": {MAIL: "x"}}]},
        {
            **CHUNK,
            "choices": [{**CHOICE, "delta": {"tool_calls": [{"index": 0, "function": {"name": MAIL}}]}}],
        },
        {**CHUNK, "choices": [{**CHOICE, "logprobs": {"content": [{"token": MAIL}]}}]},
        {**CHUNK, "choices": [{**CHOICE, "logprobs": {"tokens": ["bob@", "other.net"]}}]},
    ],
)
def test_every_field_of_a_chunk_is_read(told):
    out = through(reading(), [sse.encode(told), sse.done()])
    assert b"other.net" not in raw(out)


def test_a_chunk_without_a_value_goes_on_as_it_came():
    event = chunk({"role": "assistant", "content": "so "})
    assert list(reading().event(event)) == [event]


def test_what_comes_whole_is_not_cut_in_two():
    note = {"type": "url_citation", "url_citation": {"url": "https://example.org/a", "title": "Of words"}}
    event = chunk({"annotations": [note]})
    assert raw(through(reading(), [event, sse.done()])) == event.raw + sse.done().raw


def test_a_picture_goes_on_as_it_came():
    url = "data:image/png;base64," + "iVBORw0KGgo" * 500
    event = chunk({"images": [{"type": "image_url", "image_url": {"url": url}}]})
    assert list(reading().event(event)) == [event]


def tokens(*texts, other="x"):
    return {"content": [{"token": t, "logprob": -1.0, "top_logprobs": [{"token": other}]} for t in texts]}


@pytest.mark.parametrize(
    ("logprobs", "stay"),
    [
        (tokens("so", " "), True),
        (tokens("so"), False),
        (tokens("bob@", "other.net"), False),
        (tokens("so", " ", other=MAIL), False),
        ({"tokens": ["so", " "], "top_logprobs": [{"so": -1.0}]}, True),
        ({"tokens": ["so", " "], "top_logprobs": [{MAIL: -1.0}]}, False),
    ],
)
def test_tokens_spell_the_text_or_go(logprobs, stay):
    (out,) = reading().event(chunk({"content": "so "}, logprobs=logprobs))
    assert out.json["choices"][0]["logprobs"] == (logprobs if stay else None)
    assert out.json["choices"][0]["delta"] == {"content": "so "}


def test_tokens_of_a_whole_answer_spell_no_value():
    choice = {"message": {"content": "so "}, "logprobs": tokens("bob@", "other.net")}
    out = restore_body(Endpoint.CHAT, {"choices": [choice]}, vault_of_all(), rules=rules())
    assert out == {"choices": [{"message": {"content": "so "}, "logprobs": None}]}


# Events of responses


@pytest.mark.parametrize(
    "told",
    [
        {"no": "type", "text": MAIL},
        {"type": "response.odd", "text": MAIL},
        {"type": "response.output_text.delta", "item_id": MAIL, "output_index": 0, "delta": "so "},
        {"type": "response.output_text.delta", "item_id": "m", "delta": "so ", "odd": [MAIL]},
        {"type": "response.output_text.delta", "item_id": MAIL, "delta": "held"},
        {"type": "response.output_text.delta", "item_id": "m", "delta": "so ", "logprobs": [{"token": MAIL}]},
        {"type": "response.output_text.annotation.added", "annotation": {"title": MAIL}},
        {"type": "response.completed", "response": {"object": "response", "error": {"message": MAIL}}},
    ],
)
def test_every_field_of_a_responses_event_is_read(told):
    out = through(reading(Endpoint.RESPONSES), [sse.encode(told, str(told.get("type", "")))])
    assert b"other.net" not in raw(out)
    assert out[0].json


# Lines of events


@pytest.mark.parametrize(
    "lines",
    [
        b": bob@other.net\n\n",
        b"id: bob@other.net\n" + chunk({"content": "so "}).raw,
        b": bob@other.net\n" + chunk({"content": "so "}).raw,
        b"event: bob@other.net\n" + chunk({"content": "so "}).raw,
        b"event: bob@other.net\nid: 7\ndata: {\ndata: }\n\n",
        b"data: [DONE] bob@other.net\n\n",
        b"id: bob@other.net\ndata: [DONE]\n\n",
    ],
)
def test_every_line_of_an_event_is_read(lines):
    event = arrived(lines)
    event.final = True
    out = list(reading().event(event))
    assert b"other.net" not in raw(out)
    assert [one.json for one in Parser().feed(raw(out))] == [event.json]
    assert out[-1].final or event.data is None


@pytest.mark.parametrize("lines", [b": wait\n\n", b"data: [DONE]\n\n", b"id: 7\nevent: ping\ndata: {}\n\n"])
def test_lines_without_a_value_stay(lines):
    assert raw(reading().event(arrived(lines))) == lines


@pytest.mark.parametrize("data", [b"{no json", b'"bob@other.net"', b'["bob@other.net"]', b"7"])
def test_an_event_that_can_t_be_read_ends_the_stream(data):
    with pytest.raises(Refusal) as refused:
        reading().event(Event(b"data: %s\n\n" % data, data))
    assert refused.value.code == "redaction_unavailable"
    unread = StreamRestorer(Endpoint.CHAT, vault_of_all())
    assert raw(unread.event(Event(b"data: %s\n\n" % data, data))) == b"data: %s\n\n" % data


def test_an_upstream_s_error_is_read_and_restored():
    told = {"error": {"message": f"no {MAIL} but {PLACEHOLDER} here", "type": "x"}}
    out = reading().refused(sse.encode(told))
    assert out.json["error"]["message"] == f"no [EMAIL] but {OWN} here"
    plain = sse.encode({"error": {"message": "no"}})
    assert reading().refused(plain) is plain


# All at once


@given(split(), st.sampled_from(["content", "reasoning_content", "refusal", "odd"]))
def test_no_value_of_another_comes_through_any_field(parts, field):
    _, cut = parts
    out = through(reading(), [*(chunk({field: f"{piece} {MAIL} "}) for piece in cut), sse.done()])
    assert MAIL not in joined(out, 0, field)


@given(
    st.recursive(
        st.sampled_from([MAIL, "x", OWN, PLACEHOLDER, 7, None]),
        lambda inside: (
            st.lists(inside, max_size=3)
            | st.dictionaries(
                st.sampled_from([MAIL, "name", "content", "odd", "arguments"]), inside, max_size=3
            )
        ),
        max_leaves=12,
    )
)
def test_no_json_of_any_shape_holds_another_s_value(told):
    answer = {"choices": [{"message": told}], "more": told}
    out = restore_body(Endpoint.CHAT, answer, vault_of_all(), rules=rules())
    assert MAIL.encode() not in wire_json.encode(out)
    events = [
        sse.encode({"choices": [{"index": 0, "delta": told}], "more": told}),
        chunk(call("{}")),
        sse.done(),
    ]
    assert MAIL.encode() not in raw(through(reading(), events))
