"""From a URL to the stores behind it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock.clock import SYSTEM, Clock
from penstock.errors import StartError
from penstock.stores.ledger import Ledger
from penstock.stores.protocol import Store
from penstock.stores.records import Records
from penstock.stores.redis import RedisStore
from penstock.stores.redis_ledger import RedisLedger
from penstock.stores.redis_records import RedisRecords
from penstock.stores.sqlite import SqliteStore
from penstock.stores.sqlite_ledger import SqliteLedger
from penstock.stores.sqlite_records import SqliteRecords

_SQLITE: Final = "sqlite:///"
_REDIS: Final = ("redis://", "rediss://", "unix://")
_FORMS: Final = (
    "the store's URL must be one of: sqlite:///relative/path, sqlite:////absolute/path, "
    "redis://host:6379/0, rediss://host:6379/0, unix:///path/to/redis.sock"
)


@dataclass(frozen=True, slots=True)
class Stores:
    """All that is stored: entries, what tenants may use and did, and small shared documents."""

    entries: Store
    ledger: Ledger
    records: Records

    async def close(self) -> None:
        """Write what is still waiting and let go."""
        await self.entries.close()
        await self.records.close()
        await self.ledger.close()


async def open_stores(url: str, clock: Clock = SYSTEM) -> Stores:
    """Open all stores that a URL names. Raises StartError, and leaves nothing open then."""
    entries = await open_store(url, clock)
    try:
        return Stores(entries, *await open_ledger(url))
    except StartError:
        await entries.close()
        raise


async def open_store(url: str, clock: Clock = SYSTEM) -> Store:
    """Open the store that a URL names. Raises StartError; its message never repeats the URL's credentials."""
    if path := _file(url):
        return await SqliteStore.open(path, clock)
    return await RedisStore.open(url, clock)


async def open_ledger(url: str) -> tuple[Ledger, Records]:
    """Open a URL's ledger and records; SQLite keeps both in a file beside the store's. Raises StartError."""
    path = _file(url)
    if path is None:
        return await RedisLedger.open(url), await RedisRecords.open(url)
    beside = path.with_name(f"{path.stem}-ledger{path.suffix}")
    ledger = await SqliteLedger.open(beside)
    try:
        return ledger, await SqliteRecords.open(beside)
    except StartError:
        await ledger.close()
        raise


def _file(url: str) -> Path | None:
    """Give the file that a URL names, or None for one of Redis. Raises StartError for any other URL."""
    if url.startswith(_SQLITE) and url != _SQLITE:
        return Path(url.removeprefix(_SQLITE))
    if url.startswith(_REDIS):
        return None
    raise StartError(_FORMS)
