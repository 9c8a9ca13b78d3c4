"""KeyTable: every key in memory, by its MAC, never more than a moment behind the store."""

import asyncio
import contextlib
import hmac
import logging
import math
from typing import Final

from penstock.clock import Clock
from penstock.errors import StoreUnavailable
from penstock.stores.keyring import Keyring
from penstock.stores.records import Records
from penstock.tenants.key import KEYS, USES, Key, KeyReader, mac_of, seal_use

log = logging.getLogger("penstock.tenants")

LOOK_S: Final = 0.25
_ANSWER_S: Final = 2.0  # what a look may take before it counts as no answer
_WRITE_S: Final = 5.0
_MOVED_S: Final = 60.0  # a last use is written again once it has moved so far
_FIRST_S: Final = 1.0
_LONGEST_BYTES: Final = 512
_NO_MAC: Final = bytes(32)


class KeyTable:
    """Looks at the store's keys four times a second from `begin` on, and writes last uses behind."""

    def __init__(self, records: Records, keyring: Keyring, clock: Clock) -> None:
        self._records = records
        self._keyring = keyring
        self._clock = clock
        self._reader = KeyReader(keyring)
        self._version = 0
        self._keys: dict[bytes, Key] = {}
        self._seen_at = -math.inf
        self._first = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._uses: dict[str, float] = {}
        self._written: dict[str, float] = {}
        self._written_at = clock.monotonic()
        self._told: object = None

    def begin(self) -> None:
        """Begin to look; needs a running event loop. A second call does nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow(), name="client keys")

    async def stop(self) -> None:
        """Stop looking, and write the last uses that still wait."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            await self._write_uses()

    async def looked(self) -> None:
        """Return once the first look is over; a store that does not answer is not waited for long."""
        if not self._first.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._first.wait(), _FIRST_S)

    @property
    def stale_s(self) -> float:
        """For how long nothing is known of what the store holds."""
        return self._clock.monotonic() - self._seen_at

    def find(self, presented: str) -> Key | None:
        """Give the key whose value this is, alive or not; it takes as long for any value."""
        value = presented.encode("utf-8", "surrogatepass")[:_LONGEST_BYTES]
        mac = mac_of(self._keyring, value)
        key = self._keys.get(mac)
        return key if hmac.compare_digest(mac, key.mac if key else _NO_MAC) else None

    def used(self, key: Key, now: float) -> None:
        """Note that a key was used."""
        self._uses[key.id] = now

    async def look(self) -> None:
        """Take over what has changed in the store. Raises StoreUnavailable, TimeoutError."""
        asked_at = self._clock.monotonic()
        async with asyncio.timeout(_ANSWER_S):
            self._version, records = await self._records.read(KEYS, unless=self._version)
        if records is not None:
            self._keys = {key.mac: key for key in self._reader.read(records).values()}
            if self._reader.unreadable:
                log.warning("%d records of keys are not sealed by this keyring", self._reader.unreadable)
        self._seen_at = asked_at

    async def _follow(self) -> None:
        """Look and write for ever; whatever goes wrong, keys that get too old are refused by who asks."""
        while True:
            try:
                await self.look()
                if self._clock.monotonic() - self._written_at >= _WRITE_S:
                    await self._write_uses()
            except (StoreUnavailable, TimeoutError):
                self._tell("the store of client keys does not answer")
            except Exception as problem:
                self._tell(f"the client keys can't be read: {type(problem).__name__}")
            else:
                self._tell(None)
            self._first.set()
            await asyncio.sleep(LOOK_S)

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
        except BaseException:
            self._uses = {**uses, **self._uses}
            raise
        self._written |= moved

    def _tell(self, trouble: str | None) -> None:
        """Log a change for the worse or the better, once."""
        if trouble != self._told:
            self._told = trouble
            if trouble:
                log.error(trouble)
            else:
                log.info("the store of client keys answers again")
