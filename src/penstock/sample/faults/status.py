"""Faults that are a whole answer: error statuses in many dialects, and bodies that are no answer."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from penstock.sample.call import Call
from penstock.sample.endpoints import good

Act = Callable[[Call], Awaitable[web.StreamResponse]]

HTML: Final = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_INCLUDED: Final = "message.output_text.logprobs"
PATH_TEXT: Final = "Error in /srv/models/serving/engine.py, line 118: 'NoneType' object is not iterable"


def openai(
    status: int, code: str, message: str = "The sample upstream fails on purpose.", **told: str
) -> Act:
    """Answer an error object of OpenAI's shape; `told` are headers, with _ for -."""
    kind = "invalid_request_error" if status < 500 and status != 429 else "server_error"
    kind = {429: "requests", 401: "authentication_error"}.get(status, kind)
    kind = code if code == "insufficient_quota" else kind
    error = {"message": message, "type": kind, "param": None, "code": code}
    return body(status, {"error": error}, **told)


def body(status: int, payload: Any, **told: str) -> Act:  # noqa: ANN401
    """Answer a JSON value."""
    return content(status, msgspec.json.encode(payload), "application/json", **told)


def content(status: int, raw: bytes, kind: str, **told: str) -> Act:
    """Answer any bytes under any content type."""
    headers = {"content-type": kind, **{name.replace("_", "-"): value for name, value in told.items()}}

    async def act(call: Call) -> web.StreamResponse:
        return call.plain(status, raw, headers)

    return act


async def numbered(call: Call) -> web.StreamResponse:
    """Answer the status that the scenario's number names."""
    status = call.after if 400 <= call.after <= 599 else 500
    return await openai(status, f"status_{status}")(call)


async def no_logprobs(call: Call) -> web.StreamResponse:
    """Refuse log-probabilities as OpenAI does for some models; answer well whoever does not ask for them."""
    told = call.body if isinstance(call.body, dict) else {}
    if "logprobs" in told or "top_logprobs" in told or _INCLUDED in (told.get("include") or ()):
        message = "Unsupported parameter: 'logprobs' is not supported with this model."
        return await openai(400, "unsupported_parameter", message)(call)
    return await good(call)


async def limited(call: Call) -> web.StreamResponse:
    """Answer 429 with a retry-after of the scenario's number."""
    return await openai(429, "rate_limit_exceeded", retry_after=str(call.after))(call)
