"""Everything `penstock eval routing` prints: each benchmark in each mode, the promises, the loop."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from penstock.clock import PROCESSOR, Clock
from penstock.routing.evaluation.crossfit import cross_fitted, learned
from penstock.routing.evaluation.guarantees import ninety_small, promises
from penstock.routing.evaluation.loop import replay, transfer
from penstock.routing.evaluation.rows import Row, by_benchmark, fold_of, load, with_small
from penstock.routing.evaluation.views import View, answer_view, prompt_view, second_view
from penstock.routing.features import Features
from penstock.routing.fit import AFTER_ANSWER
from penstock.routing.quality_curve import QualityCurve, apgr_interval
from penstock.routing.weights import Weights

_LOOP: Final = "routellm-mmlu"
_LEAST_ROWS: Final = 100
_FOLDS: Final = 2


@dataclass(frozen=True, slots=True)
class Mode:
    """What is scored: rows of one pair of models, seen in one way."""

    pair: str
    sees: str
    view: View
    dev: Sequence[Row]
    test: Sequence[Row]

    @property
    def name(self) -> str:
        """Name the pair and what is seen of it."""
        return f"{self.pair}/{self.sees}"

    @property
    def shape_scale(self) -> float | None:
        """Facts of an answer count for more than words do."""
        return None if self.view is prompt_view else AFTER_ANSWER


def evaluate(
    dev: Path, test: Path | None, fold: tuple[int, int] | None, clock: Clock = PROCESSOR
) -> dict[str, Any]:
    """Learn from `dev` and score `test`, or one fold of `dev`. Raises OSError, ValueError."""
    rows = load(dev)
    asked = load(test) if test else []
    if fold:
        number, folds = fold
        asked = [row for row in rows if fold_of(row, folds) == number]
        rows = [row for row in rows if fold_of(row, folds) != number]
    known = {row.group for row in rows}
    asked = [row for row in asked if row.group not in known]
    modes = list(_modes(rows, asked))
    sure = {mode.pair: mode.name for mode in modes}  # of each pair the mode that sees most
    learn, score = by_benchmark(rows), by_benchmark(asked)
    prompts: dict[str, Weights] = {}
    figures: dict[str, Any] = {"modes": {}, "guarantee": {}}
    for mode in modes:
        seen = [mode.view(row) for row in mode.dev]
        weights = learned(mode.dev, seen, _gain, mode.shape_scale)
        figures["modes"][mode.name] = {**_scored(mode, weights, clock), "ninety_small": _ninety(mode, seen)}
        if mode.sees.startswith("second") or mode.name in sure.values():
            asked_seen = [mode.view(row) for row in mode.test]
            figures["guarantee"][mode.name] = promises(mode.dev, seen, mode.test, asked_seen)
        if mode.sees == "prompt":
            prompts[mode.pair] = weights
    return {
        "rows": {"dev": len(rows), "test": len(asked)},
        **figures,
        "loop": replay(learn[_LOOP], score[_LOOP]) if _LOOP in prompts else {},
        "transfer": transfer(prompts, learn, score),
    }


def _gain(row: Row) -> float:
    return row.gain


def _ninety(mode: Mode, seen: Sequence[Features]) -> dict[str, Any]:
    """Say whether 90 % can stay small, by what was known before anything of the test was seen."""
    gains = cross_fitted(mode.dev, seen, _gain, _FOLDS, mode.shape_scale)
    return ninety_small(gains, [row.outcome for row in mode.dev])


def _modes(dev: Sequence[Row], test: Sequence[Row]) -> Iterator[Mode]:
    """Give each benchmark by prompt, by answer where there is one, and with one second opinion."""
    learn, score = by_benchmark(dev), by_benchmark(test)
    for name, rows in learn.items():
        if len(rows) < _LEAST_ROWS or name not in score:
            continue
        yield Mode(name, "prompt", prompt_view, rows, score[name])
        if rows[0].weak_chars is not None:
            yield Mode(name, "answer", answer_view, rows, score[name])
    for name, small, *seconds in _SECOND:
        if name in learn and name in score:
            pair = [with_small(part[name], small) if small else part[name] for part in (learn, score)]
            owner = f"{name}:{small}" if small else name
            yield Mode(owner, " ".join(["second", *seconds]), second_view(*seconds), pair[0], pair[1])


_SECOND: Final[Sequence[tuple[str, str | None, *tuple[str, ...]]]] = (
    ("mmlupro-llama", None, "phi3-mini"),
    ("zeroeval-gsm", "llama31-8b", "gemma2-9b"),
    ("zeroeval-gsm", "llama31-8b", "gemma2-9b", "qwen2-7b"),
    ("zeroeval-gsm", None, "gemma2-9b"),
    ("zeroeval-crux", None, "claude3-haiku"),
)
"""Benchmark, the small model where it isn't the data's own, and who gives second opinions."""


def _scored(mode: Mode, weights: Weights, clock: Clock) -> dict[str, Any]:
    gains, spent = [], []
    for row in mode.test:
        began = clock.monotonic()
        gains.append(weights.gain(mode.view(row)))
        spent.append((clock.monotonic() - began) * 1e6)
    spent.sort()
    outcomes = [row.outcome for row in mode.test]
    curve = QualityCurve.of(gains, outcomes)
    area = curve.apgr()
    figures = {
        "n": len(outcomes),
        "small": curve.qualities[0],
        "large": curve.qualities[-1],
        "us_p50": spent[len(spent) // 2],
        "us_p99": spent[int(len(spent) * 0.99)],
    }
    if area is not None:
        low, high = apgr_interval(gains, outcomes, Random(0)) or (area, area)  # noqa: S311 - a bootstrap
        figures |= {"apgr": area, "apgr_low": low, "apgr_high": high}
        figures |= {"cpt50": curve.cpt(0.5), "cpt80": curve.cpt(0.8)}
    for quality in (0.95, 0.99):
        figures[f"calls_for_{quality:.0%}"] = curve.share_for(quality * curve.qualities[-1])
    figures["loss_at_90_small"] = 1 - curve.quality_at(0.1) / curve.qualities[-1]
    rounded = {name: round(value, 4) for name, value in figures.items()}
    return rounded
