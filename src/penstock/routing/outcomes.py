"""Outcomes on their way to the trainer: what is known of an answer, with no word of it."""

import asyncio
import contextlib
import secrets
from asyncio import Task
from collections.abc import Iterable, Mapping
from itertools import batched
from typing import Final

import msgspec

from penstock.errors import StoreUnavailable
from penstock.routing.features import FEATURES, Features
from penstock.routing.feedback import Observed, Served
from penstock.stores.keyring import Keyring, SealBroken
from penstock.stores.records import Records

TABLE: Final = "outcomes"
_EVERY_S: Final = 1.0
_STEP: Final = 100  # dropped at once: one write for all of them
_MOST_WAITING: Final = 5_000  # while the store is gone


class Learned(msgspec.Struct, frozen=True, array_like=True):
    """What was known when a request was routed: its features, who was asked, and how likely that was.

    `key` is drawn by lot: outcomes with the same one are about the same answer. `answer` holds the options
    and the shape that a cascade saw in the small model's answer, beside those of the prompt. `made_with` is
    the version of the features; before it was written down it was 1.
    """

    words: frozenset[int]
    options: frozenset[int]
    shape: frozenset[int]
    served: str
    chance: float
    topic: str | None
    key: bytes = b""
    answer: tuple[frozenset[int], frozenset[int]] | None = None
    made_with: int = 1

    @classmethod
    def of(cls, features: Features, served: Served, chance: float, topic: str | None) -> "Learned":
        """Put it together."""
        words, options, shape = map(frozenset, (features.words, features.options, features.shape))
        return cls(words, options, shape, served.value, chance, topic, made_with=FEATURES)

    def packed(self) -> bytes:
        """Give the bytes that an exchange carries along."""
        return msgspec.msgpack.encode(self)


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """How good answers to one request were, from 0 to 1, of the models of which that is known."""

    tenant: str
    alias: str
    learned: bytes
    small: float | None = None
    large: float | None = None
    answer_features: bytes = b""
    small_right: bool | None = None

    def observed(self) -> Observed:
        """Give it as the learner takes it.

        Raises msgspec.DecodeError, and ValueError for features of another version, which mean something else.
        """
        told = msgspec.msgpack.decode(self.learned, type=Learned)
        if told.made_with != FEATURES:
            raise ValueError("its features were made by another release")
        features = Features(told.words, told.options, told.shape)
        return Observed(features, Served(told.served), told.chance, self.small, self.large, told.topic)

    @property
    def readable(self) -> bool:
        """Whether the learner can take it: it is whole, and its features are today's."""
        try:
            self.observed()
        except (msgspec.MsgspecError, ValueError):
            return False
        return True


class Outcomes:
    """Puts outcomes where the trainer finds them, sealed, in batches."""

    def __init__(self, records: Records, keyring: Keyring) -> None:
        self._records = records
        self._keyring = keyring
        self._waiting: dict[str, bytes] = {}
        self._putting: Task[None] | None = None

    def put(self, outcome: Outcome) -> None:
        """Send it soon; while the store is gone the latest wait."""
        if len(self._waiting) >= _MOST_WAITING:
            return
        key = secrets.token_hex(8)
        self._waiting[key] = self._keyring.seal(TABLE, msgspec.msgpack.encode(outcome), key.encode())
        if self._putting is None or self._putting.done():
            self._putting = asyncio.get_running_loop().create_task(self._put())

    async def waiting(self) -> dict[str, Outcome]:
        """Give all that wait in the store, by key; they stay there until `drop`. Raises StoreUnavailable.

        What can't be read goes at once.
        """
        _, table = await self._records.read(TABLE)
        found = {key: self._opened(key, sealed) for key, sealed in (table or {}).items()}
        await self.drop([key for key, outcome in found.items() if outcome is None])
        return {key: outcome for key, outcome in found.items() if outcome is not None}

    async def drop(self, keys: Iterable[str]) -> None:
        """Forget outcomes that are kept elsewhere now. Raises StoreUnavailable; the rest waits on then."""
        for step in batched(keys, _STEP):
            await asyncio.gather(*(self._records.delete(TABLE, key) for key in step))

    def _opened(self, key: str, sealed: bytes) -> Outcome | None:
        try:
            plain = self._keyring.open(TABLE, sealed, key.encode())
            return msgspec.msgpack.decode(plain, type=Outcome)
        except (SealBroken, msgspec.MsgspecError):
            return None

    async def stop(self) -> None:
        """Send what waits."""
        if self._putting is not None:
            self._putting.cancel()
        with contextlib.suppress(StoreUnavailable):
            await self._flush()

    async def _put(self) -> None:
        while self._waiting:
            await asyncio.sleep(_EVERY_S)
            with contextlib.suppress(StoreUnavailable):
                await self._flush()

    async def _flush(self) -> None:
        batch: Mapping[str, bytes] = dict(self._waiting)
        if batch:
            await self._records.put(TABLE, batch)
            for key in batch:
                self._waiting.pop(key, None)
