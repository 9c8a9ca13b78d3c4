"""The two forms a secret's rule takes: a token with a form of its own, and a value that a service's name announces."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

import re
from collections.abc import Iterator
from dataclasses import dataclass

from penstock.detect.finding import Finding
from penstock.detect.probe import CONTEXT, VERSION, Probe, compiled
from penstock.detect.rules.secrets.strength import is_counted_up, is_filler, is_shown, varied
from penstock.detect.source import Source

_TYPES = frozenset({"SECRET"})
_STRUCTURED = 0.9
_SHORT = 4


@dataclass(frozen=True, slots=True)
class Token:
    """A secret known by its form. `prefix` is literal and lets the rule run; `rest` is RE2 syntax after it.

    With `inside`, the prefix may stand in the middle of a word and `rest` is the whole pattern.
    """

    id: str
    prefix: str
    rest: str
    inside: bool = False
    least_kinds: int = 4
    """Different characters the part after the prefix must have: xxxxxxxx is documentation."""
    examples: bool = False
    """Whether a token with the word EXAMPLE counts as well: these forms are so plain that people test with them."""


@dataclass(frozen=True, slots=True)
class Named:
    """A secret without a form of its own: a service's name, an assignment and a value of this form."""

    id: str
    name: str
    value: str


def token_probe(row: Token) -> Probe:
    """Make the rule for one token."""
    pattern = row.rest if row.inside else re.escape(row.prefix) + row.rest
    regex = compiled(pattern)
    rule = f"secrets.{row.id}"

    def search(source: Source) -> Iterator[Finding]:
        plain = source.plain
        for match in regex.finditer(source.data):
            start, end = match.span()
            if not _stands_free(plain, start, end):
                continue
            body = plain[start + (0 if row.inside else len(row.prefix)) : end]
            made_up = is_counted_up(body) if row.examples else is_shown(body)
            if len(set(body)) >= row.least_kinds and not made_up:
                yield Finding(start, end, "SECRET", rule, VERSION, False, _STRUCTURED, True)

    gate = re.escape(row.prefix)
    if len(row.prefix) < _SHORT and not row.inside:
        gate += r"[a-z0-9_\-.+/:%=]{12}"  # two or three letters alone would open for half of all texts
    return Probe(rule, _TYPES, (gate,), search)


_ESCAPES = ("\\n", "\\t", "\\r", "%3D", "%3A", "%2F", "%22", "%20", "%3d", "%3a", "%2f")


def _stands_free(plain: str, start: int, end: int) -> bool:
    if end < len(plain) and (plain[end].isalnum() or plain[end] == "_"):
        return False
    if not start:
        return True
    left = plain[start - 1]
    return not (left.isalnum() or left == "_") or plain[max(0, start - 3) : start].endswith(_ESCAPES)


_ASSIGNED = r"[\w.\-]*[\"'\x60)\]]{0,2}[ \t]*(?:=>|:=|[:=,])[ \t]*[\"'\x60]{0,2}"


def named_probe(row: Named) -> Probe:
    """Make the rule for one service."""
    regex = compiled(rf"(?:{row.name}){_ASSIGNED}({row.value})(?:[^\w]|$)", caseless=True)
    rule = f"secrets.{row.id}"

    def search(source: Source) -> Iterator[Finding]:
        for match in regex.finditer(source.data):
            start, end = match.span(1)
            value = source.plain[start:end]
            if varied(value) and not is_filler(value):
                yield Finding(start, end, "SECRET", rule, VERSION, False, CONTEXT, True)

    gate = row.name.replace(r"[_\- ]?", "[_ -]?")
    return Probe(rule, _TYPES, (gate,), search)
