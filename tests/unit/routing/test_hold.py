"""A held stream: any batches, any time bound, and the client gets what the upstream sent, byte for byte."""

import asyncio
from contextlib import aclosing, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from routing_house import Paced, raw, refuse, settle, stream_of, tasks

from penstock import testing
from penstock.openai import sse
from penstock.openai.sse import Event
from penstock.reply import Observer, Outcome, Reply, Stream
from penstock.routing.hold import HeldStream

EVENT = some.sampled_from(
    [b": ping\n\n", b'data: {"a": 1}\n\n', b"data: x\r\n\r\n", b"id: 7\n\n", "data: ä\n\n".encode()]
)
BATCHES = some.lists(some.lists(EVENT.map(Event), max_size=3), max_size=12)


class Ends(Observer):
    def __init__(self):
        self.outcomes = []

    async def ended(self, outcome):
        self.outcomes.append(outcome)


def reply_of(source, *observers):
    reply = Reply(200, stream=Stream(source))
    reply.headers["x-request-id"] = "r1"
    for observer in observers:
        reply.observed_by(observer)
    return reply


async def arriving(reply):
    async with aclosing(reply.stream.batches()) as batches:
        return [b"".join(event.raw for event in batch) async for batch in batches]


def errors(body):
    return body.count(b'data: {"error"')


@settings(max_examples=60, deadline=None)
@given(
    batches=BATCHES, wait_at=some.none() | some.integers(0, 12), fails_at=some.none() | some.integers(0, 12)
)
async def test_every_byte_goes_out_whenever_the_time_is_up(batches, wait_at, fails_at):
    script = [*batches]
    if fails_at is not None:
        script = [*script[:fails_at], refuse()]
    if wait_at is not None:
        script.insert(min(wait_at, len(script)), None)
    ends = Ends()
    source = Paced(script)
    held = await HeldStream.of(reply_of(source, ends), 0.002 if wait_at is not None else 30)
    assert held.whole == (wait_at is None and fails_at is None)
    if wait_at is None:
        assert (held.broken is None) == (fails_at is None)
    released = held.release()
    source.go.set()
    got = await arriving(released)
    sent = raw([batch for batch in script if batch is not None])
    body = b"".join(got)
    if fails_at is None:
        assert body == sent
        assert released.stream.outcome is Outcome.COMPLETE
    else:
        assert body.startswith(sent)
        assert errors(body) == 1
        assert errors(body[len(sent) :]) == 1
        assert released.stream.outcome is Outcome.FAILED
        assert released.stream.failure.code == "upstream_failed"
    assert len(ends.outcomes) == 1
    assert source.closed
    assert not tasks()


async def test_what_was_held_goes_out_at_once_with_its_headers():
    held = await HeldStream.of(reply_of(testing.Events(stream_of("one two three"))), 30)
    released = held.release()
    assert (released.status, released.headers["x-request-id"]) == (200, "r1")
    assert await arriving(released) == [raw(stream_of("one two three"))]


async def test_what_comes_after_the_time_is_up_flows_live():
    first, second, third = stream_of("one two three")[:3]
    source = Paced([first, None, second, third])
    held = await HeldStream.of(reply_of(source), 0.01)
    assert (held.whole, source.given) == (False, 1)
    batches = held.release().stream.batches()
    assert raw([await anext(batches)]) == raw([first])
    following = asyncio.ensure_future(anext(batches))
    await settle()
    assert not following.done()
    source.go.set()
    assert raw([await following]) == raw([second])
    assert source.given == 2  # the third is not read ahead
    assert raw([await anext(batches)]) == raw([third])
    with pytest.raises(StopAsyncIteration):
        await anext(batches)


async def test_what_is_given_in_an_events_place_is_made_as_it_arrives():
    first, second, *_ = stream_of("one two")
    source, seen = Paced([first, None, second]), []

    def twice(event):
        seen.append(event)
        return (event, event)

    held = await HeldStream.of(reply_of(source), 0.01, twice)
    assert (held.events, held.given, seen) == (first, [*first, *first], first)
    released = held.release()
    source.go.set()
    assert await arriving(released) == [2 * raw([first]), 2 * raw([second])]


async def test_a_stream_of_which_nothing_is_given_goes_on():
    first, second, *_ = stream_of("one two")
    held = await HeldStream.of(reply_of(testing.Events([first, second])), 30, lambda event: ())
    assert await arriving(held.release()) == []


async def test_an_upstream_that_never_pauses_is_not_held_for_ever():
    async def endless():
        while True:
            yield [Event(b"data: word\n\n")]

    source = endless()
    held = await asyncio.wait_for(HeldStream.of(reply_of(source), 0.05), 20)
    assert not held.whole
    await held.aclose()


async def test_not_more_than_memory_can_bear_is_held():
    class Large(Paced):
        async def __anext__(self):
            self.given += 1
            return [Event(b"x" * 1024 * 1024)]

    source = Large([])
    held = await HeldStream.of(reply_of(source), 60)
    assert not held.whole
    assert 4 <= source.given <= 6
    await held.aclose()
    assert source.closed


async def test_a_client_that_leaves_while_it_is_held_closes_the_upstream():
    source, ends = Paced([stream_of("one")[0], None]), Ends()
    holding = asyncio.ensure_future(HeldStream.of(reply_of(source, ends), 30))
    await settle()
    holding.cancel()
    with suppress(asyncio.CancelledError):
        await holding
    assert source.closed
    assert ends.outcomes == [Outcome.ABANDONED]
    assert not tasks()


@pytest.mark.parametrize("reads", [0, 1, 2])
async def test_a_client_that_leaves_after_the_release_closes_the_upstream(reads):
    first, second = stream_of("one two")[:2]
    source, ends = Paced([first, None, second, None]), Ends()
    released = (await HeldStream.of(reply_of(source, ends), 0.01)).release()
    if not reads:
        await released.aclose()
    else:
        async with aclosing(released.stream.batches()) as batches:
            assert await anext(batches) == first
            if reads == 2:
                source.go.set()
                assert await anext(batches) == second
    assert source.closed
    assert ends.outcomes == [Outcome.ABANDONED]
    assert not tasks()


async def test_a_client_that_leaves_while_more_is_awaited_closes_the_upstream():
    source, ends = Paced([stream_of("one")[0], None]), Ends()
    released = (await HeldStream.of(reply_of(source, ends), 0.01)).release()
    reading = asyncio.ensure_future(arriving(released))
    await settle()
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading
    assert source.closed
    assert ends.outcomes == [Outcome.ABANDONED]
    assert not tasks()


async def test_a_stage_that_breaks_while_it_is_held_lets_go_of_the_upstream():
    source = Paced([ValueError("not a refusal")])
    with pytest.raises(ValueError, match="not a refusal"):
        await HeldStream.of(reply_of(source), 30)
    assert source.closed


async def test_observers_further_out_see_what_goes_out():
    class Shouts(Observer):
        def event(self, event):
            return (Event(event.raw.upper()),)

    held = await HeldStream.of(reply_of(testing.Events([[Event(b"data: a\n\n")], [sse.done()]])), 30)
    released = held.release().observed_by(Shouts())
    assert await testing.read(released) == b"DATA: A\n\nDATA: [DONE]\n\n"


async def test_only_a_stream_can_be_held():
    with pytest.raises(ValueError, match="only a stream"):
        await HeldStream.of(Reply(200), 1)
