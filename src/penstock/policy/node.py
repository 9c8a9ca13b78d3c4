"""A YAML value and where it stands."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from penstock.policy.problems import printable, quoted

Scalar = str | int | float | bool | None
Loc = tuple[str | int, ...]

_BARE: Final = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text; lines and columns count from 0 and the end is not part of it."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(slots=True)
class Node:
    """A scalar, a sequence or a mapping.

    `refused` says that a problem about the value is already told, `hidden` that it is never shown.
    `key` is where the name of the value stands, None in sequences and at the top.
    """

    span: Span
    content: "Scalar | list[Node] | Mapping[str, Node]"
    key: Span | None = None
    refused: bool = False
    hidden: bool = False
    refused_keys: set[str] = field(default_factory=set)

    @property
    def mapping(self) -> "Mapping[str, Node]":
        """The entries; none where this is no mapping."""
        return self.content if isinstance(self.content, Mapping) else {}

    def child(self, part: str | int) -> "Node | None":
        """Give the entry or item of that name or number."""
        match self.content:
            case Mapping():
                return self.content.get(str(part))
            case list() if isinstance(part, int) and 0 <= part < len(self.content):
                return self.content[part]
            case _:
                return None

    def plain(self) -> Any:  # noqa: ANN401 - a policy is what it is until its model has read it
        """Give the value as Python has it."""
        if isinstance(self.content, Mapping):
            return {key: node.plain() for key, node in self.content.items()}
        if isinstance(self.content, list):
            return [node.plain() for node in self.content]
        return self.content

    @property
    def pointer(self) -> Span:
        """Where a caret shows the value best: at its key if the value only begins on a later line."""
        return self.key if self.key is not None and self.key.line != self.span.line else self.span

    def shown(self) -> str:
        """Say what stands here, as far as it may be said."""
        match self.content:
            case None:
                return "nothing"
            case Mapping():
                return "a mapping" if self.content else "an empty mapping"
            case _ if self.hidden:
                return "a value that is not shown"
            case str(text):
                return quoted(text)
            case bool(value):
                return str(value).lower()
            case int() | float():
                return str(self.content)
            case _:
                return _counted(len(self.content))


def _counted(items: int) -> str:
    return f"a list of {items} item{'' if items == 1 else 's'}" if items else "an empty list"


def dotted(loc: Loc) -> str:
    """Write a path the way people say it: `tenants.acme.models[0]`."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if _BARE.fullmatch(part) and len(part) <= 64 else quoted(part)
            text += f".{name}" if text else name
    return printable(text)
