"""What each mode of routing may look at: the prompt, the small model's answer, a second opinion."""

from collections.abc import Callable
from math import log2
from typing import Final

from penstock.routing.answer_shape import answer_shape, opinion_shape, sort_of
from penstock.routing.evaluation.rows import Pred, Row
from penstock.routing.features import Features, prompt_features

View = Callable[[Row], Features]

_CROSSED: Final = ("length", "category")


def prompt_view(row: Row) -> Features:
    """See the prompt alone."""
    return prompt_features(row.prompt)


def answer_view(row: Row) -> Features:
    """See the prompt and as much of the small model's answer as the data has."""
    text = row.weak_answer or row.weak_tail or ""
    names = [*answer_shape(row.prompt, text), *_small_shape(row).values()]
    return prompt_view(row).with_answer(text, names)


def second_view(*models: str) -> View:
    """See what `answer_view` sees, and which of these other models gave the same answer.

    An answer that can't be compared is a disagreement: the large model would be asked.
    """

    def view(row: Row) -> Features:
        shape = _small_shape(row)
        own = _value(row.weak_pred)
        names: list[str] = []
        votes = 0
        for model in models:
            other = _value(row.other_pred.get(model))
            same = own is not None and own == other
            votes += same
            names += opinion_shape(row.prompt, own, other, same)
            names += [f"agrees={same}&{shape[name]}" for name in _CROSSED]
            if chars := row.other_chars.get(model):
                names.append(f"ratio={_steps((row.weak_chars or 0) / chars)}")
        return answer_view(row).with_shape([*names, f"votes={votes}"])

    return view


def _small_shape(row: Row) -> dict[str, str]:
    """Name what is known beside the text: with text or without, every answer has these."""
    return {
        "length": f"chars={_steps(row.weak_chars or 0)}",
        "category": f"category={row.category}",
        "pred": f"pred={sort_of(_value(row.weak_pred))}",
    }


def _value(pred: Pred) -> str | None:
    return None if pred is None else str(pred)


def _steps(value: float) -> int:
    return int(2 * log2(value + 1))
