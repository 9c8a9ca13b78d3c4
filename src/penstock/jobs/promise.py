"""The promise that outcomes support: whom to trust after an answer, and from which confidence on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from penstock.routing.fit import AFTER_ANSWER, Example, fit
from penstock.routing.guarantee import Kept, Labelled, keep_within
from penstock.routing.learner import lot_of
from penstock.routing.weights import NOTHING, Weights

_FOLDS: Final = 5
_LOOSER: Final = 0.01  # of the answers, as the next one; a step of the threshold is as much
_STRICTER: Final = 0.03


@dataclass(frozen=True, slots=True)
class Promise:
    """Keep what these weights trust as much as `kept` says; `infeasible` says why nothing can be kept."""

    trust: Weights = NOTHING
    kept: Kept | None = None
    infeasible: str = ""

    def keeps(self, judged: Example) -> bool:
        """Say whether this answer of the small model would go out."""
        return self.kept is not None and -self.trust.gain(judged.features) >= self.kept.threshold


def promised(judged: Sequence[Example], max_error: float | None) -> Promise:
    """Learn which answers are wrong, and find the threshold that keeps the error of the rest within bounds.

    Each example is an answer of the small model, with a gain of 1 where it was wrong and of 0 where it was
    right. Without `max_error` nothing is promised.
    """
    if not judged:
        return Promise()
    trust = fit(judged, AFTER_ANSWER)
    if max_error is None:
        return Promise(trust)
    found = keep_within(_cross_fitted(judged), max_error)
    return Promise(trust, found) if isinstance(found, Kept) else Promise(trust, infeasible=str(found))


def _cross_fitted(judged: Sequence[Example]) -> list[Labelled]:
    """Give each answer the confidence of weights that never saw it, nor one with the same features.

    So every answer teaches, and every answer is evidence.
    """
    labelled: list[Labelled] = []
    lots = [lot_of(example.features) % _FOLDS for example in judged]
    for fold in range(_FOLDS):
        weights = fit([each for each, lot in zip(judged, lots, strict=True) if lot != fold], AFTER_ANSWER)
        own = [each for each, lot in zip(judged, lots, strict=True) if lot == fold]
        labelled += [Labelled(-weights.gain(each.features), each.gain > 0) for each in own]
    return labelled


def stands(live: Promise, latest: Promise, judged: Sequence[Example]) -> bool:
    """Say whether the live promise decides about these answers as the latest one does, as good as always.

    It may keep hardly any answer that the latest evidence does not support, and a few less than it supports.
    """
    if (live.kept is None) != (latest.kept is None):
        return False
    decided = [(live.keeps(each), latest.keeps(each)) for each in judged]
    looser = sum(before and not after for before, after in decided)
    stricter = sum(after and not before for before, after in decided)
    return looser <= _LOOSER * len(judged) and stricter <= _STRICTER * len(judged)
