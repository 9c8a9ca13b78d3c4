"""How the promise of a bounded error holds up: set on one part of the data, realised on another."""

from collections.abc import Sequence
from math import sqrt
from typing import Any, Final

from penstock.routing.evaluation.rows import Row, fold_of
from penstock.routing.evaluation.views import View
from penstock.routing.features import Features
from penstock.routing.fit import AFTER_ANSWER, Example, fit
from penstock.routing.guarantee import Kept, Labelled, keep_within
from penstock.routing.quality_curve import Outcome, QualityCurve
from penstock.routing.weights import Weights

GRID: Final = (0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4)
_FOLDS: Final = 2
_ALLOWED_LOSS: Final = 0.01
_SHARE_SMALL: Final = 0.9
_SURE: Final = 1.645  # one-sided 95 %


def promises(dev: Sequence[Row], test: Sequence[Row], view: View) -> dict[str, Any]:
    """Give, for each bound, what was kept and how much of it was wrong, or that none can be shown."""
    seen = [view(row) for row in dev]
    calibration: list[Labelled] = []
    folds = [fold_of(row, 7 * _FOLDS) % _FOLDS for row in dev]
    for fold in range(_FOLDS):
        weights = _error(
            [row for row, own in zip(dev, folds, strict=True) if own != fold],
            [features for features, own in zip(seen, folds, strict=True) if own != fold],
        )
        calibration += [
            Labelled(-weights.gain(features), row.weak_ok < 1)
            for row, features, own in zip(dev, seen, folds, strict=True)
            if own == fold
        ]
    weights = _error(dev, seen)
    asked = [Labelled(-weights.gain(view(row)), row.weak_ok < 1) for row in test]
    return {f"{bound:.0%}": _promise(calibration, asked, bound) for bound in GRID}


def _error(rows: Sequence[Row], seen: Sequence[Features]) -> Weights:
    """Learn when the small model is wrong: the promise is of errors, so this is not the gain."""
    pairs = zip(rows, seen, strict=True)
    return fit([Example(features, 1 - row.weak_ok, row.category) for row, features in pairs], AFTER_ANSWER)


def _promise(calibration: Sequence[Labelled], asked: Sequence[Labelled], bound: float) -> dict[str, Any]:
    found = keep_within(calibration, bound)
    if not isinstance(found, Kept):
        return {"feasible": False, "evidence": str(found)}
    kept = [answer for answer in asked if answer.confidence >= found.threshold]
    wrong = sum(answer.wrong for answer in kept)
    realised = wrong / len(kept) if kept else 0.0
    return {
        "feasible": True,
        "kept": round(len(kept) / len(asked), 4),
        "realised_error": round(realised, 4),
        "holds": realised <= bound + 0.01,
    }


def ninety_small(gains: Sequence[float], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Say what it costs to keep 90 % small, and whether one per cent of quality is out of reach for sure."""
    curve = QualityCurve.of(gains, outcomes)
    large = curve.qualities[-1]
    loss = 1 - curve.quality_at(1 - _SHARE_SMALL) / large
    spread = sum((outcome.gain / large) ** 2 for outcome in outcomes) / len(outcomes) - loss**2
    error = sqrt(max(0.0, spread) * _SHARE_SMALL / len(outcomes))
    return {
        "loss": round(loss, 4),
        "at_least": round(loss - _SURE * error, 4),
        "feasible": loss - _SURE * error <= _ALLOWED_LOSS,
    }
