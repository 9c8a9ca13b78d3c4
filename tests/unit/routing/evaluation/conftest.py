"""A small world in which hard prompts say that they are, so that everything has something to find."""

import gzip
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec
import pytest

from penstock.routing.evaluation.rows import Row

HARD, EASY = "prove that the deep lemma holds for all rings and fields", "say good morning to her"


def make_world(count: int, benchmark: str = "routellm-mmlu", seed: int = 1) -> list[Row]:
    rng = Random(seed)  # noqa: S311 - the same in every run
    rows = []
    for _ in range(count):
        hard = rng.random() < 0.5
        prompt = f"{HARD if hard else EASY} {rng.randrange(99)}"
        small = float(rng.random() < (0.3 if hard else 0.98))
        answer = f"2 + 2 = {4 if small else 5}\n#### 4"
        group = f"{rng.getrandbits(40):x}"
        rows.append(
            Row(
                *(group, benchmark, prompt, small, float(rng.random() < 0.97)),
                category="hard" if hard else "easy",
                weak_answer=answer,
                weak_pred=4.0 if small else 5.0,
                weak_chars=len(answer),
                other_pred={"second": 4.0},
                other_chars={"second": 9},
            )
        )
    return rows


def write_rows(folder: Path, rows: list[Row]) -> Path:
    (folder / "rows.jsonl.gz").write_bytes(
        gzip.compress(b"\n".join(msgspec.json.encode(row) for row in rows))
    )
    return folder


@pytest.fixture
def world() -> Callable[..., list[Row]]:
    return make_world


@pytest.fixture
def write() -> Callable[[Path, list[Row]], Path]:
    return write_rows
