"""Splitting: the projects and users that shared a call pay for it in equal parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from penstock.budget.limits import METERED, Applied
from penstock.budget.reserve import Till
from penstock.budget.told import Stand
from penstock.exchange import Exchange
from penstock.stores.ledger import Line


@dataclass(frozen=True, slots=True)
class Split:
    """Takes from each sharer its part, so far as its limits have room; the rest stays with the leader.

    `limits_for` gives the limits that an exchange stands under.
    """

    till: Till
    limits_for: Callable[[Exchange], Sequence[Applied]]

    async def parts(
        self, sharers: Sequence[Exchange], stands: Sequence[Stand], charges: Sequence[int]
    ) -> Sequence[int]:
        """Give what remains of the leader's charges; its tenant's stay whole. Raises StoreUnavailable."""
        remains = list(charges)
        whole = {
            stand.limit.unit: charge
            for stand, charge in zip(stands, charges, strict=True)
            if stand.limit.unit in METERED
        }
        for sharer in sharers:
            part = {unit: charge // (1 + len(sharers)) for unit, charge in whole.items()}
            paid = await self._take(sharer, part)
            for place, stand in enumerate(stands):
                unit, kind = stand.limit.unit, _kind(stand.limit)
                if kind != "tenant" and unit in part:
                    remains[place] -= paid.get((kind, unit), part[unit])
        return remains

    async def _take(self, sharer: Exchange, part: dict[str, int]) -> dict[tuple[str, str], int]:
        """Charge a sharer's own scopes; give what each kind of scope could pay of each unit."""
        till, now = self.till, self.till.clock.now()
        limits = [
            limit for limit in self.limits_for(sharer) if limit.scope != "tenant" and limit.unit in part
        ]
        lines = [
            (
                Line(
                    limit.account(till.periods.at(limit.window, now, till.zone)),
                    limit.amount,
                    part[limit.unit],
                    warn_from=limit.warn_from(till.policy.warn_at),
                ),
                part[limit.unit],
            )
            for limit in limits
        ]
        taken = await till.ledger.take(till.tenant, lines, now=now) if lines else ()
        paid: dict[tuple[str, str], int] = {}
        for limit, amount in zip(limits, taken, strict=True):
            key = _kind(limit), limit.unit
            paid[key] = min(paid.get(key, amount), amount)
        return paid


def _kind(limit: Applied) -> str:
    return limit.scope.partition(":")[0]
