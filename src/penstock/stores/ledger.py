"""What every ledger can do: hold amounts before a call, and count them after it, exactly."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

PER: Final = 1_000_000
"""Rates are per so many output tokens, so that prices below a micro-dollar per token stay integers."""
MOST: Final = 2**53 - 1
"""No amount, limit, rate or number of tokens may be larger: Redis' scripts count in doubles."""
REMEMBERED_S: Final = 86_400.0
"""For so long a late settlement replaces the charge of an expired reservation."""


class Account(msgspec.Struct, frozen=True):
    """One counter of a tenant: `name` says whose, of what, and in which window.

    `keep_until` is when the counter may be forgotten, in seconds since the epoch.
    """

    name: str
    keep_until: float


class Line(msgspec.Struct, frozen=True):
    """What a call needs of one account, in the account's own unit.

    It needs `fixed`, and `rate` per million output tokens, rounded up. The account's used and reserved
    amounts never exceed `limit` by a reservation. `charged_on_expiry` is False for what ends with the
    process that held it, such as a concurrent stream. From `warn_from` used on, the account is warned of
    once. Raises ValueError for an amount below 0 or above MOST.
    """

    account: Account
    limit: int
    fixed: int
    rate: int = 0
    charged_on_expiry: bool = True
    warn_from: int | None = None

    def __post_init__(self) -> None:
        check_amounts(self.limit, self.fixed, self.rate, self.warn_from or 0)

    def amount(self, tokens: int) -> int:
        """Give what the call needs with so many output tokens."""
        return self.fixed - (-tokens * self.rate // PER)

    def warns(self, used: int) -> bool:
        """Say whether an account that has used so much is one to warn of; one that is unused never is."""
        return self.warn_from is not None and used >= max(1, self.warn_from)


class Standing(msgspec.Struct, frozen=True):
    """An account: what is charged, what is held, and what of the charge is of expired reservations."""

    used: int = 0
    reserved: int = 0
    expired: int = 0


class Grant(msgspec.Struct, frozen=True):
    """All lines hold: for `tokens` output tokens. `standings` are those after it, line by line."""

    tokens: int
    standings: tuple[Standing, ...]


class Denial(msgspec.Struct, frozen=True):
    """Nothing is held: the lines with these indices have no room. `standings` are as they were."""

    lines: tuple[int, ...]
    standings: tuple[Standing, ...]


class Settled(msgspec.Struct, frozen=True):
    """What a settlement left behind; `warned` are the lines whose warning is due now, once per account."""

    standings: tuple[Standing, ...]
    warned: tuple[int, ...] = ()


class Ledger(Protocol):
    """Counters and reservations of tenants. Every method is one atomic round trip.

    Each method begins by turning the tenant's expired reservations into charges (or, where
    `charged_on_expiry` is False, letting them go). Times are seconds since the epoch, given by the
    caller; a clock that steps back loses nothing. Raises StoreUnavailable when the store is gone;
    what was asked may then have happened or not, and its reservation expires.
    """

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
        """Hold every line or none, for as many of `tokens` output tokens as all have room for.

        Fewer than `least`, or than `tokens` where those are fewer, are not worth a call: a Denial. A line
        that needs nothing always has room. A second reserve of the same reservation is a top-up: it adds
        to what is held, may bring further accounts, and sets the expiry anew.
        """

    async def settle(
        self, tenant: str, reservation: str, lines: Sequence[tuple[Line, int]], *, now: float
    ) -> Settled | None:
        """Let go of the reservation and charge these amounts, more than was held if need be; at most once.

        A reservation that expired meanwhile has its charge replaced, for REMEMBERED_S. None, and no
        charge, for one that is settled already or was never held.
        """

    async def take(self, tenant: str, lines: Sequence[tuple[Line, int]], *, now: float) -> tuple[int, ...]:
        """Charge each account so much of its amount as fits under its limit; give what was charged."""

    async def renew(self, tenant: str, reservations: Sequence[str], *, now: float, expires_at: float) -> int:
        """Let reservations that are still held live on; give how many there were."""

    async def read(self, tenant: str, accounts: Sequence[Account], *, now: float) -> tuple[Standing, ...]:
        """Give the accounts as they stand; one that was never charged stands at zero."""

    async def reset(self, tenant: str, accounts: Sequence[Account], *, now: float) -> None:
        """Set what is used back to zero; what is held stays held."""

    async def held(self, tenant: str, *, now: float) -> int:
        """Give how many reservations a tenant has under way."""

    async def close(self) -> None:
        """Finish what waits and let go."""


def check_amounts(*amounts: int) -> None:
    """Return if all can be counted exactly by every ledger. Raises ValueError."""
    for amount in amounts:
        if not isinstance(amount, int) or not 0 <= amount <= MOST:
            raise ValueError(f"an amount must be a whole number from 0 to {MOST}")


def crowded(lines: Sequence[Line], standings: Mapping[str, Standing], tokens: int) -> tuple[int, ...]:
    """Give the indices of the lines that have no room for so many output tokens; `standings` by account."""
    needs = [line.amount(tokens) for line in lines]
    after: Counter[str] = Counter()
    for line, need in zip(lines, needs, strict=True):
        after[line.account.name] += need
    for name in after:
        after[name] += standings[name].used + standings[name].reserved
    return tuple(
        at
        for at, (line, need) in enumerate(zip(lines, needs, strict=True))
        if need and after[line.account.name] > line.limit
    )


def most_tokens(lines: Sequence[Line], standings: Mapping[str, Standing], tokens: int, least: int) -> int:
    """Give how many of `tokens` all lines have room for, knowing that they have for `least`."""
    if not crowded(lines, standings, tokens):
        return tokens
    # What lines need only rises with the tokens, so there is one border to find.
    border = bisect_left(range(tokens), True, lo=least, key=lambda n: bool(crowded(lines, standings, n)))
    return border - 1
