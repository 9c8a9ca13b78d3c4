"""Export: chosen lines of a trail for other eyes, as JSON lines with a seal at the end, or as CSV."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from penstock.audit.line import LONGEST, Line, Seal, read
from penstock.audit.record import encode, stamp
from penstock.audit.verify import Verdict, refuse_others
from penstock.audit.walk import ALTERED, Broken
from penstock.errors import StartError
from penstock.stores.keyring import Keyring

COLUMNS: Final = (
    *("seq", "time", "kind", "tenant", "request", "direction", "pointer", "start", "end", "type", "detector"),
    *("version", "checked", "action", "policy", "value_mac", "count"),
)


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which lines are wanted; times as `stamp` writes them, `until` exclusive. Empty stands for all."""

    tenant: str = ""
    type: str = ""
    since: str = ""
    until: str = ""

    def takes(self, line: Line) -> bool:
        """Whether a line is wanted. A tenant or a type leaves out lines that have none."""
        return (
            (not self.tenant or getattr(line.record, "tenant", None) == self.tenant)
            and (not self.type or getattr(line.record, "type", None) == self.type)
            and (not self.since or line.time >= self.since)
            and (not self.until or line.time < self.until)
        )


class _Export(msgspec.Struct, frozen=True, tag="export", tag_field="kind", forbid_unknown_fields=True):
    """The end of an export: how many lines there are, and what was asked for."""

    asked: Choice
    lines: int
    lines_mac: str


class _ExportLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mac: str
    record: _Export


class JsonLines:
    """Writes lines as they stand in the trail, and a last one that vouches for all of them."""

    def __init__(self, keyring: Keyring, choice: Choice) -> None:
        self._seal = Seal(keyring, "export")
        self._choice = choice
        self._lines = 0
        self._mac = ""

    @property
    def written(self) -> tuple[int, str]:
        """How many lines there were, and a MAC over them."""
        return self._lines, self._mac

    def line(self, raw: bytes) -> bytes:
        """Give a line's bytes."""
        self._lines += 1
        self._mac = self._seal.mac(self._mac.encode() + raw)
        return raw

    def end(self) -> bytes:
        """Give the last line."""
        record = encode(_Export(self._choice, self._lines, self._mac))
        return self._seal.sealed(b'"record":%b}' % record)[1]


def csv_row(line: Line) -> str:
    """Give a line as a row of CSV; what its kind does not have is empty."""
    record = msgspec.to_builtins(line.record) | {"seq": line.seq, "time": line.time}
    return _csv([record.get(name, "") for name in COLUMNS])


def csv_head() -> str:
    """Give the row of the columns' names."""
    return _csv(list(COLUMNS))


def verify_export(path: Path, keyring: Keyring) -> Verdict:
    """Check an export in JSON lines. Raises StartError for a file that can't be read, and WrongKey."""
    count = 0
    try:
        for _ in _exported(path, keyring):
            count += 1
    except Broken as problem:
        if count == 0:
            refuse_others(path, [path], keyring)
        return Verdict(count, 1, broken=problem.broken)
    except OSError as problem:
        raise StartError(f"{path}: {problem.strerror}") from None
    return Verdict(count, 1)


def moment(text: str) -> str:
    """Read an ISO date or time, in UTC where it doesn't say; give it as the trail writes times.

    Raises ValueError.
    """
    read = datetime.fromisoformat(text)
    return stamp((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())


def _exported(path: Path, keyring: Keyring) -> Iterator[Line]:
    chain, last, writer = Seal(keyring, "chain"), None, JsonLines(keyring, Choice())
    sealed, number = False, 0
    with path.open("rb") as file:
        for number, raw in enumerate(iter(lambda: file.readline(LONGEST), b""), 1):
            if sealed:
                raise Broken(path.name, number, "stands behind the end of the export")
            line = read(chain, raw)
            if line is None:
                _check_end(path, number, raw, writer, keyring)
                sealed = True
                continue
            if last is not None and (
                line.seq <= last.seq or (line.seq == last.seq + 1 and line.prev != last.mac)
            ):
                raise Broken(
                    path.name, number, f"line {line.seq} of the trail does not follow line {last.seq}"
                )
            writer.line(raw)
            last = line
            yield line
    if not sealed:
        raise Broken(path.name, number + 1, "the end of the export is missing")


def _check_end(path: Path, number: int, raw: bytes, writer: JsonLines, keyring: Keyring) -> None:
    seal = Seal(keyring, "export")
    if not seal.is_ours(raw):
        raise Broken(path.name, number, ALTERED)
    end = msgspec.json.decode(raw, type=_ExportLine).record
    if (end.lines, end.lines_mac) != writer.written:
        raise Broken(path.name, number, f"{end.lines} lines were exported before it, others than these")


def _csv(values: list[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue()
