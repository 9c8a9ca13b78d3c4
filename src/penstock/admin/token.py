"""The admin API's token: one line in the state folder that only the gateway's user may read."""

import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from penstock.errors import StartError

_TOKEN_BYTES: Final = 32
_LEAST_CHARS: Final = 32


class Token:
    """`admin.token` of a state folder. It is read anew at each look, so that a new one counts at once."""

    def __init__(self, state: Path) -> None:
        self.path = state / "admin.token"

    def read(self) -> str:
        """Give the token, made with mode 0600 if there is none.

        Raises StartError for one that others may read, that is too short, or that can't be read.
        """
        try:
            if not self.path.exists():
                self._make()
            if self.path.stat().st_mode & 0o077:
                raise StartError(f"{self.path}: others may read it; run: chmod 600 {self.path}")
            token = self.path.read_text(encoding="ascii").strip()
        except OSError as problem:
            raise StartError(f"{self.path}: {problem.strerror}") from None
        except UnicodeDecodeError:
            raise StartError(f"{self.path}: a token is one line of ASCII") from None
        if len(token) < _LEAST_CHARS:
            raise StartError(f"{self.path}: a token has at least {_LEAST_CHARS} characters")
        return token

    def opens(self, authorization: str) -> bool:
        """Say whether a header's value shows the token, in constant time. Raises StartError."""
        scheme, _, shown = authorization.partition(" ")
        same = hmac.compare_digest(shown.strip().encode("utf-8", "surrogateescape"), self.read().encode())
        return same and scheme.lower() == "bearer"

    def _make(self) -> None:
        """Write a new token whole or not at all, and never over one that is there."""
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(_TOKEN_BYTES) + "\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, self.path)
            except FileExistsError:
                return
        finally:
            draft.unlink()
