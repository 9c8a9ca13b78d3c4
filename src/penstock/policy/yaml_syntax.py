"""What PyYAML says about broken YAML, in words that help, and without quoting what stood there."""

from typing import Final, NamedTuple

from yaml.error import Mark, MarkedYAMLError


class Broken(NamedTuple):
    """One syntax error; the lines and columns of `mark` count from 0."""

    mark: Mark | None
    message: str
    remedy: str | None = None


TAB: Final = "YAML is indented with spaces, and here is a tab"
ANCHORS: Final = (
    "anchors and aliases are refused",
    "write the value out where it is used; quote a leading & or *",
)
TAGS: Final = ("tags are refused", "leave the tag out; quote a leading !")
_INDENT: Final = "check the indentation"
_QUOTES: Final = "put the value in quotes"

# A part of PyYAML's message, our message, our remedy.
_AT_PROBLEM: Final = (
    ("'\\t'", TAB, None),
    ("mapping values are not allowed", "a ':' can't stand here", f"{_INDENT}; {_QUOTES} if it holds a ': '"),
    ("expected <block end>", "this does not fit the lines above", _INDENT),
    ("expected '<document start>'", "this does not fit the lines above", _INDENT),
    ("expected ',' or ']'", "expected ',' or ']' here", "close the list, or put a comma between its items"),
    ("expected ',' or '}'", "expected ',' or '}' here", "close the mapping, or put a comma between its keys"),
    ("cannot start any token", "an unquoted value can't start with this character", _QUOTES),
    ("escape", "an unknown escape in double quotes", "double the backslash, or use single quotes"),
    ("expected the node content", "a value is missing here", None),
    ("chomping or indentation", "a text block begins on the line after its | or >", None),
)
# The same, for errors that PyYAML sees only far below the line that is to be mended.
_AT_CONTEXT: Final = (
    ("found unexpected end of stream", "this quote is never closed", None),
    ("found unexpected document separator", "this quote is never closed", None),
    (
        "could not find expected ':'",
        "expected a ':' after this key",
        _INDENT,
    ),
)


def explain_syntax(error: MarkedYAMLError) -> Broken:
    """Say what is wrong and where a person would mend it."""
    problem, context = error.problem or "", error.context or ""
    if "tag" in context or "tag handle" in problem:
        return Broken(error.problem_mark, *TAGS)
    if "anchor" in context or "alias" in context:
        return Broken(error.context_mark, *ANCHORS)
    if "stream end" in problem and error.context_mark is not None:
        return Broken(error.context_mark, "this bracket is never closed")
    for part, message, remedy in _AT_CONTEXT:
        if part in problem:
            return Broken(error.context_mark or error.problem_mark, message, remedy)
    for part, message, remedy in _AT_PROBLEM:
        if part in problem:
            return Broken(error.problem_mark, message, remedy)
    return Broken(error.problem_mark, "this is not valid YAML")
