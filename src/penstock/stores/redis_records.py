"""Records in Redis: a hash and a version for each table."""

from collections.abc import Mapping
from itertools import chain
from typing import Any, Final, Self

from penstock.stores.records import first_version
from penstock.stores.wire import Script, Waits, Wire, encoded, key_root

_PUT, _DELETE, _READ = (Script(f"records_{name}") for name in ("put", "delete", "read"))
_FAMILY: Final = "penstock-records"


class RedisRecords:
    """`Records` in one Redis server."""

    def __init__(self, url: str, waits: Waits) -> None:
        self._wire = Wire(url, waits)

    @classmethod
    async def open(
        cls, url: str, connect_s: float = 0.25, operation_s: float = 0.25, probe_s: float = 0.5
    ) -> Self:
        """Connect; a Redis that is not there yet is tried again, and is no error. Raises StartError."""
        records = cls(url, Waits(connect_s, operation_s, probe_s))
        await records._wire.start()
        return records

    def __repr__(self) -> str:
        return f"RedisRecords({self._wire.where})"

    async def put(self, table: str, records: Mapping[str, bytes]) -> None:
        """Write these, together. Raises StoreUnavailable."""
        if records:
            pairs = chain.from_iterable((encoded(key), value) for key, value in records.items())
            await self._run(_PUT, table, first_version(), *pairs)

    async def delete(self, table: str, key: str) -> bool:
        """Forget one; True if it was there. Raises StoreUnavailable."""
        return bool(await self._run(_DELETE, table, first_version(), encoded(key)))

    async def read(self, table: str, unless: int = 0) -> tuple[int, Mapping[str, bytes] | None]:
        """Give version and table; see `Records`. Raises StoreUnavailable."""
        version, flat = await self._run(_READ, table, unless)
        if flat is None:
            return version, None
        keys = (key.decode("utf-8", "surrogatepass") for key in flat[::2])
        return version, dict(zip(keys, flat[1::2], strict=True))

    async def close(self) -> None:
        """Send what waits and let go of the connection."""
        await self._wire.stop()

    async def _run(self, script: Script, table: str, *arguments: bytes | int) -> Any:  # noqa: ANN401
        root = key_root(_FAMILY, table)
        keys = root + b"version", root + b"table"
        return await self._wire.call("EVALSHA", script.sha, len(keys), *keys, *arguments, script=script)
