"""Values change in their places; every other byte of a JSON text stays, however it is written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from penstock.routing.splice import EACH, spliced

PLACES = {"a": {EACH: {"x": b"null"}}, "b": b"0", "x": b"[]"}
KEY = some.sampled_from(["a", "b", "x", "ä", 'q"', "[]", "{", "\\"])
SCALAR = (
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(max_size=6)
)
VALUE = some.recursive(
    SCALAR, lambda inner: some.lists(inner, max_size=3) | some.dictionaries(KEY, inner, max_size=4)
)
STYLE = some.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}])


def changed(value):
    """Change a value by the plain meaning of PLACES."""
    if not isinstance(value, dict):
        return value
    new = {**value}
    for name, given_there in (("b", 0), ("x", [])):
        if new.get(name):
            new[name] = given_there
    if isinstance(new.get("a"), list):
        new["a"] = [
            {**each, "x": None} if isinstance(each, dict) and each.get("x") else each for each in new["a"]
        ]
    return new


def strings(value):
    """Whether an object stands where a list was meant: one of its keys may spell the mark of a list."""
    return isinstance(value, dict) and isinstance(value.get("a"), dict)


@given(value=some.dictionaries(KEY, VALUE, max_size=5), style=STYLE, half=some.booleans())
def test_it_means_what_it_says(value, style, half):
    if strings(value):
        value = {**value, "a": []}
    if half:  # of an emoji, which the fast parser refuses
        value = {"half": "\ud83d", **value}
    text = json.dumps(value, **style).encode("utf-8", "surrogatepass")
    assert json.loads(spliced(text, PLACES).decode("utf-8", "surrogatepass")) == changed(value)


@given(value=VALUE, style=STYLE)
def test_where_nothing_is_meant_no_byte_changes(value, style):
    text = json.dumps({"z": value}, **style).encode("utf-8", "surrogatepass")
    assert spliced(text, PLACES) == text


def test_every_other_byte_stays():
    text = (
        b' { "b" : 7 ,\r\n"a":[ {"x":{"x":[1,"}"]},"y":1.50e+3},3,{"x": "\\ud83d"}],"c":"\\u00e9\xc3\xa9"}\n'
    )
    assert spliced(text, PLACES) == (
        b' { "b" : 0 ,\r\n"a":[ {"x":null,"y":1.50e+3},3,{"x": null}],"c":"\\u00e9\xc3\xa9"}\n'
    )


def test_what_is_empty_stays():
    text = b'{"b": 0, "x": null, "a": [{"x": []}, {"x": ""}]}'
    assert spliced(text, PLACES) == text


def test_a_member_that_stands_there_twice_is_changed_twice():
    assert spliced(b'{"b":1,"b":2}', PLACES) == b'{"b":0,"b":0}'


def test_bytes_that_are_no_utf8_stay():
    assert spliced(b'{"b":1,"c":"\xff"}', PLACES) == b'{"b":0,"c":"\xff"}'


@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"b":1', b'{"b"', b"[1", b'{"a":[{"x":1}', b"{1:2}", b"{[]:1}", b"no", b"\xff"]
)
def test_what_is_no_json_stays(text):
    assert spliced(text, PLACES) == text
    assert spliced(b"[" * 100_000, PLACES) == b"[" * 100_000
