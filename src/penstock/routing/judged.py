"""From a request and its answer to what the gates judge."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from penstock.openai.request import Endpoint, Json, Request
from penstock.routing.canonical import Kind
from penstock.routing.gates import Judged

_MOST: Final = 1e6
_ASKS_CHOICE: Final = re.compile(r"\n\(?A[.)] .*\n\(?B[.)] ", re.DOTALL)
_ASKS_NUMBER: Final = re.compile(
    r"\b(?:how (?:many|much|far|old|long)|calculate|compute"
    r"|(?:what (?:is|was)|what['\u2019]s) the (?:sum|total|product|average|number))\b",
    re.IGNORECASE,
)
# Words that ask for a number only where the prompt gives some to reckon with.
_ASKS_QUANTITY: Final = re.compile(
    r"\bhow (?:fast|tall|deep|wide|heavy)\b|\bhow (?:big|high)\b[^.?!]{0,120}\bin (?:\w+ )?\w+\?"
    r"|\b(?:what|find|determine)(?:['\u2019]s)? (?:[\w'\u2019-]+,? ){0,6}?"
    r"(?:(?:percent|percentage|number|amount|count|profit|salary|wage|pension|weights?|heights?|width|depth"
    r"|distance|perimeter|volume|capacity|speed|temperature|average|probability|likelihood|chance|total|sum"
    r"|combined|charge|fee)\b|(?:cost|price|age|score|grade)(?= of|s?[?,.]| in | if ))",
    re.IGNORECASE,
)
_GIVEN: Final = re.compile(r"(?<![\d.,])\d[\d.,]*")
_LEAST_GIVEN: Final = 2


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
    logprobs, margins = _of_choice(first.get("logprobs"))
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
    if _ASKS_NUMBER.search(prompt):
        return Kind.NUMBER
    given = islice(_GIVEN.finditer(prompt), _LEAST_GIVEN)
    return Kind.NUMBER if sum(1 for _ in given) == _LEAST_GIVEN and _ASKS_QUANTITY.search(prompt) else None


def _response(body: Json, answer: Json, prompt: str) -> Judged:
    items = _dicts(answer.get("output"))
    parts = [part for item in items for part in _dicts(item.get("content"))]
    text = "".join(part["text"] for part in parts if isinstance(part.get("text"), str))
    refusal = next((part["refusal"] for part in parts if isinstance(part.get("refusal"), str)), None)
    calls = [{"function": item} for item in items if item.get("type") == "function_call"]
    tools = [{"function": tool} for tool in _dicts(body.get("tools")) if tool.get("type") == "function"]
    told = body.get("text")
    asked = _json_asked(told.get("format") if isinstance(told, dict) else None, "schema")
    finish = "length" if answer.get("status") == "incomplete" else "stop"
    tokens = [token for part in parts for token in _dicts(part.get("logprobs"))]
    return Judged(text, finish, refusal, calls, tools, asked, expected(prompt), *_of_tokens(tokens))


def _json_asked(told: Any, place: str) -> Json | None:  # noqa: ANN401 - any JSON may come from a client
    """Give the schema that was asked for; an empty one where any JSON will do."""
    if not isinstance(told, dict) or told.get("type") not in ("json_object", "json_schema"):
        return None
    schema = told.get(place)
    schema = schema.get("schema") if isinstance(schema, dict) and place == "json_schema" else schema
    return schema if isinstance(schema, dict) else {}


Sureness = tuple[list[float], list[float]]
"""Each token's log-probability, and how far its first choice stood above the runner-up."""


def _of_choice(told: Any) -> Sureness:  # noqa: ANN401
    """Read what a chat tells token by token, a completion in parallel lists."""
    if not isinstance(told, dict):
        return [], []
    if isinstance(own := told.get("token_logprobs"), list):
        tops = [list(top.values()) for top in _dicts(told.get("top_logprobs"))]
        return _numbers(own), list(_margins(tops))
    return _of_tokens([*_dicts(told.get("content")), *_dicts(told.get("refusal"))])


def _of_tokens(tokens: list[Json]) -> Sureness:
    tops = [[top.get("logprob") for top in _dicts(token.get("top_logprobs"))] for token in tokens]
    return _numbers([token.get("logprob") for token in tokens]), list(_margins(tops))


def _margins(tops: list[list[Any]]) -> Iterator[float]:
    for top in tops:
        ranked = sorted(_numbers(top), reverse=True)
        if len(ranked) > 1:
            yield ranked[0] - ranked[1]


def _numbers(told: list[Any]) -> list[float]:
    """Give what can be a log-probability; servers write -9999 for what is out of the question."""
    return [one for one in told if isinstance(one, int | float) and abs(one) < _MOST]


def _word(value: Any) -> str | None:  # noqa: ANN401
    return value if isinstance(value, str) else None


def _dicts(value: Any) -> list[Json]:  # noqa: ANN401
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
