"""Desk: remembers decisions, and hands what is said of them to arms and to whoever learns."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from penstock.clock import Clock
from penstock.errors import StoreUnavailable
from penstock.exchange import Exchange
from penstock.feedback.decided import Decided, InArm, Notebook
from penstock.feedback.outcome import lesson
from penstock.feedback.policy import Sign
from penstock.feedback.proxies import Threads
from penstock.openai.request import Request
from penstock.routing.outcomes import Outcomes

log = logging.getLogger("penstock.feedback")
_WRITE_S: Final = 1.0


class Experiments(Protocol):
    """What this room asks of experiments, and what it tells them."""

    def thread(self, exchange: Exchange, request: Request) -> bytes | None:
        """Give the hash of a request's thread; None where it does not say."""

    def known(self, exchange: Exchange, request: Request) -> bool:
        """Say whether somebody told whose request it is."""

    def cost_usd(self, exchange: Exchange) -> float | None:
        """Give what all calls of an exchange cost; None where that is unknown."""

    def arms(self, exchange: Exchange, request: Request) -> Sequence[InArm]:
        """Give the arms that count an exchange."""

    def rated(self, arms: Sequence[InArm], score: float) -> None:
        """Count a client's own score, from 0 to 1."""

    def unhappy(self, arms: Sequence[InArm], weight: float) -> None:
        """Add a sign of dissatisfaction."""

    async def flush(self) -> None:
        """Write what was counted. Raises StoreUnavailable; nothing is lost by that."""


class Desk:
    """Takes ratings and signs; writes behind, from `start` to `stop`, what must outlive the process."""

    def __init__(
        self, notebook: Notebook, outcomes: Outcomes, experiments: Experiments, clock: Clock
    ) -> None:
        self.notebook = notebook
        self.outcomes = outcomes
        self.experiments = experiments
        self.threads = Threads()
        self._clock = clock
        self._being_rated: set[tuple[str, str]] = set()
        self._writing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write behind."""
        self._writing = asyncio.get_running_loop().create_task(self._write(), name="feedback")

    async def stop(self) -> None:
        """Write what still waits."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        await self.flush()
        await self.outcomes.stop()

    async def take(self, tenant: str, request_id: str, score: float, remember_s: float) -> bool:
        """Join a score to its decision, False if there is none; only the first one counts.

        Raises StoreUnavailable.
        """
        at = tenant, request_id
        if at in self._being_rated:
            return True
        self._being_rated.add(at)
        try:
            decided = await self.notebook.find(*at)
            if decided is not None and not decided.rated:
                left_s = remember_s - (self._clock.now() - decided.at)
                rated = msgspec.structs.replace(decided, rated=True)
                await self.notebook.replace(request_id, rated, max(1.0, left_s))
                self.experiments.rated(decided.arms, score)
                self._teach(decided, score, 1.0)
            return decided is not None
        finally:
            self._being_rated.discard(at)

    def seen(self, decided: Decided, found: Sign, weight: float) -> None:
        """Hand a sign to whoever learns from it; an escalation is about the model that answered first."""
        score = 1.0 if found == "went_on" else 0.0
        self._teach(decided, score, weight, first=found == "escalated")

    async def flush(self) -> None:
        """Write what waits; what the store does not take now waits on."""
        with suppress(StoreUnavailable):
            await self.notebook.flush()
        with suppress(StoreUnavailable):
            await self.experiments.flush()

    def _teach(self, decided: Decided, score: float, weight: float, *, first: bool = False) -> None:
        told = lesson(decided, score, weight, first=first)
        if told is not None:
            self.outcomes.put(told)

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(_WRITE_S)
            try:
                await self.flush()
            except Exception as problem:
                log.error("what is learned can't be written: %s", type(problem).__name__)
