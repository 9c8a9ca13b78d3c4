"""Limits that were changed without a policy: by `penstock budget set` and the admin API."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Final

from penstock.budget.limits import Applied, Overrides
from penstock.errors import StoreUnavailable
from penstock.stores.keyring import Keyring, SealBroken
from penstock.stores.records import Records

log = logging.getLogger("penstock.budget")
TABLE: Final = "limits"
_POLL_S: Final = 0.25


class ChangedLimits:
    """The changed limits as every process sees them, at most a second old.

    Each record is sealed for its place, so that whoever can write to the store still can't raise a limit.
    """

    def __init__(self, records: Records, keyring: Keyring) -> None:
        self._records = records
        self._keyring = keyring
        self._polling: asyncio.Task[None] | None = None
        self.version = 0
        self.amounts: Overrides = {}

    async def start(self) -> None:
        """Read them once, and again whenever they change; a store that is not there yet is no error."""
        with contextlib.suppress(StoreUnavailable):
            await self.look()
        self._polling = asyncio.get_running_loop().create_task(self._poll())

    async def stop(self) -> None:
        """Look no more."""
        if self._polling is not None:
            self._polling.cancel()

    async def look(self) -> None:
        """Read what changed. Raises StoreUnavailable."""
        version, table = await self._records.read(TABLE, self.version)
        if table is not None:
            self.amounts = dict(self._opened(table))
        self.version = version

    async def set(self, tenant: str, limit: Applied) -> None:
        """Put this amount in the place of the policy's. Raises StoreUnavailable."""
        key = f"{tenant}/{limit.key}"
        sealed = self._keyring.seal("limits", str(limit.amount).encode(), key.encode())
        await self._records.put(TABLE, {key: sealed})
        await self.look()

    async def forget(self, tenant: str, limit: Applied) -> bool:
        """Let the policy's amount count again; False where it did anyway. Raises StoreUnavailable."""
        gone = await self._records.delete(TABLE, f"{tenant}/{limit.key}")
        await self.look()
        return gone

    def _opened(self, table: Mapping[str, bytes]) -> Overrides:
        opened = {}
        for key, sealed in table.items():
            tenant, _, limit = key.partition("/")
            try:
                opened[tenant, limit] = int(self._keyring.open("limits", sealed, key.encode()))
            except (SealBroken, ValueError):
                log.error("a changed limit of %s was not written by this keyring and does not count", tenant)
        return opened

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S)
            with contextlib.suppress(StoreUnavailable):
                await self.look()
