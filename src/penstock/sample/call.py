"""Call: one request to the sample upstream, and the ways to answer it."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web

from penstock.errors import Refusal
from penstock.openai.sse import Event
from penstock.sample.answers import DIALECTS, Dialect, check
from penstock.sample.answers.words import Json
from penstock.sample.tally import Settings, Tally

LIMIT_REQUESTS: Final = 10_000
"""What `x-ratelimit-limit-requests` says; nothing is refused at it."""

SSE: Final = "text/event-stream; charset=utf-8"


@dataclass(slots=True)
class Call:
    """One request. `path` is the part below /v1; `number` makes the ids; `after` is a fault's number.

    `raw` and `body` are empty until `take`; `body` is None as well where the bytes are no JSON.
    """

    request: web.BaseRequest
    path: str
    raw: bytes
    number: int
    settings: Settings
    tally: Tally
    body: Any = None
    after: int = 0

    @property
    def dialect(self) -> Dialect | None:
        """How this path answers; None for one without a body to answer."""
        return DIALECTS.get(self.path) if self.request.method == "POST" else None

    @property
    def streamed(self) -> bool:
        """Whether the client asked for a stream and the path has one."""
        has_stream = self.dialect is not None and self.dialect.events is not None
        return has_stream and isinstance(self.body, dict) and self.body.get("stream") is True

    def take(self, raw: bytes) -> None:
        """Take the body in, as bytes and as the JSON that it may be."""
        self.raw = raw
        try:
            self.body = msgspec.json.decode(raw) if raw else None
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self.body = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that OpenAI sends with every answer."""
        return {
            "x-request-id": f"req_sample{self.number:08d}",
            "openai-processing-ms": str(max(1, int(self.settings.first_ms))),
            "openai-version": "2020-10-01",
            "x-ratelimit-limit-requests": str(LIMIT_REQUESTS),
            "x-ratelimit-remaining-requests": str(max(0, LIMIT_REQUESTS - self.tally.calls)),
        }

    def answer(self) -> Json:
        """Make the good answer. Raises Refusal (400, 404)."""
        dialect = self._spoken()
        return dialect.answer(check(dialect, self.body), self.number, int(self.settings.clock.now()))

    def events(self) -> list[Event]:
        """Make the good answer's stream. Raises Refusal (400, 404)."""
        dialect = self._spoken()
        if dialect.events is None:
            raise self.unknown()
        return dialect.events(check(dialect, self.body), self.number, int(self.settings.clock.now()))

    def _spoken(self) -> Dialect:
        if self.dialect is None:
            raise self.unknown()
        return self.dialect

    def unknown(self) -> Refusal:
        """Make the 404 of a path that is not there."""
        message = f"Invalid URL ({self.request.method} {self.request.rel_url.raw_path})"
        return Refusal(404, "unknown_url", message)

    def json(self, status: int, payload: Any, headers: Mapping[str, str] | None = None) -> web.Response:  # noqa: ANN401
        """Make a JSON answer."""
        body = msgspec.json.encode(payload)
        return self.plain(status, body, {"content-type": "application/json", **(headers or {})})

    def plain(self, status: int, body: bytes, headers: Mapping[str, str]) -> web.Response:
        """Make an answer of any bytes."""
        return web.Response(status=status, body=body, headers={**self.headers, **headers})

    async def open(self, headers: Mapping[str, str] | None = None, status: int = 200) -> web.StreamResponse:
        """Send the head of a stream, at once."""
        told = {"content-type": SSE, "cache-control": "no-cache", **self.headers, **(headers or {})}
        stream = web.StreamResponse(status=status, headers=told)
        await stream.prepare(self.request)
        return stream

    async def send(self, stream: web.StreamResponse, blocks: Iterable[bytes]) -> None:
        """Send blocks of bytes, each a write of its own, at the set pace."""
        pause_ms = self.settings.first_ms
        for block in blocks:
            if pause_ms:
                await asyncio.sleep(pause_ms / 1000)
            await stream.write(block)
            pause_ms = self.settings.delay_ms
