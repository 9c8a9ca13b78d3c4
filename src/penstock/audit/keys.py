"""A key of its own for each tenant's MACs, sealed in a file that can be erased: then they tell nothing.

The key is random. A derived one could be derived again, and nothing would have been erased.
"""

import hashlib
import os
import secrets
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from penstock.audit import folder as disk
from penstock.audit.problems import AuditUnavailable
from penstock.stores.keyring import Keyring, SealBroken

FOLDER: Final = "keys"
_KEY_BYTES: Final = 32
_PURPOSE: Final = "audit tenant"
_ATTEMPTS: Final = 5  # another process may erase the key between two of our looks


class Mac(Protocol):
    """A keyed MAC (32 bytes) over parts that it keeps apart."""

    def __call__(self, *parts: bytes) -> bytes:
        """Give the MAC."""
        ...


class _Known(NamedTuple):
    mac: Mac
    identity: tuple[int, int, int]


class TenantKeys:
    """The tenants' keys of one trail, kept in memory once they were read."""

    def __init__(self, folder: Path, keyring: Keyring) -> None:
        self._folder = folder / FOLDER
        self._keyring = keyring
        self._known: dict[str, _Known] = {}

    def known(self, tenant: str) -> Mac | None:
        """Give a tenant's MAC if its key was read before."""
        found = self._known.get(tenant)
        return found.mac if found else None

    def mac(self, tenant: str) -> Mac:
        """Give a tenant's MAC, with a new key if there is none. Raises AuditUnavailable."""
        path = self._path(tenant)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for _ in range(_ATTEMPTS):
                if not path.exists():
                    key = self._keyring.seal(_PURPOSE, secrets.token_bytes(_KEY_BYTES), tenant.encode())
                    disk.create_whole(path, key)
                try:
                    self._known[tenant] = self._read(path, tenant)
                except FileNotFoundError:
                    continue
                return self._known[tenant].mac
        except OSError as problem:
            raise AuditUnavailable(f"{path}: {problem.strerror}") from None
        except SealBroken:
            raise AuditUnavailable(f"{path}: this keyring did not seal it, or it was changed") from None
        raise AuditUnavailable(f"{path}: it is erased again and again")

    def erase(self, tenant: str) -> bool:
        """Overwrite and delete a tenant's key; False if there is none. Raises AuditUnavailable.

        Other processes let go of it in their next `forget_erased`.
        """
        path = self._path(tenant)
        self._known.pop(tenant, None)
        try:
            with path.open("r+b") as file:
                file.write(bytes(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
            disk.sync_folder(self._folder)
        except FileNotFoundError:
            return False
        except OSError as problem:
            raise AuditUnavailable(f"{path}: {problem.strerror}") from None
        return True

    def forget_erased(self) -> None:
        """Let go of keys that another process has erased."""
        for tenant, known in list(self._known.items()):
            if _identity(self._path(tenant)) != known.identity:
                self._known.pop(tenant, None)

    def _path(self, tenant: str) -> Path:
        name = self._keyring.mac("audit", b"tenant", tenant.encode()).hex()[:32]
        return self._folder / f"{name}.key"

    def _read(self, path: Path, tenant: str) -> _Known:
        identity = _identity(path)
        key = self._keyring.open(_PURPOSE, path.read_bytes(), tenant.encode())
        return _Known(_mac_with(key), identity)


def _mac_with(key: bytes) -> Mac:
    blank = hashlib.blake2b(key=key, digest_size=32)

    def mac(*parts: bytes) -> bytes:
        made = blank.copy()
        for part in parts:
            made.update(len(part).to_bytes(8, "big"))
            made.update(part)
        return made.digest()

    return mac


def _identity(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0, 0
    return found.st_dev, found.st_ino, found.st_mtime_ns
