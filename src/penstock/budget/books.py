"""Books: what is under way is renewed, what has ended is settled, behind the answers."""

import asyncio
import contextlib
import logging
from asyncio import Task
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from penstock.clock import Clock
from penstock.errors import StoreUnavailable
from penstock.stores.ledger import Ledger, Line, Settled

log = logging.getLogger("penstock.budget")
_AGAIN_S: Final = 0.25
_LONGEST_AGAIN_S: Final = 5.0
_CLOSING_S: Final = 10.0
_LOOK_S: Final = 0.5
_RENEWALS: Final = 4  # within a reservation's life, so that one or two may fail

Charges = Sequence[tuple[Line, int]]
OnSettled = Callable[[Settled], None]
First = Callable[[Charges], Awaitable[Charges]]


class Books:
    """Keeps the reservations of this process. A settlement that the store can't take is tried again.

    `lasts_s` is how long a reservation outlives this process.
    """

    def __init__(self, ledger: Ledger, clock: Clock, lasts_s: float) -> None:
        self._ledger = ledger
        self._clock = clock
        self.lasts_s = lasts_s
        self._held: defaultdict[str, set[str]] = defaultdict(set)
        self._settling: set[Task[None]] = set()
        self._renewing = asyncio.get_running_loop().create_task(self._renew())

    def hold(self, tenant: str, reservation: str) -> None:
        """Keep a reservation alive from now on."""
        self._held[tenant].add(reservation)

    def settle(
        self,
        tenant: str,
        reservation: str,
        charges: Charges,
        then: OnSettled | None = None,
        first: First | None = None,
    ) -> None:
        """Charge this, or what `first` makes of it, and let go, soon."""
        self._held[tenant].discard(reservation)
        settling = self._settle(tenant, reservation, charges, then, first)
        task = Task(settling, loop=asyncio.get_running_loop(), eager_start=True)
        if not task.done():  # a lease settles at once
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)

    async def let_go(self, tenant: str, reservation: str) -> None:
        """Let go without a charge, and return when it is done. Raises StoreUnavailable."""
        self._held[tenant].discard(reservation)
        try:
            await self._ledger.settle(tenant, reservation, [], now=self._clock.now())
        except (StoreUnavailable, asyncio.CancelledError):
            self.settle(tenant, reservation, [])  # it may be held all the same
            raise

    async def close(self) -> None:
        """Wait for the settlements, though not for ever: what is left then expires into a charge."""
        self._renewing.cancel()
        if self._settling:
            _, late = await asyncio.wait(self._settling, timeout=_CLOSING_S)
            for task in late:
                task.cancel()

    async def _settle(
        self,
        tenant: str,
        reservation: str,
        charges: Charges,
        then: OnSettled | None,
        first: First | None,
    ) -> None:
        if first is not None:
            with contextlib.suppress(StoreUnavailable):  # then all of it stays as it was
                charges = await first(charges)
        wait_s = _AGAIN_S
        while True:
            try:
                settled = await self._ledger.settle(tenant, reservation, charges, now=self._clock.now())
            except StoreUnavailable:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_AGAIN_S)
                continue
            except ValueError:
                log.exception("a settlement of %s can't be written; its reservation is charged", tenant)
                return
            if settled is not None and then is not None:
                then(settled)
            return

    async def _renew(self) -> None:
        renewed = 0.0
        while True:
            await asyncio.sleep(_LOOK_S)  # not the whole time between two renewals: a policy may shorten it
            if self._clock.monotonic() - renewed < self.lasts_s / _RENEWALS:
                continue
            renewed = self._clock.monotonic()
            for tenant, held in list(self._held.items()):
                if not held:
                    del self._held[tenant]
                    continue
                now = self._clock.now()
                with contextlib.suppress(StoreUnavailable):
                    await self._ledger.renew(tenant, list(held), now=now, expires_at=now + self.lasts_s)
