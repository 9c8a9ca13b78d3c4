"""What one request taught about a pair of models, and how one-sided evidence is made whole.

Mostly only the served model's outcome is known. The missing half is filled in by doubly robust estimation
(Dudík et al., 2011): the mean of the topic, corrected by what was seen over the chance of seeing it. Shadow
traffic has both outcomes and needs no estimate.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from penstock.routing.features import Features
from penstock.routing.fit import Example

_PRIOR: Final = 10.0  # requests that a topic needs to count as much as all topics together
_LEAST_CHANCE: Final = 0.1  # below, one request would count for more than ten
_ONE_SIDED: Final = 0.4  # how much a request with one outcome counts beside one with both


class Served(StrEnum):
    """Which model's answer the client got."""

    SMALL = "small"
    LARGE = "large"


@dataclass(frozen=True, slots=True)
class Observed:
    """One request: outcomes from 0 to 1 where they are known, and the chance that `served` was chosen."""

    features: Features
    served: Served
    chance: float
    small: float | None = None
    large: float | None = None
    topic: str | None = None


class _Means:
    """The mean outcome of one model, by topic and over all."""

    def __init__(self, outcomes: Iterable[tuple[str | None, float]]) -> None:
        self._sums: defaultdict[str | None, float] = defaultdict(float)
        self._counts: defaultdict[str | None, int] = defaultdict(int)
        total = count = 0.0
        for topic, outcome in outcomes:
            self._sums[topic] += outcome
            self._counts[topic] += 1
            total += outcome
            count += 1
        self._mean = total / count if count else 0.5

    def of(self, topic: str | None) -> float:
        known = self._sums.get(topic, 0.0) + _PRIOR * self._mean
        return known / (self._counts.get(topic, 0) + _PRIOR)


def examples(observed: Sequence[Observed]) -> Iterator[Example]:
    """Give an example of the gain for each request of which any outcome is known."""
    small = _Means((seen.topic, seen.small) for seen in observed if seen.small is not None)
    large = _Means((seen.topic, seen.large) for seen in observed if seen.large is not None)
    for seen in observed:
        if seen.small is not None and seen.large is not None:
            yield Example(seen.features, seen.large - seen.small, seen.topic)
            continue
        expected_small, expected_large = small.of(seen.topic), large.of(seen.topic)
        gain = expected_large - expected_small
        chance = max(seen.chance, _LEAST_CHANCE)
        if seen.served is Served.SMALL and seen.small is not None:
            gain -= (seen.small - expected_small) / chance
        elif seen.served is Served.LARGE and seen.large is not None:
            gain += (seen.large - expected_large) / chance
        else:
            continue
        yield Example(seen.features, gain, seen.topic, _ONE_SIDED)
