"""What is wrong in the policies, shown the way a compiler shows it: file, line, caret, suggestion."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from penstock.errors import StartError

_WIDTH: Final = 100  # columns of a source line that are shown; the rest is cut
_LEAD: Final = 40  # columns kept before the caret where a line is cut
_MOST_SHOWN: Final = 200  # problems; a file with more is not the file that was meant
_LONGEST_WORD: Final = 64  # beyond this nobody mistyped a name


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. Lines and columns count from 1; line 0 is the file as a whole."""

    path: str
    line: int = 0
    column: int = 0
    source_line: str = ""
    span: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path

    def excerpt(self) -> list[str]:
        """Give the source line and the caret under it; nothing where there is no line to show."""
        if not self.line or not self.source_line.strip():
            return []
        start = self.column - 1
        left = start - _LEAD if len(self.source_line) > _WIDTH and start > _LEAD else 0
        shown = printable(self.source_line[left : left + _WIDTH])
        lead = "".join("\t" if char == "\t" else " " for char in shown[: start - left])
        carets = "^" * max(1, min(self.span, len(shown) - (start - left)))
        more = "…" if left + _WIDTH < len(self.source_line) else ""
        cut, pad = ("…", " ") if left else ("", "")
        return [f"{self.line:>6} | {cut}{shown}{more}", f"{'':6} | {pad}{lead}{carets}"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend.

    `where` is the dotted path of the mapping or value meant; `suggestion` the name that was probably
    meant; `remedy` what to write instead; `other` a second place that the problem is about.
    """

    path: str
    line: int
    column: int
    where: str
    message: str
    suggestion: str | None = None
    source_line: str = ""
    span: int = 1
    remedy: str | None = None
    other: Place | None = None

    @classmethod
    def at(
        cls,
        place: Place,
        where: str,
        message: str,
        *,
        suggestion: str | None = None,
        remedy: str | None = None,
        other: Place | None = None,
    ) -> "Problem":
        """Make a problem of a place."""
        return cls(
            path=place.path,
            line=place.line,
            column=place.column,
            where=where,
            message=message,
            suggestion=suggestion,
            source_line=place.source_line,
            span=place.span,
            remedy=remedy,
            other=other,
        )

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.path, self.line, self.column, self.source_line, self.span)

    def __str__(self) -> str:
        head = f"{self.place}: {self.where}: " if self.where else f"{self.place}: "
        lines = [printable(head + self.message), *self.place.excerpt()]
        if self.suggestion is not None:
            lines.append(f"{'':6} = did you mean {quoted(self.suggestion)}?")
        if self.remedy is not None:
            lines.append(f"{'':6} = {self.remedy}")
        if self.other is not None:
            lines += [f"{'':6} = see {printable(str(self.other))}", *self.other.excerpt()]
        return "\n".join(lines)


class PolicyProblems(StartError):
    """All that is wrong in the policies, in the order of files and lines; its text is cut after 200."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda each: (each.path, each.line, each.column)))
        shown = [str(problem) for problem in self.problems[:_MOST_SHOWN]]
        if more := len(self.problems) - len(shown):
            shown.append(f"and {more} more")
        super().__init__("\n".join(shown))


def closest(word: str, names: Iterable[str]) -> str | None:
    """Give the name that `word` was probably meant to be."""
    if len(word) > _LONGEST_WORD:
        return None
    by_lower = {name.lower(): name for name in names}
    matches = get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[matches[0]] if matches else None


def quoted(text: str) -> str:
    """Put a word from a policy into quotes, cut where it is long, so that it can't disturb a terminal."""
    shown = printable(text if len(text) <= _LONGEST_WORD else text[:_LONGEST_WORD] + "…")
    return f"'{shown}'"


def printable(text: str) -> str:
    """Give the text with everything that steers a terminal replaced; tabs stay."""
    return "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in text)
