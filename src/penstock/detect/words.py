"""Whole words near a value and what they say about it; the nearest one wins."""

import re
from typing import NamedTuple

from penstock.detect.lexicon import LAST_WORDS, LEXICON, WORDS_BEFORE

BEFORE_CHARS = 72
AFTER_CHARS = 28
_WORD = re.compile(r"\w+|#")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_ODD = re.compile(r"[a-z0-9][A-Z]|[A-Z]{2}\w*?[a-z]")
"""Words may have to be cut only where a capital stands inside one that has small letters too."""
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ud7ff\uf900-\ufaff]")
"""A letter of a script that puts no spaces between words."""
_INSIDE = re.compile(
    "|".join([*sorted(filter(_UNSPACED.search, LEXICON), key=len, reverse=True), "[A-Za-z]+"])
)
"""What can be told apart in a row of such letters: the lexicon's own words, and Latin ones."""
_BREAK = re.compile(r"[.!?;](?=\s+[A-Z])|\n\s*\n")


class Context(NamedTuple):
    """What the words near a value say it is: the nearest tag before it, else the nearest after."""

    nearest: str
    gap: int
    """Words between the tag and the value."""
    ahead: bool
    """Whether the tag stands before the value, where labels stand."""

    def says(self, *tags: str) -> bool:
        """Say whether one of these tags wins."""
        return self.nearest in tags


NOTHING = Context("", 0, False)


def last_tag(words: list[str]) -> tuple[str, int] | None:
    """Give the tag of the last phrase that has one, and how many words follow it. The longest phrase wins."""
    for gap, word in enumerate(reversed(words)):
        if word in LAST_WORDS:
            tag = _tag_at(words, len(words) - gap)
            if tag is not None:
                return tag, gap
    return None


def first_tag(words: list[str]) -> str | None:
    """Give the tag of the first phrase that has one."""
    for end, word in enumerate(words, 1):
        if word in LAST_WORDS:
            tag = _tag_at(words, end)
            if tag is not None:
                return tag
    return None


def _tag_at(words: list[str], end: int) -> str | None:
    """Give the tag of the longest phrase that ends before `end`; the word there ends one or more."""
    last = words[end - 1]
    if end > 1 and words[end - 2] in WORDS_BEFORE[last]:
        for size in range(min(LAST_WORDS[last], end), 1, -1):
            tag = LEXICON.get(" ".join(words[end - size : end]))
            if tag is not None:
                return tag
    return LEXICON.get(last)


def split_words(text: str) -> list[str]:
    """Cut a text into lower-case words; passportNumber is two, DrIvEr is one that somebody typed oddly."""
    text = text.replace("_", " ")
    if text.isascii() and (text.islower() or _ODD.search(text) is None):
        return _WORD.findall(text.lower())
    words: list[str] = []
    for word in _WORD.findall(text):
        lower = word.lower()
        if not word.isascii() and _UNSPACED.search(word):
            words += _INSIDE.findall(lower) or [lower]
            continue
        if lower == word or word[1:].islower() or word.isupper() or lower in LAST_WORDS or not word.isascii():
            words.append(lower)
            continue
        parts = _CAMEL.findall(word)
        words.extend([part.lower() for part in parts] if len(parts) * 3 <= len(word) else [lower])
    return words


def read_context(before: str, after: str, label: str = "") -> Context:
    """Read what stands before and after a value; `label`, the field's name, counts as standing before."""
    if len(before) == BEFORE_CHARS and before[0].isalnum():
        before = before.partition(" ")[2] or before  # its first word is cut
    found = last_tag(split_words(f"{label} {before}" if label else before))
    if found is not None:
        return Context(found[0], found[1], True)
    stop = _BREAK.search(after)
    tag = first_tag(split_words(after[: stop.start()] if stop else after))
    return Context(tag, 0, False) if tag is not None else NOTHING
