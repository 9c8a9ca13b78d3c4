"""Limits that were changed without a policy: by `penstock budget set` and the admin API."""

from collections.abc import Mapping
from typing import Final

from penstock.budget.limits import Applied, Overrides
from penstock.stores.keyring import Keyring
from penstock.stores.records import Records
from penstock.stores.watched import Watched, opened

TABLE: Final = "limits"


class ChangedLimits(Watched[Overrides]):
    """The changed limits as every process sees them, at most a second old.

    Each record is sealed for its place, so that whoever can write to the store still can't raise a limit.
    """

    def __init__(self, records: Records, keyring: Keyring) -> None:
        super().__init__(records, TABLE, self._opened, {}, "changed limits")
        self._keyring = keyring

    @property
    def amounts(self) -> Overrides:
        """The amounts by tenant and limit."""
        return self.now

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
        amounts = opened(table, self._keyring, "limits", int, "a changed limit")
        return {_place(key): amount for key, amount in amounts.items()}


def _place(key: str) -> tuple[str, str]:
    tenant, _, limit = key.partition("/")
    return tenant, limit
