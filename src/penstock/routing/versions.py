"""Versions of a scorer: which is live for a tenant's alias, and which were before it."""

import asyncio
import contextlib
import logging
from asyncio import Task
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from penstock.errors import StoreUnavailable
from penstock.routing.cascade import Trust
from penstock.routing.guarantee import Kept
from penstock.routing.learner import COLD_START
from penstock.routing.weights import NOTHING, Weights
from penstock.stores.keyring import Keyring, SealBroken
from penstock.stores.records import Records

log = logging.getLogger("penstock.routing")
TABLE: Final = "router"
_POLL_S: Final = 1.0
_KEPT: Final = 10


class Version(msgspec.Struct, frozen=True):
    """One state of a scorer: its weights, what they were made of, and why they are live.

    `made_at` is in seconds since the epoch; `promise` keeps the answers at or above its threshold; `upto`
    is the number of the last outcome that taught its gain, `after` what the gain is once the small model
    has answered.
    """

    number: int
    made_at: float
    outcomes: int
    why: str
    gain: bytes
    trust: bytes
    promise: Kept | None = None
    digest: str = ""
    upto: int = 0
    after: bytes = b""

    @property
    def made(self) -> str:
        """When it was made, in UTC."""
        return datetime.fromtimestamp(self.made_at, UTC).isoformat(timespec="seconds")


class History(msgspec.Struct):
    """The versions of one alias of one tenant, oldest first, and the live one's number; 0 is the prior."""

    tenant: str
    alias: str
    live: int = 0
    versions: list[Version] = []

    def version(self, number: int | None = None) -> Version | None:
        """Give a version, the live one if not told which."""
        wanted = self.live if number is None else number
        return next((version for version in self.versions if version.number == wanted), None)

    def add(self, version: Version) -> None:
        """Make a version the live one; the oldest are forgotten."""
        self.versions = [*self.versions, version][-_KEPT:]
        self.live = version.number


class Versions:
    """The histories in the store, as this process saw them last. They are sealed for their place."""

    def __init__(self, records: Records, keyring: Keyring) -> None:
        self._records = records
        self._keyring = keyring
        self._version = 0
        self._histories: dict[tuple[str, str], History] = {}
        self._live: dict[tuple[str, str], tuple[Weights, Trust]] = {}
        self._polling: Task[None] | None = None

    async def start(self) -> None:
        """Read them, and again when they change; a store that is not there yet is no error."""
        with contextlib.suppress(StoreUnavailable):
            await self.look()
        self._polling = asyncio.get_running_loop().create_task(self._poll())

    async def stop(self) -> None:
        """Look no more."""
        if self._polling is not None:
            self._polling.cancel()

    async def look(self) -> None:
        """Read what changed. Raises StoreUnavailable."""
        version, table = await self._records.read(TABLE, self._version)
        if table is not None:
            self._histories = self._opened(table)
            self._live = {place: _scorers(history) for place, history in self._histories.items()}
        self._version = version

    def weights(self, tenant: str, alias: str) -> Weights:
        """Give the live scorer of prompts; before anything was learned, the prior."""
        live = self._live.get((tenant, alias))
        return live[0] if live else COLD_START

    def trust(self, tenant: str, alias: str) -> Trust:
        """Give what is known of the small model's answers."""
        live = self._live.get((tenant, alias))
        return live[1] if live else Trust(NOTHING)

    def history(self, tenant: str, alias: str) -> History:
        """Give an alias's versions."""
        return self._histories.get((tenant, alias)) or History(tenant, alias)

    def histories(self) -> Sequence[History]:
        """Give all of them."""
        return list(self._histories.values())

    async def write(self, history: History) -> None:
        """Put a history into the store. Raises StoreUnavailable."""
        key = f"{history.tenant}/{history.alias}"
        sealed = self._keyring.seal(TABLE, msgspec.msgpack.encode(history), key.encode())
        await self._records.put(TABLE, {key: sealed})
        await self.look()

    def _opened(self, table: Mapping[str, bytes]) -> dict[tuple[str, str], History]:
        opened = {}
        for key, sealed in table.items():
            try:
                plain = self._keyring.open(TABLE, sealed, key.encode())
                history = msgspec.msgpack.decode(plain, type=History)
            except (SealBroken, msgspec.DecodeError, msgspec.ValidationError):
                log.error("a scorer of %s was not written by this keyring and does not count", key)
                continue
            opened[history.tenant, history.alias] = history
        return opened

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S)
            with contextlib.suppress(StoreUnavailable):
                await self.look()


def _scorers(history: History) -> tuple[Weights, Trust]:
    version = history.version()
    if version is None:
        return COLD_START, Trust(NOTHING)
    after = Weights.unpacked(version.after) if version.after else NOTHING
    return Weights.unpacked(version.gain), Trust(Weights.unpacked(version.trust), version.promise, after)
