import pytest

from penstock.openai.sse import DONE, Event, Parser
from penstock.sample.answers import DIALECTS
from penstock.sample.faults import bends

BODIES = {
    "/chat/completions": {"model": "m", "messages": [{"role": "user", "content": "hi there"}]},
    "/responses": {"model": "m", "input": "hi there"},
    "/completions": {"model": "m", "prompt": "hi there"},
}


def events(path: str = "/chat/completions", **fields) -> list[Event]:
    make = DIALECTS[path].events
    assert make is not None
    return make({**BODIES[path], "stream": True, **fields}, 1, 1)


def read(blocks: list[bytes]) -> list[Event]:
    parser = Parser()
    return [event for block in blocks for event in parser.feed(block)] + parser.end()


def data(blocks: list[bytes]) -> list[bytes | None]:
    return [event.data for event in read(blocks)]


GOOD = [event.data for event in events()]


def test_no_done_leaves_the_finish_reason():
    blocks = bends.without_done(events())
    assert data(blocks) == GOOD[:-1]
    assert bends.finishes(read(blocks)[-1])


@pytest.mark.parametrize("path", BODIES)
def test_no_finish_leaves_all_else(path: str):
    good = events(path)
    left = read(bends.without_finish(good))
    assert len(left) == len(good) - 1
    assert not any(map(bends.finishes, left))
    assert (left[-1].data == DONE) is (path != "/responses")


@pytest.mark.parametrize("after", [0, 1, 3, 99])
def test_the_first_events_are_kept(after: int):
    assert data(bends.first(events(), after)) == GOOD[:after]


@pytest.mark.parametrize(
    ("bend", "name", "key"),
    [
        (bends.error_after, "", "error"),
        (bends.error_event_after, "error", "error"),
        (bends.detail_after, "", "detail"),
    ],
)
@pytest.mark.parametrize("after", [0, 2])
def test_an_error_takes_the_place_of_the_rest(bend, name: str, key: str, after: int):
    told = read(bend(events(), after))
    assert [event.data for event in told[:-1]] == GOOD[:after]
    assert told[-1].name == name
    assert key in told[-1].json


def test_a_malformed_event_stands_between_good_ones():
    told = read(bends.malformed_after(events(), 2))
    assert [event.data for event in told[:2] + told[3:]] == GOOD
    assert told[2].json is None
    assert told[2].data is not None
    assert told[2].data.startswith(b"{")


def test_garbage_is_no_event_and_no_utf8():
    blocks = bends.garbage_after(events(), 2)
    assert blocks[2] == bends.GARBAGE
    assert [told for told in data(blocks) if told in GOOD] == GOOD
    assert len(data(blocks)) > len(GOOD)  # and something that no reader takes for JSON
    with pytest.raises(UnicodeDecodeError):
        blocks[2].decode()


def test_comments_stand_before_every_event():
    told = read(bends.comments(events()))
    assert [event.data for event in told[1::2]] == GOOD
    assert {event.raw for event in told[::2]} == {b": ping\n\n"}


def test_bare_fields_of_every_kind_stand_between_events():
    blocks = bends.bare_fields(events())
    assert set(blocks[::2]) == set(bends.BARE)
    assert data(blocks) == GOOD


@pytest.mark.parametrize(
    ("bend", "end", "never"), [(bends.crlf, b"\r\n\r\n", None), (bends.cr, b"\r\r", b"\n")]
)
def test_other_line_ends_change_nothing_else(bend, end: bytes, never: bytes | None):
    blocks = bend(events("/responses"))
    assert all(block.endswith(end) for block in blocks)
    assert never is None or not any(never in block for block in blocks)
    assert data(blocks) == [event.data for event in events("/responses")]


@pytest.mark.parametrize("path", BODIES)
def test_single_bytes_cut_characters_apart(path: str):
    blocks = bends.single_bytes(events(path))
    assert {len(block) for block in blocks} == {1}
    assert bends.MULTI_BYTE.encode() in b"".join(blocks)
    assert len(read(blocks)) == len(events(path))
    assert all(event.json for event in read(blocks) if event.data != DONE)


def test_a_response_bent_to_other_words_still_agrees_with_itself():
    told = [event.json for event in read(bends.single_bytes(events("/responses")))]
    deltas = "".join(event["delta"] for event in told if event["type"].endswith("text.delta"))
    assert deltas == told[-1]["response"]["output"][0]["content"][0]["text"]
    assert deltas == f"{bends.MULTI_BYTE} said: hi there"


def test_a_huge_event_is_one_event_of_that_size():
    sizes = [len(block) for block in bends.huge_event(events(), 2)]
    assert max(sizes) > 2 * 1_048_576
    assert sum(size > 10_000 for size in sizes) == 1


def test_usage_rides_on_the_finish_chunk():
    good = events(stream_options={"include_usage": True})
    told = read(bends.usage_on_finish(good))
    assert len(told) == len(good) - 1
    (last,) = [event for event in told if event.data != DONE and event.json.get("usage")]
    assert last.json["choices"][0]["finish_reason"] == "stop"
    assert last.json["usage"] == good[-2].json["usage"]


def test_usage_that_was_not_asked_for_can_not_be_moved():
    assert data(bends.usage_on_finish(events())) == GOOD


def test_the_content_of_a_stream_is_one_of_its_words():
    (word,) = read([bends.content_of(events())])
    assert word.json["choices"][0]["delta"]["content"]
