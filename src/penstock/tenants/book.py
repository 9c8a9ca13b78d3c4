"""KeyBook: makes, lists, revokes and rotates keys. Gateways see each change within a second."""

from dataclasses import dataclass

import msgspec

from penstock.clock import SYSTEM, Clock
from penstock.stores.keyring import Keyring
from penstock.stores.records import Records
from penstock.tenants.key import (
    KEYS,
    REVOKED_END,
    USES,
    Key,
    KeyReader,
    mac_of,
    make,
    open_uses,
    public_id,
    seal,
    seal_revoked,
)


class NotRotatable(Exception):
    """The key is dead already; a rotation would bring it back to life."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Keys by id, their last uses by id, and how many records this keyring can't open."""

    keys: dict[str, Key]
    uses: dict[str, float]
    unreadable: int


@dataclass(frozen=True, slots=True)
class Made:
    """A new key: its record, and the value that is shown once and kept nowhere."""

    key: Key
    value: str

    def __repr__(self) -> str:
        return f"Made({self.key.id})"


class KeyBook:
    """The keys of a store. Every method raises StoreUnavailable."""

    def __init__(self, records: Records, keyring: Keyring, clock: Clock = SYSTEM) -> None:
        self._records = records
        self._keyring = keyring
        self._clock = clock

    async def read(self) -> Listed:
        """Give everything, oldest first."""
        reader = KeyReader(self._keyring)
        _, records = await self._records.read(KEYS)
        _, uses = await self._records.read(USES)
        keys = sorted(reader.read(records or {}).values(), key=lambda key: (key.created_at, key.id))
        return Listed({key.id: key for key in keys}, open_uses(self._keyring, uses or {}), reader.unreadable)

    async def create(
        self, tenant: str, project: str = "", user: str = "", name: str = "", expires_at: float | None = None
    ) -> Made:
        """Make a key; whether its holder is known is the caller's to ask."""
        made = self._new(tenant, project, user, name, expires_at)
        await self._records.put(KEYS, {made.key.id: seal(self._keyring, made.key)})
        return made

    async def revoke(self, key: Key) -> Key:
        """End a key for good; a second time changes nothing."""
        if key.revoked_at is not None:
            return key
        now = self._clock.now()
        ended = msgspec.structs.replace(key, revoked_at=now)
        mark = seal_revoked(self._keyring, key.id, now)
        await self._records.put(KEYS, {key.id: seal(self._keyring, ended), key.id + REVOKED_END: mark})
        return ended

    async def rotate(self, key: Key, grace_s: float = 0.0) -> Made:
        """Make a key for the same holder, with as long a life, and let the old one end after the grace.

        Raises NotRotatable.
        """
        now = self._clock.now()
        if key.state(now) != "active":
            raise NotRotatable(key.state(now))
        expires_at = None if key.expires_at is None else now + key.expires_at - key.created_at
        made = self._new(key.tenant, key.project, key.user, key.name, expires_at)
        end = now + grace_s if key.expires_at is None else min(key.expires_at, now + grace_s)
        old = msgspec.structs.replace(key, expires_at=end)
        await self._records.put(KEYS, {each.id: seal(self._keyring, each) for each in (made.key, old)})
        return made

    def _new(self, tenant: str, project: str, user: str, name: str, expires_at: float | None) -> Made:
        value = make()
        key = Key(
            id=public_id(value) or "",
            tenant=tenant,
            project=project,
            user=user,
            name=name,
            created_at=self._clock.now(),
            expires_at=expires_at,
            revoked_at=None,
            mac=mac_of(self._keyring, value.encode()),
        )
        return Made(key, value)
