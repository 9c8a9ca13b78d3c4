"""What the sample model hears and says. Its tokens are words: one for each run of non-blanks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

Json = dict[str, Any]

LONGEST_WORDS: Final = 1000
"""How much of a message is echoed, so that a long prompt does not make a long answer."""

_PIECE: Final = re.compile(r"\s*\S+|\s+")


def pieces(text: str) -> list[str]:
    """Cut a text into its tokens; joined they are the text again."""
    return _PIECE.findall(text)


def count(text: str) -> int:
    """Count the tokens of a text."""
    return len(text.split())


@dataclass(frozen=True, slots=True)
class Heard:
    """What a request says: the last user's text, a tool's result if that came last, all tokens."""

    text: str
    tool_result: str | None
    input_tokens: int


@dataclass(frozen=True, slots=True)
class Said:
    """One answer's text in tokens; `cut` when the request's limit ended it."""

    pieces: list[str]
    cut: bool = False

    @property
    def text(self) -> str:
        """The tokens as one text."""
        return "".join(self.pieces)


def hear(items: Any, instructions: Any = None) -> Heard:  # noqa: ANN401 - whatever the client sent
    """Read chat messages or response input items; a plain string is one user message."""
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    items = [item for item in items or () if isinstance(item, dict)]
    users = [item for item in items if item.get("role") == "user"]
    last = items[-1] if items else {}
    result: str | None = None
    if last.get("role") == "tool":
        result = _text(last.get("content"))
    elif last.get("type") == "function_call_output":
        result = _text(last.get("output"))
    tokens = sum(count(_text(item.get("content") or item.get("output"))) for item in items)
    return Heard(
        _text(users[-1].get("content")) if users else "", result, tokens + count(_text(instructions))
    )


def _text(content: Any) -> str:  # noqa: ANN401
    """Join the texts of a content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    return " ".join(_parts(content))


def _parts(content: Any) -> Iterator[str]:  # noqa: ANN401
    for part in content if isinstance(content, list) else ():
        text = part.get("text") if isinstance(part, dict) else None
        if isinstance(text, str):
            yield text


def say(heard: Heard, limit: Any = None, *, choice: int = 0, as_json: bool = False) -> Said:  # noqa: ANN401
    """Answer what was heard, in at most `limit` tokens; each further choice says so."""
    text = heard.text if heard.tool_result is None else heard.tool_result
    text = "".join(pieces(text)[:LONGEST_WORDS])
    who = "You" if heard.tool_result is None else "The tool"
    if as_json:
        answer = msgspec.json.encode({"echo": text, "choice": choice}).decode()
    else:
        answer = f"{who} said{f' ({choice + 1})' if choice else ''}: {text or 'nothing'}"
    return shortened(pieces(answer), limit)


def shortened(said: list[str], limit: Any) -> Said:  # noqa: ANN401
    """Keep at most `limit` tokens; anything but a whole number is no limit."""
    if isinstance(limit, int) and 0 <= limit < len(said):
        return Said(said[:limit], cut=True)
    return Said(said)
