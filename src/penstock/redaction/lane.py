"""One text of an answer, piece by piece: placeholders go in, values come out, almost nothing waits."""

from typing import Final, Protocol

from penstock.errors import Refusal
from penstock.redaction.answer import KEY_ENDS, AnswerRules, apart, goes_on
from penstock.redaction.spelling import CONTEXT, Hit, backslashes_before
from penstock.redaction.text import Edit, Plain, json_escaped, reading, spliced
from penstock.redaction.vault import Vault

READ_CONTEXT: Final = 128
"""How many characters before a text a detector of answers may look at."""
_KEY_ENDS_CHARS: Final = 80
"""The longest line that ends a private key."""


class Lane(Protocol):
    """Takes the pieces of one text and gives what may go on."""

    def feed(self, text: str) -> str:
        """Take a piece."""

    def flush(self) -> str:
        """Give what was held back, at the text's end."""


def lane(vault: Vault, rules: AnswerRules | None, pointer: str, *, escaped: bool, call: bool) -> Lane:
    """Make the lane of a text; `escaped`: it is a JSON text; `call`: it is what a tool is called with."""
    if rules is None:
        return RestoringLane(vault, escaped=escaped)
    if call:
        return CallLane(vault, rules, pointer, escaped=escaped)
    return ReadingLane(vault, rules, pointer, escaped=escaped)


class RestoringLane:
    """Holds back only a tail that could be the beginning of a placeholder of this vault."""

    def __init__(self, vault: Vault, *, escaped: bool) -> None:
        self._vault = vault
        self._escaped = escaped
        self._text = ""
        self._at = 0  # everything before is out, and stays only as context

    def feed(self, text: str) -> str:
        """Take a piece and give what may go on."""
        text = self._text + text
        cut = self._vault.open_tail(text, self._at, escaped=self._escaped)
        out = restored(self._vault, text[:cut], self._at, escaped=self._escaped)
        self._text, self._at = _with_context(text, max(0, cut - CONTEXT), cut)
        return out

    def flush(self) -> str:
        """Give what was held back."""
        out = restored(self._vault, self._text, self._at, escaped=self._escaped)
        self._text, self._at = "", 0
        return out


class ReadingLane:
    """Holds back what could be the beginning of a placeholder, or of a value that is not the client's own.

    What goes on for long, one word or one key, is not looked at again before something can have ended.
    """

    def __init__(self, vault: Vault, rules: AnswerRules, pointer: str, *, escaped: bool) -> None:
        self._vault = vault
        self._rules = rules
        self._pointer = pointer
        self._escaped = escaped
        self._text = ""
        self._at = 0
        self._later = _Held(rules.held_chars)
        self._in_key = False
        self._again = 0  # how much must be held before the next look; 0 where a word's end is enough

    def feed(self, text: str) -> str:
        """Take a piece and give what may go on. Raises Refusal where too much would be held."""
        before = self._later.tail or self._text[-_KEY_ENDS_CHARS:]
        self._later.add(text)
        held = len(self._text) - self._at + self._later.size
        if held > self._rules.held_chars:
            raise too_long()
        if self._waits(text, before, held):
            return ""
        self._text += self._later.taken()
        cut, self._in_key = self._rules.cut(self._text, self._at)
        cut = min(cut, self._vault.open_tail(self._text, self._at, escaped=self._escaped))
        out = self._out(cut) if cut > self._at else ""
        stays = self._in_key or (not out and cut > self._at)
        self._again = held + held // 8 + 1 if stays else 0
        return out

    def flush(self, rest: str = "") -> str:
        """Give what was held back, and the rest of the text."""
        self._text += self._later.taken() + rest
        out = self._out(len(self._text))
        self._text, self._at = "", 0
        return out

    def _waits(self, piece: str, before: str, held: int) -> bool:
        if not self._again:
            return bool(before) and goes_on(piece)
        ended = self._in_key and KEY_ENDS.search(before + piece)
        return held < self._again and not ended

    def _out(self, cut: int) -> str:
        text, at, whole = self._text, self._at, Plain(self._text)
        hits = self._vault.hits(text, at, escaped=self._escaped)
        marks = apart(self._rules.marks(self._vault, whole, at), hits)
        spans = [(hit.start, hit.end) for hit in hits] + [(start, end) for _, start, end in marks]
        cut = _before_straddling(spans, cut)
        if cut <= at:
            return ""
        edits = [_edit(hit, escaped=self._escaped) for hit in hits if hit.end <= cut]
        gone = [mark for mark in marks if mark[2] <= cut]
        for mark in gone:
            edits += self._rules.taken(self._vault, mark, whole, self._pointer)
        out = spliced(text[:cut], [Edit(0, at, ""), *sorted(edits)])
        # Of a value that was taken out, a later look must not take the end for the beginning of another.
        self._text = spliced(text, [Edit(start, end, "#" * (end - start)) for _, start, end in gone])
        self._keep(cut)
        return out

    def _keep(self, cut: int) -> None:
        begin = max(0, cut - READ_CONTEXT)
        if begin:  # a detector must not take half a word for a whole one
            space = self._text.find(" ", begin, cut - CONTEXT)
            begin = space + 1 if space >= 0 else begin
        self._text, self._at = _with_context(self._text, begin, cut)


class CallLane:
    """Holds back the whole of what a tool is called with, since it is read as JSON; it comes at the end."""

    def __init__(self, vault: Vault, rules: AnswerRules, pointer: str, *, escaped: bool) -> None:
        self._vault = vault
        self._rules = rules
        self._pointer = pointer
        self._escaped = escaped
        self._held = _Held(rules.held_chars)

    def feed(self, text: str) -> str:
        """Keep a piece. Raises Refusal where there are too many."""
        self._held.add(text)
        return ""

    def flush(self) -> str:
        """Give all of it."""
        text = self._held.taken()
        return read_and_restored(
            self._vault, self._rules, text, self._pointer, escaped=self._escaped, call=True
        )


class _Held:
    """Pieces that are not put together yet; `tail` is the end of what they say. `add` raises Refusal."""

    def __init__(self, limit: int) -> None:
        self._pieces: list[str] = []
        self._limit = limit
        self.size = 0
        self.tail = ""

    def add(self, piece: str) -> None:
        self._pieces.append(piece)
        self.size += len(piece)
        self.tail = (self.tail + piece)[-_KEY_ENDS_CHARS:]
        if self.size > self._limit:
            raise too_long()

    def taken(self) -> str:
        text = "".join(self._pieces)
        self._pieces.clear()
        self.size, self.tail = 0, ""
        return text


def too_long() -> Refusal:
    """Make the refusal that ends an answer of which too much would have to be held back."""
    return Refusal(502, "redaction_unavailable", "A text of the answer is too long to be read as one.")


def restored(vault: Vault, text: str, start: int = 0, *, escaped: bool = False) -> str:
    """Give a text from `start` on with the values in place of their placeholders."""
    hits = vault.hits(text, start, escaped=escaped)
    if not hits:
        return text[start:] if start else text
    edits = [_edit(hit, escaped=escaped) for hit in hits]
    return spliced(text, [Edit(0, start, ""), *edits])


def read_and_restored(
    vault: Vault, rules: AnswerRules, text: str, pointer: str, *, escaped: bool, call: bool
) -> str:
    """Give a whole text with the values in place of their placeholders, and without anybody else's."""
    if not call:
        return ReadingLane(vault, rules, pointer, escaped=escaped).flush(text)
    read = reading(text, json_text=True) if escaped else Plain(text)
    hits = vault.hits(text, escaped=escaped)
    edits = [_edit(hit, escaped=escaped) for hit in hits]
    for mark in rules.marks(vault, read, 0):
        start, end = read.origin(mark[1], mark[2])
        if apart([(mark[0], start, end)], hits):
            for edit in rules.taken(vault, mark, read, pointer):
                edits.append(read.on_raw(edit))
    return spliced(text, sorted(edits))


def _with_context(text: str, begin: int, cut: int) -> tuple[str, int]:
    """Keep what is not out yet, after some of what is; of the backslashes before that, only odd or even."""
    odd = "\\" * (backslashes_before(text, begin) % 2)
    return odd + text[begin:], len(odd) + cut - begin


def _edit(hit: Hit, *, escaped: bool) -> Edit:
    return Edit(hit.start, hit.end, json_escaped(hit.value) if escaped else hit.value)


def _before_straddling(spans: list[tuple[int, int]], cut: int) -> int:
    """Move a cut back to where it lies inside of nothing."""
    for start, end in sorted(spans, reverse=True):
        if start < cut < end:
            cut = start
    return cut
