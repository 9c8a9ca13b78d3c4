"""A client's request: which endpoint it means, its body as JSON, its bytes as they came."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final
from urllib.parse import unquote

from multidict import CIMultiDict

from penstock.errors import Refusal
from penstock.openai import wire_json

Json = dict[str, Any]


class Endpoint(StrEnum):
    """What the chain understands; OTHER streams through untouched."""

    CHAT = "chat.completions"
    RESPONSES = "responses"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    MODELS = "models"
    OTHER = "other"


_ROUTES: Final = {
    ("POST", "/chat/completions"): Endpoint.CHAT,
    ("POST", "/responses"): Endpoint.RESPONSES,
    ("POST", "/completions"): Endpoint.COMPLETIONS,
    ("POST", "/embeddings"): Endpoint.EMBEDDINGS,
    ("GET", "/models"): Endpoint.MODELS,
}
_WITH_BODY: Final = frozenset(endpoint for (method, _), endpoint in _ROUTES.items() if method == "POST")
BASE_PATH: Final = "/v1"
_OWN: Final = re.compile(r"[/\\]*(v1[/\\]+)?dac([/\\;]|$)", re.IGNORECASE)


def route(method: str, path: str) -> tuple[Endpoint, str]:
    """Give the endpoint and the path below the base path; the base path itself may be left out.

    Raises Refusal (400) for a path that would climb out of the upstream's base path.
    """
    if not path.startswith("/"):
        raise Refusal(400, "invalid_path", "The path must begin with a slash.")
    below = path.removeprefix(BASE_PATH) if path.startswith(BASE_PATH + "/") or path == BASE_PATH else path
    plain = below.lower().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/").replace("\\", "/")
    # Some servers cut a segment's `;parameters` off before they resolve it.
    if any(part.partition(";")[0] in ("..", ".") for part in plain.split("/")):
        raise Refusal(400, "invalid_path", "The path must not contain dot segments.")
    return _ROUTES.get((method, below), Endpoint.OTHER), below


def keep_own(path: str) -> None:
    """Refuse (404) a path of the gateway's own, `/dac/…` below the base path, in any way of writing it.

    Asked before anything goes upstream: where no stage answers such a path, no provider shall see it.
    """
    if _OWN.match(unquote(path)):
        raise Refusal(404, "not_found", "The gateway has no such path.")


@dataclass(slots=True)
class Request:
    """One request, as it came or as a stage changed it.

    `path` is the part below the base path; `query` has no question mark; `body` is the JSON object of
    an understood endpoint (None for MODELS and OTHER); `upload` streams the body of an OTHER;
    `size_bytes` is how much came.
    """

    method: str
    path: str
    query: str
    headers: CIMultiDict[str]
    endpoint: Endpoint
    body: Json | None = None
    upload: AsyncIterator[bytes] | None = None
    size_bytes: int = 0
    _raw: bytes | None = field(default=None, repr=False)

    @property
    def raw(self) -> bytes:
        """The body's bytes as they go upstream.

        A JSON body is written anew from what the stages have read, so that a key that stands there
        twice can't mean one thing to them and another to the upstream.
        """
        if self._raw is None:
            self._raw = b"" if self.body is None else wire_json.encode(self.body)
        return self._raw

    @property
    def stream(self) -> bool:
        """Whether the client asked for an event stream."""
        return self.body is not None and self.body.get("stream") is True

    @property
    def model(self) -> str | None:
        """The model's name as the client wrote it."""
        name = self.body.get("model") if self.body else None
        return name if isinstance(name, str) else None

    @property
    def asks_to_forget(self) -> bool:
        """Whether the client wants nothing of this to be kept; read before any stage has run."""
        return "x-dac-store" in self.headers

    def take(self, raw: bytes) -> None:
        """Take the body's bytes. Raises Refusal (400, 415) where the chain can't read them."""
        self.size_bytes = len(raw)
        if self.endpoint in _WITH_BODY:
            if self.headers.get("content-encoding", "identity") != "identity":
                raise Refusal(415, "unsupported_encoding", "The request's body must not be compressed.")
            self.body = parse_body(raw)
        else:
            self._raw = raw

    def with_body(self, body: Json) -> "Request":
        """Give a copy with this body; this request stays as it is."""
        return replace(self, body=body, _raw=None)

    def with_fields(self, **fields: Any) -> "Request":  # noqa: ANN401
        """Give a copy whose body has these fields; this request stays as it is."""
        return replace(self, body={**(self.body or {}), **fields}, _raw=None)


def request_of(method: str, target: str, headers: CIMultiDict[str], raw: bytes) -> Request:
    """Make a request of its parts; `target` is the path with its query. Raises Refusal."""
    path, _, query = target.partition("?")
    endpoint, below = route(method, path)
    request = Request(method, below, query, headers, endpoint)
    request.take(raw)
    return request


def parse_body(raw: bytes) -> Json:
    """Read the JSON object of an understood endpoint. Raises Refusal (400) with the position."""
    try:
        body = wire_json.decode(raw)
    except ValueError as problem:
        raise Refusal(400, "invalid_json", f"The body is not valid JSON: {problem}.") from None
    if not isinstance(body, dict):
        raise Refusal(400, "invalid_json", "The body must be a JSON object.")
    return body
