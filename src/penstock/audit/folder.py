"""The trail's folder: names, one lock for all processes, and files that appear whole or not at all."""

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

HEADS: Final = "heads.jsonl"
_LOCK: Final = "lock"
_NAME: Final = re.compile(r"audit-(\d{12})\.jsonl")
_DRAFT: Final = ".draft-"
_END_BYTES: Final = 8192


def file_name(seq: int) -> str:
    """Give the name of the file that begins with this line."""
    return f"audit-{seq:012d}.jsonl"


def first_seq(file: Path) -> int:
    """Give the number of a file's first line, as its name says it."""
    found = _NAME.fullmatch(file.name)
    return int(found[1]) if found else 0


def trail_files(folder: Path) -> list[Path]:
    """Give the trail's files in order. Raises OSError."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


@contextlib.contextmanager
def locked(folder: Path, *, alone: bool) -> Iterator[None]:
    """Hold the folder's lock, alone or with other readers. Raises OSError.

    The kernel lets go of it when a process dies. A reader of a copy without a lock file has none to hold.
    """
    path = folder / _LOCK
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT if alone else os.O_RDONLY, 0o600)
    except FileNotFoundError:
        if alone:
            raise
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def create_whole(path: Path, content: bytes) -> bool:
    """Write a new file (0600) that is there whole or not at all; False if there is one already.

    Raises OSError.
    """
    draft = path.with_name(f"{_DRAFT}{secrets.token_hex(8)}")
    try:
        append(draft, [content])
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True


def append(path: Path, pieces: Iterable[bytes]) -> int:
    """Append pieces to a file (0600) and make them durable; give its new size.

    Raises OSError, and tries before to leave the file as it was.
    """
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        before = os.fstat(handle).st_size
        try:
            for piece in pieces:
                write_all(handle, piece)
            os.fsync(handle)
        except OSError as problem:
            problem.filename = str(path)  # a handle's errors don't say
            with contextlib.suppress(OSError):
                os.ftruncate(handle, before)
            raise
        return os.fstat(handle).st_size
    finally:
        os.close(handle)


def write_all(handle: int, content: bytes) -> None:
    """Write all bytes, in as many calls as the system wants. Raises OSError."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(handle, rest) :]


def sync_folder(folder: Path) -> None:
    """Make new and deleted names durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_drafts(folder: Path) -> None:
    """Remove what a process that was killed has left half made. Only under the lock. Raises OSError."""
    for path in folder.glob(f"{_DRAFT}*"):
        path.unlink(missing_ok=True)


def last_line(path: Path) -> tuple[bytes, bytes]:
    """Give a file's last whole line and what stands unfinished behind it. Raises OSError."""
    with path.open("rb") as file:
        size, much = file.seek(0, os.SEEK_END), _END_BYTES
        while True:
            start = file.seek(max(0, size - much))
            whole, found, torn = file.read(size - start).rpartition(b"\n")
            before, _, line = whole.rpartition(b"\n")
            if before or start == 0:
                return (line + b"\n" if found else b""), torn
            much *= 4


def drop_torn(path: Path) -> None:
    """Take off what stands unfinished behind a file's last whole line, if there is such a file.

    Raises OSError.
    """
    torn = last_line(path)[1] if path.exists() else b""
    if torn:
        with path.open("r+b") as file:
            file.truncate(file.seek(-len(torn), os.SEEK_END))
            os.fsync(file.fileno())
