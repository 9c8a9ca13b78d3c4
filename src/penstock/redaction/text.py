"""A string of the body as it is read and as it is written again: plain, or a JSON text of its own."""

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol


class Edit(NamedTuple):
    """What takes the place of a part of a text."""

    start: int
    end: int
    put: str


class Text(Protocol):
    """`read` is what a detector reads; edits count its characters."""

    read: str

    def pieces(self, start: int, end: int) -> Sequence[tuple[int, int]]:
        """Cut a span into parts that may each be replaced; none where nothing may."""

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give where a span stands in the string as the client sent it."""

    def on_raw(self, edit: Edit) -> Edit:
        """Give the same edit of the string as the client sent it."""

    def written(self, edits: Sequence[Edit]) -> str:
        """Give the string with edits that are in order and do not overlap."""


class Plain:
    """A text that is only text."""

    def __init__(self, text: str) -> None:
        self.read = text

    def pieces(self, start: int, end: int) -> Sequence[tuple[int, int]]:
        """Give the span."""
        return ((start, end),)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give the span."""
        return start, end

    def on_raw(self, edit: Edit) -> Edit:
        """Give the edit."""
        return edit

    def written(self, edits: Sequence[Edit]) -> str:
        """Put the edits in."""
        return spliced(self.read, edits)


_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*', re.DOTALL)
_ESCAPES: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL
)


class JsonText:
    """A JSON text: read with its escapes resolved, written with every byte but the edits as it was.

    What is replaced stays inside its string; a number becomes a string. Keys may be replaced too.
    """

    def __init__(self, raw: str) -> None:
        self._raw = raw
        self._read_at = [0]  # where in `read`, and where in `raw`, each piece without escapes begins
        self._raw_at = [0]
        self.read = self._resolved() if "\\" in raw else raw
        tokens = list(_TOKEN.finditer(raw))
        self._ends = [token.end() for token in tokens]
        self._starts = [token.start() for token in tokens]

    def pieces(self, start: int, end: int) -> Sequence[tuple[int, int]]:
        """Cut a span along the strings and numbers that it touches; a number is taken whole."""
        first, last = self.origin(start, end)
        cut: list[tuple[int, int]] = []
        at = bisect_right(self._ends, first)
        while at < len(self._starts) and self._starts[at] < last:
            begin, stop = self._starts[at], self._ends[at]
            if self._raw[begin] == '"':
                begin, stop = max(begin + 1, first), min(stop - 1, last)
            if begin < stop:
                cut.append((self._read_place(begin), self._read_place(stop)))
            at += 1
        return cut

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Give where a span stands in the JSON text."""
        return self._raw_place(start), self._raw_place(end)

    def on_raw(self, edit: Edit) -> Edit:
        """Give the edit of the JSON text: escaped, and with quotes where a number stood."""
        start, end = self.origin(edit.start, edit.end)
        put = json_escaped(edit.put)
        token = bisect_right(self._starts, start) - 1
        is_number = token >= 0 and self._starts[token] == start and self._raw[start] != '"'
        return Edit(start, end, f'"{put}"' if is_number else put)

    def written(self, edits: Sequence[Edit]) -> str:
        """Put the edits in."""
        return spliced(self._raw, [self.on_raw(edit) for edit in edits])

    def _resolved(self) -> str:
        parts: list[str] = []
        read_length = raw_end = 0
        for escape in _ESCAPES.finditer(self._raw):
            between = self._raw[raw_end : escape.start()]
            meant: str = json.loads(f'"{escape.group()}"')
            parts += (between, meant)
            read_length += len(between)
            self._note(read_length, escape.start())
            read_length += len(meant)
            raw_end = escape.end()
            self._note(read_length, raw_end)
        return "".join([*parts, self._raw[raw_end:]])

    def _note(self, read: int, raw: int) -> None:
        self._read_at.append(read)
        self._raw_at.append(raw)

    def _raw_place(self, read: int) -> int:
        at = bisect_right(self._read_at, read) - 1
        return self._raw_at[at] + read - self._read_at[at]

    def _read_place(self, raw: int) -> int:
        at = bisect_right(self._raw_at, raw) - 1
        return self._read_at[at] + raw - self._raw_at[at]


def reading(raw: str, *, json_text: bool) -> Text:
    """Give how a string is to be read.

    A text that holds escapes and is a JSON object or array is read as that, wherever it stands: a tool's
    result spells names with `\\u00e9`. Arguments that are no JSON, as a cut answer has them, are plain text.
    """
    bare = raw.strip()
    looks = bare[:1] + bare[-1:] in ("{}", "[]") and ("\\" in raw or json_text)
    return JsonText(raw) if looks and _is_json(raw) else Plain(raw)


def json_escaped(value: str) -> str:
    """Give a text as it stands inside a JSON string."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return json.dumps(value)[1:-1]
    return json.dumps(value, ensure_ascii=False)[1:-1]


def spliced(text: str, edits: Sequence[Edit]) -> str:
    """Put edits that are in order and do not overlap into a text."""
    parts: list[str] = []
    at = 0
    for edit in edits:
        parts += (text[at : edit.start], edit.put)
        at = edit.end
    return "".join([*parts, text[at:]])


def _is_json(raw: str) -> bool:
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True
