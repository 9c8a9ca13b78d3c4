"""`schema`: writes one JSON Schema per policy file, for editors."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from penstock.errors import StartError
from penstock.gateway import Policies
from penstock.policy.schema import json_schemas
from penstock.settings import Settings, options_parser


def run(words: Sequence[str]) -> int:
    """Write the schemas into a folder, or all of them to stdout."""
    parser = argparse.ArgumentParser("penstock schema", parents=[options_parser()], allow_abbrev=False)
    parser.add_argument("folder", nargs="?", metavar="DIR", help="where to write; stdout if left out")
    options = parser.parse_args(words)
    schemas = json_schemas(Policies(Settings.of(options)).kinds)
    if options.folder is None:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(schemas)).decode() + "\n")
        return 0
    folder = Path(options.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, schema in schemas.items():
            (folder / name).write_bytes(msgspec.json.format(msgspec.json.encode(schema)) + b"\n")
    except OSError as problem:
        raise StartError(f"{folder}: {problem.strerror}") from None
    print(f"{len(schemas)} schemas in {folder}", file=sys.stderr)
    return 0
