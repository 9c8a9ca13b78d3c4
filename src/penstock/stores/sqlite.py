"""SQLite: the store of one machine. Several processes may share the file; no server is needed.

SQLite blocks, so it is called in two threads of ours only, one that reads and one that writes. Each
takes everything that waits at one wake-up: sixteen reads cost one hop, many writes one commit.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from itertools import batched
from pathlib import Path
from sqlite3 import Connection
from typing import Final, Self, cast

from penstock.clock import SYSTEM, Clock
from penstock.errors import StartError, StoreUnavailable
from penstock.stores.lane import Lane
from penstock.stores.protocol import Entry
from penstock.stores.sqlite_file import Layout, blob, number

_STEP_ENTRIES: Final = 500  # deleted in one transaction, so that no writer of another process waits long

# Spaces and keys are BLOBs: a Python string may hold what SQLite's TEXT can't. `seq` rises with each put,
# so it is the order of age. The triggers keep `spaces` exact in the same transaction as the entries.
_LAYOUT: Final = Layout(
    application_id=0x50454E53,  # "PENS", so that nobody else's database is taken for ours
    version=1,
    schema="""
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY, space BLOB NOT NULL, key BLOB NOT NULL,
    size INTEGER NOT NULL, expires_at REAL NOT NULL, value BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS by_key ON entries (space, key);
CREATE INDEX IF NOT EXISTS by_age ON entries (space, seq, size);
CREATE INDEX IF NOT EXISTS by_end ON entries (expires_at, space, size);
CREATE TABLE IF NOT EXISTS spaces (space BLOB PRIMARY KEY, bytes INTEGER NOT NULL, entries INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS entry_came AFTER INSERT ON entries BEGIN
    INSERT INTO spaces VALUES (new.space, new.size, 1)
        ON CONFLICT (space) DO UPDATE SET bytes = bytes + excluded.bytes, entries = entries + 1;
END;
CREATE TRIGGER IF NOT EXISTS entry_went AFTER DELETE ON entries BEGIN
    UPDATE spaces SET bytes = bytes - old.size, entries = entries - 1 WHERE space = old.space;
    DELETE FROM spaces WHERE space = old.space AND entries = 0;
END;
""",
)
_DELETE_KEY: Final = "DELETE FROM entries WHERE space = ? AND key = ?"
_DELETE_SEQ: Final = "DELETE FROM entries WHERE seq = ?"


class SqliteStore:
    """A `Store` in one file of mode 0600."""

    def __init__(self, path: Path, clock: Clock, read_s: float, write_s: float, sweep_s: float) -> None:
        self._clock = clock
        self._read_s = read_s
        self._write_s = write_s
        self._writer = Lane("BEGIN IMMEDIATE", lambda: _LAYOUT.connect(path, write_s / 2))
        self._reader = Lane("BEGIN", lambda: _LAYOUT.connect(path, read_s / 2))
        self._sweeper = asyncio.create_task(self._sweep(sweep_s))

    @classmethod
    async def open(
        cls,
        path: Path,
        clock: Clock = SYSTEM,
        timeout_s: float = 0.5,
        write_s: float = 2.0,
        sweep_s: float = 1.0,
    ) -> Self:
        """Open the file, made with its folder (mode 0700) if it is missing.

        `timeout_s` bounds a read, `write_s` a write. Raises StartError for a file that is
        not ours, that a newer Penstock made, or that can't be opened.
        """
        store = cls(path, clock, timeout_s, write_s, sweep_s)
        try:
            # One after the other: the writer makes the schema that the reader looks for.
            await store._writer.start()
            await store._reader.start()
        except StoreUnavailable as problem:
            await store.close()
            raise StartError(f"{path}: {problem}") from None
        return store

    async def get(self, space: str, key: str) -> Entry | None:
        """Give the live entry, or None. Raises StoreUnavailable."""
        row = await self._reader.ask(self._read_s, _get, blob(space), blob(key), self._clock.now())
        return None if row is None else Entry(space, key, *row)

    async def put(self, entries: Sequence[Entry], *, limit_bytes: int) -> None:
        """Keep the entries in one transaction; see `Store`. Raises StoreUnavailable."""
        now = self._clock.now()
        crowded = await self._writer.ask(self._write_s, _put, tuple(entries), limit_bytes, now)
        while crowded:
            crowded = await self._writer.ask(self._write_s, _evict, crowded, limit_bytes, now)

    async def delete(self, space: str, keys: Sequence[str] | None = None) -> int:
        """Forget, in bounded steps; give how many live entries went. Raises StoreUnavailable."""
        now, gone = self._clock.now(), 0
        if keys is not None:
            for step in batched(map(blob, keys), _STEP_ENTRIES):
                gone += await self._writer.ask(self._write_s, _delete, blob(space), step, now)
            return gone
        up_to: int | None = 2**63 - 1
        while up_to is not None:
            went, up_to = await self._writer.ask(self._write_s, _clear, blob(space), up_to, now)
            gone += went
        return gone

    async def size_bytes(self, space: str) -> int:
        """Give the bytes of a space's live values. Raises StoreUnavailable."""
        return await self._reader.ask(self._read_s, _size, blob(space), self._clock.now())

    async def ping(self) -> None:
        """Return if the file can be read. Raises StoreUnavailable."""
        await self.size_bytes("")

    async def close(self) -> None:
        """Write what waits and let go of the file; a disk that hangs is not waited for."""
        self._sweeper.cancel()
        await self._reader.stop()
        await self._writer.stop()  # alone at the end, so that it can fold the log into the file

    async def _sweep(self, every_s: float) -> None:
        """Delete expired entries now and then, one bounded step at a time."""
        while True:
            await asyncio.sleep(every_s)
            with contextlib.suppress(StoreUnavailable):
                while await self._writer.ask(self._write_s, _sweep, self._clock.now()):
                    pass


def _get(connection: Connection, space: bytes, key: bytes, now: float) -> tuple[bytes, float] | None:
    sql = "SELECT value, expires_at FROM entries WHERE space = ? AND key = ? AND expires_at > ?"
    return cast(tuple[bytes, float] | None, connection.execute(sql, (space, key, now)).fetchone())


def _put(connection: Connection, entries: Sequence[Entry], limit_bytes: int, now: float) -> list[bytes]:
    """Keep the entries; give the spaces that are still past their limit."""
    rows: dict[tuple[bytes, bytes], Entry] = {}
    for entry in entries:
        place = blob(entry.space), blob(entry.key)
        rows.pop(place, None)  # the last of two is also the newest
        rows[place] = entry
    connection.executemany(_DELETE_KEY, rows)
    connection.executemany(
        "INSERT INTO entries (space, key, size, expires_at, value) VALUES (?, ?, ?, ?, ?)",
        [
            (*place, len(entry.value), entry.expires_at, entry.value)
            for place, entry in rows.items()
            if len(entry.value) <= limit_bytes and entry.expires_at > now
        ],
    )
    return _evict(connection, {space for space, _ in rows}, limit_bytes, now)


def _evict(connection: Connection, spaces: Iterable[bytes], limit_bytes: int, now: float) -> list[bytes]:
    """Delete a bounded step of expired, then oldest entries; give the spaces still past their limit."""
    # Without INDEXED BY, SQLite may walk a whole space for the few of it that have expired.
    ended = "SELECT seq, size FROM entries INDEXED BY by_end WHERE space = ? AND expires_at <= ? LIMIT ?"
    oldest = "SELECT seq, size FROM entries WHERE space = ? AND expires_at > ? ORDER BY seq LIMIT ?"
    crowded = []
    for space in spaces:
        excess = _held(connection, space) - limit_bytes
        if excess <= 0:
            continue
        for sql in ended, oldest:
            doomed = []
            for seq, size in connection.execute(sql, (space, now, _STEP_ENTRIES)):
                if excess <= 0:
                    break
                doomed.append((seq,))
                excess -= size
            connection.executemany(_DELETE_SEQ, doomed)
        if excess > 0:
            crowded.append(space)
    return crowded


def _delete(connection: Connection, space: bytes, keys: Sequence[bytes], now: float) -> int:
    live = connection.executemany(f"{_DELETE_KEY} AND expires_at > ?", [(space, key, now) for key in keys])
    connection.executemany(_DELETE_KEY, [(space, key) for key in keys])
    return live.rowcount


def _clear(connection: Connection, space: bytes, up_to: int, now: float) -> tuple[int, int | None]:
    """Delete a step of a space's entries; give how many were live, and where to go on to, if anywhere.

    `up_to` is the newest entry of when the clearing began, so that it ends though others put more.
    """
    newest = "SELECT max(seq) FROM entries WHERE space = ? AND seq <= ?"
    (up_to,) = connection.execute(newest, (space, up_to)).fetchone()
    oldest = "SELECT seq, expires_at FROM entries WHERE space = ? AND seq <= ? ORDER BY seq LIMIT ?"
    rows = connection.execute(oldest, (space, up_to, _STEP_ENTRIES)).fetchall()
    connection.executemany(_DELETE_SEQ, [(seq,) for seq, _ in rows])
    live = sum(expires_at > now for _, expires_at in rows)
    return live, up_to if len(rows) == _STEP_ENTRIES else None


def _sweep(connection: Connection, now: float) -> bool:
    """Delete some expired entries of any space; True if there are more."""
    ended = "SELECT seq FROM entries INDEXED BY by_end WHERE expires_at <= ? LIMIT ?"
    rows = connection.execute(ended, (now, _STEP_ENTRIES)).fetchall()
    connection.executemany(_DELETE_SEQ, rows)
    return len(rows) == _STEP_ENTRIES


def _size(connection: Connection, space: bytes, now: float) -> int:
    ended = "SELECT ifnull(sum(size), 0) FROM entries INDEXED BY by_end WHERE space = ? AND expires_at <= ?"
    return _held(connection, space) - number(connection, ended, space, now)


def _held(connection: Connection, space: bytes) -> int:
    """Give a space's bytes, those of expired entries that are not swept yet among them."""
    return number(connection, "SELECT ifnull(sum(bytes), 0) FROM spaces WHERE space = ?", space)
