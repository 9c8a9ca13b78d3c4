"""Patterns of the tenant's own, from the YAML. They run on RE2 and nowhere else: always linear."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import re2  # type: ignore[import-untyped]

from penstock.detect.config import PatternRefused, UserPattern
from penstock.detect.finding import Finding
from penstock.detect.words import AFTER_CHARS, BEFORE_CHARS

_MAX_MEMORY = 8 << 20
_MAX_LENGTH = 2000


class TextMatch(Protocol):
    """One match of a user's pattern."""

    def span(self) -> tuple[int, int]:
        """Give start and end in characters."""


class TextPattern(Protocol):
    """A user's pattern compiled for RE2."""

    def finditer(self, text: str) -> Iterator[TextMatch]:
        """Find every match."""


class UserPatterns:
    """A detector made of user patterns."""

    name = "user"
    version = "1"

    def __init__(self, patterns: Sequence[UserPattern]) -> None:
        self._rules = [(pattern, compile_user_pattern(pattern)) for pattern in patterns]

    def find(self, text: str) -> Iterator[Finding]:
        """Find every match; with context words, only those with a word near."""
        clean = text.encode("utf-8", "replace").decode() if not text.isascii() else text
        for rule, regex in self._rules:
            for match in regex.finditer(clean):
                start, end = match.span()
                if end > start and (not rule.words or _near(clean, start, end, rule.words)):
                    yield Finding(
                        start,
                        end,
                        rule.type,
                        f"user.{rule.name}",
                        self.version,
                        False,
                        rule.score,
                        bool(rule.words),
                    )


def compile_user_pattern(pattern: UserPattern) -> TextPattern:
    """Compile one for RE2. Raises PatternRefused with the engine's reason."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    if len(pattern.pattern) > _MAX_LENGTH:
        raise PatternRefused(f"pattern {pattern.name!r} is longer than {_MAX_LENGTH} characters")
    try:
        regex = re2.compile(pattern.pattern, options)
    except re2.error as problem:
        reason = problem.args[0] if problem.args else problem
        reason = reason.decode() if isinstance(reason, bytes) else reason
        raise PatternRefused(
            f"pattern {pattern.name!r} can't run on the linear-time engine: {reason} "
            "(look-around and back-references are not available)"
        ) from None
    if regex.search("") is not None:
        raise PatternRefused(f"pattern {pattern.name!r} matches the empty text")
    compiled: TextPattern = regex
    return compiled


def _near(text: str, start: int, end: int, words: Sequence[str]) -> bool:
    around = f"{text[max(0, start - BEFORE_CHARS) : start]}\0{text[end : end + AFTER_CHARS]}".casefold()
    return any(_whole(around, word.casefold()) for word in words)


def _whole(text: str, word: str) -> bool:
    at = text.find(word)
    while at >= 0:
        left, right = text[at - 1 : at] if at else "", text[at + len(word) : at + len(word) + 1]
        if not left.isalnum() and not right.isalnum():
            return True
        at = text.find(word, at + 1)
    return False
