"""Verdicts: experiments that were stopped or promoted, as every process sees them."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from penstock.stores.keyring import Keyring
from penstock.stores.records import Records
from penstock.stores.watched import Watched, opened

TABLE: Final = "experiments"
_PURPOSE: Final = "experiment verdict"
By = Literal["guardrail", "cli", "admin api"]


class Verdict(msgspec.Struct, frozen=True):
    """Everyone gets `arm` from `at` on (seconds since the epoch); `evidence` says why, in words."""

    state: Literal["stopped", "promoted"]
    arm: str
    by: By
    at: float
    evidence: str = ""


_decode = msgspec.msgpack.Decoder(Verdict).decode


class Verdicts(Watched[Mapping[str, Verdict]]):
    """The verdicts by experiment, at most a second old. Each is sealed for its place."""

    def __init__(self, records: Records, keyring: Keyring) -> None:
        super().__init__(records, TABLE, self._opened, {}, "verdicts on experiments")
        self._keyring = keyring

    @property
    def known(self) -> Mapping[str, Verdict]:
        """The verdicts by experiment."""
        return self.now

    async def put(self, name: str, verdict: Verdict) -> None:
        """Write a verdict, for everyone to see. Raises StoreUnavailable."""
        sealed = self._keyring.seal(_PURPOSE, msgspec.msgpack.encode(verdict), name.encode())
        await self._records.put(TABLE, {name: sealed})
        await self.look()

    def _opened(self, table: Mapping[str, bytes]) -> Mapping[str, Verdict]:
        return opened(table, self._keyring, _PURPOSE, _decode, "the verdict")
