"""`eval`: scores on labelled data what the gateway decides by what it learned or was told."""

import difflib
import importlib
from collections.abc import Sequence
from typing import Final

from penstock.errors import StartError

_SCORED: Final = {
    "redaction": "the detectors: --data DIR",
    "routing": "the router: --dev DIR, and --test DIR or --fold K/N",
}


def run(words: Sequence[str]) -> int:
    """Score what is named first. Raises StartError."""
    what = words[0] if words else ""
    if what in ("-h", "--help"):
        print("usage: penstock eval WHAT [OPTIONS]\n")
        print("\n".join(f"  {name:10} {of}" for name, of in _SCORED.items()))
        return 0
    if what not in _SCORED:
        near = difflib.get_close_matches(what, _SCORED, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise StartError(f"penstock eval: say what to score: {' or '.join(_SCORED)}{meant}")
    code: int = importlib.import_module(f"penstock.cli.eval_{what}").run(words[1:])
    return code
