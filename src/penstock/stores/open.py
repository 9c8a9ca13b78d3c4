"""From a URL to the store behind it."""

from pathlib import Path
from typing import Final

from penstock.clock import SYSTEM, Clock
from penstock.errors import StartError
from penstock.stores.protocol import Store
from penstock.stores.redis import RedisStore
from penstock.stores.sqlite import SqliteStore

_SQLITE: Final = "sqlite:///"
_REDIS: Final = ("redis://", "rediss://", "unix://")


async def open_store(url: str, clock: Clock = SYSTEM) -> Store:
    """Open the store that a URL names. Raises StartError; its message never repeats the URL's credentials."""
    if url.startswith(_SQLITE) and url != _SQLITE:
        return await SqliteStore.open(Path(url.removeprefix(_SQLITE)), clock)
    if url.startswith(_REDIS):
        return await RedisStore.open(url, clock)
    raise StartError(
        "the store's URL must be one of: sqlite:///relative/path, sqlite:////absolute/path, "
        "redis://host:6379/0, rediss://host:6379/0, unix:///path/to/redis.sock"
    )
