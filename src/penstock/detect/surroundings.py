"""What the words around each value of one text say, read as seldom as possible."""

import re
from bisect import bisect_right
from collections.abc import Collection

from penstock.detect.keywords import keyword_places
from penstock.detect.lexicon import EARLIER_WORDS, LATER_WORDS, LONGER
from penstock.detect.words import (
    AFTER_CHARS,
    BEFORE_CHARS,
    NOTHING,
    Context,
    last_tag,
    read_context,
    split_words,
)

_PHRASE_WORDS = 3
"""As many words as nearly all phrases have; longer ones take the whole reading."""
_LETTER = re.compile("[0-9A-Za-z#]")
_BARE = frozenset((" ", ": ", " = ", "="))
"""What mostly stands between a word and its value, without words in it."""
_Phrase = tuple[str, int, Collection[str]]


class Surroundings:
    """The words of one text: `raw` is read, `data` is its one-byte form. A label stands before each value."""

    __slots__ = ("_ahead", "_contexts", "_label", "_labelled", "_phrases", "_places", "_raw")

    def __init__(self, raw: str, data: bytes, label: str, label_data: bytes) -> None:
        self._raw = raw
        self._label = label
        self._labelled = bool(label) and (
            bool(keyword_places(label_data)) or not EARLIER_WORDS.isdisjoint(split_words(label))
        )
        self._places = keyword_places(data)
        self._contexts: dict[tuple[str, str], Context] = {}
        self._phrases: dict[str, _Phrase | None] = {}
        self._ahead: dict[int, Context] = {}

    def near(self, start: int, end: int) -> bool:
        """Say whether a word of the lexicon can be near a span."""
        places = self._places
        if self._labelled:
            return True
        at = bisect_right(places, start - BEFORE_CHARS)
        return at < len(places) and places[at] <= end + AFTER_CHARS + 1

    def context(self, start: int, end: int) -> Context:
        """Read the words around a span: what they say it is, nearest first."""
        known = self._ahead.get(start)
        if known is not None:
            return known
        places = self._places
        at = bisect_right(places, start + 1)  # a place may lie one behind the word's end
        if at and places[at - 1] > start - BEFORE_CHARS:
            known = self._just_before(start, places[at - 1])
            if known is not None:
                self._ahead[start] = known
                return known
        elif not self._labelled:
            return self._read("", end) if self._follows(end, at) else NOTHING
        return self._read(self._raw[max(0, start - BEFORE_CHARS) : start], end)

    def _follows(self, end: int, at: int) -> bool:
        at = bisect_right(self._places, end, at)
        return at < len(self._places) and self._places[at] <= end + AFTER_CHARS + 1

    def _read(self, before: str, end: int) -> Context:
        around = (before, self._raw[end : end + AFTER_CHARS])
        known = self._contexts.get(around)
        if known is None:  # the same words around a value say the same: rows of a table, floods
            known = self._contexts[around] = read_context(*around, self._label)
        return known

    def _just_before(self, start: int, place: int) -> Context | None:
        """Tell from the nearest phrase before a value alone; None where that takes more reading."""
        raw, reach, end = self._raw, max(0, start - BEFORE_CHARS), place - 1
        between = raw[end:start]
        if raw[end].isalnum() or not between.isascii():
            return None
        words = () if between in _BARE or _LETTER.search(between) is None else split_words(between)
        if words and not LATER_WORDS.isdisjoint(words):  # passport number: the phrase goes on
            words, end = (), start
        at = place - 2
        for _ in range(_PHRASE_WORDS):
            at = raw.rfind(" ", reach, at)
            if at < 0:
                return None
            phrase = raw[at + 1 : end]
            try:
                known = self._phrases[phrase]
            except KeyError:
                known = self._phrases[phrase] = _settled(split_words(phrase))
            if known is not None:
                tag, gap, others = known
                return Context(tag, gap + len(words), True) if self._stays(others, reach, at) else None
        return None

    def _stays(self, others: Collection[str], reach: int, at: int) -> bool:
        """Say whether the word that ends at `at` is none of those that would make another phrase."""
        if not others:
            return True
        start = self._raw.rfind(" ", reach, at) + 1
        words = split_words(self._raw[max(start, reach) : at])
        return bool(words) and words[-1] not in others


def _settled(words: list[str]) -> _Phrase | None:
    """Give the last phrase's tag, how many words follow it, and the words that would change it before it."""
    found = last_tag(words)
    if found is None:
        return None
    tag, gap = found
    return tag, gap, LONGER.get(" ".join(words[: len(words) - gap]), ())
