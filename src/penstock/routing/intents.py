"""Which intent a text has, learned from labelled examples; none when it is like none of them.

A linear ranker trained passive-aggressively (Crammer et al., 2006) and averaged: an example that is not right
by a margin moves only its own label and the one that stood in its way. So weights stay sparse.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from math import log, sqrt
from random import Random
from typing import Final, Self

from penstock.routing.intent_features import Grams, intent_features

_ROUNDS: Final = 6
_MARGIN: Final = 1.0
_LONGEST_STEP: Final = 0.5
_NORM: Final = 4.0  # both labels move along both blocks, each of length 1
_WIDE: Final = 60  # labels of one feature; beyond, it only helps to tell the candidates apart
_CANDIDATES: Final = 20
_ACCEPTED: Final = 0.96  # of held-back examples, where none is known to be out of scope
_REFUSED: Final = 0.45  # of examples known to be out of scope
_HELD_BACK: Final = 5
_MANY: Final = 1000

Vector = list[tuple[int, float]]
Ranks = dict[int, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Intent:
    """The label that fits best, how well it fits (0 to about 1), and whether that is well enough."""

    label: str
    confidence: float
    in_scope: bool


class IntentClassifier:
    """Ranks labels; make one with `train`."""

    def __init__(self, ranks: Ranks, rarity: Mapping[int, float], threshold: float) -> None:
        self._ranks = ranks
        self._rarity = rarity
        self.threshold = threshold

    @classmethod
    def train(
        cls, examples: Mapping[str, Sequence[str]], out_of_scope: Sequence[str] = (), seed: int = 0
    ) -> Self:
        """Learn labels from examples of each. Texts known to be out of scope only set the threshold."""
        pairs = [(label, text) for label, texts in examples.items() for text in texts]
        Random(seed).shuffle(pairs)  # noqa: S311 - an order, not a secret
        classifier = cls._taught(pairs, seed)
        if out_of_scope:
            classifier.threshold = _quantile([classifier.rank(text)[1] for text in out_of_scope], _REFUSED)
        elif len(pairs) >= 2 * _HELD_BACK:
            held = pairs[::_HELD_BACK]
            rest = [pair for place, pair in enumerate(pairs) if place % _HELD_BACK]
            lesser = cls._taught(rest, seed)
            classifier.threshold = _quantile([lesser.rank(text)[1] for _, text in held], 1 - _ACCEPTED)
        return classifier

    @classmethod
    def _taught(cls, pairs: Sequence[tuple[str, str]], seed: int) -> Self:
        features = [intent_features(text) for _, text in pairs]
        rarity = _rarity(features)
        vectors = [_vector(found, rarity) for found in features]
        ranks = _ranked([label for label, _ in pairs], vectors, Random(seed))  # noqa: S311 - an order
        return cls(ranks, rarity, 0.0)

    def intent(self, text: str) -> Intent:
        """Give the label that fits best and whether the text is in scope at all."""
        label, confidence = self.rank(text)
        return Intent(label, confidence, bool(label) and confidence >= self.threshold)

    def rank(self, text: str) -> tuple[str, float]:
        """Give the best label and its score; an empty label where no feature is known."""
        scores = _best_scores(_vector(intent_features(text), self._rarity), self._ranks)
        if not scores:
            return "", 0.0
        best = max(scores, key=scores.__getitem__)
        return best, max(0.0, scores[best])


def _rarity(features: Sequence[tuple[Grams, Grams]]) -> dict[int, float]:
    """Give how rare each feature is; of many examples, features that only one has teach nothing."""
    seen = Counter(gram for grams in features for block in grams for gram in block)
    count = len(features)
    least = 2 if count >= _MANY else 1
    return {gram: 1 + log(count / often) for gram, often in seen.items() if often >= least}


def _vector(features: tuple[Grams, Grams], rarity: Mapping[int, float]) -> Vector:
    """Weigh the known features by rarity; words and runs of letters are each given length 1."""
    vector: Vector = []
    for block in features:
        known = [(gram, rarity[gram]) for gram in block if gram in rarity]
        size = sqrt(sum(value * value for _, value in known))
        vector += [(gram, value / size) for gram, value in known]
    return vector


def _scores(vector: Vector, ranks: Ranks) -> dict[str, float]:
    scores: defaultdict[str, float] = defaultdict(float)
    nothing: dict[str, float] = {}
    for feature, value in vector:
        for label, weight in ranks.get(feature, nothing).items():
            scores[label] += weight * value
    return scores


def _best_scores(vector: Vector, ranks: Ranks) -> dict[str, float]:
    """Score only the labels that could win, in a third of the time.

    What few labels know says who that may be; what many know is added for these candidates alone.
    """
    known = [(ranks[feature], value) for feature, value in vector if feature in ranks]
    common = [(of, value) for of, value in known if len(of) > _WIDE]
    scores: defaultdict[str, float] = defaultdict(float)
    for of, value in known:
        if len(of) <= _WIDE:
            for label, weight in of.items():
                scores[label] += weight * value
    best = nlargest(_CANDIDATES, scores, key=scores.__getitem__)
    best = best or list({label for of, _ in common for label in of})
    return {
        label: scores.get(label, 0.0) + sum(of.get(label, 0.0) * value for of, value in common)
        for label in best
    }


def _ranked(labels: Sequence[str], vectors: Sequence[Vector], rng: Random) -> Ranks:
    """Train, and give the mean of the weights over all steps."""
    ranks: Ranks = defaultdict(dict)
    sums: Ranks = defaultdict(dict)
    every = sorted(set(labels))
    order = list(range(len(labels)))
    step = 0
    for _ in range(_ROUNDS):
        rng.shuffle(order)
        moved = 0
        for place in order:
            step += 1
            moved += _step(labels[place], vectors[place], every, ranks, sums, step)
        if not moved:
            break
    for feature, of in ranks.items():
        for label in of:
            of[label] -= sums[feature][label] / (step + 1)
    return ranks


def _step(label: str, vector: Vector, every: Sequence[str], ranks: Ranks, sums: Ranks, step: int) -> bool:
    """Move the weights if the label does not stand out by the margin; say whether it did."""
    scores = _scores(vector, ranks)
    own = scores.pop(label, 0.0)
    rival = max(scores, key=scores.__getitem__, default=None)
    if rival is None or scores[rival] < 0:
        rival = next((other for other in every if other != label and other not in scores), rival)
    missing = _MARGIN - own + (scores.get(rival, 0.0) if rival else 0.0)
    if missing <= 0:
        return False
    move = min(_LONGEST_STEP, missing / _NORM)
    for feature, value in vector:
        of, summed = ranks[feature], sums[feature]
        for moved, by in ((label, move * value), (rival, -move * value)):
            if moved is not None:
                of[moved] = of.get(moved, 0.0) + by
                summed[moved] = summed.get(moved, 0.0) + by * step
    return True


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
