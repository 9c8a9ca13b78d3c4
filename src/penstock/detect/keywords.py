"""Where words of the lexicon may stand in a text: one pass, so that most values need no reading of their own.

It marks too many places rather than too few; `words` reads what is really there.
"""

import re
from functools import cache

from penstock.detect.lexicon import LEXICON
from penstock.detect.prefilter import Automaton

_OTHER_SCRIPTS = "[\xa4\xaa\xb5\xba\xc0-\xff]"
"""Any letter above ASCII may belong to a word of another script."""
_GAP = "[^A-Za-z0-9]*"
"""What stands between the words of a phrase: anything, and nothing in driverLicense."""
_ENDS = r"(?:[^a-z]|\z)"


def _expressions() -> tuple[str, ...]:
    """Write one expression for each ASCII phrase, unless a word in it is marked by itself."""
    words: set[str] = set()
    longer: list[str] = []
    for phrase in sorted(filter(str.isascii, LEXICON), key=lambda phrase: phrase.count(" ")):
        parts = phrase.split()
        if len(parts) == 1:
            words.add(phrase)
        elif words.isdisjoint(parts):
            longer.append(_phrase(parts))
    return (*map(_word, sorted(words)), *longer, _OTHER_SCRIPTS)


def _phrase(parts: list[str]) -> str:
    """Match several words in a row."""
    return _begins(parts[0]) + rf"{_GAP}(?i:{_GAP.join(parts[1:])}){_ENDS}"


def _word(word: str) -> str:
    """Match a word that stands by itself or begins with a capital inside another, as in passportNumber."""
    return _begins(word) + _ENDS


def _begins(word: str) -> str:
    return rf"(?:(?:^|[^A-Za-z])(?i:{re.escape(word)})|{word[0].upper()}(?i:{re.escape(word[1:])}))"


@cache
def _automaton() -> Automaton:
    return Automaton(_expressions(), 0)


def keyword_places(data: bytes) -> list[int]:
    """Give the offsets right after each word that may be in the lexicon, or one further, in order."""
    return sorted([end for _, end in _automaton().scan(data)])
