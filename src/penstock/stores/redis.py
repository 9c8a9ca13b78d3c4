"""Redis: the store that several machines share, from Redis 6.2 on.

Reads go over one connection and writes over another. The server must not evict keys by itself
(`maxmemory-policy noeviction`): the scripts in lua/ keep each space within its limit.
"""

import asyncio
import math
import struct
from collections.abc import Iterable, Sequence
from itertools import batched
from typing import Any, Final, Self

from penstock.clock import SYSTEM, Clock
from penstock.errors import StoreUnavailable
from penstock.stores.protocol import Entry
from penstock.stores.wire import Script, Waits, Wire, encoded, key_root

_HEADER: Final = struct.Struct(">d")  # before each value: when it expires, in seconds since the epoch
_PUT_ENTRIES: Final = 64  # in one script call, which no other client can interrupt
_DELETE_KEYS: Final = 500
_FAR_MS: Final = 2**53  # beyond it Lua can't count milliseconds
_ENTRY: Final = b"e:"
_PUT, _DELETE, _CLEAR, _SIZE = (Script("account", name) for name in ("put", "delete", "clear", "size"))


class RedisStore:
    """A `Store` in one Redis server."""

    def __init__(self, url: str, clock: Clock, connect_s: float, operation_s: float, probe_s: float) -> None:
        self._clock = clock
        waits = Waits(connect_s, operation_s, probe_s)
        self._reads = Wire(url, waits)
        self._writes = Wire(url, waits)

    @classmethod
    async def open(
        cls,
        url: str,
        clock: Clock = SYSTEM,
        connect_s: float = 0.25,
        operation_s: float = 0.25,
        probe_s: float = 0.5,
    ) -> Self:
        """Connect; a Redis that is not there yet is tried again every `probe_s`, and is no error.

        Raises StartError for an URL that can't be read.
        """
        store = cls(url, clock, connect_s, operation_s, probe_s)
        await asyncio.gather(store._reads.start(), store._writes.start())
        return store

    def __repr__(self) -> str:
        return f"RedisStore({self._reads.where})"

    async def get(self, space: str, key: str) -> Entry | None:
        """Give the live entry, or None. Raises StoreUnavailable."""
        sealed = await self._reads.call("GET", key_root("penstock", space) + _ENTRY + encoded(key))
        if sealed is None:
            return None
        if len(sealed) < _HEADER.size:
            raise StoreUnavailable("Redis holds a value there that is not Penstock's")
        (expires_at,) = _HEADER.unpack_from(sealed)
        if expires_at <= self._clock.now():
            return None
        return Entry(space, key, sealed[_HEADER.size :], expires_at)

    async def put(self, entries: Sequence[Entry], *, limit_bytes: int) -> None:
        """Keep the entries, all in one round trip; see `Store`. Raises StoreUnavailable."""
        by_space: dict[str, list[Entry]] = {}
        for entry in entries:
            by_space.setdefault(entry.space, []).append(entry)
        steps = [
            self._put(space, step, limit_bytes)
            for space, its in by_space.items()
            for step in batched(its, _PUT_ENTRIES)
        ]
        await asyncio.gather(*steps)

    async def delete(self, space: str, keys: Sequence[str] | None = None) -> int:
        """Forget, in bounded steps; give how many live entries went. Raises StoreUnavailable."""
        gone = 0
        if keys is not None:
            for step in batched(map(encoded, keys), _DELETE_KEYS):
                gone += await self._run(_DELETE, space, *step)
            return gone
        up_to: bytes | None = None
        while up_to != b"":
            went, up_to = await self._run(_CLEAR, space, up_to or b"")
            gone += went
        return gone

    async def size_bytes(self, space: str) -> int:
        """Give the bytes of a space's live values. Raises StoreUnavailable."""
        while True:
            size, more = await self._run(_SIZE, space)
            if not more:
                return int(size)

    async def ping(self) -> None:
        """Return if Redis answers. Raises StoreUnavailable."""
        await self._reads.call("PING")

    async def close(self) -> None:
        """Send what waits and let go of the connections."""
        await asyncio.gather(self._reads.stop(), self._writes.stop())

    async def _put(self, space: str, entries: Iterable[Entry], limit_bytes: int) -> None:
        packed: list[bytes | int] = []
        for entry in entries:
            ends_ms = int(min(entry.expires_at * 1000, _FAR_MS))
            packed += encoded(entry.key), ends_ms, _HEADER.pack(entry.expires_at) + entry.value
        while await self._run(_PUT, space, limit_bytes, *packed):
            packed = []

    async def _run(self, script: Script, space: str, *arguments: bytes | int) -> Any:  # noqa: ANN401
        root = key_root("penstock", space)
        now_ms = math.ceil(self._clock.now() * 1000)
        index = root + b"age", root + b"ends", root + b"book"
        return await self._writes.call(
            "EVALSHA", script.sha, len(index), *index, root + _ENTRY, now_ms, *arguments, script=script
        )
