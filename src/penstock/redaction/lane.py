"""One text of an answer, piece by piece: placeholders go in, values come out, almost nothing waits."""

from typing import Final, Protocol

from penstock.errors import Refusal
from penstock.redaction.answer import AnswerRules, apart
from penstock.redaction.spelling import CONTEXT, Hit, backslashes_before
from penstock.redaction.text import Edit, Plain, json_escaped, reading, spliced
from penstock.redaction.vault import Vault

READ_CONTEXT: Final = 128
"""How many characters before a text a detector of answers may look at."""


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
    """Holds back what could be the beginning of a placeholder, or of a value that is not the client's own."""

    def __init__(self, vault: Vault, rules: AnswerRules, pointer: str, *, escaped: bool) -> None:
        self._vault = vault
        self._rules = rules
        self._pointer = pointer
        self._escaped = escaped
        self._text = ""
        self._at = 0

    def feed(self, text: str) -> str:
        """Take a piece and give what may go on."""
        self._text += text
        cut = self._vault.open_tail(self._text, self._at, escaped=self._escaped)
        cut = min(cut, self._rules.cut(self._text, self._at))
        return self._out(cut) if cut > self._at else ""

    def flush(self, rest: str = "") -> str:
        """Give what was held back, and the rest of the text."""
        self._text += rest
        out = self._out(len(self._text))
        self._text, self._at = "", 0
        return out

    def _out(self, cut: int) -> str:
        text, at, whole = self._text, self._at, Plain(self._text)
        hits = self._vault.hits(text, at, escaped=self._escaped)
        marks = apart(self._rules.marks(self._vault, whole, at), hits)
        spans = [(hit.start, hit.end) for hit in hits] + [(start, end) for _, start, end in marks]
        if len(text) - at <= 2 * self._rules.word_chars:
            cut = _before_straddling(spans, cut)
        else:
            cut = max([cut, *(end for start, end in spans if start < cut)])
        edits = [_edit(hit, escaped=self._escaped) for hit in hits if hit.end <= cut]
        for mark in marks:
            if mark[2] <= cut:
                edits += self._rules.taken(self._vault, mark, whole, self._pointer)
        out = spliced(text[:cut], [Edit(0, at, ""), *sorted(edits)])
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
        self._pieces: list[str] = []
        self._room = rules.call_chars

    def feed(self, text: str) -> str:
        """Keep a piece. Raises Refusal where there are too many."""
        self._pieces.append(text)
        self._room -= len(text)
        if self._room < 0:
            raise Refusal(502, "redaction_unavailable", "The answer's tool call is too long to be read.")
        return ""

    def flush(self) -> str:
        """Give all of it."""
        text = "".join(self._pieces)
        self._pieces.clear()
        return read_and_restored(
            self._vault, self._rules, text, self._pointer, escaped=self._escaped, call=True
        )


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
