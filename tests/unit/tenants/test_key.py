"""A key's form and its record: recognisable, checkable, and worth nothing to who steals or moves it."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.detect import DetectConfig, Engine
from penstock.stores.keyring import Keyring
from penstock.tenants import key as keys
from penstock.tenants.key import REVOKED_END, Key, KeyReader

RING = Keyring(bytes(32))
OTHER = Keyring(bytes([1]) * 32)
ENGINE = Engine(DetectConfig(types=frozenset({"SECRET"})))


def record(key_id: str = "id0000000001", **fields: object) -> Key:
    given = {
        "tenant": "acme",
        "project": "",
        "user": "",
        "name": "",
        "created_at": 1.0,
        "expires_at": None,
        "revoked_at": None,
        "mac": bytes(32),
    }
    return Key(id=key_id, **{**given, **fields})  # type: ignore[arg-type]


def table(*records: Key, ring: Keyring = RING) -> dict[str, bytes]:
    return {each.id: keys.seal(ring, each) for each in records}


def test_a_key_needs_no_quoting_and_looks_like_one() -> None:
    made = keys.make()
    assert re.fullmatch("penstock_[0-9A-Za-z]{61}", made)
    assert len(made) == keys.KEY_CHARS == 70


def test_no_two_keys_share_an_id_or_a_secret() -> None:
    made = [keys.make() for _ in range(200)]
    assert len({keys.public_id(each) for each in made}) == 200
    assert len({each[21:64] for each in made}) == 200


def test_every_letter_comes_up() -> None:
    assert len(set("".join(keys.make()[9:] for _ in range(200)))) == 62


def test_the_whole_range_of_256_bits_fits() -> None:
    assert len(keys._base62(2**256 - 1, 43)) == 43
    assert 62**43 > 2**256
    assert keys._base62(62**2 + 1, 3) == "101"


def test_the_public_id_is_read_from_a_whole_key_only() -> None:
    made = keys.make()
    assert keys.public_id(made) == made[9:21]
    for wrong in (made[:-1], made + "x", made[1:], "", "penstock_", made.upper(), "ż" * 70):
        assert keys.public_id(wrong) is None


@given(place=st.integers(9, 69), letter=st.sampled_from("09AZaz"))
def test_the_check_digits_find_every_single_typo(place: int, letter: str) -> None:
    made = keys.make()
    spoilt = made[:place] + letter + made[place + 1 :]
    assert (keys.public_id(spoilt) is None) is (spoilt != made)


def test_a_mac_is_the_keyrings_and_no_other_purposes() -> None:
    value = keys.make().encode()
    assert keys.mac_of(RING, value) == keys.mac_of(RING, value)
    assert keys.mac_of(RING, value) != keys.mac_of(OTHER, value)
    assert keys.mac_of(RING, value) != RING.mac("credential", value)


def test_a_record_is_read_as_it_was_written() -> None:
    whole = record(project="search", user="ada", name="laptop", expires_at=9.5, mac=bytes([7]) * 32)
    assert KeyReader(RING).read(table(whole)) == {whole.id: whole}


def test_a_stolen_table_shows_no_name_and_no_mac() -> None:
    (sealed,) = table(record(user="ada", name="laptop", mac=b"m" * 32)).values()
    assert not any(word in sealed for word in (b"acme", b"ada", b"laptop", b"m" * 8))


def test_records_that_were_moved_or_made_elsewhere_are_nobodys_keys() -> None:
    mine, foreign = table(record("a")), table(record("b"), ring=OTHER)
    spoilt = mine["a"][:-1] + bytes([mine["a"][-1] ^ 1])
    reader = KeyReader(RING)
    assert reader.read({"c": mine["a"], **foreign, "d": spoilt, "e": b"", "f": b"short"}) == {}
    assert reader.unreadable == 5


def test_a_record_under_its_place_but_with_another_id_inside_is_refused() -> None:
    inside = RING.seal("client-key-record", msgspec.msgpack.encode(record("x")), b"y")
    assert KeyReader(RING).read({"y": inside}) == {}


def test_what_is_sealed_but_no_record_is_refused() -> None:
    odd = RING.seal("client-key-record", msgspec.msgpack.encode({"id": "y"}), b"y")
    assert KeyReader(RING).read({"y": odd}) == {}


def test_a_revocation_beside_the_record_is_enough() -> None:
    records = table(record("a"), record("b"))
    records["a" + REVOKED_END] = keys.seal_revoked(RING, "a", 5.0)
    read = KeyReader(RING).read(records)
    assert (read["a"].revoked_at, read["b"].revoked_at) == (5.0, None)
    assert set(read) == {"a", "b"}


def test_a_use_is_no_revocation_and_a_revocation_belongs_to_one_key() -> None:
    records = table(record("a"), record("b"))
    records["a" + REVOKED_END] = keys.seal_use(RING, "a", 5.0)
    records["b" + REVOKED_END] = keys.seal_revoked(RING, "a", 5.0)
    assert [key.revoked_at for key in KeyReader(RING).read(records).values()] == [None, None]


def test_uses_are_read_and_foreign_ones_left_out() -> None:
    records = {"a": keys.seal_use(RING, "a", 5.0), "b": keys.seal_use(RING, "a", 6.0), "c": b"?"}
    assert keys.open_uses(RING, records) == {"a": 5.0}


def test_only_what_changed_is_opened_again() -> None:
    class Counting(Keyring):
        opened = 0

        def open(self, purpose: str, sealed: bytes, bound_to: bytes) -> bytes:
            self.opened += 1
            return super().open(purpose, sealed, bound_to)

    ring = Counting(bytes(32))
    reader = KeyReader(ring)
    records = table(*(record(f"id{number}") for number in range(20)))
    reader.read(records)
    assert ring.opened == 20
    records |= table(record("id3", name="new"))
    del records["id4"]
    read = reader.read(records)
    assert ring.opened == 21
    assert (len(read), read["id3"].name) == (19, "new")


@pytest.mark.parametrize(
    ("expires_at", "revoked_at", "now", "state"),
    [
        (None, None, 1e12, "active"),
        (10.0, None, 9.99, "active"),
        (10.0, None, 10.0, "expired"),
        (None, 5.0, 1.0, "revoked"),
        (1.0, 5.0, 9.0, "revoked"),
    ],
)
def test_states(expires_at: float | None, revoked_at: float | None, now: float, state: str) -> None:
    assert record(expires_at=expires_at, revoked_at=revoked_at).state(now) == state


@pytest.mark.parametrize(
    "around", ["{}", "Bearer {}", 'key="{}"', "https://x.invalid/?k={}&y=1", "({}).", "a\n{}\nb"]
)
def test_a_key_is_found_as_a_secret_anywhere_in_a_text(around: str) -> None:
    made = keys.make()
    text = around.format(made)
    assert [(each.type, text[each.start : each.end]) for each in ENGINE.find(text)] == [("SECRET", made)]


def test_a_word_that_only_begins_like_a_key_is_none() -> None:
    made = keys.make()
    for text in ("penstock_requests_total", made[:-1], "my" + made, "penstock_" + "x" * 61):
        assert "secrets.penstock_client_key" not in {each.detector for each in ENGINE.find(text)}
