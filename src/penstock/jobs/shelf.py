"""Shelf: outcomes that were taken, sealed and in their order, for this trainer and whoever comes after it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, Self

import msgspec

from penstock.routing.features import FEATURES
from penstock.routing.learner import REMEMBERED
from penstock.routing.outcomes import Outcome, Outcomes
from penstock.routing.versions import Place
from penstock.stores.keyring import Keyring, SealBroken
from penstock.stores.records import Records
from penstock.stores.watched import Watched, opened

log = logging.getLogger("penstock.routing")
INDEX: Final = "lessons"
_ROWS: Final = 250  # of a chunk
_BYTES: Final = 256 * 1024  # of a chunk, so that a store reads one in milliseconds
_CHUNKS: Final = REMEMBERED // _ROWS


class Lesson(msgspec.Struct, frozen=True, array_like=True):
    """An outcome, with its number in the order of its alias and the key that it came with."""

    number: int
    key: str
    outcome: Outcome


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """What the index says of a shelf: how many chunks were ever begun, and what was there before the last.

    `made_with` is the version of the features of those `count` outcomes.
    """

    begun: int
    count: int = 0
    made_with: int = 1


_decode = msgspec.msgpack.Decoder(_Entry).decode


class Shelf:
    """The latest outcomes of one alias of one tenant: some 20,000, or 20 MB of them.

    They stand in tables of some hundreds, which are used in turn: where the next one begins, the oldest is
    emptied. A table's name is a keyed hash of the place, and the index names the place. Outcomes with
    features of another version stay there unseen: if a release is taken back they count again.
    """

    def __init__(self, records: Records, keyring: Keyring, place: Place, after: int = 0) -> None:
        self._records = records
        self._keyring = keyring
        self._key = "/".join(place)
        self._name = _name(keyring, self._key)
        self._version = self._begun = 0
        self._rows = self._bytes = 0  # of the newest chunk
        self._keys: dict[str, None] = {}  # oldest first
        self.latest = after

    @classmethod
    async def open(cls, records: Records, keyring: Keyring, place: Place, after: int = 0) -> Self:
        """Read which outcomes are there; the next one's number is above `after`. Raises StoreUnavailable."""
        shelf = cls(records, keyring, place, after)
        async for lessons in shelf.read():
            shelf._keys.update(dict.fromkeys(lesson.key for lesson in lessons))
            shelf.latest = max([shelf.latest, *(lesson.number for lesson in lessons)])
        return shelf

    def __len__(self) -> int:
        return len(self._keys)

    async def read(self) -> AsyncIterator[Sequence[Lesson]]:
        """Give all outcomes chunk by chunk, oldest first, each once. Raises StoreUnavailable."""
        await self._look()
        seen: set[str] = set()
        for chunk in range(max(0, self._begun - _CHUNKS), self._begun):
            _, table = await self._records.read(self._table(chunk))
            self._rows, self._bytes = len(table or {}), sum(map(len, (table or {}).values()))
            lessons = [lesson for lesson in self._opened(chunk, table or {}) if lesson.key not in seen]
            seen.update(lesson.key for lesson in lessons)
            yield sorted(lessons, key=lambda lesson: lesson.number)

    async def add(self, outcomes: Mapping[str, Outcome]) -> int:
        """Put outcomes at the end, and give how many were new. Raises StoreUnavailable.

        Those that are there already, by their key, are left alone: adding again after a failure is safe.
        """
        await self._look()
        batch: dict[str, bytes] = {}
        latest, new = self.latest, [key for key in outcomes if key not in self._keys]
        for number, key in enumerate(new, latest + 1):
            plain = msgspec.msgpack.encode(Lesson(number, key, outcomes[key]))
            if not self._begun or self._rows >= _ROWS or self._bytes + len(plain) > _BYTES:
                await self._put(batch)
                await self._begin()
                batch = {}
            self._rows, self._bytes = self._rows + 1, self._bytes + len(plain)
            batch[key] = self._keyring.seal(INDEX, plain, self._bound(self._begun - 1, key))
        await self._put(batch)
        return len(new)

    async def _put(self, batch: Mapping[str, bytes]) -> None:
        if batch:
            await self._records.put(self._table(self._begun - 1), batch)
            self._keys.update(dict.fromkeys(batch))
            self.latest += len(batch)
            for key in list(self._keys)[: -_ROWS * _CHUNKS]:
                del self._keys[key]

    async def _begin(self) -> None:
        """Begin a chunk in the place of the oldest, and write down that it is there."""
        await _empty(self._records, self._table(self._begun))
        entry = msgspec.msgpack.encode(_Entry(self._begun + 1, len(self), FEATURES))
        await self._records.put(INDEX, {self._key: self._keyring.seal(INDEX, entry, self._key.encode())})
        self._begun += 1
        self._rows = self._bytes = 0

    async def _look(self) -> None:
        """See in the index how many chunks there are; none, if the tenant was forgotten meanwhile."""
        version, table = await self._records.read(INDEX, self._version)
        if table is not None and (begun := self._begun_by(table)) != self._begun:
            self._begun, self._rows, self._bytes = begun, 0, 0
            if not begun:
                self._keys.clear()
        self._version = version

    def _begun_by(self, index: Mapping[str, bytes]) -> int:
        try:
            plain = self._keyring.open(INDEX, index[self._key], self._key.encode())
            return _decode(plain).begun
        except KeyError:
            return 0
        except (SealBroken, msgspec.MsgspecError):
            log.error("outcomes of %s were not written by this keyring and do not count", self._key)
            return 0

    def _opened(self, chunk: int, table: Mapping[str, bytes]) -> list[Lesson]:
        lessons = []
        for key, sealed in table.items():
            try:
                plain = self._keyring.open(INDEX, sealed, self._bound(chunk, key))
                lessons.append(msgspec.msgpack.decode(plain, type=Lesson))
            except (SealBroken, msgspec.MsgspecError):
                log.error("an outcome of %s was not written by this keyring and does not count", self._key)
        return [lesson for lesson in lessons if lesson.outcome.readable]

    def _table(self, chunk: int) -> str:
        return f"{self._name}-{chunk % _CHUNKS}"

    def _bound(self, chunk: int, key: str) -> bytes:
        return f"{self._table(chunk)}/{key}".encode()


class Known(Watched[Mapping[Place, int]]):
    """How many outcomes are known of each alias, told whenever a chunk begins: every few hundred."""

    def __init__(self, records: Records, keyring: Keyring) -> None:
        super().__init__(records, INDEX, self._opened, {}, "numbers of outcomes")
        self._keyring = keyring

    def count(self, tenant: str, alias: str) -> int:
        """Give how many of an alias are known; 0 before any are."""
        return self.now.get((tenant, alias), 0)

    def _opened(self, table: Mapping[str, bytes]) -> Mapping[Place, int]:
        counts: dict[Place, int] = {}
        for key, entry in opened(table, self._keyring, INDEX, _decode, "a shelf of outcomes").items():
            tenant, _, alias = key.partition("/")
            counts[tenant, alias] = entry.count if entry.made_with == FEATURES else 0
        return counts


async def forget(records: Records, keyring: Keyring, tenant: str) -> None:
    """Delete all outcomes of a tenant, those that wait for a trainer too. Raises StoreUnavailable."""
    outcomes = Outcomes(records, keyring)
    waiting = await outcomes.waiting()
    await outcomes.drop(key for key, outcome in waiting.items() if outcome.tenant == tenant)
    _, index = await records.read(INDEX)
    for key in [key for key in index or {} if key.startswith(f"{tenant}/")]:
        for chunk in range(_CHUNKS):
            await _empty(records, f"{_name(keyring, key)}-{chunk}")
        await records.delete(INDEX, key)


async def _empty(records: Records, table: str) -> None:
    _, found = await records.read(table)
    await asyncio.gather(*(records.delete(table, key) for key in found or {}))


def _name(keyring: Keyring, key: str) -> str:
    return f"{INDEX}-{keyring.mac(INDEX, key.encode('utf-8', 'surrogatepass')).hex()[:24]}"
