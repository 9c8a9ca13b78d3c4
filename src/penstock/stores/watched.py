"""Watched: a table of records as this process knows it, looked at again and again."""

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from penstock.clock import SYSTEM, Clock
from penstock.errors import StoreUnavailable
from penstock.stores.keyring import Keyring, SealBroken
from penstock.stores.records import Records

log = logging.getLogger("penstock.stores")
LOOK_S: Final = 0.25
_ANSWER_S: Final = 2.0  # what a look may take before it counts as no answer
_FIRST_S: Final = 1.0


class Watched[T]:
    """What `read` makes of a table, looked for four times a second from `begin` on.

    `now` is the last that was read, `empty` before there was any; a store that is gone changes nothing.
    `what` says in the log what stands in the table. `then` is called after each look that found the store.
    """

    def __init__(
        self,
        records: Records,
        table: str,
        read: Callable[[Mapping[str, bytes]], T],
        empty: T,
        what: str,
        *,
        then: Callable[[], Awaitable[None]] | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        self.now = empty
        self._records = records
        self._table = table
        self._read = read
        self._what = what
        self._then = then
        self._clock = clock
        self._version = 0
        self._seen_at = -math.inf
        self._looking = asyncio.Lock()
        self._first = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._trouble: str | None = None

    @property
    def stale_s(self) -> float:
        """For how long nothing is known of what the store holds."""
        return self._clock.monotonic() - self._seen_at

    def begin(self) -> None:
        """Begin to look; needs a running event loop. A second call does nothing."""
        if self._following is None:
            self._following = asyncio.get_running_loop().create_task(self._follow(), name=self._what)

    async def start(self) -> None:
        """Begin, and return once the first look is over; a store that does not answer is no error."""
        self.begin()
        await self.looked()

    async def looked(self) -> None:
        """Return once the first look is over; a store that does not answer is not waited for long."""
        if not self._first.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._first.wait(), _FIRST_S)

    async def stop(self) -> None:
        """Look no more."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    async def look(self) -> T:
        """Read what has changed, and give all of it. Raises StoreUnavailable."""
        async with self._looking:  # an older answer must not come after a newer one
            asked_at = self._clock.monotonic()
            try:
                async with asyncio.timeout(_ANSWER_S):
                    version, table = await self._records.read(self._table, self._version)
            except TimeoutError:
                raise StoreUnavailable(f"the store did not answer within {_ANSWER_S:g} s") from None
            if table is not None:
                self.now = self._read(table)
            self._version, self._seen_at = version, asked_at
        return self.now

    async def _follow(self) -> None:
        """Look for ever; what goes wrong is told, and tried again."""
        while True:
            try:
                await self.look()
                if self._then is not None:
                    await self._then()
            except StoreUnavailable:
                self._tell(f"the store of {self._what} does not answer")
            except Exception as problem:
                self._tell(f"the {self._what} can't be read: {type(problem).__name__}")
            else:
                self._tell(None)
            self._first.set()
            await asyncio.sleep(LOOK_S)

    def _tell(self, trouble: str | None) -> None:
        """Log a change for the worse or the better, once."""
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble:
            log.error(trouble)
        else:
            log.info("the store of %s answers again", self._what)


def opened[V](
    table: Mapping[str, bytes], keyring: Keyring, purpose: str, decode: Callable[[bytes], V], what: str
) -> dict[str, V]:
    """Open values that were sealed for their keys; what was not sealed so is told, and left out.

    `decode` raises ValueError (as msgspec's errors are) for what can't be read. What a key begins with, up to
    its first slash, is told: the name of a tenant or of an experiment.
    """
    found = {}
    for key, sealed in table.items():
        try:
            found[key] = decode(keyring.open(purpose, sealed, key.encode()))
        except (SealBroken, ValueError):
            name = key.partition("/")[0]
            log.error("%s of %s was not written by this keyring and does not count", what, name)
    return found
