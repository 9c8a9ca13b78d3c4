"""Upkeep: slices are taken before they are needed, kept alive, replaced while young, and given back."""

import asyncio
import contextlib
import logging
import math
import secrets
from asyncio import Task
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final

from penstock.budget.policy import Leases
from penstock.budget.slices import Lease, Slice, bare
from penstock.clock import Clock
from penstock.errors import StoreUnavailable
from penstock.stores.ledger import Denial, Ledger, Line, Settled, Standing

log = logging.getLogger("penstock.budget")
_BEAT_S: Final = 0.2
_QUIET_S: Final = 0.15
"""After so long without an answer the store is asked for one, while there are slices."""
_TRUSTED_S: Final = 0.5
"""For so long after its last answer the store is taken to be there."""
_OLD_S: Final = 2.0
"""After so long a slice is settled, so that others see what was spent of it."""
_HOT: Final = 3
"""So many requests, with less than `idle_s` between them, make an account one to take slices of."""
_AGAIN_S: Final = 0.25
_LONGEST_AGAIN_S: Final = 5.0
_CLOSING_S: Final = 10.0

OnWarned = Callable[[str, Line, Standing], None]
"""Is told the tenant, a line of the account, and its standing."""


class Upkeep:
    """All leases of this process. Each has one errand at a time, in a task that no request can cancel."""

    def __init__(self, ledger: Ledger, clock: Clock, warned: OnWarned) -> None:
        self.ledger = ledger
        self.clock = clock
        self.leases: dict[tuple[str, str], Lease] = {}
        self.terms = Leases()
        self.lasts_s = 60.0
        self._warned = warned
        self._refuses = True
        self._gone = False
        self._heard_at = -math.inf
        self._trusted_until = -math.inf
        self._errands: set[Task[None]] = set()
        self._tending: Task[None] | None = None

    def configure(self, terms: Leases, lasts_s: float, store_gone: str) -> None:
        """Take new terms; the slices of the old ones go back."""
        self.terms, self.lasts_s = terms, lasts_s
        self._refuses = store_gone == "refuse"
        self._trusted_until = -math.inf if self._refuses else math.inf
        for lease in self.leases.values():
            self._send(self._give_back(lease))

    async def hear[Answer](self, asked: Awaitable[Answer]) -> Answer:
        """Await the store, and note whether it is there."""
        try:
            answer = await asked
        except StoreUnavailable:
            self._gone = True
            if self._refuses:
                self._trusted_until = -math.inf
            raise
        self._gone = False
        self._heard_at = self.clock.monotonic()
        if self._refuses:
            self._trusted_until = self._heard_at + _TRUSTED_S
        return answer

    def trusts(self, moment: float) -> bool:
        """Whether slices may be spent from: the store is there, or need not be."""
        return moment <= self._trusted_until

    def lease(self, tenant: str, line: Line) -> Lease:
        """Give the lease of a line's account, made if there is none."""
        key = tenant, line.account.name
        if (lease := self.leases.get(key)) is None:
            lease = self.leases[key] = Lease(tenant, bare(line))
            if self._tending is None or self._tending.done():
                self._tending = asyncio.get_running_loop().create_task(self._tend())
        return lease

    def consider(self, lease: Lease) -> None:
        """Take a slice soon, if enough requests ask the store for it; one of another limit goes back."""
        if lease.slice is not None and lease.slice.limit != lease.line.limit:
            self._send_unless_busy(lease, self._give_back)
        elif lease.asks >= _HOT and lease.free <= max(lease.low, 0):
            self.replace_soon(lease)

    def replace_soon(self, lease: Lease) -> None:
        """Take the next slice before this one is empty."""
        self._send_unless_busy(lease, self._replace)

    async def give_back(self, leases: Iterable[Lease]) -> bool:
        """Give back what these hold and nobody needs; False where that is nothing."""
        errands = [
            self._send(self._give_back(lease)) for lease in leases if lease.loose or lease.lock.locked()
        ]
        if errands:
            await asyncio.wait(errands)
        return bool(errands)

    async def tend(self) -> None:
        """Renew what is due; then give back what is idle, and replace what is old, if the store is there."""
        moment = self.clock.monotonic()
        with contextlib.suppress(StoreUnavailable):
            await self._renew(moment)
        for key, lease in list(self.leases.items()):
            idle = moment - lease.touched_at >= self.terms.idle_s
            if lease.slice is None:
                if idle and not lease.held and not lease.owed_size and not lease.lock.locked():
                    del self.leases[key]
            elif not self._gone and lease.loose and (idle or moment - lease.slice.taken_at >= _OLD_S):
                self._send_unless_busy(lease, self._give_back if idle else self._replace)

    async def close(self) -> None:
        """Settle all slices, though not for ever: what is left then expires into a charge."""
        self.terms = Leases(enabled=False)
        if self._tending is not None:
            self._tending.cancel()
        for lease in self.leases.values():
            self._send(self._end(lease))
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + _CLOSING_S
        while self._errands and (left_s := ends_at - loop.time()) > 0:  # errands may send others
            await asyncio.wait(set(self._errands), timeout=left_s)
        for late in self._errands:
            late.cancel()
        self.leases.clear()

    def _send(self, errand: Coroutine[Any, Any, None]) -> Task[None]:
        task = asyncio.get_running_loop().create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)
        return task

    def _send_unless_busy(self, lease: Lease, errand: Callable[[Lease], Coroutine[Any, Any, None]]) -> None:
        moment = self.clock.monotonic()
        if moment >= lease.quiet_until and not lease.lock.locked():
            lease.quiet_until = moment + _AGAIN_S  # however it ends
            self._send(errand(lease))

    async def _replace(self, lease: Lease) -> None:
        async with lease.lock:
            if self.leases.get((lease.tenant, lease.line.account.name)) is not lease:
                return  # forgotten meanwhile: nobody would look after the slice
            spare = lease.spare(self.terms) if self.terms.enabled else 0
            if spare and await self._move(lease, spare):
                return
            if lease.slice is not None and self.clock.monotonic() - lease.slice.taken_at >= _OLD_S:
                await self._shrink(lease)

    async def _give_back(self, lease: Lease) -> None:
        async with lease.lock:
            await self._shrink(lease)

    async def _shrink(self, lease: Lease) -> None:
        """Keep no more than what is held. Without the room to hold that twice for a moment, all stays."""
        if lease.held and lease.loose:
            lease.shut = True
            try:
                await self._move(lease, 0)
            finally:
                lease.shut = False
        elif not lease.held and (its := lease.end()) is not None:
            await self._settle(lease, its, its.spent)

    async def _end(self, lease: Lease) -> None:
        """Settle as a crash would, but for what is free: whoever still holds something may yet cost it."""
        async with lease.lock:
            due = lease.held if lease.line.charged_on_expiry else 0
            if (its := lease.end()) is not None:
                await self._settle(lease, its, its.spent + due)

    async def _move(self, lease: Lease, spare: int) -> bool:
        """Hold what is held and so much more anew, then settle the old slice; False where nothing changed.

        In this order, so that what is held for calls is held in the store at any moment.
        """
        began, now = self.clock.monotonic(), self.clock.now()
        new = Slice(
            secrets.token_hex(12),
            lease.line.limit,
            lease.held + spare,
            taken_at=began,
            good_until=began + self.lasts_s * 3 / 4,  # clocks may differ
        )
        line, expires_at = bare(lease.line, new.size), now + self.lasts_s
        asked = self.ledger.reserve(
            lease.tenant, new.reservation, (line,), tokens=0, least=0, now=now, expires_at=expires_at
        )
        try:
            answer = await self.hear(asked)
        except StoreUnavailable:
            self._send(self._settle_late(lease, new, None))  # it may have been held all the same
            return False
        if isinstance(answer, Denial):
            lease.see(answer.standings[0])
            return False
        if lease.held > new.size:  # more calls began meanwhile
            await self._settle(lease, new, None)
            return False
        old = lease.begin(new)
        lease.see(answer.standings[0])
        if old is not None:
            await self._settle(lease, old, old.spent)
        return True

    async def _settle(self, lease: Lease, its: Slice, charge: int | None) -> None:
        if not await self._try_settle(lease, its, charge):
            self._send(self._settle_late(lease, its, charge))

    async def _settle_late(self, lease: Lease, its: Slice, charge: int | None) -> None:
        wait_s = _AGAIN_S
        while not await self._try_settle(lease, its, charge):
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_AGAIN_S)

    async def _try_settle(self, lease: Lease, its: Slice, charge: int | None) -> bool:
        """Charge what was spent; a slice that was never used, with None, is only let go. False: try again."""
        charges = () if charge is None else ((lease.line, charge),)
        settling = self.ledger.settle(lease.tenant, its.reservation, charges, now=self.clock.now())
        settled: Settled | None = None
        try:
            settled = await self.hear(settling)
        except StoreUnavailable:
            return False
        except ValueError:
            log.exception("a slice of %s can't be settled; all of it is charged", lease.tenant)
        if charge is not None:
            lease.settled(its)
            if settled is not None:
                lease.see(settled.standings[0])
                if settled.warned:
                    self._warned(lease.tenant, lease.line, settled.standings[0])
        return True

    async def _tend(self) -> None:
        while self.leases:
            await asyncio.sleep(_BEAT_S)
            try:
                await self.tend()
            except Exception:
                log.exception("slices could not be looked after")  # the next look may go better

    async def _renew(self, moment: float) -> None:
        """Renew what has lived a quarter of its life; or else, if the store is quiet, one tenant's slices."""
        tenants: defaultdict[str, list[Slice]] = defaultdict(list)
        for lease in self.leases.values():
            if lease.slice is not None:
                tenants[lease.tenant].append(lease.slice)
        soonest = {tenant: min(its.good_until for its in slices) for tenant, slices in tenants.items()}
        due = {tenant for tenant, ends in soonest.items() if ends - moment <= self.lasts_s / 2}
        if soonest and not due and moment - self._heard_at >= _QUIET_S:
            due = {min(soonest, key=lambda tenant: soonest[tenant])}
        for tenant in due:
            began, now = self.clock.monotonic(), self.clock.now()
            names = [its.reservation for its in tenants[tenant]]
            renewing = self.ledger.renew(tenant, names, now=now, expires_at=now + self.lasts_s)
            if await self.hear(renewing) == len(names):
                for its in tenants[tenant]:
                    its.good_until = began + self.lasts_s * 3 / 4
