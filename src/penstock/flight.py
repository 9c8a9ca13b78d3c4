"""Flight: one call on the rest of the road, shared by everybody who asked the same meanwhile."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Self

from multidict import CIMultiDict

from penstock.errors import Refusal
from penstock.openai.sse import Event
from penstock.reply import Outcome, Reply, Stream

log = logging.getLogger("penstock.flight")


class Flight:
    """Runs the call in a task of its own, so that no reader's leaving fails the others.

    Late readers of a stream get its beginning and then follow it live. The fastest reader sets the
    pace: with no reader waiting, the upstream waits too. Past `limit_bytes` nobody can join any more
    and what all have read is forgotten; a reader that falls so far behind is refused. The last
    reader to leave cancels the call. `landed` is called once, when it is over.
    """

    def __init__(
        self, call: Callable[[], Awaitable[Reply]], limit_bytes: int, landed: Callable[[], None]
    ) -> None:
        self._limit = limit_bytes
        self._batches: deque[Sequence[Event]] = deque()
        self._forgotten = 0
        self._bytes = 0
        self._readers: set[_Reader] = set()
        self._joining = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._wanted = asyncio.Event()
        self._over = False
        self._cancelled = False
        loop = asyncio.get_running_loop()
        self._head: asyncio.Future[Reply] = loop.create_future()
        self._head.add_done_callback(lambda head: head.cancelled() or head.exception())
        self._task = loop.create_task(self._run(call))
        self._task.add_done_callback(lambda _: landed())

    @property
    def open(self) -> bool:
        """Whether one more may join."""
        return not self._cancelled and self._forgotten == 0 and self._bytes <= self._limit

    async def join(self) -> Reply:
        """Give a reply of one's own. Raises Refusal where the call was refused."""
        self._joining += 1
        try:
            head = await asyncio.shield(self._head)
            reader = _Reader(self)
            if head.stream is not None:
                self._readers.add(reader)
        finally:
            self._joining -= 1
            self._leave_alone()
        headers = CIMultiDict(head.headers)
        if head.stream is None:
            return Reply(head.status, headers, head.body)
        return Reply(head.status, headers, stream=Stream(reader))

    async def _run(self, call: Callable[[], Awaitable[Reply]]) -> None:
        try:
            reply = await call()
            self._head.set_result(reply)
            if reply.stream is not None:
                await self._follow(reply.stream)
        except Exception as problem:
            if self._head.done():  # the stream broke, or an observer of its end: readers ask the outcome
                log.exception("a shared call broke")
            else:
                self._head.set_exception(problem)
        finally:
            self._over = True
            self._head.cancel()
            self._wake()

    async def _follow(self, stream: Stream) -> None:
        async with aclosing(stream.batches()) as batches:
            async for batch in batches:
                if stream.failure is not None:
                    continue  # its error event: each reader's own stream makes one
                self._batches.append(batch)
                self._bytes += sum(len(event.raw) for event in batch)
                if self._bytes > self._limit:
                    self._forget()
                self._wake()
                if not any(event.final for event in batch):  # a whole answer is finished whoever left
                    self._wanted.clear()
                    await self._wanted.wait()

    def _forget(self) -> None:
        """Drop what every reader has, and the readers that hold back more than the limit."""
        for reader in [r for r in self._readers if self._behind(r) > self._limit]:
            reader.fell_behind = True
            self._readers.discard(reader)
        read_by_all = min((reader.place for reader in self._readers), default=self._forgotten)
        while self._batches and self._forgotten < read_by_all:
            self._batches.popleft()
            self._forgotten += 1

    def _behind(self, reader: "_Reader") -> int:
        unread = list(self._batches)[reader.place - self._forgotten : -1]
        return sum(len(event.raw) for batch in unread for event in batch)

    async def next(self, reader: "_Reader") -> Sequence[Event]:
        """Give the batch at the reader's place, waiting for it."""
        while True:
            if reader.fell_behind:
                raise Refusal(503, "stream_fell_behind", "This client read a shared answer too slowly.")
            if reader.place - self._forgotten < len(self._batches):
                return self._batches[reader.place - self._forgotten]
            if self._over:
                raise self._end()
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            self._wanted.set()
            await waiting

    def _end(self) -> Exception:
        """Say what follows the last batch: a clean end only where the answer is whole."""
        stream = self._head.result().stream
        if stream is None or stream.outcome is Outcome.COMPLETE:
            return StopAsyncIteration()
        return stream.failure or Refusal(500, "internal_error", "The gateway could not finish this answer.")

    def leave(self, reader: "_Reader") -> None:
        """Forget a reader."""
        self._readers.discard(reader)
        self._leave_alone()

    def _leave_alone(self) -> None:
        """Cancel the call when nobody is left to read it; an answer that is whole is finished anyway."""
        whole = bool(self._batches) and any(event.final for event in self._batches[-1])
        if not (self._readers or self._joining or self._over or whole):
            self._cancelled = True
            self._task.cancel()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class _Reader:
    """One client's place in the flight's stream."""

    def __init__(self, flight: Flight) -> None:
        self._flight = flight
        self.place = 0
        self.fell_behind = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Event]:
        batch = await self._flight.next(self)
        self.place += 1
        return batch

    async def aclose(self) -> None:
        self._flight.leave(self)
