"""Slices: the parts of accounts that this process holds, and what of them is spent."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from penstock.budget.policy import Leases
from penstock.stores.ledger import Line, Standing

_TIMES: Final = 8
"""A slice is worth its round trips only if it has room for so many requests; below that all is exact."""
_LENT_SHARE: Final = 0.125
_LENT_TIMES: Final = 4
"""What is only lent, such as a concurrent stream, comes back soon: more of it may be out at a time."""


@dataclass(slots=True)
class Slice:
    """An amount of one account, held in the store in a reservation of its own. Times are monotonic."""

    reservation: str
    limit: int
    size: int
    taken_at: float
    good_until: float
    spent: int = 0


@dataclass(slots=True, eq=False)
class Lease:
    """One account as this process knows it, and its slice of it.

    `line` needs nothing; it says which account, and its limit. `held` is for calls under way, and is part
    of the slice. `used`, `others` and `expired` are what the store said last, without what is of this
    process; `owed` was spent of slices that are closed and not settled yet.
    """

    tenant: str
    line: Line
    slice: Slice | None = None
    held: int = 0
    used: int = 0
    others: int = 0
    expired: int = 0
    owed: int = 0
    owed_size: int = 0
    asks: int = 0
    need: int = 1
    low: int = -1
    shut: bool = False
    touched_at: float = 0.0
    quiet_until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def free(self) -> int:
        """What the slice has room for."""
        return self.slice.size - self.slice.spent - self.held if self.slice else 0

    @property
    def loose(self) -> bool:
        """Whether the slice is more than what is held for calls, or has something to tell the store."""
        return self.slice is not None and (self.free > 0 or self.slice.spent > 0)

    def hold(self, line: Line, amount: int, moment: float) -> int:
        """Hold an amount of the slice, and give what is free then.

        Below 0, and nothing is held, where the slice is not of this limit, may be dead, or has no room.
        """
        its = self.slice
        if its is None or self.shut or line.limit != its.limit or moment >= its.good_until:
            return -1
        free = its.size - its.spent - self.held - amount
        if free >= 0:
            self.held += amount
            self.touched_at = moment
        return free

    def spend(self, amount: int) -> None:
        """Charge to the slice, more than it has room for if need be."""
        if amount:
            assert self.slice is not None  # noqa: S101 - whoever spends has held, or looked
            self.slice.spent += amount

    def standing(self) -> Standing:
        """Give the account as far as this process knows."""
        spent = self.owed + self.slice.spent if self.slice else self.owed
        return Standing(self.used + spent, self.others + self.held, self.expired)

    def see(self, standing: Standing) -> Standing:
        """Note what the store says, and give it with what this process knows better."""
        mine = self.owed_size + (self.slice.size if self.slice else 0)
        self.used, self.expired = standing.used, standing.expired
        self.others = max(0, standing.reserved - mine)
        return self.standing()

    def ask(self, line: Line, amount: int, moment: float, idle_s: float) -> None:
        """Note that a request asked the store."""
        if moment - self.touched_at > idle_s:
            self.asks = 0
        self.asks += 1
        self.need = max(1, amount, self.need // 2)
        self.touched_at = moment
        if (line.limit, line.warn_from) != (self.line.limit, self.line.warn_from):
            self.line = bare(line)

    def spare(self, leases: Leases) -> int:
        """Give what the next slice may have beside what is held; 0 where so little is not worth it."""
        standing = self.standing()
        left = self.line.limit - standing.used - standing.reserved
        share, times = leases.share, _TIMES
        if not self.line.charged_on_expiry:
            share, times = max(share, _LENT_SHARE), _LENT_TIMES
        spare = int(left * share)
        return spare if spare >= times * self.need else 0

    def begin(self, new: Slice) -> Slice | None:
        """Put a new slice in the place of the old one, and give that; what is held moves over."""
        old, self.slice = self.slice, new
        self.low = (new.size - self.held) // 4
        self.quiet_until = 0.0
        if old is not None:
            self._owe(old)
        return old

    def end(self) -> Slice | None:
        """Close the slice, and give it."""
        old, self.slice = self.slice, None
        self.asks = 0
        if old is not None:
            self._owe(old)
        return old

    def settled(self, its: Slice) -> None:
        """Note that the store knows what was spent of a closed slice."""
        self.owed -= its.spent
        self.owed_size -= its.size

    def forgive(self) -> None:
        """Note that the account was reset."""
        self.used = self.expired = 0
        if self.slice is not None:
            self.slice.spent = 0

    def _owe(self, its: Slice) -> None:
        self.owed += its.spent
        self.owed_size += its.size


def bare(line: Line, amount: int = 0) -> Line:
    """Give the same line for a plain amount."""
    return Line(line.account, line.limit, amount, 0, line.charged_on_expiry, line.warn_from)
