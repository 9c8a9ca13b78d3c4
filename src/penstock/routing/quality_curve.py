"""What a score is worth: quality over the share of calls to the large model, and figures read from it.

The figures are RouteLLM's (arXiv 2406.18665): PGR is the share of the gap between both models that is made
up, APGR the area under it, CPT(x) the smallest share of large calls with PGR >= x.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random


@dataclass(frozen=True, slots=True)
class Outcome:
    """What both models scored on one prompt, 0 to 1."""

    small: float
    large: float

    @property
    def gain(self) -> float:
        """How much better the large model did."""
        return self.large - self.small


@dataclass(frozen=True, slots=True)
class QualityCurve:
    """Mean quality by share of calls to the large model, from none to all."""

    shares: Sequence[float]
    qualities: Sequence[float]

    @classmethod
    def of(cls, gains: Sequence[float], outcomes: Sequence[Outcome]) -> "QualityCurve":
        """Send the prompts with the largest expected gain first; equal ones are mixed."""
        count = len(outcomes)
        order = sorted(range(count), key=lambda place: -gains[place])
        base = sum(outcome.small for outcome in outcomes) / count
        shares, qualities, gained = [0.0], [base], 0.0
        for sent, place in enumerate(order, 1):
            gained += outcomes[place].gain
            if sent == count or gains[order[sent]] != gains[place]:
                shares.append(sent / count)
                qualities.append(base + gained / count)
        return cls(shares, qualities)

    @property
    def gap(self) -> float:
        """How much better the large model is."""
        return self.qualities[-1] - self.qualities[0]

    def apgr(self) -> float | None:
        """Give the area under PGR; None where the large model is not better."""
        if self.gap <= 0:
            return None
        points = zip(self.shares, self.qualities, strict=True)
        area = sum((y0 + y1) / 2 * (x1 - x0) for (x0, y0), (x1, y1) in pairwise(points))
        return (area - self.qualities[0]) / self.gap

    def cpt(self, recovered: float) -> float:
        """Give the smallest share of large calls that makes up this share of the gap."""
        return self.share_for(self.qualities[0] + recovered * self.gap)

    def share_for(self, quality: float) -> float:
        """Give the smallest share of large calls that reaches a quality; 1 if none does."""
        if self.qualities[0] >= quality:
            return 0.0
        points = zip(self.shares, self.qualities, strict=True)
        for (x0, y0), (x1, y1) in pairwise(points):
            if y1 >= quality - 1e-12:
                return x0 + (quality - y0) / (y1 - y0) * (x1 - x0)
        return 1.0

    def quality_at(self, share: float) -> float:
        """Give the quality at a share of large calls."""
        place = min(max(bisect_left(self.shares, share), 1), len(self.shares) - 1)
        x0, x1 = self.shares[place - 1 : place + 1]
        y0, y1 = self.qualities[place - 1 : place + 1]
        return y0 + (y1 - y0) * (share - x0) / (x1 - x0)


def apgr_interval(
    gains: Sequence[float], outcomes: Sequence[Outcome], rng: Random, times: int = 100
) -> tuple[float, float] | None:
    """Give the 95 % bootstrap interval of the APGR."""
    places = range(len(outcomes))
    found = []
    for _ in range(times):
        drawn = rng.choices(places, k=len(outcomes))
        curve = QualityCurve.of([gains[at] for at in drawn], [outcomes[at] for at in drawn])
        if (area := curve.apgr()) is not None:
            found.append(area)
    found.sort()
    return (found[int(0.025 * len(found))], found[int(0.975 * len(found))]) if found else None
