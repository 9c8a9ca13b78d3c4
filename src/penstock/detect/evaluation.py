"""Score the detectors on labelled records: JSON Lines with `text`, `spans` and `scope`.

A gold span is found when one finding of its type covers half of it. A finding is right when it touches a gold
span of its type, and wrong only in records whose `scope` holds the type. F2 weighs recall twice.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.clock import PROCESSOR, Clock
from penstock.detect.engine import Engine

Detect = Callable[[str], Sequence[tuple[int, int, str]]]
MESSAGE_BYTES = 2048


@dataclass(slots=True)
class Tally:
    """Counts of one class."""

    gold: int = 0
    found: int = 0
    covered: int = 0
    right: int = 0
    wrong: int = 0

    def figures(self) -> dict[str, float]:
        """Give recall, precision and F2; 0 where there is nothing to divide by."""
        recall = self.found / self.gold if self.gold else 0.0
        precision = self.right / (self.right + self.wrong) if self.right + self.wrong else 0.0
        f2 = 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0
        return {
            "gold": self.gold,
            "precision": round(precision, 4),
            "recall": round(recall, 4),
            "recall_any": round(self.covered / self.gold, 4) if self.gold else 0.0,
            "f2": round(f2, 4),
            "false_positives": self.wrong,
        }


def factory() -> Detect:
    """Make a detector that gives (start, end, type)."""
    engine = Engine()
    return lambda text: [(found.start, found.end, found.type) for found in engine.find(text)]


def records(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read every record of the folder's .jsonl and .jsonl.gz files, with the file's name."""
    for path in sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.gz")]):
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield path.name.split(".")[0], json.loads(line)


def evaluate(folder: Path, detect: Detect | None = None, clock: Clock = PROCESSOR) -> dict[str, Any]:
    """Give figures by class and by file, and the time per message in µs (short texts are not scaled up)."""
    detect = detect or factory()
    classes: defaultdict[str, Tally] = defaultdict(Tally)
    files: defaultdict[str, Tally] = defaultdict(Tally)
    spent: list[float] = []
    count = 0
    for name, record in records(folder):
        began = clock.monotonic()
        found = detect(record["text"])
        size = len(record["text"].encode("utf-8", "replace"))
        spent.append((clock.monotonic() - began) * 1e6 * MESSAGE_BYTES / max(size, MESSAGE_BYTES))
        _tally_gold(record["spans"], found, classes, files[name])
        _tally_found(record, found, classes, files[name])
        count += 1
    spent.sort()
    return {
        "records": count,
        "types": {type: tally.figures() for type, tally in sorted(classes.items())},
        "files": {name: tally.figures() for name, tally in sorted(files.items())},
        "us_p50": round(_quantile(spent, 0.5), 1),
        "us_p99": round(_quantile(spent, 0.99), 1),
    }


def _tally_gold(
    spans: list[dict[str, Any]], found: Sequence[tuple[int, int, str]], classes: dict[str, Tally], file: Tally
) -> None:
    for gold in spans:
        start, end = gold["start"], gold["end"]
        shared = [(max(0, min(e, end) - max(s, start)), type) for s, e, type in found]
        hit = any(type == gold["type"] and width * 2 >= end - start for width, type in shared)
        # Findings don't overlap, so their shares may be added.
        covered = sum(width for width, _ in shared) >= 0.9 * (end - start)
        for tally in (classes[gold["type"]], file):
            tally.gold += 1
            tally.found += hit
            tally.covered += covered


def _tally_found(
    record: dict[str, Any], found: Sequence[tuple[int, int, str]], classes: dict[str, Tally], file: Tally
) -> None:
    for start, end, type in found:
        if type not in record["scope"]:
            continue
        right = any(
            g["type"] == type and min(end, g["end"]) > max(start, g["start"]) for g in record["spans"]
        )
        for tally in (classes[type], file):
            tally.right += right
            tally.wrong += not right


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
