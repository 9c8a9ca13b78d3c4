"""Tally: what each arm's requests cost, took and were worth, counted here for all processes to add up.

A process writes its sums into pages, one for each arm and hour. A page that is old enough is never written
again, so that totals.py can fold old pages into one without asking whose they were.
"""

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from penstock.clock import SYSTEM, Clock
from penstock.experiment.assign import BUCKETS
from penstock.experiment.policy import METRICS, Experiment, Metric
from penstock.experiment.sequential import Sample
from penstock.stores.keyring import Keyring
from penstock.stores.records import Records
from penstock.telemetry.metrics import Arms

TABLE: Final = "tallies"
PURPOSE: Final = "experiment tally"
PAGE_S: Final = 3600
"""For how long a process writes into the same page."""
CLOSED_S: Final = 3 * PAGE_S
"""Nobody writes into a page that was begun so long ago, if clocks differ by less than an hour."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm of one experiment, as it is defined now: a changed one begins anew."""

    experiment: str
    digest: str
    arm: str

    @classmethod
    def of(cls, name: str, experiment: Experiment, arm: str) -> "Cell":
        """Name an arm."""
        return cls(name, experiment.digest, arm)

    @property
    def key(self) -> str:
        """The cell in a word; none of its parts has a slash."""
        return f"{self.experiment}/{self.digest}/{self.arm}"


class Moments(msgspec.Struct, array_like=True):
    """How many, their sum, their sum of squares; and how many and their sum by bucket."""

    n: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    ns: list[float] = msgspec.field(default_factory=lambda: [0.0] * BUCKETS)
    totals: list[float] = msgspec.field(default_factory=lambda: [0.0] * BUCKETS)

    def add(self, value: float, bucket: int, n: float = 1.0) -> None:
        """Count a value; with n = 0 it belongs to something that has been counted before."""
        self.n += n
        self.total += value
        self.squares += value * value
        self.ns[bucket] += n
        self.totals[bucket] += value

    def merge(self, other: "Moments") -> None:
        """Add what another process has counted."""
        self.n += other.n
        self.total += other.total
        self.squares += other.squares
        self.ns = [a + b for a, b in zip(self.ns, other.ns, strict=True)]
        self.totals = [a + b for a, b in zip(self.totals, other.totals, strict=True)]


class Counts(msgspec.Struct):
    """All that was seen of one arm. Cache hits and what is excluded are in none of the metrics."""

    requests: int = 0
    hits: int = 0
    excluded: int = 0
    metrics: dict[str, Moments] = msgspec.field(default_factory=dict)

    def sample(self, metric: Metric) -> Sample:
        """Give what was seen of a metric."""
        seen = self.metrics.get(metric) or Moments()
        buckets = list(zip(seen.ns, seen.totals, strict=True))
        return Sample(seen.n, seen.total, seen.squares, buckets, shares=metric == "error")

    def add(self, metric: Metric, value: float, bucket: int, n: float = 1.0) -> None:
        """Count a value of a metric."""
        self.metrics.setdefault(metric, Moments()).add(value, bucket, n)

    def merge(self, other: "Counts") -> None:
        """Add what another process has counted."""
        self.requests += other.requests
        self.hits += other.hits
        self.excluded += other.excluded
        for metric, seen in other.metrics.items():
            self.metrics.setdefault(metric, Moments()).merge(seen)


class Tally:
    """What this process has counted, on its way to the records that all processes add up."""

    def __init__(self, records: Records, keyring: Keyring, clock: Clock = SYSTEM) -> None:
        self._records = records
        self._keyring = keyring
        self._clock = clock
        self._metrics = Arms()
        self._lock = asyncio.Lock()
        self._fresh: dict[Cell, Counts] = {}
        self._page: dict[Cell, Counts] = {}
        self._turn()

    def of(self, cell: Cell) -> Counts:
        """Give an arm's counts since the last writing, to be added to at once."""
        return self._fresh.setdefault(cell, Counts())

    async def flush(self) -> None:
        """Write what has changed. Raises StoreUnavailable; nothing is lost by that."""
        async with self._lock:
            if self._age_s >= CLOSED_S - PAGE_S:  # the store was gone for long: soon others fold this page
                self._turn()
            if self._fresh:
                await self._write()
            if self._age_s >= PAGE_S:
                self._turn()

    async def _write(self) -> None:
        """Write what is fresh together with what stands on the page already."""
        fresh, self._fresh = self._fresh, {}
        page = {cell: _sum(counts, self._page.get(cell)) for cell, counts in fresh.items()}
        try:
            await self._records.put(TABLE, dict(self._sealed(page)))
        except BaseException:
            for cell, counts in fresh.items():
                self.of(cell).merge(counts)
            raise
        self._page |= page
        for cell, counts in fresh.items():
            self._tell(cell, counts)

    @property
    def _age_s(self) -> float:
        return abs(self._clock.now() - self._begun)

    def _turn(self) -> None:
        """Begin a page. What could not be written stays fresh; all else stands on the one before."""
        self._begun = int(self._clock.now())
        self._name = f"{self._begun}.{secrets.token_hex(6)}"
        self._page = {}

    def _sealed(self, page: Mapping[Cell, Counts]) -> Iterable[tuple[str, bytes]]:
        for cell, counts in page.items():
            key = f"{cell.key}/{self._name}"
            yield key, self._keyring.seal(PURPOSE, msgspec.msgpack.encode(counts), key.encode())

    def _tell(self, cell: Cell, counts: Counts) -> None:
        seen = {metric: (its.n, its.total) for metric, its in counts.metrics.items()}
        told = counts.requests, counts.hits, counts.excluded
        self._metrics.counted(cell.experiment, cell.arm, *told, seen)


def metrics_of(counts: Counts) -> Iterable[tuple[Metric, Sample]]:
    """Give what was seen, by metric, in the order of the docs."""
    return [(metric, counts.sample(metric)) for metric in METRICS if metric in counts.metrics]


def _sum(one: Counts, other: Counts | None) -> Counts:
    whole = Counts()
    for each in (other, one):
        if each is not None:
            whole.merge(each)
    return whole
