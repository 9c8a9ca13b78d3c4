"""Figures out of rows: medians of what was compared within each repetition."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from scenarios import DIRECT, MITMDUMP, PENSTOCK, STREAMING_MITMDUMP

Row = dict[str, Any]
_OFFERED_PER_S: Final = 32 * 200.0  # of 32 streams with an event every 5 ms


@dataclass(frozen=True, slots=True)
class Bar:
    """What the project asks of a figure."""

    text: str
    reached: Callable[[float], bool]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: what each target did, and each repetition's comparison of two of them."""

    what: str
    did: dict[str, list[float]]
    compared: list[float]
    unit: str
    bar: Bar | None = None

    @property
    def median(self) -> float:
        """Give the median of the comparisons."""
        return median(self.compared)


class Rows:
    """The rows of a run that count."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = {
            (row["scenario"], row["target"], row["repetition"]): row for row in rows if "void" not in row
        }
        self._repetitions = sorted({row["repetition"] for row in rows})

    def values(self, scenario: str, target: str, key: str) -> list[float]:
        """Give a value of each repetition; `answer_us.p50` looks into a row's value."""
        return [value for _, value in self._each(scenario, target, key)]

    def pairs(self, one: tuple[str, str], other: tuple[str, str], key: str) -> Iterator[tuple[float, float]]:
        """Give the values of two (scenario, target) side by side, of repetitions where both count."""
        others = dict(self._each(*other, key))
        for repetition, value in self._each(*one, key):
            if repetition in others:
                yield value, others[repetition]

    def _each(self, scenario: str, target: str, key: str) -> Iterator[tuple[int, float]]:
        for repetition in self._repetitions:
            value: Any = self._rows.get((scenario, target, repetition))
            for word in key.split("."):
                value = value.get(word) if value else None
            if value is not None:
                yield repetition, value


def figures(rows: Sequence[Row]) -> list[Figure]:
    """Make every figure of the scenarios; one whose rows are all missing or void is left out."""
    counted = Rows(rows)
    made = [
        *_throughput(counted, "misses", "cache misses", Bar(">= 1.2 x, aim 1.5", lambda x: x >= 1.2)),
        *_throughput(counted, "hits", "cache hits", Bar(">= 2 x", lambda x: x >= 2)),
        _added(counted, "p50 of a miss, 1 connection, us", ("one", PENSTOCK)),
        _added(counted, "p50 of a hit, 1 connection, us", ("one hit", PENSTOCK)),
        _added(counted, "p50 through mitmdump, us", ("one", MITMDUMP)),
        _first_event(counted, PENSTOCK, Bar("<= 3 ms", lambda ms: ms <= 3)),
        _first_event(counted, STREAMING_MITMDUMP),
        _ratio(counted, "full rate", "events_per_s", "events/s at full rate, 16 streams", STREAMING_MITMDUMP),
        _ratio(counted, "full rate", "cpu_us_per_event", "CPU us/event at full rate", STREAMING_MITMDUMP),
        _kept(counted),
    ]
    return [figure for figure in made if figure.compared]


def _throughput(rows: Rows, scenario: str, title: str, bar: Bar) -> Iterator[Figure]:
    yield _ratio(rows, scenario, "rps", f"{title}, req/s", MITMDUMP, bar)
    yield _ratio(rows, scenario, "cpu_us_per_request", f"{title}, CPU us/request", MITMDUMP)


def _ratio(rows: Rows, scenario: str, key: str, what: str, peer: str, bar: Bar | None = None) -> Figure:
    """Compare with mitmdump: times as many, or times the CPU. More is better only for rates."""
    did = {name: rows.values(scenario, name, key) for name in (PENSTOCK, peer, DIRECT)}
    pairs = rows.pairs((scenario, PENSTOCK), (scenario, peer), key)
    return Figure(what, did, [ours / theirs for ours, theirs in pairs], "x", bar)


def _added(rows: Rows, what: str, whose: tuple[str, str]) -> Figure:
    key, direct = "answer_us.p50", ("one", DIRECT)
    did = {whose[1]: rows.values(*whose, key), DIRECT: rows.values(*direct, key)}
    return Figure(
        f"added {what}", did, [through - bare for through, bare in rows.pairs(whose, direct, key)], "us"
    )


def _first_event(rows: Rows, target: str, bar: Bar | None = None) -> Figure:
    key, scenario = "first_event_us.p50", "paced"
    did = {name: [us / 1000 for us in rows.values(scenario, name, key)] for name in (target, DIRECT)}
    pairs = rows.pairs((scenario, target), (scenario, DIRECT), key)
    what = "added time to first event, ms" if target == PENSTOCK else "the same through mitmdump, ms"
    return Figure(what, did, [(through - bare) / 1000 for through, bare in pairs], "ms", bar)


def _kept(rows: Rows) -> Figure:
    key, scenario = "events_per_s", "paced 32"
    did = {name: rows.values(scenario, name, key) for name in (PENSTOCK, STREAMING_MITMDUMP, DIRECT)}
    return Figure(
        "events/s kept of 6,400, 32 paced streams",
        did,
        [per_s / _OFFERED_PER_S for per_s in did[PENSTOCK]],
        "of 1",
    )


def memory_figures(steps: Sequence[Row]) -> list[Figure]:
    """Make the figures of memory out of the steps of the long run; the first step counts as warm-up."""
    whole = [step for step in steps if "void" not in step]
    names = sorted({step["target"] for step in whole if step["target"] != DIRECT}, reverse=True)
    curves = {name: [step["rss_mb"] for step in whole if step["target"] == name] for name in names}
    if any(len(curve) < 2 for curve in curves.values()) or PENSTOCK not in curves:
        return []
    ends = {name: [curve[-1]] for name, curve in curves.items()}
    growth = {name: [curve[-1] - curve[0]] for name, curve in curves.items()}
    late = {name: [curve[-1] - curve[len(curve) // 2 - 1]] for name, curve in curves.items()}
    bar = Bar("<= 5 MB", lambda mb: mb <= 5)
    return [
        Figure("RSS at the end, MiB", ends, ends[PENSTOCK], "MiB"),
        Figure("RSS growth after the first tenth, MiB", growth, growth[PENSTOCK], "MiB", bar),
        Figure("of it in the second half, MiB", late, late[PENSTOCK], "MiB"),
    ]
