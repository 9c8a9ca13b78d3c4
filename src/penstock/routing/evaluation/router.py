"""A router that an independent scorer can fit and ask: it is given a prompt, never the pair of models."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from penstock.routing.evaluation.crossfit import learned
from penstock.routing.evaluation.rows import Row
from penstock.routing.evaluation.views import View, answer_view, prompt_view
from penstock.routing.fit import AFTER_ANSWER
from penstock.routing.weights import NOTHING, Weights

_PREFERRED: Final = "routellm"  # where pairs share their prompts nothing tells which one is meant


class PairRouter:
    """Weights for each kind of prompt, from the benchmark that has most prompts of that kind."""

    def __init__(self) -> None:
        self._prompts: dict[str, Weights] = {}
        self._answers: dict[str, Weights] = {}

    def fit(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Learn from labelled rows."""
        kinds: defaultdict[str, list[Row]] = defaultdict(list)
        for row in msgspec.convert(rows, list[Row]):
            kinds[kind_of(row.prompt)].append(row)
        for kind, members in kinds.items():
            self._prompts[kind] = _learned(_of_one_pair(members), prompt_view)
            answered = [row for row in members if row.weak_chars is not None]
            self._answers[kind] = _learned(_of_one_pair(answered), answer_view)

    def predict(self, prompt: str) -> float:
        """Give the confidence that the small model will do: the expected gain turned round."""
        row = Row("", "", prompt, 0.0, 0.0)
        return -self._prompts.get(kind_of(prompt), NOTHING).gain(prompt_view(row))

    def predict_answer(self, prompt: str, answer: Mapping[str, Any]) -> float:
        """Give the confidence in the small model's answer."""
        row = Row(
            *("", "", prompt, 0.0, 0.0),
            weak_answer=answer.get("text"),
            weak_tail=answer.get("tail"),
            weak_chars=answer.get("chars"),
            weak_pred=answer.get("pred"),
        )
        return -self._answers.get(kind_of(prompt), NOTHING).gain(answer_view(row))


def factory() -> PairRouter:
    """Make a router that knows nothing yet."""
    return PairRouter()


def _learned(rows: Sequence[Row], view: View) -> Weights:
    """Fit the gain of one pair."""
    shape_scale = None if view is prompt_view else AFTER_ANSWER
    return learned(rows, [view(row) for row in rows], lambda row: row.gain, shape_scale)


def kind_of(prompt: str) -> str:
    """Tell prompts apart by form: code, four choices, more choices, or a question."""
    if "[PYTHON]" in prompt:
        return "code"
    if "\nA. " not in prompt:
        return "maths" if "$" in prompt and "\\" in prompt else "question"
    return "choices" if prompt.count("\nD. ") and not prompt.count("\nE. ") else "many choices"


def _of_one_pair(rows: Sequence[Row]) -> list[Row]:
    counts = Counter(row.benchmark for row in rows)
    if not counts:
        return []
    most = max(counts, key=lambda name: (name.startswith(_PREFERRED) and counts[name] > 100, counts[name]))
    return [row for row in rows if row.benchmark == most]
