"""KeyTable: every key in memory, by its MAC, never more than a moment behind the store."""

import asyncio
import contextlib
import hmac
import logging
from collections.abc import Mapping
from typing import Final

from penstock.clock import Clock
from penstock.errors import StoreUnavailable
from penstock.stores.keyring import Keyring
from penstock.stores.records import Records
from penstock.stores.watched import Watched
from penstock.tenants.key import KEYS, USES, Key, KeyReader, mac_of, seal_use

log = logging.getLogger("penstock.tenants")

_ANSWER_S: Final = 2.0  # what a write may take before it counts as no answer
_WRITE_S: Final = 5.0
_MOVED_S: Final = 60.0  # a last use is written again once it has moved so far
_LONGEST_BYTES: Final = 512
_NO_MAC: Final = bytes(32)

_Keys = Mapping[bytes, Key]


class KeyTable(Watched[_Keys]):
    """The store's keys as they were at the last look; last uses are written behind."""

    def __init__(self, records: Records, keyring: Keyring, clock: Clock) -> None:
        super().__init__(
            records, KEYS, self._by_mac, {}, "client keys", then=self._write_in_time, clock=clock
        )
        self._keyring = keyring
        self._reader = KeyReader(keyring)
        self._uses: dict[str, float] = {}
        self._written: dict[str, float] = {}
        self._written_at = clock.monotonic()

    async def stop(self) -> None:
        """Stop looking, and write the last uses that still wait."""
        await super().stop()
        with contextlib.suppress(StoreUnavailable):
            await self._write_uses()

    def find(self, presented: str) -> Key | None:
        """Give the key whose value this is, alive or not; it takes as long for any value."""
        value = presented.encode("utf-8", "surrogatepass")[:_LONGEST_BYTES]
        mac = mac_of(self._keyring, value)
        key = self.now.get(mac)
        return key if hmac.compare_digest(mac, key.mac if key else _NO_MAC) else None

    def used(self, key: Key, now: float) -> None:
        """Note that a key was used."""
        self._uses[key.id] = now

    def _by_mac(self, records: Mapping[str, bytes]) -> _Keys:
        keys = {key.mac: key for key in self._reader.read(records).values()}
        if self._reader.unreadable:
            log.warning("%d records of keys are not sealed by this keyring", self._reader.unreadable)
        return keys

    async def _write_in_time(self) -> None:
        if self._clock.monotonic() - self._written_at >= _WRITE_S:
            await self._write_uses()

    async def _write_uses(self) -> None:
        self._written_at = self._clock.monotonic()
        uses, self._uses = self._uses, {}
        moved = {
            key_id: at for key_id, at in uses.items() if abs(at - self._written.get(key_id, 0.0)) >= _MOVED_S
        }
        if not moved:
            return
        try:
            async with asyncio.timeout(_ANSWER_S):
                sealed = {key_id: seal_use(self._keyring, key_id, at) for key_id, at in moved.items()}
                await self._records.put(USES, sealed)
        except BaseException as problem:
            self._uses = {**uses, **self._uses}
            if isinstance(problem, TimeoutError):
                raise StoreUnavailable("last uses were not written in time") from None
            raise
        self._written |= moved
