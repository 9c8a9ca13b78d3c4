"""What the intent classifier sees of a short text: its words and pairs, and its runs of letters."""

import re
from typing import Final
from zlib import crc32

# A letter of three bytes or more counts as a word: Chinese and Japanese put no spaces between theirs.
_WORD: Final = re.compile(rb"[a-z]+|[0-9]+|(?:[\xc0-\xdf][\x80-\xbf])+|[\xe0-\xff][\x80-\xbf]+")
_MOST_WORDS: Final = 40
_RUN: Final = 3
_FAR_RUN: Final = 6  # bytes beyond ASCII: three letters of Cyrillic, Greek or Arabic
_RUN_SEED: Final = 5

Grams = frozenset[int]


def intent_features(text: str) -> tuple[Grams, Grams]:
    """Hash words and pairs, and runs of letters across words; a long text is known by how it starts."""
    words = _WORD.findall(text[: _MOST_WORDS * 8].lower().encode("utf-8", "replace"))[:_MOST_WORDS]
    single = list(map(crc32, words))
    line = b" " + b" ".join(words) + b" "
    runs = [
        crc32(line[start : start + (_RUN if line[start] < 0x80 else _FAR_RUN)], _RUN_SEED)
        for start in range(len(line) - _RUN + 1)
        if not 0x80 <= line[start] < 0xC0  # a letter's second byte begins nothing
    ]
    return frozenset([*single, *map(crc32, words[1:], single)]), frozenset(runs)
