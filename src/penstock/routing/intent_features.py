"""What the intent classifier sees of a short text: its words and pairs, and its runs of letters."""

import re
from typing import Final
from zlib import crc32

_WORD: Final = re.compile(rb"[a-z]+|[0-9]+|[\x80-\xff]+")
_MOST_WORDS: Final = 40
_RUN: Final = 4
_RUN_SEED: Final = 5

Grams = frozenset[int]


def intent_features(text: str) -> tuple[Grams, Grams]:
    """Hash words and pairs, and runs of letters across words; a long text is known by how it starts."""
    words = _WORD.findall(text[: _MOST_WORDS * 8].lower().encode("utf-8", "replace"))[:_MOST_WORDS]
    single = list(map(crc32, words))
    line = b" " + b" ".join(words) + b" "
    runs = [crc32(line[start : start + _RUN], _RUN_SEED) for start in range(len(line) - _RUN + 1)]
    return frozenset([*single, *map(crc32, words[1:], single)]), frozenset(runs)
