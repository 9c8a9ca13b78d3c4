"""Holding a stream back until it has ended or its time is up, and letting it go at once then."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from typing import Final, Self

from penstock.errors import Refusal
from penstock.openai.sse import Event
from penstock.reply import Outcome, Reply, Stream

_MOST_BYTES: Final = 4 * 1024 * 1024  # an upstream may send faster than time passes


Given = Callable[[Event], Sequence[Event]]
"""Says what the client gets in an event's place."""


class HeldStream:
    """A stream that was read ahead.

    `events` are those that were held, as they came; what the client gets instead of each says `given`, as
    each arrives and not for all of them at once. `whole` says that it has ended as an answer should;
    `broken` what it failed by while it was held.
    """

    def __init__(self, reply: Reply, stream: Stream, given: Given) -> None:
        self._reply = reply
        self._stream = stream
        self._batches: AsyncGenerator[Sequence[Event]] = stream.batches()
        self._next: asyncio.Task[Sequence[Event]] | None = None
        self._give = given
        self.events: list[Event] = []
        self.given: list[Event] = []
        self._bytes = 0
        self.whole = False
        self.broken: Refusal | None = None

    @classmethod
    async def of(cls, reply: Reply, longest_s: float, given: Given = lambda event: (event,)) -> "HeldStream":
        """Read a reply's stream until it ends, for so many seconds at most."""
        if reply.stream is None:
            raise ValueError("only a stream can be held")
        held = cls(reply, reply.stream, given)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + longest_s
        try:
            while await held._read_one(deadline - loop.time()):
                pass
        except BaseException:
            await held.aclose()
            raise
        return held

    def release(self) -> Reply:
        """Give the reply with what was held in front, all at once, and what is still to come."""
        return Reply(self._reply.status, self._reply.headers, stream=Stream(_Released(self)))

    async def aclose(self) -> None:
        """Let go of it."""
        if self._next is not None:
            self._next.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._next
        await self._batches.aclose()
        await self._stream.aclose()  # one that was never begun

    async def _read_one(self, wait_s: float) -> bool:
        """Take the next batch; False at the end, or when the time is up."""
        if wait_s <= 0 or self._bytes > _MOST_BYTES:
            return False
        self._next = self._next or asyncio.ensure_future(anext(self._batches))
        done, _ = await asyncio.wait([self._next], timeout=wait_s)
        if not done:
            return False
        task, self._next = self._next, None
        try:
            batch = task.result()
        except StopAsyncIteration:
            self.whole = self._stream.outcome is Outcome.COMPLETE
            return False
        self.broken = self._stream.failure
        if self.broken is not None:  # the batch is its error event: the released stream makes its own
            return False
        self.events += batch
        self.given += self._given(batch)
        self._bytes += sum(len(event.raw) for event in batch)
        return True

    async def further(self) -> Sequence[Event]:
        """Give the next batch after what was held. Raises StopAsyncIteration at the end."""
        if self._stream.failure is not None:
            raise self._stream.failure
        task = self._next or asyncio.ensure_future(anext(self._batches))
        self._next = None
        batch = await task
        if self._stream.failure is not None:
            raise self._stream.failure
        return self._given(batch)

    def _given(self, batch: Sequence[Event]) -> Sequence[Event]:
        return [out for event in batch for out in self._give(event)]


class _Released:
    """A held stream as a source."""

    def __init__(self, held: HeldStream) -> None:
        self._held = held
        self._given = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Event]:
        if not self._given:
            self._given = True
            if self._held.given:
                return self._held.given
        if self._held.whole:
            raise StopAsyncIteration
        return await self._held.further()

    async def aclose(self) -> None:
        """Let go of what is still to come."""
        await self._held.aclose()
