"""Fit weights to outcomes: ridge regression on the gain, helped by the mean gain of each topic."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from heapq import nlargest
from math import log, sqrt
from typing import Final

from penstock.routing.features import Features, Scales
from penstock.routing.ridge import SparseRow, ridge, weighted
from penstock.routing.weights import NOTHING, Weights

_PENALTY: Final = 60.0
_OPTION_SCALE: Final = 0.6
_SHAPE_ROWS: Final = 8000  # with fewer rows than this the few features of shape count for more than words do
_SHAPE_SCALES: Final = (0.5, 4.0)
_MOST_FEATURES: Final = (
    32_000  # a larger table scores no better, and slower: it outgrows the processor's cache
)
AFTER_ANSWER: Final = 4.0  # the shape scale once there is an answer: its facts say more than any word
_TOPIC_SHARE: Final = 0.5
_TOPIC_PRIOR: Final = 10.0


@dataclass(frozen=True, slots=True)
class Example:
    """What one request taught: its features, the gain seen or estimated, and how much it counts.

    `topic` is any label that groups requests alike, such as an intent; it is used to learn, never to score.
    """

    features: Features
    gain: float
    topic: str | None = None
    weight: float = 1.0


def fit(examples: Sequence[Example], shape_scale: float | None = None, prior: Weights = NOTHING) -> Weights:
    """Learn to score the gain. Without examples it is the prior that comes back.

    `shape_scale` is how much facts of shape count beside words; without it the number of examples decides.
    Where examples say little, the weights stay near `prior`.
    """
    if not examples:
        return prior
    low, high = _SHAPE_SCALES
    shape = shape_scale or min(high, max(low, sqrt(_SHAPE_ROWS / len(examples))))
    return _fit(examples, (1.0, _OPTION_SCALE, shape), dict(prior.items()))


def _fit(examples: Sequence[Example], scales: Scales, prior: Mapping[int, float]) -> Weights:
    before = Weights(scales, 0.0, prior)
    examples = [replace(e, gain=e.gain - before.gain(e.features)) for e in examples]
    rarity = _rarity(examples)
    place = {feature: column for column, feature in enumerate(rarity)}
    total = sum(example.weight for example in examples)
    mean = sum(example.gain * example.weight for example in examples) / total
    rows = [weighted(_row(e.features, scales, place, rarity), e.weight) for e in examples]
    wanted = zip(examples, _targets(examples, mean), strict=True)
    found = ridge(rows, [gain * sqrt(e.weight) for e, gain in wanted], len(place), _PENALTY)
    scaled = _group_scales(examples, scales)
    learned = {f: found[at] * rarity[f] * scaled[f] + prior.get(f, 0.0) for f, at in place.items()}
    strongest = nlargest(_MOST_FEATURES, learned.items(), key=lambda item: abs(item[1]))
    return Weights(scales, mean, {**prior, **dict(strongest)})


def _targets(examples: Sequence[Example], mean: float) -> Iterator[float]:
    """Give each example's own gain, which is noisy, mixed with its topic's mean, which is quiet."""
    sums: defaultdict[str, float] = defaultdict(float)
    counts: defaultdict[str, float] = defaultdict(lambda: _TOPIC_PRIOR)
    for example in examples:
        if example.topic is not None:
            sums[example.topic] += (example.gain - mean) * example.weight
            counts[example.topic] += example.weight
    for example in examples:
        own = example.gain - mean
        if example.topic is None:
            yield own
        else:
            topic = sums[example.topic] / counts[example.topic]
            yield (own + _TOPIC_SHARE * topic) / (1 + _TOPIC_SHARE)


def _groups(features: Features, scales: Scales) -> Iterator[tuple[float, Set[int]]]:
    return zip(scales, (features.words, features.options, features.shape), strict=True)


def _rarity(examples: Sequence[Example]) -> dict[int, float]:
    """Give the inverse document frequency of the features that enough examples share."""
    seen: Counter[int] = Counter()
    for example in examples:
        for _, group in _groups(example.features, (1.0, 1.0, 1.0)):
            seen.update(group)
    count = len(examples)
    least = max(2, min(4, count // 2000))
    return {feature: log(count / often) for feature, often in seen.items() if often >= least}


def _group_scales(examples: Sequence[Example], scales: Scales) -> dict[int, float]:
    return {f: scale for e in examples for scale, group in _groups(e.features, scales) for f in group}


def _row(
    features: Features, scales: Scales, place: Mapping[int, int], rarity: Mapping[int, float]
) -> SparseRow:
    size = features.size(scales)
    columns: list[int] = []
    values: list[float] = []
    for scale, group in _groups(features, scales):
        known = [feature for feature in group if feature in place]
        columns += [place[feature] for feature in known]
        values += [scale * rarity[feature] / size for feature in known]
    return SparseRow(columns, values)
