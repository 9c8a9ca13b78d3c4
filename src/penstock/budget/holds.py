"""Holds: one reservation of a leased ledger, in slices of this process, in the store, or in both."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from penstock.budget.slices import Lease
from penstock.stores.ledger import Line

Parts = list[tuple[Lease, int]]
Charges = Sequence[tuple[Line, int]]


@dataclass(slots=True)
class Hold:
    """What of a reservation is held in slices, and whether the store holds some of it, too.

    `unsure` says that the store was asked and has not answered. `spent` is what slices were charged while
    the store could not be told the rest.
    """

    parts: Parts = field(default_factory=list)
    stored: bool = False
    unsure: bool = False
    spent: Counter[str] | None = None

    def spend(self, charges: Charges) -> Charges:
        """Charge slices no more than they held, and only once; give what the store has yet to charge."""
        if self.spent is None:
            self.spent = Counter()
        held: Counter[str] = Counter()
        leases = {lease.line.account.name: lease for lease, _ in self.parts}
        for lease, amount in self.parts:
            held[lease.line.account.name] += amount
        let_go(self.parts)
        self.parts = []
        for name, amount in _shared(charges, held):
            leases[name].spend(amount)
            self.spent[name] += amount
        done = Counter(self.spent)
        rest = []
        for line, amount in charges:
            part = min(amount, done[line.account.name])
            done[line.account.name] -= part
            rest.append((line, amount - part))
        return rest


def let_go(parts: Parts) -> None:
    """End what is held in slices."""
    for lease, amount in parts:
        lease.held -= amount


def _shared(charges: Charges, held: Counter[str]) -> list[tuple[str, int]]:
    """Give what of the charges was held, by account."""
    due: Counter[str] = Counter()
    for line, amount in charges:
        due[line.account.name] += amount
    return [(name, min(due[name], held[name])) for name in held if due[name]]
