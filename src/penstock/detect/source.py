"""A text as the rules read it: look-alike characters folded, one byte for each character."""

import re
import unicodedata
from itertools import compress

from penstock.detect.surroundings import Surroundings
from penstock.detect.words import Context

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
_SOLID = bytes(chr(code).isalnum() or code == ord("_") for code in range(256))
"""1 for each byte that a word or a number is made of."""

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
        "_folded",
        "_places",
        "_solid",
        "_surroundings",
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
        self._solid = b""
        self._surroundings: Surroundings | None = None

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
        return (self._surroundings or self._read_words()).context(start, end)

    def words_near(self, start: int, end: int) -> bool:
        """Say whether a word of the lexicon can be near a span."""
        return (self._surroundings or self._read_words()).near(start, end)

    def _read_words(self) -> Surroundings:
        """Look for words at the first question: most texts hold nothing that asks for them."""
        label = fold(self.label).encode("latin-1", "replace") if self.label else b""
        self._surroundings = Surroundings(self.raw, self.data, self.label, label)
        return self._surroundings

    def bounded(self, start: int, end: int) -> bool:
        """Say whether neither neighbour is a letter, a digit or an underscore."""
        solid = self._solid or self._read_solid()
        return not (solid[start] or solid[end + 1])

    def _read_solid(self) -> bytes:
        self._solid = self.data.translate(_SOLID).join((b"\0", b"\0"))
        return self._solid
