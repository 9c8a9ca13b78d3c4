"""Verdicts: experiments that were stopped or promoted, as every process sees them."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from penstock.errors import StoreUnavailable
from penstock.stores.keyring import Keyring, SealBroken
from penstock.stores.records import Records

log = logging.getLogger("penstock.experiment")
TABLE: Final = "experiments"
_PURPOSE: Final = "experiment verdict"
_POLL_S: Final = 0.25


class Verdict(msgspec.Struct, frozen=True):
    """Everyone gets `arm` from `at` on (seconds since the epoch); `evidence` says why, in words."""

    state: Literal["stopped", "promoted"]
    arm: str
    by: Literal["guardrail", "cli"]
    at: float
    evidence: str = ""


class Verdicts:
    """The verdicts by experiment, at most a second old. Each is sealed for its place."""

    def __init__(self, records: Records, keyring: Keyring) -> None:
        self._records = records
        self._keyring = keyring
        self._polling: asyncio.Task[None] | None = None
        self._version = 0
        self.known: Mapping[str, Verdict] = {}

    async def start(self) -> None:
        """Read them once, and again whenever they change; a store that is not there yet is no error."""
        with contextlib.suppress(StoreUnavailable):
            await self.look()
        self._polling = asyncio.get_running_loop().create_task(self._poll(), name="verdicts of experiments")

    async def stop(self) -> None:
        """Look no more."""
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)

    async def look(self) -> None:
        """Read what changed. Raises StoreUnavailable."""
        version, table = await self._records.read(TABLE, self._version)
        if table is not None:
            self.known = dict(self._opened(table))
        self._version = version

    async def put(self, name: str, verdict: Verdict) -> None:
        """Write a verdict, for everyone to see. Raises StoreUnavailable."""
        sealed = self._keyring.seal(_PURPOSE, msgspec.msgpack.encode(verdict), name.encode())
        await self._records.put(TABLE, {name: sealed})
        await self.look()

    def _opened(self, table: Mapping[str, bytes]) -> Mapping[str, Verdict]:
        opened = {}
        for name, sealed in table.items():
            try:
                text = self._keyring.open(_PURPOSE, sealed, name.encode())
                opened[name] = msgspec.msgpack.decode(text, type=Verdict)
            except (SealBroken, msgspec.MsgspecError):
                log.error("the verdict on an experiment was not written by this keyring and does not count")
        return opened

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S)
            with contextlib.suppress(StoreUnavailable):
                await self.look()
