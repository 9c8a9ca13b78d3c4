"""The keyring: what it seals opens in its place only, and its key is one file for one pair of eyes."""

import hashlib
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import StartError
from penstock.stores.keyring import Keyring, SealBroken

KEYS = Keyring(bytes(range(32)))


@given(st.text(), st.binary(max_size=5000), st.binary(max_size=100))
def test_what_was_sealed_opens(purpose, value, place):
    sealed = KEYS.seal(purpose, value, place)
    assert KEYS.open(purpose, sealed, place) == value
    assert len(sealed) == len(value) + 28


def test_a_seal_is_never_the_same_twice_and_shows_nothing():
    sealed = {KEYS.seal("p", b"a plain text", b"") for _ in range(100)}
    assert len(sealed) == 100
    assert not any(b"plain" in one for one in sealed)


def test_a_new_keyring_of_the_same_key_opens_it():
    assert Keyring(bytes(range(32))).open("p", KEYS.seal("p", b"v", b"at"), b"at") == b"v"


@pytest.mark.parametrize(
    ("purpose", "place", "keys"),
    [
        ("q", b"at", KEYS),
        ("p ", b"at", KEYS),
        ("p", b"AT", KEYS),
        ("p", b"", KEYS),
        ("p", b"at", Keyring(bytes(32))),
    ],
)
def test_it_opens_in_no_other_place(purpose, place, keys):
    with pytest.raises(SealBroken):
        keys.open(purpose, KEYS.seal("p", b"v", b"at"), place)


@given(st.data())
def test_one_flipped_bit_breaks_it(data):
    sealed = bytearray(KEYS.seal("p", b"a value", b"at"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        KEYS.open("p", bytes(sealed), b"at")


@given(st.binary(max_size=27))
def test_what_is_too_short_was_never_sealed(short):
    with pytest.raises(SealBroken):
        KEYS.open("p", short, b"at")


def test_a_broken_seal_says_nothing():
    with pytest.raises(SealBroken) as broken:
        KEYS.open("p", b"secret" * 10, b"secret place")
    assert str(broken.value) == ""
    assert broken.value.__suppress_context__


def test_a_mac_is_of_its_purpose_its_parts_and_its_key():
    macs = [
        KEYS.mac("p", b"ab", b"c"),
        KEYS.mac("p", b"a", b"bc"),
        KEYS.mac("p", b"abc"),
        KEYS.mac("p", b"ab", b"c", b""),
        KEYS.mac("p", b"c", b"ab"),
        KEYS.mac("p"),
        KEYS.mac("q", b"ab", b"c"),
        Keyring(bytes(32)).mac("p", b"ab", b"c"),
    ]
    assert len(set(macs)) == len(macs)
    assert {len(mac) for mac in macs} == {32}
    assert KEYS.mac("p", b"ab", b"c") == macs[0]


@given(st.lists(st.binary(max_size=5), max_size=4), st.lists(st.binary(max_size=5), max_size=4))
def test_other_parts_give_another_mac(parts, others):
    assert (KEYS.mac("p", *parts) == KEYS.mac("p", *others)) == (parts == others)


def test_the_derivation_never_changes():
    """What is stored today must open after every update: the recipe, written out once more."""
    derived = hashlib.blake2b(b"purpose", key=bytes(range(32)), digest_size=32).digest()
    length = (3).to_bytes(8, "big")
    assert (
        KEYS.mac("purpose", b"abc") == hashlib.blake2b(length + b"abc", key=derived, digest_size=32).digest()
    )


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_key_has_32_bytes(size):
    with pytest.raises(StartError, match=f"must have 32 bytes, not {size}"):
        Keyring(bytes(size))


def test_the_key_file_is_made_once_for_its_owner(tmp_path):
    sealed = Keyring.in_folder(tmp_path).seal("p", b"v", b"at")
    key = tmp_path / "keyring.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["keyring.key"]
    assert len(set(key.read_bytes())) > 8
    assert Keyring.in_folder(tmp_path).open("p", sealed, b"at") == b"v"


def test_every_folder_has_its_own_key(tmp_path):
    macs = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        macs.add(Keyring.in_folder(tmp_path / name).mac("p"))
    assert len(macs) == 2


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o660])
def test_a_key_that_others_may_read_is_refused(tmp_path, mode):
    Keyring.in_folder(tmp_path)
    key = tmp_path / "keyring.key"
    key.chmod(mode)
    with pytest.raises(StartError, match="chmod 600"):
        Keyring.in_folder(tmp_path)


def test_a_key_file_that_was_cut_is_refused_and_kept(tmp_path):
    key = tmp_path / "keyring.key"
    key.write_bytes(b"short")
    key.chmod(0o600)
    with pytest.raises(StartError, match="not 5"):
        Keyring.in_folder(tmp_path)
    assert key.read_bytes() == b"short"


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(StartError, match="No such file"):
        Keyring.in_folder(tmp_path / "none")


def test_who_starts_at_once_agrees_on_one_key(tmp_path):
    together = threading.Barrier(16)

    def mac():
        together.wait(timeout=10)
        return Keyring.in_folder(tmp_path).mac("p")

    with ThreadPoolExecutor(16) as pool:
        macs = [start.result() for start in [pool.submit(mac) for _ in range(16)]]
    assert len(set(macs)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["keyring.key"]
