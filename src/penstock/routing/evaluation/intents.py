"""Score the intent classifier on CLINC150's files: `text<tab>intent`, out of scope is `oos`."""

import gzip
from collections import defaultdict
from pathlib import Path
from typing import Final

from penstock.clock import PROCESSOR, Clock
from penstock.routing.intents import IntentClassifier

OUT_OF_SCOPE: Final = "oos"


def evaluate_intents(train: Path, test: Path, clock: Clock = PROCESSOR) -> dict[str, float]:
    """Learn from one file and score another. Raises OSError, ValueError."""
    examples = defaultdict(list)
    for text, label in _pairs(train):
        examples[label].append(text)
    began = clock.monotonic()
    classifier = IntentClassifier.train(examples, examples.pop(OUT_OF_SCOPE, []))
    taught = clock.monotonic() - began
    right = known = refused = unknown = 0
    spent = []
    for text, label in _pairs(test):
        began = clock.monotonic()
        intent = classifier.intent(text)
        spent.append((clock.monotonic() - began) * 1e6)
        if label == OUT_OF_SCOPE:
            unknown += 1
            refused += not intent.in_scope
        else:
            known += 1
            right += intent.in_scope and intent.label == label
    spent.sort()
    return {
        "in_scope_accuracy": round(right / known, 4) if known else 0.0,
        "out_of_scope_recall": round(refused / unknown, 4) if unknown else 0.0,
        "train_s": round(taught, 2),
        "us_p50": round(spent[len(spent) // 2], 1),
        "us_p99": round(spent[int(len(spent) * 0.99)], 1),
    }


def _pairs(path: Path) -> list[tuple[str, str]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        pairs = [line.rstrip("\n").split("\t") for line in lines]
    return [(text, label) for text, label in pairs]
