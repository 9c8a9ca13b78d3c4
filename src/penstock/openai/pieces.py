"""A text cut into the pieces in which a model would have said it."""

import re
from collections.abc import Sequence
from typing import Any, Final

from penstock.openai.request import Json

# A word with the space before it, as tokens have it; a long one, or a script without spaces, in parts.
_WORD: Final = re.compile(r"\s*\S{1,16}|\s+")


def pieces(text: str) -> list[str]:
    """Cut a text into word-like pieces that join to exactly that text; an empty text has none."""
    return _WORD.findall(text)


def spoken(text: str, tokens: Any) -> list[tuple[str, list[Json]]]:  # noqa: ANN401 - as the answer has it
    """Cut a text along its tokens' log probabilities and give each piece with its own.

    Where the tokens do not spell the text (some servers list half characters), the words are
    given without; the caller then tells the log probabilities all at once.
    """
    if isinstance(tokens, list) and tokens and spells(text, [_token(entry) for entry in tokens]):
        return [(entry["token"], [entry]) for entry in tokens]
    return [(piece, []) for piece in pieces(text)]


def spells(text: str, tokens: Sequence[Any]) -> bool:
    """Whether the tokens joined are the text."""
    return all(isinstance(token, str) for token in tokens) and "".join(tokens) == text


def _token(entry: Any) -> Any:  # noqa: ANN401
    return entry.get("token") if isinstance(entry, dict) else None
