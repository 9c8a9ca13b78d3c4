"""What a request asks for: how many answers, and how long each may become."""

from typing import Final

import msgspec

from penstock.errors import Refusal
from penstock.openai.request import Endpoint, Json, Request
from penstock.openai.watch import choices_asked

_FIELDS: Final = {
    Endpoint.CHAT: ("max_completion_tokens", "max_tokens"),
    Endpoint.RESPONSES: ("max_output_tokens",),
    Endpoint.COMPLETIONS: ("max_tokens",),
}
COMPLETIONS_DEFAULT_TOKENS: Final = 16
"""The legacy API's own limit where a request names none; source: its reference, November 2026."""


class Asked(msgspec.Struct, frozen=True):
    """How many answers a request wants, and the limit it set: its field and value, or None."""

    choices: int
    field: str | None = None
    tokens: int | None = None

    @classmethod
    def of(cls, request: Request, max_choices: int) -> "Asked":
        """Read a request. Raises Refusal (400) for a number that can't be meant."""
        body = request.body or {}
        if request.endpoint is Endpoint.EMBEDDINGS:
            return cls(0)
        choices = _choices(request.endpoint, body, max_choices)
        named = [name for name in _FIELDS.get(request.endpoint, ()) if body.get(name) is not None]
        if not named:
            return cls(choices)
        for name in named:
            _whole(body, name, least=1)
        return cls(choices, named[0], min(body[name] for name in named))


def limited(request: Request, asked: Asked, field: str, tokens: int) -> Request:
    """Give the request with this limit on each answer, in the field it used or else in `field`."""
    names = [name for name in _FIELDS[request.endpoint] if (request.body or {}).get(name) is not None]
    usual = field if field in _FIELDS[request.endpoint] else _FIELDS[request.endpoint][0]
    return request.with_fields(**dict.fromkeys(names or [usual], tokens))


def _choices(endpoint: Endpoint, body: Json, most: int) -> int:
    if endpoint is Endpoint.RESPONSES:
        return 1
    for name in ("n", "best_of"):
        if body.get(name) is not None and _whole(body, name, least=1) > most:
            raise Refusal(400, "too_many_choices", f"'{name}' must be at most {most}.", param=name)
    choices = choices_asked(endpoint, body)
    best_of = body.get("best_of") if endpoint is Endpoint.COMPLETIONS else None
    if best_of is not None:
        choices = max(choices, choices // (body.get("n") or 1) * best_of)
    return choices


def _whole(body: Json, name: str, least: int) -> int:
    value = body[name]
    if type(value) is not int or value < least:
        raise Refusal(
            400, "invalid_value", f"'{name}' must be a whole number of at least {least}.", param=name
        )
    return value
