"""Server-sent events: whatever the cuts, the same events and the same bytes."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.errors import Refusal
from penstock.openai import sse
from penstock.openai.sse import Event, Parser, TooLarge


def parse(*chunks: bytes) -> list[Event]:
    parser = Parser()
    return [event for chunk in chunks for event in parser.feed(chunk)] + parser.end()


def told(events: list[Event]) -> list[tuple[str, bytes]]:
    return [(event.name, event.data) for event in events if event.data is not None]


def cut(raw: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(raw) + 1) for place in places), len(raw)]
    return [raw[start:end] for start, end in pairwise(edges)]


value = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12)
line = st.one_of(
    value.map(lambda text: f"data: {text}"),
    value.map(lambda text: f"data:{text}"),
    value.map(lambda text: f"event: {text}"),
    value.map(lambda text: f": {text}"),
    st.sampled_from(["data", "id: 7", "retry: 10", "data: [DONE]", 'data: {"a":"é😀"}']),
)
block = st.lists(line, min_size=1, max_size=4)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    blocks = draw(st.lists(block, max_size=5))
    return "".join(end.join(lines) + end + end for lines in blocks).encode()


@given(streams(), st.lists(st.integers(0, 500), max_size=8))
@example(b"data: a\r\n\r\ndata: [DONE]\r\n\r\n", [10])
@example(b"data: a\r\n\r\n", [9])
def test_cuts_change_nothing(raw, places):
    assert told(parse(*cut(raw, places))) == told(parse(raw))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_single_cut_gives_the_same_events(end):
    raw = end.join(
        [b": hello", b"", b"event: x", b"data: {", b'data: "a":"\xc3\xa9"}', b"", b"data: [DONE]", b"", b""]
    )
    expected = [("x", b'{\n"a":"\xc3\xa9"}'), ("", b"[DONE]")]
    for place in range(len(raw) + 1):
        assert told(parse(raw[:place], raw[place:])) == expected, place
    assert told(parse(*(bytes([byte]) for byte in raw))) == expected


@given(streams(), st.lists(st.integers(0, 500), max_size=8))
def test_the_bytes_of_what_passes_are_kept(raw, places):
    passed = b"".join(event.raw for event in parse(*cut(raw, places)))
    kept = [part for part in passed.replace(b"\r", b"\n").split(b"\n") if part]
    came = [part for part in raw.replace(b"\r", b"\n").split(b"\n") if part]
    if all(part.startswith((b"data", b":")) for part in came):
        assert kept == came
    else:  # a block without data is dropped, and nothing else
        assert [part for part in kept if part.startswith(b"data")] == [
            part for part in came if part.startswith(b"data")
        ]


def test_the_bytes_are_kept_exactly_where_lines_end_in_lf():
    raw = b": hi\n\ndata: 1\n\nevent: e\ndata: 2\n\ndata: [DONE]\n\n"
    for place in range(len(raw) + 1):
        assert b"".join(event.raw for event in parse(raw[:place], raw[place:])) == raw, place


@pytest.mark.parametrize(
    ("raw", "events"),
    [
        (b"data: a\ndata: b\n\n", [("", b"a\nb")]),
        (b"data:  two spaces\n\n", [("", b" two spaces")]),
        (b"data\n\n", [("", b"")]),
        (b"data:\n\n", [("", b"")]),
        (b"datax: 1\n\n", []),
        (b"id: 1\n\nretry: 2\n\nevent: ping\n\ndata: 1\n\n", [("", b"1")]),
        (b"\xef\xbb\xbfdata: 1\n\n", [("", b"1")]),
        (b"data: unfinished", [("", b"unfinished")]),
        (b"data: a: b\n\n", [("", b"a: b")]),
        (b"data: 1\n\n\n\n\ndata: 2\n\n", [("", b"1"), ("", b"2")]),
        (b"data: 1\rdata: 2\n\n", [("", b"1\n2")]),
        (b"data: 1\r\n\ndata: 2\n\r\n", [("", b"1"), ("", b"2")]),
    ],
)
def test_what_the_standard_says(raw, events):
    assert told(parse(raw)) == events
    assert told(parse(*(bytes([byte]) for byte in raw))) == events


def test_a_comment_passes_as_it_came():
    (event,) = parse(b": keep-alive\n\n")
    assert (event.raw, event.data, event.json) == (b": keep-alive\n\n", None, None)


def test_a_block_past_the_limit_is_refused():
    parser = Parser(limit_bytes=10)
    assert parser.feed(b"data: 123\n\ndata: 1") != []
    with pytest.raises(TooLarge):
        parser.feed(b"2345678")


def test_many_small_events_in_one_chunk_may_pass_the_limit():
    assert len(Parser(limit_bytes=10).feed(b"data: 1\n\n" * 50)) == 50


@pytest.mark.parametrize("data", [b"{", b"", b"\xff", b'{"a":NaN}', b"[" * 100_000, b"null"])
def test_what_is_no_json_reads_as_none(data):
    assert Event(b"", data).json is None


def test_an_encoded_event_reads_back():
    event = sse.encode({"text": "a\nb\r"}, "thing", final=True)
    (read,) = parse(event.raw)
    assert (read.name, read.data, read.json) == ("thing", event.data, {"text": "a\nb\r"})
    assert event.final
    assert not read.final


def test_the_end_mark_and_the_error_read_back():
    done, error = parse(sse.done().raw + sse.error(Refusal(429, "slow_down", "Wait.")).raw)
    assert done.data == sse.DONE
    assert error.json["error"]["code"] == "slow_down"
