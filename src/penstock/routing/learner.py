"""The loop: outcomes come in, candidates come out; one goes live only if it wins on held-back outcomes."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random
from typing import Final

from penstock.routing.features import hashed
from penstock.routing.feedback import Observed, examples
from penstock.routing.fit import Example, fit
from penstock.routing.weights import Weights

_REMEMBERED: Final = 20_000
_HELD_BACK: Final = 0.1
_LEAST_HELD_BACK: Final = 30
_SURE: Final = 1.28  # one-sided 90 %

BELIEVED: Final = 0.3
_SLOPE: Final = 0.2  # per half doubling of a prompt's length
_MIDDLE: Final = 17  # half doublings: about 360 characters


def _by_length() -> Weights:
    """Expect more gain of longer prompts: the one rule that was found to hold between pairs of models."""
    pulls = {next(iter(hashed([f"L{step}"]))): _SLOPE * (step - _MIDDLE) for step in range(2 * _MIDDLE + 1)}
    return Weights((1.0, 1.0, 1.0), 0.0, pulls)


PRIOR: Final = _by_length()
"""What is believed of a pair that nothing is known of."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What held-back outcomes say of a candidate: `better` in units of APGR times the models' gap."""

    wins: bool
    better: float
    error: float
    count: int


class Learner:
    """Remembers the last requests of one pair of models and makes weights of them.

    A share is held back by chance and never taught, so that candidates can be compared on it. `prior` is what
    is believed as long as little was seen: length, or what `transferred` made of another pair's weights.
    """

    def __init__(self, rng: Random, remembered: int = _REMEMBERED, prior: Weights = PRIOR) -> None:
        self._rng = rng
        self._prior = prior
        self._taught: deque[Observed] = deque(maxlen=remembered)
        self._held_back: deque[Observed] = deque(maxlen=max(1, int(remembered * _HELD_BACK)))

    def __len__(self) -> int:
        return len(self._taught) + len(self._held_back)

    @property
    def taught(self) -> Sequence[Observed]:
        """What candidates are made of."""
        return list(self._taught)

    def observe(self, observed: Observed) -> None:
        """Remember a request whose outcome is known, at least of one model."""
        held_back = self._rng.random() < _HELD_BACK
        (self._held_back if held_back else self._taught).append(observed)

    def snapshot(self) -> Weights:
        """Make a candidate of what was taught. It takes seconds at ten thousand requests."""
        return fit(list(examples(self._taught)), prior=self._prior)

    def compare(self, live: Weights, candidate: Weights) -> Comparison:
        """Compare on the outcomes that were held back."""
        return compare(live, candidate, list(examples(self._held_back)))


def compare(live: Weights, candidate: Weights, outcomes: Sequence[Example]) -> Comparison:
    """Say whether the candidate sends the right prompts to the large model more surely than the live one.

    The area under the quality curve is a sum over prompts of gain times rank, so both are compared prompt
    by prompt: the same prompts, the same noise.
    """
    count = len(outcomes)
    if not count:
        return Comparison(False, 0.0, 0.0, 0)
    pairs = zip(_ranks(live, outcomes), _ranks(candidate, outcomes), outcomes, strict=True)
    moves = [(after - before) * outcome.gain for before, after, outcome in pairs]
    better = sum(moves) / count
    error = sqrt(sum((move - better) ** 2 for move in moves)) / count
    wins = count >= _LEAST_HELD_BACK and better > _SURE * error
    return Comparison(wins, better, error, count)


def transferred(weights: Weights, share: float = BELIEVED) -> Weights:
    """Take the weights of another pair of models as a weak prior, over that of length.

    What one pair taught says little of another (reference figures: .48 to .60), so a share of it is believed.
    """
    pulls = dict(PRIOR.items())
    for feature, pull in weights.items():
        pulls[feature] = pulls.get(feature, 0.0) + pull * share
    return Weights(weights.scales, weights.intercept * share, pulls)


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
