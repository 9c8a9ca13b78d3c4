"""How well a label must fit a text for the text to be in scope."""

from collections.abc import Sequence
from typing import Final

from penstock.routing.intent_ranker import Ranker

_REFUSED: Final = 0.45  # of examples known to be out of scope
_WRONG: Final = 0.5  # of held-back examples that got a wrong label, so many may be refused
_LEAST_REFUSED: Final = 0.03  # of held-back examples
_FOLDS: Final = 5
_ENOUGH: Final = 200  # held-back examples


def threshold_by_strangers(ranker: Ranker, strangers: Sequence[str]) -> float:
    """Set it so that texts known to be out of scope are refused, or many of them."""
    return _quantile([ranker.rank(text)[1] for text in strangers], _REFUSED)


def threshold_by_held_back(pairs: Sequence[tuple[str, str]], seed: int) -> float:
    """Set it by how well examples fit that were held back, where no text is known to be out of scope.

    The more of them get a wrong label the more may be refused. With few examples each is held back once.
    """
    fits: list[float] = []
    wrong = 0
    for fold in range(min(_FOLDS, len(pairs))):
        if len(fits) >= _ENOUGH:
            break
        taught = [pair for place, pair in enumerate(pairs) if place % _FOLDS != fold]
        lesser = Ranker.taught(taught, seed)
        for label, text in pairs[fold::_FOLDS]:
            found, fit = lesser.rank(text)
            fits.append(fit)
            wrong += found != label
    return _quantile(fits, max(_LEAST_REFUSED, _WRONG * wrong / len(fits)))


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
