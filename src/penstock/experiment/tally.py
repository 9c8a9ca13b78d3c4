"""Tally: what each arm's requests cost, took and were worth, counted here and added up from all processes."""

import logging
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from penstock.experiment.assign import BUCKETS
from penstock.experiment.policy import METRICS, Experiment, Metric
from penstock.experiment.sequential import Sample
from penstock.stores.keyring import Keyring, SealBroken
from penstock.stores.records import Records

log = logging.getLogger("penstock.experiment")
TABLE: Final = "tallies"
_PURPOSE: Final = "experiment tally"


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

    def __init__(self, records: Records, keyring: Keyring) -> None:
        self._records = records
        self._keyring = keyring
        self._process = secrets.token_hex(6)
        self._counts: dict[Cell, Counts] = {}
        self._changed: set[Cell] = set()

    def of(self, cell: Cell) -> Counts:
        """Give an arm's counts, to be added to."""
        self._changed.add(cell)
        return self._counts.setdefault(cell, Counts())

    async def flush(self) -> None:
        """Write what has changed. Raises StoreUnavailable; nothing is lost by that."""
        changed, self._changed = self._changed, set()
        if not changed:
            return
        try:
            await self._records.put(TABLE, dict(self._sealed(changed)))
        except BaseException:
            self._changed |= changed
            raise

    def _sealed(self, cells: Iterable[Cell]) -> Iterable[tuple[str, bytes]]:
        for cell in cells:
            key = f"{cell.key}/{self._process}"
            yield key, self._keyring.seal(_PURPOSE, msgspec.msgpack.encode(self._counts[cell]), key.encode())


class Totals:
    """What all processes have counted, dead ones included, as the records say."""

    def __init__(self, records: Records, keyring: Keyring) -> None:
        self._records = records
        self._keyring = keyring
        self._version = 0
        self._counts: Mapping[Cell, Counts] = {}

    async def read(self) -> Mapping[Cell, Counts]:
        """Add all up, if anything has changed. Raises StoreUnavailable."""
        self._version, table = await self._records.read(TABLE, self._version)
        if table is not None:
            self._counts = self._added(table)
        return self._counts

    def _added(self, table: Mapping[str, bytes]) -> Mapping[Cell, Counts]:
        totals: dict[Cell, Counts] = {}
        for key, sealed in table.items():
            try:
                counts = msgspec.msgpack.decode(
                    self._keyring.open(_PURPOSE, sealed, key.encode()), type=Counts
                )
                experiment, digest, arm, _ = key.split("/")
                totals.setdefault(Cell(experiment, digest, arm), Counts()).merge(counts)
            except (SealBroken, ValueError, msgspec.MsgspecError):
                log.error("a tally was not written by this keyring, or by another version; it does not count")
        return totals


def metrics_of(counts: Counts) -> Iterable[tuple[Metric, Sample]]:
    """Give what was seen, by metric, in the order of the docs."""
    return [(metric, counts.sample(metric)) for metric in METRICS if metric in counts.metrics]
