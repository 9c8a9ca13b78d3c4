"""Log-probabilities that a gate reads and no client asked for: requested, and taken out again.

What is taken out becomes what OpenAI writes where nobody asks: null in a choice, an empty list in a response.
"""

from collections.abc import Sequence
from typing import Final

from penstock.openai.request import Endpoint, Json, Request
from penstock.openai.sse import Event
from penstock.reply import Observer, Reply
from penstock.routing.splice import EACH, Places, spliced

_TOP: Final = 2  # a token and its runner-up
_INCLUDED: Final = "message.output_text.logprobs"
_NAMED: Final = b"logprobs"
_REMEMBERED_S: Final = 300.0

_MESSAGE: Final[Places] = {"content": {EACH: {"logprobs": b"[]"}}}
_RESPONSE: Final[Places] = {"output": {EACH: _MESSAGE}, "top_logprobs": b"0"}
_RESPONSE_EVENT: Final[Places] = {
    "logprobs": b"[]",
    "part": {"logprobs": b"[]"},
    "item": _MESSAGE,
    "response": _RESPONSE,
}
_CHOICES: Final[Places] = {"choices": {EACH: {"logprobs": b"null"}}}


def asking(request: Request) -> Request | None:
    """Give the request with log-probabilities asked for; None where the client says itself what it wants."""
    body = request.body or {}
    fields: Json = {"logprobs": True, "top_logprobs": _TOP}
    if request.endpoint is Endpoint.RESPONSES:
        included = body.get("include") or []
        if not isinstance(included, list) or _INCLUDED in included:
            return None
        fields = {"include": [*included, _INCLUDED], "top_logprobs": _TOP}
    elif request.endpoint is Endpoint.COMPLETIONS:
        fields = {"logprobs": _TOP}
    said = [body.get("logprobs"), body.get("top_logprobs")]
    if any(value is not None and value is not False for value in said):
        return None
    return request.with_fields(**fields)


def refused(reply: Reply) -> bool:
    """Say whether an upstream names them in its refusal; it does so by several statuses."""
    return 400 <= reply.status < 500 and _NAMED in reply.body


def without(endpoint: Endpoint, body: bytes) -> bytes:
    """Take them out of a plain answer."""
    return spliced(body, _RESPONSE if endpoint is Endpoint.RESPONSES else _CHOICES)


class Without(Observer):
    """Takes them out of a stream, chunk by chunk."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._places = _RESPONSE_EVENT if endpoint is Endpoint.RESPONSES else _CHOICES

    def event(self, event: Event) -> Sequence[Event]:
        """Give the event as it would have been."""
        if event.data is None or _NAMED not in event.data:
            return (event,)
        data = spliced(event.data, self._places)
        if data == event.data:
            return (event,)
        if event.data in event.raw:
            raw = event.raw.replace(event.data, data)
        else:  # it came as several lines
            name = f"event: {event.name}\n".encode() if event.name else b""
            raw = name + b"".join(b"data: %s\n" % line for line in data.split(b"\n")) + b"\n"
        return (Event(raw, data, event.name, event.final),)


class Refusers:
    """The models that refused them lately, and are asked without for some minutes."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, model: str, now: float) -> None:
        """Remember a model."""
        self._until[model] = now + _REMEMBERED_S

    def know(self, model: str, now: float) -> bool:
        """Say whether a model is among them."""
        return now < self._until.get(model, now)
