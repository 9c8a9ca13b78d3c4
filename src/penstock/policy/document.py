"""One policy file as it was read: its lines, its values, and what is wrong with it so far."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from penstock.policy.node import Loc, Node, Span
from penstock.policy.problems import Place, Problem
from penstock.policy.secret_words import masked, masked_lines

# Where PyYAML counts a new line; str.splitlines would cut at more characters.
_LINE_END: Final = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class _Fault:
    """A problem whose source line is not yet shown: what must be hidden is only known at the end."""

    span: Span | None
    where: str
    message: str
    suggestion: str | None
    remedy: str | None
    other: "tuple[Document, Span | None] | None"


@dataclass(eq=False)
class Document:
    """A file's text and its values; `root` is None where the text is no YAML mapping."""

    path: str
    text: str = ""
    root: Node | None = None
    exists: bool = True
    _faults: list[_Fault] = field(default_factory=list)
    _hidden: set[Span] = field(default_factory=set)
    _lines: Sequence[str] | None = None

    def fault(
        self,
        span: Span | None,
        where: str,
        message: str,
        *,
        suggestion: str | None = None,
        remedy: str | None = None,
        other: "tuple[Document, Span | None] | None" = None,
    ) -> None:
        """Note something wrong; without a span it is about the file as a whole."""
        self._faults.append(_Fault(span, where, message, suggestion, remedy, other))

    def hide(self, node: Node) -> None:
        """Let no message show this value, nor any value inside of it."""
        if isinstance(node.content, str) and node.content.startswith(("env:", "file:")):
            return  # it only says where the secret stands
        node.hidden = True
        inside = list(node.mapping.values()) or (node.content if isinstance(node.content, list) else [])
        for each in inside:
            self.hide(each)
            # `{sk-…}` is a mapping from a name to nothing: here the name is the value.
            if each.key is not None and each.content is None:
                self._hidden.add(each.key)
        if not inside:
            self._hidden.add(node.span)

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong so far."""
        return not self._faults

    def place(self, span: Span | None) -> Place:
        """Give the place of a span, its line masked where something on it is hidden."""
        if span is None:
            return Place(self.path)
        lines = self._shown_lines()
        line = lines[span.line] if span.line < len(lines) else ""
        end = span.end_column if span.end_line == span.line else len(line.rstrip())
        return Place(self.path, span.line + 1, span.column + 1, line, max(1, end - span.column))

    def problems(self) -> list[Problem]:
        """Give all that is wrong; only to be asked once nothing more can be found."""
        return [
            Problem.at(
                self.place(fault.span),
                fault.where,
                fault.message,
                suggestion=fault.suggestion,
                remedy=fault.remedy,
                other=fault.other[0].place(fault.other[1]) if fault.other else None,
            )
            for fault in self._faults
        ]

    def find(self, loc: Loc) -> Span | None:
        """Give where a value stands, or the nearest thing around it that is written down."""
        node = self.root
        for part in loc:
            inner = node.child(part) if node else None
            if inner is None:
                break
            node = inner
        return node.pointer if node and node.span != NOWHERE else None

    def _shown_lines(self) -> Sequence[str]:
        if self._lines is None:
            lines = _LINE_END.split(self.text)
            self._lines = self._masked(lines) if self.root else list(masked_lines(lines))
        return self._lines

    def _masked(self, lines: list[str]) -> list[str]:
        for span in self._hidden - {OVERLAID}:
            for number in range(span.line, min(span.end_line + 1, len(lines))):
                start = span.column if number == span.line else 0
                end = span.end_column if number == span.end_line else len(lines[number])
                lines[number] = masked(lines[number], start, end)
        return lines


NOWHERE: Final = Span(0, 0, 0, 0)
"""Where the empty mapping stands that a missing or empty file is read as."""

OVERLAID: Final = Span(-1, 0, -1, 0)
"""Where values stand that no file holds, but an override."""


def after(text: str) -> Span:
    """Give the place right after a text that begins where its file does."""
    lines = _LINE_END.split(text)
    return Span(len(lines) - 1, len(lines[-1]), len(lines) - 1, len(lines[-1]) + 1)
