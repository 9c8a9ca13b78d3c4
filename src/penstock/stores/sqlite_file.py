"""A SQLite file of ours: made with mode 0600, recognised by its layout, and shared by processes."""

import contextlib
import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import cast

from penstock.errors import StartError, StoreUnavailable
from penstock.stores.lane import Lane


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file of ours holds: `schema` makes its tables where they are missing.

    `application_id` is SQLite's own mark of whose file it is; `version` rises when the tables change.
    """

    application_id: int
    version: int
    schema: str

    def connect(self, path: Path, busy_s: float) -> Connection:
        """Open the file, made with its folder (mode 0700) if it is missing; a lock is waited for `busy_s`.

        Raises StartError for a file that is not ours or newer than we are, OSError, sqlite3.Error.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Never open a file that is there beside SQLite: closing it would drop this process's locks on it.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None)
        try:
            self._prepare(connection, busy_s)
        except BaseException:
            connection.close()
            raise
        return connection

    async def lane(self, path: Path, timeout_s: float, begin: str = "BEGIN IMMEDIATE") -> Lane:
        """Give a lane of the file that is open; `timeout_s` bounds its operations. Raises StartError."""
        lane = Lane(begin, lambda: self.connect(path, timeout_s / 2))
        try:
            await lane.start()
        except StoreUnavailable as problem:
            await lane.stop()
            raise StartError(f"{path}: {problem}") from None
        return lane

    def _prepare(self, connection: Connection, busy_s: float) -> None:
        full = number(connection, "SELECT count(*) FROM sqlite_schema")
        if full and number(connection, "PRAGMA application_id") != self.application_id:
            raise StartError("it is a database, but not Penstock's")
        version = number(connection, "PRAGMA user_version")
        if version > self.version:
            raise StartError(f"a newer Penstock made it (schema {version}; this one knows {self.version})")
        _share(connection, busy_s)
        connection.executescript("PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216;")
        if version < self.version:
            mark = f"PRAGMA application_id = {self.application_id}; PRAGMA user_version = {self.version};"
            connection.executescript(f"BEGIN IMMEDIATE; {self.schema} {mark} COMMIT;")


def _share(connection: Connection, busy_s: float) -> None:
    """Switch to a write-ahead log. SQLite itself does not wait when two processes do so at once."""
    for again in reversed(range(20)):
        try:
            if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal":
                return
            raise StartError("SQLite can't share files on this file system; use a local disk")
        except sqlite3.OperationalError:
            if not again:
                raise
            time.sleep(busy_s / 20)


def number(connection: Connection, sql: str, *given: object) -> int:
    """Give the one number that a query finds."""
    return cast(int, connection.execute(sql, given).fetchone()[0])


def blob(text: str) -> bytes:
    """Give any Python string as bytes: it may hold what SQLite's TEXT can't."""
    return text.encode("utf-8", "surrogatepass")
