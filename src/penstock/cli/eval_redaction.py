"""`eval redaction`: scores the detectors on labelled data."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from penstock.detect.evaluation import evaluate
from penstock.errors import StartError
from penstock.settings import options_parser


def run(words: Sequence[str]) -> int:
    """Print the figures as JSON. Raises StartError where there is no data."""
    parser = argparse.ArgumentParser(
        "penstock eval redaction", parents=[options_parser()], allow_abbrev=False
    )
    parser.add_argument(
        "--data", required=True, metavar="DIR", help="folder with labelled .jsonl or .jsonl.gz files"
    )
    options = parser.parse_args(words)
    folder = Path(options.data)
    if not any(folder.glob("*.jsonl*")):
        raise StartError(f"--data {folder}: no .jsonl or .jsonl.gz file is there")
    try:
        figures = evaluate(folder)
    except (OSError, ValueError, KeyError) as problem:
        raise StartError(f"--data {folder}: a record can't be read: {type(problem).__name__}") from None
    print(msgspec.json.format(msgspec.json.encode(figures)).decode())
    return 0
