"""Memory: a ledger and records in dicts, for tests; plain enough to be the model of the real ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from penstock.errors import StoreUnavailable
from penstock.stores.ledger import (
    REMEMBERED_S,
    Account,
    Denial,
    Grant,
    Line,
    Settled,
    Standing,
    check_amounts,
    crowded,
    most_tokens,
)
from penstock.stores.records import first_version


@dataclass(slots=True)
class _Reservation:
    """What is held by account, what of it is charged when it expires, and what was charged by then."""

    expires_at: float
    held: dict[str, int] = field(default_factory=dict)
    due: dict[str, int] = field(default_factory=dict)
    charged: dict[str, int] = field(default_factory=dict)
    forget_at: float | None = None  # once it has expired


@dataclass(slots=True)
class _Tenant:
    accounts: dict[str, Standing] = field(default_factory=dict)
    reservations: dict[str, _Reservation] = field(default_factory=dict)
    warned: set[str] = field(default_factory=set)

    def add(self, name: str, *, used: int = 0, reserved: int = 0, expired: int = 0) -> None:
        """Add to an account."""
        now = self.standing(name)
        self.accounts[name] = Standing(now.used + used, now.reserved + reserved, now.expired + expired)

    def standing(self, name: str) -> Standing:
        """Give an account."""
        return self.accounts.get(name, Standing())

    def standings(self, lines: Sequence[Line]) -> tuple[Standing, ...]:
        """Give the lines' accounts."""
        return tuple(self.standing(line.account.name) for line in lines)

    def let_go(self, reservation: _Reservation) -> None:
        """End what it holds."""
        for name, amount in reservation.held.items():
            self.add(name, reserved=-amount)
        reservation.held, reservation.due = {}, {}

    def expire(self, now: float) -> None:
        """Turn expired reservations into charges, and forget those that did so long ago."""
        for key, reservation in list(self.reservations.items()):
            if reservation.forget_at is None and reservation.expires_at <= now:
                for name, amount in reservation.due.items():
                    self.add(name, used=amount, expired=amount)
                    _add(reservation.charged, name, amount)
                self.let_go(reservation)
                reservation.forget_at = now + REMEMBERED_S
            elif reservation.forget_at is not None and reservation.forget_at <= now:
                del self.reservations[key]


class MemoryLedger:
    """A `Ledger` in dicts. `gone` makes it as if it could not be reached; accounts are kept for ever."""

    def __init__(self) -> None:
        self._tenants: dict[str, _Tenant] = {}
        self.gone = False

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
        """Hold every line or none; see `Ledger`."""
        check_amounts(tokens, least)
        book = self._book(tenant, now)
        least = min(least, tokens)
        accounts = {line.account.name: book.standing(line.account.name) for line in lines}
        if full := crowded(lines, accounts, least):
            return Denial(full, book.standings(lines))
        tokens = most_tokens(lines, accounts, tokens, least)
        its = book.reservations.setdefault(reservation, _Reservation(expires_at))
        its.expires_at, its.forget_at = expires_at, None
        for line in lines:
            name, amount = line.account.name, line.amount(tokens)
            book.add(name, reserved=amount)
            _add(its.held, name, amount)
            if line.charged_on_expiry:
                _add(its.due, name, amount)
        return Grant(tokens, book.standings(lines))

    async def settle(
        self, tenant: str, reservation: str, lines: Sequence[tuple[Line, int]], *, now: float
    ) -> Settled | None:
        """Let go, and charge; see `Ledger`."""
        check_amounts(*(amount for _, amount in lines))
        book = self._book(tenant, now)
        its = book.reservations.pop(reservation, None)
        if its is None:
            return None
        book.let_go(its)
        for name, amount in its.charged.items():
            book.add(name, used=-amount, expired=-amount)
        for line, amount in lines:
            book.add(line.account.name, used=amount)
        warned = []
        for at, (line, _) in enumerate(lines):
            name = line.account.name
            if line.warns(book.standing(name).used) and name not in book.warned:
                book.warned.add(name)
                warned.append(at)
        return Settled(book.standings([line for line, _ in lines]), tuple(warned))

    async def take(self, tenant: str, lines: Sequence[tuple[Line, int]], *, now: float) -> tuple[int, ...]:
        """Charge what fits; see `Ledger`."""
        check_amounts(*(amount for _, amount in lines))
        book = self._book(tenant, now)
        taken = []
        for line, amount in lines:
            standing = book.standing(line.account.name)
            fits = max(0, min(amount, line.limit - standing.used - standing.reserved))
            book.add(line.account.name, used=fits)
            taken.append(fits)
        return tuple(taken)

    async def renew(self, tenant: str, reservations: Sequence[str], *, now: float, expires_at: float) -> int:
        """Let reservations live on; see `Ledger`."""
        book = self._book(tenant, now)
        live = {key for key in reservations if key in book.reservations}
        live = {key for key in live if book.reservations[key].forget_at is None}
        for key in live:
            book.reservations[key].expires_at = expires_at
        return len(live)

    async def read(self, tenant: str, accounts: Sequence[Account], *, now: float) -> tuple[Standing, ...]:
        """Give the accounts; see `Ledger`."""
        book = self._book(tenant, now)
        return tuple(book.standing(account.name) for account in accounts)

    async def reset(self, tenant: str, accounts: Sequence[Account], *, now: float) -> None:
        """Set used back to zero; see `Ledger`."""
        book = self._book(tenant, now)
        for account in accounts:
            book.accounts[account.name] = Standing(0, book.standing(account.name).reserved)
            book.warned.discard(account.name)
            for reservation in book.reservations.values():
                reservation.charged.pop(account.name, None)  # a late settlement finds nothing to replace

    async def held(self, tenant: str, *, now: float) -> int:
        """Count the reservations under way."""
        book = self._book(tenant, now)
        return sum(reservation.forget_at is None for reservation in book.reservations.values())

    async def close(self) -> None:
        """Do nothing."""

    def _book(self, tenant: str, now: float) -> _Tenant:
        if self.gone:
            raise StoreUnavailable("gone")
        book = self._tenants.setdefault(tenant, _Tenant())
        book.expire(now)
        return book


class MemoryRecords:
    """`Records` in dicts. `gone` makes it as if they could not be reached."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, bytes]] = {}
        self._versions: dict[str, int] = {}
        self.gone = False

    async def put(self, table: str, records: Mapping[str, bytes]) -> None:
        """Write these, together."""
        self._present()
        if records:
            self._tables.setdefault(table, {}).update(records)
            self._changed(table)

    async def delete(self, table: str, key: str) -> bool:
        """Forget one."""
        self._present()
        if self._tables.get(table, {}).pop(key, None) is None:
            return False
        self._changed(table)
        return True

    async def read(self, table: str, unless: int = 0) -> tuple[int, Mapping[str, bytes] | None]:
        """Give version and table; see `Records`."""
        self._present()
        version = self._versions.get(table, 0)
        return version, None if version and version == unless else dict(self._tables.get(table, {}))

    async def close(self) -> None:
        """Do nothing."""

    def _changed(self, table: str) -> None:
        self._versions[table] = self._versions.get(table, first_version()) + 1

    def _present(self) -> None:
        if self.gone:
            raise StoreUnavailable("gone")


def _add(amounts: dict[str, int], name: str, amount: int) -> None:
    amounts[name] = amounts.get(name, 0) + amount
