"""Finding stand-ins: texts that are hits only as they were given out, in any case of their letters."""

import re
from collections.abc import Iterator
from typing import Final

from penstock.redaction.spelling import Hit, begins_word

LONGEST: Final = 64
"""Stand-ins longer than this are not made; at most one character less is held back for one."""

_BEGINS: Final = r"(?<![0-9A-Za-z])"
_BEGINS_ESCAPED: Final = r"(?:(?<![0-9A-Za-z])|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4}))"
_ENDS: Final = r"(?![0-9A-Za-z])"


class ExactTable:
    """Stand-ins and what they stand for. Each is ASCII, at most LONGEST characters."""

    __slots__ = ("_beginnings", "_patterns", "_values", "longest")

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._beginnings: set[str] = set()
        self._patterns: dict[bool, re.Pattern[str]] = {}
        self.longest = 0

    def __contains__(self, stand_in: str) -> bool:
        return stand_in.upper() in self._values

    def __bool__(self) -> bool:
        return bool(self._values)

    def add(self, stand_in: str, value: str) -> None:
        """Take one more."""
        key = stand_in.upper()
        self._values[key] = value
        self._beginnings.update(key[:end] for end in range(1, len(key) + 1))
        self._patterns.clear()
        self.longest = max(self.longest, len(key))

    def hits(self, text: str, start: int = 0, *, escaped: bool = False) -> Iterator[Hit]:
        """Give the hits in order, none before `start`; `escaped`: the text is part of a JSON text."""
        for match in self._compiled(escaped=escaped).finditer(text, start):
            if begins_word(text, match.start(), escaped=escaped):
                yield Hit(match.start(), match.end(), self._values[match.group().upper()])

    def open_tail(self, text: str, start: int, *, escaped: bool = False) -> int:
        """Give where the tail begins that could still become a hit; the text's end if there is none."""
        end = len(text)
        for place in range(max(start, end - self.longest), end):
            if _upper(text[place:]) in self._beginnings and begins_word(text, place, escaped=escaped):
                return place
        return end

    def _compiled(self, *, escaped: bool) -> re.Pattern[str]:
        if escaped not in self._patterns:
            longest_first = sorted(self._values, key=len, reverse=True)
            union = "|".join(map(re.escape, longest_first))
            begins = _BEGINS_ESCAPED if escaped else _BEGINS
            self._patterns[escaped] = re.compile(f"{begins}(?:{union}){_ENDS}", re.IGNORECASE | re.ASCII)
        return self._patterns[escaped]


def _upper(text: str) -> str:
    """Give the capitals of an ASCII text; another one has no beginning in the table anyway."""
    return text.upper() if text.isascii() else ""
