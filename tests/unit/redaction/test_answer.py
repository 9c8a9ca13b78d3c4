"""Reading answers: another's value is found however it is split, and the client's own is let through."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redaction_house import (
    call,
    chunk,
    find,
    hostile,
    joined,
    keyed,
    pieces,
    split,
    through,
    vault_of_all,
    whole,
)

from penstock.detect import DetectConfig, Engine
from penstock.openai import sse
from penstock.openai.gather import gather
from penstock.openai.request import Endpoint
from penstock.openai.unfold import unfold
from penstock.redaction import Action, AnswerRules, Blocked, StreamRestorer, Vault, restore_body
from penstock.redaction.lane import READ_CONTEXT, ReadingLane, read_and_restored

ENGINE = Engine(DetectConfig())
FOREIGN = ["bob@other.net", "123-45-6789", "5500 0000 0000 0004", "+1 404 555 9999"]
prose = st.lists(
    st.sampled_from(
        [*FOREIGN, "the", "card", "is", "Well,", "42", "x" * 30, "[EMAIL", "日本語", "\n", "ann@example.org"]
    )
    | st.sampled_from([vault_of_all().placeholder("EMAIL", "ann@example.org")]),
    max_size=25,
).map(" ".join)


def rules(action=Action.MASK, **more) -> AnswerRules:
    return AnswerRules(find, {"*": action}, **more)


def read(text: str, **more) -> str:
    return read_and_restored(vault_of_all(), rules(), text, "", escaped=False, call=False, **more)


def test_the_client_s_own_values_pass_and_others_do_not():
    own = vault_of_all().placeholder("EMAIL", "ann@example.org")
    assert read(f"{own} ann@example.org bob@other.net") == "ann@example.org ann@example.org ###@#####.###"


@given(split(prose))
@settings(max_examples=500)
def test_read_streams_equal_the_whole_text(parts):
    text, cut = parts
    vault = vault_of_all()
    lane = ReadingLane(vault, rules(), "", escaped=False)
    out = "".join([*map(lane.feed, cut), lane.flush()])
    assert out == read(text)
    for value in FOREIGN:
        assert value not in out


@given(split(hostile))
@settings(max_examples=300)
def test_hostile_ones_too_lose_nothing_of_the_placeholders(parts):
    text, cut = parts
    nothing = AnswerRules(lambda text, label="": [], {})
    lane = ReadingLane(vault_of_all(), nothing, "", escaped=False)
    out = "".join([*map(lane.feed, cut), lane.flush()])
    assert out == read_and_restored(vault_of_all(), nothing, text, "", escaped=False, call=False)


@pytest.mark.parametrize("value", FOREIGN)
def test_a_value_is_found_at_every_single_split(value):
    text = f"so the number is {value} and that is that"
    for at in range(len(text)):
        lane = ReadingLane(vault_of_all(), rules(), "", escaped=False)
        out = lane.feed(text[:at]) + lane.feed(text[at:]) + lane.flush()
        assert out == read(text)
    lane = ReadingLane(vault_of_all(), rules(), "", escaped=False)
    assert "".join([*map(lane.feed, text), lane.flush()]) == read(text)


def secrets_found(text: str, label: str = ""):
    return [found for found in ENGINE.find(text) if found.type == "SECRET"]


def test_a_private_key_is_one_value_however_its_lines_come():
    lines = "\n".join("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7" + "abc/+" * 2 for _ in range(25))
    text = (
        f"here it is:\n-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----\nkeep it safe"
    )
    for size in (1, 7, 64, 500):
        lane = ReadingLane(
            vault_of_all(), AnswerRules(secrets_found, {"*": Action.PLACEHOLDER}), "", escaped=False
        )
        out = "".join([*map(lane.feed, pieces(text, range(0, len(text), size))), lane.flush()])
        assert out == "here it is:\n[SECRET]\nkeep it safe"


def test_what_only_begins_like_a_private_key_goes_on():
    lane = ReadingLane(
        vault_of_all(), AnswerRules(secrets_found, {"*": Action.PLACEHOLDER}), "", escaped=False
    )
    assert lane.feed("-----BEGIN ") == ""
    assert lane.feed("CERTIFICATE-----\nMIIB with ") == "-----BEGIN CERTIFICATE-----\nMIIB with "


def test_plain_words_wait_only_for_their_end():
    lane = ReadingLane(vault_of_all(), rules(), "", escaped=False)
    assert lane.feed("The quick brown fo") == "The quick brown "
    assert lane.feed("x jumps") == "fox "


def test_of_many_words_little_waits():
    lane = ReadingLane(vault_of_all(), rules(span_chars=64), "", escaped=False)
    for piece in pieces(" 1 2 3" * 500, range(0, 3000, 7)):
        lane.feed(piece)
        assert len(lane._text) - lane._at + lane._later.size <= 64 + 2 * 7
        assert len(lane._text) <= READ_CONTEXT + 64 + 2 * 7


@pytest.mark.parametrize(
    "name", ["John Smith", "Łukasz Żak", "Иван Петров", "Ludwig van der Berg", "AB 12 CD"]
)
def test_a_name_is_found_at_every_single_split(name):
    def names(text, label=""):
        return [FoundName(m.start(), m.end()) for m in re.finditer(name, text)]

    text = f"it was certainly {name} there"
    for at in range(len(text)):
        lane = ReadingLane(vault_of_all(), AnswerRules(names, {}), "", escaped=False)
        assert lane.feed(text[:at]) + lane.feed(text[at:]) + lane.flush() == "it was certainly [PERSON] there"
    lane = ReadingLane(vault_of_all(), AnswerRules(names, {}), "", escaped=False)
    assert "".join([*map(lane.feed, text), lane.flush()]) == "it was certainly [PERSON] there"


class FoundName:
    type = "PERSON"

    def __init__(self, start, end):
        self.start, self.end = start, end


def test_calls_are_read_as_json_and_come_whole():
    text = json.dumps({"to": 'bob@other.net "x"', "n": 5500000000000004, "own": "ann@example.org"})
    restorer = StreamRestorer(Endpoint.CHAT, vault_of_all(), rules=rules(Action.PLACEHOLDER))
    events = [chunk(call(piece)) for piece in text] + [chunk({}, finish="tool_calls"), sse.done()]
    out = json.loads(joined(through(restorer, events), 0, "tool_calls", 0))
    assert out == {"to": '[EMAIL] "x"', "n": "[CARD]", "own": "ann@example.org"}


def test_a_stream_is_stopped_before_the_value():
    restorer = StreamRestorer(Endpoint.CHAT, Vault(keyed()), rules=rules(Action.BLOCK))
    assert joined(list(restorer.event(chunk({"content": "so bob@oth"}))), 0, "content") == "so "
    with pytest.raises(Blocked) as refused:
        restorer.event(chunk({"content": "er.net "}))
    assert "bob" not in refused.value.message


@given(prose)
@settings(max_examples=60)
def test_a_responses_stream_is_read_like_the_whole_answer_and_recorded_once(text):
    said = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": text}]}
    answer = {"object": "response", "status": "completed", "output": [said], "instructions": "bob@other.net"}
    once, again = rules(), rules()
    restorer = StreamRestorer(Endpoint.RESPONSES, vault_of_all(), rules=once)
    out = through(restorer, unfold(Endpoint.RESPONSES, answer, include_usage=False))
    full = restore_body(Endpoint.RESPONSES, answer, vault_of_all(), rules=again)
    assert gather(Endpoint.RESPONSES, out) == full
    assert full["instructions"] == "bob@other.net"
    deltas = [e.json["delta"] for e in out if e.json["type"] == "response.output_text.delta"]
    assert whole("".join(deltas)) == full["output"][0]["content"][0]["text"]
    assert {(r.type, r.mac) for r in once.redactions} == {(r.type, r.mac) for r in again.redactions}
    assert len(once.redactions) == len({r.mac for r in once.redactions})


def test_a_mask_in_a_json_text_keeps_it_json():
    text = json.dumps({"a": 'Ann\nLee and O"Brien'})
    masked = read_and_restored(Vault(keyed()), rules(), text, "", escaped=True, call=False)
    json.loads(masked)
