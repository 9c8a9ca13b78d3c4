"""Reading the answer: a model may say a value that is not the client's own."""

import re
from dataclasses import dataclass, field
from typing import Final

from penstock.redaction.actions import Action, Actions, Blocked, Redaction, action_for, masked, record
from penstock.redaction.found import Find, Found
from penstock.redaction.placeholder import label
from penstock.redaction.spelling import Hit
from penstock.redaction.text import Edit, Text
from penstock.redaction.vault import Vault

LIVE: Final = re.compile(r"\d")
"""A word that holds one of these may begin a value of several words: a card, a phone, an address."""

# A private key begins, or may have begun: the text ends in the middle of such a line. How one ends, what
# may stand in it, and how far its end may be are the detector's (detect/rules/secrets/keys.py).
_KEY: Final = re.compile(
    r"-----BEGIN\b(?:[A-Z0-9 -]{0,64}\Z|[A-Z0-9 -]{0,40}PRIVATE KEY(?: BLOCK)?-----)", re.IGNORECASE
)
KEY_ENDS: Final = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----", re.IGNORECASE)
"""Longest: 78 characters."""
_KEY_BODY: Final = re.compile(r"[A-Za-z0-9+/=\s\\\"',+:;#>|.\-]*")
_KEY_CHARS: Final = 32_768

# A word goes on through everything but spaces and the letters of scripts that write none: Thai, Lao,
# Burmese, Khmer, Chinese and Japanese. Invisible characters and full-width digits may stand in a value.
_WORD: Final = re.compile(r"[^\s\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff]*")
_PARTICLE: Final = 3  # letters: `van`, `de la`, `of the`


@dataclass(slots=True)
class AnswerRules:
    """How one exchange's answer is read. `redactions` has one record for each
    value found so far.

    The bounds, for streams. A value of one word is found however it is split, and so is a private key. A
    value of several words is found if it has at most `span_chars`, and its first word matches `live` or
    all its words are capitals, digits and particles, as of names.
    What the detector needs to see before a value must stand in the `READ_CONTEXT` characters before it.
    Arguments of calls are read whole. A text that would hold back more than `held_chars` ends the answer:
    nothing goes out unread.
    """

    find: Find
    actions: Actions
    live: re.Pattern[str] = LIVE
    span_chars: int = 64
    held_chars: int = 4_000_000
    redactions: list[Redaction] = field(default_factory=list)
    _seen: set[tuple[str, str]] = field(default_factory=set, repr=False)

    def cut(self, text: str, start: int) -> tuple[int, bool]:
        """Give up to where no value can go on beyond the text's end, and whether a key is why.

        None has begun before `start`.
        """
        key = _open_key(text, start)
        end = len(text) if key is None else key
        word = word_start(text, start, end)
        first = word_start(text, start, max(start, end - self.span_chars))
        live = self.live.search(text, first, word)
        cut = word_start(text, first, live.start()) if live else word
        return _names_start(text, first, cut), key is not None

    def marks(self, vault: Vault, text: Text, start: int) -> list[tuple[Found, int, int]]:
        """Give the values that are not the client's own; of one that began before `start`, the rest."""
        read = text.read
        marks = []
        for found in self.find(read, ""):
            if found.end <= start or action_for(self.actions, found.type) is Action.ALLOW:
                continue
            if not vault.knows(read[found.start : found.end]):
                marks.append((found, max(start, found.start), found.end))
        return marks

    def taken(self, vault: Vault, mark: tuple[Found, int, int], text: Text, pointer: str) -> list[Edit]:
        """Record one value and give what is put in its place. Raises Blocked."""
        found, start, end = mark
        action = action_for(self.actions, found.type)
        if action is Action.BLOCK:
            raise Blocked(found.type, pointer)
        edits = []
        for first, last in text.pieces(start, end):
            value = text.read[first:last]
            put = _shown(vault, action, found.type, value)
            edits.append(Edit(first, last, put))
            where = (pointer, *text.origin(first, last))
            made = record(vault, found, value, where, action, put)
            if (made.type, made.mac) not in self._seen:  # a response tells its texts four times
                self._seen.add((made.type, made.mac))
                self.redactions.append(made)
        return edits


def apart(marks: list[tuple[Found, int, int]], hits: list[Hit]) -> list[tuple[Found, int, int]]:
    """Leave out the marks that lie over a placeholder: what stands behind it is the client's own."""
    return [mark for mark in marks if not any(mark[1] < hit.end and hit.start < mark[2] for hit in hits)]


def _shown(vault: Vault, action: Action, type: str, value: str) -> str:
    """Give what the client sees; nothing restores it, so a placeholder is only the type's name."""
    if action is Action.MASK:
        return masked(value)
    if action is Action.HASH:
        return f"#{label(type)}:{vault.audit_mac(type, value)[:16]}#"
    return f"[{label(type)}]"


def word_start(text: str, floor: int, at: int) -> int:
    """Give where the word begins that goes up to `at`, but not before `floor`."""
    back = text[floor:at][::-1]
    word = _WORD.match(back)
    return at - (word.end() if word else 0)


def _names_start(text: str, floor: int, at: int) -> int:
    """Give where the words begin that go up to `at` and may be a name: capitals, with particles between."""
    start = at
    while at > floor:
        end = floor + len(text[floor:at].rstrip())
        at = word_start(text, floor, end)
        said = text[at:end]
        if any(char.isupper() for char in said):
            start = at
        elif at == end or len(said) > _PARTICLE:
            break
    return start


def goes_on(piece: str) -> bool:
    """Whether a piece is all of one word, which it does not end."""
    return _WORD.fullmatch(piece) is not None


def _open_key(text: str, start: int) -> int | None:
    """Give where a private key begins that may go on beyond the text's end; None where there is none."""
    for end in KEY_ENDS.finditer(text, start):
        start = end.end()
    while begin := _KEY.search(text, start):
        body = _KEY_BODY.match(text, begin.end())
        start = body.end() if body else begin.end()
        if start == len(text) or len(text) - begin.end() <= _KEY_CHARS:
            return begin.start()
    return None
