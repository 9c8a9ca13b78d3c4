"""What the cache keeps of an answer, and under which name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import xxhash

from penstock.openai import wire_json
from penstock.openai.canonical import canonical
from penstock.openai.ending import Ending, ending
from penstock.openai.gather import gather
from penstock.openai.request import Endpoint, Json
from penstock.openai.sse import Event, Parser
from penstock.openai.unfold import replayed, unfold


@dataclass(frozen=True, slots=True)
class CacheKey:
    """Where an entry stands, and what its seal is bound to."""

    space: str
    name: str
    binding: bytes


def address(
    tenant: str,
    endpoint: Endpoint,
    body: Json,
    route: Sequence[str],
    whose: bytes,
    mac: Callable[..., bytes],
) -> CacheKey:
    """Name a request within its tenant's space.

    The name is an xxh3 (128 bit) and quick; a crafted collision would find it. The binding is a keyed
    BLAKE2b of the same parts: whoever finds another's entry can't open it.
    """
    space = f"cache:{tenant}"
    parts = (endpoint.encode(), "\0".join(route).encode(), whose, canonical(endpoint, body))
    name = xxhash.xxh3_128_hexdigest(b"\0".join(parts))
    return CacheKey(space, name, mac(space, *parts))


class Kept(msgspec.Struct, omit_defaults=True, array_like=True):
    """One whole answer: the plain body as it came, or the events as they came and the usage they told."""

    plain: bytes | None = None
    streamed: bytes | None = None
    usage: dict[str, Any] | None = None
    stored_at: float = 0.0
    model: str | None = None
    provider: str | None = None

    @classmethod
    def of_body(cls, body: bytes) -> "Kept":
        """Keep a plain answer."""
        return cls(plain=body)

    @classmethod
    def of_events(cls, events: Sequence[Event], usage: dict[str, Any] | None) -> "Kept":
        """Keep a stream's events."""
        return cls(streamed=b"".join(event.raw for event in events), usage=usage)

    @classmethod
    def decode(cls, data: bytes) -> "Kept":
        """Read an entry. Raises ValueError for one of another version."""
        try:
            return _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ValueError("not a cache entry of this version") from None

    def encode(self) -> bytes:
        """Write the entry. Raises ValueError for half a character or a number past 64 bits."""
        try:
            return _encode(self)
        except (UnicodeEncodeError, OverflowError):
            raise ValueError("msgpack can't hold this") from None

    def ending(self, endpoint: Endpoint) -> Ending:
        """Say how the answer ended. Raises nothing: what is no answer is not complete."""
        try:
            return ending(endpoint, self._answer(endpoint))
        except ValueError:
            return Ending()

    def body(self, endpoint: Endpoint) -> bytes:
        """Give the answer as a plain body."""
        return self.plain if self.plain is not None else wire_json.encode(self._answer(endpoint))

    def events(self, endpoint: Endpoint, *, include_usage: bool) -> list[Event]:
        """Give the answer as the events of a stream, the last one final."""
        if self.streamed is None:
            return unfold(endpoint, self._answer(endpoint), include_usage=include_usage)
        return replayed(endpoint, self._parsed(), self.usage, include_usage=include_usage)

    def _answer(self, endpoint: Endpoint) -> Json:
        if self.plain is not None:
            answer: Json = wire_json.decode(self.plain)
            return answer
        answer = gather(endpoint, self._parsed())
        if self.usage is not None and answer.get("usage") is None:
            answer["usage"] = self.usage
        return answer

    def _parsed(self) -> list[Event]:
        parser = Parser(limit_bytes=len(self.streamed or b"") + 1)
        return [*parser.feed(self.streamed or b""), *parser.end()]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Kept).decode
