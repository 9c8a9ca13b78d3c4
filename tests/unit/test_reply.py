"""A stream promises its observers order and one ending each, and its client never a false clean end."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from penstock import testing
from penstock.errors import Refusal, StageFailed
from penstock.openai import sse
from penstock.openai.sse import Event
from penstock.reply import Observer, Outcome, Reply, Stream, refused
from penstock.upstream import failures


def event(text: str) -> Event:
    return sse.encode({"say": text})


WHOLE = [[event("a")], [event("b"), event("c")], [sse.done()]]


class Note(Observer):
    """Writes down what it sees, and may add a mark, hold back, or break."""

    def __init__(self, name: str = "", *, breaks: str = "", problem: Exception | None = None) -> None:
        self.name = name
        self.breaks = breaks
        self.problem = problem or RuntimeError("the observer broke")
        self.seen: list[Any] = []
        self.endings: list[Outcome] = []

    def event(self, event: Event) -> Sequence[Event]:
        said = event.json
        self.seen.append(said)
        if self.breaks == "event" and said == {"say": "b"}:
            raise self.problem
        if self.name and said:
            return (sse.encode({"say": said["say"] + self.name}),)
        return (event,)

    def last(self) -> Sequence[Event]:
        if self.breaks == "last":
            raise self.problem
        return ()

    async def ended(self, outcome: Outcome) -> None:
        self.endings.append(outcome)
        if self.breaks == "ended":
            raise self.problem


class Endless:
    """A source that gives one batch and then waits for ever."""

    def __init__(self) -> None:
        self.closed = 0
        self._given = False

    def __aiter__(self) -> "Endless":
        return self

    async def __anext__(self) -> Sequence[Event]:
        if self._given:
            await asyncio.Event().wait()
        self._given = True
        return [event("a")]

    async def aclose(self) -> None:
        self.closed += 1


def stream_of(*observers: Observer, batches: Sequence[Sequence[Event] | Exception] = WHOLE) -> Stream:
    stream = Stream(testing.Events(batches))
    for observer in observers:
        stream.observe(observer)
    return stream


async def all_of(stream: Stream) -> list[list[Event]]:
    async with aclosing(stream.batches()) as batches:
        return [list(batch) async for batch in batches]


def said(batches: list[list[Event]]) -> list[str]:
    return [told["say"] for batch in batches for e in batch if (told := e.json) and "say" in told]


async def test_without_observers_batches_pass_as_the_very_same_objects() -> None:
    stream = stream_of()
    async with aclosing(stream.batches()) as batches:
        got = [batch async for batch in batches]
    assert all(batch is given for batch, given in zip(got, WHOLE, strict=True))
    assert stream.outcome is Outcome.COMPLETE
    assert stream.failure is None


async def test_observers_see_events_innermost_first() -> None:
    inner, outer = Note("1"), Note("2")
    assert said(await all_of(stream_of(inner, outer))) == ["a12", "b12", "c12"]
    assert [told["say"] for told in outer.seen if told] == ["a1", "b1", "c1"]
    assert inner.endings == outer.endings == [Outcome.COMPLETE]


async def test_a_batch_of_which_nothing_is_left_is_not_passed_on() -> None:
    class Swallow(Observer):
        def event(self, event: Event) -> Sequence[Event]:
            return () if event.json else (event,)

    assert [[e.raw for e in batch] for batch in await all_of(stream_of(Swallow()))] == [[b"data: [DONE]\n\n"]]


async def test_what_was_held_back_passes_the_observers_outside_and_not_those_inside() -> None:
    class Holds(Observer):
        def last(self) -> Sequence[Event]:
            return [event("held")]

    inner, outer = Note("1"), Note("2")
    batches = await all_of(stream_of(inner, Holds(), outer))
    assert said(batches) == ["a12", "b12", "c12", "held2"]
    assert {"say": "held"} not in inner.seen


async def test_nothing_is_held_back_for_a_stream_that_failed() -> None:
    class Holds(Observer):
        def last(self) -> Sequence[Event]:
            raise AssertionError("asked for the rest of a broken answer")

    batches = await all_of(stream_of(Holds(), batches=[[event("a")], failures.truncated()]))
    assert len(batches) == 2


@pytest.mark.parametrize("where", ["event", "last", "ended"])
async def test_a_broken_observer_is_dropped_and_the_stream_goes_on(where: str) -> None:
    broken, outer = Note(breaks=where), Note()
    told: list[Exception] = []
    stream = stream_of(broken, outer)
    stream.claim(told.append)  # gives None: skip
    assert said(await all_of(stream)) == ["a", "b", "c"]
    assert told == [broken.problem]
    assert broken.endings == outer.endings == [Outcome.COMPLETE]
    if where == "event":
        assert broken.seen == [{"say": "a"}, {"say": "b"}], "it is not asked again"


@pytest.mark.parametrize("where", ["event", "last"])
async def test_a_broken_observer_ends_the_stream_with_its_refusal(where: str) -> None:
    refusal = StageFailed("memory")
    stream = stream_of(Note(breaks=where), after := Note())
    stream.claim(lambda problem: refusal)
    batches = await all_of(stream)
    assert batches[-1][0].json == refusal.shape()
    assert stream.outcome is Outcome.FAILED
    assert stream.failure is refusal
    assert after.endings == [Outcome.FAILED]


async def test_an_observer_may_refuse_and_nobody_is_asked_about_it() -> None:
    refusal = Refusal(403, "not_this", "This answer may not pass.")
    stream = stream_of(Note(breaks="event", problem=refusal))
    stream.claim(lambda problem: pytest.fail("a refusal is no breakage"))
    assert (await all_of(stream))[-1][0].json == refusal.shape()


async def test_each_claim_answers_for_the_observers_hung_since_the_last_one() -> None:
    claims: list[str] = []
    stream = stream_of(Note(breaks="event"))
    stream.claim(lambda problem: claims.append("inner"))
    stream.observe(Note(breaks="last"))
    stream.claim(lambda problem: claims.append("outer"))
    await all_of(stream)
    assert claims == ["inner", "outer"]


async def test_a_source_that_fails_gives_one_error_event_and_no_more() -> None:
    failure = failures.timed_out("between_events")
    note = Note()
    stream = stream_of(note, batches=[[event("a")], failure, [event("never")]])
    batches = await all_of(stream)
    assert [e.json for e in batches[-1]] == [failure.shape()]
    assert said(batches) == ["a"]
    assert (stream.outcome, stream.failure) == (Outcome.FAILED, failure)
    assert note.endings == [Outcome.FAILED]
    assert failure.shape() not in note.seen, "the error is ours, not the answer's"


async def test_an_upstreams_own_error_event_is_kept_byte_for_byte() -> None:
    raw = b'event: error\r\ndata:  { "error" : {"message":"over\\u006coaded", "code":null}}\r\n\r\n'
    (own,) = sse.Parser().feed(raw)
    batches = await all_of(stream_of(Note("x"), batches=[[event("a")], failures.told(own)]))
    assert b"".join(e.raw for e in batches[-1]) == raw


async def test_a_source_that_raises_something_else_is_a_failure_and_no_client_that_left() -> None:
    note = Note()
    stream = stream_of(note, batches=[[sse.done()], ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        await all_of(stream)
    assert stream.outcome is Outcome.FAILED
    assert note.endings == [Outcome.FAILED]


async def test_a_client_that_leaves_in_the_middle_abandons_the_answer() -> None:
    source, note = Endless(), Note()
    stream = Stream(source)
    stream.observe(note)
    async with aclosing(stream.batches()) as batches:
        await anext(batches)
    assert stream.outcome is Outcome.ABANDONED
    assert note.endings == [Outcome.ABANDONED]
    assert source.closed == 1


async def test_a_reader_cancelled_while_it_waits_closes_the_source_and_tells_once() -> None:
    source, note = Endless(), Note()
    stream = Stream(source)
    stream.observe(note)
    task = asyncio.create_task(all_of(stream))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await stream.aclose()
    assert note.endings == [Outcome.ABANDONED]
    assert source.closed == 1


async def test_a_second_cancellation_during_the_ending_keeps_no_observer_from_it() -> None:
    class Slow(Note):
        async def ended(self, outcome: Outcome) -> None:
            await super().ended(outcome)
            await asyncio.Event().wait()

    slow, next_one = Slow(), Note()
    stream = Stream(Endless())
    stream.observe(slow)
    stream.observe(next_one)
    task = asyncio.create_task(all_of(stream))
    for _ in range(2):
        await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert slow.endings == next_one.endings == [Outcome.ABANDONED]


async def test_an_unclaimed_observer_that_breaks_keeps_nobody_else_from_the_ending() -> None:
    broken, other = Note(breaks="ended"), Note()
    with pytest.raises(RuntimeError, match="the observer broke"):
        await all_of(stream_of(broken, other))
    assert other.endings == [Outcome.COMPLETE]


async def test_an_answer_is_complete_once_its_final_event_is_out_though_the_client_left() -> None:
    note = Note()
    stream = stream_of(note)
    async with aclosing(stream.batches()) as batches:
        async for batch in batches:
            if batch[-1].final:
                break
    assert stream.outcome is Outcome.COMPLETE
    assert note.endings == [Outcome.COMPLETE]


async def test_a_stream_nobody_began_is_let_go_once() -> None:
    note = Note()
    source = testing.Events(WHOLE)
    stream = Stream(source)
    stream.observe(note)
    await stream.aclose()
    await stream.aclose()
    assert source.closed
    assert note.endings == [Outcome.ABANDONED]


async def test_letting_go_of_a_stream_that_was_read_tells_nobody_again() -> None:
    note = Note()
    stream = stream_of(note)
    await all_of(stream)
    await stream.aclose()
    assert note.endings == [Outcome.COMPLETE]


@settings(deadline=None)
@given(
    texts=st.lists(st.text(max_size=4), max_size=8),
    cuts=st.lists(st.integers(0, 8), max_size=4),
    broken_at=st.none() | st.integers(0, 8),
)
def test_however_the_batches_are_cut_the_same_events_come_out(
    texts: list[str], cuts: list[int], broken_at: int | None
) -> None:
    events = [*map(event, texts), sse.done()]
    edges = [0, *sorted(cut % (len(events) + 1) for cut in cuts), len(events)]
    batches: list[Sequence[Event] | Exception] = [events[start:end] for start, end in pairwise(edges)]
    if broken_at is not None:
        batches.insert(broken_at % (len(batches) + 1), failures.truncated())
    note = Note()
    stream = stream_of(note, batches=batches)
    out = [e for batch in asyncio.run(all_of(stream)) for e in batch]
    if stream.failure is None:
        assert out == events
    else:
        assert out[-1].json == failures.truncated().shape()
        assert out[:-1] == events[: len(out) - 1]
    assert note.endings == [stream.outcome]
    assert (stream.outcome is Outcome.COMPLETE) is (broken_at is None)


async def test_an_observer_on_a_plain_reply_changes_nothing() -> None:
    reply = Reply(200, body=b"{}")
    assert reply.observed_by(Note()) is reply
    await reply.aclose()
    assert await testing.read(reply) == b"{}"


async def test_a_refused_reply_has_the_status_the_headers_and_openais_shape() -> None:
    given = {"Retry-After": "2", "Content-Type": "text/html"}
    refusal = Refusal(429, "slow_down", "Too many.", headers=given)
    reply = refused(refusal)
    assert reply.status == 429
    assert reply.headers == CIMultiDict({"retry-after": "2", "content-type": "application/json"})
    assert reply.body == refusal.body()


# What an upstream says of its failure


class Hides(Observer):
    """Takes the text out of an error, or breaks over it."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem = problem

    def refused(self, event: Event) -> Event:
        if self.problem:
            raise self.problem
        return sse.encode({"error": {"message": "hidden"}})


@pytest.mark.parametrize("problem", [None, RuntimeError("broke"), Refusal(400, "no", "no")])
async def test_an_upstreams_own_error_passes_the_observers(problem: Exception | None) -> None:
    failed = failures.told(sse.encode({"error": {"message": "a secret"}}))
    stream = Stream(testing.Events([[event("a")], failed]))
    stream.observe(Hides(problem))
    raw = await testing.read(Reply(200, stream=stream))
    assert b"a secret" not in raw
    assert (b"upstream_error" if problem else b"hidden") in raw
    assert stream.failure is failed
