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

LIVE: Final = re.compile(r"[0-9]")
"""A word that holds one of these may begin a value of several words: a card, a phone, an address."""
LIVE_NAMES: Final = re.compile(r"[0-9A-Z\u00c0-\u00de]")
"""The same where names are looked for as well; it delays every sentence by `span_chars`."""

# A private key: from its first dashes on, until it has ended or it is seen to be something else.
_BLOCK: Final = re.compile(
    r"-----BEGIN\b(?:[A-Z0-9 -]{0,64}\Z"
    r"|[A-Z0-9 -]{0,40}PRIVATE KEY(?: BLOCK)?-----(?!.*?-----END [A-Z0-9 ]{0,40}-----))",
    re.DOTALL,
)
_BLOCK_CHARS: Final = 32_768  # the longest that the detector takes for one

# A word goes on through these; other scripts' letters, which need no spaces, end it.
_WORD: Final = re.compile("[!-~\u00a1-\u024f]*")


@dataclass(slots=True)
class AnswerRules:
    """How one exchange's answer is read. `redactions` has one record for each
    value found so far.

    The bounds, for streams. A value of one word is found however it is split, up to `word_chars`. A
    value of several words is found if its first word matches `live` and it has at most `span_chars`, or
    if it is a private key between its BEGIN and its END.
    What the detector needs to see before a value must stand in the `CONTEXT` characters before it.
    Arguments of calls are read whole, up to `call_chars`; a longer call is refused.
    """

    find: Find
    actions: Actions
    live: re.Pattern[str] = LIVE
    span_chars: int = 64
    word_chars: int = 4096
    call_chars: int = 1_000_000
    redactions: list[Redaction] = field(default_factory=list)
    _seen: set[tuple[str, str]] = field(default_factory=set, repr=False)

    def cut(self, text: str, start: int) -> int:
        """Give up to where no value can go on beyond the text's end; none has begun before `start`."""
        end = len(text)
        block = _BLOCK.search(text, start)
        if block is not None and end - block.start() <= _BLOCK_CHARS:
            end = block.start()
        word = _word_start(text, start, end)
        if end - word > self.word_chars:
            return end
        first = max(start, end - self.span_chars)
        first = _word_start(text, start, first)
        live = self.live.search(text, first, word)
        return _word_start(text, first, live.start()) if live else word

    def marks(self, vault: Vault, text: Text, start: int) -> list[tuple[Found, int, int]]:
        """Give the values that are not the client's own, none that begins before `start`."""
        read = text.read
        marks = []
        for found in self.find(read, ""):
            own = vault.knows(read[found.start : found.end])
            if found.start >= start and not own and action_for(self.actions, found.type) is not Action.ALLOW:
                marks.append((found, found.start, found.end))
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


def _word_start(text: str, floor: int, at: int) -> int:
    """Give where the word begins that goes up to `at`, but not before `floor`."""
    back = text[floor:at][::-1]
    word = _WORD.match(back)
    return at - (word.end() if word else 0)
