"""The loop: outcomes come in, candidates come out; one goes live if it wins on what it was not taught."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final
from zlib import crc32

from penstock.routing.features import Features, hashed
from penstock.routing.feedback import Observed, Served, examples
from penstock.routing.fit import Example, fit
from penstock.routing.weights import Weights

REMEMBERED: Final = 20_000
_FOLDS: Final = 5
_LEAST: Final = 30  # outcomes that decide anything
_SURE: Final = 1.28  # one-sided 90 %

BELIEVED: Final = 0.3
_SLOPE: Final = 0.2  # per half doubling of a prompt's length
_MIDDLE: Final = 17  # half doublings: about 360 characters
_FAINT: Final = 0.001


def _by_length() -> Weights:
    """Expect more gain of longer prompts: the one rule that was found to hold between pairs of models."""
    pulls = {next(iter(hashed([f"L{step}"]))): _SLOPE * (step - _MIDDLE) for step in range(2 * _MIDDLE + 1)}
    return Weights((1.0, 1.0, 1.0), 0.0, pulls)


PRIOR: Final = _by_length()
"""What is believed of a pair that nothing is known of."""

COLD_START: Final = Weights(
    PRIOR.scales, 5 * _FAINT, {feature: pull * _FAINT for feature, pull in PRIOR.items()}
)
"""The prior as a scorer that is live before anything was learned: it knows an order, and no size of a gain.

All its gains are just above 0, so that it sends its share to the large model, and none where a policy
asks for a gain that is worth something.
"""


OPINION: Final = Weights((1.0, 1.0, 1.0), 0.0, dict.fromkeys(hashed(["agrees=False"]), 1.0))
"""What is believed of a small model's answer: that the large one gains where a second opinion differs."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What outcomes say of a candidate: `better` is the gap between both models times the APGR it adds."""

    wins: bool
    better: float
    error: float
    count: int


class Learner:
    """Remembers the last requests of one pair of models and makes weights of them.

    `prior` is what is believed as long as little was seen: length, or what `transferred` made of another
    pair's weights. `shape_scale` is as for `fit`.
    """

    def __init__(
        self, remembered: int = REMEMBERED, prior: Weights = PRIOR, shape_scale: float | None = None
    ) -> None:
        self._prior = prior
        self._shape_scale = shape_scale
        self._observed: deque[Observed] = deque(maxlen=remembered)

    def __len__(self) -> int:
        return len(self._observed)

    def observe(self, observed: Observed) -> bool:
        """Remember a request; False for one that teaches nothing, as no outcome of who served is known."""
        if not _teaches(observed):
            return False
        self._observed.append(observed)
        return True

    def snapshot(self) -> Weights:
        """Make a candidate of all that is remembered. It takes seconds at ten thousand requests."""
        return fit(list(examples(self._observed)), self._shape_scale, self._prior)

    def trial(self, live: Weights, unseen: int) -> Comparison:
        """Compare the live scorer with candidates, on the newest `unseen` outcomes, which taught it nothing.

        Every outcome is scored by a candidate that was fitted without it and its likes, so all of them
        decide, and what is compared is a little worse than `snapshot`. The same prompt is always in one
        fold: when it comes again, the live scorer may know it and the candidate does not.
        """
        taught = list(examples(self._observed))
        known = len(taught) - min(unseen, len(taught))
        if len(taught) - known < _LEAST:
            return Comparison(False, 0.0, 0.0, len(taught) - known)
        folds = [lot_of(example.features) % _FOLDS for example in taught]
        moves: list[tuple[float, float]] = []
        for fold in range(_FOLDS):
            rest = [example for example, own in zip(taught, folds, strict=True) if own != fold]
            asked = [e for e, own in zip(taught[known:], folds[known:], strict=True) if own == fold]
            moves += _moves(live, fit(rest, self._shape_scale, self._prior), asked)
        return _verdict(moves)


def compare(live: Weights, candidate: Weights, outcomes: Sequence[Example]) -> Comparison:
    """Say whether the candidate sends the right prompts to the large model more surely than the live one.

    Neither may have been taught these outcomes.
    """
    return _verdict(_moves(live, candidate, outcomes))


def transferred(weights: Weights, share: float = BELIEVED) -> Weights:
    """Take the weights of another pair of models as a weak prior, over that of length.

    What one pair taught says little of another (reference figures: .48 to .60), so a share of it is believed.
    """
    pulls = dict(PRIOR.items())
    for feature, pull in weights.items():
        pulls[feature] = pulls.get(feature, 0.0) + pull * share
    return Weights(weights.scales, weights.intercept * share, pulls)


def lot_of(features: Features) -> int:
    """Draw a number that stays the same for the same features, in whatever order."""
    sums = (sum(features.words), sum(features.options), sum(features.shape))
    return crc32(b"%d %d %d" % sums)


def _teaches(seen: Observed) -> bool:
    """Say whether an example can be made of it."""
    if seen.small is not None and seen.large is not None:
        return True
    return (seen.small if seen.served is Served.SMALL else seen.large) is not None


def _moves(live: Weights, candidate: Weights, outcomes: Sequence[Example]) -> list[tuple[float, float]]:
    """Give for each outcome what the candidate's order brings more than the live one's, and its weight.

    The area under the quality curve is a sum over prompts of gain times rank, so both are compared prompt
    by prompt: the same prompts, the same noise. Ranks sum to the same, so only a gain's distance from the
    mean counts.
    """
    total = sum(outcome.weight for outcome in outcomes) or 1.0
    mean = sum(outcome.gain * outcome.weight for outcome in outcomes) / total
    pairs = zip(_ranks(live, outcomes), _ranks(candidate, outcomes), outcomes, strict=True)
    return [((after - before) * (outcome.gain - mean), outcome.weight) for before, after, outcome in pairs]


def _verdict(moves: Sequence[tuple[float, float]]) -> Comparison:
    total = sum(weight for _, weight in moves)
    if not total:
        return Comparison(False, 0.0, 0.0, 0)
    better = sum(move * weight for move, weight in moves) / total
    error = sqrt(sum(((move - better) * weight) ** 2 for move, weight in moves)) / total
    wins = len(moves) >= _LEAST and better > _SURE * error
    return Comparison(wins, better, error, len(moves))


def _ranks(weights: Weights, outcomes: Sequence[Example]) -> list[float]:
    """Give each prompt's place from 0 (stays small) to 1 (first to the large model); equals share one."""
    gains = [weights.gain(outcome.features) for outcome in outcomes]
    order = sorted(range(len(gains)), key=gains.__getitem__)
    ranks = [0.0] * len(gains)
    first = 0
    for place in range(1, len(order) + 1):
        if place == len(order) or gains[order[place]] != gains[order[first]]:
            for at in range(first, place):
                ranks[order[at]] = (first + place) / 2 / len(order)
            first = place
    return ranks


def chance_of_large(gain: float, threshold: float, explore: float) -> float:
    """Give the chance to ask the large model, never nearer to 0 or 1 than `explore`: what learning costs."""
    return 1 - explore if gain > threshold else explore
