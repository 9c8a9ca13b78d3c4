"""Records in SQLite: in the ledger's file, and read without ever waiting for its writers."""

from collections.abc import Mapping
from pathlib import Path
from sqlite3 import Connection
from typing import Final, Self

from penstock.errors import StartError
from penstock.stores.lane import Lane
from penstock.stores.records import first_version
from penstock.stores.sqlite_file import blob
from penstock.stores.sqlite_ledger import LAYOUT

_CHANGED: Final = """
INSERT INTO versions VALUES (?, ?) ON CONFLICT DO UPDATE SET version = version + 1
"""


class SqliteRecords:
    """`Records` in one file of mode 0600, which several processes may share."""

    def __init__(self, writer: Lane, reader: Lane, timeout_s: float) -> None:
        self._writer = writer
        self._reader = reader
        self._timeout_s = timeout_s

    @classmethod
    async def open(cls, path: Path, timeout_s: float = 2.0) -> Self:
        """Open the file, made with its folder if it is missing. Raises StartError."""
        writer = await LAYOUT.lane(path, timeout_s)
        try:
            return cls(writer, await LAYOUT.lane(path, timeout_s, "BEGIN"), timeout_s)
        except StartError:
            await writer.stop()
            raise

    async def put(self, table: str, records: Mapping[str, bytes]) -> None:
        """Write these, together. Raises StoreUnavailable."""
        rows = [(blob(table), blob(key), value) for key, value in records.items()]
        await self._writer.ask(self._timeout_s, _put, blob(table), rows)

    async def delete(self, table: str, key: str) -> bool:
        """Forget one; True if it was there. Raises StoreUnavailable."""
        return await self._writer.ask(self._timeout_s, _delete, blob(table), blob(key))

    async def read(self, table: str, unless: int = 0) -> tuple[int, Mapping[str, bytes] | None]:
        """Give version and table; see `Records`. Raises StoreUnavailable."""
        version, rows = await self._reader.ask(self._timeout_s, _read, blob(table), unless)
        if rows is None:
            return version, None
        return version, {key.decode("utf-8", "surrogatepass"): value for key, value in rows}

    async def close(self) -> None:
        """Finish what waits and let go of the file."""
        await self._reader.stop()
        await self._writer.stop()


def _put(connection: Connection, table: bytes, rows: list[tuple[bytes, bytes, bytes]]) -> None:
    if rows:
        connection.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", rows)
        connection.execute(_CHANGED, (table, first_version()))


def _delete(connection: Connection, table: bytes, key: bytes) -> bool:
    sql = "DELETE FROM records WHERE place = ? AND key = ?"
    if not connection.execute(sql, (table, key)).rowcount:
        return False
    connection.execute(_CHANGED, (table, first_version()))
    return True


def _read(connection: Connection, table: bytes, unless: int) -> tuple[int, list[tuple[bytes, bytes]] | None]:
    row = connection.execute("SELECT version FROM versions WHERE place = ?", (table,)).fetchone()
    version = row[0] if row else 0
    if version and version == unless:
        return version, None
    sql = "SELECT key, value FROM records WHERE place = ?"
    return version, connection.execute(sql, (table,)).fetchall()
