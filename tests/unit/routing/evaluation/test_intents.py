import gzip
from pathlib import Path

from penstock.routing.evaluation.intents import evaluate_intents


def test_intents_are_scored(tmp_path: Path):
    train, test = tmp_path / "train.tsv.gz", tmp_path / "test.tsv"
    lines = [("play some music", "music"), ("turn the song up", "music"), ("is it raining", "weather"),
             ("will it snow", "weather")]  # fmt: skip
    train.write_bytes(gzip.compress("".join(f"{text}\t{label}\n" for text, label in lines).encode()))
    test.write_text("play the song\tmusic\nwill it rain\tweather\nzzz qqq\toos\n")
    figures = evaluate_intents(train, test)
    assert figures["in_scope_accuracy"] == 1.0
    assert figures["out_of_scope_recall"] in (0.0, 1.0)
    assert figures["train_s"] >= 0
    assert 0 < figures["us_p50"] <= figures["us_p99"]
