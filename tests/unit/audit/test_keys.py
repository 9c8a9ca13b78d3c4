"""Tenants' keys: one each, kept until they are erased, and then never made again."""

import hashlib
import stat

import pytest
from audit_house import KEYS, OTHER_KEYS
from hypothesis import given
from hypothesis import strategies as st

from penstock.audit.keys import TenantKeys
from penstock.audit.problems import AuditUnavailable


@pytest.fixture
def keys(tmp_path):
    return TenantKeys(tmp_path, KEYS)


def test_a_tenants_mac_stays_the_same_and_is_its_own(keys, tmp_path):
    mac = keys.mac("acme")(b"value")
    assert len(mac) == 32
    assert keys.known("acme")(b"value") == mac
    assert TenantKeys(tmp_path, KEYS).mac("acme")(b"value") == mac
    assert keys.mac("other")(b"value") != mac
    assert keys.known("nobody") is None


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_parts_are_kept_apart(tmp_path_factory, parts, others):
    mac = _one(tmp_path_factory)
    assert (mac(*parts) == mac(*others)) == (parts == others)


def _one(factory, made=[]):  # noqa: B006
    if not made:
        made.append(TenantKeys(factory.mktemp("keys"), KEYS).mac("acme"))
    return made[0]


def test_the_key_is_random_and_not_derived(tmp_path):
    macs = {
        TenantKeys(tmp_path / name, KEYS).mac("acme")(b"v") for name in "abc" if not (tmp_path / name).mkdir()
    }
    assert len(macs) == 3
    assert (
        hashlib.blake2b(b"v", key=KEYS.mac("audit", b"tenant", b"acme"), digest_size=32).digest() not in macs
    )


def test_the_file_is_sealed_private_and_does_not_name_the_tenant(keys, tmp_path):
    keys.mac("acme")
    (path,) = (tmp_path / "keys").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "acme" not in path.name
    assert b"acme" not in path.read_bytes()
    assert len(path.read_bytes()) == 32 + 28


def test_another_keyring_has_its_own(keys, tmp_path):
    keys.mac("acme")
    assert not TenantKeys(tmp_path, OTHER_KEYS).erase("acme")
    assert keys.erase("acme")


def test_another_tenants_key_does_not_open_in_its_place(keys, tmp_path):
    keys.mac("acme")
    (acme,) = (tmp_path / "keys").iterdir()
    keys.mac("bravo")
    bravo = next(path for path in (tmp_path / "keys").iterdir() if path != acme)
    bravo.write_bytes(acme.read_bytes())
    with pytest.raises(AuditUnavailable, match="did not seal it"):
        TenantKeys(tmp_path, KEYS).mac("bravo")


def test_erased_is_gone_for_good(keys, tmp_path):
    before = keys.mac("acme")(b"value")
    assert keys.erase("acme")
    assert keys.known("acme") is None
    assert not list((tmp_path / "keys").iterdir())
    assert keys.mac("acme")(b"value") != before
    assert keys.erase("acme")
    assert not keys.erase("acme")


def test_the_keys_bytes_are_overwritten_before_the_name_goes(keys, tmp_path):
    keys.mac("acme")
    (path,) = (tmp_path / "keys").iterdir()
    kept = tmp_path / "kept"
    kept.hardlink_to(path)
    keys.erase("acme")
    assert kept.read_bytes() == bytes(60)


def test_an_erasure_elsewhere_is_noticed(keys, tmp_path):
    before = keys.mac("acme")(b"value")
    other = keys.mac("other")(b"value")
    elsewhere = TenantKeys(tmp_path, KEYS)
    elsewhere.erase("acme")
    keys.forget_erased()
    assert keys.known("acme") is None
    assert keys.known("other")(b"value") == other
    assert keys.mac("acme")(b"value") == elsewhere.mac("acme")(b"value") != before


def test_an_erased_key_that_was_made_anew_elsewhere_is_noticed(keys, tmp_path):
    keys.mac("acme")
    elsewhere = TenantKeys(tmp_path, KEYS)
    elsewhere.erase("acme")
    (tmp_path / "spacer").touch()  # takes the inode that was just set free
    new = elsewhere.mac("acme")(b"value")
    keys.forget_erased()
    assert keys.mac("acme")(b"value") == new


def test_a_place_that_can_not_be_written(tmp_path):
    (tmp_path / "keys").touch()
    with pytest.raises(AuditUnavailable, match="keys"):
        TenantKeys(tmp_path, KEYS).mac("acme")
    with pytest.raises(AuditUnavailable, match="Not a directory"):
        TenantKeys(tmp_path, KEYS).erase("acme")
