"""Correct, complete answers as pure functions: the same request, number and time give the same bytes.

Each takes the request's body, the number that its ids are made of, and `created` in seconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from penstock.errors import Refusal
from penstock.openai.sse import Event
from penstock.sample.answers import (
    chat,
    completions,
    embeddings,
    messages,
    models,
    responses,
    responses_stream,
)
from penstock.sample.answers.words import Json

__all__ = ["DIALECTS", "Dialect", "check", "models"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one endpoint answers: the field it can't do without, its object, its stream if it has one."""

    needs: str
    answer: Callable[[Json, int, int], Json]
    events: Callable[[Json, int, int], list[Event]] | None = None


DIALECTS: Final = {
    "/chat/completions": Dialect("messages", chat.answer, chat.events),
    "/responses": Dialect("input", responses.answer, responses_stream.events),
    "/completions": Dialect("prompt", completions.answer, completions.events),
    "/embeddings": Dialect("input", embeddings.answer),
    "/messages": Dialect("messages", messages.answer, messages.events),
}

_LISTS: Final = {"messages": (list,), "input": (str, list), "prompt": (str, list)}
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "include": (list,),
    "metadata": (dict,),
    "n": (int,),
    "reasoning": (dict,),
    "stream": (bool,),
    "stream_options": (dict,),
    "text": (dict,),
    "tool_choice": (str, dict),
    "tools": (list,),
}
_MOST_CHOICES: Final = 128


def check(dialect: Dialect, body: Any) -> Json:  # noqa: ANN401 - whatever the client sent
    """Give the body if it can be answered. Raises Refusal (400)."""
    if not isinstance(body, dict):
        raise Refusal(400, "invalid_json", "The body must be a JSON object.")
    if not isinstance(body.get("model"), str):
        raise _refused("missing_required_parameter", "you must provide a model parameter", "model")
    if dialect.needs not in body:
        raise _refused(
            "missing_required_parameter", f"Missing required parameter: '{dialect.needs}'.", dialect.needs
        )
    _check_types(dialect, body)
    if dialect.needs == "messages" and body.get("stream_options") and not body.get("stream"):
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise _refused("invalid_value", message, "stream_options")
    return body


def _check_types(dialect: Dialect, body: Json) -> None:
    told = body[dialect.needs]
    if not isinstance(told, _LISTS[dialect.needs]) or not told:
        raise _refused("invalid_type", f"Invalid type or empty value for '{dialect.needs}'.", dialect.needs)
    for name, types in _TYPES.items():
        if body.get(name) is not None and not isinstance(body[name], types):
            raise _refused("invalid_type", f"Invalid type for '{name}'.", name)
    if any(not isinstance(tool, dict) for tool in body.get("tools") or ()):
        raise _refused("invalid_type", "Invalid type for an entry of 'tools'.", "tools")
    if not 1 <= (body.get("n") or 1) <= _MOST_CHOICES:
        raise _refused("invalid_value", f"'n' must be from 1 to {_MOST_CHOICES}.", "n")


def _refused(code: str, message: str, param: str) -> Refusal:
    return Refusal(400, code, message, param=param)
