"""Chain: the one chain of a folder, continued by whichever process holds the folder's lock.

Every write looks first at where the chain ends, for another process may have gone on. What a killed
process left unfinished is neither cut off nor continued: the next file's first line says that it is there.
"""

import contextlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import batched
from pathlib import Path
from typing import Final

from penstock.audit import folder as disk
from penstock.audit.line import FIRST_PREV, Seal, chained, head_line, read_head
from penstock.audit.problems import AuditUnavailable
from penstock.audit.record import AnyRecord, Checkpoint, Opens, encode
from penstock.audit.tip import Tip, find_tip, newest
from penstock.stores.keyring import Keyring

_LINES_AT_ONCE: Final = 32  # a third of a millisecond before other threads get their turn

Timed = tuple[str, AnyRecord]
"""A record and its time, as `stamp` writes it."""


class Chain:
    """Appends to the chain of a folder. Not for two threads at once; for any number of processes.

    Heads go to `heads.jsonl` of the folder and, if given, to the file `heads_to`.
    """

    def __init__(
        self,
        folder: Path,
        keyring: Keyring,
        *,
        heads_to: Path | None = None,
        rotate_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._folder = folder
        self._seal = Seal(keyring, "chain")
        self._head_seal = Seal(keyring, "heads")
        self._heads_to = heads_to
        self._owed: list[bytes] = []  # heads that `heads_to` has not taken yet
        self._rotate_bytes = rotate_bytes
        self._software = version("penstock")
        self._tip: Tip | None = None
        self._least_seq = 0

    def start(self, time: str) -> None:
        """Begin a trail in an empty folder, or find the end of the one there and vouch for it.

        Raises AuditUnavailable.
        """
        with self._plain_errors():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            disk.remove_drafts(self._folder)
            if disk.trail_files(self._folder):
                self._checkpoint(self._current(), time)
            elif (self._folder / disk.HEADS).exists():
                raise AuditUnavailable(f"{self._folder}: there are heads, but the trail's files are gone")
            else:
                self._begin(time)
            self._export_heads()

    def append(self, records: Sequence[Timed]) -> int:
        """Write records and make them durable; give how many lines no head vouches for yet.

        Raises AuditUnavailable.
        """
        with self._alone():
            tip = self._current()
            self._export_heads()  # first: were it to fail after the records, they would be written twice
            if records:
                if tip.torn or tip.size >= self._rotate_bytes:
                    tip = self._next_file(tip, records[0][0])
                tip = self._write(tip, records)
            return tip.after_head

    def checkpoint(self, time: str) -> None:
        """Write a head, unless one vouches for the chain's last line already. Raises AuditUnavailable."""
        with self._alone():
            self._checkpoint(self._current(), time)
            self._export_heads()

    def _begin(self, time: str) -> None:
        trail, file = secrets.token_hex(16), self._folder / disk.file_name(1)
        mac, raw = chained(self._seal, FIRST_PREV, 1, time, encode(Opens(trail, self._software)))
        disk.create_whole(file, raw)
        self._checkpoint(Tip(trail, file, len(raw), 1, mac, time, None), time)

    def _checkpoint(self, tip: Tip, time: str) -> None:
        if tip.torn:
            tip = self._next_file(tip, time)
        if tip.after_head:
            tip = self._write(tip, [(time, Checkpoint(tip.heads + 1))])
            self._write_head(tip)

    def _next_file(self, tip: Tip, time: str) -> Tip:
        torn_mac = self._seal.mac(tip.torn) if tip.torn else ""
        record = encode(Opens(tip.trail, self._software, len(tip.torn), torn_mac))
        seq = tip.seq + 1
        mac, raw = chained(self._seal, tip.mac, seq, time, record)
        file = self._folder / disk.file_name(seq)
        if not disk.create_whole(file, raw):
            raise AuditUnavailable(f"{file}: stands where the trail's next file should")
        return self._keep(replace(tip, file=file, size=len(raw), seq=seq, mac=mac, time=time, torn=b""))

    def _write(self, tip: Tip, records: Iterable[Timed]) -> Tip:
        mac, seq, time = tip.mac, tip.seq, tip.time

        def pieces() -> Iterator[bytes]:
            nonlocal mac, seq, time
            for some in batched(records, _LINES_AT_ONCE):
                lines: list[bytes] = []
                for time, record in some:
                    seq += 1
                    mac, raw = chained(self._seal, mac, seq, time, encode(record))
                    lines.append(raw)
                yield b"".join(lines)

        size = disk.append(tip.file, pieces())
        return self._keep(replace(tip, size=size, seq=seq, mac=mac, time=time))

    def _write_head(self, tip: Tip) -> None:
        """Write the head of a tip that is a checkpoint; the chain holds that line already."""
        raw = head_line(self._head_seal, tip.trail, tip.heads + 1, tip.seq, tip.mac, tip.time)
        disk.append(self._folder / disk.HEADS, [raw])
        self._owed.append(raw)
        self._keep(replace(tip, head=read_head(self._head_seal, raw), headless=False))

    def _export_heads(self) -> None:
        if self._owed and self._heads_to is not None:
            disk.drop_torn(self._heads_to)
            disk.append(self._heads_to, self._owed)
        self._owed.clear()

    def _current(self) -> Tip:
        """Give where the chain ends now; from memory where no other process has gone on."""
        file = newest(self._folder)
        tip = self._tip
        if tip is None or tip.file != file or tip.size != file.stat().st_size:
            tip = find_tip(self._folder, self._seal, self._head_seal)
            if tip.seq < self._least_seq:
                raise AuditUnavailable(f"{tip.file}: lines behind {tip.seq} were written and are gone")
            if self._keep(tip).headless:
                self._write_head(tip)
        return self._tip or tip

    def _keep(self, tip: Tip) -> Tip:
        self._tip, self._least_seq = tip, tip.seq
        return tip

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder's lock; after any error the chain's end is looked for anew."""
        with self._plain_errors(), disk.locked(self._folder, alone=True):
            try:
                yield
            except BaseException:
                self._tip = None
                raise

    @contextlib.contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            raise AuditUnavailable(f"{problem.filename or self._folder}: {problem.strerror}") from None
