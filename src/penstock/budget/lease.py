"""Leases: a ledger that spends slices of accounts without a round trip, around one that processes share.

What the store holds for a slice no other process can hold or spend. So all that the store's ledger
guarantees holds over all processes together; one that dies leaves slices, which expire into charges.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from penstock.budget.holds import Charges, Hold, Parts, let_go
from penstock.budget.policy import Leases
from penstock.budget.slices import Lease, bare
from penstock.budget.upkeep import OnWarned, Upkeep
from penstock.clock import Clock
from penstock.stores.ledger import Account, Denial, Grant, Ledger, Line, Settled, Standing, check_amounts


@dataclass(frozen=True, slots=True)
class _Asked:
    """What `reserve` was asked."""

    tenant: str
    reservation: str
    lines: Sequence[Line]
    tokens: int
    least: int
    now: float
    expires_at: float


class LeasedLedger:
    """A `Ledger` around another. Without `configure`, or with leases disabled, it only passes on.

    `warned` is called where a slice's settlement makes an account's warning due. A reservation in a slice
    lives as long as this process; it needs no renewal. `close` settles all slices and leaves the ledger open.
    """

    def __init__(self, ledger: Ledger, clock: Clock, warned: OnWarned) -> None:
        self._ledger = ledger
        self._clock = clock
        self._upkeep = Upkeep(ledger, clock, warned)
        self._leases = self._upkeep.leases
        self._holds: dict[tuple[str, str], Hold] = {}

    def configure(self, leases: Leases, lasts_s: float, store_gone: str) -> None:
        """Take new terms: how slices are taken, and how long they outlive this process.

        `store_gone` is `refuse` where a store that does not answer is asked for every request, so that
        its failure is every request's failure, or `allow_within_lease`.
        """
        self._upkeep.configure(leases, lasts_s, store_gone)

    async def tend(self) -> None:
        """Look after the slices once; while there are any, that happens by itself all the time."""
        await self._upkeep.tend()

    async def reserve(
        self,
        tenant: str,
        reservation: str,
        lines: Sequence[Line],
        *,
        tokens: int,
        least: int,
        now: float,
        expires_at: float,
    ) -> Grant | Denial:
        """Hold every line or none; without suspending where slices have the room. See `Ledger`."""
        check_amounts(tokens, least)
        if (parts := self._hold_all(tenant, lines, tokens)) is not None:
            hold = self._holds.get((tenant, reservation))
            if hold is None:
                self._holds[tenant, reservation] = Hold(parts)
            else:
                hold.parts += parts
            return Grant(tokens, tuple([lease.standing() for lease, _ in parts]))
        asked = _Asked(tenant, reservation, lines, tokens, least, now, expires_at)
        if self._upkeep.terms.enabled:
            return await self._reserve(asked)
        return await self._ask_store(asked, lines)

    async def settle(
        self, tenant: str, reservation: str, lines: Sequence[tuple[Line, int]], *, now: float
    ) -> Settled | None:
        """Let go, and charge; without suspending what is held in slices alone. See `Ledger`."""
        check_amounts(*[amount for _, amount in lines])
        hold = self._holds.get((tenant, reservation))
        if hold is None:
            return await self._upkeep.hear(self._ledger.settle(tenant, reservation, lines, now=now))
        leases = self._payers(tenant, lines)
        if hold.stored or hold.unsure or leases is None:
            return await self._settle_stored(tenant, reservation, hold, lines, now)
        del self._holds[tenant, reservation]
        let_go(hold.parts)
        for lease, (_, amount) in zip(leases, lines, strict=True):
            lease.spend(amount)
        return Settled(tuple([lease.standing() for lease in leases]))

    async def take(self, tenant: str, lines: Sequence[tuple[Line, int]], *, now: float) -> tuple[int, ...]:
        """Charge what fits; see `Ledger`."""
        check_amounts(*(amount for _, amount in lines))
        if parts := self._hold_each(tenant, lines):
            let_go(parts)
            for lease, amount in parts:
                lease.spend(amount)
            return tuple(amount for _, amount in lines)
        await self._flush(tenant, [line.account for line, _ in lines])
        return await self._upkeep.hear(self._ledger.take(tenant, lines, now=now))

    async def renew(self, tenant: str, reservations: Sequence[str], *, now: float, expires_at: float) -> int:
        """Let reservations live on; those in slices do anyway. See `Ledger`."""
        names = set(reservations)
        stored = [name for name in names if self._is_stored(tenant, name)]
        there = len(names) - len(stored)
        if stored:
            renewing = self._ledger.renew(tenant, stored, now=now, expires_at=expires_at)
            there += await self._upkeep.hear(renewing)
        return there

    async def read(self, tenant: str, accounts: Sequence[Account], *, now: float) -> tuple[Standing, ...]:
        """Give the accounts, with what this process has spent of them; see `Ledger`."""
        await self._flush(tenant, accounts)
        standings = await self._upkeep.hear(self._ledger.read(tenant, accounts, now=now))
        return self._seen(tenant, [account.name for account in accounts], standings)

    async def reset(self, tenant: str, accounts: Sequence[Account], *, now: float) -> None:
        """Set used back to zero; see `Ledger`. What other processes have yet to settle is charged then."""
        await self._flush(tenant, accounts)
        await self._upkeep.hear(self._ledger.reset(tenant, accounts, now=now))
        for account in accounts:
            if (lease := self._leases.get((tenant, account.name))) is not None:
                lease.forgive()

    async def held(self, tenant: str, *, now: float) -> int:
        """Count the reservations under way, other processes' slices as one each; see `Ledger`."""
        leases = [lease for (whose, _), lease in self._leases.items() if whose == tenant]
        await self._upkeep.give_back(leases)
        there = await self._upkeep.hear(self._ledger.held(tenant, now=now))
        slices = sum(lease.slice is not None for lease in leases)
        local = sum(whose == tenant and not hold.stored for (whose, _), hold in self._holds.items())
        return max(0, there - slices) + local

    async def close(self) -> None:
        """Settle all slices."""
        await self._upkeep.close()
        self._holds.clear()

    def _hold_all(self, tenant: str, lines: Iterable[Line], tokens: int) -> Parts | None:
        """Hold all lines in slices, or give None."""
        return self._hold_each(tenant, [(line, line.amount(tokens)) for line in lines])

    def _hold_each(self, tenant: str, lines: Iterable[tuple[Line, int]]) -> Parts | None:
        upkeep, leases = self._upkeep, self._leases
        moment = self._clock.monotonic()
        if not upkeep.terms.enabled or not upkeep.trusts(moment):
            return None
        parts: Parts = []
        for line, amount in lines:
            lease = leases.get((tenant, line.account.name))
            if lease is None or (free := lease.hold(line, amount, moment)) < 0:
                let_go(parts)
                return None
            parts.append((lease, amount))
            if free < lease.low:
                upkeep.replace_soon(lease)
        return parts

    async def _reserve(self, asked: _Asked) -> Grant | Denial:
        """Hold in slices what they have room for, and the rest in the store.

        Where the store has too little, what this process has in hand goes back first, and all is asked again.
        """
        lines, moment = asked.lines, self._clock.monotonic()
        leases = [self._upkeep.lease(asked.tenant, line) for line in lines]
        for line, lease in zip(lines, leases, strict=True):
            lease.ask(line, line.amount(asked.tokens), moment, self._upkeep.terms.idle_s)
        topping_up = (asked.tenant, asked.reservation) in self._holds
        answer = await self._reserve_rest(asked, leases)
        if isinstance(answer, Denial):
            if await self._upkeep.give_back([leases[at] for at in answer.lines]):
                answer = await self._reserve_rest(asked, leases)
        elif answer.tokens < asked.tokens and not topping_up and any(lease.loose for lease in leases):
            await self.settle(asked.tenant, asked.reservation, (), now=asked.now)
            await self._upkeep.give_back(leases)
            answer = await self._reserve_rest(asked, leases)
        for lease in leases:
            self._upkeep.consider(lease)
        return answer

    async def _reserve_rest(self, asked: _Asked, leases: Sequence[Lease]) -> Grant | Denial:
        moment = self._clock.monotonic()
        trusted = self._upkeep.trusts(moment)
        parts: Parts = []
        local: list[Line] = []
        rest: list[int] = []
        for at, (line, lease) in enumerate(zip(asked.lines, leases, strict=True)):
            amount = line.amount(asked.tokens)
            if trusted and lease.hold(line, amount, moment) >= 0:
                parts.append((lease, amount))
                local.append(line)
            else:
                rest.append(at)
        try:
            answer = await self._ask_store(asked, [asked.lines[at] for at in rest])
        finally:
            let_go(parts)
        for at, standing in zip(rest, answer.standings, strict=True):
            leases[at].see(standing)
        if isinstance(answer, Grant):  # of fewer tokens, perhaps
            kept = [
                (lease, line.amount(answer.tokens)) for (lease, _), line in zip(parts, local, strict=True)
            ]
            for lease, amount in kept:
                lease.held += amount
            self._holds[asked.tenant, asked.reservation].parts += kept
        standings = tuple([lease.standing() for lease in leases])
        if isinstance(answer, Denial):
            return Denial(tuple(rest[at] for at in answer.lines), standings)
        return Grant(answer.tokens, standings)

    async def _ask_store(self, asked: _Asked, lines: Sequence[Line]) -> Grant | Denial:
        """Reserve in the store, and know afterwards whether it holds something, whatever happened."""
        key = asked.tenant, asked.reservation
        known = self._holds.get(key)
        hold = self._holds[key] = known or Hold(stored=True)
        was_unsure, hold.unsure = hold.unsure, not hold.stored
        asking = self._ledger.reserve(
            asked.tenant,
            asked.reservation,
            lines,
            tokens=asked.tokens,
            least=asked.least,
            now=asked.now,
            expires_at=asked.expires_at,
        )
        answer = await self._upkeep.hear(asking)
        if isinstance(answer, Grant):
            hold.stored, hold.unsure = True, False
        else:
            hold.unsure = was_unsure
            if known is None:
                del self._holds[key]
        return answer

    async def _settle_stored(
        self, tenant: str, reservation: str, hold: Hold, charges: Charges, now: float
    ) -> Settled | None:
        """Charge slices what they held for it, and the store the rest; that may take more than one try."""
        rest = hold.spend(charges)
        if not hold.stored:
            nothing = [bare(line) for line, _ in charges]  # so that there surely is something to settle
            times = {"now": now, "expires_at": now + self._upkeep.lasts_s}
            making = self._ledger.reserve(tenant, reservation, nothing, tokens=0, least=0, **times)
            await self._upkeep.hear(making)
            hold.stored, hold.unsure = True, False
        settled = await self._upkeep.hear(self._ledger.settle(tenant, reservation, rest, now=now))
        self._holds.pop((tenant, reservation), None)
        if settled is None:
            return None
        names = [line.account.name for line, _ in charges]
        return Settled(self._seen(tenant, names, settled.standings), settled.warned)

    def _payers(self, tenant: str, charges: Charges) -> list[Lease] | None:
        """Give the leases to charge, or None where one has no slice."""
        leases = []
        for line, amount in charges:
            lease = self._leases.get((tenant, line.account.name))
            if lease is None or (amount and lease.slice is None):
                return None
            leases.append(lease)
        return leases

    def _is_stored(self, tenant: str, reservation: str) -> bool:
        hold = self._holds.get((tenant, reservation))
        return hold is None or hold.stored or hold.unsure

    def _seen(self, tenant: str, names: Sequence[str], standings: Sequence[Standing]) -> tuple[Standing, ...]:
        leases = [self._leases.get((tenant, name)) for name in names]
        return tuple(
            lease.see(standing) if lease else standing
            for lease, standing in zip(leases, standings, strict=True)
        )

    async def _flush(self, tenant: str, accounts: Iterable[Account]) -> None:
        """Let the store know what was spent of these accounts."""
        known = (self._leases.get((tenant, account.name)) for account in accounts)
        await self._upkeep.give_back([lease for lease in known if lease is not None])
