"""The scorer on records made here, and the goals on the shared dev files where they are present."""

import gzip
import json
from pathlib import Path

import pytest

from penstock.detect.evaluation import evaluate, factory

SHARED = Path(__file__).parents[4] / "shared/data/redaction"


def write(folder: Path, *records: dict) -> Path:
    with gzip.open(folder / "made.jsonl.gz", "wt", encoding="utf-8") as lines:
        for record in records:
            lines.write(json.dumps(record) + "\n")
    return folder


def test_counts_hits_misses_and_false_positives_within_scope(tmp_path):
    gold = {"start": 0, "end": 10, "type": "EMAIL", "raw": "e"}
    write(
        tmp_path,
        {"id": "made:1", "text": "x" * 20, "spans": [gold], "scope": ["EMAIL"]},
        {"id": "made:2", "text": "y" * 20, "spans": [gold], "scope": ["EMAIL"]},
        {"id": "made:3", "text": "z" * 20, "spans": [], "scope": []},
    )
    report = evaluate(
        tmp_path, lambda text: [(0, 6, "EMAIL"), (12, 15, "IP")] if text[0] in "xz" else [(12, 15, "EMAIL")]
    )
    figures = report["types"]["EMAIL"]
    assert (figures["recall"], figures["precision"], figures["false_positives"]) == (0.5, 0.5, 1)
    assert figures["f2"] == 0.5
    assert "IP" not in report["types"]
    assert report["records"] == 3
    assert json.dumps(report)


def test_half_of_a_span_is_enough_and_less_is_not(tmp_path):
    gold = {"start": 0, "end": 10, "type": "EMAIL", "raw": "e"}
    write(tmp_path, {"id": "made:1", "text": "x" * 20, "spans": [gold], "scope": ["EMAIL"]})
    assert evaluate(tmp_path, lambda text: [(0, 5, "EMAIL")])["types"]["EMAIL"]["recall"] == 1
    assert evaluate(tmp_path, lambda text: [(0, 4, "EMAIL")])["types"]["EMAIL"]["recall"] == 0
    covered = evaluate(tmp_path, lambda text: [(0, 9, "IP")])["types"]["EMAIL"]
    assert (covered["recall"], covered["recall_any"]) == (0, 1)


def test_the_factory_gives_what_the_shared_scorer_asks_for():
    assert factory()("mail jane@example.org") == [(5, 21, "EMAIL")]


GOALS = {"CREDIT_CARD": 0.985, "EMAIL": 0.985, "IP": 0.985, "US_SSN": 0.95, "PHONE": 0.85, "PASSPORT": 0.8,
         "DRIVER_LICENSE": 0.85, "NATIONAL_ID": 0.8, "TAX_ID": 0.8}  # fmt: skip


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared dev files are not here")
def test_the_goals_on_the_dev_files():
    report = evaluate(SHARED)
    short = {
        type: report["types"][type]["f2"]
        for type, goal in GOALS.items()
        if report["types"][type]["f2"] < goal
    }
    assert short == {}
    assert (
        report["files"]["neg_gsm8k"]["false_positives"] + report["files"]["neg_humaneval"]["false_positives"]
        <= 3
    )
    secrets = report["files"]["credsweeper_samples"]
    assert secrets["recall"] >= 0.6
    assert secrets["precision"] >= 0.85
