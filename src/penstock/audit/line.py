"""Lines: a record, its place in the chain, and a keyed MAC over every byte of both.

`{"mac":"…","prev":"…","record":{…},"seq":12,"time":"…"}`, canonical JSON and a line end. The MAC is
BLAKE2b over all that comes after it; `prev` is the MAC of the line before, so each line holds the ones
before it. Heads and the ends of exports are lines of the same form with keys of their own.
"""

import hashlib
import hmac
from typing import Final

import msgspec

from penstock.audit.record import AnyRecord
from penstock.stores.keyring import Keyring

FIRST_PREV: Final = "0" * 64
LONGEST: Final = 4096
"""No line of ours has as many bytes, its end included."""

_BEFORE: Final = b'{"mac":"'
_BETWEEN: Final = b'",'
_MAC_END: Final = len(_BEFORE) + 64
_BODY: Final = _MAC_END + len(_BETWEEN)


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line as it is read."""

    mac: str
    prev: str
    record: AnyRecord
    seq: int
    time: str


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A checkpoint to be kept elsewhere: the trail had this line, and so all lines before it."""

    line_mac: str
    number: int
    seq: int
    time: str
    trail: str


class _HeadLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mac: str
    head: Head = msgspec.field(name="record")


_encode: Final = msgspec.json.Encoder(order="sorted").encode
_read_line: Final = msgspec.json.Decoder(Line).decode
_read_head: Final = msgspec.json.Decoder(_HeadLine).decode


class Seal:
    """Makes and checks lines of one purpose: `chain`, `heads` or `export`."""

    def __init__(self, keyring: Keyring, purpose: str) -> None:
        self._blank = hashlib.blake2b(key=keyring.mac("audit", purpose.encode()), digest_size=32)

    def mac(self, body: bytes) -> str:
        """Give the MAC as 64 hex digits."""
        mac = self._blank.copy()
        mac.update(body)
        return mac.hexdigest()

    def sealed(self, body: bytes) -> tuple[str, bytes]:
        """Give the MAC of a JSON object's inside, without its `{`, and the whole line."""
        mac = self.mac(body)
        return mac, b"%b%b%b%b\n" % (_BEFORE, mac.encode(), _BETWEEN, body)

    def is_ours(self, raw: bytes) -> bool:
        """Whether every byte of a line is as it was written."""
        return (
            raw.startswith(_BEFORE)
            and raw[_MAC_END:_BODY] == _BETWEEN
            and raw.endswith(b"}\n")
            and hmac.compare_digest(raw[len(_BEFORE) : _MAC_END], self.mac(raw[_BODY:-1]).encode())
        )


def chained(seal: Seal, prev: str, seq: int, time: str, record: bytes) -> tuple[str, bytes]:
    """Give the MAC and the bytes of a line of the chain."""
    return seal.sealed(
        b'"prev":"%b","record":%b,"seq":%d,"time":"%b"}' % (prev.encode(), record, seq, time.encode())
    )


def read(seal: Seal, raw: bytes) -> Line | None:
    """Read a line of the chain; None for one that is not as it was written."""
    try:
        return _read_line(raw) if seal.is_ours(raw) else None
    except msgspec.DecodeError:  # written by a version that knows more kinds
        return None


def head_line(seal: Seal, trail: str, number: int, seq: int, line_mac: str, time: str) -> bytes:
    """Give the head of this number for a line of the chain; there is only one way to write it."""
    head = Head(line_mac, number, seq, time, trail)
    return seal.sealed(b'"record":%b}' % _encode(head))[1]


def read_head(seal: Seal, raw: bytes) -> Head | None:
    """Read a head; None for one that is not as it was written."""
    try:
        return _read_head(raw).head if seal.is_ours(raw) else None
    except msgspec.DecodeError:
        return None
