"""JSON as the wire has it: msgspec's speed, and the standard library where strings are half a character.

A stream may cut an emoji between two events, and a client may cut a text in the middle of one; both
then send a lone surrogate as an escape. Python's and JavaScript's parsers accept that, msgspec does not.
"""

import json
import math
from typing import Any, Final

import msgspec

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode
_encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode
_ESCAPED_SURROGATE: Final = (b"\\ud", b"\\uD")


def decode(text: bytes) -> Any:  # noqa: ANN401 - JSON is what it is
    """Read JSON. Raises ValueError, whose text says where and holds nothing of what stood there."""
    try:
        return _decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        if any(escape in text for escape in _ESCAPED_SURROGATE):
            return _patient_decode(text)
        raise ValueError(_place(text, problem)) from None


def encode(value: Any, *, sort: bool = False) -> bytes:  # noqa: ANN401
    """Write JSON; sorted, the same value has one spelling. Raises ValueError where there is none."""
    try:
        return _encode_sorted(value) if sort else _encode(value)
    except UnicodeEncodeError:
        return _patient_encode(value, sort=sort)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _patient_decode(text: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as problem:
        raise ValueError(f"{problem.msg} at line {problem.lineno}, column {problem.colno}") from None
    except UnicodeDecodeError:
        raise ValueError("a string is not UTF-8") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _patient_encode(value: Any, *, sort: bool) -> bytes:  # noqa: ANN401
    try:
        return json.dumps(value, separators=(",", ":"), sort_keys=sort, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):  # nothing could write it again
        raise ValueError("a number is out of range")
    return number


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _place(text: bytes, problem: Exception) -> str:
    if isinstance(problem, UnicodeDecodeError):
        return "a string is not UTF-8"
    what, _, rest = str(problem).removeprefix("JSON is malformed: ").partition(" (byte ")
    byte = min(int(rest.rstrip(")")) if rest else len(text), len(text))
    before = text[:byte]
    line, column = before.count(b"\n") + 1, byte - before.rfind(b"\n")
    return f"{what[:1].lower()}{what[1:]} at line {line}, column {column} (byte {byte})"
