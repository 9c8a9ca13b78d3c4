"""A value is found whatever amount of other things stands around it, as long as no reader takes them for a part of it."""

# ruff: noqa: E501 (values are written as they occur)

import random

import pytest
from detect_kit import engine, found
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.detect import DetectConfig, Engine, Finding, TooManyFindings
from penstock.detect.rules.cards import is_card

VALUES = {
    "+1 415-555-0132": "PHONE", "(415) 555-0132": "PHONE", "415-555-0132": "PHONE", "+44 20 7946 0958": "PHONE", "+14155550132": "PHONE",
    "4111 1111 1111 1111": "CREDIT_CARD", "4111111111111111": "CREDIT_CARD", "3782-822463-10005": "CREDIT_CARD",
    "GB29 NWBK 6016 1331 9268 19": "IBAN", "DE89370400440532013000": "IBAN", "219-09-9999": "US_SSN", "jane.roe@example.org": "EMAIL",
    "203.0.113.9": "IP", "2001:db8::8a2e:370:7334": "IP", "00:1b:63:84:45:e6": "MAC", "ghp_aB3dE5fG7hJ9kL2mN4pQ6rS8tU1vW3xY5zA7": "SECRET",
}  # fmt: skip
# Words that say what a number is would rightly win: none stands here.
CROWD = st.text("0123456789 .,;:-/()[]{}<>|#*=+~'\"!?\n\t_xyzé中", max_size=24) | st.sampled_from(
    [
        "55 66 77 88 ",
        "1234567 ",
        "4111 ",
        "1234 5678 9012 3456\n",
        "555-123-456 ",
        "12/03/1999 ",
        "1.1.1.1 ",
        "AB12 ",
        "1,2,",
        "0x1f ",
        "12\n34\n",
    ]
)
BREAKS = st.sampled_from([", ", "; ", " | ", "\n\n", " and ", ' "', " [", "\t| "])
MANY = st.sampled_from([1, 2, 7, 90, 900])


def covered(text: str, start: int, end: int) -> bool:
    """Say whether all letters and digits of a part are in findings."""
    inside = {at for item in engine().find(text) for at in range(item.start, item.end)}
    return all(at in inside for at in range(start, end) if text[at].isalnum())


@given(st.sampled_from(sorted(VALUES)), CROWD, CROWD, BREAKS, BREAKS, MANY)
@settings(max_examples=400, deadline=None)
def test_a_value_is_found_in_any_crowd(value, before, after, left, right, many):
    ahead = before * many + left
    text = f"{ahead}{value}{right}{after * many}"
    assert covered(text, len(ahead), len(ahead) + len(value))


@pytest.mark.parametrize("value", sorted(VALUES))
@pytest.mark.parametrize("size", [30, 3_000, 60_000])
def test_a_value_is_found_behind_any_amount_of_digits(value, size):
    digits = "".join(random.Random(size).choices("0123456789 ", k=size))  # noqa: S311
    text = f"{digits}; {value}, {digits}"
    assert covered(text, size + 2, size + 2 + len(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("+1 415-555-0132 55 66 77 88 99 11 22 33", "+1 415-555-0132"),
        ("55 66 77 (415) 555-0132 88 99", "(415) 555-0132"),
        ("55 66 77 88 415-555-0132 99 11 22", "415-555-0132"),
        ("1-800-555-0132 1-800-555-0133 1-800-555-0134", "1-800-555-0133"),
        ("0490 75 40 81 - 0490 75 40 82", "0490 75 40 82"),
        ("Jane Roe,415-555-0132,94107", "415-555-0132"),
        ("phone=4155550132&x=1", "4155550132"),
        ("phone: 4155550132,3", "4155550132"),
        ("(415-555-0132)", "415-555-0132"),
        ("415-555-0132 x 1234567", "415-555-0132"),
        ("*+1 415-555-0132*", "+1 415-555-0132"),
    ],
)
def test_a_telephone_number_beside_other_numbers(text, value):
    assert ("PHONE", value) in found(text)


def test_what_a_word_announces_is_taken_out_of_a_row_of_numbers():
    row = "55 66 77 88 99 11 22 33 44 55 66"
    assert any(
        type == "PHONE" and value.startswith("0490 75 40 81")
        for type, value in found(f"phone 0490 75 40 81 {row}")
    )
    assert ("US_SSN", "219 09 9999") in found(f"SSN 219 09 9999 {row}")
    assert ("NATIONAL_ID", "943 476 5919") in found("NHS 943 476 5919 5 6 7 8 9 1 2 3 4 5 6")
    assert ("BANK_ACCOUNT", "12345678") in found(f"account number 12345678 {row}")
    assert ("PASSPORT", "X1234567") in found(f"passport X1234567 {row}")


@pytest.mark.parametrize(
    "text",
    [
        "x = 5 + 3 = 1234567",
        "5*1234567=3",
        "2015-12-22 04:34:22",
        "1,234,567 of 7,654,321",
        "12-34 56-78 90-12",
    ],
)
def test_sums_dates_and_amounts_stay(text):
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0012 4111 1111 1111 1111 0427", "4111 1111 1111 1111"),
        ("4111 1111 1111 1111 0427 123", "4111 1111 1111 1111"),
        ("4111  1111  1111  1111", "4111  1111  1111  1111"),
        ("4111\t1111\t1111\t1111", "4111\t1111\t1111\t1111"),
        ("1,4111111111111111,5", "4111111111111111"),
        ("at 41111111\n11111111, ok", "41111111\n11111111"),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
        ("card 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 0 4 2 7", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
    ],
)
def test_a_card_among_other_groups(text, value):
    assert ("CREDIT_CARD", value) in found(text)


@pytest.mark.parametrize(
    "text", ["12345678\n41111111\n11111111\n12345678", "0.4111111111111111", "4111, 1111, 1111, 1111"]
)
def test_columns_fractions_and_lists_are_no_cards(text):
    assert "CREDIT_CARD" not in {type for type, _ in found(text)}


def test_windows_that_overlap_are_one_finding():
    rows = [f"{4000 + at} 1111 1111 1111" for at in range(1000)]
    head = next(row for row in rows if is_card(row.replace(" ", "")))
    tails = (f"{at:04d}" for at in range(10_000))
    tail = next(
        tail
        for tail in tails
        if is_card("111111111111" + tail) or is_card((head[5:] + tail).replace(" ", "")) or tail == "9999"
    )
    [first, *_] = engine().find(f"{head} {tail}")
    assert first.end >= len(head)


@pytest.mark.parametrize(
    "text",
    [
        "AB12 GB29 NWBK 6016 1331 9268 19",
        "AB12 and GB29 NWBK 6016 1331 9268 19",
        "IBANGB29NWBK60161331926819",
        "_GB29NWBK60161331926819_",
        "NO1 GB29  NWBK 6016 1331 9268 19",
    ],
)
def test_an_iban_behind_something_like_one(text):
    [(type, value)] = found(text)
    assert type == "IBAN"
    assert value.replace(" ", "") == "GB29NWBK60161331926819"


def test_an_address_range_and_what_is_told_of_an_address():
    assert [value for _, value in found("from 203.0.113.9-203.0.113.20 on")] == [
        "203.0.113.9",
        "203.0.113.20",
    ]
    assert found("name-1.2.3.4") == []
    assert ("IP", "2001:db8::1:7334") in found("2001:db8::1:7334: no route")
    assert ("MAC", "00:1b:63:84:45:e6") in found("00:1b:63:84:45:e6: eth0")


def test_a_long_local_part_and_a_long_key_are_taken_whole():
    address = "a" * 300 + ".roe@example.org"
    assert found(f"to {address}") == [("EMAIL", address)]
    body = "MIIBVAIBADANBgkqhkiG9w0BAQEFAASCAT4wggE6AgEAAkEAxAIxg6Qt\n" * 1200
    key = f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----"
    assert found(key) == [("SECRET", key)]


def test_the_barcode_of_an_american_licence():
    code = "@\n\x1e\rANSI 636014080002DL00410278ZC03190008DLDAQD1234562\nDCSPUBLIC\nDACJOHN"
    assert ("DRIVER_LICENSE", "D1234562") in found(code)
    assert found("DAQD1234562") == []


def test_findings_are_counted_over_all_rules_and_plugged_in_detectors():
    class Every:
        name, version = "every", "1"

        def find(self, text):
            return (Finding(at, at + 1, "X", "every", "1", False, 0.9) for at in range(len(text)))

    text = "a@example.org 10.0.0.1 b@example.org 10.0.0.2"
    assert len(Engine(DetectConfig(max_findings=4)).find(text)) == 4
    with pytest.raises(TooManyFindings, match="more than 3"):
        Engine(DetectConfig(max_findings=3)).find(text)
    with pytest.raises(TooManyFindings):
        Engine(DetectConfig(types=frozenset({"X"}), max_findings=40), [Every()]).find("x" * 41)
