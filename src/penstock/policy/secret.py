"""Secrets: a policy says where one stands, and it is read from there."""

import os
from pathlib import Path

from penstock.errors import StartError


def read_secret(reference: str) -> str:
    """Read what `env:NAME` or `file:PATH` stands for. Raises StartError without the secret."""
    kind, _, name = reference.partition(":")
    try:
        secret = os.environ[name] if kind == "env" else Path(name).read_text(encoding="utf-8").strip()
    except KeyError:
        raise StartError(f"{reference}: the environment has no variable {name}") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise StartError(f"{reference}: {type(problem).__name__}") from None
    if not secret or not secret.isprintable():
        raise StartError(f"{reference}: is empty or has characters that a header can't hold")
    return secret
