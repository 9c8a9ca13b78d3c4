"""Gates: rules that look at the small model's whole answer and say whether it may go out."""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from penstock.routing.answer_shape import HEDGE
from penstock.routing.canonical import Kind, canonical
from penstock.routing.json_gate import Checked, json_problem, tool_problem

_REFUSAL: Final = re.compile(
    r"^\W*(?:(?:unfortunately,? )?i (?:can(?:'|no)t|won't|will not|am not able to)"
    r"|i(?:'m| am) (?:sorry|unable|afraid)|sorry,|as an ai\b)",
    re.IGNORECASE,
)
_CODE: Final = re.compile(r"```(?:python|py)\s*\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)
_HEDGES_ALLOWED: Final = 1


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer as the gates see it, beside what was asked for.

    `logprobs` are those of the answer's tokens; `margins` how far each stood above its runner-up, in nats.
    `json` is None where no JSON was asked for, an empty schema where any JSON object will do.
    """

    text: str
    finish_reason: str | None = "stop"
    refusal: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] = ()
    tools: Sequence[Mapping[str, Any]] = ()
    json: Mapping[str, Any] | None = None
    expected: Kind | None = None
    logprobs: Sequence[float] = field(default=())
    margins: Sequence[float] = field(default=())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one gate says. `reason` is a short code, never a word of the answer."""

    gate: str
    passed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How low the log-probabilities may go; None asks nothing."""

    least_mean_logprob: float | None = None
    least_margin: float | None = None


def _truncated(answer: Judged, _: Limits) -> Checked:
    return "length" if answer.finish_reason == "length" else None


def _refused(answer: Judged, _: Limits) -> Checked:
    if answer.refusal or answer.finish_reason == "content_filter":
        return "refusal"
    return "phrase" if _REFUSAL.match(answer.text[:200]) else None


def _empty(answer: Judged, _: Limits) -> Checked:
    return "empty" if not answer.text.strip() and not answer.tool_calls and not answer.refusal else None


def _json(answer: Judged, _: Limits) -> Checked:
    if answer.json is None or answer.tool_calls:
        return None
    return json_problem(answer.text, answer.json)


def _tool_call(answer: Judged, _: Limits) -> Checked:
    for call in answer.tool_calls:
        if problem := tool_problem(call, answer.tools):
            return problem
    return None


def _format(answer: Judged, _: Limits) -> Checked:
    """Look for the number or the choice that was asked for."""
    if answer.expected is None or answer.tool_calls or canonical(answer.text, answer.expected):
        return None
    return f"no_{answer.expected}"


def _code(answer: Judged, _: Limits) -> Checked:
    """Parse the Python of the answer."""
    for block in _CODE.findall(answer.text):
        try:
            ast.parse(block)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return "python"
    return None


def _hedging(answer: Judged, _: Limits) -> Checked:
    return "hedges" if len(HEDGE.findall(answer.text)) > _HEDGES_ALLOWED else None


def _logprobs(answer: Judged, limits: Limits) -> Checked:
    least = limits.least_mean_logprob
    if answer.logprobs and least is not None and sum(answer.logprobs) / len(answer.logprobs) < least:
        return "mean"
    if answer.margins and limits.least_margin is not None and min(answer.margins) < limits.least_margin:
        return "margin"
    return None


GATES: Final[Mapping[str, Callable[[Judged, Limits], Checked]]] = {
    "truncated": _truncated,
    "refused": _refused,
    "empty": _empty,
    "json": _json,
    "tool_call": _tool_call,
    "format": _format,
    "code": _code,
    "hedging": _hedging,
    "logprobs": _logprobs,
}


def judge(answer: Judged, gates: Sequence[str] = tuple(GATES), limits: Limits = Limits()) -> list[Verdict]:
    """Ask the gates in their order; all of them, so that `explain` can show all."""
    verdicts = []
    for gate in gates:
        problem = GATES[gate](answer, limits)
        verdicts.append(Verdict(gate, problem is None, problem or ""))
    return verdicts
