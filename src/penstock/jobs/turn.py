"""Turn: of all processes on one store, one at a time does a job; when it dies, another takes over."""

import secrets
from typing import Final

from penstock.clock import Clock
from penstock.stores.ledger import Account, Grant, Ledger, Line

_TENANT: Final = "_jobs"  # no tenant can be called so
_LASTS_S: Final = 30.0


class Turn:
    """Whose turn a job is. `mine` is asked before each round, at least every ten seconds.

    `number` rises whenever this process gets a turn: what it has read in an earlier one may be stale.
    """

    def __init__(self, ledger: Ledger, clock: Clock, job: str) -> None:
        self._ledger = ledger
        self._clock = clock
        self._line = Line(Account(job, float("inf")), 1, 1, charged_on_expiry=False)
        self._held: str | None = None
        self.number = 0

    async def mine(self) -> bool:
        """Say whether it is this process's turn, which it stays for 30 s. Raises StoreUnavailable."""
        now = self._clock.now()
        expires_at = now + _LASTS_S
        if self._held is not None:
            if await self._ledger.renew(_TENANT, [self._held], now=now, expires_at=expires_at):
                return True
            self._held = None
        reservation = secrets.token_hex(8)
        answer = await self._ledger.reserve(
            _TENANT, reservation, [self._line], tokens=0, least=0, now=now, expires_at=expires_at
        )
        if isinstance(answer, Grant):
            self._held = reservation
            self.number += 1
        return self._held is not None

    async def give_up(self) -> None:
        """Let another process have it at once. Raises StoreUnavailable."""
        if self._held is not None:
            held, self._held = self._held, None
            await self._ledger.settle(_TENANT, held, [], now=self._clock.now())
