"""`eval routing`: scores the router on labelled outcomes, and the intents on labelled texts."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from penstock.errors import StartError
from penstock.routing.evaluation.intents import evaluate_intents
from penstock.routing.evaluation.report import evaluate
from penstock.settings import options_parser


def run(words: Sequence[str]) -> int:
    """Print the figures as JSON. Raises StartError where there is no data."""
    parser = argparse.ArgumentParser("penstock eval routing", parents=[options_parser()], allow_abbrev=False)
    parser.add_argument("--dev", type=Path, metavar="DIR", help="rows to learn from")
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--test", type=Path, metavar="DIR", help="rows to score")
    part.add_argument("--fold", type=_fold, metavar="K/N", help="score fold K of N of the dev rows instead")
    parser.add_argument(
        "--intents", nargs=2, type=Path, metavar="FILE", help="train and test, text<tab>intent"
    )
    options = parser.parse_args(words)
    if options.dev is None and (options.test or options.fold or not options.intents):
        parser.error("say --dev DIR, and --test DIR or --fold K/N; or --intents TRAIN TEST alone")
    if options.dev is not None and not (options.test or options.fold):
        parser.error("--dev needs --test DIR or --fold K/N")
    for folder in (options.dev, options.test):
        if folder is not None and not any(folder.glob("*.jsonl.gz")):
            raise StartError(f"{folder}: no .jsonl.gz file is there")
    try:
        figures = evaluate(options.dev, options.test, options.fold) if options.dev else {}
        if options.intents:
            figures["intents"] = evaluate_intents(*options.intents)
    except (OSError, ValueError) as problem:
        raise StartError(f"a record can't be read: {type(problem).__name__}") from None
    print(msgspec.json.format(msgspec.json.encode(figures)).decode())
    return 0


def _fold(text: str) -> tuple[int, int]:
    number, _, folds = text.partition("/")
    if not (number.isdecimal() and folds.isdecimal() and int(number) < int(folds)):
        raise argparse.ArgumentTypeError(f"{text!r} is not K/N with K below N")
    return int(number), int(folds)
