"""The loop replayed: requests come one by one, mostly with the served model's outcome only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random
from typing import Any, Final

from penstock.routing.evaluation.rows import Row
from penstock.routing.evaluation.views import prompt_view
from penstock.routing.features import Features
from penstock.routing.feedback import Observed, Served
from penstock.routing.fit import Example
from penstock.routing.learner import Learner, chance_of_large, compare, transferred
from penstock.routing.quality_curve import QualityCurve
from penstock.routing.weights import NOTHING, Weights

SHADOW: Final = 0.03
_EXPLORE: Final = 0.25
_REFIT_AT: Final = (250, 500, 1000, 2000, 5000, 10_000)
REPORT_AT: Final = (1000, 10_000)
_RECENT: Final = 500
_TRIED: Final = 600
_PROOF: Final = 2.0  # standard errors: weights of another pair are as often worse than chance as better


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
    learner, live, threshold = Learner(), NOTHING, 0.0
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


def transfer(
    learned: Mapping[str, Weights], dev: Mapping[str, Sequence[Row]], test: Mapping[str, Sequence[Row]]
) -> dict[str, Any]:
    """Give the APGR of each pair's weights on each other pair, of which nothing was learned.

    `untried` is with no outcome of that pair, `tried` after some that decide whether the weights go live:
    without proof chance decides, which is an APGR of .5. Pairs whose large model was not seen to be better
    are left out, since there is nothing to gain from any order.
    """
    found: dict[str, dict[str, float | None]] = {"untried": {}, "tried": {}}
    for name, rows in test.items():
        if name not in learned or not _pays(dev[name]):
            continue
        seen = [prompt_view(row) for row in rows]
        trial = [Example(prompt_view(row), row.gain) for row in dev[name][:_TRIED]]
        for source in sorted(learned.keys() - {name}):
            weights = transferred(learned[source])
            verdict = compare(NOTHING, weights, trial)
            live = weights if verdict.better > _PROOF * verdict.error else NOTHING
            found["untried"][f"{source} -> {name}"] = apgr(weights, seen, rows)
            found["tried"][f"{source} -> {name}"] = apgr(live, seen, rows)
    lowest = {
        kind: min((area for area in areas.values() if area is not None), default=None)
        for kind, areas in found.items()
    }
    return {"outcomes_tried": _TRIED, "lowest": lowest, **found}


def _pays(rows: Sequence[Row]) -> bool:
    """Say whether the large model is surely better: by two standard errors of the mean gain."""
    mean = sum(row.gain for row in rows) / len(rows)
    spread = sum((row.gain - mean) ** 2 for row in rows) / len(rows)
    return mean > 2 * sqrt(spread / len(rows))


def apgr(weights: Weights, seen: Sequence[Features], rows: Sequence[Row]) -> float | None:
    """Give the APGR of weights on rows, or None where the large model is not better."""
    gains = [weights.gain(features) for features in seen]
    area = QualityCurve.of(gains, [row.outcome for row in rows]).apgr()
    return None if area is None else round(area, 4)
