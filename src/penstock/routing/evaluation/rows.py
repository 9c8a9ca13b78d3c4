"""Labelled outcomes: one row is one prompt with what a small and a large model scored on it."""

import gzip
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from penstock.routing.quality_curve import Outcome

Pred = str | float | None


class Row(msgspec.Struct, frozen=True):
    """One line of the data; what a benchmark does not have is None or empty."""

    group: str
    benchmark: str
    prompt: str
    weak_ok: float
    strong_ok: float
    category: str | None = None
    weak_answer: str | None = None
    weak_tail: str | None = None
    weak_pred: Pred = None
    weak_chars: int | None = None
    other_ok: Mapping[str, float] = {}
    other_pred: Mapping[str, Pred] = {}
    other_chars: Mapping[str, int] = {}

    @property
    def outcome(self) -> Outcome:
        """What both models scored."""
        return Outcome(self.weak_ok, self.strong_ok)

    @property
    def gain(self) -> float:
        """How much better the large model did."""
        return self.strong_ok - self.weak_ok


def load(folder: Path) -> list[Row]:
    """Read the folder's .jsonl.gz files. Raises OSError and msgspec.MsgspecError."""
    rows = []
    decode = msgspec.json.Decoder(Row).decode
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rb") as lines:
            rows += [decode(line) for line in lines]
    return rows


def fold_of(row: Row, folds: int) -> int:
    """Give the fold of a row; rows with one prompt stem are always in one fold."""
    return int(row.group, 16) % folds


def by_benchmark(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Sort rows by their benchmark, names in order."""
    sorted_rows: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        sorted_rows[row.benchmark].append(row)
    return dict(sorted(sorted_rows.items()))


def with_small(rows: Sequence[Row], model: str) -> list[Row]:
    """Put another model of the data in the small one's place, where it was measured, without its text."""
    return [
        msgspec.structs.replace(
            row,
            weak_ok=row.other_ok[model],
            weak_pred=row.other_pred.get(model),
            weak_chars=row.other_chars.get(model),
            weak_answer=None,
            weak_tail=None,
        )
        for row in rows
        if model in row.other_ok
    ]
