"""From a request and its answer to what the gates judge."""

import re
from collections.abc import Iterator
from typing import Any, Final

from penstock.openai.request import Endpoint, Json, Request
from penstock.routing.canonical import Kind
from penstock.routing.gates import Judged

_ASKS_CHOICE: Final = re.compile(r"\n\(?A[.)] .*\n\(?B[.)] ", re.DOTALL)
_ASKS_NUMBER: Final = re.compile(
    r"\b(?:how (?:many|much|far|old|long)|what (?:is|was) the (?:sum|total|product|average|number)"
    r"|calculate|compute)\b",
    re.IGNORECASE,
)


def judged(request: Request, answer: Json, prompt: str) -> Judged | None:
    """Give the first choice of an answer as the gates see it; None for one that they can't read."""
    body = request.body or {}
    if request.endpoint is Endpoint.RESPONSES:
        return _response(body, answer, prompt)
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict):
        return None
    message = first.get("message") if request.endpoint is Endpoint.CHAT else first
    if not isinstance(message, dict):
        return None
    text = message.get("content") if request.endpoint is Endpoint.CHAT else message.get("text")
    logprobs, margins = _logprobs(first.get("logprobs"))
    return Judged(
        text if isinstance(text, str) else "",
        _word(first.get("finish_reason")),
        _word(message.get("refusal")),
        _dicts(message.get("tool_calls")),
        _dicts(body.get("tools")),
        _json_asked(body.get("response_format"), "json_schema"),
        expected(prompt),
        logprobs,
        margins,
    )


def expected(prompt: str) -> Kind | None:
    """Say what sort of answer a prompt asks for, where that can be told."""
    if _ASKS_CHOICE.search(prompt):
        return Kind.CHOICE
    return Kind.NUMBER if _ASKS_NUMBER.search(prompt) else None


def _response(body: Json, answer: Json, prompt: str) -> Judged:
    items = _dicts(answer.get("output"))
    parts = [part for item in items for part in _dicts(item.get("content"))]
    text = "".join(part["text"] for part in parts if isinstance(part.get("text"), str))
    refusal = next((part["refusal"] for part in parts if isinstance(part.get("refusal"), str)), None)
    calls = [{"function": item} for item in items if item.get("type") == "function_call"]
    tools = [{"function": tool} for tool in _dicts(body.get("tools")) if tool.get("type") == "function"]
    told = body.get("text")
    asked = _json_asked(told.get("format") if isinstance(told, dict) else None, "schema")
    cut = answer.get("status") == "incomplete"
    return Judged(text, "length" if cut else "stop", refusal, calls, tools, asked, expected(prompt))


def _json_asked(told: Any, place: str) -> Json | None:  # noqa: ANN401 - any JSON may come from a client
    """Give the schema that was asked for; an empty one where any JSON will do."""
    if not isinstance(told, dict) or told.get("type") not in ("json_object", "json_schema"):
        return None
    schema = told.get(place)
    schema = schema.get("schema") if isinstance(schema, dict) and place == "json_schema" else schema
    return schema if isinstance(schema, dict) else {}


def _logprobs(told: Any) -> tuple[list[float], list[float]]:  # noqa: ANN401
    """Give each token's log-probability, and how far it stood above its runner-up."""
    tokens = _dicts(told.get("content")) if isinstance(told, dict) else []
    own = [token["logprob"] for token in tokens if isinstance(token.get("logprob"), int | float)]
    return own, list(_margins(tokens))


def _margins(tokens: list[Json]) -> Iterator[float]:
    for token in tokens:
        ranked = sorted(
            (
                top["logprob"]
                for top in _dicts(token.get("top_logprobs"))
                if isinstance(top.get("logprob"), int | float)
            ),
            reverse=True,
        )
        if len(ranked) > 1:
            yield ranked[0] - ranked[1]


def _word(value: Any) -> str | None:  # noqa: ANN401
    return value if isinstance(value, str) else None


def _dicts(value: Any) -> list[Json]:  # noqa: ANN401
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
