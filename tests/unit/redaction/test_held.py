"""Nothing goes out unread: a word or a key is held however long it is; what is too long ends the answer."""

# ruff: noqa: PT012, RUF001 (a stream is fed until it ends; other scripts are the point)

import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redaction_house import arriving, call, chunk, find, joined, keyed, pieces, through, vault_of_all

from penstock.detect import Engine
from penstock.errors import Refusal
from penstock.openai import sse
from penstock.openai.request import Endpoint
from penstock.openai.unfold import unfold
from penstock.redaction import Action, AnswerRules, StreamRestorer, Vault
from penstock.redaction.lane import CallLane, ReadingLane, read_and_restored

ENGINE = Engine()
FOREIGN = "bob@other.net"


class Found:
    type = "EMAIL"

    def __init__(self, start, end):
        self.start, self.end = start, end


def mails(text: str, label: str = "") -> list[Found]:
    """Find the one foreign address with all of its word, in linear time."""
    ends = [at.end() for at in re.finditer(r"@other\.net", text)]
    return [Found(max(text.rfind(space, 0, end) for space in ' "\n') + 1, end) for end in ends]


def rules(find=mails, **more) -> AnswerRules:
    return AnswerRules(find, {"*": Action.PLACEHOLDER}, **more)


def lane(**more) -> ReadingLane:
    return ReadingLane(vault_of_all(), rules(**more), "", escaped=False)


def fed(one: ReadingLane, parts) -> str:
    return "".join([*map(one.feed, parts), one.flush()])


@st.composite
def cut_up(draw, texts):
    text = draw(texts)
    cuts = draw(st.lists(st.integers(0, len(text)), max_size=30).map(sorted))
    return text, pieces(text, cuts)


# A word that is as long as one likes, with a value at its end, its beginning, or all of it
long_words = st.builds(
    lambda before, size, char, after: f"{before} {char * size}{FOREIGN}{after}",
    st.sampled_from(["", "so", "Write to", "42 and", "[EMAIL", "日本語"]),
    st.integers(4000, 9000),
    st.sampled_from("x-/7=."),
    st.sampled_from(["", " and so on", "\n", "?", ") is it"]),
)


@given(cut_up(long_words))
@settings(max_examples=60)
def test_a_word_of_any_length_is_read_whole_at_any_split(parts):
    text, cut = parts
    out = fed(lane(), cut)
    assert FOREIGN not in out
    assert "other.net" not in out
    assert out == read_and_restored(vault_of_all(), rules(), text, "", escaped=False, call=False)


@given(st.integers(1, 64), st.integers(0, 2**32))
@settings(max_examples=20)
def test_a_private_key_of_any_length_is_one_value_at_any_split(size, seed):
    chance = random.Random(seed)  # noqa: S311 - a text, not a secret
    body = "\n".join("".join(chance.choices("ABCdef012+/", k=64)) for _ in range(700))
    text = f"so:\n-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\nkeep it"
    assert len(text) > 40_000
    secrets = AnswerRules(ENGINE.find, {"*": Action.PLACEHOLDER})
    one = ReadingLane(vault_of_all(), secrets, "", escaped=False)
    out = fed(one, pieces(text, range(0, len(text), size * 37)))
    assert out.startswith("so:\n[SECRET]")
    assert all(line not in out for line in body.split("\n"))


def test_a_key_that_never_ends_is_never_let_out():
    secrets = AnswerRules(ENGINE.find, {"*": Action.PLACEHOLDER}, held_chars=100_000)
    one = ReadingLane(vault_of_all(), secrets, "", escaped=False)
    line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7abcabcabcabc\n"
    out = one.feed("here:\n-----BEGIN RSA PRIVATE KEY-----\n")
    with pytest.raises(Refusal) as refused:
        for _ in range(2000):
            out += one.feed(line)
    assert refused.value.code == "redaction_unavailable"
    assert "MII" not in out


def test_text_behind_a_key_that_was_cut_goes_on():
    secrets = AnswerRules(ENGINE.find, {"*": Action.PLACEHOLDER})
    one = ReadingLane(vault_of_all(), secrets, "", escaped=False)
    out = one.feed("-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQ\n" * 4)
    assert out == ""
    for _ in range(2000):
        out += one.feed("(and this is prose, with words in brackets!) ")
    assert out.startswith("[SECRET](and this is prose")


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_what_would_be_held_too_long_ends_the_text(size):
    one = lane(held_chars=5000)
    out = one.feed("a word ")
    with pytest.raises(Refusal) as refused:
        for _ in range(6000):
            out += one.feed("x" * size)
    assert (refused.value.status, refused.value.code) == (502, "redaction_unavailable")
    assert out == "a word "


def test_what_a_tool_is_called_with_has_the_same_bound():
    one = CallLane(vault_of_all(), rules(held_chars=50), "", escaped=True)
    with pytest.raises(Refusal, match="too long"):
        for _ in range(11):
            assert one.feed('{"a":') == ""


def test_a_long_word_is_not_read_again_for_each_of_its_pieces():
    read = []

    def counting(text, label=""):
        read.append(len(text))
        return []

    one = ReadingLane(Vault(keyed()), AnswerRules(counting, {}), "", escaped=False)
    for _ in range(100_000):
        one.feed("abcd")
    assert read == []
    assert len(one.flush()) == 400_000
    assert read == [400_000]


# Through streams of every kind


def chat(text):
    return [*(chunk({"content": part}) for part in text), sse.done()]


def called(text):
    return [*(chunk(call(part)) for part in text), sse.done()]


def completed(text):
    return [*(arriving({"choices": [{"index": 0, "text": part}]}) for part in text), sse.done()]


def responded(parts):
    answer = {"object": "response", "status": "completed", "output": [message("".join(parts))]}
    whole = unfold(Endpoint.RESPONSES, answer, include_usage=False)
    waiting = list(parts)
    for event in whole:
        told = event.json
        if told["type"] == "response.output_text.delta":
            yield from (arriving({**told, "delta": part}) for part in waiting)
            waiting.clear()
        else:
            yield event


def message(text):
    return {"type": "message", "id": "m", "content": [{"type": "output_text", "text": text}]}


STREAMS = [
    (Endpoint.CHAT, chat),
    (Endpoint.CHAT, called),
    (Endpoint.COMPLETIONS, completed),
    (Endpoint.RESPONSES, responded),
]


@pytest.mark.parametrize(("endpoint", "stream"), STREAMS)
@given(st.integers(0, 60), st.integers(50, 4000))
@settings(max_examples=8)
def test_no_stream_lets_the_tail_of_a_long_word_out(endpoint, stream, more, size):
    text = json.dumps({"to": "y" * (8000 + more) + FOREIGN})
    parts = pieces(text, range(size, len(text), size))
    out = through(StreamRestorer(endpoint, vault_of_all(), rules=rules()), list(stream(parts)))
    raw = b"".join(event.raw for event in out)
    assert b"other.net" not in raw
    assert b"[EMAIL]" in raw


@pytest.mark.parametrize(("endpoint", "stream"), STREAMS)
def test_every_stream_ends_where_too_much_would_be_held(endpoint, stream):
    restorer = StreamRestorer(endpoint, vault_of_all(), rules=rules(held_chars=1000))
    out = []
    with pytest.raises(Refusal) as refused:
        for event in stream(["z" * 600, "z" * 600, FOREIGN]):
            out += restorer.event(event)
    assert refused.value.code == "redaction_unavailable"
    assert b"zz" not in b"".join(event.raw for event in out)


def test_other_choices_of_the_same_stream_are_held_for_themselves():
    restorer = StreamRestorer(Endpoint.CHAT, vault_of_all(), rules=rules(held_chars=1000))
    for index in range(5):
        assert list(restorer.event(chunk({"content": "z" * 900}, index)))
    out = list(restorer.event(chunk({"content": " "}, 3)))
    assert joined(out, 3, "content") == "z" * 900 + " "


# Words of every script


@pytest.mark.parametrize(
    "mail", ["иван@пример.org", "ann\u200b@example.org", "ａｎｎ@example.org", "δ.α@example.org"]
)
def test_a_word_is_one_in_every_script_that_writes_spaces(mail):
    def whole(text, label=""):
        at = text.find(mail)
        return [Found(at, at + len(mail))] if at >= 0 else []

    one = ReadingLane(vault_of_all(), AnswerRules(whole, {}), "", escaped=False)
    assert fed(one, f"to {mail} now") == "to [EMAIL] now"


@pytest.mark.parametrize("text", ["今日は良い天気です", "สวัสดีครับ", "你好，世界"])
def test_a_script_without_spaces_does_not_wait_for_one(text):
    assert lane().feed(text) == text


# The end of one value is not the beginning of the next


@given(
    st.integers(1, 9),
    st.lists(st.sampled_from(["5500 0000 0000 0004", "4111 1111 1111 1112"]), min_size=2, max_size=9),
)
def test_cards_in_a_row_are_read_as_in_the_whole_text(size, cards):
    text = " ".join(["cards:", *cards, "and no more"])
    out = fed(lane(find=find), pieces(text, range(size, len(text), size)))
    assert out == "cards: " + "[CARD] " * len(cards) + "and no more"


def test_of_a_value_that_goes_on_longer_than_it_can_be_held_the_rest_is_taken_out():
    def sentence(text, label=""):
        begin = text.find("Bob")
        end = text.find(".", begin)
        return [Found(begin, len(text) if end < 0 else end)] if begin >= 0 and "secret" in text else []

    one = ReadingLane(vault_of_all(), AnswerRules(sentence, {}), "", escaped=False)
    out = (
        one.feed("Bob said that it was something ")
        + one.feed("secret he would not tell ")
        + one.flush(". Really.")
    )
    assert out == "Bob said that it was something [EMAIL]. Really."
