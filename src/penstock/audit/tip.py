"""Tip: where the chain of a folder ends, and whether it may be continued from there."""

from dataclasses import dataclass
from pathlib import Path

from penstock.audit import folder as disk
from penstock.audit.line import Head, Line, Seal, read, read_head
from penstock.audit.problems import AuditUnavailable
from penstock.audit.record import Checkpoint, Opens


@dataclass(frozen=True, slots=True)
class Tip:
    """The end of a chain: a file of so many bytes, its last line, and the last head.

    `torn` is what a killed process left unfinished behind the last line; `headless` says that the last
    line is a checkpoint whose head was not written any more.
    """

    trail: str
    file: Path
    size: int
    seq: int
    mac: str
    time: str
    head: Head | None
    torn: bytes = b""
    headless: bool = False

    @property
    def heads(self) -> int:
        """How many heads there are."""
        return self.head.number if self.head else 0

    @property
    def after_head(self) -> int:
        """How many lines no head vouches for."""
        return self.seq - self.head.seq if self.head else self.seq


def find_tip(folder: Path, seal: Seal, head_seal: Seal) -> Tip:
    """Read where the chain ends. Hold the folder's lock alone. Raises AuditUnavailable, OSError."""
    file = newest(folder)
    with file.open("rb") as opened:
        first = read(seal, opened.readline())
    raw, torn = disk.last_line(file)
    last = read(seal, raw)
    if first is None or not isinstance(first.record, Opens) or last is None:
        raise AuditUnavailable(
            f"{file}: its last line is not as this key wrote it; run: penstock audit verify"
        )
    head = _last_head(folder / disk.HEADS, head_seal)
    checkpoint = last.record.number if isinstance(last.record, Checkpoint) else 0
    tip = Tip(
        trail=first.record.trail,
        file=file,
        size=file.stat().st_size,
        seq=last.seq,
        mac=last.mac,
        time=last.time,
        head=head,
        torn=torn,
        headless=checkpoint == (head.number if head else 0) + 1,
    )
    _check(tip, last, folder / disk.HEADS)
    return tip


def newest(folder: Path) -> Path:
    """Give the file that the chain ends in. Raises AuditUnavailable, OSError."""
    files = disk.trail_files(folder)
    if not files:
        raise AuditUnavailable(f"{folder}: the trail's files are gone")
    return files[-1]


def _last_head(path: Path, seal: Seal) -> Head | None:
    if not path.exists():
        return None
    disk.drop_torn(path)  # a head can be written again: the chain holds all that is in it
    raw, _ = disk.last_line(path)
    head = read_head(seal, raw) if raw else None
    if raw and head is None:
        raise AuditUnavailable(
            f"{path}: the last head is not as this key wrote it; run: penstock audit verify"
        )
    return head


def _check(tip: Tip, last: Line, heads: Path) -> None:
    """Refuse to continue a chain that ends before its last head, or that lost heads."""
    head = tip.head
    if head is None:
        if tip.seq > 2:  # line 2 is the first checkpoint
            raise AuditUnavailable(f"{heads}: all heads are gone; run: penstock audit verify")
        return
    if head.trail != tip.trail:
        raise AuditUnavailable(f"{heads}: the last head is of another trail; run: penstock audit verify")
    if isinstance(last.record, Checkpoint) and last.record.number > head.number + 1:
        raise AuditUnavailable(f"{heads}: heads are missing; run: penstock audit verify")
    if head.seq > tip.seq or (head.seq == tip.seq and head.line_mac != tip.mac):
        raise AuditUnavailable(
            f"{tip.file}: the trail ends in line {tip.seq}, but its last head is of line {head.seq}; "
            "run: penstock audit verify"
        )
