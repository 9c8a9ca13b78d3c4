"""NearStore: another store with this process's memory in front of it, and its writes behind the request."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from penstock.clock import SYSTEM, Clock
from penstock.stores.protocol import Entry, Store

_Place = tuple[str, str]
_OVERHEAD_BYTES: Final = 512  # what an entry costs beside its value, so that many small ones are bounded too
_BATCH_ENTRIES: Final = 256
_MOST_TRIES: Final = 12  # over some eight seconds, in which the backend may restart without a loss
_LONGEST_WAIT_S: Final = 1.0


@dataclass(slots=True, eq=False)
class _Pending:
    """An entry on its way to the backend."""

    entry: Entry
    limit_bytes: int
    tries: int = 0


class NearStore:
    """A `Store` around a store: reads of what is near are answered at once, and `put` never waits or fails.

    An entry stays near for `near_ttl_s` at most, so that is how long another process's replacement or
    deletion may go unseen here. Entries that can't be written in time, or that `limit_bytes` of
    waiting ones leave no room for, are lost and counted in `dropped`.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock = SYSTEM,
        *,
        limit_bytes: int = 32 * 1024 * 1024,
        near_ttl_s: float = 60,
        flush_s: float = 0.05,
    ) -> None:
        self._store = store
        self._clock = clock
        self._limit_bytes = limit_bytes
        self._near_ttl_s = near_ttl_s
        self._flush_s = flush_s
        self._near: OrderedDict[_Place, tuple[Entry, float]] = OrderedDict()
        self._near_bytes = 0
        self._pending: dict[_Place, _Pending] = {}  # oldest first
        self._pending_bytes = 0
        self._flying: dict[_Place, _Pending] = {}
        self._asked: dict[_Place, object] = {}  # by reads under way; whoever puts or deletes takes it away
        self._flushing = asyncio.Lock()
        self._many = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None
        self._open = True
        self.dropped = 0

    async def get(self, space: str, key: str) -> Entry | None:
        """Give the live entry, or None. Raises StoreUnavailable, though never for what is near."""
        place = space, key
        near = self._near.get(place)
        if near is not None:
            if near[0].expires_at > self._clock.now() and self._clock.monotonic() < near[1]:
                self._near.move_to_end(place)
                return near[0]
            self._forget(place)
        waiting = self._pending.get(place) or self._flying.get(place)
        if waiting is not None:
            return waiting.entry if self._counts(waiting) else None
        return await self._get_far(place)

    async def put(self, entries: Sequence[Entry], *, limit_bytes: int) -> None:
        """Keep the entries near and write them behind; never waits, never raises."""
        if not self._open:
            self.dropped += len(entries)
            return
        for entry in entries:
            place = entry.space, entry.key
            self._forget(place)
            if len(entry.value) <= limit_bytes:
                self._keep(place, entry)
            self._unpend(place)
            self._pending[place] = _Pending(entry, limit_bytes)
            self._pending_bytes += _cost(entry)
        self._shed()
        if len(self._pending) >= _BATCH_ENTRIES:
            self._many.set()
        if self._pending and (self._flusher is None or self._flusher.done()):
            self._flusher = asyncio.create_task(self._flush_behind())

    async def delete(self, space: str, keys: Sequence[str] | None = None) -> int:
        """Forget here and there at once; give how many entries went. Raises StoreUnavailable."""
        self._forget_all(space, keys)
        unwritten = set(_among(self._pending, space, keys))
        gone = sum(self._counts(self._pending[place]) for place in unwritten)
        for place in unwritten:
            self._unpend(place)
        for place in _among(self._flying, space, keys):
            del self._flying[place]  # so that it is not tried again
        async with self._flushing:  # what is being written now goes too; what is put from now on stays
            if unwritten:  # an older value of theirs may be there, which is no entry more
                await self._store.delete(space, [key for _, key in unwritten])
            if keys is None:
                gone += await self._store.delete(space)
            elif others := [key for key in keys if (space, key) not in unwritten]:
                gone += await self._store.delete(space, others)
        self._forget_all(space, keys)  # a read may have brought something near meanwhile
        return gone

    async def size_bytes(self, space: str) -> int:
        """Write what waits, and give the bytes of a space's live values. Raises StoreUnavailable."""
        await self._flush_all()
        return await self._store.size_bytes(space)

    async def ping(self) -> None:
        """Return if the backend answers. Raises StoreUnavailable."""
        await self._store.ping()

    async def close(self) -> None:
        """Write what waits, try once, and close the backend."""
        self._open = False
        await self._flush_all()
        async with self._flushing:  # so that no write under way is cut off
            if self._flusher is not None:
                self._flusher.cancel()
        self.dropped += len(self._pending)
        self._pending.clear()
        self._near.clear()
        await self._store.close()

    async def _get_far(self, place: _Place) -> Entry | None:
        """Ask the backend; keep the answer near unless the place was written or deleted meanwhile."""
        token = self._asked[place] = object()
        try:
            entry = await self._store.get(*place)
        finally:
            fresh = self._asked.get(place) is token
            if fresh:
                del self._asked[place]
        if fresh and entry is not None:
            self._keep(place, entry)
        return entry

    def _keep(self, place: _Place, entry: Entry) -> None:
        self._near[place] = entry, self._clock.monotonic() + self._near_ttl_s
        self._near_bytes += _cost(entry)
        while self._near_bytes > self._limit_bytes:
            _, (oldest, _) = self._near.popitem(last=False)
            self._near_bytes -= _cost(oldest)

    def _forget(self, place: _Place) -> None:
        self._asked.pop(place, None)
        if (near := self._near.pop(place, None)) is not None:
            self._near_bytes -= _cost(near[0])

    def _forget_all(self, space: str, keys: Sequence[str] | None) -> None:
        for place in _among(self._near, space, keys) + _among(self._asked, space, keys):
            self._forget(place)

    def _unpend(self, place: _Place) -> None:
        if (pending := self._pending.pop(place, None)) is not None:
            self._pending_bytes -= _cost(pending.entry)

    def _counts(self, pending: _Pending) -> bool:
        """Say whether the backend will keep it."""
        entry = pending.entry
        return len(entry.value) <= pending.limit_bytes and entry.expires_at > self._clock.now()

    async def _flush_behind(self) -> None:
        """Write until nothing waits; a backend that fails is tried less and less often."""
        wait_s, well = self._flush_s, True
        while self._pending:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await (self._many.wait() if well else asyncio.sleep(wait_s))
            well = await self._flush()
            wait_s = self._flush_s if well else min(2 * wait_s, _LONGEST_WAIT_S)

    async def _flush_all(self) -> None:
        for _ in range(0, len(self._pending), _BATCH_ENTRIES):
            if not await self._flush():
                break

    async def _flush(self) -> bool:
        """Write a batch; True if all of it went well."""
        async with self._flushing:
            places = list(islice(self._pending, _BATCH_ENTRIES))
            self._flying = {place: self._pending[place] for place in places}
            by_limit: dict[int, list[Entry]] = {}
            for place, pending in self._flying.items():
                self._unpend(place)
                by_limit.setdefault(pending.limit_bytes, []).append(pending.entry)
            if len(self._pending) < _BATCH_ENTRIES:
                self._many.clear()
            failed: set[_Place] = set()
            for limit_bytes, entries in by_limit.items():
                try:
                    await self._store.put(entries, limit_bytes=limit_bytes)
                except Exception:  # whatever it is, the client has its answer already
                    failed.update((entry.space, entry.key) for entry in entries)
            self._try_again(failed)
            self._flying = {}
            return not failed

    def _try_again(self, places: set[_Place]) -> None:
        """Put what failed back in front of what waits, unless it was replaced, deleted or tried too often."""
        again: dict[_Place, _Pending] = {}
        for place, pending in self._flying.items():
            if place in places and place not in self._pending:
                pending.tries += 1
                if pending.tries < _MOST_TRIES:
                    again[place] = pending
                    self._pending_bytes += _cost(pending.entry)
                else:
                    self.dropped += 1
        self._pending = again | self._pending
        self._shed()

    def _shed(self) -> None:
        """Drop the oldest of what waits until the rest has room."""
        while self._pending_bytes > self._limit_bytes:
            self._unpend(next(iter(self._pending)))
            self.dropped += 1


def _cost(entry: Entry) -> int:
    return len(entry.value) + _OVERHEAD_BYTES


def _among(places: Mapping[_Place, object], space: str, keys: Sequence[str] | None) -> list[_Place]:
    """Give the places of a space, or of some of its keys, that are in the mapping."""
    if keys is None:
        return [place for place in places if place[0] == space]
    return [(space, key) for key in dict.fromkeys(keys) if (space, key) in places]
