"""An answer on its way to the client: a body, or a stream that stages observe event by event."""

from asyncio import CancelledError
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, Self

from multidict import CIMultiDict

from penstock.errors import Refusal
from penstock.openai import sse
from penstock.openai.sse import Event


class Source(Protocol):
    """Where a stream's events come from, in the batches in which they arrive.

    `__anext__` raises Refusal when the answer fails half way. `aclose` lets go of what the source
    holds, whether it was ever read or not.
    """

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Sequence[Event]: ...

    async def aclose(self) -> None: ...  # noqa: D102


class Outcome(StrEnum):
    """How an answer ended."""

    COMPLETE = "complete"
    FAILED = "failed"
    ABANDONED = "abandoned"  # the client left before the answer was whole


class Observer:
    """What a stage hangs on a stream. All its methods may be left as they are."""

    def event(self, event: Event) -> Sequence[Event]:
        """Give what goes on in this event's place; it must not wait."""
        return (event,)

    def last(self) -> Sequence[Event]:
        """Give what is still held back when the stream ends whole."""
        return ()

    def refused(self, event: Event) -> Event:
        """Give the error event that ends a stream that failed; an upstream's own says what it likes."""
        return event

    async def ended(self, outcome: Outcome) -> None:
        """Learn how it ended; called exactly once, also when the client left."""


Broken = Callable[[Exception], Refusal | None]


@dataclass(slots=True)
class _Hung:
    """An observer, and who answers for it when it breaks."""

    observer: Observer
    broken: Broken | None = None
    dropped: bool = False

    def answer_for(self, problem: Exception) -> Refusal | None:
        if isinstance(problem, Refusal):
            return problem
        if self.broken is None:
            raise problem
        return self.broken(problem)

    async def tell(self, outcome: Outcome) -> None:
        try:
            await self.observer.ended(outcome)
        except Exception as problem:
            self.answer_for(problem)


class Stream:
    """A source of events and the observers around it, innermost first.

    `started` says that somebody began to read. When the source fails half way, the client gets one
    error event and the stream ends; `failure` then says why. `outcome` is true once the stream has ended.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._hung: list[_Hung] = []
        self.started = False
        self._final = False
        self.outcome = Outcome.ABANDONED
        self.failure: Refusal | None = None

    def observe(self, observer: Observer) -> None:
        """Hang one more observer outside of those that are there."""
        self._hung.append(_Hung(observer))

    def claim(self, broken: Broken) -> None:
        """Name who answers for the observers hung since the last claim.

        `broken` gets what an observer raised and gives the refusal that ends the stream, or None if
        the stream goes on without that observer.
        """
        for hung in reversed(self._hung):
            if hung.broken is not None:
                break
            hung.broken = broken

    async def batches(self) -> AsyncGenerator[Sequence[Event]]:
        """Give what reaches the client, in the batches in which it arrived; at most once."""
        self.started = True
        try:
            async with aclosing(self._source) as source:
                async for batch in source:
                    passed = self._through(batch) if self._hung else batch
                    self._final = self._final or any(event.final for event in batch)
                    if passed:
                        yield passed
            if rest := self._rest():
                yield rest
            self.outcome = Outcome.COMPLETE
        except Refusal as refusal:
            self.outcome, self.failure, self._final = Outcome.FAILED, refusal, False
            yield [self._told(refusal)]
        except Exception:
            self.outcome, self._final = Outcome.FAILED, False
            raise
        finally:
            if self._final:
                self.outcome = Outcome.COMPLETE
            await self._ended()

    async def aclose(self) -> None:
        """Let go of a stream that nobody began to read."""
        if not self.started:
            self.started = True
            await self._source.aclose()
            await self._ended()

    def _through(self, batch: Sequence[Event], first: int = 0) -> Sequence[Event]:
        for hung in self._hung[first:]:
            if hung.dropped or not batch:
                continue
            try:
                batch = [out for event in batch for out in hung.observer.event(event)]
            except Exception as problem:
                self._drop(hung, problem)
        return batch

    def _rest(self) -> Sequence[Event]:
        """Collect what the observers held back, each through those outside of it."""
        rest: list[Event] = []
        for place, hung in enumerate(self._hung):
            if hung.dropped:
                continue
            try:
                rest.extend(self._through(hung.observer.last(), place + 1))
            except Exception as problem:
                self._drop(hung, problem)
        return rest

    def _told(self, refusal: Refusal) -> Event:
        """Make the error event as every observer lets it through; ours says no more than the refusal."""
        event = sse.error(refusal)
        for hung in self._hung:
            try:
                event = hung.observer.refused(event)
            except Exception:
                event = sse.encode(refusal.shape())
        return event

    def _drop(self, hung: _Hung, problem: Exception) -> None:
        hung.dropped = True
        if refusal := hung.answer_for(problem):
            raise refusal

    async def _ended(self) -> None:
        """Tell every observer; what one raises, a cancellation too, must not keep it from the next."""
        raised: BaseException | None = None
        for hung in self._hung:
            try:
                await hung.tell(self.outcome)
            except (Exception, CancelledError) as problem:
                raised = raised or problem
        if raised is not None:
            raise raised


@dataclass(slots=True)
class Reply:
    """Status, headers, and either a body or a stream."""

    status: int
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)
    body: bytes = b""
    stream: Stream | None = None

    def observed_by(self, observer: Observer) -> "Reply":
        """Hang an observer on the stream; a plain body has no events to observe."""
        if self.stream is not None:
            self.stream.observe(observer)
        return self

    async def aclose(self) -> None:
        """Let go of a stream that nobody began to read."""
        if self.stream is not None:
            await self.stream.aclose()


def refused(refusal: Refusal) -> Reply:
    """Make the answer that a refusal stands for."""
    headers = CIMultiDict(refusal.headers)
    headers["content-type"] = "application/json"
    return Reply(refusal.status, headers, refusal.body())
