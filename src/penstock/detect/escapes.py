"""Characters written another way: %40 in URLs, &#64; in HTML, \\u0040 in JSON; and marks of emphasis."""

import re
from functools import cache
from html.entities import html5

GONE = "\xad"
"""Stands for a character that nobody sees; it is taken out before anything is read."""

_WRITTEN = re.compile(
    r"%(?:25){0,3}[2-7][0-9A-Fa-f]"  # %2540 is %40 once more
    r"|&(?:#[0-9]{2,7}|#[xX][0-9A-Fa-f]{2,6}|[A-Za-z]{2,24});"
    r"|\\\\{0,7}(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[nrt\"/])"
    r"|\x1b\[[0-9;]{0,16}[A-Za-z]"
    r"|\*(?<!\*\*)\*(?!\*)|~(?<!~~)~(?!~)"
    r"|</?(?:b|i|u|em|strong|mark|code|wbr)>"
)
# Every branch begins with a character, so that `re` leaps from one to the next.
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "/": "/"}
_DELETE = 0x7F


def is_written_otherwise(text: str) -> bool:
    """Say whether a text may hold such characters; quick."""
    if "%" in text or "&" in text or "\\" in text or "\x1b" in text:
        return True
    return (
        ("*" in text and "**" in text)
        or ("~" in text and "~~" in text)
        or ("<" in text and ("</" in text or "<wbr" in text))
    )


def meant(text: str) -> str:
    """Give a text with each character as it is meant; marks of emphasis and colour are `GONE`."""
    return _WRITTEN.sub(_character, text)


def places(text: str) -> list[tuple[int, int]]:
    """Give the span in the text as given of each character that `meant` gives."""
    spans: list[tuple[int, int]] = []
    done = 0
    for written in _WRITTEN.finditer(text):
        start, end = written.span()
        spans += [(at, at + 1) for at in range(done, start)]
        spans += (
            [(start, end)] if len(_character(written)) == 1 else [(at, at + 1) for at in range(start, end)]
        )
        done = end
    return spans + [(at, at + 1) for at in range(done, len(text))]


def _character(written: re.Match[str]) -> str:
    return _one(written.group())


@cache
def _one(form: str) -> str:
    """Give the one character that is meant; the form itself where it means none, or more than one."""
    if form[0] == "%":
        code = int(form[-2:], 16)
        return chr(code) if code < _DELETE else form
    if form[0] == "&":
        return _entity(form)
    if form[0] == "\\":
        bare = form.lstrip("\\")
        return _LETTERS.get(bare) or chr(int(bare[1:], 16))
    return GONE


def _entity(form: str) -> str:
    if form[1] != "#":
        named = html5.get(form[1:], form)
        return named if len(named) == 1 else form
    code = int(form[3:-1], 16) if form[2] in "xX" else int(form[2:-1])
    return chr(code) if 0 < code < 0x110000 else form
