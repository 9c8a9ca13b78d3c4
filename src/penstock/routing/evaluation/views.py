"""What each mode of routing may look at: the prompt, the small model's answer, a second opinion."""

from collections.abc import Callable, Iterator
from math import log2
from typing import Final

from penstock.routing.answer_shape import answer_shape
from penstock.routing.evaluation.rows import Pred, Row
from penstock.routing.features import Features, prompt_features

View = Callable[[Row], Features]

_CROSSED: Final = ("length", "category", "options", "prompt")


def prompt_view(row: Row) -> Features:
    """See the prompt alone."""
    return prompt_features(row.prompt)


def answer_view(row: Row) -> Features:
    """See the prompt and as much of the small model's answer as the data has."""
    text = row.weak_answer or row.weak_tail or ""
    names = [*answer_shape(row.prompt, text), *_small_shape(row).values()]
    return prompt_view(row).with_answer(text, names)


def second_view(*models: str) -> View:
    """See what `answer_view` sees, and which of these other models gave the same answer."""

    def view(row: Row) -> Features:
        shape = _small_shape(row)
        names = []
        for model in models:
            other = row.other_pred.get(model)
            known = row.weak_pred is not None and other is not None
            agrees = f"agrees={row.weak_pred == other if known else None}"
            names += [agrees, *(f"{agrees}&{shape[name]}" for name in _CROSSED)]
            names += _other_shape(row, model, other)
        votes = sum(row.weak_pred is not None and row.weak_pred == row.other_pred.get(m) for m in models)
        return answer_view(row).with_shape([*names, f"votes={votes}"])

    return view


def _small_shape(row: Row) -> dict[str, str]:
    """Name what is known beside the text: with text or without, every answer has these."""
    lines = row.prompt.count("\n")
    return {
        "length": f"chars={_steps(row.weak_chars or 0)}",
        "category": f"category={row.category}",
        "options": f"options={min(12, lines)}",
        "prompt": f"prompt={_steps(len(row.prompt))}",
        "pred": f"pred={_pred(row.weak_pred)}",
    }


def _other_shape(row: Row, model: str, other: Pred) -> Iterator[str]:
    yield f"other={_pred(other)}"
    if chars := row.other_chars.get(model):
        yield f"ratio={_steps((row.weak_chars or 0) / chars)}"


def _pred(pred: Pred) -> str:
    if isinstance(pred, float):
        return "whole" if pred % 1 == 0 else "fraction"
    return pred if pred is not None and len(pred) == 1 else str(pred is not None)


def _steps(value: float) -> int:
    return int(2 * log2(value + 1))
