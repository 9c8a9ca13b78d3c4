"""Placeholders and stand-ins: who gets which, and what is known again."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redaction_house import VALUES, keyed, vault_of_all

from penstock.redaction import Vault
from penstock.redaction.lane import restored
from penstock.redaction.placeholder import LENGTHS, label, normalised
from penstock.redaction.stand_in import stand_in
from penstock.redaction.vault import Indistinct

TYPES = ["EMAIL", "US_SSN", "CREDIT_CARD", "PHONE", "PERSON", "IBAN", "IP", "MAC", "URL", "ßeta"]
texts = st.text(min_size=1, max_size=20)


@given(st.lists(st.tuples(st.sampled_from(TYPES), texts), unique=True, max_size=30))
def test_two_values_never_share_and_the_order_does_not_matter(values):
    one, other = Vault(keyed()), Vault(keyed())
    made = [one.placeholder(*value) for value in values]
    assert len(set(made)) == len(values)
    assert [other.placeholder(*value) for value in reversed(values)] == made[::-1]
    stand_ins = [found for value in values if (found := one.stand_in(*value))]
    assert len(set(stand_ins)) == len(stand_ins)
    assert sum(one.counts.values()) == len([*made, *stand_ins])


def weak(bits: int):
    strong = keyed()

    def mac(*parts: bytes) -> bytes:
        """Only the last three of 18 digits are spread: the first 15 nearly always are the same."""
        return (int.from_bytes(strong(*parts)[:4]) % 2**bits).to_bytes(16)

    return mac


def test_a_collision_makes_the_later_one_longer():
    vault = Vault(weak(9))
    first, second = vault.placeholder("EMAIL", "a"), vault.placeholder("EMAIL", "b")
    assert [len(one) - len("[EMAIL_]") for one in (first, second)] == [12, 15]
    assert second.startswith(first[:-1])
    assert restored(vault, f"{first} {second}") == "a b"
    assert vault.placeholder("EMAIL", "a") == first


def test_what_can_t_be_told_apart_is_refused():
    vault = Vault(lambda *parts: bytes(16))
    for value in "abc":
        vault.placeholder("EMAIL", value)
    with pytest.raises(Indistinct) as refused:
        vault.placeholder("EMAIL", "secret-value")
    assert "secret-value" not in str(refused.value)
    assert len(LENGTHS) == 3


def test_a_vault_shows_nothing_and_goes_nowhere():
    vault = vault_of_all()
    assert repr(vault) == str(vault) == f"{vault}" == "<Vault of 9 values>"
    for write in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            write(vault)


FULL = vault_of_all().placeholder("EMAIL", "ann@example.org")
BARE = FULL[1:-1]
NUMBER = BARE[6:]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (FULL, "V"),
        (FULL.lower(), "V"),
        (f"**{FULL}**", "**V**"),
        (f"[**{BARE}**]", "V"),
        (f"[ {BARE} ]", "V"),
        (f"[`{BARE}`]", "V"),
        (BARE, "V"),
        (f"({BARE})", "(V)"),
        (f"[{BARE}", "[V"),
        (f"{BARE}]", "V]"),
        (f"【{BARE}】", "【V】"),
        (f"Email {NUMBER}", "V"),
        (f"EMAIL\\_{NUMBER}", "V"),
        (f"EMAIL-{NUMBER}.", "V."),
        (f"my_{BARE}", "my_V"),
        (f"{FULL}{FULL}", "VV"),
        (f"[{FULL}]", "[V]"),
        (f"{FULL}(mailto:{BARE})", "V(mailto:V)"),
    ],
)
def test_harmless_changes_are_understood(said, meant):
    assert restored(vault_of_all(), said) == meant.replace("V", "ann@example.org")


@pytest.mark.parametrize(
    "said",
    [
        NUMBER,
        f"PHONE_{NUMBER}",
        f"X{BARE}",
        f"{BARE}s",
        f"{BARE}1",
        BARE[:-1],
        f"EMAIL_{int(NUMBER) + 1}",
        f"EMAIL____{NUMBER}",
        f"EMAIL:{NUMBER}",
        f"EMAIL_{NUMBER[:6]} {NUMBER[6:]}",
        f"EMAIL_{NUMBER.translate({48 + n: 0x660 + n for n in range(10)})}",
        "[EMAIL_123456789012]",
        f"\u017f\u017fN_{NUMBER}",
    ],
)
def test_nothing_is_guessed(said):
    assert restored(vault_of_all(), said) == said


@pytest.mark.parametrize(
    ("type", "named"), [("US_SSN", "SSN"), ("EMPLOYEE_ID", "EMPLOYEEID"), ("客户", "VALUE"), ("x1", "X")]
)
def test_labels(type, named):
    assert label(type) == named


@pytest.mark.parametrize(
    ("type", "one", "other", "same"),
    [
        ("EMAIL", "Ann@Example.org", "ann@example.org", True),
        ("CREDIT_CARD", "4111 1111-1111 1111", "4111111111111111", True),
        ("PERSON", "Ann  Lee", "ann lee", True),
        ("SECRET", "aB", "ab", False),
        ("PHONE", "+1 (202) 555", "1202555", True),
    ],
)
def test_normalised(type, one, other, same):
    assert (normalised(type, one) == normalised(type, other)) is same


@given(st.integers(0, 2**128 - 1))
def test_stand_ins_are_valid_and_nobody_s(number):
    card = stand_in("CREDIT_CARD", "4111-1111-1111-1111", number)
    assert luhn_sum(card.replace("-", "")) % 10 == 0
    assert card.startswith("9999-99")
    iban = stand_in("IBAN", "DE89 3704 0044 0532 0130 00", number).replace(" ", "")
    assert int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1
    assert (iban[:2], len(iban)) == ("ZZ", 22)
    assert stand_in("US_SSN", "078-05-1120", number).startswith("666-")
    assert stand_in("IP", "1.2.3.4", number).startswith(("198.18.", "198.19."))
    assert stand_in("IP", "::1", number).startswith("2001:db8::")
    assert stand_in("PHONE", "+48 123", number)[7:].startswith("555 01")
    assert stand_in("PASSPORT", "X1234567", number) is None


def luhn_sum(digits: str) -> int:
    doubled = [int(d) * (2 if place % 2 else 1) for place, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled)


def test_a_stand_in_is_made_once_and_never_twice():
    vault = Vault(keyed())
    made = [vault.stand_in("MAC", f"aa:bb:cc:dd:ee:{n:02x}") for n in range(40)]
    given_out = [one for one in made if one]
    assert len(set(given_out)) == len(given_out) > 20
    assert vault.stand_in("MAC", "aa:bb:cc:dd:ee:00") == made[0]
    assert VALUES
