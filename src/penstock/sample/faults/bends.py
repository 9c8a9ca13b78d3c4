"""Streams bent out of shape: pure functions from a good stream's events to the blocks that go out."""

from typing import Final

from penstock.openai import sse
from penstock.openai.sse import DONE, Event

ERROR: Final = {
    "error": {
        "message": "The sample upstream fails in the middle.",
        "type": "server_error",
        "param": None,
        "code": "server_error",
    }
}
DETAIL: Final = {"detail": "The sample upstream fails in the middle."}
MALFORMED: Final = b'data: {"id":"chatcmpl-broken","choices":[{\n\n'
GARBAGE: Final = b"\x00\x80\xfe\xff no event \xc3\x28\n\n"
MULTI_BYTE: Final = "Yöu 🌊 日本"
BARE: Final = (b"id: 7\n\n", b"retry: 3000\n\n", b"event: ping\n\n")

_MB: Final = 1_048_576
_MOST_MB: Final = 64


def raw(events: list[Event]) -> list[bytes]:
    """Give the blocks as they are."""
    return [event.raw for event in events]


def without_done(events: list[Event], _after: int = 0) -> list[bytes]:
    """Leave out [DONE]."""
    return raw([event for event in events if event.data != DONE])


def without_finish(events: list[Event], _after: int = 0) -> list[bytes]:
    """Leave out the event that says why the answer ended."""
    return raw([event for event in events if not finishes(event)])


def first(events: list[Event], after: int) -> list[bytes]:
    """Keep the first events only."""
    return raw(events[:after])


def error_after(events: list[Event], after: int) -> list[bytes]:
    """Put an error object in the place of what comes after the first events."""
    return [*first(events, after), sse.encode(ERROR).raw]


def error_event_after(events: list[Event], after: int) -> list[bytes]:
    """The same, with a line that names the event an error."""
    return [*first(events, after), sse.encode(ERROR, "error").raw]


def detail_after(events: list[Event], after: int) -> list[bytes]:
    """The same, in the shape of FastAPI's errors."""
    return [*first(events, after), sse.encode(DETAIL).raw]


def malformed_after(events: list[Event], after: int) -> list[bytes]:
    """Put an event of broken JSON among the others."""
    return [*first(events, after), MALFORMED, *raw(events[after:])]


def garbage_after(events: list[Event], after: int) -> list[bytes]:
    """Put bytes that are neither an event nor UTF-8 among the others."""
    return [*first(events, after), GARBAGE, *raw(events[after:])]


def comments(events: list[Event], _after: int = 0) -> list[bytes]:
    """Put a comment before every event."""
    return [block for event in events for block in (b": ping\n\n", event.raw)]


def bare_fields(events: list[Event], _after: int = 0) -> list[bytes]:
    """Put a block without data before every event: id, retry and event in turn."""
    return [block for place, event in enumerate(events) for block in (BARE[place % len(BARE)], event.raw)]


def crlf(events: list[Event], _after: int = 0) -> list[bytes]:
    """End every line by CRLF."""
    return [event.raw.replace(b"\n", b"\r\n") for event in events]


def cr(events: list[Event], _after: int = 0) -> list[bytes]:
    """End every line by CR."""
    return [event.raw.replace(b"\n", b"\r") for event in events]


def single_bytes(events: list[Event], _after: int = 0) -> list[bytes]:
    """Put characters of several bytes into the answer and cut everything into single bytes."""
    whole = b"".join(_instead_of_you(block, MULTI_BYTE.encode()) for block in raw(events))
    return [whole[at : at + 1] for at in range(len(whole))]


def huge_event(events: list[Event], after: int) -> list[bytes]:
    """Make the answer's first word as many MB long as the scenario says."""
    return [_instead_of_you(block, b"You" + b"u" * (min(after, _MOST_MB) * _MB)) for block in raw(events)]


def usage_on_finish(events: list[Event], _after: int = 0) -> list[bytes]:
    """Move the usage of a chat onto the chunk with the finish reason, as some servers send it."""
    usage = next((event.json["usage"] for event in events if _is_usage(event)), None)
    return [
        sse.encode({**event.json, "usage": usage}, event.name).raw if usage and finishes(event) else event.raw
        for event in events
        if not _is_usage(event)
    ]


def _is_usage(event: Event) -> bool:
    return isinstance(event.json, dict) and event.json.get("choices") == []


def finishes(event: Event) -> bool:
    """Whether this event says why the answer ended."""
    payload = event.json
    if not isinstance(payload, dict):
        return False
    choices = payload.get("choices") or ()
    ended = any(choice.get("finish_reason") for choice in choices)
    return ended or event.name in ("response.completed", "response.incomplete", "message_delta")


def _instead_of_you(block: bytes, word: bytes) -> bytes:
    """Put another word in the place of the one that every answer begins with, wherever it is told."""
    return block.replace(b'"You', b'"' + word)


def content_of(events: list[Event]) -> bytes:
    """Give the middle event of a stream, which is one of its words."""
    return events[len(events) // 2].raw
