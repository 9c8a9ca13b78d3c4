"""What a rule is: gates that let it run, and a search that yields findings."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import re2  # type: ignore[import-untyped]

from penstock.detect.finding import Finding
from penstock.detect.source import Source

VERSION = "2"
"""Raise it when a shipped rule changes what it finds: the audit trail records it."""

CHECKED = 0.95
CONTEXT = 0.85
SHAPE = 0.75
ALONE = LEAST_SCORE = 0.6

Search = Callable[[Source], Iterable[Finding]]
Check = Callable[[str], bool]


class BytesMatch(Protocol):
    """One match; offsets are characters too, because a character is one byte."""

    def start(self) -> int:
        """Give where it starts."""

    def span(self, group: int = 0) -> tuple[int, int]:
        """Give where a group starts and ends, (-1, -1) when it took no part."""


class BytesPattern(Protocol):
    """A shipped pattern compiled for RE2."""

    def finditer(self, data: bytes, pos: int = 0) -> Iterator[BytesMatch]:
        """Find every match from `pos` on; what stands before it still counts as a neighbour."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One rule or family of rules. `gates` are expressions; the search runs when one of them occurs."""

    id: str
    types: frozenset[str]
    gates: tuple[str, ...]
    search: Search


def compiled(pattern: str, *, caseless: bool = False) -> BytesPattern:
    """Compile a shipped pattern for RE2 over one-byte characters."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = not caseless
    options.log_errors = False
    regex: BytesPattern = re2.compile(pattern.encode("latin-1"), options)
    return regex


def bare(value: str) -> str:
    """Take spaces, dots, dashes, slashes and line breaks out of a value."""
    if value.isalnum():
        return value
    return value.encode("latin-1", "replace").translate(None, SEPARATORS).decode("latin-1")


SEPARATORS = b" .-/_\n\r\t\xa0:"


@dataclass(frozen=True, slots=True)
class Shape:
    """A value known by its form.

    A value that fails the `check` is nothing; with `doubt`, words or standing alone still make it something.
    `tags` are the context words that speak for it; with `needs_words` one must be there, or the
    value stands alone.
    """

    id: str
    type: str
    pattern: str
    gates: tuple[str, ...] = ()
    check: Check | None = None
    tags: tuple[str, ...] = ()
    needs_words: bool = False
    doubt: bool = False
    vetoes: tuple[str, ...] = ("order", "version", "account")
    unique: bool = False
    """The form is rare enough that a wrong check character is a slip of the pen."""
    group: int = 0
    score: float = SHAPE
    caseless: bool = False
    open_ended: bool = False
    """Whether a match may begin or end with something that is neither a letter nor a digit."""

    def probe(self) -> Probe:
        """Make the rule that finds this shape."""
        pattern = self.pattern if self.open_ended else rf"\b(?:{self.pattern})\b"
        regex = compiled(pattern, caseless=self.caseless)

        def search(source: Source) -> Iterator[Finding]:
            for match in regex.finditer(source.data):
                finding = self.judge(source, *match.span(self.group))
                if finding is not None:
                    yield finding

        return Probe(self.id, frozenset((self.type,)), self.gates or (self.pattern,), search)

    def judge(self, source: Source, start: int, end: int) -> Finding | None:
        """Decide on one candidate."""
        if not source.bounded(start, end):
            return None
        holds = self.check is None or self.check(source.plain[start:end])
        if not holds and not self.doubt:
            return None
        checked = holds and self.check is not None
        if checked and not self.needs_words:
            return Finding(start, end, self.type, self.id, VERSION, True, CHECKED)
        context = source.context(start, end)
        if self.tags and context.says(*self.tags):
            return Finding(
                start, end, self.type, self.id, VERSION, checked, CHECKED if checked else CONTEXT, True
            )
        if context.says(*self.vetoes):
            return None
        if source.is_alone(start, end):
            return Finding(start, end, self.type, self.id, VERSION, checked, CHECKED if checked else ALONE)
        if self.needs_words or not (holds or self.unique):
            return None
        return Finding(start, end, self.type, self.id, VERSION, checked, self.score)
