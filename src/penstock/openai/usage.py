"""Measured tokens, as every endpoint's answer reports them in its own words."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer; `cached_input_tokens` are part of `input_tokens`, `reasoning_tokens` of output.

    `told` is the usage object as the upstream wrote it.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    told: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


def read(answer: Any) -> Usage | None:  # noqa: ANN401 - any JSON may come from upstream
    """Read the usage of an answer object or of a chunk; None where it has none."""
    told = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(told, dict):
        return None
    new = "input_tokens" in told
    ins = told.get("input_tokens_details" if new else "prompt_tokens_details")
    outs = told.get("output_tokens_details" if new else "completion_tokens_details")
    return Usage(
        _count(told, "input_tokens" if new else "prompt_tokens"),
        _count(told, "output_tokens" if new else "completion_tokens"),
        _count(ins, "cached_tokens"),
        _count(outs, "reasoning_tokens"),
        told,
    )


def _count(of: Any, name: str) -> int:  # noqa: ANN401
    count = of.get(name) if isinstance(of, dict) else None
    return count if type(count) is int and count > 0 else 0
