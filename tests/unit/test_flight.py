"""One call for everybody who asks the same: nobody pays for another's leaving, and nothing is left behind."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
from multidict import CIMultiDict

from penstock import testing
from penstock.errors import Refusal
from penstock.flight import Flight
from penstock.openai import sse
from penstock.openai.sse import Event
from penstock.reply import Observer, Outcome, Reply, Stream
from penstock.upstream import failures


class Tap:
    """A source that the test opens batch by batch."""

    def __init__(self) -> None:
        self.asked = 0
        self.closed = 0
        self._queue: asyncio.Queue[Sequence[Event] | Exception | None] = asyncio.Queue()

    def pour(self, *batches: Sequence[Event] | Exception | None) -> None:
        for batch in batches:
            self._queue.put_nowait(batch)

    def __aiter__(self) -> "Tap":
        return self

    async def __anext__(self) -> Sequence[Event]:
        self.asked += 1
        batch = await self._queue.get()
        if batch is None:
            raise StopAsyncIteration
        if isinstance(batch, Exception):
            raise batch
        return batch

    async def aclose(self) -> None:
        self.closed += 1


class Ending(Observer):
    def __init__(self, problem: Exception | None = None) -> None:
        self.outcomes: list[Outcome] = []
        self._problem = problem

    async def ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        if self._problem is not None:
            raise self._problem


class Call:
    """The rest of the road; `tap` is what it streams, or it answers plainly."""

    def __init__(self, tap: Tap | None = None, *, problem: Exception | None = None) -> None:
        self.tap = tap
        self.calls = 0
        self.ready = asyncio.Event()
        self.problem = problem
        self.ending = Ending()
        self.cancelled = False

    async def __call__(self) -> Reply:
        self.calls += 1
        try:
            await self.ready.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.problem is not None:
            raise self.problem
        headers = CIMultiDict({"x-from": "upstream"})
        if self.tap is None:
            return Reply(200, headers, b'{"plain":true}')
        return Reply(200, headers, stream=Stream(self.tap)).observed_by(self.ending)


@pytest.fixture(autouse=True)
async def _nothing_left_behind() -> AsyncIterator[None]:
    """No test may leave a task, nor an exception that nobody retrieved."""
    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))
    yield
    await settle()
    gc.collect()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert complaints == []


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def text(word: str) -> list[Event]:
    return [testing.chunk({"content": word})]


DONE = [sse.done()]
SIZE = len(text("a")[0].raw)


def flight_of(
    call: Callable[[], Awaitable[Reply]],
    limit_bytes: int = 1_000_000,
    landed: Callable[[], None] = lambda: None,
) -> Flight:
    return Flight(call, limit_bytes, landed)


def flying(
    limit_bytes: int = 1_000_000, landed: Callable[[], None] = lambda: None
) -> tuple[Call, Tap, Flight]:
    """Give a flight whose call answers at once, with what the test pours."""
    call = Call(tap := Tap())
    call.ready.set()
    return call, tap, flight_of(call, limit_bytes, landed)


async def read(flight: Flight) -> bytes:
    return await testing.read(await flight.join())


async def test_a_plain_answer_is_asked_for_once_and_each_gets_its_own_reply() -> None:
    call = Call()
    landings: list[int] = []
    flight = flight_of(call, landed=lambda: landings.append(1))
    joining = [asyncio.create_task(flight.join()) for _ in range(64)]
    await settle()
    call.ready.set()
    replies = await asyncio.gather(*joining)
    assert {reply.body for reply in replies} == {b'{"plain":true}'}
    assert call.calls == 1
    replies[0].headers["x-mine"] = "1"
    assert "x-mine" not in replies[1].headers
    await settle()
    assert landings == [1]


async def test_all_readers_of_a_stream_get_the_same_bytes_of_one_call() -> None:
    call, tap, flight = flying()
    readers = [asyncio.create_task(read(flight)) for _ in range(16)]
    tap.pour(text("a"), text("b"), DONE, None)
    got = await asyncio.gather(*readers)
    assert set(got) == {b"".join(e.raw for e in (*text("a"), *text("b"), *DONE))}
    assert call.calls == 1
    assert call.ending.outcomes == [Outcome.COMPLETE]
    assert tap.closed == 1


async def test_a_late_reader_gets_the_beginning_and_then_follows_live() -> None:
    _, tap, flight = flying()
    early = asyncio.create_task(read(flight))
    tap.pour(text("a"), text("b"))
    await settle()
    late = (await flight.join()).stream
    assert late is not None
    batches = late.batches()
    assert [await anext(batches), await anext(batches)] == [text("a"), text("b")]
    following = asyncio.create_task(anext(batches))
    await settle()
    assert not following.done()
    tap.pour(text("c"))
    assert await following == text("c")
    tap.pour(DONE, None)
    assert [batch async for batch in batches] == [DONE]
    assert (await early).endswith(b"[DONE]\n\n")


async def test_the_source_is_not_read_ahead_while_nobody_waits() -> None:
    _, tap, flight = flying()
    tap.pour(text("a"), text("b"), text("c"))
    reply = await flight.join()
    assert reply.stream is not None
    await settle()
    assert tap.asked == 1, "the first batch is there at once, the second waits for a reader"
    batches = reply.stream.batches()
    assert await anext(batches) == text("a")
    await settle()
    assert tap.asked == 1
    assert await anext(batches) == text("b")
    await settle()
    assert tap.asked == 2
    await batches.aclose()


async def test_the_fastest_reader_sets_the_pace() -> None:
    _, tap, flight = flying()
    slow = await flight.join()
    fast = asyncio.create_task(read(flight))
    tap.pour(text("a"), text("b"), DONE, None)
    assert (await fast).endswith(b"[DONE]\n\n")
    assert await testing.read(slow) == fast.result()


async def test_the_first_readers_leaving_does_not_fail_the_others() -> None:
    call, tap, flight = flying()
    leader, follower = asyncio.create_task(read(flight)), asyncio.create_task(read(flight))
    tap.pour(text("a"))
    await settle()
    leader.cancel()
    await settle()
    tap.pour(DONE, None)
    assert await follower == text("a")[0].raw + DONE[0].raw
    assert call.ending.outcomes == [Outcome.COMPLETE]


async def test_the_last_reader_to_leave_cancels_the_call() -> None:
    call, tap, flight = flying()
    readers = [asyncio.create_task(read(flight)) for _ in range(2)]
    tap.pour(text("a"))
    await settle()
    readers[0].cancel()
    await settle()
    assert tap.closed == 0
    readers[1].cancel()
    await settle()
    assert tap.closed == 1
    assert call.ending.outcomes == [Outcome.ABANDONED]
    assert not flight.open


async def test_leaving_before_there_is_an_answer_cancels_the_call() -> None:
    call = Call()
    flight = flight_of(call)
    joining = [asyncio.create_task(flight.join()) for _ in range(2)]
    await settle()
    joining[0].cancel()
    await settle()
    assert not call.cancelled
    joining[1].cancel()
    await settle()
    assert call.cancelled
    assert not flight.open


async def test_a_reply_that_is_never_read_leaves_when_it_is_closed() -> None:
    _, tap, flight = flying()
    reply = await flight.join()
    await reply.aclose()
    await settle()
    assert tap.closed == 1


async def test_an_answer_that_is_whole_is_finished_though_everybody_left() -> None:
    call, tap, flight = flying()
    reply = await flight.join()
    assert reply.stream is not None
    tap.pour(text("a"), DONE)
    batches = reply.stream.batches()
    await anext(batches)
    await anext(batches)
    await batches.aclose()
    tap.pour(None)
    await settle()
    assert call.ending.outcomes == [Outcome.COMPLETE]


@pytest.mark.parametrize("problem", [Refusal(429, "slow_down", "Later."), ValueError("broken")])
async def test_what_the_call_raises_reaches_everybody(problem: Exception) -> None:
    call = Call(problem=problem)
    flight = flight_of(call)
    joining = [asyncio.create_task(flight.join()) for _ in range(3)]
    await settle()
    joining[0].cancel()
    call.ready.set()
    got = await asyncio.gather(*joining, return_exceptions=True)
    assert isinstance(got[0], asyncio.CancelledError)
    assert got[1] is problem
    assert got[2] is problem


async def test_a_call_that_fails_with_nobody_left_complains_to_nobody() -> None:
    call = Call(problem=ValueError("broken"))
    joining = asyncio.create_task(flight_of(call).join())
    await settle()
    call.ready.set()
    joining.cancel()
    await asyncio.gather(joining, return_exceptions=True)


async def test_a_stream_that_fails_fails_for_all_also_for_those_who_come_late() -> None:
    call, tap, flight = flying()
    first, second = asyncio.create_task(read(flight)), asyncio.create_task(read(flight))
    tap.pour(text("a"), failures.truncated())
    got = await first
    assert got == text("a")[0].raw + sse.error(failures.truncated()).raw
    assert await second == got
    late = await flight.join()
    assert await testing.read(late) == got
    assert late.stream is not None
    assert late.stream.outcome is Outcome.FAILED
    assert call.ending.outcomes == [Outcome.FAILED]


async def test_an_upstreams_own_error_event_reaches_every_reader_as_it_came() -> None:
    raw = b'data: {"error":{"message":"overloaded"},"x":1.0}\r\n\r\n'
    (own,) = sse.Parser().feed(raw)
    _, tap, flight = flying()
    readers = [asyncio.create_task(read(flight)) for _ in range(2)]
    tap.pour(text("a"), failures.told(own))
    assert await asyncio.gather(*readers) == [text("a")[0].raw + raw] * 2


async def test_a_source_that_breaks_is_never_a_clean_end(caplog: pytest.LogCaptureFixture) -> None:
    _, tap, flight = flying()
    readers = [asyncio.create_task(read(flight)) for _ in range(2)]
    tap.pour(text("a"), ZeroDivisionError("ours"))
    for got in await asyncio.gather(*readers):
        assert got.startswith(text("a")[0].raw)
        assert b'"code":"internal_error"' in got
    assert "a shared call broke" in caplog.text


async def test_an_observer_of_the_ending_that_breaks_costs_no_reader_anything(
    caplog: pytest.LogCaptureFixture,
) -> None:
    call = Call(tap := Tap())
    call.ending = Ending(RuntimeError("not kept"))
    call.ready.set()
    tap.pour(text("a"), DONE, None)
    assert await read(flight_of(call)) == text("a")[0].raw + DONE[0].raw
    assert "a shared call broke" in caplog.text


async def test_a_call_cancelled_from_outside_is_no_clean_end_either() -> None:
    _, tap, flight = flying()
    reader = asyncio.create_task(read(flight))
    tap.pour(text("a"))
    await settle()
    flight._task.cancel()
    assert b'"code":"internal_error"' in await reader


async def test_past_the_limit_nobody_joins_and_what_all_have_read_is_forgotten() -> None:
    _, tap, flight = flying(limit_bytes=3 * SIZE)
    reader = asyncio.create_task(read(flight))
    tap.pour(*[text("a")] * 3)
    await settle()
    assert flight.open
    tap.pour(*[text("a")] * 50)
    await settle()
    assert not flight.open
    assert len(flight._batches) <= 2
    tap.pour(DONE, None)
    assert await reader == text("a")[0].raw * 53 + DONE[0].raw


async def test_a_reader_that_falls_behind_the_limit_is_refused_and_the_fast_one_is_not() -> None:
    _, tap, flight = flying(limit_bytes=3 * SIZE)
    slow = await flight.join()
    fast = asyncio.create_task(read(flight))
    tap.pour(*[text("a")] * 20, DONE, None)
    assert (await fast).endswith(b"[DONE]\n\n")
    assert b'"code":"stream_fell_behind"' in await testing.read(slow)
    assert slow.stream is not None
    assert slow.stream.outcome is Outcome.FAILED


async def test_a_reader_a_little_behind_loses_nothing_when_others_are_past_the_limit() -> None:
    _, tap, flight = flying(limit_bytes=4 * SIZE)
    behind = (await flight.join()).stream
    assert behind is not None
    batches = behind.batches()
    fast = asyncio.create_task(read(flight))
    got = []
    for word in "abcdefghij":
        tap.pour(text(word))
        await settle()
        if word > "b":
            got.append(await anext(batches))
    assert got == [text(word) for word in "abcdefgh"]
    tap.pour(DONE, None)
    assert [batch async for batch in batches] == [text("i"), text("j"), DONE]
    await fast


async def test_one_who_joins_while_the_call_lands_gets_the_whole_answer() -> None:
    landed_at: list[str] = []
    _, tap, flight = flying(landed=lambda: landed_at.append("landed"))
    first = asyncio.create_task(read(flight))
    tap.pour(text("a"), DONE, None)
    while not flight._over:  # noqa: ASYNC110 - the very turn in which it lands
        await asyncio.sleep(0)
    assert flight.open
    assert await read(flight) == text("a")[0].raw + DONE[0].raw == await first
    await settle()
    assert landed_at == ["landed"]


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("steps", range(1, 15))
async def test_whenever_the_only_reader_is_cancelled_all_is_let_go(steps: int, streamed: bool) -> None:
    landings: list[int] = []
    call = Call(tap := Tap() if streamed else None)
    call.ready.set()

    async def fly() -> bytes:
        return await read(flight_of(call, landed=lambda: landings.append(1)))

    reader = asyncio.create_task(fly())
    if tap is not None:
        tap.pour(text("a"), text("b"), DONE, None)
    for _ in range(steps):
        await asyncio.sleep(0)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    await settle()
    assert landings == [1]
    if tap is not None and call.calls:
        assert tap.closed == len(call.ending.outcomes) == 1


@pytest.mark.parametrize("steps", range(14))
async def test_whenever_one_of_two_is_cancelled_the_other_gets_everything(steps: int) -> None:
    call, tap, flight = flying()
    leaver, stayer = asyncio.create_task(read(flight)), asyncio.create_task(read(flight))
    await asyncio.sleep(0)
    tap.pour(text("a"), text("b"), DONE, None)
    for _ in range(steps):
        await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.gather(leaver, return_exceptions=True)
    assert (await stayer).count(b"data: ") == 3
    assert call.ending.outcomes == [Outcome.COMPLETE]
