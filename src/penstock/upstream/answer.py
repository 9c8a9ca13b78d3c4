"""An upstream's answer as a source of events, judged as they arrive."""

import asyncio
from collections.abc import Sequence
from typing import Final, Self

import aiohttp

from penstock.errors import Refusal
from penstock.openai.sse import Event, Parser, TooLarge
from penstock.openai.watch import Verdict, Watch
from penstock.upstream import failures
from penstock.upstream.policy import Timeouts

_READ_ERRORS: Final = (aiohttp.ClientError, OSError)
_DRAIN_S: Final = 1.0


class Deadlines:
    """Which limit runs out next for a call that began at `began` on the event loop's clock."""

    def __init__(self, limits: Timeouts, began: float) -> None:
        self.total = began + limits.total_s
        self._first = began + limits.first_byte_s
        self._between_s = limits.between_events_s
        self._last: float | None = None

    def next(self) -> tuple[float, str]:
        """Give the moment and the name of the limit."""
        at, which = (
            (self._first, "first_byte")
            if self._last is None
            else (self._last + self._between_s, "between_events")
        )
        return (at, which) if at < self.total else (self.total, "total")

    def event_came(self) -> None:
        """Start the silence anew."""
        self._last = asyncio.get_running_loop().time()


class _Chunks:
    """Reads an answer's body piece by piece within the deadlines."""

    def __init__(self, response: aiohttp.ClientResponse, deadlines: Deadlines) -> None:
        self._response = response
        self._deadlines = deadlines

    def __aiter__(self) -> Self:
        return self

    async def aclose(self) -> None:
        """Let go of the connection: back to the pool if the body is read to its end, else closed."""
        self._response.release() if self._response.content.at_eof() else self._response.close()

    async def read(self) -> bytes:
        """Give the next bytes; empty at a clean end. Raises UpstreamFailed."""
        at, which = self._deadlines.next()
        try:
            async with asyncio.timeout_at(at):
                return await self._response.content.readany()
        except TimeoutError:
            raise failures.timed_out(which) from None
        except _READ_ERRORS:
            # aiohttp tells of the break before it gives what had arrived; the next read tells of it again.
            if arrived := self._response.content._read_nowait(-1):
                return arrived
            raise failures.truncated() from None


class OpaqueAnswer(_Chunks):
    """The body of an endpoint the chain does not understand, passed on as it comes."""

    async def __anext__(self) -> Sequence[Event]:
        """Give the next piece."""
        chunk = await self.read()
        if not chunk:
            raise StopAsyncIteration
        self._deadlines.event_came()
        return (Event(chunk),)


class EventAnswer(_Chunks):
    """An event stream. It ends when the answer is whole, or with the refusal that says what broke it."""

    def __init__(
        self, response: aiohttp.ClientResponse, deadlines: Deadlines, watch: Watch, limit_bytes: int
    ) -> None:
        super().__init__(response, deadlines)
        self._watch = watch
        self._parser = Parser(limit_bytes)
        self._over: Refusal | bool = False

    async def __anext__(self) -> Sequence[Event]:
        """Give the events that arrived together."""
        while not self._over:
            chunk = await self._piece()
            try:
                events = self._parser.feed(chunk) if chunk else self._parser.end()
            except TooLarge:
                raise failures.too_large() from None
            passed = self._judge(events)
            if not chunk and not self._over:
                self._over = failures.truncated() if self._watch.at_end() is Verdict.TRUNCATED else True
            if passed:
                self._deadlines.event_came()
                return passed
        if isinstance(self._over, Refusal):
            raise self._over
        raise StopAsyncIteration

    async def _piece(self) -> bytes:
        """Read on. A cut after everything was said is an end; not every server sends the end mark."""
        try:
            return await self.read()
        except failures.UpstreamFailed:
            if self._watch.at_end() is Verdict.FINAL:
                self._parser = Parser()  # half an event may be left in the old one
                return b""
            raise

    async def aclose(self) -> None:
        """Give the connection back once its end has been read; close it if that does not come soon."""
        if self._over is True and not self._response.content.at_eof():
            _drain(self._response)
        else:
            await super().aclose()

    def _judge(self, events: Sequence[Event]) -> Sequence[Event]:
        """Take the events up to the one that ends the answer, well or badly."""
        passed: list[Event] = []
        for event in events:
            verdict = self._watch.see(event)
            if verdict is Verdict.GOES_ON:
                passed.append(event)
                continue
            if verdict is Verdict.FINAL:
                event.final = True
                passed.append(event)
                self._over = True
            else:
                self._over = _failure(verdict, event)
            break
        return passed


def _failure(verdict: Verdict, event: Event) -> failures.UpstreamFailed:
    if verdict is Verdict.UPSTREAM_ERROR:
        return failures.told(event)
    return failures.garbled() if verdict is Verdict.GARBLED else failures.truncated()


async def read_whole(response: aiohttp.ClientResponse, deadlines: Deadlines, limit_bytes: int) -> bytes:
    """Read a plain answer. Raises UpstreamFailed."""
    pieces: list[bytes] = []
    size = 0
    chunks = _Chunks(response, deadlines)
    try:
        while chunk := await chunks.read():
            deadlines.event_came()
            size += len(chunk)
            if size > limit_bytes:
                raise failures.too_large()
            pieces.append(chunk)
    finally:
        await chunks.aclose()
    return b"".join(pieces)


_draining: set[asyncio.Task[None]] = set()


def _drain(response: aiohttp.ClientResponse) -> None:
    """Read the few bytes between the last event and the end of the body, so that the pool gets it back."""

    async def drain() -> None:
        try:
            async with asyncio.timeout(_DRAIN_S):
                await response.content.readany()
        except (*_READ_ERRORS, TimeoutError):
            pass
        finally:
            response.release()

    task = asyncio.get_running_loop().create_task(drain())
    _draining.add(task)
    task.add_done_callback(_draining.discard)
