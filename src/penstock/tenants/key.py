"""A virtual key: its form, and the sealed record that is kept in its place.

penstock_ 7Hq0cJmXw2Ea 3vN…43 characters… 0kF2aQ     (without the blanks)
  prefix  public id     256 random bits   CRC-32

The record holds no key, only its MAC under a key of the keyring, and is itself sealed and bound to its
id: whoever reads the store learns nothing, and whoever writes to it can't make a key or move one.
"""

import secrets
import string
import zlib
from collections.abc import Mapping
from typing import Final

import msgspec

from penstock.stores.keyring import Keyring, SealBroken

PREFIX: Final = "penstock_"
KEYS: Final = "keys"
USES: Final = "key_uses"
REVOKED_END: Final = ".revoked"
"""Ends the key of a second record beside a revoked key's own. Nothing ever rewrites that one, so that a
revocation and a rotation at the same moment can't end in a key that lives."""

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_CHARS: Final = 12
_SECRET_CHARS: Final = 43  # 62**43 > 2**256
_CHECK_CHARS: Final = 6  # 62**6 > 2**32
KEY_CHARS: Final = len(PREFIX) + _ID_CHARS + _SECRET_CHARS + _CHECK_CHARS

_MAC: Final = "client-key"
_RECORD: Final = "client-key-record"
_REVOKED: Final = "client-key-revoked"
_USE: Final = "client-key-use"


class Key(msgspec.Struct, frozen=True):
    """What is kept of a key. Times are seconds since the epoch; project and user may be empty."""

    id: str
    tenant: str
    project: str
    user: str
    name: str
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    mac: bytes

    def state(self, now: float) -> str:
        """Say in a word what it is good for."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


def make() -> str:
    """Make a new key."""
    public = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_CHARS))
    secret = _base62(int.from_bytes(secrets.token_bytes(32)), _SECRET_CHARS)
    return _checked(f"{PREFIX}{public}{secret}")


def public_id(text: str) -> str | None:
    """Give the public id of a whole key; None for a text that is none, or that was mistyped."""
    body = text[:-_CHECK_CHARS]
    if len(text) != KEY_CHARS or not text.startswith(PREFIX) or not body.isascii() or _checked(body) != text:
        return None
    return text[len(PREFIX) :][:_ID_CHARS]


def mac_of(keyring: Keyring, key: bytes) -> bytes:
    """Give what is kept of a key's value."""
    return keyring.mac(_MAC, key)


def seal(keyring: Keyring, key: Key) -> bytes:
    """Seal a record for the place of its id."""
    return keyring.seal(_RECORD, msgspec.msgpack.encode(key), key.id.encode())


def seal_revoked(keyring: Keyring, key_id: str, at: float) -> bytes:
    """Seal the record that says only that a key is revoked."""
    return keyring.seal(_REVOKED, msgspec.msgpack.encode(at), key_id.encode())


def seal_use(keyring: Keyring, key_id: str, at: float) -> bytes:
    """Seal the time of a key's last use."""
    return keyring.seal(_USE, msgspec.msgpack.encode(at), key_id.encode())


def open_uses(keyring: Keyring, records: Mapping[str, bytes]) -> dict[str, float]:
    """Give the last uses by id; what was not sealed by this keyring is left out."""
    opened = {key_id: _open_time(keyring, _USE, key_id, sealed) for key_id, sealed in records.items()}
    return {key_id: at for key_id, at in opened.items() if at is not None}


class KeyReader:
    """Opens the records of the table; one that has not changed since the last time is not opened again."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._opened: dict[str, tuple[bytes, Key | float | None]] = {}
        self.unreadable = 0
        """How many records were not sealed by this keyring for their place."""

    def read(self, records: Mapping[str, bytes]) -> dict[str, Key]:
        """Give all keys by id, the revoked ones marked."""
        opened = {}
        for place, sealed in records.items():
            before = self._opened.get(place)
            same = before is not None and before[0] == sealed
            opened[place] = before if before is not None and same else (sealed, self._open(place, sealed))
        self._opened = opened
        found = {place: thing for place, (_, thing) in opened.items()}
        self.unreadable = sum(thing is None for thing in found.values())
        return {
            place: _revoked(thing, found.get(place + REVOKED_END))
            for place, thing in found.items()
            if isinstance(thing, Key)
        }

    def _open(self, place: str, sealed: bytes) -> Key | float | None:
        if place.endswith(REVOKED_END):
            return _open_time(self._keyring, _REVOKED, place.removesuffix(REVOKED_END), sealed)
        try:
            key = msgspec.msgpack.decode(self._keyring.open(_RECORD, sealed, place.encode()), type=Key)
        except (SealBroken, msgspec.DecodeError):
            return None
        return key if key.id == place else None


def _revoked(key: Key, also: Key | float | None) -> Key:
    if key.revoked_at is None and isinstance(also, float):
        return msgspec.structs.replace(key, revoked_at=also)
    return key


def _open_time(keyring: Keyring, purpose: str, key_id: str, sealed: bytes) -> float | None:
    try:
        return msgspec.msgpack.decode(keyring.open(purpose, sealed, key_id.encode()), type=float)
    except (SealBroken, msgspec.DecodeError):
        return None


def _checked(body: str) -> str:
    return body + _base62(zlib.crc32(body.encode()), _CHECK_CHARS)


def _base62(number: int, chars: int) -> str:
    digits = []
    for _ in range(chars):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
