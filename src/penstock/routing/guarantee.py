"""The promise of `max_error`: keep the small model's answer only where its error is bounded.

Thresholds are tested from strict to loose, and a walk stops at the first that can't be shown to hold: then
all that passed hold together (fixed-sequence testing). There are two walks, which share the risk `delta`:
most of it goes to one that begins with half of the answers, where there is evidence to show something, the
rest to one that begins with the few most confident, in case only these can be kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import exp, lgamma, log, log1p
from typing import Final

DELTA: Final = 0.05
_STEPS: Final = 50  # thresholds of a walk; more would stop earlier by chance, fewer would keep less
_FROM_HALF: Final = 0.8  # of the risk
_LEAST_SHARE: Final = 0.1  # to keep fewer is not worth a promise, and the few on top are picked by chance
_HALVINGS: Final = 50


@dataclass(frozen=True, slots=True)
class Labelled:
    """One answer of the small model: how confident we were, and whether it was wrong."""

    confidence: float
    wrong: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """Keep answers at or above `threshold`; the rest is evidence: of `count` kept, `wrong` were wrong."""

    threshold: float
    share: float
    count: int
    wrong: int
    bound: float


@dataclass(frozen=True, slots=True)
class Infeasible:
    """No threshold can be shown to hold; the strictest one tried is the evidence."""

    count: int
    wrong: int
    bound: float

    def __str__(self) -> str:
        return f"of the {self.count} most confident answers {self.wrong} were wrong: up to {self.bound:.1%}"


def error_bound(wrong: int, count: int, delta: float = DELTA) -> float:
    """Give the Clopper-Pearson upper bound of an error rate, with confidence `1 - delta`."""
    if wrong >= count:
        return 1.0
    low, high = wrong / count, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(wrong, count, middle) > delta else (low, middle)
    return high


def keep_within(outcomes: Sequence[Labelled], max_error: float, delta: float = DELTA) -> Kept | Infeasible:
    """Find the lowest threshold whose error among kept answers stays within `max_error`."""
    ordered = sorted(outcomes, key=lambda outcome: -outcome.confidence)
    errors = list(accumulate((outcome.wrong for outcome in ordered), initial=0))
    half = _walk(ordered, errors, len(ordered) // 2, max_error, delta * _FROM_HALF)
    if isinstance(half, Kept):
        return half
    return _walk(ordered, errors, 0, max_error, delta * (1 - _FROM_HALF))


def _walk(
    ordered: Sequence[Labelled], errors: Sequence[int], start: int, max_error: float, delta: float
) -> Kept | Infeasible:
    """Keep ever more answers, from `start` on, until the bound can't be shown."""
    best: Kept | None = None
    least = max(start, _least(max_error, delta), int(len(ordered) * _LEAST_SHARE))
    for count in _ends(ordered, least):
        bound = error_bound(errors[count], count, delta)
        if bound > max_error:
            return best or Infeasible(count, errors[count], bound)
        best = Kept(ordered[count - 1].confidence, count / len(ordered), count, errors[count], bound)
    return best or Infeasible(len(ordered), errors[-1], 1.0)


def _least(max_error: float, delta: float) -> int:
    """Give the fewest answers that could ever show the bound, were none of them wrong, and room for some."""
    return int(2 * log(delta) / log1p(-max_error)) + 1 if 0 < max_error < 1 else 1


def _ends(ordered: Sequence[Labelled], least: int) -> list[int]:
    """Give how many are kept at each threshold to test, fewest first; equal confidence is never split."""
    total = len(ordered)
    ends = [
        place
        for place, (here, after) in enumerate(pairwise(ordered), 1)
        if here.confidence != after.confidence
    ]
    ends = [end for end in [*ends, total] if end >= least]
    stride = max(1, -(-(total - least) // _STEPS))
    chosen: list[int] = []
    for end in ends:
        if not chosen or end >= chosen[-1] + stride or end == total:
            chosen.append(end)
    return chosen


def _at_most(wrong: int, count: int, rate: float) -> float:
    """Give the chance of at most `wrong` errors in `count` at this rate."""
    if rate <= 0:
        return 1.0
    if rate >= 1:
        return 0.0
    yes, no, whole = log(rate), log1p(-rate), lgamma(count + 1)
    return sum(
        exp(whole - lgamma(k + 1) - lgamma(count - k + 1) + k * yes + (count - k) * no)
        for k in range(wrong + 1)
    )
