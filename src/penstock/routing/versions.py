"""Versions of a scorer: which is live for a tenant's alias, and which were before it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from penstock.routing.cascade import Trust
from penstock.routing.features import FEATURES
from penstock.routing.guarantee import Kept
from penstock.routing.learner import COLD_START
from penstock.routing.weights import NOTHING, Weights
from penstock.stores.keyring import Keyring
from penstock.stores.records import Records
from penstock.stores.watched import Watched, opened

log = logging.getLogger("penstock.routing")
TABLE: Final = "router"
_KEPT: Final = 10

NO_TRUST: Final = Trust(NOTHING)

Place = tuple[str, str]
"""A tenant and an alias."""


class Version(msgspec.Struct, frozen=True):
    """One state of a scorer: its weights, what they were made of, and why they are live.

    `made_at` is in seconds since the epoch; `promise` keeps the answers at or above its threshold; `upto`
    is the number of the last outcome that taught its gain, `after` what the gain is once the small model
    has answered. `made_with` is the version of the features; before it was written down it was 1.
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
    made_with: int = 1

    @property
    def made(self) -> str:
        """When it was made, in UTC."""
        return datetime.fromtimestamp(self.made_at, UTC).isoformat(timespec="seconds")

    @property
    def outdated(self) -> bool:
        """Whether a release with other features made it: its weights know none of today's."""
        return self.made_with != FEATURES


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

    def scoring(self) -> Version | None:
        """Give the version that scores: the live one; None, which is the prior, where that is outdated."""
        live = self.version()
        return None if live is None or live.outdated else live

    def add(self, version: Version) -> None:
        """Make a version the live one; the oldest are forgotten."""
        self.versions = [*self.versions, version][-_KEPT:]
        self.live = version.number


@dataclass(frozen=True, slots=True)
class Scorer:
    """A history, and the weights of the version that scores."""

    history: History
    weights: Weights = COLD_START
    trust: Trust = NO_TRUST


_decode = msgspec.msgpack.Decoder(History).decode
_PRIOR: Final = COLD_START.packed()


class Versions(Watched[Mapping[Place, Scorer]]):
    """The histories in the store, as this process saw them last. They are sealed for their place."""

    def __init__(self, records: Records, keyring: Keyring) -> None:
        super().__init__(records, TABLE, self._opened, {}, "versions of scorers")
        self._keyring = keyring

    def weights(self, tenant: str, alias: str) -> Weights:
        """Give the live scorer of prompts; before anything was learned, the prior."""
        known = self.now.get((tenant, alias))
        return known.weights if known else COLD_START

    def trust(self, tenant: str, alias: str) -> Trust:
        """Give what is known of the small model's answers."""
        known = self.now.get((tenant, alias))
        return known.trust if known else NO_TRUST

    def history(self, tenant: str, alias: str) -> History:
        """Give an alias's versions, for the caller to change and to `write`."""
        known = self.now.get((tenant, alias))
        return msgspec.structs.replace(known.history) if known else History(tenant, alias)

    def histories(self) -> Sequence[History]:
        """Give those of all aliases."""
        return [msgspec.structs.replace(known.history) for known in self.now.values()]

    async def write(self, history: History) -> None:
        """Put a history into the store. Raises StoreUnavailable."""
        key = f"{history.tenant}/{history.alias}"
        sealed = self._keyring.seal(TABLE, msgspec.msgpack.encode(history), key.encode())
        await self._records.put(TABLE, {key: sealed})
        await self.look()

    def _opened(self, table: Mapping[str, bytes]) -> Mapping[Place, Scorer]:
        histories = opened(table, self._keyring, TABLE, _decode, "a scorer").values()
        return {(its.tenant, its.alias): self._scorer(its) for its in histories}

    def _scorer(self, history: History) -> Scorer:
        """Unpack the weights, unless they are those of before."""
        before = self.now.get((history.tenant, history.alias))
        live, version = history.version(), history.scoring()
        if before is not None and before.history.version() == live:
            return Scorer(history, before.weights, before.trust)
        if version is None:
            if live is not None:
                log.warning(
                    "scorer %d of %s/%s was made with other features of prompts; until it is learned anew "
                    "the prior scores",
                    live.number,
                    history.tenant,
                    history.alias,
                )
            return Scorer(history)
        gain = COLD_START if version.gain == _PRIOR else Weights.unpacked(version.gain)
        after = Weights.unpacked(version.after) if version.after else NOTHING
        return Scorer(history, gain, Trust(Weights.unpacked(version.trust), version.promise, after))
