"""Streams: the same answer as the whole one, in both APIs, at every split, and nothing held for nothing."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redaction_house import (
    arguments_of,
    arriving,
    call,
    chunk,
    hostile,
    joined,
    keyed,
    pieces,
    some_text,
    through,
    vault_of_all,
    whole,
)

from penstock.openai import sse
from penstock.openai.gather import gather
from penstock.openai.request import Endpoint
from penstock.openai.sse import Event, Parser
from penstock.openai.unfold import unfold
from penstock.redaction import StreamRestorer, Vault, restore_body
from penstock.redaction.lane import restored

FULL = vault_of_all().placeholder("EMAIL", "ann@example.org")
BARE = FULL[1:-1]


@st.composite
def interleaved(draw):
    """Two choices, each with content and two calls, and one order in which all their pieces arrive."""
    texts = {}
    for choice in (0, 1):
        texts[choice, "content"] = draw(hostile)
        for index in (0, 1):
            texts[choice, "tool_calls", index] = arguments_of(draw(hostile))
    queues = {}
    for key, text in texts.items():
        cuts = draw(st.lists(st.integers(0, len(text)), max_size=5).map(sorted))
        queues[key] = pieces(text, cuts)
    order = draw(st.permutations([key for key, parts in queues.items() for _ in parts]))
    return texts, [(key, queues[key].pop(0)) for key in order]


def event_of(key, piece) -> Event:
    return chunk({"content": piece} if key[1] == "content" else call(piece, key[2]), key[0])


@given(interleaved(), st.sampled_from(["with the reason", "mark only", "nothing"]))
@settings(max_examples=200)
def test_interleaved_chat_streams_equal_the_whole_answer(told, end):
    texts, order = told
    vault = vault_of_all()
    events = [event_of(*one) for one in order]
    if end == "with the reason":
        events += [chunk({}, 0, "stop"), chunk({}, 1, "tool_calls")]
    if end != "nothing":
        events.append(sse.done())
    out = through(StreamRestorer(Endpoint.CHAT, vault), events)
    answer = {"choices": [{"index": n, "message": message(texts, n)} for n in (0, 1)]}
    full = restore_body(Endpoint.CHAT, answer, vault)
    for key in texts:
        said = full["choices"][key[0]]["message"][key[1]]
        said = said if len(key) == 2 else said[key[2]]["function"]["arguments"]
        assert joined(out, *key) == whole(said)


def message(texts, choice):
    calls = [{"id": "x", "function": {"arguments": texts[choice, "tool_calls", index]}} for index in (0, 1)]
    return {"content": texts[choice, "content"], "tool_calls": calls}


def response(text: str, arguments: str) -> dict:
    said = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": text, "logprobs": []}]}
    thought = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": text}]}
    called = {"type": "function_call", "id": "f", "name": "look", "arguments": arguments}
    return {"id": "r", "object": "response", "status": "completed", "output": [thought, said, called]}


@given(hostile, hostile, st.integers(1, 9))
@settings(max_examples=150)
def test_a_responses_stream_equals_the_whole_answer(text, inner, size):
    vault = vault_of_all()
    answer = response(text, arguments_of(inner))
    events = [
        small
        for event in unfold(Endpoint.RESPONSES, answer, include_usage=False)
        for small in cut(event, size)
    ]
    out = through(StreamRestorer(Endpoint.RESPONSES, vault), events)
    full = restore_body(Endpoint.RESPONSES, answer, vault)
    assert gather(Endpoint.RESPONSES, out) == json_again(full)
    for kind, item, said in (
        ("response.output_text", 1, full["output"][1]["content"][0]["text"]),
        ("response.reasoning_summary_text", 0, full["output"][0]["summary"][0]["text"]),
        ("response.function_call_arguments", 2, full["output"][2]["arguments"]),
    ):
        deltas = [e.json["delta"] for e in out if e.json["type"] == f"{kind}.delta"]
        assert whole("".join(deltas)) == whole(said)
        (done,) = [e.json for e in out if e.json["type"] == f"{kind}.done"]
        assert whole(done["arguments" if item == 2 else "text"]) == whole(said)


def json_again(value):
    return json.loads(json.dumps(value))


def cut(event: Event, size: int) -> list[Event]:
    told = event.json
    if not told["type"].endswith(".delta"):
        return [arriving(told, event.name)]
    text = told["delta"]
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    return [arriving({**told, "delta": part}, event.name) for part in parts]


@given(hostile, st.lists(st.integers(0, 60), max_size=6))
def test_a_completion_stream_equals_the_whole_answer(text, cuts):
    vault = vault_of_all()
    parts = pieces(text, sorted(min(at, len(text)) for at in cuts))
    events = [arriving({"choices": [{"index": 0, "text": part, "finish_reason": None}]}) for part in parts]
    events.append(arriving({"choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}))
    out = through(StreamRestorer(Endpoint.COMPLETIONS, vault), [*events, sse.done()])
    full = restore_body(Endpoint.COMPLETIONS, {"choices": [{"text": text}]}, vault)
    assert joined(out, 0, "text") == whole(full["choices"][0]["text"])


@pytest.mark.parametrize("text", ["hello", "the mail", "a [b", "E = mc", "IBAN", "[foo", "é", "emaild"])
def test_what_can_be_no_placeholder_goes_out_as_it_came(text):
    event = chunk({"content": text})
    assert list(StreamRestorer(Endpoint.CHAT, vault_of_all()).event(event)) == [event]
    (same,) = StreamRestorer(Endpoint.CHAT, vault_of_all()).event(event)
    assert same is event


@pytest.mark.parametrize("held", ["[", "[E", "[EMAIL_", FULL[:-1], BARE, "email", "[*", "ssn "])
def test_a_beginning_waits_and_only_that(held):
    restorer = StreamRestorer(Endpoint.CHAT, vault_of_all())
    (first,) = restorer.event(chunk({"content": f"so {held}"}))
    assert first.json["choices"][0]["delta"]["content"] == "so "
    (second,) = restorer.event(chunk({"content": "!"}))
    rest = second.json["choices"][0]["delta"]["content"]
    assert rest == f"{held}!".replace(BARE, "ann@example.org")


def test_with_nothing_in_the_vault_nothing_is_even_read():
    event = Event(b"data: {no json\n\n", b"{no json")
    assert StreamRestorer(Endpoint.CHAT, Vault(keyed())).event(event) == (event,)


def test_what_is_held_comes_in_the_chunk_that_ends_the_choice_where_that_has_text():
    restorer = StreamRestorer(Endpoint.CHAT, vault_of_all())
    restorer.event(chunk({"content": "x [EM"}))
    (last,) = restorer.event(chunk({"content": "AI"}, finish="length"))
    assert last.json["choices"][0]["delta"]["content"] == "[EMAI"
    assert last.json["choices"][0]["finish_reason"] == "length"


def test_what_is_held_comes_before_the_chunk_that_ends_the_choice():
    restorer = StreamRestorer(Endpoint.CHAT, vault_of_all())
    restorer.event(chunk(call('{"q":"' + BARE, index=3), index=1))
    held, last = restorer.event(chunk({}, index=1, finish="tool_calls"))
    assert held.json["choices"] == [{"index": 1, "delta": call("ann@example.org", 3), "finish_reason": None}]
    assert held.json["id"] == "c"
    assert last.json["choices"][0]["finish_reason"] == "tool_calls"
    assert restorer.last() == ()


def test_another_choice_s_end_lets_nothing_out():
    restorer = StreamRestorer(Endpoint.CHAT, vault_of_all())
    restorer.event(chunk({"content": "["}, index=0))
    assert len(restorer.event(chunk({}, index=1, finish="stop"))) == 1
    assert len(restorer.event(sse.done())) == 2


def test_comments_and_the_usage_chunk_pass():
    restorer = StreamRestorer(Endpoint.CHAT, vault_of_all())
    for event in (Event(b": wait\n\n"), arriving({"choices": [], "usage": {"total_tokens": 1}})):
        assert restorer.event(event) == (event,)


def test_log_probabilities_go_where_the_text_is_not_the_model_s_any_more():
    tokens = {"content": [{"token": FULL, "logprob": -1.0, "bytes": None, "top_logprobs": []}]}
    restorer = StreamRestorer(Endpoint.CHAT, vault_of_all())
    (changed,) = restorer.event(chunk({"content": FULL}, logprobs=tokens))
    assert changed.json["choices"][0]["logprobs"] is None
    (same,) = restorer.event(chunk({"content": "x"}, logprobs=tokens))
    assert same.json["choices"][0]["logprobs"] == tokens


def test_an_event_keeps_its_other_lines_and_its_mark():
    raw = chunk({"content": FULL}).raw
    (event,) = Parser().feed(b"id: 7\n" + raw)
    event.final = True
    (out,) = StreamRestorer(Endpoint.CHAT, vault_of_all()).event(event)
    assert out.raw.startswith(b"id: 7\n")
    assert b"ann@example.org" in out.raw
    assert out.final


def test_half_a_character_in_each_of_two_events_survives():
    restorer = StreamRestorer(Endpoint.CHAT, vault_of_all())
    events = [
        chunk({"content": "\ud83d"}),
        chunk({"content": f"\ude42 {FULL} \ud83d"}),
        chunk({"content": "\ude42"}),
    ]
    assert joined(through(restorer, events), 0, "content") == "🙂 ann@example.org 🙂"


def test_a_made_event_has_the_number_of_the_one_it_precedes():
    restorer = StreamRestorer(Endpoint.RESPONSES, vault_of_all())
    at = {"item_id": "m", "output_index": 0, "content_index": 0}
    restorer.event(
        arriving({"type": "response.output_text.delta", **at, "delta": "[E", "sequence_number": 4})
    )
    done = {"type": "response.output_text.done", **at, "text": "[E", "sequence_number": 5}
    made, last = restorer.event(arriving(done))
    assert (made.name, made.json["delta"], made.json["sequence_number"]) == (
        "response.output_text.delta",
        "[E",
        5,
    )
    assert last.json == done


def test_json_answers_get_their_values_escaped():
    vault = vault_of_all()
    quoted = vault.placeholder("PERSON", 'O"Brien')
    restorer = StreamRestorer(Endpoint.CHAT, vault, json_text=True)
    out = through(restorer, [chunk({"content": f'{{"n":"{quoted}"}}'})])
    assert json.loads(joined(out, 0, "content")) == {"n": 'O"Brien'}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_hundred_thousand_parallel_streams():
    chance = random.Random(11)  # noqa: S311 - texts, not secrets
    vault = vault_of_all()
    for _ in range(100_000):
        texts = {(n, "content"): some_text(chance) for n in (0, 1)}
        texts[0, "tool_calls", 0] = arguments_of(some_text(chance))
        queues = {key: random_pieces(chance, text) for key, text in texts.items()}
        order = [key for key, parts in queues.items() for _ in parts]
        chance.shuffle(order)
        restorer = StreamRestorer(Endpoint.CHAT, vault)
        said = dict.fromkeys(texts, "")
        events = [made(key, queues[key].pop(0)) for key in order]
        for event in [out for one in [*events, sse.done()] for out in restorer.event(one)]:
            for choice in (event.json or {}).get("choices", ()):
                for call_told in choice["delta"].get("tool_calls", ()):
                    said[0, "tool_calls", 0] += call_told["function"]["arguments"]
                if "content" in choice["delta"]:
                    said[choice["index"], "content"] += choice["delta"]["content"]
        assert said == {key: restored(vault, text, escaped=len(key) == 3) for key, text in texts.items()}


def random_pieces(chance, text):
    return pieces(text, sorted(chance.randrange(len(text) + 1) for _ in range(chance.randrange(5))))


def made(key, piece) -> Event:
    """A chunk that was never written down, so that a hundred thousand streams take no hour."""
    delta = {"content": piece} if key[1] == "content" else call(piece)
    return Event(b"", b"{", _json={"choices": [{"index": key[0], "delta": delta}]})
