"""Lines: one way to write them, and every byte of them counts."""

import hashlib
import json

import pytest
from audit_house import KEYS, NOON, OTHER_KEYS, record
from hypothesis import given
from hypothesis import strategies as st

from penstock.audit.line import FIRST_PREV, LONGEST, Seal, chained, head_line, read, read_head
from penstock.audit.record import encode

SEAL = Seal(KEYS, "chain")
MAC, RAW = chained(SEAL, FIRST_PREV, 7, NOON, encode(record()))


def test_a_line_is_canonical_json_and_says_its_place():
    told = json.loads(RAW)
    assert RAW.decode() == json.dumps(told, sort_keys=True, separators=(",", ":")) + "\n"
    assert (told["mac"], told["prev"], told["seq"], told["time"]) == (MAC, FIRST_PREV, 7, NOON)
    assert told["record"] == json.loads(encode(record()))
    assert len(RAW) < LONGEST


def test_the_recipe_never_changes():
    """Trails of today must verify after every update: the recipe, written out once more."""
    key = KEYS.mac("audit", b"chain")
    body = b'"prev":"%b","record":%b,"seq":7,"time":"%b"}' % (
        FIRST_PREV.encode(),
        encode(record()),
        NOON.encode(),
    )
    assert hashlib.blake2b(body, key=key, digest_size=32).hexdigest() == MAC
    assert b'{"mac":"' + MAC.encode() + b'",' + body + b"\n" == RAW


def test_it_is_read_as_it_was_written():
    line = read(SEAL, RAW)
    assert (line.mac, line.prev, line.seq, line.time, line.record) == (MAC, FIRST_PREV, 7, NOON, record())


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_one_changed_byte_is_seen(place, by):
    raw = bytearray(RAW)
    raw[place] = (raw[place] + by) % 256
    assert read(SEAL, bytes(raw)) is None


@pytest.mark.parametrize(
    "raw", [b"", b"\n", RAW[:-1], RAW + b"\n", b" " + RAW, RAW[:50], RAW + RAW, RAW[::-1]]
)
def test_what_is_no_line(raw):
    assert read(SEAL, raw) is None
    assert read_head(SEAL, raw) is None


@pytest.mark.parametrize("seal", [Seal(OTHER_KEYS, "chain"), Seal(KEYS, "heads"), Seal(KEYS, "export")])
def test_another_key_or_purpose_does_not_fit(seal):
    assert read(seal, RAW) is None


def test_the_mac_is_of_the_line_before_too():
    assert chained(SEAL, "1" * 64, 7, NOON, encode(record()))[0] != MAC


def test_a_kind_that_is_not_known_is_not_read():
    raw = SEAL.sealed(b'"prev":"","record":{"kind":"later"},"seq":1,"time":""}')[1]
    assert SEAL.is_ours(raw)
    assert read(SEAL, raw) is None


def test_a_head_is_read_as_it_was_written_and_is_canonical():
    raw = head_line(SEAL, "t", 3, 30, MAC, NOON)
    head = read_head(SEAL, raw)
    assert (head.trail, head.number, head.seq, head.line_mac, head.time) == ("t", 3, 30, MAC, NOON)
    assert raw.decode() == json.dumps(json.loads(raw), sort_keys=True, separators=(",", ":")) + "\n"
    assert read(SEAL, raw) is None
    assert read_head(SEAL, RAW) is None
