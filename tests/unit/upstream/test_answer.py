"""An upstream's stream is judged as it arrives: it ends whole, or with the reason why it is not."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from itertools import pairwise

import aiohttp
import pytest
from fake_response import HANG, FakeResponse, Read
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import testing
from penstock.openai import sse
from penstock.openai.request import Endpoint
from penstock.openai.sse import Event
from penstock.openai.watch import Watch
from penstock.reply import Outcome, Stream
from penstock.upstream.answer import Deadlines, EventAnswer, OpaqueAnswer, read_whole
from penstock.upstream.failures import UpstreamFailed
from penstock.upstream.policy import Timeouts

A = testing.chunk({"content": "a"}).raw
STOP = testing.chunk({}, "stop").raw
DONE = sse.done().raw
WHOLE = A + STOP + DONE
ERROR = b'data: {"error": {"message":"over\\u006coaded"}}\r\n\r\n'
LONG = Timeouts()


def deadlines(limits: Timeouts = LONG) -> Deadlines:
    return Deadlines(limits, asyncio.get_running_loop().time())


def answer_of(response: FakeResponse, limits: Timeouts = LONG, limit_bytes: int = 1_000_000) -> EventAnswer:
    watch = Watch(Endpoint.CHAT)
    return EventAnswer(response, deadlines(limits), watch, limit_bytes)  # type: ignore[arg-type]


async def read(
    reads: Sequence[Read], limits: Timeouts = LONG, limit_bytes: int = 1_000_000
) -> tuple[bytes, str | None, list[str]]:
    """Give what the client got before any error, the code of the error, and how the connection was let go."""
    response = FakeResponse(reads)
    stream = Stream(answer_of(response, limits, limit_bytes))
    got: list[Event] = []
    async with aclosing(stream.batches()) as batches:
        async for batch in batches:
            got.extend(batch)
    for _ in range(5):
        await asyncio.sleep(0)
    raw = b"".join(event.raw for event in (got[:-1] if stream.failure else got))
    assert (stream.outcome is Outcome.COMPLETE) is (stream.failure is None)
    return raw, stream.failure.code if stream.failure else None, response.let_go


@settings(deadline=None)
@given(st.lists(st.integers(1, len(WHOLE) - 1), max_size=6))
def test_wherever_the_reads_are_cut_the_client_gets_the_upstreams_bytes(cuts: list[int]) -> None:
    edges = [0, *sorted(set(cuts)), len(WHOLE)]
    reads = [WHOLE[start:end] for start, end in pairwise(edges)]
    assert asyncio.run(read(reads)) == (WHOLE, None, ["released"])


async def test_an_event_passes_as_soon_as_it_is_here() -> None:
    answer = answer_of(FakeResponse([A[:10], A[10:] + A, HANG]))
    assert [event.raw for event in await anext(answer)] == [A, A]


async def test_only_the_last_event_is_final() -> None:
    answer = answer_of(FakeResponse([WHOLE]))
    assert [event.final for event in await anext(answer)] == [False, False, True]


async def test_what_follows_the_end_is_dropped() -> None:
    assert await read([WHOLE + A + b": bye\n\n"]) == (WHOLE, None, ["released"])


async def test_an_end_mark_is_not_needed_once_all_was_said() -> None:
    assert await read([A, STOP]) == (A + STOP, None, ["released"])


async def test_the_last_blank_line_is_not_needed_either() -> None:
    assert await read([A, STOP, DONE.rstrip(b"\n")]) == (WHOLE, None, ["released"])


@pytest.mark.parametrize("rest", [b"", b": half a comm", b'data: {"choices":[{"ind'])
async def test_a_cut_after_everything_was_said_is_an_end(rest: bytes) -> None:
    got, code, let_go = await read([A, STOP + rest, aiohttp.ClientPayloadError("cut")])
    assert (got, code) == (A + STOP, None)
    assert let_go != []


@pytest.mark.parametrize("rest", [[], [aiohttp.ClientPayloadError("cut")], [ConnectionResetError()]])
async def test_an_end_before_the_answer_is_whole_is_told(rest: list[Read]) -> None:
    got, code, _ = await read([A, *rest])
    assert (got, code) == (A, "upstream_stream_truncated")


@pytest.mark.parametrize("reads", [[A + DONE], [DONE], []])
async def test_an_end_mark_alone_makes_nothing_whole(reads: list[Read]) -> None:
    assert (await read(reads))[1] == "upstream_stream_truncated"


@pytest.mark.parametrize("junk", [b"data: {oops\n\n", b"data: [1]\n\n", b"data: x\n\n"])
async def test_garbage_is_told_after_the_good_events_and_the_connection_closed(junk: bytes) -> None:
    assert await read([A + junk + A, STOP, DONE]) == (A, "upstream_stream_garbled", ["closed"])


async def test_a_field_that_nobody_knows_says_nothing() -> None:
    assert (await read([A + b"x-trace: 7\n\n", STOP, DONE]))[:2] == (WHOLE, None)


async def test_a_line_that_is_no_field_is_no_answer() -> None:
    assert (await read([A + b"<html>\n\n", STOP, DONE]))[:2] == (A, "upstream_stream_garbled")


async def test_an_error_of_the_upstream_goes_on_as_it_came() -> None:
    stream = Stream(answer_of(FakeResponse([A + ERROR + A, HANG])))
    got = await testing.read(testing.Reply(200, stream=stream))
    assert got == A + ERROR
    assert stream.failure is not None
    assert stream.failure.code == "upstream_error"


async def test_an_event_past_the_limit_is_refused() -> None:
    reads = [A, b"data: " + b"x" * 2000, b"x" * 2000]
    assert (await read(reads, limit_bytes=3000))[1] == "upstream_answer_too_large"


@pytest.mark.parametrize(
    ("reads", "code"),
    [([HANG], "upstream_first_byte_timeout"), ([A, HANG], "upstream_between_events_timeout")],
)
async def test_silence_has_a_limit(reads: list[Read], code: str) -> None:
    quick = Timeouts(first_byte_s=0.01, between_events_s=0.01)
    got = await read(reads, quick)
    assert got[1:] == (code, ["closed"])


async def test_silence_after_everything_was_said_is_an_end() -> None:
    quick = Timeouts(between_events_s=0.01)
    assert (await read([A, STOP, HANG], quick))[:2] == (A + STOP, None)


async def test_the_whole_call_has_a_limit() -> None:
    assert (await read([A, HANG], Timeouts(total_s=0.01)))[1] == "upstream_total_timeout"


async def test_a_piece_of_an_event_does_not_start_the_silence_anew() -> None:
    times = deadlines(Timeouts(between_events_s=5.0))
    response = FakeResponse([A, A[:5], A[5:]])
    answer = EventAnswer(response, times, Watch(Endpoint.CHAT), 1000)  # type: ignore[arg-type]
    await anext(answer)
    after_first = times.next()
    await answer.read()
    assert times.next() == after_first


async def test_a_client_that_leaves_in_the_middle_closes_the_connection() -> None:
    response = FakeResponse([A, HANG])
    async with aclosing(answer_of(response)) as answer:
        await anext(answer)
    assert response.let_go == ["closed"]


async def test_after_the_final_event_the_rest_is_read_so_that_the_pool_gets_the_connection() -> None:
    response = FakeResponse([WHOLE, b""])
    async with aclosing(answer_of(response)) as answer:
        await anext(answer)
    for _ in range(5):
        await asyncio.sleep(0)
    assert response.unread == []
    assert response.let_go == ["released"]


async def test_draining_survives_a_connection_that_breaks() -> None:
    response = FakeResponse([WHOLE, ConnectionResetError()])
    async with aclosing(answer_of(response)) as answer:
        await anext(answer)
    for _ in range(5):
        await asyncio.sleep(0)
    assert response.let_go == ["released"]


# Deadlines


async def test_the_limit_that_runs_out_first_counts() -> None:
    loop = asyncio.get_running_loop()
    times = Deadlines(Timeouts(first_byte_s=10, between_events_s=3, total_s=100), 1000.0)
    assert times.next() == (1010.0, "first_byte")
    times.event_came()
    at, which = times.next()
    if at < 1100.0:  # the loop's own clock starts anywhere
        assert which == "between_events"
        assert at - loop.time() <= 3
    assert Deadlines(Timeouts(first_byte_s=10, total_s=5), 1000.0).next() == (1005.0, "total")


# Plain and opaque answers


async def test_a_plain_answer_is_read_whole_and_its_connection_given_back() -> None:
    response = FakeResponse([b'{"a"', b":1}"])
    assert await read_whole(response, deadlines(), 100) == b'{"a":1}'  # type: ignore[arg-type]
    assert response.let_go == ["released"]


@pytest.mark.parametrize(
    ("reads", "code"),
    [
        ([b"x" * 60, b"x" * 60], "upstream_answer_too_large"),
        ([b"x", aiohttp.ClientPayloadError()], "upstream_stream_truncated"),
        ([HANG], "upstream_first_byte_timeout"),
        ([b"x", HANG], "upstream_between_events_timeout"),
    ],
)
async def test_a_plain_answer_that_breaks_off_closes_the_connection(reads: list[Read], code: str) -> None:
    response = FakeResponse(reads)
    quick = Timeouts(first_byte_s=0.01, between_events_s=0.01)
    with pytest.raises(UpstreamFailed) as failed:
        await read_whole(response, deadlines(quick), 100)  # type: ignore[arg-type]
    assert failed.value.code == code
    assert response.let_go == ["closed"]


async def test_an_opaque_answer_passes_piece_by_piece_whatever_it_is() -> None:
    pieces = [b"\x00\xff", b"data: {oops\n\n", b"<html>"]
    response = FakeResponse(pieces)
    stream = Stream(OpaqueAnswer(response, deadlines()))  # type: ignore[arg-type]
    async with aclosing(stream.batches()) as batches:
        assert [batch[0].raw async for batch in batches] == pieces
    assert stream.outcome is Outcome.COMPLETE
    assert response.let_go == ["released"]
