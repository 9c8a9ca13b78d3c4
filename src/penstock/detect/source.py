"""A text as the rules read it: look-alike characters folded, one byte for each character."""

import re
import unicodedata
from bisect import bisect_right
from itertools import compress

from penstock.detect.keywords import keyword_places
from penstock.detect.words import AFTER_CHARS, BEFORE_CHARS, NOTHING, Context, read_context

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufe00-\ufe0f]"
)
_ESCAPED = re.compile("%(?:2[0-9A-Fa-f]|[3-6][0-9A-Fa-f]|7[0-9A-Ea-e])")
"""A printable ASCII character as URLs write it."""
_UNKNOWN = "?"
_GONE = "\xad"
_DENSE = 8
"""With more than one byte in eight above ASCII, one pass over all is cheaper than one call for each run."""
_OTHERS = re.compile("[^\x00-\x7f]+")
_LETTER = "\xff"
"""Stands for any letter that Latin-1 lacks, so that word boundaries stay where they are."""

# Letters of other scripts that look like ASCII ones: Cyrillic first, then Greek.
_LOOK_ALIKES = dict(
    zip(
        "АВСЕНІЈКМОРЅТХУаеоріјѕсхуΑΒΕΖΗΙΚΜΝΟΡΤΥΧο",  # noqa: RUF001
        "ABCEHIJKMOPSTXYaeopijscxyABEZHIKMNOPTYXo",
        strict=True,
    )
)


class _Fold(dict[int, str]):
    """The map of one character to one character; it learns each character once."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _fold(chr(code))
        return folded


def _fold(char: str) -> str:
    if char < "\x80":
        return char
    if char in _LOOK_ALIKES:
        return _LOOK_ALIKES[char]
    kind = unicodedata.category(char)
    if _INVISIBLE.match(char):
        return _GONE
    if kind == "Nd":
        return str(unicodedata.decimal(char))
    if kind == "Pd" or char == "\u2212":
        return "-"
    if kind == "Zs":
        return " "
    if char in "\u2018\u2019\u201a\u2032":
        return "'"
    if char in "\u201c\u201d\u201e\u2033":
        return '"'
    plain = unicodedata.normalize("NFKC", char)
    if len(plain) == 1 and plain < "\u0100":
        return plain
    if kind.startswith("L"):
        return char if char < "\u0100" else _LETTER
    return char if char < "\u0100" else _UNKNOWN


_FOLD = _Fold()


def fold(text: str) -> str:
    """Fold look-alikes, one character to one; an invisible character becomes a soft hyphen."""
    if len(text.encode("utf-8", "replace")) - len(text) > len(text) // _DENSE:
        return text.translate(_FOLD)
    return _OTHERS.sub(_fold_run, text)


def _fold_run(run: re.Match[str]) -> str:
    return run.group().translate(_FOLD)


_ESCAPES = {f"%{code:{form}}": chr(code) for code in range(0x20, 0x7F) for form in ("02X", "02x")}


def _unescaped(text: str) -> str:
    """Read %40 as @."""
    return _ESCAPED.sub(lambda escape: _ESCAPES[escape.group()], text)


def _given_places(text: str) -> list[tuple[int, int]]:
    """Give the span in the text as given that each character came from."""
    places: list[tuple[int, int]] = []
    done = 0
    for escape in _ESCAPED.finditer(text):
        start, end = escape.span()
        places += [(at, at + 1) for at in range(done, start)]
        places.append((start, end))
        done = end
    return places + [(at, at + 1) for at in range(done, len(text))]


class Source:
    """One text in three forms of the same length: `plain` folded, `data` its bytes, `raw` for reading words.

    Characters that URLs escape are read as what they stand for, and invisible ones are taken out;
    `original` maps an offset back to the text as given.
    """

    __slots__ = (
        "_contexts",
        "_folded",
        "_keywords",
        "_labelled",
        "_places",
        "alone",
        "data",
        "label",
        "plain",
        "raw",
        "text",
    )

    def __init__(self, text: str, label: str = "") -> None:
        self.text = text
        self.label = label
        self._places: list[tuple[int, int]] | None = None
        raw = _unescaped(text) if "%" in text else text
        self._folded = self.plain = raw
        if not raw.isascii():
            self._folded = self.plain = fold(raw)
            if _GONE in self.plain:
                raw = "".join(compress(raw, map(_GONE.__ne__, self.plain)))
                self.plain = self.plain.replace(_GONE, "")
        self.raw = raw
        self.data = self.plain.encode("latin-1", "replace")
        self.alone = len(self.plain) <= 64 and (
            len(self.plain) - len(self.plain.lstrip()),
            len(self.plain.rstrip()),
        )
        self._contexts: dict[tuple[str, str], Context] = {}
        self._keywords: list[int] | None = None
        self._labelled = False

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Map a span to the text as given; invisible characters inside the span belong to it."""
        if len(self.plain) == len(self.text):
            return start, end
        if self._places is None:  # most texts hold no value: nothing to map
            self._places = list(compress(_given_places(self.text), map(_GONE.__ne__, self._folded)))
        return self._places[start][0], self._places[end - 1][1]

    def is_alone(self, start: int, end: int) -> bool:
        """Say whether this value is all there is: a bare field of a form or a tool call's argument."""
        return self.alone == (start, end)

    def context(self, start: int, end: int) -> Context:
        """Read the words around a span: what they say it is, nearest first."""
        before, after = self._near(start, end)
        if before is None and not after:
            return NOTHING
        around = (self.raw[max(0, start - BEFORE_CHARS) : start], self.raw[end : end + AFTER_CHARS])
        known = self._contexts.get(around)
        if known is None:  # the same words around a value say the same: rows of a table, floods
            known = self._contexts[around] = read_context(*around, self.label, before)
        return known

    def words_near(self, start: int, end: int) -> bool:
        """Say whether a word of the lexicon can be near a span."""
        before, after = self._near(start, end)
        return after or before is not None

    def _near(self, start: int, end: int) -> tuple[int | None, bool]:
        """Say how far before a span the nearest word of the lexicon can end, and whether one can follow."""
        places = self._keywords
        if places is None:
            places = self._keywords = keyword_places(self.data)
            if self.label:  # the label stands before every value of the text
                self._labelled = bool(keyword_places(fold(self.label).encode("latin-1", "replace")))
        at = bisect_right(places, start + 1)  # a place may lie one behind the word's end
        before = None
        if at and places[at - 1] > start - BEFORE_CHARS:
            before = start - places[at - 1]
        elif self._labelled:
            before = BEFORE_CHARS
        at = bisect_right(places, end, at)
        return before, at < len(places) and places[at] <= end + AFTER_CHARS + 1

    def bounded(self, start: int, end: int) -> bool:
        """Say whether neither neighbour is a letter, a digit or an underscore."""
        plain = self.plain
        left = plain[start - 1] if start else " "
        right = plain[end] if end < len(plain) else " "
        return not (left.isalnum() or left == "_" or right.isalnum() or right == "_")
