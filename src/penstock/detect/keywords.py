"""Where words of the lexicon may stand in a text: one pass, so that most values need no reading of their own.

It marks too many places rather than too few; `words` reads what is really there.
"""

import re
from functools import cache

from penstock.detect.lexicon import LEXICON
from penstock.detect.prefilter import Automaton

_OTHER_SCRIPTS = "[\xaa\xb5\xba\xc0-\xff]"
"""Any letter above ASCII may belong to a word of another script."""
_GAP = "[^A-Za-z0-9]{1,3}"


def _expressions() -> tuple[str, ...]:
    """Choose words so that every ASCII phrase holds one: its longest, which is the rarest."""
    chosen: set[str] = set()
    spelled: list[str] = []
    for phrase in sorted(LEXICON, key=lambda phrase: phrase.count(" ")):
        parts = phrase.split()
        if not phrase.isascii() or not chosen.isdisjoint(parts):
            continue
        longest = max(parts, key=len)
        if len(parts) > 1 and len(longest) == 1:  # d.o.b: one letter alone stands everywhere
            spelled.append(rf"(?:^|[^A-Za-z0-9])(?i:{_GAP.join(parts)})(?:[^a-z]|\z)")
        else:
            chosen.add(longest)
    return (*map(_word, sorted(chosen)), *spelled, _OTHER_SCRIPTS)


def _word(word: str) -> str:
    """Match a word that stands by itself or begins with a capital inside another, as in passportNumber."""
    whole, tail = re.escape(word), re.escape(word[1:])
    return rf"(?:(?:^|[^A-Za-z])(?i:{whole})|{word[0].upper()}(?i:{tail}))(?:[^a-z]|\z)"


@cache
def _automaton() -> Automaton:
    return Automaton(_expressions(), 0)


def keyword_places(data: bytes) -> list[int]:
    """Give the offsets right after each word that may be in the lexicon, or one further, in order."""
    return sorted([end for _, end in _automaton().scan(data)])
