"""What a request asks of a model: its text, what the model must be able to do, whose it is."""

from typing import Any

from penstock.models.policy import Ability
from penstock.openai.request import Endpoint, Json, Request

_BYTES_PER_TOKEN = 4  # of a usual text; only to see whether it can fit at all


def text_of(request: Request) -> str:
    """Give what was asked last: the last user's message, or the prompt."""
    body = request.body or {}
    if request.endpoint is Endpoint.COMPLETIONS:
        return _plain(body.get("prompt"))
    told = body.get("messages") if request.endpoint is Endpoint.CHAT else body.get("input")
    if isinstance(told, str):
        return told
    for message in reversed(told if isinstance(told, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            return _plain(message.get("content"))
    return ""


def tokens_of(request: Request) -> int:
    """Give about how many tokens a request has."""
    return len(request.raw) // _BYTES_PER_TOKEN


def needs_of(request: Request) -> frozenset[Ability]:
    """Give what a model must be able to do to answer."""
    body, needs = request.body or {}, set[Ability]()
    if body.get("tools") or body.get("functions"):
        needs.add("tools")
    if _format(body) == "json_schema":
        needs.add("json_schema")
    if b'"image_url"' in request.raw or b'"input_image"' in request.raw:
        needs.add("vision")
    return frozenset(needs)


def thread_of(request: Request) -> str | None:
    """Name the thread as the client did, or else by how it began."""
    if named := request.headers.get("x-dac-thread"):
        return named
    body = request.body or {}
    messages = body.get("messages") if request.endpoint is Endpoint.CHAT else body.get("input")
    if not isinstance(messages, list) or len(messages) < 2:
        return None
    return "\n".join(str(message) for message in messages[:2])


def _format(body: Json) -> Any:  # noqa: ANN401 - any JSON may come from a client
    told = body.get("response_format")
    if not isinstance(told, dict):
        text = body.get("text")
        told = text.get("format") if isinstance(text, dict) else None
    return told.get("type") if isinstance(told, dict) else None


def _plain(content: Any) -> str:  # noqa: ANN401
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") if isinstance(part, dict) else part for part in content)
    return "\n".join(part for part in parts if isinstance(part, str))
