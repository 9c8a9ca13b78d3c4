"""Changing a few values of a JSON text and no other byte of it."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from penstock.openai import wire_json

type Places = Mapping[str, Places | bytes]
"""Where to change what: names of members, `EACH` for the items of a list, and at the end the new JSON."""

EACH: Final = "[]"

_SPACES: Final = b" \t\r\n"
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_BEFORE: Final = re.compile(rb'[ \t\r\n,]*(?:"(?:[^"\\]|\\.)*"[ \t\r\n]*:[ \t\r\n]*)?', re.DOTALL)
_CLOSED_BY: Final = {"{": "}", "[": "]"}
_ENDS: Final = (b"}", b"]")
_MAYBE_EMPTY_BYTES: Final = 16
_Found = list[tuple[int, int, bytes]]

_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_read: Final = json.JSONDecoder().raw_decode


def spliced(text: bytes, places: Places) -> bytes:
    """Put new values in these places; null, zero and what is empty stay there, and a text that is no JSON."""
    try:
        found = _found(text, places)
    except (ValueError, TypeError, RecursionError):
        return text
    parts: list[bytes] = []
    at = 0
    for start, end, new in found:
        parts += [text[at:start], new]
        at = end
    return b"".join([*parts, text[at:]])


def _found(text: bytes, places: Places) -> _Found:
    """Find what is to be changed. Raises ValueError or TypeError for a text that is no JSON."""
    found: _Found = []
    whole = text.strip(_SPACES)
    try:
        _measure(whole, len(text) - len(text.lstrip(_SPACES)), places, found)
    except (ValueError, msgspec.MsgspecError):  # half an emoji, or a name that stands there twice
        found = []
        letters = text.decode("latin-1")  # one for each byte
        _walk(letters, _past_space(letters, 0), places, found)
    return found


def _measure(value: bytes, begins: int, places: Places | bytes, found: _Found) -> None:
    """Go through a value by the lengths of its parts, which a fast parser tells; so each place follows.

    Raises ValueError or MsgspecError where it does not.
    """
    if isinstance(places, bytes):
        if len(value) > _MAYBE_EMPTY_BYTES or wire_json.decode(value):
            found.append((begins, begins + len(value), places))
        return
    if not value.startswith((b"{", b"[")):
        return
    inside: Iterable[tuple[str, msgspec.Raw]]
    inside = _members(value).items() if value[:1] == b"{" else ((EACH, item) for item in _items(value))
    at = 1
    for name, raw in inside:
        before, part = _BEFORE.match(value, at), bytes(raw)
        at = before.end() if before else at
        if not value.startswith(part, at):
            raise ValueError("it is not where it should be")
        if (deeper := places.get(name)) is not None:
            _measure(part, begins + at, deeper, found)
        at += len(part)
    if value[at:].strip(_SPACES) not in _ENDS:
        raise ValueError("there is more")


def _walk(text: str, at: int, places: Places | bytes, found: _Found) -> int:
    """Do the same with a parser that forgives more; give where the value that begins at `at` ends."""
    opening = text[at : at + 1]
    if isinstance(places, bytes) or opening not in _CLOSED_BY:
        value, end = _read(text, at)
        if isinstance(places, bytes) and value:
            found.append((at, end, places))
        return end
    at = _past_space(text, at + 1)
    while not text.startswith(_CLOSED_BY[opening], at):
        name = EACH
        if opening == "{":
            name, at = _read(text, at)
            at = _past_space(text, _past_space(text, at) + 1)
        inside = places.get(name)
        at = _read(text, at)[1] if inside is None else _walk(text, at, inside, found)
        at = _past_space(text, at)
        if text.startswith(",", at):
            at = _past_space(text, at + 1)
    return at + 1


def _past_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
