"""The keyring: one file key, from which every purpose and tenant gets a key of its own."""

import hashlib
import os
import secrets
from functools import lru_cache
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from penstock.errors import StartError

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class SealBroken(Exception):
    """The value was not sealed for this purpose, place and key, or not by this keyring."""


class Keyring:
    """Derives keys from a master key and seals values with them (AES-256-GCM)."""

    def __init__(self, master: bytes) -> None:
        if len(master) != _KEY_BYTES:
            raise StartError(f"the keyring's key must have {_KEY_BYTES} bytes, not {len(master)}")
        self._master = master
        self._derive = lru_cache(maxsize=4096)(self._derived)
        self._cipher = lru_cache(maxsize=4096)(lambda purpose: AESGCM(self._derive(purpose)))

    @classmethod
    def in_folder(cls, state: Path) -> "Keyring":
        """Read `keyring.key` of the state folder, made there with mode 0600 if it is missing.

        Raises StartError for a key that others may read, or that can't be read or written.
        """
        path = state / "keyring.key"
        try:
            _create(path)
            if path.stat().st_mode & 0o077:
                raise StartError(f"{path}: others may read it; run: chmod 600 {path}")
            return cls(path.read_bytes())
        except OSError as problem:
            raise StartError(f"{path}: {problem.strerror}") from problem

    def mac(self, purpose: str, *parts: bytes) -> bytes:
        """Give the keyed BLAKE2b (32 bytes) of the parts, each kept apart from the next by its length."""
        mac = hashlib.blake2b(key=self._derive(purpose), digest_size=32)
        for part in parts:
            mac.update(len(part).to_bytes(8, "big"))
            mac.update(part)
        return mac.digest()

    def seal(self, purpose: str, value: bytes, bound_to: bytes) -> bytes:
        """Encrypt; the value opens only for the same purpose and the same `bound_to`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher(purpose).encrypt(nonce, value, bound_to)

    def open(self, purpose: str, sealed: bytes, bound_to: bytes) -> bytes:
        """Decrypt. Raises SealBroken."""
        try:
            return self._cipher(purpose).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError):
            raise SealBroken from None

    def _derived(self, purpose: str) -> bytes:
        return hashlib.blake2b(purpose.encode(), key=self._master, digest_size=_KEY_BYTES).digest()


def _create(path: Path) -> None:
    """Write a new key whole or not at all, and never over one that is there."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, secrets.token_bytes(_KEY_BYTES))
        os.fsync(handle)
        os.close(handle)
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
