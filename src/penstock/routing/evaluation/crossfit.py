"""Scores of rows by weights that never saw them: what a gateway knows of a pair before it is asked."""

from collections.abc import Callable, Sequence

from penstock.routing.evaluation.rows import Row, fold_of
from penstock.routing.features import Features
from penstock.routing.fit import AFTER_ANSWER, Example, fit
from penstock.routing.weights import Weights

_STRIDE = 7  # coprime to the folds that hold rows back, so that one says nothing of the other


def learned(
    rows: Sequence[Row],
    seen: Sequence[Features],
    wanted: Callable[[Row], float],
    shape_scale: float | None = AFTER_ANSWER,
) -> Weights:
    """Fit what is wanted of rows, such as their gain, to what is seen of them."""
    pairs = zip(rows, seen, strict=True)
    return fit([Example(features, wanted(row), row.category) for row, features in pairs], shape_scale)


def cross_fitted(
    rows: Sequence[Row],
    seen: Sequence[Features],
    wanted: Callable[[Row], float],
    folds: int,
    shape_scale: float | None = AFTER_ANSWER,
) -> list[float]:
    """Score each row by weights learned from the rows of all other folds."""
    own = [fold_of(row, _STRIDE * folds) % folds for row in rows]
    scores = [0.0] * len(rows)
    for fold in range(folds):
        others = [at for at in range(len(rows)) if own[at] != fold]
        weights = learned([rows[at] for at in others], [seen[at] for at in others], wanted, shape_scale)
        for at in range(len(rows)):
            if own[at] == fold:
                scores[at] = weights.gain(seen[at])
    return scores
