"""A text as the rules read it: look-alike characters folded, one byte for each character."""

import re
import unicodedata
from itertools import compress

from penstock.detect.escapes import GONE, is_written_otherwise, meant, places
from penstock.detect.surroundings import Surroundings
from penstock.detect.words import Context

_FILLERS = frozenset("\u115f\u1160\u17b4\u17b5\u180e\u3164\uffa0")
"""Letters by their category, but nobody sees them."""
_MARKS = re.compile(
    "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe2f\U000e0100-\U000e01ef]"
)
"""Marks that are laid over the character before them: accents, lines, variants."""
_UNKNOWN = "?"
_DENSE = 8
"""With more than one byte in eight above ASCII, one pass over all is cheaper than one call for each run."""
_OTHERS = re.compile("[^\x00-\x7f]+")
_LETTER = "\xff"
"""Stands for any letter that Latin-1 lacks, so that word boundaries stay where they are."""
_UNSPACED = "\xa4"
"""Stands for a letter of a script that puts no space between a word and a number."""
_UNSPACED_SCRIPTS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fff\u3040-\u318f\u31a0-\u31ff\u3400-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, Chinese, Japanese and Korean."""
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


_BETWEEN = b" ().-/\n\t_+"
_IN_RUN = bytes(b" x"[code in b"0123456789OIl" + _BETWEEN] for code in range(256))
"""Digits, with what is read as one, and what people write between the digits of one number."""
_RUN = re.compile(b"xxxxxxx+")
"""`re` looks for a fixed beginning much faster than for a class of characters."""
_FEWEST = 7
_EMPHASIS = re.compile(rb"_(?<!__)(?:(?<![0-9A-Za-z\xc0-\xff]_)_*+|_*+(?![0-9A-Za-z\xc0-\xff]))")
"""Underscores that begin or end a word: _so_ is emphasis, and no part of a value."""


def _blanked(run: re.Match[bytes]) -> bytes:
    return b" " * len(run.group())


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
    if kind == "Cf" or char in _FILLERS or _MARKS.match(char):
        return GONE
    if kind == "Nd":
        return str(unicodedata.decimal(char))
    if kind == "Pd" or char == "\u2212":
        return "-"
    if kind in ("Zs", "Zl", "Zp") or char == "\u2800":
        return " "
    if char in "\u2018\u2019\u201a\u2032":
        return "'"
    if char in "\u201c\u201d\u201e\u2033":
        return '"'
    plain = unicodedata.normalize("NFKC", char)
    if len(plain) == 1 and plain < "\u0100":
        return plain
    if _UNSPACED_SCRIPTS.match(char):
        return _UNSPACED
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


class Source:
    """One text in three forms of the same length: `plain` folded, `data` its bytes, `raw` for reading words.

    Characters that are written otherwise are read as what they mean, and invisible ones are taken out;
    `original` maps an offset back to the text as given.
    """

    __slots__ = (
        "_folded",
        "_places",
        "_runs",
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
        raw = meant(text) if is_written_otherwise(text) else text
        self._folded = self.plain = raw
        if not raw.isascii():
            self._folded = self.plain = fold(raw)
            if GONE in self.plain:
                raw = "".join(compress(raw, map(GONE.__ne__, self.plain)))
                self.plain = self.plain.replace(GONE, "")
        self.raw = raw
        self.data = self.plain.encode("latin-1", "replace")
        self.alone = len(self.plain) <= 64 and (
            len(self.plain) - len(self.plain.lstrip()),
            len(self.plain.rstrip()),
        )
        self._solid = b""
        self._runs: list[tuple[int, int]] | None = None
        self._surroundings: Surroundings | None = None

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Map a span to the text as given; invisible characters inside the span belong to it."""
        if len(self.plain) == len(self.text):
            return start, end
        if self._places is None:  # most texts hold no value: nothing to map
            self._places = list(compress(places(self.text), map(GONE.__ne__, self._folded)))
        return self._places[start][0], self._places[end - 1][1]

    def runs(self) -> list[tuple[int, int]]:
        """Give where enough digits stand, and what people write between those of one number."""
        if self._runs is None:
            self._runs = [
                (start, end)
                for start, end in map(re.Match.span, _RUN.finditer(self.data.translate(_IN_RUN)))
                if len(self.data[start:end].translate(None, _BETWEEN)) >= _FEWEST
            ]
        return self._runs

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
        data = _EMPHASIS.sub(_blanked, self.data) if b"_" in self.data else self.data
        self._solid = data.translate(_SOLID).join((b"\0", b"\0"))
        return self._solid
