"""How promises hold up: made on one part of the data, realised on another."""

from collections.abc import Sequence
from math import sqrt
from typing import Any, Final

from penstock.routing.evaluation.crossfit import cross_fitted, learned
from penstock.routing.evaluation.rows import Row
from penstock.routing.features import Features
from penstock.routing.guarantee import Kept, Labelled, keep_within
from penstock.routing.quality_curve import Outcome, QualityCurve

GRID: Final = (0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4)
_FOLDS: Final = 5
_ALLOWED_LOSS: Final = 0.01
_SHARE_SMALL: Final = 0.9
_SURE: Final = 1.645  # one-sided 95 %


def promises(
    dev: Sequence[Row], seen: Sequence[Features], test: Sequence[Row], asked: Sequence[Features]
) -> dict[str, Any]:
    """Give, for each bound, what was kept and how much of it was wrong, or that none can be shown.

    The scorer learns when the small model is wrong, not the gain: the promise is of errors.
    """
    crossed = zip(dev, cross_fitted(dev, seen, _wrong, _FOLDS), strict=True)
    calibration = [Labelled(-score, row.weak_ok < 1) for row, score in crossed]
    weights = learned(dev, seen, _wrong)
    pairs = zip(test, asked, strict=True)
    judged = [Labelled(-weights.gain(features), row.weak_ok < 1) for row, features in pairs]
    return {f"{bound:.0%}": _promise(calibration, judged, bound) for bound in GRID}


def _wrong(row: Row) -> float:
    return 1 - row.weak_ok


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
    """Say what it costs to keep 90 % small, and whether one per cent of quality is out of reach for sure.

    `gains` were expected by weights that did not see these outcomes. `perfect` is the loss of a router that
    knew them: where even that is too much, no router will do.
    """
    loss, error = _loss(gains, outcomes)
    perfect, _ = _loss([outcome.gain for outcome in outcomes], outcomes)
    return {
        "loss": round(loss, 4),
        "at_least": round(loss - _SURE * error, 4),
        "perfect": round(perfect, 4),
        "feasible": loss - _SURE * error <= _ALLOWED_LOSS,
    }


def _loss(gains: Sequence[float], outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """Give the share of the large model's quality that is lost, and the standard error of it."""
    curve = QualityCurve.of(gains, outcomes)
    large = curve.qualities[-1]
    loss = 1 - curve.quality_at(1 - _SHARE_SMALL) / large
    spread = sum((outcome.gain / large) ** 2 for outcome in outcomes) / len(outcomes) - loss**2
    return loss, sqrt(max(0.0, spread) * _SHARE_SMALL / len(outcomes))
