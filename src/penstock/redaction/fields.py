"""Every string of a request's body with its place, and a copy of the body with other strings."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from penstock.openai.request import Endpoint, Json
from penstock.redaction.zones import KNOWN, Kind, Zone, body_zone, knows_name, refined, rule_for

_SHORTEST_NUMBER: Final = 7
"""Digits a number must have to be read: shorter ones are counts, limits and tokens."""
_DATA_URL: Final = re.compile(r"data:([a-zA-Z0-9.+/-]*)(?:;charset=[a-zA-Z0-9-]+)?;base64,")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_=\s-]*")
_SHORTEST_FILE: Final = 24  # below that, base64 looks like any word
_SEALED: Final = re.compile(r"[A-Za-z0-9+/_=-]{64,}")


@dataclass(slots=True, eq=False)
class Node:
    """Where an object or a string stands: under which key of which parent. `shown` hides a telling key."""

    parent: "Node | None"
    key: str | int
    value: Any = field(repr=False)
    shown: str | None = None

    def pointer(self) -> str:
        """Give the JSON pointer (RFC 6901); a key that is a value itself is not spelled out."""
        parts: list[str] = []
        node: Node | None = self
        while node is not None and node.parent is not None:
            parts.append((node.shown or str(node.key)).replace("~", "~0").replace("/", "~1"))
            node = node.parent
        return "".join(f"/{part}" for part in reversed(parts))


@dataclass(slots=True, eq=False)
class Place:
    """A string of the body. `label` is its field's name where that is the client's, for the detector."""

    node: Node
    kind: Kind
    text: str = field(repr=False)
    label: str = ""


def places(endpoint: Endpoint, body: Json) -> Iterator[Place]:
    """Give every string, field name and long number of the body, in order, however deep it is."""
    root = Node(None, "", body)
    waiting = [(root, Kind.TEXT, body_zone(endpoint), "")]
    while waiting:
        node, kind, zone, label = waiting.pop()
        value = node.value
        if isinstance(value, str):
            yield _of_string(node, kind, value, label)
        elif isinstance(value, dict):
            yield from _names(node, value, zone)
            waiting.extend(reversed(list(_fields(node, value, zone))))
        elif isinstance(value, list):
            items = [(Node(node, at, item), kind, zone, label) for at, item in enumerate(value)]
            waiting.extend(reversed(items))
        elif _is_long(value) and label:
            yield Place(node, Kind.NUMBER, str(value), label)


def changed(changes: Mapping[Node, str]) -> Any:  # noqa: ANN401 - the body, whatever it is
    """Give a copy of the body with other strings at some nodes; what is not changed is shared."""
    copies: dict[Node, Any] = {}
    root: Any = None
    for node, text in changes.items():
        value: Any = text
        here = node
        while here.parent is not None:
            parent = here.parent
            known = parent in copies
            if not known:
                copies[parent] = parent.value.copy()
            copies[parent][here.key] = value
            if known:
                break
            here, value = parent, copies[parent]
        else:
            root = value
    return root


@dataclass(frozen=True, slots=True)
class File:
    """A file or an image in base64. `head` is what stands before the data; `type` the media type, if told."""

    type: str
    head: str
    data: str = field(repr=False)

    @property
    def is_text(self) -> bool:
        """Whether it says that it is text."""
        kind = self.type.lower()
        return kind.startswith("text/") or kind in ("application/json", "application/xml", "application/yaml")

    def text(self) -> str | None:
        """Read it as UTF-8; None where it is none."""
        try:
            return base64.b64decode(self.data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return None

    def holding(self, text: str) -> str:
        """Give the field's string for other contents."""
        return self.head + base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


def file_at(place: Place) -> File:
    """Read the place of a file: a data URL, or bare base64 beside its `format`, `media_type` or name."""
    head = _DATA_URL.match(place.text)
    if head:
        return File(head[1] or "text/plain", head[0], place.text[head.end() :])
    beside = place.node.parent.value if place.node.parent else None
    return File(_told_type(beside) if isinstance(beside, dict) else "", "", place.text)


def _told_type(beside: Json) -> str:
    told = beside.get("media_type") or beside.get("mime_type")
    if isinstance(told, str):
        return told
    if isinstance(told := beside.get("format"), str):
        return f"audio/{told}"
    name = beside.get("filename")
    plain = isinstance(name, str) and name.lower().endswith((".txt", ".md", ".csv", ".json", ".xml", ".log"))
    return "text/plain" if plain else ""


def _of_string(node: Node, kind: Kind, value: str, label: str) -> Place:
    if _is_file(kind, value):
        kind = Kind.FILE
    elif kind is Kind.FILE:
        kind = Kind.TEXT
    elif kind is Kind.LINK or (kind is Kind.SEALED and not _SEALED.fullmatch(value)):
        kind = Kind.STRUCTURAL
    return Place(node, kind, value, label)


def _is_file(kind: Kind, value: str) -> bool:
    """Whether a string is a file: said to be one, or a data URL; and all of it base64, or it hides a text."""
    head = _DATA_URL.match(value) if kind in (Kind.TEXT, Kind.LINK, Kind.FILE) else None
    if head is None and (kind is not Kind.FILE or len(value) < _SHORTEST_FILE):
        return False
    return _BASE64.fullmatch(value, head.end() if head else 0) is not None


def _names(node: Node, value: Json, zone: Zone) -> Iterator[Place]:
    for name in value:
        if not knows_name(zone, name) and name not in KNOWN:
            yield Place(Node(node, name, name), Kind.KEY, name)


def _fields(node: Node, value: Json, zone: Zone) -> Iterator[tuple[Node, Kind, Zone, str]]:
    zone = refined(zone, value)
    for name, item in value.items():
        kind, inside = rule_for(zone, name)
        yield Node(node, name, item), kind, inside, "" if knows_name(zone, name) else name


def _is_long(value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return sum(char.isdigit() for char in str(value)) >= _SHORTEST_NUMBER
