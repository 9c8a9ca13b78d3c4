"""JSON passes as the wire has it, half a character included; what is no JSON is named with its place."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.openai import wire_json

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=8),  # lone surrogates included
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(values, st.booleans())
def test_what_is_written_reads_back_the_same(value: Any, sort: bool) -> None:
    written = wire_json.encode(value, sort=sort)
    assert wire_json.decode(written) == value
    assert json.loads(written) == value


@settings(deadline=None)
@given(values)
def test_it_reads_what_pythons_own_parser_writes(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, indent=1)):
        assert wire_json.decode(text.encode()) == value


@settings(deadline=None, max_examples=300)
@given(
    st.binary(max_size=40)
    | st.lists(st.sampled_from(b'{}[]",:\\ud8e-.019 ntfaN\xff'), max_size=30).map(bytes)
)
def test_whatever_comes_it_is_read_or_a_value_error(junk: bytes) -> None:
    try:
        value = wire_json.decode(junk)
    except ValueError as problem:
        message = str(problem)
    else:
        assert wire_json.decode(wire_json.encode(value)) == value
        return
    assert "invalid literal" not in message, "our own reading of the place broke"


@settings(deadline=None)
@given(st.dictionaries(st.text(st.characters(), max_size=4), values, max_size=5))
def test_sorted_a_value_has_one_spelling(value: dict[str, Any]) -> None:
    backwards = dict(reversed(value.items()))
    assert wire_json.encode(value, sort=True) == wire_json.encode(backwards, sort=True)


@pytest.mark.parametrize("text", ["\ud83d", "a\ude00b", "\ud83d\ud83d"])
def test_half_a_character_passes_both_ways(text: str) -> None:
    escaped = json.dumps({"delta": text}).encode()
    assert wire_json.decode(escaped) == {"delta": text}
    assert wire_json.encode({"delta": text}) == escaped.replace(b": ", b":")


def test_both_halves_make_the_whole_one() -> None:
    assert wire_json.decode(b'"\\ud83d\\ude00"') == "😀"
    assert wire_json.encode("😀") == '"😀"'.encode()


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**64), 10**400])
def test_large_whole_numbers_stay_exact(number: int) -> None:
    assert wire_json.decode(wire_json.encode([number])) == [number]
    assert wire_json.decode(b'["\\ud83d",%d]' % number) == ["\ud83d", number]


@pytest.mark.parametrize("spelled", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999"])
@pytest.mark.parametrize("around", [b"%b", b'{"a": [%b]}', b'["\\ud83d", %b]'])
def test_no_number_beyond_numbers_is_read(spelled: bytes, around: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        wire_json.decode(around % spelled)


def test_nor_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        wire_json.encode(["\ud83d", math.inf])


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'["\\ud83d",['])
def test_depth_beyond_reason_is_refused(opening: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        wire_json.decode(opening * 200_000)


@pytest.mark.parametrize("beside", [0, "\ud83d"])
@pytest.mark.parametrize("sort", [True, False])
def test_depth_beyond_reason_is_not_written_either(beside: object, sort: bool) -> None:
    value: list[Any] = []
    for _ in range(200_000):
        value = [value]
    with pytest.raises(ValueError, match="nested too deeply"):
        wire_json.encode([beside, value], sort=sort)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a": }', "invalid character at line 1, column 7 (byte 6)"),
        (b"[1,\n  2,\n  x]", "invalid character at line 3, column 3 (byte 11)"),
        (b'{"a": 1', "input data was truncated at line 1, column 8 (byte 7)"),
        (b"", "input data was truncated at line 1, column 1 (byte 0)"),
        (b'{"a": "\xff"}', "a string is not UTF-8"),
        (b'["\\ud83d",\n x]', "Expecting value at line 2, column 2"),
    ],
)
def test_the_place_is_named(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as problem:
        wire_json.decode(text)
    assert str(problem.value) == message


@pytest.mark.parametrize(
    "text", [b'{"key": "sk-marker', b'["\\ud83d", "sk-marker" x]', b'{"sk-marker"}', b"sk-marker"]
)
def test_what_stood_there_is_not(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w") as problem:
        wire_json.decode(text)
    assert "marker" not in str(problem.value)
    assert "marker" not in repr(problem.value.__cause__)
