"""The ledger in SQLite: one file beside the store's, and one transaction for each operation.

A process that is killed loses nothing that was answered. A power loss may take back the last seconds
(SQLite's log is not forced to the disk at each commit): what was charged then is lost from the counters,
and a reservation may be held again until it expires.
"""

from collections.abc import Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import Final, Self

from penstock.stores.lane import Lane
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
from penstock.stores.sqlite_file import Layout, blob, number

_GRACE_S: Final = 60.0  # for clocks that differ
_STEP: Final = 500  # rows swept by one operation

# A reservation with `forget_at` has expired: its holds are charges, which a late settlement replaces.
# Of what is `held`, `due` is charged when it expires. Accounts outlive the charges that name them.
LAYOUT: Final = Layout(
    application_id=0x50454E4C,  # "PENL"
    version=1,
    schema="""
CREATE TABLE IF NOT EXISTS accounts (
    tenant BLOB, name BLOB, used INTEGER NOT NULL DEFAULT 0, reserved INTEGER NOT NULL DEFAULT 0,
    expired INTEGER NOT NULL DEFAULT 0, warned INTEGER NOT NULL DEFAULT 0, keep_until REAL NOT NULL,
    PRIMARY KEY (tenant, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS accounts_by_end ON accounts (keep_until) WHERE reserved = 0;
CREATE TABLE IF NOT EXISTS reservations (
    tenant BLOB, id BLOB, expires_at REAL NOT NULL, forget_at REAL, PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS held_by_end ON reservations (tenant, expires_at) WHERE forget_at IS NULL;
CREATE INDEX IF NOT EXISTS expired_by_end ON reservations (forget_at) WHERE forget_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS holds (
    tenant BLOB, id BLOB, name BLOB, held INTEGER NOT NULL, due INTEGER NOT NULL,
    charged INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (tenant, id, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
    place BLOB, key BLOB, value BLOB NOT NULL, PRIMARY KEY (place, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS versions (place BLOB PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
""",
)
_DUE: Final = "FROM reservations WHERE tenant = :tenant AND forget_at IS NULL AND expires_at <= :now"
_OLD: Final = "FROM reservations WHERE forget_at <= :now LIMIT :step"
_SPENT: Final = "FROM accounts WHERE reserved = 0 AND keep_until <= :now - :grace LIMIT :step"
_IS_ANY: Final = " OR ".join(f"EXISTS (SELECT 1 {rows})" for rows in (_DUE, _OLD, _SPENT))
_SWEEP: Final = f"""
UPDATE accounts
    SET used = used + its.due, expired = expired + its.due, reserved = reserved - its.held,
        keep_until = max(keep_until, :forget_at)
    FROM (
        SELECT name, sum(held) AS held, sum(due) AS due FROM holds
            WHERE tenant = :tenant AND id IN (SELECT id {_DUE}) GROUP BY name
    ) AS its
    WHERE tenant = :tenant AND accounts.name = its.name;
UPDATE holds SET charged = charged + due, held = 0, due = 0
    WHERE tenant = :tenant AND id IN (SELECT id {_DUE});
UPDATE reservations SET forget_at = :forget_at WHERE (tenant, id) IN (SELECT tenant, id {_DUE});
DELETE FROM holds WHERE (tenant, id) IN (SELECT tenant, id {_OLD});
DELETE FROM reservations WHERE (tenant, id) IN (SELECT tenant, id {_OLD});
DELETE FROM accounts WHERE (tenant, name) IN (SELECT tenant, name {_SPENT})
"""  # noqa: S608 - texts of ours
_ADD: Final = """
INSERT INTO accounts (tenant, name, used, reserved, keep_until) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET used = used + excluded.used, reserved = reserved + excluded.reserved,
        keep_until = max(keep_until, excluded.keep_until)
"""
_RESERVE: Final = """
INSERT INTO reservations (tenant, id, expires_at) VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at, forget_at = NULL
"""
_HOLD: Final = """
INSERT INTO holds (tenant, id, name, held, due) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET held = held + excluded.held, due = due + excluded.due
"""
_LET_GO: Final = """
UPDATE accounts
    SET reserved = reserved - its.held, used = used - min(its.charged, expired),
        expired = expired - min(its.charged, expired)
    FROM holds AS its
    WHERE its.tenant = :tenant AND its.id = :id AND accounts.tenant = :tenant AND accounts.name = its.name
"""


class SqliteLedger:
    """A `Ledger` in one file of mode 0600, which several processes may share."""

    def __init__(self, lane: Lane, timeout_s: float) -> None:
        self._lane = lane
        self._timeout_s = timeout_s

    @classmethod
    async def open(cls, path: Path, timeout_s: float = 2.0) -> Self:
        """Open the file, made with its folder if it is missing. Raises StartError."""
        return cls(await LAYOUT.lane(path, timeout_s), timeout_s)

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
        book, its, least = _Book(blob(tenant), now), blob(reservation), min(least, tokens)
        return await self._lane.ask(self._timeout_s, book.reserve, its, lines, tokens, least, expires_at)

    async def settle(
        self, tenant: str, reservation: str, lines: Sequence[tuple[Line, int]], *, now: float
    ) -> Settled | None:
        """Let go, and charge; see `Ledger`."""
        check_amounts(*(amount for _, amount in lines))
        book = _Book(blob(tenant), now)
        return await self._lane.ask(self._timeout_s, book.settle, blob(reservation), lines)

    async def take(self, tenant: str, lines: Sequence[tuple[Line, int]], *, now: float) -> tuple[int, ...]:
        """Charge what fits; see `Ledger`."""
        check_amounts(*(amount for _, amount in lines))
        return await self._lane.ask(self._timeout_s, _Book(blob(tenant), now).take, lines)

    async def renew(self, tenant: str, reservations: Sequence[str], *, now: float, expires_at: float) -> int:
        """Let reservations live on; see `Ledger`."""
        book, live = _Book(blob(tenant), now), {blob(reservation) for reservation in reservations}
        return await self._lane.ask(self._timeout_s, book.renew, live, expires_at)

    async def read(self, tenant: str, accounts: Sequence[Account], *, now: float) -> tuple[Standing, ...]:
        """Give the accounts; see `Ledger`."""
        return await self._lane.ask(self._timeout_s, _Book(blob(tenant), now).read, accounts)

    async def reset(self, tenant: str, accounts: Sequence[Account], *, now: float) -> None:
        """Set used back to zero; see `Ledger`."""
        await self._lane.ask(self._timeout_s, _Book(blob(tenant), now).reset, accounts)

    async def held(self, tenant: str, *, now: float) -> int:
        """Count the reservations under way."""
        return await self._lane.ask(self._timeout_s, _Book(blob(tenant), now).held)

    async def close(self) -> None:
        """Finish what waits and let go of the file."""
        await self._lane.stop()


class _Book:
    """One tenant's accounts at one moment; its methods run in the lane's thread and transaction."""

    def __init__(self, tenant: bytes, now: float) -> None:
        self._tenant = tenant
        self._now = now

    def reserve(
        self,
        connection: Connection,
        reservation: bytes,
        lines: Sequence[Line],
        tokens: int,
        least: int,
        expires_at: float,
    ) -> Grant | Denial:
        self._sweep(connection)
        accounts = {line.account.name: self._standing(connection, line.account) for line in lines}
        if full := crowded(lines, accounts, least):
            return Denial(full, tuple(accounts[line.account.name] for line in lines))
        tokens = most_tokens(lines, accounts, tokens, least)
        connection.execute(_RESERVE, (self._tenant, reservation, expires_at))
        for line in lines:
            if amount := line.amount(tokens):
                self._add(connection, line.account, reserved=amount)
                due = amount if line.charged_on_expiry else 0
                place = self._tenant, reservation, blob(line.account.name)
                connection.execute(_HOLD, (*place, amount, due))
        return Grant(tokens, self._standings(connection, lines))

    def settle(
        self, connection: Connection, reservation: bytes, lines: Sequence[tuple[Line, int]]
    ) -> Settled | None:
        self._sweep(connection)
        its = {"tenant": self._tenant, "id": reservation, "now": self._now}
        sql = "DELETE FROM reservations WHERE tenant = :tenant AND id = :id AND ifnull(forget_at > :now, 1)"
        if not connection.execute(sql, its).rowcount:
            return None
        connection.execute(_LET_GO, its)
        connection.execute("DELETE FROM holds WHERE tenant = :tenant AND id = :id", its)
        for line, amount in lines:
            if amount:
                self._add(connection, line.account, used=amount)
        warned = tuple(at for at, (line, _) in enumerate(lines) if self._warns(connection, line))
        return Settled(self._standings(connection, [line for line, _ in lines]), warned)

    def take(self, connection: Connection, lines: Sequence[tuple[Line, int]]) -> tuple[int, ...]:
        self._sweep(connection)
        taken = []
        for line, amount in lines:
            standing = self._standing(connection, line.account)
            fits = max(0, min(amount, line.limit - standing.used - standing.reserved))
            if fits:
                self._add(connection, line.account, used=fits)
            taken.append(fits)
        return tuple(taken)

    def renew(self, connection: Connection, reservations: set[bytes], expires_at: float) -> int:
        self._sweep(connection)
        sql = "UPDATE reservations SET expires_at = ? WHERE tenant = ? AND id = ? AND forget_at IS NULL"
        rows = [(expires_at, self._tenant, reservation) for reservation in reservations]
        return connection.executemany(sql, rows).rowcount if rows else 0

    def read(self, connection: Connection, accounts: Sequence[Account]) -> tuple[Standing, ...]:
        self._sweep(connection)
        return tuple(self._standing(connection, account) for account in accounts)

    def reset(self, connection: Connection, accounts: Sequence[Account]) -> None:
        self._sweep(connection)
        places = [(self._tenant, blob(account.name)) for account in accounts]
        counter = "UPDATE accounts SET used = 0, expired = 0, warned = 0 WHERE tenant = ? AND name = ?"
        connection.executemany(counter, places)
        # So that a late settlement finds nothing to replace.
        connection.executemany("UPDATE holds SET charged = 0 WHERE tenant = ? AND name = ?", places)

    def held(self, connection: Connection) -> int:
        self._sweep(connection)
        sql = "SELECT count(*) FROM reservations WHERE tenant = ? AND forget_at IS NULL"
        return number(connection, sql, self._tenant)

    def _sweep(self, connection: Connection) -> None:
        """Turn all that has expired into charges; forget some of what is long over."""
        given = {
            **{"tenant": self._tenant, "now": self._now, "forget_at": self._now + REMEMBERED_S},
            **{"grace": _GRACE_S, "step": _STEP},
        }
        if connection.execute(f"SELECT {_IS_ANY}", given).fetchone()[0]:
            for statement in _SWEEP.split(";"):
                connection.execute(statement, given)

    def _standing(self, connection: Connection, account: Account) -> Standing:
        sql = "SELECT used, reserved, expired FROM accounts WHERE tenant = ? AND name = ?"
        row = connection.execute(sql, (self._tenant, blob(account.name))).fetchone()
        return Standing(*row) if row else Standing()

    def _standings(self, connection: Connection, lines: Sequence[Line]) -> tuple[Standing, ...]:
        return tuple(self._standing(connection, line.account) for line in lines)

    def _add(self, connection: Connection, account: Account, used: int = 0, reserved: int = 0) -> None:
        place = self._tenant, blob(account.name)
        connection.execute(_ADD, (*place, used, reserved, account.keep_until))

    def _warns(self, connection: Connection, line: Line) -> bool:
        """Note that an account is warned of; True if it is now the first time."""
        if line.warn_from is None:
            return False
        sql = "UPDATE accounts SET warned = 1 WHERE tenant = ? AND name = ? AND used >= ? AND NOT warned"
        given = self._tenant, blob(line.account.name), max(1, line.warn_from)
        return connection.execute(sql, given).rowcount == 1
