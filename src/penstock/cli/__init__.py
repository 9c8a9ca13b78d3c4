"""The command line: one file per verb."""

import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import Final

from penstock.errors import StartError

VERBS: Final = {
    "up": "start the gateway (the default)",
    "check": "validate the policies and run the cases of their _test.yaml files",
    "demo": "show the gateway at work against a sample upstream",
    "explain": "say which stages would act on a request, and why, without calling anyone",
    "sample-upstream": "start an OpenAI-compatible server that can fail on purpose",
    "keys": "create, list, revoke or rotate the keys that tenants' clients show",
    "budget": "show, change, reset or forecast what tenants may use",
    "experiment": "say how the arms of experiments do, stop one, or promote an arm",
    "audit": "verify, show or export the audit trail, or erase a tenant's key in it",
    "eval": "score redaction or routing on labelled data",
    "router": "show what routing has learned, or put an older version back",
    "schema": "write JSON Schemas of the policies for editors",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; give the exit code: 0, 1 for a verb's own no, 2 for what the user has to mend."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] in (["-h"], ["--help"], ["help"]):
        print(_usage())
        return 0
    verb = words.pop(0) if words and not words[0].startswith("-") else "up"
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        print(f"penstock: unknown verb {verb!r}{meant}\n\n{_usage()}", file=sys.stderr)
        return 2
    # A verb brings its own imports: `check` needs no proxy, and `up` starts in half the time.
    module = importlib.import_module(f"penstock.cli.{verb.replace('-', '_')}")
    try:
        code: int = module.run(words)
    except StartError as problem:
        print(problem, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return code


def _usage() -> str:
    lines = [f"  {verb:16} {what}" for verb, what in VERBS.items()]
    return "\n".join(["usage: penstock [VERB] [OPTIONS]", "", *lines, "", "penstock VERB --help says more."])
