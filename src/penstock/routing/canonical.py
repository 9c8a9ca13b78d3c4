"""The canonical form of an answer that can be compared: a number, a choice, JSON, or a short text."""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final

from penstock.openai import wire_json

_NUMBER: Final = r"-?\$?\d[\d,]*(?:\.\d+)?"
_MARKED_NUMBER: Final = re.compile(
    rf"(?:####|\\boxed\{{|answer\s*(?:is|:)|^A:)[^\d\n-]{{0,20}}({_NUMBER})", re.IGNORECASE | re.MULTILINE
)
_ANY_NUMBER: Final = re.compile(_NUMBER)
_MARKED_CHOICE: Final = re.compile(
    r"(?:answer|choice|option)\s*(?:is|:)?\s*\**\(?([A-J])\b(?!')\)?", re.IGNORECASE
)
_BARE_CHOICE: Final = re.compile(r"^\s*\(?([A-Ja-j])\)?\s*(?:[.):].*)?$", re.DOTALL)
_FENCE: Final = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n\s*```\s*$", re.DOTALL)
_SHORT: Final = 80


class Kind(StrEnum):
    """What sort of answer it is."""

    NUMBER = "number"
    CHOICE = "choice"
    JSON = "json"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Canonical:
    """An answer in the one form that all its spellings share."""

    kind: Kind
    value: str


def canonical(answer: str, expected: Kind | None = None) -> Canonical | None:
    """Give the form to compare, or None for an answer that is too free to be compared.

    `expected` is what the prompt asks for, if that is known; else the answer itself has to say.
    """
    readers = {Kind.JSON: _json, Kind.CHOICE: _choice, Kind.NUMBER: _number, Kind.TEXT: _text}
    for kind in (expected,) if expected else readers:
        value = readers[kind](answer, sure=expected is not None)
        if value is not None:
            return Canonical(kind, value)
    return None


def agree(answer: str, other: str, expected: Kind | None = None) -> bool | None:
    """Say whether two answers mean the same; None where one can't be compared."""
    first, second = canonical(answer, expected), canonical(other, expected)
    if first is None or second is None:
        return None
    return first == second


def _json(answer: str, sure: bool) -> str | None:
    """Sort the keys and drop the spaces of an object or a list."""
    fenced = _FENCE.match(answer)
    try:
        found = wire_json.decode((fenced.group(1) if fenced else answer).strip().encode("utf-8", "replace"))
        if not sure and not isinstance(found, dict | list):
            return None
        return wire_json.encode(found, sort=True).decode()
    except ValueError:
        return None


def _choice(answer: str, sure: bool) -> str | None:
    if marked := _MARKED_CHOICE.findall(answer):
        return str(marked[-1]).upper()
    bare = _BARE_CHOICE.match(answer)
    return bare.group(1).upper() if bare and (sure or bare.group(1).isupper()) else None


def _number(answer: str, sure: bool) -> str | None:
    """Give the number the answer marks as its result, else its last one if a number is expected or alone."""
    marked = _MARKED_NUMBER.findall(answer)
    alone = _ANY_NUMBER.fullmatch(answer.strip().rstrip("."))
    if not marked and not sure and not alone:
        return None
    found = marked or _ANY_NUMBER.findall(answer)
    return _plain(found[-1]) if found else None


def _plain(number: str) -> str | None:
    try:
        value = Decimal(number.replace(",", "").replace("$", ""))
    except InvalidOperation:
        return None
    return format(value.normalize(), "f") if value else "0"


def _text(answer: str, sure: bool) -> str | None:
    """Lower a short text and keep its words only."""
    words = re.findall(r"\w+", answer.casefold())
    if not words or (not sure and len(answer.strip()) > _SHORT):
        return None
    return " ".join(words)
