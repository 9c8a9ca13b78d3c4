"""Values that are written otherwise are found, and the span is that of the text as given."""

# ruff: noqa: E501 (values are written as they occur)

import html
import json
from urllib.parse import quote

import pytest
from detect_kit import engine, found
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.detect.escapes import GONE, is_written_otherwise, meant, places
from penstock.detect.source import Source

CARD, MAIL, SSN = "4111 1111 1111 1111", "jane@example.org", "219-09-9999"


@pytest.mark.parametrize(
    ("written", "is_meant"),
    [
        ("%40", "@"), ("%2540", "@"), ("%252540", "@"), ("%7e", "~"), ("%7F", "%7F"), ("%C3", "%C3"), ("50% off", "50% off"), ("%25", "%"),
        ("&#64;", "@"), ("&#x40;", "@"), ("&#X40;", "@"), ("&commat;", "@"), ("&nbsp;", "\xa0"), ("&nosuch;", "&nosuch;"), ("&#9999999;", "&#9999999;"),
        (r"\u0040", "@"), (r"\\u0040", "@"), (r"\x40", "@"), (r"\n", "\n"), (r"\\n", "\n"), (r"\"", '"'), (r"\\\"", '"'), (r"\/", "/"), (r"\q", r"\q"),
        ("\x1b[1;32mok\x1b[0m", f"{GONE}ok{GONE}"), ("**so**", f"{GONE}so{GONE}"), ("a***b", "a***b"), ("****", "****"), ("~~x~~", f"{GONE}x{GONE}"),
        ("<b>x</b>", f"{GONE}x{GONE}"), ("</td>", "</td>"),
    ],
)  # fmt: skip
def test_what_is_meant(written, is_meant):
    assert meant(written) == is_meant
    assert is_written_otherwise(written) or meant(written) == written
    assert len(places(written)) == len(is_meant)


PIECES = st.sampled_from(
    [
        "%40",
        "%",
        "25",
        "&#64;",
        "&",
        "amp;",
        "\\",
        "\\u0040",
        "n",
        "**",
        "*",
        "~~",
        "<b>",
        "</b>",
        "\x1b[0m",
        "é",
        "中",
        "a",
        " ",
    ]
)


@given(st.lists(PIECES, max_size=14).map("".join))
@settings(max_examples=400, deadline=None)
def test_places_cover_the_text_in_order(text):
    spans = places(text)
    assert len(spans) == len(meant(text))
    assert [start for start, _ in spans[1:]] == [end for _, end in spans[:-1]]
    assert not spans or (spans[0][0], spans[-1][1]) == (0, len(text))
    assert meant(text) == text or is_written_otherwise(text) or "</" not in text


@pytest.mark.parametrize("value", [CARD, MAIL, SSN])
@pytest.mark.parametrize(
    "write",
    [
        lambda value: quote(value, safe=""),
        lambda value: quote(quote(value, safe=""), safe=""),
        lambda value: "".join(f"&#{ord(char)};" for char in value),
        lambda value: "".join(f"\\u{ord(char):04x}" for char in value),
        lambda value: "".join(f"\\x{ord(char):02x}" for char in value),
        lambda value: "\u200b".join(value),
        lambda value: "\u0336".join(value),
        lambda value: "".join(chr(ord(char) + 0xFEE0) if char.isalnum() else char for char in value),
        lambda value: value.replace(" ", "\u202f").replace("-", "\u2011"),
        lambda value: f"**{value[:4]}**{value[4:]}",
        lambda value: f"<b>{value[:4]}</b>{value[4:]}",
    ],
    ids="percent twice entities json hex zero-width struck full-width typographic bold html".split(),
)
def test_a_value_that_is_written_otherwise_is_found_as_given(value, write):
    text = f"it is {write(value)}, yes"
    [item] = engine().find(text)
    inside = text[item.start : item.end]
    assert Source(inside).plain.strip("*") == Source(write(value)).plain


@pytest.mark.parametrize(
    "value", [CARD, MAIL, SSN, "203.0.113.9", "+1 415-555-0132", "DE89370400440532013000"]
)
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("卡号", "有效"), ("は", "です"), ("번호는 ", "입니다"), ("เบอร์", "ครับ"), ("**", "**"), ("_", "_"), ("__", "__"), ("*", "*"), ("`", "`"), ("~~", "~~"),
        ("\x1b[32m", "\x1b[0m"), ("x:\\n", "\\nb"), ("x:\\\\t", "\\\\n"), ("&nbsp;", "&nbsp;"), ("%20", "%20"), ("<td>", "</td>"), ("\u201c", "\u201d"),
    ],
)  # fmt: skip
def test_what_touches_a_value_is_no_part_of_it(value, left, right):
    assert value in [item.lstrip("_") for _, item in found(f"{left}{value}{right}")]


def test_json_within_json_within_json():
    text = "as it was logged: " + json.dumps(
        {"a": json.dumps({"b": json.dumps({"mail": MAIL, "password": "aB3!xyz9"})})}
    )
    assert found(text) == [("EMAIL", MAIL), ("SECRET", "aB3!xyz9")]
    assert found(html.escape('password="aB3!xyz9"')) == [("SECRET", "aB3!xyz9")]


@pytest.mark.parametrize(
    ("text", "type"),
    [
        ("我的护照号是E12345678", "PASSPORT"),
        ("여권번호는 M12345678입니다", "PASSPORT"),
        ("電話は03-1234-5678です", "PHONE"),
        ("我的passport号码是X1234567。", "PASSPORT"),
    ],
)
def test_words_of_scripts_without_spaces_are_read_within_a_row_of_letters(text, type):
    assert type in {kind for kind, _ in found(text)}
    assert (
        found(text.translate({ord(char): "字" for char in "护照护照号여권번호電話"}).replace("passport", ""))
        == []
        or type == "PHONE"
    )


def test_addresses_of_other_scripts():
    assert found("почта иван@пример.рф и всё") == [("EMAIL", "иван@пример.рф")]
    assert found("mail jane@例え.jp") == [("EMAIL", "jane@例え.jp")]


@pytest.mark.parametrize(
    "piece",
    ["%", "%25", "&", "&#", "&#1", "\\", "\\u", "\x1b[", "\x1b[0;", "*", "**", "~", "<", "</", "</b", "_"],
)
def test_floods_of_beginnings_are_read_once(piece):
    text = piece * (20_000 // len(piece))
    assert len(places(text)) == len(meant(text))
    assert found(text + " " + MAIL)[-1] == ("EMAIL", MAIL)
