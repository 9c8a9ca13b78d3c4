import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.policy.node import Scalar
from penstock.policy.yaml_scalars import Trap, read_plain, read_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("", None),
        ("~", None),
        ("null", None),
        ("NULL", None),
        ("0", 0),
        ("-3", -3),
        ("+7", 7),
        ("9223372036854775807", 2**63 - 1),
        ("0.5", 0.5),
        ("-1.25", -1.25),
        ("10.0", 10.0),
        ("1.2.3", "1.2.3"),
        ("gpt-4.1", "gpt-4.1"),
        ("localhost:8080", "localhost:8080"),
        ("1:99", "1:99"),
        ("tRuE", "tRuE"),
        ("nope", "nope"),
        ("_1", "_1"),
        ("e3", "e3"),
        ("-", "-"),
        (".", "."),
        ("0x", "0x"),
        ("env:KEY", "env:KEY"),
        ("12/30", "12/30"),
    ],
)
def test_a_plain_scalar_is_read_as_yaml_1_2_reads_it(text: str, value: Scalar) -> None:
    read = read_plain(text)

    assert read == value
    assert type(read) is type(value)


TRAPS = [
    *("yes", "No", "ON", "off", "y", "N"),
    *("010", "00", "-07", "007", "0_1", "08", "00.5"),
    *("12:30", "1:2:3", "12:30:45.5", "-1:30"),
    *("1e3", "1E3", "-1.5e-3", "1.e5", ".5e1", "123e45"),
    *("1_000", "1_000.5", "1.5_0", "1_"),
    *("2026-01-01", "2026-1-1", "2026-01-01T10:00:00Z", "2026-01-01 10:00:00"),
    *(".inf", "-.INF", "+.Inf", ".nan", ".NaN"),
    *("0x1F", "0o17", "0b11", "-0xff"),
    *(".5", "5.", "-.5"),
    *("9223372036854775808", "9" * 5000, "9" * 400 + ".0"),
]


@pytest.mark.parametrize("text", TRAPS, ids=lambda text: text[:24])
def test_what_readers_read_differently_is_refused_with_a_remedy_and_without_its_value(text: str) -> None:
    with pytest.raises(Trap) as trap:
        read_plain(text)

    assert trap.value.reason
    assert trap.value.remedy
    if len(text) > 2:
        assert text not in trap.value.reason + trap.value.remedy


@settings(deadline=None)
@given(st.text(alphabet="0123456789+-.:_eExobTZ ~nulyesofftrai", max_size=12))
def test_where_we_read_a_number_or_a_word_pyyaml_agrees(text: str) -> None:
    """Nothing slips through: what we take, a reader of YAML 1.1 takes for the same value."""
    plain = text.strip()
    if plain.startswith(("-", ":", "?")) and (len(plain) == 1 or plain[1] == " "):
        return
    try:
        ours = read_plain(plain)
        theirs = yaml.safe_load(plain)
    except (Trap, yaml.YAMLError, ValueError):
        return
    if isinstance(theirs, dict | list):
        return
    assert ours == theirs
    assert type(ours) is type(theirs)


@settings(deadline=None)
@given(st.text())
def test_reading_a_plain_scalar_gives_a_value_or_a_trap(text: str) -> None:
    try:
        value = read_plain(text)
    except Trap:
        return
    assert value is None or isinstance(value, str | int | float)
    assert not isinstance(value, float) or math.isfinite(value)


def test_text_in_quotes_is_text_but_for_half_characters() -> None:
    assert read_text("010") == "010"
    with pytest.raises(Trap):
        read_text("\ud800")
