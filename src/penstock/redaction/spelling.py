"""Finding placeholders in what a model wrote, spelled as they are or with the harmless changes models make.

A hit is the whole label in any case, one to three separators (`_`, a space, `-`, an escaped `\\_`, bold
or code marks), and all the digits with nothing of a word around them. Where brackets stand around that,
with at most two marks or spaces inside, they belong to it; a lost bracket is no harm. The digits are
never guessed: they are in the table, under this label, or it is no hit.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from penstock.redaction.placeholder import LABEL_MAX, LENGTHS

_SEPARATORS: Final = "_- \\*`"
_SEPARATORS_MAX: Final = 3
_PADDING: Final = " *`_"
_PADDING_MAX: Final = 2
_LONGEST_ESCAPE: Final = 6  # \u0041

MAXLEN: Final = 2 + 2 * _PADDING_MAX + LABEL_MAX + _SEPARATORS_MAX + LENGTHS[-1]
"""The longest spelling that is still a hit, in characters. At most one less is ever held back."""
CONTEXT: Final = _LONGEST_ESCAPE
"""How many characters before a text decide whether a word begins there."""

_RUN: Final = re.compile(r"(?<![0-9A-Za-z])[1-9][0-9]{11,17}(?![0-9A-Za-z])")
_TAIL: Final = re.compile(
    r"(\[[ *`_]{0,2})?(?:([A-Za-z]{1,10})(?:([_\- \\*`]{1,3})(?:([1-9][0-9]{0,17})([ *`_]{0,2}))?)?)?\Z"
)
_ESCAPE: Final = re.compile(r"\\(?:[bfnrt]|u[0-9a-fA-F]{4})\Z")
_DIGITS: Final = "0123456789"
_WORD_CHARS: Final = _DIGITS + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_WORD: Final = frozenset(_WORD_CHARS)
_MAY_END_A_TAIL: Final = _WORD | frozenset("[" + _SEPARATORS)


class Hit(NamedTuple):
    """A place of a text that stands for a value."""

    start: int
    end: int
    value: str


@dataclass(slots=True, repr=False)
class Table:
    """What is looked for: digits with their label and value, and how each spelling may begin."""

    known: dict[str, tuple[str, str]] = field(default_factory=dict)
    beginnings: set[str] = field(default_factory=set)

    def add(self, label: str, digits: str, value: str) -> None:
        """Take one more placeholder."""
        self.known[digits] = (label, value)
        self.beginnings.update(label[:end] for end in range(1, len(label)))
        self.beginnings.add(label + "_")
        self.beginnings.update(label + digits[:end] for end in range(1, len(digits) + 1))

    def hits(self, text: str, start: int = 0, *, escaped: bool = False) -> Iterator[Hit]:
        """Give the hits in order, none before `start`; `escaped`: the text is part of a JSON text."""
        floor = start
        for run in _RUN.finditer(text, start):
            entry = self.known.get(run.group())
            if entry is None:
                continue
            begin = _label_before(text, floor, run.start(), entry[0], escaped=escaped)
            if begin is not None:
                first, floor = _with_brackets(text, floor, begin, run.end())
                yield Hit(first, floor, entry[1])

    def open_tail(self, text: str, start: int, *, escaped: bool = False) -> int:
        """Give where the tail begins that could still become a hit; the text's end if there is none."""
        end = len(text)
        if end == start or not self.known or text[-1] not in _MAY_END_A_TAIL:
            return end
        place = max(start, end - MAXLEN + 1)
        escapes = escaped and "\\" in text[max(0, place - _LONGEST_ESCAPE) :]
        if "[" not in text[place:] and text[-1] not in _DIGITS and not escapes:
            return self._open_word(text, place, escaped=escaped)
        while (tail := _TAIL.search(text, place)) and tail.start() < end:
            if self._goes_on(tail) and (tail[1] or begins_word(text, tail.start(), escaped=escaped)):
                return tail.start()
            place = tail.start() + 1
        return end

    def _open_word(self, text: str, place: int, *, escaped: bool) -> int:
        """Do the same, faster, where only a label can be open, and perhaps its separator."""
        end = len(text)
        tail = text[place:].rstrip(_SEPARATORS)
        word = tail[len(tail.rstrip(_WORD_CHARS)) :]
        gap = end - place - len(tail)
        label = word.upper()
        fits = label + "_" in self.beginnings or (gap == 0 and label in self.beginnings)
        first = end - gap - len(word)
        return first if fits and gap <= _SEPARATORS_MAX and begins_word(text, first, escaped=escaped) else end

    def _goes_on(self, tail: re.Match[str]) -> bool:
        opening, label, separator, digits, padding = tail.groups()
        if label is None:
            return opening is not None
        label = label.upper()
        if separator is None:
            return label in self.beginnings or label + "_" in self.beginnings
        if digits is None:
            return label + "_" in self.beginnings
        if padding:  # only a bracket is still to come
            return opening is not None and self.known.get(digits, ("",))[0] == label
        return label + digits in self.beginnings


def _label_before(text: str, floor: int, end: int, label: str, *, escaped: bool) -> int | None:
    """Give where the label before the digits begins; None if it is not there."""
    first = end
    while first > floor and text[first - 1] in _SEPARATORS:
        first -= 1
    begin = first - len(label)
    if not 1 <= end - first <= _SEPARATORS_MAX or begin < floor:
        return None
    written = text[begin:first]
    fits = written.isascii() and written.upper() == label
    return begin if fits and begins_word(text, begin, escaped=escaped) else None


def begins_word(text: str, at: int, *, escaped: bool) -> bool:
    """Whether a word may begin here; in a JSON text, an escape's last letter is no part of one."""
    if at == 0 or text[at - 1] not in _WORD:
        return True
    return escaped and _ends_escape(text, at)


def _ends_escape(text: str, at: int) -> bool:
    """Whether an escape of a JSON text ends here; a backslash that is escaped itself begins none."""
    escape = _ESCAPE.search(text, max(0, at - _LONGEST_ESCAPE), at)
    return escape is not None and backslashes_before(text, escape.start() + 1) % 2 == 1


def backslashes_before(text: str, at: int) -> int:
    """Count the backslashes right before a place."""
    first = at
    while first > 0 and text[first - 1] == "\\":
        first -= 1
    return at - first


def _with_brackets(text: str, floor: int, begin: int, end: int) -> tuple[int, int]:
    """Widen a hit over the brackets around it, if there are both."""
    first, last = begin - 1, end
    while first >= floor and begin - first <= _PADDING_MAX and text[first] in _PADDING:
        first -= 1
    while last < len(text) and last - end < _PADDING_MAX and text[last] in _PADDING:
        last += 1
    if first >= floor and text[first] == "[" and text[last : last + 1] == "]":
        return first, last + 1
    return begin, end
