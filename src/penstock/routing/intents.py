"""Which intent a text has, learned from labelled examples; none when it is like none of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from penstock.routing.intent_ranker import Ranker


@dataclass(frozen=True, slots=True)
class Intent:
    """The label that fits best, how well it fits (0 to about 1), and whether that is well enough."""

    label: str
    confidence: float
    in_scope: bool


class IntentClassifier:
    """Names the intent of a text; make one with `train`."""

    def __init__(self, ranker: "Ranker | None", threshold: float) -> None:
        self._ranker = ranker
        self.threshold = threshold

    @classmethod
    def train(
        cls, examples: Mapping[str, Sequence[str]], out_of_scope: Sequence[str] = (), seed: int = 0
    ) -> Self:
        """Learn labels from examples of each. Texts known to be out of scope only set the threshold."""
        pairs = [(label, text) for label, texts in examples.items() for text in texts]
        if not pairs:
            return cls(None, 0.0)
        # Here and not above: they need numpy, and a gateway without intents need not load it.
        from penstock.routing.intent_ranker import Ranker
        from penstock.routing.intent_threshold import threshold_by_held_back, threshold_by_strangers

        Random(seed).shuffle(pairs)  # noqa: S311 - an order, not a secret
        ranker = Ranker.taught(pairs, seed)
        if out_of_scope:
            return cls(ranker, threshold_by_strangers(ranker, out_of_scope))
        return cls(ranker, threshold_by_held_back(pairs, seed) if len(pairs) > 1 else 0.0)

    def intent(self, text: str) -> Intent:
        """Give the label that fits best and whether the text is in scope at all."""
        label, confidence = self.rank(text)
        return Intent(label, confidence, bool(label) and confidence >= self.threshold)

    def rank(self, text: str) -> tuple[str, float]:
        """Give the best label and its score; an empty label where no feature is known."""
        return self._ranker.rank(text) if self._ranker is not None else ("", 0.0)
