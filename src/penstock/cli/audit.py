"""`audit`: verifies, shows and exports the audit trail, and erases a tenant's key."""

import argparse
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from penstock.audit.chain import Chain
from penstock.audit.export import Choice, JsonLines, csv_head, csv_row, moment, verify_export
from penstock.audit.keys import TenantKeys
from penstock.audit.line import Line
from penstock.audit.problems import AuditUnavailable
from penstock.audit.record import Erased, Record, Tally, is_tenant, stamp
from penstock.audit.verify import Verdict, refuse_wrong_key, verify
from penstock.audit.walk import Broken, Walk
from penstock.cli.table import table
from penstock.clock import SYSTEM
from penstock.errors import StartError
from penstock.settings import Settings, options_parser
from penstock.stores.keyring import Keyring

_FILTERS: Final = frozenset({"tenant", "type", "since", "until"})
_TAKES: Final = {
    "verify": frozenset({"path", "heads", "json"}),
    "show": _FILTERS | {"last", "json"},
    "export": _FILTERS | {"format"},
    "erase": frozenset({"tenant"}),
}
_SHOWN: Final = 50
_HEAD: Final = ("line", "time", "tenant", "type", "action", "pointer", "detector", "value")


def run(words: Sequence[str]) -> int:
    """Do what is asked; 1 for a trail that isn't as it was written. Raises StartError."""
    parser = _parser()
    options = parser.parse_args(words)
    if options.what not in _TAKES:
        raise StartError("penstock audit: say what to do: verify, show, export or erase")
    for name in _FILTERS | {"path", "heads", "json", "last", "format"}:
        if getattr(options, name) and name not in _TAKES[options.what]:
            said = name if name == "path" else f"--{name}"
            raise StartError(f"penstock audit {options.what} takes no {said}")
    state = Settings.of(options).state
    verbs: dict[str, Callable[[argparse.Namespace, Path, Keyring], int]] = {
        "verify": _verify,
        "show": _show,
        "export": _export,
        "erase": _erase,
    }
    return verbs[options.what](options, state / "audit", _keyring(state))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("penstock audit", parents=[options_parser()], allow_abbrev=False)
    parser.add_argument("what", nargs="?", metavar="verify|show|export|erase", help="what to do")
    parser.add_argument(
        "path", nargs="?", metavar="PATH", help="verify this copy of a folder, or this export, instead"
    )
    parser.add_argument("--heads", metavar="FILE", help="verify: compare with heads that were kept elsewhere")
    parser.add_argument("--tenant", metavar="T", help="this tenant's records; erase: whose key")
    parser.add_argument("--type", metavar="X", help="records of this type, such as EMAIL")
    parser.add_argument(
        "--since", metavar="ISO", help="from this date or time on; UTC unless it says otherwise"
    )
    parser.add_argument("--until", metavar="ISO", help="before this date or time")
    parser.add_argument("--format", choices=("jsonl", "csv"), help="export: jsonl if left out")
    parser.add_argument("--last", type=int, metavar="N", help=f"show: so many, {_SHOWN} if left out")
    parser.add_argument("--json", action="store_true", help="verify, show: print JSON")
    return parser


def _keyring(state: Path) -> Keyring:
    path = state / "keyring.key"
    if not path.exists():  # reading a trail must not make a key
        raise StartError(f"{path}: no such file; --state names the gateway's state folder")
    return Keyring.in_folder(state)


def _verify(options: argparse.Namespace, folder: Path, keyring: Keyring) -> int:
    path = Path(options.path) if options.path else folder
    heads = Path(options.heads) if options.heads else None
    if path.is_file():
        if heads:
            raise StartError("penstock audit verify: an export is not compared with heads; verify the folder")
        verdict = verify_export(path, keyring)
    else:
        verdict = verify(path, keyring, heads)
    if options.json:
        print(msgspec.json.encode(verdict).decode())
    elif verdict.broken:
        print(verdict.broken, file=sys.stderr)
    else:
        print(_said(verdict))
    return verdict.exit_code


def _said(verdict: Verdict) -> str:
    lines = [f"{verdict.lines} lines in {_count(verdict.files, 'file')}: every byte is as it was written"]
    if verdict.heads:
        lines.append(f"{_count(verdict.heads, 'head')}; {_count(verdict.after_head, 'line')} after the last")
    lines += [f"a crash left {torn} unfinished" for torn in verdict.torn]
    return "\n".join(lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _show(options: argparse.Namespace, folder: Path, keyring: Keyring) -> int:
    reading = _Reading(folder, keyring, _choice(options))
    shown: deque[Line] = deque(maxlen=max(options.last or _SHOWN, 0))
    counts: Counter[str] = Counter()
    for _, line in reading.lines():
        if isinstance(line.record, Record | Tally | Erased):
            shown.append(line)
            kind = getattr(line.record, "type", "erased")
            counts[kind] += getattr(line.record, "count", 1)
    if options.json:
        print(msgspec.json.encode(list(shown)).decode())
    else:
        print(table(_HEAD, [_row(line) for line in shown]))
        print("\n" + (", ".join(f"{kind} {count}" for kind, count in sorted(counts.items())) or "nothing"))
    return reading.end()


def _row(line: Line) -> tuple[str, ...]:
    record, tenant = line.record, getattr(line.record, "tenant", "")
    start = (str(line.seq), line.time, tenant)
    if isinstance(record, Record):
        place = f"{record.direction} {record.pointer} {record.start}-{record.end}"
        return (*start, record.type, record.action, place, record.detector, record.value_mac[:12])
    if isinstance(record, Tally):
        return (*start, record.type, f"{record.count} found", "", "", "")
    return (*start, "", "key erased", "", "", "")


def _export(options: argparse.Namespace, folder: Path, keyring: Keyring) -> int:
    choice = _choice(options)
    reading = _Reading(folder, keyring, choice)
    out = sys.stdout
    if options.format == "csv":
        out.write(csv_head())
        for _, line in reading.lines():
            out.write(csv_row(line))
        return reading.end()
    writer = JsonLines(keyring, choice)
    for raw, _ in reading.lines():
        out.write(writer.line(raw).decode())
    if code := reading.end():
        return code  # without its last line it is no export that verifies
    out.write(writer.end().decode())
    return 0


def _erase(options: argparse.Namespace, folder: Path, keyring: Keyring) -> int:
    tenant = options.tenant
    if not tenant:
        raise StartError("penstock audit erase: say whose key with --tenant")
    if not folder.is_dir():
        raise StartError(f"{folder}: there is no audit trail")
    try:
        if not is_tenant(tenant) or not TenantKeys(folder, keyring).erase(tenant):
            raise StartError(f"there is no key of a tenant {tenant!r}")
    except AuditUnavailable as problem:
        raise StartError(str(problem)) from None
    chain, time = Chain(folder, keyring), stamp(SYSTEM.now())
    try:
        chain.append([(time, Erased(tenant))])
        chain.checkpoint(time)
    except AuditUnavailable as problem:
        raise StartError(f"the key of {tenant} is erased, but the trail can't say so: {problem}") from None
    print(f"the key of {tenant} is erased: no MAC recorded so far can be linked to a value any more")
    return 0


class _Reading:
    """Reads what is wanted of a trail that is verified on the way."""

    def __init__(self, folder: Path, keyring: Keyring, choice: Choice) -> None:
        if not folder.is_dir():
            raise StartError(f"{folder}: there is no audit trail")
        self._walk = Walk(folder, keyring)
        self._choice = choice
        self._broken: Broken | None = None

    def lines(self) -> Iterator[tuple[bytes, Line]]:
        try:
            for raw, line in self._walk.lines():
                if self._choice.takes(line):
                    yield raw, line
        except Broken as broken:
            refuse_wrong_key(self._walk)
            self._broken = broken
        except OSError as problem:
            raise StartError(f"{problem.filename}: {problem.strerror}") from None

    def end(self) -> int:
        """Say where the trail broke, and give the exit code."""
        if self._broken:
            print(f"{self._broken}; what comes after it is not shown", file=sys.stderr)
        return 1 if self._broken else 0


def _choice(options: argparse.Namespace) -> Choice:
    try:
        times = [moment(text) if text else "" for text in (options.since, options.until)]
    except (ValueError, OverflowError):
        raise StartError(
            "penstock audit: write --since and --until as 2027-01-31 or 2027-01-31T12:00:00"
        ) from None
    return Choice(options.tenant or "", options.type or "", *times)
