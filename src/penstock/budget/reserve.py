"""Reserving: what a request needs is held, after a more exact count where the first bound is too much."""

import itertools
import secrets
from asyncio import CancelledError
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

import msgspec

from penstock.budget.books import Books
from penstock.budget.limits import Applied
from penstock.budget.need import Need
from penstock.budget.policy import BudgetPolicy
from penstock.budget.told import Stand
from penstock.budget.window import Periods
from penstock.clock import Clock
from penstock.errors import StoreUnavailable
from penstock.stores.ledger import Denial, Grant, Ledger, Line

_PROCESS: Final = secrets.token_hex(8)
_numbers: Final = itertools.count()


class Reserved(msgspec.Struct, frozen=True):
    """One reserve and what the ledger said to it."""

    need: Need
    lines: Sequence[Line]
    reservation: str
    least: int
    answer: Grant | Denial
    stands: Sequence[Stand]

    @property
    def short(self) -> bool:
        """Whether less was granted than wanted."""
        return isinstance(self.answer, Denial) or self.answer.tokens < self.need.output_tokens

    @property
    def denied(self) -> Sequence[Stand]:
        """The limits that have no room."""
        return [self.stands[place] for place in self.answer.lines] if isinstance(self.answer, Denial) else []

    @property
    def waits(self) -> bool:
        """Whether only what others hold is in the way, which they may give back in a moment."""
        return isinstance(self.answer, Denial) and all(
            self.stands[place].standing.used + self.lines[place].amount(self.least) <= self.lines[place].limit
            for place in self.answer.lines
        )

    @property
    def share(self) -> float:
        """How far the most used budget is used."""
        return max((stand.share for stand in self.stands if not stand.limit.rate), default=0.0)


@dataclass(frozen=True, slots=True)
class Till:
    """Where one tenant's reservations are made."""

    ledger: Ledger
    books: Books
    periods: Periods
    policy: BudgetPolicy
    tenant: str
    zone: tzinfo
    clock: Clock

    async def ask(self, need: Need, limits: Sequence[Applied]) -> Reserved:
        """Reserve as much of a need as there is. Raises StoreUnavailable."""
        asked = await self._once(need, limits)
        if asked.short and (counted := need.counted()) is not None:
            await self.give_back(asked)  # first, or it would stand in its own way
            asked = await self._once(counted, limits)
        return asked

    async def give_back(self, asked: Reserved) -> None:
        """Let go of what was granted, and return when it is free. Raises StoreUnavailable."""
        if isinstance(asked.answer, Grant):
            await self.books.let_go(self.tenant, asked.reservation)

    async def top_up(self, reservation: str, need: Need, limits: Sequence[Applied]) -> Reserved:
        """Add all of a need to a reservation, or nothing. Raises StoreUnavailable."""
        return await self._reserve(reservation, need, limits, least=need.output_tokens)

    async def _once(self, need: Need, limits: Sequence[Applied]) -> Reserved:
        reservation = f"{_PROCESS}-{next(_numbers)}"
        least = min(need.output_tokens, self.policy.least_output_tokens)
        try:
            reserved = await self._reserve(reservation, need, limits, least)
        except (StoreUnavailable, CancelledError):
            self.books.settle(self.tenant, reservation, [])  # it may have been held all the same
            raise
        if isinstance(reserved.answer, Grant):
            self.books.hold(self.tenant, reservation)
        return reserved

    async def _reserve(self, reservation: str, need: Need, limits: Sequence[Applied], least: int) -> Reserved:
        now = self.clock.now()
        periods = [self.periods.at(limit.window, now, self.zone) for limit in limits]
        pairs = list(zip(limits, periods, strict=True))
        lines = [need.line(limit, period, self.policy.warn_at) for limit, period in pairs]
        answer = await self.ledger.reserve(
            self.tenant,
            reservation,
            lines,
            tokens=need.output_tokens,
            least=least,
            now=now,
            expires_at=now + self.policy.reservation_s,
        )
        stands = [
            Stand(limit, period, standing)
            for (limit, period), standing in zip(pairs, answer.standings, strict=True)
        ]
        return Reserved(need, lines, reservation, least, answer, stands)
