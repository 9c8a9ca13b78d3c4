"""Walk: reads a folder's trail from its first line to its last, and stops at what isn't as it was written."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from penstock.audit import folder as disk
from penstock.audit.line import FIRST_PREV, LONGEST, Line, Seal, head_line, read, read_head
from penstock.audit.record import Checkpoint, Opens
from penstock.stores.keyring import Keyring

ALTERED: Final = "is not as it was written"


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where a trail is not as it was written."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class Broken(Exception):
    """The trail is not as it was written, from this place on."""

    def __init__(self, file: str, line: int, reason: str) -> None:
        self.broken = Break(file, line, reason)
        super().__init__(str(self.broken))


@dataclass(slots=True)
class _Snapshot:
    """What the folder held in one moment between two writes."""

    files: list[tuple[Path, int]]
    heads: bytes | None


@dataclass(slots=True)
class Walk:
    """One way through a folder; afterwards it knows how the trail ended.

    `heads` are the lines that `heads.jsonl` must have, recomputed from the chain; `torn` names the lines
    that crashes left unfinished and that later lines own up to.
    """

    folder: Path
    keyring: Keyring
    trail: str = ""
    files: int = 0
    seq: int = 0
    heads: list[bytes] = field(default_factory=list)
    after_head: int = 0
    torn: list[str] = field(default_factory=list)
    _mac: str = FIRST_PREV
    _fragment: bytes = b""
    _last_file: str = ""

    def lines(self) -> Iterator[tuple[bytes, Line]]:
        """Give every line, raw and read. Raises Broken at the first that is wrong, and OSError."""
        snapshot = _snapshot(self.folder)
        if not snapshot.files:
            raise Broken(disk.file_name(1), 0, "all files of the trail are missing")
        chain, heads = Seal(self.keyring, "chain"), Seal(self.keyring, "heads")
        for path, size in snapshot.files:
            with path.open("rb") as file:
                yield from self._file(path, file, size, chain, heads)
        self._check_heads(snapshot.heads, heads)
        if self._fragment:
            raise Broken(
                self._last_file,
                self._line_after(),
                f"an unfinished line of {len(self._fragment)} bytes: a crash, or a cut",
            )

    def _file(
        self, path: Path, file: BinaryIO, size: int, chain: Seal, heads: Seal
    ) -> Iterator[tuple[bytes, Line]]:
        self._last_file, named = path.name, disk.first_seq(path)
        if named != self.seq + 1:
            raise Broken(path.name, 0, self._gap(named))
        self.files += 1
        number = 0
        while file.tell() < size:
            number += 1
            raw = file.readline(LONGEST)
            if not raw.endswith(b"\n"):
                self._leave_fragment(path.name, number, raw + file.read(size - file.tell()))
                break
            line = read(chain, raw)
            if line is None:
                raise Broken(path.name, number, ALTERED)
            self._follow(path.name, number, line, chain)
            if isinstance(line.record, Checkpoint):
                self._note_head(path.name, number, line, heads)
            yield raw, line
        if number == 0:
            raise Broken(path.name, 0, "the file is empty")

    def _leave_fragment(self, name: str, number: int, raw: bytes) -> None:
        """Keep an unfinished line: the next file must own up to it."""
        if b"\n" in raw or number == 1:  # longer than any line of ours, or a file that never began
            raise Broken(name, number, ALTERED)
        self._fragment = raw

    def _follow(self, name: str, number: int, line: Line, chain: Seal) -> None:
        """Check a line's place: behind the line before it, a file's first line where a file begins."""
        if line.seq != self.seq + 1:
            raise Broken(name, number, self._gap(line.seq))
        if line.prev != self._mac:
            raise Broken(name, number, "belongs to another trail, or to a fork of this one")
        if isinstance(line.record, Opens) != (number == 1):
            raise Broken(name, number, "files were joined or split here")
        if isinstance(line.record, Opens):
            self._open(name, line.record, chain)
        self.seq, self._mac = line.seq, line.mac
        self.after_head += 1

    def _open(self, name: str, opens: Opens, chain: Seal) -> None:
        fragment = self._fragment
        owned = (len(fragment), chain.mac(fragment) if fragment else "")
        if (opens.torn_bytes, opens.torn_mac) != owned:
            raise Broken(name, 1, "the file before it does not end as this line says")
        if fragment:
            self.torn.append(f"{len(fragment)} bytes before line {self.seq + 1}")
        self._fragment = b""
        self.trail = opens.trail

    def _note_head(self, name: str, number: int, line: Line, heads: Seal) -> None:
        at = len(self.heads) + 1
        if not isinstance(line.record, Checkpoint) or line.record.number != at:
            raise Broken(name, number, f"should be checkpoint {at}: heads were lost, and the trail went on")
        self.heads.append(head_line(heads, self.trail, at, line.seq, line.mac, line.time))
        self.after_head = 0

    def _check_heads(self, content: bytes | None, seal: Seal) -> None:
        there = (content or b"").splitlines(keepends=True)
        for number, (expected, actual) in enumerate(zip(self.heads, there, strict=False), 1):
            if expected != actual:
                raise Broken(disk.HEADS, number, wrong_head(actual, self, seal))
        if len(there) > len(self.heads):
            number = len(self.heads) + 1
            raise Broken(disk.HEADS, number, wrong_head(there[number - 1], self, seal))
        if len(there) < len(self.heads):
            missing = len(self.heads) - len(there)
            what = (
                "is missing: a crash in that moment, or a cut"
                if missing == 1
                else "and later ones are missing"
            )
            raise Broken(disk.HEADS, len(there) + 1, f"head {len(there) + 1} {what}")

    def _gap(self, seq: int) -> str:
        if seq > self.seq + 1:
            return f"lines {self.seq + 1} to {seq - 1} of the trail are missing before this"
        return f"line {seq} of the trail stands here, where line {self.seq + 1} should"

    def _line_after(self) -> int:
        return self.seq + 2 - int(self._last_file[6:18])


def wrong_head(raw: bytes, walk: Walk, seal: Seal) -> str:
    """Say what is wrong with a head that is not the one of its number in the chain just walked."""
    head = read_head(seal, raw)
    if head is None:
        return ALTERED
    if head.trail != walk.trail:
        return "is a head of another trail"
    if head.seq > walk.seq:
        return f"the trail ends in line {walk.seq}, but this head is of line {head.seq}: it was cut"
    return f"is head {head.number} of line {head.seq}, out of its place or of a fork"


def _snapshot(folder: Path) -> _Snapshot:
    with disk.locked(folder, alone=False):
        files = [(path, path.stat().st_size) for path in disk.trail_files(folder)]
        heads = folder / disk.HEADS
        return _Snapshot(files, heads.read_bytes() if heads.exists() else None)
