"""Totals: what all processes have counted, dead ones included, and how the pages of the past become one.

Keys of the table: `EXPERIMENT/DIGEST/ARM/BEGUN.PROCESS` for a page of tally.py, and `…/~UPTO` for a fold, the
sum of all that an arm's pages held that were begun before UPTO. A fold makes those pages, and earlier folds,
count no more; they are deleted once it is written. So whoever dies in between, or folds the same at the
same moment (full hours only: it is the same fold), counts nothing twice and loses nothing.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from penstock.clock import SYSTEM, Clock
from penstock.experiment.tally import CLOSED_S, PAGE_S, PURPOSE, TABLE, Cell, Counts
from penstock.stores.keyring import Keyring
from penstock.stores.records import Records
from penstock.stores.watched import Watched, opened

FORGOTTEN_S: Final = 90 * 86_400
"""How long an arm is kept that no process counts for any more, and that is in no policy."""
_MOST_DELETED: Final = 200  # in one round

_decode = msgspec.msgpack.Decoder(Counts).decode


@dataclass(slots=True)
class _Arm:
    """What the table holds of a cell: pages and folds by key, with the moment that each stands for."""

    pages: dict[str, tuple[float, Counts]] = field(default_factory=dict)
    folds: dict[str, tuple[float, Counts]] = field(default_factory=dict)

    @property
    def upto(self) -> float:
        """Pages begun before this are in the latest fold."""
        return max((upto for upto, _ in self.folds.values()), default=-math.inf)

    @property
    def latest(self) -> float:
        """When anybody last began to count."""
        return max(self.upto, *(begun for begun, _ in self.pages.values()), -math.inf)

    def total(self, before: float = math.inf) -> Counts:
        """Add up the latest fold and the pages after it that were begun `before`."""
        whole = Counts()
        for upto, counts in self.folds.values():
            if upto == self.upto:
                whole.merge(counts)
        for begun, counts in self.pages.values():
            if self.upto <= begun < before:
                whole.merge(counts)
        return whole

    def folded(self) -> Iterable[str]:
        """Give the keys of all that the latest fold holds."""
        yield from (key for key, (upto, _) in self.folds.items() if upto < self.upto)
        yield from (key for key, (begun, _) in self.pages.items() if begun < self.upto)

    def wants_folding(self, before: float) -> bool:
        """Say whether any page is old enough and in no fold."""
        return any(self.upto <= begun < before for begun, _ in self.pages.values())


class Totals(Watched[Mapping[Cell, Counts]]):
    """What all processes have counted, as the records say."""

    def __init__(self, records: Records, keyring: Keyring, clock: Clock = SYSTEM) -> None:
        super().__init__(records, TABLE, self._added, {}, "tallies of experiments", clock=clock)
        self._keyring = keyring
        self._arms: dict[Cell, _Arm] = {}

    async def fold(self, live: Iterable[tuple[str, str]]) -> None:
        """Fold what nobody writes any more, and delete what is folded. Raises StoreUnavailable.

        `live` names the experiments of the policies, each with its digest; what else is there is forgotten in
        time. A fold of a crash's leavings is the next round's.
        """
        await self.look()
        now = self._clock.now()
        upto = int((now - CLOSED_S) // PAGE_S * PAGE_S)
        known = frozenset(live)
        folds, doomed = {}, []
        for cell, arm in self._arms.items():
            if (cell.experiment, cell.digest) not in known and arm.latest < now - FORGOTTEN_S:
                doomed += [*arm.pages, *arm.folds]
                continue
            if arm.wants_folding(upto):
                key = f"{cell.key}/~{upto}"
                sealed = self._keyring.seal(PURPOSE, msgspec.msgpack.encode(arm.total(upto)), key.encode())
                folds[key] = sealed
            doomed += arm.folded()
        if folds:
            await self._records.put(TABLE, folds)
        for key in doomed[:_MOST_DELETED]:
            await self._records.delete(TABLE, key)

    def _added(self, table: Mapping[str, bytes]) -> Mapping[Cell, Counts]:
        self._arms = {}
        for key, counts in opened(table, self._keyring, PURPOSE, _decode, "a tally").items():
            experiment, digest, arm, name = key.split("/")
            its = self._arms.setdefault(Cell(experiment, digest, arm), _Arm())
            begun, dot, _ = name.partition(".")
            if name.startswith("~"):
                its.folds[key] = float(name[1:]), counts
            else:
                its.pages[key] = float(begun) if dot else 0.0, counts
        return {cell: arm.total() for cell, arm in self._arms.items()}
