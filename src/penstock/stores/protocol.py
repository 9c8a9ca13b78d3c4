"""What every store can do. Values are sealed before they come here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """One sealed value. `space` is whose it is (`cache:acme`); `expires_at` in seconds since the epoch."""

    space: str
    key: str
    value: bytes
    expires_at: float


class Store(Protocol):
    """Entries by space and key. Every method raises StoreUnavailable when the store is gone or slow."""

    async def get(self, space: str, key: str) -> Entry | None:
        """Give the live entry, or None: unknown, expired or evicted."""

    async def put(self, entries: Sequence[Entry], *, limit_bytes: int) -> None:
        """Keep the entries, newest last. A space past `limit_bytes` of values loses its oldest ones first."""

    async def delete(self, space: str, keys: Sequence[str] | None = None) -> int:
        """Forget these keys of a space, or all of it. Gives how many entries went."""

    async def size_bytes(self, space: str) -> int:
        """Give how many bytes of live values a space holds."""

    async def ping(self) -> None:
        """Return if the store answers."""

    async def close(self) -> None:
        """Write what is still waiting and let go."""
