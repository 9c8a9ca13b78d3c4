"""Server-sent events, cut at any byte (WHATWG HTML, section 9.2).

An event keeps the bytes it arrived in, so that what no stage changes goes on as it came.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from penstock.errors import Refusal
from penstock.openai import wire_json

DONE: Final = b"[DONE]"
_UNREAD: Final = object()


@dataclass(slots=True)
class Event:
    """One block of an event stream, or one opaque piece of a body that is no event stream.

    `raw` holds the bytes with their blank line; `data` the data lines joined by LF, None where the
    block has none (a comment); `final` says that the answer is whole once this event is out.
    """

    raw: bytes
    data: bytes | None = None
    name: str = ""
    final: bool = False
    _json: Any = field(default=_UNREAD, repr=False, compare=False)

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON is what it is
        """The data as JSON; None where there is none or it is not JSON."""
        if self._json is _UNREAD:
            try:
                self._json = wire_json.decode(self.data) if self.data else None
            except ValueError:
                self._json = None
        return self._json


def encode(payload: Any, name: str = "", *, final: bool = False) -> Event:  # noqa: ANN401
    """Make an event of a JSON value."""
    data = wire_json.encode(payload)
    head = f"event: {name}\n".encode() if name else b""
    return Event(b"%sdata: %s\n\n" % (head, data), data, name, final, payload)


def done() -> Event:
    """Make the end mark of chat and completion streams."""
    return Event(b"data: [DONE]\n\n", DONE, final=True)


def error(refusal: Refusal) -> Event:
    """Make the one event that ends a stream that failed; an upstream's own goes on as it came."""
    own: Event | None = getattr(refusal, "event", None)
    return own or encode(refusal.shape())


# A block ends at a blank line, and each of the two line ends may be CRLF, LF or CR. The first must be
# a whole one; a second that is half of a CRLF leaves a stray LF before the next block, which is harmless.
_BLANK: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_FIELD: Final = re.compile(rb"[A-Za-z][\w-]*(?::|$)")
_LINE: Final = re.compile(rb"\r\n|\n|\r")
_BOM: Final = b"\xef\xbb\xbf"


class TooLarge(Exception):
    """One block grew past the parser's limit."""


class Parser:
    """Cuts bytes into events. `limit_bytes` bounds what an unfinished block may hold.

    Blocks that have fields but no data (`id:` or `retry:` alone) are dropped: by the standard they
    dispatch nothing, and one SDK dies of them. Comments pass.
    """

    def __init__(self, limit_bytes: int = 8 * 1024 * 1024) -> None:
        self._held = b""
        self._limit = limit_bytes
        self._first = True

    def feed(self, chunk: bytes) -> list[Event]:
        """Give the events that `chunk` completes. Raises TooLarge."""
        held = self._held + chunk if self._held else chunk
        scanned = max(0, len(self._held) - 3)
        if self._first:
            if len(held) < 3 and _BOM.startswith(held):
                self._held = held
                return []
            held = held.removeprefix(_BOM)
            self._first = False
        events: list[Event] = []
        start = 0
        for blank in _BLANK.finditer(held, scanned):
            event = _block(held[start : blank.end()])
            if event is not None:
                events.append(event)
            start = blank.end()
        self._held = held[start:]
        if len(self._held) > self._limit:
            raise TooLarge
        return events

    def end(self) -> list[Event]:
        """Give the event that the end of the stream completes, if its last blank line is missing."""
        rest, self._held = self._held, b""
        stripped = rest.rstrip(b"\r\n")
        if not stripped:
            return []
        event = _block(stripped + b"\n\n")
        return [] if event is None else [event]


def _block(raw: bytes) -> Event | None:
    """Read one block; None where it would dispatch nothing and is no comment."""
    end = raw.find(b"\n")
    if raw.startswith(b"data: ") and end >= len(raw) - 2 and b"\r" not in raw:
        return Event(raw, raw[6:end])  # the shape nearly every provider sends
    data: list[bytes] = []
    name = ""
    fields = False
    for line in _LINE.split(raw):
        if not line or line.startswith(b":"):
            continue
        if not _FIELD.match(line):
            return Event(raw, line)  # no event stream at all: data that nobody can read as JSON
        key, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        fields = True
        if key == b"data":
            data.append(value)
        elif key == b"event":
            name = value.decode("utf-8", "replace")
    if data:
        return Event(raw, b"\n".join(data), name)
    return None if fields else Event(raw)
