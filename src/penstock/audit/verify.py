"""Verify: whether a trail is as it was written, all of it, and if not, where it first isn't."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock.audit import folder as disk
from penstock.audit.line import Seal
from penstock.audit.problems import WrongKey
from penstock.audit.walk import Break, Broken, Walk, wrong_head
from penstock.errors import StartError
from penstock.stores.keyring import Keyring

_BEGINNING: Final = re.compile(rb'\{"mac":"')
_LOOKED_AT_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verification found. `after_head` lines at the end have no head yet: a cut there would not show.

    `torn` names lines that crashes left unfinished and that the trail owns up to.
    """

    lines: int
    files: int
    heads: int = 0
    after_head: int = 0
    torn: tuple[str, ...] = ()
    broken: Break | None = None

    @property
    def exit_code(self) -> int:
        """0 for a trail that is as it was written, else 1."""
        return 1 if self.broken else 0


def verify(folder: Path, keyring: Keyring, heads_from: Path | None = None) -> Verdict:
    """Walk a folder, and compare it with heads that were exported to a file elsewhere.

    Raises StartError for what isn't there or can't be read, WrongKey where nothing fits the key.
    """
    walk = Walk(folder, keyring)
    broken = None
    try:
        if not folder.is_dir() or not (
            disk.trail_files(folder) or (folder / disk.HEADS).exists() or heads_from
        ):
            raise StartError(f"{folder}: there is no audit trail")
        exported = heads_from.read_bytes() if heads_from else None  # before the walk: gateways go on writing
        for _ in walk.lines():
            pass
        if exported is not None:
            _compare_heads(str(heads_from), exported, walk)
    except Broken as problem:
        refuse_wrong_key(walk)
        broken = problem.broken
    except OSError as problem:
        raise StartError(f"{problem.filename or folder}: {problem.strerror}") from None
    return Verdict(walk.seq, walk.files, len(walk.heads), walk.after_head, tuple(walk.torn), broken)


def _compare_heads(name: str, exported: bytes, walk: Walk) -> None:
    """Find every exported head in the chain, in order. Some may be missing: export may have begun later."""
    seal = Seal(walk.keyring, "heads")
    there = exported.splitlines(keepends=True)
    if not there:
        raise Broken(name, 0, "there are no heads in it")
    places = {raw: at for at, raw in enumerate(walk.heads)}
    last = -1
    for number, raw in enumerate(there, 1):
        at = places.get(raw, -1)
        if at <= last:
            reason = wrong_head(raw, walk, seal) if at < 0 else "heads are out of order"
            raise Broken(name, number, reason)
        last = at


def refuse_wrong_key(walk: Walk) -> None:
    """Tell a trail that broke at its first line from one of another key. Raises WrongKey, OSError."""
    if walk.seq == 0:
        files = [*disk.trail_files(walk.folder), walk.folder / disk.HEADS]
        refuse_others(walk.folder, files, walk.keyring)


def refuse_others(where: Path, files: Sequence[Path], keyring: Keyring) -> None:
    """Look for anything of ours in files whose very first line is wrong. Raises WrongKey, OSError."""
    seals = [Seal(keyring, purpose) for purpose in ("chain", "heads", "export")]
    there = [path for path in files if path.exists()]
    for path in there:
        with path.open("rb") as file:
            pieces = _BEGINNING.split(file.read(_LOOKED_AT_BYTES))
        for piece in pieces:  # not lines: line ends may have been changed
            raw = b'{"mac":"' + piece.partition(b"}\n")[0] + b"}\n"
            if any(seal.is_ours(raw) for seal in seals):
                return
    if there:
        raise WrongKey(f"{where}: nothing in it was written with this key")
