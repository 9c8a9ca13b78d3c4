"""The loop replayed: requests come one by one, mostly with the served model's outcome only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from penstock.routing.evaluation.rows import Row
from penstock.routing.evaluation.views import prompt_view
from penstock.routing.features import Features
from penstock.routing.feedback import Observed, Served
from penstock.routing.learner import Learner, chance_of_large, transferred
from penstock.routing.quality_curve import QualityCurve
from penstock.routing.weights import NOTHING, Weights

SHADOW: Final = 0.03
_EXPLORE: Final = 0.25
_REFIT_AT: Final = (250, 500, 1000, 2000, 5000, 10_000)
REPORT_AT: Final = (1000, 10_000)
_RECENT: Final = 500


@dataclass(slots=True)
class Stream:
    """Requests drawn from rows: each once in random order, then again by chance."""

    rows: Sequence[Row]
    seen: Sequence[Features]
    rng: Random

    def places(self, count: int) -> list[int]:
        """Give the places of the rows that are asked."""
        order = self.rng.sample(range(len(self.rows)), k=len(self.rows))[:count]
        return order + self.rng.choices(range(len(self.rows)), k=count - len(order))


def replay(
    dev: Sequence[Row], test: Sequence[Row], seed: int = 0, report_at: Sequence[int] = REPORT_AT
) -> dict[str, float | None]:
    """Give the APGR on `test` after so many requests, learned from nothing. The subject is a known fact."""
    rng = Random(seed)  # noqa: S311 - a simulation
    seen, asked = _with_subject(dev), _with_subject(test)
    stream = Stream(dev, seen, rng)
    learner, live, threshold = Learner(rng), NOTHING, 0.0
    found: dict[str, float | None] = {}
    for count, place in enumerate(stream.places(max(report_at)), 1):
        chance = 0.5 if live is NOTHING else chance_of_large(live.gain(seen[place]), threshold, _EXPLORE)
        learner.observe(_served(dev[place], seen[place], chance, rng))
        if count in _REFIT_AT:
            live = learner.snapshot()
            gains = sorted(live.gain(seen[at]) for at in rng.sample(range(len(dev)), min(_RECENT, len(dev))))
            threshold = gains[len(gains) // 2]
        if count in report_at:
            found[str(count)] = apgr(live, asked, test)
    return found


def _with_subject(rows: Sequence[Row]) -> list[Features]:
    return [prompt_view(row).with_shape([f"intent={row.category}"]) for row in rows]


def _served(row: Row, seen: Features, chance: float, rng: Random) -> Observed:
    large = rng.random() < chance
    both = rng.random() < SHADOW
    return Observed(
        seen,
        Served.LARGE if large else Served.SMALL,
        chance if large else 1 - chance,
        row.weak_ok if both or not large else None,
        row.strong_ok if both or large else None,
        row.category,
    )


def transfer(learned: Mapping[str, Weights], asked: Mapping[str, Sequence[Row]]) -> dict[str, float | None]:
    """Give the APGR of each pair's weights on each other pair, with none of its own labels."""
    return {
        f"{source} -> {name}": apgr(transferred(weights), _prompts(rows), rows)
        for name, rows in asked.items()
        for source, weights in learned.items()
        if name in learned and source != name
    }


def _prompts(rows: Sequence[Row]) -> list[Features]:
    return [prompt_view(row) for row in rows]


def apgr(weights: Weights, seen: Sequence[Features], rows: Sequence[Row]) -> float | None:
    """Give the APGR of weights on rows, or None where the large model is not better."""
    gains = [weights.gain(features) for features in seen]
    area = QualityCurve.of(gains, [row.outcome for row in rows]).apgr()
    return None if area is None else round(area, 4)
