"""Small documents that every process sees within a second: virtual keys, changed limits."""

import secrets
from collections.abc import Mapping
from typing import Protocol


class Records(Protocol):
    """Documents by table and key; a table is small enough to be read whole. Raises StoreUnavailable."""

    async def put(self, table: str, records: Mapping[str, bytes]) -> None:
        """Write these, together."""

    async def delete(self, table: str, key: str) -> bool:
        """Forget one; True if it was there."""

    async def read(self, table: str, unless: int = 0) -> tuple[int, Mapping[str, bytes] | None]:
        """Give the table's version and all of it, or None in its place if that is version `unless` still.

        Every change makes the version rise. One that was never written is empty, at version 0; a table
        that was lost starts again from a number drawn at random, so that nobody takes it for the old one.
        """

    async def close(self) -> None:
        """Let go."""


def first_version() -> int:
    """Draw where a new table's version starts; it stays below 2^53 for as long as anybody counts."""
    return secrets.randbits(52)
