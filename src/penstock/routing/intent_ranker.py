"""Weights from the features of a text to labels: one row for each known feature, one column for each label.

Trained passive-aggressively (Crammer et al., 2006) and averaged: an example that is not right by a margin
moves only its own label and the one that stood in its way. Each step sees half of the example's features,
so that no label leans on one word alone.
"""

from collections import Counter
from collections.abc import Sequence
from math import log
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from penstock.routing.intent_features import Grams, intent_features

_ROUNDS: Final = 16
_SEEN: Final = 0.5  # the share of the features that a step sees
_MARGIN: Final = 1.0
_LONGEST_STEP: Final = 0.5
_LETTERS: Final = 1.4  # the weight of runs of letters beside that of words
_MANY: Final = 1000

Numbers = NDArray[np.float32]
Vector = tuple[NDArray[np.intp], Numbers]
"""The rows of the features that are known, and how much each counts."""


class Vocabulary:
    """The features that examples have, each with a row and with how rare it is."""

    def __init__(self, features: Sequence[tuple[Grams, Grams]]) -> None:
        """Learn the features; of many examples, those that only one has teach nothing."""
        seen = Counter(gram for grams in features for block in grams for gram in block)
        least = 2 if len(features) >= _MANY else 1
        known = [(gram, often) for gram, often in seen.items() if often >= least]
        self._rows = {gram: row for row, (gram, _) in enumerate(known)}
        self._rarity = np.array([1 + log(len(features) / often) for _, often in known], np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def vector(self, features: tuple[Grams, Grams]) -> Vector:
        """Weigh the known features by rarity; words are given length 1, runs of letters `_LETTERS`."""
        words, runs = map(self._known, features)
        return np.concatenate([words[0], runs[0]]), np.concatenate([words[1], runs[1] * np.float32(_LETTERS)])

    def _known(self, block: Grams) -> Vector:
        rows = np.array([self._rows[gram] for gram in block if gram in self._rows], np.intp)
        values = self._rarity.take(rows)
        return rows, values / np.sqrt(_length_squared(values) or 1.0)


class Ranker:
    """Ranks labels; make one with `taught`."""

    def __init__(self, labels: Sequence[str], vocabulary: Vocabulary, weights: Numbers) -> None:
        self._labels = labels
        self._vocabulary = vocabulary
        self._weights = weights

    @classmethod
    def taught(cls, pairs: Sequence[tuple[str, str]], seed: int) -> Self:
        """Learn from pairs of a label and an example of it."""
        labels = sorted({label for label, _ in pairs})
        if len(labels) == 1:
            labels.append("")  # someone to stand out from
        features = [intent_features(text) for _, text in pairs]
        vocabulary = Vocabulary(features)
        vectors = [vocabulary.vector(found) for found in features]
        columns = [labels.index(label) for label, _ in pairs]
        shape = len(vocabulary), len(labels)
        return cls(labels, vocabulary, _weights(vectors, columns, shape, np.random.default_rng(seed)))

    def rank(self, text: str) -> tuple[str, float]:
        """Give the best label and its score; an empty label where no feature is known."""
        rows, values = self._vocabulary.vector(intent_features(text))
        if not len(rows):
            return "", 0.0
        scores = _scores(self._weights, rows, values)
        best = int(scores.argmax())
        return self._labels[best], max(0.0, float(scores[best]))


def _weights(
    vectors: Sequence[Vector], columns: Sequence[int], shape: tuple[int, int], rng: np.random.Generator
) -> Numbers:
    """Train, and give the mean of the weights after each round, for texts of which all is seen."""
    weights = np.zeros(shape, np.float32)
    total = np.zeros(shape, np.float32)
    for _ in range(_ROUNDS):
        for place in rng.permutation(len(vectors)).tolist():
            rows, values = vectors[place]
            seen = rng.random(len(rows), np.float32) < _SEEN
            rows, values = rows[seen], values[seen]
            own, rival, size = _move(_scores(weights, rows, values), columns[place], _length_squared(values))
            if size:
                moved = values * np.float32(size)
                weights[rows, own] += moved
                weights[rows, rival] -= moved
        total += weights
    total *= _SEEN / _ROUNDS
    return total


def _move(scores: Numbers, own: int, length_squared: float) -> tuple[int, int, float]:
    """Give which two labels move apart and how far, so that the own one stands out by the margin."""
    reached = float(scores[own])
    scores[own] = -np.inf
    rival = int(scores.argmax())
    missing = _MARGIN - reached + float(scores[rival])
    if missing <= 0 or not length_squared:
        return own, rival, 0.0
    return own, rival, min(_LONGEST_STEP, missing / (2 * length_squared))


def _scores(weights: Numbers, rows: NDArray[np.intp], values: Numbers) -> Numbers:
    """Add up the rows. Not by `@`: on a long text BLAS wakes all its threads, which then spin for a while."""
    scores: Numbers = np.einsum("fl,f->l", weights.take(rows, axis=0), values)
    return scores


def _length_squared(values: Numbers) -> float:
    return float((values * values).sum())
