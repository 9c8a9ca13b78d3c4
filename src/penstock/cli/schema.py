"""`schema`: writes one JSON Schema per policy file for editors, and the reference blocks of the docs."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from penstock.errors import StartError
from penstock.gateway import Policies
from penstock.policy.base import Policy
from penstock.policy.schema import json_schemas, reference_block
from penstock.settings import Settings, options_parser

_BLOCK: Final = re.compile(r"(<!-- reference: (\w+) -->\n).*?(<!-- end of reference -->)", re.DOTALL)


def run(words: Sequence[str]) -> int:
    """Write the schemas into a folder or to stdout, or renew the pages of the docs. Raises StartError."""
    parser = argparse.ArgumentParser("penstock schema", parents=[options_parser()], allow_abbrev=False)
    parser.add_argument("folder", nargs="?", metavar="DIR", help="where to write; stdout if left out")
    parser.add_argument(
        "--pages", metavar="DIR", help="renew the reference blocks of the Markdown pages there"
    )
    options = parser.parse_args(words)
    kinds = Policies(Settings.of(options)).kinds
    try:
        if options.pages is not None:
            _renew(Path(options.pages), kinds)
        elif options.folder is not None:
            _write(Path(options.folder), kinds)
        else:
            sys.stdout.write(_pretty(json_schemas(kinds)).decode())
    except OSError as problem:
        raise StartError(f"{problem.filename}: {problem.strerror}") from None
    return 0


def renewed(page: str, kinds: Sequence[type[Policy]]) -> str:
    """Give a page with its reference blocks as the policies are now."""
    by_file = {kind.file: kind for kind in kinds}
    return _BLOCK.sub(lambda found: f"{found[1]}{reference_block(by_file[found[2]])}\n{found[3]}", page)


def _renew(folder: Path, kinds: Sequence[type[Policy]]) -> None:
    for path in sorted(folder.rglob("*.md")):
        old = path.read_text(encoding="utf-8")
        if (new := renewed(old, kinds)) != old:
            path.write_text(new, encoding="utf-8")
            print(f"renewed {path}", file=sys.stderr)


def _write(folder: Path, kinds: Sequence[type[Policy]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    schemas = json_schemas(kinds)
    for name, schema in schemas.items():
        (folder / name).write_bytes(_pretty(schema))
    print(f"{len(schemas)} schemas in {folder}", file=sys.stderr)


def _pretty(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value)) + b"\n"
