"""Plain scalars with the habits of YAML 1.2: what two readers would read differently is refused.

true  false        a boolean            null  ~  (nothing)   null
10  -3  +7         a whole number       0.5  -1.25           a number
all else           text, unless it is one of the traps below
"""

import math
import re
from typing import Final

from penstock.policy.node import Scalar

_LONGEST: Final = 64  # no number or date is longer, and some patterns would take long to say so
_LARGEST: Final = 2**63 - 1  # what JSON readers and databases still take for a whole number

_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_INT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+")

_IN_QUOTES: Final = "put it in quotes if it is text"
_TRAPS: Final = (
    (
        re.compile(r"(?i:yes|no|on|off|y|n)"),
        "a boolean to some YAML readers and text to others",
        "write true or false, or put it in quotes",
    ),
    (
        re.compile(r"[-+]?0[0-9_]+"),
        "a leading zero makes a number octal to some YAML readers",
        f"write it without the zero; {_IN_QUOTES}",
    ),
    (
        re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"),
        "a number to base 60 to some YAML readers and text to others",
        f"write a duration as a plain number; {_IN_QUOTES}",
    ),
    (
        re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)[eE][-+]?[0-9]+"),
        "a number with an exponent is text to some YAML readers",
        f"write the number out; {_IN_QUOTES}",
    ),
    (
        re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?|[-+]?[0-9]+\.[0-9]*_[0-9_]*"),
        "a number with underscores is text to some YAML readers",
        f"write the digits without them; {_IN_QUOTES}",
    ),
    (
        re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?"),
        "a date to some YAML readers and text to others",
        "put it in quotes",
    ),
    (
        re.compile(r"[-+]?\.(?i:inf)|\.(?i:nan)"),
        "infinity and not-a-number are no numbers here",
        f"write a number; {_IN_QUOTES}",
    ),
    (
        re.compile(r"[-+]?0(?:x[0-9a-fA-F_]+|o[0-7_]+|b[01_]+)"),
        "hexadecimal, octal and binary numbers are read differently by YAML readers",
        f"write it as a decimal number; {_IN_QUOTES}",
    ),
    (
        re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.|0[0-9]+\.[0-9]*)"),
        "an unusual way to write a number",
        f"write it like 0.5; {_IN_QUOTES}",
    ),
)


class Trap(Exception):
    """A scalar that is refused: `reason` says why, `remedy` what to write. Neither holds the value."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def read_plain(text: str) -> Scalar:
    """Read an unquoted scalar. Raises Trap."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return _whole(text)
    if _FLOAT.fullmatch(text):
        return _number(text)
    for pattern, reason, remedy in _TRAPS if len(text) <= _LONGEST else ():
        if pattern.fullmatch(text):
            raise Trap(reason, remedy)
    return text


def read_text(text: str) -> str:
    """Read a scalar in quotes or of a block. Raises Trap for text that no UTF-8 can hold."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise Trap("half a surrogate pair is not a character", "write the character itself")
    return text


def _whole(text: str) -> int:
    # Python refuses to read numbers of more than 4300 digits, so the length comes first.
    if len(text) > 20 or abs(int(text)) > _LARGEST:
        raise Trap("the number is too large", _IN_QUOTES)
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise Trap("the number is too large", _IN_QUOTES)
    return value
