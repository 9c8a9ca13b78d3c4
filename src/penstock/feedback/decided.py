"""Decided: what was decided for a request, kept for a while under the id that its client was told."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from penstock.clock import Clock
from penstock.stores.keyring import Keyring, SealBroken
from penstock.stores.protocol import Entry, Store

InArm = tuple[str, str, str, int]
"""An arm that the request was in: experiment, digest, arm and bucket, as the tallies name it."""


class Decided(msgspec.Struct, frozen=True):
    """A decision and what came of it. It holds nothing that anybody said.

    `alias` is the model asked for, `models` those that answered, the last one to the client.
    """

    tenant: str
    alias: str
    models: list[str]
    at: float
    intent: str = ""
    latency_s: float = 0.0
    cost_usd: float | None = None
    learned: bytes = b""
    arms: list[InArm] = []
    rated: bool = False
    escalated: bool = False


_MOST_WAITING: Final = 10_000


class Notebook:
    """Decisions by tenant and request id: in memory at once, in the store with the next batch."""

    def __init__(self, store: Store, keyring: Keyring, clock: Clock) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._waiting: dict[tuple[str, str], tuple[Decided, float]] = {}
        self._writing: Mapping[tuple[str, str], tuple[Decided, float]] = {}
        self._lock = asyncio.Lock()
        self.limit_bytes = 16 * 1024 * 1024

    def put(self, request_id: str, decided: Decided, lasts_s: float) -> None:
        """Remember a decision. With too many waiting for the store, the oldest of them goes."""
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.pop(next(iter(self._waiting)))
        self._waiting[decided.tenant, request_id] = decided, self._clock.now() + lasts_s

    async def find(self, tenant: str, request_id: str) -> Decided | None:
        """Give a decision of this tenant's; None where there is none. Raises StoreUnavailable."""
        at = tenant, request_id
        if (waits := self._waiting.get(at) or self._writing.get(at)) is not None:
            return waits[0]
        space = _space(tenant)
        entry = await self._store.get(space, request_id)
        if entry is None:
            return None
        try:
            text = self._keyring.open(space, entry.value, request_id.encode())
            return msgspec.msgpack.decode(text, type=Decided)
        except (SealBroken, msgspec.MsgspecError):
            return None  # a moved entry or a foreign one: nobody's decision

    async def replace(self, request_id: str, decided: Decided, lasts_s: float) -> None:
        """Write a decision anew, at once. Raises StoreUnavailable."""
        self._waiting.pop((decided.tenant, request_id), None)
        async with self._lock:  # after the batch that may still hold the one before
            expires_at = self._clock.now() + lasts_s
            await self._write([(request_id, decided, expires_at)])

    async def flush(self) -> None:
        """Write what waits. Raises StoreUnavailable; what was not written then waits on."""
        async with self._lock:
            self._writing, self._waiting = self._waiting, {}
            try:
                batch = [(at[1], decided, until) for at, (decided, until) in self._writing.items()]
                if batch:
                    await self._write(batch)
            except BaseException:
                self._waiting = {**self._writing, **self._waiting}
                raise
            finally:
                self._writing = {}

    async def _write(self, batch: Sequence[tuple[str, Decided, float]]) -> None:
        entries = []
        for request_id, decided, expires_at in batch:
            space = _space(decided.tenant)
            sealed = self._keyring.seal(space, msgspec.msgpack.encode(decided), request_id.encode())
            entries.append(Entry(space, request_id, sealed, expires_at))
        await self._store.put(entries, limit_bytes=self.limit_bytes)


def _space(tenant: str) -> str:
    return f"decided:{tenant}"
