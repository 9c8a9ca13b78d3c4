"""Reads a policy file from disk. Nothing but a Document ever comes out, whatever went in."""

import os
import stat
from pathlib import Path
from typing import Final

from penstock.policy.document import NOWHERE, Document, after
from penstock.policy.node import Node
from penstock.policy.yaml_compose import compose

LIMIT_BYTES: Final = 1024 * 1024


def read_document(path: Path) -> Document:
    """Read a policy file. A missing one reads as an empty mapping that does not `exist`."""
    document = Document(str(path))
    try:
        raw = _read(path)
    except FileNotFoundError:
        document.exists = False
        document.root = Node(NOWHERE, {})
        return document
    except OSError as problem:
        document.fault(None, "", f"can't be read: {problem.strerror or type(problem).__name__}")
        return document
    if len(raw) > LIMIT_BYTES:
        document.fault(None, "", f"is larger than {LIMIT_BYTES // 1024} KiB")
        return document
    try:
        document.text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        document.text = raw.decode("utf-8-sig", "replace")
        before = raw[: problem.start].decode("utf-8-sig")
        document.fault(after(before), "", "the file is not UTF-8", remedy="save it as UTF-8")
        return document
    compose(document)
    return document


def _read(path: Path) -> bytes:
    """Read a regular file, a little past the limit; a pipe could keep us waiting for ever."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "not a regular file")
        return file.read(LIMIT_BYTES + 1)
