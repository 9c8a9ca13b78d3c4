"""What the audit's tests share: records, and trails of several files."""

import time
from pathlib import Path

from penstock.audit.chain import Chain
from penstock.audit.record import Record, Tally, stamp
from penstock.stores.keyring import Keyring
from penstock.testing import FrozenClock

KEYS = Keyring(bytes(range(32)))
OTHER_KEYS = Keyring(bytes(32))
NOON = stamp(FrozenClock().now())


def record(at: int = 0, **fields: object) -> Record:
    """Make a record; each number gives another one."""
    given = {
        "tenant": "acme",
        "request": f"req_{at:024x}",
        "direction": "request",
        "pointer": f"/messages/{at % 7}/content",
        "start": at,
        "end": at + 11,
        "type": "EMAIL",
        "detector": "contact.email",
        "version": "1",
        "checked": True,
        "action": "placeholder",
        "policy": "0123abcd",
        "value_mac": f"{at:032x}",
    }
    return Record(**(given | fields))  # type: ignore[arg-type]


def write(
    folder: Path, lines: int, *, every: int = 10, heads_to: Path | None = None, rotate_bytes: int = 8000
) -> Chain:
    """Write a trail of so many records, a head after every few, and one at the end."""
    chain = Chain(folder, KEYS, heads_to=heads_to, rotate_bytes=rotate_bytes)
    chain.start(NOON)
    for at in range(lines):
        chain.append([(NOON, record(at) if at % 9 else Tally("acme", "IP", at + 1, "0123abcd"))])
        if at % every == every - 1:
            chain.checkpoint(NOON)
    chain.checkpoint(NOON)
    return chain


def tear(folder: Path, fragment: bytes = b'{"mac":"123') -> Path:
    """Leave an unfinished line at the trail's end, as a killed process does."""
    last = max(folder.glob("audit-*.jsonl"))
    with last.open("ab") as file:
        file.write(fragment)
    return last


def contents(folder: Path) -> dict[str, bytes]:
    """Give the trail's files and its heads."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.jsonl"))}


def eventually(true, within_s: float = 20.0) -> bool:
    """Wait until something is true; False if it never is."""
    tries = int(within_s / 0.01)
    for _ in range(tries):
        if true():
            return True
        time.sleep(0.01)
    return False
