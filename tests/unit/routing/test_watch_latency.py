from contextlib import aclosing

import pytest

from penstock import testing
from penstock.errors import Refusal
from penstock.openai.sse import Event
from penstock.reply import Observer, Reply, Stream
from penstock.routing.watch_latency import WatchLatency
from penstock.upstream import failures

COMMENT = Event(b": processing\n\n")


class Told:
    """A ticket that writes down what it hears."""

    def __init__(self):
        self.heard = []

    def first_event(self):
        self.heard.append("first")

    def ended(self, ok):
        self.heard.append("whole" if ok else "failed")

    def dropped(self):
        self.heard.append("dropped")


class Refuses(Observer):
    """A stage of ours that ends the stream."""

    def event(self, event):
        raise Refusal(403, "not_for_you", "No.")


def watched(*batches):
    told, stream = Told(), Stream(testing.Events(batches))
    return told, Reply(200, stream=stream).observed_by(WatchLatency(told, stream))


async def read(reply, batches=100):
    seen = []
    async with aclosing(reply.stream.batches()) as arriving:
        async for batch in arriving:
            seen.extend(batch)
            batches -= 1
            if not batches:
                break
    return seen


async def test_the_first_event_and_the_end_are_told_once():
    one, two = testing.chunk({"content": "a"}), testing.chunk({}, "stop")
    told, reply = watched([one], [two, testing.sse.done()])
    seen = await read(reply)
    assert [event.raw for event in seen] == [one.raw, two.raw, b"data: [DONE]\n\n"]
    assert told.heard == ["first", "whole"]


async def test_a_comment_is_no_first_event_and_goes_on():
    told, reply = watched([COMMENT], [COMMENT])
    assert len(await read(reply)) == 2
    assert told.heard == ["dropped"]
    told, reply = watched([COMMENT], [testing.chunk({"content": "a"})])
    await read(reply, 1)
    assert "first" not in told.heard


@pytest.mark.parametrize("made", [failures.truncated, failures.garbled, lambda: failures.timed_out("total")])
async def test_an_upstream_that_breaks_off_failed(made):
    told, reply = watched([testing.chunk({"content": "a"})], made())
    await read(reply)
    assert told.heard == ["first", "failed"]


async def test_a_stream_that_breaks_before_its_first_event_failed():
    told, reply = watched(failures.timed_out("first_byte"))
    await read(reply)
    assert told.heard == ["failed"]


async def test_a_stage_of_ours_that_ends_a_stream_is_not_the_upstreams_fault():
    told, reply = watched([testing.chunk({"content": "a"})])
    reply.observed_by(Refuses())
    await read(reply)
    assert told.heard == ["first", "dropped"]


async def test_a_client_that_leaves_tells_nothing():
    told, reply = watched(*[[testing.chunk({"content": "a"})]] * 5)
    await read(reply, 2)
    assert told.heard == ["first", "dropped"]


async def test_a_stream_that_nobody_reads_is_dropped():
    told, reply = watched([testing.chunk({"content": "a"})])
    await reply.aclose()
    assert told.heard == ["dropped"]
